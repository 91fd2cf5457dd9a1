/* wx/product/product_netcdf.c - a forecast as a CF-1.8 NetCDF-4 file.
 *
 * The file is built in memory and then written in one piece. HDF5 does not recover from a disk that
 * fills up in the middle of a flush: the file can then neither be closed nor its space be freed
 * before the process ends. Here the system's own words are heard, and nothing is left behind. What
 * is in memory is compressed, a few MB for an hour of a national composite.
 */
#include <hdf5.h>
#include <math.h>
#include <netcdf.h>
#include <netcdf_mem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wx/grid/grid.h"
#include "wx/product/product_netcdf.h"

#define QUALITY_STEP  0.01f
#define QUALITY_FILL  ((signed char)-1)
#define DEFLATE_LEVEL 4

void sq_product_netcdf_run(void (*work)(void *), void *arg)
{
    sq_formats_lock();
    /* HDF5 prints each failure, and netCDF tries things that fail. It silences HDF5 itself, and for
     * good, but only in the thread that it was first used in. */
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    work(arg);
    sq_formats_unlock();
}

void sq_netcdf_put_text(sq_netcdf_writer *w, int variable, const char *name, const char *text)
{
    char *clean = sq_product_text(text, "");
    w->no_memory = w->no_memory || clean == NULL;
    if (clean != NULL) {
        NC(w, name, nc_put_att_text(w->nc, variable, name, strlen(clean), clean));
    }
    sq_free(clean);
}

/* Pairs of name and text, up to a NULL name. */
void sq_netcdf_put_texts(sq_netcdf_writer *w, int variable, const char *const (*pairs)[2])
{
    for (; (*pairs)[0] != NULL; pairs++) {
        sq_netcdf_put_text(w, variable, (*pairs)[0], (*pairs)[1]);
    }
}

void sq_netcdf_define_variable(sq_netcdf_writer *w, const char *name, nc_type type, int rank,
                               const int *dims, int *out)
{
    NC(w, name, nc_def_var(w->nc, name, type, rank, dims, out));
}

/* Compressed, in pieces that a reader of one point need not pay much for. */
static void define_storage(sq_netcdf_writer *w, const char *name, int variable, int rank)
{
    size_t chunks[4] = {1, 1, w->band_rows, SQ_NETCDF_CHUNK_SIDE};
    if (w->grid->width < SQ_NETCDF_CHUNK_SIDE) {
        chunks[3] = w->grid->width;
    }
    NC(w, name, nc_def_var_chunking(w->nc, variable, NC_CHUNKED, chunks + (4 - rank)));
    NC(w, name, nc_def_var_deflate(w->nc, variable, 1, 1, DEFLATE_LEVEL));
}

static void define_axis(sq_netcdf_writer *w, int variable, const char *axis, const char *unit,
                        const char *standard_name, const char *long_name)
{
    const char *const texts[][2] = {{"standard_name", standard_name},
                                    {"long_name", long_name},
                                    {"units", unit},
                                    {"axis", axis},
                                    {NULL, NULL}};
    sq_netcdf_put_texts(w, variable, texts);
}

static void define_plane(sq_netcdf_writer *w)
{
    sq_netcdf_define_variable(w, "x", NC_DOUBLE, 1, &w->dims[2], &w->x);
    sq_netcdf_define_variable(w, "y", NC_DOUBLE, 1, &w->dims[1], &w->y);
    if (w->crs.degrees) {
        define_axis(w, w->x, "X", "degrees_east", "longitude", "longitude of the cell's centre");
        define_axis(w, w->y, "Y", "degrees_north", "latitude", "latitude of the cell's centre");
    } else {
        define_axis(w, w->x, "X", "m", "projection_x_coordinate",
                    "x of the cell's centre in the projection");
        define_axis(w, w->y, "Y", "m", "projection_y_coordinate",
                    "y of the cell's centre in the projection");
    }
    if (!w->has_lonlat) {
        return;
    }
    static const char *const names[2][2] = {{"lon", "longitude"}, {"lat", "latitude"}};
    int *const variables[2] = {&w->lon, &w->lat};
    const float fill = NC_FILL_FLOAT;
    for (size_t i = 0; i < 2; i++) {
        sq_netcdf_define_variable(w, names[i][0], NC_FLOAT, 2, &w->dims[1], variables[i]);
        define_storage(w, names[i][0], *variables[i], 2);
        const char *const texts[][2] = {{"standard_name", names[i][1]},
                                        {"long_name", names[i][1]},
                                        {"units", i == 0 ? "degrees_east" : "degrees_north"},
                                        {NULL, NULL}};
        sq_netcdf_put_texts(w, *variables[i], texts);
        NC(w, names[i][0],
           nc_put_att_float(w->nc, *variables[i], "_FillValue", NC_FLOAT, 1, &fill));
    }
}

static void define_mapping(sq_netcdf_writer *w)
{
    sq_netcdf_define_variable(w, w->crs.mapping, NC_INT, 0, NULL, &w->mapping);
    sq_netcdf_put_text(w, w->mapping, "grid_mapping_name", w->crs.mapping);
    for (size_t i = 0; i < w->crs.count; i++) {
        const sq_product_crs_attribute *attribute = &w->crs.attributes[i];
        if (attribute->text != NULL) {
            sq_netcdf_put_text(w, w->mapping, attribute->name, attribute->text);
        } else {
            NC(w, attribute->name,
               nc_put_att_double(w->nc, w->mapping, attribute->name, NC_DOUBLE, attribute->count,
                                 attribute->values));
        }
    }
    /* Not CF, but what several tools look for first. */
    sq_netcdf_put_text(w, w->mapping, "proj4", w->grid->proj);
}

static void define_times(sq_netcdf_writer *w)
{
    char text[SQ_TIME_TEXT], unit[64];
    sq_time_format(w->reference_time, text);
    snprintf(unit, sizeof unit, "seconds since %.10s %.8s", text, text + 11);

    sq_netcdf_define_variable(w, "time", NC_INT, 1, &w->dims[0], &w->time);
    define_axis(w, w->time, "T", unit, "time", "time at which the field is valid");
    sq_netcdf_put_text(w, w->time, "calendar", "standard");
    if (w->has_windows) {
        int dims[2] = {w->dims[0], 0};
        NC(w, "bnds", nc_def_dim(w->nc, "bnds", 2, &dims[1]));
        sq_netcdf_put_text(w, w->time, "bounds", "time_bnds");
        sq_netcdf_define_variable(w, "time_bnds", NC_INT, 2, dims, &w->bounds);
    }
    if (w->info.issue_time == SQUALL_TIME_NONE) {
        return;
    }
    const char *const period[][2] = {{"standard_name", "forecast_period"},
                                     {"long_name", "time from the issue of the forecast"},
                                     {"units", "s"},
                                     {NULL, NULL}};
    const char *const reference[][2] = {{"standard_name", "forecast_reference_time"},
                                        {"long_name",
                                         "time of the newest observation in the forecast"},
                                        {"units", "seconds since 1970-01-01 00:00:00"},
                                        {"calendar", "standard"},
                                        {NULL, NULL}};
    sq_netcdf_define_variable(w, "forecast_period", NC_INT, 1, &w->dims[0], &w->period);
    sq_netcdf_put_texts(w, w->period, period);
    sq_netcdf_define_variable(w, "forecast_reference_time", NC_DOUBLE, 0, NULL, &w->reference);
    sq_netcdf_put_texts(w, w->reference, reference);
}

void sq_netcdf_define_on_grid(sq_netcdf_writer *w, const char *name, nc_type type, int before,
                              int *out)
{
    const int dims[4] = {before, w->dims[0], w->dims[1], w->dims[2]};
    const int rank = before >= 0 ? 4 : 3;
    sq_netcdf_define_variable(w, name, type, rank, dims + (4 - rank), out);
    define_storage(w, name, *out, rank);
    sq_netcdf_put_text(w, *out, "grid_mapping", w->crs.mapping);
    const bool issued = w->info.issue_time != SQUALL_TIME_NONE;
    char coordinates[64];
    snprintf(coordinates, sizeof coordinates, "%s%s%s",
             issued ? "forecast_reference_time forecast_period" : "",
             issued && w->has_lonlat ? " " : "", w->has_lonlat ? "lon lat" : "");
    if (coordinates[0] != '\0') {
        sq_netcdf_put_text(w, *out, "coordinates", coordinates);
    }
}

void sq_netcdf_define_rate(sq_netcdf_writer *w, const char *name, int before, const char *long_name,
                           int *out)
{
    static const short fill = SQ_NETCDF_RATE_FILL;
    static const float step = SQ_NETCDF_RATE_STEP, zero = 0.0f;
    const char *const texts[][2] = {
        {"standard_name", "rainfall_rate"},
        {"long_name", long_name},
        {"units", "mm h-1"},
        {"cell_methods", w->has_windows ? "time: mean" : "time: point"},
        {"ancillary_variables", w->has_quality ? "coverage quality" : "coverage"},
        {"comment", "Stored in steps of 0.01 mm h-1; rates above 327.67 mm h-1 are stored as "
                    "327.67 mm h-1. Dry cells are 0, cells without coverage are missing."},
        {NULL, NULL}};
    sq_netcdf_define_on_grid(w, name, NC_SHORT, before, out);
    NC(w, "_FillValue", nc_put_att_short(w->nc, *out, "_FillValue", NC_SHORT, 1, &fill));
    NC(w, "scale_factor", nc_put_att_float(w->nc, *out, "scale_factor", NC_FLOAT, 1, &step));
    NC(w, "add_offset", nc_put_att_float(w->nc, *out, "add_offset", NC_FLOAT, 1, &zero));
    sq_netcdf_put_texts(w, *out, texts);
}

static void define_coverage(sq_netcdf_writer *w)
{
    static const signed char flags[] = {SQUALL_CELL_NO_COVERAGE, SQUALL_CELL_DRY,
                                        SQUALL_CELL_VALUE};
    const char *const texts[][2] = {
        {"standard_name", "status_flag"},
        {"long_name", "what is known of the cell"},
        {"flag_meanings", "no_coverage nothing_detected rate_given"},
        {"comment", "no_coverage: outside the reach of the observations. nothing_detected: covered "
                    "and dry. rate_given: a rate is given, which may be 0."},
        {NULL, NULL}};
    sq_netcdf_define_on_grid(w, "coverage", NC_BYTE, -1, &w->coverage);
    NC(w, "flag_values",
       nc_put_att_schar(w->nc, w->coverage, "flag_values", NC_BYTE, sizeof flags, flags));
    sq_netcdf_put_texts(w, w->coverage, texts);
}

static void define_quality(sq_netcdf_writer *w)
{
    static const signed char fill = QUALITY_FILL;
    static const float step = QUALITY_STEP, zero = 0.0f;
    const char *const texts[][2] = {{"long_name", "quality of the cell, 0 worst to 1 best"},
                                    {"units", "1"},
                                    {NULL, NULL}};
    sq_netcdf_define_on_grid(w, "quality", NC_BYTE, -1, &w->quality);
    NC(w, "_FillValue", nc_put_att_schar(w->nc, w->quality, "_FillValue", NC_BYTE, 1, &fill));
    NC(w, "scale_factor", nc_put_att_float(w->nc, w->quality, "scale_factor", NC_FLOAT, 1, &step));
    NC(w, "add_offset", nc_put_att_float(w->nc, w->quality, "add_offset", NC_FLOAT, 1, &zero));
    sq_netcdf_put_texts(w, w->quality, texts);
}

/* What a reader should turn to for the method. */
static const char *method_reference(const char *method)
{
    if (method != NULL && strcmp(method, "model") == 0) {
        return "The card of the model, which names its data and scores";
    }
    if (method != NULL && strcmp(method, "sprog") == 0) {
        return "Seed (2003), Journal of Applied Meteorology 42, 381-388; Pulkkinen et al. (2019), "
               "Geoscientific Model Development 12, 4185-4219";
    }
    if (method != NULL && strcmp(method, "steps") == 0) {
        return "Bowler et al. (2006), Quarterly Journal of the Royal Meteorological Society 132, "
               "2127-2155; Pulkkinen et al. (2019), Geoscientific Model Development 12, 4185-4219";
    }
    return "Germann and Zawadzki (2002), Monthly Weather Review 130, 2859-2873";
}

static void define_globals(sq_netcdf_writer *w)
{
    const squall_product_info *info = &w->info;
    sq_text source = {0};
    sq_text_add(&source, "squall rain nowcast, method: %s",
                info->method != NULL ? info->method : "not stated");
    if (info->model != NULL) {
        sq_text_add(&source, ", model: %s", info->model);
    }
    w->no_memory = w->no_memory || source.failed;
    const char *const texts[][2] = {
        {"Conventions", "CF-1.8"},
        {"title", info->title != NULL ? info->title : "Rain nowcast"},
        {"institution", info->institution != NULL ? info->institution : "not stated"},
        {"source", source.failed ? "" : source.data},
        {"history", info->history != NULL ? info->history : "squall"},
        {"references", method_reference(info->method)},
        {"comment", "Times are UTC. y falls with the row: the first row is the northern one."},
        {NULL, NULL}};
    sq_netcdf_put_texts(w, NC_GLOBAL, texts);
    const char *const optional[][2] = {{"method", info->method},
                                       {"model", info->model},
                                       {"attribution", info->attribution},
                                       {"license", info->license},
                                       {"quality", info->quality}};
    for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++) {
        if (optional[i][1] != NULL) {
            sq_netcdf_put_text(w, NC_GLOBAL, optional[i][0], optional[i][1]);
        }
    }
    if (isfinite(info->quality_index)) {
        NC(w, "quality_index",
           nc_put_att_double(w->nc, NC_GLOBAL, "quality_index", NC_DOUBLE, 1,
                             &info->quality_index));
    }
    sq_text_free(&source);
}

static void define_all(sq_netcdf_writer *w)
{
    int old_fill;
    NC(w, "header", nc_redef(w->nc));
    NC(w, "fill mode", nc_set_fill(w->nc, NC_NOFILL, &old_fill));
    NC(w, "time", nc_def_dim(w->nc, "time", w->count, &w->dims[0]));
    NC(w, "y", nc_def_dim(w->nc, "y", w->grid->height, &w->dims[1]));
    NC(w, "x", nc_def_dim(w->nc, "x", w->grid->width, &w->dims[2]));
    define_globals(w);
    define_times(w);
    define_plane(w);
    define_mapping(w);
    if (w->ensemble.members > 0) {
        /* The mean comes first: a reader that takes one field of rain takes that. */
        sq_netcdf_define_rate(w, "precip_intensity_mean", -1, "rain rate, mean of the members",
                              &w->rate);
    } else {
        sq_netcdf_define_rate(w, "precip_intensity", -1, "rain rate", &w->rate);
    }
    sq_netcdf_define_ensemble(w);
    define_coverage(w);
    if (w->has_quality) {
        define_quality(w);
    }
    NC(w, "header", nc_enddef(w->nc));
}

static void put_times(sq_netcdf_writer *w)
{
    for (size_t i = 0; i < w->count; i++) {
        /* The caller's times were checked to be within a few years of the reference. */
        const int time = (int)(w->fields[i]->valid_time - w->reference_time);
        const size_t at[2] = {i, 0}, two[2] = {1, 2};
        const int bounds[2] = {time - w->fields[i]->window_s, time};
        NC(w, "time", nc_put_var1_int(w->nc, w->time, &i, &time));
        if (w->has_windows) {
            NC(w, "time_bnds", nc_put_vara_int(w->nc, w->bounds, at, two, bounds));
        }
        if (w->info.issue_time != SQUALL_TIME_NONE) {
            NC(w, "forecast_period", nc_put_var1_int(w->nc, w->period, &i, &time));
        }
    }
    if (w->info.issue_time != SQUALL_TIME_NONE) {
        const double reference = (double)w->info.issue_time;
        NC(w, "forecast_reference_time", nc_put_var_double(w->nc, w->reference, &reference));
    }
}

static squall_status put_axes(sq_netcdf_writer *w, squall_error *err)
{
    const squall_grid *grid = w->grid;
    const size_t longer = grid->width > grid->height ? grid->width : grid->height;
    double *centre = sq_alloc_raw(longer, sizeof *centre);
    if (centre == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "netCDF", "no memory for %zu coordinates", longer);
    }
    for (size_t j = 0; j < grid->width; j++) {
        centre[j] = (grid->left + ((double)j + 0.5) * grid->dx) * w->crs.unit_m;
    }
    NC(w, "x", nc_put_var_double(w->nc, w->x, centre));
    for (size_t i = 0; i < grid->height; i++) {
        centre[i] = (grid->top - ((double)i + 0.5) * grid->dy) * w->crs.unit_m;
    }
    NC(w, "y", nc_put_var_double(w->nc, w->y, centre));
    sq_free(centre);
    return SQUALL_OK;
}

/* To 1/65536 degree, less than 2 m: bits that mean nothing would fill most of the file. */
static float store_degrees(double degrees)
{
    return isfinite(degrees) ? (float)(rint(degrees * 65536.0) / 65536.0) : NC_FILL_FLOAT;
}

/* Longitude and latitude of every cell, a band at a time. */
static squall_status put_lonlat(sq_netcdf_writer *w, squall_error *err)
{
    const squall_grid *grid = w->grid;
    const size_t band = w->band_rows * grid->width;
    squall_status status = SQUALL_OK;
    double *column = sq_alloc_raw(band, sizeof *column);
    double *row = sq_alloc_raw(band, sizeof *row);
    float *narrow = sq_alloc_raw(band, sizeof *narrow);
    if (column == NULL || row == NULL || narrow == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "netCDF", "no memory for %zu positions", band);
        goto done;
    }
    for (size_t first = 0; first < grid->height; first += w->band_rows) {
        const size_t rows =
            grid->height - first < w->band_rows ? grid->height - first : w->band_rows;
        const size_t start[2] = {first, 0}, size[2] = {rows, grid->width};
        for (size_t i = 0; i < rows * grid->width; i++) {
            const size_t i_row = first + i / grid->width;
            column[i] = (double)(i % grid->width) + 0.5;
            row[i] = (double)i_row + 0.5;
        }
        SQ_TRY_GOTO(squall_grid_to_lonlat(grid, column, row, rows * grid->width, column, row, err));
        double *const sides[2] = {column, row};
        const int variables[2] = {w->lon, w->lat};
        for (size_t side = 0; side < 2; side++) {
            for (size_t i = 0; i < rows * grid->width; i++) {
                narrow[i] = store_degrees(sides[side][i]);
            }
            NC(w, side == 0 ? "lon" : "lat",
               nc_put_vara_float(w->nc, variables[side], start, size, narrow));
        }
    }
done:
    sq_free(column);
    sq_free(row);
    sq_free(narrow);
    return status;
}

short sq_netcdf_pack_rate(uint8_t mask, float rate)
{
    if (mask == SQUALL_CELL_NO_COVERAGE || isnan(rate)) {
        return SQ_NETCDF_RATE_FILL;
    }
    /* In double: 0.285 mm/h must not become 0.28 by the rounding of a float product. */
    const double steps = rint((double)rate / 0.01);
    return steps <= 0.0 ? 0 : steps >= SQ_NETCDF_RATE_MAX ? SQ_NETCDF_RATE_MAX : (short)steps;
}

static signed char pack_coverage(uint8_t mask, float rate)
{
    if (mask == SQUALL_CELL_NO_COVERAGE || isnan(rate)) {
        return SQUALL_CELL_NO_COVERAGE;
    }
    return mask == SQUALL_CELL_DRY ? SQUALL_CELL_DRY : SQUALL_CELL_VALUE;
}

static signed char pack_quality(const float *quality, size_t at)
{
    if (quality == NULL || !(quality[at] >= 0.0f)) {
        return QUALITY_FILL;
    }
    return (signed char)lrintf(fminf(quality[at], 1.0f) / QUALITY_STEP);
}

/* Rates, flags and quality, a band at a time: a band is one row of chunks, so that each chunk is
 * compressed once. */
static squall_status put_fields(sq_netcdf_writer *w, squall_error *err)
{
    const squall_grid *grid = w->grid;
    const size_t band = w->band_rows * grid->width;
    squall_status status = SQUALL_OK;
    short *rates = sq_alloc_raw(band, sizeof *rates);
    signed char *flags = sq_alloc_raw(band, sizeof *flags);
    if (rates == NULL || flags == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "netCDF", "no memory for %zu cells", band);
        goto done;
    }
    for (size_t t = 0; t < w->count; t++) {
        const squall_field *field = w->fields[t];
        for (size_t first = 0; first < grid->height; first += w->band_rows) {
            const size_t rows =
                grid->height - first < w->band_rows ? grid->height - first : w->band_rows;
            const size_t start[3] = {t, first, 0}, size[3] = {1, rows, grid->width};
            const size_t from = first * grid->width, cells = rows * grid->width;
            for (size_t i = 0; i < cells; i++) {
                rates[i] = sq_netcdf_pack_rate(field->mask[from + i], field->values[from + i]);
                flags[i] = pack_coverage(field->mask[from + i], field->values[from + i]);
            }
            NC(w, "rain rate", nc_put_vara_short(w->nc, w->rate, start, size, rates));
            NC(w, "coverage", nc_put_vara_schar(w->nc, w->coverage, start, size, flags));
            if (w->has_quality) {
                for (size_t i = 0; i < cells; i++) {
                    flags[i] = pack_quality(field->quality, from + i);
                }
                NC(w, "quality", nc_put_vara_schar(w->nc, w->quality, start, size, flags));
            }
        }
    }
done:
    sq_free(rates);
    sq_free(flags);
    return status;
}

static squall_status check_fields(const squall_field *const *fields, size_t count,
                                  squall_error *err)
{
    if (fields == NULL || count == 0) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "netCDF", "there is no field to write");
    }
    if (count > SQ_LIMIT_FRAMES) {
        return sq_fail(err, SQUALL_E_LIMIT, "netCDF", "%zu fields; at most %zu are written", count,
                       SQ_LIMIT_FRAMES);
    }
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "field %zu", i);
        SQ_TRY(sq_product_field_check(fields[i], name, err));
        if (!squall_grid_equal(&fields[i]->grid, &fields[0]->grid, 0.01)) {
            return sq_fail(err, SQUALL_E_SHAPE, name, "is on another grid than field 0");
        }
        if (i > 0 && fields[i]->valid_time <= fields[i - 1]->valid_time) {
            return sq_fail(err, SQUALL_E_SHAPE, name,
                           "is not later than the field before it; sort them by time");
        }
    }
    return SQUALL_OK;
}

/* Learn what the file will have, from fields that have passed the check. */
static squall_status plan(sq_netcdf_writer *w, squall_error *err)
{
    w->grid = &w->fields[0]->grid;
    SQ_TRY(sq_product_crs_read(w->grid->proj, &w->crs, err));
    w->has_lonlat = !w->crs.degrees;
    w->band_rows = w->grid->height < SQ_NETCDF_CHUNK_SIDE ? w->grid->height : SQ_NETCDF_CHUNK_SIDE;
    w->reference_time =
        w->info.issue_time != SQUALL_TIME_NONE ? w->info.issue_time : w->fields[0]->valid_time;
    w->has_windows = true;
    for (size_t i = 0; i < w->count; i++) {
        const int64_t time = w->fields[i]->valid_time;
        const int64_t span = INT32_MAX / 2;
        if (time < w->reference_time - span || time > w->reference_time + span) {
            return sq_fail(err, SQUALL_E_SHAPE, "netCDF",
                           "field %zu is of %lld s, which is decades from the issue time %lld s", i,
                           (long long)time, (long long)w->reference_time);
        }
        w->has_windows = w->has_windows && w->fields[i]->window_s > 0;
        w->has_quality = w->has_quality || w->fields[i]->quality != NULL;
    }
    return SQUALL_OK;
}

/* An HDF5 file with nothing in it but the promise to keep the order of creation. netCDF's own files
 * in memory do not keep it, and netCDF then refuses to let anybody add to them. `image` is from
 * malloc, as the library will grow it. */
static bool create_empty(NC_memio *image)
{
    const unsigned order = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    const hid_t creation = H5Pcreate(H5P_FILE_CREATE);
    hid_t file = H5I_INVALID_HID;
    ssize_t size = -1;
    if (H5Pset_fapl_core(access, 4096, 0) >= 0 &&
        H5Pset_link_creation_order(creation, order) >= 0 &&
        H5Pset_attr_creation_order(creation, order) >= 0 &&
        H5Pset_obj_track_times(creation, false) >= 0) { /* the same fields, the same bytes */
        file = H5Fcreate("squall.nc", H5F_ACC_TRUNC, creation, access);
    }
    if (file >= 0 && H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0) {
        size = H5Fget_file_image(file, NULL, 0);
    }
    if (size > 0) {
        image->memory = malloc((size_t)size);
    }
    if (image->memory != NULL) {
        image->size = (size_t)size;
        size = H5Fget_file_image(file, image->memory, image->size);
    }
    if (file >= 0) {
        H5Fclose(file);
    }
    H5Pclose(creation);
    H5Pclose(access);
    if (size <= 0) {
        free(image->memory);
        image->memory = NULL;
    }
    return image->memory != NULL;
}

/* All of it, into the writer's image. */
static void build(void *arg)
{
    sq_netcdf_writer *w = arg;
    squall_error *err = w->err;
    NC_memio empty = {0};
    w->doing = "empty file";
    w->problem =
        create_empty(&empty) ? nc_open_memio("squall.nc", NC_WRITE, &empty, &w->nc) : NC_ENOMEM;
    if (w->problem != NC_NOERR) {
        goto done; /* the library may have taken `empty` already: rather lost than freed twice */
    }
    define_all(w);
    put_times(w);
    w->status = put_axes(w, err);
    if (w->status == SQUALL_OK && w->has_lonlat) {
        w->status = put_lonlat(w, err);
    }
    if (w->status == SQUALL_OK) {
        w->status = put_fields(w, err);
    }
    if (w->status == SQUALL_OK) {
        w->status = sq_netcdf_put_ensemble(w, err);
    }
    const int problem = nc_close_memio(w->nc, &w->image);
    NC(w, "closing", problem);
done:
    if (w->status == SQUALL_OK && w->no_memory) {
        w->status = sq_fail(err, SQUALL_E_MEMORY, "netCDF", "no memory for its texts");
    }
    if (w->status == SQUALL_OK && w->problem != NC_NOERR) {
        w->status =
            sq_fail(err, w->problem == NC_ENOMEM ? SQUALL_E_MEMORY : SQUALL_E_INTERNAL, "netCDF",
                    "'%s' could not be put together: %s", w->doing, nc_strerror(w->problem));
    }
}

squall_status squall_netcdf_write(const char *path, const squall_field *const *fields, size_t count,
                                  const squall_product_info *info, squall_error *err)
{
    return squall_netcdf_write_ensemble(path, fields, count, NULL, info, err);
}

squall_status squall_netcdf_write_ensemble(const char *path, const squall_field *const *fields,
                                           size_t count, const squall_product_ensemble *ensemble,
                                           const squall_product_info *info, squall_error *err)
{
    sq_netcdf_writer w = {.fields = fields, .count = count, .err = err};
    SQ_TRY(sq_product_info_read(info, &w.info, err));
    SQ_TRY(check_fields(fields, count, err));
    SQ_TRY(sq_netcdf_check_ensemble(&w, ensemble, err));
    SQ_TRY(plan(&w, err));
    sq_product_netcdf_run(build, &w);
    squall_status status = w.status;
    if (status == SQUALL_OK) {
        status = sq_file_write(path, w.image.memory, w.image.size, err);
    }
    free(w.image.memory);
    return status;
}
