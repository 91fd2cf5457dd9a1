/* nn/compile/compile_refit.c - new weights of the same graph into an engine that keeps its tactics.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/compile/compile_internal.h"
#include "nn/onnx/onnx.h"

/* The shapes that an engine was built for: each input once a profile; given. */
static squall_input_shape *list_shapes(const sq_engine_file *file, size_t *count)
{
    const uint32_t inputs = file->portable[0].input_count;
    squall_input_shape *shapes = sq_alloc((size_t)file->profile_count * inputs, sizeof *shapes);
    *count = 0;
    for (uint32_t p = 0; shapes != NULL && p < file->profile_count; p++) {
        const sq_plan *plan = &file->portable[p];
        for (uint32_t i = 0; i < inputs; i++) {
            const sq_plan_value *value = &plan->values[plan->inputs[i]];
            const sq_batch_range range = sq_engine_range(file, p, i);
            squall_input_shape *shape = &shapes[(*count)++];
            *shape = (squall_input_shape){.name = value->name,
                                          .rank = value->type.rank,
                                          .batch_min = range.min,
                                          .batch_max = range.max};
            memcpy(shape->dims, value->type.dims, sizeof shape->dims);
        }
    }
    return shapes;
}

/* What its tensors are kept in; layers in 8 bits are refused. */
static const char *precision_of(const sq_engine_file *file)
{
    static const char *const halves[] = {"fp16", "bf16"};
    for (size_t i = 0; file->command != NULL && i < sizeof halves / sizeof halves[0]; i++) {
        char option[32];
        snprintf(option, sizeof option, " --precision %s", halves[i]);
        if (strstr(file->command, option) != NULL) {
            return halves[i];
        }
    }
    return "fp32";
}

/* Packed weights are in the form of one instruction set: it must be this host's. */
static squall_status check_device(const sq_engine_file *old, squall_error *err)
{
    const char *here = sq_isa_name(sq_cpu_isa());
    if (old->certificate != NULL) {
        return sq_fail(err, SQUALL_E_MISMATCH, old->name,
                       "has layers in 8 bits, which are calibrated to its weights: build it again, "
                       "with --calib");
    }
    if (old->device != NULL && strcmp(old->isa, here) != 0) {
        return sq_fail(err, SQUALL_E_MISMATCH, old->name,
                       "was built for %s and this host has %s: its weights cannot be packed here; "
                       "refit it on such a host, or build it again",
                       old->isa, here);
    }
    return SQUALL_OK;
}

/* The refitted engine must do the very work of the old one. */
static squall_status check_same(const sq_engine_file *old, const unsigned char *bytes, size_t size,
                                const char *model, squall_error *err)
{
    sq_engine_file made;
    char why[320] = "";
    bool same;
    SQ_TRY(sq_engine_read(bytes, size, model, &made, err));
    same =
        made.profile_count == old->profile_count && (made.device != NULL) == (old->device != NULL);
    if (!same) {
        snprintf(why, sizeof why, "%" PRIu32 " profiles against %" PRIu32, old->profile_count,
                 made.profile_count);
    }
    for (uint32_t p = 0; same && p < old->profile_count; p++) {
        same = sq_plans_same(&old->portable[p], &made.portable[p], SQ_SAME_WORK, why, sizeof why) &&
               (old->device == NULL ||
                sq_plans_same(&old->device[p], &made.device[p], SQ_SAME_WORK, why, sizeof why));
    }
    sq_engine_free(&made);
    return same ? SQUALL_OK
                : sq_fail(err, SQUALL_E_MISMATCH, model,
                          "is not the graph that the engine was built from; the engine's against "
                          "this: %s; build it anew",
                          why);
}

static squall_status refit(const sq_engine_file *old, const char *model_path,
                           const char *engine_path, squall_build_report *report,
                           squall_notes *notes, squall_error *err)
{
    squall_status status;
    squall_build_options options, want;
    sq_model_hash hashing = {.path = NULL};
    unsigned char *bytes = NULL;
    size_t size = 0;
    sq_graph *graph = NULL;
    squall_build_options_init(&options);
    options.device = old->device != NULL ? "cpu" : "ref";
    options.threads = old->threads;
    options.recipe = old->recipe;
    options.no_winograd = old->command != NULL && strstr(old->command, " --no-winograd") != NULL;
    options.precision = precision_of(old);
    squall_input_shape *shapes = list_shapes(old, &options.shape_count);
    if (shapes == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, old->name, "no memory for its shapes");
    }
    options.shapes = shapes;
    SQ_TRY_GOTO(check_device(old, err));
    SQ_TRY_GOTO(sq_compile_read_options(&options, &want, err));
    sq_model_hash_begin(&hashing, model_path);
    SQ_TRY_GOTO(sq_onnx_read(model_path, &graph, notes, err));
    const sq_compile_job job = {.graph = graph,
                                .options = &want,
                                .optimise = true,
                                .model_hash = hashing.hash,
                                .hashing = &hashing,
                                .pinned = old,
                                .command = old->command,
                                .report = report,
                                .notes = notes};
    SQ_TRY_GOTO(sq_compile_run(&job, &bytes, &size, err));
    SQ_TRY_GOTO(check_same(old, bytes, size, model_path, err));
    SQ_TRY_GOTO(sq_file_write(engine_path, bytes, size, err));
done:
    sq_aside_end(&hashing.aside);
    sq_free(shapes);
    sq_free(bytes);
    sq_graph_destroy(&graph);
    return status;
}

squall_status squall_refit(const char *engine_path, const char *model_path, const char *out_path,
                           squall_build_report *report, squall_notes *notes, squall_error *err)
{
    const double start = sq_clock_s();
    sq_mapping mapping = {NULL, 0};
    squall_build_report made = {0};
    sq_engine_file old;
    SQ_TRY(sq_file_map(engine_path, SQ_LIMIT_FILE_BYTES, &mapping, err));
    squall_status status = sq_engine_read(mapping.data, mapping.size, engine_path, &old, err);
    if (status == SQUALL_OK) {
        status = refit(&old, model_path, out_path, &made, notes, err);
        sq_engine_free(&old);
    }
    sq_file_unmap(&mapping);
    made.seconds = sq_clock_s() - start;
    if (status == SQUALL_OK && report != NULL) {
        *report = made;
    }
    return status;
}
