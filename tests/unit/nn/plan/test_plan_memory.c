/* tests/unit/nn/plan/test_plan_memory.c - offsets: nothing alive overlaps, and the bound is met. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nn/plan/plan_make.h"

/* From which step to which each value of the arena is alive, worked out again by the test. */
static void find_lives(const sq_plan *plan, int64_t *first, int64_t *last)
{
    for (uint32_t v = 0; v < plan->value_count; v++) {
        first[v] = last[v] = -1;
    }
    for (uint32_t s = 0; s < plan->step_count; s++) {
        for (uint32_t i = 0; i < plan->steps[s].in_count; i++) {
            last[plan->steps[s].in[i]] = s;
        }
        first[plan->steps[s].out[0]] = last[plan->steps[s].out[0]] = s;
    }
}

/* Every pair: alive at once means apart, but for an output that takes its input over. */
static void check_apart(const sq_plan *plan)
{
    static int64_t first[PLAN_VALUES], last[PLAN_VALUES];
    size_t pairs = 0;
    find_lives(plan, first, last);
    for (uint32_t a = 0; a < plan->value_count; a++) {
        const sq_plan_value *x = &plan->values[a];
        if (x->home != SQ_HOME_ARENA) {
            continue;
        }
        const size_t x_bytes = squall_tensor_bytes(&x->type);
        assert_int_equal(x->offset % SQ_ALIGNMENT, 0);
        assert_true(x->offset + x_bytes <= plan->arena_bytes);
        for (uint32_t b = 0; b < a; b++) {
            const sq_plan_value *y = &plan->values[b];
            if (y->home != SQ_HOME_ARENA || last[a] < first[b] || last[b] < first[a]) {
                continue;
            }
            const sq_plan_step *maker = &plan->steps[first[a]];
            if (maker->in_place >= 0 && maker->in[maker->in_place] == b) {
                assert_int_equal(last[b], first[a]);
                assert_int_equal(x->offset, y->offset);
                continue;
            }
            assert_true(x->offset + x_bytes <= y->offset ||
                        y->offset + squall_tensor_bytes(&y->type) <= x->offset);
            pairs++;
        }
    }
    assert_true(pairs > 0);
}

/* A chain of steps: two values alive at a time, so the arena holds the two largest neighbours. */
static void test_chain(void **state)
{
    (void)state;
    sq_plan plan;
    plan_begin(&plan);
    static const int64_t counts[] = {100, 1000, 10, 500, 2000, 30};
    uint32_t before = plan_value(&plan, SQ_HOME_INPUT, 0, 16);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        const uint32_t v = plan_value(&plan, SQ_HOME_ARENA, 0, counts[i]);
        plan_step(&plan, SQ_OP_Relu, PLAN_REF, -1, before, before, v);
        before = v;
    }
    const uint32_t out = plan_value(&plan, SQ_HOME_OUTPUT, 0, 16);
    plan_step(&plan, SQ_OP_Relu, PLAN_REF, -1, before, before, out);
    assert_int_equal(sq_plan_memory(&plan, NULL), SQUALL_OK);
    /* 2000 and 500 floats, each rounded up to 64 bytes: 8000 and 2048. */
    assert_int_equal(plan.arena_bound_bytes, 8000 + 2048);
    assert_int_equal(plan.arena_bytes, plan.arena_bound_bytes);
    check_apart(&plan);
    sq_plan_free(&plan);
}

/* Taking over is done where the input dies, and refused where it is used again, used twice by the
 * step, of another size, or the caller's. */
static void test_in_place(void **state)
{
    (void)state;
    sq_plan plan;
    plan_begin(&plan);
    const uint32_t in = plan_value(&plan, SQ_HOME_INPUT, 0, 256);
    const uint32_t a = plan_value(&plan, SQ_HOME_ARENA, 0, 256);
    const uint32_t b = plan_value(&plan, SQ_HOME_ARENA, 0, 256);
    const uint32_t c = plan_value(&plan, SQ_HOME_ARENA, 0, 256);
    const uint32_t d = plan_value(&plan, SQ_HOME_ARENA, 0, 256);
    const uint32_t e = plan_value(&plan, SQ_HOME_ARENA, 0, 512);
    const uint32_t f = plan_value(&plan, SQ_HOME_ARENA, 0, 512);
    const uint32_t out = plan_value(&plan, SQ_HOME_OUTPUT, 0, 512);
    plan_step(&plan, SQ_OP_Relu, PLAN_REF, 0, in, in, a); /* 0: the caller's input */
    plan_step(&plan, SQ_OP_Relu, PLAN_REF, 0, a, a, b);   /* 1: a is used again */
    plan_step(&plan, SQ_OP_Add, PLAN_REF, 0, a, b, c);    /* 2: a dies: taken over */
    plan_step(&plan, SQ_OP_Relu, PLAN_REF, 0, c, c, d);   /* 3: c dies: taken over */
    plan_step(&plan, SQ_OP_Concat, PLAN_REF, 0, d, d, e); /* 4: another size */
    sq_plan_step *twice = plan_step(&plan, SQ_OP_Mul, PLAN_REF, 0, e, e, f); /* 5: used twice */
    twice->in_count = 2;
    plan_step(&plan, SQ_OP_Relu, PLAN_REF, 0, f, f, out); /* 6: the caller's output */
    assert_int_equal(sq_plan_memory(&plan, NULL), SQUALL_OK);
    static const int32_t expected[] = {-1, -1, 0, 0, -1, -1, -1};
    for (uint32_t s = 0; s < plan.step_count; s++) {
        assert_int_equal(plan.steps[s].in_place, expected[s]);
    }
    assert_int_equal(plan.values[a].offset, plan.values[c].offset);
    assert_int_equal(plan.values[a].offset, plan.values[d].offset);
    assert_int_equal(plan.arena_bound_bytes, 2 * 512 * 4);
    assert_int_equal(plan.arena_bytes, plan.arena_bound_bytes);
    check_apart(&plan);
    sq_plan_free(&plan);
}

/* A view lies where its source does and keeps it alive; it takes no memory. */
static void test_view(void **state)
{
    (void)state;
    sq_plan plan;
    plan_begin(&plan);
    const uint32_t in = plan_value(&plan, SQ_HOME_INPUT, 0, 64);
    const uint32_t a = plan_value(&plan, SQ_HOME_ARENA, 0, 64);
    const uint32_t shown = plan_value(&plan, SQ_HOME_ARENA, 0, 64);
    const uint32_t b = plan_value(&plan, SQ_HOME_ARENA, 0, 64);
    const uint32_t out = plan_value(&plan, SQ_HOME_OUTPUT, 0, 64);
    plan_step(&plan, SQ_OP_Relu, PLAN_REF, -1, in, in, a);
    plan_step(&plan, SQ_OP_Identity, SQ_PLAN_VIEW, -1, a, a, shown);
    plan_step(&plan, SQ_OP_Relu, PLAN_REF, 0, a, a, b); /* may not take a over: it is still shown */
    plan_step(&plan, SQ_OP_Add, PLAN_REF, -1, b, shown, out);
    assert_int_equal(sq_plan_memory(&plan, NULL), SQUALL_OK);
    assert_int_equal(plan.values[shown].offset, plan.values[a].offset);
    assert_int_not_equal(plan.values[b].offset, plan.values[a].offset);
    assert_int_equal(plan.steps[2].in_place, -1);
    assert_int_equal(plan.arena_bytes, 2 * 256);
    assert_int_equal(plan.arena_bound_bytes, 2 * 256);
    sq_plan_free(&plan);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u; /* Numerical Recipes' generator: no more is needed */
    return *seed >> 8;
}

/* Random networks with skips: never an overlap, never below the bound, the same plan each time. */
static void test_random(void **state)
{
    (void)state;
    uint32_t seed = 1;
    uint64_t total = 0, bound = 0;
    for (int trial = 0; trial < 60; trial++) {
        uint64_t offsets_sum[2] = {0, 0};
        const uint32_t start = seed;
        for (int again = 0; again < 2; again++) {
            sq_plan plan;
            seed = start;
            plan_begin(&plan);
            const int nodes = 5 + (int)(next_random(&seed) % 60);
            plan_value(&plan, SQ_HOME_INPUT, 0, 16);
            for (int n = 0; n < nodes; n++) {
                const uint32_t reach = plan.value_count < 9 ? plan.value_count : 9;
                const uint32_t a = plan.value_count - 1;
                const uint32_t b = plan.value_count - 1 - next_random(&seed) % reach;
                const uint32_t out =
                    plan_value(&plan, SQ_HOME_ARENA, 0, 1 + (int64_t)(next_random(&seed) % 5000));
                plan_step(&plan, SQ_OP_Add, PLAN_REF, (int32_t)(next_random(&seed) % 3) - 1, a, b,
                          out);
            }
            const uint32_t before = plan.value_count - 1;
            plan_step(&plan, SQ_OP_Relu, PLAN_REF, -1, before, before,
                      plan_value(&plan, SQ_HOME_OUTPUT, 0, 16));
            assert_int_equal(sq_plan_memory(&plan, NULL), SQUALL_OK);
            assert_true(plan.arena_bytes >= plan.arena_bound_bytes);
            check_apart(&plan);
            for (uint32_t v = 0; v < plan.value_count; v++) {
                offsets_sum[again] = offsets_sum[again] * 31 + plan.values[v].offset;
            }
            total += plan.arena_bytes;
            bound += plan.arena_bound_bytes;
            sq_plan_free(&plan);
        }
        assert_int_equal(offsets_sum[0], offsets_sum[1]);
    }
    /* Random sizes are the hardest there are; real networks meet the bound (test_workloads). */
    assert_true((double)total <= 1.02 * (double)bound);
}

/* A U-Net of RainNet's form at 928 x 928: the planner meets the bound exactly. Sizes follow from
 * the form; nothing is measured. */
static void test_unet(void **state)
{
    (void)state;
    sq_plan plan;
    plan_begin(&plan);
    uint32_t skips[4], x = plan_value(&plan, SQ_HOME_INPUT, 0, 4 * 928 * 928);
    const int64_t side[] = {928, 464, 232, 116, 58}, channels[] = {64, 128, 256, 512, 1024};
    for (int level = 0; level < 5; level++) {
        const int64_t count = channels[level] * side[level] * side[level];
        for (int conv = 0; conv < 2; conv++) {
            const uint32_t y = plan_value(&plan, SQ_HOME_ARENA, 0, count);
            plan_step(&plan, SQ_OP_Conv, PLAN_REF, -1, x, x, y);
            x = y;
        }
        if (level < 4) {
            const uint32_t pooled = plan_value(&plan, SQ_HOME_ARENA, 0, count / 4);
            plan_step(&plan, SQ_OP_MaxPool, PLAN_REF, -1, x, x, pooled);
            skips[level] = x;
            x = pooled;
        }
    }
    for (int level = 3; level >= 0; level--) {
        const int64_t area = side[level] * side[level];
        const uint32_t up = plan_value(&plan, SQ_HOME_ARENA, 0, channels[level + 1] * area);
        plan_step(&plan, SQ_OP_Resize, PLAN_REF, -1, x, x, up);
        const uint32_t both =
            plan_value(&plan, SQ_HOME_ARENA, 0, (channels[level + 1] + channels[level]) * area);
        plan_step(&plan, SQ_OP_Concat, PLAN_REF, -1, up, skips[level], both);
        x = both;
        for (int conv = 0; conv < 2; conv++) {
            const uint32_t y = plan_value(&plan, SQ_HOME_ARENA, 0, channels[level] * area);
            plan_step(&plan, SQ_OP_Conv, PLAN_REF, -1, x, x, y);
            x = y;
        }
    }
    plan_step(&plan, SQ_OP_Conv, PLAN_REF, -1, x, x,
              plan_value(&plan, SQ_HOME_OUTPUT, 0, 928 * 928));
    assert_int_equal(sq_plan_memory(&plan, NULL), SQUALL_OK);
    /* Concatenating on the first level: 128 + 64 + 192 channels of 928 x 928 floats. */
    assert_int_equal(plan.arena_bound_bytes, (uint64_t)(128 + 64 + 192) * 928 * 928 * 4);
    assert_int_equal(plan.arena_bytes, plan.arena_bound_bytes);
    check_apart(&plan);
    sq_plan_free(&plan);
}

/* Each allocation made to fail once. */
static void test_no_memory(void **state)
{
    (void)state;
    for (long n = 0;; n++) {
        sq_plan plan;
        squall_error err;
        plan_begin(&plan);
        const uint32_t in = plan_value(&plan, SQ_HOME_INPUT, 0, 4);
        const uint32_t a = plan_value(&plan, SQ_HOME_ARENA, 0, 4);
        plan_step(&plan, SQ_OP_Relu, PLAN_REF, -1, in, in, a);
        sq_memory_fail_at(n);
        const squall_status status = sq_plan_memory(&plan, &err);
        sq_memory_fail_at(-1);
        sq_plan_free(&plan);
        if (status == SQUALL_OK) {
            assert_true(n > 3);
            return;
        }
        assert_int_equal(status, SQUALL_E_MEMORY);
    }
}

static void test_too_large(void **state)
{
    (void)state;
    sq_plan plan;
    squall_error err;
    plan_begin(&plan);
    uint32_t in = plan_value(&plan, SQ_HOME_INPUT, 0, 4);
    for (int i = 0; i < 2; i++) {
        const uint32_t v = plan_value(&plan, SQ_HOME_ARENA, 0, (int64_t)9 << 30);
        plan_step(&plan, SQ_OP_Relu, PLAN_REF, -1, in, in, v);
        in = v;
    }
    assert_int_equal(sq_plan_memory(&plan, &err), SQUALL_E_LIMIT);
    assert_non_null(strstr(err.text, "smaller shapes"));
    sq_plan_free(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),     cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_view),      cmocka_unit_test(test_random),
        cmocka_unit_test(test_unet),      cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
