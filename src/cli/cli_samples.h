/* cli/cli_samples.h - samples for numbers of 8 bits, from radar files through a recipe or from
 * .npy files. */
#ifndef SQ_CLI_CLI_SAMPLES_H
#define SQ_CLI_CLI_SAMPLES_H

#include "cli/cli.h"
#include "nn/tensor/tensor.h"
#include "squall/calibrate.h"

/* What was asked for. */
typedef struct cli_samples_options {
    cli_list paths;    /* --calib: folders */
    const char *cover; /* --calib-cover: aspects of the weather, with commas between */
    int32_t samples, size, every_s, least;
    bool allow_thin;
    int32_t threads;
} cli_samples_options;
void cli_samples_init(cli_samples_options *options);

/* The samples; everything owned. */
typedef struct cli_samples {
    squall_calibration given;                  /* what squall_build() takes */
    squall_tensor *inputs, *targets, *weights; /* [count]; the latter NULL without a recipe */
    char **groups;                             /* [count] */
    unsigned char *held_out;                   /* [count] */
    char *record;
    size_t count, capacity;
    float threshold; /* of the score, as the network has it */
} cli_samples;

/** Read them. `recipe` is the text of one, or NULL for a folder of .npy files.
 * SQUALL_E_NO_DATA names the strata of weather that are empty or thin. */
squall_status cli_samples_open(const cli_samples_options *options, const cli_input *input,
                               const char *recipe, size_t recipe_length, squall_notes *notes,
                               cli_samples *out, squall_error *err);
void cli_samples_close(cli_samples *calibration);

/* For the files of this part alone. */
bool cli_samples_grow(cli_samples *calibration);
squall_status cli_samples_radar(const cli_samples_options *options, const cli_input *input,
                                const char *recipe, size_t recipe_length, squall_notes *notes,
                                cli_samples *out, squall_error *err);

#endif /* SQ_CLI_CLI_SAMPLES_H */
