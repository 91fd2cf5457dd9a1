/* nn/ref/ref_element.h - runs of elements of any type, as doubles or as int64, and back. */
#ifndef SQ_NN_REF_REF_ELEMENT_H
#define SQ_NN_REF_REF_ELEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/tensor/tensor.h"

/* Elements that an operator converts at a time, into buffers on its stack. */
#define SQ_REF_RUN 256

/** Float32, float16, bfloat16 or float64. */
bool sq_ref_is_float(squall_dtype dtype);

/** Elements first, first + step, ... of a plain tensor, whatever its type: exact, but for 64-bit
 * integers beyond 2^53, which become the nearest double. */
void sq_ref_load(const squall_tensor *tensor, size_t first, int64_t step, size_t count,
                 double *out);

/** The same as integers: uint64 keeps its 64 bits; a floating number is cut towards zero, and what
 * int64 cannot hold becomes its nearest end, NaN 0. */
void sq_ref_load_int(const squall_tensor *tensor, size_t first, int64_t step, size_t count,
                     int64_t *out);

/** Elements first, first + 1, ... take `values`, rounded once, to nearest even; integers cut
 * towards zero and held to their range, NaN 0; a bool is true for all but 0. */
void sq_ref_store(const squall_tensor *tensor, size_t first, size_t count, const double *values);

/** The same from integers: narrower ones keep the low bits. */
void sq_ref_store_int(const squall_tensor *tensor, size_t first, size_t count,
                      const int64_t *values);

#endif /* SQ_NN_REF_REF_ELEMENT_H */
