/* wx/io/io_share.h - small things that the readers of single formats have in common. */
#ifndef SQ_WX_IO_IO_SHARE_H
#define SQ_WX_IO_IO_SHARE_H

#include <stdbool.h>
#include <stddef.h>

#include "wx/grid/grid.h"
#include "wx/io/io.h"
#include "wx/io/io_place.h"

/** Whether a dataset that its file calls `name` is the `wanted` one. NULL wants any. It may be
 * named as its file does, or by what ODIM calls its quantity (RATE, ACRR, DBZH), in any case. */
bool sq_io_wanted(const char *wanted, squall_quantity quantity, const char *name);

/** How well rain can be told from a quantity: 0 is best. */
int sq_io_rain_rank(squall_quantity quantity);

/** Read a decimal number that is the whole of `text`, blanks around it apart; false for anything
 * else and for what is not finite. Readers run in the C locale, so the point is a point. */
bool sq_io_number(const char *text, double *out);

/** squall_field_create() for a grid that a file describes: failures name `where`, and a grid that
 * makes no sense is the file's fault. The field's `source` becomes `where`. */
SQUALL_MUST_USE squall_status sq_io_field_create(const squall_grid *grid, const char *where,
                                                 squall_field **out, squall_error *err);

/** Projection coordinates of a point given by longitude and latitude in degrees, for a grid whose
 * corner is sought; failures name `where`. */
SQUALL_MUST_USE squall_status sq_io_project(const char *proj, double lon, double lat,
                                            const char *where, double *x, double *y,
                                            squall_error *err);

#endif /* SQ_WX_IO_IO_SHARE_H */
