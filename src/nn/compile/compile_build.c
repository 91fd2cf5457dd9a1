/* nn/compile/compile_build.c - from a model's file to an engine's: the order of the work. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/compile/compile_internal.h"
#include "nn/onnx/onnx.h"
#include "nn/ref/ref.h"
#include "nn/runtime/runtime.h"

void squall_build_options_init(squall_build_options *options)
{
    memset(options, 0, sizeof *options);
    options->struct_size = (uint32_t)sizeof *options;
    options->device = "cpu";
}

/* Take over the members that the caller's version of the struct has, and fill the open ones. */
static squall_status read_options(const squall_build_options *given, squall_build_options *out,
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
    if (out->device == NULL ||
        (strcmp(out->device, "cpu") != 0 && strcmp(out->device, "ref") != 0)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "device", "'%s' is not known; use cpu or ref",
                       out->device != NULL ? out->device : "");
    }
    if (out->threads < 0 || out->threads > SQ_POOL_THREADS ||
        sq_compile_profiles(out) > SQ_LIMIT_PROFILES) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "squall_build_options",
                       "%" PRId32 " threads (0 to %d), %" PRIu32 " shapes for one input (at most "
                       "%d)",
                       out->threads, SQ_POOL_THREADS, sq_compile_profiles(out), SQ_LIMIT_PROFILES);
    }
    if (out->recipe != NULL && strlen(out->recipe) > SQ_LIMIT_RECIPE) {
        return sq_fail(err, SQUALL_E_LIMIT, "recipe", "has %zu bytes, at most %zu are kept",
                       strlen(out->recipe), SQ_LIMIT_RECIPE);
    }
    if (out->threads == 0) {
        const int processors = sq_cpu_count();
        out->threads = processors < SQ_POOL_THREADS ? processors : SQ_POOL_THREADS;
    }
    return SQUALL_OK;
}

/* One profile: a graph with its shapes, then the portable plan and the device's. */
static squall_status build_profile(const sq_graph *graph, const squall_build_options *options,
                                   bool optimise, uint32_t profile, sq_weights *weights,
                                   sq_engine_file *file, uint32_t *fallbacks, uint32_t *on_cpu,
                                   squall_notes *notes, squall_error *err)
{
    sq_graph *copy = NULL;
    const sq_backend *cpu =
        strcmp(options->device, "cpu") == 0 ? sq_runtime_backend(SQ_BACKEND_CPU) : NULL;
    squall_notes *said = profile == 0 ? notes : NULL; /* the others would say the same */
    sq_lowering portable = {.backends = {&sq_ref_backend},
                            .threads = options->threads,
                            .weights = weights};
    sq_lowering device = {.backends = {cpu, &sq_ref_backend},
                          .threads = options->threads,
                          .weights = weights,
                          .notes = said};
    squall_status status = sq_graph_copy(graph, &copy, err);
    if (status != SQUALL_OK) {
        return status;
    }
    SQ_TRY_GOTO(sq_compile_set_shapes(copy, options, profile, err));
    SQ_TRY_GOTO(sq_graph_infer(copy, sq_ref_evaluate, err));
    if (optimise) {
        SQ_TRY_GOTO(sq_graph_optimise(copy, sq_ref_evaluate, said, err));
    }
    SQ_TRY_GOTO(sq_compile_lower(copy, &portable, notes, &file->portable[profile], err));
    if (cpu != NULL) {
        SQ_TRY_GOTO(sq_compile_lower(copy, &device, notes, &file->device[profile], err));
        *fallbacks = device.fallbacks;
        *on_cpu += device.first;
    }
done:
    sq_graph_destroy(&copy);
    return status;
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
    for (uint32_t p = 0; p < file->profile_count; p++) {
        if (plans[p].arena_bytes > report->arena_bytes) {
            report->arena_bytes = plans[p].arena_bytes;
        }
        if (plans[p].arena_bound_bytes > report->arena_bound_bytes) {
            report->arena_bound_bytes = plans[p].arena_bound_bytes;
        }
    }
}

/* A device plan in which nothing runs on the device is not worth its bytes. */
static void drop_device(sq_engine_file *file)
{
    for (uint32_t p = 0; file->device != NULL && p < file->profile_count; p++) {
        sq_plan_free(&file->device[p]);
    }
    sq_free(file->device);
    file->device = NULL;
}

static squall_status build_plans(const sq_graph *graph, const squall_build_options *options,
                                 bool optimise, sq_weights *weights, sq_engine_file *file,
                                 squall_build_report *report, squall_notes *notes,
                                 squall_error *err)
{
    uint32_t on_cpu = 0;
    file->profile_count = sq_compile_profiles(options);
    file->portable = sq_alloc(file->profile_count, sizeof *file->portable);
    file->device = sq_alloc(file->profile_count, sizeof *file->device);
    if (file->portable == NULL || file->device == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, graph->name, "no memory for its plans");
    }
    for (uint32_t p = 0; p < file->profile_count; p++) {
        uint32_t fallbacks = 0;
        SQ_TRY(build_profile(graph, options, optimise, p, weights, file, &fallbacks, &on_cpu, notes,
                             err));
        report->steps_on_ref = p == 0 ? fallbacks : report->steps_on_ref;
    }
    if (on_cpu > 0) {
        return SQUALL_OK;
    }
    drop_device(file);
    if (strcmp(options->device, "cpu") == 0) {
        sq_note(notes, graph->name,
                "no step has a kernel for this processor; the engine has the portable plan alone");
    }
    return SQUALL_OK;
}

/* Texts of the file that are not the graph's to give. */
static squall_status name_file(const sq_graph *graph, const squall_build_options *options,
                               sq_engine_file *file, squall_error *err)
{
    file->threads = file->device != NULL ? options->threads : 0;
    file->isa = sq_strdup(file->device != NULL ? sq_isa_name(sq_cpu_isa()) : "");
    file->model_name = sq_strdup(graph->name != NULL ? graph->name : "");
    file->squall_version = sq_strdup(SQUALL_PROJECT_VERSION);
    file->recipe = options->recipe != NULL ? sq_strdup(options->recipe) : NULL;
    if (file->isa == NULL || file->model_name == NULL || file->squall_version == NULL ||
        (options->recipe != NULL && file->recipe == NULL)) {
        return sq_fail(err, SQUALL_E_MEMORY, graph->name, "no memory for its names");
    }
    return SQUALL_OK;
}

squall_status sq_compile_graph(const sq_graph *graph, const squall_build_options *options,
                               bool optimise, const unsigned char *model_hash,
                               unsigned char **bytes, size_t *size, squall_build_report *report,
                               squall_notes *notes, squall_error *err)
{
    squall_status status;
    sq_weights weights = {0};
    sq_engine_file file = {0}, check;
    unsigned char *blob = NULL, *made = NULL;
    size_t blob_bytes = 0, made_bytes = 0;
    SQ_TRY_GOTO(build_plans(graph, options, optimise, &weights, &file, report, notes, err));
    SQ_TRY_GOTO(name_file(graph, options, &file, err));
    memcpy(file.model_hash, model_hash, SQ_HASH_BYTES);
    SQ_TRY_GOTO(sq_weights_lay_out(&weights, &blob, &blob_bytes, err));
    for (uint32_t p = 0; p < file.profile_count; p++) {
        sq_compile_set_weights(&file.portable[p], &weights);
        if (file.device != NULL) {
            sq_compile_set_weights(&file.device[p], &weights);
        }
    }
    file.weights = blob;
    file.weight_bytes = blob_bytes;
    SQ_TRY_GOTO(sq_engine_write(&file, &made, &made_bytes, err));
    fill_report(&file, report);
    report->nodes_in = graph->node_count;
    report->file_bytes = made_bytes;
    /* An engine that this very version would refuse to open is never handed out. */
    SQ_TRY_GOTO(sq_engine_read(made, made_bytes, graph->name != NULL ? graph->name : "engine",
                               &check, err));
    sq_engine_free(&check);
    *bytes = made;
    *size = made_bytes;
    made = NULL;
done:
    file.weights = NULL;
    sq_free(made);
    sq_free(blob);
    sq_weights_free(&weights);
    sq_engine_free(&file);
    return status;
}

/* SHA-256 of the model's file. */
static squall_status hash_model(const char *path, unsigned char *out, squall_error *err)
{
    sq_mapping mapping;
    SQ_TRY(sq_file_map(path, SQ_LIMIT_FILE_BYTES, &mapping, err));
    sq_hash(mapping.data, mapping.size, out);
    sq_file_unmap(&mapping);
    return SQUALL_OK;
}

squall_status squall_build(const char *model_path, const squall_build_options *options,
                           const char *engine_path, squall_build_report *report,
                           squall_notes *notes, squall_error *err)
{
    const double start = sq_clock_s();
    squall_status status;
    squall_build_options want;
    squall_build_report made = {0};
    unsigned char hash[SQ_HASH_BYTES];
    unsigned char *bytes = NULL;
    size_t size = 0;
    sq_graph *graph = NULL;
    SQ_TRY(read_options(options, &want, err));
    SQ_TRY(hash_model(model_path, hash, err));
    SQ_TRY_GOTO(sq_onnx_read(model_path, &graph, notes, err));
    SQ_TRY_GOTO(sq_compile_graph(graph, &want, true, hash, &bytes, &size, &made, notes, err));
    SQ_TRY_GOTO(sq_file_write(engine_path, bytes, size, err));
    made.seconds = sq_clock_s() - start;
    if (report != NULL) {
        *report = made;
    }
done:
    sq_free(bytes);
    sq_graph_destroy(&graph);
    return status;
}
