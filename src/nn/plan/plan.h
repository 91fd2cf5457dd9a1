/* nn/plan/plan.h - what an engine does, step by step, and its form as bytes. */
#ifndef SQ_NN_PLAN_PLAN_H
#define SQ_NN_PLAN_PLAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "nn/op/op.h"

/** Where a value lives. Numbers go into engine files and are never changed. */
typedef enum sq_home {
    SQ_HOME_NONE = 0,   /* an optional input that is absent, an output that nobody wants */
    SQ_HOME_ARENA = 1,  /* at `offset` of the context's arena */
    SQ_HOME_CONST = 2,  /* at `offset` of the engine's weights */
    SQ_HOME_INPUT = 3,  /* the caller's input number `offset` */
    SQ_HOME_OUTPUT = 4, /* the caller's output number `offset` */
    SQ_HOME_DROPPED = 5 /* a constant that packing has replaced: its type stays, its bytes do not */
} sq_home;

typedef struct sq_plan_value {
    squall_tensor type; /* data NULL */
    sq_home home;
    uint64_t offset;
    char *name; /* owned */
} sq_plan_value;

/** The `backend` of a step that nothing runs: output 0 is input 0 under another shape, at the same
 * home and offset. The other numbers are SQ_BACKEND_* of nn/backend. */
#define SQ_PLAN_VIEW 0

/** One way to run a step that the compiler weighed: what it guessed, and what was measured. */
typedef struct sq_plan_candidate {
    uint32_t backend;          /* SQ_BACKEND_* */
    char *tactic;              /* owned */
    double cost_s, extra_s;    /* guesses: the step itself (0 unknown), reorders around it */
    double median_s, spread_s; /* measured; 0 when it was not */
} sq_plan_candidate;

typedef struct sq_plan_step {
    sq_op op;
    uint32_t backend;   /* SQ_PLAN_VIEW or SQ_BACKEND_* */
    int32_t in_place;   /* the input whose memory output 0 takes over, or -1 */
    char *name;         /* owned */
    char *tactic;       /* owned; "" for a view */
    uint32_t *in, *out; /* owned; value numbers of the plan */
    uint32_t in_count, out_count;
    uint64_t packed_offset, packed_bytes; /* in the weights; 0 bytes for none */
    sq_attrs attrs;
    /* How it came to its tactic: not part of the plan, a section of its own. */
    sq_plan_candidate *candidates; /* owned, [candidate_count]; NULL when nothing is known */
    uint32_t candidate_count;
    char *why; /* owned; why the device's own backend does not run it; "" or NULL when it does */
} sq_plan_step;

/** One profile's plan. */
typedef struct sq_plan {
    sq_plan_value *values;      /* owned, [value_count] */
    sq_plan_step *steps;        /* owned, [step_count] */
    uint32_t *inputs, *outputs; /* owned; value numbers in the order of the model */
    uint32_t value_count, step_count, input_count, output_count;
    uint64_t arena_bytes;       /* what the offsets need */
    uint64_t arena_bound_bytes; /* the most that is alive at one step: no offsets need less */
    uint64_t scratch_bytes;     /* the most that one step needs beside it, as planned for */
    uint64_t macs;
} sq_plan;

void sq_plan_free(sq_plan *plan);

/** Whether a step of `op` may be a view: it moves nothing, it only gives another shape. */
bool sq_plan_can_view(sq_op op);

/** View a step of a plan as what operators and backends know; `in`, `out` are caller's arrays of
 * SQ_MAX_INPUTS and SQ_MAX_OUTPUTS, filled with types; data is NULL but for constants at `weights`
 * (optional) that are no longer than `constant_bytes`. */
void sq_plan_view_step(const sq_plan *plan, const sq_plan_step *step, const unsigned char *weights,
                       size_t constant_bytes, squall_tensor *in, squall_tensor *out, sq_step *view);

struct sq_engine_file; /* below */

/** A plan for other sizes of the inputs, by the same steps: types worked out again from `inputs`
 * ([input_count], types alone), memory planned again, everything checked as if it came from a file.
 *
 * Packed constants and tactics stay; whether a backend takes its step at these sizes is for it to
 * say. SQUALL_E_SHAPE when the steps do not fit these sizes. */
SQUALL_MUST_USE squall_status sq_plan_derive(const sq_plan *plan, const struct sq_engine_file *file,
                                             const squall_tensor *inputs, sq_plan *out,
                                             squall_error *err);

/** Give every arena value an offset: values whose lives overlap never share memory.
 *
 * Greedy by size (Pisarchyk and Lee 2020, arXiv:2001.03288), and other orders where that one misses
 * the bound. Sets the offsets, arena_bytes and arena_bound_bytes. `in_place` of a step says what
 * its tactic allows before the call, and what is done after it. */
SQUALL_MUST_USE squall_status sq_plan_memory(sq_plan *plan, squall_error *err);

/* The file: see docs/engine-file.md. Everything hostile until checked here; what is handed out has
 * passed every check that needs no backend. */
/** The batches that a profile takes in the place of the one that it was planned for: size 0 of an
 * input, both included; 0 and 0 when it is fixed. */
typedef struct sq_batch_range {
    int64_t min, max;
} sq_batch_range;

typedef struct sq_engine_file {
    sq_plan *portable, *device; /* owned, [profile_count]; `device` NULL when there is no such
                                   section */
    uint32_t profile_count;
    sq_batch_range *ranges; /* owned, [profile_count][input_count of the plans]; NULL: all fixed */
    const unsigned char *weights; /* 64-byte aligned, in the mapping */
    uint64_t weight_bytes;
    /** Of a file to be written, instead of `weights`: writes them where they belong, so that they
     * are not copied once more. Optional. */
    void (*fill_weights)(void *self, unsigned char *to);
    void *filler;         /* borrowed; its `self` */
    char *recipe;         /* owned; NULL for none */
    char *certificate;    /* owned; how 8 bits were calibrated, JSON; NULL for none */
    char *model_name;     /* owned */
    char *squall_version; /* owned */
    char *isa;            /* owned; of the device section, "" for none */
    char *command;        /* owned; the build as a command, NULL when not known */
    char *compiler;       /* owned; what squall itself was compiled by, NULL when not known */
    int32_t threads;      /* that the device section was planned for */
    const unsigned char *kernels; /* borrowed, or in the mapping: machine code of the device
                                     section's kernels, for a GPU; NULL for none */
    uint64_t kernel_bytes;
    unsigned char model_hash[SQ_HASH_BYTES];

    /* Set by sq_engine_read() alone: */
    char *name;                        /* owned; what messages call the file */
    const unsigned char *chunk_hashes; /* [chunk_count][SQ_HASH_BYTES], in the mapping */
    atomic_uchar *chunk_checked; /* owned, [chunk_count]; 1 once a chunk's hash has been found right
                                  */
} sq_engine_file;

/** The range of an input in a profile; 0 and 0 when it is fixed. */
sq_batch_range sq_engine_range(const sq_engine_file *file, uint32_t profile, uint32_t input);

/** Bytes of an engine file; given (sq_free). The same content gives the same bytes. */
SQUALL_MUST_USE squall_status sq_engine_write(const sq_engine_file *file, unsigned char **bytes,
                                              size_t *size, squall_error *err);

/** Read and check. `file` points into `bytes`, which must outlive it and be 64-byte aligned. The
 * weights are not looked at but for constants that shapes hang on: what a plan really uses is
 * checked by sq_engine_check_weights(), so that opening costs the same whatever their size. */
SQUALL_MUST_USE squall_status sq_engine_read(const unsigned char *bytes, size_t size,
                                             const char *name, sq_engine_file *file,
                                             squall_error *err);

/** Hold the chunks that `bytes` weights at `offset` lie in against their hashes, each once.
 * @param pool  shares the work; NULL: the caller alone
 * Threads: calls may run side by side. */
SQUALL_MUST_USE squall_status sq_engine_check_weights(const sq_engine_file *file, uint64_t offset,
                                                      uint64_t bytes, sq_pool *pool,
                                                      squall_error *err);

void sq_engine_free(sq_engine_file *file);

/** One buffer in the arena: value `value` from the step that fills it to the last that uses it. */
typedef struct sq_plan_span {
    uint32_t value, first, last;
    uint64_t offset, bytes;
} sq_plan_span;

/** What lies where in a plan's arena; `*out` is given (sq_free). SQUALL_E_MEMORY. */
SQUALL_MUST_USE squall_status sq_plan_map(const sq_plan *plan, sq_plan_span **out, uint32_t *count,
                                          squall_error *err);

/** A section of an engine file. */
typedef struct sq_section_info {
    uint32_t id;
    const char *name; /* static; "" for one that is not known */
    bool mandatory;
    uint64_t offset, bytes;
    unsigned char hash[SQ_HASH_BYTES]; /* SHA-256; of a signature the public key of its signer */
} sq_section_info;

/** The sections of a file, header and table checked; `out` has SQ_ENGINE_SECTIONS. */
#define SQ_ENGINE_SECTIONS 32
SQUALL_MUST_USE squall_status sq_engine_sections(const unsigned char *bytes, size_t size,
                                                 const char *name, sq_section_info *out,
                                                 uint32_t *count, squall_error *err);

/** Public keys that are trusted, from a file of them. */
typedef struct sq_keys {
    unsigned char *keys; /* owned, [count][SQ_SIGN_PUBLIC_BYTES]; at least one */
    size_t count;
    char *path; /* owned; for messages */
} sq_keys;

SQUALL_MUST_USE squall_status sq_keys_read(const char *path, sq_keys *keys, squall_error *err);
/** The same from text in memory; `path` is for messages. */
SQUALL_MUST_USE squall_status sq_keys_parse(const char *text, size_t size, const char *path,
                                            sq_keys *keys, squall_error *err);
void sq_keys_free(sq_keys *keys);
/** A secret key from its file, SQ_SIGN_SEED_BYTES; overwrite it (sq_sign_forget) when it was used.
 */
SQUALL_MUST_USE squall_status sq_key_read_secret(const char *path, unsigned char *seed,
                                                 squall_error *err);

/** Whether an engine is what one of the keys signed; nothing but header and table is looked at
 * before that is known. `signer` is filled, SQ_SIGN_PUBLIC_BYTES; may be NULL. SQUALL_E_SIGNATURE.
 */
SQUALL_MUST_USE squall_status sq_engine_check_signature(const unsigned char *bytes, size_t size,
                                                        const char *name, const sq_keys *keys,
                                                        unsigned char *signer, squall_error *err);

#endif /* SQ_NN_PLAN_PLAN_H */
