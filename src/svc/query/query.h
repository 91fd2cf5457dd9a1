/* svc/query/query.h - what clients ask of fields, and the answers as text: shapes, times, samples,
 * CoverageJSON, GeoJSON, CSV. It knows no HTTP. */
#ifndef SQ_SVC_QUERY_QUERY_H
#define SQ_SVC_QUERY_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "svc/cycle/cycle.h"

/* ---------------------------------------------------------------- questions */

#define SQ_QUERY_POINTS 20000 /* of one shape */

typedef enum sq_shape_kind {
    SQ_SHAPE_POINTS = 1,  /* POINT, MULTIPOINT */
    SQ_SHAPE_LINE = 2,    /* LINESTRING, also Z, M and ZM */
    SQ_SHAPE_POLYGONS = 3 /* POLYGON, MULTIPOLYGON */
} sq_shape_kind;

typedef struct sq_shape_point {
    double lon, lat;
    int64_t time; /* by an M coordinate; SQ_TIME_NONE */
} sq_shape_point;

/** A shape in longitude and latitude. Release with sq_shape_free(). */
typedef struct sq_shape {
    sq_shape_kind kind;
    sq_shape_point *points; /* owned, [count] */
    size_t count;
    size_t *rings; /* owned, [ring_count + 1]: of polygons, first point of each */
    size_t ring_count;
    bool timed; /* the points have times */
    double west, south, east, north;
} sq_shape;

/** Read well-known text. @return SQUALL_OK; SQUALL_E_FORMAT (with what is wrong and where);
 * SQUALL_E_UNSUPPORTED; SQUALL_E_LIMIT; SQUALL_E_MEMORY. */
SQUALL_MUST_USE squall_status sq_shape_parse(const char *text, sq_shape *out, squall_error *err);
void sq_shape_free(sq_shape *shape);
/** Whether polygons hold the point: inside an odd number of rings. */
bool sq_shape_holds(const sq_shape *shape, double lon, double lat);

/** Read a time or an interval of RFC 3339 times: "a", "a/b", "../b", "a/..". The open end is
 * INT64_MIN or INT64_MAX; for one time both are the same. */
SQUALL_MUST_USE squall_status sq_query_time(const char *text, int64_t *from, int64_t *to,
                                            squall_error *err);
/** Read "W,S,E,N", or with heights "W,S,LOW,E,N,HIGH". */
SQUALL_MUST_USE squall_status sq_query_box(const char *text, double box[4], squall_error *err);
/** A length in metres: the number and "km", "m", "mi", ... */
SQUALL_MUST_USE squall_status sq_query_length(const char *number, const char *unit, double *out_m,
                                              squall_error *err);

/* ---------------------------------------------------------------- parameters */

typedef enum sq_parameter_id {
    SQ_PARAMETER_RATE = 0,
    SQ_PARAMETER_PROBABILITY = 1
} sq_parameter_id;

/** One thing that can be asked for. */
typedef struct sq_parameter {
    const char *name, *label, *description, *property_id, *property_label, *unit_label,
        *unit_symbol;
} sq_parameter;
enum { SQ_PARAMETERS = 2 };
extern const sq_parameter sq_parameters[SQ_PARAMETERS];

/** Names with commas to ids; NULL or "" for all that `observed` data have. */
SQUALL_MUST_USE squall_status sq_query_parameters(const char *names, bool observed,
                                                  sq_parameter_id out[SQ_PARAMETERS], size_t *count,
                                                  squall_error *err);

/* ---------------------------------------------------------------- answers */

/** The layers that an answer is about; borrowed. */
typedef struct sq_query_source {
    const sq_place *place;
    const sq_layer *const *layers;  /* [count] */
    const sq_layer *const *chances; /* [count]: probabilities by an ensemble; NULL without one */
    const int32_t *leads_s;         /* [count]; NULL for observations */
    size_t count;
} sq_query_source;

typedef enum sq_cover_kind {
    SQ_COVER_SERIES = 1, /* one point, all times */
    SQ_COVER_GRID = 2,   /* times, rows from north to south, columns */
    SQ_COVER_TRACK = 3   /* points, each with its time */
} sq_cover_kind;

/** A piece of answer: values over times and places. Release with sq_cover_free(). */
typedef struct sq_cover {
    sq_cover_kind kind;
    size_t nt, ny, nx; /* a series has ny = nx = 1, a track ny = 1 and nt = 1, a tuple a column */
    int64_t *times;    /* owned, [nt]; of a track [nx] */
    double *x, *y;     /* owned, [nx], [ny]; of a track [nx] both */
    size_t parameter_count;
    sq_parameter_id parameters[SQ_PARAMETERS];
    float *values[SQ_PARAMETERS]; /* owned, [nt][ny][nx]; NaN where nothing is known */
    char id[64];                  /* of a location; or empty */
    bool covered;                 /* whether any value is known */
} sq_cover;

void sq_cover_free(sq_cover *cover);

/** Probability of rain of 0.1 mm/h or more at a cell: by the ensemble, or else by its
 * neighbourhood: the share of wet cells within a radius that grows with the lead time, 3 km + 0.35
 * km a minute up to 25 km. NaN where fewer than a quarter of them are covered. */
float sq_query_probability(const sq_query_source *source, size_t layer, double column, double row);

SQUALL_MUST_USE squall_status sq_query_series(const sq_query_source *source, double lon, double lat,
                                              const sq_parameter_id *parameters, size_t count,
                                              sq_cover *out, squall_error *err);
/** Values on a grid of longitude and latitude about as fine as the layers, over the box, each from
 * the cell that holds it; outside `shape` (optional) or farther than `radius_m` from (lon, lat)
 * nothing is known.
 * @return SQUALL_E_LIMIT when there would be more than `most` values. */
typedef struct sq_query_area {
    double box[4];             /* west, south, east, north */
    const sq_shape *shape;     /* optional */
    double lon, lat, radius_m; /* radius 0: none */
    size_t most;
} sq_query_area;
SQUALL_MUST_USE squall_status sq_query_grid(const sq_query_source *source,
                                            const sq_query_area *area,
                                            const sq_parameter_id *parameters, size_t count,
                                            sq_cover *out, squall_error *err);
/** Values along a line, at its corners and between them at steps of about a cell; without times of
 * its own at `time` for all. */
SQUALL_MUST_USE squall_status sq_query_track(const sq_query_source *source, const sq_shape *line,
                                             int64_t time, size_t most,
                                             const sq_parameter_id *parameters, size_t count,
                                             sq_cover *out, squall_error *err);

/** A grid as fields for a NetCDF file; given. */
SQUALL_MUST_USE squall_status sq_cover_fields(const sq_cover *cover, squall_field ***out,
                                              squall_error *err);

/** Write covers: one becomes a Coverage, several a CoverageCollection. */
void sq_write_covjson(const sq_cover *covers, size_t count, sq_json *out);
void sq_write_geojson(const sq_cover *covers, size_t count, sq_json *out);
void sq_write_csv(const sq_cover *covers, size_t count, sq_text *out);

#endif /* SQ_SVC_QUERY_QUERY_H */
