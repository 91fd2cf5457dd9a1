/* tests/unit/nn/compile/test_compile_malloc.c - a run asks for no memory, takes no lock and writes
 * nothing, by anybody: the allocator and the locks themselves are watched, not our own functions
 * alone. */
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "nn/compile/compile_internal.h"
#include "nn/graph/graph_fixture.h"
#include "nn/onnx/onnx.h"
#include "squall/engine.h"

#define MODELS SQUALL_SOURCE_DIR "/tests/data/compile/"

static atomic_long allocations, releases;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* The sanitizers have malloc already; they tell of each call. */
int __sanitizer_install_malloc_and_free_hooks(void (*taken)(const volatile void *, size_t),
                                              void (*given)(const volatile void *));

static void on_malloc(const volatile void *at, size_t size)
{
    (void)at;
    (void)size;
    atomic_fetch_add(&allocations, 1);
}
static void on_free(const volatile void *at)
{
    (void)at;
    atomic_fetch_add(&releases, 1);
}
static void watch(void)
{
    assert_int_not_equal(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free), 0);
}
#else
/* glibc's own, under the names that we take from it: shared libraries call ours too. */
#pragma GCC visibility push(default)
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *old);

void *malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(count, size);
}
void *realloc(void *old, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(old, size);
}
void *aligned_alloc(size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_memalign(alignment, size);
}
int posix_memalign(void **out, size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    *out = __libc_memalign(alignment, size);
    return *out != NULL ? 0 : 12;
}
void *memalign(size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_memalign(alignment, size);
}
void free(void *old)
{
    if (old != NULL) {
        atomic_fetch_add(&releases, 1);
    }
    __libc_free(old);
}
#pragma GCC visibility pop

static void watch(void)
{
}
#endif

/* Locks, under the names that shared libraries call too; the C library's own are behind them. */
static atomic_long locks;
static int (*true_lock)(pthread_mutex_t *);
static int (*true_read)(pthread_rwlock_t *);
static int (*true_write)(pthread_rwlock_t *);

#pragma GCC visibility push(default)
int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    atomic_fetch_add(&locks, 1);
    return true_lock != NULL ? true_lock(mutex) : 0;
}
int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    atomic_fetch_add(&locks, 1);
    return true_read != NULL ? true_read(lock) : 0;
}
int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    atomic_fetch_add(&locks, 1);
    return true_write != NULL ? true_write(lock) : 0;
}
#pragma GCC visibility pop

static void watch_locks(void)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    *(void **)&true_lock = dlsym(RTLD_NEXT, "pthread_mutex_lock");
    *(void **)&true_read = dlsym(RTLD_NEXT, "pthread_rwlock_rdlock");
    *(void **)&true_write = dlsym(RTLD_NEXT, "pthread_rwlock_wrlock");
    assert_non_null(true_lock);
    const long before = atomic_load(&locks);
    assert_int_equal(pthread_mutex_lock(&mutex), 0);
    assert_int_equal(pthread_mutex_unlock(&mutex), 0);
    assert_true(atomic_load(&locks) > before); /* the watch sees one */
}

/* Whatever is written to the two standard streams from here on goes into a file. */
typedef struct streams {
    int out, err, file;
} streams;

static streams catch_streams(void)
{
    streams caught = {.out = dup(1), .err = dup(2)};
    (void)fflush(NULL);
    caught.file = open("test_compile_malloc.log", O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(caught.out >= 0 && caught.err >= 0 && caught.file >= 0);
    assert_true(dup2(caught.file, 1) == 1 && dup2(caught.file, 2) == 2);
    return caught;
}

/* How many bytes that were. */
static long release_streams(const streams *caught)
{
    (void)fflush(NULL);
    const long bytes = lseek(caught->file, 0, SEEK_END);
    (void)dup2(caught->out, 1);
    (void)dup2(caught->err, 2);
    (void)close(caught->out);
    (void)close(caught->err);
    (void)close(caught->file);
    (void)unlink("test_compile_malloc.log");
    return bytes;
}

/* Build a model, make a context, count what several runs of it ask for. */
static void check_model(const char *name, const squall_input_shape *shape, const char *device,
                        const char *precision, int threads)
{
    char path[512];
    squall_error err = {.code = SQUALL_OK};
    squall_build_options options;
    squall_build_report report = {0};
    squall_engine *engine = NULL;
    squall_context *context = NULL;
    sq_graph *graph = NULL;
    unsigned char *bytes = NULL;
    const unsigned char hash[SQ_HASH_BYTES] = {0};
    size_t size = 0;
    squall_tensor in[8], out[8];
    snprintf(path, sizeof path, MODELS "%s.onnx", name);
    squall_build_options_init(&options);
    options.threads = 2;
    options.device = device;
    options.precision = precision;
    options.shapes = shape;
    options.shape_count = shape != NULL;
    assert_int_equal(sq_onnx_read(path, &graph, NULL, &err), SQUALL_OK);
    assert_int_equal(sq_compile_graph(graph, &options, true, hash, &bytes, &size, &report, NULL,
                                      &err),
                     SQUALL_OK);
    assert_int_equal(squall_engine_open_memory(bytes, size, name, NULL, &engine, NULL, &err),
                     SQUALL_OK);
    const size_t ins = squall_engine_input_count(engine), outs = squall_engine_output_count(engine);
    assert_true(ins <= 8 && outs <= 8);
    for (size_t i = 0; i < ins + outs; i++) {
        squall_tensor *tensor = i < ins ? &in[i] : &out[i - ins];
        assert_int_equal(i < ins ? squall_engine_input(engine, 0, i, NULL, tensor, &err)
                                 : squall_engine_output(engine, 0, i - ins, NULL, tensor, &err),
                         SQUALL_OK);
        tensor->data = sq_alloc(squall_tensor_bytes(tensor), 1);
    }
    assert_int_equal(squall_context_create(engine, 0, threads, &context, &err), SQUALL_OK);
    /* The pool's threads set themselves up when they first get the processor: that is no run's. */
    squall_status status = squall_context_run(context, in, ins, out, outs, &err);
    usleep(200000);
    const streams caught = catch_streams();
    const long before = atomic_load(&allocations), freed = atomic_load(&releases);
    const long held = atomic_load(&locks);
    assert_true(before > 0); /* the watch sees what building took */
    for (int run = 0; run < 5 && status == SQUALL_OK; run++) {
        status = squall_context_run(context, in, ins, out, outs, &err);
    }
    const long after = atomic_load(&allocations), freed_after = atomic_load(&releases);
    const long held_after = atomic_load(&locks), written = release_streams(&caught);
    assert_int_equal(held_after, held);
    assert_int_equal(written, 0);
    assert_int_equal(status, SQUALL_OK);
    assert_int_equal(after, before);
    assert_int_equal(freed_after, freed);
    squall_context_destroy(&context);
    squall_engine_close(&engine);
    for (size_t i = 0; i < ins + outs; i++) {
        sq_free(i < ins ? in[i].data : out[i - ins].data);
    }
    sq_free(bytes);
    sq_graph_destroy(&graph);
}

static void test_run(void **state)
{
    (void)state;
    static const squall_input_shape unet = {.name = "x", .rank = 4, .dims = {2, 3, 16, 16}};
    static const char *const ways[][2] = {{"ref", "fp32"},
                                          {"cpu", "fp32"},
                                          {"cpu", "fp16"},
                                          {"cpu", "bf16"}};
    for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
        for (int threads = 1; threads <= 3; threads += 2) {
            check_model("small_unet", &unet, ways[w][0], ways[w][1], threads);
            check_model("views", NULL, ways[w][0], ways[w][1], threads);
        }
    }
}

int main(void)
{
    watch();
    watch_locks();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_run)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
