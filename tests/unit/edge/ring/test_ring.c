/* tests/unit/edge/ring/test_ring.c - the ring: its turn, power cuts at every byte, full disks,
 * damage.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge/ring/ring.h"

enum { SLOT = 128, SLOTS = 8, BYTES = 64 + SLOT * SLOTS };

static const sq_ring_options usual = {.slot_bytes = SLOT, .slots = SLOTS, .sync_every = 1};
static char path[] = "ring_XXXXXX";

static sq_ring *reopen(sq_ring **old)
{
    squall_error err;
    sq_ring *ring = NULL;
    sq_ring_close(old);
    if (sq_ring_open(path, &usual, &ring, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    return ring;
}

static sq_ring *fresh(void)
{
    sq_ring *none = NULL;
    (void)unlink(path);
    return reopen(&none);
}

/* Record n says "n" over and over, n % 100 bytes of it. */
static size_t record(uint64_t n, char *text)
{
    memset(text, 'a' + (int)(n % 26), 100);
    return (size_t)(n % 100);
}

static void append(sq_ring *ring, uint64_t n)
{
    squall_error err;
    char text[100];
    uint64_t sequence = 0;
    const size_t size = record(n, text);
    assert_int_equal(sq_ring_append(ring, text, size, &sequence, &err), SQUALL_OK);
    assert_int_equal(sequence, n);
}

static squall_status look(sq_ring *ring, uint64_t n)
{
    squall_error err;
    char got[SLOT], want[100];
    size_t size = 0;
    const squall_status status = sq_ring_read(ring, n, got, sizeof got, &size, &err);
    if (status == SQUALL_OK) {
        assert_int_equal(size, record(n, want));
        assert_memory_equal(got, want, size);
    }
    return status;
}

static void test_turn(void **state)
{
    (void)state;
    sq_ring *ring = fresh();
    assert_int_equal(sq_ring_last(ring), 0);
    assert_int_equal(sq_ring_first(ring), 0);
    assert_int_equal(look(ring, 1), SQUALL_E_NO_DATA);
    assert_int_equal(look(ring, 0), SQUALL_E_NO_DATA);
    for (uint64_t n = 1; n <= 50; n++) {
        append(ring, n);
        if (n % 7 == 0) {
            ring = reopen(&ring);
        }
        assert_int_equal(sq_ring_last(ring), n);
        assert_int_equal(sq_ring_first(ring), n < SLOTS ? 1 : n - SLOTS + 1);
        for (uint64_t old = 1; old <= n + 1; old++) {
            assert_int_equal(look(ring, old),
                             old <= n && old + SLOTS > n ? SQUALL_OK : SQUALL_E_NO_DATA);
        }
    }
    assert_int_equal(sq_ring_written(ring), SLOT * (50 % 7));
    squall_error err;
    char text[SLOT] = {0};
    size_t size;
    assert_int_equal(sq_ring_append(ring, text, SLOT - SQ_RING_HEAD + 1, NULL, &err),
                     SQUALL_E_LIMIT);
    assert_int_equal(sq_ring_read(ring, 50, text, 49, &size, &err), SQUALL_E_LIMIT);
    assert_int_equal(sq_ring_sync(ring, &err), SQUALL_OK);
    sq_ring_close(&ring);
    sq_ring_close(&ring);
}

static void read_whole(unsigned char *bytes)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, BYTES, file), BYTES);
    (void)fclose(file);
}

static void write_whole(const unsigned char *bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, BYTES, file), BYTES);
    assert_int_equal(fclose(file), 0);
}

/* The power goes while a record is written: its first bytes are on the disk, or its last ones. All
 * records before it are there, and the ring goes on. */
static void test_power_cut(void **state)
{
    (void)state;
    static unsigned char before[BYTES], after[BYTES], torn[BYTES];
    for (uint64_t n = 4; n <= 12; n += 4) { /* into empty slots, and over old records */
        sq_ring *ring = fresh();
        for (uint64_t i = 1; i < n; i++) {
            append(ring, i);
        }
        read_whole(before);
        append(ring, n);
        read_whole(after);
        const size_t place = 64 + (size_t)((n - 1) % SLOTS) * SLOT;
        for (size_t part = 0; part <= 2 * SLOT; part++) {
            memcpy(torn, before, BYTES);
            if (part <= SLOT) {
                memcpy(torn + place, after + place, part);
            } else {
                memcpy(torn + place + part - SLOT, after + place + part - SLOT, 2 * SLOT - part);
            }
            write_whole(torn);
            ring = reopen(&ring);
            const uint64_t last = sq_ring_last(ring);
            assert_true(last == n || last == n - 1);
            assert_true(part != SLOT || last == n);
            for (uint64_t old = n > SLOTS ? n - SLOTS + 1 : 1; old < n; old++) {
                assert_int_equal(look(ring, old), SQUALL_OK);
            }
            append(ring, last + 1);
            append(ring, last + 2);
            assert_int_equal(look(ring, last + 1), SQUALL_OK);
        }
        sq_ring_close(&ring);
    }
}

/* Any byte changed: a record is what it was, or it is not there. */
static void test_damage(void **state)
{
    (void)state;
    static unsigned char good[BYTES], bad[BYTES];
    squall_error err;
    sq_ring *ring = fresh();
    for (uint64_t n = 1; n <= 11; n++) {
        append(ring, n);
    }
    read_whole(good);
    sq_ring_close(&ring);
    for (size_t at = 0; at < BYTES; at++) {
        memcpy(bad, good, BYTES);
        bad[at] ^= 0x10;
        write_whole(bad);
        const squall_status status = sq_ring_open(path, &usual, &ring, &err);
        if (at < 20) {
            assert_int_equal(status, SQUALL_E_CORRUPT);
            continue;
        }
        assert_int_equal(status, SQUALL_OK);
        int there = 0;
        for (uint64_t n = 4; n <= 11; n++) {
            there += look(ring, n) == SQUALL_OK;
        }
        assert_true(there >= SLOTS - 1);
        sq_ring_close(&ring);
    }
    assert_int_equal(truncate(path, BYTES - 1), 0);
    assert_int_equal(sq_ring_open(path, &usual, &ring, &err), SQUALL_E_CORRUPT);
    assert_int_equal(truncate(path, 10), 0);
    assert_int_equal(sq_ring_open(path, &usual, &ring, &err), SQUALL_E_CORRUPT);
}

/* No room: none is made, nothing is left behind; and a ring that is there needs no more. */
static void test_full_disk(void **state)
{
    (void)state;
    const struct rlimit small = {64 + 4 * SLOT, RLIM_INFINITY};
    struct rlimit before;
    squall_error err;
    sq_ring *ring = fresh();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    for (uint64_t n = 1; n <= 3; n++) {
        append(ring, n);
    }
    sq_ring *other = NULL;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(sq_ring_open("ring_full", &usual, &other, &err), SQUALL_E_IO);
    assert_int_not_equal(access("ring_full", F_OK), 0);
    append(ring, 4);
    char text[8] = "too far";
    assert_int_equal(sq_ring_append(ring, text, 7, NULL, &err), SQUALL_E_IO);
    assert_int_equal(sq_ring_last(ring), 4);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    append(ring, 5); /* room again */
    ring = reopen(&ring);
    assert_int_equal(sq_ring_last(ring), 5);
    assert_int_equal(look(ring, 4), SQUALL_OK);
    sq_ring_close(&ring);
}

static void test_refusals(void **state)
{
    (void)state;
    squall_error err;
    sq_ring *ring = fresh();
    sq_ring_close(&ring);
    const sq_ring_options bad[] = {
        {63, 8, 1}, {100, 8, 1}, {8192, 8, 1}, {128, 1, 1}, {128, 2000000, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(sq_ring_open(path, &bad[i], &ring, &err), SQUALL_E_ARGUMENT);
    }
    const sq_ring_options other = {.slot_bytes = SLOT, .slots = SLOTS + 1};
    assert_int_equal(sq_ring_open(path, &other, &ring, &err), SQUALL_E_MISMATCH);
    assert_int_equal(sq_ring_open("/nonexistent/ring", &usual, &ring, &err), SQUALL_E_IO);
    assert_int_equal(sq_ring_open(".", &usual, &ring, &err), SQUALL_E_IO);
    assert_null(ring);
}

static int prepare(void **state)
{
    (void)state;
    const int file = mkstemp(path);
    return file < 0 ? -1 : close(file);
}

static int tidy(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turn),     cmocka_unit_test(test_power_cut),
        cmocka_unit_test(test_damage),   cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, prepare, tidy);
}
