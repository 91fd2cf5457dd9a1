/* tests/unit/nn/compile/test_quantise.c - networks in numbers of 8 bits: ranges, layers, targets,
 * certificates; the same bits by vectors and by plain C. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "nn/compile/compile_trial.h"
#include "nn/onnx/onnx.h"
#include "squall/compile.h"
#include "squall/engine.h"

#define MODEL  SQUALL_SOURCE_DIR "/tests/data/compile/small_unet.onnx"
#define ENGINE "test_quantise.sqe"

enum { SAMPLES = 8, SIDE = 16, VALUES = 3 * SIDE * SIDE };

/* ------------------------------------------------------------------ histograms */

static void test_histogram(void **state)
{
    (void)state;
    sq_histogram h = {.bins = NULL};
    float low, high, numbers[1000];
    sq_histogram_range(&h, SQ_RANGE_MSE, &low, &high);
    assert_true(low == 0 && high == 0);
    for (int i = 0; i < 1000; i++) {
        numbers[i] = (float)i / 1000.0f;
    }
    assert_int_equal(sq_histogram_add(&h, numbers, 1000, 1, NULL), SQUALL_OK);
    const float odd[3] = {NAN, -0.5f, 900.0f}; /* widens; what is no number is passed over */
    assert_int_equal(sq_histogram_add(&h, odd, 3, 1, NULL), SQUALL_OK);
    assert_true(h.low == -0.5f && h.high == 900.0f && h.limit == 1024.0);
    uint64_t sum = 0;
    for (int i = 0; i < SQ_HISTOGRAM_BINS; i++) {
        sum += h.bins[i];
    }
    assert_true(sum == 1002 && h.count == 1002);
    sq_histogram_range(&h, SQ_RANGE_MINMAX, &low, &high);
    assert_true(low == -0.5f && high == 900.0f);
    assert_true(fabs(sq_histogram_outside(&h, -1.0f, 2.0f) - 1.0 / 1002) < 1e-9);
    assert_true(sq_histogram_outside(&h, -1.0f, 1000.0f) == 0.0);
    sq_histogram_free(&h);
}

/* One number far out among 100 000: the largest alone makes room for it. */
static void test_ranges(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    static float numbers[COUNT];
    sq_histogram h = {.bins = NULL};
    float low[SQ_RANGE_METHODS], high[SQ_RANGE_METHODS];
    for (int i = 0; i < COUNT; i++) {
        numbers[i] = (float)((i * 7919) % COUNT) / COUNT;
    }
    numbers[5] = 40.0f;
    assert_int_equal(sq_histogram_add(&h, numbers, COUNT, 1, NULL), SQUALL_OK);
    for (int m = 0; m < SQ_RANGE_METHODS; m++) {
        sq_histogram_range(&h, (sq_range_method)m, &low[m], &high[m]);
        assert_true(low[m] == 0.0f && high[m] > 0.5f && high[m] <= 40.0f);
        assert_non_null(sq_range_name((sq_range_method)m));
    }
    assert_true(high[SQ_RANGE_MINMAX] == 40.0f);
    assert_true(high[SQ_RANGE_PERCENTILE] < 1.2f);
    /* What is cut off, 39 squared in 100 000, outweighs rounding to 40/255: (0.157)^2/12 each. */
    assert_true(high[SQ_RANGE_MSE] > 4.0f && high[SQ_RANGE_KL] < 40.0f);
    sq_histogram_free(&h);
}

static void test_scale(void **state)
{
    (void)state;
    uint8_t zero;
    sq_quant_value value = {.low = 0, .high = 2.55f};
    assert_true(fabs(sq_quant_scale(&value, &zero) - 0.01f) < 1e-7f && zero == 0);
    value.low = -2.55f;
    assert_true(fabs(sq_quant_scale(&value, &zero) - 0.02f) < 1e-7f && zero == 128);
    value.low = value.high = 0;
    assert_true(sq_quant_scale(&value, &zero) == 1.0f && zero == 0);
}

/* ------------------------------------------------------------------ a network */

/* Samples that differ; every fourth is held out. */
typedef struct samples {
    squall_calibration given;
    squall_tensor inputs[SAMPLES];
    const char *groups[SAMPLES];
    float data[SAMPLES][VALUES];
} samples;

static void make_samples(samples *s)
{
    memset(s, 0, sizeof *s);
    squall_calibration_init(&s->given);
    for (int n = 0; n < SAMPLES; n++) {
        for (int i = 0; i < VALUES; i++) {
            s->data[n][i] = (float)((7919 * i + 1237 * n * n) % 1000) / 500.0f - 1.0f;
        }
        s->inputs[n] = (squall_tensor){.dtype = SQUALL_F32,
                                       .rank = 4,
                                       .dims = {1, 3, SIDE, SIDE},
                                       .data = s->data[n]};
        s->groups[n] = n % 2 == 0 ? "even" : "odd";
    }
    s->given.sample_count = SAMPLES;
    s->given.inputs = s->inputs;
    s->given.groups = s->groups;
}

/* Cells above 0 in the output: right when they are so in the first sample's input. */
static void score(void *self, size_t sample, const squall_tensor *outputs, size_t output_count,
                  double counts[3])
{
    const samples *s = self;
    const float *got = outputs[0].data;
    assert_int_equal(output_count, 1);
    for (int i = 0; i < SIDE * SIDE; i++) {
        const bool rain = s->data[sample][i] > 0, said = got[i] > 0;
        if (rain || said) {
            counts[rain && said ? 0 : rain ? 1 : 2]++;
        }
    }
}

static const squall_input_shape shape = {.rank = 4, .dims = {1, 3, SIDE, SIDE}};

static void set_options(squall_build_options *options, const samples *s)
{
    squall_build_options_init(options);
    options->threads = 2;
    options->shapes = &shape;
    options->shape_count = 1;
    options->precision = "int8";
    options->calibration = &s->given;
}

static squall_status build(const squall_build_options *options, squall_build_report *report,
                           squall_error *err)
{
    squall_notes *notes = squall_notes_create();
    const squall_status status = squall_build(MODEL, options, ENGINE, report, notes, err);
    squall_notes_destroy(&notes);
    return status;
}

static void test_build(void **state)
{
    (void)state;
    static samples s;
    squall_build_options options;
    squall_build_report report;
    squall_error err = {.code = SQUALL_OK};
    squall_engine *engine = NULL;
    make_samples(&s);
    s.given.score = score;
    s.given.self = &s;
    s.given.score_name = "positive";
    s.given.record = "{\"from\": \"a test\"}";
    set_options(&options, &s);
    if (build(&options, &report, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    assert_int_equal(report.layers_could, 3);
    assert_int_equal(report.layers_int8, 3);
    assert_true(report.psnr_db > 35 && report.psnr_db < 80);
    assert_true(report.score_fp32 > 0 && fabs(report.score / report.score_fp32 - 1) < 0.05);
    assert_int_equal(squall_engine_open(ENGINE, NULL, &engine, NULL, &err), SQUALL_OK);
    const char *certificate = squall_engine_certificate(engine);
    assert_non_null(certificate);
    static const char *const parts[] = {"\"squall_certificate\": 1", "\"precision\": \"int8\"",
                                        "\"group\": \"odd\"",        "\"a test\"",
                                        "\"score\": \"positive\"",   "\"clipped\""};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strstr(certificate, parts[i]) == NULL) {
            fail_msg("no %s in %s", parts[i], certificate);
        }
    }
    squall_engine_close(&engine);
    /* The weights in it are other numbers than the model's: they are calibrated, not put in. */
    assert_int_equal(squall_refit(ENGINE, MODEL, ENGINE, NULL, NULL, &err), SQUALL_E_MISMATCH);
    assert_non_null(strstr(err.text, "calibrated"));
    unlink(ENGINE);
}

/* A file of rules, and a target that takes layers back. */
static void test_rules(void **state)
{
    (void)state;
    static samples s;
    squall_build_options options;
    squall_build_report report, whole;
    squall_error err = {.code = SQUALL_OK};
    make_samples(&s);
    set_options(&options, &s);
    assert_int_equal(build(&options, &whole, &err), SQUALL_OK);
    options.precision_rules =
        "# the first layers\nconv* fp32\nconv2 int8 # but not this\n\nnone fp32";
    assert_int_equal(build(&options, &report, &err), SQUALL_OK);
    assert_int_equal(report.layers_int8, 2);
    assert_true(report.psnr_db > whole.psnr_db);
    options.precision_rules = "conv1 fp8";
    assert_int_equal(build(&options, &report, &err), SQUALL_E_FORMAT);
    assert_non_null(strstr(err.text, "line 1"));
    options.precision_rules = NULL;
    options.min_psnr_db = whole.psnr_db + 1.5;
    assert_int_equal(build(&options, &report, &err), SQUALL_OK);
    assert_true(report.layers_int8 < 3 && report.psnr_db >= options.min_psnr_db);
    options.precision_rules = "* int8"; /* nothing may go back */
    options.min_psnr_db = 120;
    assert_int_equal(build(&options, &report, &err), SQUALL_E_LIMIT);
    assert_non_null(strstr(err.text, "dB"));
    options.precision_rules = NULL;
    options.min_psnr_db = 0;
    options.precision = "auto";
    assert_int_equal(build(&options, &report, &err), SQUALL_OK);
    unlink(ENGINE);
}

static void test_refused(void **state)
{
    (void)state;
    static samples s;
    squall_build_options options;
    squall_build_report report;
    squall_error err = {.code = SQUALL_OK};
    make_samples(&s);
    set_options(&options, &s);
    options.calibration = NULL;
    assert_int_equal(build(&options, &report, &err), SQUALL_E_ARGUMENT);
    options.calibration = &s.given;
    s.given.sample_count = 1;
    assert_int_equal(build(&options, &report, &err), SQUALL_E_ARGUMENT);
    s.given.sample_count = SAMPLES;
    static const unsigned char none[SAMPLES] = {0};
    s.given.held_out = none;
    assert_int_equal(build(&options, &report, &err), SQUALL_E_ARGUMENT);
    s.given.held_out = NULL;
    s.inputs[3].dims[2] = 8;
    assert_int_equal(build(&options, &report, &err), SQUALL_E_SHAPE);
    s.inputs[3].dims[2] = SIDE;
    options.precision = "int4";
    assert_int_equal(build(&options, &report, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(access(ENGINE, F_OK), -1);
}

/* ------------------------------------------------------------------ the same bits everywhere */

static void run_engine(const unsigned char *bytes, size_t size, int32_t portable,
                       const squall_tensor *input, float *out)
{
    squall_engine_options options;
    squall_error err = {.code = SQUALL_OK};
    squall_engine *engine = NULL;
    squall_context *context = NULL;
    squall_tensor output;
    squall_engine_options_init(&options);
    options.portable = portable;
    assert_int_equal(squall_engine_open_memory(bytes, size, "engine", &options, &engine, NULL,
                                               &err),
                     SQUALL_OK);
    assert_int_equal(squall_context_create(engine, 0, 2, &context, &err), SQUALL_OK);
    assert_int_equal(squall_context_output(context, 0, &output, &err), SQUALL_OK);
    output.data = out;
    assert_int_equal(squall_context_run(context, input, 1, &output, 1, &err), SQUALL_OK);
    squall_context_destroy(&context);
    squall_engine_close(&engine);
}

/* With an activation that is a bound, all is whole numbers from the first rounding to the last
 * product: the vectors of this processor and plain C give the same bits. */
static void test_same_bits(void **state)
{
    (void)state;
    static samples s;
    static const unsigned char hash[SQ_HASH_BYTES];
    static float fast[2 * SIDE * SIDE], plain[2 * SIDE * SIDE];
    squall_build_options options, want;
    squall_build_report report = {0};
    squall_error err = {.code = SQUALL_OK};
    sq_graph *graph = NULL;
    sq_quant quant;
    char *certificate = NULL;
    unsigned char *bytes = NULL;
    size_t size;
    make_samples(&s);
    set_options(&options, &s);
    assert_int_equal(sq_compile_read_options(&options, &want, &err), SQUALL_OK);
    assert_int_equal(sq_onnx_read(MODEL, &graph, NULL, &err), SQUALL_OK);
    for (uint32_t n = 0; n < graph->node_count; n++) {
        if (graph->nodes[n].op == SQ_OP_LeakyRelu) {
            graph->nodes[n].op = SQ_OP_Relu;
            sq_attr_remove(&graph->nodes[n].attrs, "alpha");
        }
    }
    sq_compile_job job = {
        .graph = graph, .options = &want, .optimise = true, .model_hash = hash, .report = &report};
    if (sq_calibrate(&job, &quant, &certificate, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    job.quant = &quant;
    assert_int_equal(sq_compile_run(&job, &bytes, &size, &err), SQUALL_OK);
    for (int n = 0; n < SAMPLES; n++) {
        run_engine(bytes, size, 0, &s.inputs[n], fast);
        run_engine(bytes, size, 1, &s.inputs[n], plain);
        assert_memory_equal(fast, plain, sizeof fast);
    }
    /* The same inputs give the same bytes. */
    unsigned char *again = NULL;
    size_t again_size;
    assert_int_equal(sq_compile_run(&job, &again, &again_size, &err), SQUALL_OK);
    assert_int_equal(size, again_size);
    assert_memory_equal(bytes, again, size);
    sq_free(again);
    sq_free(bytes);
    sq_free(certificate);
    sq_quant_free(&quant);
    sq_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram), cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_scale),     cmocka_unit_test(test_build),
        cmocka_unit_test(test_rules),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
