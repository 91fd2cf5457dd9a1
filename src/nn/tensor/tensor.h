/* nn/tensor/tensor.h - helpers on tensors that the rooms of nn share. */
#ifndef SQ_NN_TENSOR_TENSOR_H
#define SQ_NN_TENSOR_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "squall/tensor.h"

/** What channels are rounded up to where they come last: whole pieces of 16 bytes for numbers of
 * one byte, else 8. */
size_t sq_tensor_lanes(squall_dtype dtype);

/** A plain tensor of zeros with `data` from sq_alloc; false when there is no memory or the sizes
 * overflow. Release with sq_tensor_free(). */
bool sq_tensor_make(squall_dtype dtype, uint32_t rank, const int64_t *dims, squall_tensor *out);

/** A plain copy, data included. */
bool sq_tensor_copy(const squall_tensor *tensor, squall_tensor *out);

/** Release `data` and zero the struct. */
void sq_tensor_free(squall_tensor *tensor);

/** Type, layout and shape equal; data is not looked at. */
bool sq_tensor_same_type(const squall_tensor *a, const squall_tensor *b);

/** "float32[1,4,256,256]", with ":c16" behind it for a blocked layout; returns `text`. */
#define SQ_TENSOR_TEXT 208
char *sq_tensor_format(const squall_tensor *tensor, char *text);

/** Element `index` of an integer, bool or floating tensor as int64 / double. */
int64_t sq_tensor_get_int(const squall_tensor *tensor, size_t index);
double sq_tensor_get_double(const squall_tensor *tensor, size_t index);

/** IEEE half and bfloat16, to and from float; to nearest even. */
float sq_half_to_float(uint16_t half);
uint16_t sq_float_to_half(float value);
float sq_bf16_to_float(uint16_t bits);
uint16_t sq_float_to_bf16(float value);

#endif /* SQ_NN_TENSOR_TENSOR_H */
