/* nn/ref/ref_signal.c - Fourier transforms by their formula, windows, mel weights. */
#include "nn/ref/ref_ops.h"

#include <math.h>

#define TURN 6.28318530717958647692

/* One line of complex numbers: where part `part` of number `i` is. */
typedef struct signal_line {
    const squall_tensor *tensor;
    size_t first, step, parts; /* elements from one number to the next; 1: real */
    int64_t length;
} signal_line;

static void read_number(const signal_line *line, int64_t at, double *re, double *im)
{
    const size_t index = line->first + (size_t)at * line->step;
    *re = *im = 0;
    if (at < line->length) { /* behind the end are zeros */
        *re = sq_tensor_get_double(line->tensor, index);
        *im = line->parts > 1 ? sq_tensor_get_double(line->tensor, index + 1) : 0;
    }
}

/* Number k of the transform of `n` numbers, each times its weight (NULL: 1); from one half of a
 * spectrum, whose other half is its mirror image, where `mirrored`. */
static void transform(const signal_line *line, int64_t n, int64_t k, bool inverse, bool mirrored,
                      const squall_tensor *weights, double *re, double *im)
{
    const double sign = inverse ? 1 : -1;
    *re = *im = 0;
    for (int64_t i = 0; i < n; i++) {
        double a, b;
        const bool mirror = mirrored && i >= line->length && n - i < line->length;
        read_number(line, mirror ? n - i : i, &a, &b);
        b = mirror ? -b : b;
        const double weight = weights ? sq_tensor_get_double(weights, (size_t)i) : 1;
        /* i * k modulo n, so that the angle keeps its digits */
        const double turns =
            (double)((unsigned __int128)(uint64_t)i * (uint64_t)k % (uint64_t)n) / (double)n;
        const double c = cos(TURN * turns), s = sign * sin(TURN * turns);
        *re += weight * (a * c - b * s);
        *im += weight * (a * s + b * c);
    }
    *re /= inverse ? (double)n : 1;
    *im /= inverse ? (double)n : 1;
}

squall_status sq_ref_dft(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0], *y = &step->out[0];
    sq_dft sizes;
    SQ_TRY(sq_op_dft_sizes(step, &sizes, err));
    const size_t parts = (size_t)x->dims[x->rank - 1], y_parts = (size_t)y->dims[y->rank - 1];
    const sq_ref_axis over = sq_ref_axis_of(x, sizes.axis);
    const size_t inner = over.inner / parts; /* complex numbers behind the axis */
    const size_t numbers = (size_t)y->dims[sizes.axis];
    for (size_t row = 0; row < over.outer * inner; row++) {
        const size_t outer = row / inner, at = row % inner;
        const signal_line line = {.tensor = x,
                                  .first = (outer * over.length * inner + at) * parts,
                                  .step = inner * parts,
                                  .parts = parts,
                                  .length = x->dims[sizes.axis] < sizes.length ? x->dims[sizes.axis]
                                                                               : sizes.length};
        for (size_t k = 0; k < numbers; k++) {
            double value[2];
            transform(&line, sizes.length, (int64_t)k, sizes.inverse,
                      sizes.inverse && sizes.onesided, NULL, &value[0], &value[1]);
            sq_ref_store(y, ((outer * numbers + k) * inner + at) * y_parts, y_parts, value);
        }
    }
    return SQUALL_OK;
}

squall_status sq_ref_stft(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0], *y = &step->out[0];
    const squall_tensor *window = sq_ref_has_input(step, 2) ? &step->in[2] : NULL;
    const int64_t hop = sq_tensor_get_int(&step->in[1], 0);
    const int64_t length =
        sq_ref_has_input(step, 3) ? sq_tensor_get_int(&step->in[3], 0) : step->in[2].dims[0];
    const size_t parts = x->rank == 3 ? (size_t)x->dims[2] : 1;
    const size_t frames = (size_t)y->dims[1], bins = (size_t)y->dims[2];
    for (size_t i = 0; i < (size_t)y->dims[0] * frames; i++) {
        const size_t start = i / frames * (size_t)x->dims[1] + i % frames * (size_t)hop;
        const signal_line line = {
            .tensor = x, .first = start * parts, .step = parts, .parts = parts, .length = length};
        for (size_t k = 0; k < bins; k++) {
            double value[2];
            transform(&line, length, (int64_t)k, false, false, window, &value[0], &value[1]);
            sq_ref_store(y, (i * bins + k) * 2, 2, value);
        }
    }
    return SQUALL_OK;
}

/* a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N) */
squall_status sq_ref_signal_window(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *out = &step->out[0];
    const bool periodic = sq_attr_int(step->attrs, "periodic", 1) != 0;
    const double length = (double)out->dims[0] - (periodic ? 0 : 1);
    double a0 = 0.5, a1 = 0.5, a2 = 0;
    if (step->op == SQ_OP_HammingWindow) {
        a0 = 25.0 / 46;
        a1 = 1 - a0;
    } else if (step->op == SQ_OP_BlackmanWindow) {
        a0 = 0.42;
        a2 = 0.08;
    }
    for (int64_t i = 0; i < out->dims[0]; i++) {
        const double angle = length > 0 ? TURN * (double)i / length : 0;
        const double value = a0 - a1 * cos(angle) + a2 * cos(2 * angle);
        sq_ref_store(out, (size_t)i, 1, &value);
    }
    return SQUALL_OK;
}

/* Triangles over the bins of a spectrum, evenly spaced in mel. */
squall_status sq_ref_mel_weights(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *out = &step->out[0];
    const int64_t bins = out->dims[1], spectrum = out->dims[0];
    const double length = (double)sq_tensor_get_int(&step->in[1], 0);
    const double rate = sq_tensor_get_double(&step->in[2], 0);
    const double low = 2595 * log10(1 + sq_tensor_get_double(&step->in[3], 0) / 700);
    const double high = 2595 * log10(1 + sq_tensor_get_double(&step->in[4], 0) / 700);
    const double apart = (high - low) / (double)(bins + 2);
    const double zero = 0;
    const size_t total = squall_tensor_count(out);
    for (size_t i = 0; i < total; i++) {
        sq_ref_store(out, i, 1, &zero);
    }
    for (int64_t bin = 0; bin < bins; bin++) {
        double edge[3]; /* where the triangle begins, is highest, ends */
        for (int i = 0; i < 3; i++) {
            const double mel = low + (double)(bin + i) * apart;
            edge[i] = floor((length + 1) * (700 * (pow(10, mel / 2595) - 1)) / rate);
            if (!(edge[i] >= 0 && edge[i] <= (double)spectrum)) {
                return sq_fail(err, SQUALL_E_SHAPE, step->name,
                               "its frequencies lie outside the spectrum");
            }
        }
        for (int64_t i = 0; i < spectrum; i++) {
            const double at = (double)i;
            double value = 0;
            if (at >= edge[0] && at <= edge[1]) {
                value = edge[1] > edge[0] ? (at - edge[0]) / (edge[1] - edge[0]) : 1;
            }
            if (at >= edge[1] && at < edge[2]) {
                value = (edge[2] - at) / (edge[2] - edge[1]);
            }
            sq_ref_store(out, (size_t)(i * bins + bin), 1, &value);
        }
    }
    return SQUALL_OK;
}
