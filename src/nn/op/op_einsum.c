/* nn/op/op_einsum.c - the equation of an Einsum, read. */
#include <inttypes.h>
#include <string.h>

#include "nn/op/op_shape.h"

#define LABELS 128 /* letters by their code */

enum { LABEL_END = 0, LABEL_BAD = -1, LABEL_DOTS = '.' };

/* The equation while it is read: axes 0..dots-1 are those of "...", then come letters as they are
 * met. */
typedef struct equation {
    int axis_of[LABELS]; /* -1: not met yet */
    uint32_t met[LABELS];
    uint32_t dots; /* the most dimensions that "..." stands for in any operand */
    uint32_t axes;
    int64_t size[SQ_EINSUM_AXES];
    int64_t stride[SQ_MAX_INPUTS][SQ_EINSUM_AXES];
} equation;

static squall_status malformed(const sq_step *step, squall_error *err)
{
    return SQ_STEP_FAIL(SQUALL_E_SHAPE, "equation '%.60s' is malformed or does not fit its inputs",
                        sq_attr_string(step->attrs, "equation", ""));
}

/* The letter at `*at`, or one of the marks above. */
static int next_label(const char **at)
{
    while (**at == ' ') {
        (*at)++;
    }
    const char c = **at;
    if (c == '\0' || c == ',' || (c == '-' && (*at)[1] == '>')) {
        return LABEL_END;
    }
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        (*at)++;
        return c;
    }
    if (strncmp(*at, "...", 3) == 0) {
        *at += 3;
        return LABEL_DOTS;
    }
    return LABEL_BAD;
}

/* How many dimensions "..." stands for in operand `in`, whose letters begin at `at`; -1 when they
 * do not fit. */
static int64_t count_dots(const char *at, const squall_tensor *in)
{
    int64_t letters = 0;
    bool has_dots = false;
    for (int label; (label = next_label(&at)) != LABEL_END;) {
        if (label == LABEL_BAD || (label == LABEL_DOTS && has_dots)) {
            return -1;
        }
        has_dots = has_dots || label == LABEL_DOTS;
        letters += label != LABEL_DOTS;
    }
    if (letters > (int64_t)in->rank || (!has_dots && letters != (int64_t)in->rank)) {
        return -1;
    }
    return (int64_t)in->rank - letters;
}

/* Behind the operand at `at`, and the comma that parts it from the next. */
static const char *next_operand(const char *at)
{
    while (next_label(&at) > LABEL_END) {
    }
    return *at == ',' ? at + 1 : at;
}

/* One dimension of operand `k` lies along `axis`. */
static bool put_dimension(equation *eq, uint32_t k, uint32_t axis, int64_t size, int64_t stride)
{
    if (size != 1 && eq->size[axis] != 1 && eq->size[axis] != size) {
        return false;
    }
    if (size != 1) {
        eq->size[axis] = size;
        eq->stride[k][axis] += stride; /* a letter twice in one operand: its diagonal */
    }
    return true;
}

/* The axis of a letter, a new one where it is met first; -1 when there are too many. */
static int find_axis(equation *eq, int label)
{
    eq->met[label]++;
    if (eq->axis_of[label] < 0 && eq->axes < SQ_EINSUM_AXES) {
        eq->axis_of[label] = (int)eq->axes;
        eq->size[eq->axes++] = 1;
    }
    return eq->axis_of[label];
}

static squall_status read_operand(const sq_step *step, equation *eq, uint32_t k, const char *at,
                                  squall_error *err)
{
    const squall_tensor *in = &step->in[k];
    const uint32_t dots = (uint32_t)count_dots(at, in); /* it was checked before */
    int64_t strides[SQUALL_MAX_DIMS] = {0}, next = 1;
    for (uint32_t i = in->rank; i-- > 0;) {
        strides[i] = next;
        next *= in->dims[i] > 0 ? in->dims[i] : 1;
    }
    uint32_t dim = 0;
    for (int label; (label = next_label(&at)) != LABEL_END;) {
        const uint32_t count = label == LABEL_DOTS ? dots : 1;
        for (uint32_t i = 0; i < count; i++, dim++) {
            const int axis =
                label == LABEL_DOTS ? (int)(eq->dots - dots + i) : find_axis(eq, label);
            if (axis < 0 || !put_dimension(eq, k, (uint32_t)axis, in->dims[dim], strides[dim])) {
                return malformed(step, err);
            }
        }
    }
    return SQUALL_OK;
}

/* Axis `axis` of the equation becomes the next of the result. */
static bool take_axis(const equation *eq, uint32_t operands, uint32_t axis, bool *taken,
                      sq_einsum *out)
{
    if (taken[axis] || out->axes == SQ_EINSUM_AXES) {
        return false;
    }
    taken[axis] = true;
    out->dims[out->axes] = eq->size[axis];
    for (uint32_t k = 0; k < operands; k++) {
        out->stride[k][out->axes] = eq->stride[k][axis];
    }
    out->axes++;
    return true;
}

/* What stands behind "->", or, without it, "..." and the letters met once, by the alphabet. */
static bool read_output(const equation *eq, uint32_t operands, const char *at, bool *taken,
                        sq_einsum *out)
{
    bool fits = true;
    if (strncmp(at, "->", 2) != 0) {
        for (uint32_t i = 0; fits && i < eq->dots; i++) {
            fits = take_axis(eq, operands, i, taken, out);
        }
        for (int label = 0; fits && label < LABELS; label++) {
            fits = eq->met[label] != 1 ||
                   take_axis(eq, operands, (uint32_t)eq->axis_of[label], taken, out);
        }
        return fits && *at == '\0';
    }
    at += 2;
    for (int label; fits && (label = next_label(&at)) != LABEL_END;) {
        for (uint32_t i = 0; label == LABEL_DOTS && fits && i < eq->dots; i++) {
            fits = take_axis(eq, operands, i, taken, out);
        }
        if (label != LABEL_DOTS) {
            fits = label != LABEL_BAD && eq->axis_of[label] >= 0 &&
                   take_axis(eq, operands, (uint32_t)eq->axis_of[label], taken, out);
        }
    }
    return fits && *at == '\0';
}

squall_status sq_op_einsum(const sq_step *step, sq_einsum *out, squall_error *err)
{
    const char *at = sq_attr_string(step->attrs, "equation", "");
    equation eq = {0};
    memset(eq.axis_of, -1, sizeof eq.axis_of);
    const char *operand = at;
    for (uint32_t k = 0; k < step->in_count; k++) {
        const int64_t dots = count_dots(operand, &step->in[k]);
        if (dots < 0) {
            return malformed(step, err);
        }
        eq.dots = (uint32_t)dots > eq.dots ? (uint32_t)dots : eq.dots;
        const char *next = next_operand(operand);
        const bool more = next > operand && next[-1] == ',';
        if (more != (k + 1 < step->in_count)) {
            return malformed(step, err);
        }
        operand = next;
    }
    for (uint32_t i = 0; i < eq.dots; i++) {
        eq.size[i] = 1;
    }
    eq.axes = eq.dots;
    for (uint32_t k = 0; k < step->in_count; k++, at = next_operand(at)) {
        SQ_TRY(read_operand(step, &eq, k, at, err));
    }
    bool taken[SQ_EINSUM_AXES] = {false};
    *out = (sq_einsum){0};
    if (!read_output(&eq, step->in_count, at, taken, out)) {
        return malformed(step, err);
    }
    out->out_rank = out->axes;
    for (uint32_t i = 0; i < eq.axes; i++) {
        if (!taken[i] && !take_axis(&eq, step->in_count, i, taken, out)) {
            return malformed(step, err);
        }
    }
    return SQUALL_OK;
}

squall_status sq_op_shape_einsum(sq_step *step, squall_error *err)
{
    sq_einsum sums;
    for (uint32_t i = 1; i < step->in_count; i++) {
        SQ_TRY(sq_op_need_same_type(step, 0, i, err));
    }
    SQ_TRY(sq_op_einsum(step, &sums, err));
    return sq_op_set(step, 0, step->in[0].dtype, sums.out_rank, sums.dims, err);
}
