/* wx/io/io.h - what the readers of single formats share: the face each shows, and the one lock. */
#ifndef SQ_WX_IO_IO_H
#define SQ_WX_IO_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "squall/io.h"

#include "base/base.h"

/** What a reader is given: a file's bytes, already gunzipped; all borrowed until its close. */
typedef struct sq_io_source {
    const unsigned char *bytes;
    size_t size;
    const char *name;     /* what messages call the file */
    const char *quantity; /* the dataset wanted, NULL for the one that rain is told from best */
} sq_io_source;

#define SQ_IO_FORMAT_TEXT 64

/** One reader. The registry in io_open.c asks each `sniff` in turn; the first that says yes opens.
 * io_open.c holds sq_io_lock() around open, read and close of readers whose `locked` is true. */
typedef struct sq_io_format {
    const char *name; /* of the reader, for messages: "GRIB2" */
    bool locked;      /* its library must not run twice at once (HDF5, netCDF, ecCodes) */
    /** By the first bytes alone; must not read past `size`. */
    bool (*sniff)(const unsigned char *bytes, size_t size);
    /** Check and list the content. `text` (SQ_IO_FORMAT_TEXT bytes) gets "ODIM_H5 2.4 COMP".
     * `*count` >= 1 on success. Values are not read yet. */
    squall_status (*open)(const sq_io_source *source, void **state, size_t *count, char *text,
                          squall_error *err);
    /** Valid time of field `index`, or SQUALL_TIME_NONE. */
    int64_t (*time)(const void *state, size_t index);
    /** Read field `index` < count; given. */
    squall_status (*read)(void *state, size_t index, squall_field **out, squall_error *err);
    void (*close)(void *state);
} sq_io_format;

extern const sq_io_format sq_io_hdf5;    /* io_hdf5.c: ODIM, KNMI and netCDF-4, told by content */
extern const sq_io_format sq_io_netcdf3; /* io_netcdf.c: classic netCDF */
extern const sq_io_format sq_io_grib;    /* io_grib.c */
extern const sq_io_format sq_io_tiff;    /* io_tiff.c: GeoTIFF */
extern const sq_io_format sq_io_pgm;     /* io_pgm.c */
extern const sq_io_format sq_io_radolan; /* io_radolan.c */

/** The one lock of the room: HDF5, netCDF and ecCodes calls run one at a time. Not recursive. */
void sq_io_lock(void);
void sq_io_unlock(void);

#endif /* SQ_WX_IO_IO_H */
