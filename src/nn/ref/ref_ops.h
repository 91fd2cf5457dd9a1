/* nn/ref/ref_ops.h - the functions that carry operators out, one row in ref_ops.inc each. */
#ifndef SQ_NN_REF_REF_OPS_H
#define SQ_NN_REF_REF_OPS_H

#include "nn/backend/backend.h"
#include "nn/ref/ref_element.h"
#include "nn/ref/ref_walk.h"

/** Carry out call->step. Its types are those of sq_op_infer(), all inputs are plain, and scratch
 * has the bytes asked for; values of inputs (indices, sizes) are still to be mistrusted. */
typedef squall_status sq_ref_run_fn(const sq_call *call, squall_error *err);

/** Scratch bytes of one run by `threads` threads; SIZE_MAX when that is beyond counting. */
typedef size_t sq_ref_scratch_fn(const sq_step *step, int threads);

sq_ref_scratch_fn sq_ref_scratch_none;

#define REF(op, run, scratch, types) \
    sq_ref_run_fn run;               \
    sq_ref_scratch_fn scratch;
#include "nn/ref/ref_ops.inc"
#undef REF

/** Bytes of `doubles` doubles for each of `threads` threads, each thread's on its own cache lines.
 */
size_t sq_ref_rows_bytes(size_t doubles, int threads);

/** Where the part of thread `thread` begins in scratch of that size. */
double *sq_ref_rows(const sq_call *call, size_t doubles, int thread);

/** Rows of outputs that share each row of input (convolution) or matrix (product). */
#define SQ_REF_BLOCK 4

/** acc[b][i * acc_step] += weight[b] * row[i * row_step] for b < block and i < count, where acc[b]
 * is acc + b * pitch. */
void sq_ref_add_scaled(double *acc, size_t pitch, int64_t acc_step, int block, const double *weight,
                       const double *row, int64_t row_step, size_t count);

/** Element `at` of `out` becomes sum * scale + zero: one product in float, rounded to nearest even,
 * held to the range of the type. */
void sq_ref_requantise(const squall_tensor *out, size_t at, int64_t sum, float scale, int64_t zero);

/** What attribute "sq_activation" asks for. */
typedef struct sq_ref_activation {
    sq_activation kind;
    double a, b;
} sq_ref_activation;

/** @return SQUALL_E_UNSUPPORTED for a number that is no activation. */
SQUALL_MUST_USE squall_status sq_ref_activation_get(const sq_step *step, sq_ref_activation *out,
                                                    squall_error *err);
void sq_ref_activate(const sq_ref_activation *activation, double *values, size_t count);

/** sq_window with 3 axes always: those that are missing are in front, of size 1. */
SQUALL_MUST_USE squall_status sq_ref_window(const sq_step *step, sq_window *out, squall_error *err);

/** How many x of 0..count-1 have 0 <= x * stride + offset < limit, and the first of them. */
int64_t sq_ref_valid_range(int64_t count, int64_t stride, int64_t offset, int64_t limit,
                           int64_t *first);

#endif /* SQ_NN_REF_REF_OPS_H */
