/* tests/unit/ops/repo/test_repo.c - versions are added whole, found again, and no byte of them can
 * be changed without being found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ops/repo/repo_private.h"
#include "squall/sign.h"

/* The engine of tests/expected/make_engine.sh, and the model that it was built from. */
#define ENGINE SQUALL_SOURCE_DIR "/tests/data/engine/format_1.sqe"
#define MODEL  SQUALL_SOURCE_DIR "/tests/data/compile/small_unet.onnx"
#define OTHER  SQUALL_SOURCE_DIR "/tests/data/cli/drift.onnx"
#define CARD   "{\"data\":\"none\",\"licence\":\"Apache-2.0\",\"skill\":{}}"
#define ROOT   "test_repo.d"

static void write_file(const char *path, const char *text)
{
    assert_int_equal(sq_file_write(path, text, strlen(text), NULL), SQUALL_OK);
}

static void add_key(sq_ring *ring, const char *name, unsigned roles)
{
    unsigned char *keys = NULL;
    size_t count = 0;
    char path[64];
    sq_ring_key key = {.roles = roles, .from = 0, .until = SQ_TIME_NONE, .revoked = SQ_TIME_NONE};
    snprintf(path, sizeof path, ROOT "/%s", name);
    assert_int_equal(squall_key_create(path, NULL, NULL, NULL), SQUALL_OK);
    snprintf(path, sizeof path, ROOT "/%s.pub", name);
    assert_int_equal(sq_trust_roots(path, &keys, &count, NULL), SQUALL_OK);
    memcpy(key.key, keys, sizeof key.key);
    sq_free(keys);
    snprintf(key.name, sizeof key.name, "%s", name);
    if (roles != 0) {
        assert_int_equal(sq_ring_add(ring, &key, NULL), SQUALL_OK);
    }
}

static int set_up(void **state)
{
    sq_ring ring = {.approvals = 1};
    (void)state;
    (void)!system("chmod -R u+w " ROOT " 2>/dev/null; rm -rf " ROOT);
    assert_int_equal(sq_folder_make(ROOT "/trust", NULL), SQUALL_OK);
    add_key(&ring, "root", 0);
    add_key(&ring, "stranger", 0);
    add_key(&ring, "train", SQ_TRUST_TRAIN);
    add_key(&ring, "operate", SQ_TRUST_OPERATE);
    assert_int_equal(sq_ring_write(&ring, ROOT "/trust/keyring", ROOT "/root.key", NULL),
                     SQUALL_OK);
    sq_ring_free(&ring);
    write_file(ROOT "/card.json", CARD);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return system("chmod -R u+w " ROOT "; rm -rf " ROOT);
}

static sq_repo open_one(void)
{
    sq_repo repo;
    assert_int_equal(sq_repo_open(ROOT, ROOT "/root.pub", &repo, NULL), SQUALL_OK);
    return repo;
}

static squall_status add(sq_repo *repo, const char *model, const char *key, int64_t *version,
                         bool *is_new, squall_error *err)
{
    static const char *const engines[] = {ENGINE};
    const sq_repo_addition addition = {.name = "rain",
                                       .model = model,
                                       .card = ROOT "/card.json",
                                       .engines = engines,
                                       .engine_count = 1,
                                       .secret = key,
                                       .note = "a test"};
    return sq_repo_add(repo, &addition, version, is_new, err);
}

static void test_add(void **state)
{
    (void)state;
    squall_error err = {.code = SQUALL_OK};
    sq_repo_version v;
    sq_repo repo = open_one();
    int64_t version = 0, *numbers = NULL;
    size_t count = 0;
    bool is_new = false;
    /* What does not fit leaves nothing behind. */
    assert_int_equal(add(&repo, OTHER, ROOT "/train.key", &version, &is_new, &err),
                     SQUALL_E_MISMATCH);
    assert_non_null(strstr(err.text, "was built from a model with SHA-256"));
    assert_int_equal(add(&repo, MODEL, ROOT "/stranger.key", &version, &is_new, &err),
                     SQUALL_E_SIGNATURE);
    assert_int_equal(add(&repo, MODEL, ROOT "/operate.key", &version, &is_new, &err),
                     SQUALL_E_SIGNATURE);
    write_file(ROOT "/card.json", "{\"data\":\"none\"}");
    assert_int_equal(add(&repo, MODEL, ROOT "/train.key", &version, &is_new, &err),
                     SQUALL_E_FORMAT);
    write_file(ROOT "/card.json", CARD);
    assert_int_equal(sq_repo_versions(&repo, "rain", &numbers, &count, NULL), SQUALL_OK);
    assert_int_equal(count, 0);
    sq_free(numbers);
    assert_int_equal(add(&repo, MODEL, ROOT "/train.key", &version, &is_new, &err), SQUALL_OK);
    assert_int_equal(version, 1);
    assert_true(is_new);
    assert_int_equal(add(&repo, MODEL, ROOT "/train.key", &version, &is_new, &err), SQUALL_OK);
    assert_int_equal(version, 1); /* the same again is no new version */
    assert_false(is_new);
    assert_int_equal(sq_repo_verify(&repo, "rain", 1, &v, &err), SQUALL_OK);
    assert_string_equal(v.files[0].name, "model.onnx");
    assert_string_equal(v.files[1].device, "cpu-avx2");
    assert_int_equal(v.files[2].kind, SQ_REPO_RECIPE); /* came with the engine */
    assert_int_equal(sq_repo_verify(&repo, "rain", 2, &v, &err), SQUALL_E_NO_DATA);
    assert_int_equal(sq_repo_verify(&repo, "../rain", 1, &v, &err), SQUALL_E_ARGUMENT);
    sq_repo_close(&repo);
    assert_int_equal(sq_repo_open(ROOT "/none", NULL, &repo, &err), SQUALL_E_IO);
    assert_int_equal(sq_repo_open(ROOT, ROOT "/stranger.pub", &repo, &err), SQUALL_E_SIGNATURE);
}

/* The bytes of a file of the version, changed one after the other; files and folders are made
 * writable, as one would who tampers with them. */
static void flip(const sq_repo *repo, const char *file, size_t step)
{
    char path[SQ_REPO_PATH];
    sq_repo_version v;
    assert_int_equal(sq_repo_path(repo, "rain", 1, file, path, NULL), SQUALL_OK);
    assert_int_equal(chmod(path, 0644), 0);
    FILE *handle = fopen(path, "r+b");
    assert_non_null(handle);
    setvbuf(handle, NULL, _IONBF, 0);
    fseek(handle, 0, SEEK_END);
    const long size = ftell(handle);
    assert_true(size > 0);
    for (long at = 0; at < size; at += (long)step) {
        fseek(handle, at, SEEK_SET);
        const int byte = fgetc(handle);
        fseek(handle, at, SEEK_SET);
        fputc(byte ^ 0x20, handle);
        assert_int_not_equal(sq_repo_verify(repo, "rain", 1, &v, NULL), SQUALL_OK);
        fseek(handle, at, SEEK_SET);
        fputc(byte, handle);
    }
    fclose(handle);
    assert_int_equal(sq_repo_verify(repo, "rain", 1, &v, NULL), SQUALL_OK);
}

static void test_tampering(void **state)
{
    (void)state;
    squall_error err;
    sq_repo_version v;
    sq_repo repo = open_one();
    flip(&repo, "manifest.json", 1);
    flip(&repo, "manifest.sig", 1);
    flip(&repo, "card.json", 1);
    flip(&repo, "recipe.json", 5);
    flip(&repo, "cpu-avx2.engine", 131);
    flip(&repo, "model.onnx", 131);
    flip(&repo, "../config.pbtxt", 1);
    write_file(ROOT "/models/rain/1/more", "x");
    assert_int_equal(sq_repo_verify(&repo, "rain", 1, &v, &err), SQUALL_E_CORRUPT);
    assert_non_null(strstr(err.text, "'more' lies there"));
    unlink(ROOT "/models/rain/1/more");
    /* A version that nobody added, though a good key signed its manifest: a copy of another. */
    assert_int_equal(system("cp -r " ROOT "/models/rain/1 " ROOT "/models/rain/9"), 0);
    assert_int_equal(sq_repo_verify(&repo, "rain", 9, &v, &err), SQUALL_E_CORRUPT);
    assert_int_equal(system("chmod -R u+w " ROOT "/models/rain/9; rm -r " ROOT "/models/rain/9"),
                     0);
    /* The ledger lost its lines: the version is not known any more. */
    assert_int_equal(rename(ROOT "/trust/ledger", ROOT "/ledger"), 0);
    sq_repo_close(&repo);
    repo = open_one();
    assert_int_equal(sq_repo_verify(&repo, "rain", 1, &v, &err), SQUALL_E_SIGNATURE);
    assert_non_null(strstr(err.text, "no line in the ledger"));
    assert_int_equal(rename(ROOT "/ledger", ROOT "/trust/ledger"), 0);
    sq_repo_close(&repo);
}

static void test_collect(void **state)
{
    (void)state;
    sq_repo repo = open_one();
    sq_repo_gc gone;
    int64_t version = 0;
    size_t count = 0;
    squall_notes *problems = squall_notes_create();
    for (int i = 2; i <= 4; i++) {
        char card[128];
        snprintf(card, sizeof card, "{\"data\":\"day %d\",\"licence\":\"Apache-2.0\",\"skill\":{}}",
                 i);
        write_file(ROOT "/card.json", card);
        assert_int_equal(add(&repo, MODEL, ROOT "/train.key", &version, NULL, NULL), SQUALL_OK);
        assert_int_equal(version, i);
    }
    assert_int_equal(sq_repo_log(&repo, ROOT "/operate.key", "promote", "rain", 1, "", "", NULL),
                     SQUALL_OK);
    assert_int_equal(sq_folder_make(ROOT "/models/rain/.new-5", NULL), SQUALL_OK);
    write_file(ROOT "/models/rain/.new-5/model.onnx", "half");
    assert_int_equal(sq_repo_collect(&repo, NULL, 1, ROOT "/train.key", true, &gone, NULL),
                     SQUALL_OK);
    assert_int_equal(gone.versions, 2); /* 2 and 3: 1 is in service, 4 is the newest */
    assert_int_equal(sq_repo_verify_all(&repo, &count, problems, NULL), SQUALL_OK);
    assert_int_equal(count, 4); /* that was dry */
    assert_int_equal(sq_repo_collect(&repo, "rain", 1, ROOT "/train.key", false, &gone, NULL),
                     SQUALL_OK);
    assert_int_equal(gone.versions, 2);
    assert_int_equal(gone.blobs, 2); /* their cards; all else is shared */
    assert_int_equal(gone.leftovers, 1);
    assert_int_equal(sq_repo_verify_all(&repo, &count, problems, NULL), SQUALL_OK);
    assert_int_equal(count, 2);
    assert_int_equal(squall_notes_count(problems), 0);
    /* A number is never given twice; and what vanished otherwise is missed. */
    assert_int_equal(rename(ROOT "/models/rain/4", ROOT "/4"), 0);
    assert_int_equal(add(&repo, MODEL, ROOT "/train.key", &version, NULL, NULL), SQUALL_OK);
    assert_int_equal(version, 5);
    assert_int_equal(sq_repo_verify_all(&repo, &count, problems, NULL), SQUALL_OK);
    assert_int_equal(squall_notes_count(problems), 1);
    assert_non_null(strstr(squall_notes_get(problems, 0), "rain/4: the ledger says"));
    squall_notes_destroy(&problems);
    sq_repo_close(&repo);
}

static void test_engine_for_this_host(void **state)
{
    (void)state;
    squall_error err;
    char path[SQ_REPO_PATH];
    sq_repo_version v;
    sq_repo repo = open_one();
    assert_int_equal(sq_repo_read(&repo, "rain", 1, &v, NULL), SQUALL_OK);
    if (sq_cpu_isa() == SQ_ISA_AVX2) {
        assert_int_equal(sq_repo_engine(&repo, &v, path, &err), SQUALL_OK);
        assert_non_null(strstr(path, "/models/rain/1/cpu-avx2.engine"));
    } else {
        assert_int_equal(sq_repo_engine(&repo, &v, path, &err), SQUALL_E_MISMATCH);
        assert_non_null(strstr(err.text, "cpu-avx2"));
    }
    v.files[1].kind = SQ_REPO_REPORT;
    assert_int_equal(sq_repo_engine(&repo, &v, path, &err), SQUALL_E_MISMATCH);
    sq_repo_close(&repo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_add), cmocka_unit_test(test_tampering),
                                       cmocka_unit_test(test_collect),
                                       cmocka_unit_test(test_engine_for_this_host)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
