/* nn/compile/compile_compare.c - an engine beside its model on the reference kernels: every layer
 * of one run against the same of the other. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/compile/compile_compare.h"
#include "nn/onnx/onnx.h"
#include "nn/ref/ref.h"

/* What an exact input counts as: about what float32 can hold. */
static const double exact_db = 150.0;

static squall_status no_memory(const squall_comparison *c, squall_error *err)
{
    return sq_fail(err, SQUALL_E_MEMORY, c->engine->file.name, "no memory to compare it");
}

squall_status sq_compare_graph(sq_graph *graph, squall_engine *engine, int32_t threads,
                               squall_comparison **out, squall_error *err)
{
    const sq_plan *plan = &engine->plans[0];
    squall_comparison *c = sq_alloc(1, sizeof *c);
    squall_status status = SQUALL_OK;
    if (c == NULL) {
        sq_graph_destroy(&graph);
        return sq_fail(err, SQUALL_E_MEMORY, engine->file.name, "no memory to compare it");
    }
    c->engine = engine;
    c->threads = threads;
    c->graph = graph;
    c->output_count = plan->output_count;
    if (graph->input_count != plan->input_count || graph->output_count != c->output_count) {
        status =
            sq_fail(err, SQUALL_E_MISMATCH, graph->name,
                    "has %" PRIu32 " inputs and %" PRIu32 " outputs, the engine %" PRIu32
                    " and %" PRIu32 "; compare it with the model that it was built from",
                    graph->input_count, graph->output_count, plan->input_count, c->output_count);
        goto done;
    }
    c->outputs = sq_alloc(c->output_count, sizeof *c->outputs);
    c->engine_outputs = sq_alloc(c->output_count, sizeof *c->engine_outputs);
    c->model_outputs = sq_alloc(c->output_count, sizeof *c->model_outputs);
    c->my_outputs = sq_alloc(c->output_count, sizeof *c->my_outputs);
    c->their_outputs = sq_alloc(c->output_count, sizeof *c->their_outputs);
    if (c->outputs == NULL || c->engine_outputs == NULL || c->model_outputs == NULL ||
        c->my_outputs == NULL || c->their_outputs == NULL) {
        status = no_memory(c, err);
        goto done;
    }
    *out = c;
    return SQUALL_OK;
done:
    squall_comparison_destroy(&c);
    return status;
}

squall_status squall_comparison_create(const char *model_path, squall_engine *engine,
                                       int32_t threads, squall_comparison **out,
                                       squall_notes *notes, squall_error *err)
{
    sq_graph *graph = NULL;
    SQ_TRY(sq_onnx_read(model_path, &graph, notes, err));
    return sq_compare_graph(graph, engine, threads, out, err);
}

static void drop_values(squall_comparison *c)
{
    for (uint32_t v = 0; c->values != NULL && v < c->value_count; v++) {
        sq_tensor_free(&c->values[v]);
    }
}

/* Everything that the first sample made. */
static void unprepare(squall_comparison *c)
{
    squall_context_destroy(&c->mine);
    squall_context_destroy(&c->theirs);
    squall_engine_close(&c->reference);
    sq_free(c->reference_bytes);
    c->reference_bytes = NULL;
    for (uint32_t k = 0; k < c->output_count; k++) {
        if (c->my_outputs != NULL) {
            sq_tensor_free(&c->my_outputs[k]);
        }
        if (c->their_outputs != NULL) {
            sq_tensor_free(&c->their_outputs[k]);
        }
    }
    drop_values(c);
    sq_free(c->values);
    sq_free(c->layers);
    c->values = NULL;
    c->layers = NULL;
}

void squall_comparison_destroy(squall_comparison **comparison)
{
    if (comparison == NULL || *comparison == NULL) {
        return;
    }
    squall_comparison *c = *comparison;
    unprepare(c);
    sq_graph_destroy(&c->graph);
    sq_free(c->my_outputs);
    sq_free(c->their_outputs);
    sq_free(c->outputs);
    sq_free(c->engine_outputs);
    sq_free(c->model_outputs);
    sq_free(c);
    *comparison = NULL;
}

/* The model as it was written, on ref, for the shapes of the first sample. */
static squall_status build_reference(squall_comparison *c, const squall_tensor *inputs,
                                     squall_error *err)
{
    squall_build_options options, want;
    squall_build_report report = {0};
    const unsigned char hash[SQ_HASH_BYTES] = {0};
    size_t size = 0;
    squall_input_shape *shapes = sq_alloc(c->graph->input_count, sizeof *shapes);
    if (shapes == NULL) {
        return no_memory(c, err);
    }
    for (uint32_t i = 0; i < c->graph->input_count; i++) {
        shapes[i].name = c->graph->values[c->graph->inputs[i]].name;
        shapes[i].rank = inputs[i].rank;
        memcpy(shapes[i].dims, inputs[i].dims, sizeof shapes[i].dims);
    }
    squall_build_options_init(&options);
    options.device = "ref";
    options.threads = c->threads;
    options.shapes = shapes;
    options.shape_count = c->graph->input_count;
    squall_status status = sq_compile_read_options(&options, &want, err);
    if (status == SQUALL_OK) {
        status = sq_compile_graph(c->graph, &want, false, hash, &c->reference_bytes, &size, &report,
                                  NULL, err);
    }
    sq_free(shapes);
    SQ_TRY(status);
    return squall_engine_open_memory(c->reference_bytes, size, "the model on ref", NULL,
                                     &c->reference, NULL, err);
}

static squall_status make_outputs(squall_comparison *c, const squall_context *context,
                                  squall_tensor *outputs, squall_error *err)
{
    for (uint32_t k = 0; k < c->output_count; k++) {
        SQ_TRY(squall_context_output(context, k, &outputs[k], err));
        outputs[k].data = sq_alloc(squall_tensor_bytes(&outputs[k]), 1);
        if (outputs[k].data == NULL) {
            return no_memory(c, err);
        }
    }
    return SQUALL_OK;
}

static squall_status prepare(squall_comparison *c, const squall_tensor *inputs, size_t input_count,
                             squall_error *err)
{
    SQ_TRY(squall_context_create_for(c->engine, inputs, input_count, c->threads, &c->theirs, err));
    SQ_TRY(build_reference(c, inputs, err));
    SQ_TRY(squall_context_create(c->reference, 0, c->threads, &c->mine, err));
    SQ_TRY(make_outputs(c, c->mine, c->my_outputs, err));
    SQ_TRY(make_outputs(c, c->theirs, c->their_outputs, err));
    c->reference_plan = &c->reference->plans[0];
    c->value_count = c->reference_plan->value_count;
    c->values = sq_alloc(c->value_count, sizeof *c->values);
    c->layers = sq_alloc(c->plan->step_count, sizeof *c->layers);
    return c->values != NULL && c->layers != NULL ? SQUALL_OK : no_memory(c, err);
}

/* Whether the engine has a step that gives a value of this name. */
static bool is_wanted(const squall_comparison *c, const char *name)
{
    for (uint32_t v = 0; v < c->plan->value_count; v++) {
        if (strcmp(c->plan->values[v].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Of the model's run: keep what the engine has too. */
static squall_status keep_values(void *self, const sq_plan *plan, uint32_t index,
                                 const sq_step *step, squall_error *err)
{
    squall_comparison *c = self;
    const sq_plan_step *stored = &plan->steps[index];
    for (uint32_t i = 0; i < stored->out_count; i++) {
        const uint32_t v = stored->out[i];
        if (step->out[i].dtype == SQUALL_DTYPE_NONE || !is_wanted(c, plan->values[v].name)) {
            continue;
        }
        sq_tensor_free(&c->values[v]);
        if (!sq_tensor_copy(&step->out[i], &c->values[v])) {
            return no_memory(c, err);
        }
    }
    return SQUALL_OK;
}

/* The model's value of a name, or NULL. */
static const squall_tensor *find_value(const squall_comparison *c, const char *name)
{
    for (uint32_t v = 0; v < c->value_count; v++) {
        if (c->values[v].data != NULL && strcmp(c->reference_plan->values[v].name, name) == 0) {
            return &c->values[v];
        }
    }
    return NULL;
}

/* A tensor in plain layout; `*made` is given when it had another. */
static squall_status make_plain(const squall_tensor *tensor, squall_tensor *made, squall_error *err)
{
    sq_attrs attrs = {.opset = 17};
    *made = *tensor;
    if (tensor->layout == SQUALL_PLAIN) {
        return SQUALL_OK;
    }
    made->layout = SQUALL_PLAIN;
    made->data = NULL;
    sq_step step = {.op = SQ_OP_SqReorder,
                    .name = "compare",
                    .attrs = &attrs,
                    .in_count = 1,
                    .out_count = 1,
                    .in = tensor,
                    .out = made};
    squall_status status = SQUALL_E_MEMORY;
    if (sq_attr_set_int(&attrs, "sq_layout", SQUALL_PLAIN)) {
        status = sq_ref_evaluate(&step, err);
    } else {
        (void)sq_fail(err, SQUALL_E_MEMORY, "compare", "no memory");
    }
    sq_attrs_free(&attrs);
    return status;
}

/* The same sizes, and the same type or float32 that the engine keeps in 16 bits. */
static bool comparable(const squall_tensor *got, const squall_tensor *want)
{
    squall_tensor same = *got;
    if (want->dtype == SQUALL_F32 && (got->dtype == SQUALL_F16 || got->dtype == SQUALL_BF16)) {
        same.dtype = want->dtype;
    }
    return sq_tensor_same_type(&same, want);
}

static void add_layer(squall_comparison *c, uint32_t at, const squall_tensor *got,
                      const squall_tensor *want)
{
    const size_t count = squall_tensor_count(want);
    for (size_t i = 0; i < count; i++) {
        const double right = sq_compare_element(want, i),
                     difference = sq_compare_apart(sq_compare_element(got, i), right);
        c->layers[at].signal += isfinite(right) ? right * right : 0.0;
        c->layers[at].noise += difference * difference;
    }
    c->layers[at].seen = true;
}

/* Of the engine's run: each step against the model's value of the same name. Layers have the order
 * of the steps, in every sample. */
static squall_status look_at_step(void *self, const sq_plan *plan, uint32_t index,
                                  const sq_step *step, squall_error *err)
{
    squall_comparison *c = self;
    const sq_plan_step *stored = &plan->steps[index];
    if (stored->op == SQ_OP_SqReorder || step->out[0].dtype == SQUALL_DTYPE_NONE) {
        return SQUALL_OK;
    }
    const squall_tensor *want = find_value(c, plan->values[stored->out[0]].name);
    squall_tensor plain;
    if (want == NULL) {
        return SQUALL_OK;
    }
    SQ_TRY(make_plain(&step->out[0], &plain, err));
    if (comparable(&plain, want)) {
        uint32_t at = 0;
        while (at < c->layer_count && c->layers[at].step != index) {
            at++;
        }
        if (at == c->layer_count) {
            c->layers[c->layer_count++] =
                (sq_compared_layer){.step = index, .value = stored->out[0]};
        }
        add_layer(c, at, &plain, want);
    }
    if (plain.data != step->out[0].data) {
        sq_free(plain.data);
    }
    return SQUALL_OK;
}

squall_status squall_comparison_add(squall_comparison *c, const squall_tensor *inputs,
                                    size_t input_count, squall_error *err)
{
    if (c->theirs == NULL) {
        size_t profile;
        SQ_TRY(squall_engine_find_profile(c->engine, inputs, input_count, &profile, err));
        c->plan = &c->engine->plans[profile];
        const squall_status status = prepare(c, inputs, input_count, err);
        if (status != SQUALL_OK) {
            unprepare(c);
            return status;
        }
    }
    drop_values(c);
    SQ_TRY(sq_runtime_run_tapped(c->mine, inputs, input_count, c->my_outputs, c->output_count,
                                 keep_values, c, err));
    SQ_TRY(sq_runtime_run_tapped(c->theirs, inputs, input_count, c->their_outputs, c->output_count,
                                 look_at_step, c, err));
    c->samples++;
    return sq_compare_add_outputs(c, err);
}

size_t squall_comparison_layer_count(const squall_comparison *c)
{
    return c->layer_count;
}

/* The SNR of what a step reads, through reorders and views, at most `exact_db`. */
static double input_db(const squall_comparison *c, const sq_plan_step *step)
{
    double least = exact_db;
    for (uint32_t i = 0; i < step->in_count; i++) {
        uint32_t value = step->in[i];
        for (uint32_t s = c->plan->step_count; s-- > 0;) { /* back to what is a layer */
            const sq_plan_step *maker = &c->plan->steps[s];
            if (maker->out[0] == value &&
                (maker->backend == SQ_PLAN_VIEW || maker->op == SQ_OP_SqReorder)) {
                value = maker->in[0];
            }
        }
        for (uint32_t l = 0; l < c->layer_count; l++) {
            if (c->layers[l].value == value) {
                least = fmin(least, sq_compare_decibel(c->layers[l].signal, c->layers[l].noise));
            }
        }
    }
    return least;
}

squall_status squall_comparison_layer(const squall_comparison *c, size_t index,
                                      squall_layer_error *out, squall_error *err)
{
    if (index >= c->layer_count) {
        return sq_fail(err, SQUALL_E_ARGUMENT, c->engine->file.name,
                       "no layer %zu was compared; there are %" PRIu32, index, c->layer_count);
    }
    const sq_compared_layer *sums = &c->layers[index];
    const sq_plan_step *step = &c->plan->steps[sums->step];
    const double own = sq_compare_decibel(sums->signal, sums->noise);
    *out = (squall_layer_error){.name = c->plan->values[sums->value].name,
                                .op = sq_op_name(step->op),
                                .tactic = step->tactic,
                                .snr_db = own,
                                .loss_db = fmax(0.0, input_db(c, step) - own)};
    return SQUALL_OK;
}
