/* tests/unit/ops/trust/test_trust.c - who may sign what and when; and that no byte can be changed
 * in keyring or ledger without being found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "nn/plan/plan.h"
#include "ops/trust/trust.h"
#include "squall/sign.h"

#define RING   "test_trust.ring"
#define LEDGER "test_trust.ledger"
#define DAY    86400

static const char *const names[] = {"root", "other", "train", "release", "second", "operate"};
enum { ROOT, OTHER, TRAIN, RELEASE, SECOND, OPERATE, NAMES };

static const char *path_of(int which, const char *ending)
{
    static char paths[8][64];
    static int next = 0;
    next = (next + 1) % 8;
    snprintf(paths[next], sizeof paths[next], "test_trust_%s%s", names[which], ending);
    return paths[next];
}

static void clean(void)
{
    for (int i = 0; i < NAMES; i++) {
        unlink(path_of(i, ".key"));
        unlink(path_of(i, ".pub"));
    }
    unlink(RING);
    unlink(LEDGER);
}

static int make_keys(void **state)
{
    (void)state;
    clean();
    for (int i = 0; i < NAMES; i++) {
        if (squall_key_create(path_of(i, ""), NULL, NULL, NULL) != SQUALL_OK) {
            return -1;
        }
    }
    return 0;
}

static int remove_keys(void **state)
{
    (void)state;
    clean();
    return 0;
}

static sq_ring_key key_of(int which, const char *name, unsigned roles)
{
    unsigned char *keys = NULL;
    size_t count = 0;
    sq_ring_key key = {.roles = roles, .from = 0, .until = SQ_TIME_NONE, .revoked = SQ_TIME_NONE};
    snprintf(key.name, sizeof key.name, "%s", name);
    assert_int_equal(sq_trust_roots(path_of(which, ".pub"), &keys, &count, NULL), SQUALL_OK);
    assert_int_equal(count, 1);
    memcpy(key.key, keys, sizeof key.key);
    sq_free(keys);
    return key;
}

static sq_ring make_ring(void)
{
    sq_ring ring = {.approvals = 2};
    const sq_ring_key keys[] = {key_of(TRAIN, "nightly", SQ_TRUST_TRAIN),
                                key_of(RELEASE, "alice", SQ_TRUST_RELEASE),
                                key_of(SECOND, "bob", SQ_TRUST_RELEASE),
                                key_of(OPERATE, "node-1", SQ_TRUST_OPERATE | SQ_TRUST_RELEASE)};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_int_equal(sq_ring_add(&ring, &keys[i], NULL), SQUALL_OK);
    }
    return ring;
}

static void test_ring(void **state)
{
    (void)state;
    squall_error err;
    sq_ring ring = make_ring(), back;
    const sq_ring_key *found = NULL;
    assert_int_equal(sq_trust_roles_parse("train,operate"), SQ_TRUST_TRAIN | SQ_TRUST_OPERATE);
    assert_int_equal(sq_trust_roles_parse("train,king"), 0);
    assert_int_equal(sq_trust_roles_parse(""), 0);
    assert_int_equal(sq_ring_write(&ring, RING, path_of(ROOT, ".key"), NULL), SQUALL_OK);
    assert_int_equal(sq_ring_read(RING, path_of(ROOT, ".pub"), &back, NULL), SQUALL_OK);
    assert_int_equal(back.serial, 1);
    assert_int_equal(back.approvals, 2);
    assert_int_equal(back.count, 4);
    assert_string_equal(back.keys[1].name, "alice");
    assert_int_equal(sq_ring_judge(&back, ring.keys[1].key, SQ_TRUST_RELEASE, 100, "x", &found,
                                   NULL),
                     SQUALL_OK);
    assert_string_equal(found->name, "alice");
    assert_int_equal(sq_ring_judge(&back, ring.keys[1].key, SQ_TRUST_TRAIN, 100, "x", NULL, &err),
                     SQUALL_E_SIGNATURE);
    assert_non_null(strstr(err.text, "has not the role train"));
    const sq_ring_key stranger = key_of(OTHER, "stranger", SQ_TRUST_TRAIN);
    assert_int_equal(sq_ring_judge(&back, stranger.key, SQ_TRUST_TRAIN, 100, "x", NULL, &err),
                     SQUALL_E_SIGNATURE);
    assert_non_null(strstr(err.text, "not in the keyring"));
    sq_ring_free(&back);
    /* Another root key is not trusted, whatever it signs. */
    assert_int_equal(sq_ring_read(RING, path_of(OTHER, ".pub"), &back, &err), SQUALL_E_SIGNATURE);
    assert_int_equal(sq_ring_read("nothing-there", path_of(ROOT, ".pub"), &back, &err),
                     SQUALL_E_IO);
    sq_ring_free(&ring);
}

static void test_rotation_and_revocation(void **state)
{
    (void)state;
    squall_error err;
    sq_ring ring = make_ring();
    sq_ring_key next = key_of(OTHER, "alice", SQ_TRUST_RELEASE);
    unsigned char old[SQ_SIGN_PUBLIC_BYTES];
    memcpy(old, ring.keys[1].key, sizeof old);
    next.from = 10 * DAY;
    assert_int_equal(sq_ring_add(&ring, &next, NULL), SQUALL_OK);
    assert_int_equal(sq_ring_add(&ring, &next, &err), SQUALL_E_ARGUMENT); /* the same again */
    assert_int_equal(sq_ring_judge(&ring, old, SQ_TRUST_RELEASE, 9 * DAY, "x", NULL, NULL),
                     SQUALL_OK);
    assert_int_equal(sq_ring_judge(&ring, old, SQ_TRUST_RELEASE, 10 * DAY, "x", NULL, &err),
                     SQUALL_E_SIGNATURE);
    assert_non_null(strstr(err.text, "expired at 1970-01-11"));
    assert_int_equal(sq_ring_judge(&ring, next.key, SQ_TRUST_RELEASE, 9 * DAY, "x", NULL, &err),
                     SQUALL_E_SIGNATURE);
    assert_non_null(strstr(err.text, "not valid before"));
    assert_int_equal(sq_ring_judge(&ring, next.key, SQ_TRUST_RELEASE, 11 * DAY, "x", NULL, NULL),
                     SQUALL_OK);
    assert_int_equal(sq_ring_revoke(&ring, "alice", 12 * DAY, "lost\nlaptop", NULL), SQUALL_OK);
    assert_int_equal(sq_ring_revoke(&ring, "nobody", 0, "", &err), SQUALL_E_NO_DATA);
    assert_int_equal(sq_ring_judge(&ring, next.key, SQ_TRUST_RELEASE, 11 * DAY, "x", NULL, NULL),
                     SQUALL_OK);
    assert_int_equal(sq_ring_judge(&ring, next.key, SQ_TRUST_RELEASE, 12 * DAY, "x", NULL, &err),
                     SQUALL_E_SIGNATURE);
    assert_non_null(strstr(err.text, "revoked since 1970-01-13T00:00:00Z: lost laptop"));
    assert_true(sq_ring_is_revoked(&ring, next.key, 12 * DAY));
    assert_false(sq_ring_is_revoked(&ring, next.key, 11 * DAY));
    /* All of that is kept by the file. */
    sq_ring back;
    assert_int_equal(sq_ring_write(&ring, RING, path_of(ROOT, ".key"), NULL), SQUALL_OK);
    assert_int_equal(sq_ring_read(RING, path_of(ROOT, ".pub"), &back, NULL), SQUALL_OK);
    assert_true(sq_ring_is_revoked(&back, next.key, 12 * DAY));
    assert_string_equal(back.keys[4].reason, "lost laptop");
    sq_ring_free(&back);
    next = key_of(OTHER, "no spaces", SQ_TRUST_RELEASE);
    assert_int_equal(sq_ring_add(&ring, &next, &err), SQUALL_E_ARGUMENT);
    sq_ring_free(&ring);
}

/* Every byte, changed in its lowest bit and in the bit of upper case, and every cut. */
static void test_ring_bytes(void **state)
{
    (void)state;
    unsigned char *bytes = NULL, *roots = NULL;
    size_t size = 0, count = 0;
    sq_ring ring = make_ring(), back;
    assert_int_equal(sq_ring_write(&ring, RING, path_of(ROOT, ".key"), NULL), SQUALL_OK);
    sq_ring_free(&ring);
    assert_int_equal(sq_trust_roots(path_of(ROOT, ".pub"), &roots, &count, NULL), SQUALL_OK);
    assert_int_equal(sq_file_read(RING, 1 << 20, &bytes, &size, NULL), SQUALL_OK);
    assert_int_equal(sq_ring_parse((const char *)bytes, size, "ring", roots, count, &back, NULL),
                     SQUALL_OK);
    sq_ring_free(&back);
    for (size_t i = 0; i < size; i++) {
        for (int bit = 1; bit <= 0x20; bit *= 0x20) {
            bytes[i] ^= (unsigned char)bit;
            assert_int_not_equal(sq_ring_parse((const char *)bytes, size, "ring", roots, count,
                                               &back, NULL),
                                 SQUALL_OK);
            bytes[i] ^= (unsigned char)bit;
        }
        assert_int_not_equal(sq_ring_parse((const char *)bytes, i, "ring", roots, count, &back,
                                           NULL),
                             SQUALL_OK);
    }
    sq_free(bytes);
    sq_free(roots);
}

/* ---------------------------------------------------------------- ledger */

static squall_status append(const sq_ring *ring, int key, const char *what, int64_t version,
                            int64_t time, squall_error *err)
{
    sq_ledger_entry entry = {.time = time, .version = version};
    snprintf(entry.what, sizeof entry.what, "%s", what);
    snprintf(entry.name, sizeof entry.name, "rain");
    snprintf(entry.manifest, sizeof entry.manifest, "%064d", (int)version);
    snprintf(entry.note, sizeof entry.note, "a \"note\" in \xC3\xA9");
    return sq_ledger_append(LEDGER, ring, path_of(key, ".key"), &entry, err);
}

static void test_ledger(void **state)
{
    (void)state;
    squall_error err;
    sq_ring ring = make_ring();
    sq_ledger ledger;
    char manifest[SQ_HASH_TEXT];
    unlink(LEDGER);
    assert_int_equal(sq_ledger_read(LEDGER, &ring, &ledger, NULL), SQUALL_OK); /* none: empty */
    assert_int_equal(ledger.count, 0);
    assert_int_equal(append(&ring, TRAIN, "add", 7, 100, NULL), SQUALL_OK);
    assert_int_equal(append(&ring, RELEASE, "approve", 7, 200, NULL), SQUALL_OK);
    assert_int_equal(append(&ring, RELEASE, "approve", 7, 201, NULL), SQUALL_OK); /* no second */
    assert_int_equal(append(&ring, RELEASE, "add", 8, 300, &err), SQUALL_E_SIGNATURE);
    assert_int_equal(append(&ring, OTHER, "add", 8, 300, &err), SQUALL_E_SIGNATURE);
    assert_int_equal(append(&ring, TRAIN, "bless", 8, 300, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(sq_ledger_read(LEDGER, &ring, &ledger, NULL), SQUALL_OK);
    assert_int_equal(ledger.count, 3);
    snprintf(manifest, sizeof manifest, "%064d", 7);
    assert_int_equal(sq_ledger_approvals(&ledger, &ring, "rain", 7, manifest), 1);
    sq_ledger_free(&ledger);
    assert_int_equal(append(&ring, SECOND, "approve", 7, 150, NULL), SQUALL_OK); /* time goes on */
    assert_int_equal(append(&ring, OPERATE, "start", 7, 400, NULL), SQUALL_OK);
    assert_int_equal(sq_ledger_read(LEDGER, &ring, &ledger, NULL), SQUALL_OK);
    assert_int_equal(ledger.count, 5);
    assert_int_equal(ledger.entries[3].time, 201);
    assert_int_equal(sq_ledger_approvals(&ledger, &ring, "rain", 7, manifest), 2);
    assert_int_equal(sq_ledger_approvals(&ledger, &ring, "rain", 7, "00"), 0);
    assert_int_equal(sq_ledger_find(&ledger, "approve", "rain", 7)->sequence, 4);
    assert_int_equal(sq_ledger_find(&ledger, NULL, "rain", 7)->sequence, 5);
    assert_null(sq_ledger_find(&ledger, "promote", "rain", 7));
    assert_true(sq_ledger_has(&ledger, ledger.entries[2].hash));
    assert_false(sq_ledger_has(&ledger, (const unsigned char *)manifest));
    sq_ledger_free(&ledger);
    /* What a key that was lost wrote since is void; the chain still holds. */
    assert_int_equal(sq_ring_revoke(&ring, "bob", 0, "lost", NULL), SQUALL_OK);
    assert_int_equal(sq_ledger_read(LEDGER, &ring, &ledger, NULL), SQUALL_OK);
    assert_true(ledger.entries[3].is_void);
    assert_int_equal(sq_ledger_approvals(&ledger, &ring, "rain", 7, manifest), 1);
    sq_ledger_free(&ledger);
    sq_ring_free(&ring);
}

/* Every byte, every cut within a line, and every line taken out but the last. */
static void test_ledger_bytes(void **state)
{
    (void)state;
    sq_ring ring = make_ring();
    sq_ledger ledger;
    unsigned char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(sq_file_read(LEDGER, 1 << 20, &bytes, &size, NULL), SQUALL_OK);
    char *text = (char *)bytes;
    for (size_t i = 0; i < size; i++) {
        for (int bit = 1; bit <= 0x20; bit *= 0x20) {
            text[i] = (char)(text[i] ^ bit);
            assert_int_not_equal(sq_ledger_parse(text, size, "ledger", &ring, &ledger, NULL),
                                 SQUALL_OK);
            text[i] = (char)(text[i] ^ bit);
        }
        if (i > 0 && text[i - 1] != '\n') {
            assert_int_equal(sq_ledger_parse(text, i, "ledger", &ring, &ledger, NULL),
                             SQUALL_E_TRUNCATED);
        }
    }
    for (char *line = text, *end; (end = strchr(line, '\n'))[1] != '\0'; line = end + 1) {
        sq_text without = {0};
        sq_text_add_bytes(&without, text, (size_t)(line - text));
        sq_text_add_bytes(&without, end + 1, size - (size_t)(end + 1 - text));
        assert_int_equal(sq_ledger_parse(without.data, without.length, "ledger", &ring, &ledger,
                                         NULL),
                         SQUALL_E_CORRUPT);
        sq_text_free(&without);
    }
    /* The last line gone is a good ledger: only one who knows its head sees it. */
    assert_int_equal(sq_ledger_parse(text, size, "ledger", &ring, &ledger, NULL), SQUALL_OK);
    unsigned char head[SQ_HASH_BYTES];
    memcpy(head, ledger.entries[4].hash, sizeof head);
    sq_ledger_free(&ledger);
    text[size - 1] = '\0';
    const size_t shorter = (size_t)(strrchr(text, '\n') + 1 - text);
    assert_int_equal(sq_ledger_parse(text, shorter, "ledger", &ring, &ledger, NULL), SQUALL_OK);
    assert_false(sq_ledger_has(&ledger, head));
    sq_ledger_free(&ledger);
    sq_free(bytes);
    sq_ring_free(&ring);
}

/* A process that was killed while it wrote a line: the next one goes on behind the last whole one.
 */
static void test_torn_line(void **state)
{
    (void)state;
    sq_ring ring = make_ring();
    sq_ledger ledger;
    FILE *file = fopen(LEDGER, "a");
    assert_non_null(file);
    fputs("{\"sequence\":6,\"ti", file);
    fclose(file);
    assert_int_equal(sq_ledger_read(LEDGER, &ring, &ledger, NULL), SQUALL_E_TRUNCATED);
    assert_int_equal(append(&ring, OPERATE, "promote", 7, 500, NULL), SQUALL_OK);
    assert_int_equal(sq_ledger_read(LEDGER, &ring, &ledger, NULL), SQUALL_OK);
    assert_int_equal(ledger.count, 6);
    assert_string_equal(ledger.entries[5].what, "promote");
    sq_ledger_free(&ledger);
    sq_ring_free(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ring),
                                       cmocka_unit_test(test_rotation_and_revocation),
                                       cmocka_unit_test(test_ring_bytes),
                                       cmocka_unit_test(test_ledger),
                                       cmocka_unit_test(test_ledger_bytes),
                                       cmocka_unit_test(test_torn_line)};
    return cmocka_run_group_tests(tests, make_keys, remove_keys);
}
