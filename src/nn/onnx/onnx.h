/* nn/onnx/onnx.h - ONNX files in, graphs out. */
#ifndef SQ_NN_ONNX_ONNX_H
#define SQ_NN_ONNX_ONNX_H

#include "nn/graph/graph.h"

/**
 * Read a model. External data files are looked for beside it only: a path that leaves its folder,
 * or a symbolic link that does, is refused.
 *
 * Opsets 7 to 23 of ONNX's own operators. Constants become values; nodes are in an order in which
 * they can run; shapes are not inferred yet.
 *
 * @return SQUALL_OK; SQUALL_E_UNSUPPORTED with one line in `notes` for every node that cannot be
 *         taken (its name, its operator, why), the count in `err`; SQUALL_E_FORMAT;
 *         SQUALL_E_TRUNCATED; SQUALL_E_CORRUPT; SQUALL_E_VERSION (another opset);
 *         SQUALL_E_LIMIT; SQUALL_E_IO; SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE squall_status sq_onnx_read(const char *path, sq_graph **out, squall_notes *notes,
                                           squall_error *err);

/** The same from memory; no external data. `name` is what messages call it. */
SQUALL_MUST_USE squall_status sq_onnx_read_memory(const void *bytes, size_t size, const char *name,
                                                  sq_graph **out, squall_notes *notes,
                                                  squall_error *err);

#endif /* SQ_NN_ONNX_ONNX_H */
