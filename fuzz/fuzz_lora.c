/* rooms: edge/lora */
/* fuzz/fuzz_lora.c - messages and commands from the air. */
#include <stdlib.h>
#include <string.h>

#include "edge/lora/lora.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes that pass are the only ones that mean what they mean. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[SQ_LORA_KEY_BYTES] = "a key that seeds are sealed by";
    uint8_t again[SQ_LORA_MOST_BYTES];
    size_t length = 0;
    squall_error err = {.code = SQUALL_OK};
    sq_lora_message message;
    sq_lora_command command;
    if (sq_lora_decode(data, size, &message, &err) == SQUALL_OK &&
        (sq_lora_encode(&message, again, &length, &err) != SQUALL_OK || length != size ||
         memcmp(data, again, size) != 0)) {
        abort();
    }
    if (sq_lora_open(data, size, 4711, key, 0, &command, &err) == SQUALL_OK &&
        (sq_lora_seal(&command, 4711, key, again, &length, &err) != SQUALL_OK || length != size ||
         memcmp(data, again, size) != 0)) {
        abort();
    }
    return 0;
}
