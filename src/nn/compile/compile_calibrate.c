/* nn/compile/compile_calibrate.c - from samples to layers in 8 bits: the network runs once over
 * them in float32, and what passes through it is counted. */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/compile/compile_trial.h"

/* Numbers of one value that are counted in a sample, at most; and seconds for choosing ranges. */
enum { MOST_COUNTED = 1 << 18, PROBES = 3 };
static const double ranges_s = 12.0;

void squall_calibration_init(squall_calibration *calibration)
{
    memset(calibration, 0, sizeof *calibration);
    calibration->struct_size = (uint32_t)sizeof *calibration;
}

static squall_status no_memory(squall_error *err)
{
    return sq_fail(err, SQUALL_E_MEMORY, "calibration", "no memory");
}

/* ------------------------------------------------------------------ the samples */

static squall_status check_samples(const sq_calibrator *c, squall_error *err)
{
    const squall_calibration *given = c->given;
    for (size_t s = 0; s < given->sample_count; s++) {
        for (size_t i = 0; i < c->input_count; i++) {
            const squall_tensor *input = &given->inputs[s * c->input_count + i];
            if (input->data == NULL || !sq_tensor_same_type(input, &given->inputs[i])) {
                char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT];
                return sq_fail(err, SQUALL_E_SHAPE, "calibration",
                               "input %zu of sample %zu is %s, that of the first %s; all must be "
                               "alike",
                               i, s, sq_tensor_format(input, a),
                               sq_tensor_format(&given->inputs[i], b));
            }
        }
    }
    return SQUALL_OK;
}

/* Trials are for the samples' shapes and for nothing else. */
static squall_status set_options(sq_calibrator *c, const sq_compile_job *job, squall_error *err)
{
    const sq_graph *graph = job->graph;
    c->job = *job;
    c->options = *job->options;
    c->options.buckets = NULL;
    c->options.bucket_count = 0;
    c->options.memory_limit_bytes = 0;
    c->options.tune_seconds = 0;
    c->options.tactics_path = NULL;
    c->options.device = "cpu"; /* of which the result has the bits, wherever it is to run */
    c->options.precision = "fp32";
    c->options.explanation = NULL;
    c->options.dump_folder = NULL;
    c->job.choose = NULL;
    c->job.chooser = NULL;
    c->job.apart = true;
    c->input_count = graph->input_count;
    c->output_count = graph->output_count;
    c->shapes = sq_alloc(graph->input_count, sizeof *c->shapes);
    if (c->shapes == NULL) {
        return no_memory(err);
    }
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const squall_tensor *type = &c->given->inputs[i];
        c->shapes[i].name = graph->values[graph->inputs[i]].name;
        c->shapes[i].rank = type->rank;
        memcpy(c->shapes[i].dims, type->dims, sizeof type->dims);
    }
    c->options.shapes = c->shapes;
    c->options.shape_count = graph->input_count;
    c->job.options = &c->options;
    return SQUALL_OK;
}

/* Which samples are held out, and those that choices are made by. */
static squall_status divide(sq_calibrator *c, squall_error *err)
{
    const size_t count = c->given->sample_count;
    size_t out = 0, in = 0;
    c->held_out = sq_alloc(count, sizeof *c->held_out);
    c->probes = sq_alloc(PROBES, sizeof *c->probes);
    if (c->held_out == NULL || c->probes == NULL) {
        return no_memory(err);
    }
    for (size_t s = 0; s < count; s++) {
        c->held_out[s] = c->given->held_out != NULL ? c->given->held_out[s] != 0 : s % 4 == 3;
        out += c->held_out[s];
    }
    in = count - out;
    if (in == 0 || out == 0) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "calibration",
                       "%zu samples to choose by and %zu to verify on; at least one of each is "
                       "needed",
                       in, out);
    }
    /* spread over those that are there */
    for (size_t s = 0, seen = 0; s < count; s++) {
        if (!c->held_out[s]) {
            if (c->probe_count < PROBES && seen * PROBES >= c->probe_count * in) {
                c->probes[c->probe_count++] = (uint32_t)s;
            }
            seen++;
        }
    }
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ what is watched */

static squall_status watch(sq_calibrator *c, const sq_graph *graph, uint32_t v, squall_error *err)
{
    const sq_value *value = &graph->values[v];
    if (value->constant || value->type.dtype != SQUALL_F32 || value->type.rank != 4 ||
        sq_quant_find(&c->quant, value->name) != NULL) {
        return SQUALL_OK;
    }
    sq_quant *quant = &c->quant;
    sq_quant_value *values =
        sq_regrow(quant->values, quant->value_count, quant->value_count + 1, sizeof *quant->values);
    if (values == NULL) {
        return no_memory(err);
    }
    quant->values = values;
    sq_quant_value *made = &values[quant->value_count];
    *made = (sq_quant_value){.name = sq_strdup(value->name), .channels = value->type.dims[1]};
    quant->value_count++;
    made->mean = sq_alloc((size_t)made->channels, sizeof *made->mean);
    return made->name != NULL && made->mean != NULL ? SQUALL_OK : no_memory(err);
}

static squall_status add_layer(sq_calibrator *c, const char *name, squall_error *err)
{
    sq_quant *quant = &c->quant;
    sq_quant_layer *layers =
        sq_regrow(quant->layers, quant->layer_count, quant->layer_count + 1, sizeof *quant->layers);
    if (layers == NULL) {
        return no_memory(err);
    }
    quant->layers = layers;
    layers[quant->layer_count] = (sq_quant_layer){.name = sq_strdup(name), .on = true};
    quant->layer_count++;
    return layers[quant->layer_count - 1].name != NULL ? SQUALL_OK : no_memory(err);
}

/* The layers that could be in 8 bits, and the values that they and what lies between them read and
 * give. */
static squall_status find_layers(sq_calibrator *c, squall_error *err)
{
    sq_graph *graph = NULL;
    squall_status status = SQUALL_OK;
    SQ_TRY(sq_compile_prepare(&c->job, 0, SQ_BATCH_PLANNED, false, &graph, err));
    for (uint32_t n = 0; n < graph->node_count; n++) {
        const sq_node *node = &graph->nodes[n];
        const bool can = sq_quant_can(graph, node);
        if (node->dead || (!can && node->op != SQ_OP_MaxPool && node->op != SQ_OP_Resize &&
                           node->op != SQ_OP_Concat)) {
            continue;
        }
        for (uint32_t i = 0; i < node->in_count; i++) {
            if (node->inputs[i] != SQ_NO_VALUE) {
                SQ_TRY_GOTO(watch(c, graph, node->inputs[i], err));
            }
        }
        SQ_TRY_GOTO(watch(c, graph, node->outputs[0], err));
        if (can) {
            SQ_TRY_GOTO(add_layer(c, node->name, err));
        }
    }
    if (c->quant.layer_count == 0) {
        status = sq_fail(err, SQUALL_E_UNSUPPORTED, graph->name,
                         "no layer can compute in 8 bits; build it with --precision fp32");
    }
done:
    sq_graph_destroy(&graph);
    return status;
}

/* ------------------------------------------------------------------ rules */

/* One line of rules, without its end; `*number` counts them for messages. */
static squall_status apply_rule(sq_calibrator *c, char *line, int number, squall_error *err)
{
    char pattern[256], precision[16], rest[8];
    char *comment = strchr(line, '#');
    if (comment != NULL) {
        *comment = '\0';
    }
    const int found = sscanf(line, "%255s %15s %7s", pattern, precision, rest);
    if (found <= 0) {
        return SQUALL_OK;
    }
    const bool on = found == 2 && strcmp(precision, "int8") == 0;
    if (!on && (found != 2 || strcmp(precision, "fp32") != 0)) {
        return sq_fail(err, SQUALL_E_FORMAT, "precision rules",
                       "line %d is '%.100s'; a line is a pattern and fp32 or int8", number, line);
    }
    bool used = false;
    for (uint32_t i = 0; i < c->quant.layer_count; i++) {
        if (fnmatch(pattern, c->quant.layers[i].name, 0) == 0) {
            c->quant.layers[i].on = on;
            c->quant.layers[i].fixed = used = true;
        }
    }
    if (!used) {
        sq_note(c->job.notes, "precision rules", "line %d, '%s', fits no layer", number, pattern);
    }
    return SQUALL_OK;
}

static squall_status apply_rules(sq_calibrator *c, const char *rules, squall_error *err)
{
    char line[512];
    int number = 1;
    for (const char *at = rules; at != NULL && *at != '\0'; number++) {
        const size_t length = strcspn(at, "\r\n");
        if (length >= sizeof line) {
            return sq_fail(err, SQUALL_E_FORMAT, "precision rules", "line %d is longer than %zu",
                           number, sizeof line - 1);
        }
        memcpy(line, at, length);
        line[length] = '\0';
        SQ_TRY(apply_rule(c, line, number, err));
        at += length + (at[length] != '\0');
    }
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ counting */

/* A plain image, or a plane of a blocked one: `lanes` neighbouring channels from `first` on. */
static squall_status count_plane(sq_quant_value *value, const float *data, int64_t first,
                                 int64_t lanes, int64_t real, size_t pixels, squall_error *err)
{
    const size_t total = (size_t)value->channels * pixels;
    const size_t stride = total > MOST_COUNTED ? total / MOST_COUNTED | 1 : 1;
    for (size_t p = 0; p < pixels; p += stride) {
        for (int64_t l = 0; l < real; l++) {
            value->mean[first + l] += (double)data[p * (size_t)lanes + (size_t)l];
        }
    }
    if (real == lanes) {
        return sq_histogram_add(&value->histogram, data, pixels * (size_t)lanes, stride, err);
    }
    for (size_t p = 0; p < pixels; p++) { /* lanes without a channel are passed over */
        SQ_TRY(sq_histogram_add(&value->histogram, data + p * (size_t)lanes, (size_t)real,
                                p % stride == 0 ? 1 : SIZE_MAX / 2, err));
    }
    return SQUALL_OK;
}

static squall_status count_value(sq_quant_value *value, const squall_tensor *tensor,
                                 squall_error *err)
{
    const int64_t lanes = tensor->layout == SQUALL_C16 ? 16 : tensor->layout == SQUALL_C8 ? 8 : 1;
    const size_t pixels = (size_t)(tensor->dims[2] * tensor->dims[3]);
    const float *data = tensor->data;
    for (int64_t n = 0; n < tensor->dims[0]; n++) {
        for (int64_t c = 0; c < tensor->dims[1]; c += lanes) {
            const int64_t left = tensor->dims[1] - c;
            SQ_TRY(count_plane(value, data, c, lanes, left < lanes ? left : lanes, pixels, err));
            data += (size_t)lanes * pixels;
        }
    }
    const size_t total = (size_t)value->channels * pixels;
    const size_t stride = total > MOST_COUNTED ? total / MOST_COUNTED | 1 : 1;
    value->mean_count += (uint64_t)tensor->dims[0] * ((pixels + stride - 1) / stride);
    return SQUALL_OK;
}

static squall_status count_step(void *self, const sq_plan *plan, uint32_t index,
                                const sq_step *step, squall_error *err)
{
    sq_calibrator *c = self;
    const uint32_t at = c->watched[plan->steps[index].out[0]];
    if (at == UINT32_MAX || step->op == SQ_OP_SqReorder || step->out[0].dtype != SQUALL_F32 ||
        step->out[0].rank != 4) {
        return SQUALL_OK;
    }
    return count_value(&c->quant.values[at], &step->out[0], err);
}

static squall_status map_values(sq_calibrator *c, squall_error *err)
{
    const sq_plan *plan = &c->fp32.engine->plans[0];
    c->watched = sq_alloc_raw(plan->value_count, sizeof *c->watched);
    if (c->watched == NULL) {
        return no_memory(err);
    }
    for (uint32_t v = 0; v < plan->value_count; v++) {
        const sq_quant_value *value = sq_quant_find(&c->quant, plan->values[v].name);
        c->watched[v] = value != NULL ? (uint32_t)(value - c->quant.values) : UINT32_MAX;
    }
    return SQUALL_OK;
}

/* Keep what float32 gives for a sample. */
static squall_status keep(sq_calibrator *c, size_t sample, squall_error *err)
{
    for (uint32_t k = 0; k < c->output_count; k++) {
        if (!sq_tensor_copy(&c->fp32.outputs[k], &c->reference[sample * c->output_count + k])) {
            return no_memory(err);
        }
    }
    if (c->given->score != NULL) {
        c->given->score(c->given->self, sample, c->fp32.outputs, c->output_count,
                        c->counts[sample]);
    }
    return SQUALL_OK;
}

static squall_status observe(sq_calibrator *c, squall_error *err)
{
    const size_t count = c->given->sample_count;
    const sq_graph *graph = c->job.graph;
    c->reference = sq_alloc(count, c->output_count * sizeof *c->reference);
    c->counts = sq_alloc(count, sizeof *c->counts);
    if (c->reference == NULL || c->counts == NULL) {
        return no_memory(err);
    }
    for (size_t s = 0; s < count; s++) {
        SQ_TRY(sq_trial_run(c, &c->fp32, s, c->held_out[s] ? NULL : count_step, c, err));
        SQ_TRY(keep(c, s, err));
        for (uint32_t i = 0; i < graph->input_count && !c->held_out[s]; i++) {
            sq_quant_value *value = sq_quant_find(&c->quant, graph->values[graph->inputs[i]].name);
            if (value != NULL) {
                SQ_TRY(count_value(value, &c->given->inputs[s * c->input_count + i], err));
            }
        }
    }
    for (uint32_t i = 0; i < c->quant.value_count; i++) {
        sq_quant_value *value = &c->quant.values[i];
        for (int64_t k = 0; k < value->channels && value->mean_count > 0; k++) {
            value->mean[k] /= (double)value->mean_count;
        }
    }
    return SQUALL_OK;
}

static void close_calibrator(sq_calibrator *c)
{
    sq_trial_close(&c->fp32);
    for (size_t i = 0; c->reference != NULL && i < c->given->sample_count * c->output_count; i++) {
        sq_tensor_free(&c->reference[i]);
    }
    sq_free(c->reference);
    sq_free(c->counts);
    sq_free(c->held_out);
    sq_free(c->probes);
    sq_free(c->watched);
    sq_free(c->shapes);
    sq_quant_free(&c->quant);
}

static void report(const sq_calibrator *c, const sq_quality *quality, squall_build_report *out)
{
    out->layers_could = c->quant.layer_count;
    for (uint32_t i = 0; i < c->quant.layer_count; i++) {
        out->layers_int8 += c->quant.layers[i].on;
    }
    out->psnr_db = sq_quality_psnr(quality);
    out->score = sq_quality_score(quality->counts);
    out->score_fp32 = sq_quality_score(quality->counts_fp32);
}

squall_status sq_calibrate(const sq_compile_job *job, sq_quant *quant, char **certificate,
                           squall_error *err)
{
    const double start = sq_clock_s();
    const squall_build_options *want = job->options;
    sq_calibrator c = {.given = want->calibration};
    sq_quality quality;
    squall_status status;
    if (c.given == NULL || c.given->sample_count < 2 || c.given->inputs == NULL) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "precision",
                       "%s needs samples to calibrate by, at least 2", want->precision);
    }
    c.quant.correct_bias = true;
    SQ_TRY_GOTO(set_options(&c, job, err));
    SQ_TRY_GOTO(check_samples(&c, err));
    SQ_TRY_GOTO(divide(&c, err));
    SQ_TRY_GOTO(find_layers(&c, err));
    SQ_TRY_GOTO(apply_rules(&c, want->precision_rules, err));
    SQ_TRY_GOTO(sq_trial_open(&c, NULL, &c.fp32, err));
    SQ_TRY_GOTO(map_values(&c, err));
    SQ_TRY_GOTO(observe(&c, err));
    SQ_TRY_GOTO(sq_calibrate_ranges(&c, ranges_s, err));
    SQ_TRY_GOTO(sq_calibrate_layers(&c, want, strcmp(want->precision, "auto") == 0, &quality, err));
    SQ_TRY_GOTO(sq_certificate_make(&c, &quality, certificate, err));
    report(&c, &quality, job->report);
    *quant = c.quant;
    memset(&c.quant, 0, sizeof c.quant);
    job->report->calibrated_s = sq_clock_s() - start;
done:
    close_calibrator(&c);
    return status;
}
