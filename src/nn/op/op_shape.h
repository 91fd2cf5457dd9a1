/* nn/op/op_shape.h - what the shape rules share; for the files of this room alone. */
#ifndef SQ_NN_OP_OP_SHAPE_H
#define SQ_NN_OP_OP_SHAPE_H

#include "base/base.h"
#include "nn/op/op.h"

/** A rule fills step->out[]. The counts of inputs and outputs and the presence of the inputs that
 * must be there are checked before it is called; sizes are not negative, ranks within the limit. */
typedef squall_status sq_op_rule(sq_step *step, squall_error *err);
#define RULE(name, min_in, max_in, max_out) sq_op_rule sq_op_shape_##name;
#include "nn/op/op_rules.inc"
#undef RULE

/** "node 'conv1' (Conv)" into `text`; returns it. */
#define SQ_OP_WHERE 128
const char *sq_op_where(const sq_step *step, char *text);

/** `return SQ_STEP_FAIL(SQUALL_E_SHAPE, "rank %u", rank)` where `step` and `err` are at hand. */
#define SQ_STEP_FAIL(code, ...) \
    sq_fail(err, code, sq_op_where(step, (char[SQ_OP_WHERE]){0}), __VA_ARGS__)

/** Input `index` is there. */
bool sq_op_has(const sq_step *step, uint32_t index);

/** float16, bfloat16, float32, float64. */
bool sq_op_is_float(squall_dtype dtype);

/** Set output `index`; SQUALL_E_LIMIT when it is too large to be a tensor. An output that the step
 * has not got is passed over. */
squall_status sq_op_set(sq_step *step, uint32_t index, squall_dtype dtype, uint32_t rank,
                        const int64_t *dims, squall_error *err);

/** The output is as input `index`. */
squall_status sq_op_set_like(sq_step *step, uint32_t index, squall_error *err);

/** Broadcast `dims` by `other` (both ways) in place; false when they do not fit. */
bool sq_op_broadcast(uint32_t *rank, int64_t *dims, const squall_tensor *other);

/** The inputs from..to-1 broadcast together. */
squall_status sq_op_broadcast_inputs(const sq_step *step, uint32_t from, uint32_t to,
                                     uint32_t *rank, int64_t *dims, squall_error *err);

/** Inputs `a` and `b` have one type. */
squall_status sq_op_need_same_type(const sq_step *step, uint32_t a, uint32_t b, squall_error *err);

/** Input `index` holds floating numbers. */
squall_status sq_op_need_float(const sq_step *step, uint32_t index, squall_error *err);

/** An axis that may count from the end, held against `rank`. */
squall_status sq_op_axis(const sq_step *step, int64_t axis, uint32_t rank, uint32_t *out,
                         squall_error *err);

/** The integers of a constant input of rank 0 or 1 (int32 or int64), at most `capacity`.
 * SQUALL_E_UNSUPPORTED when it is not constant. */
squall_status sq_op_input_ints(const sq_step *step, uint32_t index, const char *what,
                               size_t capacity, int64_t *out, size_t *count, squall_error *err);

/** Input `index` has data, for its values decide on the shape of the output. SQUALL_E_UNSUPPORTED
 * when it is not constant. */
squall_status sq_op_need_data(const sq_step *step, uint32_t index, const char *what,
                              squall_error *err);

/** Input `index` is one number. */
squall_status sq_op_need_one(const sq_step *step, uint32_t index, const char *what,
                             squall_error *err);

/** Input `index` has the rank and the sizes given; one that is absent passes. */
squall_status sq_op_need_shape(const sq_step *step, uint32_t index, const char *what, uint32_t rank,
                               const int64_t *dims, squall_error *err);

/** The integers that older opsets hold in attribute `name` and newer ones in input `index`;
 * `*given` tells whether there were any. */
squall_status sq_op_ints(const sq_step *step, uint32_t index, const char *name, size_t capacity,
                         int64_t *out, size_t *count, bool *given, squall_error *err);

/** `count` axes as a set of bits over `rank`; each at most once. */
squall_status sq_op_axis_set(const sq_step *step, const int64_t *axes, size_t count, uint32_t rank,
                             uint32_t *set, squall_error *err);

#endif /* SQ_NN_OP_OP_SHAPE_H */
