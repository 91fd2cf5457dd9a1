/* cli/cli_compare.h - what the files of squall compare share. */
#ifndef SQ_CLI_CLI_COMPARE_H
#define SQ_CLI_CLI_COMPARE_H

#include "cli/cli_engine.h"
#include "cli/cli_score.h"
#include "squall/compare.h"

/* What was asked for on the command line. */
typedef struct cli_compare_request {
    const char *data;
    cli_list inputs, references;
    int32_t threads;
    double min_psnr_db;
    bool layers, json;
    cli_engine open;
    /* Of a folder of radar files. */
    int32_t every, scale, tolerance;
    double threshold;
    cli_list sources;
    cli_input input;
} cli_compare_request;

/* One run's materials. */
typedef struct cli_comparing {
    const cli_compare_request *want;
    squall_engine *engine;
    squall_comparison *comparison;
    squall_notes *notes;
    size_t samples;
    /* Of a folder of radar files; `rows` is NULL without one. */
    cli_scores scores;
    int32_t *leads_s; /* owned */
} cli_comparing;

/** Add the tensors of --input, and what another runtime gave for them. */
SQUALL_MUST_USE squall_status cli_compare_inputs(cli_comparing *c, squall_error *err);

/** Whether a folder holds samples as .npy files. */
bool cli_compare_has_samples(const char *folder);

/** Add every sample of a folder, by name. */
SQUALL_MUST_USE squall_status cli_compare_folder(cli_comparing *c, squall_error *err);

/** Add a sample for each issue time of a folder of radar files, made by the engine's recipe, and
 * score what the engine and the model make of it against what the radar saw. */
SQUALL_MUST_USE squall_status cli_compare_radar(cli_comparing *c, squall_error *err);

#endif /* SQ_CLI_CLI_COMPARE_H */
