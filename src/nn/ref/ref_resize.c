/* nn/ref/ref_resize.c - Resize and Upsample.
 *
 * Interpolation works axis by axis: each place of an output axis is a sum over neighbouring places
 * of the input axis, with weights that are worked out first, in scratch memory. A piece of work is
 * one row of the output: the rows of input that it needs are added up, then interpolated along the
 * last axis. */
#include "nn/ref/ref_ops.h"

#include <math.h>
#include <string.h>

#define OUTSIDE INT64_MIN /* instead of a place: the extrapolation value holds */

typedef enum resize_mode { MODE_NEAREST, MODE_LINEAR, MODE_CUBIC } resize_mode;

/* One axis: output place o is the sum over t of weights[o * taps + t] * input at places[o] + t,
 * held to the axis. */
typedef struct resize_axis {
    size_t in, out, stride; /* stride: of the input, in elements */
    double scale;
    double crop_start, crop_end; /* tf_crop_and_resize: the part of the axis looked at */
    bool identity;
    size_t taps;
    int64_t *places; /* [out] */
    double *weights; /* [out][taps] */
} resize_axis;

typedef struct resize_job {
    const sq_call *call;
    resize_axis axes[SQUALL_MAX_DIMS];
    uint32_t rank;
    resize_mode mode;
    const char *coordinates, *nearest;
    bool antialias, exclude_outside;
    double cubic_a, extrapolation;
    sq_call rows; /* the call with scratch behind the tables */
    size_t doubles;
} resize_job;

static resize_mode find_mode(const sq_step *step)
{
    const char *name = sq_attr_string(step->attrs, "mode", "nearest");
    if (strcmp(name, "nearest") == 0) {
        return MODE_NEAREST;
    }
    return strcmp(name, "cubic") == 0 ? MODE_CUBIC : MODE_LINEAR;
}

/* How far the kernel of a mode reaches on each side, in places of the input. */
static size_t reach_of(resize_mode mode)
{
    return mode == MODE_CUBIC ? 2 : 1;
}

/* The most taps that an axis can need. A kernel that smooths is wider by 1 / scale, and the scale
 * cannot be less than half of out / in, whatever way sizes are rounded. */
static size_t most_taps(const sq_step *step, resize_mode mode, size_t in, size_t out)
{
    if (mode == MODE_NEAREST) {
        return 1;
    }
    size_t wider = 1;
    if (sq_attr_int(step->attrs, "antialias", 0) != 0 && out > 0 && 2 * in > out) {
        wider = (2 * in + out - 1) / out;
    }
    return 2 * reach_of(mode) * wider;
}

/* Bytes of the tables of all axes; SIZE_MAX when that is beyond counting. */
static size_t table_bytes(const sq_step *step)
{
    const squall_tensor *x = &step->in[0], *y = &step->out[0];
    size_t total = 0;
    for (uint32_t i = 0; i < x->rank && i < y->rank; i++) {
        const size_t out = (size_t)y->dims[i];
        size_t words;
        if (!sq_mul_size(out, most_taps(step, find_mode(step), (size_t)x->dims[i], out) + 1,
                         &words) ||
            !sq_mul_size(words, sizeof(double), &words) || !sq_add_size(total, words, &total)) {
            return SIZE_MAX;
        }
    }
    return sq_add_size(total, SQ_ALIGNMENT, &total)
               ? sq_round_up(total - SQ_ALIGNMENT, SQ_ALIGNMENT)
               : SIZE_MAX;
}

/* A row of input, their sum, a row of output. */
static size_t row_doubles(const sq_step *step)
{
    const squall_tensor *x = &step->in[0], *y = &step->out[0];
    if (x->rank == 0 || y->rank == 0) {
        return 0;
    }
    size_t doubles;
    if (!sq_mul_size((size_t)x->dims[x->rank - 1], 2, &doubles) ||
        !sq_add_size(doubles, (size_t)y->dims[y->rank - 1], &doubles)) {
        return SIZE_MAX;
    }
    return doubles;
}

size_t sq_ref_scratch_resize(const sq_step *step, int threads)
{
    size_t bytes = sq_ref_rows_bytes(row_doubles(step), threads);
    return sq_add_size(bytes, table_bytes(step), &bytes) ? bytes : SIZE_MAX;
}

/* Where the centre of output place `at` lies on the input axis. Formulas: ONNX, Resize,
 * coordinate_transformation_mode. */
static double source_of(const resize_job *job, const resize_axis *axis, double at)
{
    const char *how = job->coordinates;
    const double in = (double)axis->in, out = axis->scale * in;
    if (strcmp(how, "align_corners") == 0) {
        return out == 1 ? 0 : at * (in - 1) / (out - 1);
    }
    if (strcmp(how, "asymmetric") == 0) {
        return at / axis->scale;
    }
    if (strcmp(how, "tf_crop_and_resize") == 0) {
        const double span = (axis->crop_end - axis->crop_start) * (in - 1);
        const double start = axis->crop_start * (in - 1);
        return out == 1 ? start + span / 2 : start + at * span / (out - 1);
    }
    if (strcmp(how, "tf_half_pixel_for_nn") == 0) {
        return (at + 0.5) / axis->scale;
    }
    const double x = (at + 0.5) / axis->scale - 0.5;
    if (strcmp(how, "pytorch_half_pixel") == 0) {
        return out == 1 ? -0.5 : x;
    }
    if (strcmp(how, "half_pixel_symmetric") == 0) {
        return x + in / 2 * (1 - (double)axis->out / out);
    }
    return x; /* half_pixel */
}

/* "simple" is what opsets up to 10 mean, as ONNX Runtime reads them. */
static double nearest_to(const char *how, double x, double scale)
{
    if (strcmp(how, "round_prefer_ceil") == 0) {
        return floor(x + 0.5);
    }
    if (strcmp(how, "ceil") == 0) {
        return ceil(x);
    }
    if (strcmp(how, "floor") == 0) {
        return floor(x);
    }
    if (strcmp(how, "simple") == 0) {
        return scale < 1 ? ceil(x) : floor(x);
    }
    return ceil(x - 0.5); /* round_prefer_floor */
}

/* The kernels: a triangle, and Keys' cubic with parameter a. */
static double kernel_of(const resize_job *job, double x)
{
    x = fabs(x);
    if (job->mode == MODE_LINEAR) {
        return x < 1 ? 1 - x : 0;
    }
    const double a = job->cubic_a;
    if (x <= 1) {
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    }
    return x < 2 ? ((x - 5) * x + 8) * x * a - 4 * a : 0;
}

static bool is_outside(const resize_job *job, const resize_axis *axis, double x)
{
    return strcmp(job->coordinates, "tf_crop_and_resize") == 0 &&
           (x < 0 || x > (double)axis->in - 1);
}

/* Weights of the taps around x, whose sum is 1; returns the place of the first tap. */
static int64_t fill_weights(const resize_job *job, const resize_axis *axis, double x,
                            double *weights)
{
    const double narrowing = job->antialias && axis->scale < 1 ? axis->scale : 1;
    /* the neighbour on the left of x, even where x is a place itself, as ONNX's reference has it */
    const double left = ceil(x) - 1;
    const int64_t first = (int64_t)left - (int64_t)axis->taps / 2 + 1;
    double sum = 0;
    for (size_t t = 0; t < axis->taps; t++) {
        const int64_t place = first + (int64_t)t;
        const bool outside = place < 0 || place >= (int64_t)axis->in;
        weights[t] = kernel_of(job, ((double)place - x) * narrowing);
        if (outside && job->exclude_outside) {
            weights[t] = 0;
        }
        sum += weights[t];
    }
    for (size_t t = 0; t < axis->taps && sum != 0; t++) {
        weights[t] /= sum;
    }
    return first;
}

/* Far beyond any axis, and yet a number that an int64 holds: scales from a file may be anything. */
static double bounded(double x)
{
    if (!(x > -1e15)) {
        return -1e15;
    }
    return x < 1e15 ? x : 1e15;
}

static void fill_axis(const resize_job *job, resize_axis *axis)
{
    for (size_t o = 0; o < axis->out; o++) {
        double *weights = axis->weights + o * axis->taps;
        const double x = bounded(source_of(job, axis, (double)o));
        if (axis->identity) {
            axis->places[o] = (int64_t)o;
            weights[0] = 1;
        } else if (is_outside(job, axis, x)) {
            axis->places[o] = OUTSIDE;
        } else if (job->mode == MODE_NEAREST) {
            axis->places[o] = (int64_t)nearest_to(job->nearest, x, axis->scale);
            weights[0] = 1;
        } else {
            axis->places[o] = fill_weights(job, axis, x, weights);
        }
    }
}

static size_t held_place(const resize_axis *axis, int64_t place)
{
    const int64_t last = (int64_t)axis->in - 1;
    return (size_t)(place < 0 ? 0 : place > last ? last : place);
}

/* The taps of all axes but the last at one output row, counted through. */
typedef struct tap_walk {
    size_t out[SQUALL_MAX_DIMS], tap[SQUALL_MAX_DIMS];
} tap_walk;

/* Weight and start of the input row that the current taps name. */
static double tap_row(const resize_job *job, const tap_walk *walk, size_t *first)
{
    double weight = 1;
    *first = 0;
    for (uint32_t i = 0; i + 1 < job->rank; i++) {
        const resize_axis *axis = &job->axes[i];
        const size_t o = walk->out[i], t = walk->tap[i];
        weight *= axis->weights[o * axis->taps + t];
        *first += held_place(axis, axis->places[o] + (int64_t)t) * axis->stride;
    }
    return weight;
}

static bool next_taps(const resize_job *job, tap_walk *walk)
{
    for (uint32_t i = job->rank - 1; i-- > 0;) {
        if (++walk->tap[i] < job->axes[i].taps) {
            return true;
        }
        walk->tap[i] = 0;
    }
    return false;
}

/* Interpolate the sum of rows along the last axis. */
static void resample_row(const resize_job *job, const double *sum, double *out)
{
    const resize_axis *axis = &job->axes[job->rank - 1];
    for (size_t o = 0; o < axis->out; o++) {
        if (axis->places[o] == OUTSIDE) {
            out[o] = job->extrapolation;
            continue;
        }
        const double *weights = axis->weights + o * axis->taps;
        double value = 0;
        for (size_t t = 0; t < axis->taps; t++) {
            const double x = sum[held_place(axis, axis->places[o] + (int64_t)t)];
            value += weights[t] != 0 ? weights[t] * x : 0; /* no 0 * infinity */
        }
        out[o] = value;
    }
}

static void resize_run(void *arg, size_t piece, int thread)
{
    const resize_job *job = arg;
    const sq_step *step = job->call->step;
    const resize_axis *last = &job->axes[job->rank - 1];
    double *sum = sq_ref_rows(&job->rows, job->doubles, thread);
    double *row = sum + last->in, *out = row + last->in;
    tap_walk walk = {0};
    bool outside = false;
    size_t index = piece;
    for (uint32_t i = job->rank - 1; i-- > 0;) {
        walk.out[i] = index % job->axes[i].out;
        index /= job->axes[i].out;
        outside = outside || job->axes[i].places[walk.out[i]] == OUTSIDE;
    }
    memset(sum, 0, last->in * sizeof *sum);
    do {
        size_t first = 0;
        const double weight = outside ? 0 : tap_row(job, &walk, &first);
        if (weight != 0) {
            sq_ref_load(&step->in[0], first, 1, last->in, row);
            sq_ref_add_scaled(sum, last->in, 1, 1, &weight, row, 1, last->in);
        }
    } while (!outside && next_taps(job, &walk));
    resample_row(job, sum, out);
    const bool whole = !sq_ref_is_float(step->out[0].dtype);
    for (size_t o = 0; o < last->out; o++) {
        out[o] = outside ? job->extrapolation : out[o];
        out[o] = whole ? rint(out[o]) : out[o];
    }
    sq_ref_store(&step->out[0], piece * last->out, last->out, out);
}

static bool has_numbers(const sq_step *step, uint32_t index)
{
    return sq_ref_has_input(step, index) && squall_tensor_count(&step->in[index]) > 0;
}

/* Sizes, where they are given: the scale is what they make of the input, or one for all axes. */
static void scales_by_sizes(const sq_step *step, const int64_t *axes, size_t count, double *scales)
{
    const squall_tensor *x = &step->in[0];
    const char *policy = sq_attr_string(step->attrs, "keep_aspect_ratio_policy", "stretch");
    const bool least = strcmp(policy, "not_larger") == 0;
    double common = 0;
    for (size_t i = 0; i < count; i++) {
        const double in = (double)x->dims[axes[i]];
        scales[i] = in > 0 ? sq_tensor_get_double(&step->in[3], i) / in : 1;
        if (i == 0 || (least ? scales[i] < common : scales[i] > common)) {
            common = scales[i];
        }
    }
    for (size_t i = 0; i < count && strcmp(policy, "stretch") != 0; i++) {
        scales[i] = common;
    }
}

/* Scales of the axes named: from sizes, from an input, or (Upsample 7) from an attribute. */
static void find_scales(const sq_step *step, const int64_t *axes, size_t count, double *scales)
{
    const bool early = step->op == SQ_OP_Upsample || step->attrs->opset < 11;
    if (!early && has_numbers(step, 3)) {
        scales_by_sizes(step, axes, count, scales);
        return;
    }
    const uint32_t input = early ? 1 : 2;
    size_t given;
    const float *attribute = sq_attr_floats(step->attrs, "scales", &given);
    for (size_t i = 0; i < count; i++) {
        if (has_numbers(step, input)) {
            scales[i] = sq_tensor_get_double(&step->in[input], i);
        } else {
            scales[i] = i < given ? (double)attribute[i] : 1;
        }
    }
}

/* Sizes, strides and scales of all axes. */
static squall_status set_axes(resize_job *job, squall_error *err)
{
    const sq_step *step = job->call->step;
    const squall_tensor *x = &step->in[0], *y = &step->out[0];
    int64_t stride[SQUALL_MAX_DIMS], axes[SQUALL_MAX_DIMS];
    double scales[SQUALL_MAX_DIMS];
    sq_ref_strides(x, stride);
    for (uint32_t i = 0; i < job->rank; i++) {
        job->axes[i] = (resize_axis){.in = (size_t)x->dims[i],
                                     .out = (size_t)y->dims[i],
                                     .stride = (size_t)stride[i],
                                     .scale = 1,
                                     .crop_end = 1};
    }
    size_t count;
    const int64_t *given = sq_attr_ints(step->attrs, "axes", &count);
    count = given ? count : job->rank;
    for (size_t i = 0; i < count; i++) {
        SQ_TRY(sq_ref_axis_find(step, given ? given[i] : (int64_t)i, job->rank, &axes[i], err));
    }
    find_scales(step, axes, count, scales);
    const bool crops = strcmp(job->coordinates, "tf_crop_and_resize") == 0;
    for (size_t i = 0; i < count; i++) {
        resize_axis *axis = &job->axes[axes[i]];
        axis->scale = scales[i];
        if (crops) {
            axis->crop_start = sq_tensor_get_double(&step->in[1], i);
            axis->crop_end = sq_tensor_get_double(&step->in[1], count + i);
        }
    }
    for (uint32_t i = 0; i < job->rank; i++) {
        resize_axis *axis = &job->axes[i];
        axis->identity = axis->scale == 1 && axis->in == axis->out && axis->crop_start == 0 &&
                         axis->crop_end == 1;
    }
    return SQUALL_OK;
}

static squall_status set_tables(resize_job *job, squall_error *err)
{
    const sq_step *step = job->call->step;
    char *free_bytes = job->call->scratch;
    for (uint32_t i = 0; i < job->rank; i++) {
        resize_axis *axis = &job->axes[i];
        axis->taps = 1;
        if (!axis->identity && job->mode != MODE_NEAREST) {
            const double reach = (double)reach_of(job->mode);
            const double narrowing = job->antialias && axis->scale < 1 ? axis->scale : 1;
            const double taps = 2 * ceil(reach / narrowing);
            if (!(taps <= (double)most_taps(step, job->mode, axis->in, axis->out))) {
                return sq_fail(err, SQUALL_E_UNSUPPORTED, step->name,
                               "a scale of %g from size %zu to %zu", axis->scale, axis->in,
                               axis->out);
            }
            axis->taps = (size_t)taps;
        }
        axis->places = (int64_t *)(void *)free_bytes;
        axis->weights = (double *)(void *)(free_bytes + axis->out * sizeof(int64_t));
        free_bytes += axis->out * (1 + axis->taps) * sizeof(double);
        fill_axis(job, axis);
    }
    return SQUALL_OK;
}

squall_status sq_ref_resize(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const bool early = step->op == SQ_OP_Upsample || step->attrs->opset < 11;
    resize_job job = {.call = call, .rank = step->in[0].rank, .mode = find_mode(step)};
    if (squall_tensor_count(&step->out[0]) == 0) {
        return SQUALL_OK;
    }
    if (job.rank == 0) {
        sq_ref_copy(&step->out[0], &step->in[0]);
        return SQUALL_OK;
    }
    job.coordinates =
        early ? "asymmetric"
              : sq_attr_string(step->attrs, "coordinate_transformation_mode", "half_pixel");
    job.nearest =
        early ? "simple" : sq_attr_string(step->attrs, "nearest_mode", "round_prefer_floor");
    job.antialias = sq_attr_int(step->attrs, "antialias", 0) != 0;
    job.exclude_outside = sq_attr_int(step->attrs, "exclude_outside", 0) != 0;
    job.cubic_a = sq_attr_float(step->attrs, "cubic_coeff_a", -0.75f);
    job.extrapolation = sq_attr_float(step->attrs, "extrapolation_value", 0);
    SQ_TRY(set_axes(&job, err));
    SQ_TRY(set_tables(&job, err));
    job.rows = *call;
    job.rows.scratch = (char *)call->scratch + table_bytes(step);
    job.doubles = row_doubles(step);
    sq_pool_run(call->pool, resize_run, &job, sq_ref_product(step->out[0].dims, 0, job.rank - 1));
    return SQUALL_OK;
}
