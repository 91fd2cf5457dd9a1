/* nn/ref/ref_shape.c - operators that move elements without looking at them. */
#include "nn/ref/ref_ops.h"

#include <string.h>

squall_status sq_ref_reshape(const sq_call *call, squall_error *err)
{
    (void)err;
    sq_ref_copy(&call->step->out[0], &call->step->in[0]);
    return SQUALL_OK;
}

/* Inference: nothing is dropped, and the mask says so. */
squall_status sq_ref_dropout(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    sq_ref_copy(&step->out[0], &step->in[0]);
    if (sq_ref_has_output(step, 1)) {
        const double kept = 1;
        const size_t count = squall_tensor_count(&step->out[1]);
        for (size_t i = 0; i < count; i++) {
            sq_ref_store(&step->out[1], i, 1, &kept);
        }
    }
    return SQUALL_OK;
}

squall_status sq_ref_cast(const sq_call *call, squall_error *err)
{
    (void)err;
    const squall_tensor *in = &call->step->in[0], *out = &call->step->out[0];
    const size_t total = squall_tensor_count(in);
    if (in->dtype == out->dtype) { /* a NaN keeps its bits */
        sq_ref_copy(out, in);
        return SQUALL_OK;
    }
    const bool u64_to_float = in->dtype == SQUALL_U64 && sq_ref_is_float(out->dtype);
    const bool as_int = !sq_ref_is_float(in->dtype) && !u64_to_float;
    for (size_t first = 0; first < total; first += SQ_REF_RUN) {
        const size_t count = total - first < SQ_REF_RUN ? total - first : SQ_REF_RUN;
        if (as_int) {
            int64_t values[SQ_REF_RUN];
            sq_ref_load_int(in, first, 1, count, values);
            sq_ref_store_int(out, first, count, values);
        } else {
            double values[SQ_REF_RUN];
            sq_ref_load(in, first, 1, count, values);
            sq_ref_store(out, first, count, values);
        }
    }
    return SQUALL_OK;
}

squall_status sq_ref_bit_cast(const sq_call *call, squall_error *err)
{
    (void)err;
    const squall_tensor *in = &call->step->in[0], *out = &call->step->out[0];
    const uint8_t *from = in->data;
    uint8_t *to = out->data;
    const size_t bytes = squall_tensor_bytes(out);
    for (size_t i = 0; i < bytes; i++) { /* a bool is 0 or 1, on either side */
        const bool truth = in->dtype == SQUALL_BOOL || out->dtype == SQUALL_BOOL;
        to[i] = truth ? from[i] != 0 : from[i];
    }
    return SQUALL_OK;
}

squall_status sq_ref_transpose(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *in = &step->in[0], *out = &step->out[0];
    size_t count;
    const int64_t *order = sq_attr_ints(step->attrs, "perm", &count);
    int64_t own[SQUALL_MAX_DIMS], stride[SQUALL_MAX_DIMS];
    sq_ref_strides(in, own);
    for (uint32_t i = 0; i < in->rank; i++) {
        stride[i] = own[order ? order[i] : (int64_t)in->rank - 1 - i];
    }
    sq_ref_copy_strided(out->data, in->data, squall_dtype_size(in->dtype), out->rank, out->dims,
                        stride);
    return SQUALL_OK;
}

squall_status sq_ref_concat(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *out = &step->out[0];
    const size_t size = squall_dtype_size(out->dtype);
    int64_t axis;
    SQ_TRY(sq_ref_axis_find(step, sq_attr_int(step->attrs, "axis", 0), out->rank, &axis, err));
    const sq_ref_axis whole = sq_ref_axis_of(out, axis);
    size_t at = 0;
    for (uint32_t i = 0; i < step->in_count; i++) {
        const size_t run = (size_t)step->in[i].dims[axis] * whole.inner * size;
        for (size_t outer = 0; outer < whole.outer && run > 0; outer++) {
            memcpy((char *)out->data + outer * whole.length * whole.inner * size + at,
                   (const char *)step->in[i].data + outer * run, run);
        }
        at += run;
    }
    return SQUALL_OK;
}

squall_status sq_ref_split(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *in = &step->in[0];
    const size_t size = squall_dtype_size(in->dtype);
    uint32_t axis;
    int64_t sizes[SQ_MAX_OUTPUTS];
    SQ_TRY(sq_op_split_sizes(step, &axis, sizes, err));
    const sq_ref_axis whole = sq_ref_axis_of(in, axis);
    size_t at = 0;
    for (uint32_t i = 0; i < step->out_count; i++) {
        const size_t run = (size_t)sizes[i] * whole.inner * size;
        for (size_t outer = 0; sq_ref_has_output(step, i) && outer < whole.outer && run > 0;
             outer++) {
            memcpy((char *)step->out[i].data + outer * run,
                   (const char *)in->data + outer * whole.length * whole.inner * size + at, run);
        }
        at += run;
    }
    return SQUALL_OK;
}

/* Number `at` of the integers that are input `index`, or in older opsets attribute `name`. */
static int64_t int_of(const sq_step *step, uint32_t index, const char *name, size_t at,
                      int64_t otherwise)
{
    if (sq_ref_has_input(step, index)) {
        return sq_tensor_get_int(&step->in[index], at);
    }
    size_t count;
    const int64_t *values = sq_attr_ints(step->attrs, name, &count);
    return at < count ? values[at] : otherwise;
}

static size_t int_count(const sq_step *step, uint32_t index, const char *name)
{
    size_t count;
    if (sq_ref_has_input(step, index)) {
        return squall_tensor_count(&step->in[index]);
    }
    (void)sq_attr_ints(step->attrs, name, &count);
    return count;
}

squall_status sq_ref_slice(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *in = &step->in[0], *out = &step->out[0];
    int64_t stride[SQUALL_MAX_DIMS], own[SQUALL_MAX_DIMS], base = 0;
    sq_ref_strides(in, own);
    memcpy(stride, own, sizeof stride);
    const size_t count = int_count(step, 1, "starts");
    for (size_t i = 0; i < count; i++) {
        int64_t axis;
        SQ_TRY(
            sq_ref_axis_find(step, int_of(step, 3, "axes", i, (int64_t)i), in->rank, &axis, err));
        const int64_t size = in->dims[axis];
        const int64_t move = int_of(step, 4, "steps", i, 1);
        int64_t start = int_of(step, 1, "starts", i, 0);
        start += start < 0 ? size : 0;
        const int64_t last = move > 0 ? size : size - 1;
        start = start < 0 ? 0 : start > last ? last : start;
        base += start * own[axis];
        /* a step past the end is never taken, and might overflow */
        stride[axis] = out->dims[axis] > 1 ? own[axis] * move : 0;
    }
    if (squall_tensor_count(out) == 0) {
        return SQUALL_OK;
    }
    const size_t size = squall_dtype_size(in->dtype);
    sq_ref_copy_strided(out->data, (const char *)in->data + base * (int64_t)size, size, out->rank,
                        out->dims, stride);
    return SQUALL_OK;
}

squall_status sq_ref_expand(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *in = &step->in[0], *out = &step->out[0];
    sq_ref_walk walk;
    SQ_TRY(sq_ref_walk_init(&walk, out, in, 1, step->name, err));
    if (squall_tensor_count(out) > 0) {
        sq_ref_copy_strided(out->data, in->data, squall_dtype_size(in->dtype), walk.rank, walk.dims,
                            walk.stride[0]);
    }
    return SQUALL_OK;
}

/* Where position `at` of the output's axis lies in the input's, or -1 for what is filled. */
typedef int64_t source_fn(int64_t at, int64_t pad, int64_t size);

static int64_t pad_constant(int64_t at, int64_t pad, int64_t size)
{
    at -= pad;
    return at >= 0 && at < size ? at : -1;
}

static int64_t pad_edge(int64_t at, int64_t pad, int64_t size)
{
    at -= pad;
    return at < 0 ? 0 : at >= size ? size - 1 : at;
}

static int64_t pad_wrap(int64_t at, int64_t pad, int64_t size)
{
    at = (at - pad) % size;
    return at < 0 ? at + size : at;
}

/* The border itself is not repeated; a pad longer than the input bounces to and fro. */
static int64_t pad_reflect(int64_t at, int64_t pad, int64_t size)
{
    if (size == 1) {
        return 0;
    }
    const int64_t period = 2 * (size - 1);
    at = pad_wrap(at, pad, period);
    return at < size ? at : period - at;
}

static int64_t source_tile(int64_t at, int64_t pad, int64_t size)
{
    (void)pad;
    return at % size;
}

/* Each element of the output comes from one of the input or, where an axis says -1, is `fill`. */
static void copy_mapped(const squall_tensor *in, const squall_tensor *out, const int64_t *pad,
                        source_fn *source, const void *fill)
{
    const size_t size = squall_dtype_size(in->dtype);
    const size_t total = squall_tensor_count(out);
    int64_t stride[SQUALL_MAX_DIMS];
    sq_ref_strides(in, stride);
    char *to = out->data;
    for (size_t i = 0; i < total; i++, to += size) {
        size_t left = i;
        int64_t from = 0;
        bool inside = true;
        for (uint32_t axis = out->rank; axis-- > 0;) {
            const int64_t at = (int64_t)(left % (size_t)out->dims[axis]);
            left /= (size_t)out->dims[axis];
            const int64_t picked = source(at, pad[axis], in->dims[axis]);
            inside = inside && picked >= 0;
            from += picked * stride[axis];
        }
        memcpy(to, inside ? (const char *)in->data + from * (int64_t)size : fill, size);
    }
}

squall_status sq_ref_pad(const sq_call *call, squall_error *err)
{
    static const struct {
        const char *name;
        source_fn *source;
    } modes[] = {{"constant", pad_constant},
                 {"edge", pad_edge},
                 {"wrap", pad_wrap},
                 {"reflect", pad_reflect}};
    const sq_step *step = call->step;
    const squall_tensor *in = &step->in[0];
    int64_t begin[SQUALL_MAX_DIMS] = {0};
    const size_t each = int_count(step, 1, "pads") / 2;
    for (size_t i = 0; i < each; i++) {
        int64_t axis;
        SQ_TRY(
            sq_ref_axis_find(step, int_of(step, 3, "axes", i, (int64_t)i), in->rank, &axis, err));
        begin[axis] = int_of(step, 1, "pads", i, 0);
    }
    uint64_t fill = 0; /* as large as any element */
    squall_tensor filler = {.dtype = in->dtype, .data = &fill};
    if (sq_ref_has_input(step, 2) && squall_tensor_count(&step->in[2]) > 0) {
        memcpy(&fill, step->in[2].data, squall_dtype_size(step->in[2].dtype));
    } else {
        const double value = sq_attr_float(step->attrs, "value", 0);
        sq_ref_store(&filler, 0, 1, &value);
    }
    const char *mode = sq_attr_string(step->attrs, "mode", "constant");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(mode, modes[i].name) == 0) {
            copy_mapped(in, &step->out[0], begin, modes[i].source, &fill);
            return SQUALL_OK;
        }
    }
    return sq_fail(err, SQUALL_E_UNSUPPORTED, step->name, "Pad has no mode '%.32s'", mode);
}

squall_status sq_ref_tile(const sq_call *call, squall_error *err)
{
    (void)err;
    const int64_t none[SQUALL_MAX_DIMS] = {0};
    const uint64_t fill = 0; /* nothing is filled */
    copy_mapped(&call->step->in[0], &call->step->out[0], none, source_tile, &fill);
    return SQUALL_OK;
}

/* Blocks of pixels become channels and back: a transposition of [N, a, b, c, d, e]. */
static void permute6(const sq_step *step, const int64_t *dims, const int64_t *order)
{
    squall_tensor split = step->in[0];
    split.rank = 6;
    memcpy(split.dims, dims, 6 * sizeof dims[0]);
    int64_t own[SQUALL_MAX_DIMS], stride[6], sizes[6];
    sq_ref_strides(&split, own);
    for (int i = 0; i < 6; i++) {
        stride[i] = own[order[i]];
        sizes[i] = dims[order[i]];
    }
    sq_ref_copy_strided(step->out[0].data, split.data, squall_dtype_size(split.dtype), 6, sizes,
                        stride);
}

squall_status sq_ref_depth_to_space(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const int64_t *in = step->in[0].dims;
    const int64_t block = sq_attr_int(step->attrs, "blocksize", 1);
    const int64_t channels = step->out[0].dims[1];
    if (strcmp(sq_attr_string(step->attrs, "mode", "DCR"), "CRD") == 0) {
        permute6(step, (const int64_t[]){in[0], channels, block, block, in[2], in[3]},
                 (const int64_t[]){0, 1, 4, 2, 5, 3});
    } else {
        permute6(step, (const int64_t[]){in[0], block, block, channels, in[2], in[3]},
                 (const int64_t[]){0, 3, 4, 1, 5, 2});
    }
    return SQUALL_OK;
}

squall_status sq_ref_space_to_depth(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const int64_t *in = step->in[0].dims, *out = step->out[0].dims;
    const int64_t block = sq_attr_int(step->attrs, "blocksize", 1);
    const bool crd = strcmp(sq_attr_string(step->attrs, "mode", "DCR"), "CRD") == 0;
    permute6(step, (const int64_t[]){in[0], in[1], out[2], block, out[3], block},
             crd ? (const int64_t[]){0, 1, 3, 5, 2, 4} : (const int64_t[]){0, 3, 5, 1, 2, 4});
    return SQUALL_OK;
}

/* Keep one triangle, zero the other; matrices are the last two axes. */
squall_status sq_ref_trilu(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *in = &step->in[0], *out = &step->out[0];
    const bool upper = sq_attr_int(step->attrs, "upper", 1) != 0;
    const int64_t k = sq_ref_has_input(step, 1) ? sq_tensor_get_int(&step->in[1], 0) : 0;
    const size_t size = squall_dtype_size(in->dtype);
    const int64_t rows = in->dims[in->rank - 2], columns = in->dims[in->rank - 1];
    const size_t total = squall_tensor_count(in);
    for (size_t i = 0; i < total; i++) {
        const int64_t column = (int64_t)(i % (size_t)columns);
        const int64_t row = (int64_t)(i / (size_t)columns % (size_t)rows);
        const int64_t diagonal = column - row;
        const bool keep = upper ? diagonal >= k : diagonal <= k;
        char *to = (char *)out->data + i * size;
        if (keep) {
            memcpy(to, (const char *)in->data + i * size, size);
        } else {
            memset(to, 0, size);
        }
    }
    return SQUALL_OK;
}
