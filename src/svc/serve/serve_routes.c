/* svc/serve/serve_routes.c - the table of routes: one row each. The OpenAPI document is made from
 * the same rows. Where two patterns fit one address the first row wins. */
#include "svc/serve/serve_private.h"

#define MB ((size_t)1 << 20)

#define EDR_TYPES  SQ_TYPE_COVJSON " " SQ_TYPE_GEOJSON " text/csv"
#define GRID_TYPES EDR_TYPES " " SQ_TYPE_NETCDF
#define PROM_TYPES "text/plain application/openmetrics-text"
#define PAGE       "text/html text/css text/javascript"
#define GET(pattern, run, tag, summary, parameters, types)                          \
    {                                                                               \
        SQ_HTTP_GET, pattern, run, SQ_ROLE_READ, tag, summary, parameters, types, 0 \
    }
#define OPEN(pattern, run, tag, summary, parameters, types)                         \
    {                                                                               \
        SQ_HTTP_GET, pattern, run, SQ_ROLE_NONE, tag, summary, parameters, types, 0 \
    }

#define POST(pattern, run, role, summary, types, mb)                               \
    {                                                                              \
        SQ_HTTP_POST, pattern, run, role, "Inference", summary, "", types, (mb)*MB \
    }
/* What is asked of a model, and of one version of it. */
#define MODEL(name, run, summary)                                                        \
    GET("/v2/models/{model}" name, run, "Inference", summary, "", SQ_TYPE_JSON),         \
        GET("/v2/models/{model}/versions/{version}" name, run, "Inference", summary, "", \
            SQ_TYPE_JSON)
#define INFER_TYPES SQ_TYPE_JSON " application/octet-stream"
#define INFER_MB    256

/* A query of a collection, and the same of one instance of it. */
#define QUERY(name, run, summary, parameters, types)                                     \
    GET("/collections/{collection}/" name, run, "EDR", summary, parameters, types),      \
        GET("/collections/{collection}/instances/{instance}/" name, run, "EDR", summary, \
            parameters, types)

const sq_http_route sq_serve_routes[] = {
    /* what it is, and how it does */
    GET("/", sq_serve_landing, "Service", "What is here", "f", SQ_TYPE_JSON),
    GET("/conformance", sq_serve_conformance, "Service", "Standards that it follows", "f",
        SQ_TYPE_JSON),
    GET("/api", sq_serve_api, "Service", "This document", "f", SQ_TYPE_OPENAPI),
    OPEN("/health/live", sq_serve_live, "Service", "Whether the process lives", "", SQ_TYPE_JSON),
    OPEN("/health/ready", sq_serve_ready, "Service", "Whether it serves forecasts", "",
         SQ_TYPE_JSON),
    GET("/metrics", sq_serve_metrics, "Service", "Counters for Prometheus", "", PROM_TYPES),
    GET("/events", sq_serve_events, "Service", "Server-Sent Events: a line for each new forecast",
        "", "text/event-stream"),
    GET("/status", sq_serve_status, "Service", "Regions, cycles, ages", "", SQ_TYPE_JSON),
    GET("/skill", sq_serve_skill, "Service",
        "Scores of past forecasts by lead time, method and region", "region hours", SQ_TYPE_JSON),
    GET("/regions/{region}", sq_serve_region, "Service",
        "One region: its newest forecast, its times, and where they are shown", "", SQ_TYPE_JSON),
    GET("/regions/{region}/instances/{instance}", sq_serve_region, "Service",
        "The same of an earlier forecast", "", SQ_TYPE_JSON),
    GET("/search", sq_serve_search, "Service", "Places by name", "q* limit", SQ_TYPE_JSON),

    /* for one point */
    GET("/nowcast/point", sq_serve_point, "Nowcast",
        "The next hour at one point: when it rains, how much, how likely", "lon* lat* region",
        SQ_TYPE_JSON),

    /* OGC API - EDR 1.1 */
    GET("/collections", sq_serve_collections, "EDR",
        "Collections: forecasts and observations of each region", "f", SQ_TYPE_JSON),
    GET("/collections/{collection}", sq_serve_collection, "EDR", "One collection", "f",
        SQ_TYPE_JSON),
    GET("/collections/{collection}/instances", sq_serve_instances, "EDR", "Forecasts by issue time",
        "f", SQ_TYPE_JSON),
    GET("/collections/{collection}/instances/{instance}", sq_serve_instance, "EDR", "One forecast",
        "f", SQ_TYPE_JSON),
    QUERY("position", sq_serve_position, "Values at points",
          "coords* datetime parameter-name parameter_names crs z f", EDR_TYPES),
    QUERY("radius", sq_serve_radius, "Values around a point",
          "coords* within* within-units* datetime parameter-name parameter_names crs z f",
          GRID_TYPES),
    QUERY("area", sq_serve_area, "Values within a polygon",
          "coords* datetime parameter-name parameter_names crs z f", GRID_TYPES),
    QUERY("cube", sq_serve_cube, "Values within a box",
          "bbox* datetime parameter-name parameter_names crs z cube-z f", GRID_TYPES),
    QUERY("trajectory", sq_serve_trajectory, "Values along a line",
          "coords* datetime parameter-name parameter_names crs z f", EDR_TYPES),
    QUERY("locations", sq_serve_locations, "Places by name", "bbox limit datetime f",
          SQ_TYPE_GEOJSON),
    QUERY("locations/{location}", sq_serve_location, "Values at a place",
          "datetime parameter-name parameter_names crs f", EDR_TYPES),

    /* tiles */
    GET("/tiles/{region}/legend.json", sq_serve_legend, "Tiles", "Colours and what they mean", "",
        SQ_TYPE_JSON),
    GET("/tiles/{region}/{instance}/{time}/tilejson.json", sq_serve_tilejson, "Tiles",
        "TileJSON 3.0 of one time", "", SQ_TYPE_JSON),
    GET("/tiles/{region}/{instance}/{time}/{z}/{x}/{y}@2x.png", sq_serve_tile_double, "Tiles",
        "A tile of 512 pixels", "", SQ_TYPE_PNG),
    GET("/tiles/{region}/{instance}/{time}/{z}/{x}/{y}.png", sq_serve_tile, "Tiles",
        "A tile of 256 pixels, Web Mercator, rows from the north", "", SQ_TYPE_PNG),
    GET("/collections/{collection}/map/tiles", sq_serve_tilesets, "Tiles",
        "OGC API - Tiles: tile sets", "f", SQ_TYPE_JSON),
    GET("/collections/{collection}/map/tiles/WebMercatorQuad", sq_serve_tileset, "Tiles",
        "OGC API - Tiles: the tile set", "f", SQ_TYPE_JSON),
    GET("/collections/{collection}/map/tiles/WebMercatorQuad/{matrix}/{row}/{column}",
        sq_serve_ogc_tile, "Tiles", "OGC API - Tiles: a tile", "datetime f", SQ_TYPE_PNG),
    GET("/tileMatrixSets", sq_serve_matrix_sets, "Tiles", "OGC API - Tiles: tile matrix sets", "f",
        SQ_TYPE_JSON),
    GET("/tileMatrixSets/WebMercatorQuad", sq_serve_matrix_set, "Tiles",
        "OGC API - Tiles: the tile matrix set", "f", SQ_TYPE_JSON),

    /* RainViewer's v2 interface */
    GET("/public/weather-maps.json", sq_serve_rainviewer_maps, "RainViewer",
        "Times of the first region that has a forecast, or of one, and their tiles", "region",
        SQ_TYPE_JSON),
    GET("/regions/{region}/public/weather-maps.json", sq_serve_rainviewer_maps, "RainViewer",
        "The same of one region", "", SQ_TYPE_JSON),
    GET("/rainviewer/{region}/{instance}/{time}/{size}/{z}/{x}/{y}/{colour}/{options}.png",
        sq_serve_rainviewer_tile, "RainViewer",
        "A tile by its numbers, or around {x}, a latitude, and {y}, a longitude", "", SQ_TYPE_PNG),
    GET("/v2/coverage/0/{size}/{z}/{x}/{y}/0/0_0.png", sq_serve_rainviewer_coverage, "RainViewer",
        "Where no radar looks", "region", SQ_TYPE_PNG),

    /* for people: the pages are open, what they ask for is not */
    OPEN("/map", sq_serve_map_page, "Pages", "The map", "", PAGE),
    OPEN("/dashboard", sq_serve_status_page, "Pages", "How the service does", "", PAGE),
    OPEN("/web/{file}", sq_serve_page_file, "Pages", "What the pages are made of", "", PAGE),
    OPEN("/web/leaflet/{file}", sq_serve_leaflet, "Pages", "Leaflet, as installed", "",
         "text/javascript text/css"),
    GET("/regions/{region}/basemap.json", sq_serve_basemap, "Pages",
        "Coasts and borders around a region", "", SQ_TYPE_GEOJSON),

    /* Open Inference Protocol (KServe v2) */
    GET("/v2", sq_serve_infer_server, "Inference", "The server", "", SQ_TYPE_JSON),
    GET("/v2/", sq_serve_infer_server, "Inference", "The server", "", SQ_TYPE_JSON),
    OPEN("/v2/health/live", sq_serve_infer_live, "Inference", "Whether it lives", "", SQ_TYPE_JSON),
    OPEN("/v2/health/ready", sq_serve_infer_ready, "Inference", "Whether all models are ready", "",
         SQ_TYPE_JSON),
    GET("/v2/models/stats", sq_serve_infer_stats, "Inference", "Counts and times of all models", "",
        SQ_TYPE_JSON),
    MODEL("", sq_serve_infer_metadata, "What a model takes and gives"),
    MODEL("/config", sq_serve_infer_config, "Its configuration"),
    MODEL("/ready", sq_serve_infer_model_ready, "Whether it is ready"),
    MODEL("/stats", sq_serve_infer_stats, "Its counts and times"),
    POST("/v2/models/{model}/infer", sq_serve_infer, SQ_ROLE_INFER, "Run a model", INFER_TYPES,
         INFER_MB),
    POST("/v2/models/{model}/versions/{version}/infer", sq_serve_infer, SQ_ROLE_INFER,
         "Run a model of that version", INFER_TYPES, INFER_MB),
    POST("/v2/repository/index", sq_serve_infer_index, SQ_ROLE_READ, "All models, ready or not",
         SQ_TYPE_JSON, 1),
    POST("/v2/repository/models/{model}/load", sq_serve_infer_load, SQ_ROLE_OPERATE,
         "Open its file anew", SQ_TYPE_JSON, 1),
    POST("/v2/repository/models/{model}/unload", sq_serve_infer_unload, SQ_ROLE_OPERATE,
         "Take it out of service", SQ_TYPE_JSON, 1),

    /* releases */
    GET("/releases", sq_serve_releases, "Releases", "New versions on their way into service", "",
        SQ_TYPE_JSON),
    GET("/releases/{engine}", sq_serve_releases, "Releases", "The same of one engine", "",
        SQ_TYPE_JSON),
    {SQ_HTTP_POST, "/releases/{engine}/{verb}", sq_serve_release_order, SQ_ROLE_OPERATE, "Releases",
     "Start, pause, promote, abort, undo", "", SQ_TYPE_JSON, 1 * MB},

    /* files */
    GET("/regions/{region}/products", sq_serve_products, "Files", "Forecasts on disk", "limit",
        SQ_TYPE_JSON),
    GET("/regions/{region}/products/{product}", sq_serve_product, "Files",
        "A forecast as CF-NetCDF", "", SQ_TYPE_NETCDF),
    {SQ_HTTP_PUT, "/ingest/{source}/{name}", sq_serve_push, SQ_ROLE_OPERATE, "Files",
     "Push a file of observations", "", SQ_TYPE_JSON, 4096 * MB},
};
const size_t sq_serve_route_count = sizeof sq_serve_routes / sizeof sq_serve_routes[0];
