/* nn/ref/ref_index.c - operators that take and put elements where indices say. */
#include "nn/ref/ref_ops.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* An index, counted from the end where it is negative, held against the size of its axis. */
static squall_status read_index(const sq_step *step, size_t at, int64_t size, int64_t *out,
                                squall_error *err)
{
    const int64_t index = sq_tensor_get_int(&step->in[1], at);
    if (index < -size || index >= size) {
        return sq_fail(err, SQUALL_E_SHAPE, step->name,
                       "index %" PRId64 " on an axis of size %" PRId64, index, size);
    }
    *out = index < 0 ? index + size : index;
    return SQUALL_OK;
}

squall_status sq_ref_gather(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *in = &step->in[0];
    int64_t axis;
    SQ_TRY(sq_ref_axis_find(step, sq_attr_int(step->attrs, "axis", 0), in->rank, &axis, err));
    const sq_ref_axis over = sq_ref_axis_of(in, axis);
    const size_t run = over.inner * squall_dtype_size(in->dtype);
    const size_t indices = squall_tensor_count(&step->in[1]);
    if (run == 0) {
        return SQUALL_OK;
    }
    char *to = step->out[0].data;
    for (size_t outer = 0; outer < over.outer; outer++) {
        for (size_t i = 0; i < indices; i++, to += run) {
            int64_t index = 0;
            SQ_TRY(read_index(step, i, in->dims[axis], &index, err));
            memcpy(to, (const char *)in->data + (outer * over.length + (size_t)index) * run, run);
        }
    }
    return SQUALL_OK;
}

/* Element `at` of the indices names one of the data: its own place, but for the axis. */
static squall_status named_element(const sq_step *step, const int64_t *stride, int64_t axis,
                                   size_t at, size_t *out, squall_error *err)
{
    const squall_tensor *data = &step->in[0], *indices = &step->in[1];
    int64_t index = 0;
    SQ_TRY(read_index(step, at, data->dims[axis], &index, err));
    size_t offset = (size_t)(index * stride[axis]);
    for (uint32_t i = indices->rank; i-- > 0;) {
        const size_t size = (size_t)indices->dims[i];
        offset += i == axis ? 0 : at % size * (size_t)stride[i];
        at /= size;
    }
    *out = offset;
    return SQUALL_OK;
}

squall_status sq_ref_gather_elements(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *in = &step->in[0];
    int64_t axis, stride[SQUALL_MAX_DIMS];
    SQ_TRY(sq_ref_axis_find(step, sq_attr_int(step->attrs, "axis", 0), in->rank, &axis, err));
    sq_ref_strides(in, stride);
    const size_t size = squall_dtype_size(in->dtype);
    const size_t total = squall_tensor_count(&step->in[1]);
    for (size_t i = 0; i < total; i++) {
        size_t from;
        SQ_TRY(named_element(step, stride, axis, i, &from, err));
        memcpy((char *)step->out[0].data + i * size, (const char *)in->data + from * size, size);
    }
    return SQUALL_OK;
}

typedef enum scatter_kind {
    SCATTER_NONE,
    SCATTER_ADD,
    SCATTER_MUL,
    SCATTER_MAX,
    SCATTER_MIN
} scatter_kind;

static squall_status find_scatter(const sq_step *step, scatter_kind *out, squall_error *err)
{
    static const char *const names[] = {"none", "add", "mul", "max", "min"};
    const char *name = sq_attr_string(step->attrs, "reduction", "none");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (scatter_kind)i;
            return SQUALL_OK;
        }
    }
    return sq_fail(err, SQUALL_E_UNSUPPORTED, step->name, "reduction '%.32s' is not known", name);
}

static double merged(scatter_kind kind, double a, double b)
{
    switch (kind) {
    case SCATTER_ADD:
        return a + b;
    case SCATTER_MUL:
        return a * b;
    case SCATTER_MAX:
        return isnan(a) || a > b ? a : b;
    case SCATTER_MIN:
        return isnan(a) || a < b ? a : b;
    case SCATTER_NONE:
        break;
    }
    return b;
}

static int64_t merged_int(scatter_kind kind, int64_t a, int64_t b, bool u64)
{
    const bool less = u64 ? (uint64_t)a < (uint64_t)b : a < b;
    switch (kind) {
    case SCATTER_ADD:
        return (int64_t)((uint64_t)a + (uint64_t)b);
    case SCATTER_MUL:
        return (int64_t)((uint64_t)a * (uint64_t)b);
    case SCATTER_MAX:
        return less ? b : a;
    case SCATTER_MIN:
        return less ? a : b;
    case SCATTER_NONE:
        break;
    }
    return b;
}

/* `count` elements of the output from `to` on take the updates from `from` on. */
static void put(const sq_step *step, scatter_kind kind, size_t to, size_t from, size_t count)
{
    const squall_tensor *out = &step->out[0], *updates = &step->in[2];
    const size_t size = squall_dtype_size(out->dtype);
    if (kind == SCATTER_NONE) {
        memcpy((char *)out->data + to * size, (const char *)updates->data + from * size,
               count * size);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (sq_ref_is_float(out->dtype)) {
            const double value = merged(kind, sq_tensor_get_double(out, to + i),
                                        sq_tensor_get_double(updates, from + i));
            sq_ref_store(out, to + i, 1, &value);
        } else {
            const int64_t value =
                merged_int(kind, sq_tensor_get_int(out, to + i),
                           sq_tensor_get_int(updates, from + i), out->dtype == SQUALL_U64);
            sq_ref_store_int(out, to + i, 1, &value);
        }
    }
}

squall_status sq_ref_scatter_elements(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *in = &step->in[0];
    int64_t axis, stride[SQUALL_MAX_DIMS];
    scatter_kind kind = SCATTER_NONE;
    SQ_TRY(find_scatter(step, &kind, err));
    SQ_TRY(sq_ref_axis_find(step, sq_attr_int(step->attrs, "axis", 0), in->rank, &axis, err));
    sq_ref_strides(in, stride);
    sq_ref_copy(&step->out[0], in);
    const size_t total = squall_tensor_count(&step->in[1]);
    for (size_t i = 0; i < total; i++) {
        size_t to;
        SQ_TRY(named_element(step, stride, axis, i, &to, err));
        put(step, kind, to, i, 1);
    }
    return SQUALL_OK;
}

/* The last axis of the indices names a slice of the data, behind `batch` axes that both have; `row`
 * is its number. */
typedef struct nd_names {
    uint32_t batch, width;
    size_t rows;    /* slices named */
    size_t run;     /* elements of a slice */
    size_t repeats; /* rows of one batch */
} nd_names;

static nd_names find_names(const sq_step *step, uint32_t batch)
{
    const squall_tensor *data = &step->in[0], *indices = &step->in[1];
    const uint32_t last = indices->rank - 1;
    nd_names names = {.batch = batch, .width = (uint32_t)indices->dims[last]};
    names.rows = sq_ref_product(indices->dims, 0, last);
    names.repeats = sq_ref_product(indices->dims, batch, last);
    names.run = sq_ref_product(data->dims, batch + names.width, data->rank);
    return names;
}

static squall_status named_slice(const sq_step *step, const nd_names *names, size_t row,
                                 size_t *out, squall_error *err)
{
    const squall_tensor *data = &step->in[0];
    size_t offset = names->batch > 0 ? row / names->repeats : 0;
    for (uint32_t i = 0; i < names->width; i++) {
        const int64_t size = data->dims[names->batch + i];
        int64_t index = 0;
        SQ_TRY(read_index(step, row * names->width + i, size, &index, err));
        offset = offset * (size_t)size + (size_t)index;
    }
    *out = offset * names->run;
    return SQUALL_OK;
}

squall_status sq_ref_gather_nd(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *in = &step->in[0];
    const nd_names names = find_names(step, (uint32_t)sq_attr_int(step->attrs, "batch_dims", 0));
    const size_t size = squall_dtype_size(in->dtype);
    for (size_t row = 0; row < names.rows; row++) {
        size_t from;
        SQ_TRY(named_slice(step, &names, row, &from, err));
        if (names.run > 0) {
            memcpy((char *)step->out[0].data + row * names.run * size,
                   (const char *)in->data + from * size, names.run * size);
        }
    }
    return SQUALL_OK;
}

squall_status sq_ref_scatter_nd(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const nd_names names = find_names(step, 0);
    scatter_kind kind = SCATTER_NONE;
    SQ_TRY(find_scatter(step, &kind, err));
    sq_ref_copy(&step->out[0], &step->in[0]);
    for (size_t row = 0; row < names.rows; row++) {
        size_t to;
        SQ_TRY(named_slice(step, &names, row, &to, err));
        put(step, kind, to, row * names.run, names.run);
    }
    return SQUALL_OK;
}

/* An index outside the depth gives a column of "off". */
squall_status sq_ref_one_hot(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *indices = &step->in[0], *out = &step->out[0];
    int64_t axis;
    SQ_TRY(sq_ref_axis_find(step, sq_attr_int(step->attrs, "axis", -1), out->rank, &axis, err));
    const sq_ref_axis over = sq_ref_axis_of(out, axis);
    const size_t size = squall_dtype_size(out->dtype);
    const char *values = step->in[2].data; /* off, on */
    const int64_t depth = (int64_t)over.length;
    for (size_t outer = 0; outer < over.outer; outer++) {
        for (int64_t i = 0; i < depth; i++) {
            for (size_t inner = 0; inner < over.inner; inner++) {
                int64_t hot = sq_tensor_get_int(indices, outer * over.inner + inner);
                hot += hot < 0 && hot >= -depth ? depth : 0;
                const size_t to = (outer * over.length + (size_t)i) * over.inner + inner;
                memcpy((char *)out->data + to * size, values + (hot == i ? size : 0), size);
            }
        }
    }
    return SQUALL_OK;
}
