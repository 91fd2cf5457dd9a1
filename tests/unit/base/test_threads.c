/* tests/unit/base/test_threads.c - the thread pool under load and at rest, and the processors that
 * it is sized by. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"

enum { PIECES = 64, ROUNDS = 200, CALLERS = 4 };

typedef struct job {
    unsigned done[PIECES];
    unsigned naps_us; /* of the last piece: long enough for who waits to fall asleep */
} job;

static void do_piece(void *arg, size_t index, int thread)
{
    job *all = arg;
    (void)thread;
    all->done[index]++;
    if (index + 1 == PIECES && all->naps_us > 0) {
        usleep(all->naps_us);
    }
}

static double processor_s(void)
{
    struct rusage used;
    assert_int_equal(getrusage(RUSAGE_SELF, &used), 0);
    return (double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec +
           1e-6 * ((double)used.ru_utime.tv_usec + (double)used.ru_stime.tv_usec);
}

/* Rounds that follow at once, and rounds whose last piece lets the caller and the workers sleep. */
static void test_slow_pieces(void **state)
{
    (void)state;
    squall_error err;
    sq_pool *pool = NULL;
    assert_int_equal(sq_pool_create(3, &pool, &err), SQUALL_OK);
    for (unsigned round = 0; round < ROUNDS; round++) {
        job all = {.naps_us = round % 20 == 0 ? 2000 : 0};
        sq_pool_run(pool, do_piece, &all, PIECES);
        for (size_t i = 0; i < PIECES; i++) {
            assert_int_equal(all.done[i], 1);
        }
    }
    sq_pool_destroy(&pool);
}

static void *call_often(void *arg)
{
    unsigned *wrong = arg;
    sq_pool *pool = NULL;
    if (sq_pool_create(2, &pool, NULL) != SQUALL_OK) {
        *wrong = 1;
        return NULL;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        job all = {.naps_us = round % 50 == 0 ? 500 : 0};
        sq_pool_run(pool, do_piece, &all, PIECES);
        for (size_t i = 0; i < PIECES; i++) {
            *wrong += all.done[i] != 1;
        }
    }
    sq_pool_destroy(&pool);
    return NULL;
}

/* More threads than processors: each pool's callers and workers go on. */
static void test_many_pools(void **state)
{
    (void)state;
    pthread_t callers[CALLERS];
    unsigned wrong[CALLERS] = {0};
    for (int i = 0; i < CALLERS; i++) {
        assert_int_equal(pthread_create(&callers[i], NULL, call_often, &wrong[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i], NULL);
        assert_int_equal(wrong[i], 0);
    }
}

/* A pool that waits for work takes no processor's time: what this process uses in 400 ms, all of
 * its workers together. One that spun would take 400 ms a worker. */
static void test_idle(void **state)
{
    (void)state;
    sq_pool *pool = NULL;
    job all = {.naps_us = 0};
    assert_int_equal(sq_pool_create(4, &pool, NULL), SQUALL_OK);
    sq_pool_run(pool, do_piece, &all, PIECES);
    usleep(100000); /* they look for work for a little while */
    const double before = processor_s();
    usleep(400000);
    const double used = processor_s() - before;
    print_message("%.1f ms of processor time in 400 ms\n", used * 1e3);
    assert_true(used < 0.04);
    sq_pool_destroy(&pool);
}

/* ------------------------------------------------------------------ processors */

static char folder[] = "/tmp/squall-groups-XXXXXX";

static void put(const char *path, const char *text)
{
    char whole[512];
    snprintf(whole, sizeof whole, "%s/%s", folder, path);
    for (char *slash = whole + strlen(folder) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        (void)mkdir(whole, 0700);
        *slash = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static double quota_of(const char *groups)
{
    char list[512];
    put("groups", groups);
    snprintf(list, sizeof list, "%s/groups", folder);
    return sq_cpu_quota(list, folder);
}

static int open_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command); /* NOLINT(cert-env33-c) */
}

static void test_quota(void **state)
{
    (void)state;
    /* version 2: the least on the way up counts, "max" is none */
    put("a/cpu.max", "250000 100000\n");
    put("a/b/cpu.max", "max 100000\n");
    put("a/c/cpu.max", "150000 100000\n");
    assert_true(quota_of("0::/a/b\n") == 2.5);
    assert_true(quota_of("0::/a/c\n") == 1.5);
    assert_true(quota_of("0::/other\n") == 0.0);
    assert_true(quota_of("0::/not/there/a/b\n") == 0.0);
    /* version 1, beside other controllers whose names begin alike */
    put("cpu,cpuacct/d/cpu.cfs_quota_us", "300000\n");
    put("cpu,cpuacct/d/cpu.cfs_period_us", "100000\n");
    put("cpu,cpuacct/e/cpu.cfs_quota_us", "-1\n");
    put("cpu,cpuacct/e/cpu.cfs_period_us", "100000\n");
    put("cpuset/d/cpu.cfs_quota_us", "1000\n");
    put("cpuset/d/cpu.cfs_period_us", "100000\n");
    assert_true(quota_of("5:cpuset:/d\n4:cpu,cpuacct:/d\n0::/\n") == 3.0);
    assert_true(quota_of("4:cpu,cpuacct:/e\n") == 0.0);
    /* the mounted root's own limit, as containers see it */
    put("cpu.max", "50000 100000\n");
    assert_true(quota_of("0::/not/there\n") == 0.5);
    assert_true(quota_of("no groups at all\n:\n0:\n") == 0.0);
    assert_true(sq_cpu_quota("/not/there", folder) == 0.0);
    /* what is no limit */
    put("cpu.max", "0 100000\n");
    assert_true(quota_of("0::/\n") == 0.0);
    put("cpu.max", "100000 0\n");
    assert_true(quota_of("0::/\n") == 0.0);
    assert_true(sq_cpu_count() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_pieces),
        cmocka_unit_test(test_many_pools),
        cmocka_unit_test(test_idle),
        cmocka_unit_test_setup_teardown(test_quota, open_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
