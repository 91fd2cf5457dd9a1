/* wx/io/io_gzip.h - gzip, told by content, inflated within bounds. */
#ifndef SQ_WX_IO_IO_GZIP_H
#define SQ_WX_IO_IO_GZIP_H

#include <stdbool.h>
#include <stddef.h>

#include "squall/status.h"

/** Whether bytes begin as gzip does. */
bool sq_io_is_gzip(const unsigned char *bytes, size_t size);

/** Inflate every member of a gzip file, one behind the other. `*out` is given (sq_free).
 *
 * @return SQUALL_OK; SQUALL_E_CORRUPT (also for what is cut short, which looks the same to the
 *         decoder); SQUALL_E_LIMIT past SQ_LIMIT_INFLATED; SQUALL_E_MEMORY. */
SQUALL_MUST_USE squall_status sq_io_gunzip(const unsigned char *bytes, size_t size,
                                           const char *name, unsigned char **out, size_t *out_size,
                                           squall_error *err);

#endif /* SQ_WX_IO_IO_GZIP_H */
