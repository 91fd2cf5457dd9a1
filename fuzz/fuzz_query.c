/* rooms: svc/query */
/* fuzz/fuzz_query.c - shapes, times, boxes and lists as clients write them. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "svc/query/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_shape(const char *text)
{
    sq_shape shape;
    if (sq_shape_parse(text, &shape, NULL) != SQUALL_OK) {
        return;
    }
    for (size_t i = 0; i < shape.count; i++) {
        if (!(fabs(shape.points[i].lon) <= 360) || !(fabs(shape.points[i].lat) <= 90)) {
            abort(); /* every point is on the Earth */
        }
    }
    for (size_t i = 0; i < shape.ring_count; i++) {
        if (shape.rings[i] >= shape.rings[i + 1] || shape.rings[i + 1] > shape.count) {
            abort(); /* rings lie within the points */
        }
    }
    (void)sq_shape_holds(&shape, 5.0, 52.0);
    sq_shape_free(&shape);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t from, to;
    double box[4], metres;
    sq_parameter_id ids[SQ_PARAMETERS];
    size_t count;
    char *text = malloc(size + 1);
    if (text == NULL) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    try_shape(text);
    if (sq_query_time(text, &from, &to, NULL) == SQUALL_OK && from > to) {
        abort(); /* an interval does not run backwards */
    }
    if (sq_query_box(text, box, NULL) == SQUALL_OK && !(box[0] < box[2] && box[1] < box[3])) {
        abort();
    }
    if (sq_query_length(text, "km", &metres, NULL) == SQUALL_OK && !(metres > 0)) {
        abort();
    }
    if (sq_query_parameters(text, false, ids, &count, NULL) == SQUALL_OK && count > SQ_PARAMETERS) {
        abort();
    }
    free(text);
    return 0;
}
