/* nn/plan/plan_sign.c - engines signed, and held against the keys that are trusted. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/plan/plan_internal.h"
#include "squall/sign.h"

/* The key that signed, when it is a trusted one. */
static bool is_trusted(const sq_keys *keys, const unsigned char *key)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (memcmp(keys->keys + i * SQ_SIGN_PUBLIC_BYTES, key, SQ_SIGN_PUBLIC_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

squall_status sq_engine_check_signature(const unsigned char *bytes, size_t size, const char *name,
                                        const sq_keys *keys, unsigned char *signer,
                                        squall_error *err)
{
    sq_sections sections;
    char first[SQUALL_KEY_TEXT], found[SQUALL_KEY_TEXT];
    SQ_TRY(sq_sections_read(bytes, size, name, &sections, err));
    const sq_section *part = sq_section_find(&sections, SQ_SECTION_SIGNATURE);
    sq_key_format(keys->keys, first);
    if (part == NULL) {
        return sq_fail(err, SQUALL_E_SIGNATURE, name,
                       "is not signed, and must be by one of the %zu keys of %.80s (%.16s…); sign "
                       "it with squall sign, or build it here",
                       keys->count, keys->path, first);
    }
    const unsigned char *key = bytes + part->offset + SQ_SIGNATURE_KEY;
    sq_key_format(key, found);
    if (!is_trusted(keys, key)) {
        return sq_fail(err, SQUALL_E_SIGNATURE, name,
                       "is signed by key %s, which is not one of the %zu keys of %.80s (%.16s…); "
                       "add its .pub line there if you trust it",
                       found, keys->count, keys->path, first);
    }
    const uint64_t covered = part->offset + SQ_SIGNATURE_BYTES;
    if (!sq_sign_check(key, bytes, covered, bytes + covered)) {
        return sq_fail(err, SQUALL_E_SIGNATURE, name,
                       "its %" PRIu64 " bytes are not those that key %.16s… signed: it was changed "
                       "since; get it again from its maker",
                       covered, found);
    }
    if (signer != NULL) {
        memcpy(signer, key, SQ_SIGN_PUBLIC_BYTES);
    }
    return SQUALL_OK;
}

/* The sections but a signature, laid out again with one entry more; returns where that ends. */
static uint64_t lay_out(const sq_sections *old, sq_section *items, uint32_t *count)
{
    *count = 0;
    for (uint32_t i = 0; i < old->count; i++) {
        if (old->items[i].id != SQ_SECTION_SIGNATURE) {
            items[(*count)++] = old->items[i];
        }
    }
    uint64_t at = SQ_ENGINE_HEADER_BYTES + (uint64_t)(*count + 1) * SQ_ENGINE_TABLE_BYTES;
    for (uint32_t i = 0; i < *count; i++) {
        items[i].offset = sq_section_place(items[i].id, at);
        at = items[i].offset + items[i].size;
    }
    items[*count] = (sq_section){.id = SQ_SECTION_SIGNATURE,
                                 .offset = sq_section_place(SQ_SECTION_SIGNATURE, at),
                                 .size = SQ_SIGNATURE_SIZE};
    at = items[*count].offset + items[*count].size;
    ++*count;
    return at;
}

static void store_sections(const sq_sections *old, const sq_section *items, uint32_t count,
                           unsigned char *made)
{
    uint32_t from = 0;
    for (uint32_t i = 0; i < count; i++) {
        unsigned char *entry = made + SQ_ENGINE_HEADER_BYTES + (size_t)i * SQ_ENGINE_TABLE_BYTES;
        sq_store_uint(entry + SQ_TABLE_ID, items[i].id, 4);
        sq_store_uint(entry + SQ_TABLE_FLAGS, items[i].flags, 4);
        sq_store_uint(entry + SQ_TABLE_OFFSET, items[i].offset, 8);
        sq_store_uint(entry + SQ_TABLE_SIZE, items[i].size, 8);
        if (items[i].id == SQ_SECTION_SIGNATURE) {
            continue;
        }
        memcpy(entry + SQ_TABLE_HASH, items[i].hash, SQ_HASH_BYTES);
        while (old->items[from].id != items[i].id) {
            from++;
        }
        if (items[i].size > 0) {
            memcpy(made + items[i].offset, old->bytes + old->items[from].offset, items[i].size);
        }
    }
}

squall_status sq_engine_sign(const unsigned char *bytes, size_t size, const char *name,
                             const unsigned char *seed, unsigned char **out, size_t *out_size,
                             squall_error *err)
{
    sq_sections old;
    sq_section items[SQ_MAX_SECTIONS + 1];
    uint32_t count;
    SQ_TRY(sq_sections_read(bytes, size, name, &old, err));
    const uint64_t total = lay_out(&old, items, &count);
    if (count > SQ_MAX_SECTIONS || total > SQ_LIMIT_FILE_BYTES) {
        return sq_fail(err, SQUALL_E_LIMIT, name,
                       "has %" PRIu32 " sections and %" PRIu64 " bytes with a signature; at most "
                       "%d and %zu are allowed",
                       count, total, SQ_MAX_SECTIONS, SQ_LIMIT_FILE_BYTES);
    }
    unsigned char *made = sq_alloc(total, 1);
    if (made == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, name, "no memory for its %" PRIu64 " bytes", total);
    }
    memcpy(made, bytes, SQ_ENGINE_HEADER_BYTES);
    sq_store_uint(made + SQ_HEADER_FILE_BYTES, total, 8);
    sq_store_uint(made + SQ_HEADER_SECTIONS, count, 4);
    store_sections(&old, items, count, made);
    sq_engine_hash_head(made, count, made + SQ_HEADER_HASH);
    unsigned char *signature = made + items[count - 1].offset;
    sq_store_uint(signature + SQ_SIGNATURE_ALGORITHM, 1, 8);
    sq_sign_public(seed, signature + SQ_SIGNATURE_KEY);
    sq_sign(seed, made, total - SQ_SIGN_BYTES, signature + SQ_SIGNATURE_BYTES);
    *out = made;
    *out_size = total;
    return SQUALL_OK;
}

/* Everything that opening and making contexts would check, for the whole file. */
static squall_status check_whole(const unsigned char *bytes, size_t size, const char *name,
                                 squall_error *err)
{
    sq_engine_file file;
    SQ_TRY(sq_engine_read(bytes, size, name, &file, err));
    const squall_status status = sq_engine_check_weights(&file, 0, file.weight_bytes, NULL, err);
    sq_engine_free(&file);
    return status;
}

squall_status squall_engine_sign(const char *engine_path, const char *key_path,
                                 const char *out_path, char *public_key, squall_error *err)
{
    squall_status status;
    sq_mapping mapping = {0};
    unsigned char seed[SQ_SIGN_SEED_BYTES], key[SQ_SIGN_PUBLIC_BYTES];
    unsigned char *made = NULL;
    size_t size = 0;
    SQ_TRY(sq_key_read_secret(key_path, seed, err));
    SQ_TRY_GOTO(sq_file_map(engine_path, SQ_LIMIT_FILE_BYTES, &mapping, err));
    SQ_TRY_GOTO(check_whole(mapping.data, mapping.size, engine_path, err));
    SQ_TRY_GOTO(sq_engine_sign(mapping.data, mapping.size, engine_path, seed, &made, &size, err));
    SQ_TRY_GOTO(sq_file_write(out_path != NULL ? out_path : engine_path, made, size, err));
    if (public_key != NULL) {
        sq_sign_public(seed, key);
        sq_key_format(key, public_key);
    }
done:
    sq_sign_forget(seed, sizeof seed);
    sq_file_unmap(&mapping);
    sq_free(made);
    return status;
}

squall_status squall_engine_verify(const char *engine_path, const char *keys_path, char *public_key,
                                   squall_error *err)
{
    squall_status status;
    sq_mapping mapping = {0};
    sq_keys keys;
    unsigned char key[SQ_SIGN_PUBLIC_BYTES];
    SQ_TRY(sq_keys_read(keys_path, &keys, err));
    SQ_TRY_GOTO(sq_file_map(engine_path, SQ_LIMIT_FILE_BYTES, &mapping, err));
    SQ_TRY_GOTO(
        sq_engine_check_signature(mapping.data, mapping.size, engine_path, &keys, key, err));
    SQ_TRY_GOTO(check_whole(mapping.data, mapping.size, engine_path, err));
    if (public_key != NULL) {
        sq_key_format(key, public_key);
    }
done:
    sq_file_unmap(&mapping);
    sq_keys_free(&keys);
    return status;
}
