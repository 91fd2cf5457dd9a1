/* nn/plan/plan_internal.h - what the files of this room share: lives of values, checks, the layout
 * of the engine file. */
#ifndef SQ_NN_PLAN_PLAN_INTERNAL_H
#define SQ_NN_PLAN_PLAN_INTERNAL_H

#include "nn/plan/plan.h"

/** When each value is alive, in numbers of steps. A view shares the life of what it shows. */
typedef struct sq_plan_lives {
    uint32_t *root; /* [value_count]: the value that a view shows; itself for others */
    int64_t *def;  /* [value_count]: step that fills a root; -1 before the first; INT64_MAX never */
    int64_t *last; /* [value_count]: last step that uses it; at least `def` */
} sq_plan_lives;

/** Work lives out; value numbers of steps must be in range. SQUALL_E_MEMORY. */
SQUALL_MUST_USE squall_status sq_plan_lives_init(const sq_plan *plan, sq_plan_lives *lives,
                                                 squall_error *err);
void sq_plan_lives_free(sq_plan_lives *lives);

/** Whether output 0 of step `index` may take over the memory of its input `input`: both in the
 * arena, the input not used again nor a second time by the step, and large enough. */
bool sq_plan_may_take_over(const sq_plan *plan, const sq_plan_lives *lives, uint32_t index,
                           int32_t input);

/** Bytes that a value takes in the arena, a multiple of SQ_ALIGNMENT. */
uint64_t sq_plan_value_bytes(const sq_plan_value *value);

/** Hold a plan that came from a file against everything that can be known without a backend: value
 * numbers, sizes, homes, definitions before uses, shapes by sq_op_infer(), the arena, MACs.
 * `file` gives the weights. */
SQUALL_MUST_USE squall_status sq_plan_check(const sq_plan *plan, const sq_engine_file *file,
                                            squall_error *err);

/* ---- The engine file. docs/engine-file.md says the same in words. ---- */

#define SQ_ENGINE_MAGIC         "\x89SQUALL\n"
#define SQ_ENGINE_MAGIC_BYTES   8
#define SQ_ENGINE_FORMAT        1 /* that is written; tests/expected/make_engine.sh keeps one of each */
#define SQ_ENGINE_OLDEST_FORMAT 1 /* that is still read; two before the one that is written */
#define SQ_ENGINE_HEADER_BYTES  256
#define SQ_ENGINE_TABLE_BYTES   64 /* one entry of the section table */
#define SQ_ENGINE_CHUNK_BYTES   (1u << 18)
#define SQ_ENGINE_PAGE_BYTES    4096 /* the weights begin at a multiple of it */

_Static_assert(SQ_ENGINE_OLDEST_FORMAT <= 1 || SQ_ENGINE_FORMAT - SQ_ENGINE_OLDEST_FORMAT >= 2,
               "engines of two formats back must open");

/* Offsets in the header. */
enum {
    SQ_HEADER_MAGIC = 0,
    SQ_HEADER_FORMAT = 8,      /* u32 */
    SQ_HEADER_BYTES = 12,      /* u32: 256 */
    SQ_HEADER_FILE_BYTES = 16, /* u64 */
    SQ_HEADER_SECTIONS = 24,   /* u32 */
    SQ_HEADER_PROFILES = 28,   /* u32 */
    SQ_HEADER_ARENA = 32,      /* u64: largest over the plans */
    SQ_HEADER_MACS = 40,       /* u64: largest over the plans */
    SQ_HEADER_WEIGHTS = 48,    /* u64 */
    SQ_HEADER_CHUNK = 56,      /* u32: SQ_ENGINE_CHUNK_BYTES */
    SQ_HEADER_THREADS = 60,    /* u32 */
    SQ_HEADER_MODEL_HASH = 64, /* 32 bytes */
    SQ_HEADER_VERSION = 96,    /* 32 bytes, zero-padded text */
    SQ_HEADER_ISA = 128,       /* 32 bytes, zero-padded text */
    SQ_HEADER_RESERVED = 160,  /* zeros up to the hash */
    SQ_HEADER_HASH = 224       /* SHA-256 of the header before it and the section table */
};

/* Offsets in an entry of the section table. */
enum {
    SQ_TABLE_ID = 0,     /* u32 */
    SQ_TABLE_FLAGS = 4,  /* u32: SQ_SECTION_MANDATORY */
    SQ_TABLE_OFFSET = 8, /* u64 */
    SQ_TABLE_SIZE = 16,  /* u64 */
    SQ_TABLE_RESERVED = 24,
    SQ_TABLE_HASH = 32
};

enum {
    SQ_SECTION_PORTABLE = 1,
    SQ_SECTION_DEVICE = 2,
    SQ_SECTION_WEIGHTS = 3, /* its hash is that of SQ_SECTION_CHUNKS */
    SQ_SECTION_CHUNKS = 4,  /* SHA-256 of each chunk of the weights */
    SQ_SECTION_RECIPE = 5,
    SQ_SECTION_ABOUT = 6,
    SQ_SECTION_SIGNATURE = 7, /* the last; its hash is zero, since it signs the table */
    SQ_SECTION_RANGES = 8,
    SQ_SECTION_RECORD = 9,      /* how the steps of the device plan came to their tactics */
    SQ_SECTION_KERNELS = 10,    /* machine code for a GPU, which the device plan runs */
    SQ_SECTION_CERTIFICATE = 11 /* how the numbers of 8 bits were calibrated, JSON */
};
#define SQ_SECTION_NEWEST    SQ_SECTION_CERTIFICATE
#define SQ_HEADER_TEXT       32 /* bytes of a text in the header, with its end */
#define SQ_SECTION_MANDATORY 1u /* a reader that does not know the section must refuse the file */
#define SQ_MAX_SECTIONS      SQ_ENGINE_SECTIONS

/* Offsets in the signature section. */
enum {
    SQ_SIGNATURE_ALGORITHM = 0, /* u32: 1, Ed25519 */
    SQ_SIGNATURE_KEY = 8,       /* 32 bytes */
    SQ_SIGNATURE_BYTES = 40,    /* 64 bytes, over all that is before them */
    SQ_SIGNATURE_SIZE = 104
};

/** One entry of the section table. */
typedef struct sq_section {
    uint32_t id, flags;
    uint64_t offset, size;
    const unsigned char *hash; /* in the table */
} sq_section;

/** The sections of a file; `bytes` and `name` are borrowed. */
typedef struct sq_sections {
    const unsigned char *bytes;
    size_t size;
    const char *name;
    sq_section items[SQ_MAX_SECTIONS];
    uint32_t count;
} sq_sections;

/** Check header and table, and that the sections lie where they may: the first thing that is done
 * with an engine's bytes. */
SQUALL_MUST_USE squall_status sq_sections_read(const unsigned char *bytes, size_t size,
                                               const char *name, sq_sections *out,
                                               squall_error *err);
/** The section of an id, or NULL. */
const sq_section *sq_section_find(const sq_sections *sections, uint32_t id);
/** "portable plan"; "" for an id that is not known. */
const char *sq_section_name(uint32_t id);
/** "rain.sqe: section 1 (portable plan)" into `text`; returns it. */
#define SQ_SECTION_WHERE 128
const char *sq_section_where(const sq_sections *sections, const sq_section *part, char *text);

/** Where a section of `size` bytes may begin after byte `at`: the weights at a page, so that what
 * is not used is not read. */
uint64_t sq_section_place(uint32_t id, uint64_t at);

/** Hash of the header (but for its hash) and the table of at most SQ_MAX_SECTIONS sections. */
void sq_engine_hash_head(const unsigned char *bytes, uint32_t sections, unsigned char *out);

/* ---- Keys and signatures. ---- */

/** 32 bytes in hexadecimal, SQUALL_KEY_TEXT bytes with the end. */
void sq_key_format(const unsigned char *key, char *text);

/** The bytes of an engine with a signature by `seed`, in the place of any other; given. */
SQUALL_MUST_USE squall_status sq_engine_sign(const unsigned char *bytes, size_t size,
                                             const char *name, const unsigned char *seed,
                                             unsigned char **out, size_t *out_size,
                                             squall_error *err);

/* ---- Bytes, little-endian whatever the host. ---- */

/** Bytes being read; once something did not fit `failed` stays and what is read is 0. */
typedef struct sq_cursor {
    const unsigned char *data;
    size_t size, at;
    bool failed, no_memory;
} sq_cursor;

uint64_t sq_cursor_uint(sq_cursor *cursor, unsigned bytes);
/** A count that is at most `limit`, and small enough for items of at least `item_bytes` each to fit
 * in what is left; 0 and failed otherwise. */
uint32_t sq_cursor_count(sq_cursor *cursor, uint32_t limit, size_t item_bytes);
/** `size` bytes in place, or NULL. */
const unsigned char *sq_cursor_bytes(sq_cursor *cursor, size_t size);
/** A string of ours: u32 length, bytes without a zero; given, NULL when failed or no memory. */
char *sq_cursor_string(sq_cursor *cursor, uint32_t limit);

void sq_put_uint(sq_text *text, uint64_t value, unsigned bytes);
void sq_put_string(sq_text *text, const char *string);
void sq_store_uint(unsigned char *at, uint64_t value, unsigned bytes);
uint64_t sq_load_uint(const unsigned char *at, unsigned bytes);

/** A plan as bytes, and back; what is read is not yet checked. */
void sq_plan_encode(const sq_plan *plan, sq_text *text);
SQUALL_MUST_USE squall_status sq_plan_decode(sq_cursor *cursor, const char *where, sq_plan *plan,
                                             squall_error *err);

/** What is known of how a plan's steps came to their tactics, as bytes, and back into its steps.
 * SQUALL_E_CORRUPT when it is not of this plan. */
void sq_record_encode(const sq_plan *plan, sq_text *text);
SQUALL_MUST_USE squall_status sq_record_decode(sq_cursor *cursor, const char *where, sq_plan *plan,
                                               squall_error *err);

#endif /* SQ_NN_PLAN_PLAN_INTERNAL_H */
