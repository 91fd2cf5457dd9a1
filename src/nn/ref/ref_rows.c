/* nn/ref/ref_rows.c - rows of doubles in scratch memory: sums of scaled rows, and where they lie.
 */
#include "nn/ref/ref_ops.h"

size_t sq_ref_rows_bytes(size_t doubles, int threads)
{
    size_t bytes;
    if (!sq_mul_size(doubles, sizeof(double), &bytes) ||
        !sq_add_size(bytes, SQ_ALIGNMENT - 1, &bytes)) {
        return SIZE_MAX;
    }
    bytes &= ~(size_t)(SQ_ALIGNMENT - 1);
    return sq_mul_size(bytes, (size_t)threads, &bytes) ? bytes : SIZE_MAX;
}

double *sq_ref_rows(const sq_call *call, size_t doubles, int thread)
{
    return (double *)call->scratch +
           (size_t)thread * (sq_ref_rows_bytes(doubles, 1) / sizeof(double));
}

/* The loops that take most of the time: the sanitizers look at both ends of each run, in
 * sq_ref_add_scaled(), and not at each number between, or tests would take ten times as long. */
#define UNCHECKED __attribute__((no_sanitize("address", "undefined", "thread"), noinline))

/* Each number of `row` is read once for SQ_REF_BLOCK sums. */
UNCHECKED static void add_block(double *acc, size_t pitch, const double *weight, const double *row,
                                size_t count)
{
    double *restrict acc0 = acc, *restrict acc1 = acc + pitch;
    double *restrict acc2 = acc + 2 * pitch, *restrict acc3 = acc + 3 * pitch;
    const double w0 = weight[0], w1 = weight[1], w2 = weight[2], w3 = weight[3];
    for (size_t i = 0; i < count; i++) {
        const double x = row[i];
        acc0[i] += w0 * x;
        acc1[i] += w1 * x;
        acc2[i] += w2 * x;
        acc3[i] += w3 * x;
    }
}

UNCHECKED static void add_one(double *restrict acc, double weight, const double *restrict row,
                              size_t count)
{
    for (size_t i = 0; i < count; i++) {
        acc[i] += weight * row[i];
    }
}

UNCHECKED static void add_strided(double *acc, size_t pitch, int64_t acc_step, int block,
                                  const double *weight, const double *row, int64_t row_step,
                                  size_t count)
{
    for (int b = 0; b < block; b++) {
        double *restrict to = acc + (size_t)b * pitch;
        const double w = weight[b];
        for (int64_t i = 0; i < (int64_t)count; i++) {
            to[i * acc_step] += w * row[i * row_step];
        }
    }
}

static void touch(const double *number)
{
    (void)*(const volatile double *)number;
}

void sq_ref_add_scaled(double *acc, size_t pitch, int64_t acc_step, int block, const double *weight,
                       const double *row, int64_t row_step, size_t count)
{
    if (count == 0) {
        return;
    }
    touch(row);
    touch(row + (int64_t)(count - 1) * row_step);
    touch(acc);
    touch(acc + (size_t)(block - 1) * pitch + (int64_t)(count - 1) * acc_step);
    if (acc_step != 1 || row_step != 1) {
        add_strided(acc, pitch, acc_step, block, weight, row, row_step, count);
    } else if (block == SQ_REF_BLOCK) {
        add_block(acc, pitch, weight, row, count);
    } else {
        for (int b = 0; b < block; b++) {
            add_one(acc + (size_t)b * pitch, weight[b], row, count);
        }
    }
}
