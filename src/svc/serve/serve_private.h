/* svc/serve/serve_private.h - what the handlers share. A handler is a function of one file of this
 * room and one row of the table in serve_routes.c. */
#ifndef SQ_SVC_SERVE_SERVE_PRIVATE_H
#define SQ_SVC_SERVE_SERVE_PRIVATE_H

#include "svc/catalogue/catalogue.h"
#include "svc/config/config.h"
#include "svc/cycle/cycle.h"
#include "svc/http/http.h"
#include "svc/metrics/metrics.h"
#include "svc/query/query.h"
#include "svc/serve/serve.h"
#include "svc/wis2/wis2.h"

#define SQ_TYPE_JSON    "application/json"
#define SQ_TYPE_COVJSON "application/prs.coverage+json"
#define SQ_TYPE_GEOJSON "application/geo+json"
#define SQ_TYPE_NETCDF  "application/x-netcdf"
#define SQ_TYPE_CSV     "text/csv; charset=utf-8"
#define SQ_TYPE_PNG     "image/png"
#define SQ_TYPE_OPENAPI "application/vnd.oai.openapi+json;version=3.0"

enum { SQ_SERVE_ADDRESSES = 8 };

struct sq_serve {
    char path[SQ_CONFIG_TEXT * 4]; /* of the configuration */
    sq_log *log;
    sq_metrics *metrics;
    sq_metric *requests, *request_seconds, *request_bytes, *listeners;
    sq_catalogue *catalogue;
    sq_cycle *cycle;
    struct sq_release *release; /* NULL when no engine has a model */
    sq_http_hub *hub;
    sq_http_limiter *limiter;
    struct sq_tiles *tiles;
    struct sq_basemaps *basemaps;
    struct sq_infer *infer;
    sq_wis2 *wis2;
    sq_http_server *servers[SQ_SERVE_ADDRESSES];
    size_t server_count;
    double started_s;
};

/** What a handler is given as its context: the world as it was when the request came. */
typedef struct sq_serve_context {
    sq_serve *serve;
    sq_world *world; /* kept until the request is answered */
    int64_t now;     /* by the service's clock */
} sq_serve_context;

extern const sq_http_route sq_serve_routes[];
extern const size_t sq_serve_route_count;

/** Who may do what; a sq_http_service.admit. */
void sq_serve_admit(void *context, const sq_http_caller *caller, const sq_http_route *route,
                    sq_http_admission *out);

/* ---------------------------------------------------------------- for handlers */

/** The region that {region} or {collection} names; NULL, with 404 made. `*observed` (optional) says
 * whether the collection is that of observations. */
sq_region *sq_serve_find_region(const sq_serve_context *context, const sq_http_request *request,
                                bool *observed, sq_http_response *response);
/** Its forecast by {instance} ("latest" or without: the newest), kept; NULL, with 404 or 503 made.
 */
sq_snapshot *sq_serve_find_snapshot(const sq_serve_context *context, sq_region *region,
                                    const sq_http_request *request, sq_http_response *response);
/** Seconds until a newer forecast is likely: how long an answer about the newest may be kept. */
int32_t sq_serve_fresh_s(const sq_serve_context *context, sq_region *region);
/** A link {"href": base + path, "rel": ..., "type": ...}. `title` may be NULL. */
void sq_serve_link(sq_json *json, const char *base, const char *path, const char *rel,
                   const char *type, const char *title);
/** The region's name for people. */
const char *sq_serve_region_title(const sq_region *region);
/** Whose data its radar frames are. */
const char *sq_serve_attribution(const sq_world *world, const sq_region *region);
/** "20100826T020500Z" to a time; false. */
bool sq_serve_parse_id(const char *text, int64_t *out);
/** A time as "20100826T020500Z", SQ_INSTANCE_TEXT bytes; returns `text`. */
char *sq_serve_format_id(int64_t time, char *text);
/** A number of the query within low..high; false, with 400 made. Absent: `*out` stays. */
bool sq_serve_number(const sq_http_request *request, const char *name, double low, double high,
                     double *out, sq_http_response *response);

/** A file of a source that came over the network; `owner` is the service. A sq_wis2_arrived. */
squall_status sq_serve_take_file(void *owner, const char *source, const char *name,
                                 const void *bytes, size_t size, squall_error *err);

/* ---------------------------------------------------------------- tiles */

/** Rendered tiles, the last used of them kept. */
typedef struct sq_tiles sq_tiles;
sq_tiles *sq_tiles_create(void);
void sq_tiles_destroy(sq_tiles **tiles);
/** One tile of Web Mercator, `side` 256 or 512 pixels; answered from what is kept, or rendered. */
void sq_tiles_give(sq_tiles *tiles, const sq_place *place, const sq_layer *layer, unsigned z,
                   unsigned x, unsigned y, unsigned side, sq_http_response *response);

/* ---------------------------------------------------------------- handlers */

sq_http_handler sq_serve_landing, sq_serve_conformance, sq_serve_api, sq_serve_live, sq_serve_ready,
    sq_serve_metrics, sq_serve_events, sq_serve_status, sq_serve_region, sq_serve_skill;
sq_http_handler sq_serve_collections, sq_serve_collection, sq_serve_instances, sq_serve_instance;
sq_http_handler sq_serve_position, sq_serve_area, sq_serve_cube, sq_serve_radius,
    sq_serve_trajectory, sq_serve_locations, sq_serve_location;
sq_http_handler sq_serve_point, sq_serve_search;
sq_http_handler sq_serve_tile, sq_serve_tile_double, sq_serve_tilejson, sq_serve_tilesets,
    sq_serve_tileset, sq_serve_ogc_tile, sq_serve_matrix_sets, sq_serve_matrix_set, sq_serve_legend;
/* Pages for people, and the coasts under the rain. */
typedef struct sq_basemaps sq_basemaps;
sq_basemaps *sq_basemaps_create(void);
void sq_basemaps_destroy(sq_basemaps **maps);
sq_http_handler sq_serve_map_page, sq_serve_status_page, sq_serve_page_file, sq_serve_leaflet,
    sq_serve_basemap;
sq_http_handler sq_serve_infer_server, sq_serve_infer_live, sq_serve_infer_ready,
    sq_serve_infer_metadata, sq_serve_infer_config, sq_serve_infer_model_ready,
    sq_serve_infer_stats, sq_serve_infer, sq_serve_infer_index, sq_serve_infer_load,
    sq_serve_infer_unload;
sq_http_handler sq_serve_rainviewer_maps, sq_serve_rainviewer_tile, sq_serve_rainviewer_coverage;
sq_http_handler sq_serve_push, sq_serve_products, sq_serve_product;
sq_http_handler sq_serve_releases, sq_serve_release_order;

#endif /* SQ_SVC_SERVE_SERVE_PRIVATE_H */
