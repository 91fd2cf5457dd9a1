/* wx/motion/motion.h - how the rain moves, as the other rooms of wx see it; and what the files here
 * share. */
#ifndef SQ_WX_MOTION_MOTION_H
#define SQ_WX_MOTION_MOTION_H

#include <stddef.h>
#include <stdint.h>

#include "squall/motion.h"

#include "base/base.h"

/** Metres on the earth of one column and one row at the middle of the grid; NaN where the
 * projection does not reach. */
SQUALL_MUST_USE squall_status sq_motion_cell_m(const squall_grid *grid, double *column_m,
                                               double *row_m, squall_error *err);

/** Floor, exact for what an int holds; without the call that floorf() is on plain x86-64. */
static inline int sq_floor_int(float x)
{
    const int whole = (int)x;
    return whole - (x < (float)whole ? 1 : 0);
}

/* --- the other methods: motion_sparse.c, motion_spectral.c --- */

/** As squall_motion_estimate() for `count` frames (2..8) that have been checked. Vectors faster
 * than allowed are shortened by the caller. */
SQUALL_MUST_USE squall_status sq_motion_sparse(const squall_field *const *frames, size_t count,
                                               const squall_motion_options *options,
                                               squall_motion *out, squall_error *err);
SQUALL_MUST_USE squall_status sq_motion_spectral(const squall_field *const *frames, size_t count,
                                                 const squall_motion_options *options,
                                                 squall_motion *out, squall_error *err);

/* --- images of a frame: motion_image.c --- */

enum { SQ_MOTION_LEVELS = 12 };

/** A frame as the flow sees it: ln(rate / min_rate), 0 where that is less or dry, NaN where nobody
 * looked; smoothed, and halved again and again. */
typedef struct sq_pyramid {
    size_t levels;
    size_t width[SQ_MOTION_LEVELS], height[SQ_MOTION_LEVELS];
    float *image[SQ_MOTION_LEVELS]; /* [height][width] each; parts of `memory` */
    float *memory;                  /* owned */
} sq_pyramid;

/** Halvings of a width x height frame before the finest level is small enough to be worked on. */
size_t sq_pyramid_reduction(size_t width, size_t height);

/**
 * Make the pyramid of a rain-rate field.
 *
 * @param reduction  halvings before level 0, as sq_pyramid_reduction() says
 * @return SQUALL_OK; SQUALL_E_MEMORY. Release with sq_pyramid_free().
 */
SQUALL_MUST_USE squall_status sq_pyramid_make(const squall_field *field, float min_rate_mm_h,
                                              size_t reduction, sq_pyramid *out, squall_error *err);
void sq_pyramid_free(sq_pyramid *pyramid);

/* --- the flow between images: motion_flow.c --- */

/** Vectors at the centres of square blocks of one level, in cells of that level a time unit. */
typedef struct sq_flow {
    size_t columns, rows;
    float *u, *v; /* [rows][columns] */
} sq_flow;

enum { SQ_FLOW_BLOCK = 8 }; /* side of a block, cells of its level */

/** Two images of one level and the time between them, in units of the flow's. */
typedef struct sq_flow_pair {
    const float *before, *after; /* [height][width]; NaN where nobody looked */
    float time;
    float weight;
} sq_flow_pair;

/** What the flow is found with; the values are in motion_estimate.c. */
typedef struct sq_flow_settings {
    float smoothness; /* of neighbouring vectors, against the squared gradient of a mean cell */
    float outlier;    /* a difference of this size between images counts half */
    int warps;        /* times that the images are brought together anew */
    int sweeps;       /* over the blocks, to solve for the vectors */
} sq_flow_settings;

/** Scratch of sq_flow_refine(): [blocks] each. */
typedef struct sq_flow_scratch {
    float *a11, *a12, *a22, *b1, *b2, *du, *dv;
} sq_flow_scratch;

/** Blocks of a level. */
size_t sq_flow_blocks(size_t length);

/** Improve `flow` on one level. The same bits for every pool. */
void sq_flow_refine(const sq_flow_pair *pairs, size_t count, size_t width, size_t height,
                    const sq_flow_settings *settings, sq_flow_scratch *scratch, sq_pool *pool,
                    sq_flow *flow);

/** The vector at a cell, bilinear between the centres of blocks, those at the rim beyond them. */
void sq_flow_at(const sq_flow *flow, float column, float row, float *u, float *v);

#endif /* SQ_WX_MOTION_MOTION_H */
