/* wx/product/product_coast.c - coast lines and borders, where the machine has them.
 *
 * GSHHG as the Debian package gmt-gshhg-low installs it: the globe is cut into square bins, counted
 * eastward from 0 degrees and southward from the north pole; each bin has segments, each segment a
 * run of points, whose coordinates are 16-bit parts of the bin's side from its south-western
 * corner. The files only make a picture nicer: what is missing or makes no sense is not drawn.
 */
#include <math.h>
#include <netcdf.h>
#include <stdio.h>

#include "wx/grid/grid.h"
#include "wx/product/product_draw.h"

#define COUNT_MAX    (1 << 22) /* of anything in a file; the largest has 0.5 million points */
#define BIN_PARTS    65535.0
#define LEVEL_LAND   1 /* of a coast: sea against land */
#define LEVEL_LAKE   2
#define LAKE_PARTS   4000.0 /* lakes are drawn down to this part of the picture's area */
#define KM2_PER_DEG2 12364.0

/* The arrays of one file; borders have no levels nor polygons. */
typedef struct gshhg {
    int columns, rows;
    double side; /* degrees of a bin */
    size_t segments, points, polygons;
    int *bin_first, *bin_count;   /* [rows * columns] */
    int *first, *size, *level;    /* [segments] */
    int *polygon;                 /* [segments]; NULL for borders */
    double *area;                 /* [polygons], km2; NULL for borders */
    unsigned short *east, *north; /* [points] */
} gshhg;

static bool read_scalar(int nc, const char *name, int *out)
{
    int variable;
    const size_t at = 0;
    return nc_inq_varid(nc, name, &variable) == NC_NOERR &&
           nc_get_var1_int(nc, variable, &at, out) == NC_NOERR;
}

/* A whole one-dimensional variable of `count` numbers, or NULL. */
static void *read_array(int nc, const char *name, size_t count, size_t size,
                        int (*get)(int, int, void *))
{
    int variable, rank, dimension;
    size_t length;
    if (nc_inq_varid(nc, name, &variable) != NC_NOERR ||
        nc_inq_varndims(nc, variable, &rank) != NC_NOERR || rank != 1 ||
        nc_inq_vardimid(nc, variable, &dimension) != NC_NOERR ||
        nc_inq_dimlen(nc, dimension, &length) != NC_NOERR || length != count) {
        return NULL;
    }
    void *values = sq_alloc_raw(count, size);
    if (values != NULL && get(nc, variable, values) != NC_NOERR) {
        sq_free(values);
        return NULL;
    }
    return values;
}

static int get_ints(int nc, int variable, void *out)
{
    return nc_get_var_int(nc, variable, out);
}

static int get_doubles(int nc, int variable, void *out)
{
    return nc_get_var_double(nc, variable, out);
}

/* Stored as signed, meant as unsigned: the bytes as they stand. */
static int get_parts(int nc, int variable, void *out)
{
    return nc_get_var_short(nc, variable, out);
}

static void free_arrays(gshhg *data)
{
    sq_free(data->bin_first);
    sq_free(data->bin_count);
    sq_free(data->first);
    sq_free(data->size);
    sq_free(data->level);
    sq_free(data->polygon);
    sq_free(data->area);
    sq_free(data->east);
    sq_free(data->north);
}

/* Points and level of each segment: packed into one number for coasts. */
static bool read_segments(int nc, bool coasts, gshhg *data)
{
    const size_t count = data->segments;
    data->first = read_array(nc, "Id_of_first_point_in_a_segment", count, sizeof(int), get_ints);
    if (!coasts) {
        data->size = read_array(nc, "N_points_for_a_segment", count, sizeof(int), get_ints);
        data->level =
            read_array(nc, "Hierarchial_level_of_a_segment", count, sizeof(int), get_ints);
        return data->first != NULL && data->size != NULL && data->level != NULL;
    }
    data->size = read_array(nc, "Embedded_npts_levels_exit_entry_for_a_segment", count, sizeof(int),
                            get_ints);
    data->polygon = read_array(nc, "Id_of_GSHHS_ID", count, sizeof(int), get_ints);
    data->area = read_array(nc, "The_km_squared_area_of_polygons", data->polygons, sizeof(double),
                            get_doubles);
    data->level = sq_alloc(count, sizeof(int));
    if (data->first == NULL || data->size == NULL || data->polygon == NULL || data->area == NULL ||
        data->level == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const unsigned packed = (unsigned)data->size[i];
        data->level[i] = (int)(packed >> 6 & 7u);
        data->size[i] = (int)(packed >> 9);
    }
    return true;
}

static bool read_file(int nc, bool coasts, gshhg *data)
{
    int minutes = 0, segments = 0, points = 0, polygons = 1;
    if (!read_scalar(nc, "Bin_size_in_minutes", &minutes) ||
        !read_scalar(nc, "N_bins_in_360_longitude_range", &data->columns) ||
        !read_scalar(nc, "N_bins_in_180_degree_latitude_range", &data->rows) ||
        !read_scalar(nc, "N_segments_in_file", &segments) ||
        !read_scalar(nc, "N_points_in_file", &points) ||
        (coasts && !read_scalar(nc, "N_polygons_in_file", &polygons))) {
        return false;
    }
    if (minutes < 1 || (long)data->columns * minutes != 360L * 60 ||
        (long)data->rows * minutes != 180L * 60 || segments < 1 || segments > COUNT_MAX ||
        points < 1 || points > COUNT_MAX || polygons < 1 || polygons > COUNT_MAX) {
        return false;
    }
    const size_t bins = (size_t)data->columns * (size_t)data->rows;
    data->side = minutes / 60.0;
    data->segments = (size_t)segments;
    data->points = (size_t)points;
    data->polygons = (size_t)polygons;
    data->bin_first = read_array(nc, "Id_of_first_segment_in_a_bin", bins, sizeof(int), get_ints);
    data->bin_count = read_array(nc, "N_segments_in_a_bin", bins, sizeof(int), get_ints);
    data->east = read_array(nc, "Relative_longitude_from_SW_corner_of_bin", data->points,
                            sizeof(short), get_parts);
    data->north = read_array(nc, "Relative_latitude_from_SW_corner_of_bin", data->points,
                             sizeof(short), get_parts);
    return data->bin_first != NULL && data->bin_count != NULL && data->east != NULL &&
           data->north != NULL && read_segments(nc, coasts, data);
}

/* Whether a segment is worth its ink: the sea's coasts, large lakes, borders between countries. */
static bool is_wanted(const gshhg *data, size_t segment, double least_km2)
{
    if (data->polygon == NULL) {
        return data->level[segment] == 1;
    }
    if (data->level[segment] == LEVEL_LAND) {
        return true;
    }
    const int polygon = data->polygon[segment];
    return data->level[segment] == LEVEL_LAKE && polygon >= 0 && (size_t)polygon < data->polygons &&
           data->area[polygon] >= least_km2;
}

static void add_bin(const gshhg *data, int column, int row, double least_km2, sq_lines *lines)
{
    const int bin = row * data->columns + column;
    const double west = data->side * column;
    const double south = 90.0 - data->side * (row + 1);
    const int first = data->bin_first[bin];
    if (first < 0 || data->bin_count[bin] < 0) {
        return;
    }
    for (int k = 0; k < data->bin_count[bin]; k++) {
        const size_t segment = (size_t)first + (size_t)k;
        if (segment >= data->segments) {
            return;
        }
        const int point = data->first[segment], size = data->size[segment];
        if (point < 0 || size < 0 || (size_t)point + (size_t)size > data->points ||
            !is_wanted(data, segment, least_km2)) {
            continue;
        }
        for (int i = point; i < point + size; i++) {
            sq_lines_add(lines, west + data->side * data->east[i] / BIN_PARTS,
                         south + data->side * data->north[i] / BIN_PARTS);
        }
        sq_lines_break(lines);
    }
}

static void add_bins(const gshhg *data, const sq_extent *extent, sq_lines *lines)
{
    const double degrees2 = (extent->east - extent->west) * (extent->north - extent->south) *
                            cos(0.5 * (extent->south + extent->north) * 0.017453292519943295);
    const double least_km2 = degrees2 * KM2_PER_DEG2 / LAKE_PARTS;
    for (int row = 0; row < data->rows; row++) {
        const double south = 90.0 - data->side * (row + 1);
        if (south > extent->north || south + data->side < extent->south) {
            continue;
        }
        for (int column = 0; column < data->columns; column++) {
            /* East of the extent's western edge by less than a turn. */
            double west = data->side * column;
            west -= 360.0 * floor((west + data->side - extent->west) / 360.0);
            if (west <= extent->east) {
                add_bin(data, column, row, least_km2, lines);
            }
        }
    }
}

/* One file to read, for sq_product_netcdf_run(). */
typedef struct request {
    char path[512];
    bool coasts;
    const sq_extent *extent;
    sq_lines *lines;
} request;

static void read_one(void *arg)
{
    const request *r = arg;
    gshhg data = {0};
    int nc;
    if (nc_open(r->path, NC_NOWRITE, &nc) != NC_NOERR) {
        return;
    }
    if (read_file(nc, r->coasts, &data)) {
        add_bins(&data, r->extent, r->lines);
    }
    nc_close(nc);
    free_arrays(&data);
}

void sq_coasts_read(const char *folder, const sq_extent *extent, sq_lines *coasts,
                    sq_lines *borders)
{
    /* Detail to match: 1 km, 5 km or 25 km between points. */
    const double span = extent->north - extent->south;
    const char resolution = span < 20.0 ? 'i' : span < 80.0 ? 'l' : 'c';
    for (int i = 0; i < 2; i++) {
        request r = {"", i == 0, extent, i == 0 ? coasts : borders};
        const int length = snprintf(r.path, sizeof r.path, "%s/binned_%s_%c.nc", folder,
                                    i == 0 ? "GSHHS" : "border", resolution);
        if (length > 0 && (size_t)length < sizeof r.path) {
            sq_product_netcdf_run(read_one, &r);
        }
    }
}
