/* tests/unit/nn/cpu/cpu_problem.h - one operator as a test sets it, run by every tactic there is.
 *
 * Every buffer that a tactic is given touches an unreadable page; lanes past the last channel hold
 * numbers of no meaning; the same bits must come out with one, two and three threads. */
#ifndef SQ_TEST_CPU_PROBLEM_H
#define SQ_TEST_CPU_PROBLEM_H

#include <stdio.h>

#include "cpu_fixture.h"

#define MAX_OPERANDS 6

/* A step on plain tensors, what must come out, and how far from it is allowed. */
typedef struct problem {
    sq_step step;
    sq_attrs attrs;
    squall_tensor in[MAX_OPERANDS], out[MAX_OPERANDS]; /* plain; inputs own their data */
    bool constant[MAX_OPERANDS];                       /* inputs known when planning */
    double *want[MAX_OPERANDS];                        /* owned, of each output */
    double *allowed[MAX_OPERANDS];                     /* owned; NULL: the same bits */
    double *allowed_winograd[2]; /* owned; of output 0, by that tactic with tiles of 4 and of 6 */
    uint32_t seed;
    unsigned tactics_seen;
} problem;

static inline void problem_open(problem *p, sq_op op, uint32_t out_count)
{
    memset(p, 0, sizeof *p);
    p->attrs.opset = 17;
    p->seed = 23;
    p->step = (sq_step){.op = op,
                        .name = "step",
                        .attrs = &p->attrs,
                        .out_count = out_count,
                        .in = p->in,
                        .out = p->out};
}

static inline void problem_close(problem *p)
{
    for (int i = 0; i < MAX_OPERANDS; i++) {
        sq_tensor_free(&p->in[i]);
        free(p->want[i]);
        free(p->allowed[i]);
    }
    free(p->allowed_winograd[0]);
    free(p->allowed_winograd[1]);
    sq_attrs_free(&p->attrs);
}

/* A float input of seeded numbers. */
static inline float *problem_input(problem *p, uint32_t rank, const int64_t *dims, bool constant)
{
    const uint32_t i = p->step.in_count++;
    assert_true(sq_tensor_make(SQUALL_F32, rank, dims, &p->in[i]));
    fill_seeded(p->in[i].data, squall_tensor_count(&p->in[i]), &p->seed);
    p->constant[i] = constant;
    return p->in[i].data;
}

/* An input of another type, zeroed. */
static inline void *problem_typed(problem *p, squall_dtype dtype, uint32_t rank,
                                  const int64_t *dims, bool constant)
{
    const uint32_t i = p->step.in_count++;
    assert_true(sq_tensor_make(dtype, rank, dims, &p->in[i]));
    p->constant[i] = constant;
    return p->in[i].data;
}

static inline int64_t *problem_ints(problem *p, const int64_t *values, int64_t count)
{
    const uint32_t i = p->step.in_count++;
    assert_true(sq_tensor_make(SQUALL_I64, 1, &count, &p->in[i]));
    memcpy(p->in[i].data, values, (size_t)count * sizeof *values);
    p->constant[i] = true;
    return p->in[i].data;
}

/* Shapes of the outputs; data that only inference may see is that of constants. */
static inline void problem_infer(problem *p)
{
    squall_error err = {.code = SQUALL_OK};
    if (sq_op_infer(&p->step, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    for (uint32_t i = 0; i < p->step.out_count; i++) {
        const size_t count = squall_tensor_count(&p->out[i]);
        p->want[i] = calloc(count + 1, sizeof *p->want[i]);
        p->allowed[i] = calloc(count + 1, sizeof *p->allowed[i]);
        assert_true(p->want[i] != NULL && p->allowed[i] != NULL);
    }
}

static inline void problem_act(problem *p, const sq_cpu_act *act)
{
    const float params[2] = {act->a, act->b};
    if (act->kind != SQ_ACT_NONE) {
        assert_true(sq_attr_set_int(&p->attrs, "sq_activation", act->kind));
        assert_true(sq_attr_set_floats(&p->attrs, "sq_activation_params", params, 2));
    }
}

static inline size_t layout_lanes(squall_layout layout)
{
    return layout == SQUALL_C16 ? 16 : layout == SQUALL_C8 ? 8 : 1;
}

/* Where element `i` of a plain tensor lies in one of `layout`. */
static inline size_t place(const squall_tensor *tensor, squall_layout layout, size_t i)
{
    const size_t lanes = layout_lanes(layout);
    if (lanes == 1) {
        return i;
    }
    size_t pixels = 1;
    for (uint32_t d = 2; d < tensor->rank; d++) {
        pixels *= (size_t)tensor->dims[d];
    }
    const size_t channels = (size_t)tensor->dims[1], blocks = (channels + lanes - 1) / lanes;
    const size_t p = i % pixels, c = i / pixels % channels, n = i / pixels / channels;
    return ((n * blocks + c / lanes) * pixels + p) * lanes + c % lanes;
}

/* `plain` in another layout, in guarded memory; lanes without a channel hold numbers of no meaning.
 */
static inline guarded in_layout(const squall_tensor *plain, squall_layout layout, bool at_end,
                                squall_tensor *out)
{
    *out = *plain;
    out->layout = layout;
    if (plain->dtype == SQUALL_DTYPE_NONE) {
        return (guarded){0}; /* an optional input that is absent */
    }
    guarded g = guarded_bytes(squall_tensor_bytes(out), at_end);
    out->data = g.data;
    if (layout == SQUALL_PLAIN) {
        memcpy(g.data, plain->data, squall_tensor_bytes(plain));
        return g;
    }
    const size_t size = squall_dtype_size(plain->dtype);
    const size_t elements = squall_tensor_bytes(out) / size;
    for (size_t i = 0; i < elements; i++) {
        if (plain->dtype == SQUALL_F32) {
            ((float *)g.data)[i] = i % 2 == 0 ? 1e3f : -1e3f;
        } else {
            memset((char *)g.data + i * size, i % 2 == 0 ? 255 : 99, size);
        }
    }
    const size_t count = squall_tensor_count(plain);
    for (size_t i = 0; i < count; i++) {
        memcpy((char *)g.data + place(plain, layout, i) * size, (char *)plain->data + i * size,
               size);
    }
    return g;
}

/* Bytes of an output; 0 when nobody wants it. */
static inline size_t out_bytes(const squall_tensor *out)
{
    return out->dtype != SQUALL_DTYPE_NONE ? squall_tensor_bytes(out) : 0;
}

static inline void check_outputs(const problem *p, const sq_tactic *tactic,
                                 const squall_tensor *got, int threads)
{
    const bool winograd = strstr(tactic->name, "winograd") != NULL;
    const double *by_winograd = p->allowed_winograd[strstr(tactic->name, "winograd6") != NULL];
    for (uint32_t k = 0; k < p->step.out_count; k++) {
        if (p->out[k].dtype == SQUALL_DTYPE_NONE) {
            continue; /* nobody wants it */
        }
        const size_t count = squall_tensor_count(&p->out[k]);
        const size_t floats =
            got[k].dtype == SQUALL_F32 ? squall_tensor_bytes(&got[k]) / sizeof(float) : 0;
        const double *allowed = winograd && by_winograd != NULL ? by_winograd : p->allowed[k];
        for (size_t i = 0; i < floats; i++) {
            assert_true(isfinite(((const float *)got[k].data)[i]));
        }
        for (size_t i = 0; i < count; i++) {
            const double g = sq_tensor_get_double(&got[k], place(&p->out[k], got[k].layout, i));
            if (!(fabs(g - p->want[k][i]) <= allowed[i])) {
                fail_msg("%s, %d threads, output %u element %zu of %zu: %.9g, expected %.9g +- "
                         "%.3g",
                         tactic->name, threads, k, i, count, g, p->want[k][i], allowed[i]);
            }
        }
    }
}

/* One run of a tactic; the outputs' memory is given in `kept`. */
static inline void run_tactic(const problem *p, const sq_tactic *tactic, const guarded *packed,
                              int threads, bool at_end, guarded *kept)
{
    squall_tensor in[MAX_OPERANDS], out[MAX_OPERANDS], types[MAX_OPERANDS];
    guarded memory[MAX_OPERANDS] = {{0}};
    squall_error err = {.code = SQUALL_OK};
    sq_tactic again;
    sq_step step = p->step;
    sq_pool *pool = NULL;
    for (uint32_t i = 0; i < step.in_count; i++) {
        memory[i] = in_layout(&p->in[i], (squall_layout)tactic->in_layout[i], at_end, &in[i]);
        types[i] = in[i];
        if (!p->constant[i] || tactic->in_dropped[i]) {
            types[i].data = NULL;
        }
    }
    for (uint32_t i = 0; i < step.out_count; i++) {
        out[i] = p->out[i];
        out[i].layout = (squall_layout)tactic->out_layout[i];
        kept[i] = guarded_bytes(out_bytes(&out[i]), at_end);
        fill_canary(kept[i].data, out_bytes(&out[i]) / sizeof(float) *
                                      (out[i].dtype == SQUALL_F32)); /* the others stay 0 */
    }
    step.in = types;
    step.out = out;
    if (sq_cpu_backend.restore(&step, tactic->name, threads, &again, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    assert_int_equal(again.packed_bytes, tactic->packed_bytes);
    guarded state = guarded_bytes(sq_round_up(again.state_bytes, SQ_ALIGNMENT), at_end);
    guarded scratch = guarded_bytes(sq_round_up(again.scratch_bytes, SQ_ALIGNMENT), at_end);
    fill_canary(scratch.data, again.scratch_bytes / sizeof(float)); /* memory is not zeroed */
    assert_int_equal(sq_cpu_backend.bind(&step, &again, threads, state.data, &err), SQUALL_OK);
    squall_status (*const run)(const sq_call *) = sq_cpu_backend.runner(&step, &again);
    assert_non_null(run);
    step.in = in;
    for (uint32_t i = 0; i < step.in_count; i++) {
        if (tactic->in_dropped[i]) {
            in[i].data = NULL;
        }
    }
    for (uint32_t i = 0; i < step.out_count; i++) {
        out[i].data = out[i].dtype != SQUALL_DTYPE_NONE ? kept[i].data : NULL;
    }
    assert_int_equal(sq_pool_create(threads, &pool, &err), SQUALL_OK);
    const sq_call call = {.step = &step,
                          .packed = packed->data,
                          .state = state.data,
                          .scratch = scratch.data,
                          .pool = pool};
    assert_int_equal(run(&call), SQUALL_OK);
    check_outputs(p, tactic, out, threads);
    sq_pool_destroy(&pool);
    guarded_free(&state);
    guarded_free(&scratch);
    for (int i = 0; i < MAX_OPERANDS; i++) {
        guarded_free(&memory[i]);
    }
}

static inline void check_tactic(const problem *p, const sq_step *offered, const sq_tactic *tactic,
                                bool at_end)
{
    guarded first[MAX_OPERANDS] = {{0}}, more[MAX_OPERANDS] = {{0}};
    squall_error err = {.code = SQUALL_OK};
    guarded packed = guarded_bytes(sq_round_up(tactic->packed_bytes, SQ_ALIGNMENT), at_end);
    assert_int_equal(sq_cpu_backend.pack(offered, tactic, packed.data, &err), SQUALL_OK);
    run_tactic(p, tactic, &packed, 1, at_end, first);
    for (int threads = 2; threads <= 3; threads++) {
        run_tactic(p, tactic, &packed, threads, at_end, more);
        for (uint32_t i = 0; i < p->step.out_count; i++) {
            squall_tensor type = p->out[i];
            type.layout = (squall_layout)tactic->out_layout[i];
            if (type.dtype != SQUALL_DTYPE_NONE) {
                assert_memory_equal(first[i].data, more[i].data, squall_tensor_bytes(&type));
            }
            guarded_free(&more[i]);
        }
    }
    for (int i = 0; i < MAX_OPERANDS; i++) {
        guarded_free(&first[i]);
    }
    guarded_free(&packed);
}

/* Run every tactic, offered plain and blocked inputs; a problem that no tactic takes fails, and the
 * number of runs is returned. */
static inline long check_problem(problem *p)
{
    const squall_layout layouts[] = {SQUALL_PLAIN, sq_cpu_layout()};
    long ran = 0;
    for (size_t l = 0; l < 2; l++) {
        squall_tensor in[MAX_OPERANDS];
        sq_tactic tactics[SQ_MAX_TACTICS];
        sq_reason why = {""};
        sq_step offered = p->step;
        memcpy(in, p->in, sizeof in);
        offered.in = in;
        for (uint32_t i = 0; i < p->step.in_count; i++) {
            if (!p->constant[i]) {
                in[i].data = NULL;
                in[i].layout =
                    in[i].rank >= 2 && p->step.op != SQ_OP_SqReorder ? layouts[l] : in[i].layout;
            }
        }
        const size_t count = sq_cpu_backend.tactics(&offered, 3, tactics, &why);
        if (count == 0) {
            fail_msg("no tactic: %s", why.text);
        }
        for (size_t t = 0; t < count; t++) {
            assert_true(strlen(tactics[t].name) + 1 < SQ_TACTIC_NAME);
            check_tactic(p, &offered, &tactics[t], (l + t) % 2 == 0);
            ran++;
        }
    }
    return ran;
}

#endif /* SQ_TEST_CPU_PROBLEM_H */
