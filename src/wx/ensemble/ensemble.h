/* wx/ensemble/ensemble.h - S-PROG and STEPS, as the other rooms of wx see them; and what the files
 * here share. */
#ifndef SQ_WX_ENSEMBLE_ENSEMBLE_H
#define SQ_WX_ENSEMBLE_ENSEMBLE_H

#include "squall/ensemble.h"

#include "base/base.h"
#include "wx/cascade/cascade.h"

/* --- what the frames tell: ensemble_prepare.c --- */

enum { SQ_ENSEMBLE_FRAMES = 3 };

/** The newest frames, taken apart. Release with sq_scales_free(). */
typedef struct sq_scales {
    squall_ensemble_options options;
    const squall_field *newest;
    const squall_motion *motion;
    size_t width, height; /* of the grid; the transform may be larger */
    int32_t step_s;       /* between two frames, and of the process */
    size_t order;         /* of the process: 1 or 2; 0 holds everything */
    sq_pool *pool;
    sq_fft *fft;
    sq_cascade cascade;
    float *re[SQ_ENSEMBLE_FRAMES], *im[SQ_ENSEMBLE_FRAMES]; /* spectra, the newest first */
    float *filter;                                          /* of the noise; a plane */
    float *planes;                                          /* owned, of the above */
    float *covered; /* owned, [height][width]: 1 where the newest frame looked, else 0 */
    bool all_covered;
    double mean;                                 /* of the newest frame, dB */
    double deviation[SQ_CASCADE_LEVELS];         /* of its levels, dB */
    double earlier_deviation[SQ_CASCADE_LEVELS]; /* of those of the frame before it */
    sq_cascade_ar ar[SQ_CASCADE_LEVELS];
    sq_match match; /* the newest frame's values, mm/h */
} sq_scales;

/** `noise`: whether the filter is wanted too. Inputs as of squall_sprog_run(). */
SQUALL_MUST_USE squall_status sq_scales_make(const squall_field *const *frames, size_t count,
                                             const squall_motion *motion, const int32_t *leads_s,
                                             size_t lead_count,
                                             const squall_ensemble_options *options, bool noise,
                                             sq_scales *out, squall_error *err);
void sq_scales_free(sq_scales *scales);

/** The spectrum of the process without noise, `steps` after the newest frame. */
void sq_scales_expected(const sq_scales *scales, size_t steps, float *re, float *im);

/** From a spectrum, which is used up, to rates: transformed, cut to the grid and matched.
 * @param share    [height][width], as sq_match_run() takes it
 * @param full     scratch, values of the transform
 * @param bins     scratch of sq_match_run()
 * @param out      filled; [height][width], mm/h */
void sq_scales_rates(const sq_scales *scales, float *re, float *im, const float *share, float *full,
                     float *scratch, uint32_t *bins, float *out);

/** The time step nearest to a lead. */
static inline size_t sq_scales_nearest(const sq_scales *scales, int32_t lead_s)
{
    return (size_t)((lead_s + scales->step_s / 2) / scales->step_s);
}

/** An ensemble's fields, all without coverage yet; what was made is in `*out` on failure, too.
 * @param keep    whether members' fields are wanted
 * @param source  "steps", ... */
SQUALL_MUST_USE squall_status sq_ensemble_make(const squall_field *newest, const int32_t *leads_s,
                                               size_t lead_count, size_t members, bool keep,
                                               const char *source, squall_ensemble **out,
                                               squall_error *err);

/* --- each member on its own way: ensemble_carry.c --- */

enum { SQ_NODE_CELLS = 8 }; /* the way is followed for every eighth cell, and even between */

/** One member's error of motion and the ways to its nodes. */
typedef struct sq_way {
    float along, across; /* random numbers of mean square 1 */
    float *x, *y;        /* [rows][columns] of nodes: how far the air has come, cells */
} sq_way;

typedef struct sq_ways {
    const squall_motion *motion;
    float cell_m; /* 0 when not known: motions are then as they are */
    size_t columns, rows;
    size_t count;
    sq_way *items; /* owned, [count] */
    float *memory; /* owned */
} sq_ways;

SQUALL_MUST_USE squall_status sq_ways_make(const squall_motion *motion, size_t count, bool perturb,
                                           uint64_t seed, sq_ways *out, squall_error *err);
void sq_ways_free(sq_ways *ways);

/** Follow one way from `from_s` to `to_s` after the newest frame. */
void sq_way_follow(const sq_ways *ways, sq_way *way, int32_t from_s, int32_t to_s);

/** The rates of one row, carried: NaN where there is no coverage.
 * @param field    [height][width], mm/h; NaN where there is none
 * @param scratch  4 x columns of nodes
 * @param out      [width] */
void sq_way_take(const sq_ways *ways, const sq_way *way, const float *field, size_t row,
                 float *scratch, float *out);

#endif /* SQ_WX_ENSEMBLE_ENSEMBLE_H */
