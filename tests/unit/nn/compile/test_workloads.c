/* tests/unit/nn/compile/test_workloads.c - the reference networks: outputs equal PyTorch's, memory
 * meets its bound, the same bits for any thread count, no allocation in a run.
 *
 * Expected outputs are those of PyTorch in float32, written by the pack's own make.py beside each
 * network (see its README). */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "nn/compile/compile_internal.h"
#include "nn/onnx/onnx.h"
#include "squall/engine.h"

#define FOLDER SQUALL_SHARED_DIR "/workloads/"

/* Outputs may differ from PyTorch's by this part of their range. */
#define TOLERANCE 1e-4

/* A float32 array of NumPy's file format, version 1.0: a text header, then the numbers. */
static void read_npy(const char *name, squall_tensor *out)
{
    char path[512];
    unsigned char *bytes;
    size_t size;
    snprintf(path, sizeof path, FOLDER "%s.npy", name);
    assert_int_equal(sq_file_read(path, (size_t)1 << 30, &bytes, &size, NULL), SQUALL_OK);
    assert_true(size > 10 && memcmp(bytes, "\x93NUMPY\x01\x00", 8) == 0);
    const size_t begin = 10 + bytes[8] + 256u * bytes[9];
    const char *header = (const char *)bytes + 10;
    assert_non_null(strstr(header, "'<f4'"));
    assert_non_null(strstr(header, "'fortran_order': False"));
    const char *p = strstr(header, "'shape': (");
    assert_non_null(p);
    int64_t dims[SQUALL_MAX_DIMS];
    uint32_t rank = 0;
    for (p += strlen("'shape': ("); *p != ')' && rank < SQUALL_MAX_DIMS;) {
        char *end;
        dims[rank++] = strtoll(p, &end, 10);
        for (p = end; *p == ',' || *p == ' ';) {
            p++;
        }
    }
    assert_true(sq_tensor_make(SQUALL_F32, rank, dims, out));
    assert_int_equal(size - begin, squall_tensor_bytes(out));
    memcpy(out->data, bytes + begin, size - begin);
    sq_free(bytes);
}

/* The largest difference, as part of the range of `want`. */
static double difference(const squall_tensor *got, const squall_tensor *want)
{
    const float *a = got->data, *b = want->data;
    const size_t count = squall_tensor_count(want);
    double most = 0, low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        const double apart = fabs((double)a[i] - (double)b[i]);
        most = apart > most || isnan(apart) ? apart : most;
        low = b[i] < low ? b[i] : low;
        high = b[i] > high ? b[i] : high;
    }
    assert_true(high > low);
    return most / (high - low);
}

/* A network, its input and PyTorch's output. */
typedef struct workload {
    const char *name;
    char model[512];
    squall_tensor in, want, got;
    squall_input_shape shape;
} workload;

static void open_workload(workload *work, const char *name)
{
    char file[128];
    memset(work, 0, sizeof *work);
    work->name = name;
    snprintf(work->model, sizeof work->model, FOLDER "%s.onnx", name);
    snprintf(file, sizeof file, "%s.in", name);
    read_npy(file, &work->in);
    snprintf(file, sizeof file, "%s.out", name);
    read_npy(file, &work->want);
    assert_true(sq_tensor_make(SQUALL_F32, work->want.rank, work->want.dims, &work->got));
    work->shape.rank = work->in.rank;
    memcpy(work->shape.dims, work->in.dims, sizeof work->shape.dims);
}

static void close_workload(workload *work)
{
    sq_tensor_free(&work->in);
    sq_tensor_free(&work->want);
    sq_tensor_free(&work->got);
}

/* One run; allocates nothing. */
static double run_once(squall_engine *engine, workload *work, int threads)
{
    squall_context *context = NULL;
    squall_error err = {.code = SQUALL_OK};
    if (squall_context_create(engine, 0, threads, &context, &err) != SQUALL_OK) {
        fail_msg("%s: %s: %s", work->name, err.where, err.text);
    }
    memset(work->got.data, 0x7f, squall_tensor_bytes(&work->got));
    const long before = sq_memory_count();
    const double start = sq_clock_s();
    const squall_status status = squall_context_run(context, &work->in, 1, &work->got, 1, &err);
    const double seconds = sq_clock_s() - start;
    if (status != SQUALL_OK) {
        fail_msg("%s: %s: %s", work->name, err.where, err.text);
    }
    assert_int_equal(sq_memory_count(), before);
    squall_context_destroy(&context);
    return seconds;
}

/* Build with squall_build(), run with 1, 2 and 3 threads; returns the bytes of the arena. */
static uint64_t check_precision(const char *name, const char *device, const char *precision,
                                double tolerance)
{
    workload work;
    char path[64];
    squall_build_options options;
    squall_build_report report;
    squall_profile_info info;
    squall_engine *engine = NULL;
    squall_error err = {.code = SQUALL_OK};
    open_workload(&work, name);
    squall_build_options_init(&options);
    options.device = device;
    options.precision = precision;
    options.shapes = &work.shape;
    options.shape_count = 1;
    /* One file a mask of SQUALL_CPU: such tests may run side by side. */
    snprintf(path, sizeof path, "test_workloads_%s_%s_%s.sqe", device, precision,
             sq_isa_name(sq_cpu_isa()));
    squall_notes *notes = squall_notes_create();
    if (squall_build(work.model, &options, path, &report, notes, &err) != SQUALL_OK) {
        for (size_t i = 0; i < squall_notes_count(notes); i++) {
            print_message("%s\n", squall_notes_get(notes, i));
        }
        fail_msg("%s: %s: %s", name, err.where, err.text);
    }
    const double start = sq_clock_s();
    assert_int_equal(squall_engine_open(path, NULL, &engine, NULL, &err), SQUALL_OK);
    const double open_s = sq_clock_s() - start;
    assert_int_equal(squall_engine_profile(engine, 0, &info, &err), SQUALL_OK);
    assert_int_equal(info.arena_bytes, info.arena_bound_bytes);
    assert_int_equal(report.arena_bytes, info.arena_bytes);
    /* Where this host has kernels of its own there is time for three runs. */
    const int most_threads = strcmp(info.backend, "ref") == 0 ? 1 : 3;
    squall_tensor first = {0};
    for (int threads = 1; threads <= most_threads; threads++) {
        const double seconds = run_once(engine, &work, threads);
        const double apart = difference(&work.got, &work.want);
        print_message(
            "%s on %s in %s: %d threads %.3f s, opened in %.2f ms, arena %.2f MB (bound %.2f), "
            "%" PRIu32 " steps, %.1e of the range apart\n",
            name, info.backend, precision, threads, seconds, 1e3 * open_s,
            1e-6 * (double)info.arena_bytes, 1e-6 * (double)info.arena_bound_bytes, info.step_count,
            apart);
        assert_true(apart <= tolerance);
        if (threads == 1) {
            assert_true(sq_tensor_copy(&work.got, &first));
        }
        assert_memory_equal(first.data, work.got.data, squall_tensor_bytes(&first));
    }
    sq_tensor_free(&first);
    squall_engine_close(&engine);
    squall_notes_destroy(&notes);
    unlink(path);
    close_workload(&work);
    return report.arena_bytes;
}

static void check_built(const char *name, const char *device)
{
    (void)check_precision(name, device, "fp32", TOLERANCE);
}

/* In 16 bits the arena is half of what it is in 32, at its bound as well. */
static void test_rainnet_half(void **state)
{
    (void)state;
    const uint64_t wide = check_precision("rainnet-s", "cpu", "fp32", TOLERANCE);
    assert_int_equal(2 * check_precision("rainnet-s", "cpu", "fp16", 4e-3), wide);
    assert_int_equal(2 * check_precision("rainnet-s", "cpu", "bf16", 4e-2), wide);
}

static void test_rainnet(void **state)
{
    (void)state;
    check_built("rainnet-s", "cpu");
}
static void test_rainnet_ref(void **state)
{
    (void)state;
    check_built("rainnet-s", "ref");
}
static void test_rainnet_batch(void **state)
{
    (void)state;
    check_built("rainnet-s-dyn", "cpu");
}
static void test_smaat(void **state)
{
    (void)state;
    check_built("smaat", "cpu");
}
static void test_convlstm(void **state)
{
    (void)state;
    check_built("convlstm", "cpu");
}

/* The passes change the work, not what comes out of it. */
static void test_passes(void **state)
{
    (void)state;
    workload work;
    squall_build_options options;
    squall_error err = {.code = SQUALL_OK};
    unsigned char hash[SQ_HASH_BYTES] = {0};
    squall_tensor plain = {0};
    uint32_t steps[2];
    open_workload(&work, "rainnet-s");
    squall_build_options_init(&options);
    options.threads = 1;
    for (int optimise = 0; optimise <= 1; optimise++) {
        squall_build_report report = {0};
        sq_graph *graph = NULL;
        squall_engine *engine = NULL;
        unsigned char *bytes = NULL;
        size_t size;
        assert_int_equal(sq_onnx_read(work.model, &graph, NULL, &err), SQUALL_OK);
        assert_int_equal(sq_compile_graph(graph, &options, optimise, hash, &bytes, &size, &report,
                                          NULL, &err),
                         SQUALL_OK);
        steps[optimise] = report.steps_out;
        assert_int_equal(squall_engine_open_memory(bytes, size, "passes", NULL, &engine, NULL,
                                                   &err),
                         SQUALL_OK);
        run_once(engine, &work, 2);
        if (optimise == 0) {
            assert_true(sq_tensor_copy(&work.got, &plain));
        }
        assert_true(difference(&work.got, &plain) <= 1e-5);
        squall_engine_close(&engine);
        sq_graph_destroy(&graph);
        sq_free(bytes);
    }
    assert_true(steps[1] < steps[0]);
    sq_tensor_free(&plain);
    close_workload(&work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rainnet),     cmocka_unit_test(test_rainnet_half),
        cmocka_unit_test(test_rainnet_ref), cmocka_unit_test(test_rainnet_batch),
        cmocka_unit_test(test_smaat),       cmocka_unit_test(test_convlstm),
        cmocka_unit_test(test_passes),
    };
    if (access(FOLDER, R_OK) != 0) {
        fprintf(stderr, "skipped: %s is not there\n", FOLDER);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
