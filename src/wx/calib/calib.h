/* wx/calib/calib.h - which weather a calibration has seen: frames sorted into strata, a choice that
 * covers them, and what is missing. */
#ifndef SQ_WX_CALIB_CALIB_H
#define SQ_WX_CALIB_CALIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "squall/field.h"

/** What frames are sorted by. */
typedef enum sq_aspect {
    SQ_ASPECT_REGIME,  /* dry, stratiform, mixed, convective */
    SQ_ASPECT_WET,     /* share of covered cells that are wet */
    SQ_ASPECT_MAXIMUM, /* mm/h */
    SQ_ASPECT_SEASON,  /* of the hemisphere */
    SQ_ASPECT_HOUR,    /* quarter of the day, local by longitude */
    SQ_ASPECTS
} sq_aspect;

#define SQ_ASPECT_MOST 4 /* strata of an aspect, at most */

/** "regime"; never NULL. */
const char *sq_aspect_name(sq_aspect aspect);
/** How many strata an aspect has, and what one is called: "convective". */
uint32_t sq_aspect_count(sq_aspect aspect);
const char *sq_aspect_stratum(sq_aspect aspect, uint32_t stratum);

/** The weather in a window of a frame. */
typedef struct sq_weather {
    uint8_t stratum[SQ_ASPECTS];
    double wet_share; /* of covered cells, at or above 0.1 mm/h */
    double max_mm_h;
    double heavy_share; /* of the rain, that falls at or above 10 mm/h */
    double covered;     /* share of cells */
    int64_t time;       /* Unix seconds */
} sq_weather;

/**
 * Look at a window of a rain-rate field.
 *
 * A cell is wet at or above 0.1 mm/h. Dry: fewer than 1 in 200 covered cells are wet. Else by the
 * share of the rain that falls at or above 10 mm/h (Z of 40 dBZ by Marshall and Palmer):
 * stratiform below 0.1, convective at or above 0.5, mixed between.
 *
 * @param field  borrowed; mm/h
 * @param column, row, width, height  the window, in cells; it lies within the field
 */
SQUALL_MUST_USE squall_status sq_weather_of(const squall_field *field, size_t column, size_t row,
                                            size_t width, size_t height, sq_weather *out,
                                            squall_error *err);

/** "convective, wet 5 to 30 %, maximum 20 mm/h and more" into `text` of SQ_WEATHER_TEXT. */
#define SQ_WEATHER_TEXT 128
const char *sq_weather_format(const sq_weather *weather, char *text);

/**
 * Choose `most` of `count`, so that every combination of strata that there is gets its share, and
 * within it what lies farthest from all that is chosen (greedy k-centre, Gonzalez 1985).
 *
 * @param chosen  filled, [most]; in the order of the choice
 * @return how many: the smaller of `most` and `count`; 0 when there is no memory
 */
size_t sq_weather_choose(const sq_weather *weather, size_t count, size_t most, size_t *chosen);

/** Frames in each stratum of each aspect. */
typedef struct sq_coverage {
    uint32_t count[SQ_ASPECTS][SQ_ASPECT_MOST];
} sq_coverage;
void sq_coverage_add(sq_coverage *coverage, const sq_weather *weather);

/**
 * Whether every stratum of the aspects asked for has `least` frames.
 *
 * @param aspects  a set of bits, 1 << SQ_ASPECT_...
 * @param missing  filled, with every stratum that is empty or thin: "regime convective has 0 of 2"
 *                 ...; `room` bytes
 */
bool sq_coverage_check(const sq_coverage *coverage, uint32_t aspects, uint32_t least, char *missing,
                       size_t room);

#endif /* SQ_WX_CALIB_CALIB_H */
