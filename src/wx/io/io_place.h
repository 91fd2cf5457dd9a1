/* wx/io/io_place.h - where things are: in a file (for messages) and on the earth (for grids). */
#ifndef SQ_WX_IO_IO_PLACE_H
#define SQ_WX_IO_IO_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "squall/field.h"

#define SQ_IO_WHERE 128 /* bytes of squall_error.where */

/** Write "name:place" into `where` (SQ_IO_WHERE bytes), the place by `format`; a name that is too
 * long loses its beginning, so that the place is always seen. Returns `where`. */
__attribute__((format(printf, 3, 4))) char *sq_io_where(char *where, const char *name,
                                                        const char *format, ...);

/**
 * Take over a PROJ string from a file.
 *
 * Units are made metres: lengths of an earth measured in kilometres are multiplied, "+units" and
 * "+to_meter" go. What could make PROJ open files or run a pipeline is refused.
 *
 * @param unit_m  filled; metres in one unit of the coordinates that `text` speaks of, 1 for
 * degrees.
 * @return SQUALL_OK; SQUALL_E_UNSUPPORTED; SQUALL_E_CORRUPT if it is no PROJ string.
 */
SQUALL_MUST_USE squall_status sq_io_take_proj(const char *text, const char *where,
                                              char proj[sizeof((squall_grid *)0)->proj],
                                              double *unit_m, squall_error *err);

/** Whether a PROJ string measures in degrees. */
bool sq_io_proj_is_longlat(const char *proj);

/** Whether two words are the same but for the case of ASCII letters. */
bool sq_io_same_word(const char *a, const char *b);

/** Whether `word` is one of `words`, which NULL ends. */
bool sq_io_one_of(const char *word, const char *const *words);

/** Copy at most `size` - 1 printable ASCII characters of `count` bytes up to the first zero, others
 * as '?', without white space at the ends. `text` is terminated. False if something was cut off. */
bool sq_io_clean_text(const char *bytes, size_t count, char *text, size_t size);

#endif /* SQ_WX_IO_IO_PLACE_H */
