/* tests/unit/nn/ref/ref_fixture.h - steps for the tests of the reference backend. */
#ifndef SQ_TEST_REF_FIXTURE_H
#define SQ_TEST_REF_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/ref/ref.h"

#define MAX_OPERANDS 4

/* A step with its tensors; zero it, add inputs and attributes, then infer. */
typedef struct fixture {
    sq_step step;
    sq_attrs attrs;
    squall_tensor in[MAX_OPERANDS], out[MAX_OPERANDS];
    squall_error error;
} fixture;

static inline void fixture_open(fixture *f, sq_op op, uint32_t out_count)
{
    memset(f, 0, sizeof *f);
    f->attrs.opset = 17;
    f->step = (sq_step){.op = op,
                        .name = "step",
                        .attrs = &f->attrs,
                        .out_count = out_count,
                        .in = f->in,
                        .out = f->out};
}

static inline void fixture_close(fixture *f)
{
    for (int i = 0; i < MAX_OPERANDS; i++) {
        sq_tensor_free(&f->in[i]);
        sq_tensor_free(&f->out[i]);
    }
    sq_attrs_free(&f->attrs);
}

/* Numbers that look random and are the same each time. */
static inline double seeded(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (double)(*seed >> 8) / (1 << 23) - 1;
}

static inline squall_tensor *fixture_input(fixture *f, squall_dtype dtype, uint32_t rank,
                                           const int64_t *dims)
{
    squall_tensor *tensor = &f->in[f->step.in_count++];
    assert_true(sq_tensor_make(dtype, rank, dims, tensor));
    return tensor;
}

static inline squall_tensor *fixture_floats(fixture *f, uint32_t rank, const int64_t *dims,
                                            uint32_t seed)
{
    squall_tensor *tensor = fixture_input(f, SQUALL_F32, rank, dims);
    const size_t count = squall_tensor_count(tensor);
    for (size_t i = 0; i < count; i++) {
        ((float *)tensor->data)[i] = (float)seeded(&seed);
    }
    return tensor;
}

static inline squall_tensor *fixture_ints(fixture *f, const int64_t *values, int64_t count)
{
    squall_tensor *tensor = fixture_input(f, SQUALL_I64, 1, &count);
    memcpy(tensor->data, values, (size_t)count * sizeof *values);
    return tensor;
}

static inline void fixture_infer(fixture *f)
{
    if (sq_op_infer(&f->step, &f->error) != SQUALL_OK) {
        fail_msg("%s: %s", f->error.where, f->error.text);
    }
}

static inline void fixture_evaluate(fixture *f)
{
    fixture_infer(f);
    if (sq_ref_evaluate(&f->step, &f->error) != SQUALL_OK) {
        fail_msg("%s: %s", f->error.where, f->error.text);
    }
}

static inline const float *fixture_result(const fixture *f)
{
    return f->out[0].data;
}

#endif /* SQ_TEST_REF_FIXTURE_H */
