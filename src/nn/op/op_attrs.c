/* nn/op/op_attrs.c - the attributes of a node: found by name, set, copied, freed. */
#include <string.h>

#include "base/base.h"
#include "nn/op/op.h"

const sq_attr *sq_attr_find(const sq_attrs *attrs, const char *name)
{
    for (size_t i = 0; i < attrs->count; i++) {
        if (strcmp(attrs->items[i].name, name) == 0) {
            return &attrs->items[i];
        }
    }
    return NULL;
}

static const sq_attr *find_kind(const sq_attrs *attrs, const char *name, sq_attr_kind kind)
{
    const sq_attr *attr = sq_attr_find(attrs, name);
    return attr && attr->kind == kind ? attr : NULL;
}

int64_t sq_attr_int(const sq_attrs *attrs, const char *name, int64_t otherwise)
{
    const sq_attr *attr = find_kind(attrs, name, SQ_ATTR_INT);
    return attr ? attr->i : otherwise;
}

float sq_attr_float(const sq_attrs *attrs, const char *name, float otherwise)
{
    const sq_attr *attr = find_kind(attrs, name, SQ_ATTR_FLOAT);
    return attr ? attr->f : otherwise;
}

const char *sq_attr_string(const sq_attrs *attrs, const char *name, const char *otherwise)
{
    const sq_attr *attr = find_kind(attrs, name, SQ_ATTR_STRING);
    return attr ? attr->string : otherwise;
}

const int64_t *sq_attr_ints(const sq_attrs *attrs, const char *name, size_t *count)
{
    const sq_attr *attr = find_kind(attrs, name, SQ_ATTR_INTS);
    *count = attr ? attr->count : 0;
    return attr ? attr->ints : NULL;
}

const float *sq_attr_floats(const sq_attrs *attrs, const char *name, size_t *count)
{
    const sq_attr *attr = find_kind(attrs, name, SQ_ATTR_FLOATS);
    *count = attr ? attr->count : 0;
    return attr ? attr->floats : NULL;
}

static void free_content(sq_attr *attr)
{
    sq_free(attr->name);
    sq_free(attr->string);
    sq_free(attr->ints);
    sq_free(attr->floats);
    sq_tensor_free(&attr->tensor);
    *attr = (sq_attr){0};
}

/* Take `attr`, its content included, in place of one of that name or as a new one. */
static bool put(sq_attrs *attrs, const char *name, sq_attr *attr)
{
    sq_attr *old = NULL;
    for (size_t i = 0; i < attrs->count && !old; i++) {
        old = strcmp(attrs->items[i].name, name) == 0 ? &attrs->items[i] : NULL;
    }
    attr->name = sq_strdup(name);
    if (attr->name && !old) {
        sq_attr *items =
            sq_regrow(attrs->items, attrs->count, attrs->count + 1, sizeof *attrs->items);
        if (items) {
            attrs->items = items;
            old = &items[attrs->count++];
        }
    }
    if (!attr->name || !old) {
        sq_free(attr->name);
        attr->name = NULL;
        return false;
    }
    free_content(old);
    *old = *attr;
    return true;
}

bool sq_attr_set_int(sq_attrs *attrs, const char *name, int64_t value)
{
    return put(attrs, name, &(sq_attr){.kind = SQ_ATTR_INT, .i = value});
}

bool sq_attr_set_float(sq_attrs *attrs, const char *name, float value)
{
    return put(attrs, name, &(sq_attr){.kind = SQ_ATTR_FLOAT, .f = value});
}

bool sq_attr_set_string(sq_attrs *attrs, const char *name, const char *value, size_t length)
{
    sq_attr attr = {.kind = SQ_ATTR_STRING, .count = length};
    size_t size;
    attr.string = sq_add_size(length, 1, &size) ? sq_alloc(size, 1) : NULL;
    if (!attr.string) {
        return false;
    }
    if (length > 0) {
        memcpy(attr.string, value, length);
    }
    if (!put(attrs, name, &attr)) {
        free_content(&attr);
        return false;
    }
    return true;
}

bool sq_attr_set_ints(sq_attrs *attrs, const char *name, const int64_t *values, size_t count)
{
    sq_attr attr = {.kind = SQ_ATTR_INTS, .count = count};
    attr.ints = sq_alloc_raw(count, sizeof *values);
    if (!attr.ints) {
        return false;
    }
    if (count > 0) {
        memcpy(attr.ints, values, count * sizeof *values);
    }
    if (!put(attrs, name, &attr)) {
        free_content(&attr);
        return false;
    }
    return true;
}

bool sq_attr_set_floats(sq_attrs *attrs, const char *name, const float *values, size_t count)
{
    sq_attr attr = {.kind = SQ_ATTR_FLOATS, .count = count};
    attr.floats = sq_alloc_raw(count, sizeof *values);
    if (!attr.floats) {
        return false;
    }
    if (count > 0) {
        memcpy(attr.floats, values, count * sizeof *values);
    }
    if (!put(attrs, name, &attr)) {
        free_content(&attr);
        return false;
    }
    return true;
}

bool sq_attr_set_tensor(sq_attrs *attrs, const char *name, squall_tensor *tensor)
{
    sq_attr attr = {.kind = SQ_ATTR_TENSOR, .tensor = *tensor};
    if (!put(attrs, name, &attr)) {
        return false;
    }
    *tensor = (squall_tensor){0};
    return true;
}

void sq_attr_remove(sq_attrs *attrs, const char *name)
{
    for (size_t i = 0; i < attrs->count; i++) {
        if (strcmp(attrs->items[i].name, name) == 0) {
            free_content(&attrs->items[i]);
            attrs->items[i] = attrs->items[--attrs->count];
            attrs->items[attrs->count] = (sq_attr){0};
            return;
        }
    }
}

static bool copy_one(const sq_attr *attr, sq_attrs *out)
{
    switch (attr->kind) {
    case SQ_ATTR_INT:
        return sq_attr_set_int(out, attr->name, attr->i);
    case SQ_ATTR_FLOAT:
        return sq_attr_set_float(out, attr->name, attr->f);
    case SQ_ATTR_STRING:
        return sq_attr_set_string(out, attr->name, attr->string, attr->count);
    case SQ_ATTR_INTS:
        return sq_attr_set_ints(out, attr->name, attr->ints, attr->count);
    case SQ_ATTR_FLOATS:
        return sq_attr_set_floats(out, attr->name, attr->floats, attr->count);
    case SQ_ATTR_TENSOR: {
        squall_tensor tensor;
        if (!sq_tensor_copy(&attr->tensor, &tensor)) {
            return false;
        }
        if (!sq_attr_set_tensor(out, attr->name, &tensor)) {
            sq_tensor_free(&tensor);
            return false;
        }
        return true;
    }
    }
    return false;
}

bool sq_attrs_copy(const sq_attrs *attrs, sq_attrs *out)
{
    *out = (sq_attrs){.opset = attrs->opset};
    for (size_t i = 0; i < attrs->count; i++) {
        if (!copy_one(&attrs->items[i], out)) {
            sq_attrs_free(out);
            return false;
        }
    }
    return true;
}

void sq_attrs_free(sq_attrs *attrs)
{
    for (size_t i = 0; i < attrs->count; i++) {
        free_content(&attrs->items[i]);
    }
    sq_free(attrs->items);
    *attrs = (sq_attrs){.opset = attrs->opset};
}

/* Floats by their bits: -0 is not 0, a NaN is itself. */
static bool same_bits(const void *a, const void *b, size_t bytes)
{
    return bytes == 0 || memcmp(a, b, bytes) == 0;
}

static bool same_attr(const sq_attr *a, const sq_attr *b)
{
    if (strcmp(a->name, b->name) != 0 || a->kind != b->kind || a->count != b->count ||
        a->i != b->i || !same_bits(&a->f, &b->f, sizeof a->f)) {
        return false;
    }
    switch (a->kind) {
    case SQ_ATTR_STRING:
        return a->count == 0 || memcmp(a->string, b->string, a->count) == 0;
    case SQ_ATTR_INTS:
        return a->count == 0 || memcmp(a->ints, b->ints, a->count * sizeof *a->ints) == 0;
    case SQ_ATTR_FLOATS:
        return same_bits(a->floats, b->floats, a->count * sizeof *a->floats);
    case SQ_ATTR_TENSOR:
        return sq_tensor_same_type(&a->tensor, &b->tensor) &&
               memcmp(a->tensor.data, b->tensor.data, squall_tensor_bytes(&a->tensor)) == 0;
    case SQ_ATTR_INT:
    case SQ_ATTR_FLOAT:
        return true;
    }
    return false;
}

bool sq_attrs_same(const sq_attrs *a, const sq_attrs *b)
{
    if (a->count != b->count || a->opset != b->opset) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (!same_attr(&a->items[i], &b->items[i])) {
            return false;
        }
    }
    return true;
}
