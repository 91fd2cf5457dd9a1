/* svc/serve/serve_tile.c - pictures of the map: XYZ tiles, TileJSON, OGC API - Tiles. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svc/serve/serve_private.h"
#include "wx/product/product.h"

enum {
    MOST_ZOOM = 14,
    LATTICE = 16, /* pixels between the points that are projected; bilinear between them */
    SETS = 512,
    WAYS = 4,
    SIDE_MOST = 512,
    LATTICE_MOST = SIDE_MOST / LATTICE + 1,
    TAG_BYTES = 16,
    FOREVER_S = 86400
};

/* ---------------------------------------------------------------- what is kept */

/* A tile, shared by the cache and the answers that are being sent. */
typedef struct picture {
    atomic_size_t refs;
    unsigned char *png; /* owned */
    size_t size;
    char etag[2 * TAG_BYTES + 1]; /* made once, not for each request */
} picture;

typedef struct slot {
    uint64_t key[2]; /* zero when empty */
    uint64_t used;
    picture *picture;
} slot;

struct sq_tiles {
    pthread_mutex_t mutex;
    uint64_t clock;
    slot slots[SETS][WAYS];
};

sq_tiles *sq_tiles_create(void)
{
    sq_tiles *tiles = sq_alloc(1, sizeof *tiles);
    if (tiles != NULL) {
        pthread_mutex_init(&tiles->mutex, NULL);
    }
    return tiles;
}

static void drop_picture(void *owner)
{
    picture *p = owner;
    if (p != NULL && atomic_fetch_sub(&p->refs, 1) == 1) {
        sq_free(p->png);
        sq_free(p);
    }
}

void sq_tiles_destroy(sq_tiles **tiles)
{
    if (*tiles == NULL) {
        return;
    }
    for (size_t i = 0; i < SETS; i++) {
        for (size_t k = 0; k < WAYS; k++) {
            drop_picture((*tiles)->slots[i][k].picture);
        }
    }
    pthread_mutex_destroy(&(*tiles)->mutex);
    sq_free(*tiles);
    *tiles = NULL;
}

static slot *set_of(sq_tiles *tiles, const uint64_t key[2])
{
    uint64_t mixed = (key[0] ^ key[1] * 0x9E3779B97F4A7C15u);
    mixed ^= mixed >> 29;
    mixed *= 0xBF58476D1CE4E5B9u;
    mixed ^= mixed >> 32;
    return tiles->slots[mixed % SETS];
}

static picture *find_picture(sq_tiles *tiles, const uint64_t key[2])
{
    picture *found = NULL;
    pthread_mutex_lock(&tiles->mutex);
    slot *set = set_of(tiles, key);
    for (size_t i = 0; i < WAYS && found == NULL; i++) {
        if (set[i].picture != NULL && set[i].key[0] == key[0] && set[i].key[1] == key[1]) {
            set[i].used = ++tiles->clock;
            found = set[i].picture;
            atomic_fetch_add(&found->refs, 1);
        }
    }
    pthread_mutex_unlock(&tiles->mutex);
    return found;
}

static void keep_picture(sq_tiles *tiles, const uint64_t key[2], picture *p)
{
    pthread_mutex_lock(&tiles->mutex);
    slot *set = set_of(tiles, key), *oldest = set;
    for (size_t i = 1; i < WAYS; i++) {
        oldest = set[i].used < oldest->used ? &set[i] : oldest;
    }
    picture *replaced = oldest->picture;
    atomic_fetch_add(&p->refs, 1);
    *oldest = (slot){{key[0], key[1]}, ++tiles->clock, p};
    pthread_mutex_unlock(&tiles->mutex);
    drop_picture(replaced);
}

/* ---------------------------------------------------------------- rendering */

/* Cell coordinates of a lattice of points of the tile: [n][n], n = side / LATTICE + 1. */
static void project_lattice(const sq_place *place, unsigned z, unsigned x, unsigned y,
                            unsigned side, double *column, double *row)
{
    double lon[LATTICE_MOST * LATTICE_MOST], lat[LATTICE_MOST * LATTICE_MOST];
    const unsigned n = side / LATTICE + 1;
    const double world = ldexp(1.0, (int)z);
    for (unsigned j = 0; j < n; j++) {
        const double v = ((double)y + (double)(j * LATTICE) / side) / world;
        const double latitude = atan(sinh(M_PI * (1.0 - 2.0 * v))) * 180.0 / M_PI;
        for (unsigned i = 0; i < n; i++) {
            const double u = ((double)x + (double)(i * LATTICE) / side) / world;
            lon[j * n + i] = u * 360.0 - 180.0;
            lat[j * n + i] = latitude;
        }
    }
    sq_locator_from_lonlat(place->locator, lon, lat, (size_t)n * n, column, row);
}

static uint8_t colour_at(const sq_place *place, const sq_layer *layer, double column, double row)
{
    const squall_grid *grid = &place->grid;
    if (!(column >= 0.0) || !(row >= 0.0) || column >= (double)grid->width ||
        row >= (double)grid->height) {
        return SQ_TILE_CLEAR; /* outside the region: nothing is said */
    }
    return sq_tile_colour(sq_layer_rate(layer->values[(size_t)row * grid->width + (size_t)column]));
}

static void paint(const sq_place *place, const sq_layer *layer, const double *column,
                  const double *row, unsigned side, uint8_t *pixels)
{
    const unsigned n = side / LATTICE + 1;
    for (unsigned py = 0; py < side; py++) {
        const unsigned j = py / LATTICE;
        const double fy = ((double)(py % LATTICE) + 0.5) / LATTICE;
        for (unsigned px = 0; px < side; px++) {
            const unsigned at = j * n + px / LATTICE;
            const double fx = ((double)(px % LATTICE) + 0.5) / LATTICE;
            const double c = (1 - fy) * ((1 - fx) * column[at] + fx * column[at + 1]) +
                             fy * ((1 - fx) * column[at + n] + fx * column[at + n + 1]);
            const double r = (1 - fy) * ((1 - fx) * row[at] + fx * row[at + 1]) +
                             fy * ((1 - fx) * row[at + n] + fx * row[at + n + 1]);
            pixels[py * side + px] = colour_at(place, layer, c, r);
        }
    }
}

static squall_status render(const sq_place *place, const sq_layer *layer, unsigned z, unsigned x,
                            unsigned y, unsigned side, picture **out, squall_error *err)
{
    double column[LATTICE_MOST * LATTICE_MOST], row[LATTICE_MOST * LATTICE_MOST], from;
    uint32_t palette[SQ_TILE_COLOURS];
    uint8_t *pixels = sq_alloc_raw((size_t)side * side, 1);
    picture *p = sq_alloc(1, sizeof *p);
    squall_status status = SQUALL_E_MEMORY;
    if (pixels != NULL && p != NULL) {
        for (size_t i = 0; i < SQ_TILE_COLOURS; i++) {
            palette[i] = sq_tile_argb(i, &from);
        }
        project_lattice(place, z, x, y, side, column, row);
        paint(place, layer, column, row, side, pixels);
        atomic_init(&p->refs, 1);
        status =
            sq_png_encode(pixels, side, side, palette, SQ_TILE_COLOURS, &p->png, &p->size, err);
    } else {
        sq_fail_record(err, SQUALL_E_MEMORY, "tile", "no memory");
    }
    sq_free(pixels);
    if (status != SQUALL_OK) {
        sq_free(p);
        return status;
    }
    unsigned char tag[TAG_BYTES];
    sq_hash_blake2b(p->png, p->size, tag, sizeof tag);
    sq_hex_format(tag, sizeof tag, p->etag);
    *out = p;
    return SQUALL_OK;
}

void sq_tiles_give(sq_tiles *tiles, const sq_place *place, const sq_layer *layer, unsigned z,
                   unsigned x, unsigned y, unsigned side, sq_http_response *response)
{
    squall_error problem = {.code = SQUALL_OK};
    /* The layer's hash, not the forecast's number: the same observation is one tile for all. */
    const uint64_t key[2] = {layer->hash ^ (uint64_t)layer->valid_time * 0x9E3779B97F4A7C15u ^
                                 place->hash,
                             (uint64_t)z << 58 | (uint64_t)(side > 256 ? 1 : 0) << 57 |
                                 (uint64_t)x << 28 | (uint64_t)y};
    picture *p = find_picture(tiles, key);
    if (p == NULL) {
        if (render(place, layer, z, x, y, side, &p, &problem) != SQUALL_OK) {
            sq_http_give_failure(response, &problem);
            return;
        }
        keep_picture(tiles, key, p);
    }
    response->plain = true;
    memcpy(response->etag, p->etag, sizeof p->etag);
    sq_http_give_bytes(response, 200, SQ_TYPE_PNG, p->png, p->size, drop_picture, p);
}

/* ---------------------------------------------------------------- XYZ */

static bool parse_unsigned(const char *text, unsigned most, unsigned *out)
{
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9' || strlen(text) > 9) {
        return false;
    }
    const unsigned long value = strtoul(text, &end, 10);
    *out = (unsigned)value;
    return *end == '\0' && value <= most;
}

static bool parse_tile(const char *zoom, const char *column, const char *row, unsigned out[3],
                       sq_http_response *response)
{
    if (!parse_unsigned(zoom, MOST_ZOOM, &out[0]) ||
        !parse_unsigned(column, (1u << out[0]) - 1, &out[1]) ||
        !parse_unsigned(row, (1u << out[0]) - 1, &out[2])) {
        sq_http_give_error(response, 404, "there is no such tile; zoom goes from 0 to %d",
                           MOST_ZOOM);
        return false;
    }
    return true;
}

/* The layer that {time} names: a time, "latest" (the newest observation). NULL with 404 made. */
static const sq_layer *find_layer(const sq_snapshot *s, const char *text,
                                  sq_http_response *response)
{
    int64_t time;
    const sq_layer *layer = NULL;
    if (strcmp(text, "latest") == 0) {
        layer = s->observed_count > 0 ? s->observed[s->observed_count - 1] : s->layers[0];
    } else if (sq_serve_parse_id(text, &time)) {
        layer = sq_snapshot_find(s, time, 0, true);
    }
    if (layer == NULL) {
        sq_http_give_error(response, 404, "there is no time '%.40s'", text);
    }
    return layer;
}

static void give_tile(void *context, const sq_http_request *request, unsigned side,
                      sq_http_response *response)
{
    const sq_serve_context *c = context;
    unsigned at[3];
    const char *instance = sq_http_capture_find(request, "instance");
    const char *time = sq_http_capture_find(request, "time");
    sq_region *region = sq_serve_find_region(c, request, NULL, response);
    if (region == NULL ||
        !parse_tile(sq_http_capture_find(request, "z"), sq_http_capture_find(request, "x"),
                    sq_http_capture_find(request, "y"), at, response)) {
        return;
    }
    sq_snapshot *s = sq_serve_find_snapshot(c, region, request, response);
    const sq_layer *layer = s != NULL ? find_layer(s, time, response) : NULL;
    if (layer != NULL) {
        const bool fixed = strcmp(instance, "latest") != 0 && strcmp(time, "latest") != 0;
        response->immutable = fixed;
        response->max_age_s = fixed ? FOREVER_S : sq_serve_fresh_s(c, region);
        sq_tiles_give(c->serve->tiles, s->place, layer, at[0], at[1], at[2], side, response);
    }
    sq_snapshot_drop(&s);
}

void sq_serve_tile(void *context, const sq_http_request *request, sq_http_response *response)
{
    give_tile(context, request, 256, response);
}

void sq_serve_tile_double(void *context, const sq_http_request *request, sq_http_response *response)
{
    give_tile(context, request, 512, response);
}

void sq_serve_tilejson(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    sq_region *region = sq_serve_find_region(c, request, NULL, response);
    sq_snapshot *s = region != NULL ? sq_serve_find_snapshot(c, region, request, response) : NULL;
    const char *time = sq_http_capture_find(request, "time");
    const sq_layer *layer = s != NULL ? find_layer(s, time, response) : NULL;
    sq_json json = {0};
    if (layer == NULL) {
        sq_snapshot_drop(&s);
        return;
    }
    sq_json_object(&json, NULL);
    sq_json_text(&json, "tilejson", "3.0.0");
    sq_json_format(&json, "name", "Rain rate, %s", sq_serve_region_title(region));
    sq_json_text(&json, "attribution", sq_serve_attribution(c->world, region));
    sq_json_text(&json, "scheme", "xyz");
    sq_json_array(&json, "tiles");
    sq_json_format(&json, NULL, "%s/tiles/%s/%s/%s/{z}/{x}/{y}.png", request->base, s->region,
                   sq_http_capture_find(request, "instance"), time);
    sq_json_end_array(&json);
    sq_json_int(&json, "minzoom", 0);
    sq_json_int(&json, "maxzoom", MOST_ZOOM);
    sq_json_array(&json, "bounds");
    sq_json_real(&json, NULL, s->place->west, 8);
    sq_json_real(&json, NULL, s->place->south, 8);
    sq_json_real(&json, NULL, s->place->east, 8);
    sq_json_real(&json, NULL, s->place->north, 8);
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    sq_snapshot_drop(&s);
    response->max_age_s = sq_serve_fresh_s(c, region);
    sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
}

void sq_serve_legend(void *context, const sq_http_request *request, sq_http_response *response)
{
    sq_json json = {0};
    double from;
    if (sq_serve_find_region(context, request, NULL, response) == NULL) {
        return;
    }
    sq_json_object(&json, NULL);
    sq_json_text(&json, "unit", "mm/h");
    sq_json_array(&json, "classes");
    for (size_t i = 1; i < SQ_TILE_COLOURS; i++) {
        const uint32_t argb = sq_tile_argb(i, &from);
        sq_json_object(&json, NULL);
        sq_json_format(&json, "colour", "#%06x", (unsigned)argb & 0xFFFFFFu);
        sq_json_real(&json, "opacity", (double)(argb >> 24) / 255.0, 3);
        if (i == SQ_TILE_NO_COVERAGE) {
            sq_json_text(&json, "meaning", "no coverage");
        } else {
            sq_json_real(&json, "from", from, 4);
        }
        sq_json_end_object(&json);
    }
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    response->max_age_s = FOREVER_S;
    sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
}

/* ---------------------------------------------------------------- OGC API - Tiles */

static void write_tileset(const sq_http_request *request, const char *collection, sq_json *json)
{
    char path[256];
    sq_json_object(json, NULL);
    sq_json_format(json, "title", "Rain rate, %s", collection);
    sq_json_text(json, "dataType", "map");
    sq_json_text(json, "crs", "http://www.opengis.net/def/crs/EPSG/0/3857");
    sq_json_text(json, "tileMatrixSetURI",
                 "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad");
    sq_json_array(json, "links");
    snprintf(path, sizeof path, "/collections/%s/map/tiles/WebMercatorQuad", collection);
    sq_serve_link(json, request->base, path, "self", SQ_TYPE_JSON, NULL);
    sq_serve_link(json, request->base, "/tileMatrixSets/WebMercatorQuad",
                  "http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme", SQ_TYPE_JSON, NULL);
    sq_json_object(json, NULL);
    sq_json_format(json, "href", "%s%s/{tileMatrix}/{tileRow}/{tileCol}", request->base, path);
    sq_json_text(json, "rel", "item");
    sq_json_text(json, "type", SQ_TYPE_PNG);
    sq_json_bool(json, "templated", true);
    sq_json_end_object(json);
    sq_json_end_array(json);
    sq_json_end_object(json);
}

void sq_serve_tileset(void *context, const sq_http_request *request, sq_http_response *response)
{
    sq_json json = {0};
    if (sq_serve_find_region(context, request, NULL, response) != NULL) {
        write_tileset(request, sq_http_capture_find(request, "collection"), &json);
        response->max_age_s = FOREVER_S;
        sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
    }
}

void sq_serve_tilesets(void *context, const sq_http_request *request, sq_http_response *response)
{
    sq_json json = {0};
    if (sq_serve_find_region(context, request, NULL, response) != NULL) {
        sq_json_object(&json, NULL);
        sq_json_array(&json, "tilesets");
        write_tileset(request, sq_http_capture_find(request, "collection"), &json);
        sq_json_end_array(&json);
        sq_json_end_object(&json);
        response->max_age_s = FOREVER_S;
        sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
    }
}

void sq_serve_ogc_tile(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    squall_error problem = {.code = SQUALL_OK};
    unsigned at[3];
    bool observed;
    int64_t from = 0, to;
    const char *datetime = sq_http_argument_find(request, "datetime");
    sq_region *region = sq_serve_find_region(c, request, &observed, response);
    if (region == NULL || !parse_tile(sq_http_capture_find(request, "matrix"),
                                      sq_http_capture_find(request, "column"),
                                      sq_http_capture_find(request, "row"), at, response)) {
        return;
    }
    if (datetime != NULL && sq_query_time(datetime, &from, &to, &problem) != SQUALL_OK) {
        sq_http_give_failure(response, &problem);
        return;
    }
    sq_snapshot *s = sq_serve_find_snapshot(c, region, request, response);
    if (s != NULL) {
        const sq_layer *first =
            observed && s->observed_count > 0 ? s->observed[s->observed_count - 1] : s->layers[0];
        const sq_layer *layer =
            datetime != NULL
                ? sq_snapshot_find(s, from, sq_region_config(region)->cadence_s / 2, true)
                : first;
        if (layer == NULL) {
            sq_http_give_error(response, 404, "there is nothing at that time");
        } else {
            response->max_age_s = sq_serve_fresh_s(c, region);
            sq_tiles_give(c->serve->tiles, s->place, layer, at[0], at[1], at[2], 256, response);
        }
    }
    sq_snapshot_drop(&s);
}

void sq_serve_matrix_sets(void *context, const sq_http_request *request, sq_http_response *response)
{
    sq_json json = {0};
    (void)context;
    sq_json_object(&json, NULL);
    sq_json_array(&json, "tileMatrixSets");
    sq_json_object(&json, NULL);
    sq_json_text(&json, "id", "WebMercatorQuad");
    sq_json_text(&json, "uri", "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad");
    sq_json_array(&json, "links");
    sq_serve_link(&json, request->base, "/tileMatrixSets/WebMercatorQuad", "self", SQ_TYPE_JSON,
                  NULL);
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    response->max_age_s = FOREVER_S;
    sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
}

void sq_serve_matrix_set(void *context, const sq_http_request *request, sq_http_response *response)
{
    const double half = 20037508.3427892, pixel_m = 0.00028;
    sq_json json = {0};
    (void)context;
    (void)request;
    sq_json_object(&json, NULL);
    sq_json_text(&json, "id", "WebMercatorQuad");
    sq_json_text(&json, "uri", "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad");
    sq_json_text(&json, "crs", "http://www.opengis.net/def/crs/EPSG/0/3857");
    sq_json_text(&json, "wellKnownScaleSet",
                 "http://www.opengis.net/def/wkss/OGC/1.0/GoogleMapsCompatible");
    sq_json_array(&json, "tileMatrices");
    for (int z = 0; z <= MOST_ZOOM; z++) {
        const double cell = 2.0 * half / 256.0 / ldexp(1.0, z);
        sq_json_object(&json, NULL);
        sq_json_format(&json, "id", "%d", z);
        sq_json_real(&json, "scaleDenominator", cell / pixel_m, 15);
        sq_json_real(&json, "cellSize", cell, 15);
        sq_json_text(&json, "cornerOfOrigin", "topLeft");
        sq_json_array(&json, "pointOfOrigin");
        sq_json_real(&json, NULL, -half, 15);
        sq_json_real(&json, NULL, half, 15);
        sq_json_end_array(&json);
        sq_json_int(&json, "tileWidth", 256);
        sq_json_int(&json, "tileHeight", 256);
        sq_json_int(&json, "matrixWidth", (int64_t)1 << z);
        sq_json_int(&json, "matrixHeight", (int64_t)1 << z);
        sq_json_end_object(&json);
    }
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    response->max_age_s = FOREVER_S;
    sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
}
