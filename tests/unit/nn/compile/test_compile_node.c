/* tests/unit/nn/compile/test_compile_node.c - the cases whose nodes hold graphs: read as models,
 * their inputs made constants, and all of it worked out while shapes are inferred.
 *
 * Arguments, output and exit code are those of test_ref_node. */
#include "nn/compile/compile_internal.h"
#include "nn/onnx/onnx.h"
#include "nn/ref/ref.h"
#include "nn/ref/ref_case.h"

enum { MAX_INPUTS = 16 };

/* The model's inputs become constants; `given` loses its data. */
static void fix_inputs(sq_graph *graph, squall_tensor *given, uint32_t count, ref_case *base)
{
    if (graph->input_count != count) {
        fail(base, "%u inputs; the case has %u", (unsigned)graph->input_count, (unsigned)count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        sq_value *value = &graph->values[graph->inputs[i]];
        value->type = given[i];
        value->constant = true;
        given[i] = (squall_tensor){0};
    }
    graph->input_count = 0;
}

static sq_graph *work_out(const unsigned char *model, size_t size, squall_tensor *given,
                          uint32_t count, ref_case *base)
{
    squall_error err = {0};
    sq_graph *graph = NULL;
    if (sq_onnx_read_memory(model, size, base->name, &graph, NULL, &err) != SQUALL_OK) {
        fail(base, "%s: %s: %s", squall_status_name(err.code), err.where, err.text);
        return NULL;
    }
    fix_inputs(graph, given, count, base);
    if (base->result == PASSED && sq_graph_infer(graph, sq_ref_evaluate, &err) != SQUALL_OK) {
        fail(base, "%s: %s: %s", squall_status_name(err.code), err.where, err.text);
    }
    return graph;
}

static void check_output(const sq_graph *graph, int64_t index, int64_t id,
                         const squall_tensor *want, ref_case *base)
{
    if (base->result != PASSED) {
        return;
    }
    if (!graph || index < 0 || index >= (int64_t)graph->output_count) {
        fail(base, "it has no output %d", (int)index);
        return;
    }
    const sq_value *value = &graph->values[graph->outputs[index]];
    if (!value->constant) {
        fail(base, "output %d was not worked out", (int)index);
        return;
    }
    compare(base, id, want, &value->type);
}

static bool run_case(reader *in, ref_case *base)
{
    char word[MAX_WORD], text[1024], label[MAX_WORD] = "";
    squall_tensor given[MAX_INPUTS] = {0};
    unsigned char *model = NULL;
    sq_graph *graph = NULL;
    size_t size = 0;
    uint32_t count = 0, expected = 0;
    if (!next_word(in, word)) {
        return false;
    }
    if (strcmp(word, "case") != 0 || !next_word(in, base->name) || !next_word(in, label)) {
        die("'case NAME LABEL' expected");
    }
    while (next_word(in, word) && strcmp(word, "end") != 0) {
        if (strcmp(word, "tolerance") == 0) {
            base->rtol = next_double(in);
            base->atol = next_double(in);
        } else if (strcmp(word, "model") == 0) {
            model = read_model(in, &size);
            memcpy(base->label, label, sizeof label); /* it is one of ours */
        } else if (model && strcmp(word, "tensor") == 0) {
            if (next_int(in) != count || count == MAX_INPUTS) {
                die("the inputs of a model are out of order, or too many");
            }
            given[count++] = read_tensor(in);
        } else if (model && strcmp(word, "expect") == 0) {
            const int64_t id = next_int(in);
            squall_tensor want = read_tensor(in);
            graph = graph ? graph : work_out(model, size, given, count, base);
            check_output(graph, id - (int64_t)count, id, &want, base);
            sq_tensor_free(&want);
            expected++;
        } else {
            rest_of_line(in, text, sizeof text); /* of a case of test_ref_node */
        }
    }
    if (model && expected == 0) {
        fail(base, "nothing was expected of it");
    }
    sq_graph_destroy(&graph);
    for (size_t i = 0; i < MAX_INPUTS; i++) {
        sq_tensor_free(&given[i]);
    }
    sq_free(model);
    return true;
}

int main(int argc, char **argv)
{
    return run_cases(argc, argv, run_case);
}
