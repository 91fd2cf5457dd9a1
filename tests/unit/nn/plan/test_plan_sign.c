/* tests/unit/nn/plan/test_plan_sign.c - keys and signatures: made, trusted, refused; no byte of a
 * signed engine can be changed unseen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "nn/plan/plan_make.h"
#include "squall/sign.h"

#define ENGINE "test_plan_sign.sqe"

_Alignas(64) static unsigned char weights[128];

/* RFC 8032, 7.1, test 1: a secret key, its public key and the signature of no bytes. */
static const char rfc_seed[] = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
static const char rfc_public[] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
static const unsigned char rfc_signature[4] = {0xe5, 0x56, 0x43, 0x00};

static void write_text(const char *path, const char *text)
{
    assert_int_equal(sq_file_write(path, text, strlen(text), NULL), SQUALL_OK);
}

static void write_engine(const char *path, bool device)
{
    sq_engine_file file;
    unsigned char *bytes;
    size_t size;
    plan_file(&file, device, weights);
    assert_int_equal(sq_engine_write(&file, &bytes, &size, NULL), SQUALL_OK);
    sq_engine_free(&file);
    assert_int_equal(sq_file_write(path, bytes, size, NULL), SQUALL_OK);
    sq_free(bytes);
}

/* A pair of keys under a fixed name, made anew. */
static void make_pair(const char *name, char *public_key)
{
    char path[64];
    squall_error err = {.code = SQUALL_OK};
    snprintf(path, sizeof path, "%s.key", name);
    unlink(path);
    snprintf(path, sizeof path, "%s.pub", name);
    unlink(path);
    if (squall_key_create(name, "of a test", public_key, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
}

static void drop_pair(const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "%s.key", name);
    unlink(path);
    snprintf(path, sizeof path, "%s.pub", name);
    unlink(path);
}

static void test_known_key(void **state)
{
    (void)state;
    char text[256], digits[SQUALL_KEY_TEXT];
    unsigned char seed[SQ_SIGN_SEED_BYTES], key[SQ_SIGN_PUBLIC_BYTES], signature[SQ_SIGN_BYTES];
    squall_error err;
    snprintf(text, sizeof text, "squall-ed25519-secret %s of RFC 8032\n", rfc_seed);
    write_text("rfc.key", text);
    assert_int_equal(sq_key_read_secret("rfc.key", seed, &err), SQUALL_OK);
    sq_sign_public(seed, key);
    sq_key_format(key, digits);
    assert_string_equal(digits, rfc_public);
    sq_sign(seed, "", 0, signature);
    assert_memory_equal(signature, rfc_signature, sizeof rfc_signature);
    assert_true(sq_sign_check(key, "", 0, signature));
    assert_false(sq_sign_check(key, "x", 1, signature));
    unlink("rfc.key");
}

static void test_pair(void **state)
{
    (void)state;
    char public_key[SQUALL_KEY_TEXT], digits[SQUALL_KEY_TEXT];
    unsigned char seed[SQ_SIGN_SEED_BYTES], key[SQ_SIGN_PUBLIC_BYTES];
    struct stat info;
    sq_keys keys;
    squall_error err;
    make_pair("pair", public_key);
    assert_int_equal(stat("pair.key", &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(sq_key_read_secret("pair.key", seed, &err), SQUALL_OK);
    sq_sign_public(seed, key);
    sq_key_format(key, digits);
    assert_string_equal(digits, public_key);
    assert_int_equal(sq_keys_read("pair.pub", &keys, &err), SQUALL_OK);
    assert_int_equal(keys.count, 1);
    assert_memory_equal(keys.keys, key, sizeof key);
    sq_keys_free(&keys);
    /* Never overwritten, and no half of a pair is left. */
    assert_int_equal(squall_key_create("pair", NULL, NULL, &err), SQUALL_E_IO);
    unlink("pair.key");
    assert_int_equal(squall_key_create("pair", NULL, NULL, &err), SQUALL_E_IO);
    assert_int_equal(access("pair.key", F_OK), -1);
    assert_int_equal(squall_key_create("other", "two\nlines", NULL, &err), SQUALL_E_ARGUMENT);
    /* A public key does not sign; the words say which file would. */
    assert_int_equal(sq_key_read_secret("pair.pub", seed, &err), SQUALL_E_FORMAT);
    assert_non_null(strstr(err.text, ".key"));
    drop_pair("pair");
}

static void test_key_files(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        squall_status status;
        size_t count;
    } cases[] = {
        {"", SQUALL_E_FORMAT, 0},
        {"# nobody\n\n", SQUALL_E_FORMAT, 0},
        {"squall-ed25519-public 12\n", SQUALL_E_FORMAT, 0},
        {"squall-ed25519-secret "
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\n",
         SQUALL_E_FORMAT, 0},
        {"squall-ed25519-public "
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511ag\n",
         SQUALL_E_FORMAT, 0},
        {"# ours\r\n\r\nsquall-ed25519-public "
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a of a test\r\n"
         "squall-ed25519-public "
         "e75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
         SQUALL_OK, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sq_keys keys;
        squall_error err;
        write_text("some.keys", cases[i].text);
        assert_int_equal(sq_keys_read("some.keys", &keys, &err), cases[i].status);
        assert_int_equal(keys.count, cases[i].count);
        sq_keys_free(&keys);
    }
    unlink("some.keys");
}

static void test_sign_and_verify(void **state)
{
    (void)state;
    char ours[SQUALL_KEY_TEXT], theirs[SQUALL_KEY_TEXT], signer[SQUALL_KEY_TEXT];
    unsigned char *first, *second;
    size_t first_size, second_size;
    squall_error err;
    make_pair("ours", ours);
    make_pair("theirs", theirs);
    write_engine(ENGINE, true);
    assert_int_equal(squall_engine_verify(ENGINE, "ours.pub", NULL, &err), SQUALL_E_SIGNATURE);
    assert_non_null(strstr(err.text, "is not signed"));
    assert_int_equal(squall_engine_sign(ENGINE, "ours.key", NULL, signer, &err), SQUALL_OK);
    assert_string_equal(signer, ours);
    assert_int_equal(squall_engine_verify(ENGINE, "ours.pub", signer, &err), SQUALL_OK);
    assert_string_equal(signer, ours);
    assert_int_equal(squall_engine_verify(ENGINE, "theirs.pub", NULL, &err), SQUALL_E_SIGNATURE);
    assert_non_null(strstr(err.text, ours)); /* both: the key found, and whose would do */
    assert_non_null(strstr(err.text, "theirs.pub"));
    /* Signing again gives the same file, by another key it replaces the signature. */
    assert_int_equal(sq_file_read(ENGINE, 1 << 20, &first, &first_size, &err), SQUALL_OK);
    assert_int_equal(squall_engine_sign(ENGINE, "theirs.key", "again.sqe", NULL, &err), SQUALL_OK);
    assert_int_equal(squall_engine_verify("again.sqe", "theirs.pub", NULL, &err), SQUALL_OK);
    assert_int_equal(squall_engine_sign("again.sqe", "ours.key", NULL, NULL, &err), SQUALL_OK);
    assert_int_equal(sq_file_read("again.sqe", 1 << 20, &second, &second_size, &err), SQUALL_OK);
    assert_int_equal(first_size, second_size);
    assert_memory_equal(first, second, first_size);
    sq_free(first);
    sq_free(second);
    unlink("again.sqe");
    unlink(ENGINE);
    drop_pair("ours");
    drop_pair("theirs");
}

/* A signed engine in memory with its key. */
static unsigned char *make_signed(sq_keys *keys, size_t *size)
{
    static const unsigned char seed[SQ_SIGN_SEED_BYTES] = {1, 2, 3};
    sq_engine_file file;
    unsigned char *bytes, *made;
    size_t plain;
    plan_file(&file, true, weights);
    assert_int_equal(sq_engine_write(&file, &bytes, &plain, NULL), SQUALL_OK);
    sq_engine_free(&file);
    assert_int_equal(sq_engine_sign(bytes, plain, "test.sqe", seed, &made, size, NULL), SQUALL_OK);
    sq_free(bytes);
    keys->keys = sq_alloc(1, SQ_SIGN_PUBLIC_BYTES);
    keys->count = 1;
    keys->path = sq_strdup("trusted.keys");
    sq_sign_public(seed, keys->keys);
    return made;
}

/* Every byte, one bit and all bits of it: never taken for what was signed. */
static void test_each_byte_tampered(void **state)
{
    (void)state;
    sq_keys keys;
    size_t size, refused = 0;
    unsigned char *bytes = make_signed(&keys, &size);
    assert_int_equal(sq_engine_check_signature(bytes, size, "t", &keys, NULL, NULL), SQUALL_OK);
    for (size_t i = 0; i < size; i++) {
        const unsigned char flips[] = {(unsigned char)(1u << i % 8), 0xff};
        for (size_t k = 0; k < sizeof flips; k++) {
            squall_error err = {.code = SQUALL_OK};
            bytes[i] ^= flips[k];
            const squall_status status =
                sq_engine_check_signature(bytes, size, "t", &keys, NULL, &err);
            if (status == SQUALL_OK || err.code != status || err.text[0] == '\0') {
                fail_msg("byte %zu changed by %02x: %s", i, flips[k], squall_status_name(status));
            }
            refused += status == SQUALL_E_SIGNATURE;
            bytes[i] ^= flips[k];
        }
    }
    assert_true(refused > 1000); /* changes that only the signature sees: sections and weights */
    /* With all hashes made right again, as whoever tampers would do. */
    for (size_t i = SQ_ENGINE_HEADER_BYTES; i < size - SQ_SIGNATURE_SIZE; i += 7) {
        unsigned char *copy = sq_alloc_raw(size, 1);
        memcpy(copy, bytes, size);
        copy[i] ^= 1;
        plan_reseal(copy, size);
        unsigned char *entry = plan_entry(copy, SQ_SECTION_SIGNATURE);
        if (entry != NULL) {
            memset(entry + SQ_TABLE_HASH, 0, SQ_HASH_BYTES);
            sq_engine_hash_head(copy, (uint32_t)sq_load_uint(copy + SQ_HEADER_SECTIONS, 4),
                                copy + SQ_HEADER_HASH);
        }
        const squall_status status = sq_engine_check_signature(copy, size, "t", &keys, NULL, NULL);
        /* What is changed back by sealing, a hash, is as it was. */
        if (memcmp(copy, bytes, size) != 0) {
            assert_int_not_equal(status, SQUALL_OK);
        }
        sq_free(copy);
    }
    sq_keys_free(&keys);
    sq_free(bytes);
}

/* A signature that is not the end of the file, or has another size or algorithm. */
static void test_signature_place(void **state)
{
    (void)state;
    sq_keys keys;
    size_t size;
    unsigned char *bytes = make_signed(&keys, &size);
    unsigned char *entry = plan_entry(bytes, SQ_SECTION_SIGNATURE);
    unsigned char *section = bytes + size - SQ_SIGNATURE_SIZE;
    const uint32_t count = (uint32_t)sq_load_uint(bytes + SQ_HEADER_SECTIONS, 4);
    squall_error err;
    assert_int_equal(sq_load_uint(entry + SQ_TABLE_SIZE, 8), SQ_SIGNATURE_SIZE);
    assert_int_equal(sq_load_uint(entry + SQ_TABLE_OFFSET, 8), size - SQ_SIGNATURE_SIZE);
    sq_store_uint(section, 2, 4);
    assert_int_equal(sq_engine_check_signature(bytes, size, "t", &keys, NULL, &err),
                     SQUALL_E_CORRUPT);
    sq_store_uint(section, 1, 4);
    sq_store_uint(entry + SQ_TABLE_HASH, 1, 1);
    sq_engine_hash_head(bytes, count, bytes + SQ_HEADER_HASH);
    assert_int_equal(sq_engine_check_signature(bytes, size, "t", &keys, NULL, &err),
                     SQUALL_E_CORRUPT);
    sq_store_uint(entry + SQ_TABLE_HASH, 0, 1);
    sq_store_uint(entry + SQ_TABLE_SIZE, SQ_SIGNATURE_SIZE - 1, 8);
    sq_store_uint(bytes + SQ_HEADER_FILE_BYTES, size - 1, 8);
    sq_engine_hash_head(bytes, count, bytes + SQ_HEADER_HASH);
    assert_int_equal(sq_engine_check_signature(bytes, size - 1, "t", &keys, NULL, &err),
                     SQUALL_E_CORRUPT);
    sq_keys_free(&keys);
    sq_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_key),          cmocka_unit_test(test_pair),
        cmocka_unit_test(test_key_files),          cmocka_unit_test(test_sign_and_verify),
        cmocka_unit_test(test_each_byte_tampered), cmocka_unit_test(test_signature_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
