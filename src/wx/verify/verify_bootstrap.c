/* wx/verify/verify_bootstrap.c - how sure a score is: blocks of times drawn again and again. */
#include <stdlib.h>
#include <string.h>

#include "wx/cascade/cascade.h"
#include "wx/verify/verify_pair.h"

enum { MAX_RESAMPLES = 1000000 };

void squall_bootstrap_options_init(squall_bootstrap_options *options)
{
    memset(options, 0, sizeof *options);
    options->struct_size = (uint32_t)sizeof *options;
    options->block = 3;
    options->resamples = 1000;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

/* Random numbers that are a function of seed, resample and draw. */
static size_t draw(uint64_t seed, uint32_t resample, uint32_t number, size_t below)
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {number, resample, 0, 2};
    uint32_t words[4];
    sq_philox(counter, key, words);
    return (size_t)(((uint64_t)words[0] * below) >> 32);
}

/* The sums of one resample. A block starts anywhere and ends with its group. */
static void resample(const double *items, size_t count, size_t width, const uint32_t *groups,
                     const squall_bootstrap_options *options, uint32_t number, double *sums)
{
    size_t taken = 0;
    memset(sums, 0, width * sizeof *sums);
    for (uint32_t drawn = 0; taken < count; drawn++) {
        const size_t first = draw(options->seed, number, drawn, count);
        for (size_t i = first; i < count && i < first + options->block && taken < count; i++) {
            if (groups != NULL && groups[i] != groups[first]) {
                break;
            }
            for (size_t k = 0; k < width; k++) {
                sums[k] += items[i * width + k];
            }
            taken++;
        }
    }
}

/* What the resamples say; those in which the score is not defined are left out. */
static void conclude(double *values, size_t count, squall_interval *out)
{
    size_t known = 0, below = 0, above = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isnan(values[i])) {
            below += values[i] <= 0 ? 1 : 0;
            above += values[i] >= 0 ? 1 : 0;
            values[known++] = values[i];
        }
    }
    if (known == 0 || isnan(out->value)) {
        return;
    }
    qsort(values, known, sizeof *values, ascending);
    const double last = (double)(known - 1);
    out->low = values[(size_t)(0.025 * last + 0.5)];
    out->high = values[(size_t)(0.975 * last + 0.5)];
    const double fewer = (double)(below < above ? below : above);
    out->p = fmin(1.0, 2.0 * (fewer + 1.0) / ((double)known + 1.0));
}

squall_status squall_bootstrap(const double *items, size_t count, size_t width,
                               const uint32_t *groups, const squall_bootstrap_options *options,
                               squall_statistic statistic, const void *arg, squall_interval *out,
                               squall_error *err)
{
    squall_bootstrap_options how;
    squall_bootstrap_options_init(&how);
    if (options != NULL) {
        memcpy(&how, options,
               options->struct_size < sizeof how ? options->struct_size : sizeof how);
    }
    if (count == 0 || width == 0 || how.block == 0 || how.resamples == 0 ||
        how.resamples > MAX_RESAMPLES) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "bootstrap",
                       "%zu items of %zu sums, blocks of %u, %u resamples (1 to %d)", count, width,
                       how.block, how.resamples, MAX_RESAMPLES);
    }
    double *sums = sq_alloc(width, sizeof *sums);
    double *values = sq_alloc_raw(how.resamples, sizeof *values);
    if (sums == NULL || values == NULL) {
        sq_free(sums);
        sq_free(values);
        return sq_fail(err, SQUALL_E_MEMORY, "bootstrap", "no memory for %u resamples",
                       how.resamples);
    }
    for (size_t i = 0; i < count * width; i++) {
        sums[i % width] += items[i];
    }
    *out = (squall_interval){.value = statistic(sums, arg), .low = NAN, .high = NAN, .p = NAN};
    for (uint32_t i = 0; i < how.resamples; i++) {
        resample(items, count, width, groups, &how, i, sums);
        values[i] = statistic(sums, arg);
    }
    conclude(values, how.resamples, out);
    sq_free(sums);
    sq_free(values);
    return SQUALL_OK;
}
