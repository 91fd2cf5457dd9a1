/* nn/ref/ref_backend.c - the face of the room: the table of operators, and how a step is run. */
#include "nn/ref/ref.h"

#include <stdio.h>
#include <string.h>

#include "nn/ref/ref_ops.h"

#define TACTIC_NAME "ref"

/* Which types input 0 may have. */
enum { TYPE_F = 1, TYPE_I = 2, TYPE_B = 4, TYPE_N = TYPE_F | TYPE_I, TYPE_A = TYPE_N | TYPE_B };

typedef struct ref_row {
    sq_ref_run_fn *run;
    sq_ref_scratch_fn *scratch;
    unsigned types;
} ref_row;

/* By operator number; a test holds that none is missing. */
static const ref_row rows[] = {
#define REF(op, run_fn, scratch_fn, type_set) \
    [SQ_OP_##op] = {.run = (run_fn), .scratch = (scratch_fn), .types = TYPE_##type_set},
#include "nn/ref/ref_ops.inc"
#undef REF
};

static const ref_row *row_find(sq_op op)
{
    const size_t index = (size_t)op;
    if (index >= sizeof rows / sizeof rows[0] || !rows[index].run) {
        return NULL;
    }
    return &rows[index];
}

size_t sq_ref_scratch_none(const sq_step *step, int threads)
{
    (void)step;
    (void)threads;
    return 0;
}

static unsigned type_class(squall_dtype dtype)
{
    if (dtype == SQUALL_BOOL) {
        return TYPE_B;
    }
    if (sq_ref_is_float(dtype)) {
        return TYPE_F;
    }
    return squall_dtype_size(dtype) > 0 ? TYPE_I : 0;
}

static squall_layout wanted_layout(const sq_step *step, bool output)
{
    if (step->op != SQ_OP_SqReorder) {
        return SQUALL_PLAIN;
    }
    if (!output) {
        return step->in[0].layout;
    }
    return (squall_layout)sq_attr_int(step->attrs, "sq_layout", SQUALL_PLAIN);
}

/* Whether a tensor's size is known and can be counted, in the layout that it will have. */
static bool countable(const squall_tensor *tensor, squall_layout layout)
{
    squall_tensor typed = *tensor;
    typed.layout = layout;
    return tensor->dtype == SQUALL_DTYPE_NONE || squall_tensor_bytes(&typed) != SIZE_MAX;
}

static bool explain(sq_reason *why, const sq_step *step, const char *text)
{
    (void)snprintf(why->text, sizeof why->text, "%s %s", sq_op_name(step->op), text);
    return false;
}

static bool supports(const sq_step *step, sq_reason *why)
{
    const ref_row *row = row_find(step->op);
    if (!row) {
        return explain(why, step, "is not an operator of the reference backend");
    }
    if (step->in_count > SQ_MAX_INPUTS || step->out_count > SQ_MAX_OUTPUTS) {
        return explain(why, step, "has more inputs or outputs than a step can have");
    }
    if (step->in_count > 0 && (type_class(step->in[0].dtype) & row->types) == 0) {
        (void)snprintf(why->text, sizeof why->text, "%s does not take %s", sq_op_name(step->op),
                       squall_dtype_name(step->in[0].dtype));
        return false;
    }
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (!countable(&step->in[i], wanted_layout(step, false))) {
            return explain(why, step, "has an input that is too large to count");
        }
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        if (!countable(&step->out[i], wanted_layout(step, true))) {
            return explain(why, step, "has an output that is too large to count");
        }
    }
    return true;
}

/* Element by element and from input 0 alone, or from inputs read before the same output: then the
 * output may lie where input 0 was. */
static bool can_be_in_place(const sq_step *step, const ref_row *row)
{
    if (step->in_count == 0 || step->out_count != 1) {
        return false;
    }
    if (row->run != sq_ref_unary && row->run != sq_ref_fold && row->run != sq_ref_clip &&
        row->run != sq_ref_reshape) {
        return false;
    }
    return step->in[0].dtype == step->out[0].dtype &&
           squall_tensor_count(&step->in[0]) == squall_tensor_count(&step->out[0]);
}

static bool fill_tactic(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    if (!supports(step, why)) {
        return false;
    }
    const ref_row *row = row_find(step->op);
    *out = (sq_tactic){.name = TACTIC_NAME, .in_place = -1};
    for (uint32_t i = 0; i < step->in_count; i++) {
        out->in_layout[i] = (uint8_t)wanted_layout(step, false);
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        out->out_layout[i] = (uint8_t)wanted_layout(step, true);
    }
    out->scratch_bytes = row->scratch(step, threads > 0 ? threads : 1);
    if (out->scratch_bytes > SQ_LIMIT_ARENA_BYTES) {
        return explain(why, step, "would need more scratch memory than a context may have");
    }
    if (can_be_in_place(step, row)) {
        out->in_place = 0;
    }
    /* a multiply-accumulate in double takes about half a nanosecond, an element moved one */
    out->cost = 0.5e-9 * (double)sq_op_macs(step);
    if (step->out_count > 0) {
        out->cost += 1e-9 * (double)squall_tensor_count(&step->out[0]);
    }
    return true;
}

static size_t ref_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    return fill_tactic(step, threads, out, why) ? 1 : 0;
}

static squall_status ref_pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                              squall_error *err)
{
    (void)step;
    (void)tactic;
    (void)packed;
    (void)err;
    return SQUALL_OK; /* the reference reads constants as they are */
}

static squall_status ref_restore(const sq_step *step, const char *name, int threads, sq_tactic *out,
                                 squall_error *err)
{
    if (strcmp(name, TACTIC_NAME) != 0) {
        return sq_fail(err, SQUALL_E_MISMATCH, step->name,
                       "the reference backend has no tactic '%s', only '" TACTIC_NAME "'", name);
    }
    sq_reason why;
    if (!fill_tactic(step, threads, out, &why)) {
        return sq_fail(err, SQUALL_E_MISMATCH, step->name, "%s", why.text);
    }
    return SQUALL_OK;
}

static squall_status ref_bind(const sq_step *step, const sq_tactic *tactic, int threads,
                              void *state, squall_error *err)
{
    (void)step;
    (void)tactic;
    (void)threads;
    (void)state;
    (void)err;
    return SQUALL_OK; /* what attributes say is read at each run: it costs less than the step */
}

static bool same_shape(const squall_tensor *a, const squall_tensor *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0;
}

/* The outputs' types must be those that the inputs' values give now: sizes that are data (a Slice's
 * ends) could otherwise lead outside the memory planned. */
static squall_status check_outputs(const sq_step *step, squall_error *err)
{
    squall_tensor out[SQ_MAX_OUTPUTS] = {0};
    for (uint32_t i = 0; i < step->out_count; i++) {
        out[i].dtype = step->out[i].dtype;
        out[i].layout = step->out[i].layout;
        out[i].rank = step->out[i].rank;
        memcpy(out[i].dims, step->out[i].dims, sizeof out[i].dims);
    }
    sq_step inferred = *step;
    inferred.out = out;
    SQ_TRY(sq_op_infer(&inferred, err));
    for (uint32_t i = 0; i < step->out_count; i++) {
        if (step->out[i].dtype != SQUALL_DTYPE_NONE && !same_shape(&out[i], &step->out[i])) {
            char now[SQ_TENSOR_TEXT], planned[SQ_TENSOR_TEXT];
            return sq_fail(err, SQUALL_E_SHAPE, step->name, "output %u becomes %s; %s was planned",
                           (unsigned)i, sq_tensor_format(&out[i], now),
                           sq_tensor_format(&step->out[i], planned));
        }
    }
    return SQUALL_OK;
}

static squall_status run_checked(const sq_call *call, squall_error *err)
{
    SQ_TRY(check_outputs(call->step, err));
    return row_find(call->step->op)->run(call, err);
}

static squall_status ref_run(const sq_call *call)
{
    return run_checked(call, NULL);
}

static squall_status (*ref_runner(const sq_step *step, const sq_tactic *tactic))(const sq_call *)
{
    (void)step;
    (void)tactic;
    return ref_run;
}

const sq_backend sq_ref_backend = {.id = SQ_BACKEND_REF,
                                   .name = "ref",
                                   .tactics = ref_tactics,
                                   .pack = ref_pack,
                                   .restore = ref_restore,
                                   .bind = ref_bind,
                                   .runner = ref_runner};

squall_status sq_ref_evaluate(sq_step *step, squall_error *err)
{
    squall_status status = SQUALL_OK;
    void *scratch = NULL;
    for (uint32_t i = 0; i < step->out_count; i++) {
        step->out[i].data = NULL;
    }
    sq_tactic tactic;
    sq_reason why;
    if (!fill_tactic(step, 1, &tactic, &why)) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, step->name, "%s", why.text);
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        squall_tensor *out = &step->out[i];
        if (out->dtype == SQUALL_DTYPE_NONE) {
            continue;
        }
        out->layout = (squall_layout)tactic.out_layout[i];
        out->data = sq_alloc(squall_tensor_bytes(out), 1);
        if (!out->data) {
            char type[SQ_TENSOR_TEXT];
            status = sq_fail(err, SQUALL_E_MEMORY, step->name, "no memory for an output, %s",
                             sq_tensor_format(out, type));
            goto done;
        }
    }
    scratch = sq_alloc_raw(tactic.scratch_bytes, 1);
    if (!scratch) {
        status = sq_fail(err, SQUALL_E_MEMORY, step->name, "no memory for %zu bytes of scratch",
                         tactic.scratch_bytes);
        goto done;
    }
    const sq_call call = {.step = step, .scratch = scratch};
    status = run_checked(&call, err);

done:
    sq_free(scratch);
    for (uint32_t i = 0; status != SQUALL_OK && i < step->out_count; i++) {
        sq_free(step->out[i].data);
        step->out[i].data = NULL;
    }
    return status;
}
