/* wx/io/io_netcdf.h - what the files of the CF-netCDF reader share. */
#ifndef SQ_WX_IO_IO_NETCDF_H
#define SQ_WX_IO_IO_NETCDF_H

#include <netcdf.h>

#include "wx/io/io.h"
#include "wx/io/io_pixels.h"
#include "wx/io/io_place.h"

/** A netCDF file open in memory. `source` is a copy; what it points to lives until the close. */
typedef struct sq_io_netcdf_file {
    sq_io_source source;
    int id;
    int version; /* 3: classic, 4: in HDF5 */
} sq_io_netcdf_file;

/* --- classic files: io_netcdf_classic.c --- */

/** Hold the header of a classic file, known by its first four bytes, against the bytes there are.
 * @return SQUALL_OK; SQUALL_E_TRUNCATED; SQUALL_E_CORRUPT. */
SQUALL_MUST_USE squall_status sq_io_netcdf_check_classic(const sq_io_source *source,
                                                         squall_error *err);

/* --- attributes and variables: io_netcdf_attribute.c --- */

/** The text attribute of `variable` (NC_GLOBAL for the file's); false, and "", where there is none,
 * it is no text, or it is longer than `size` - 1. Other than printable ASCII becomes '?'. */
bool sq_io_netcdf_text(const sq_io_netcdf_file *file, int variable, const char *name, char *text,
                       size_t size);

/** At most `max` numbers of an attribute; how many there are, 0 where there is none or it is no
 * list of at most `max` numbers. `type` (may be NULL) gets its netCDF type. */
size_t sq_io_netcdf_numbers(const sq_io_netcdf_file *file, int variable, const char *name,
                            double *out, size_t max, nc_type *type);

/** Whether numbers of a netCDF type can be read. */
bool sq_io_netcdf_is_number(nc_type type);

/** What a variable is. */
typedef struct sq_io_netcdf_variable {
    int id;
    char name[NC_MAX_NAME + 1];
    nc_type type;
    int rank;
    int dims[4]; /* [rank], the slowest first; a rank above 4 leaves them unset */
    size_t sizes[4];
} sq_io_netcdf_variable;

/** Describe variable `id`, or the one called `name`; false if there is none. */
bool sq_io_netcdf_describe(const sq_io_netcdf_file *file, int id, sq_io_netcdf_variable *out);
bool sq_io_netcdf_find(const sq_io_netcdf_file *file, const char *name, sq_io_netcdf_variable *out);
/** How many variables there are; their ids are 0 and up. */
int sq_io_netcdf_variables(const sq_io_netcdf_file *file);

/** The coordinate variable of dimension `dim`: one-dimensional, of the same name. */
bool sq_io_netcdf_coordinate(const sq_io_netcdf_file *file, int dim, sq_io_netcdf_variable *out);

/** Read all `count` numbers of a variable of numbers. */
SQUALL_MUST_USE squall_status sq_io_netcdf_read(const sq_io_netcdf_file *file,
                                                const sq_io_netcdf_variable *variable, double *out,
                                                size_t count, squall_error *err);

/** Turn a failure of the library into ours. */
squall_status sq_io_netcdf_fail(const sq_io_netcdf_file *file, const char *variable, int code,
                                squall_error *err);

/* --- grids: io_netcdf_place.c --- */

/** The grid of a variable by its last two dimensions; `*flip_y` says that its rows begin in the
 * south, `*flip_x` that its columns begin in the east. */
SQUALL_MUST_USE squall_status sq_io_netcdf_grid(const sq_io_netcdf_file *file,
                                                const sq_io_netcdf_variable *variable,
                                                squall_grid *grid, bool *flip_x, bool *flip_y,
                                                squall_error *err);

/** The PROJ string that the attributes of a grid mapping variable describe, for coordinates that
 * are `unit_m` metres each. `height_m` gets the satellite's height, 0 if it is none.
 *
 * @return SQUALL_OK; SQUALL_E_UNSUPPORTED for a mapping not known, or without a parameter. */
SQUALL_MUST_USE squall_status sq_io_netcdf_mapping(const sq_io_netcdf_file *file, int variable,
                                                   double unit_m,
                                                   char proj[sizeof((squall_grid *)0)->proj],
                                                   double *height_m, squall_error *err);

/* --- times: io_netcdf_time.c --- */

/** When the fields of a variable are valid. */
typedef struct sq_io_netcdf_times {
    int dim;            /* which of its dimensions is time, -1 for none */
    size_t count;       /* at least 1 */
    int64_t *times;     /* [count]; sq_free() */
    int32_t *windows_s; /* [count]; 0 where it is not known; sq_free() */
} sq_io_netcdf_times;

/** Read them: by the coordinate of a time dimension, a scalar time variable, or global attributes.
 * Windows come from bounds or a `start_time`. Release with sq_io_netcdf_times_free(), also after a
 * failure. */
SQUALL_MUST_USE squall_status sq_io_netcdf_times_read(const sq_io_netcdf_file *file,
                                                      const sq_io_netcdf_variable *variable,
                                                      bool accumulation, sq_io_netcdf_times *out,
                                                      squall_error *err);
void sq_io_netcdf_times_free(sq_io_netcdf_times *times);

/** Read "minutes since 2010-08-26 00:00:00 UTC": seconds in a unit, and the reference time. */
bool sq_io_netcdf_time_unit(const char *text, double *unit_s, int64_t *reference);

#endif /* SQ_WX_IO_IO_NETCDF_H */
