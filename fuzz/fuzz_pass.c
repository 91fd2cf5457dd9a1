/* rooms: nn/compile nn/runtime */
/* fuzz/fuzz_pass.c - small graphs made from bytes: what the engine gives, after all passes and with
 * the kernels of this processor, must be what the graph gives node by node on the reference. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz_graph.h"
#include "nn/compile/compile_internal.h"
#include "squall/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_OUTPUTS = 4 };

/* What the graph gives node by node. */
typedef struct truth {
    squall_tensor *values; /* [value_count] */
    double largest;        /* of all numbers on the way */
    bool good;             /* all of them finite, and of a size that floats can be compared at */
} truth;

static void look(truth *all, const squall_tensor *tensor)
{
    const size_t count = squall_tensor_count(tensor);
    for (size_t i = 0; i < count; i++) {
        const double x = fabs(sq_tensor_get_double(tensor, i));
        all->good = all->good && x < 1e5; /* false for a NaN too */
        all->largest = x > all->largest ? x : all->largest;
    }
}

static void run_nodes(const sq_graph *graph, truth *all)
{
    all->values = sq_alloc(graph->value_count, sizeof *all->values);
    all->good = all->values != NULL;
    for (uint32_t v = 0; all->good && v < graph->value_count; v++) {
        if (graph->values[v].constant) {
            all->values[v] = graph->values[v].type;
            look(all, &all->values[v]);
        }
    }
    for (uint32_t i = 0; all->good && i < graph->input_count; i++) {
        squall_tensor *input = &all->values[graph->inputs[i]];
        const squall_tensor *type = &graph->values[graph->inputs[i]].type;
        all->good = sq_tensor_make(SQUALL_F32, type->rank, type->dims, input);
        for (size_t j = 0; all->good && j < squall_tensor_count(input); j++) {
            ((float *)input->data)[j] = sinf((float)(j * 7 + i));
        }
    }
    for (uint32_t n = 0; all->good && n < graph->node_count; n++) {
        const sq_node *node = &graph->nodes[n];
        squall_tensor in[SQ_MAX_INPUTS], out[SQ_MAX_OUTPUTS];
        sq_step step;
        sq_graph_step(graph, node, in, out, &step);
        for (uint32_t j = 0; j < node->in_count; j++) {
            in[j] =
                node->inputs[j] == SQ_NO_VALUE ? (squall_tensor){0} : all->values[node->inputs[j]];
        }
        all->good =
            sq_op_infer(&step, NULL) == SQUALL_OK && sq_ref_evaluate(&step, NULL) == SQUALL_OK;
        for (uint32_t j = 0; all->good && j < node->out_count; j++) {
            all->values[node->outputs[j]] = out[j];
        }
        for (uint32_t j = 0; all->good && j < node->out_count; j++) {
            look(all, &out[j]);
        }
    }
}

static void truth_free(const sq_graph *graph, truth *all)
{
    for (uint32_t v = 0; all->values != NULL && v < graph->value_count; v++) {
        if (!graph->values[v].constant) {
            sq_tensor_free(&all->values[v]);
        }
    }
    sq_free(all->values);
}

static void give_up(const char *what, const squall_error *err)
{
    fprintf(stderr, "%s: %s: %s\n", what, err->where, err->text);
    abort();
}

static void compare(const squall_tensor *want, const squall_tensor *got, double allowed)
{
    if (!sq_tensor_same_type(want, got)) {
        fprintf(stderr, "an output is of another type\n");
        abort();
    }
    for (size_t i = 0; i < squall_tensor_count(want); i++) {
        const double a = sq_tensor_get_double(want, i), b = sq_tensor_get_double(got, i);
        if (!(fabs(a - b) <= allowed)) {
            fprintf(stderr, "element %zu is %.9g, not %.9g; %.3g allowed\n", i, b, a, allowed);
            abort();
        }
    }
}

/* The engine's outputs at the batch that the truth was made for. */
static void run_engine(squall_engine *engine, const sq_graph *graph, const truth *all,
                       bool open_batch, double allowed)
{
    squall_tensor in[MAX_INPUTS], out[MAX_OUTPUTS] = {{0}};
    squall_context *context = NULL;
    squall_error err = {.code = SQUALL_OK};
    squall_status status;
    for (uint32_t i = 0; i < graph->input_count; i++) {
        in[i] = all->values[graph->inputs[i]];
    }
    status = open_batch
                 ? squall_context_create_for(engine, in, graph->input_count, 1, &context, &err)
                 : squall_context_create(engine, 0, 1, &context, &err);
    for (uint32_t k = 0; status == SQUALL_OK && k < graph->output_count; k++) {
        const squall_tensor *want = &all->values[graph->outputs[k]];
        if (!sq_tensor_make(want->dtype, want->rank, want->dims, &out[k])) {
            status = SQUALL_E_MEMORY;
        }
    }
    status = status == SQUALL_OK ? squall_context_run(context, in, graph->input_count, out,
                                                      graph->output_count, &err)
                                 : status;
    /* steps that hang on the batch make a plan for each of 1, 8 and 32 alone */
    const bool between = open_batch && context == NULL && status == SQUALL_E_SHAPE;
    if (status != SQUALL_OK && status != SQUALL_E_MEMORY && !between) {
        give_up("run", &err);
    }
    for (uint32_t k = 0; status == SQUALL_OK && k < graph->output_count; k++) {
        compare(&all->values[graph->outputs[k]], &out[k], allowed);
    }
    for (uint32_t k = 0; k < MAX_OUTPUTS; k++) {
        sq_tensor_free(&out[k]);
    }
    squall_context_destroy(&context);
}

static void check(maker *made, const truth *all)
{
    static const unsigned char hash[SQ_HASH_BYTES] = {0};
    sq_graph *graph = made->graph;
    squall_build_options options;
    squall_build_report report = {0};
    squall_error err = {.code = SQUALL_OK};
    squall_engine *engine = NULL;
    unsigned char *bytes = NULL;
    size_t size = 0;
    int64_t batch[MAX_INPUTS];
    squall_build_options_init(&options);
    options.threads = 1;
    options.dump_folder = getenv("FUZZ_DUMP"); /* to see what a finding is about */
    for (uint32_t i = 0; i < graph->input_count; i++) {
        sq_value *input = &graph->values[graph->inputs[i]];
        batch[i] = input->type.dims[0];
        if (made->open_batch) {
            input->type.dims[0] = -1;
            input->symbols[0] = sq_strdup("N");
        }
    }
    squall_status status =
        sq_compile_graph(graph, &options, true, hash, &bytes, &size, &report, NULL, &err);
    if (status == SQUALL_OK) {
        status = squall_engine_open_memory(bytes, size, "fuzz", NULL, &engine, NULL, &err);
    }
    /* what holds at one batch may not at another */
    const bool other = made->open_batch && status == SQUALL_E_SHAPE;
    if (status != SQUALL_OK && status != SQUALL_E_MEMORY && status != SQUALL_E_LIMIT && !other) {
        give_up("build", &err);
    }
    for (uint32_t i = 0; i < graph->input_count; i++) {
        graph->values[graph->inputs[i]].type.dims[0] = batch[i];
    }
    if (status == SQUALL_OK) {
        run_engine(engine, graph, all, made->open_batch,
                   made->exact ? 0 : 2e-4 * all->largest + 1e-6);
    }
    squall_engine_close(&engine);
    sq_free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    maker made;
    truth all = {.values = NULL};
    if (make_graph(&made, data, size, MAX_OUTPUTS)) {
        run_nodes(made.graph, &all);
        if (all.good) {
            check(&made, &all);
        }
        truth_free(made.graph, &all);
    }
    sq_graph_destroy(&made.graph);
    return 0;
}
