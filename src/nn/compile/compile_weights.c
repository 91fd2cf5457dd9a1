/* nn/compile/compile_weights.c - constants gathered for an engine, each once. */
#include <string.h>

#include "nn/compile/compile_internal.h"

/* A number that tells most different bytes apart, at the speed of memory: what is found by it is
 * then compared. Four lanes of FNV-1a over words. */
static uint64_t key_of(const unsigned char *data, size_t bytes)
{
    enum { LANES = 4, STRIDE = LANES * (int)sizeof(uint64_t) };
    uint64_t lane[LANES] = {1, 2, 3, 4}, key = bytes;
    size_t at = 0;
    for (; at + STRIDE <= bytes; at += STRIDE) {
        for (int i = 0; i < LANES; i++) {
            uint64_t word;
            memcpy(&word, data + at + (size_t)i * sizeof word, sizeof word);
            lane[i] = (lane[i] ^ word) * 1099511628211u;
            lane[i] ^= lane[i] >> 29;
        }
    }
    for (; at < bytes; at++) {
        lane[0] = (lane[0] ^ data[at]) * 1099511628211u;
    }
    for (int i = 0; i < LANES; i++) {
        key = (key ^ lane[i]) * 1099511628211u;
    }
    return key;
}

static uint32_t find(const sq_weights *weights, const void *data, size_t bytes, uint64_t key)
{
    for (uint32_t i = 0; i < weights->count; i++) {
        const sq_weight *item = &weights->items[i];
        if (item->bytes == bytes && item->key == key &&
            (bytes == 0 || memcmp(item->data, data, bytes) == 0)) {
            return i;
        }
    }
    return SQ_NO_WEIGHT;
}

/* One item more, which takes over `data`. */
static uint32_t append(sq_weights *weights, void *data, size_t bytes, uint64_t key)
{
    if (weights->count == weights->capacity) {
        const uint32_t capacity = weights->capacity > 0 ? weights->capacity * 2 : 64;
        sq_weight *items =
            sq_regrow(weights->items, weights->count, capacity, sizeof *weights->items);
        if (items == NULL) {
            return SQ_NO_WEIGHT;
        }
        weights->items = items;
        weights->capacity = capacity;
    }
    weights->items[weights->count] = (sq_weight){.data = data, .bytes = bytes, .key = key};
    return weights->count++;
}

uint32_t sq_weights_add(sq_weights *weights, const void *data, size_t bytes)
{
    const uint64_t key = key_of(data, bytes);
    const uint32_t there = find(weights, data, bytes, key);
    if (there != SQ_NO_WEIGHT) {
        return there;
    }
    void *copy = sq_alloc_raw(bytes, 1);
    if (copy == NULL) {
        return SQ_NO_WEIGHT;
    }
    if (bytes > 0) {
        memcpy(copy, data, bytes);
    }
    const uint32_t item = append(weights, copy, bytes, key);
    if (item == SQ_NO_WEIGHT) {
        sq_free(copy);
    }
    return item;
}

uint32_t sq_weights_give(sq_weights *weights, void *data, size_t bytes)
{
    const uint64_t key = key_of(data, bytes);
    uint32_t item = find(weights, data, bytes, key);
    const bool kept =
        item == SQ_NO_WEIGHT && (item = append(weights, data, bytes, key)) != SQ_NO_WEIGHT;
    if (!kept) {
        sq_free(data);
    }
    return item;
}

void sq_weights_use(sq_weights *weights, const sq_plan *plan)
{
    for (uint32_t v = 0; v < plan->value_count; v++) {
        if (plan->values[v].home == SQ_HOME_CONST) {
            weights->items[plan->values[v].offset].used = true;
        }
    }
    for (uint32_t s = 0; s < plan->step_count; s++) {
        if (plan->steps[s].packed_bytes > 0) {
            weights->items[plan->steps[s].packed_offset].used = true;
        }
    }
}

squall_status sq_weights_lay_out(sq_weights *weights, size_t *bytes, squall_error *err)
{
    size_t at = 0;
    for (int large = 0; large <= 1; large++) {
        for (uint32_t i = 0; i < weights->count; i++) {
            sq_weight *item = &weights->items[i];
            if ((item->bytes > SQ_LIMIT_SHAPE_BYTES) != large || !item->used) {
                continue;
            }
            item->offset = at;
            if (item->bytes > SQ_LIMIT_FILE_BYTES - at) {
                return sq_fail(err, SQUALL_E_LIMIT, "weights",
                               "take more than the %zu bytes that an engine may have",
                               SQ_LIMIT_FILE_BYTES);
            }
            at = sq_round_up(at + item->bytes, SQ_ALIGNMENT);
        }
    }
    *bytes = at;
    return SQUALL_OK;
}

void sq_weights_fill(void *self, unsigned char *to)
{
    sq_weights *weights = self;
    for (uint32_t i = 0; i < weights->count; i++) {
        sq_weight *item = &weights->items[i];
        if (item->bytes > 0 && item->used) {
            memcpy(to + item->offset, item->data, item->bytes);
            const size_t end = (size_t)item->offset + item->bytes;
            memset(to + end, 0, sq_round_up(end, SQ_ALIGNMENT) - end); /* what is between */
        }
        sq_free(item->data); /* a large network's are not kept twice */
        item->data = NULL;
    }
}

void sq_weights_free(sq_weights *weights)
{
    for (uint32_t i = 0; i < weights->count; i++) {
        sq_free(weights->items[i].data);
    }
    sq_free(weights->items);
    memset(weights, 0, sizeof *weights);
}
