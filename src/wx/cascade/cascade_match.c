/* wx/cascade/cascade_match.c - one field's values in another's distribution: probability matching.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "wx/cascade/cascade.h"

static int larger_first(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x > y ? -1 : x < y ? 1 : 0;
}

squall_status sq_match_make(const float *target, size_t count, float least, sq_match *out,
                            squall_error *err)
{
    out->count = 0;
    out->values = sq_alloc_raw(count + 1, sizeof *out->values);
    if (out->values == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "probability matching", "no memory for %zu values",
                       count);
    }
    for (size_t i = 0; i < count; i++) {
        if (target[i] >= least) {
            out->values[out->count++] = target[i];
        }
    }
    qsort(out->values, out->count, sizeof *out->values, larger_first);
    return SQUALL_OK;
}

void sq_match_free(sq_match *match)
{
    sq_free(match->values);
    memset(match, 0, sizeof *match);
}

/* Least and largest, by lanes, so that registers do it. */
static void find_range(const float *field, size_t count, float *low, float *high)
{
    float lows[16], highs[16];
    for (size_t j = 0; j < 16; j++) {
        lows[j] = INFINITY;
        highs[j] = -INFINITY;
    }
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        for (size_t j = 0; j < 16; j++) {
            const float x = field[i + j];
            lows[j] = x < lows[j] ? x : lows[j];
            highs[j] = x > highs[j] ? x : highs[j];
        }
    }
    for (; i < count; i++) {
        lows[0] = field[i] < lows[0] ? field[i] : lows[0];
        highs[0] = field[i] > highs[0] ? field[i] : highs[0];
    }
    *low = lows[0];
    *high = highs[0];
    for (size_t j = 1; j < 16; j++) {
        *low = lows[j] < *low ? lows[j] : *low;
        *high = highs[j] > *high ? highs[j] : *high;
    }
}

/* Heights above the minimum, in bins: 0 is the minimum itself. */
static void to_heights(float *field, const float *share, size_t count, float low, float scale)
{
    const float last = (float)SQ_MATCH_BINS - 0.5f;
    if (share == NULL) {
        for (size_t i = 0; i < count; i++) {
            const float height = (field[i] - low) * scale;
            field[i] = height < last ? height : last;
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            const float height = (field[i] - low) * scale * share[i];
            field[i] = height < last ? height : last;
        }
    }
}

void sq_match_run(const sq_match *match, float *field, const float *share, size_t count,
                  uint32_t *scratch)
{
    float low, high;
    find_range(field, count, &low, &high);
    if (!(high > low) || match->count == 0) {
        memset(field, 0, count * sizeof *field);
        return;
    }
    memset(scratch, 0, (SQ_MATCH_BINS + 1) * sizeof *scratch);
    to_heights(field, share, count, low, (float)SQ_MATCH_BINS / (high - low));
    for (size_t i = 0; i < count; i++) {
        scratch[(uint32_t)(int32_t)field[i]]++;
    }
    /* From counts to the number of cells in all bins above. */
    uint32_t above = 0;
    for (size_t bin = SQ_MATCH_BINS; bin-- > 0;) {
        const uint32_t here = scratch[bin];
        scratch[bin] = above;
        above += here;
    }
    /* Only bins with a rank that gives a value matter: most cells are told at one look. */
    uint32_t least = SQ_MATCH_BINS;
    while (least > 0 && scratch[least - 1] < match->count) {
        least--;
    }
    const float *values = match->values;
    const float last = (float)(match->count - 1);
    for (size_t i = 0; i < count; i++) {
        const float height = field[i];
        const uint32_t bin = (uint32_t)(int32_t)height;
        if (bin < least || height <= 0.0f) {
            field[i] = 0.0f;
            continue;
        }
        const uint32_t start = scratch[bin];
        const uint32_t end = bin > 0 ? scratch[bin - 1] : (uint32_t)count;
        const float within = 1.0f - (height - (float)bin);
        /* In the middle of its part of the bin. */
        const float rank = (float)start + within * (float)(end - start) - 0.5f;
        const float held = rank < 0.0f ? 0.0f : rank > last ? last : rank;
        const size_t whole = (size_t)(int32_t)held;
        const float share_of_next = held - (float)whole;
        const float next = values[whole + 1 < match->count ? whole + 1 : whole];
        field[i] =
            rank > last + 0.5f ? 0.0f : values[whole] + share_of_next * (next - values[whole]);
    }
}
