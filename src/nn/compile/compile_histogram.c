/* nn/compile/compile_histogram.c - numbers counted as they stream past, and the range that 8 bits
 * should cover. */
#include <math.h>
#include <string.h>

#include "nn/compile/compile_quant.h"

enum { BINS = SQ_HISTOGRAM_BINS, HALF = BINS / 2, LEVELS = 255 };

void sq_histogram_free(sq_histogram *histogram)
{
    sq_free(histogram->bins);
    memset(histogram, 0, sizeof *histogram);
}

/* Twice the range: pairs of bins become one. Bin HALF begins at 0 before and after. */
static void widen(sq_histogram *h)
{
    uint32_t old[BINS];
    memcpy(old, h->bins, sizeof old);
    memset(h->bins, 0, sizeof old);
    for (int i = 0; i < BINS; i++) {
        h->bins[BINS / 4 + i / 2] += old[i];
    }
    h->limit *= 2;
}

squall_status sq_histogram_add(sq_histogram *histogram, const float *data, size_t count,
                               size_t stride, squall_error *err)
{
    float low = histogram->low, high = histogram->high;
    for (size_t i = 0; i < count; i++) {
        low = data[i] < low ? data[i] : low;
        high = data[i] > high ? data[i] : high;
    }
    histogram->low = fmaxf(low, -0x1p100f);
    histogram->high = fminf(high, 0x1p100f);
    if (histogram->bins == NULL) {
        histogram->bins = sq_alloc(BINS, sizeof *histogram->bins);
        if (histogram->bins == NULL) {
            return sq_fail(err, SQUALL_E_MEMORY, "calibration", "no memory for a histogram");
        }
        histogram->limit = 0x1p-20;
    }
    const double most = fmax((double)histogram->high, -(double)histogram->low);
    while (most >= histogram->limit) {
        widen(histogram);
    }
    const float per_unit = (float)((double)HALF / histogram->limit);
    for (size_t i = 0; i < count; i += stride) {
        const float at = data[i] * per_unit;
        if (at >= -(float)HALF && at < (float)HALF) {
            histogram->bins[(int)(at + (float)HALF)]++;
            histogram->count++;
        }
    }
    return SQUALL_OK;
}

const char *sq_range_name(sq_range_method method)
{
    static const char *const names[SQ_RANGE_METHODS] = {"minmax", "percentile", "mse", "kl"};
    return names[method];
}

static double centre_of(const sq_histogram *h, int bin)
{
    return ((double)bin + 0.5 - (double)HALF) * 2 * h->limit / BINS;
}

double sq_histogram_outside(const sq_histogram *histogram, float low, float high)
{
    uint64_t out = 0;
    const double half = histogram->limit / BINS;
    for (int i = 0; histogram->count > 0 && i < BINS; i++) {
        const double centre = centre_of(histogram, i);
        if (centre + half < (double)low || centre - half > (double)high) {
            out += histogram->bins[i];
        }
    }
    return histogram->count > 0 ? (double)out / (double)histogram->count : 0.0;
}

/* Cut the same share of the tail on both sides that have one. */
static void percentile(const sq_histogram *h, double share, double *low, double *high)
{
    const double cut = share * (double)h->count;
    double sum = 0;
    for (int i = 0; i < HALF && sum + h->bins[i] <= cut; i++) {
        sum += h->bins[i];
        *low = centre_of(h, i) + h->limit / BINS;
    }
    sum = 0;
    for (int i = BINS - 1; i >= HALF && sum + h->bins[i] <= cut; i--) {
        sum += h->bins[i];
        *high = centre_of(h, i) - h->limit / BINS;
    }
}

/* Squared error of a range: what is cut off, and the rounding of the rest. */
static double squared_error(const sq_histogram *h, double low, double high)
{
    const double unit = (high - low) / LEVELS;
    double error = 0;
    for (int i = 0; i < BINS; i++) {
        if (h->bins[i] > 0) {
            const double centre = centre_of(h, i);
            const double off = centre < low ? low - centre : centre > high ? centre - high : 0;
            error += h->bins[i] * (off > 0 ? off * off : unit * unit / 12);
        }
    }
    return error;
}

/* Divergence of what 8 bits tell apart from what there was: numbers in one level are taken for
 * equally likely, those beyond the range for its end. */
static double divergence(const sq_histogram *h, double low, double high)
{
    double levels[LEVELS + 1] = {0}, total = 0;
    uint32_t used[LEVELS + 1] = {0};
    const double unit = (high - low) / LEVELS;
    double ends[2] = {0, 0};
    for (int i = 0; i < BINS; i++) {
        const double centre = centre_of(h, i);
        if (h->bins[i] == 0) {
            continue;
        }
        if (centre < low || centre > high) {
            ends[centre > high] += h->bins[i];
            continue;
        }
        const int level = (int)((centre - low) / unit + 0.5);
        levels[level] += h->bins[i];
        used[level]++;
        total += h->bins[i];
    }
    double sum = 0;
    const double all = (double)h->count;
    for (int i = 0; i < BINS && total > 0; i++) {
        const double centre = centre_of(h, i);
        if (h->bins[i] == 0 || centre < low || centre > high) {
            continue;
        }
        const int level = (int)((centre - low) / unit + 0.5);
        double p = h->bins[i] / all;
        const double q = levels[level] / used[level] / total;
        p += level == LEVELS && ends[1] > 0 ? ends[1] / all / used[level] : 0;
        p += level == 0 && ends[0] > 0 ? ends[0] / all / used[level] : 0;
        sum += p * log(p / q);
    }
    return sum;
}

/* Both ends drawn in by the same factor, to where a measure is least. */
static void shrink(const sq_histogram *h, double (*measure)(const sq_histogram *, double, double),
                   double *low, double *high)
{
    const double whole_low = *low, whole_high = *high;
    double least = INFINITY;
    for (int step = 0; step <= 60; step++) {
        const double part = 1.0 - 0.015 * step;
        const double found = measure(h, whole_low * part, whole_high * part);
        if (found < least) {
            least = found;
            *low = whole_low * part;
            *high = whole_high * part;
        }
    }
}

void sq_histogram_range(const sq_histogram *histogram, sq_range_method method, float *low,
                        float *high)
{
    double from = fmin((double)histogram->low, 0), to = fmax((double)histogram->high, 0);
    if (histogram->count > 0 && to > from) {
        if (method == SQ_RANGE_PERCENTILE) {
            percentile(histogram, 1e-4, &from, &to);
        } else if (method == SQ_RANGE_MSE) {
            shrink(histogram, squared_error, &from, &to);
        } else if (method == SQ_RANGE_KL) {
            shrink(histogram, divergence, &from, &to);
        }
    }
    *low = (float)from;
    *high = (float)to;
}
