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
    bool used;       /* a plan that is kept needs it */
    uint64_t key;    /* of the bytes: those of another key differ */
} sq_weight;

typedef struct sq_weights {
    sq_weight *items; /* owned */
    uint32_t count, capacity;
} sq_weights;

#define SQ_NO_WEIGHT UINT32_MAX

/** The number of an item with these bytes, which are copied unless there is one already;
 * SQ_NO_WEIGHT when there is no memory. */
uint32_t sq_weights_add(sq_weights *weights, const void *data, size_t bytes);
/** The same for bytes that are given: kept, or freed when there are such already. */
uint32_t sq_weights_give(sq_weights *weights, void *data, size_t bytes);

/** Mark what a plan needs, whose offsets are still item numbers: plans that were made and not kept
 * have left items behind. */
void sq_weights_use(sq_weights *weights, const sq_plan *plan);

/** Set the offsets of the items in use; `*bytes` is what they take. Small ones come first: shapes
 * hang on some of them, so that opening an engine reads one chunk of it and not many. */
SQUALL_MUST_USE squall_status sq_weights_lay_out(sq_weights *weights, size_t *bytes,
                                                 squall_error *err);
/** Put the items where they were laid out, and release them; `self` is the sq_weights. */
void sq_weights_fill(void *self, unsigned char *to);
void sq_weights_free(sq_weights *weights);

/* ---- Shapes of the inputs, profile by profile. ---- */

/** Which of a profile's batches. */
typedef enum sq_batch { SQ_BATCH_MIN, SQ_BATCH_PLANNED, SQ_BATCH_MAX } sq_batch;

/** How many profiles the options ask for: 1, or as often as one input is named, times buckets. */
uint32_t sq_compile_profiles(const squall_build_options *options);

/** Give the graph's inputs the shapes of one profile. SQUALL_E_SHAPE names an input that is left
 * without, and what to pass; SQUALL_E_ARGUMENT a shape for an input that there is not, or a range
 * that makes no sense. */
SQUALL_MUST_USE squall_status sq_compile_set_shapes(sq_graph *graph,
                                                    const squall_build_options *options,
                                                    uint32_t profile, sq_batch which,
                                                    squall_error *err);

/* ---- Which tactic. ---- */

#define SQ_LOWER_BACKENDS 2
#define SQ_MAX_CANDIDATES (SQ_LOWER_BACKENDS * SQ_MAX_TACTICS)

/** One way to run a step, on one of the backends. */
typedef struct sq_candidate {
    const sq_backend *backend;
    sq_tactic tactic;
    double extra_s;            /* guess: the reorders that its layouts make needed */
    double median_s, spread_s; /* measured on this device; 0 when it was not */
} sq_candidate;

/** All ways of all backends, those of the first backend first, best guess first in each; returns
 * how many of at most SQ_MAX_CANDIDATES were filled. `why` says what the first backend said when it
 * has none, else is empty. `output[i]`: the caller wants output i, plain. */
uint32_t sq_candidates_list(const sq_backend *const *backends, const sq_step *step, int threads,
                            const bool *output, sq_candidate *out, sq_reason *why);

/** Leave out candidates with `word` in their tactic's name; returns how many are left. */
uint32_t sq_candidates_without(sq_candidate *candidates, uint32_t count, const char *word);

/** Keep them with the step that was made of one of them; false when there is no memory. */
bool sq_candidates_keep(const sq_candidate *candidates, uint32_t count, const sq_reason *why,
                        sq_plan_step *step);

/** Chooses among the candidates of one step, in the order in which steps are made: at least one;
 * `step` has types, and data for constants. It may note times in them. */
typedef squall_status sq_choose(void *self, const sq_step *step, sq_candidate *candidates,
                                uint32_t count, uint32_t *chosen, squall_error *err);

/** By guessed cost, of the first backend if it has any; `self` is not used. */
sq_choose sq_choose_by_cost;
/** By least scratch memory, of the first backend if it has any; `self` is not used. */
sq_choose sq_choose_by_memory;

/* ---- From a graph to a plan. ---- */

typedef struct sq_lowering {
    const sq_backend
        *backends[SQ_LOWER_BACKENDS]; /* the one that is wanted, then the fall-back; or NULL */
    int threads;
    bool no_winograd; /* tactics of that name are left out */
    sq_weights *weights;
    sq_choose *choose;   /* NULL: by cost */
    void *chooser;       /* its `self` */
    squall_notes *notes; /* a line for each step on the fall-back, and why; may be NULL */
    uint32_t *step_of;   /* optional; filled: [node_count], number of each node's step */
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

/* ---- Plans held against each other. ---- */

typedef enum sq_same {
    SQ_SAME_WORK,     /* the same steps on the same types; what the constants hold may differ */
    SQ_SAME_BUT_BATCH /* the same steps and constants; sizes may differ */
} sq_same;

/** Whether two plans are the same; if not, `text` says where they differ first, a's before b's.
 * For SQ_SAME_BUT_BATCH both hold item numbers of the same weights. */
bool sq_plans_same(const sq_plan *a, const sq_plan *b, sq_same how, char *text, size_t room);

/** Tactics as another plan of the same graph has them. */
typedef struct sq_pinned {
    const sq_plan *plan; /* borrowed */
    bool *taken;         /* owned, [step_count]: steps that have been matched */
    uint32_t first;      /* all before it are taken */
} sq_pinned;
SQUALL_MUST_USE squall_status sq_pinned_init(sq_pinned *pinned, const sq_plan *plan,
                                             squall_error *err);
void sq_pinned_free(sq_pinned *pinned);

/** Takes each step's tactic, and the times known of it, from `self`, a sq_pinned; SQUALL_E_MISMATCH
 * when the steps are not the same or the tactic is not to be had. */
sq_choose sq_choose_pinned;

/* ---- What an engine is built for. ---- */

typedef struct sq_target {
    const sq_backend *backend; /* NULL: the portable plan alone */
    char isa[32];              /* "avx512", "sm_90a"; "" without a backend */
    bool gpu;
    squall_dtype half; /* F16: a GPU computes in it, a processor keeps its tensors so, or in BF16;
                          NONE: float32 */
} sq_target;

/** Read `device` and `precision` of the options. SQUALL_E_ARGUMENT, also for tuning by measurement,
 * which GPUs have not got; SQUALL_E_DEVICE when a GPU is named by its number and is not there. */
SQUALL_MUST_USE squall_status sq_compile_target(const squall_build_options *options, sq_target *out,
                                                squall_error *err);

/** Kernels for a kind of GPU as machine code, given (sq_free), with those of `wanted`
 * (sq_cuda_wanted()): from NVRTC, or as it was kept of an earlier build. */
SQUALL_MUST_USE squall_status sq_compile_code(const char *isa, const char *wanted,
                                              unsigned char **kernels, size_t *bytes,
                                              squall_error *err);
/** The kernels of a GPU as machine code, given (sq_free), for the device plans of `file`; none for
 * other targets. */
SQUALL_MUST_USE squall_status sq_compile_kernels(const sq_target *target,
                                                 const sq_engine_file *file,
                                                 unsigned char **kernels, size_t *bytes,
                                                 squall_error *err);

/* ---- The whole. ---- */

/** SHA-256 of a model's file, worked out beside what else is done. Zero-initialise. */
typedef struct sq_model_hash {
    const char *path; /* borrowed until the end */
    unsigned char hash[SQ_HASH_BYTES];
    squall_status status;
    squall_error err;
    sq_aside *aside;
} sq_model_hash;

void sq_model_hash_begin(sq_model_hash *hashing, const char *path);
/** Wait for it; `hash` is valid then. Every begin needs one; more do no harm. */
SQUALL_MUST_USE squall_status sq_model_hash_end(sq_model_hash *hashing, squall_error *err);

/** What an engine is made from. Zero-initialise. */
typedef struct sq_compile_job {
    const sq_graph *graph;               /* as it was read */
    const squall_build_options *options; /* complete: sq_compile_read_options() */
    bool optimise;                       /* false leaves the passes out, for tests and yardsticks */
    const unsigned char *model_hash;     /* SHA-256 of the model's file */
    sq_model_hash *hashing;              /* where it still comes from; NULL: it is there */
    sq_choose *choose;                   /* for the device plans; NULL: by cost */
    void *chooser;                       /* its `self` */
    const sq_engine_file
        *pinned; /* its device plans say the tactics; overrides `choose`; or NULL */
    bool apart;  /* leave each node as it is, rather than put several in one step */
    const struct sq_quant *quant; /* layers that compute in 8 bits; NULL: none */
    const char *certificate;      /* how they were calibrated, JSON; or NULL */
    const char *command;          /* the build as a command, for the engine; NULL: from options */
    squall_build_report *report;  /* filled */
    squall_notes *notes;          /* may be NULL */
} sq_compile_job;

/** Check options and take over those members that the caller's version of the struct has; `given`
 * may be NULL. */
SQUALL_MUST_USE squall_status sq_compile_read_options(const squall_build_options *given,
                                                      squall_build_options *out, squall_error *err);

/** The graph with the shapes of a profile, after the passes and in the precision of its layers;
 * `*out` is given. */
SQUALL_MUST_USE squall_status sq_compile_prepare(const sq_compile_job *job, uint32_t profile,
                                                 sq_batch which, bool speak, sq_graph **out,
                                                 squall_error *err);

/** Make the plans of all profiles, offsets of weights still item numbers: file->portable, device,
 * ranges and profile_count. */
SQUALL_MUST_USE squall_status sq_compile_profiles_build(const sq_compile_job *job,
                                                        const sq_target *target,
                                                        sq_weights *weights, sq_engine_file *file,
                                                        squall_error *err);

/** An engine's bytes; `*bytes` is given. */
SQUALL_MUST_USE squall_status sq_compile_run(const sq_compile_job *job, unsigned char **bytes,
                                             size_t *size, squall_error *err);

/** The same in short. */
SQUALL_MUST_USE squall_status sq_compile_graph(const sq_graph *graph,
                                               const squall_build_options *options, bool optimise,
                                               const unsigned char *model_hash,
                                               unsigned char **bytes, size_t *size,
                                               squall_build_report *report, squall_notes *notes,
                                               squall_error *err);

#endif /* SQ_NN_COMPILE_COMPILE_INTERNAL_H */
