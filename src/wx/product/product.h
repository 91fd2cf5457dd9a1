/* wx/product/product.h - what the product room shares inside: map projections in CF's words, and
 * the one lock of its netCDF calls. */
#ifndef SQ_WX_PRODUCT_PRODUCT_H
#define SQ_WX_PRODUCT_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>

#include "squall/product.h"

#include "base/base.h"

/** One attribute of a CF grid mapping: `count` numbers, or a text when `text` is set. */
typedef struct sq_product_crs_attribute {
    const char *name; /* static */
    const char *text; /* static; NULL for numbers */
    size_t count;
    double values[7];
} sq_product_crs_attribute;

#define SQ_PRODUCT_CRS_ATTRIBUTES 16

/** A map projection in the words of the CF conventions. */
typedef struct sq_product_crs {
    const char *mapping; /* static: grid_mapping_name */
    bool degrees;        /* x and y are longitude and latitude; otherwise they are in metres */
    double unit_m;       /* metres in a unit of the squall_grid; 1 for degrees */
    size_t count;
    sq_product_crs_attribute attributes[SQ_PRODUCT_CRS_ATTRIBUTES];
} sq_product_crs;

/**
 * Say a PROJ string ("+proj=stere +lat_0=90 ...", "EPSG:3067" and other common codes) in CF's
 * words.
 *
 * What CF cannot say is refused rather than left out, as the file would then lie in the wrong
 * place.
 * @return SQUALL_OK; SQUALL_E_UNSUPPORTED; SQUALL_E_FORMAT (a word that PROJ would not read).
 */
SQUALL_MUST_USE squall_status sq_product_crs_read(const char *proj, sq_product_crs *out,
                                                  squall_error *err);

/** The caller's info, or what stands where it gave none; `info` may be NULL. The texts are borrowed
 * from it.
 * @return SQUALL_OK; SQUALL_E_ARGUMENT when `struct_size` was not set. */
SQUALL_MUST_USE squall_status sq_product_info_read(const squall_product_info *info,
                                                   squall_product_info *out, squall_error *err);

/** Hold `field` against what a product can show: a rain rate with a known time.
 * @param name  of the thing in messages: "field 3". */
SQUALL_MUST_USE squall_status sq_product_field_check(const squall_field *field, const char *name,
                                                     squall_error *err);

/** A copy of `text` (or of `fallback` when that is NULL) which is sure to be UTF-8 without control
 * characters but line ends: texts come from files too. Given (sq_free); NULL without memory. */
char *sq_product_text(const char *text, const char *fallback);

/** Run `work(arg)` with netCDF to itself: one at a time, as the library keeps tables that two
 * threads must not change at once, and with HDF5 silenced, which otherwise prints what it could not
 * do. */
void sq_product_netcdf_run(void (*work)(void *), void *arg);

/* Pictures whose pixels are numbers of colours: tiles. */
enum {
    SQ_TILE_CLEAR = 0,    /* dry, or less than the first class: nothing is drawn */
    SQ_TILE_CLASSES = 10, /* 1..10: the classes of rain, as on the maps */
    SQ_TILE_NO_COVERAGE = 11,
    SQ_TILE_COLOURS = 12
};

/** The number of a rate's colour; SQ_TILE_NO_COVERAGE for NaN. */
uint8_t sq_tile_colour(float rate_mm_h);
/** Colour `index` as 0xAARRGGBB, and the rate that its class begins with (mm/h; 0 for others). */
uint32_t sq_tile_argb(size_t index, double *from_mm_h);

/**
 * Encode pixels as an indexed PNG.
 *
 * @param pixels   borrowed; [height][width], numbers below `colours`
 * @param palette  borrowed; [colours], 0xAARRGGBB; at most 256
 * @param out      given (sq_free), `*size` bytes
 * @return SQUALL_OK; SQUALL_E_ARGUMENT (a side of 0 or above 8192, no colours); SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE squall_status sq_png_encode(const uint8_t *pixels, size_t width, size_t height,
                                            const uint32_t *palette, size_t colours,
                                            unsigned char **out, size_t *size, squall_error *err);

/* ---------------------------------------------------------------- the map under a map */

/** Coasts and borders within a box (degrees; longitudes may run on past 180) as GeoJSON, from
 * GSHHG's files in `folder`: two features, their "kind" is "coast" and "border". Without such files
 * they have no lines. */
void sq_coasts_write(const char *folder, double west, double south, double east, double north,
                     sq_json *out);

#endif /* SQ_WX_PRODUCT_PRODUCT_H */
