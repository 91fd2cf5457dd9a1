/* nn/ref/ref_walk.c - ways through tensors: broadcast rows, strided copies, single axes. */
#include "nn/ref/ref_walk.h"

#include <inttypes.h>
#include <string.h>

void sq_ref_strides(const squall_tensor *tensor, int64_t *stride)
{
    int64_t next = 1;
    for (uint32_t i = tensor->rank; i-- > 0;) {
        stride[i] = next;
        next *= tensor->dims[i] > 0 ? tensor->dims[i] : 1;
    }
}

size_t sq_ref_product(const int64_t *dims, uint32_t first, uint32_t last)
{
    size_t product = 1;
    for (uint32_t i = first; i < last; i++) {
        product *= (size_t)dims[i];
    }
    return product;
}

sq_ref_axis sq_ref_axis_of(const squall_tensor *tensor, int64_t axis)
{
    const uint32_t at = (uint32_t)axis;
    return (sq_ref_axis){.outer = sq_ref_product(tensor->dims, 0, at),
                         .length = (size_t)tensor->dims[at],
                         .inner = sq_ref_product(tensor->dims, at + 1, tensor->rank)};
}

squall_status sq_ref_axis_find(const sq_step *step, int64_t axis, uint32_t rank, int64_t *out,
                               squall_error *err)
{
    const int64_t limit = rank;
    if (axis < -limit || axis >= limit) {
        return sq_fail(err, SQUALL_E_SHAPE, step->name,
                       "axis %" PRId64 " of a tensor of %" PRIu32 " axes", axis, rank);
    }
    *out = axis < 0 ? axis + limit : axis;
    return SQUALL_OK;
}

bool sq_ref_has_input(const sq_step *step, uint32_t index)
{
    return index < step->in_count && step->in[index].dtype != SQUALL_DTYPE_NONE;
}

bool sq_ref_has_output(const sq_step *step, uint32_t index)
{
    return index < step->out_count && step->out[index].dtype != SQUALL_DTYPE_NONE;
}

void sq_ref_copy(const squall_tensor *dst, const squall_tensor *src)
{
    if (dst->data != src->data && squall_tensor_count(dst) > 0) {
        memmove(dst->data, src->data, squall_tensor_bytes(dst));
    }
}

/* Strides of one operand over the axes of `out`, aligned at the last; false if it does not fit. */
static bool broadcast_strides(const squall_tensor *out, const squall_tensor *in, int64_t *stride)
{
    if (in->rank > out->rank) {
        return false;
    }
    int64_t own[SQUALL_MAX_DIMS];
    sq_ref_strides(in, own);
    const uint32_t lead = out->rank - in->rank;
    for (uint32_t i = 0; i < out->rank; i++) {
        if (i < lead) {
            stride[i] = 0;
        } else if (in->dims[i - lead] == out->dims[i]) {
            stride[i] = out->dims[i] == 1 ? 0 : own[i - lead];
        } else if (in->dims[i - lead] == 1) {
            stride[i] = 0;
        } else {
            return false;
        }
    }
    return true;
}

/* Whether axis `i` can be walked together with the axis before it, by every operand. */
static bool can_merge(const sq_ref_walk *walk, uint32_t before, const squall_tensor *out,
                      uint32_t i)
{
    for (uint32_t k = 0; k < walk->operands; k++) {
        if (walk->stride[k][before] != walk->stride[k][i] * out->dims[i]) {
            return false;
        }
    }
    return true;
}

squall_status sq_ref_walk_init(sq_ref_walk *walk, const squall_tensor *out, const squall_tensor *in,
                               uint32_t count, const char *where, squall_error *err)
{
    walk->operands = count;
    for (uint32_t k = 0; k < count; k++) {
        if (!broadcast_strides(out, &in[k], walk->stride[k])) {
            char from[SQ_TENSOR_TEXT], to[SQ_TENSOR_TEXT];
            return sq_fail(err, SQUALL_E_SHAPE, where,
                           "input %" PRIu32 ", %s, does not broadcast to %s", k,
                           sq_tensor_format(&in[k], from), sq_tensor_format(out, to));
        }
    }
    uint32_t rank = 0;
    for (uint32_t i = 0; i < out->rank; i++) {
        if (out->dims[i] == 1) {
            continue;
        }
        if (rank > 0 && can_merge(walk, rank - 1, out, i)) {
            walk->dims[rank - 1] *= out->dims[i];
        } else {
            walk->dims[rank++] = out->dims[i];
        }
        for (uint32_t k = 0; k < count; k++) {
            walk->stride[k][rank - 1] = walk->stride[k][i];
        }
    }
    if (rank == 0) { /* one element */
        walk->dims[rank++] = 1;
        for (uint32_t k = 0; k < count; k++) {
            walk->stride[k][0] = 0;
        }
    }
    walk->rank = rank;
    walk->length = (size_t)walk->dims[rank - 1];
    walk->rows = walk->length == 0 ? 0 : sq_ref_product(walk->dims, 0, rank - 1);
    return SQUALL_OK;
}

void sq_ref_walk_row(const sq_ref_walk *walk, size_t row, size_t *first)
{
    memset(first, 0, walk->operands * sizeof first[0]);
    for (uint32_t i = walk->rank - 1; i-- > 0;) {
        const size_t at = row % (size_t)walk->dims[i];
        row /= (size_t)walk->dims[i];
        for (uint32_t k = 0; k < walk->operands; k++) {
            first[k] += at * (size_t)walk->stride[k][i];
        }
    }
}

int64_t sq_ref_walk_step(const sq_ref_walk *walk, uint32_t i)
{
    return walk->stride[i][walk->rank - 1];
}

#define COPY_RUN(type)                                                                  \
    for (int64_t i = 0; i < length; i++) {                                              \
        memcpy(dst + i * (int64_t)sizeof(type), src + i * step * (int64_t)sizeof(type), \
               sizeof(type));                                                           \
    }

static void copy_run(char *dst, const char *src, size_t size, int64_t length, int64_t step)
{
    if (step == 1) {
        memcpy(dst, src, (size_t)length * size);
    } else if (size == 4) {
        COPY_RUN(uint32_t)
    } else if (size == 8) {
        COPY_RUN(uint64_t)
    } else if (size == 2) {
        COPY_RUN(uint16_t)
    } else {
        COPY_RUN(uint8_t)
    }
}

void sq_ref_copy_strided(void *dst, const void *src, size_t size, uint32_t rank,
                         const int64_t *dims, const int64_t *stride)
{
    int64_t sizes[SQUALL_MAX_DIMS] = {1}, steps[SQUALL_MAX_DIMS] = {1}, at[SQUALL_MAX_DIMS] = {0};
    uint32_t count = 0;
    for (uint32_t i = 0; i < rank; i++) {
        if (dims[i] == 0) {
            return;
        }
        if (dims[i] == 1) {
            continue;
        }
        if (count > 0 && steps[count - 1] == stride[i] * dims[i]) {
            sizes[count - 1] *= dims[i];
            steps[count - 1] = stride[i];
        } else {
            sizes[count] = dims[i];
            steps[count++] = stride[i];
        }
    }
    const uint32_t last = count == 0 ? 0 : count - 1;
    char *to = dst;
    int64_t from = 0;
    for (;;) {
        copy_run(to, (const char *)src + from * (int64_t)size, size, sizes[last], steps[last]);
        to += (size_t)sizes[last] * size;
        uint32_t i = last;
        while (i-- > 0) { /* the next row: count up, carrying to the left */
            from += steps[i];
            if (++at[i] < sizes[i]) {
                break;
            }
            from -= steps[i] * sizes[i];
            at[i] = 0;
        }
        if (i == UINT32_MAX) {
            return;
        }
    }
}
