/* wx/verify/verify_scores.c - scores from sums. */
#include <math.h>

#include "squall/verify.h"

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : NAN;
}

double squall_csi(const squall_contingency *sums)
{
    return ratio((double)sums->hits, (double)(sums->hits + sums->misses + sums->false_alarms));
}

double squall_pod(const squall_contingency *sums)
{
    return ratio((double)sums->hits, (double)(sums->hits + sums->misses));
}

double squall_far(const squall_contingency *sums)
{
    return ratio((double)sums->false_alarms, (double)(sums->hits + sums->false_alarms));
}

double squall_bias(const squall_contingency *sums)
{
    return ratio((double)(sums->hits + sums->false_alarms), (double)(sums->hits + sums->misses));
}

double squall_mae(const squall_errors *sums)
{
    return ratio(sums->sum_abs, (double)sums->cells);
}

double squall_rmse(const squall_errors *sums)
{
    return sqrt(ratio(sums->sum_sq, (double)sums->cells));
}

double squall_mean_error(const squall_errors *sums)
{
    return ratio(sums->sum_error, (double)sums->cells);
}

double squall_fss(const squall_fractions *sums)
{
    const double whole = sums->sum_sq_forecast + sums->sum_sq_observation;
    return 1 - ratio(sums->sum_sq_difference, whole);
}
