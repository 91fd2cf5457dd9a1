/* nn/compile/compile_key.c - what a step, a tactic and a device are called in a file of times. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/compile/compile_tactics.h"

static void add_attr(sq_text *out, const sq_attr *attr)
{
    char hash[SQ_HASH_TEXT];
    unsigned char digest[SQ_HASH_BYTES];
    sq_text_add(out, "%s=", attr->name);
    switch (attr->kind) {
    case SQ_ATTR_INT:
        sq_text_add(out, "%" PRId64, attr->i);
        break;
    case SQ_ATTR_FLOAT:
        sq_text_add(out, "%.9g", (double)attr->f);
        break;
    case SQ_ATTR_STRING:
        sq_text_add(out, "%s", attr->string);
        break;
    case SQ_ATTR_INTS:
        for (size_t i = 0; i < attr->count; i++) {
            sq_text_add(out, "%s%" PRId64, i > 0 ? "," : "", attr->ints[i]);
        }
        break;
    case SQ_ATTR_FLOATS:
        for (size_t i = 0; i < attr->count; i++) {
            sq_text_add(out, "%s%.9g", i > 0 ? "," : "", (double)attr->floats[i]);
        }
        break;
    case SQ_ATTR_TENSOR:
        sq_hash(attr->tensor.data, squall_tensor_bytes(&attr->tensor), digest);
        sq_text_add(out, "%.16s", sq_hash_format(digest, hash));
        break;
    }
    sq_text_add(out, ";");
}

/* By name: models list them in any order. */
static void add_attrs(sq_text *out, const sq_attrs *attrs)
{
    const char *before = "";
    for (size_t n = 0; n < attrs->count; n++) {
        const sq_attr *next = NULL;
        for (size_t i = 0; i < attrs->count; i++) {
            const sq_attr *attr = &attrs->items[i];
            if ((n == 0 || strcmp(attr->name, before) > 0) &&
                (next == NULL || strcmp(attr->name, next->name) < 0)) {
                next = attr;
            }
        }
        if (next == NULL) {
            return;
        }
        add_attr(out, next);
        before = next->name;
    }
}

static void add_type(sq_text *out, const squall_tensor *type, const char *comma)
{
    static const char *const layouts[] = {"", " c16", " c8"};
    char text[SQ_TENSOR_TEXT];
    if (type->dtype == SQUALL_DTYPE_NONE) {
        sq_text_add(out, "%s-", comma);
        return;
    }
    squall_tensor plain = *type;
    plain.layout = SQUALL_PLAIN;
    sq_text_add(out, "%s%s%s%s", comma, sq_tensor_format(&plain, text),
                (size_t)type->layout < 3 ? layouts[type->layout] : " ?",
                type->data != NULL ? " const" : "");
}

bool sq_step_key(const sq_step *step, sq_text *out)
{
    sq_text_add(out, "%s.%" PRId32 "{", sq_op_name(step->op), step->attrs->opset);
    add_attrs(out, step->attrs);
    sq_text_add(out, "}(");
    for (uint32_t i = 0; i < step->in_count; i++) {
        add_type(out, &step->in[i], i > 0 ? ", " : "");
    }
    sq_text_add(out, ")->(");
    for (uint32_t i = 0; i < step->out_count; i++) {
        add_type(out, &step->out[i], i > 0 ? ", " : "");
    }
    sq_text_add(out, ")");
    return !out->failed;
}

const char *sq_tactic_key(const char *backend, const char *tactic, char *text)
{
    snprintf(text, SQ_TACTIC_KEY, "%.12s:%s", backend, tactic);
    return text;
}

const char *sq_device_key(int threads, char *text, size_t room)
{
    snprintf(text, room, "%s, %s, %d thread%s", sq_cpu_name(), sq_isa_name(sq_cpu_isa()), threads,
             threads == 1 ? "" : "s");
    return text;
}
