/* tests/unit/nn/cpu/cpu_conv_case.h - convolutions as problems, and what they must give: sums in
 * double. */
#ifndef SQ_TEST_CPU_CONV_CASE_H
#define SQ_TEST_CPU_CONV_CASE_H

#include "cpu_problem.h"

typedef struct conv_case {
    int64_t batch, channels, height, width, outputs, group;
    int64_t kernel[2], stride[2], dilation[2], pads[4];
    bool bias;
} conv_case;

static inline void set_window(problem *p, const conv_case *c)
{
    assert_true(sq_attr_set_ints(&p->attrs, "strides", c->stride, 2));
    assert_true(sq_attr_set_ints(&p->attrs, "dilations", c->dilation, 2));
    assert_true(sq_attr_set_ints(&p->attrs, "pads", c->pads, 4));
    assert_true(sq_attr_set_int(&p->attrs, "group", c->group));
}

static inline float at(const squall_tensor *t, int64_t n, int64_t c, int64_t y, int64_t x)
{
    if (y < 0 || x < 0 || y >= t->dims[2] || x >= t->dims[3]) {
        return 0.0f;
    }
    return ((const float *)t->data)[((n * t->dims[1] + c) * t->dims[2] + y) * t->dims[3] + x];
}

/* Set what output (n, k, y, x) must be. */
static inline void expect(problem *p, const sq_cpu_act *act, int64_t n, int64_t k, int64_t y,
                          int64_t x, double sum, double magnitude, int64_t terms)
{
    const int64_t *dims = p->out[0].dims;
    const size_t i = (size_t)(((n * dims[1] + k) * dims[2] + y) * dims[3] + x);
    p->want[0][i] = act_double(act, sum);
    p->allowed[0][i] = act_allowed(act, sum, ((double)terms + 2) * UNIT * magnitude);
}

static inline double bias_of(const problem *p, int64_t k)
{
    return p->step.in_count > 2 ? (double)((const float *)p->in[2].data)[k] : 0.0;
}

static inline void expect_conv(problem *p, const conv_case *c, const sq_cpu_act *act)
{
    const squall_tensor *in = &p->in[0], *w = &p->in[1], *out = &p->out[0];
    const int64_t per_group = c->channels / c->group, outputs = c->outputs / c->group;
    for (int64_t i = 0; i < (int64_t)squall_tensor_count(out); i++) {
        const int64_t x = i % out->dims[3], y = i / out->dims[3] % out->dims[2];
        const int64_t k = i / (out->dims[3] * out->dims[2]) % c->outputs;
        const int64_t n = i / (out->dims[3] * out->dims[2]) / c->outputs;
        double sum = bias_of(p, k), magnitude = fabs(sum);
        for (int64_t ch = 0; ch < per_group; ch++) {
            for (int64_t ty = 0; ty < c->kernel[0]; ty++) {
                for (int64_t tx = 0; tx < c->kernel[1]; tx++) {
                    const double term =
                        (double)at(w, k, ch, ty, tx) *
                        (double)at(in, n, k / outputs * per_group + ch,
                                   y * c->stride[0] - c->pads[0] + ty * c->dilation[0],
                                   x * c->stride[1] - c->pads[1] + tx * c->dilation[1]);
                    sum += term;
                    magnitude += fabs(term);
                }
            }
        }
        expect(p, act, n, k, y, x, sum, magnitude, per_group * c->kernel[0] * c->kernel[1]);
    }
}

/* What Winograd's way may be off by: its rounding bound. Each result is a sum of products of sums;
 * with absolute values in the place of all factors the same sum bounds every term, and no path from
 * a number to a result has more roundings than the channels and what the three transforms take: 8
 * for the input, 10 for the weights, 8 for the output, in two dimensions each. */
typedef struct winograd_case {
    int64_t tile, reach;
    double input[8][8], weights[8][3], output[6][8]; /* absolute values of B', G and A' */
} winograd_case;

static const winograd_case winograd_cases[2] = {
    {4,
     6,
     {{1, 1.5, 2, 1.5, 1, 0},
      {0, 1, 0.5, 2.5, 1, 0},
      {0, 1, 2.5, 0.5, 1, 0},
      {0, 2, 1, 2, 1, 0},
      {0, 0.5, 1, 0.5, 1, 0},
      {0, 1, 1.5, 2, 1.5, 1}},
     {{1, 0, 0},
      {1 / 3.0, 1 / 3.0, 1 / 3.0},
      {1 / 3.0, 1 / 3.0, 1 / 3.0},
      {16 / 15.0, 8 / 15.0, 4 / 15.0},
      {1 / 15.0, 2 / 15.0, 4 / 15.0},
      {0, 0, 1}},
     {{1, 1, 1, 1, 1, 0}, {0, 1, 1, 0.5, 2, 0}, {0, 1, 1, 0.25, 4, 0}, {0, 1, 1, 0.125, 8, 1}}},
    {6,
     8,
     {{1, 0, 5.25, 0, 5.25, 0, 1, 0},
      {0, 1, 1, 4.25, 4.25, 1, 1, 0},
      {0, 1, 1, 4.25, 4.25, 1, 1, 0},
      {0, 0.5, 0.25, 2.5, 1.25, 2, 1, 0},
      {0, 0.5, 0.25, 2.5, 1.25, 2, 1, 0},
      {0, 2, 4, 2.5, 5, 0.5, 1, 0},
      {0, 2, 4, 2.5, 5, 0.5, 1, 0},
      {0, 1, 0, 5.25, 0, 5.25, 0, 1}},
     {{1, 0, 0},
      {2 / 9.0, 2 / 9.0, 2 / 9.0},
      {2 / 9.0, 2 / 9.0, 2 / 9.0},
      {1 / 90.0, 1 / 45.0, 2 / 45.0},
      {1 / 90.0, 1 / 45.0, 2 / 45.0},
      {32 / 45.0, 16 / 45.0, 8 / 45.0},
      {32 / 45.0, 16 / 45.0, 8 / 45.0},
      {0, 0, 1}},
     {{1, 1, 1, 1, 1, 1, 1, 0},
      {0, 1, 1, 2, 2, 0.5, 0.5, 0},
      {0, 1, 1, 4, 4, 0.25, 0.25, 0},
      {0, 1, 1, 8, 8, 0.125, 0.125, 0},
      {0, 1, 1, 16, 16, 0.0625, 0.0625, 0},
      {0, 1, 1, 32, 32, 0.03125, 0.03125, 1}}}};

/* Tap `j` of the 3x3 that gives output (y, x): of a transposed convolution of stride 2 those of its
 * remainder, around input (y / 2, x / 2). */
static inline double tap_of(const problem *p, const conv_case *c, int64_t k, int64_t ch, int64_t y,
                            int64_t x, int64_t j)
{
    if (p->step.op != SQ_OP_ConvTranspose) {
        return (double)at(&p->in[1], k, ch, j / 3, j % 3);
    }
    return (double)at(&p->in[1], ch, k, y % 2 + c->pads[0] - 2 * (j / 3 - 1),
                      x % 2 + c->pads[1] - 2 * (j % 3 - 1));
}

/* The absolute sum of one input channel at point (py, px) of the tile whose first cell is (y, x).
 */
static inline double bound_input(const winograd_case *w, const squall_tensor *in, int64_t n,
                                 int64_t ch, int64_t y, int64_t x, int64_t py, int64_t px)
{
    double sum = 0;
    for (int64_t j = 0; j < w->reach * w->reach; j++) {
        const int64_t row = j / w->reach, column = j % w->reach;
        sum += w->input[py][row] * w->input[px][column] *
               fabs((double)at(in, n, ch, y + row, x + column));
    }
    return sum;
}

/* Sums of absolute values at the points of the tile of one output channel that begins at (y, x) of
 * the image. */
static inline void bound_points(const problem *p, const conv_case *c, const winograd_case *w,
                                int64_t n, int64_t k, int64_t y, int64_t x, double points[8][8])
{
    const bool transposed = p->step.op == SQ_OP_ConvTranspose;
    const int64_t top = transposed ? y / 2 - 1 : y - c->pads[0];
    const int64_t left = transposed ? x / 2 - 1 : x - c->pads[1];
    memset(points, 0, 64 * sizeof(double));
    for (int64_t ch = 0; ch < c->channels; ch++) {
        for (int64_t i = 0; i < w->reach * w->reach; i++) {
            const int64_t py = i / w->reach, px = i % w->reach;
            double weight = 0;
            for (int64_t j = 0; j < 9; j++) {
                weight += w->weights[py][j / 3] * w->weights[px][j % 3] *
                          fabs(tap_of(p, c, k, ch, y, x, j));
            }
            points[py][px] += bound_input(w, &p->in[0], n, ch, top, left, py, px) * weight;
        }
    }
}

static inline double *allow_tiles(const problem *p, const conv_case *c, const sq_cpu_act *act,
                                  const winograd_case *w)
{
    const int64_t *dims = p->out[0].dims;
    const double roundings = (double)c->channels + 2 * (8 + 10 + 8) + 2;
    const int64_t step = p->step.op == SQ_OP_ConvTranspose ? 2 : 1;
    double *allowed = calloc(squall_tensor_count(&p->out[0]), sizeof(double));
    assert_non_null(allowed);
    for (int64_t i = 0; i < (int64_t)squall_tensor_count(&p->out[0]); i++) {
        const int64_t x = i % dims[3], y = i / dims[3] % dims[2];
        const int64_t k = i / (dims[3] * dims[2]) % dims[1], n = i / (dims[3] * dims[2]) / dims[1];
        double points[8][8];
        if (x % (w->tile * step) >= step || y % (w->tile * step) >= step) {
            continue; /* not the first pixel of a tile */
        }
        bound_points(p, c, w, n, k, y, x, points);
        for (int64_t t = 0; t < w->tile * w->tile; t++) {
            const int64_t yy = y + t / w->tile * step, xx = x + t % w->tile * step;
            double sum = fabs(bias_of(p, k));
            for (int64_t j = 0; j < w->reach * w->reach; j++) {
                sum += w->output[t / w->tile][j / w->reach] * w->output[t % w->tile][j % w->reach] *
                       points[j / w->reach][j % w->reach];
            }
            if (yy < dims[2] && xx < dims[3]) {
                const int64_t o = ((n * dims[1] + k) * dims[2] + yy) * dims[3] + xx;
                allowed[o] = act_allowed(act, p->want[0][o], roundings * UNIT * sum);
            }
        }
    }
    return allowed;
}

static inline void allow_winograd(problem *p, const conv_case *c, const sq_cpu_act *act)
{
    for (int i = 0; i < 2; i++) {
        p->allowed_winograd[i] = allow_tiles(p, c, act, &winograd_cases[i]);
    }
}

static inline void open_conv(problem *p, const conv_case *c, const sq_cpu_act *act)
{
    const int64_t in[4] = {c->batch, c->channels, c->height, c->width};
    const int64_t weights[4] = {c->outputs, c->channels / c->group, c->kernel[0], c->kernel[1]};
    problem_open(p, SQ_OP_Conv, 1);
    p->seed += (uint32_t)(c->height * 31 + c->width);
    set_window(p, c);
    problem_act(p, act);
    problem_input(p, 4, in, false);
    problem_input(p, 4, weights, true);
    if (c->bias) {
        problem_input(p, 1, &c->outputs, true);
    }
    problem_infer(p);
    expect_conv(p, c, act);
    if (c->kernel[0] == 3 && c->kernel[1] == 3 && c->group == 1) {
        allow_winograd(p, c, act);
    }
}

#endif /* SQ_TEST_CPU_CONV_CASE_H */
