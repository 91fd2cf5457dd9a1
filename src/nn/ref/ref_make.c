/* nn/ref/ref_make.c - operators that make tensors: constants, ranges, shapes as numbers. */
#include "nn/ref/ref_ops.h"

#include <string.h>

squall_status sq_ref_shape(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const int64_t rank = step->in[0].rank;
    int64_t start = sq_attr_int(step->attrs, "start", 0);
    start += start < 0 ? rank : 0;
    start = start < 0 ? 0 : start;
    sq_ref_store_int(&step->out[0], 0, squall_tensor_count(&step->out[0]),
                     step->in[0].dims + (start < rank ? start : 0));
    return SQUALL_OK;
}

squall_status sq_ref_size(const sq_call *call, squall_error *err)
{
    (void)err;
    const int64_t count = (int64_t)squall_tensor_count(&call->step->in[0]);
    sq_ref_store_int(&call->step->out[0], 0, 1, &count);
    return SQUALL_OK;
}

/* The data of an attribute of the kind that its name promises, or NULL. */
static const void *constant_data(const sq_attrs *attrs, const char *name, sq_attr_kind kind)
{
    const sq_attr *attr = sq_attr_find(attrs, name);
    if (!attr || attr->kind != kind) {
        return NULL;
    }
    switch (kind) {
    case SQ_ATTR_TENSOR:
        return attr->tensor.data;
    case SQ_ATTR_FLOAT:
        return &attr->f;
    case SQ_ATTR_INT:
        return &attr->i;
    case SQ_ATTR_FLOATS:
        return attr->floats;
    case SQ_ATTR_INTS:
        return attr->ints;
    case SQ_ATTR_STRING:
        break;
    }
    return NULL;
}

/* The forms are tried in the order of the shape rule. */
squall_status sq_ref_constant(const sq_call *call, squall_error *err)
{
    static const struct {
        const char *name;
        sq_attr_kind kind;
    } forms[] = {{"value", SQ_ATTR_TENSOR},
                 {"value_float", SQ_ATTR_FLOAT},
                 {"value_int", SQ_ATTR_INT},
                 {"value_floats", SQ_ATTR_FLOATS},
                 {"value_ints", SQ_ATTR_INTS}};
    const sq_step *step = call->step;
    const squall_tensor *out = &step->out[0];
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const void *from = constant_data(step->attrs, forms[i].name, forms[i].kind);
        if (from) {
            memcpy(out->data, from, squall_tensor_bytes(out));
            return SQUALL_OK;
        }
    }
    if (squall_tensor_count(out) == 0) { /* an empty one need have no data */
        return SQUALL_OK;
    }
    return sq_fail(err, SQUALL_E_UNSUPPORTED, step->name, "its value is no tensor of numbers");
}

squall_status sq_ref_constant_of_shape(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *out = &step->out[0];
    const sq_attr *value = sq_attr_find(step->attrs, "value");
    const size_t size = squall_dtype_size(out->dtype);
    const size_t total = squall_tensor_count(out);
    for (size_t i = 0; i < total; i++) {
        char *to = (char *)out->data + i * size;
        if (value) {
            memcpy(to, value->tensor.data, size);
        } else {
            memset(to, 0, size);
        }
    }
    return SQUALL_OK;
}

squall_status sq_ref_range(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *out = &step->out[0];
    const size_t total = squall_tensor_count(out);
    const double start = sq_tensor_get_double(&step->in[0], 0);
    const double delta = sq_tensor_get_double(&step->in[2], 0);
    const uint64_t start_int = (uint64_t)sq_tensor_get_int(&step->in[0], 0);
    const uint64_t delta_int = (uint64_t)sq_tensor_get_int(&step->in[2], 0);
    for (size_t i = 0; i < total; i++) {
        if (sq_ref_is_float(out->dtype)) {
            const double value = start + (double)i * delta;
            sq_ref_store(out, i, 1, &value);
        } else {
            const int64_t value = (int64_t)(start_int + i * delta_int);
            sq_ref_store_int(out, i, 1, &value);
        }
    }
    return SQUALL_OK;
}

squall_status sq_ref_eye_like(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *out = &step->out[0];
    const int64_t k = sq_attr_int(step->attrs, "k", 0);
    for (int64_t row = 0; row < out->dims[0]; row++) {
        for (int64_t column = 0; column < out->dims[1]; column++) {
            const int64_t value = column - row == k;
            sq_ref_store_int(out, (size_t)(row * out->dims[1] + column), 1, &value);
        }
    }
    return SQUALL_OK;
}
