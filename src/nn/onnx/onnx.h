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

/** A model's file as a list of nodes, of which smaller models can be made; it need not be one that
 * can be taken. */
typedef struct sq_onnx_parts sq_onnx_parts;

/** @return SQUALL_OK; SQUALL_E_FORMAT; SQUALL_E_CORRUPT; SQUALL_E_LIMIT; SQUALL_E_IO;
 * SQUALL_E_MEMORY. */
SQUALL_MUST_USE squall_status sq_onnx_parts_open(const char *path, sq_onnx_parts **out,
                                                 squall_error *err);
void sq_onnx_parts_close(sq_onnx_parts **parts);
uint32_t sq_onnx_parts_count(const sq_onnx_parts *parts);

/** The type of a value that becomes an input (or an output) of a smaller model: a size may be -1,
 * open. False when it is not known; then what the file says of it is used. */
typedef bool sq_onnx_type_of(void *self, const char *name, bool output, squall_tensor *out);

/**
 * A model of some of the nodes, as a file's bytes. What they use and none of them gives becomes an
 * input, what none of them uses an output. Constants that nobody uses are left out; weights in
 * other files come into this one.
 *
 * @param kept   [count] which nodes; at least one
 * @param bytes  given (sq_free)
 * @param type_of, self  may be NULL: nothing is known
 * @param nodes  filled: how many nodes there are, without unused constants; may be NULL
 */
SQUALL_MUST_USE squall_status sq_onnx_parts_write(const sq_onnx_parts *parts, const bool *kept,
                                                  sq_onnx_type_of *type_of, void *self,
                                                  unsigned char **bytes, size_t *size,
                                                  uint32_t *nodes, squall_error *err);

#endif /* SQ_NN_ONNX_ONNX_H */
