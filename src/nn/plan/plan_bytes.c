/* nn/plan/plan_bytes.c - numbers, strings and plans as little-endian bytes, and back. */
#include <string.h>

#include "nn/plan/plan_internal.h"

void sq_store_uint(unsigned char *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (unsigned char)(value >> (8 * i));
    }
}

uint64_t sq_load_uint(const unsigned char *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

void sq_put_uint(sq_text *text, uint64_t value, unsigned bytes)
{
    unsigned char buffer[8];
    sq_store_uint(buffer, value, bytes);
    sq_text_add_bytes(text, buffer, bytes);
}

void sq_put_string(sq_text *text, const char *string)
{
    const size_t length = string != NULL ? strlen(string) : 0;
    sq_put_uint(text, length, 4);
    sq_text_add_bytes(text, string != NULL ? string : "", length);
}

const unsigned char *sq_cursor_bytes(sq_cursor *cursor, size_t size)
{
    if (cursor->failed || size > cursor->size - cursor->at) {
        cursor->failed = true;
        return NULL;
    }
    const unsigned char *at = cursor->data + cursor->at;
    cursor->at += size;
    return at;
}

uint64_t sq_cursor_uint(sq_cursor *cursor, unsigned bytes)
{
    const unsigned char *at = sq_cursor_bytes(cursor, bytes);
    return at != NULL ? sq_load_uint(at, bytes) : 0;
}

uint32_t sq_cursor_count(sq_cursor *cursor, uint32_t limit, size_t item_bytes)
{
    const uint32_t count = (uint32_t)sq_cursor_uint(cursor, 4);
    if (cursor->failed || count > limit || count > (cursor->size - cursor->at) / item_bytes) {
        cursor->failed = true;
        return 0;
    }
    return count;
}

char *sq_cursor_string(sq_cursor *cursor, uint32_t limit)
{
    const uint32_t length = sq_cursor_count(cursor, limit, 1);
    const unsigned char *at = sq_cursor_bytes(cursor, length);
    if (at == NULL || memchr(at, 0, length) != NULL) {
        cursor->failed = true;
        return NULL;
    }
    char *string = sq_alloc_raw((size_t)length + 1, 1);
    if (string == NULL) {
        cursor->no_memory = true;
        cursor->failed = true;
        return NULL;
    }
    memcpy(string, at, length);
    string[length] = '\0';
    return string;
}

static void put_type(sq_text *text, const squall_tensor *type)
{
    sq_put_uint(text, (uint64_t)type->dtype, 1);
    sq_put_uint(text, (uint64_t)type->layout, 1);
    sq_put_uint(text, type->rank, 1);
    for (uint32_t i = 0; i < type->rank; i++) {
        sq_put_uint(text, (uint64_t)type->dims[i], 8);
    }
}

static void put_attr(sq_text *text, const sq_attr *attr)
{
    sq_put_string(text, attr->name);
    sq_put_uint(text, (uint64_t)attr->kind, 1);
    uint32_t bits;
    switch (attr->kind) {
    case SQ_ATTR_INT:
        sq_put_uint(text, (uint64_t)attr->i, 8);
        break;
    case SQ_ATTR_FLOAT:
        memcpy(&bits, &attr->f, sizeof bits);
        sq_put_uint(text, bits, 4);
        break;
    case SQ_ATTR_STRING:
        sq_put_uint(text, attr->count, 4);
        sq_text_add_bytes(text, attr->string, attr->count);
        break;
    case SQ_ATTR_INTS:
        sq_put_uint(text, attr->count, 4);
        for (size_t i = 0; i < attr->count; i++) {
            sq_put_uint(text, (uint64_t)attr->ints[i], 8);
        }
        break;
    case SQ_ATTR_FLOATS:
        sq_put_uint(text, attr->count, 4);
        for (size_t i = 0; i < attr->count; i++) {
            memcpy(&bits, &attr->floats[i], sizeof bits);
            sq_put_uint(text, bits, 4);
        }
        break;
    case SQ_ATTR_TENSOR:
        put_type(text, &attr->tensor);
        sq_text_add_bytes(text, attr->tensor.data, squall_tensor_bytes(&attr->tensor));
        break;
    }
}

static void put_numbers(sq_text *text, const uint32_t *numbers, uint32_t count)
{
    sq_put_uint(text, count, 4);
    for (uint32_t i = 0; i < count; i++) {
        sq_put_uint(text, numbers[i], 4);
    }
}

void sq_plan_encode(const sq_plan *plan, sq_text *text)
{
    sq_put_uint(text, plan->arena_bytes, 8);
    sq_put_uint(text, plan->arena_bound_bytes, 8);
    sq_put_uint(text, plan->scratch_bytes, 8);
    sq_put_uint(text, plan->macs, 8);
    sq_put_uint(text, plan->value_count, 4);
    for (uint32_t v = 0; v < plan->value_count; v++) {
        const sq_plan_value *value = &plan->values[v];
        put_type(text, &value->type);
        sq_put_uint(text, (uint64_t)value->home, 1);
        sq_put_uint(text, value->offset, 8);
        sq_put_string(text, value->name);
    }
    sq_put_uint(text, plan->step_count, 4);
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const sq_plan_step *step = &plan->steps[s];
        sq_put_uint(text, (uint64_t)step->op, 4);
        sq_put_uint(text, step->backend, 4);
        sq_put_uint(text, (uint32_t)step->in_place, 4);
        sq_put_string(text, step->name);
        sq_put_string(text, step->tactic);
        put_numbers(text, step->in, step->in_count);
        put_numbers(text, step->out, step->out_count);
        sq_put_uint(text, step->packed_offset, 8);
        sq_put_uint(text, step->packed_bytes, 8);
        sq_put_uint(text, (uint32_t)step->attrs.opset, 4);
        sq_put_uint(text, step->attrs.count, 4);
        for (size_t i = 0; i < step->attrs.count; i++) {
            put_attr(text, &step->attrs.items[i]);
        }
    }
    put_numbers(text, plan->inputs, plan->input_count);
    put_numbers(text, plan->outputs, plan->output_count);
}
