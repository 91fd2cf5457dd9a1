/* nn/compile/compile_build.c - from a model's file to an engine's: the order of the work. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/compile/compile_internal.h"
#include "nn/compile/compile_tactics.h"
#include "nn/compile/compile_trial.h"
#include "nn/onnx/onnx.h"
#include "nn/runtime/runtime.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

void squall_build_options_init(squall_build_options *options)
{
    memset(options, 0, sizeof *options);
    options->struct_size = (uint32_t)sizeof *options;
    options->device = "cpu";
    options->precision = "fp32";
}

static squall_status check_options(const squall_build_options *options, squall_error *err)
{
    sq_target target;
    SQ_TRY(sq_compile_target(options, &target, err));
    if (options->threads < 0 || options->threads > SQ_POOL_THREADS ||
        sq_compile_profiles(options) > SQ_LIMIT_PROFILES) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "squall_build_options",
                       "%" PRId32 " threads (0 to %d), %" PRIu32 " profiles (at most %d)",
                       options->threads, SQ_POOL_THREADS, sq_compile_profiles(options),
                       SQ_LIMIT_PROFILES);
    }
    for (size_t i = 0; i < options->bucket_count; i++) {
        if (options->buckets[i].height < 1 || options->buckets[i].width < 1) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "bucket",
                           "%" PRId64 " x %" PRId64 " is no grid; both must be at least 1",
                           options->buckets[i].height, options->buckets[i].width);
        }
    }
    if (!(options->tune_seconds >= 0) ||
        (options->tactics_strict && options->tactics_path == NULL)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "tactics",
                       "%g s to tune (at least 0), %s file of times; strict needs one",
                       options->tune_seconds, options->tactics_path != NULL ? "a" : "no");
    }
    if (options->recipe != NULL && strlen(options->recipe) > SQ_LIMIT_RECIPE) {
        return sq_fail(err, SQUALL_E_LIMIT, "recipe", "has %zu bytes, at most %zu are kept",
                       strlen(options->recipe), SQ_LIMIT_RECIPE);
    }
    return SQUALL_OK;
}

squall_status sq_compile_read_options(const squall_build_options *given, squall_build_options *out,
                                      squall_error *err)
{
    squall_build_options_init(out);
    if (given != NULL) {
        if (given->struct_size < sizeof given->struct_size) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "squall_build_options",
                           "was not set up by squall_build_options_init()");
        }
        memcpy(out, given, given->struct_size < sizeof *out ? given->struct_size : sizeof *out);
    }
    out->precision = out->precision != NULL ? out->precision : "fp32";
    SQ_TRY(check_options(out, err));
    if (out->threads == 0) {
        const int processors = sq_cpu_count();
        out->threads = processors < SQ_POOL_THREADS ? processors : SQ_POOL_THREADS;
    }
    return SQUALL_OK;
}

static uint32_t count_running(const sq_plan *plan)
{
    uint32_t count = 0;
    for (uint32_t s = 0; s < plan->step_count; s++) {
        count += plan->steps[s].backend != SQ_PLAN_VIEW;
    }
    return count;
}

static void fill_report(const sq_engine_file *file, squall_build_report *report)
{
    const sq_plan *plans = file->device != NULL ? file->device : file->portable;
    report->steps_out = count_running(&plans[0]);
    report->macs = plans[0].macs;
    report->weight_bytes = file->weight_bytes;
    report->profile_count = file->profile_count;
    for (uint32_t p = 0; p < file->profile_count; p++) {
        if (plans[p].arena_bytes > report->arena_bytes) {
            report->arena_bytes = plans[p].arena_bytes;
        }
        if (plans[p].arena_bound_bytes > report->arena_bound_bytes) {
            report->arena_bound_bytes = plans[p].arena_bound_bytes;
        }
    }
}

static void add_shape(sq_text *text, const squall_input_shape *shape)
{
    const bool range = shape->batch_max > 0;
    sq_text_add(text, " --%s %.200s%s", range ? "profile" : "shape",
                shape->name != NULL ? shape->name : "", shape->name != NULL ? "=" : "");
    for (uint32_t d = 0; d < shape->rank; d++) {
        if (d == 0 && range) {
            sq_text_add(text, "%" PRId64 ":%" PRId64 ":%" PRId64, shape->batch_min, shape->dims[0],
                        shape->batch_max);
        } else {
            sq_text_add(text, "%s%" PRId64, d > 0 ? "x" : "", shape->dims[d]);
        }
    }
}

/* The build as a command, without the names of files: the same inputs give the same bytes. Cut
 * where an engine would not hold it. */
static char *describe(const squall_build_options *options)
{
    sq_text text = {0};
    sq_text_add(&text, "squall build --device %s --threads %" PRId32, options->device,
                options->threads);
    if (options->no_winograd) {
        sq_text_add(&text, " --no-winograd");
    }
    for (size_t i = 0; i < options->shape_count; i++) {
        add_shape(&text, &options->shapes[i]);
    }
    for (size_t i = 0; i < options->bucket_count; i++) {
        sq_text_add(&text, " --bucket %" PRId64 "x%" PRId64, options->buckets[i].height,
                    options->buckets[i].width);
    }
    if (options->precision != NULL && strcmp(options->precision, "fp32") != 0) {
        sq_text_add(&text, " --precision %s", options->precision);
    }
    if (options->memory_limit_bytes > 0) {
        sq_text_add(&text, " --memory-limit %zu", options->memory_limit_bytes);
    }
    if (options->tune_seconds > 0 || options->tactics_path != NULL) {
        sq_text_add(&text, " --tactics FILE");
    }
    char *command = text.failed ? NULL : sq_strdup(text.data);
    if (command != NULL && strlen(command) > SQ_LIMIT_NAME) {
        command[SQ_LIMIT_NAME] = '\0';
    }
    sq_text_free(&text);
    return command;
}

/* Texts of the file that are not the graph's to give. */
static squall_status name_file(const sq_compile_job *job, const sq_target *target,
                               sq_engine_file *file, squall_error *err)
{
    const squall_build_options *options = job->options;
    file->threads = file->device != NULL ? options->threads : 0;
    file->isa = sq_strdup(file->device != NULL ? target->isa : "");
    file->model_name = sq_strdup(job->graph->name != NULL ? job->graph->name : "");
    file->squall_version = sq_strdup(SQUALL_PROJECT_VERSION);
    file->compiler = sq_strdup(COMPILER);
    file->command = job->command != NULL ? sq_strdup(job->command) : describe(options);
    file->certificate = job->certificate != NULL ? sq_strdup(job->certificate) : NULL;
    file->recipe = options->recipe != NULL ? sq_strdup(options->recipe) : NULL;
    if (file->isa == NULL || file->model_name == NULL || file->squall_version == NULL ||
        file->compiler == NULL || file->command == NULL ||
        (job->certificate != NULL && file->certificate == NULL) ||
        (options->recipe != NULL && file->recipe == NULL)) {
        return sq_fail(err, SQUALL_E_MEMORY, job->graph->name, "no memory for its names");
    }
    return SQUALL_OK;
}

squall_status sq_compile_run(const sq_compile_job *job, unsigned char **bytes, size_t *size,
                             squall_error *err)
{
    squall_status status;
    sq_weights weights = {0};
    sq_engine_file file = {0}, check;
    unsigned char *made = NULL, *kernels = NULL;
    size_t weight_bytes = 0, made_bytes = 0, kernel_bytes = 0;
    sq_target target;
    SQ_TRY_GOTO(sq_compile_target(job->options, &target, err));
    SQ_TRY_GOTO(sq_compile_profiles_build(job, &target, &weights, &file, err));
    SQ_TRY_GOTO(name_file(job, &target, &file, err));
    if (file.device != NULL) {
        SQ_TRY_GOTO(sq_compile_kernels(&target, &file, &kernels, &kernel_bytes, err));
    }
    file.kernels = kernels;
    file.kernel_bytes = kernel_bytes;
    for (uint32_t p = 0; p < file.profile_count; p++) {
        sq_weights_use(&weights, &file.portable[p]);
        if (file.device != NULL) {
            sq_weights_use(&weights, &file.device[p]);
        }
    }
    SQ_TRY_GOTO(sq_weights_lay_out(&weights, &weight_bytes, err));
    for (uint32_t p = 0; p < file.profile_count; p++) {
        sq_compile_set_weights(&file.portable[p], &weights);
        if (file.device != NULL) {
            sq_compile_set_weights(&file.device[p], &weights);
        }
    }
    if (job->hashing != NULL) {
        SQ_TRY_GOTO(sq_model_hash_end(job->hashing, err));
    }
    memcpy(file.model_hash, job->model_hash, SQ_HASH_BYTES);
    file.fill_weights = sq_weights_fill;
    file.filler = &weights;
    file.weight_bytes = weight_bytes;
    SQ_TRY_GOTO(sq_engine_write(&file, &made, &made_bytes, err));
    fill_report(&file, job->report);
    job->report->nodes_in = job->graph->node_count;
    job->report->file_bytes = made_bytes;
    /* An engine that this very version would refuse to open is never handed out. */
    SQ_TRY_GOTO(sq_engine_read(made, made_bytes,
                               job->graph->name != NULL ? job->graph->name : "engine", &check,
                               err));
    sq_engine_free(&check);
    SQ_TRY_GOTO(sq_runtime_trust_kernels(kernels, kernel_bytes, err));
    *bytes = made;
    *size = made_bytes;
    made = NULL;
done:
    sq_free(made);
    sq_free(kernels);
    sq_weights_free(&weights);
    sq_engine_free(&file);
    return status;
}

squall_status sq_compile_graph(const sq_graph *graph, const squall_build_options *options,
                               bool optimise, const unsigned char *model_hash,
                               unsigned char **bytes, size_t *size, squall_build_report *report,
                               squall_notes *notes, squall_error *err)
{
    const sq_compile_job job = {.graph = graph,
                                .options = options,
                                .optimise = optimise,
                                .model_hash = model_hash,
                                .report = report,
                                .notes = notes};
    return sq_compile_run(&job, bytes, size, err);
}

static void hash_model(void *self)
{
    sq_model_hash *hashing = self;
    sq_mapping mapping;
    hashing->status = sq_file_map(hashing->path, SQ_LIMIT_FILE_BYTES, &mapping, &hashing->err);
    if (hashing->status == SQUALL_OK) {
        sq_hash(mapping.data, mapping.size, hashing->hash);
        sq_file_unmap(&mapping);
    }
}

void sq_model_hash_begin(sq_model_hash *hashing, const char *path)
{
    *hashing = (sq_model_hash){.path = path};
    hashing->aside = sq_aside_begin(hash_model, hashing);
}

squall_status sq_model_hash_end(sq_model_hash *hashing, squall_error *err)
{
    sq_aside_end(&hashing->aside);
    return hashing->status == SQUALL_OK
               ? SQUALL_OK
               : sq_fail(err, hashing->status, hashing->err.where, "%s", hashing->err.text);
}

/* Times as the options ask for them: from the file, when there is one yet. */
static squall_status open_times(const squall_build_options *options, sq_times *times,
                                squall_error *err)
{
    if (options->tactics_path == NULL) {
        return SQUALL_OK;
    }
    squall_error problem;
    const squall_status status = sq_times_read(times, options->tactics_path, &problem);
    if (status == SQUALL_OK || (status == SQUALL_E_IO && options->tune_seconds > 0)) {
        return SQUALL_OK; /* the first build makes it */
    }
    return sq_fail(err, status, problem.where, "%s", problem.text);
}

/* The job with a chooser by measured time around it. */
static squall_status run_tuned(sq_compile_job *job, unsigned char **bytes, size_t *size,
                               squall_error *err)
{
    const squall_build_options *options = job->options;
    char device[160];
    sq_times times = {0};
    sq_tuner tuner = {.device = sq_device_key(options->threads, device, sizeof device),
                      .build = SQUALL_PROJECT_VERSION ", " COMPILER,
                      .threads = options->threads,
                      .times = &times,
                      .path = options->tactics_path,
                      .budget_s = options->tactics_strict ? 0 : options->tune_seconds,
                      .clock_s = sq_clock_s,
                      .measure = sq_measure_run,
                      .strict = options->tactics_strict != 0,
                      .missing = job->notes};
    squall_status status = open_times(options, &times, err);
    if (status == SQUALL_OK) {
        job->choose = sq_choose_tuned;
        job->chooser = &tuner;
        status = sq_compile_run(job, bytes, size, err);
        job->choose = NULL;
        job->chooser = NULL;
    }
    if (status == SQUALL_OK && tuner.strict && tuner.guessed > 0) {
        sq_free(*bytes);
        *bytes = NULL;
        status = sq_fail(err, SQUALL_E_MISMATCH, options->tactics_path,
                         "holds no time for %" PRIu32 " steps on this device (%s) by this squall "
                         "(%s); the notes say which: tune without --tactics-strict, or merge a "
                         "file that has them",
                         tuner.guessed, device, tuner.build);
    }
    job->report->tactics_measured = tuner.measured;
    job->report->steps_by_time = tuner.known;
    job->report->steps_by_guess = tuner.guessed;
    job->report->tuned_s = tuner.spent_s;
    sq_times_free(&times);
    return status;
}

squall_status squall_build(const char *model_path, const squall_build_options *options,
                           const char *engine_path, squall_build_report *report,
                           squall_notes *notes, squall_error *err)
{
    const double start = sq_clock_s();
    squall_status status;
    squall_build_options want;
    squall_build_report made = {0};
    sq_model_hash hashing = {.path = NULL};
    unsigned char *bytes = NULL;
    size_t size = 0;
    sq_graph *graph = NULL;
    sq_quant quant = {.value_count = 0};
    char *certificate = NULL;
    SQ_TRY(sq_compile_read_options(options, &want, err));
    sq_model_hash_begin(&hashing, model_path);
    SQ_TRY_GOTO(sq_onnx_read(model_path, &graph, notes, err));
    sq_compile_job job = {.graph = graph,
                          .options = &want,
                          .optimise = true,
                          .model_hash = hashing.hash,
                          .hashing = &hashing,
                          .report = &made,
                          .notes = notes};
    if (strcmp(want.precision, "int8") == 0 || strcmp(want.precision, "auto") == 0) {
        SQ_TRY_GOTO(sq_calibrate(&job, &quant, &certificate, err));
        job.quant = &quant;
        job.certificate = certificate;
    }
    const bool tuned = want.tune_seconds > 0 || want.tactics_path != NULL;
    SQ_TRY_GOTO(tuned ? run_tuned(&job, &bytes, &size, err)
                      : sq_compile_run(&job, &bytes, &size, err));
    SQ_TRY_GOTO(sq_file_write(engine_path, bytes, size, err));
    made.seconds = sq_clock_s() - start;
    if (report != NULL) {
        *report = made;
    }
done:
    sq_aside_end(&hashing.aside);
    sq_free(bytes);
    sq_free(certificate);
    sq_quant_free(&quant);
    sq_graph_destroy(&graph);
    return status;
}

squall_status squall_tactics_merge(const char *const *paths, size_t path_count,
                                   const char *out_path, size_t *total, squall_error *err)
{
    sq_times times = {0};
    squall_status status = SQUALL_OK;
    for (size_t i = 0; i < path_count && status == SQUALL_OK; i++) {
        status = sq_times_read(&times, paths[i], err);
    }
    if (status == SQUALL_OK) {
        status = sq_times_write(&times, out_path, err);
    }
    if (status == SQUALL_OK && total != NULL) {
        *total = times.count;
    }
    sq_times_free(&times);
    return status;
}
