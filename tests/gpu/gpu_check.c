/* tests/gpu/gpu_check.c - networks built for a GPU and run there, against what they should give.
 *
 * gpu_check MODEL.onnx IN.npy OUT.npy fp32|fp16|int8 [RUNS [LAYERS]] builds for cuda:0 and says the
 * error and the times; gpu_check --open ENGINE IN.npy OUT.npy opens one that was built elsewhere.
 * int8 is calibrated on pieces of the input; with EXACT=1 the engine's portable plan must give the
 * same bits.
 * It is linked with nn alone, so that it runs on a machine that has a driver and little else.
 * tests/gpu/run makes it and says what must hold. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "squall/calibrate.h"
#include "squall/compile.h"
#include "squall/engine.h"

static void give_up(const char *what, const squall_error *err)
{
    printf("FAILED %s: %s: %s: %s\n", what, squall_status_name(err->code), err->where, err->text);
    exit(1);
}

/* A float32 array of NumPy's format 1.0. */
static float *read_npy(const char *path, squall_tensor *type)
{
    unsigned char *bytes;
    size_t size;
    squall_error err = {.code = SQUALL_OK};
    if (sq_file_read(path, (size_t)1 << 31, &bytes, &size, &err) != SQUALL_OK) {
        give_up(path, &err);
    }
    const size_t begin = 10 + bytes[8] + 256u * bytes[9];
    const char *p = strstr((const char *)bytes + 10, "'shape': (");
    memset(type, 0, sizeof *type);
    type->dtype = SQUALL_F32;
    for (p += strlen("'shape': ("); *p != ')' && type->rank < SQUALL_MAX_DIMS;) {
        char *end;
        type->dims[type->rank++] = strtoll(p, &end, 10);
        for (p = end; *p == ',' || *p == ' ';) {
            p++;
        }
    }
    const size_t wanted = squall_tensor_bytes(type);
    float *data = sq_alloc(wanted, 1);
    if (data == NULL || size - begin != wanted) {
        printf("FAILED %s: %zu bytes, wanted %zu\n", path, size - begin, wanted);
        exit(1);
    }
    memcpy(data, bytes + begin, wanted);
    sq_free(bytes);
    type->data = data;
    return data;
}

static int by_size(const void *a, const void *b)
{
    const double l = *(const double *)a, r = *(const double *)b;
    return l < r ? -1 : l > r ? 1 : 0;
}

static void print_layers(squall_context *context, const squall_tensor *in, const squall_tensor *out)
{
    const squall_step_time *steps;
    size_t count;
    squall_error err;
    double sum = 0;
    if (squall_context_profile(context, in, 1, out, 1, &steps, &count, &err) != SQUALL_OK) {
        give_up("profile", &err);
    }
    for (size_t i = 0; i < count; i++) {
        const double s = steps[i].seconds;
        sum += s;
        printf("  %9.2f us %7.1f TFLOP/s %7.1f GB/s  %-12s %-22s %.40s\n", 1e6 * s,
               2e-12 * (double)steps[i].macs / s, 1e-9 * (double)steps[i].bytes / s, steps[i].op,
               steps[i].tactic, steps[i].name);
    }
    printf("  %9.2f us in all\n", 1e6 * sum);
}

/* Whether the portable plan, on the processor, gives the same bits; says where it first does not.
 */
static bool same_on_processor(const char *path, const squall_tensor *in, const squall_tensor *want,
                              const float *got)
{
    squall_engine *engine = NULL;
    squall_context *context = NULL;
    squall_profile_info info;
    squall_error err = {.code = SQUALL_OK};
    squall_notes *notes = squall_notes_create();
    squall_tensor out = *want;
    const size_t count = squall_tensor_count(want);
    setenv("SQUALL_CUDA_DRIVER", "/nonexistent", 1);
    out.data = sq_alloc(count, sizeof(float));
    const double start = sq_clock_s();
    if (squall_engine_open(path, NULL, &engine, notes, &err) != SQUALL_OK ||
        squall_engine_profile(engine, 0, &info, &err) != SQUALL_OK ||
        squall_context_create(engine, 0, 0, &context, &err) != SQUALL_OK ||
        squall_context_run(context, in, 1, &out, 1, &err) != SQUALL_OK) {
        give_up(path, &err);
    }
    unsetenv("SQUALL_CUDA_DRIVER");
    size_t differ = 0;
    for (size_t i = 0; i < count; i++) {
        differ += memcmp(&((float *)out.data)[i], &got[i], sizeof(float)) != 0;
    }
    printf("%s on %s in %.1f s: %zu of %zu numbers differ\n", path, info.backend,
           sq_clock_s() - start, differ, count);
    squall_context_destroy(&context);
    squall_engine_close(&engine);
    squall_notes_destroy(&notes);
    sq_free(out.data);
    return differ == 0 && strncmp(info.backend, "cuda", 4) != 0;
}

/* Run an engine; the worst error over the range, and the signal to noise ratio. `least_db`: that
 * there must be over the range; 0: an error of 1e-4 at most. */
static void check(const char *path, const char *in_path, const char *out_path, double least_db,
                  int runs, bool layers)
{
    squall_engine *engine = NULL;
    squall_context *context = NULL;
    squall_engine_options options;
    squall_profile_info info;
    squall_error err = {.code = SQUALL_OK};
    squall_notes *notes = squall_notes_create();
    squall_tensor in, want, out;
    const float *right = (read_npy(in_path, &in), read_npy(out_path, &want));
    squall_engine_options_init(&options);
    options.trust_kernels = 1;
    const double start = sq_clock_s();
    if (squall_engine_open(path, &options, &engine, notes, &err) != SQUALL_OK ||
        squall_context_create(engine, 0, 0, &context, &err) != SQUALL_OK) {
        give_up(path, &err);
    }
    const double load_s = sq_clock_s() - start;
    for (size_t i = 0; i < squall_notes_count(notes); i++) {
        printf("note: %s\n", squall_notes_get(notes, i));
    }
    if (squall_engine_profile(engine, 0, &info, &err) != SQUALL_OK) {
        give_up(path, &err);
    }
    const size_t count = squall_tensor_count(&want);
    float *got = sq_alloc(count, sizeof *got), *again = sq_alloc(count, sizeof *got);
    double *wall = sq_alloc((size_t)runs, sizeof *wall), *gpu = sq_alloc((size_t)runs, sizeof *gpu);
    out = want;
    for (int i = -3; i < runs; i++) {
        out.data = i < 0 ? got : again;
        const double before = sq_clock_s();
        if (squall_context_run(context, &in, 1, &out, 1, &err) != SQUALL_OK) {
            give_up(path, &err);
        }
        if (i >= 0) {
            wall[i] = sq_clock_s() - before;
            gpu[i] = squall_context_device_s(context);
        }
    }
    double worst = 0, noise = 0, signal = 0, low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        const double error = fabs((double)got[i] - (double)right[i]);
        worst = error > worst || isnan(error) ? error : worst;
        noise += error * error;
        signal += (double)right[i] * (double)right[i];
        low = fmin(low, right[i]);
        high = fmax(high, right[i]);
    }
    const double snr_db = 10 * log10(signal / noise);
    const double psnr_db = 10 * log10((high - low) * (high - low) * (double)count / noise);
    const bool same = memcmp(got, again, count * sizeof *got) == 0;
    qsort(wall, (size_t)runs, sizeof *wall, by_size);
    qsort(gpu, (size_t)runs, sizeof *gpu, by_size);
    worst /= high - low;
    bool good = strncmp(info.backend, "cuda", 4) == 0 && same &&
                (least_db > 0 ? psnr_db >= least_db : worst <= 1e-4);
    printf("%s %s on %s: gpu %.3f ms (min %.3f, p90 %.3f), wall %.3f ms, load %.0f ms, worst %.2e "
           "of the "
           "range, SNR %.1f dB, PSNR %.1f dB, %s bits again\n",
           good ? "ok" : "FAILED", path, info.backend, 1e3 * gpu[runs / 2], 1e3 * gpu[0],
           1e3 * gpu[runs * 9 / 10], 1e3 * wall[runs / 2], 1e3 * load_s, worst, snr_db, psnr_db,
           same ? "same" : "OTHER");
    if (layers) {
        print_layers(context, &in, &out);
    }
    squall_context_destroy(&context);
    squall_engine_close(&engine);
    if (getenv("EXACT") != NULL) {
        good = same_on_processor(path, &in, &want, got) && good;
    }
    squall_notes_destroy(&notes);
    sq_free(in.data);
    sq_free(want.data);
    sq_free(got);
    sq_free(again);
    sq_free(wall);
    sq_free(gpu);
    if (!good) {
        exit(1);
    }
}

enum { PIECES = 8, PIECE = 256 };

/* Pieces of the input, spread over it, or where it is no larger all of it, moved round: samples to
 * calibrate by, which stay until the end. */
static const squall_calibration *make_samples(const squall_tensor *in)
{
    static squall_calibration given;
    static squall_tensor pieces[PIECES];
    const int64_t c = in->dims[1], h = in->dims[2], w = in->dims[3];
    const int64_t ph = h < PIECE ? h : PIECE, pw = w < PIECE ? w : PIECE;
    squall_calibration_init(&given);
    given.sample_count = PIECES;
    given.inputs = pieces;
    for (int p = 0; p < PIECES; p++) {
        const int64_t y0 = h > ph ? (h - ph) * (p / 2) / (PIECES / 2 - 1) : h * p / PIECES;
        const int64_t x0 = (w - pw) * (p % 2);
        pieces[p] = (squall_tensor){.dtype = SQUALL_F32, .rank = 4, .dims = {1, c, ph, pw}};
        float *to = sq_alloc((size_t)(c * ph * pw), sizeof *to);
        pieces[p].data = to;
        for (int64_t row = 0; to != NULL && row < c * ph; row++) {
            const int64_t from = (row / ph * h + (y0 + row % ph) % h) * w + x0;
            memcpy(to + row * pw, (const float *)in->data + from, (size_t)pw * sizeof *to);
        }
    }
    return &given;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 5 && strcmp(argv[1], "--open") == 0) {
        check(argv[2], argv[3], argv[4], 60, 20, false);
        return 0;
    }
    if (argc < 5) {
        fprintf(stderr,
                "gpu_check MODEL IN OUT fp32|fp16|int8 [RUNS [LAYERS]], or --open ENGINE IN OUT\n");
        return 2;
    }
    squall_build_options options;
    squall_build_report report;
    squall_error err = {.code = SQUALL_OK};
    squall_input_shape shape = {.rank = 0};
    squall_tensor in;
    char path[512];
    squall_notes *notes = squall_notes_create();
    squall_build_options_init(&options);
    float *data = read_npy(argv[2], &in);
    const bool bytes = strcmp(argv[4], "int8") == 0, half = strcmp(argv[4], "fp16") == 0;
    shape.rank = in.rank;
    memcpy(shape.dims, in.dims, sizeof shape.dims);
    options.device = "cuda:0";
    options.precision = argv[4];
    options.shapes = &shape;
    options.shape_count = 1;
    options.calibration = bytes ? make_samples(&in) : NULL;
    snprintf(path, sizeof path, "%.400s.%s.sqe", argv[1], argv[4]);
    if (squall_build(argv[1], &options, path, &report, notes, &err) != SQUALL_OK) {
        for (size_t i = 0; i < squall_notes_count(notes); i++) {
            printf("note: %s\n", squall_notes_get(notes, i));
        }
        give_up(argv[1], &err);
    }
    printf("built %s in %.2f s, %.1f MB, arena %.1f MB\n", path, report.seconds,
           1e-6 * (double)report.file_bytes, 1e-6 * (double)report.arena_bytes);
    squall_notes_destroy(&notes);
    sq_free(data);
    check(path, argv[2], argv[3],
          bytes  ? 40
          : half ? 60
                 : 0,
          argc > 5 ? atoi(argv[5]) : 20, argc > 6);
    remove(path);
    return 0;
}
