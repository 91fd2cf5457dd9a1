/* nn/op/op.c - the table of operators: names, and the one way into their shape rules. */
#include "nn/op/op.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/op/op_shape.h"

#define FIRST_OWN 1000 /* from here on operators are squall's own; no ONNX file may name them */

/* Rules by number, for the tables below. */
enum rule {
#define RULE(name, min_in, max_in, max_out) RULE_##name,
#include "nn/op/op_rules.inc"
#undef RULE
};

static const struct {
    sq_op_rule *infer;
    uint32_t min_in, max_in, max_out;
} rules[] = {
#define RULE(name, min_in, max_in, max_out) {sq_op_shape_##name, min_in, max_in, max_out},
#include "nn/op/op_rules.inc"
#undef RULE
};

static const struct {
    const char *name;
    sq_op op;
    enum rule rule;
} operators[] = {
#define OP(number, name, rule) {#name, SQ_OP_##name, RULE_##rule},
#include "nn/op/op_table.inc"
#undef OP
};
#define OPERATORS (sizeof operators / sizeof operators[0])

const char *sq_op_name(sq_op op)
{
    for (size_t i = 0; i < OPERATORS; i++) {
        if (operators[i].op == op) {
            return operators[i].name;
        }
    }
    return "(none)";
}

sq_op sq_op_find(const char *name)
{
    for (size_t i = 0; i < OPERATORS; i++) {
        if (operators[i].op < FIRST_OWN && strcmp(operators[i].name, name) == 0) {
            return operators[i].op;
        }
    }
    return SQ_OP_NONE;
}

bool sq_op_is_control(sq_op op)
{
    return op == SQ_OP_If || op == SQ_OP_Loop || op == SQ_OP_Scan;
}

squall_status sq_op_shape_control(sq_step *step, squall_error *err)
{
    return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED, "it holds graphs, which no step can");
}

const char *sq_op_where(const sq_step *step, char *text)
{
    (void)snprintf(text, SQ_OP_WHERE, "node '%.80s' (%s)", step->name ? step->name : "",
                   sq_op_name(step->op));
    return text;
}

static squall_status check_attributes(const sq_step *step, squall_error *err)
{
    static const struct {
        const char *name;
        sq_attr_kind kind;
    } kinds[] = {
#define ATTR(name, kind) {#name, kind},
#include "nn/op/op_attr_kinds.inc"
#undef ATTR
    };
    for (size_t i = 0; i < step->attrs->count; i++) {
        const sq_attr *attr = &step->attrs->items[i];
        for (size_t j = 0; j < sizeof kinds / sizeof kinds[0]; j++) {
            if (attr->kind != kinds[j].kind && strcmp(attr->name, kinds[j].name) == 0) {
                return SQ_STEP_FAIL(SQUALL_E_SHAPE, "attribute '%s' is of the wrong kind",
                                    attr->name);
            }
        }
    }
    return SQUALL_OK;
}

static squall_status check_inputs(const sq_step *step, uint32_t fewest, squall_error *err)
{
    for (uint32_t i = 0; i < step->in_count; i++) {
        const squall_tensor *in = &step->in[i];
        if (in->dtype == SQUALL_DTYPE_NONE) {
            if (i < fewest) {
                return SQ_STEP_FAIL(SQUALL_E_SHAPE, "input %" PRIu32 " is absent but must be given",
                                    i);
            }
            continue;
        }
        char text[SQ_TENSOR_TEXT];
        if (squall_dtype_size(in->dtype) == 0 || squall_tensor_count(in) == SIZE_MAX) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "input %" PRIu32 " is %s, which is no tensor", i,
                                sq_tensor_format(in, text));
        }
    }
    return SQUALL_OK;
}

squall_status sq_op_infer(sq_step *step, squall_error *err)
{
    for (size_t i = 0; i < OPERATORS; i++) {
        if (operators[i].op != step->op) {
            continue;
        }
        const uint32_t fewest = rules[operators[i].rule].min_in;
        const uint32_t most = rules[operators[i].rule].max_in;
        const uint32_t outputs = rules[operators[i].rule].max_out;
        if (step->in_count < fewest || step->in_count > most) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                                "%" PRIu32 " inputs, but it takes %" PRIu32 " to %" PRIu32,
                                step->in_count, fewest, most);
        }
        if (step->out_count < 1 || step->out_count > outputs) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%" PRIu32 " outputs, but it gives 1 to %" PRIu32,
                                step->out_count, outputs);
        }
        SQ_TRY(check_inputs(step, fewest, err));
        SQ_TRY(check_attributes(step, err));
        return rules[operators[i].rule].infer(step, err);
    }
    return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED, "operator number %d is not known", (int)step->op);
}
