/* edge/lora/lora_bits.h - numbers of some bits, the highest bit first. */
#ifndef SQ_EDGE_LORA_LORA_BITS_H
#define SQ_EDGE_LORA_LORA_BITS_H

#include <stddef.h>
#include <stdint.h>

/* `at` counts bits from the first byte's highest. */
typedef struct sq_bits {
    uint8_t *bytes;
    size_t at;
} sq_bits;

static inline void sq_bits_put(sq_bits *bits, uint32_t value, int count)
{
    for (int i = count - 1; i >= 0; i--, bits->at++) {
        const uint8_t bit = (uint8_t)(0x80 >> bits->at % 8);
        uint8_t *byte = &bits->bytes[bits->at / 8];
        *byte = (uint8_t)(value >> i & 1 ? *byte | bit : *byte & ~bit);
    }
}

/* The caller has seen that they are there. */
static inline uint32_t sq_bits_get(sq_bits *bits, int count)
{
    uint32_t value = 0;
    for (int i = 0; i < count; i++, bits->at++) {
        value = value << 1 | (bits->bytes[bits->at / 8] >> (7 - bits->at % 8) & 1u);
    }
    return value;
}

#endif /* SQ_EDGE_LORA_LORA_BITS_H */
