/* wx/product/product_netcdf.h - a CF-NetCDF file being built. Private to the room. */
#ifndef SQ_WX_PRODUCT_PRODUCT_NETCDF_H
#define SQ_WX_PRODUCT_PRODUCT_NETCDF_H

#include <netcdf.h>
#include <netcdf_mem.h>

#include "wx/product/product.h"

#define SQ_NETCDF_RATE_STEP 0.01f /* mm/h, of the packed rates; 16 bits then reach 327.67 mm/h */
#define SQ_NETCDF_RATE_MAX  32767
#define SQ_NETCDF_RATE_FILL ((short)-1)

enum { SQ_NETCDF_CHUNK_SIDE = 512 };

/** A file being built. The first netCDF problem stays; after it nothing more is done. */
typedef struct sq_netcdf_writer {
    const squall_field *const *fields; /* [count] */
    size_t count;
    const squall_grid *grid;
    squall_product_info info;
    squall_product_ensemble ensemble; /* all 0 when there is none */
    sq_product_crs crs;
    int64_t reference_time;
    bool has_windows, has_quality, has_lonlat;
    size_t band_rows;

    int nc;
    int problem;       /* of netCDF */
    const char *doing; /* what was being written at the first problem */
    bool no_memory;
    squall_status status; /* of everything; `err` says why */
    squall_error *err;
    NC_memio image; /* the file, when it is complete; from malloc */
    int dims[3];    /* time, y, x */
    int time, bounds, period, reference, x, y, lon, lat, mapping, rate, coverage, quality;
    int realization, threshold, members, probability, alarm;
} sq_netcdf_writer;

#define NC(w, what, call)               \
    do {                                \
        if ((w)->problem == NC_NOERR) { \
            (w)->doing = (what);        \
            (w)->problem = (call);      \
        }                               \
    } while (0)

/* --- product_netcdf.c --- */

void sq_netcdf_put_text(sq_netcdf_writer *w, int variable, const char *name, const char *text);
/** Pairs of name and text, up to a NULL name. */
void sq_netcdf_put_texts(sq_netcdf_writer *w, int variable, const char *const (*pairs)[2]);
void sq_netcdf_define_variable(sq_netcdf_writer *w, const char *name, nc_type type, int rank,
                               const int *dims, int *out);
/** A variable over time, y and x, and over dimension `before` ahead of them unless that is below 0;
 * with what each of them says of its place and time. */
void sq_netcdf_define_on_grid(sq_netcdf_writer *w, const char *name, nc_type type, int before,
                              int *out);
void sq_netcdf_define_rate(sq_netcdf_writer *w, const char *name, int before, const char *long_name,
                           int *out);
short sq_netcdf_pack_rate(uint8_t mask, float rate);

/* --- product_netcdf_ensemble.c --- */

/** Take the caller's ensemble, when there is one, into the writer. */
SQUALL_MUST_USE squall_status sq_netcdf_check_ensemble(sq_netcdf_writer *w,
                                                       const squall_product_ensemble *ensemble,
                                                       squall_error *err);
void sq_netcdf_define_ensemble(sq_netcdf_writer *w);
SQUALL_MUST_USE squall_status sq_netcdf_put_ensemble(sq_netcdf_writer *w, squall_error *err);

#endif /* SQ_WX_PRODUCT_PRODUCT_NETCDF_H */
