/* nn/compile/compile_trial.h - engines that are made to be tried: how far from float32 are they? */
#ifndef SQ_NN_COMPILE_COMPILE_TRIAL_H
#define SQ_NN_COMPILE_COMPILE_TRIAL_H

#include "nn/compile/compile_internal.h"
#include "nn/compile/compile_quant.h"
#include "nn/runtime/runtime.h"

/** An engine in memory, and a context of it. */
typedef struct sq_trial {
    unsigned char *bytes; /* owned */
    squall_engine *engine;
    squall_context *context;
    squall_tensor *outputs; /* owned, with data */
    uint32_t output_count;
} sq_trial;

/** Sums over samples. */
typedef struct sq_quality {
    double noise;     /* sum of squared differences */
    double heavy;     /* the same, large outputs counting up to four times */
    double low, high; /* of the outputs in float32 */
    uint64_t count;   /* numbers compared */
    size_t samples;
    double counts[3], counts_fp32[3]; /* of the score */
} sq_quality;
double sq_quality_psnr(const sq_quality *quality);
double sq_quality_score(const double counts[3]);
/** The share of the score that is lost; 0 without one. */
double sq_quality_loss(const sq_quality *quality);

/** All that a calibration works with. */
typedef struct sq_calibrator {
    sq_compile_job job; /* of trials: their options, graph, notes */
    squall_build_options options;
    squall_input_shape *shapes; /* owned; of the samples */
    const squall_calibration *given;
    size_t input_count;
    squall_tensor *reference; /* owned, [sample_count][output_count]: outputs in float32 */
    double (*counts)[3];      /* owned, [sample_count]: of their score */
    bool *held_out;           /* owned, [sample_count] */
    uint32_t output_count;
    sq_trial fp32;
    sq_quant quant;
    uint32_t *watched; /* owned, [values of the plan]: place in quant.values, or UINT32_MAX */
    uint32_t *probes;  /* owned, [probe_count]: samples that choices are made by */
    uint32_t probe_count;
    double run_s; /* of one run in float32 */
} sq_calibrator;

SQUALL_MUST_USE squall_status sq_trial_open(const sq_calibrator *c, const sq_quant *quant,
                                            sq_trial *out, squall_error *err);
void sq_trial_close(sq_trial *trial);
/** The same in float32 as it would be built, several nodes in one step. */
SQUALL_MUST_USE squall_status sq_trial_open_fused(const sq_calibrator *c, sq_trial *out,
                                                  squall_error *err);
/** Run a sample; `tap` may be NULL. */
SQUALL_MUST_USE squall_status sq_trial_run(const sq_calibrator *c, sq_trial *trial, size_t sample,
                                           sq_runtime_tap *tap, void *self, squall_error *err);
/** Add what the trial's outputs of a sample differ from float32 by. */
void sq_trial_judge(const sq_calibrator *c, const sq_trial *trial, size_t sample,
                    sq_quality *quality);
/** A trial of `quant` on the probes, or on the samples held out. */
SQUALL_MUST_USE squall_status sq_trial_quality(const sq_calibrator *c, const sq_quant *quant,
                                               bool held_out, sq_quality *quality,
                                               squall_error *err);

/** Choose the range of each value by what it does to the outputs, for at most `budget_s`. */
SQUALL_MUST_USE squall_status sq_calibrate_ranges(sq_calibrator *c, double budget_s,
                                                  squall_error *err);

/** Choose the layers: all that are not fixed, or as few in float32 as the options ask for; fills
 * `quality` by the samples held out. Prints the front of time against quality into notes. */
SQUALL_MUST_USE squall_status sq_calibrate_layers(sq_calibrator *c,
                                                  const squall_build_options *want, bool automatic,
                                                  sq_quality *quality, squall_error *err);

/** All of it: `quant` and `certificate` are given. `job` is that of the build. */
SQUALL_MUST_USE squall_status sq_calibrate(const sq_compile_job *job, sq_quant *quant,
                                           char **certificate, squall_error *err);

/** The certificate's text, given. */
SQUALL_MUST_USE squall_status sq_certificate_make(const sq_calibrator *c, const sq_quality *total,
                                                  char **out, squall_error *err);

#endif /* SQ_NN_COMPILE_COMPILE_TRIAL_H */
