/* nn/compile/compile_ranges.c - the range that 8 bits cover, for each value by what it does to the
 * outputs: the network runs in float32 with that one value rounded. */
#include <math.h>
#include <string.h>

#include "nn/compile/compile_trial.h"

/* One value held to a range and rounded as 8 bits would have it. */
typedef struct rounding {
    const sq_calibrator *c;
    uint32_t value; /* place in quant.values */
    float low, scale;
} rounding;

static squall_status round_value(void *self, const sq_plan *plan, uint32_t index,
                                 const sq_step *step, squall_error *err)
{
    const rounding *r = self;
    const uint32_t v = plan->steps[index].out[0];
    (void)err;
    if (r->c->watched[v] != r->value || step->op == SQ_OP_SqReorder) {
        return SQUALL_OK;
    }
    float *data = step->out[0].data;
    const size_t count = squall_tensor_bytes(&step->out[0]) / sizeof *data;
    for (size_t i = 0; i < count; i++) {
        const float level = fminf(fmaxf(rintf((data[i] - r->low) / r->scale), 0), UINT8_MAX);
        data[i] = r->low + level * r->scale;
    }
    return SQUALL_OK;
}

/* Squared error at the outputs with one value in 8 bits. */
static squall_status error_of(sq_calibrator *c, uint32_t value, float low, float high, double *out,
                              squall_error *err)
{
    sq_quality quality = {0};
    rounding r = {.c = c, .value = value};
    sq_quant_value range = {.low = low, .high = high};
    uint8_t zero;
    r.scale = sq_quant_scale(&range, &zero);
    r.low = -(float)zero * r.scale;
    for (uint32_t i = 0; i < c->probe_count; i++) {
        SQ_TRY(sq_trial_run(c, &c->fp32, c->probes[i], round_value, &r, err));
        sq_trial_judge(c, &c->fp32, c->probes[i], &quality);
    }
    *out = quality.heavy;
    return SQUALL_OK;
}

static squall_status choose_range(sq_calibrator *c, uint32_t index, bool measure, squall_error *err)
{
    sq_quant_value *value = &c->quant.values[index];
    float low[SQ_RANGE_METHODS], high[SQ_RANGE_METHODS];
    double least = INFINITY, tried_span = 0;
    for (int m = 0; m < SQ_RANGE_METHODS; m++) {
        sq_histogram_range(&value->histogram, (sq_range_method)m, &low[m], &high[m]);
    }
    value->method = SQ_RANGE_MINMAX;
    for (int m = 0; measure && m < SQ_RANGE_METHODS; m++) {
        const double span = (double)high[m] - (double)low[m];
        double error;
        if (!(span > 0) || (m > 0 && fabs(span / tried_span - 1) < 0.02)) {
            continue; /* as good as the one before */
        }
        tried_span = span;
        SQ_TRY(error_of(c, index, low[m], high[m], &error, err));
        if (error < least) {
            least = error;
            value->method = (sq_range_method)m;
        }
    }
    value->low = low[value->method];
    value->high = high[value->method];
    value->clipped = sq_histogram_outside(&value->histogram, value->low, value->high);
    return SQUALL_OK;
}

squall_status sq_calibrate_ranges(sq_calibrator *c, double budget_s, squall_error *err)
{
    const double start = sq_clock_s();
    for (uint32_t i = 0; i < c->quant.value_count; i++) {
        /* what nothing rounds (an input of the model) or what there is no time for covers all */
        const bool measure =
            c->quant.values[i].histogram.count > 0 && sq_clock_s() - start < budget_s;
        SQ_TRY(choose_range(c, i, measure, err));
    }
    return SQUALL_OK;
}
