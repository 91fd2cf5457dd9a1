/* tests/unit/nn/compile/test_compile_profiles.c - batches and grids that an engine takes, and the
 * memory that it may take. */
#include <stdio.h>
#include <unistd.h>

#include "nn/compile/compile_internal.h"
#include "nn/graph/graph_fixture.h"
#include "nn/onnx/onnx.h"
#include "squall/engine.h"

#define MODEL SQUALL_SOURCE_DIR "/tests/data/compile/small_unet.onnx"

/* An engine in memory, and what it is of. */
typedef struct made {
    squall_engine *engine;
    unsigned char *bytes;
    squall_build_report report;
    squall_notes *notes;
} made;

static squall_status make(const sq_graph *graph, const squall_build_options *options, made *out,
                          squall_error *err)
{
    const unsigned char hash[SQ_HASH_BYTES] = {0};
    size_t size = 0;
    memset(out, 0, sizeof *out);
    out->notes = squall_notes_create();
    squall_status status = sq_compile_graph(graph, options, true, hash, &out->bytes, &size,
                                            &out->report, out->notes, err);
    if (status == SQUALL_OK) {
        status = squall_engine_open_memory(out->bytes, size, "made", NULL, &out->engine, NULL, err);
    }
    return status;
}

static void drop(made *out)
{
    squall_engine_close(&out->engine);
    sq_free(out->bytes);
    squall_notes_destroy(&out->notes);
}

static sq_graph *read_unet(void)
{
    sq_graph *graph = NULL;
    assert_int_equal(sq_onnx_read(MODEL, &graph, NULL, NULL), SQUALL_OK);
    return graph;
}

static squall_build_options usual(void)
{
    squall_build_options options;
    squall_build_options_init(&options);
    options.threads = 2;
    return options;
}

static squall_tensor type_of(int64_t n, int64_t c, int64_t h, int64_t w)
{
    return (squall_tensor){.dtype = SQUALL_F32, .rank = 4, .dims = {n, c, h, w}};
}

/* Run a context for `n` images of 6 x 4; the outputs of all, given. */
static float *run_batch(squall_engine *engine, int64_t n, size_t *count)
{
    squall_context *context = NULL;
    squall_error err = {.code = SQUALL_OK};
    squall_tensor in = type_of(n, 3, 6, 4), out;
    if (squall_context_create_for(engine, &in, 1, 2, &context, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    squall_tensor taken;
    assert_int_equal(squall_context_input(context, 0, &taken, &err), SQUALL_OK);
    assert_true(sq_tensor_same_type(&taken, &in));
    assert_int_equal(squall_context_output(context, 0, &out, &err), SQUALL_OK);
    assert_int_equal(squall_context_output(context, 1, &out, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(out.dims[0], n);
    float *x = sq_alloc(squall_tensor_count(&in), sizeof *x);
    float *y = sq_alloc(squall_tensor_count(&out), sizeof *y);
    for (size_t i = 0; i < squall_tensor_count(&in); i++) {
        x[i] = (float)(7919 * i % 1000) / 500.0f - 1.0f;
    }
    in.data = x;
    out.data = y;
    if (squall_context_run(context, &in, 1, &out, 1, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    *count = squall_tensor_count(&out);
    squall_context_destroy(&context);
    sq_free(x);
    return y;
}

/* Batches of a range give what engines built for just them give, bit for bit. */
static void test_range(void **state)
{
    (void)state;
    squall_error err = {.code = SQUALL_OK};
    sq_graph *graph = read_unet();
    static const char *const devices[] = {"cpu", "ref"};
    for (int d = 0; d < 2; d++) {
        squall_build_options options = usual();
        const squall_input_shape range = {
            .name = "x", .rank = 4, .dims = {4, 3, 6, 4}, .batch_min = 2, .batch_max = 7};
        options.device = devices[d];
        options.shapes = &range;
        options.shape_count = 1;
        made ranged;
        int64_t least, most;
        assert_int_equal(make(graph, &options, &ranged, &err), SQUALL_OK);
        assert_int_equal(squall_engine_profile_count(ranged.engine), 1);
        assert_int_equal(squall_engine_batches(ranged.engine, 0, 0, &least, &most, &err),
                         SQUALL_OK);
        assert_int_equal(least, 2);
        assert_int_equal(most, 7);
        for (int64_t n = 2; n <= 7; n++) {
            const squall_input_shape fixed = {.rank = 4, .dims = {n, 3, 6, 4}};
            made one;
            size_t count, other;
            options.shapes = &fixed;
            assert_int_equal(make(graph, &options, &one, &err), SQUALL_OK);
            float *got = run_batch(ranged.engine, n, &count);
            float *want = run_batch(one.engine, n, &other);
            assert_int_equal(count, other);
            assert_memory_equal(got, want, count * sizeof *got);
            sq_free(got);
            sq_free(want);
            drop(&one);
        }
        /* Outside of it, the words say the range. */
        size_t profile;
        const squall_tensor outside[] = {type_of(1, 3, 6, 4), type_of(8, 3, 6, 4),
                                         type_of(4, 3, 8, 4)};
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(squall_engine_find_profile(ranged.engine, &outside[i], 1, &profile,
                                                        &err),
                             SQUALL_E_SHAPE);
            assert_non_null(strstr(err.text, "[2..7,3,6,4]"));
        }
        drop(&ranged);
    }
    sq_graph_destroy(&graph);
}

/* Only the batch is open: 1 to 32, planned for 8; grids from buckets, a profile each. */
static void test_usual_batches_and_buckets(void **state)
{
    (void)state;
    squall_error err = {.code = SQUALL_OK};
    static const squall_bucket buckets[] = {{6, 4}, {8, 8}};
    static const squall_input_shape short_range = {
        .name = "x", .rank = 1, .dims = {2}, .batch_min = 1, .batch_max = 3};
    sq_graph *graph = read_unet();
    squall_build_options options = usual();
    squall_tensor type;
    int64_t least, most;
    size_t profile;
    made all;
    options.buckets = buckets;
    options.bucket_count = 2;
    assert_int_equal(make(graph, &options, &all, &err), SQUALL_OK);
    assert_int_equal(squall_engine_profile_count(all.engine), 2);
    assert_int_equal(all.report.profile_count, 2);
    for (size_t p = 0; p < 2; p++) {
        assert_int_equal(squall_engine_input(all.engine, p, 0, NULL, &type, &err), SQUALL_OK);
        assert_int_equal(type.dims[0], 8);
        assert_int_equal(type.dims[2], buckets[p].height);
        assert_int_equal(type.dims[3], buckets[p].width);
        assert_int_equal(squall_engine_batches(all.engine, p, 0, &least, &most, &err), SQUALL_OK);
        assert_true(least == 1 && most == 32);
    }
    type = type_of(19, 3, 8, 8);
    assert_int_equal(squall_engine_find_profile(all.engine, &type, 1, &profile, &err), SQUALL_OK);
    assert_int_equal(profile, 1);
    type = type_of(19, 3, 8, 6);
    assert_int_equal(squall_engine_find_profile(all.engine, &type, 1, &profile, &err),
                     SQUALL_E_SHAPE);
    assert_non_null(strstr(err.text, "0: x [1..32,3,6,4]; 1: x [1..32,3,8,8]"));
    drop(&all);
    options.shapes = &short_range;
    options.shape_count = 1;
    assert_int_equal(make(graph, &options, &all, &err), SQUALL_OK);
    assert_int_equal(squall_engine_batches(all.engine, 1, 0, &least, &most, &err), SQUALL_OK);
    assert_true(least == 1 && most == 3);
    drop(&all);
    /* Without buckets the grid is still open, and the words ask for it. */
    options.bucket_count = 0;
    assert_int_equal(make(graph, &options, &all, &err), SQUALL_E_SHAPE);
    drop(&all);
    sq_graph_destroy(&graph);
}

/* y = x * (its own sizes as numbers): a constant that is another for every batch. */
static sq_graph *batch_in_constant(void)
{
    static const int64_t dims[] = {-1, 2};
    sq_graph *graph = sq_graph_create();
    graph->name = sq_strdup("sizes");
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 2, dims);
    graph->values[x].symbols[0] = sq_strdup("N");
    const uint32_t shape = add_op(graph, SQ_OP_Shape, "shape", INPUTS(x));
    const uint32_t sizes = add_op(graph, SQ_OP_Cast, "sizes", INPUTS(shape));
    assert_true(sq_attr_set_int(last_attrs(graph), "to", SQUALL_F32));
    add_output(graph, add_op(graph, SQ_OP_Mul, "y", INPUTS(x, sizes)));
    return graph;
}

static void test_batch_dependent(void **state)
{
    (void)state;
    squall_error err = {.code = SQUALL_OK};
    sq_graph *graph = batch_in_constant();
    squall_build_options options = usual();
    static const int64_t batches[] = {1, 8, 32};
    made all;
    assert_int_equal(make(graph, &options, &all, &err), SQUALL_OK);
    assert_int_equal(squall_engine_profile_count(all.engine), 3);
    bool said = false;
    for (size_t i = 0; i < squall_notes_count(all.notes); i++) {
        said = said || strstr(squall_notes_get(all.notes, i), "depend on the batch") != NULL;
    }
    assert_true(said);
    for (size_t p = 0; p < 3; p++) {
        float x[64], y[64];
        squall_context *context = NULL;
        squall_tensor in = {.dtype = SQUALL_F32, .rank = 2, .dims = {batches[p], 2}, .data = x};
        squall_tensor out = in;
        out.data = y;
        for (size_t i = 0; i < 64; i++) {
            x[i] = (float)i;
        }
        assert_int_equal(squall_context_create_for(all.engine, &in, 1, 1, &context, &err),
                         SQUALL_OK);
        assert_int_equal(squall_context_run(context, &in, 1, &out, 1, &err), SQUALL_OK);
        for (int64_t i = 0; i < 2 * batches[p]; i++) {
            assert_true(y[i] == x[i] * (i % 2 == 0 ? (float)batches[p] : 2.0f));
        }
        squall_context_destroy(&context);
    }
    const squall_tensor between = {.dtype = SQUALL_F32, .rank = 2, .dims = {5, 2}};
    size_t profile;
    assert_int_equal(squall_engine_find_profile(all.engine, &between, 1, &profile, &err),
                     SQUALL_E_SHAPE);
    drop(&all);
    sq_graph_destroy(&graph);
}

static void test_refused_ranges(void **state)
{
    (void)state;
    squall_error err;
    sq_graph *graph = read_unet();
    squall_build_options options = usual();
    static const int64_t bad[][3] = {{0, 1, 2}, {3, 2, 4}, {1, 5, 4}, {-1, 1, 1}};
    made all;
    for (size_t i = 0; i < 4; i++) {
        const squall_input_shape range = {.rank = 4,
                                          .dims = {bad[i][1], 3, 6, 4},
                                          .batch_min = bad[i][0],
                                          .batch_max = bad[i][2]};
        options.shapes = &range;
        options.shape_count = 1;
        assert_int_equal(make(graph, &options, &all, &err), SQUALL_E_ARGUMENT);
        drop(&all);
    }
    static const squall_bucket none = {0, 4};
    squall_build_options read;
    options.shape_count = 0;
    options.buckets = &none;
    options.bucket_count = 1;
    assert_int_equal(sq_compile_read_options(&options, &read, &err), SQUALL_E_ARGUMENT);
    options.bucket_count = SQ_LIMIT_PROFILES + 1;
    assert_int_equal(sq_compile_read_options(&options, &read, &err), SQUALL_E_ARGUMENT);
    sq_graph_destroy(&graph);
}

/* The number behind "would do is ". */
static size_t would_do(const squall_error *err)
{
    const char *at = strstr(err->text, "would do is ");
    unsigned long long bytes = 0;
    assert_non_null(at);
    assert_int_equal(sscanf(at, "would do is %llu", &bytes), 1);
    return (size_t)bytes;
}

/* Too small a limit is refused with the smallest that would do; that one does, a byte less not. */
static void test_memory_limit(void **state)
{
    (void)state;
    squall_error err = {.code = SQUALL_OK};
    sq_graph *graph = read_unet();
    for (int ranged = 0; ranged <= 1; ranged++) {
        squall_build_options options = usual();
        const squall_input_shape shape = {.rank = 4,
                                          .dims = {2, 3, 16, 16},
                                          .batch_min = ranged,
                                          .batch_max = ranged * 4};
        made all;
        options.shapes = &shape;
        options.shape_count = 1;
        options.memory_limit_bytes = 1;
        assert_int_equal(make(graph, &options, &all, &err), SQUALL_E_LIMIT);
        drop(&all);
        const size_t least = would_do(&err);
        options.memory_limit_bytes = least;
        if (make(graph, &options, &all, &err) != SQUALL_OK) {
            fail_msg("%s: %s", err.where, err.text);
        }
        assert_int_equal(all.report.memory_bytes, least);
        if (ranged) { /* what a context of the largest batch takes is within it */
            squall_context *context = NULL;
            const squall_tensor most = type_of(4, 3, 16, 16);
            assert_int_equal(squall_context_create_for(all.engine, &most, 1, 2, &context, &err),
                             SQUALL_OK);
            squall_profile_info info;
            squall_context_info(context, &info);
            assert_true(info.arena_bytes > 0 && info.arena_bytes <= least);
            squall_context_destroy(&context);
        }
        drop(&all);
        options.memory_limit_bytes = least - 1;
        assert_int_equal(make(graph, &options, &all, &err), SQUALL_E_LIMIT);
        assert_int_equal(would_do(&err), least);
        drop(&all);
    }
    sq_graph_destroy(&graph);
}

/* What the engine says of its ranges and tactics is checked like all else in it. */
static void test_hostile_ranges(void **state)
{
    (void)state;
    sq_graph *graph = read_unet();
    squall_build_options options = usual();
    const squall_input_shape range = {.rank = 4,
                                      .dims = {4, 3, 6, 4},
                                      .batch_min = 2,
                                      .batch_max = 7};
    const unsigned char hash[SQ_HASH_BYTES] = {0};
    squall_build_report report = {0};
    unsigned char *bytes = NULL, *again = NULL;
    size_t size = 0, again_size = 0;
    sq_engine_file file;
    squall_error err;
    options.shapes = &range;
    options.shape_count = 1;
    assert_int_equal(sq_compile_graph(graph, &options, true, hash, &bytes, &size, &report, NULL,
                                      &err),
                     SQUALL_OK);
    static const sq_batch_range bad[] = {{0, 7}, {5, 7}, {2, 3}, {-1, 7}, {7, 2}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sq_engine_file check;
        assert_int_equal(sq_engine_read(bytes, size, "made", &file, &err), SQUALL_OK);
        file.ranges[0] = bad[i];
        assert_int_equal(sq_engine_write(&file, &again, &again_size, &err), SQUALL_OK);
        assert_int_equal(sq_engine_read(again, again_size, "made", &check, &err), SQUALL_E_CORRUPT);
        sq_free(again);
        sq_engine_free(&file);
    }
    /* A range too large for memory is refused when it is used, not when it is opened. */
    assert_int_equal(sq_engine_read(bytes, size, "made", &file, &err), SQUALL_OK);
    file.ranges[0].max = INT64_MAX;
    assert_int_equal(sq_engine_write(&file, &again, &again_size, &err), SQUALL_OK);
    squall_engine *engine = NULL;
    squall_context *context = NULL;
    assert_int_equal(squall_engine_open_memory(again, again_size, "made", NULL, &engine, NULL,
                                               &err),
                     SQUALL_OK);
    const squall_tensor huge = type_of(INT64_MAX, 3, 6, 4), large = type_of(1 << 30, 3, 6, 4);
    assert_int_not_equal(squall_context_create_for(engine, &huge, 1, 1, &context, &err), SQUALL_OK);
    assert_int_not_equal(squall_context_create_for(engine, &large, 1, 1, &context, &err),
                         SQUALL_OK);
    squall_engine_close(&engine);
    sq_free(again);
    sq_engine_free(&file);
    sq_free(bytes);
    sq_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range),           cmocka_unit_test(test_usual_batches_and_buckets),
        cmocka_unit_test(test_batch_dependent), cmocka_unit_test(test_refused_ranges),
        cmocka_unit_test(test_memory_limit),    cmocka_unit_test(test_hostile_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
