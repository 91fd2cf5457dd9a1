/* svc/serve/serve_web.c - pages for people: the map, the dashboard, Leaflet, the coasts under it.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "svc/serve/serve_private.h"
#include "svc/web/web.h"
#include "wx/product/product.h"

enum { PAGE_AGE_S = 300, LIBRARY_AGE_S = 86400, BASEMAPS = 16 };
#define LEAST_MARGIN_DEG 2.0

/* Scripts, styles and data of this server alone: no other host is asked for anything. */
static void give_page(const char *name, sq_http_response *response)
{
    const sq_web_page *page = sq_web_find(name);
    if (page == NULL) {
        sq_http_give_error(response, 404, "there is no page '%.60s'", name);
        return;
    }
    sq_http_add_header(response, "Content-Security-Policy",
                       "default-src 'none'; script-src 'self'; style-src 'self'; "
                       "img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
                       "form-action 'none'");
    sq_http_add_header(response, "Referrer-Policy", "no-referrer");
    response->max_age_s = PAGE_AGE_S;
    sq_http_give_bytes(response, 200, sq_web_type(name), page->data, page->size, NULL, NULL);
}

void sq_serve_map_page(void *context, const sq_http_request *request, sq_http_response *response)
{
    (void)context;
    (void)request;
    give_page("map.html", response);
}

void sq_serve_status_page(void *context, const sq_http_request *request, sq_http_response *response)
{
    (void)context;
    (void)request;
    give_page("dashboard.html", response);
}

void sq_serve_page_file(void *context, const sq_http_request *request, sq_http_response *response)
{
    (void)context;
    give_page(sq_http_capture_find(request, "file"), response);
}

static void unmap(void *owner)
{
    sq_file_unmap(owner);
    sq_free(owner);
}

/* Leaflet is Debian's: it is read from where its package puts it, and only what the map needs. */
void sq_serve_leaflet(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    squall_error problem = {.code = SQUALL_OK};
    char path[SQ_CONFIG_TEXT + 32];
    const char *name = sq_http_capture_find(request, "file");
    if (strcmp(name, "leaflet.js") != 0 && strcmp(name, "leaflet.css") != 0) {
        sq_http_give_error(response, 404, "of Leaflet there are leaflet.js and leaflet.css");
        return;
    }
    snprintf(path, sizeof path, "%s/%s", c->world->config->server.leaflet, name);
    sq_mapping *mapping = sq_alloc(1, sizeof *mapping);
    if (mapping == NULL) {
        sq_http_give_error(response, 503, "no memory");
    } else if (sq_file_map(path, SQ_LIMIT_FILE_BYTES, mapping, &problem) != SQUALL_OK) {
        sq_free(mapping);
        sq_http_give_error(response, 404, "Leaflet is not installed: see `leaflet` in [server]");
    } else {
        response->max_age_s = LIBRARY_AGE_S;
        sq_http_give_bytes(response, 200, sq_web_type(name), mapping->data, mapping->size, unmap,
                           mapping);
    }
}

/* ---------------------------------------------------------------- coasts */

/* One region's coasts, shared by what is kept and the answers that are being sent. */
typedef struct basemap {
    atomic_size_t refs;
    sq_text text; /* owned */
} basemap;

struct sq_basemaps {
    pthread_mutex_t mutex;
    size_t next; /* to be replaced */
    struct {
        uint64_t key; /* of the place and the folder */
        basemap *map;
    } slots[BASEMAPS];
};

sq_basemaps *sq_basemaps_create(void)
{
    sq_basemaps *maps = sq_alloc(1, sizeof *maps);
    if (maps != NULL) {
        pthread_mutex_init(&maps->mutex, NULL);
    }
    return maps;
}

static void drop_map(void *owner)
{
    basemap *map = owner;
    if (map != NULL && atomic_fetch_sub(&map->refs, 1) == 1) {
        sq_text_free(&map->text);
        sq_free(map);
    }
}

void sq_basemaps_destroy(sq_basemaps **maps)
{
    if (*maps == NULL) {
        return;
    }
    for (size_t i = 0; i < BASEMAPS; i++) {
        drop_map((*maps)->slots[i].map);
    }
    pthread_mutex_destroy(&(*maps)->mutex);
    sq_free(*maps);
    *maps = NULL;
}

static basemap *find_map(sq_basemaps *maps, uint64_t key)
{
    basemap *found = NULL;
    pthread_mutex_lock(&maps->mutex);
    for (size_t i = 0; i < BASEMAPS && found == NULL; i++) {
        if (maps->slots[i].map != NULL && maps->slots[i].key == key) {
            found = maps->slots[i].map;
            atomic_fetch_add(&found->refs, 1);
        }
    }
    pthread_mutex_unlock(&maps->mutex);
    return found;
}

static void keep_map(sq_basemaps *maps, uint64_t key, basemap *map)
{
    pthread_mutex_lock(&maps->mutex);
    const size_t at = maps->next++ % BASEMAPS;
    basemap *replaced = maps->slots[at].map;
    atomic_fetch_add(&map->refs, 1);
    maps->slots[at].key = key;
    maps->slots[at].map = map;
    pthread_mutex_unlock(&maps->mutex);
    drop_map(replaced);
}

/* The coasts of the region and of as much again around it, so that there is something to see when
 * the map is moved. NULL without memory. */
static basemap *make_map(const sq_place *place, const char *folder)
{
    const double across = fmin(fmax(place->east - place->west, LEAST_MARGIN_DEG),
                               fmax(0.0, (360.0 - (place->east - place->west)) / 2.0));
    const double up = fmax(place->north - place->south, LEAST_MARGIN_DEG);
    basemap *map = sq_alloc(1, sizeof *map);
    sq_json json = {0};
    if (map == NULL) {
        return NULL;
    }
    sq_coasts_write(folder, place->west - across, fmax(place->south - up, -90.0),
                    place->east + across, fmin(place->north + up, 90.0), &json);
    map->text = json.text;
    atomic_init(&map->refs, 1);
    if (map->text.failed) {
        drop_map(map);
        return NULL;
    }
    return map;
}

void sq_serve_basemap(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    unsigned char digest[16];
    uint64_t key;
    const char *folder = c->world->config->server.coastlines;
    sq_region *region = sq_serve_find_region(c, request, NULL, response);
    sq_snapshot *s = region != NULL ? sq_serve_find_snapshot(c, region, request, response) : NULL;
    if (s == NULL) {
        return;
    }
    sq_hash_blake2b(folder, strlen(folder), digest, sizeof digest);
    memcpy(&key, digest, sizeof key);
    key ^= s->place->hash;
    basemap *map = find_map(c->serve->basemaps, key);
    if (map == NULL) {
        map = make_map(s->place, folder);
        if (map != NULL) {
            keep_map(c->serve->basemaps, key, map);
        }
    }
    sq_snapshot_drop(&s);
    if (map == NULL) {
        sq_http_give_error(response, 503, "no memory");
        return;
    }
    response->max_age_s = LIBRARY_AGE_S;
    sq_http_give_bytes(response, 200, SQ_TYPE_GEOJSON, map->text.data, map->text.length, drop_map,
                       map);
}
