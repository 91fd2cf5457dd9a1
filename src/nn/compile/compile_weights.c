/* nn/compile/compile_weights.c - constants gathered for an engine, each once. */
#include <string.h>

#include "nn/compile/compile_internal.h"

uint32_t sq_weights_add(sq_weights *weights, const void *data, size_t bytes)
{
    unsigned char hash[SQ_HASH_BYTES];
    sq_hash(data, bytes, hash);
    for (uint32_t i = 0; i < weights->count; i++) {
        if (weights->items[i].bytes == bytes &&
            memcmp(weights->items[i].hash, hash, sizeof hash) == 0) {
            return i;
        }
    }
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
    sq_weight *item = &weights->items[weights->count];
    item->data = sq_alloc_raw(bytes, 1);
    if (item->data == NULL) {
        return SQ_NO_WEIGHT;
    }
    if (bytes > 0) {
        memcpy(item->data, data, bytes);
    }
    item->bytes = bytes;
    memcpy(item->hash, hash, sizeof hash);
    return weights->count++;
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

squall_status sq_weights_lay_out(sq_weights *weights, unsigned char **blob, size_t *bytes,
                                 squall_error *err)
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
    *blob = sq_alloc(at, 1);
    if (*blob == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "weights", "no memory for their %zu bytes", at);
    }
    for (uint32_t i = 0; i < weights->count; i++) {
        sq_weight *item = &weights->items[i];
        if (item->bytes > 0 && item->used) {
            memcpy(*blob + item->offset, item->data, item->bytes);
        }
        sq_free(item->data); /* a large network's are not kept twice */
        item->data = NULL;
    }
    *bytes = at;
    return SQUALL_OK;
}

void sq_weights_free(sq_weights *weights)
{
    for (uint32_t i = 0; i < weights->count; i++) {
        sq_free(weights->items[i].data);
    }
    sq_free(weights->items);
    memset(weights, 0, sizeof *weights);
}
