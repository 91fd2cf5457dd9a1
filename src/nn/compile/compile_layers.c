/* nn/compile/compile_layers.c - which layers compute in 8 bits: what each of them saves, what it
 * costs in quality, and the fewest that have to stay in float32. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/compile/compile_trial.h"

/* Runs whose fastest counts as a step's time. */
enum { TIMED_RUNS = 5, MOST_ROUNDS = 12 };

static uint32_t count_on(const sq_quant *quant)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < quant->layer_count; i++) {
        count += quant->layers[i].on;
    }
    return count;
}

/* The fastest time of each layer's step in a trial. */
static squall_status time_layers(const sq_calibrator *c, sq_trial *trial, double *times,
                                 squall_error *err)
{
    const squall_step_time *steps;
    size_t count;
    for (uint32_t i = 0; i < c->quant.layer_count; i++) {
        times[i] = INFINITY;
    }
    for (int run = 0; run < TIMED_RUNS; run++) {
        SQ_TRY(squall_context_profile(trial->context,
                                      c->given->inputs + c->probes[0] * c->input_count,
                                      c->input_count, trial->outputs, trial->output_count, &steps,
                                      &count, err));
        for (size_t s = 0; s < count; s++) {
            for (uint32_t i = 0; i < c->quant.layer_count; i++) {
                if (strcmp(steps[s].name, c->quant.layers[i].name) == 0) {
                    times[i] = fmin(times[i], steps[s].seconds);
                }
            }
        }
    }
    return SQUALL_OK;
}

/* What each layer saves, by its step's time in float32 and in 8 bits. */
static squall_status measure_savings(sq_calibrator *c, squall_error *err)
{
    const uint32_t count = c->quant.layer_count;
    squall_status status;
    sq_trial trial = {.bytes = NULL};
    double *before = sq_alloc(count, sizeof *before), *after = sq_alloc(count, sizeof *after);
    if (before == NULL || after == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "calibration", "no memory for times");
        goto done;
    }
    SQ_TRY_GOTO(sq_trial_open_fused(c, &trial, err));
    SQ_TRY_GOTO(time_layers(c, &trial, before, err));
    sq_trial_close(&trial);
    SQ_TRY_GOTO(sq_trial_open(c, &c->quant, &trial, err));
    SQ_TRY_GOTO(time_layers(c, &trial, after, err));
    for (uint32_t i = 0; i < count; i++) {
        c->quant.layers[i].saved_s =
            isfinite(before[i]) && isfinite(after[i]) ? before[i] - after[i] : 0;
    }
done:
    sq_trial_close(&trial);
    sq_free(before);
    sq_free(after);
    return status;
}

/* What each layer alone does to the outputs: noise power a number. */
static squall_status measure_noise(sq_calibrator *c, squall_error *err)
{
    sq_quant alone = c->quant; /* its layers are switched one by one */
    squall_status status = SQUALL_OK;
    alone.layers = sq_alloc(alone.layer_count, sizeof *alone.layers);
    if (alone.layers == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "calibration", "no memory for its layers");
    }
    for (uint32_t i = 0; i < alone.layer_count; i++) {
        alone.layers[i].name = c->quant.layers[i].name;
    }
    for (uint32_t i = 0; i < alone.layer_count && status == SQUALL_OK; i++) {
        sq_quality quality;
        alone.layers[i].on = true;
        status = sq_trial_quality(c, &alone, false, &quality, err);
        alone.layers[i].on = false;
        if (status == SQUALL_OK) {
            c->quant.layers[i].noise = quality.noise / (double)quality.count;
        }
    }
    sq_free(alone.layers);
    return status;
}

/* Noise for each second saved: the worst is the first to go back to float32. */
static double price(const sq_quant_layer *layer)
{
    return layer->saved_s > 0 ? layer->noise / layer->saved_s : INFINITY;
}

/* The layer that is on, may be changed, and has the highest price; UINT32_MAX when there is none.
 */
static uint32_t dearest(const sq_quant *quant)
{
    uint32_t worst = UINT32_MAX;
    for (uint32_t i = 0; i < quant->layer_count; i++) {
        const sq_quant_layer *layer = &quant->layers[i];
        if (layer->on && !layer->fixed &&
            (worst == UINT32_MAX || price(layer) > price(&quant->layers[worst]))) {
            worst = i;
        }
    }
    return worst;
}

static double predicted_psnr(const sq_quant *quant, double range)
{
    double noise = 0;
    for (uint32_t i = 0; i < quant->layer_count; i++) {
        noise += quant->layers[i].on ? quant->layers[i].noise : 0;
    }
    return noise > 0 ? 10 * log10(range * range / noise) : INFINITY;
}

/* The front from all layers in 8 bits to none: a line a point. */
static void print_front(const sq_calibrator *c, const sq_quality *whole)
{
    sq_quant_layer *kept = sq_alloc(c->quant.layer_count, sizeof *kept);
    if (kept == NULL) {
        return;
    }
    memcpy(kept, c->quant.layers, c->quant.layer_count * sizeof *kept);
    sq_quant walk = c->quant;
    walk.layers = kept;
    for (;;) {
        double saved = 0;
        for (uint32_t i = 0; i < walk.layer_count; i++) {
            saved += walk.layers[i].on ? walk.layers[i].saved_s : 0;
        }
        const uint32_t next = dearest(&walk);
        sq_note(c->job.notes, "precision",
                "%" PRIu32 " layers in int8: %.2f ms saved, %.1f dB predicted%s%s", count_on(&walk),
                1e3 * saved, predicted_psnr(&walk, whole->high - whole->low),
                next != UINT32_MAX ? "; next to go: " : "",
                next != UINT32_MAX ? walk.layers[next].name : "");
        if (next == UINT32_MAX) {
            break;
        }
        walk.layers[next].on = false;
    }
    sq_free(kept);
}

static bool good_enough(const sq_quality *quality, const squall_build_options *want)
{
    return (want->min_psnr_db <= 0 || sq_quality_psnr(quality) >= want->min_psnr_db) &&
           (want->max_score_loss <= 0 || sq_quality_loss(quality) <= want->max_score_loss);
}

/* Layers that save nothing gain nothing in 8 bits. */
static void drop_slow(sq_quant *quant)
{
    for (uint32_t i = 0; i < quant->layer_count; i++) {
        sq_quant_layer *layer = &quant->layers[i];
        layer->on = layer->on && (layer->fixed || layer->saved_s > 0);
    }
}

/* Take layers back until the prediction says `psnr`. */
static void reach(sq_quant *quant, double range, double psnr)
{
    uint32_t next;
    while (predicted_psnr(quant, range) < psnr && (next = dearest(quant)) != UINT32_MAX) {
        quant->layers[next].on = false;
    }
}

squall_status sq_calibrate_layers(sq_calibrator *c, const squall_build_options *want,
                                  bool automatic, sq_quality *quality, squall_error *err)
{
    SQ_TRY(sq_trial_quality(c, &c->quant, true, quality, err));
    if (!automatic && good_enough(quality, want)) {
        return SQUALL_OK;
    }
    SQ_TRY(measure_savings(c, err));
    SQ_TRY(measure_noise(c, err));
    print_front(c, quality);
    if (automatic) {
        drop_slow(&c->quant);
        SQ_TRY(sq_trial_quality(c, &c->quant, true, quality, err));
    }
    double aim = 0;
    const double range = quality->high - quality->low;
    for (int round = 0; round < MOST_ROUNDS && !good_enough(quality, want); round++) {
        /* The prediction may be off, to either side: what was verified says by how much. */
        const double missing = want->min_psnr_db - sq_quality_psnr(quality);
        const double next = predicted_psnr(&c->quant, range) + fmax(missing, 0.5);
        aim = fmax(aim, next);
        reach(&c->quant, range, aim);
        SQ_TRY(sq_trial_quality(c, &c->quant, true, quality, err));
        if (dearest(&c->quant) == UINT32_MAX) {
            break;
        }
    }
    if (!good_enough(quality, want)) {
        return sq_fail(err, SQUALL_E_LIMIT, "precision",
                       "%.1f dB and a loss of score of %.4f are what is reached with %" PRIu32
                       " of %" PRIu32 " layers in int8; %.1f dB and %.4f were asked for",
                       sq_quality_psnr(quality), sq_quality_loss(quality), count_on(&c->quant),
                       c->quant.layer_count, want->min_psnr_db, want->max_score_loss);
    }
    return SQUALL_OK;
}
