/* nn/plan/plan_read.c - an engine file back into its parts, nothing in it trusted. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/plan/plan_internal.h"

typedef struct reader {
    sq_sections sections;
    const unsigned char *bytes;
    size_t size;
    const char *name;
    sq_engine_file *file;
} reader;

#define FAIL_SECTION(code, part, ...)                                                            \
    sq_fail(err, (code), sq_section_where(&read->sections, (part), (char[SQ_SECTION_WHERE]){0}), \
            __VA_ARGS__)

static bool all_zero(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

/* Every section but the weights, whose chunks are checked when they are used, and the signature,
 * which signs the table. */
static squall_status check_hashes(const reader *read, squall_error *err)
{
    for (uint32_t i = 0; i < read->sections.count; i++) {
        const sq_section *part = &read->sections.items[i];
        if (part->id == SQ_SECTION_WEIGHTS || part->id == SQ_SECTION_SIGNATURE) {
            continue;
        }
        unsigned char hash[SQ_HASH_BYTES];
        sq_hash(read->bytes + part->offset, part->size, hash);
        if (memcmp(hash, part->hash, sizeof hash) != 0) {
            return FAIL_SECTION(SQUALL_E_CORRUPT, part,
                                "does not match its hash; copy or build the engine again");
        }
    }
    return SQUALL_OK;
}

static squall_status read_weights(reader *read, squall_error *err)
{
    const sq_section *weights = sq_section_find(&read->sections, SQ_SECTION_WEIGHTS);
    const sq_section *chunks = sq_section_find(&read->sections, SQ_SECTION_CHUNKS);
    if (weights == NULL || chunks == NULL ||
        sq_section_find(&read->sections, SQ_SECTION_PORTABLE) == NULL) {
        return sq_fail(err, SQUALL_E_CORRUPT, read->name,
                       "has no portable plan, no weights or no hashes of them");
    }
    const uint64_t count =
        weights->size / SQ_ENGINE_CHUNK_BYTES + (weights->size % SQ_ENGINE_CHUNK_BYTES != 0);
    if (chunks->size != count * SQ_HASH_BYTES ||
        memcmp(weights->hash, chunks->hash, SQ_HASH_BYTES) != 0 ||
        sq_load_uint(read->bytes + SQ_HEADER_CHUNK, 4) != SQ_ENGINE_CHUNK_BYTES ||
        sq_load_uint(read->bytes + SQ_HEADER_WEIGHTS, 8) != weights->size) {
        return FAIL_SECTION(SQUALL_E_CORRUPT, weights,
                            "%" PRIu64 " bytes do not go with %" PRIu64 " bytes of hashes",
                            weights->size, chunks->size);
    }
    read->file->weights = read->bytes + weights->offset;
    read->file->weight_bytes = weights->size;
    read->file->chunk_hashes = read->bytes + chunks->offset;
    read->file->chunk_checked = sq_alloc(count, sizeof *read->file->chunk_checked);
    if (read->file->chunk_checked == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, read->name, "no memory for %" PRIu64 " chunks", count);
    }
    return SQUALL_OK;
}

/* Chunks first..last-1 of an engine's weights, some at a time. */
enum { TOGETHER = 16 };
typedef struct check_run {
    const sq_engine_file *file;
    uint64_t first, last;
    atomic_uint_fast64_t wrong; /* the lowest chunk that is; UINT64_MAX: none */
} check_run;

static uint64_t chunk_size(const sq_engine_file *file, uint64_t chunk)
{
    const uint64_t left = file->weight_bytes - chunk * SQ_ENGINE_CHUNK_BYTES;
    return left < SQ_ENGINE_CHUNK_BYTES ? left : SQ_ENGINE_CHUNK_BYTES;
}

static void judge_chunk(check_run *run, uint64_t chunk, const unsigned char *hash)
{
    if (memcmp(hash, run->file->chunk_hashes + chunk * SQ_HASH_BYTES, SQ_HASH_BYTES) == 0) {
        atomic_store_explicit(&run->file->chunk_checked[chunk], 1, memory_order_release);
        return;
    }
    uint_fast64_t lowest = atomic_load(&run->wrong);
    while (chunk < lowest && !atomic_compare_exchange_weak(&run->wrong, &lowest, chunk)) {
    }
}

static void check_chunks(void *arg, size_t index, int thread)
{
    check_run *run = arg;
    const unsigned char *data[TOGETHER] = {NULL};
    unsigned char hashes[TOGETHER][SQ_HASH_BYTES];
    uint64_t chunks[TOGETHER], count = 0;
    const uint64_t start = run->first + (uint64_t)index * TOGETHER;
    (void)thread;
    for (uint64_t c = start; c < run->last && c < start + TOGETHER; c++) {
        const unsigned char *at = run->file->weights + c * SQ_ENGINE_CHUNK_BYTES;
        if (atomic_load_explicit(&run->file->chunk_checked[c], memory_order_acquire) != 0) {
            continue;
        }
        if (chunk_size(run->file, c) < SQ_ENGINE_CHUNK_BYTES) { /* the last one */
            sq_hash(at, chunk_size(run->file, c), hashes[0]);
            judge_chunk(run, c, hashes[0]);
            continue;
        }
        data[count] = at;
        chunks[count++] = c;
    }
    sq_hash_many(data, count, SQ_ENGINE_CHUNK_BYTES, hashes);
    for (uint64_t i = 0; i < count; i++) {
        judge_chunk(run, chunks[i], hashes[i]);
    }
}

squall_status sq_engine_check_weights(const sq_engine_file *file, uint64_t offset, uint64_t bytes,
                                      sq_pool *pool, squall_error *err)
{
    if (bytes == 0) {
        return SQUALL_OK;
    }
    check_run run = {.file = file,
                     .first = offset / SQ_ENGINE_CHUNK_BYTES,
                     .last = (offset + bytes - 1) / SQ_ENGINE_CHUNK_BYTES + 1,
                     .wrong = UINT64_MAX};
    sq_pool_run(pool, check_chunks, &run,
                (size_t)((run.last - run.first + TOGETHER - 1) / TOGETHER));
    const uint64_t wrong = atomic_load(&run.wrong);
    if (wrong != UINT64_MAX) {
        return sq_fail(err, SQUALL_E_CORRUPT, file->name,
                       "its weights do not match their hash in chunk %" PRIu64
                       "; copy or build the engine again",
                       wrong);
    }
    return SQUALL_OK;
}

/* The plans of one section, one for each profile, checked. */
static squall_status read_plans(reader *read, uint32_t id, sq_plan **out, squall_error *err)
{
    const sq_section *part = sq_section_find(&read->sections, id);
    sq_engine_file *file = read->file;
    if (part == NULL) {
        return SQUALL_OK;
    }
    char where[SQ_SECTION_WHERE];
    sq_section_where(&read->sections, part, where);
    sq_plan *plans = sq_alloc(file->profile_count, sizeof *plans);
    if (plans == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, where, "no memory for its plans");
    }
    *out = plans;
    sq_cursor cursor = {.data = read->bytes + part->offset, .size = part->size};
    for (uint32_t p = 0; p < file->profile_count; p++) {
        SQ_TRY(sq_plan_decode(&cursor, where, &plans[p], err));
        SQ_TRY(sq_plan_check(&plans[p], file, err));
    }
    if (cursor.at != cursor.size) {
        return FAIL_SECTION(SQUALL_E_CORRUPT, part, "%zu bytes follow its last plan",
                            cursor.size - cursor.at);
    }
    return SQUALL_OK;
}

/* All plans have the same inputs and outputs by name, type and rank; only sizes differ. */
static squall_status check_same_ports(const reader *read, const sq_plan *plan, squall_error *err)
{
    const sq_plan *first = &read->file->portable[0];
    bool same =
        plan->input_count == first->input_count && plan->output_count == first->output_count;
    for (uint32_t i = 0; same && i < plan->input_count + plan->output_count; i++) {
        const bool input = i < plan->input_count;
        const uint32_t k = input ? i : i - plan->input_count;
        const sq_plan_value *a = &plan->values[input ? plan->inputs[k] : plan->outputs[k]];
        const sq_plan_value *b = &first->values[input ? first->inputs[k] : first->outputs[k]];
        same = strcmp(a->name, b->name) == 0 && a->type.dtype == b->type.dtype &&
               a->type.rank == b->type.rank;
    }
    return same ? SQUALL_OK
                : sq_fail(err, SQUALL_E_CORRUPT, read->name,
                          "its plans do not have the same inputs and outputs");
}

/* What the header says of the plans must be what the plans make; so must the device's shapes. */
static squall_status check_totals(const reader *read, squall_error *err)
{
    const sq_engine_file *file = read->file;
    uint64_t arena = 0, macs = 0;
    for (uint32_t i = 0; i < 2 * file->profile_count; i++) {
        const uint32_t p = i / 2;
        if (i % 2 != 0 && file->device == NULL) {
            continue;
        }
        const sq_plan *plan = i % 2 == 0 ? &file->portable[p] : &file->device[p];
        SQ_TRY(check_same_ports(read, plan, err));
        for (uint32_t k = 0; k < plan->input_count + plan->output_count; k++) {
            const sq_plan *twin = &file->portable[p];
            const bool input = k < plan->input_count;
            const uint32_t n = input ? k : k - plan->input_count;
            if (!sq_tensor_same_type(
                    &plan->values[input ? plan->inputs[n] : plan->outputs[n]].type,
                    &twin->values[input ? twin->inputs[n] : twin->outputs[n]].type)) {
                return sq_fail(err, SQUALL_E_CORRUPT, read->name,
                               "its two plans of profile %" PRIu32 " take different shapes", p);
            }
        }
        arena = plan->arena_bytes > arena ? plan->arena_bytes : arena;
        macs = plan->macs > macs ? plan->macs : macs;
    }
    const uint64_t said_arena = sq_load_uint(read->bytes + SQ_HEADER_ARENA, 8);
    const uint64_t said_macs = sq_load_uint(read->bytes + SQ_HEADER_MACS, 8);
    if (arena != said_arena || macs != said_macs) {
        return sq_fail(err, SQUALL_E_CORRUPT, read->name,
                       "its header says %" PRIu64 " bytes of arena and %" PRIu64
                       " MACs, its plans make %" PRIu64 " and %" PRIu64,
                       said_arena, said_macs, arena, macs);
    }
    return SQUALL_OK;
}

/* A zero-padded text of the header. */
static squall_status read_text(const reader *read, size_t offset, char **out, squall_error *err)
{
    const unsigned char *at = read->bytes + offset;
    const size_t length = strnlen((const char *)at, SQ_HEADER_TEXT);
    if (length == SQ_HEADER_TEXT || !all_zero(at + length, SQ_HEADER_TEXT - length)) {
        return sq_fail(err, SQUALL_E_CORRUPT, read->name, "a text in its header has no end");
    }
    *out = sq_strdup((const char *)at);
    return *out != NULL ? SQUALL_OK
                        : sq_fail(err, SQUALL_E_MEMORY, read->name, "no memory for its header");
}

static squall_status read_header(reader *read, squall_error *err)
{
    sq_engine_file *file = read->file;
    const uint64_t profiles = sq_load_uint(read->bytes + SQ_HEADER_PROFILES, 4);
    const uint64_t threads = sq_load_uint(read->bytes + SQ_HEADER_THREADS, 4);
    if (profiles < 1 || profiles > SQ_LIMIT_PROFILES || threads > SQ_POOL_THREADS ||
        !all_zero(read->bytes + SQ_HEADER_RESERVED, SQ_HEADER_HASH - SQ_HEADER_RESERVED)) {
        return sq_fail(err, SQUALL_E_CORRUPT, read->name,
                       "its header says %" PRIu64 " profiles (1 to %d) and %" PRIu64
                       " threads (at most %d), or uses reserved bytes",
                       profiles, SQ_LIMIT_PROFILES, threads, SQ_POOL_THREADS);
    }
    file->profile_count = (uint32_t)profiles;
    file->threads = (int32_t)threads;
    memcpy(file->model_hash, read->bytes + SQ_HEADER_MODEL_HASH, SQ_HASH_BYTES);
    file->name = sq_strdup(read->name);
    if (file->name == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, read->name, "no memory for its name");
    }
    SQ_TRY(read_text(read, SQ_HEADER_VERSION, &file->squall_version, err));
    return read_text(read, SQ_HEADER_ISA, &file->isa, err);
}

/* Where a fact is kept, or NULL when it is not known here. */
static char **find_fact(sq_engine_file *file, const char *key)
{
    return strcmp(key, "model") == 0      ? &file->model_name
           : strcmp(key, "command") == 0  ? &file->command
           : strcmp(key, "compiler") == 0 ? &file->compiler
                                          : NULL;
}

static squall_status read_about(reader *read, squall_error *err)
{
    const sq_section *part = sq_section_find(&read->sections, SQ_SECTION_ABOUT);
    sq_cursor cursor = {0};
    if (part != NULL) {
        cursor.data = read->bytes + part->offset;
        cursor.size = part->size;
        const uint32_t count = sq_cursor_count(&cursor, SQ_LIMIT_PORTS, 8);
        for (uint32_t i = 0; i < count && !cursor.failed; i++) {
            char *key = sq_cursor_string(&cursor, SQ_LIMIT_NAME);
            char *value = sq_cursor_string(&cursor, SQ_LIMIT_NAME);
            char **keep = key != NULL && value != NULL ? find_fact(read->file, key) : NULL;
            if (keep != NULL && *keep == NULL) {
                *keep = value;
                value = NULL;
            }
            sq_free(key);
            sq_free(value);
        }
        if (cursor.no_memory) {
            return FAIL_SECTION(SQUALL_E_MEMORY, part, "no memory for it");
        }
        if (cursor.failed) {
            return FAIL_SECTION(SQUALL_E_CORRUPT, part, "ends early, at byte %zu", cursor.at);
        }
    }
    if (read->file->model_name == NULL) {
        read->file->model_name = sq_strdup("");
    }
    return read->file->model_name != NULL
               ? SQUALL_OK
               : sq_fail(err, SQUALL_E_MEMORY, read->name, "no memory for its name");
}

static void read_kernels(reader *read)
{
    const sq_section *part = sq_section_find(&read->sections, SQ_SECTION_KERNELS);
    if (part != NULL) {
        read->file->kernels = read->bytes + part->offset;
        read->file->kernel_bytes = part->size;
    }
}

/* A text of the file, given; NULL when there is no such section. */
static squall_status read_section_text(reader *read, uint32_t section, size_t most, char **out,
                                       squall_error *err)
{
    const sq_section *part = sq_section_find(&read->sections, section);
    if (part == NULL) {
        return SQUALL_OK;
    }
    const unsigned char *at = read->bytes + part->offset;
    if (part->size > most || memchr(at, 0, part->size) != NULL) {
        return FAIL_SECTION(SQUALL_E_CORRUPT, part, "is no text, or longer than %zu bytes", most);
    }
    *out = sq_alloc(part->size + 1, 1);
    if (*out == NULL) {
        return FAIL_SECTION(SQUALL_E_MEMORY, part, "no memory for its %" PRIu64 " bytes",
                            part->size);
    }
    memcpy(*out, at, part->size);
    return SQUALL_OK;
}

/* Batches that a profile takes beside its own; they hold that one, and their plans fit in memory by
 * the limits that derived plans are held against. */
static squall_status read_ranges(reader *read, squall_error *err)
{
    const sq_section *part = sq_section_find(&read->sections, SQ_SECTION_RANGES);
    sq_engine_file *file = read->file;
    if (part == NULL) {
        return SQUALL_OK;
    }
    const uint32_t inputs = file->portable[0].input_count;
    const size_t count = (size_t)file->profile_count * inputs;
    if (part->size != 16 * (uint64_t)count) {
        return FAIL_SECTION(SQUALL_E_CORRUPT, part, "has %" PRIu64 " bytes; %zu inputs need %zu",
                            part->size, count, 16 * count);
    }
    file->ranges = sq_alloc(count, sizeof *file->ranges);
    if (file->ranges == NULL) {
        return FAIL_SECTION(SQUALL_E_MEMORY, part, "no memory for it");
    }
    sq_cursor cursor = {.data = read->bytes + part->offset, .size = part->size};
    for (size_t i = 0; i < count; i++) {
        const sq_plan *plan = &file->portable[i / inputs];
        const squall_tensor *type = &plan->values[plan->inputs[i % inputs]].type;
        const int64_t min = (int64_t)sq_cursor_uint(&cursor, 8);
        const int64_t max = (int64_t)sq_cursor_uint(&cursor, 8);
        if ((min != 0 || max != 0) &&
            (type->rank == 0 || min < 1 || min > type->dims[0] || max < type->dims[0])) {
            return FAIL_SECTION(SQUALL_E_CORRUPT, part,
                                "%" PRId64 " to %" PRId64 " of input %zu does not hold the size "
                                "that it was planned for",
                                min, max, i % inputs);
        }
        file->ranges[i] = (sq_batch_range){.min = min, .max = max};
    }
    return SQUALL_OK;
}

sq_batch_range sq_engine_range(const sq_engine_file *file, uint32_t profile, uint32_t input)
{
    const uint32_t inputs = file->portable[0].input_count;
    return file->ranges != NULL ? file->ranges[(size_t)profile * inputs + input]
                                : (sq_batch_range){0, 0};
}

static squall_status read_record(reader *read, squall_error *err)
{
    const sq_section *part = sq_section_find(&read->sections, SQ_SECTION_RECORD);
    if (part == NULL || read->file->device == NULL) {
        return SQUALL_OK;
    }
    char where[SQ_SECTION_WHERE];
    sq_section_where(&read->sections, part, where);
    sq_cursor cursor = {.data = read->bytes + part->offset, .size = part->size};
    for (uint32_t p = 0; p < read->file->profile_count; p++) {
        SQ_TRY(sq_record_decode(&cursor, where, &read->file->device[p], err));
    }
    if (cursor.at != cursor.size) {
        return FAIL_SECTION(SQUALL_E_CORRUPT, part, "%zu bytes follow its last profile",
                            cursor.size - cursor.at);
    }
    return SQUALL_OK;
}

static squall_status read_parts(reader *read, squall_error *err)
{
    sq_engine_file *file = read->file;
    SQ_TRY(sq_sections_read(read->bytes, read->size, read->name, &read->sections, err));
    SQ_TRY(check_hashes(read, err));
    SQ_TRY(read_header(read, err));
    SQ_TRY(read_weights(read, err));
    SQ_TRY(read_about(read, err));
    SQ_TRY(read_section_text(read, SQ_SECTION_RECIPE, SQ_LIMIT_RECIPE, &file->recipe, err));
    SQ_TRY(read_section_text(read, SQ_SECTION_CERTIFICATE, SQ_LIMIT_CERTIFICATE, &file->certificate,
                             err));
    read_kernels(read);
    SQ_TRY(read_plans(read, SQ_SECTION_PORTABLE, &file->portable, err));
    SQ_TRY(read_plans(read, SQ_SECTION_DEVICE, &file->device, err));
    SQ_TRY(check_totals(read, err));
    SQ_TRY(read_ranges(read, err));
    return read_record(read, err);
}

squall_status sq_engine_read(const unsigned char *bytes, size_t size, const char *name,
                             sq_engine_file *file, squall_error *err)
{
    reader read = {.bytes = bytes, .size = size, .name = name, .file = file};
    memset(file, 0, sizeof *file);
    if ((uintptr_t)bytes % SQ_ALIGNMENT != 0) {
        return sq_fail(err, SQUALL_E_ARGUMENT, name, "its bytes must be %d-byte aligned",
                       SQ_ALIGNMENT);
    }
    const squall_status status = read_parts(&read, err);
    if (status != SQUALL_OK) {
        sq_engine_free(file);
    }
    return status;
}

void sq_engine_free(sq_engine_file *file)
{
    for (uint32_t p = 0; p < file->profile_count; p++) {
        if (file->portable != NULL) {
            sq_plan_free(&file->portable[p]);
        }
        if (file->device != NULL) {
            sq_plan_free(&file->device[p]);
        }
    }
    sq_free(file->portable);
    sq_free(file->device);
    sq_free(file->recipe);
    sq_free(file->certificate);
    sq_free(file->model_name);
    sq_free(file->squall_version);
    sq_free(file->isa);
    sq_free(file->command);
    sq_free(file->compiler);
    sq_free(file->ranges);
    sq_free(file->name);
    sq_free(file->chunk_checked);
    memset(file, 0, sizeof *file);
}
