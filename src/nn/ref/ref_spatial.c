/* nn/ref/ref_spatial.c - what samples, scatters and unfolds images and sequences. */
#include "nn/ref/ref_ops.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void fill_zero(const squall_tensor *out)
{
    if (squall_tensor_count(out) > 0) {
        memset(out->data, 0, squall_tensor_bytes(out));
    }
}

/* The indices count over the smaller output that MaxPool had, which lies in the corner of the one
 * asked for. */
squall_status sq_ref_max_unpool(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0], *out = &step->out[0];
    sq_step plain = *step;
    squall_tensor had = {0};
    plain.in_count = 2; /* without the shape asked for */
    plain.out = &had;
    plain.out_count = 1;
    SQ_TRY(sq_op_infer(&plain, err));
    const size_t size = squall_dtype_size(x->dtype);
    const size_t total = squall_tensor_count(x), places = squall_tensor_count(&had);
    fill_zero(out);
    for (size_t i = 0; i < total; i++) {
        const int64_t index = sq_tensor_get_int(&step->in[1], i);
        if (index < 0 || (uint64_t)index >= places) {
            return sq_fail(err, SQUALL_E_SHAPE, step->name, "index %" PRId64 " of %zu places",
                           index, places);
        }
        size_t rest = (size_t)index, to = 0, stride = 1;
        bool inside = true;
        for (uint32_t k = x->rank; k-- > 0;) {
            const size_t at = rest % (size_t)had.dims[k];
            rest /= (size_t)had.dims[k];
            inside = inside && at < (size_t)out->dims[k];
            to += at * stride;
            stride *= (size_t)out->dims[k];
        }
        if (inside) {
            memcpy((char *)out->data + to * size, (const char *)x->data + i * size, size);
        }
    }
    return SQUALL_OK;
}

/* The four pixels about a place and their weights; a weight of 0 where there is none. */
typedef struct pixel_taps {
    size_t at[4];
    double weight[4];
} pixel_taps;

/* Between pixel centres; outside, by more than `reach` of a pixel, is 0; nearer it is the border's
 * value where `hold`. */
static pixel_taps find_taps(double y, double x, int64_t height, int64_t width, bool hold)
{
    pixel_taps taps = {{0}, {0}};
    if (!(y > -1 && y < (double)height && x > -1 && x < (double)width)) {
        return taps;
    }
    if (hold) {
        y = fmin(fmax(y, 0), (double)height - 1);
        x = fmin(fmax(x, 0), (double)width - 1);
    }
    const double top = floor(y), left = floor(x);
    for (int i = 0; i < 4; i++) {
        const int64_t row = (int64_t)top + i / 2, column = (int64_t)left + i % 2;
        const double wy = i / 2 ? y - top : 1 - (y - top), wx = i % 2 ? x - left : 1 - (x - left);
        if (row >= 0 && row < height && column >= 0 && column < width) {
            taps.at[i] = (size_t)(row * width + column);
            taps.weight[i] = wy * wx;
        }
    }
    return taps;
}

static double sample(const squall_tensor *x, size_t plane, const pixel_taps *taps)
{
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        if (taps->weight[i] != 0) {
            sum += taps->weight[i] * sq_tensor_get_double(x, plane + taps->at[i]);
        }
    }
    return sum;
}

/* The value of the largest of the weighted pixels: what mode "max" compares. */
static double largest_tap(const squall_tensor *x, size_t plane, const pixel_taps *taps)
{
    double most = -INFINITY;
    for (int i = 0; i < 4; i++) {
        const double value = taps->weight[i] == 0
                                 ? 0
                                 : taps->weight[i] * sq_tensor_get_double(x, plane + taps->at[i]);
        most = fmax(most, value);
    }
    return most;
}

/* One region of interest in pixels. */
typedef struct roi {
    double top, left, cell_h, cell_w;
    int64_t image, rows, columns; /* samples of a cell */
} roi;

static squall_status read_roi(const sq_step *step, size_t index, roi *out, squall_error *err)
{
    const squall_tensor *x = &step->in[0], *y = &step->out[0];
    const double scale = sq_attr_float(step->attrs, "spatial_scale", 1);
    const bool old = step->attrs->opset < 16;
    const bool half =
        !old && strcmp(sq_attr_string(step->attrs, "coordinate_transformation_mode", "half_pixel"),
                       "half_pixel") == 0;
    const int64_t ratio = sq_attr_int(step->attrs, "sampling_ratio", 0);
    double v[4]; /* x0, y0, x1, y1 */
    for (size_t i = 0; i < 4; i++) {
        v[i] = sq_tensor_get_double(&step->in[1], index * 4 + i) * scale - (half ? 0.5 : 0);
    }
    double height = v[3] - v[1], width = v[2] - v[0];
    if (!half) {
        height = fmax(height, 1);
        width = fmax(width, 1);
    }
    *out = (roi){.top = v[1], .left = v[0], .image = sq_tensor_get_int(&step->in[2], index)};
    out->cell_h = height / (double)y->dims[2];
    out->cell_w = width / (double)y->dims[3];
    const double rows = ratio > 0 ? (double)ratio : ceil(out->cell_h);
    const double columns = ratio > 0 ? (double)ratio : ceil(out->cell_w);
    if (out->image < 0 || out->image >= x->dims[0] || !(rows < 65536) || !(columns < 65536)) {
        return sq_fail(err, SQUALL_E_SHAPE, step->name,
                       "region %zu is of image %" PRId64 " of %" PRId64 ", or too large", index,
                       out->image, x->dims[0]);
    }
    out->rows = rows < 1 ? 0 : (int64_t)rows;
    out->columns = columns < 1 ? 0 : (int64_t)columns;
    return SQUALL_OK;
}

static double pool_cell(const sq_step *step, const roi *r, int64_t channel, int64_t row,
                        int64_t column, bool most)
{
    const squall_tensor *x = &step->in[0];
    const size_t plane = (size_t)((r->image * x->dims[1] + channel) * x->dims[2] * x->dims[3]);
    double sum = most ? -INFINITY : 0;
    for (int64_t i = 0; i < r->rows * r->columns; i++) {
        const int64_t sample_row = i / r->columns, sample_column = i % r->columns;
        const double in_y = ((double)sample_row + 0.5) / (double)r->rows;
        const double in_x = ((double)sample_column + 0.5) / (double)r->columns;
        const pixel_taps taps =
            find_taps(r->top + ((double)row + in_y) * r->cell_h,
                      r->left + ((double)column + in_x) * r->cell_w, x->dims[2], x->dims[3], true);
        if (most) {
            sum = fmax(sum, largest_tap(x, plane, &taps));
        } else {
            sum += sample(x, plane, &taps);
        }
    }
    const int64_t count = r->rows * r->columns;
    if (count == 0) {
        return 0;
    }
    return most ? sum : sum / (double)count;
}

squall_status sq_ref_roi_align(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *y = &step->out[0];
    const bool most = strcmp(sq_attr_string(step->attrs, "mode", "avg"), "max") == 0;
    size_t to = 0;
    for (int64_t index = 0; index < y->dims[0]; index++) {
        roi r;
        SQ_TRY(read_roi(step, (size_t)index, &r, err));
        for (int64_t i = 0; i < y->dims[1] * y->dims[2] * y->dims[3]; i++, to++) {
            const double value = pool_cell(step, &r, i / (y->dims[2] * y->dims[3]),
                                           i / y->dims[3] % y->dims[2], i % y->dims[3], most);
            sq_ref_store(y, to, 1, &value);
        }
    }
    return SQUALL_OK;
}

typedef struct deform_job {
    const sq_step *step;
    sq_window window;
    int64_t offset_groups;
} deform_job;

/* One output: image n, channel `ch`, place oh, ow. */
static double deform_sum(const deform_job *job, int64_t n, int64_t ch, int64_t oh, int64_t ow)
{
    const sq_step *step = job->step;
    const squall_tensor *x = &step->in[0], *w = &step->in[1], *offset = &step->in[2];
    const sq_window *v = &job->window;
    const int64_t taps = v->kernel[0] * v->kernel[1], plane = v->out[0] * v->out[1];
    const int64_t group = ch / (w->dims[0] / v->group), place = oh * v->out[1] + ow;
    double sum = sq_ref_has_input(step, 3) ? sq_tensor_get_double(&step->in[3], (size_t)ch) : 0;
    for (int64_t c = 0; c < w->dims[1]; c++) {
        const int64_t in_ch = group * w->dims[1] + c;
        const int64_t named = in_ch / (x->dims[1] / job->offset_groups);
        for (int64_t tap = 0; tap < taps; tap++) {
            const int64_t first = (n * job->offset_groups + named) * taps + tap;
            const size_t at = (size_t)(2 * first * plane + place);
            const double dy = sq_tensor_get_double(offset, at);
            const double dx = sq_tensor_get_double(offset, at + (size_t)plane);
            const double weight =
                sq_ref_has_input(step, 4)
                    ? sq_tensor_get_double(&step->in[4], (size_t)(first * plane + place))
                    : 1;
            const int64_t ky = tap / v->kernel[1], kx = tap % v->kernel[1];
            const pixel_taps pixels =
                find_taps((double)(oh * v->stride[0] - v->pad_begin[0] + ky * v->dilation[0]) + dy,
                          (double)(ow * v->stride[1] - v->pad_begin[1] + kx * v->dilation[1]) + dx,
                          v->in[0], v->in[1], false);
            sum += weight * sq_tensor_get_double(w, (size_t)((ch * w->dims[1] + c) * taps + tap)) *
                   sample(x, (size_t)((n * x->dims[1] + in_ch) * v->in[0] * v->in[1]), &pixels);
        }
    }
    return sum;
}

/* A piece of work is a row of the output. */
static void deform_run(void *arg, size_t index, int thread)
{
    (void)thread;
    const deform_job *job = arg;
    const squall_tensor *y = &job->step->out[0];
    const int64_t row = (int64_t)index, channels = y->dims[1], height = y->dims[2];
    for (int64_t ow = 0; ow < y->dims[3]; ow++) {
        const double value =
            deform_sum(job, row / height / channels, row / height % channels, row % height, ow);
        sq_ref_store(y, (size_t)(row * y->dims[3] + ow), 1, &value);
    }
}

squall_status sq_ref_deform_conv(const sq_call *call, squall_error *err)
{
    deform_job job = {.step = call->step,
                      .offset_groups = sq_attr_int(call->step->attrs, "offset_group", 1)};
    SQ_TRY(sq_op_window(call->step, &job.window, err));
    const squall_tensor *y = &call->step->out[0];
    if (squall_tensor_count(y) > 0) {
        sq_pool_run(call->pool, deform_run, &job, (size_t)(y->dims[0] * y->dims[1] * y->dims[2]));
    }
    return SQUALL_OK;
}

/* Each block goes back to where it was taken from; what overlaps is added up. */
squall_status sq_ref_col2im(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0], *y = &step->out[0];
    sq_col2im n;
    SQ_TRY(sq_op_col2im_sizes(step, &n, err));
    const size_t plane = sq_ref_product(y->dims, 2, y->rank);
    const size_t total = squall_tensor_count(y);
    for (size_t to = 0; to < total; to++) { /* gather, so that a sum is rounded once */
        const size_t image = to / plane;
        double sum = 0;
        for (int64_t tap = 0; tap < n.kernels; tap++) {
            size_t rest = to % plane;
            int64_t k = tap, column = 0, stride = 1;
            bool inside = true;
            for (uint32_t i = n.spatial; i-- > 0;) {
                const int64_t at = (int64_t)(rest % (size_t)n.image[i]);
                rest /= (size_t)n.image[i];
                const int64_t from = at + n.pad[i] - k % n.kernel[i] * n.dilation[i];
                k /= n.kernel[i];
                inside = inside && from >= 0 && from % n.stride[i] == 0 &&
                         from / n.stride[i] < n.count[i];
                column += from / n.stride[i] * stride;
                stride *= n.count[i];
            }
            if (inside) {
                const size_t row = image * (size_t)n.kernels + (size_t)tap;
                sum += sq_tensor_get_double(x, row * (size_t)n.places + (size_t)column);
            }
        }
        sq_ref_store(y, to, 1, &sum);
    }
    return SQUALL_OK;
}

/* Number `at` of the sequence with the state before it; the state is what ends it. */
static double causal_number(const sq_step *step, size_t row, int64_t at)
{
    const int64_t state = step->in[1].dims[2] - 1, length = step->in[0].dims[2];
    if (at >= state) {
        return sq_tensor_get_double(&step->in[0], row * (size_t)length + (size_t)(at - state));
    }
    return sq_ref_has_input(step, 3)
               ? sq_tensor_get_double(&step->in[3], row * (size_t)state + (size_t)at)
               : 0;
}

squall_status sq_ref_causal_conv(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0], *w = &step->in[1];
    const bool silu = strcmp(sq_attr_string(step->attrs, "activation", "none"), "none") != 0;
    const int64_t taps = w->dims[2], length = x->dims[2];
    for (int64_t row = 0; row < x->dims[0] * x->dims[1]; row++) {
        const size_t channel = (size_t)(row % x->dims[1]);
        for (int64_t at = 0; at < length; at++) {
            double sum =
                sq_ref_has_input(step, 2) ? sq_tensor_get_double(&step->in[2], channel) : 0;
            for (int64_t k = 0; k < taps; k++) {
                sum += sq_tensor_get_double(w, channel * (size_t)taps + (size_t)k) *
                       causal_number(step, (size_t)row, at + k);
            }
            sum = silu ? sum / (1 + exp(-sum)) : sum;
            sq_ref_store(&step->out[0], (size_t)(row * length + at), 1, &sum);
        }
        for (int64_t k = 0; sq_ref_has_output(step, 1) && k < taps - 1; k++) {
            const double value = causal_number(step, (size_t)row, length + k);
            sq_ref_store(&step->out[1], (size_t)(row * (taps - 1) + k), 1, &value);
        }
    }
    return SQUALL_OK;
}

squall_status sq_ref_reverse_sequence(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0], *lengths = &step->in[1];
    const bool time_first = sq_attr_int(step->attrs, "time_axis", 0) == 0;
    const int64_t first = x->dims[0], second = x->dims[1];
    const int64_t longest = time_first ? first : second;
    const size_t run = sq_ref_product(x->dims, 2, x->rank) * squall_dtype_size(x->dtype);
    for (int64_t i = 0; i < first * second && run > 0; i++) {
        const int64_t batch = time_first ? i % second : i / second;
        const int64_t time = time_first ? i / second : i % second;
        const int64_t length = sq_tensor_get_int(lengths, (size_t)batch);
        if (length < 0 || length > longest) {
            return sq_fail(err, SQUALL_E_SHAPE, step->name, "a length of %" PRId64 " of %" PRId64,
                           length, longest);
        }
        const int64_t from = time < length ? length - 1 - time : time;
        const int64_t source = time_first ? from * second + batch : batch * second + from;
        memcpy((char *)step->out[0].data + (size_t)i * run,
               (const char *)x->data + (size_t)source * run, run);
    }
    return SQUALL_OK;
}

/* Along each axis the middle is cut out, or put into the middle; the odd one falls off, or is left
 * free, at the end. */
squall_status sq_ref_center_crop_pad(const sq_call *call, squall_error *err)
{
    (void)err;
    const squall_tensor *x = &call->step->in[0], *y = &call->step->out[0];
    const size_t size = squall_dtype_size(x->dtype), total = squall_tensor_count(y);
    fill_zero(y);
    for (size_t i = 0; i < total; i++) {
        size_t rest = i, from = 0, stride = 1;
        bool inside = true;
        for (uint32_t k = y->rank; k-- > 0;) {
            const int64_t at = (int64_t)(rest % (size_t)y->dims[k]);
            rest /= (size_t)y->dims[k];
            const int64_t more = y->dims[k] - x->dims[k];
            const int64_t place = more >= 0 ? at - more / 2 : at + -more / 2;
            inside = inside && place >= 0 && place < x->dims[k];
            from += inside ? (size_t)place * stride : 0;
            stride *= (size_t)x->dims[k];
        }
        if (inside) {
            memcpy((char *)y->data + i * size, (const char *)x->data + from * size, size);
        }
    }
    return SQUALL_OK;
}

/* theta times the places of the pixels, -1..1, x first. */
squall_status sq_ref_affine_grid(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *theta = &step->in[0], *y = &step->out[0];
    const bool corners = sq_attr_int(step->attrs, "align_corners", 0) != 0;
    const size_t spatial = y->rank - 2;
    const size_t places = squall_tensor_count(y) / spatial;
    for (size_t i = 0; i < places; i++) {
        double at[4] = {0};
        size_t rest = i;
        for (size_t k = 0; k < spatial; k++) { /* the last axis is x */
            const double size = (double)y->dims[spatial - k];
            const double index = (double)(rest % (size_t)y->dims[spatial - k]);
            rest /= (size_t)y->dims[spatial - k];
            at[k] =
                corners ? (size > 1 ? 2 * index / (size - 1) - 1 : 0) : (2 * index + 1) / size - 1;
        }
        at[spatial] = 1;
        for (size_t row = 0; row < spatial; row++) {
            double sum = 0;
            for (size_t k = 0; k <= spatial; k++) {
                const size_t first = (rest * spatial + row) * (spatial + 1);
                sum += sq_tensor_get_double(theta, first + k) * at[k];
            }
            sq_ref_store(y, i * spatial + row, 1, &sum);
        }
    }
    return SQUALL_OK;
}

/* The update goes into the cache from where each sequence's index says, round the end if the mode
 * is "circular". */
squall_status sq_ref_tensor_scatter(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *cache = &step->in[0], *update = &step->in[1];
    const bool round = strcmp(sq_attr_string(step->attrs, "mode", "linear"), "circular") == 0;
    int64_t axis;
    SQ_TRY(sq_ref_axis_find(step, sq_attr_int(step->attrs, "axis", -2), cache->rank, &axis, err));
    const sq_ref_axis over = sq_ref_axis_of(cache, axis);
    const size_t run = over.inner * squall_dtype_size(cache->dtype);
    const int64_t length = update->dims[axis], whole = cache->dims[axis];
    const size_t each = sq_ref_product(cache->dims, 1, (uint32_t)axis); /* rows of a sequence */
    sq_ref_copy(&step->out[0], cache);
    for (size_t outer = 0; outer < over.outer && run > 0; outer++) {
        const int64_t first =
            sq_ref_has_input(step, 2) ? sq_tensor_get_int(&step->in[2], outer / each) : 0;
        if (first < 0 || first >= whole || (!round && first > whole - length)) {
            return sq_fail(err, SQUALL_E_SHAPE, step->name,
                           "%" PRId64 " numbers from %" PRId64 " on, of %" PRId64, length, first,
                           whole);
        }
        for (int64_t i = 0; i < length; i++) {
            const int64_t to = (first + i) % whole;
            memcpy((char *)step->out[0].data + (outer * over.length + (size_t)to) * run,
                   (const char *)update->data + (outer * (size_t)length + (size_t)i) * run, run);
        }
    }
    return SQUALL_OK;
}
