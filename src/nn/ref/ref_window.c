/* nn/ref/ref_window.c - the geometry that convolution and pooling share here. */
#include "nn/ref/ref_ops.h"

squall_status sq_ref_window(const sq_step *step, sq_window *out, squall_error *err)
{
    sq_window w;
    SQ_TRY(sq_op_window(step, &w, err));
    *out = (sq_window){.spatial = SQ_MAX_SPATIAL, .group = w.group};
    const uint32_t missing = SQ_MAX_SPATIAL - w.spatial;
    for (uint32_t i = 0; i < SQ_MAX_SPATIAL; i++) {
        const bool real = i >= missing;
        const uint32_t from = real ? i - missing : 0;
        out->kernel[i] = real ? w.kernel[from] : 1;
        out->stride[i] = real ? w.stride[from] : 1;
        out->dilation[i] = real ? w.dilation[from] : 1;
        out->pad_begin[i] = real ? w.pad_begin[from] : 0;
        out->pad_end[i] = real ? w.pad_end[from] : 0;
        out->in[i] = real ? w.in[from] : 1;
        out->out[i] = real ? w.out[from] : 1;
    }
    return SQUALL_OK;
}

int64_t sq_ref_valid_range(int64_t count, int64_t stride, int64_t offset, int64_t limit,
                           int64_t *first)
{
    const int64_t low = offset >= 0 ? 0 : (-offset - 1) / stride + 1;
    const int64_t last = limit - 1 - offset;
    int64_t high = last < 0 ? -1 : last / stride;
    if (high > count - 1) {
        high = count - 1;
    }
    *first = low;
    return high < low ? 0 : high - low + 1;
}
