/* squall/field.h - a georeferenced field of rain, reflectivity or anything else seen from above. */
#ifndef SQUALL_FIELD_H
#define SQUALL_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "squall/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SQUALL_TIME_NONE INT64_MIN /**< a time that is not known */

/** What a field's values are. The unit follows from it. */
typedef enum squall_quantity {
    SQUALL_RAIN_RATE = 1, /**< mm/h, at the valid time */
    SQUALL_ACCUMULATION =
        2, /**< mm, summed over the `window_s` seconds that end at the valid time */
    SQUALL_REFLECTIVITY = 3, /**< dBZ */
    SQUALL_OTHER = 4         /**< named by `quantity_name`, unit by `unit_name` */
} squall_quantity;

/** What is known of one cell. NO_COVERAGE: nobody looked. DRY: it was looked at and nothing was
 * detected ("undetect"). VALUE: a value was measured, which may be 0. */
enum { SQUALL_CELL_NO_COVERAGE = 0, SQUALL_CELL_DRY = 1, SQUALL_CELL_VALUE = 2 };

/** A regular grid on a map projection. Row 0 is the northern (top) edge, column 0 the western one.
 */
typedef struct squall_grid {
    size_t width, height;
    double left, top; /**< outer corner of cell (0,0), projection units (metres, or degrees) */
    double dx, dy;    /**< cell size, both > 0; y falls by `dy` a row */
    char
        proj[512]; /**< PROJ string ("+proj=laea +lat_0=55 ..."); "+proj=longlat ..." for degrees */
} squall_grid;

/** A field: values and mask on a grid. Made by squall_field_create(); members may be read freely.
 */
typedef struct squall_field {
    squall_grid grid;
    squall_quantity quantity;
    char quantity_name[32]; /**< "RATE", "DBZH", "precipitation": as the file calls it */
    char unit_name[16];     /**< "mm/h", "mm", "dBZ" */
    int64_t valid_time;     /**< Unix seconds; the end of the window for an accumulation */
    int32_t window_s;       /**< length of the accumulation window; 0 for an instant */
    char source[160];       /**< where it came from: "file.h5:/dataset1/data1" */
    float *values;          /**< [height][width]; 0 where DRY, NaN where NO_COVERAGE */
    uint8_t *mask;          /**< [height][width]; SQUALL_CELL_* */
    float *quality;         /**< [height][width], 0 (worst) .. 1; NULL when the source gives none;
                                 NaN where the source gives none for a cell */
} squall_field;

/**
 * Make a field on `grid`, all NO_COVERAGE, quantity RAIN_RATE, without a quality layer.
 *
 * @return SQUALL_OK; SQUALL_E_ARGUMENT for a grid with a side of 0, a cell size that is not a
 *         positive number, or a corner that is not finite; SQUALL_E_LIMIT when it is too large;
 *         SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_field_create(const squall_grid *grid,
                                                             squall_field **out, squall_error *err);

/** The same, a copy of `field` with everything in it. */
SQUALL_MUST_USE SQUALL_API squall_status squall_field_copy(const squall_field *field,
                                                           squall_field **out, squall_error *err);

SQUALL_API void squall_field_destroy(squall_field **field);

/** Add a quality layer, all NaN, unless there is one. */
SQUALL_MUST_USE SQUALL_API squall_status squall_field_add_quality(squall_field *field,
                                                                  squall_error *err);

/** Set quantity, its name (may be NULL: a default) and the unit that belongs to it. */
SQUALL_API void squall_field_set_quantity(squall_field *field, squall_quantity quantity,
                                          const char *name, const char *unit);

/** Counts over a field. `wet` are cells with a measured value above 0 (for reflectivity: any
 * measured value); `dry` are the other covered cells; `undetected` is that part of `dry` in which
 * nothing was detected. min, max and mean are over `wet`, NaN when there is none. */
typedef struct squall_field_counts {
    size_t cells, no_coverage, dry, undetected, wet;
    double min, max, mean;
} squall_field_counts;
SQUALL_API void squall_field_count(const squall_field *field, squall_field_counts *out);

/** Z = a R^b with Z in mm^6/m^3 and R in mm/h; and the limits of what is believed. */
typedef struct squall_zr {
    uint32_t struct_size;
    double a, b;     /**< default 200, 1.6: Marshall and Palmer (1948) */
    double min_dbz;  /**< below this it is dry; default 7 dBZ, about 0.1 mm/h */
    double max_rate; /**< mm/h; larger rates are cut to it, 0 for no limit; default 0 */
} squall_zr;
SQUALL_API void squall_zr_init(squall_zr *zr);

/**
 * Turn reflectivity (by Z-R) or an accumulation (by its window) into a rain rate, in place.
 *
 * A rain rate stays as it is but for `max_rate`. The mask stays; a value that becomes 0 stays
 * VALUE. The window of an accumulation stays too: the rate is the mean over it.
 * @param zr  borrowed; NULL means the defaults.
 * @return SQUALL_OK; SQUALL_E_SHAPE for another quantity, or an accumulation without a window.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_field_to_rate(squall_field *field,
                                                              const squall_zr *zr,
                                                              squall_error *err);

/** Whether two grids are the same place: sides equal, corners and cell sizes within `tolerance`
 * cells, projections equal as PROJ sees them. */
SQUALL_API bool squall_grid_equal(const squall_grid *a, const squall_grid *b, double tolerance);

/** Longitude and latitude (degrees, WGS 84) of points in cell coordinates: column 0.0 is the left
 * edge of the grid, row 0.0 the top edge, so the centre of cell (i, j) is (j + 0.5, i + 0.5).
 * Points that cannot be projected become NaN. `lon`, `lat` may be the input arrays.
 * A "+proj=" text without a shift of datum (+towgs84, +datum) is taken as it stands: latitudes on
 * its own sphere or ellipsoid count as those of WGS 84, as with pyproj.Proj. Threads: safe; each
 * call makes a PROJ context of its own. */
SQUALL_MUST_USE SQUALL_API squall_status squall_grid_to_lonlat(const squall_grid *grid,
                                                               const double *column,
                                                               const double *row, size_t count,
                                                               double *lon, double *lat,
                                                               squall_error *err);

/** The reverse of squall_grid_to_lonlat(). */
SQUALL_MUST_USE SQUALL_API squall_status squall_grid_from_lonlat(const squall_grid *grid,
                                                                 const double *lon,
                                                                 const double *lat, size_t count,
                                                                 double *column, double *row,
                                                                 squall_error *err);

/** How values are carried from one grid to another. */
typedef enum squall_resampling {
    SQUALL_NEAREST = 1,  /**< the cell that holds the centre of the new one */
    SQUALL_BILINEAR = 2, /**< of the four cells around; where any has no coverage, the nearest */
    SQUALL_AREA_MEAN = 3 /**< mean over the area of the new cell, weighted by the overlap of each
                            old one: conserves the rain that falls on the covered part */
} squall_resampling;

/** A table that carries fields from one grid to another; made once, used for every frame.
 * Threads: after it is made, calls with different fields may run side by side. */
typedef struct squall_regrid squall_regrid;

SQUALL_MUST_USE SQUALL_API squall_status squall_regrid_create(const squall_grid *from,
                                                              const squall_grid *to,
                                                              squall_resampling resampling,
                                                              squall_regrid **out,
                                                              squall_error *err);
SQUALL_API void squall_regrid_destroy(squall_regrid **regrid);

/**
 * Carry `field` over into `out`, on the grid that the table was made for: values, mask, quality,
 * quantity, times and source.
 *
 * Averages are taken of linear quantities: reflectivity is averaged as Z. A new cell of which less
 * than half the area (AREA_MEAN) is covered has no coverage.
 * @return SQUALL_OK; SQUALL_E_SHAPE if a grid is not the table's; SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_regrid_run(const squall_regrid *regrid,
                                                           const squall_field *field,
                                                           squall_field *out, squall_error *err);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_FIELD_H */
