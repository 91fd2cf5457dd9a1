/* nn/cpu/cpu_winograd.h - what Winograd's F(4x4, 3x3) and F(6x6, 3x3) need to know of a step; for
 * cpu_winograd.c and cpu_winograd_plan.c. */
#ifndef SQ_NN_CPU_CPU_WINOGRAD_H
#define SQ_NN_CPU_CPU_WINOGRAD_H

#include "nn/cpu/cpu_kernels.h"

enum {
    SQ_WINOGRAD_REACH = 8, /* most inputs of a tile, along a side */
    SQ_WINOGRAD_POINTS = SQ_WINOGRAD_REACH * SQ_WINOGRAD_REACH,
    SQ_WINOGRAD_LEAN_CHANNELS = 64, /* whose weights are transformed at a time */
    SQ_WINOGRAD_PHASES = 4,
    SQ_WINOGRAD_SOURCES = 8
};

/** A convolution has one phase. A transposed one of stride 2 has four, one for each remainder of
 * the output's row and column by 2: each is a 3x3 convolution some of whose taps are missing, all
 * of them over the same tiles of the input. Where a row or column of taps at an edge is missing a
 * row or column of points is zero. */
typedef struct sq_winograd_phase {
    int32_t out_y, out_x;          /* of its first pixel */
    int32_t height, width;         /* of its pixels */
    int32_t taps_y, taps_x;        /* of the kernel */
    int32_t first_y, first_x;      /* of the 3x3 places: where the first tap lies */
    int32_t kernel_y, kernel_x;    /* of a transposed kernel: its first row and column here */
    bool zero[SQ_WINOGRAD_POINTS]; /* points that are zero whatever the weights */
} sq_winograd_phase;

/** The input's channels come from one tensor or from several, one behind the other; each as it is,
 * or every cell of it standing for 2 x 2. */
typedef struct sq_winograd_source {
    uint32_t input;        /* of the step */
    int32_t first, blocks; /* of channels */
    int32_t height, width, shift;
} sq_winograd_source;

/** The ways: see cpu_winograd.c. */
typedef enum sq_winograd_way {
    SQ_WINOGRAD_4,      /* tiles of 4x4 */
    SQ_WINOGRAD_4_LEAN, /* and weights transformed in a run */
    SQ_WINOGRAD_6,      /* tiles of 6x6 */
    SQ_WINOGRAD_WAYS
} sq_winograd_way;

typedef struct sq_winograd {
    const sq_cpu_kernels *kernels;
    sq_cpu_act act;
    bool lean;
    int32_t tile, reach, points; /* outputs and inputs of a tile along a side; points of a tile */
    int32_t channels, height, width, out_height, out_width, batch;
    int32_t in_blocks, out_blocks;
    int32_t pad_y, pad_x;
    int32_t step; /* between neighbouring pixels of a phase in the output */
    int32_t phase_count, source_count;
    sq_winograd_phase phases[SQ_WINOGRAD_PHASES];
    sq_winograd_source sources[SQ_WINOGRAD_SOURCES];
    int32_t tiles_x, tiles;   /* of an image */
    int32_t blocks, most;     /* blocks of tiles of an image; tiles of the largest */
    int32_t phase_panels;     /* of two blocks of outputs, in one phase */
    int32_t panels;           /* of all phases */
    int32_t sub_panels;       /* whose sums are held at a time */
    size_t in_point, m_point; /* floats between points: of transformed input and of sums */
    size_t in_floats, m_floats, weight_floats; /* of one thread's parts of the scratch memory */
    size_t point;                              /* floats between points of packed weights */
    size_t lean_point;                         /* and of those that are transformed in a run */
    size_t bias;                               /* offset in the packed constants, floats */
} sq_winograd;

/** Work it out for Conv, ConvTranspose and SqConvJoin. */
SQUALL_MUST_USE squall_status sq_winograd_fill(const sq_step *step, sq_winograd_way way,
                                               int threads, sq_winograd *s, squall_error *err);
/** Why this step cannot be done so; NULL when it can. */
const char *sq_winograd_problem(const sq_step *step);
/** Points: [point][panel][channel][panel's outputs]; lean: [panel][channel][tap][panel's outputs].
 * The bias comes last. */
void sq_winograd_pack(const sq_step *step, const sq_winograd *s, float *to);
/** Rough seconds of one thread. */
double sq_winograd_cost(const sq_winograd *s);
size_t sq_winograd_scratch_floats(const sq_winograd *s, int threads);

/** Blocks of outputs in a panel, and where its weights begin: floats, for one point or tap. */
static inline int32_t sq_winograd_panel_blocks(const sq_winograd *s, int32_t panel)
{
    return s->out_blocks - 2 * (panel % s->phase_panels) > 1 ? 2 : 1;
}

static inline size_t sq_winograd_panel_start(const sq_winograd *s, int32_t panel)
{
    const size_t block = (size_t)(panel / s->phase_panels) * (size_t)s->out_blocks +
                         2 * (size_t)(panel % s->phase_panels);
    return block * (size_t)s->kernels->lanes * (size_t)s->channels;
}

#endif /* SQ_NN_CPU_CPU_WINOGRAD_H */
