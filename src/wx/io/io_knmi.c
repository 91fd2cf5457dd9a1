/* wx/io/io_knmi.c - HDF5 images of KNMI (RAD_NL25_RAP_5min and like ones), format 3.5 and later.
 *
 * The scale is a formula in words, times are texts, lengths are kilometres. An image is valid when
 * its product ends; the product's span is the window of an accumulation. The format has no word for
 * "nothing detected" in accumulations: there 0 is dry.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wx/io/io_hdf5.h"
#include "wx/io/io_share.h"

#define KNMI_IMAGES 1024 /* listed in one file */

typedef struct knmi_image {
    int number; /* of imageN */
    int64_t time;
    int32_t window_s;
} knmi_image;

typedef struct knmi_state {
    const sq_io_hdf5_image *image;
    squall_quantity quantity;
    char name[40];      /* "ACCUMULATED_PRECIPITATION" */
    knmi_image *images; /* [count] */
    size_t count;
} knmi_state;

static bool knmi_knows(const sq_io_hdf5_image *image)
{
    return sq_io_hdf5_is_group(image, "overview") &&
           (sq_io_hdf5_is_group(image, "geographic") || sq_io_hdf5_is_group(image, "radar1"));
}

/* --- times --- */

/* "26-AUG-2010;00:05:00.000" */
static bool parse_time(const char *text, int64_t *out)
{
    static const char *const months[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                         "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
    char name[4];
    int day, year, hour, minute, second, used = 0;
    if (sscanf(text, "%2d-%3[A-Za-z]-%4d;%2d:%2d:%2d%n", &day, name, &year, &hour, &minute, &second,
               &used) != 6 ||
        (text[used] != 0 && text[used] != '.')) {
        return false;
    }
    for (int month = 0; month < 12; month++) {
        if (sq_io_same_word(name, months[month])) {
            return sq_time_from_utc(year, month + 1, day, hour, minute, second, out);
        }
    }
    return false;
}

static squall_status read_time(const sq_io_hdf5_image *image, const char *path, const char *name,
                               int64_t *out, squall_error *err)
{
    char text[40], where[SQ_IO_WHERE];
    bool found;
    *out = SQUALL_TIME_NONE;
    SQ_TRY(sq_io_hdf5_text(image, path, name, text, sizeof text, &found, err));
    if (found && !parse_time(text, out)) {
        return sq_fail(err, SQUALL_E_CORRUPT,
                       sq_io_where(where, image->source.name, "/%s/%s", path, name),
                       "'%s' is no time; one like '26-AUG-2010;00:05:00.000' is expected", text);
    }
    return SQUALL_OK;
}

static squall_status image_times(const sq_io_hdf5_image *image, knmi_image *item, squall_error *err)
{
    char path[SQ_IO_HDF5_PATH];
    int64_t start, end, own;
    snprintf(path, sizeof path, "image%d", item->number);
    SQ_TRY(read_time(image, "overview", "product_datetime_start", &start, err));
    SQ_TRY(read_time(image, "overview", "product_datetime_end", &end, err));
    SQ_TRY(read_time(image, path, "image_datetime_valid", &own, err));
    item->time = own != SQUALL_TIME_NONE ? own : end;
    item->window_s = 0;
    if (start != SQUALL_TIME_NONE && end != SQUALL_TIME_NONE && item->time == end) {
        if (end < start || end - start > 366 * (int64_t)86400) {
            char where[SQ_IO_WHERE];
            return sq_fail(err, SQUALL_E_CORRUPT,
                           sq_io_where(where, image->source.name, "/overview"),
                           "the product ends %lld s after it begins; up to a year is possible",
                           (long long)(end - start));
        }
        item->window_s = (int32_t)(end - start);
    }
    return SQUALL_OK;
}

/* --- what there is --- */

/* Tell the quantity by its name with the unit in brackets: "ACCUMULATED_PRECIPITATION_[MM]". */
static squall_quantity split_name(char *name)
{
    char *bracket = strchr(name, '[');
    squall_quantity quantity = SQUALL_OTHER;
    if (bracket != NULL) {
        quantity = strcmp(bracket, "[MM]") == 0     ? SQUALL_ACCUMULATION
                   : strcmp(bracket, "[MM/H]") == 0 ? SQUALL_RAIN_RATE
                   : strcmp(bracket, "[DBZ]") == 0  ? SQUALL_REFLECTIVITY
                                                    : SQUALL_OTHER;
        *bracket = 0;
        if (bracket > name && bracket[-1] == '_') {
            bracket[-1] = 0;
        }
    }
    return quantity;
}

/* Whether a quantity is asked for: by its own name, or by what ODIM calls such a one. */
static bool is_wanted(const char *wanted, const char *name, squall_quantity quantity)
{
    return wanted == NULL ? quantity != SQUALL_OTHER : sq_io_wanted(wanted, quantity, name);
}

/* Note the images of the first quantity that is wanted. */
static squall_status list_images(knmi_state *s, const sq_io_hdf5_numbers *numbers,
                                 squall_error *err)
{
    const sq_io_source *source = &s->image->source;
    char name[sizeof s->name] = "", path[SQ_IO_HDF5_PATH];
    if (numbers->count > KNMI_IMAGES) {
        return sq_fail(err, SQUALL_E_LIMIT, source->name, "more than %d images", KNMI_IMAGES);
    }
    s->images = sq_alloc(numbers->count, sizeof *s->images);
    if (s->images == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, source->name, "no memory to list it");
    }
    for (size_t i = 0; i < numbers->count; i++) {
        bool found;
        snprintf(path, sizeof path, "image%d", numbers->values[i]);
        SQ_TRY(
            sq_io_hdf5_text(s->image, path, "image_geo_parameter", name, sizeof name, &found, err));
        const squall_quantity quantity = split_name(name);
        if (s->count == 0 && is_wanted(source->quantity, name, quantity)) {
            s->quantity = quantity;
            snprintf(s->name, sizeof s->name, "%s", name);
        }
        if (s->name[0] != 0 && strcmp(s->name, name) == 0) {
            s->images[s->count] = (knmi_image){.number = numbers->values[i]};
            SQ_TRY(image_times(s->image, &s->images[s->count], err));
            s->count++;
        }
    }
    if (s->count == 0) {
        return sq_fail(err, SQUALL_E_NO_DATA, source->name, "no image of quantity %s%s%s",
                       source->quantity != NULL ? source->quantity : "[MM], [MM/H] or [DBZ]",
                       name[0] != 0 ? "; the last is of " : "", name);
    }
    return SQUALL_OK;
}

static void knmi_close(void *state)
{
    knmi_state *s = state;
    if (s != NULL) {
        sq_free(s->images);
        sq_free(s);
    }
}

static squall_status knmi_open(const sq_io_hdf5_image *image, void **state, size_t *count,
                               char *text, squall_error *err)
{
    squall_status status;
    sq_io_hdf5_numbers numbers = {0};
    char version[16];
    bool found;
    knmi_state *s = NULL;
    SQ_TRY_GOTO(sq_io_hdf5_text(image, "overview", "hdftag_version_number", version, sizeof version,
                                &found, err));
    snprintf(text, SQ_IO_FORMAT_TEXT, "KNMI HDF5%s%s", found ? " " : "", version);
    SQ_TRY_GOTO(sq_io_hdf5_list(image, "/", "image", &numbers, err));
    if (numbers.count == 0) {
        status = sq_fail(err, SQUALL_E_UNSUPPORTED, image->source.name,
                         "%s; squall takes composites, which have an 'image1'",
                         sq_io_hdf5_is_group(image, "scan1")
                             ? "a polar volume of one radar (KNMI 'scan1'), not a map"
                             : "a KNMI file without an image");
        goto done;
    }
    s = sq_alloc(1, sizeof *s);
    if (s == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, image->source.name, "no memory to open it");
        goto done;
    }
    s->image = image;
    SQ_TRY_GOTO(list_images(s, &numbers, err));
    *count = s->count;
    *state = s;
    s = NULL;
done:
    sq_free(numbers.values);
    knmi_close(s);
    return status;
}

static int64_t knmi_time(const void *state, size_t index)
{
    const knmi_state *s = state;
    return index < s->count ? s->images[index].time : SQUALL_TIME_NONE;
}

/* --- place and values --- */

static squall_status required_number(const sq_io_hdf5_image *image, const char *path,
                                     const char *name, double *value, squall_error *err)
{
    bool found;
    char where[SQ_IO_WHERE];
    *value = NAN;
    SQ_TRY(sq_io_hdf5_number(image, path, name, value, &found, err));
    return isfinite(*value)
               ? SQUALL_OK
               : sq_fail(err, SQUALL_E_CORRUPT,
                         sq_io_where(where, image->source.name, "/%s/%s", path, name), "%s",
                         found ? "not a finite number" : "missing; a number is expected");
}

static squall_status read_grid(const sq_io_hdf5_image *image, size_t width, size_t height,
                               squall_grid *grid, squall_error *err)
{
    static const char *const names[6] = {"geo_number_columns", "geo_number_rows",
                                         "geo_pixel_size_x",   "geo_pixel_size_y",
                                         "geo_column_offset",  "geo_row_offset"};
    double n[6], unit_m;
    char where[SQ_IO_WHERE], text[256], unit[16], cell[8];
    bool found;
    for (size_t i = 0; i < 6; i++) {
        SQ_TRY(required_number(image, "geographic", names[i], &n[i], err));
    }
    sq_io_where(where, image->source.name, "/geographic");
    SQ_TRY(sq_io_hdf5_text(image, "geographic", "geo_dim_pixel", unit, sizeof unit, &found, err));
    SQ_TRY(sq_io_hdf5_text(image, "geographic", "geo_pixel_def", cell, sizeof cell, &found, err));
    SQ_TRY(sq_io_hdf5_text(image, "geographic/map_projection", "projection_proj4_params", text,
                           sizeof text, &found, err));
    *grid = (squall_grid){.width = width, .height = height};
    SQ_TRY(sq_io_take_proj(text, where, grid->proj, &unit_m, err));
    unit_m = strcmp(unit, "KM,KM") == 0 ? 1000 : strcmp(unit, "M,M") == 0 ? 1 : unit_m;
    if (n[0] != (double)width || n[1] != (double)height) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "%g columns and %g rows are declared, the image has %zu and %zu", n[0], n[1],
                       width, height);
    }
    if (!(n[2] > 0) || !(n[3] < 0) || (cell[0] != 0 && strcmp(cell, "LU") != 0)) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "pixels of %g x %g at '%s'; rows from north to south (a negative height) "
                       "with offsets to the left upper corner ('LU') are taken",
                       n[2], n[3], cell);
    }
    grid->dx = n[2] * unit_m;
    grid->dy = -n[3] * unit_m;
    grid->left = n[4] * n[2] * unit_m;
    grid->top = n[5] * n[3] * unit_m;
    return SQUALL_OK;
}

/* "GEO=0.01*PV+0.0", also with spaces, and "+-32" as KNMI writes it. */
static bool parse_formula(const char *text, double *gain, double *offset)
{
    char plain[64];
    size_t length = 0;
    for (; *text != 0 && length + 1 < sizeof plain; text++) {
        if (*text != ' ') {
            plain[length++] = *text;
        }
    }
    plain[length] = 0;
    char *p;
    *offset = 0;
    if (*text != 0 || strncmp(plain, "GEO=", 4) != 0) {
        return false;
    }
    *gain = strtod(plain + 4, &p);
    if (strncmp(p, "*PV", 3) != 0 || !isfinite(*gain) || *gain == 0) {
        return false;
    }
    p += 3;
    if (p[0] == '+' && (p[1] == '-' || p[1] == '+')) {
        p++;
    }
    return *p == 0 || ((*p == '+' || *p == '-') && sq_io_number(p, offset));
}

static squall_status read_packing(const sq_io_hdf5_image *image, int number,
                                  squall_quantity quantity, sq_io_packing *packing,
                                  squall_error *err)
{
    char path[SQ_IO_HDF5_PATH], text[64], where[SQ_IO_WHERE];
    bool found, has_missing, has_outside;
    double missing = NAN, outside = NAN;
    snprintf(path, sizeof path, "image%d/calibration", number);
    sq_io_where(where, image->source.name, "/%s/calibration_formulas", path);
    sq_io_packing_init(packing);
    SQ_TRY(sq_io_hdf5_text(image, path, "calibration_formulas", text, sizeof text, &found, err));
    if (!parse_formula(text, &packing->gain, &packing->offset)) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "'%s' is no formula; one like 'GEO=0.01*PV+0.0' is expected", text);
    }
    SQ_TRY(sq_io_hdf5_number(image, path, "calibration_missing_data", &missing, &has_missing, err));
    SQ_TRY(sq_io_hdf5_number(image, path, "calibration_out_of_image", &outside, &has_outside, err));
    if (has_outside) {
        (void)sq_io_packing_add_missing(packing, outside);
    }
    /* Where the two differ and "missing" is 0 (reflectivity), 0 is what was scanned without echo.
     */
    if (has_missing && has_outside && missing == 0 && outside != 0) {
        packing->has_undetect = true;
    } else if (has_missing) {
        (void)sq_io_packing_add_missing(packing, missing);
    }
    packing->no_negative = quantity == SQUALL_ACCUMULATION || quantity == SQUALL_RAIN_RATE;
    packing->zero_is_dry = packing->no_negative;
    return SQUALL_OK;
}

static squall_status knmi_read(void *state, size_t index, squall_field **out, squall_error *err)
{
    squall_status status;
    const knmi_state *s = state;
    const knmi_image *item = &s->images[index];
    sq_io_hdf5_dataset dataset = {.id = -1};
    sq_io_packing packing;
    squall_grid grid;
    squall_field *field = NULL;
    char path[SQ_IO_HDF5_PATH], where[SQ_IO_WHERE];
    *out = NULL;
    snprintf(path, sizeof path, "image%d/image_data", item->number);
    SQ_TRY_GOTO(sq_io_hdf5_dataset_open(s->image, path, &dataset, err));
    SQ_TRY_GOTO(read_grid(s->image, dataset.width, dataset.height, &grid, err));
    SQ_TRY_GOTO(read_packing(s->image, item->number, s->quantity, &packing, err));
    sq_io_where(where, s->image->source.name, "/image%d", item->number);
    SQ_TRY_GOTO(sq_io_field_create(&grid, where, &field, err));
    SQ_TRY_GOTO(sq_io_hdf5_read_values(&dataset, &packing, field->values, field->mask, err));
    squall_field_set_quantity(field, s->quantity, s->name, s->quantity == SQUALL_OTHER ? "" : NULL);
    field->valid_time = item->time;
    field->window_s = s->quantity == SQUALL_ACCUMULATION ? item->window_s : 0;
    *out = field;
    field = NULL;
done:
    sq_io_hdf5_dataset_close(&dataset);
    squall_field_destroy(&field);
    return status;
}

const sq_io_hdf5_kind sq_io_knmi = {
    .knows = knmi_knows,
    .open = knmi_open,
    .time = knmi_time,
    .read = knmi_read,
    .close = knmi_close,
};
