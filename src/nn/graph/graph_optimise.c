/* nn/graph/graph_optimise.c - the passes in their order, until none changes anything. */
#include <inttypes.h>
#include <stdbool.h>

#include "nn/graph/graph.h"

#define MOST_ROUNDS 16

static squall_status optimise(sq_graph *graph, sq_graph_evaluate *evaluate, bool integers,
                              const sq_graph_watch *watch, squall_notes *notes, squall_error *err)
{
    /* Dead code first, that its uses do not count; normalisation before activations, which would
     * stand between it and its convolution. */
    static const struct {
        sq_graph_pass *run;
        const char *name, *did;
    } passes[] = {
        {sq_pass_dead_code, "pass dead code", "nodes that no output needs are gone"},
        {sq_pass_fold_constants, "pass constants", "nodes of constants were worked out"},
        {sq_pass_identity, "pass identity", "nodes that changed nothing are gone"},
        {sq_pass_shape, "pass shape", "shapes are said in a way that is true of any batch"},
        {sq_pass_same, "pass same", "nodes gave what others give"},
        {sq_pass_parts, "pass parts", "cuts and joins undid one another"},
        {sq_pass_transpose, "pass transpose", "changes of shape or order became one with another"},
        {sq_pass_quantise, "pass quantise", "moves of integers in the place of numbers"},
        {sq_pass_batch_norm, "pass batch norm", "normalisations went into the weights before them"},
        {sq_pass_pad, "pass pad", "Pads went into what is behind them"},
        {sq_pass_bias, "pass bias", "sums with constants went into the bias before them"},
        {sq_pass_upsample, "pass upsample", "1 x 1 convolutions came before an upsampling"},
        {sq_pass_activation, "pass activation", "activations went into the node before them"},
    };
    enum { PASSES = sizeof passes / sizeof passes[0] };
    uint32_t total[PASSES] = {0};
    for (int round = 0; round < MOST_ROUNDS; round++) {
        uint32_t changed = 0;
        for (size_t i = 0; i < PASSES; i++) {
            uint32_t changes = 0;
            SQ_TRY(passes[i].run(graph, evaluate, &changes, err));
            total[i] += changes;
            changed += changes;
            if (changes > 0 && watch != NULL) {
                SQ_TRY(watch->changed(watch->self, graph, passes[i].name, err));
            }
        }
        if (changed == 0) {
            break;
        }
    }
    uint32_t left, made = 0;
    if (integers) {
        SQ_TRY(sq_pass_integer(graph, evaluate, &made, err));
    }
    if (made > 0) {
        SQ_TRY(sq_pass_dead_code(graph, evaluate, &left, err));
        SQ_TRY(sq_graph_infer(graph, evaluate, err));
        sq_note(notes, "pass integer", "%" PRIu32 " convolutions work on integers", made);
        if (watch != NULL) {
            SQ_TRY(watch->changed(watch->self, graph, "pass integer", err));
        }
    }
    SQ_TRY(sq_pass_fold_weights(graph, evaluate, &left, err));
    for (size_t i = 0; i < PASSES; i++) {
        if (total[i] > 0) {
            sq_note(notes, passes[i].name, "%" PRIu32 " %s", total[i], passes[i].did);
        }
    }
    return SQUALL_OK;
}

squall_status sq_graph_optimise(sq_graph *graph, sq_graph_evaluate *evaluate,
                                const sq_graph_watch *watch, squall_notes *notes, squall_error *err)
{
    return optimise(graph, evaluate, false, watch, notes, err);
}

squall_status sq_graph_optimise_integers(sq_graph *graph, sq_graph_evaluate *evaluate,
                                         const sq_graph_watch *watch, squall_notes *notes,
                                         squall_error *err)
{
    return optimise(graph, evaluate, true, watch, notes, err);
}

squall_status sq_graph_fuse(sq_graph *graph, sq_fusing fusing, sq_graph_evaluate *evaluate,
                            const sq_graph_watch *watch, squall_notes *notes, squall_error *err)
{
    static const char *const gates = "gates of recurrent cells became one node each";
    const unsigned cpu = SQ_FUSE_CPU | SQ_FUSE_CPU_PLAIN;
    const struct {
        sq_graph_pass *run;
        unsigned whom;
        const char *name, *did;
    } passes[] = {
        {sq_pass_hoist, cpu, "pass hoist",
         "convolutions of a recurrence see their inputs all at once"},
        {sq_pass_gates, cpu, "pass gates", gates},
        {sq_pass_memory, cpu, "pass gates", "memories of recurrent cells became one node each"},
        {sq_pass_gates_planes, SQ_FUSE_GPU, "pass gates", gates},
        {sq_pass_dead_code, cpu | SQ_FUSE_GPU, "pass dead code",
         "nodes that no output needs are gone"},
        {sq_pass_join, SQ_FUSE_CPU, "pass join",
         "convolutions read what was put together before them"},
        {sq_pass_depth, cpu, "pass depth",
         "depthwise convolutions became one with the 1 x 1 behind"},
    };
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        uint32_t changes = 0;
        if ((passes[i].whom & (unsigned)fusing) == 0) {
            continue;
        }
        SQ_TRY(passes[i].run(graph, evaluate, &changes, err));
        if (changes == 0) {
            continue;
        }
        sq_note(notes, passes[i].name, "%" PRIu32 " %s", changes, passes[i].did);
        if (watch != NULL) {
            SQ_TRY(watch->changed(watch->self, graph, passes[i].name, err));
        }
    }
    return SQUALL_OK;
}
