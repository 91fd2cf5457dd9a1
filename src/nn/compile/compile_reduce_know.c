/* nn/compile/compile_reduce_know.c - what a model's values are, kept from one run of all of it on
 * the reference kernels. */
#include <stdlib.h>
#include <string.h>

#include "nn/compile/compile_reduce.h"
#include "nn/ref/ref.h"
#include "nn/runtime/runtime.h"

static int by_name(const void *a, const void *b)
{
    return strcmp(((const sq_known *)a)->name, ((const sq_known *)b)->name);
}

sq_known *sq_knowledge_find(const sq_knowledge *knowledge, const char *name)
{
    const sq_known key = {.name = (char *)(uintptr_t)name};
    return knowledge->count > 0
               ? bsearch(&key, knowledge->items, knowledge->count, sizeof key, by_name)
               : NULL;
}

void sq_knowledge_free(sq_knowledge *knowledge)
{
    for (uint32_t i = 0; i < knowledge->count; i++) {
        sq_free(knowledge->items[i].name);
        sq_tensor_free(&knowledge->items[i].recorded);
    }
    sq_free(knowledge->items);
    *knowledge = (sq_knowledge){0};
}

/* Types of all values whose type was found, and numbers of those that are constant. */
static bool keep_types(const sq_graph *graph, sq_knowledge *out)
{
    out->items = sq_alloc(graph->value_count, sizeof *out->items);
    if (out->items == NULL) {
        return false;
    }
    for (uint32_t v = 0; v < graph->value_count; v++) {
        const sq_value *value = &graph->values[v];
        bool open = value->type.dtype == SQUALL_DTYPE_NONE;
        for (uint32_t i = 0; i < value->type.rank; i++) {
            open = open || value->type.dims[i] < 0;
        }
        if (open) {
            continue;
        }
        sq_known *item = &out->items[out->count];
        item->recorded = value->type;
        item->recorded.data = NULL;
        memcpy(item->dims, value->type.dims, sizeof item->dims);
        item->name = sq_strdup(value->name);
        if (item->name == NULL) {
            return false;
        }
        out->count++;
        if (value->type.data != NULL && !sq_tensor_copy(&value->type, &item->recorded)) {
            return false;
        }
    }
    qsort(out->items, out->count, sizeof *out->items, by_name);
    return true;
}

static squall_status keep_values(void *self, const sq_plan *plan, uint32_t index,
                                 const sq_step *step, squall_error *err)
{
    const sq_plan_step *stored = &plan->steps[index];
    for (uint32_t i = 0; i < stored->out_count; i++) {
        sq_known *item = sq_knowledge_find(self, plan->values[stored->out[i]].name);
        if (item == NULL || !sq_tensor_same_type(&item->recorded, &step->out[i])) {
            continue;
        }
        sq_tensor_free(&item->recorded);
        if (!sq_tensor_copy(&step->out[i], &item->recorded)) {
            return sq_fail(err, SQUALL_E_MEMORY, item->name, "no memory to keep it");
        }
    }
    return SQUALL_OK;
}

/* Seeded numbers: from -1 to 1, or whole ones from 0 to 3. */
static void fill_random(squall_tensor *tensor, const char *name)
{
    uint32_t seed = 2166136261u;
    for (const char *at = name; *at != '\0'; at++) {
        seed = (seed ^ (unsigned char)*at) * 16777619u;
    }
    const size_t count = squall_tensor_count(tensor), bytes = squall_dtype_size(tensor->dtype);
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        const float real = (float)(seed >> 8) / (float)(1 << 23) - 1.0f;
        const double wide = (double)real;
        const uint16_t half = sq_float_to_half(real), bf16 = sq_float_to_bf16(real);
        const uint64_t whole = tensor->dtype == SQUALL_BOOL ? seed >> 31 : seed >> 30;
        const void *from = &whole; /* the low bytes come first */
        switch (tensor->dtype) {
        case SQUALL_F32:
            from = &real;
            break;
        case SQUALL_F64:
            from = &wide;
            break;
        case SQUALL_F16:
            from = &half;
            break;
        case SQUALL_BF16:
            from = &bf16;
            break;
        default:
            break;
        }
        memcpy((unsigned char *)tensor->data + i * bytes, from, bytes);
    }
}

/* The corner of `from` that has the sizes of `out`. */
static void copy_corner(const squall_tensor *from, squall_tensor *out)
{
    const size_t count = squall_tensor_count(out), bytes = squall_dtype_size(out->dtype);
    for (size_t i = 0; i < count; i++) {
        size_t rest = i, at = 0, stride = 1;
        for (uint32_t d = out->rank; d-- > 0;) {
            at += rest % (size_t)out->dims[d] * stride;
            rest /= (size_t)out->dims[d];
            stride *= (size_t)from->dims[d];
        }
        memcpy((unsigned char *)out->data + i * bytes,
               (const unsigned char *)from->data + at * bytes, bytes);
    }
}

bool sq_knowledge_fill(const sq_knowledge *knowledge, const char *name, squall_tensor *out)
{
    const sq_known *item = sq_knowledge_find(knowledge, name);
    const squall_tensor type = *out;
    if (!sq_tensor_make(type.dtype, type.rank, type.dims, out)) {
        return false;
    }
    bool inside = item != NULL && item->recorded.data != NULL &&
                  item->recorded.dtype == type.dtype && item->recorded.rank == type.rank;
    for (uint32_t d = 0; inside && d < type.rank; d++) {
        inside = type.dims[d] <= item->recorded.dims[d];
    }
    if (inside) {
        copy_corner(&item->recorded, out);
    } else {
        fill_random(out, name);
    }
    return true;
}

static squall_status no_memory(const char *where, squall_error *err)
{
    return sq_fail(err, SQUALL_E_MEMORY, where, "no memory for what its values are");
}

/* Numbers for one input of the whole model: the caller's, or random ones. */
static squall_status take_input(const sq_value *value, const squall_tensor *given,
                                const sq_knowledge *known, squall_tensor *out, squall_error *err)
{
    sq_known *item = sq_knowledge_find(known, value->name);
    if (item == NULL) {
        return sq_fail(err, SQUALL_E_SHAPE, value->name, "its shape is not known");
    }
    if (given != NULL && !sq_tensor_same_type(given, &item->recorded)) {
        char have[SQ_TENSOR_TEXT], want[SQ_TENSOR_TEXT];
        return sq_fail(err, SQUALL_E_ARGUMENT, value->name, "the numbers are %s, the input is %s",
                       sq_tensor_format(given, have), sq_tensor_format(&item->recorded, want));
    }
    *out = item->recorded;
    out->data = NULL;
    if (!(given != NULL ? sq_tensor_copy(given, out)
                        : sq_knowledge_fill(known, value->name, out))) {
        return no_memory(value->name, err);
    }
    sq_tensor_free(&item->recorded);
    return sq_tensor_copy(out, &item->recorded) ? SQUALL_OK : no_memory(value->name, err);
}

/* Run the graph, whose shapes are known, and keep what comes by. */
static squall_status run(const sq_graph *graph, const squall_reduce_options *options,
                         const squall_tensor *inputs, sq_knowledge *out, squall_error *err)
{
    squall_status status;
    squall_build_options want;
    squall_build_report report = {0};
    const unsigned char hash[SQ_HASH_BYTES] = {0};
    unsigned char *bytes = NULL;
    size_t size = 0;
    squall_engine *engine = NULL;
    squall_context *context = NULL;
    squall_tensor *outputs = sq_alloc(graph->output_count, sizeof *outputs);
    if (outputs == NULL) {
        return no_memory(graph->name, err);
    }
    squall_build_options_init(&want);
    want.device = "ref";
    want.threads = options->threads;
    SQ_TRY_GOTO(sq_compile_read_options(&want, &want, err));
    SQ_TRY_GOTO(sq_compile_graph(graph, &want, false, hash, &bytes, &size, &report, NULL, err));
    SQ_TRY_GOTO(
        squall_engine_open_memory(bytes, size, "the model on ref", NULL, &engine, NULL, err));
    SQ_TRY_GOTO(squall_context_create(engine, 0, options->threads, &context, err));
    for (uint32_t k = 0; k < graph->output_count; k++) {
        SQ_TRY_GOTO(squall_context_output(context, k, &outputs[k], err));
        outputs[k].data = sq_alloc(squall_tensor_bytes(&outputs[k]), 1);
        if (outputs[k].data == NULL) {
            status = no_memory(graph->name, err);
            goto done;
        }
    }
    status = sq_runtime_run_tapped(context, inputs, graph->input_count, outputs,
                                   graph->output_count, keep_values, out, err);
done:
    for (uint32_t k = 0; k < graph->output_count; k++) {
        sq_tensor_free(&outputs[k]);
    }
    sq_free(outputs);
    squall_context_destroy(&context);
    squall_engine_close(&engine);
    sq_free(bytes);
    return status;
}

/* Concrete shapes for the inputs, as for a build. */
static squall_status set_shapes(sq_graph *graph, const squall_reduce_options *options,
                                squall_error *err)
{
    squall_build_options want;
    squall_build_options_init(&want);
    want.shapes = options->shapes;
    want.shape_count = options->shape_count;
    return sq_compile_set_shapes(graph, &want, 0, SQ_BATCH_PLANNED, err);
}

/* What can be known of a graph; `inputs` has room for its inputs. */
static squall_status know_graph(sq_graph *graph, const squall_reduce_options *options,
                                squall_tensor *inputs, sq_knowledge *out, squall_error *err)
{
    SQ_TRY(set_shapes(graph, options, err));
    const squall_status inferred = sq_graph_infer(graph, sq_ref_evaluate, err);
    if (!keep_types(graph, out)) {
        return no_memory(graph->name, err);
    }
    SQ_TRY(inferred);
    for (uint32_t i = 0; i < graph->input_count; i++) {
        SQ_TRY(take_input(&graph->values[graph->inputs[i]],
                          i < options->input_count ? &options->inputs[i] : NULL, out, &inputs[i],
                          err));
    }
    return run(graph, options, inputs, out, err);
}

squall_status sq_know(const char *model_path, const squall_reduce_options *options,
                      sq_knowledge *out, squall_error *err)
{
    squall_error problem = {.code = SQUALL_OK};
    sq_graph *graph = NULL;
    squall_tensor *inputs = NULL;
    *out = (sq_knowledge){0};
    squall_status status = sq_onnx_read(model_path, &graph, NULL, &problem);
    const uint32_t count = status == SQUALL_OK ? graph->input_count : 0;
    if (status == SQUALL_OK) {
        inputs = sq_alloc(count, sizeof *inputs);
        status = inputs != NULL ? know_graph(graph, options, inputs, out, &problem)
                                : no_memory(model_path, &problem);
    }
    for (uint32_t i = 0; i < count && inputs != NULL; i++) {
        sq_tensor_free(&inputs[i]);
    }
    sq_free(inputs);
    sq_graph_destroy(&graph);
    const bool asked = status == SQUALL_E_SHAPE && out->count == 0 && options->message == NULL;
    if (status == SQUALL_E_MEMORY || status == SQUALL_E_ARGUMENT || asked) {
        return sq_fail(err, status, problem.where, "%s", problem.text);
    }
    return SQUALL_OK; /* less is known of a model that cannot be read or run */
}

bool sq_has_shapes(const unsigned char *bytes, size_t size)
{
    sq_graph *graph = NULL;
    squall_error problem;
    const bool has =
        sq_onnx_read_memory(bytes, size, "the model", &graph, NULL, &problem) == SQUALL_OK &&
        sq_graph_infer(graph, sq_ref_evaluate, &problem) == SQUALL_OK;
    sq_graph_destroy(&graph);
    return has;
}
