/* nn/plan/plan_record.c - how steps came to their tactics: what was weighed and what was measured.
 */
#include <math.h>
#include <string.h>

#include "nn/plan/plan_internal.h"

/* The least bytes that a step and a candidate take. */
enum { STEP_BYTES = 8, CANDIDATE_BYTES = 40, MOST_CANDIDATES = 64 };

static void put_double(sq_text *text, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    sq_put_uint(text, bits, 8);
}

static double get_double(sq_cursor *cursor)
{
    const uint64_t bits = sq_cursor_uint(cursor, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    cursor->failed = cursor->failed || !isfinite(value);
    return value;
}

void sq_record_encode(const sq_plan *plan, sq_text *text)
{
    sq_put_uint(text, plan->step_count, 4);
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const sq_plan_step *step = &plan->steps[s];
        sq_put_string(text, step->why);
        sq_put_uint(text, step->candidate_count, 4);
        for (uint32_t c = 0; c < step->candidate_count; c++) {
            const sq_plan_candidate *candidate = &step->candidates[c];
            sq_put_uint(text, candidate->backend, 4);
            sq_put_string(text, candidate->tactic);
            put_double(text, candidate->cost_s);
            put_double(text, candidate->extra_s);
            put_double(text, candidate->median_s);
            put_double(text, candidate->spread_s);
        }
    }
}

static void get_step(sq_cursor *cursor, sq_plan_step *step)
{
    step->why = sq_cursor_string(cursor, SQ_LIMIT_NAME);
    const uint32_t count = sq_cursor_count(cursor, MOST_CANDIDATES, CANDIDATE_BYTES);
    step->candidates = cursor->failed ? NULL : sq_alloc(count, sizeof *step->candidates);
    if (step->candidates == NULL) {
        cursor->no_memory = cursor->no_memory || !cursor->failed;
        cursor->failed = true;
        return;
    }
    for (uint32_t c = 0; c < count && !cursor->failed; c++) {
        sq_plan_candidate *candidate = &step->candidates[c];
        step->candidate_count = c + 1;
        candidate->backend = (uint32_t)sq_cursor_uint(cursor, 4);
        candidate->tactic = sq_cursor_string(cursor, SQ_LIMIT_NAME);
        candidate->cost_s = get_double(cursor);
        candidate->extra_s = get_double(cursor);
        candidate->median_s = get_double(cursor);
        candidate->spread_s = get_double(cursor);
    }
}

squall_status sq_record_decode(sq_cursor *cursor, const char *where, sq_plan *plan,
                               squall_error *err)
{
    const uint32_t steps = sq_cursor_count(cursor, SQ_LIMIT_NODES, STEP_BYTES);
    if (steps != plan->step_count) {
        cursor->failed = true;
    }
    for (uint32_t s = 0; s < steps && !cursor->failed; s++) {
        get_step(cursor, &plan->steps[s]);
    }
    if (!cursor->failed) {
        return SQUALL_OK;
    }
    if (cursor->no_memory) {
        return sq_fail(err, SQUALL_E_MEMORY, where, "no memory for its tactics");
    }
    return sq_fail(err, SQUALL_E_CORRUPT, where,
                   "has %u steps where the plan has %u, or ends early, near byte %zu of %zu", steps,
                   plan->step_count, cursor->at, cursor->size);
}
