/* nn/compile/compile_profile.c - the plans of every profile, and whether one plan is good for a
 * whole range of batches. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/compile/compile_explain.h"
#include "nn/compile/compile_internal.h"
#include "nn/compile/compile_quant.h"
#include "nn/ref/ref.h"

/* What the plans are made with. */
typedef struct maker {
    const sq_compile_job *job;
    sq_weights *weights;
    sq_engine_file *file;
    const sq_target *target;
    const sq_backend *cpu; /* of the target; NULL: the portable plan alone */
    uint32_t on_cpu;       /* steps on it, over all profiles */
} maker;

/* The plans of a profile at one of its batches. */
typedef struct pair {
    sq_plan portable, device;
    uint32_t fallbacks, on_cpu;
} pair;

static void pair_free(pair *made)
{
    sq_plan_free(&made->portable);
    sq_plan_free(&made->device);
}

/* A context's memory under the plan that is run here. */
static uint64_t memory_of(const maker *make, const pair *made)
{
    const sq_plan *plan = make->cpu != NULL ? &made->device : &made->portable;
    return plan->arena_bytes + plan->scratch_bytes;
}

static squall_status dump_changed(void *self, const sq_graph *graph, const char *pass,
                                  squall_error *err)
{
    return sq_dump_graph(self, graph, pass, err);
}

/* The passes, watched where they are to be seen; then the layers in 8 bits. */
static squall_status optimise(const sq_compile_job *job, sq_graph *graph, bool speak,
                              squall_error *err)
{
    sq_dump dump = {.folder = speak ? job->options->dump_folder : NULL};
    const sq_graph_watch watch = {.self = &dump, .changed = dump_changed};
    const sq_graph_watch *seen = dump.folder != NULL ? &watch : NULL;
    squall_notes *notes = speak ? job->notes : NULL;
    const bool gpu = strncmp(job->options->device, "cuda", 4) == 0;
    if (dump.folder != NULL) {
        SQ_TRY(sq_dump_graph(&dump, graph, "model", err));
    }
    if (job->optimise) {
        const bool half = gpu && strcmp(job->options->precision, "fp16") == 0;
        SQ_TRY((half ? sq_graph_optimise : sq_graph_optimise_integers)(graph, sq_ref_evaluate, seen,
                                                                       notes, err));
    }
    if (job->quant != NULL) {
        SQ_TRY(sq_quant_apply(graph, job->quant, err));
    }
    const sq_fusing fusing = gpu                              ? SQ_FUSE_GPU
                             : job->options->no_winograd == 0 ? SQ_FUSE_CPU
                                                              : SQ_FUSE_CPU_PLAIN;
    return !job->optimise || job->apart
               ? SQUALL_OK
               : sq_graph_fuse(graph, fusing, sq_ref_evaluate, seen, notes, err);
}

squall_status sq_compile_prepare(const sq_compile_job *job, uint32_t profile, sq_batch which,
                                 bool speak, sq_graph **out, squall_error *err)
{
    squall_status status;
    sq_graph *copy = NULL;
    SQ_TRY(sq_graph_copy(job->graph, &copy, err));
    SQ_TRY_GOTO(sq_compile_set_shapes(copy, job->options, profile, which, err));
    if (speak && job->options->explanation != NULL) {
        SQ_TRY_GOTO(sq_graph_trace(copy, err));
    }
    SQ_TRY_GOTO(sq_graph_infer(copy, sq_ref_evaluate, err));
    SQ_TRY_GOTO(optimise(job, copy, speak, err));
    *out = copy;
    copy = NULL;
done:
    sq_graph_destroy(&copy);
    return status;
}

/* Lower a graph; `tell`: with what becomes of the model's nodes. */
static squall_status lower_told(const maker *make, const sq_graph *graph, sq_lowering *how,
                                bool tell, sq_plan *out, squall_error *err)
{
    squall_explanation *explanation = make->job->options->explanation;
    if (!tell || explanation == NULL) {
        return sq_compile_lower(graph, how, make->job->notes, out, err);
    }
    how->step_of = sq_alloc(graph->node_count, sizeof *how->step_of);
    if (how->step_of == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, graph->name, "no memory to explain its plan");
    }
    squall_status status = sq_compile_lower(graph, how, make->job->notes, out, err);
    if (status == SQUALL_OK) {
        status = sq_explain(explanation, graph, out, how->step_of, err);
    }
    sq_free(how->step_of);
    how->step_of = NULL;
    return status;
}

/* The graph that plans are made from; given. */
static squall_status prepare(const maker *make, uint32_t profile, sq_batch which, bool speak,
                             sq_graph **out, squall_error *err)
{
    return sq_compile_prepare(make->job, profile, which, speak, out, err);
}

/* The device plan of a graph by a way to choose; the graph is in the device's precision after it. A
 * GPU has memory of its own, so all of its steps run there or none. */
static squall_status lower_device(const maker *make, sq_graph *graph, sq_choose *choose,
                                  void *chooser, bool speak, pair *made, squall_error *err)
{
    uint32_t changes = 0;
    const bool half = make->target->half != SQUALL_DTYPE_NONE;
    if (make->target->gpu) { /* of float32 it takes in nothing but doubling and pooling of bytes */
        SQ_TRY(sq_graph_to_blocks(graph, !half, &changes, err));
    }
    if (half) {
        SQ_TRY(sq_graph_to_half(graph, make->target->half, speak ? make->job->notes : NULL, err));
    }
    if (changes > 0 || half) {
        SQ_TRY(sq_graph_infer(graph, sq_ref_evaluate, err));
    }
    sq_lowering how = {.backends = {make->cpu, make->target->gpu ? NULL : &sq_ref_backend},
                       .threads = make->job->options->threads,
                       .no_winograd = make->job->options->no_winograd != 0,
                       .weights = make->weights,
                       .choose = choose,
                       .chooser = chooser,
                       .notes = speak ? make->job->notes : NULL};
    sq_plan_free(&made->device);
    SQ_TRY(lower_told(make, graph, &how, speak, &made->device, err));
    made->fallbacks = how.fallbacks;
    made->on_cpu = how.first;
    return SQUALL_OK;
}

static squall_status lower_portable(const maker *make, const sq_graph *graph, bool speak,
                                    pair *made, squall_error *err)
{
    sq_lowering how = {.backends = {&sq_ref_backend},
                       .threads = make->job->options->threads,
                       .weights = make->weights};
    return lower_told(make, graph, &how, speak && make->cpu == NULL, &made->portable, err);
}

/* Both plans at one batch; `pin` (optional) says the tactics of the device's. */
static squall_status lower_pair(const maker *make, uint32_t profile, sq_batch which,
                                const sq_plan *pin, bool speak, pair *made, squall_error *err)
{
    sq_graph *graph = NULL;
    sq_pinned pinned = {.plan = NULL};
    memset(made, 0, sizeof *made);
    SQ_TRY(prepare(make, profile, which, speak, &graph, err));
    squall_status status = pin != NULL ? sq_pinned_init(&pinned, pin, err) : SQUALL_OK;
    if (status == SQUALL_OK) {
        status = lower_portable(make, graph, speak, made, err);
    }
    if (status == SQUALL_OK && make->cpu != NULL) {
        status = lower_device(make, graph, pin != NULL ? sq_choose_pinned : make->job->choose,
                              pin != NULL ? (void *)&pinned : make->job->chooser, speak, made, err);
    }
    sq_pinned_free(&pinned);
    sq_graph_destroy(&graph);
    if (status != SQUALL_OK) {
        pair_free(made);
    }
    return status;
}

/* The plans of a profile at its planned batch, by what the job says. */
static squall_status lower_planned(const maker *make, uint32_t profile, bool speak, pair *made,
                                   squall_error *err)
{
    const sq_engine_file *pinned = make->job->pinned;
    const sq_plan *pin = NULL;
    if (pinned != NULL && pinned->device != NULL && profile < pinned->profile_count) {
        pin = &pinned->device[profile];
    }
    return lower_pair(make, profile, SQ_BATCH_PLANNED, pin, speak, made, err);
}

/* Whether the steps at another batch are those at the planned one. */
static bool same_work(const maker *make, const pair *planned, const pair *other, char *why,
                      size_t room)
{
    return sq_plans_same(&planned->portable, &other->portable, SQ_SAME_BUT_BATCH, why, room) &&
           (make->cpu == NULL ||
            sq_plans_same(&planned->device, &other->device, SQ_SAME_BUT_BATCH, why, room));
}

static squall_status no_memory(const maker *make, squall_error *err)
{
    return sq_fail(err, SQUALL_E_MEMORY, make->job->graph->name, "no memory for its plans");
}

/* One profile more, which takes over the plans. */
static squall_status add_profile(maker *make, pair *made, const pair *least, const pair *most,
                                 squall_error *err)
{
    sq_engine_file *file = make->file;
    const uint32_t n = file->profile_count, inputs = made->portable.input_count;
    if (n >= SQ_LIMIT_PROFILES) {
        return sq_fail(err, SQUALL_E_LIMIT, make->job->graph->name,
                       "needs more than %d profiles; ask for fewer shapes", SQ_LIMIT_PROFILES);
    }
    sq_plan *portable = sq_regrow(file->portable, n, n + 1, sizeof *portable);
    file->portable = portable != NULL ? portable : file->portable;
    sq_plan *device = sq_regrow(file->device, n, n + 1, sizeof *device);
    file->device = device != NULL ? device : file->device;
    sq_batch_range *ranges =
        sq_regrow(file->ranges, (size_t)n * inputs, (size_t)(n + 1) * inputs, sizeof *ranges);
    file->ranges = ranges != NULL ? ranges : file->ranges;
    if (portable == NULL || device == NULL || ranges == NULL) {
        return no_memory(make, err);
    }
    for (uint32_t i = 0; least != NULL && most != NULL && i < inputs; i++) {
        const squall_tensor *low = &least->portable.values[least->portable.inputs[i]].type;
        const squall_tensor *high = &most->portable.values[most->portable.inputs[i]].type;
        if (low->rank > 0 && low->dims[0] != high->dims[0]) {
            ranges[(size_t)n * inputs + i] =
                (sq_batch_range){.min = low->dims[0], .max = high->dims[0]};
        }
    }
    portable[n] = made->portable;
    device[n] = made->device;
    make->on_cpu += made->on_cpu;
    make->job->report->steps_on_ref = n == 0 ? made->fallbacks : make->job->report->steps_on_ref;
    memset(made, 0, sizeof *made);
    file->profile_count++;
    return SQUALL_OK;
}

/* The memory limit, at the batch that needs the most. A plan that exceeds it is made again with the
 * tactics that need least. */
static squall_status keep_limit(const maker *make, uint32_t profile, sq_batch which, pair *made,
                                bool *changed, squall_error *err)
{
    const uint64_t limit = make->job->options->memory_limit_bytes;
    const uint64_t needed = memory_of(make, made);
    *changed = false;
    if (limit == 0 || needed <= limit) {
        return SQUALL_OK;
    }
    uint64_t least = needed;
    if (make->cpu != NULL) {
        sq_graph *graph = NULL;
        SQ_TRY(prepare(make, profile, which, false, &graph, err));
        const squall_status status =
            lower_device(make, graph, sq_choose_by_memory, NULL, false, made, err);
        sq_graph_destroy(&graph);
        SQ_TRY(status);
        least = memory_of(make, made);
        *changed = true;
    }
    if (least > limit) {
        const sq_plan *plan = make->cpu != NULL ? &made->device : &made->portable;
        return sq_fail(err, SQUALL_E_LIMIT, "memory limit",
                       "%" PRIu64 " bytes are allowed and profile %" PRIu32 " needs %" PRIu64
                       "; the smallest limit that would do is %" PRIu64 " (arena %" PRIu64
                       ", scratch %" PRIu64 ")",
                       limit, profile, needed, least, plan->arena_bytes, plan->scratch_bytes);
    }
    return SQUALL_OK;
}

static void note_memory(const maker *make, const pair *made)
{
    squall_build_report *report = make->job->report;
    const uint64_t bytes = memory_of(make, made);
    report->memory_bytes = bytes > report->memory_bytes ? bytes : report->memory_bytes;
}

/* The plans at another batch by the planned one's tactics; where its graph is another, by its own,
 * and `*same` becomes false. */
static squall_status lower_like(const maker *make, uint32_t profile, sq_batch which,
                                const pair *planned, pair *made, bool *same, char *why, size_t room,
                                squall_error *err)
{
    squall_error differs = {.code = SQUALL_OK};
    const sq_plan *pin = make->cpu != NULL ? &planned->device : NULL;
    squall_status status = lower_pair(make, profile, which, pin, false, made, &differs);
    if (status == SQUALL_E_MISMATCH) {
        *same = false;
        snprintf(why, room, "%s %s", differs.where, differs.text);
        return lower_pair(make, profile, which, NULL, false, made, err);
    }
    if (status != SQUALL_OK) {
        return sq_fail(err, status, differs.where, "%s", differs.text);
    }
    *same = *same && same_work(make, planned, made, why, room);
    return SQUALL_OK;
}

/* A profile with a range of batches: one plan for all of it when the work is the same from end to
 * end, else a plan for each of least, usual and most. */
static squall_status build_range(maker *make, uint32_t profile, pair *made, squall_error *err)
{
    squall_status status;
    pair least = {.fallbacks = 0}, most = {.fallbacks = 0};
    char why[512] = "";
    bool changed, same = true;
    SQ_TRY_GOTO(lower_like(make, profile, SQ_BATCH_MAX, made, &most, &same, why, sizeof why, err));
    SQ_TRY_GOTO(keep_limit(make, profile, SQ_BATCH_MAX, &most, &changed, err));
    if (changed && same) { /* the tactics that fit at the most fit at the others too */
        pair_free(made);
        SQ_TRY_GOTO(lower_pair(make, profile, SQ_BATCH_PLANNED, &most.device, false, made, err));
    }
    SQ_TRY_GOTO(lower_like(make, profile, SQ_BATCH_MIN, made, &least, &same, why, sizeof why, err));
    note_memory(make, &most);
    if (same) {
        SQ_TRY_GOTO(add_profile(make, made, &least, &most, err));
        goto done;
    }
    sq_note(make->job->notes, make->job->graph->name,
            "its steps depend on the batch (%s): a profile each for the least, the usual and the "
            "most, and none between",
            why);
    SQ_TRY_GOTO(add_profile(make, &least, NULL, NULL, err));
    SQ_TRY_GOTO(add_profile(make, made, NULL, NULL, err));
    SQ_TRY_GOTO(add_profile(make, &most, NULL, NULL, err));
done:
    pair_free(&least);
    pair_free(&most);
    return status;
}

/* Whether a profile has batches beside the one that is planned for. */
static squall_status has_range(const maker *make, uint32_t profile, const pair *made, bool *out,
                               squall_error *err)
{
    sq_graph *copy = NULL;
    *out = false;
    for (int which = SQ_BATCH_MIN; which <= SQ_BATCH_MAX && !*out; which += SQ_BATCH_MAX) {
        SQ_TRY(sq_graph_copy(make->job->graph, &copy, err));
        const squall_status status =
            sq_compile_set_shapes(copy, make->job->options, profile, (sq_batch)which, err);
        for (uint32_t i = 0; status == SQUALL_OK && i < copy->input_count; i++) {
            const squall_tensor *there = &copy->values[copy->inputs[i]].type;
            const squall_tensor *here = &made->portable.values[made->portable.inputs[i]].type;
            *out =
                *out || (there->rank > 0 && there->dims[0] > 0 && there->dims[0] != here->dims[0]);
        }
        sq_graph_destroy(&copy);
        SQ_TRY(status);
    }
    return SQUALL_OK;
}

static squall_status build_profile(maker *make, uint32_t profile, squall_error *err)
{
    pair made;
    bool range, changed;
    SQ_TRY(lower_planned(make, profile, profile == 0, &made, err));
    squall_status status = has_range(make, profile, &made, &range, err);
    if (status == SQUALL_OK && range) {
        status = build_range(make, profile, &made, err);
    } else if (status == SQUALL_OK) {
        status = keep_limit(make, profile, SQ_BATCH_PLANNED, &made, &changed, err);
        if (status == SQUALL_OK) {
            note_memory(make, &made);
            status = add_profile(make, &made, NULL, NULL, err);
        }
    }
    pair_free(&made);
    return status;
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

/* Ranges that are all fixed are no section. */
static void drop_ranges(sq_engine_file *file)
{
    const size_t count = (size_t)file->profile_count * file->portable[0].input_count;
    for (size_t i = 0; i < count; i++) {
        if (file->ranges[i].max > 0) {
            return;
        }
    }
    sq_free(file->ranges);
    file->ranges = NULL;
}

squall_status sq_compile_profiles_build(const sq_compile_job *job, const sq_target *target,
                                        sq_weights *weights, sq_engine_file *file,
                                        squall_error *err)
{
    maker make = {
        .job = job, .weights = weights, .file = file, .target = target, .cpu = target->backend};
    const uint32_t count = sq_compile_profiles(job->options);
    for (uint32_t p = 0; p < count; p++) {
        SQ_TRY(build_profile(&make, p, err));
    }
    drop_ranges(file);
    if (make.on_cpu == 0) {
        drop_device(file);
        if (target->backend != NULL) {
            sq_note(job->notes, job->graph->name,
                    "no step has a kernel for this device; the engine has the portable plan alone");
        }
    }
    if (job->options->explanation == NULL) {
        return SQUALL_OK;
    }
    return sq_explain_settle(job->options->explanation,
                             file->device != NULL ? &file->device[0] : &file->portable[0], err);
}
