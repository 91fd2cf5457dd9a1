/* ops/pipeline/pipeline_private.h - what the files of the room share. */
#ifndef SQ_OPS_PIPELINE_PIPELINE_PRIVATE_H
#define SQ_OPS_PIPELINE_PIPELINE_PRIVATE_H

#include <jansson.h>

#include "ops/pipeline/pipeline.h"

enum { SQ_PIPELINE_TEXT = 512, SQ_PIPELINE_PATH = 1024, SQ_PIPELINE_ARGUMENTS = 48 };

/* Every key of the configuration: name, default (NULL: must be given), what it is. */
#define SQ_PIPELINE_KEYS(X)                                                                        \
    X(name, NULL, "model in the repository")                                                       \
    X(work, NULL, "folder of everything that the stages make; made when it is not there")          \
    X(archive, NULL, "folder of radar files")                                                      \
    X(recipe, NULL, "feature recipe")                                                              \
    X(window, "", "part of the grid, `COL,ROW,WIDTH,HEIGHT`, as the service's region has it")      \
    X(train_from, NULL, "first time to train on")                                                  \
    X(train_to, NULL, "last time to train on; what is forecast from it ends before evaluation")    \
    X(validate_from, NULL, "first time that chooses the best step of the training")                \
    X(validate_to, NULL, "last one; before evaluation, too")                                       \
    X(evaluate_from, NULL, "first issue time of the skill that decides")                           \
    X(evaluate_to, NULL, "last one")                                                               \
    X(guard, "", "folder of older radar files on which nothing may be forgotten; empty: none")     \
    X(every_s, "1800", "seconds between the issue times that skill is found on")                   \
    X(dataset_command, "", "instead of `training/train dataset`")                                  \
    X(train_command, "", "instead of `training/train fit`; leaves `$PIPELINE_WORK/training/`")     \
    X(train_options, "--steps 2000", "for `training/train fit`")                                   \
    X(export_command, "", "instead of `training/train export`; makes `training/model.onnx`")       \
    X(weights, "", "weights to start from; `last`: those of the run before, where there are any")  \
    X(targets, "cpu", "devices to build for, with commas: `cpu`, `cuda:sm_90a`, ...")              \
    X(precision, "fp32", "of processors: `fp32`, or `int8` and `auto`, calibrated on the archive") \
    X(build_options, "", "further options of `squall build`")                                      \
    X(min_psnr_db, "40", "of the engine against its model, on the archive")                        \
    X(compare_every_s, "3600", "seconds between the issue times that it is compared on")           \
    X(max_csi_loss, "0.02", "CSI may be so much lower than that of the version in service")        \
    X(min_csi_gain, "0", "over extrapolation, mean over lead times; below 0 it may be lower")      \
    X(repository, NULL, "model repository")                                                        \
    X(roots, NULL, "its root keys")                                                                \
    X(train_key, NULL, "secret key of role train")                                                 \
    X(release_key, "", "secret key of role release; empty: people approve, nothing is started")    \
    X(socket, "", "Unix socket of the service; empty: nothing is started")                         \
    X(engine, "", "engine of the service that gets the version")                                   \
    X(steps, "", "steps of the rollout; empty: the service's")                                     \
    X(data, NULL, "card: whose data, as their licences ask")                                       \
    X(licence, NULL, "card: of the model")

typedef struct sq_pipeline_config {
#define X(key, standard, help) char key[SQ_PIPELINE_TEXT];
    SQ_PIPELINE_KEYS(X)
#undef X
} sq_pipeline_config;

typedef struct sq_pipeline {
    sq_pipeline_config c;
    char path[SQ_PIPELINE_PATH], program[SQ_PIPELINE_PATH];
    char hash[SQ_HASH_TEXT]; /* of the configuration */
    sq_log *log;
    json_t *state;     /* owned; {"stages": {NAME: {inputs, outputs, seconds, time, detail}}} */
    json_t *detail;    /* owned; what the stage that runs says of itself */
    const char *stage; /* that runs */
} sq_pipeline;

/** One stage. `folder` (in the work folder) holds what it makes; NULL for nothing. */
typedef struct sq_pipeline_stage {
    const char *name, *folder;
    squall_status (*run)(sq_pipeline *pipeline, squall_error *err);
} sq_pipeline_stage;
extern const sq_pipeline_stage sq_pipeline_stages[];
extern const size_t sq_pipeline_stage_count;

SQUALL_MUST_USE squall_status sq_pipeline_read(const char *path, sq_pipeline_config *out,
                                               char *hash, squall_error *err);
/** WORK/name; returns `out`, SQ_PIPELINE_PATH bytes. */
char *sq_pipeline_path(const sq_pipeline *pipeline, const char *name, char *out);
/** Run a command of the shell (`command`), or the squall program (NULL-ended arguments behind its
 * name); what it says goes to WORK/log/STAGE. `*out` (optional) is given: its stdout as JSON.
 * SQUALL_E_DEVICE with its last words when it does not end with 0. */
SQUALL_MUST_USE squall_status sq_pipeline_shell(sq_pipeline *pipeline, const char *command,
                                                squall_error *err);
SQUALL_MUST_USE squall_status sq_pipeline_squall(sq_pipeline *pipeline,
                                                 const char *const *arguments, json_t **out,
                                                 squall_error *err);
/** report.html and report.json of the state. */
SQUALL_MUST_USE squall_status sq_pipeline_report(const sq_pipeline *pipeline, const char *failed,
                                                 const squall_error *why, char *path,
                                                 squall_error *err);

#endif /* SQ_OPS_PIPELINE_PIPELINE_PRIVATE_H */
