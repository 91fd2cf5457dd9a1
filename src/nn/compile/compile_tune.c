/* nn/compile/compile_tune.c - tactics chosen by measured time: guesses rank them, the best few are
 * timed, what was timed is kept. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/compile/compile_tactics.h"

/* How many tactics of a step are timed, and how much slower than the best guess one may be guessed
 * to be to be worth it; what takes less than this is always worth it. */
enum { BEST = 4 };
static const double worth = 8.0;
static const double cheap_s = 1e-3;

static double guess_s(const sq_candidate *candidate)
{
    return candidate->tactic.cost + candidate->extra_s;
}

/* The candidates to time, best guess first; the wanted backend's come first where guesses are the
 * same. Returns how many. */
static uint32_t rank(const sq_candidate *candidates, uint32_t count, uint32_t *order)
{
    uint32_t ranked = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = ranked++;
        while (at > 0 && guess_s(&candidates[order[at - 1]]) > guess_s(&candidates[i])) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
    if (ranked == 0) {
        return 0;
    }
    const double best_s = guess_s(&candidates[order[0]]);
    const double most_s = worth * best_s > cheap_s ? worth * best_s : cheap_s;
    uint32_t few = 0;
    while (few < ranked && few < BEST && guess_s(&candidates[order[few]]) <= most_s) {
        few++;
    }
    return few;
}

/* Times that are known of the candidates. */
static uint32_t look_up(const sq_tuner *tuner, const char *key, sq_candidate *candidates,
                        uint32_t count)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        char tactic[SQ_TACTIC_KEY];
        const sq_time *time = sq_times_find(tuner->times, tuner->device, tuner->build, key,
                                            sq_tactic_key(candidates[i].backend->name,
                                                          candidates[i].tactic.name, tactic));
        if (time != NULL) {
            candidates[i].median_s = time->median_s;
            candidates[i].spread_s = time->spread_s;
            found++;
        }
    }
    return found;
}

/* Keep what is measured, beside what others have put into the file meanwhile. */
static squall_status save(const sq_tuner *tuner, squall_error *err)
{
    if (tuner->path == NULL) {
        return SQUALL_OK;
    }
    squall_error none;
    const squall_status there = sq_times_read(tuner->times, tuner->path, &none);
    if (there != SQUALL_OK && there != SQUALL_E_IO) {
        return sq_fail(err, there, none.where, "%s", none.text);
    }
    return sq_times_write(tuner->times, tuner->path, err);
}

/* Time those of the best few that nothing is known of, as long as the budget lasts. */
static squall_status measure(sq_tuner *tuner, const sq_step *step, const char *key,
                             const sq_candidate *candidates, const uint32_t *order, uint32_t few,
                             squall_error *err)
{
    uint32_t made = 0;
    for (uint32_t r = 0; r < few && tuner->spent_s < tuner->budget_s; r++) {
        const sq_candidate *candidate = &candidates[order[r]];
        char tactic[SQ_TACTIC_KEY];
        if (candidate->median_s > 0) {
            continue;
        }
        const double start_s = tuner->clock_s();
        /* The texts are copied when they are added. */
        sq_time time = {.device = (char *)(uintptr_t)tuner->device,
                        .build = (char *)(uintptr_t)tuner->build,
                        .step = (char *)(uintptr_t)key,
                        .tactic = tactic};
        sq_tactic_key(candidate->backend->name, candidate->tactic.name, tactic);
        SQ_TRY(tuner->measure(tuner->self, step, candidate, tuner->threads, &time.median_s,
                              &time.spread_s, err));
        tuner->spent_s += tuner->clock_s() - start_s;
        SQ_TRY(sq_times_add(tuner->times, &time, err));
        made++;
    }
    tuner->measured += made;
    return made > 0 ? save(tuner, err) : SQUALL_OK;
}

/* The shortest of those that are known. */
static uint32_t shortest(const sq_candidate *candidates, uint32_t count)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        if (candidates[i].median_s > 0 &&
            (best == UINT32_MAX || candidates[i].median_s + candidates[i].extra_s <
                                       candidates[best].median_s + candidates[best].extra_s)) {
            best = i;
        }
    }
    return best;
}

squall_status sq_choose_tuned(void *self, const sq_step *step, sq_candidate *candidates,
                              uint32_t count, uint32_t *chosen, squall_error *err)
{
    sq_tuner *tuner = self;
    sq_text key = {0};
    uint32_t order[SQ_MAX_CANDIDATES];
    squall_status status = SQUALL_OK;
    if (!sq_step_key(step, &key)) {
        status = sq_fail(err, SQUALL_E_MEMORY, step->name, "no memory for its key");
        goto done;
    }
    uint32_t found = look_up(tuner, key.data, candidates, count);
    const uint32_t few = rank(candidates, count, order);
    if (few > 1 && !tuner->strict && tuner->spent_s < tuner->budget_s) {
        SQ_TRY_GOTO(measure(tuner, step, key.data, candidates, order, few, err));
        found = look_up(tuner, key.data, candidates, count);
    }
    if (found > 0 || few == 1) { /* where one alone is worth it there is nothing to measure */
        tuner->known += found > 0;
        *chosen = found > 0 ? shortest(candidates, count) : order[0];
        goto done;
    }
    tuner->guessed++;
    if (tuner->strict) {
        sq_note(tuner->missing, NULL, "step '%s': no time for %s on %s by %s", step->name, key.data,
                tuner->device, tuner->build);
    }
    status = sq_choose_by_cost(NULL, step, candidates, count, chosen, err);
done:
    sq_text_free(&key);
    return status;
}
