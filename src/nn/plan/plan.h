/* nn/plan/plan.h - what an engine does, step by step, and its form as bytes. */
#ifndef SQ_NN_PLAN_PLAN_H
#define SQ_NN_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "nn/op/op.h"

/** Where a value lives. */
typedef enum sq_home {
    SQ_HOME_NONE = 0,  /* an optional input that is absent */
    SQ_HOME_ARENA = 1, /* at `offset` of the context's arena */
    SQ_HOME_CONST = 2, /* at `offset` of the engine's weights */
    SQ_HOME_INPUT = 3, /* the caller's input number `offset` */
    SQ_HOME_OUTPUT = 4 /* the caller's output number `offset` */
} sq_home;

typedef struct sq_plan_value {
    squall_tensor type; /* data NULL */
    sq_home home;
    uint64_t offset;
    char *name; /* owned */
} sq_plan_value;

typedef struct sq_plan_step {
    sq_op op;
    uint32_t backend;   /* SQ_BACKEND_* of nn/backend */
    char *name;         /* owned */
    char *tactic;       /* owned */
    uint32_t *in, *out; /* owned; value numbers of the plan */
    uint32_t in_count, out_count;
    uint64_t packed_offset, packed_bytes; /* in the weights; 0 bytes for none */
    sq_attrs attrs;
} sq_plan_step;

/** One profile's plan. */
typedef struct sq_plan {
    sq_plan_value *values;
    sq_plan_step *steps;
    uint32_t *inputs, *outputs; /* owned; value numbers in the order of the model */
    uint32_t value_count, step_count, input_count, output_count;
    uint64_t arena_bytes, arena_bound_bytes, scratch_bytes, macs;
} sq_plan;

void sq_plan_free(sq_plan *plan);

/* The file: see docs/engine-file.md. Everything hostile until checked here; what is handed out has
 * passed every check that needs no backend. */
typedef struct sq_engine_file {
    sq_plan *portable,
        *device; /* owned, [profile_count]; `device` NULL when there is no such section */
    uint32_t profile_count;
    const unsigned char *weights; /* 64-byte aligned, in the mapping */
    uint64_t weight_bytes;
    char *recipe;         /* owned; NULL for none */
    char *model_name;     /* owned */
    char *squall_version; /* owned */
    char *isa;            /* owned; of the device section, "" for none */
    int32_t threads;      /* that the device section was planned for */
    unsigned char model_hash[SQ_HASH_BYTES];
} sq_engine_file;

/** Bytes of an engine file; given (sq_free). The same content gives the same bytes. */
SQUALL_MUST_USE squall_status sq_engine_write(const sq_engine_file *file, unsigned char **bytes,
                                              size_t *size, squall_error *err);

/** Read and check. `file` points into `bytes`, which must outlive it and be 64-byte aligned. */
SQUALL_MUST_USE squall_status sq_engine_read(const unsigned char *bytes, size_t size,
                                             const char *name, sq_engine_file *file,
                                             squall_error *err);
void sq_engine_free(sq_engine_file *file);

/** Give every arena value an offset: values whose lives overlap never share memory.
 *
 * Greedy by size (Pisarchyk and Lee 2020, arXiv:2001.03288). Sets offsets, arena_bytes and
 * arena_bound_bytes (the largest sum of sizes alive at one step). `in_place[step]` names the input
 * whose memory output 0 may take over, or -1. */
SQUALL_MUST_USE squall_status sq_plan_memory(sq_plan *plan, const int8_t *in_place,
                                             squall_error *err);

#endif /* SQ_NN_PLAN_PLAN_H */
