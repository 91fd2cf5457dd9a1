/* nn/cpu/cpu_quant.h - the kernels for numbers of 8 bits of one instruction set, and what they are
 * given.
 *
 * Blocked tensors of uint8 are [N][ceil(C/L)][H][W][L], L as for floats. All instruction sets give
 * the same bits, those of nn/ref.
 */
#ifndef SQ_NN_CPU_CPU_QUANT_H
#define SQ_NN_CPU_CPU_QUANT_H

#include "nn/cpu/cpu_kernels.h"

/* Numbers that one instruction multiplies and adds up: channels, of depthwise kernels pixels. */
#define SQ_QCONV_GROUP 4

/* One of the images that a convolution reads. Strides are in bytes. */
typedef struct sq_qconv_image {
    const uint8_t *in;                  /* first tap of the first pixel, first channel block */
    ptrdiff_t in_plane, in_row, in_tap; /* to the next channel block, tap row, tap of a row */
    int32_t channels;
    int32_t taps_y, taps_x;
    int32_t step;          /* pixels between neighbouring outputs' inputs: 1 or 2 */
    const int8_t *weights; /* [block][tap_y][tap_x][group][blocks * L][of a group] */
} sq_qconv_image;

/* A row of up to `max_pixels` output pixels times one or two blocks of output channels. */
typedef struct sq_qconv_tile {
    const sq_qconv_image *images;
    int32_t image_count;
    const int32_t *bias;     /* [blocks * L], the zero points of the images taken into account */
    const float *multiplier; /* [blocks * L] */
    void *out;
    ptrdiff_t out_plane, out_pixel; /* elements: to the second block, to the next pixel */
    bool to_float;
    float low, high; /* an output of uint8 less its zero point is held to */
    int32_t zero;
    sq_cpu_act act; /* of floats */
} sq_qconv_tile;

typedef void sq_qconv_tile_fn(const sq_qconv_tile *tile);

/* What a row of depthwise outputs is made of. A group is four neighbouring pixels, all of which are
 * read where the last of them have no weight. Strides are in bytes. */
typedef struct sq_qdepth_row {
    const uint8_t *in;                    /* first tap of the first pixel, one channel block */
    ptrdiff_t in_row, in_group, in_pixel; /* to the next tap row, group of a row, output's input */
    int32_t taps_y, groups;
    const uint8_t *lane;   /* [L]: the channel of the block that an output lane is of; those of four
                              neighbouring lanes lie in one group of four channels */
    const int8_t *weights; /* [tap_y][group][L][4] */
} sq_qdepth_row;

typedef struct sq_cpu_quant {
    const char *name;
    int32_t lanes;
    int32_t max_pixels;
    double rate;    /* operations a second of a thread, roughly; 0: see cpu_qconv.c */
    int32_t group;  /* neighbouring channels whose weights for one output stand together */
    int32_t offset; /* that the kernels take off every input; the bias makes up for it */
    sq_qconv_tile_fn *conv_tile[2][SQ_CONV_MAX_PIXELS + 1]; /* [blocks - 1][pixels] */
    /** Depthwise: `pixels` pixels of one block of outputs; images and weights of `tile` are not
     * looked at. */
    void (*depth_row)(const sq_qdepth_row *row, const sq_qconv_tile *tile, int32_t pixels);
    /** out[count] = held(rint(in / scale) + zero). */
    void (*quantize)(const float *in, uint8_t *out, size_t count, float scale, int32_t zero);
    /** out[count] = (in - zero) * scale. */
    void (*dequantize)(const uint8_t *in, float *out, size_t count, float scale, int32_t zero);
} sq_cpu_quant;

extern const sq_cpu_quant sq_cpu_quant_c;
#if defined(__x86_64__)
extern const sq_cpu_quant sq_cpu_quant_avx2, sq_cpu_quant_avx512, sq_cpu_quant_avx512vnni;
#elif defined(__aarch64__)
extern const sq_cpu_quant sq_cpu_quant_neon, sq_cpu_quant_neondot, sq_cpu_quant_neoni8mm;
#endif

/** The kernels for this host, SQUALL_CPU respected; lanes are those of sq_cpu_pick(). */
const sq_cpu_quant *sq_cpu_quant_pick(void);

/** An empty tactic, named after these kernels. */
void sq_cpu_quant_tactic(sq_tactic *tactic, const char *what);

extern const sq_cpu_driver sq_cpu_drivers_qconv[], sq_cpu_drivers_qdepth[], sq_cpu_drivers_qshape[];

#endif /* SQ_NN_CPU_CPU_QUANT_H */
