/* nn/compile/compile_compare_outputs.c - outputs beside what they should be: of the model on ref,
 * and of another runtime. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "nn/compile/compile_compare.h"

double sq_compare_element(const squall_tensor *tensor, size_t index)
{
    return tensor->dtype == SQUALL_F32 ? (double)((const float *)tensor->data)[index]
                                       : sq_tensor_get_double(tensor, index);
}

double sq_compare_apart(double got, double want)
{
    if (got == want || (isnan(got) && isnan(want))) {
        return 0.0;
    }
    const double difference = got - want;
    return isfinite(difference) ? difference : INFINITY;
}

double sq_compare_decibel(double signal, double noise)
{
    return noise > 0 ? 10.0 * log10(signal / noise) : INFINITY;
}

/* Both are plain and of one type. */
static void add(sq_compared_output *sums, const squall_tensor *got, const squall_tensor *want)
{
    const size_t count = squall_tensor_count(want);
    for (size_t i = 0; i < count; i++) {
        const double right = sq_compare_element(want, i);
        const double difference = sq_compare_apart(sq_compare_element(got, i), right);
        if (isfinite(right)) {
            sums->low = sums->count == 0 || right < sums->low ? right : sums->low;
            sums->high = sums->count == 0 || right > sums->high ? right : sums->high;
            sums->signal += right * right;
        }
        sums->noise += difference * difference;
        sums->worst = fmax(sums->worst, fabs(difference));
        sums->count++;
    }
}

static const char *output_name(const squall_comparison *c, size_t index)
{
    return c->plan->values[c->plan->outputs[index]].name;
}

squall_status sq_compare_add_outputs(squall_comparison *c, squall_error *err)
{
    for (uint32_t k = 0; k < c->output_count; k++) {
        const squall_tensor *want = &c->my_outputs[k], *got = &c->their_outputs[k];
        if (!sq_tensor_same_type(want, got)) {
            char have[SQ_TENSOR_TEXT], right[SQ_TENSOR_TEXT];
            return sq_fail(err, SQUALL_E_MISMATCH, output_name(c, k),
                           "is %s in the engine and %s in the model; compare it with the model "
                           "that it was built from",
                           sq_tensor_format(got, have), sq_tensor_format(want, right));
        }
        add(&c->outputs[k], got, want);
    }
    return SQUALL_OK;
}

squall_status squall_comparison_add_reference(squall_comparison *c, const squall_tensor *outputs,
                                              size_t output_count, squall_error *err)
{
    if (c->samples == 0 || output_count != c->output_count) {
        return sq_fail(err, SQUALL_E_ARGUMENT, c->engine->file.name,
                       "%zu outputs of another runtime for sample %zu; the engine has %" PRIu32
                       ", and a sample must be there first",
                       output_count, c->samples, c->output_count);
    }
    for (uint32_t k = 0; k < c->output_count; k++) {
        if (!sq_tensor_same_type(&outputs[k], &c->their_outputs[k])) {
            char have[SQ_TENSOR_TEXT], right[SQ_TENSOR_TEXT];
            return sq_fail(err, SQUALL_E_SHAPE, output_name(c, k),
                           "is %s where it comes from another runtime; the engine gives %s",
                           sq_tensor_format(&outputs[k], have),
                           sq_tensor_format(&c->their_outputs[k], right));
        }
    }
    for (uint32_t k = 0; k < c->output_count; k++) {
        add(&c->engine_outputs[k], &c->their_outputs[k], &outputs[k]);
        add(&c->model_outputs[k], &c->my_outputs[k], &outputs[k]);
    }
    c->references++;
    return SQUALL_OK;
}

size_t squall_comparison_output_count(const squall_comparison *c)
{
    return c->samples > 0 ? c->output_count : 0;
}

squall_status squall_comparison_values(const squall_comparison *c, squall_compared which,
                                       size_t index, squall_tensor *out, squall_error *err)
{
    if (index >= squall_comparison_output_count(c) ||
        (which != SQUALL_COMPARED_ENGINE && which != SQUALL_COMPARED_MODEL)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, c->engine->file.name,
                       "no output %zu of %d was compared; there are %zu", index, (int)which,
                       squall_comparison_output_count(c));
    }
    *out = which == SQUALL_COMPARED_ENGINE ? c->their_outputs[index] : c->my_outputs[index];
    return SQUALL_OK;
}

/* The sums of one pair, or NULL when none were added. */
static const sq_compared_output *sums_of(const squall_comparison *c, squall_compared which)
{
    switch (which) {
    case SQUALL_COMPARED_ENGINE:
        return c->samples > 0 ? c->outputs : NULL;
    case SQUALL_COMPARED_ENGINE_ELSEWHERE:
        return c->references > 0 ? c->engine_outputs : NULL;
    case SQUALL_COMPARED_MODEL:
        return c->references > 0 ? c->model_outputs : NULL;
    }
    return NULL;
}

squall_status squall_comparison_output(const squall_comparison *c, squall_compared which,
                                       size_t index, squall_output_error *out, squall_error *err)
{
    const sq_compared_output *all = sums_of(c, which);
    if (all == NULL || index >= c->output_count) {
        return sq_fail(err, SQUALL_E_ARGUMENT, c->engine->file.name,
                       "no output %zu was compared so (%d); there are %zu, and %zu samples with "
                       "those of another runtime",
                       index, (int)which, squall_comparison_output_count(c), c->references);
    }
    const sq_compared_output *sums = &all[index];
    const double range = sums->high - sums->low;
    *out = (squall_output_error){
        .name = output_name(c, index),
        .psnr_db = sq_compare_decibel(range * range * (double)sums->count, sums->noise),
        .max_abs = sums->worst,
        .relative = sums->noise > 0 ? sqrt(sums->noise / sums->signal) : 0.0,
    };
    return SQUALL_OK;
}
