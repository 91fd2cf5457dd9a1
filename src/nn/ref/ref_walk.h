/* nn/ref/ref_walk.h - ways through tensors: broadcast rows, strided copies, single axes. */
#ifndef SQ_NN_REF_REF_WALK_H
#define SQ_NN_REF_REF_WALK_H

#include "base/base.h"
#include "nn/op/op.h"

/** Operands that broadcast against one output, as rows of the output: within a row each operand
 * moves by 0 or 1 element. Axes that all operands walk in one go are one. */
typedef struct sq_ref_walk {
    uint32_t rank, operands;
    int64_t dims[SQUALL_MAX_DIMS];
    int64_t stride[SQ_MAX_INPUTS][SQUALL_MAX_DIMS]; /* elements; 0 where an operand repeats */
    size_t rows, length;                            /* rows * length elements in all */
} sq_ref_walk;

/** @return SQUALL_E_SHAPE if an operand does not broadcast to `out`. */
SQUALL_MUST_USE squall_status sq_ref_walk_init(sq_ref_walk *walk, const squall_tensor *out,
                                               const squall_tensor *in, uint32_t count,
                                               const char *where, squall_error *err);

/** Where each operand's elements of row `row` start. */
void sq_ref_walk_row(const sq_ref_walk *walk, size_t row, size_t *first);

/** How operand `i` moves within a row: 0 or 1. */
int64_t sq_ref_walk_step(const sq_ref_walk *walk, uint32_t i);

/** `dst`, dense, takes for each index of `dims` the element of `size` bytes at src + sum(index *
 * stride), strides in elements, of any sign. */
void sq_ref_copy_strided(void *dst, const void *src, size_t size, uint32_t rank,
                         const int64_t *dims, const int64_t *stride);

/** Row-major strides, in elements. */
void sq_ref_strides(const squall_tensor *tensor, int64_t *stride);

/** Sizes before, at and behind an axis, multiplied. */
typedef struct sq_ref_axis {
    size_t outer, length, inner;
} sq_ref_axis;
sq_ref_axis sq_ref_axis_of(const squall_tensor *tensor, int64_t axis);

/** Product of dims[first..last-1]. */
size_t sq_ref_product(const int64_t *dims, uint32_t first, uint32_t last);

/** -1 is the last of `rank` axes. SQUALL_E_SHAPE when there is no such axis. */
SQUALL_MUST_USE squall_status sq_ref_axis_find(const sq_step *step, int64_t axis, uint32_t rank,
                                               int64_t *out, squall_error *err);

/** An input that is there: not beyond the inputs given, not left out. */
bool sq_ref_has_input(const sq_step *step, uint32_t index);
bool sq_ref_has_output(const sq_step *step, uint32_t index);

/** The same number of elements, of one size, in the same order; dst may be src. */
void sq_ref_copy(const squall_tensor *dst, const squall_tensor *src);

#endif /* SQ_NN_REF_REF_WALK_H */
