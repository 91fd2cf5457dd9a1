/* nn/plan/plan_sections.c - header and section table of an engine: what every reader begins with.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/plan/plan_internal.h"

const char *sq_section_name(uint32_t id)
{
    static const char *const names[] = {"",       "portable plan", "device plan", "weights",
                                        "chunks", "recipe",        "about",       "signature",
                                        "ranges", "record",        "kernels",     "certificate"};
    return id < sizeof names / sizeof names[0] ? names[id] : "";
}

const char *sq_section_where(const sq_sections *sections, const sq_section *part, char *text)
{
    snprintf(text, SQ_SECTION_WHERE, "%.80s: section %" PRIu32 " (%s)", sections->name, part->id,
             sq_section_name(part->id));
    return text;
}

#define FAIL_SECTION(code, part, ...) \
    sq_fail(err, (code), sq_section_where(out, (part), (char[SQ_SECTION_WHERE]){0}), __VA_ARGS__)

/* "89 53 51" of at most 8 bytes. */
static const char *hex(const unsigned char *bytes, size_t size, char *text)
{
    text[0] = '\0';
    for (size_t i = 0; i < size && i < SQ_ENGINE_MAGIC_BYTES; i++) {
        snprintf(text + (i > 0 ? 3 * i - 1 : 0), 4, "%s%02x", i > 0 ? " " : "", bytes[i]);
    }
    return text;
}

static squall_status check_head(sq_sections *out, squall_error *err)
{
    const unsigned char *bytes = out->bytes;
    if (out->size < SQ_ENGINE_MAGIC_BYTES ||
        memcmp(bytes, SQ_ENGINE_MAGIC, SQ_ENGINE_MAGIC_BYTES) != 0) {
        char found[32], right[32];
        return sq_fail(err, SQUALL_E_FORMAT, out->name,
                       "is not a squall engine: it begins with %s, an engine with %s; make one "
                       "with squall build",
                       out->size > 0 ? hex(bytes, out->size, found) : "nothing",
                       hex((const unsigned char *)SQ_ENGINE_MAGIC, SQ_ENGINE_MAGIC_BYTES, right));
    }
    if (out->size < SQ_ENGINE_HEADER_BYTES) {
        return sq_fail(err, SQUALL_E_TRUNCATED, out->name,
                       "has %zu bytes, its header alone has %d; copy it again", out->size,
                       SQ_ENGINE_HEADER_BYTES);
    }
    const uint64_t format = sq_load_uint(bytes + SQ_HEADER_FORMAT, 4);
    if (format < SQ_ENGINE_OLDEST_FORMAT || format > SQ_ENGINE_FORMAT) {
        return sq_fail(err, SQUALL_E_VERSION, out->name,
                       "is of format %" PRIu64 ", this squall reads formats %d to %d; %s", format,
                       SQ_ENGINE_OLDEST_FORMAT, SQ_ENGINE_FORMAT,
                       format > SQ_ENGINE_FORMAT
                           ? "use a newer squall, or run squall build again with this one"
                           : "run squall build again with this version");
    }
    const uint64_t file_bytes = sq_load_uint(bytes + SQ_HEADER_FILE_BYTES, 8);
    if (file_bytes > out->size) {
        return sq_fail(err, SQUALL_E_TRUNCATED, out->name,
                       "has %zu of its %" PRIu64 " bytes; copy it again", out->size, file_bytes);
    }
    out->count = (uint32_t)sq_load_uint(bytes + SQ_HEADER_SECTIONS, 4);
    if (file_bytes != out->size || out->count > SQ_MAX_SECTIONS ||
        sq_load_uint(bytes + SQ_HEADER_BYTES, 4) != SQ_ENGINE_HEADER_BYTES ||
        SQ_ENGINE_HEADER_BYTES + (size_t)out->count * SQ_ENGINE_TABLE_BYTES > out->size) {
        return sq_fail(err, SQUALL_E_CORRUPT, out->name,
                       "has %zu bytes and %" PRIu32 " sections; its header says %" PRIu64
                       " bytes, and at most %d sections are allowed",
                       out->size, out->count, file_bytes, SQ_MAX_SECTIONS);
    }
    unsigned char hash[SQ_HASH_BYTES];
    sq_engine_hash_head(bytes, out->count, hash);
    if (memcmp(hash, bytes + SQ_HEADER_HASH, sizeof hash) != 0) {
        return sq_fail(err, SQUALL_E_CORRUPT, out->name,
                       "its header does not match its hash; copy or build it again");
    }
    return SQUALL_OK;
}

static bool all_zero(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

/* A signature ends the file: what it signs is all that lies before its last 64 bytes. */
static squall_status check_signature(const sq_sections *out, uint32_t index, squall_error *err)
{
    const sq_section *part = &out->items[index];
    const unsigned char *at = out->bytes + part->offset;
    if (index + 1 != out->count || part->size != SQ_SIGNATURE_SIZE ||
        !all_zero(part->hash, SQ_HASH_BYTES) || sq_load_uint(at + SQ_SIGNATURE_ALGORITHM, 8) != 1) {
        return FAIL_SECTION(SQUALL_E_CORRUPT, part,
                            "%" PRIu64 " bytes, section %" PRIu32 " of %" PRIu32 ": it must be the "
                            "last, of %d bytes, by Ed25519 (algorithm 1)",
                            part->size, index + 1, out->count, SQ_SIGNATURE_SIZE);
    }
    return SQUALL_OK;
}

/* Sections lie one behind the other, aligned, with nothing but zeros between them. */
static squall_status read_table(sq_sections *out, squall_error *err)
{
    uint64_t at = SQ_ENGINE_HEADER_BYTES + (uint64_t)out->count * SQ_ENGINE_TABLE_BYTES;
    for (uint32_t i = 0; i < out->count; i++) {
        const unsigned char *entry =
            out->bytes + SQ_ENGINE_HEADER_BYTES + (size_t)i * SQ_ENGINE_TABLE_BYTES;
        sq_section *part = &out->items[i];
        part->id = (uint32_t)sq_load_uint(entry + SQ_TABLE_ID, 4);
        part->flags = (uint32_t)sq_load_uint(entry + SQ_TABLE_FLAGS, 4);
        part->offset = sq_load_uint(entry + SQ_TABLE_OFFSET, 8);
        part->size = sq_load_uint(entry + SQ_TABLE_SIZE, 8);
        part->hash = entry + SQ_TABLE_HASH;
        if (part->offset % SQ_ALIGNMENT != 0 || part->offset < at || part->offset > out->size ||
            part->offset - at >= SQ_ENGINE_PAGE_BYTES || part->size > out->size - part->offset ||
            !all_zero(out->bytes + at, part->offset - at)) {
            return FAIL_SECTION(SQUALL_E_CORRUPT, part,
                                "%" PRIu64 " bytes at %" PRIu64 " are not where a section may lie "
                                "in %zu bytes",
                                part->size, part->offset, out->size);
        }
        at = part->offset + part->size;
        for (uint32_t j = 0; j < i; j++) {
            if (out->items[j].id == part->id) {
                return FAIL_SECTION(SQUALL_E_CORRUPT, part, "is there twice");
            }
        }
        if (part->id > SQ_SECTION_NEWEST && (part->flags & SQ_SECTION_MANDATORY) != 0) {
            return FAIL_SECTION(SQUALL_E_VERSION, part,
                                "is needed, but this version of squall does not know it");
        }
        if (part->id == SQ_SECTION_SIGNATURE) {
            SQ_TRY(check_signature(out, i, err));
        }
    }
    if (at != out->size) {
        return sq_fail(err, SQUALL_E_CORRUPT, out->name,
                       "%" PRIu64 " bytes follow its last section", (uint64_t)(out->size - at));
    }
    return SQUALL_OK;
}

squall_status sq_sections_read(const unsigned char *bytes, size_t size, const char *name,
                               sq_sections *out, squall_error *err)
{
    memset(out, 0, sizeof *out);
    out->bytes = bytes;
    out->size = size;
    out->name = name;
    SQ_TRY(check_head(out, err));
    return read_table(out, err);
}

const sq_section *sq_section_find(const sq_sections *sections, uint32_t id)
{
    for (uint32_t i = 0; i < sections->count; i++) {
        if (sections->items[i].id == id) {
            return &sections->items[i];
        }
    }
    return NULL;
}

uint64_t sq_section_place(uint32_t id, uint64_t at)
{
    return sq_round_up(at, id == SQ_SECTION_WEIGHTS ? SQ_ENGINE_PAGE_BYTES : SQ_ALIGNMENT);
}
