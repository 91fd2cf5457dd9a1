/* nn/compile/compile_trial.c - engines in memory, run on samples and held against float32. */
#include <math.h>
#include <string.h>

#include "nn/compile/compile_trial.h"

double sq_quality_psnr(const sq_quality *quality)
{
    const double range = quality->high - quality->low;
    if (quality->count == 0 || !(range > 0)) {
        return 0;
    }
    return quality->noise > 0 ? 10 * log10(range * range * (double)quality->count / quality->noise)
                              : INFINITY;
}

double sq_quality_score(const double counts[3])
{
    const double all = counts[0] + counts[1] + counts[2];
    return all > 0 ? counts[0] / all : 0;
}

double sq_quality_loss(const sq_quality *quality)
{
    const double before = sq_quality_score(quality->counts_fp32);
    return before > 0 ? 1 - sq_quality_score(quality->counts) / before : 0;
}

void sq_trial_close(sq_trial *trial)
{
    for (uint32_t k = 0; trial->outputs != NULL && k < trial->output_count; k++) {
        sq_tensor_free(&trial->outputs[k]);
    }
    sq_free(trial->outputs);
    squall_context_destroy(&trial->context);
    squall_engine_close(&trial->engine);
    sq_free(trial->bytes);
    memset(trial, 0, sizeof *trial);
}

static squall_status open_trial(const sq_calibrator *c, const sq_quant *quant, bool apart,
                                sq_trial *out, squall_error *err)
{
    squall_build_report report = {0};
    sq_compile_job job = c->job;
    size_t bytes = 0;
    squall_status status;
    memset(out, 0, sizeof *out);
    job.options = &c->options;
    job.report = &report;
    job.quant = quant;
    job.apart = apart;
    job.notes = NULL;
    SQ_TRY_GOTO(sq_compile_run(&job, &out->bytes, &bytes, err));
    SQ_TRY_GOTO(
        squall_engine_open_memory(out->bytes, bytes, "calibration", NULL, &out->engine, NULL, err));
    SQ_TRY_GOTO(squall_context_create(out->engine, 0, c->options.threads, &out->context, err));
    out->output_count = c->output_count;
    out->outputs = sq_alloc(out->output_count, sizeof *out->outputs);
    for (uint32_t k = 0; out->outputs != NULL && k < out->output_count; k++) {
        SQ_TRY_GOTO(squall_context_output(out->context, k, &out->outputs[k], err));
        out->outputs[k].data = sq_alloc(squall_tensor_bytes(&out->outputs[k]), 1);
        if (out->outputs[k].data == NULL) {
            sq_free(out->outputs);
            out->outputs = NULL;
        }
    }
    if (out->outputs == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "calibration", "no memory for its outputs");
    }
done:
    if (status != SQUALL_OK) {
        sq_trial_close(out);
    }
    return status;
}

/* In float32 every value is to be seen; in 8 bits it is as it will be. */
squall_status sq_trial_open(const sq_calibrator *c, const sq_quant *quant, sq_trial *out,
                            squall_error *err)
{
    return open_trial(c, quant, quant == NULL, out, err);
}

squall_status sq_trial_open_fused(const sq_calibrator *c, sq_trial *out, squall_error *err)
{
    return open_trial(c, NULL, false, out, err);
}

squall_status sq_trial_run(const sq_calibrator *c, sq_trial *trial, size_t sample,
                           sq_runtime_tap *tap, void *self, squall_error *err)
{
    const squall_tensor *inputs = c->given->inputs + sample * c->input_count;
    if (tap == NULL) {
        return squall_context_run(trial->context, inputs, c->input_count, trial->outputs,
                                  trial->output_count, err);
    }
    return sq_runtime_run_tapped(trial->context, inputs, c->input_count, trial->outputs,
                                 trial->output_count, tap, self, err);
}

void sq_trial_judge(const sq_calibrator *c, const sq_trial *trial, size_t sample,
                    sq_quality *quality)
{
    for (uint32_t k = 0; k < c->output_count; k++) {
        const squall_tensor *want = &c->reference[sample * c->output_count + k];
        if (want->dtype != SQUALL_F32) {
            continue;
        }
        const float *right = want->data, *got = trial->outputs[k].data;
        const size_t count = squall_tensor_count(want);
        double low = quality->count > 0 ? quality->low : INFINITY;
        double high = quality->count > 0 ? quality->high : -INFINITY;
        for (size_t i = 0; i < count; i++) {
            low = fmin(low, (double)right[i]);
            high = fmax(high, (double)right[i]);
        }
        for (size_t i = 0; i < count; i++) {
            const double off = (double)got[i] - (double)right[i];
            const double share = high > low ? ((double)right[i] - low) / (high - low) : 0;
            quality->noise += off * off;
            quality->heavy += (1 + 3 * share) * off * off;
        }
        quality->low = low;
        quality->high = high;
        quality->count += count;
    }
    quality->samples++;
    if (c->given->score != NULL) {
        c->given->score(c->given->self, sample, trial->outputs, trial->output_count,
                        quality->counts);
        for (int i = 0; i < 3; i++) {
            quality->counts_fp32[i] += c->counts[sample][i];
        }
    }
}

squall_status sq_trial_quality(const sq_calibrator *c, const sq_quant *quant, bool held_out,
                               sq_quality *quality, squall_error *err)
{
    sq_trial trial;
    memset(quality, 0, sizeof *quality);
    SQ_TRY(sq_trial_open(c, quant, &trial, err));
    squall_status status = SQUALL_OK;
    const size_t count = held_out ? c->given->sample_count : c->probe_count;
    for (size_t i = 0; i < count && status == SQUALL_OK; i++) {
        const size_t sample = held_out ? i : c->probes[i];
        if (!held_out || c->held_out[sample]) {
            status = sq_trial_run(c, &trial, sample, NULL, NULL, err);
            if (status == SQUALL_OK) {
                sq_trial_judge(c, &trial, sample, quality);
            }
        }
    }
    sq_trial_close(&trial);
    return status;
}
