/* squall/product.h - forecasts as files that others can use: CF-NetCDF and pictures. */
#ifndef SQUALL_PRODUCT_H
#define SQUALL_PRODUCT_H

#include <stddef.h>
#include <stdint.h>

#include "squall/field.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What is known of a forecast beside its fields. Texts are borrowed; NULL where unknown. */
typedef struct squall_product_info {
    uint32_t struct_size;
    int64_t issue_time;      /**< Unix seconds: the valid time of the newest observation in it */
    const char *method;      /**< "model", "extrapolation", "persistence" */
    const char *model;       /**< name and version of the model, when one was used */
    const char *title;       /**< one line for people */
    const char *attribution; /**< whose data it is, as their licence asks: "Source: KNMI" */
    const char *history;     /**< what made it: "squall 0.1.0 forecast" */
    const char *quality;     /**< "nominal", or what was missing, in words */
    double quality_index;    /**< 1 all inputs present .. 0 none; NaN unknown */
    const char *institution; /**< who runs the forecast: "National weather service" */
    const char *license;     /**< what users may do with the product: "CC BY 4.0" */
} squall_product_info;
/** All unknown. */
SQUALL_API void squall_product_info_init(squall_product_info *info);

/**
 * Write a forecast as CF-1.8 NetCDF-4: rainfall_rate ("precip_intensity", packed in steps of
 * 0.01 mm/h up to 327.67) over time, y, x, with its grid mapping, 2-D longitude and latitude (on a
 * grid in degrees x and y are these), the forecast reference time and a coverage flag; a quality
 * variable when a field has a quality layer, bounds of the times when every field has a window.
 *
 * The same fields and texts make the same bytes. The file appears under `path` only when it is
 * complete.
 * @param fields  borrowed; `count` rain-rate fields on one grid, times ascending
 * @param info    borrowed; optional
 * Threads: calls take their turn, with each other and with squall_file_read() and its like; none
 * may run beside another program part's use of the netCDF library.
 * Memory: the compressed file, and 10 MB for each 1000 columns.
 * @return SQUALL_OK; SQUALL_E_ARGUMENT; SQUALL_E_SHAPE; SQUALL_E_LIMIT; SQUALL_E_UNSUPPORTED (a
 *         projection CF has no name for); SQUALL_E_IO (no space, among others: an older file
 *         stays); SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_netcdf_write(const char *path,
                                                             const squall_field *const *fields,
                                                             size_t count,
                                                             const squall_product_info *info,
                                                             squall_error *err);

/** Members and probabilities beside the fields of a forecast; all borrowed. Set it up with
 * squall_product_ensemble_init(). */
typedef struct squall_product_ensemble {
    uint32_t struct_size;
    size_t members;                           /**< 0 to write none */
    const squall_field *const *fields;        /**< [count][members], mm/h */
    size_t thresholds;                        /**< 0 to write no probabilities */
    const float *thresholds_mm_h;             /**< [thresholds], ascending */
    const squall_field *const *probabilities; /**< [count][thresholds], 0..1 */
    double cost_loss; /**< above 0: `alarm` is written too, 1 where a probability is at least this,
                           the cost of an alarm over the loss that it prevents */
} squall_product_ensemble;
/** Nothing of either. */
SQUALL_API void squall_product_ensemble_init(squall_product_ensemble *ensemble);

/**
 * squall_netcdf_write(), with an ensemble: `precip_intensity` then holds the members over
 * realization, time, y, x (as pysteps has it), `precip_intensity_mean` the fields, and
 * `probability_of_rain` (packed in steps of 0.0001) the probabilities over threshold, time, y, x.
 *
 * @param ensemble  borrowed, optional; without members `precip_intensity` holds the fields
 * @since 0.1
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_netcdf_write_ensemble(
    const char *path, const squall_field *const *fields, size_t count,
    const squall_product_ensemble *ensemble, const squall_product_info *info, squall_error *err);

/** How pictures are drawn. Set it up with squall_map_options_init(). */
typedef struct squall_map_options {
    uint32_t struct_size;
    size_t max_width; /**< pixels of the map itself, 64..8192; larger fields are shrunk, smaller
                           ones drawn with whole multiples of a pixel a cell; default 900. A panel
                         of a contact sheet has about a quarter of it */
    int graticule;    /**< draw lines of longitude and latitude; default 1 */
    const char *coastlines; /**< borrowed; folder with GSHHG's binned_*.nc files, from which coasts
                                 and borders are drawn when they are there; NULL (default) looks
                                 where Debian's gmt-gshhg-low puts them, "" draws none */
} squall_map_options;
SQUALL_API void squall_map_options_init(squall_map_options *options);

/**
 * Draw one rain-rate field as a PNG map: rain in colours on a light ground, no coverage hatched,
 * graticule, title, times (valid time, and lead time if `info` has an issue time), colour bar with
 * unit, attribution.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_map_write(const char *path,
                                                          const squall_field *field,
                                                          const squall_product_info *info,
                                                          const squall_map_options *options,
                                                          squall_error *err);

/**
 * Draw a contact sheet: a row of observations above a row of forecasts, one column for each time,
 * with times, colour bar, hatched no-coverage.
 *
 * @param observed  borrowed; `count` fields, NULL where none is known (drawn as "not observed")
 * @param forecast  borrowed; `count` fields, NULL where there is none
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_sheet_write(
    const char *path, const squall_field *const *observed, const squall_field *const *forecast,
    size_t count, const squall_product_info *info, const squall_map_options *options,
    squall_error *err);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_PRODUCT_H */
