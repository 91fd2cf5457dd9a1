/* svc/query/query_shape.c - well-known text, in one pass and without recursion. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "svc/query/query.h"

/* A text being read; `dims` is the number of a point's coordinates. */
typedef struct parser {
    const char *text, *at;
    sq_shape *shape;
    size_t point_room, ring_room;
    int dims;
    bool has_m;
    squall_error *err;
} parser;

static squall_status fail_at(const parser *p, const char *what)
{
    return sq_fail(p->err, SQUALL_E_FORMAT, "coords", "%s at character %zu of '%.80s'", what,
                   (size_t)(p->at - p->text) + 1, p->text);
}

static void skip_space(parser *p)
{
    while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r') {
        p->at++;
    }
}

static bool take(parser *p, char c)
{
    skip_space(p);
    if (*p->at != c) {
        return false;
    }
    p->at++;
    return true;
}

static bool take_word(parser *p, const char *word)
{
    skip_space(p);
    const size_t length = strlen(word);
    if (strncasecmp(p->at, word, length) != 0 || isalpha((unsigned char)p->at[length])) {
        return false;
    }
    p->at += length;
    return true;
}

static squall_status take_number(parser *p, double *out)
{
    char *end;
    skip_space(p);
    *out = strtod(p->at, &end);
    if (end == p->at || !isfinite(*out) ||
        strspn(p->at, "+-0123456789.eE") < (size_t)(end - p->at)) {
        return fail_at(p, "a number is missing");
    }
    p->at = end;
    return SQUALL_OK;
}

/* A list that grows; false without memory. */
static bool grow(void **list, size_t count, size_t *room, size_t size)
{
    if (count < *room) {
        return true;
    }
    const size_t wanted = *room > 0 ? 2 * *room : 16;
    void *grown = sq_regrow(*list, count, wanted, size);
    if (grown == NULL) {
        return false;
    }
    *list = grown;
    *room = wanted;
    return true;
}

static squall_status take_point(parser *p)
{
    double value[4] = {0, 0, 0, 0};
    sq_shape *s = p->shape;
    for (int i = 0; i < p->dims; i++) {
        SQ_TRY(take_number(p, &value[i]));
    }
    if (fabs(value[0]) > 360 || fabs(value[1]) > 90) {
        return fail_at(p, "a point that is not on the Earth (longitude, then latitude)");
    }
    if (s->count == SQ_QUERY_POINTS) {
        return sq_fail(p->err, SQUALL_E_LIMIT, "coords", "more than %d points", SQ_QUERY_POINTS);
    }
    void *list = s->points;
    if (!grow(&list, s->count, &p->point_room, sizeof *s->points)) {
        return sq_fail(p->err, SQUALL_E_MEMORY, "coords", "no memory");
    }
    s->points = list;
    const double m = p->has_m ? value[p->dims - 1] : 0.0;
    s->points[s->count++] =
        (sq_shape_point){value[0] > 180 ? value[0] - 360 : value[0], value[1],
                         p->has_m && fabs(m) < 1e12 ? (int64_t)m : SQ_TIME_NONE};
    return SQUALL_OK;
}

/* "(1 2, 3 4)"; `nested` points may stand in brackets of their own: "((1 2), (3 4))". */
static squall_status take_points(parser *p, bool nested)
{
    if (!take(p, '(')) {
        return fail_at(p, "'(' is missing");
    }
    do {
        const bool bracket = nested && take(p, '(');
        SQ_TRY(take_point(p));
        if (bracket && !take(p, ')')) {
            return fail_at(p, "')' is missing");
        }
    } while (take(p, ','));
    return take(p, ')') ? SQUALL_OK : fail_at(p, "')' is missing");
}

static squall_status take_ring(parser *p)
{
    sq_shape *s = p->shape;
    const size_t first = s->count;
    void *list = s->rings;
    if (!grow(&list, s->ring_count + 1, &p->ring_room, sizeof *s->rings)) {
        return sq_fail(p->err, SQUALL_E_MEMORY, "coords", "no memory");
    }
    s->rings = list;
    s->rings[s->ring_count++] = first;
    SQ_TRY(take_points(p, false));
    const sq_shape_point *a = &s->points[first], *b = &s->points[s->count - 1];
    if (s->count - first < 4 || a->lon != b->lon || a->lat != b->lat) {
        return fail_at(p, "a ring needs four points or more, the last like the first,");
    }
    s->rings[s->ring_count] = s->count;
    return SQUALL_OK;
}

static squall_status take_polygon(parser *p)
{
    if (!take(p, '(')) {
        return fail_at(p, "'(' is missing");
    }
    do {
        SQ_TRY(take_ring(p));
    } while (take(p, ','));
    return take(p, ')') ? SQUALL_OK : fail_at(p, "')' is missing");
}

static squall_status take_polygons(parser *p)
{
    if (!take(p, '(')) {
        return fail_at(p, "'(' is missing");
    }
    do {
        SQ_TRY(take_polygon(p));
    } while (take(p, ','));
    return take(p, ')') ? SQUALL_OK : fail_at(p, "')' is missing");
}

/* "POINT", "POINT Z", "POINTZ", ...; true when it is this word. */
static bool take_kind(parser *p, const char *word)
{
    static const struct {
        const char *ending;
        int dims;
        bool has_m;
    } endings[] = {{"ZM", 4, true}, {"Z", 3, false}, {"M", 3, true}};
    const char *start = p->at;
    const size_t length = strlen(word);
    skip_space(p);
    if (strncasecmp(p->at, word, length) != 0) {
        p->at = start;
        return false;
    }
    p->at += length;
    p->dims = 2;
    p->has_m = false;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (take_word(p, endings[i].ending)) {
            p->dims = endings[i].dims;
            p->has_m = endings[i].has_m;
            break;
        }
    }
    skip_space(p);
    if (*p->at != '(') {
        p->at = start;
        return false;
    }
    return true;
}

static squall_status take_shape(parser *p)
{
    sq_shape *s = p->shape;
    if (take_kind(p, "MULTIPOINT") || take_kind(p, "POINT")) {
        s->kind = SQ_SHAPE_POINTS;
        return take_points(p, true);
    }
    if (take_kind(p, "LINESTRING")) {
        s->kind = SQ_SHAPE_LINE;
        SQ_TRY(take_points(p, false));
        s->timed = p->has_m;
        return s->count >= 2 ? SQUALL_OK : fail_at(p, "a line needs two points or more,");
    }
    s->kind = SQ_SHAPE_POLYGONS;
    if (take_kind(p, "MULTIPOLYGON")) {
        return take_polygons(p);
    }
    if (take_kind(p, "POLYGON")) {
        return take_polygon(p);
    }
    return fail_at(p, "none of POINT, MULTIPOINT, LINESTRING, POLYGON, MULTIPOLYGON with "
                      "coordinates in brackets");
}

squall_status sq_shape_parse(const char *text, sq_shape *out, squall_error *err)
{
    memset(out, 0, sizeof *out);
    parser p = {.text = text, .at = text, .shape = out, .dims = 2, .err = err};
    squall_status status = take_shape(&p);
    skip_space(&p);
    if (status == SQUALL_OK && *p.at != '\0') {
        status = fail_at(&p, "something follows");
    }
    if (status != SQUALL_OK) {
        sq_shape_free(out);
        return status;
    }
    out->west = out->south = INFINITY;
    out->east = out->north = -INFINITY;
    for (size_t i = 0; i < out->count; i++) {
        out->west = fmin(out->west, out->points[i].lon);
        out->east = fmax(out->east, out->points[i].lon);
        out->south = fmin(out->south, out->points[i].lat);
        out->north = fmax(out->north, out->points[i].lat);
    }
    return SQUALL_OK;
}

void sq_shape_free(sq_shape *shape)
{
    sq_free(shape->points);
    sq_free(shape->rings);
    memset(shape, 0, sizeof *shape);
}

bool sq_shape_holds(const sq_shape *shape, double lon, double lat)
{
    bool inside = false;
    for (size_t r = 0; r < shape->ring_count; r++) {
        for (size_t i = shape->rings[r]; i + 1 < shape->rings[r + 1]; i++) {
            const sq_shape_point *a = &shape->points[i], *b = &shape->points[i + 1];
            if ((a->lat > lat) != (b->lat > lat) &&
                lon < a->lon + (lat - a->lat) / (b->lat - a->lat) * (b->lon - a->lon)) {
                inside = !inside;
            }
        }
    }
    return inside;
}
