/* nn/compile/compile_choose.c - the ways to run a step, of all backends, and which one it is. */
#include <string.h>

#include "nn/compile/compile_internal.h"

/* What moving a byte from one layout to another costs beside a tactic's own cost: it is read and
 * written at about the speed of main memory; and what any step costs. */
static const double reorder_s_byte = 2.0 / 8e9;
static const double step_s = 1e-6;

/* Seconds for the reorders that a tactic's layouts make needed. */
static double reorders_s(const sq_step *step, const sq_tactic *tactic, const bool *output)
{
    double cost_s = 0;
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (step->in[i].dtype != SQUALL_DTYPE_NONE && step->in[i].data == NULL &&
            tactic->in_layout[i] != (uint8_t)step->in[i].layout) {
            cost_s += step_s + reorder_s_byte * (double)squall_tensor_bytes(&step->in[i]);
        }
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        if (step->out[i].dtype != SQUALL_DTYPE_NONE && output[i] &&
            tactic->out_layout[i] != SQUALL_PLAIN) {
            cost_s += step_s + reorder_s_byte * (double)squall_tensor_bytes(&step->out[i]);
        }
    }
    return cost_s;
}

uint32_t sq_candidates_list(const sq_backend *const *backends, const sq_step *step, int threads,
                            const bool *output, sq_candidate *out, sq_reason *why)
{
    sq_tactic tactics[SQ_MAX_TACTICS];
    uint32_t count = 0;
    why->text[0] = '\0';
    for (int b = 0; b < SQ_LOWER_BACKENDS && backends[b] != NULL; b++) {
        sq_reason reason = {""};
        const size_t found = backends[b]->tactics(step, threads, tactics, &reason);
        for (size_t t = 0; t < found; t++) {
            out[count++] = (sq_candidate){.backend = backends[b],
                                          .tactic = tactics[t],
                                          .extra_s = reorders_s(step, &tactics[t], output)};
        }
        if (found == 0 && (b == 0 || count == 0)) {
            *why = reason;
        }
    }
    return count;
}

uint32_t sq_candidates_without(sq_candidate *candidates, uint32_t count, const char *word)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (strstr(candidates[i].tactic.name, word) == NULL) {
            candidates[left++] = candidates[i];
        }
    }
    return left;
}

/* The backend that is wanted comes first in the list; the others stand in when it has nothing. */
squall_status sq_choose_by_cost(void *self, const sq_step *step, sq_candidate *candidates,
                                uint32_t count, uint32_t *chosen, squall_error *err)
{
    (void)self;
    (void)step;
    (void)err;
    *chosen = 0;
    for (uint32_t i = 1; i < count && candidates[i].backend == candidates[0].backend; i++) {
        const sq_candidate *best = &candidates[*chosen];
        if (candidates[i].tactic.cost + candidates[i].extra_s < best->tactic.cost + best->extra_s) {
            *chosen = i;
        }
    }
    return SQUALL_OK;
}

squall_status sq_choose_by_memory(void *self, const sq_step *step, sq_candidate *candidates,
                                  uint32_t count, uint32_t *chosen, squall_error *err)
{
    (void)self;
    (void)step;
    (void)err;
    *chosen = 0;
    for (uint32_t i = 1; i < count && candidates[i].backend == candidates[0].backend; i++) {
        const sq_candidate *best = &candidates[*chosen];
        const size_t least = best->tactic.scratch_bytes, bytes = candidates[i].tactic.scratch_bytes;
        const bool cheaper =
            candidates[i].tactic.cost + candidates[i].extra_s < best->tactic.cost + best->extra_s;
        if (bytes < least || (bytes == least && cheaper)) {
            *chosen = i;
        }
    }
    return SQUALL_OK;
}

bool sq_candidates_keep(const sq_candidate *candidates, uint32_t count, const sq_reason *why,
                        sq_plan_step *step)
{
    step->why = sq_strdup(why->text);
    step->candidates = sq_alloc(count, sizeof *step->candidates);
    if (step->why == NULL || step->candidates == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        sq_plan_candidate *kept = &step->candidates[step->candidate_count];
        *kept = (sq_plan_candidate){.backend = candidates[i].backend->id,
                                    .tactic = sq_strdup(candidates[i].tactic.name),
                                    .cost_s = candidates[i].tactic.cost,
                                    .extra_s = candidates[i].extra_s,
                                    .median_s = candidates[i].median_s,
                                    .spread_s = candidates[i].spread_s};
        step->candidate_count++;
        if (kept->tactic == NULL) {
            return false;
        }
    }
    return true;
}
