/* wx/verify/verify_pair.h - what all scores take from a forecast and an observation. Private to the
 * room. */
#ifndef SQ_WX_VERIFY_VERIFY_PAIR_H
#define SQ_WX_VERIFY_VERIFY_PAIR_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "squall/verify.h"

#include "base/base.h"

enum { SQ_VERIFY_MEMBERS = 1024 };

/** A pair as it is scored; all borrowed. */
typedef struct sq_verify_pair {
    const squall_field *forecast, *observation;
    const uint8_t *mask; /* [height][width]; NULL counts every cell */
    size_t width, height;
    float cap_mm_h; /* INFINITY for none */
} sq_verify_pair;

/** @return SQUALL_OK; SQUALL_E_SHAPE; SQUALL_E_ARGUMENT. */
SQUALL_MUST_USE squall_status sq_verify_pair_init(sq_verify_pair *pair,
                                                  const squall_field *forecast,
                                                  const squall_field *observation,
                                                  const uint8_t *mask, double cap_mm_h,
                                                  squall_error *err);

/** A threshold as values are compared with it: in their own precision, so that a stored 0.7 is on a
 * threshold of 0.7.
 * @return SQUALL_OK; SQUALL_E_ARGUMENT for NaN. */
SQUALL_MUST_USE squall_status sq_verify_threshold(double threshold_mm_h, float *out,
                                                  squall_error *err);

/** Whether a cell is scored at all. */
static inline bool sq_verify_counts(const sq_verify_pair *pair, size_t cell)
{
    return pair->observation->mask[cell] != SQUALL_CELL_NO_COVERAGE &&
           (pair->mask == NULL || pair->mask[cell] != 0);
}

/** The rate that a field has in a cell that is scored; where it says nothing it says "dry". */
static inline float sq_verify_rate(const sq_verify_pair *pair, const squall_field *field,
                                   size_t cell)
{
    if (field->mask[cell] != SQUALL_CELL_VALUE || isnan(field->values[cell])) {
        return 0;
    }
    return field->values[cell] < pair->cap_mm_h ? field->values[cell] : pair->cap_mm_h;
}

#endif /* SQ_WX_VERIFY_VERIFY_PAIR_H */
