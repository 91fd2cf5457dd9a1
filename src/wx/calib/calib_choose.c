/* wx/calib/calib_choose.c - frames that cover the weather there is, and the weather they do not. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/calib/calib.h"

enum { FEATURES = 6 };

/* A place in the space in which frames are far from each other or near; each axis about 0 to 1. */
static void place_of(const sq_weather *weather, double *out)
{
    int yearday;
    sq_time_split(weather->time, NULL, NULL, NULL, NULL, NULL, NULL, &yearday);
    const double year = 2 * M_PI * yearday / 365.25;
    const double day = 2 * M_PI * (double)(weather->time % 86400) / 86400;
    out[0] = sqrt(weather->wet_share);
    out[1] = log1p(weather->max_mm_h) / log1p(150.0);
    out[2] = weather->heavy_share;
    out[3] = 0.25 * sin(year) + 0.1 * sin(day);
    out[4] = 0.25 * cos(year) + 0.1 * cos(day);
    out[5] = weather->covered;
}

static bool same_strata(const sq_weather *a, const sq_weather *b)
{
    return memcmp(a->stratum, b->stratum, sizeof a->stratum) == 0;
}

/* What the choice keeps of each frame. */
typedef struct candidate {
    double place[FEATURES];
    double apart;   /* squared distance to the nearest that is chosen */
    uint32_t share; /* chosen ones of the same strata */
    bool chosen;
} candidate;

static void take(const sq_weather *weather, candidate *all, size_t count, size_t which)
{
    all[which].chosen = true;
    for (size_t i = 0; i < count; i++) {
        double apart = 0;
        for (int f = 0; f < FEATURES; f++) {
            const double d = all[i].place[f] - all[which].place[f];
            apart += d * d;
        }
        all[i].apart = fmin(all[i].apart, apart);
        all[i].share += same_strata(&weather[i], &weather[which]);
    }
}

size_t sq_weather_choose(const sq_weather *weather, size_t count, size_t most, size_t *chosen)
{
    candidate *all = sq_alloc(count, sizeof *all);
    size_t made = 0;
    if (all == NULL) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        place_of(&weather[i], all[i].place);
        /* the heaviest first: the farther from a frame where there is nothing */
        all[i].apart = 100 + all[i].place[0] + all[i].place[1];
    }
    while (made < most && made < count) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < count; i++) {
            if (!all[i].chosen &&
                (best == SIZE_MAX || all[i].share < all[best].share ||
                 (all[i].share == all[best].share && all[i].apart > all[best].apart))) {
                best = i;
            }
        }
        chosen[made++] = best;
        take(weather, all, count, best);
    }
    sq_free(all);
    return made;
}

void sq_coverage_add(sq_coverage *coverage, const sq_weather *weather)
{
    for (int a = 0; a < SQ_ASPECTS; a++) {
        coverage->count[a][weather->stratum[a]]++;
    }
}

bool sq_coverage_check(const sq_coverage *coverage, uint32_t wanted, uint32_t least, char *missing,
                       size_t room)
{
    bool whole = true;
    size_t used = 0;
    missing[0] = '\0';
    for (int a = 0; a < SQ_ASPECTS; a++) {
        for (uint32_t s = 0; (wanted >> a & 1u) != 0 && s < sq_aspect_count((sq_aspect)a); s++) {
            if (coverage->count[a][s] >= least) {
                continue;
            }
            const int added =
                snprintf(missing + used, room - used, "%s%s %s has %u of %u", whole ? "" : ", ",
                         sq_aspect_name((sq_aspect)a), sq_aspect_stratum((sq_aspect)a, s),
                         coverage->count[a][s], least);
            whole = false;
            used += added > 0 && (size_t)added < room - used ? (size_t)added : 0;
        }
    }
    return whole;
}
