/* cli/cli_npy.h - tensors as NumPy's .npy files. */
#ifndef SQ_CLI_CLI_NPY_H
#define SQ_CLI_CLI_NPY_H

#include "squall/tensor.h"

/** Write a plain tensor as .npy (format 1.0); the file appears only when it is complete. */
SQUALL_MUST_USE squall_status cli_npy_write(const char *path, const squall_tensor *tensor,
                                            squall_error *err);

/** Read one; `out->data` is given (sq_free). C order and little-endian numbers only. */
SQUALL_MUST_USE squall_status cli_npy_read(const char *path, squall_tensor *out, squall_error *err);

#endif /* SQ_CLI_CLI_NPY_H */
