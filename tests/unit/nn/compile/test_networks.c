/* tests/unit/nn/compile/test_networks.c - networks as PyTorch's two exporters write them: built
 * into an engine, run, and held against PyTorch's own outputs.
 *
 * tests/expected/make_networks.py writes them, and describes NAME.io. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "nn/tensor/tensor.h"
#include "squall/compile.h"
#include "squall/engine.h"

#define FOLDER SQUALL_SOURCE_DIR "/tests/data/networks/"
#define ENGINE "test_networks.sqe"

enum { MAX_PORTS = 8, MAX_NETWORKS = 64, FEWEST_NETWORKS = 15 };

/* How a network is built, and how far its outputs may be off, as a part of their range: by what the
 * rounding of all that lies between two layers to 11 or 8 bits adds up to, in 16 bits. */
typedef struct way {
    const char *device, *precision;
    double tolerance;
} way;
static const way ways[] = {{"ref", "fp32", 1e-4},
                           {"cpu", "fp32", 1e-4},
                           {"cpu", "fp16", 1e-2},
                           {"cpu", "bf16", 8e-2}};
enum { WAYS = sizeof ways / sizeof ways[0] };

/* Inputs and expected outputs of one network; owned. */
typedef struct ports {
    squall_tensor in[MAX_PORTS], out[MAX_PORTS];
    uint32_t in_count, out_count;
} ports;

static void read_bytes(FILE *file, void *to, size_t size)
{
    if (fread(to, 1, size, file) != size) {
        fail_msg("an .io file ends early");
    }
}

static void read_tensor(FILE *file, squall_tensor *out)
{
    uint32_t head[2];
    int64_t dims[SQUALL_MAX_DIMS];
    read_bytes(file, head, sizeof head);
    assert_true(head[1] <= SQUALL_MAX_DIMS);
    read_bytes(file, dims, head[1] * sizeof dims[0]);
    assert_true(sq_tensor_make((squall_dtype)head[0], head[1], dims, out));
    read_bytes(file, out->data, squall_tensor_bytes(out));
}

static void read_ports(const char *name, ports *all)
{
    char path[512], magic[4];
    uint32_t counts[2];
    snprintf(path, sizeof path, FOLDER "%.63s.io", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    read_bytes(file, magic, sizeof magic);
    assert_memory_equal(magic, "SQIO", sizeof magic);
    read_bytes(file, counts, sizeof counts);
    assert_true(counts[0] <= MAX_PORTS && counts[1] > 0 && counts[1] <= MAX_PORTS);
    memset(all, 0, sizeof *all);
    all->in_count = counts[0];
    all->out_count = counts[1];
    for (uint32_t i = 0; i < all->in_count; i++) {
        read_tensor(file, &all->in[i]);
    }
    for (uint32_t i = 0; i < all->out_count; i++) {
        read_tensor(file, &all->out[i]);
    }
    assert_int_equal(fgetc(file), EOF);
    (void)fclose(file);
}

static void free_ports(ports *all)
{
    for (uint32_t i = 0; i < MAX_PORTS; i++) {
        sq_tensor_free(&all->in[i]);
        sq_tensor_free(&all->out[i]);
    }
}

static void build(const char *file, const way *how, const ports *all)
{
    char path[512];
    char names[MAX_PORTS][16];
    squall_input_shape shapes[MAX_PORTS];
    squall_build_options options;
    squall_error err;
    for (uint32_t i = 0; i < all->in_count; i++) {
        snprintf(names[i], sizeof names[i], "x%u", (unsigned)i);
        shapes[i] = (squall_input_shape){.name = names[i], .rank = all->in[i].rank};
        memcpy(shapes[i].dims, all->in[i].dims, sizeof shapes[i].dims);
    }
    squall_build_options_init(&options);
    options.device = how->device;
    options.precision = how->precision;
    options.threads = 2;
    options.shapes = shapes;
    options.shape_count = all->in_count;
    snprintf(path, sizeof path, FOLDER "%s", file);
    squall_notes *notes = squall_notes_create();
    if (squall_build(path, &options, ENGINE, NULL, notes, &err) != SQUALL_OK) {
        for (size_t i = 0; squall_notes_get(notes, i); i++) {
            print_message("%s\n", squall_notes_get(notes, i));
        }
        fail_msg("%s for %s in %s: %s: %s", file, how->device, how->precision, err.where, err.text);
    }
    squall_notes_destroy(&notes);
}

static void compare(const char *file, const way *how, uint32_t index, const squall_tensor *want,
                    const squall_tensor *got)
{
    const size_t count = squall_tensor_count(want);
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        const double value = sq_tensor_get_double(want, i);
        low = fmin(low, value);
        high = fmax(high, value);
    }
    for (size_t i = 0; i < count; i++) {
        const double a = sq_tensor_get_double(got, i), b = sq_tensor_get_double(want, i);
        if (!(fabs(a - b) <= how->tolerance * (high - low))) {
            fail_msg("%s on %s in %s: output %u, number %zu is %.9g; PyTorch has %.9g", file,
                     how->device, how->precision, (unsigned)index, i, a, b);
        }
    }
}

static void run(const char *file, const way *how, const ports *all)
{
    squall_engine *engine = NULL;
    squall_context *context = NULL;
    squall_tensor out[MAX_PORTS] = {0};
    squall_error err;
    if (squall_engine_open(ENGINE, NULL, &engine, NULL, &err) != SQUALL_OK) {
        fail_msg("%s: %s: %s", file, err.where, err.text);
    }
    assert_int_equal(squall_engine_input_count(engine), all->in_count);
    assert_int_equal(squall_engine_output_count(engine), all->out_count);
    for (uint32_t i = 0; i < all->out_count; i++) {
        squall_tensor type;
        assert_int_equal(squall_engine_output(engine, 0, i, NULL, &type, &err), SQUALL_OK);
        if (!sq_tensor_same_type(&type, &all->out[i])) {
            char is[SQ_TENSOR_TEXT], expected[SQ_TENSOR_TEXT];
            fail_msg("%s: output %u is %s, expected %s", file, (unsigned)i,
                     sq_tensor_format(&type, is), sq_tensor_format(&all->out[i], expected));
        }
        assert_true(sq_tensor_make(type.dtype, type.rank, type.dims, &out[i]));
    }
    assert_int_equal(squall_context_create(engine, 0, 2, &context, &err), SQUALL_OK);
    if (squall_context_run(context, all->in, all->in_count, out, all->out_count, &err) !=
        SQUALL_OK) {
        fail_msg("%s: %s: %s", file, err.where, err.text);
    }
    for (uint32_t i = 0; i < all->out_count; i++) {
        compare(file, how, i, &all->out[i], &out[i]);
        sq_tensor_free(&out[i]);
    }
    squall_context_destroy(&context);
    squall_engine_close(&engine);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The networks of the folder, by name; returns how many. */
static size_t list_networks(char names[MAX_NETWORKS][64])
{
    size_t count = 0;
    DIR *folder = opendir(FOLDER);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot && strcmp(dot, ".io") == 0) {
            assert_true(count < MAX_NETWORKS && dot - entry->d_name < 64);
            snprintf(names[count++], 64, "%.*s", (int)(dot - entry->d_name), entry->d_name);
        }
    }
    (void)closedir(folder);
    qsort(names, count, sizeof names[0], by_name);
    return count;
}

static void test_networks(void **state)
{
    static const char *const exporters[] = {"script", "dynamo"};
    static char names[MAX_NETWORKS][64];
    const char *only = getenv("SQUALL_NETWORK");
    (void)state;
    const size_t count = list_networks(names);
    assert_true(count >= FEWEST_NETWORKS);
    for (size_t i = 0; i < count; i++) {
        ports all;
        if (only && strcmp(only, names[i]) != 0) {
            continue;
        }
        read_ports(names[i], &all);
        for (size_t e = 0; e < 2; e++) {
            for (size_t w = 0; w < WAYS; w++) {
                char file[128];
                snprintf(file, sizeof file, "%.63s.%s.onnx", names[i], exporters[e]);
                build(file, &ways[w], &all);
                run(file, &ways[w], &all);
            }
        }
        free_ports(&all);
    }
    (void)remove(ENGINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_networks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
