/* nn/compile/compile_measure.c - one tactic of one step, run on this device and timed. */
#include <stdlib.h>
#include <string.h>

#include "nn/compile/compile_tactics.h"

/* Runs after one to warm up: at least so many, then until they have taken this long together. */
enum { LEAST_RUNS = 3, MOST_RUNS = 25 };
static const double enough_s = 0.1;

/* All that a run needs. */
typedef struct bench {
    squall_tensor in[SQ_MAX_INPUTS], out[SQ_MAX_OUTPUTS];
    squall_tensor types[SQ_MAX_INPUTS]; /* of `in`, with data for constants alone */
    bool own[SQ_MAX_INPUTS];
    void *packed, *state, *scratch;
    sq_pool *pool;
    sq_step step;
} bench;

static void release(bench *b)
{
    for (uint32_t i = 0; i < b->step.in_count; i++) {
        if (b->own[i]) {
            sq_free(b->in[i].data);
        }
    }
    for (uint32_t i = 0; i < b->step.out_count; i++) {
        sq_free(b->out[i].data);
    }
    sq_free(b->packed);
    sq_free(b->state);
    sq_free(b->scratch);
    sq_pool_destroy(&b->pool);
}

/* Numbers from 0 to 1 for floats, so that nothing denormal or special slows a run; zeros for
 * others, which are good indices of anything. */
static void fill(squall_tensor *tensor, size_t bytes)
{
    uint32_t state = 1u;
    float *data = tensor->data;
    memset(tensor->data, 0, bytes);
    for (size_t i = 0; tensor->dtype == SQUALL_F32 && i < bytes / sizeof *data; i++) {
        state = state * 1664525u + 1013904223u;
        data[i] = (float)(state >> 8) * 0x1p-24f;
    }
}

/* Tensors in the layouts that the tactic wants; constants that are plain stay what they are. */
static bool make_tensors(bench *b, const sq_step *step, const sq_tactic *tactic)
{
    for (uint32_t i = 0; i < step->in_count; i++) {
        b->in[i] = step->in[i];
        if (step->in[i].dtype == SQUALL_DTYPE_NONE ||
            (step->in[i].data != NULL && tactic->in_layout[i] == (uint8_t)step->in[i].layout)) {
            continue;
        }
        b->in[i].layout = (squall_layout)tactic->in_layout[i];
        const size_t bytes = squall_tensor_bytes(&b->in[i]);
        b->own[i] = true;
        b->in[i].data = bytes != SIZE_MAX ? sq_alloc_raw(bytes, 1) : NULL;
        if (b->in[i].data == NULL) {
            return false;
        }
        fill(&b->in[i], bytes);
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        b->out[i] = step->out[i];
        b->out[i].data = NULL;
        if (step->out[i].dtype == SQUALL_DTYPE_NONE) {
            continue;
        }
        b->out[i].layout = (squall_layout)tactic->out_layout[i];
        const size_t bytes = squall_tensor_bytes(&b->out[i]);
        b->out[i].data = bytes != SIZE_MAX ? sq_alloc(bytes, 1) : NULL;
        if (b->out[i].data == NULL) {
            return false;
        }
    }
    return true;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static squall_status time_runs(bench *b, const sq_candidate *candidate, double *median_s,
                               double *spread_s, squall_error *err)
{
    double times[MOST_RUNS], total_s = 0;
    int count = 0;
    const sq_call call = {.step = &b->step,
                          .packed = candidate->tactic.packed_bytes > 0 ? b->packed : NULL,
                          .state = candidate->tactic.state_bytes > 0 ? b->state : NULL,
                          .scratch = b->scratch,
                          .pool = b->pool};
    squall_status (*run)(const sq_call *) =
        candidate->backend->runner(&b->step, &candidate->tactic);
    for (int i = -1; i < MOST_RUNS && (i < LEAST_RUNS || total_s < enough_s); i++) {
        const double start_s = sq_clock_s();
        const squall_status status = run(&call);
        const double taken_s = sq_clock_s() - start_s;
        if (status != SQUALL_OK) {
            return sq_fail(err, status, b->step.name, "failed while '%s' was timed: %s",
                           candidate->tactic.name, squall_status_text(status));
        }
        if (i >= 0) {
            times[count++] = taken_s > 1e-9 ? taken_s : 1e-9;
            total_s += taken_s;
        }
    }
    qsort(times, (size_t)count, sizeof times[0], by_size);
    *median_s = times[count / 2];
    *spread_s = times[count - 1 - count / 4] - times[count / 4];
    return SQUALL_OK;
}

squall_status sq_measure_run(void *self, const sq_step *step, const sq_candidate *candidate,
                             int threads, double *median_s, double *spread_s, squall_error *err)
{
    (void)self;
    const sq_tactic *tactic = &candidate->tactic;
    squall_status status = SQUALL_OK;
    bench *b = sq_alloc(1, sizeof *b);
    if (b == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, step->name, "no memory to time it");
    }
    b->step = *step;
    b->step.in = b->in;
    b->step.out = b->out;
    const bool made = make_tensors(b, step, tactic);
    sq_step planned = b->step; /* as backends see it before a run */
    planned.in = b->types;
    for (uint32_t i = 0; i < step->in_count; i++) {
        b->types[i] = b->in[i];
        b->types[i].data = step->in[i].data;
    }
    b->packed = sq_alloc(tactic->packed_bytes, 1);
    b->state = sq_alloc(tactic->state_bytes, 1);
    b->scratch = sq_alloc_huge(tactic->scratch_bytes, 1);
    if (!made || b->packed == NULL || b->state == NULL || b->scratch == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, step->name, "no memory to time '%s'", tactic->name);
        goto done;
    }
    if (tactic->packed_bytes > 0) {
        SQ_TRY_GOTO(candidate->backend->pack(&planned, tactic, b->packed, err));
    }
    if (threads > 1) {
        SQ_TRY_GOTO(sq_pool_create(threads, &b->pool, err));
    }
    SQ_TRY_GOTO(candidate->backend->bind(&planned, tactic, threads, b->state, err));
    status = time_runs(b, candidate, median_s, spread_s, err);
done:
    release(b);
    sq_free(b);
    return status;
}
