/* nn/compile/compile_internal.h - what the files of this room share. */
#ifndef SQ_NN_COMPILE_COMPILE_INTERNAL_H
#define SQ_NN_COMPILE_COMPILE_INTERNAL_H

#include "nn/backend/backend.h"
#include "nn/graph/graph.h"
#include "nn/plan/plan.h"
#include "squall/compile.h"

/* ---- Weights: constants, as they are and packed, each once. ---- */

typedef struct sq_weight {
    unsigned char *data; /* owned */
    size_t bytes;
    uint64_t offset; /* set by sq_weights_lay_out() */
    unsigned char hash[SQ_HASH_BYTES];
} sq_weight;

typedef struct sq_weights {
    sq_weight *items; /* owned */
    uint32_t count, capacity;
} sq_weights;

#define SQ_NO_WEIGHT UINT32_MAX

/** The number of an item with these bytes, which are copied unless there is one already;
 * SQ_NO_WEIGHT when there is no memory. */
uint32_t sq_weights_add(sq_weights *weights, const void *data, size_t bytes);

/** Set the items' offsets and join them; `*blob` is given. Small ones come first: shapes hang on
 * some of them, so that opening an engine reads one chunk of it and not many. */
SQUALL_MUST_USE squall_status sq_weights_lay_out(sq_weights *weights, unsigned char **blob,
                                                 size_t *bytes, squall_error *err);
void sq_weights_free(sq_weights *weights);

/* ---- Shapes of the inputs, profile by profile. ---- */

/** How many profiles the options ask for: 1, or as often as one input is named. */
uint32_t sq_compile_profiles(const squall_build_options *options);

/** Give the graph's inputs the shapes of one profile. SQUALL_E_SHAPE names an input that is left
 * without, and what to pass; SQUALL_E_ARGUMENT a shape for an input that there is not. */
SQUALL_MUST_USE squall_status sq_compile_set_shapes(sq_graph *graph,
                                                    const squall_build_options *options,
                                                    uint32_t profile, squall_error *err);

/* ---- From a graph to a plan. ---- */

typedef struct sq_lowering {
    const sq_backend *backends[2]; /* the one that is wanted, then the fall-back; or NULL */
    int threads;
    sq_weights *weights;
    squall_notes *notes; /* a line for each step on the fall-back, and why; may be NULL */
    uint32_t fallbacks;  /* filled: how many there were */
    uint32_t first;      /* filled: steps on the backend that is wanted */
} sq_lowering;

/**
 * Choose backend, tactic and layouts of every node, and plan the memory.
 *
 * Offsets of constants and of packed bytes are item numbers of `weights` until
 * sq_compile_set_weights().
 * @param graph  concrete shapes everywhere
 * @return SQUALL_OK; SQUALL_E_UNSUPPORTED with a line in `failures` for each node that no backend
 *         takes; SQUALL_E_LIMIT; SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE squall_status sq_compile_lower(const sq_graph *graph, sq_lowering *how,
                                               squall_notes *failures, sq_plan *out,
                                               squall_error *err);

/** Put offsets in the place of item numbers, once they are laid out. */
void sq_compile_set_weights(sq_plan *plan, const sq_weights *weights);

/* ---- The whole. ---- */

/**
 * An engine's bytes from a graph as it was read; `*bytes` is given.
 * @param options  complete: as squall_build() has filled it up
 * @param optimise  false leaves the passes out, for tests
 * @param model_hash  SHA-256 of the model's file
 */
SQUALL_MUST_USE squall_status sq_compile_graph(const sq_graph *graph,
                                               const squall_build_options *options, bool optimise,
                                               const unsigned char *model_hash,
                                               unsigned char **bytes, size_t *size,
                                               squall_build_report *report, squall_notes *notes,
                                               squall_error *err);

#endif /* SQ_NN_COMPILE_COMPILE_INTERNAL_H */
