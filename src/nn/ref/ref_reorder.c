/* nn/ref/ref_reorder.c - between plain tensors and those with channels in blocks or last. */
#include "nn/ref/ref_ops.h"

#include <string.h>

/* Channels last are one block of all of them, rounded up to whole lanes. */
static size_t block_of(squall_layout layout, size_t channels, size_t lanes)
{
    switch (layout) {
    case SQUALL_C16:
        return 16;
    case SQUALL_C8:
        return 8;
    case SQUALL_NHWC:
        return channels > 0 ? (channels + lanes - 1) / lanes * lanes : lanes;
    default:
        return 1;
    }
}

/* Where the element of channel `c` and place `at` of its plane is, in an image that begins at
 * channel 0 of item `n`. A plain tensor is one with blocks of 1. */
static size_t place_of(size_t block, size_t channels, size_t plane, size_t n, size_t c, size_t at)
{
    const size_t blocks = (channels + block - 1) / block;
    return ((n * blocks + c / block) * plane + at) * block + c % block;
}

/* Lanes past the last channel are written as 0. */
squall_status sq_ref_reorder(const sq_call *call, squall_error *err)
{
    const squall_tensor *in = &call->step->in[0], *out = &call->step->out[0];
    if (in->layout == out->layout) {
        sq_ref_copy(out, in);
        return SQUALL_OK;
    }
    if (in->rank < 2) {
        return sq_fail(err, SQUALL_E_SHAPE, call->step->name,
                       "a tensor of fewer than 2 axes has no channels to put in blocks");
    }
    const size_t size = squall_dtype_size(in->dtype);
    const size_t channels = (size_t)in->dims[1];
    const size_t last = sq_tensor_lanes(in->dtype);
    const size_t from_block = block_of(in->layout, channels, last);
    const size_t to_block = block_of(out->layout, channels, last);
    const size_t plane = sq_ref_product(in->dims, 2, in->rank);
    const size_t lanes = (channels + to_block - 1) / to_block * to_block;
    for (size_t n = 0; n < (size_t)in->dims[0]; n++) {
        for (size_t c = 0; c < lanes; c++) {
            for (size_t at = 0; at < plane; at++) {
                char *to = (char *)out->data + place_of(to_block, channels, plane, n, c, at) * size;
                if (c < channels) {
                    const size_t from = place_of(from_block, channels, plane, n, c, at);
                    memcpy(to, (const char *)in->data + from * size, size);
                } else {
                    memset(to, 0, size);
                }
            }
        }
    }
    return SQUALL_OK;
}
