/* nn/compile/compile_quant.h - networks in numbers of 8 bits: what is known of their values, which
 * layers compute in them, and how good that is. */
#ifndef SQ_NN_COMPILE_COMPILE_QUANT_H
#define SQ_NN_COMPILE_COMPILE_QUANT_H

#include "nn/graph/graph.h"
#include "squall/calibrate.h"

/* ---- What a calibration sees of one value. ---- */

/* Bins over [-limit, limit); `limit` is a power of two that doubles when a number lies outside. */
#define SQ_HISTOGRAM_BINS 4096

typedef struct sq_histogram {
    uint32_t *bins; /* owned, [SQ_HISTOGRAM_BINS]; NULL while empty */
    double limit;
    uint64_t count;  /* of numbers counted */
    float low, high; /* of all numbers, those that are not counted too */
} sq_histogram;

void sq_histogram_free(sq_histogram *histogram);
/** Count every `stride`-th of `count` numbers that are `step` apart; NaN are passed over. */
SQUALL_MUST_USE squall_status sq_histogram_add(sq_histogram *histogram, const float *data,
                                               size_t count, size_t stride, squall_error *err);

/** Ways to choose the range that 8 bits cover. */
typedef enum sq_range_method {
    SQ_RANGE_MINMAX,
    SQ_RANGE_PERCENTILE, /* all but one number in 10 000 */
    SQ_RANGE_MSE,        /* least squared error */
    SQ_RANGE_KL,         /* least loss of information */
    SQ_RANGE_METHODS
} sq_range_method;
const char *sq_range_name(sq_range_method method);
/** The range by a method; both 0 when nothing was counted. It holds 0. */
void sq_histogram_range(const sq_histogram *histogram, sq_range_method method, float *low,
                        float *high);
/** The share of what was counted that lies outside. */
double sq_histogram_outside(const sq_histogram *histogram, float low, float high);

typedef struct sq_quant_value {
    char *name; /* owned */
    sq_histogram histogram;
    double *mean; /* owned, [channels]; sums while samples come */
    uint64_t mean_count;
    int64_t channels;
    float low, high; /* the range chosen */
    sq_range_method method;
    double clipped; /* share outside of it */
} sq_quant_value;

/** A layer that could compute in 8 bits. */
typedef struct sq_quant_layer {
    char *name; /* owned; of the node */
    bool on;    /* it does */
    bool fixed; /* by the caller's word: it stays what it is */
    double noise, saved_s;
} sq_quant_layer;

typedef struct sq_quant {
    sq_quant_value *values; /* owned */
    uint32_t value_count;
    sq_quant_layer *layers; /* owned */
    uint32_t layer_count;
    bool correct_bias;
} sq_quant;

void sq_quant_free(sq_quant *quant);
sq_quant_value *sq_quant_find(const sq_quant *quant, const char *name);
/** Scale and zero point of a range. */
float sq_quant_scale(const sq_quant_value *value, uint8_t *zero);

/** An image that a layer in 8 bits reads. */
typedef struct sq_quant_image {
    uint32_t value; /* of the graph, in float32 */
    uint8_t up;     /* 2 where a cell stands for 2 x 2, else 1 */
    float scale;
} sq_quant_image;
#define SQ_QUANT_IMAGES 8 /* at most, of one layer */

/** Constants of a layer in 8 bits: values of the graph. */
typedef struct sq_quant_constants {
    uint32_t weights, multiplier, bias;
} sq_quant_constants;

/** Make the constants of `node` (of which sq_quant_can() is true) in 8 bits, for an output in units
 * of `y_scale`. May move the graph's nodes. */
SQUALL_MUST_USE squall_status sq_quant_weights(sq_graph *graph, const sq_quant *quant,
                                               const sq_node *node, const sq_quant_image *images,
                                               uint32_t count, float y_scale,
                                               sq_quant_constants *out, squall_error *err);

/** A constant of `count` numbers (of one, rank 0); SQ_NO_VALUE when there is no memory. */
uint32_t sq_quant_numbers(sq_graph *graph, const char *name, squall_dtype dtype, uint32_t rank,
                          int64_t count, void **data);

/** Whether a node could compute in 8 bits. */
bool sq_quant_can(const sq_graph *graph, const sq_node *node);

/** Put the layers that are on into 8 bits, and what lies between them; types are inferred again.
 * Values of which nothing is known stay float32. */
SQUALL_MUST_USE squall_status sq_quant_apply(sq_graph *graph, const sq_quant *quant,
                                             squall_error *err);

#endif /* SQ_NN_COMPILE_COMPILE_QUANT_H */
