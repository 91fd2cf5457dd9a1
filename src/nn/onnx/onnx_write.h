/* nn/onnx/onnx_write.h - the wire format of protocol buffers, written; for the files of this room.
 */
#ifndef SQ_NN_ONNX_ONNX_WRITE_H
#define SQ_NN_ONNX_ONNX_WRITE_H

#include "base/base.h"
#include "nn/onnx/onnx_wire.h"
#include "nn/tensor/tensor.h"

/* A message is a sq_text: `failed` says, once at the end, whether there was memory. */

void sq_wire_put_number(sq_text *message, uint32_t field, uint64_t value);
void sq_wire_put_bytes(sq_text *message, uint32_t field, const void *bytes, size_t size);
void sq_wire_put_wire(sq_text *message, uint32_t field, sq_wire bytes);

/** A finished message as field of another; the inner one is released. */
void sq_wire_put_message(sq_text *message, uint32_t field, sq_text *inner);

/** A TensorProto with its numbers as raw bytes. */
void sq_onnx_put_tensor(sq_text *message, uint32_t field, sq_wire name,
                        const squall_tensor *tensor);

/** A ValueInfoProto; a size of -1 is left open. */
void sq_onnx_put_info(sq_text *message, uint32_t field, sq_wire name, const squall_tensor *type);

#endif /* SQ_NN_ONNX_ONNX_WRITE_H */
