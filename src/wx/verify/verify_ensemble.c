/* wx/verify/verify_ensemble.c - members against what came: CRPS and ranks. */
#include <string.h>

#include "wx/verify/verify_pair.h"

/* Pairs of all members with one observation. */
typedef struct members {
    sq_verify_pair *pairs; /* owned, [count] */
    size_t count;
    float *values; /* owned, [count]: of the cell in hand, ascending */
} members;

static void free_members(members *m)
{
    sq_free(m->pairs);
    sq_free(m->values);
}

static squall_status make_members(members *m, const squall_field *const *fields, size_t count,
                                  const squall_field *observation, const uint8_t *mask,
                                  double cap_mm_h, squall_error *err)
{
    squall_status status = SQUALL_OK;
    memset(m, 0, sizeof *m);
    if (fields == NULL || count == 0 || count > SQ_VERIFY_MEMBERS) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "members", "%zu of them; 1 to %d are scored", count,
                       SQ_VERIFY_MEMBERS);
    }
    m->count = count;
    m->pairs = sq_alloc(count, sizeof *m->pairs);
    m->values = sq_alloc_raw(count, sizeof *m->values);
    if (m->pairs == NULL || m->values == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "members", "no memory for %zu", count);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        SQ_TRY_GOTO(sq_verify_pair_init(&m->pairs[i], fields[i], observation, mask, cap_mm_h, err));
    }
done:
    if (status != SQUALL_OK) {
        free_members(m);
    }
    return status;
}

/* The members' rates of a cell in ascending order, by insertion: there are few. */
static void take_sorted(members *m, size_t cell)
{
    for (size_t i = 0; i < m->count; i++) {
        const float rate = sq_verify_rate(&m->pairs[i], m->pairs[i].forecast, cell);
        size_t k = i;
        for (; k > 0 && m->values[k - 1] > rate; k--) {
            m->values[k] = m->values[k - 1];
        }
        m->values[k] = rate;
    }
}

/* Of sorted members: sum_ij |x_i - x_j| = 2 sum_i (2 i - n + 1) x_i, i from 0. */
static double crps_of_cell(const members *m, double seen)
{
    const double n = (double)m->count;
    double away = 0, apart = 0;
    for (size_t i = 0; i < m->count; i++) {
        const double x = (double)m->values[i];
        away += fabs(x - seen);
        apart += (2.0 * (double)i - n + 1.0) * x;
    }
    return away / n - apart / (n * n);
}

squall_status squall_crps_add(squall_crps_sums *sums, const squall_field *const *fields,
                              size_t count, const squall_field *observation, const uint8_t *mask,
                              double cap_mm_h, squall_error *err)
{
    members m;
    squall_crps_sums all = {0, 0};
    SQ_TRY(make_members(&m, fields, count, observation, mask, cap_mm_h, err));
    const sq_verify_pair *pair = &m.pairs[0];
    for (size_t i = 0; i < pair->height; i++) {
        double row = 0;
        for (size_t cell = i * pair->width; cell < (i + 1) * pair->width; cell++) {
            if (sq_verify_counts(pair, cell)) {
                take_sorted(&m, cell);
                row += crps_of_cell(&m, (double)sq_verify_rate(pair, observation, cell));
                all.cells++;
            }
        }
        all.sum += row;
    }
    sums->cells += all.cells;
    sums->sum += all.sum;
    free_members(&m);
    return SQUALL_OK;
}

double squall_crps(const squall_crps_sums *sums)
{
    return sums->cells > 0 ? sums->sum / (double)sums->cells : NAN;
}

squall_status squall_ranks_add(double *ranks, const squall_field *const *fields, size_t count,
                               const squall_field *observation, const uint8_t *mask,
                               double least_mm_h, squall_error *err)
{
    members m;
    float least;
    SQ_TRY(sq_verify_threshold(least_mm_h, &least, err));
    SQ_TRY(make_members(&m, fields, count, observation, mask, 0, err));
    const sq_verify_pair *pair = &m.pairs[0];
    for (size_t cell = 0; cell < pair->width * pair->height; cell++) {
        if (!sq_verify_counts(pair, cell)) {
            continue;
        }
        const float seen = sq_verify_rate(pair, observation, cell);
        take_sorted(&m, cell);
        if (seen < least && m.values[count - 1] < least) {
            continue;
        }
        size_t below = 0;
        while (below < count && m.values[below] < seen) {
            below++;
        }
        size_t equal = below;
        while (equal < count && !(m.values[equal] > seen)) {
            equal++;
        }
        const double part = 1.0 / (double)(equal - below + 1);
        for (size_t rank = below; rank <= equal; rank++) {
            ranks[rank] += part;
        }
    }
    free_members(&m);
    return SQUALL_OK;
}
