/* wx/verify/verify_sal.c - structure, amplitude, location (Wernli, Paulat, Hagen and Frei 2008,
 * Monthly Weather Review 136, 4470-4487; the threshold of Wernli, Hofmann and Zimmer 2009, Weather
 * and Forecasting 24, 1472-1484). */
#include <stdlib.h>

#include "wx/verify/verify_pair.h"

#define WET_MM_H        0.1f
#define PART_OF_HIGH    (1.0 / 15.0)
#define HIGH_PERCENTILE 0.95

/* One field and what is known of it. */
typedef struct rain {
    float *rates;    /* owned, [height][width]; 0 outside the mask */
    uint32_t *stack; /* owned, [cells] */
    uint8_t *taken;  /* owned, [cells] */
    size_t width, height;
    double mean, x, y;     /* centre of mass, cells */
    double volume, spread; /* sum over objects of R V and of R, of R distance */
    double total;          /* rain in objects */
} rain;

static void free_rain(rain *r)
{
    sq_free(r->rates);
    sq_free(r->stack);
    sq_free(r->taken);
}

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

/* The percentile of wet cells, between ranks as NumPy's default has it; 0 when all is dry. */
static squall_status find_high(const rain *r, double *high, squall_error *err)
{
    size_t wet = 0;
    const size_t cells = r->width * r->height;
    float *sorted = sq_alloc_raw(cells, sizeof *sorted);
    if (sorted == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "SAL", "no memory for %zu cells", cells);
    }
    for (size_t i = 0; i < cells; i++) {
        if (r->rates[i] >= WET_MM_H) {
            sorted[wet++] = r->rates[i];
        }
    }
    *high = 0;
    if (wet > 0) {
        qsort(sorted, wet, sizeof *sorted, by_size);
        const double at = HIGH_PERCENTILE * (double)(wet - 1);
        const size_t low = (size_t)at, next = low + 1 < wet ? low + 1 : low;
        *high =
            (double)sorted[low] + (at - (double)low) * ((double)sorted[next] - (double)sorted[low]);
    }
    sq_free(sorted);
    return SQUALL_OK;
}

/* One object, from one of its cells: into the sums over objects. */
static void take_object(rain *r, size_t first, float threshold)
{
    size_t waiting = 0;
    double sum = 0, sum_x = 0, sum_y = 0, most = 0;
    r->stack[waiting++] = (uint32_t)first;
    r->taken[first] = 1;
    while (waiting > 0) {
        const size_t at = r->stack[--waiting], x = at % r->width, y = at / r->width;
        const double rate = (double)r->rates[at];
        sum += rate;
        sum_x += rate * (double)x;
        sum_y += rate * (double)y;
        most = rate > most ? rate : most;
        for (size_t j = y > 0 ? y - 1 : 0; j <= y + 1 && j < r->height; j++) {
            for (size_t i = x > 0 ? x - 1 : 0; i <= x + 1 && i < r->width; i++) {
                const size_t next = j * r->width + i;
                if (!r->taken[next] && r->rates[next] >= threshold) {
                    r->taken[next] = 1;
                    r->stack[waiting++] = (uint32_t)next;
                }
            }
        }
    }
    const double dx = sum_x / sum - r->x, dy = sum_y / sum - r->y;
    r->total += sum;
    r->volume += sum * (sum / most);
    r->spread += sum * sqrt(dx * dx + dy * dy);
}

static squall_status make_rain(const sq_verify_pair *pair, const squall_field *field, rain *r,
                               squall_error *err)
{
    const size_t cells = pair->width * pair->height;
    double sum = 0, sum_x = 0, sum_y = 0, high = 0;
    size_t counted = 0;
    *r = (rain){.width = pair->width, .height = pair->height};
    r->rates = sq_alloc(cells, sizeof *r->rates);
    r->stack = sq_alloc_raw(cells, sizeof *r->stack);
    r->taken = sq_alloc(cells, 1);
    if (r->rates == NULL || r->stack == NULL || r->taken == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "SAL", "no memory for %zu cells", cells);
    }
    for (size_t i = 0; i < cells; i++) {
        if (sq_verify_counts(pair, i)) {
            counted++;
            r->rates[i] = sq_verify_rate(pair, field, i);
            sum += (double)r->rates[i];
            const size_t x = i % pair->width, y = i / pair->width;
            sum_x += (double)r->rates[i] * (double)x;
            sum_y += (double)r->rates[i] * (double)y;
        }
    }
    SQ_TRY(find_high(r, &high, err));
    if (!(high > 0)) {
        return SQUALL_OK; /* without rain: mean stays 0 */
    }
    r->mean = sum / (double)counted;
    r->x = sum_x / sum;
    r->y = sum_y / sum;
    const float threshold = (float)(high * PART_OF_HIGH);
    for (size_t i = 0; i < cells; i++) {
        if (!r->taken[i] && r->rates[i] >= threshold) {
            take_object(r, i, threshold);
        }
    }
    return SQUALL_OK;
}

/* 2 (a - b) / (a + b) */
static double contrast(double a, double b)
{
    return 2.0 * (a - b) / (a + b);
}

squall_status squall_sal_find(const squall_field *forecast, const squall_field *observation,
                              const uint8_t *mask, double cap_mm_h, squall_sal *out,
                              squall_error *err)
{
    squall_status status = SQUALL_OK;
    sq_verify_pair pair;
    rain said = {0}, seen = {0};
    SQ_TRY(sq_verify_pair_init(&pair, forecast, observation, mask, cap_mm_h, err));
    SQ_TRY_GOTO(make_rain(&pair, forecast, &said, err));
    SQ_TRY_GOTO(make_rain(&pair, observation, &seen, err));
    *out = (squall_sal){NAN, NAN, NAN};
    if (said.mean > 0 && seen.mean > 0) {
        /* The largest distance of two points of the field, between the centres of its corners. */
        const double across = sqrt(
            (double)((pair.width - 1) * (pair.width - 1) + (pair.height - 1) * (pair.height - 1)));
        const double dx = said.x - seen.x, dy = said.y - seen.y;
        const double spread = fabs(said.spread / said.total - seen.spread / seen.total);
        out->amplitude = contrast(said.mean, seen.mean);
        out->structure = contrast(said.volume / said.total, seen.volume / seen.total);
        out->location = (sqrt(dx * dx + dy * dy) + 2.0 * spread) / across;
    }
done:
    free_rain(&said);
    free_rain(&seen);
    return status;
}
