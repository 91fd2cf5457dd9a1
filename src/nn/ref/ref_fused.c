/* nn/ref/ref_fused.c - operators that passes make of several, by those several: op_shape_fused.c.
 */
#include "nn/ref/ref_ops.h"

#include <string.h>

/* Bytes of a tensor that lies in scratch memory; SIZE_MAX when that is beyond counting. */
static size_t held_bytes(const squall_tensor *tensor)
{
    squall_tensor plain = *tensor;
    plain.layout = SQUALL_PLAIN;
    const size_t bytes = squall_tensor_bytes(&plain);
    return bytes > SIZE_MAX - SQ_ALIGNMENT ? SIZE_MAX : sq_round_up(bytes, SQ_ALIGNMENT);
}

static size_t add(size_t a, size_t b)
{
    size_t sum;
    return __builtin_add_overflow(a, b, &sum) ? SIZE_MAX : sum;
}

size_t sq_ref_scratch_conv_join(const sq_step *step, int threads)
{
    sq_conv_join join;
    if (sq_op_conv_join(step, &join, NULL) != SQUALL_OK) {
        return SIZE_MAX;
    }
    return add(held_bytes(&join.in[0]), sq_ref_scratch_conv(&join.conv, threads));
}

size_t sq_ref_scratch_conv_depth(const sq_step *step, int threads)
{
    sq_conv_depth pair;
    if (sq_op_conv_depth(step, &pair, NULL) != SQUALL_OK) {
        return SIZE_MAX;
    }
    const size_t first = sq_ref_scratch_conv(&pair.first, threads);
    const size_t second = sq_ref_scratch_conv(&pair.second, threads);
    return add(held_bytes(&pair.middle), first > second ? first : second);
}

/* Copy one image into its channels of the joined one, each cell `scale` times along each axis. */
static void join_image(const squall_tensor *in, int64_t scale, const squall_tensor *joined,
                       int64_t first)
{
    const size_t size = squall_dtype_size(in->dtype);
    const size_t wide = sq_ref_product(joined->dims, 2, joined->rank);
    const size_t narrow = sq_ref_product(in->dims, 2, in->rank);
    for (int64_t n = 0; n < in->dims[0]; n++) {
        for (int64_t c = 0; c < in->dims[1]; c++) {
            unsigned char *to = (unsigned char *)joined->data +
                                (size_t)(n * joined->dims[1] + first + c) * wide * size;
            const unsigned char *from =
                (const unsigned char *)in->data + (size_t)(n * in->dims[1] + c) * narrow * size;
            for (size_t i = 0; i < wide; i++) {
                size_t rest = i, at = 0, stride = 1;
                for (uint32_t d = joined->rank; d-- > 2;) {
                    at += rest % (size_t)joined->dims[d] / (size_t)scale * stride;
                    stride *= (size_t)in->dims[d];
                    rest /= (size_t)joined->dims[d];
                }
                memcpy(to + i * size, from + at * size, size);
            }
        }
    }
}

squall_status sq_ref_conv_join(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    sq_conv_join join;
    size_t count;
    SQ_TRY(sq_op_conv_join(step, &join, err));
    const int64_t *scales = sq_attr_ints(step->attrs, "sq_upsample", &count);
    join.in[0].data = call->scratch;
    int64_t first = 0;
    for (uint32_t i = 0, k = 0; i < step->in_count; i += i == 0 ? 3 : 1, k++) {
        join_image(&step->in[i], scales[k], &join.in[0], first);
        first += step->in[i].dims[1];
    }
    sq_call conv = *call;
    conv.step = &join.conv;
    conv.scratch = (unsigned char *)call->scratch + held_bytes(&join.in[0]);
    return sq_ref_conv(&conv, err);
}

squall_status sq_ref_conv_depth(const sq_call *call, squall_error *err)
{
    sq_conv_depth pair;
    SQ_TRY(sq_op_conv_depth(call->step, &pair, err));
    pair.middle.data = call->scratch;
    pair.second_in[0].data = call->scratch;
    sq_call conv = *call;
    conv.scratch = (unsigned char *)call->scratch + held_bytes(&pair.middle);
    conv.step = &pair.first;
    SQ_TRY(sq_ref_conv(&conv, err));
    conv.step = &pair.second;
    return sq_ref_conv(&conv, err);
}
