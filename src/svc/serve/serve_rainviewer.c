/* svc/serve/serve_rainviewer.c - the routes of RainViewer's v2 interface, so that its clients work
 * here: the list of times, and tiles by size, colours and smoothing, also around a point. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svc/serve/serve_private.h"
#include "wx/product/product.h"

enum {
    MOST_ZOOM = 14,
    LATTICE = 16, /* pixels between the points that are projected; bilinear between them */
    SIDE_MOST = 512,
    LATTICE_MOST = SIDE_MOST / LATTICE + 1,
    MOST_COLOURS = 8, /* numbers of colour schemes: 0 is greys, the others are our own scale */
    FOREVER_S = 86400
};

/* What a tile shows, and how. */
typedef struct picture {
    const sq_place *place;
    const sq_layer *layer;
    unsigned side, zoom;
    double x, y; /* of its north-western corner, in tiles */
    bool smooth, grey, coverage;
} picture;

/* ---------------------------------------------------------------- rendering */

static float rate_at(const picture *p, double column, double row)
{
    const squall_grid *grid = &p->place->grid;
    if (!(column >= 0.0) || !(row >= 0.0) || column >= (double)grid->width ||
        row >= (double)grid->height) {
        return NAN;
    }
    return sq_layer_rate(p->layer->values[(size_t)row * grid->width + (size_t)column]);
}

/* Between the centres of four cells, by those of them that are known. */
static float smooth_rate_at(const picture *p, double column, double row)
{
    if (isnan(rate_at(p, column, row))) {
        return NAN; /* what is not covered does not shrink */
    }
    const double left = floor(column - 0.5), top = floor(row - 0.5);
    const double fx = column - 0.5 - left, fy = row - 0.5 - top;
    double sum = 0.0, weights = 0.0;
    for (int k = 0; k < 4; k++) {
        const int i = k % 2, j = k / 2;
        const float rate = rate_at(p, left + i + 0.5, top + j + 0.5);
        const double weight = (i == 1 ? fx : 1.0 - fx) * (j == 1 ? fy : 1.0 - fy);
        if (!isnan(rate)) {
            sum += weight * (double)rate;
            weights += weight;
        }
    }
    return weights > 0.0 ? (float)(sum / weights) : NAN;
}

static uint8_t colour_at(const picture *p, double column, double row)
{
    const float rate = p->smooth ? smooth_rate_at(p, column, row) : rate_at(p, column, row);
    if (p->coverage) {
        const squall_grid *grid = &p->place->grid;
        const bool inside = column >= 0.0 && row >= 0.0 && column < (double)grid->width &&
                            row < (double)grid->height;
        return inside && !isnan(rate) ? SQ_TILE_CLEAR : SQ_TILE_NO_COVERAGE;
    }
    return isnan(rate) ? SQ_TILE_CLEAR : sq_tile_colour(rate);
}

/* Cell coordinates of a lattice of points: [n][n], n = side / LATTICE + 1. */
static void project_lattice(const picture *p, double *column, double *row)
{
    double lon[LATTICE_MOST * LATTICE_MOST], lat[LATTICE_MOST * LATTICE_MOST];
    const unsigned n = p->side / LATTICE + 1;
    const double world = ldexp(1.0, (int)p->zoom);
    for (unsigned k = 0; k < n * n; k++) {
        const unsigned px = k % n * LATTICE, py = k / n * LATTICE;
        const double u = (p->x + (double)px / p->side) / world;
        const double v = (p->y + (double)py / p->side) / world;
        lon[k] = u * 360.0 - 180.0;
        lat[k] = atan(sinh(M_PI * (1.0 - 2.0 * v))) * 180.0 / M_PI;
    }
    sq_locator_from_lonlat(p->place->locator, lon, lat, (size_t)n * n, column, row);
}

static void paint(const picture *p, uint8_t *pixels)
{
    double column[LATTICE_MOST * LATTICE_MOST], row[LATTICE_MOST * LATTICE_MOST];
    const unsigned n = p->side / LATTICE + 1;
    project_lattice(p, column, row);
    for (unsigned k = 0; k < p->side * p->side; k++) {
        const unsigned px = k % p->side, py = k / p->side;
        const unsigned at = py / LATTICE * n + px / LATTICE;
        const double fx = ((double)(px % LATTICE) + 0.5) / LATTICE;
        const double fy = ((double)(py % LATTICE) + 0.5) / LATTICE;
        const double weights[4] = {(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx};
        const unsigned corners[4] = {at, at + 1, at + n, at + n + 1};
        double c = 0.0, r = 0.0;
        for (int i = 0; i < 4; i++) {
            c += weights[i] * column[corners[i]];
            r += weights[i] * row[corners[i]];
        }
        pixels[k] = colour_at(p, c, r);
    }
}

static void make_palette(const picture *p, uint32_t palette[SQ_TILE_COLOURS])
{
    double from;
    for (size_t i = 0; i < SQ_TILE_COLOURS; i++) {
        palette[i] = sq_tile_argb(i, &from);
        if (p->grey && i > SQ_TILE_CLEAR && i <= SQ_TILE_CLASSES) {
            const uint32_t level = (uint32_t)(55 + 20 * i);
            palette[i] = (palette[i] & 0xFF000000u) | level << 16 | level << 8 | level;
        }
    }
}

static void give_picture(const picture *p, sq_http_response *response)
{
    squall_error problem = {.code = SQUALL_OK};
    uint32_t palette[SQ_TILE_COLOURS];
    unsigned char *png = NULL;
    size_t size = 0;
    uint8_t *pixels = sq_alloc_raw((size_t)p->side * p->side, 1);
    if (pixels == NULL) {
        sq_http_give_error(response, 503, "no memory");
        return;
    }
    make_palette(p, palette);
    paint(p, pixels);
    if (sq_png_encode(pixels, p->side, p->side, palette, SQ_TILE_COLOURS, &png, &size, &problem) !=
        SQUALL_OK) {
        sq_http_give_failure(response, &problem);
    } else {
        response->plain = true;
        sq_http_give_bytes(response, 200, SQ_TYPE_PNG, png, size, sq_free, png);
    }
    sq_free(pixels);
}

/* ---------------------------------------------------------------- what is asked for */

static bool read_whole(const char *text, unsigned most, unsigned *out)
{
    char *end;
    if (text[0] < '0' || text[0] > '9' || strlen(text) > 9) {
        return false;
    }
    const unsigned long value = strtoul(text, &end, 10);
    *out = (unsigned)value;
    return *end == '\0' && value <= most;
}

/* A number with a point, as the middle of a tile has it; false. */
static bool read_degrees(const char *text, double most, double *out)
{
    char *end;
    if (strchr(text, '.') == NULL || strspn(text, "-.0123456789") != strlen(text)) {
        return false;
    }
    *out = strtod(text, &end);
    return *end == '\0' && fabs(*out) <= most;
}

/* {size}, {z}, {x}, {y}: a tile by its numbers, or one around {x}, a latitude, and {y}, a
 * longitude. */
static bool read_place(const sq_http_request *request, picture *p, sq_http_response *response)
{
    const char *first = sq_http_capture_find(request, "x");
    const char *second = sq_http_capture_find(request, "y");
    unsigned x, y;
    double lat, lon;
    if (!read_whole(sq_http_capture_find(request, "size"), SIDE_MOST, &p->side) ||
        (p->side != 256 && p->side != 512) ||
        !read_whole(sq_http_capture_find(request, "z"), MOST_ZOOM, &p->zoom)) {
        sq_http_give_error(response, 404, "sizes are 256 and 512, zoom goes from 0 to %d",
                           MOST_ZOOM);
        return false;
    }
    const double world = ldexp(1.0, (int)p->zoom);
    if (read_degrees(first, 85.0, &lat) && read_degrees(second, 180.0, &lon)) {
        p->x = (lon + 180.0) / 360.0 * world - 0.5;
        p->y = (1.0 - asinh(tan(lat * M_PI / 180.0)) / M_PI) / 2.0 * world - 0.5;
        return true;
    }
    if (!read_whole(first, (1u << p->zoom) - 1, &x) ||
        !read_whole(second, (1u << p->zoom) - 1, &y)) {
        sq_http_give_error(response, 404,
                           "a tile is named by whole numbers within its zoom, or by latitude and "
                           "longitude, each with a point in it");
        return false;
    }
    p->x = x;
    p->y = y;
    return true;
}

/* {colour} and {options}, "SMOOTH_SNOW". */
static bool read_style(const sq_http_request *request, picture *p, sq_http_response *response)
{
    unsigned colour;
    const char *options = sq_http_capture_find(request, "options");
    const bool known = strlen(options) == 3 && (options[0] == '0' || options[0] == '1') &&
                       options[1] == '_' && (options[2] == '0' || options[2] == '1');
    if (!known || !read_whole(sq_http_capture_find(request, "colour"), MOST_COLOURS, &colour)) {
        sq_http_give_error(response, 404,
                           "colours go from 0 to %d, options are SMOOTH_SNOW, each 0 or 1",
                           MOST_COLOURS);
        return false;
    }
    p->smooth = options[0] == '1';
    p->grey = colour == 0;
    return true;
}

void sq_serve_rainviewer_tile(void *context, const sq_http_request *request,
                              sq_http_response *response)
{
    const sq_serve_context *c = context;
    picture p = {0};
    int64_t time = 0;
    sq_region *region = sq_serve_find_region(c, request, NULL, response);
    if (region == NULL || !read_place(request, &p, response) ||
        !read_style(request, &p, response)) {
        return;
    }
    sq_snapshot *s = sq_serve_find_snapshot(c, region, request, response);
    if (s == NULL) {
        return;
    }
    const bool latest = strcmp(sq_http_capture_find(request, "instance"), "latest") == 0;
    const bool known = sq_serve_parse_id(sq_http_capture_find(request, "time"), &time);
    p.place = s->place;
    p.layer = known ? sq_snapshot_find(s, time, 0, true) : NULL;
    if (p.layer == NULL) {
        sq_http_give_error(response, 404, "there is no such time");
    } else {
        response->immutable = !latest;
        response->max_age_s = latest ? sq_serve_fresh_s(c, region) : FOREVER_S;
        give_picture(&p, response);
    }
    sq_snapshot_drop(&s);
}

/* The region that {region} or ?region= names, else the first that has a forecast; its newest
 * forecast, kept. NULL, with the answer made. */
static sq_snapshot *find_newest(const sq_serve_context *c, const sq_http_request *request,
                                sq_region **region, sq_http_response *response)
{
    const char *name = sq_http_argument_find(request, "region");
    if (sq_http_capture_find(request, "region") != NULL) {
        *region = sq_serve_find_region(c, request, NULL, response);
        return *region != NULL ? sq_serve_find_snapshot(c, *region, request, response) : NULL;
    }
    bool known = name == NULL;
    for (size_t i = 0; i < c->world->config->region_count; i++) {
        *region = c->world->regions[i];
        if (name == NULL || strcmp(sq_region_config(*region)->name, name) == 0) {
            known = true;
            sq_snapshot *s = sq_region_newest(*region, c->now);
            if (s != NULL) {
                return s;
            }
        }
    }
    if (!known) {
        sq_http_give_error(response, 404, "there is no region of that name");
        return NULL;
    }
    sq_http_add_header(response, "Retry-After", "60");
    sq_http_give_error(response, 503,
                       name == NULL ? "no region has a forecast" : "the region has no forecast");
    return NULL;
}

/* Where no radar looks: painted; where one does: clear. */
void sq_serve_rainviewer_coverage(void *context, const sq_http_request *request,
                                  sq_http_response *response)
{
    const sq_serve_context *c = context;
    picture p = {.coverage = true};
    sq_region *region = NULL;
    if (!read_place(request, &p, response)) {
        return;
    }
    sq_snapshot *s = find_newest(c, request, &region, response);
    if (s == NULL) {
        return;
    }
    p.place = s->place;
    p.layer = s->observed_count > 0 ? s->observed[s->observed_count - 1] : s->layers[0];
    response->max_age_s = sq_serve_fresh_s(c, region);
    give_picture(&p, response);
    sq_snapshot_drop(&s);
}

/* ---------------------------------------------------------------- the list of times */

static void write_times(const sq_snapshot *s, sq_layer *const *layers, size_t count, int64_t after,
                        sq_json *json)
{
    for (size_t i = 0; i < count; i++) {
        char id[SQ_INSTANCE_TEXT];
        if (layers[i]->valid_time > after) {
            sq_json_object(json, NULL);
            sq_json_int(json, "time", layers[i]->valid_time);
            sq_json_format(json, "path", "/rainviewer/%s/%s/%s", s->region, s->id,
                           sq_serve_format_id(layers[i]->valid_time, id));
            sq_json_end_object(json);
        }
    }
}

void sq_serve_rainviewer_maps(void *context, const sq_http_request *request,
                              sq_http_response *response)
{
    const sq_serve_context *c = context;
    sq_region *region = NULL;
    sq_json json = {0};
    sq_snapshot *s = find_newest(c, request, &region, response);
    if (s == NULL) {
        return;
    }
    const int64_t last =
        s->observed_count > 0 ? s->observed[s->observed_count - 1]->valid_time : INT64_MIN;
    sq_json_object(&json, NULL);
    sq_json_text(&json, "version", "2.0");
    sq_json_int(&json, "generated", s->made_time);
    sq_json_text(&json, "host", request->base);
    sq_json_object(&json, "radar");
    sq_json_array(&json, "past");
    write_times(s, s->observed, s->observed_count, INT64_MIN, &json);
    sq_json_end_array(&json);
    sq_json_array(&json, "nowcast");
    write_times(s, s->layers, s->count, last, &json); /* no time is in both */
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    sq_json_raw(&json, "satellite", "{\"infrared\":[]}");
    sq_json_end_object(&json);
    sq_snapshot_drop(&s);
    response->max_age_s = sq_serve_fresh_s(c, region);
    sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
}
