/* wx/product/product_overlay.c - lines of longitude and latitude over a map, and their labels. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/grid/grid.h"
#include "wx/product/product_draw.h"

#define LATTICE       33  /* points along a side that tell what the grid shows */
#define LINE_POINTS   160 /* of one line of the graticule */
#define LINES_ALOFT   7   /* lines in one direction: no more than these */
#define COAST_FOLDER  "/usr/share/gmt-gshhg"
#define POLE_LATITUDE 89.9

void sq_lines_add(sq_lines *lines, double x, double y)
{
    if (lines->failed) {
        return;
    }
    if (lines->count == lines->capacity) {
        const size_t capacity = lines->capacity > 0 ? 2 * lines->capacity : 1024;
        double *column = sq_regrow(lines->column, lines->capacity, capacity, sizeof *lines->column);
        if (column != NULL) {
            lines->column = column;
        }
        double *row = column != NULL
                          ? sq_regrow(lines->row, lines->capacity, capacity, sizeof *lines->row)
                          : NULL;
        if (row == NULL) {
            lines->failed = true;
            return;
        }
        lines->row = row;
        lines->capacity = capacity;
    }
    lines->column[lines->count] = x;
    lines->row[lines->count] = y;
    lines->count++;
}

void sq_lines_break(sq_lines *lines)
{
    sq_lines_add(lines, NAN, NAN);
}

void sq_lines_free(sq_lines *lines)
{
    sq_free(lines->column);
    sq_free(lines->row);
    memset(lines, 0, sizeof *lines);
}

/* A degree that differs from `near` by at most half a turn. */
static double turn_near(double lon, double near)
{
    return lon - 360.0 * rint((lon - near) / 360.0);
}

/* Whether a pole is in the picture: then every longitude is. */
static bool has_pole(const squall_grid *grid, double lat)
{
    double column, row;
    const double lon = 0.0;
    return squall_grid_from_lonlat(grid, &lon, &lat, 1, &column, &row, NULL) == SQUALL_OK &&
           column >= 0.0 && column <= (double)grid->width && row >= 0.0 &&
           row <= (double)grid->height;
}

squall_status sq_extent_find(const squall_grid *grid, sq_extent *out, squall_error *err)
{
    enum { COUNT = LATTICE * LATTICE };
    double lon[COUNT], lat[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        lon[i] = (double)grid->width * (double)(i % LATTICE) / (LATTICE - 1);
        const size_t row = i / LATTICE;
        lat[i] = (double)grid->height * (double)row / (LATTICE - 1);
    }
    SQ_TRY(squall_grid_to_lonlat(grid, lon, lat, COUNT, lon, lat, err));
    /* Longitudes are told from the point on the earth that is next to the middle. */
    size_t middle = COUNT;
    for (size_t i = 0; i < COUNT; i++) {
        const size_t from = i > COUNT / 2 ? i - COUNT / 2 : COUNT / 2 - i;
        const size_t best = middle > COUNT / 2 ? middle - COUNT / 2 : COUNT / 2 - middle;
        if (isfinite(lon[i]) && (middle == COUNT || from < best)) {
            middle = i;
        }
    }
    if (middle == COUNT) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "picture",
                       "no cell of the grid \"%.160s\" lies on the earth", grid->proj);
    }
    const double centre = lon[middle];
    *out = (sq_extent){centre, centre, lat[middle], lat[middle]};
    for (size_t i = 0; i < COUNT; i++) {
        if (isfinite(lon[i])) {
            const double east = turn_near(lon[i], centre);
            out->west = fmin(out->west, east);
            out->east = fmax(out->east, east);
            out->south = fmin(out->south, lat[i]);
            out->north = fmax(out->north, lat[i]);
        }
    }
    const bool south_pole = has_pole(grid, -POLE_LATITUDE);
    const bool north_pole = has_pole(grid, POLE_LATITUDE);
    if (south_pole || north_pole) {
        out->west = centre - 180.0;
        out->east = centre + 180.0;
        out->south = south_pole ? -90.0 : out->south;
        out->north = north_pole ? 90.0 : out->north;
    }
    /* A curved edge may bulge between two points of the lattice. */
    const double spare = 0.02 * (out->north - out->south);
    out->south = fmax(-90.0, out->south - spare);
    out->north = fmin(90.0, out->north + spare);
    const double spare_lon = 0.02 * (out->east - out->west);
    if (out->east - out->west + 2.0 * spare_lon < 360.0) {
        out->west -= spare_lon;
        out->east += spare_lon;
    }
    return SQUALL_OK;
}

/* Degrees between two lines, so that there are a few of them. */
static double choose_step(double span)
{
    static const double steps[] = {0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0};
    const size_t count = sizeof steps / sizeof steps[0];
    for (size_t i = 0; i < count; i++) {
        if (span / steps[i] <= LINES_ALOFT) {
            return steps[i];
        }
    }
    return steps[count - 1];
}

/* "52.5°N", "0°", "170°W". */
static void format_degrees(double degrees, char positive, char negative, double step, char *text,
                           size_t size)
{
    const int decimals = step < 0.1 ? 2 : step < 1.0 ? 1 : 0;
    const char side[2] = {degrees > 1e-9 ? positive : degrees < -1e-9 ? negative : '\0', '\0'};
    snprintf(text, size, "%.*f\xC2\xB0%s", decimals, fabs(degrees), side);
}

/* Where a line that has just been added crosses an edge of the grid: the lower one for meridians,
 * the left one for parallels. */
static bool find_crossing(const sq_lines *lines, size_t first, const squall_grid *grid,
                          bool meridian, double *at)
{
    const double edge = meridian ? (double)grid->height : 0.0;
    const double length = (double)(meridian ? grid->width : grid->height);
    const double *across = meridian ? lines->row : lines->column;
    const double *along = meridian ? lines->column : lines->row;
    for (size_t i = first + 1; i < lines->count; i++) {
        const double a = across[i - 1] - edge, b = across[i] - edge;
        if (!(a * b <= 0.0) || a == b) {
            continue;
        }
        const double place = along[i - 1] + (along[i] - along[i - 1]) * a / (a - b);
        if (place >= 0.0 && place <= length) {
            *at = place;
            return true;
        }
    }
    return false;
}

static void add_label(sq_overlay *overlay, bool meridian, double at, double degrees, double step)
{
    size_t *count = meridian ? &overlay->below_count : &overlay->left_count;
    if (*count == SQ_LABELS_MAX) {
        return;
    }
    sq_label *label = meridian ? &overlay->below[*count] : &overlay->left[*count];
    label->at = at;
    if (meridian) {
        format_degrees(turn_near(degrees, 0.0), 'E', 'W', step, label->text, sizeof label->text);
    } else {
        format_degrees(degrees, 'N', 'S', step, label->text, sizeof label->text);
    }
    (*count)++;
}

/* All meridians or all parallels that the grid shows. */
static squall_status add_graticule(const squall_grid *grid, const sq_extent *extent, bool meridian,
                                   sq_overlay *overlay, squall_error *err)
{
    const double low = meridian ? extent->west : extent->south;
    const double high = meridian ? extent->east : extent->north;
    const double from = meridian ? extent->south : extent->west;
    const double to = meridian ? extent->north : extent->east;
    const double step = choose_step(high - low);
    sq_lines *lines = &overlay->graticule;
    for (double k = ceil(low / step); k * step <= high; k += 1.0) {
        const double fixed = k * step;
        const size_t first = lines->count;
        if (!meridian && fabs(fixed) > POLE_LATITUDE) {
            continue;
        }
        for (size_t i = 0; i <= LINE_POINTS; i++) {
            const double moving = from + (to - from) * (double)i / LINE_POINTS;
            sq_lines_add(lines, meridian ? fixed : moving, meridian ? moving : fixed);
        }
        sq_lines_break(lines);
        if (lines->failed) {
            return sq_fail(err, SQUALL_E_MEMORY, "picture", "no memory for the graticule");
        }
        double *x = lines->column + first, *y = lines->row + first;
        SQ_TRY(squall_grid_from_lonlat(grid, x, y, lines->count - first, x, y, err));
        double at;
        if (find_crossing(lines, first, grid, meridian, &at)) {
            add_label(overlay, meridian, at, fixed, step);
        }
    }
    return SQUALL_OK;
}

static squall_status add_coasts(const squall_grid *grid, const sq_extent *extent,
                                const char *folder, sq_overlay *overlay, squall_error *err)
{
    sq_coasts_read(folder, extent, &overlay->coasts, &overlay->borders);
    sq_lines *const both[2] = {&overlay->coasts, &overlay->borders};
    for (size_t i = 0; i < 2; i++) {
        if (both[i]->failed) {
            return sq_fail(err, SQUALL_E_MEMORY, "picture", "no memory for the coast lines");
        }
        SQ_TRY(squall_grid_from_lonlat(grid, both[i]->column, both[i]->row, both[i]->count,
                                       both[i]->column, both[i]->row, err));
    }
    return SQUALL_OK;
}

squall_status sq_overlay_create(const squall_grid *grid, const squall_map_options *options,
                                sq_overlay *out, squall_error *err)
{
    squall_status status = SQUALL_OK;
    sq_extent extent;
    memset(out, 0, sizeof *out);
    SQ_TRY(sq_extent_find(grid, &extent, err));
    if (options->graticule) {
        SQ_TRY_GOTO(add_graticule(grid, &extent, true, out, err));
        SQ_TRY_GOTO(add_graticule(grid, &extent, false, out, err));
    }
    const char *folder = options->coastlines != NULL ? options->coastlines : COAST_FOLDER;
    if (folder[0] != '\0') {
        SQ_TRY_GOTO(add_coasts(grid, &extent, folder, out, err));
    }
done:
    if (status != SQUALL_OK) {
        sq_overlay_free(out);
    }
    return status;
}

void sq_overlay_free(sq_overlay *overlay)
{
    sq_lines_free(&overlay->graticule);
    sq_lines_free(&overlay->coasts);
    sq_lines_free(&overlay->borders);
    memset(overlay, 0, sizeof *overlay);
}
