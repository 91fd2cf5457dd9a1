/* tests/unit/nn/cpu/test_cpu_gates.c - gates of recurrent cells against double arithmetic: shapes
 * around vectors, blocks and pieces of work, orders of the parts, with and without each output. */
#include "cpu_problem.h"

static const int64_t shapes[][4] = {
    {1, 16, 3, 5}, {2, 8, 1, 1}, {1, 1, 5, 7}, {2, 17, 3, 2}, {1, 32, 9, 31}, {3, 24, 2, 2},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* Gates of `parts` times as many channels, then `states` of one shape. */
static void open_gates(problem *p, sq_op op, uint32_t outputs, const int64_t *shape, int64_t parts,
                       const int64_t *order, size_t orders, int states)
{
    int64_t wide[4];
    memcpy(wide, shape, sizeof wide);
    wide[1] *= parts;
    problem_open(p, op, outputs);
    assert_true(sq_attr_set_ints(&p->attrs, "sq_gates", order, orders));
    float *gates = problem_input(p, 4, wide, false);
    for (size_t i = 0; i < squall_tensor_count(&p->in[0]); i++) {
        gates[i] *= i % 5 == 0 ? 0.05f : i % 7 == 0 ? 90.0f : 4.0f; /* small, saturated, usual */
    }
    for (int i = 0; i < states; i++) {
        problem_input(p, 4, shape, false);
    }
}

static double gate(const problem *p, size_t i, int64_t parts, int64_t part)
{
    const size_t each = squall_tensor_count(&p->in[1]) / (size_t)p->in[1].dims[0];
    const size_t n = i / each;
    return (
        double)((const float *)p->in[0].data)[(n * (size_t)parts + (size_t)part) * each + i % each];
}

static void test_lstm(void **state)
{
    (void)state;
    static const int64_t orders[][4] = {{0, 1, 2, 3}, {3, 0, 1, 2}, {1, 2, 3, 0}};
    long ran = 0;
    for (size_t s = 0; s < SHAPES; s++) {
        for (int without = 0; without < 3; without++) { /* neither, hidden, cell */
            const int64_t *order = orders[(s + (size_t)without) % 3];
            problem p;
            open_gates(&p, SQ_OP_SqLstmGates, 2, shapes[s], 4, order, 4, 1);
            problem_infer(&p);
            for (size_t i = 0; i < squall_tensor_count(&p.out[0]); i++) {
                const double in = gate(&p, i, 4, order[0]), forget = gate(&p, i, 4, order[1]);
                const double out = gate(&p, i, 4, order[2]), fresh = gate(&p, i, 4, order[3]);
                const double cell = (double)((const float *)p.in[1].data)[i];
                p.want[1][i] = sigmoid(forget) * cell + sigmoid(in) * tanh(fresh);
                p.want[0][i] = sigmoid(out) * tanh(p.want[1][i]);
                p.allowed[1][i] = 2e-6;
                p.allowed[0][i] = 3e-6;
            }
            if (without > 0) {
                p.out[without - 1] = (squall_tensor){.dtype = SQUALL_DTYPE_NONE};
            }
            ran += check_problem(&p);
            problem_close(&p);
        }
    }
    assert_true(ran > 0);
}

static void test_gru(void **state)
{
    (void)state;
    long ran = 0;
    for (size_t s = 0; s < SHAPES; s++) {
        for (int kind = 0; kind < 4; kind++) {
            const bool update = kind % 2 == 1, squash = kind / 2 == 1;
            const int64_t part[2] = {(int64_t)(s % 3), 3};
            problem p;
            open_gates(&p, update ? SQ_OP_SqGruUpdate : SQ_OP_SqGruReset, 1, shapes[s], 3, part, 2,
                       update ? 2 : 1);
            assert_true(sq_attr_set_int(&p.attrs, "sq_sigmoid", squash));
            problem_infer(&p);
            for (size_t i = 0; i < squall_tensor_count(&p.out[0]); i++) {
                const double raw = gate(&p, i, 3, part[0]), g = squash ? sigmoid(raw) : raw;
                const double old = (double)((const float *)p.in[1].data)[i];
                p.want[0][i] = g * old;
                if (update) {
                    p.want[0][i] = (1 - g) * old + g * (double)((const float *)p.in[2].data)[i];
                }
                p.allowed[0][i] = 4 * UNIT * (1 + fabs(g)) * 2 + 1e-6;
            }
            ran += check_problem(&p);
            problem_close(&p);
        }
    }
    assert_true(ran > 0);
}

/* Gates that are sums of parts of two values, with offsets and without. */
static void test_memory(void **state)
{
    (void)state;
    static const int64_t numbers[] = {7, 3, 3, 0, 4, 1, 5, 2};
    static const float offsets[][3] = {{0, 1, 0}, {0.5f, 0, -2}};
    long ran = 0;
    for (size_t s = 0; s < SHAPES; s++) {
        problem p;
        open_gates(&p, SQ_OP_SqMemoryGates, 1, shapes[s], 7, numbers, 8, 0);
        int64_t dims[4];
        memcpy(dims, shapes[s], sizeof dims);
        dims[1] *= 3;
        problem_input(&p, 4, dims, false);
        problem_input(&p, 4, shapes[s], false);
        assert_true(sq_attr_set_floats(&p.attrs, "sq_offsets", offsets[s % 2], 3));
        problem_infer(&p);
        const size_t each = squall_tensor_count(&p.in[2]) / (size_t)shapes[s][0];
        for (size_t i = 0; i < squall_tensor_count(&p.out[0]); i++) {
            double sum[3];
            for (size_t k = 0; k < 3; k++) {
                sum[k] = (double)offsets[s % 2][k];
                for (size_t in = 0; in < 2; in++) {
                    const size_t part = (size_t)numbers[2 + 2 * k + in];
                    const size_t at = (i / each * (size_t)numbers[in] + part) * each + i % each;
                    sum[k] += (double)((const float *)p.in[in].data)[at];
                }
            }
            p.want[0][i] = sigmoid(sum[1]) * (double)((const float *)p.in[2].data)[i] +
                           sigmoid(sum[0]) * tanh(sum[2]);
            p.allowed[0][i] = 1e-5; /* a sum of up to 90 is off by 4e-6 */
        }
        ran += check_problem(&p);
        problem_close(&p);
    }
    assert_true(ran > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lstm),
        cmocka_unit_test(test_gru),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
