/* tests/unit/base/test_base.c - times, sizes, files that appear whole, the thread pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"

static void test_time(void **state)
{
    (void)state;
    int64_t time;
    char text[SQ_TIME_TEXT];
    assert_true(sq_time_parse("2026-11-22T17:45:00Z", &time));
    assert_int_equal(time, 1795369500); /* date -u -d 2026-11-22T17:45:00Z +%s */
    assert_string_equal(sq_time_format(time, text), "2026-11-22T17:45:00Z");
    static const char *const same[] = {"202611221745", "20261122174500", "20261122T174500Z",
                                       "2026-11-22 17:45", "2026-11-22T17:45:00.000"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        int64_t other = 0;
        assert_true(sq_time_parse(same[i], &other));
        assert_int_equal(other, time);
    }
    static const char *const wrong[] = {"",
                                        "2026",
                                        "2026-02-30T00:00:00Z",
                                        "2026-13-01T00:00",
                                        "2026-11-22T24:00",
                                        "2026-11-22T17:45:00Zx"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(sq_time_parse(wrong[i], &time));
    }
    assert_true(sq_time_from_utc(2000, 2, 29, 0, 0, 0, &time));
    assert_false(sq_time_from_utc(1900, 2, 29, 0, 0, 0, &time));
    assert_true(sq_time_from_utc(1969, 12, 31, 23, 59, 59, &time));
    assert_int_equal(time, -1);
}

static void add_up(void *arg)
{
    int *numbers = arg;
    for (int i = 0; i < 1000; i++) {
        numbers[1] += numbers[0];
    }
}

/* Beside the caller, or before it goes on when there is no memory for that. */
static void test_aside(void **state)
{
    (void)state;
    for (int fail = 0; fail <= 1; fail++) {
        int numbers[2] = {3, 0};
        sq_memory_fail_at(fail ? 0 : -1);
        sq_aside *aside = sq_aside_begin(add_up, numbers);
        sq_memory_fail_at(-1);
        if (fail) {
            assert_null(aside);
        } else {
            assert_non_null(aside);
        }
        sq_aside_end(&aside);
        assert_null(aside);
        assert_int_equal(numbers[1], 3000);
        sq_aside_end(&aside);
    }
}

static void test_size(void **state)
{
    (void)state;
    size_t out = 7;
    assert_false(sq_mul_size(SIZE_MAX, 2, &out));
    assert_false(sq_add_size(SIZE_MAX, 1, &out));
    assert_int_equal(out, 7);
    assert_true(sq_mul_size(1 << 20, 1 << 10, &out));
    assert_int_equal(out, 1 << 30);
    assert_null(sq_alloc(SIZE_MAX, 2));
    void *empty = sq_alloc_raw(0, 0);
    assert_non_null(empty);
    assert_int_equal((uintptr_t)empty % SQ_ALIGNMENT, 0);
    sq_free(empty);
}

static void test_atomic_file(void **state)
{
    (void)state;
    squall_error err;
    unsigned char *bytes = NULL;
    size_t size = 0;
    const char *path = "test_base_folder/deep/file.txt";
    assert_int_equal(sq_folder_make("test_base_folder/deep", &err), SQUALL_OK);
    assert_int_equal(sq_folder_make("test_base_folder/deep", &err), SQUALL_OK);
    assert_int_equal(sq_file_write(path, "first", 5, &err), SQUALL_OK);

    /* A write that is given up leaves the old content and no litter. */
    sq_atomic_file file;
    assert_int_equal(sq_atomic_begin(path, &file, &err), SQUALL_OK);
    FILE *stream = fopen(file.temporary, "wb");
    assert_non_null(stream);
    fputs("second", stream);
    fclose(stream);
    char temporary[256];
    snprintf(temporary, sizeof temporary, "%s", file.temporary);
    sq_atomic_abort(&file);
    assert_int_equal(access(temporary, F_OK), -1);
    assert_int_equal(sq_file_read(path, 100, &bytes, &size, &err), SQUALL_OK);
    assert_string_equal(bytes, "first");
    sq_free(bytes);

    assert_int_equal(sq_file_read(path, 4, &bytes, &size, &err), SQUALL_E_LIMIT);
    assert_int_equal(sq_file_read("test_base_folder", 4, &bytes, &size, &err), SQUALL_E_IO);
    assert_int_equal(sq_file_read("no/such/file", 4, &bytes, &size, &err), SQUALL_E_IO);
    assert_string_equal(err.where, "no/such/file");
    assert_int_equal(sq_file_write("test_base_folder", "x", 1, &err), SQUALL_E_IO);
    /* /dev/full cannot be renamed to, but a folder that is absent fails the same way. */
    assert_int_equal(sq_file_write("no/such/folder/file", "x", 1, &err), SQUALL_E_IO);

    sq_mapping mapping;
    assert_int_equal(sq_file_map(path, 100, &mapping, &err), SQUALL_OK);
    assert_int_equal(mapping.size, 5);
    assert_memory_equal(mapping.data, "first", 5);
    sq_file_unmap(&mapping);
}

typedef struct counted {
    unsigned char done[10000];
    int threads[SQ_POOL_THREADS];
} counted;

static void count_piece(void *arg, size_t index, int thread)
{
    counted *all = arg;
    all->done[index]++;
    all->threads[thread] = 1;
}

static void test_pool(void **state)
{
    (void)state;
    squall_error err;
    sq_pool *pool = NULL;
    assert_int_equal(sq_pool_create(SQ_POOL_THREADS + 1, &pool, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(sq_pool_create(3, &pool, &err), SQUALL_OK);
    assert_int_equal(sq_pool_threads(pool), 3);
    for (int round = 0; round < 200; round++) {
        static counted all;
        memset(&all, 0, sizeof all);
        const size_t count = round % 2 == 0 ? 10000 : (size_t)round;
        sq_pool_run(pool, count_piece, &all, count);
        for (size_t i = 0; i < 10000; i++) {
            assert_int_equal(all.done[i], i < count);
        }
        if (round == 100) {
            usleep(20000); /* long enough for the workers to fall asleep */
        }
    }
    sq_pool_destroy(&pool);
    assert_null(pool);
}

static void test_notes_and_text(void **state)
{
    (void)state;
    squall_notes *notes = squall_notes_create();
    for (int i = 0; i < 20; i++) {
        sq_note(notes, "a.h5", "line %d", i);
    }
    assert_int_equal(squall_notes_count(notes), 20);
    assert_string_equal(squall_notes_get(notes, 19), "a.h5: line 19");
    assert_null(squall_notes_get(notes, 20));
    squall_notes_destroy(&notes);
    assert_null(notes);

    sq_text text = {0};
    for (int i = 0; i < 1000; i++) {
        sq_text_add(&text, "%d,", i % 10);
    }
    assert_int_equal(text.length, 2000);
    assert_false(text.failed);
    sq_memory_fail_at(0);
    for (int i = 0; i < 4000; i++) {
        sq_text_add(&text, "%d,", i % 10);
    }
    assert_true(text.failed);
    sq_text_free(&text);

    sq_text_add_html(&text, "<b class=\"x\"> & c");
    assert_string_equal(text.data, "&lt;b class=&quot;x&quot;&gt; &amp; c");
    sq_text_free(&text);
}

static void test_hash(void **state)
{
    (void)state;
    unsigned char hash[SQ_HASH_BYTES];
    char text[SQ_HASH_TEXT];
    sq_hash("abc", 3, hash); /* FIPS 180-4, example B.1 */
    assert_string_equal(sq_hash_format(hash, text),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* Python 3.11: hashlib.blake2b(b"abc", digest_size=32, key=bytes(range(32))).hexdigest() */
static void test_hash_keyed(void **state)
{
    (void)state;
    unsigned char key[32], hash[SQ_HASH_BYTES];
    char text[SQ_HASH_TEXT];
    for (unsigned char i = 0; i < sizeof key; i++) {
        key[i] = i;
    }
    sq_hash_keyed("abc", 3, key, sizeof key, hash, sizeof hash);
    assert_string_equal(sq_hash_format(hash, text),
                        "d63a32d3e44738d7907f964316c241adaba0abfeabc32349677578a15a203f7f");
}

/* Many messages at once have the hashes that libsodium gives each; on every instruction set that
 * SQUALL_CPU asks for. */
static void test_hash_many(void **state)
{
    (void)state;
    enum { MOST = 37, LONGEST = 4096 };
    static unsigned char bytes[MOST][LONGEST], out[MOST + 1][SQ_HASH_BYTES];
    static const size_t sizes[] = {0, 1, 64, 100, 128, 4096};
    const unsigned char *data[MOST];
    uint32_t seed = 5;
    for (size_t i = 0; i < MOST; i++) {
        data[i] = bytes[i];
        for (size_t j = 0; j < LONGEST; j++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[i][j] = (unsigned char)(seed >> 24);
        }
    }
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (size_t count = 0; count <= MOST; count++) {
            memset(out, 0xab, sizeof out);
            sq_hash_many(data, count, sizes[s], out);
            for (size_t i = 0; i <= MOST; i++) {
                unsigned char want[SQ_HASH_BYTES];
                memset(want, 0xab, sizeof want);
                if (i < count) {
                    sq_hash(data[i], sizes[s], want);
                }
                assert_memory_equal(out[i], want, sizeof want);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_many),      cmocka_unit_test(test_time),
        cmocka_unit_test(test_aside),          cmocka_unit_test(test_size),
        cmocka_unit_test(test_atomic_file),    cmocka_unit_test(test_pool),
        cmocka_unit_test(test_hash),           cmocka_unit_test(test_hash_keyed),
        cmocka_unit_test(test_notes_and_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
