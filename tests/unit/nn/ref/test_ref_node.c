/* tests/unit/nn/ref/test_ref_node.c - small networks with known outputs, run on the reference.
 *
 * Without arguments: the cases in tests/data/ref, all of which must pass. With arguments
 * `[--all] FOLDER...`: the *.cases files there; prints a table by operator and "N of M pass"
 * (--all: also why each other one does not), and exits 0 unless there were none. The format is
 * described in tests/expected/ref_case_format.py. */
#include "nn/ref/ref.h"
#include "nn/ref/ref_case.h"

#define MAX_VALUES 4096

/* A case while it is read and run: nodes run as soon as their attributes are read. */
typedef struct test_case {
    ref_case *base;
    squall_tensor values[MAX_VALUES];
    /* the node being read */
    bool pending;
    sq_op op;
    sq_attrs attrs;
    uint32_t in_count, out_count;
    int ids[SQ_MAX_INPUTS + SQ_MAX_OUTPUTS];
} test_case;

static squall_tensor *value_of(test_case *test, int64_t id)
{
    if (id < 0 || id >= MAX_VALUES) {
        die("a value's number is out of range");
    }
    return &test->values[id];
}

static void read_attr(test_case *test, reader *in)
{
    char name[MAX_WORD], kind[MAX_WORD], text[1024];
    bool ok = true;
    next_word(in, name);
    next_word(in, kind);
    if (strcmp(kind, "int") == 0) {
        ok = sq_attr_set_int(&test->attrs, name, next_int(in));
    } else if (strcmp(kind, "float") == 0) {
        ok = sq_attr_set_float(&test->attrs, name, (float)next_double(in));
    } else if (strcmp(kind, "string") == 0) {
        rest_of_line(in, text, sizeof text);
        ok = sq_attr_set_string(&test->attrs, name, text, strlen(text));
    } else if (strcmp(kind, "tensor") == 0) {
        squall_tensor tensor = read_tensor(in);
        ok = sq_attr_set_tensor(&test->attrs, name, &tensor);
    } else {
        const size_t count = (size_t)next_int(in);
        int64_t ints[256];
        float floats[256];
        if (count > 256) {
            die("a list is too long");
        }
        const bool whole = strcmp(kind, "ints") == 0;
        for (size_t i = 0; i < count; i++) {
            if (whole) {
                ints[i] = next_int(in);
            } else {
                floats[i] = (float)next_double(in);
            }
        }
        ok = whole ? sq_attr_set_ints(&test->attrs, name, ints, count)
                   : sq_attr_set_floats(&test->attrs, name, floats, count);
    }
    if (!ok) {
        die("no memory for an attribute");
    }
}

/* Run the node whose attributes have all been read. */
static void run_pending(test_case *test)
{
    if (!test->pending) {
        return;
    }
    test->pending = false;
    squall_tensor in[SQ_MAX_INPUTS] = {0}, out[SQ_MAX_OUTPUTS] = {0};
    for (uint32_t i = 0; i < test->in_count; i++) {
        if (test->ids[i] >= 0) {
            in[i] = *value_of(test, test->ids[i]);
        }
    }
    test->attrs.opset = test->base->opset;
    sq_step step = {.op = test->op,
                    .name = test->base->name,
                    .attrs = &test->attrs,
                    .in_count = test->in_count,
                    .out_count = test->out_count,
                    .in = in,
                    .out = out};
    squall_error error = {0};
    if (test->base->result == PASSED &&
        (sq_op_infer(&step, &error) != SQUALL_OK || sq_ref_evaluate(&step, &error) != SQUALL_OK)) {
        fail(test->base, "%s: %s: %s", squall_status_name(error.code), error.where, error.text);
    }
    for (uint32_t i = 0; i < test->out_count; i++) {
        const int id = test->ids[test->in_count + i];
        if (id < 0 || test->base->result != PASSED) {
            sq_free(out[i].data);
        } else {
            sq_tensor_free(value_of(test, id));
            *value_of(test, id) = out[i];
        }
    }
    sq_attrs_free(&test->attrs);
    memset(&test->attrs, 0, sizeof test->attrs);
}

static void read_node(test_case *test, reader *in)
{
    char op[MAX_WORD];
    next_word(in, op);
    test->op = sq_op_find(op);
    const int64_t in_count = next_int(in), out_count = next_int(in);
    const bool fits = in_count <= SQ_MAX_INPUTS && out_count <= SQ_MAX_OUTPUTS;
    for (int64_t i = 0; i < in_count + out_count; i++) {
        const int64_t id = next_int(in);
        if (fits) {
            test->ids[i] = (int)id;
        }
    }
    if (test->op == SQ_OP_NONE) {
        fail(test->base, "operator %s is not in the table", op);
    } else if (!fits) {
        fail(test->base, "%s has too many inputs or outputs", op);
    }
    test->in_count = fits ? (uint32_t)in_count : 0;
    test->out_count = fits ? (uint32_t)out_count : 0;
    test->pending = true;
}

static bool run_case(reader *in, ref_case *base)
{
    static test_case all;
    test_case *test = &all;
    char word[MAX_WORD];
    if (!next_word(in, word)) {
        return false;
    }
    memset(test, 0, sizeof *test);
    test->base = base;
    if (strcmp(word, "case") != 0 || !next_word(in, test->base->name) ||
        !next_word(in, test->base->label)) {
        die("'case NAME LABEL' expected");
    }
    int expected = 0;
    bool of_graphs = false;
    while (next_word(in, word) && strcmp(word, "end") != 0) {
        if (strcmp(word, "attr") == 0) {
            read_attr(test, in);
            continue;
        }
        run_pending(test);
        if (strcmp(word, "skip") == 0) {
            rest_of_line(in, test->base->why, sizeof test->base->why);
            test->base->result = SKIPPED;
        } else if (strcmp(word, "model") == 0) {
            size_t size;
            sq_free(read_model(in, &size));
            of_graphs = true;
        } else if (strcmp(word, "opset") == 0) {
            test->base->opset = (int32_t)next_int(in);
        } else if (strcmp(word, "tolerance") == 0) {
            test->base->rtol = next_double(in);
            test->base->atol = next_double(in);
        } else if (strcmp(word, "tensor") == 0) {
            squall_tensor *value = value_of(test, next_int(in));
            *value = read_tensor(in);
        } else if (strcmp(word, "node") == 0) {
            read_node(test, in);
        } else if (strcmp(word, "expect") == 0) {
            const int64_t id = next_int(in);
            squall_tensor want = read_tensor(in);
            compare(base, id, &want, value_of(test, id));
            sq_tensor_free(&want);
            expected++;
        } else {
            die("an unknown word");
        }
    }
    if (of_graphs) { /* test_compile_node runs it */
        base->label[0] = '\0';
    }
    if (expected == 0) {
        fail(test->base, "nothing was expected of it");
    }
    for (size_t i = 0; i < MAX_VALUES; i++) {
        sq_tensor_free(&test->values[i]);
    }
    return true;
}

int main(int argc, char **argv)
{
    return run_cases(argc, argv, run_case);
}
