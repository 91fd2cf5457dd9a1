/* cli/cli_shape.h - shapes, profiles and grids as they are written on the command line. */
#ifndef SQ_CLI_CLI_SHAPE_H
#define SQ_CLI_CLI_SHAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "squall/compile.h"

/** "x=1x4x256x256", "x=1:8:32x4x256x256", "x=1:8:32"; without "x=" for the only input. The name is
 * copied into `name` of `room` bytes. False, with a message, when it is none; a range of batches is
 * taken only with `range`. */
bool cli_shape_parse(const char *option, const char *text, bool range, squall_input_shape *out,
                     char *name, size_t room);

/** "256x256": height and width. */
bool cli_bucket_parse(const char *text, squall_bucket *out);

/** "512M", "2G", "1500000": bytes; false, with a message. */
bool cli_bytes_parse(const char *option, const char *text, size_t *out);

#endif /* SQ_CLI_CLI_SHAPE_H */
