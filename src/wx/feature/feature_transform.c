/* wx/feature/feature_transform.c - the curves between rain rates and a network's numbers. */
#include <math.h>

#include "wx/feature/feature.h"

float sq_transform_forward(const sq_transform *transform, float value)
{
    double v = value;
    v = v < transform->min ? transform->min : v > transform->max ? transform->max : v;
    switch (transform->curve) {
    case SQ_CURVE_LOG:
        v = log(v + transform->epsilon);
        break;
    case SQ_CURVE_DBR:
        v = v >= transform->threshold ? 10.0 * log10(v) : transform->zero_dbr;
        break;
    case SQ_CURVE_LINEAR:
        break;
    }
    return (float)((v - transform->mean) / transform->scale);
}

float sq_transform_inverse(const sq_transform *transform, float number)
{
    double v = (double)number * transform->scale + transform->mean;
    switch (transform->curve) {
    case SQ_CURVE_LOG:
        v = exp(v) - transform->epsilon;
        break;
    case SQ_CURVE_DBR:
        /* Between zero_dbr and the threshold lies nothing that was ever a rate: cut half way, where
         * training's rounding leaves it undecided. */
        v = v > 0.5 * (transform->zero_dbr + 10.0 * log10(transform->threshold))
                ? pow(10.0, v / 10.0)
                : 0.0;
        break;
    case SQ_CURVE_LINEAR:
        break;
    }
    if (!(v >= transform->min)) { /* NaN too: a network that breaks must not make rain of it */
        v = transform->min;
    }
    v = v > transform->max ? transform->max : v;
    return v < transform->dry_below ? 0.0f : (float)v;
}
