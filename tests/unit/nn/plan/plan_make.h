/* tests/unit/nn/plan/plan_make.h - small plans and engine files made by hand, for tests. */
#ifndef PLAN_MAKE_H
#define PLAN_MAKE_H

#include <stdio.h>
#include <string.h>

#include "nn/plan/plan_internal.h"

enum { PLAN_REF = 1 }; /* SQ_BACKEND_REF */

/* A plan that is being made; arrays are large enough for the tests. */
enum { PLAN_VALUES = 4096, PLAN_STEPS = 4096 };

static inline void plan_begin(sq_plan *plan)
{
    memset(plan, 0, sizeof *plan);
    plan->values = sq_alloc(PLAN_VALUES, sizeof *plan->values);
    plan->steps = sq_alloc(PLAN_STEPS, sizeof *plan->steps);
    plan->inputs = sq_alloc(8, sizeof *plan->inputs);
    plan->outputs = sq_alloc(8, sizeof *plan->outputs);
}

/* A value: float32 of one dimension. */
static inline uint32_t plan_value(sq_plan *plan, sq_home home, uint64_t offset, int64_t count)
{
    char name[16];
    const uint32_t v = plan->value_count++;
    snprintf(name, sizeof name, "v%u", v);
    plan->values[v] = (sq_plan_value){
        .type = {.dtype = SQUALL_F32, .rank = 1, .dims = {count}},
        .home = home,
        .offset = offset,
        .name = sq_strdup(name),
    };
    if (home == SQ_HOME_INPUT) {
        plan->inputs[plan->input_count++] = v;
    } else if (home == SQ_HOME_OUTPUT) {
        plan->outputs[plan->output_count++] = v;
    } else if (home == SQ_HOME_NONE) {
        memset(&plan->values[v].type, 0, sizeof plan->values[v].type);
    }
    return v;
}

/* A step out = op(a, b); `b` is left out when it is `a`. */
static inline sq_plan_step *plan_step(sq_plan *plan, sq_op op, uint32_t backend, int32_t in_place,
                                      uint32_t a, uint32_t b, uint32_t out)
{
    char name[16];
    sq_plan_step *step = &plan->steps[plan->step_count++];
    snprintf(name, sizeof name, "s%u", plan->step_count - 1);
    *step = (sq_plan_step){.op = op,
                           .backend = backend,
                           .in_place = in_place,
                           .name = sq_strdup(name),
                           .tactic = sq_strdup(backend == SQ_PLAN_VIEW ? "" : "ref"),
                           .in = sq_alloc(2, sizeof *step->in),
                           .out = sq_alloc(1, sizeof *step->out),
                           .in_count = a == b ? 1 : 2,
                           .out_count = 1,
                           .attrs = {.opset = 17}};
    step->in[0] = a;
    step->in[1] = b;
    step->out[0] = out;
    return step;
}

/* Numbers of the values and steps of plan_small(). */
enum {
    SMALL_NONE,
    SMALL_IN,
    SMALL_WEIGHT,
    SMALL_SUM,
    SMALL_POSITIVE,
    SMALL_SHAPE,
    SMALL_SQUARE,
    SMALL_OUT
};
enum { SMALL_ADD, SMALL_RELU, SMALL_RESHAPE, SMALL_NEG };

/* in float32[4] -> + weight -> Relu (taking over) -> Reshape to [2,2] (a view) -> Neg -> out.
 * `device`: the weight is packed and dropped. */
static inline void plan_small(sq_plan *plan, bool device)
{
    plan_begin(plan);
    plan_value(plan, SQ_HOME_NONE, 0, 0);
    plan_value(plan, SQ_HOME_INPUT, 0, 4);
    plan_value(plan, device ? SQ_HOME_DROPPED : SQ_HOME_CONST, 0, 4);
    plan_value(plan, SQ_HOME_ARENA, 0, 4);
    plan_value(plan, SQ_HOME_ARENA, 0, 4);
    plan_value(plan, SQ_HOME_CONST, 64, 2);
    plan_value(plan, SQ_HOME_ARENA, 0, 2);
    plan_value(plan, SQ_HOME_OUTPUT, 0, 2);
    plan->values[SMALL_SHAPE].type.dtype = SQUALL_I64;
    plan->values[SMALL_SQUARE].type.rank = plan->values[SMALL_OUT].type.rank = 2;
    plan->values[SMALL_SQUARE].type.dims[1] = plan->values[SMALL_OUT].type.dims[1] = 2;
    sq_plan_step *add = plan_step(plan, SQ_OP_Add, PLAN_REF, -1, SMALL_IN, SMALL_WEIGHT, SMALL_SUM);
    add->packed_bytes = device ? 16 : 0;
    plan_step(plan, SQ_OP_Relu, PLAN_REF, 0, SMALL_SUM, SMALL_SUM, SMALL_POSITIVE);
    plan_step(plan, SQ_OP_Reshape, SQ_PLAN_VIEW, -1, SMALL_POSITIVE, SMALL_SHAPE, SMALL_SQUARE);
    plan_step(plan, SQ_OP_Neg, PLAN_REF, -1, SMALL_SQUARE, SMALL_SQUARE, SMALL_OUT);
    plan->arena_bytes = plan->arena_bound_bytes = 64;
}

/* An engine file of one profile with plan_small(), and a device plan if wanted. `weights` has 128
 * bytes, 64-byte aligned; it is filled. */
static inline void plan_file(sq_engine_file *file, bool device, unsigned char *weights)
{
    static const float numbers[4] = {1, -2, 3, -4};
    static const int64_t shape[2] = {2, 2};
    memset(file, 0, sizeof *file);
    memset(weights, 0, 128);
    memcpy(weights, numbers, sizeof numbers);
    memcpy(weights + 64, shape, sizeof shape); /* little-endian hosts only, as all of ours are */
    file->profile_count = 1;
    file->portable = sq_alloc(1, sizeof *file->portable);
    plan_small(file->portable, false);
    if (device) {
        file->device = sq_alloc(1, sizeof *file->device);
        plan_small(file->device, true);
    }
    file->weights = weights;
    file->weight_bytes = 128;
    file->recipe = sq_strdup("{\"version\": 1}");
    file->model_name = sq_strdup("small");
    file->squall_version = sq_strdup("0.1.0");
    file->isa = sq_strdup(device ? "c" : "");
    file->threads = device ? 2 : 0;
    memset(file->model_hash, 7, sizeof file->model_hash);
}

/* The entry of a section in an engine's table, or NULL. */
static inline unsigned char *plan_entry(unsigned char *bytes, uint32_t id)
{
    const uint32_t count = (uint32_t)sq_load_uint(bytes + SQ_HEADER_SECTIONS, 4);
    for (uint32_t i = 0; i < count; i++) {
        unsigned char *entry = bytes + SQ_ENGINE_HEADER_BYTES + i * SQ_ENGINE_TABLE_BYTES;
        if (sq_load_uint(entry + SQ_TABLE_ID, 4) == id) {
            return entry;
        }
    }
    return NULL;
}

/* Where a section lies, if it is one that lies in the file. */
static inline unsigned char *plan_section(unsigned char *bytes, size_t size, unsigned char *entry,
                                          uint64_t *length)
{
    const uint64_t at = entry != NULL ? sq_load_uint(entry + SQ_TABLE_OFFSET, 8) : UINT64_MAX;
    *length = entry != NULL ? sq_load_uint(entry + SQ_TABLE_SIZE, 8) : 0;
    return at <= size && *length <= size - at ? bytes + at : NULL;
}

/* Make all hashes of an engine right again, so that what was changed reaches the deeper checks. */
static inline void plan_reseal(unsigned char *bytes, size_t size)
{
    const uint32_t count = (uint32_t)sq_load_uint(bytes + SQ_HEADER_SECTIONS, 4);
    uint64_t length, room;
    if (count > SQ_MAX_SECTIONS ||
        SQ_ENGINE_HEADER_BYTES + (size_t)count * SQ_ENGINE_TABLE_BYTES > size) {
        return;
    }
    unsigned char *weights_entry = plan_entry(bytes, SQ_SECTION_WEIGHTS);
    unsigned char *weights = plan_section(bytes, size, weights_entry, &length);
    unsigned char *chunks = plan_section(bytes, size, plan_entry(bytes, SQ_SECTION_CHUNKS), &room);
    for (uint64_t at = 0; weights != NULL && chunks != NULL && at < length && room >= SQ_HASH_BYTES;
         at += SQ_ENGINE_CHUNK_BYTES, chunks += SQ_HASH_BYTES, room -= SQ_HASH_BYTES) {
        const uint64_t left = length - at;
        sq_hash(weights + at, left < SQ_ENGINE_CHUNK_BYTES ? left : SQ_ENGINE_CHUNK_BYTES, chunks);
    }
    for (uint32_t i = 0; i < count; i++) {
        unsigned char *entry = bytes + SQ_ENGINE_HEADER_BYTES + i * SQ_ENGINE_TABLE_BYTES;
        const unsigned char *section = plan_section(bytes, size, entry, &length);
        if (section != NULL && entry != weights_entry) {
            sq_hash(section, length, entry + SQ_TABLE_HASH);
        }
    }
    const unsigned char *chunks_entry = plan_entry(bytes, SQ_SECTION_CHUNKS);
    if (weights_entry != NULL && chunks_entry != NULL) {
        memcpy(weights_entry + SQ_TABLE_HASH, chunks_entry + SQ_TABLE_HASH, SQ_HASH_BYTES);
    }
    sq_engine_hash_head(bytes, count, bytes + SQ_HEADER_HASH);
}

#endif /* PLAN_MAKE_H */
