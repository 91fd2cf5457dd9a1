/* squall/tensor.h - dense arrays of numbers: what networks take and give. */
#ifndef SQUALL_TENSOR_H
#define SQUALL_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "squall/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SQUALL_MAX_DIMS 8

/** Element types; the numbers are those of ONNX (TensorProto.DataType). */
typedef enum squall_dtype {
    SQUALL_DTYPE_NONE = 0, /**< no tensor: an optional input that is absent */
    SQUALL_F32 = 1,
    SQUALL_U8 = 2,
    SQUALL_I8 = 3,
    SQUALL_U16 = 4,
    SQUALL_I16 = 5,
    SQUALL_I32 = 6,
    SQUALL_I64 = 7,
    SQUALL_BOOL = 9,
    SQUALL_F16 = 10,
    SQUALL_F64 = 11,
    SQUALL_U32 = 12,
    SQUALL_U64 = 13,
    SQUALL_BF16 = 16
} squall_dtype;

/** How elements lie in memory. Tensors that pass through the public interface are PLAIN. */
typedef enum squall_layout {
    SQUALL_PLAIN = 0, /**< dense, row-major, dims[rank-1] fastest */
    SQUALL_C16 = 1,   /**< N,C,...: channels in blocks of 16 that lie innermost:
                         [N][ceil(C/16)][...][16];   lanes past C hold finite values of no meaning */
    SQUALL_C8 = 2,    /**< the same with blocks of 8 */
    SQUALL_NHWC = 3   /**< channels last: [N][...][C rounded up to 8, of bytes to 16] */
} squall_layout;

/** A tensor: type, shape and where its elements are. Who owns `data` is said where one is passed.
 */
typedef struct squall_tensor {
    squall_dtype dtype;
    squall_layout layout;
    uint32_t rank;                 /**< 0 (a scalar) .. SQUALL_MAX_DIMS */
    int64_t dims[SQUALL_MAX_DIMS]; /**< logical sizes, whatever the layout; beyond `rank` 0 */
    void *data;                    /**< 64-byte aligned in all that squall makes */
} squall_tensor;

/** Bytes of one element; 0 for a type that is not known. */
SQUALL_API size_t squall_dtype_size(squall_dtype dtype);

/** "float32", "int64", ...; never NULL. */
SQUALL_API const char *squall_dtype_name(squall_dtype dtype);

/** Elements by the logical sizes; SIZE_MAX when that overflows or a size is negative. */
SQUALL_API size_t squall_tensor_count(const squall_tensor *tensor);

/** Bytes in memory, with the lanes that fill a block up; SIZE_MAX on overflow. */
SQUALL_API size_t squall_tensor_bytes(const squall_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_TENSOR_H */
