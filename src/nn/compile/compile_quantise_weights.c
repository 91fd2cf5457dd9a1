/* nn/compile/compile_quantise_weights.c - weights, multipliers and biases of a layer in 8 bits. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/compile/compile_quant.h"

enum { WEIGHT_MOST = 127, PHASES = 4 };

/* A layer whose constants are made. A row is what one output channel is made by, in all sets:
 * [sets][channels][taps]. */
typedef struct layer {
    const sq_graph *graph;
    const sq_quant *quant;
    const sq_quant_image *images;
    uint32_t count;
    const squall_tensor *weights;
    const float *bias; /* or NULL */
    bool transposed;
    int64_t sets, outputs, channels, taps; /* channels: those that an output reads */
    int64_t share;                         /* outputs of one channel where it reads one, else 0 */
} layer;

uint32_t sq_quant_numbers(sq_graph *graph, const char *name, squall_dtype dtype, uint32_t rank,
                          int64_t count, void **data)
{
    squall_tensor tensor;
    if (!sq_tensor_make(dtype, rank, &count, &tensor)) {
        return SQ_NO_VALUE;
    }
    *data = tensor.data;
    const uint32_t value = sq_graph_add_constant(graph, name, &tensor);
    if (value == SQ_NO_VALUE) {
        sq_tensor_free(&tensor);
    }
    return value;
}

/* The taps of a row or column of three, a bit each, that fall on cell 0 or 1 of the two that an
 * output at an even (0) or odd place reaches in an image of half the size. */
static unsigned taps_on(int odd, int cell)
{
    static const unsigned bits[2][2] = {{1, 6}, {3, 4}};
    return bits[odd][cell];
}

/* Weights of a channel of an enlarged image for outputs of a set: a sum for each of the four cells
 * that they reach, where SqQConv looks for them. */
static void fold(const layer *l, const float *from, int set, float *to)
{
    const int odd_y = set / 2, odd_x = set % 2;
    memset(to, 0, 9 * sizeof *to);
    for (int cell = 0; cell < PHASES; cell++) {
        float *at = &to[(odd_y + cell / 2) * 3 + odd_x + cell % 2];
        if (l->transposed) { /* an output at 2 y + odd is reached from cell y - 1 + odd + i by tap
                                3 - 2 i - odd of four */
            *at = from[(3 - cell / 2 * 2 - odd_y) * 4 + 3 - cell % 2 * 2 - odd_x];
            continue;
        }
        for (int tap = 0; tap < 9; tap++) {
            if ((taps_on(odd_y, cell / 2) >> (tap / 3) & 1) != 0 &&
                (taps_on(odd_x, cell % 2) >> (tap % 3) & 1) != 0) {
                *at += from[tap];
            }
        }
    }
}

/* Channel `c` of a row, of image `image`; the largest weight of it. */
static float fill_channel(const layer *l, const sq_quant_image *image, const float *from, int64_t c,
                          float *row)
{
    float most = 0;
    for (int64_t set = 0; set < l->sets; set++) {
        float *to = row + (set * l->channels + c) * l->taps;
        if (image->up == 2) {
            fold(l, from, (int)set, to);
        } else if (set == 0) {
            memcpy(to, from, (size_t)l->taps * sizeof *to);
        } else {
            memset(to, 0, (size_t)l->taps * sizeof *to);
        }
        for (int64_t t = 0; t < l->taps; t++) {
            to[t] *= image->scale;
            most = fmaxf(most, fabsf(to[t]));
        }
    }
    return most;
}

/* Which channels of image `s` output channel `k` reads: from `*first` on, `*count`. */
static void channels_of(const layer *l, uint32_t s, int64_t k, int64_t *first, int64_t *count)
{
    *count = l->graph->values[l->images[s].value].type.dims[1];
    *first = 0;
    if (l->share > 0) { /* one, of one image */
        int64_t c = k / l->share;
        for (uint32_t before = 0; before < s; before++) {
            c -= l->graph->values[l->images[before].value].type.dims[1];
        }
        *first = c;
        *count = c >= 0 && c < *count;
    }
}

/* A row of output channel `k` in units of the images' scales; the largest of it. */
static float fill_row(const layer *l, int64_t k, float *row)
{
    const float *all = l->weights->data;
    const int64_t of_tap = l->weights->dims[2] * l->weights->dims[3];
    float most = 0;
    for (int64_t s = 0, c = 0, first, count; s < l->count; s++) {
        channels_of(l, (uint32_t)s, k, &first, &count);
        for (const int64_t end = c + count; c < end; c++) {
            const int64_t at = l->transposed ? c * l->outputs + k : k * l->channels + c;
            most = fmaxf(most, fill_channel(l, &l->images[s], all + at * of_tap, c, row));
        }
    }
    return most;
}

/* The unit of the weights that makes their squared error least: what is cut off at the largest
 * against what all the others lose. */
static float best_unit(const float *weights, int64_t count, float most)
{
    float best = most / WEIGHT_MOST;
    double least = INFINITY;
    for (int step = 0; step < 8; step++) {
        const float unit = most * (1.0f - 0.05f * (float)step) / WEIGHT_MOST;
        double error = 0;
        for (int64_t i = 0; i < count; i++) {
            const float q = fminf(fmaxf(rintf(weights[i] / unit), -WEIGHT_MOST), WEIGHT_MOST);
            const float off = weights[i] - q * unit;
            error += (double)(off * off);
        }
        if (error < least) {
            least = error;
            best = unit;
        }
    }
    return best;
}

/* What the rounding of channel `c` of a row does to an output for each unit of its image. */
static double channel_error(const layer *l, const float *row, const int8_t *to, float unit,
                            int64_t c, bool up)
{
    const int64_t apart = l->outputs * l->channels * l->taps; /* between sets of `to` */
    double off = 0;
    for (int64_t set = 0; set < (up ? l->sets : 1); set++) {
        for (int64_t t = 0; t < l->taps; t++) {
            const int64_t at = c * l->taps + t;
            off += (double)(row[set * l->channels * l->taps + at] -
                            (float)to[set * apart + at] * unit);
        }
    }
    return up ? off / (double)l->sets : off; /* a place in `sets` is of each */
}

/* What the rounding of the weights does to output channel `k` on average: to be taken off its bias.
 */
static double mean_error(const layer *l, int64_t k, const float *row, const int8_t *to, float unit)
{
    double error = 0;
    int64_t at = 0;
    for (uint32_t s = 0; s < l->count; s++) {
        const sq_value *image = &l->graph->values[l->images[s].value];
        const sq_quant_value *value = sq_quant_find(l->quant, image->name);
        int64_t first, count;
        channels_of(l, s, k, &first, &count);
        for (int64_t c = first; c < first + count; c++, at++) {
            if (value != NULL && value->mean != NULL && value->channels == image->type.dims[1]) {
                error += channel_error(l, row, to, unit, at, l->images[s].up == 2) *
                         value->mean[c] / (double)l->images[s].scale;
            }
        }
    }
    return error;
}

/* One output channel; `to`: its weights in the first set. */
static void make_output(const layer *l, int64_t k, float y_scale, float *row, int8_t *to,
                        float *multiplier, int32_t *bias)
{
    const int64_t each = l->channels * l->taps;
    const float most = fill_row(l, k, row), offset = l->bias != NULL ? l->bias[k] : 0.0f;
    float unit = most > 0 ? best_unit(row, l->sets * each, most) : 1.0f;
    /* a bias must fit its 32 bits, with room for the sum */
    unit = fmaxf(unit, fabsf(offset) * 0x1p-29f);
    unit = fmaxf(unit, 0x1p-100f);
    for (int64_t set = 0; set < l->sets; set++) {
        for (int64_t i = 0; i < each; i++) {
            to[set * l->outputs * each + i] =
                (int8_t)fminf(fmaxf(rintf(row[set * each + i] / unit), -WEIGHT_MOST), WEIGHT_MOST);
        }
    }
    const double error = l->quant->correct_bias ? mean_error(l, k, row, to, unit) : 0.0;
    *multiplier = unit / y_scale;
    *bias = (int32_t)rint(((double)offset + error) / (double)unit);
}

static layer layer_of(const sq_graph *graph, const sq_quant *quant, const sq_node *node,
                      const sq_quant_image *images, uint32_t count)
{
    layer l = {.graph = graph, .quant = quant, .images = images, .count = count, .sets = 1};
    const int64_t group = sq_attr_int(&node->attrs, "group", 1);
    l.weights = &graph->values[node->inputs[1]].type;
    if (node->in_count > 2 && node->inputs[2] != SQ_NO_VALUE) {
        l.bias = graph->values[node->inputs[2]].type.data;
    }
    l.transposed = node->op == SQ_OP_ConvTranspose;
    l.outputs = l.weights->dims[l.transposed ? 1 : 0];
    l.channels = l.weights->dims[l.transposed ? 0 : 1];
    l.share = group > 1 ? l.outputs / group : 0;
    l.taps = l.transposed ? 9 : l.weights->dims[2] * l.weights->dims[3];
    for (uint32_t s = 0; s < count; s++) {
        l.sets = images[s].up == 2 ? PHASES : l.sets;
    }
    return l;
}

squall_status sq_quant_weights(sq_graph *graph, const sq_quant *quant, const sq_node *node,
                               const sq_quant_image *images, uint32_t count, float y_scale,
                               sq_quant_constants *out, squall_error *err)
{
    layer l = layer_of(graph, quant, node, images, count);
    const bool wide = l.sets > 1;
    const int64_t dims[4] = {l.sets * l.outputs, l.channels, wide ? 3 : l.weights->dims[2],
                             wide ? 3 : l.weights->dims[3]};
    const int64_t each = l.channels * l.taps;
    squall_tensor bytes = {0};
    void *multiplier = NULL, *bias = NULL;
    char name[256];
    float *row = sq_alloc_raw((size_t)(l.sets * each), sizeof *row);
    if (row == NULL || !sq_tensor_make(SQUALL_I8, 4, dims, &bytes)) {
        sq_free(row);
        return sq_fail(err, SQUALL_E_MEMORY, node->name, "no memory for its weights in 8 bits");
    }
    snprintf(name, sizeof name, "%.200s:s8", node->name);
    out->weights = sq_graph_add_constant(graph, name, &bytes);
    snprintf(name, sizeof name, "%.200s:multiplier", node->name);
    out->multiplier = sq_quant_numbers(graph, name, SQUALL_F32, 1, l.outputs, &multiplier);
    snprintf(name, sizeof name, "%.200s:bias", node->name);
    out->bias = sq_quant_numbers(graph, name, SQUALL_I32, 1, l.outputs, &bias);
    if (out->weights == SQ_NO_VALUE) {
        sq_tensor_free(&bytes);
    }
    if (out->weights == SQ_NO_VALUE || out->multiplier == SQ_NO_VALUE || out->bias == SQ_NO_VALUE) {
        sq_free(row);
        return sq_fail(err, SQUALL_E_MEMORY, node->name, "no memory for its weights in 8 bits");
    }
    l = layer_of(graph, quant, node, images, count); /* values may have moved */
    int8_t *to = graph->values[out->weights].type.data;
    for (int64_t k = 0; k < l.outputs; k++) {
        make_output(&l, k, y_scale, row, to + k * each, (float *)multiplier + k,
                    (int32_t *)bias + k);
    }
    sq_free(row);
    return SQUALL_OK;
}
