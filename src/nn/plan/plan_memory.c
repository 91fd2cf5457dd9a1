/* nn/plan/plan_memory.c - offsets in the arena: greedy by size, and what to try when that misses
 * the bound.
 *
 * Greedy by size: Pisarchyk and Lee, "Efficient memory management for deep neural net inference"
 * (2020, arXiv:2001.03288). */
#include <stdlib.h>
#include <string.h>

#include "nn/plan/plan_internal.h"

/* Memory of one value, or of several that take it over one from the other. */
typedef struct buffer {
    int64_t first, last; /* steps, both within */
    uint64_t bytes;
    uint64_t offset; /* of the arrangement being tried */
    uint64_t best;   /* of the best one so far */
    uint64_t key;    /* larger ones are placed first */
    uint32_t
        number; /* decides between equal keys, so that the order is one and the same anywhere */
    bool at_peak;
} buffer;

typedef struct planner {
    sq_plan_lives lives;
    buffer *buffers; /* [count] */
    buffer **order;  /* [count]: as they are placed */
    buffer **placed; /* [count]: by offset */
    uint32_t *of;    /* [value_count]: buffer of a root in the arena */
    uint64_t *alive; /* [step_count + 2] */
    uint32_t count;
} planner;

static void planner_free(planner *work)
{
    sq_plan_lives_free(&work->lives);
    sq_free(work->buffers);
    sq_free(work->order);
    sq_free(work->placed);
    sq_free(work->of);
    sq_free(work->alive);
}

static squall_status planner_init(planner *work, const sq_plan *plan, squall_error *err)
{
    SQ_TRY(sq_plan_lives_init(plan, &work->lives, err));
    work->buffers = sq_alloc(plan->value_count, sizeof *work->buffers);
    work->order = sq_alloc(plan->value_count, sizeof *work->order);
    work->placed = sq_alloc(plan->value_count, sizeof *work->placed);
    work->of = sq_alloc(plan->value_count, sizeof *work->of);
    work->alive = sq_alloc((size_t)plan->step_count + 2, sizeof *work->alive);
    if (work->buffers == NULL || work->order == NULL || work->placed == NULL || work->of == NULL ||
        work->alive == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "memory plan", "no memory for %u values",
                       plan->value_count);
    }
    return SQUALL_OK;
}

/* One buffer a value, but for those that take over another's. */
static void make_buffers(planner *work, sq_plan *plan)
{
    for (uint32_t s = 0; s < plan->step_count; s++) {
        sq_plan_step *step = &plan->steps[s];
        if (!sq_plan_may_take_over(plan, &work->lives, s, step->in_place)) {
            step->in_place = -1;
        }
        for (uint32_t i = 0; step->backend != SQ_PLAN_VIEW && i < step->out_count; i++) {
            const uint32_t v = step->out[i];
            if (plan->values[v].home != SQ_HOME_ARENA) {
                continue;
            }
            if (i == 0 && step->in_place >= 0) {
                work->of[v] = work->of[work->lives.root[step->in[step->in_place]]];
                work->buffers[work->of[v]].last = work->lives.last[v];
                continue;
            }
            work->of[v] = work->count;
            work->buffers[work->count] = (buffer){.first = work->lives.def[v],
                                                  .last = work->lives.last[v],
                                                  .bytes = sq_plan_value_bytes(&plan->values[v]),
                                                  .number = work->count};
            work->count++;
        }
    }
}

/* The most bytes alive at one step; buffers alive at the first such step are marked. */
static bool find_bound(planner *work, const sq_plan *plan, uint64_t *bound)
{
    uint64_t sum = 0;
    for (uint32_t b = 0; b < work->count; b++) {
        /* Ends become negative steps: differences that wrap round and back again. */
        if (__builtin_add_overflow(sum, work->buffers[b].bytes, &sum)) {
            return false;
        }
        work->alive[work->buffers[b].first] += work->buffers[b].bytes;
        work->alive[work->buffers[b].last + 1] -= work->buffers[b].bytes;
    }
    int64_t peak = 0;
    *bound = 0;
    for (uint32_t s = 0; s < plan->step_count; s++) {
        if (s > 0) {
            work->alive[s] += work->alive[s - 1];
        }
        if (work->alive[s] > *bound) {
            *bound = work->alive[s];
            peak = s;
        }
    }
    for (uint32_t b = 0; b < work->count; b++) {
        work->buffers[b].at_peak = work->buffers[b].first <= peak && work->buffers[b].last >= peak;
    }
    return true;
}

static int compare(const void *a, const void *b)
{
    const buffer *x = *(buffer *const *)a;
    const buffer *y = *(buffer *const *)b;
    if (x->key != y->key) {
        return x->key > y->key ? -1 : 1;
    }
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Put one buffer where no other is while it is alive: into the smallest gap that holds it
 * (`tightest`) or into the lowest. `placed` of them lie already. Returns where it ends. */
static uint64_t place(planner *work, uint32_t placed, buffer *add, bool tightest)
{
    uint64_t end = 0, best = UINT64_MAX, best_gap = UINT64_MAX;
    for (uint32_t i = 0; i < placed; i++) {
        const buffer *other = work->placed[i];
        if (other->last < add->first || other->first > add->last) {
            continue;
        }
        if (other->offset > end) {
            const uint64_t gap = other->offset - end;
            if (gap >= add->bytes && (best == UINT64_MAX || (tightest && gap < best_gap))) {
                best = end;
                best_gap = gap;
            }
        }
        const uint64_t other_end = other->offset + other->bytes;
        end = other_end > end ? other_end : end;
    }
    add->offset = best != UINT64_MAX ? best : end;
    uint32_t at = placed;
    while (at > 0 && work->placed[at - 1]->offset > add->offset) {
        work->placed[at] = work->placed[at - 1];
        at--;
    }
    work->placed[at] = add;
    return add->offset + add->bytes;
}

/* The orders that are tried, the most promising first. */
enum { BY_SIZE, BY_PEAK_THEN_SIZE, BY_AREA, BY_TIME, ORDERS };

/* How often one order is changed, and how many placements all of it may take. */
#define SEARCH_ROUNDS     32
#define SEARCH_PLACEMENTS 20000000u

static uint64_t key_of(const buffer *b, int order)
{
    const uint64_t length = (uint64_t)(b->last - b->first) + 1;
    switch (order) {
    case BY_SIZE:
        return b->bytes;
    case BY_PEAK_THEN_SIZE:
        return b->bytes + (b->at_peak ? UINT64_MAX / 2 : 0);
    case BY_AREA:
        return b->bytes / SQ_ALIGNMENT * length;
    default:
        return UINT64_MAX - (uint64_t)b->first;
    }
}

/* Lay all buffers out in the order that `order` has; returns the bytes that it takes. */
static uint64_t arrange(planner *work, bool tightest)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < work->count; i++) {
        const uint64_t end = place(work, i, work->order[i], tightest);
        total = end > total ? end : total;
    }
    return total;
}

static void sort(planner *work, int order)
{
    for (uint32_t b = 0; b < work->count; b++) {
        work->buffers[b].key = key_of(&work->buffers[b], order);
        work->order[b] = &work->buffers[b];
    }
    qsort(work->order, work->count, sizeof(buffer *), compare);
}

/* Keep an arrangement that is better than the best one so far. */
static void keep(planner *work, sq_plan *plan, uint64_t total)
{
    if (total >= plan->arena_bytes) {
        return;
    }
    plan->arena_bytes = total;
    for (uint32_t b = 0; b < work->count; b++) {
        work->buffers[b].best = work->buffers[b].offset;
    }
}

/* What ends highest had no good place left: place it first, and look again. */
static void promote_highest(planner *work)
{
    uint32_t highest = 0;
    for (uint32_t i = 1; i < work->count; i++) {
        if (work->order[i]->offset + work->order[i]->bytes >
            work->order[highest]->offset + work->order[highest]->bytes) {
            highest = i;
        }
    }
    buffer *first = work->order[highest];
    memmove(&work->order[1], &work->order[0], highest * sizeof *work->order);
    work->order[0] = first;
}

/* All orders, then each of them changed step by step; the bound ends the search. */
static void search(planner *work, sq_plan *plan)
{
    /* Placing takes time that grows with the square of the count: about a second for the largest.
     */
    const uint64_t square = (uint64_t)work->count * work->count + 1;
    const uint64_t affordable = SEARCH_PLACEMENTS / square;
    const int rounds = affordable < SEARCH_ROUNDS ? (int)affordable : SEARCH_ROUNDS;
    plan->arena_bytes = UINT64_MAX;
    for (int pass = 0; pass < 2; pass++) { /* each order as it is, before any is changed */
        for (int trial = 0; trial < 2 * ORDERS; trial++) {
            sort(work, trial / 2);
            for (int i = 0; i <= (pass == 0 ? 0 : rounds); i++) {
                keep(work, plan, arrange(work, trial % 2 == 0));
                if (plan->arena_bytes <= plan->arena_bound_bytes) {
                    return;
                }
                promote_highest(work);
            }
        }
    }
}

squall_status sq_plan_memory(sq_plan *plan, squall_error *err)
{
    squall_status status = SQUALL_OK;
    planner work;
    memset(&work, 0, sizeof work);
    SQ_TRY_GOTO(planner_init(&work, plan, err));
    make_buffers(&work, plan);
    if (!find_bound(&work, plan, &plan->arena_bound_bytes)) {
        status = sq_fail(err, SQUALL_E_LIMIT, "memory plan",
                         "the sum of all tensors' bytes "
                         "overflows; use smaller shapes");
        goto done;
    }
    search(&work, plan);
    for (uint32_t v = 0; v < plan->value_count; v++) {
        const uint32_t root = work.lives.root[v];
        if (plan->values[root].home == SQ_HOME_ARENA && work.lives.def[root] != INT64_MAX) {
            plan->values[root].offset = work.buffers[work.of[root]].best;
        }
    }
    for (uint32_t v = 0; v < plan->value_count; v++) {
        const sq_plan_value *root = &plan->values[work.lives.root[v]];
        plan->values[v].home = root->home;
        plan->values[v].offset = root->offset;
    }
    if (plan->arena_bytes > SQ_LIMIT_ARENA_BYTES) {
        status = sq_fail(err, SQUALL_E_LIMIT, "memory plan",
                         "needs %llu bytes of activations; at most %zu are planned: use smaller "
                         "shapes",
                         (unsigned long long)plan->arena_bytes, SQ_LIMIT_ARENA_BYTES);
    }
done:
    planner_free(&work);
    return status;
}
