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

void sq_ref_add_scaled(double *acc, size_t pitch, int block, const double *weight,
                       const double *row, int64_t step, size_t count)
{
    if (block == SQ_REF_BLOCK && step == 1) { /* each number of `row` is read once for 4 sums */
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
        return;
    }
    for (int b = 0; b < block; b++) {
        double *restrict to = acc + (size_t)b * pitch;
        const double w = weight[b];
        if (step == 1) {
            for (size_t i = 0; i < count; i++) {
                to[i] += w * row[i];
            }
        } else {
            for (size_t i = 0; i < count; i++) {
                to[i] += w * row[(int64_t)i * step];
            }
        }
    }
}
