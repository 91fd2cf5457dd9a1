/* nn/plan/plan_write.c - an engine file from its parts. */
#include <string.h>

#include "nn/plan/plan_internal.h"

enum { TOGETHER = 16 }; /* chunks that are hashed at a time */

/* One section to be written; its bytes are borrowed. Weights and their chunks have none yet. */
typedef struct part {
    uint32_t id, flags;
    const unsigned char *data;
    uint64_t size, offset;
} part;

typedef struct writer {
    const sq_engine_file *file;
    sq_text portable, device, about, ranges, record;
    part parts[SQ_MAX_SECTIONS];
    uint32_t count;
    uint64_t arena_bytes, macs;
} writer;

static void encode_plans(writer *work, const sq_plan *plans, sq_text *text)
{
    for (uint32_t p = 0; p < work->file->profile_count; p++) {
        sq_plan_encode(&plans[p], text);
        work->arena_bytes =
            plans[p].arena_bytes > work->arena_bytes ? plans[p].arena_bytes : work->arena_bytes;
        work->macs = plans[p].macs > work->macs ? plans[p].macs : work->macs;
    }
}

static size_t chunk_count(const sq_engine_file *file)
{
    return (size_t)((file->weight_bytes + SQ_ENGINE_CHUNK_BYTES - 1) / SQ_ENGINE_CHUNK_BYTES);
}

/* The weights as they lie in the file, and where the hashes of their chunks go. */
typedef struct hashing {
    const unsigned char *weights;
    uint64_t bytes;
    unsigned char (*out)[SQ_HASH_BYTES];
} hashing;

static void hash_chunks(void *arg, size_t index, int thread)
{
    const hashing *work = arg;
    const unsigned char *data[TOGETHER] = {NULL};
    size_t count = 0;
    uint64_t at = (uint64_t)index * TOGETHER * SQ_ENGINE_CHUNK_BYTES;
    (void)thread;
    for (; count < TOGETHER && work->bytes - at >= SQ_ENGINE_CHUNK_BYTES; count++) {
        data[count] = work->weights + at;
        at += SQ_ENGINE_CHUNK_BYTES;
    }
    sq_hash_many(data, count, SQ_ENGINE_CHUNK_BYTES, work->out + index * TOGETHER);
    if (count < TOGETHER && at < work->bytes) { /* the last one */
        sq_hash(work->weights + at, work->bytes - at, work->out[index * TOGETHER + count]);
    }
}

/* Hashing is most of the work of writing a large engine, so all processors share it. */
static void store_weights(const writer *work, const part *weights, const part *chunks,
                          unsigned char *bytes)
{
    const sq_engine_file *file = work->file;
    const size_t jobs = (chunk_count(file) + TOGETHER - 1) / TOGETHER;
    hashing job = {.weights = bytes + weights->offset,
                   .bytes = weights->size,
                   .out = (void *)(bytes + chunks->offset)};
    sq_pool *pool = NULL;
    if (file->fill_weights != NULL) {
        file->fill_weights(file->filler, bytes + weights->offset);
    } else if (weights->size > 0) {
        memcpy(bytes + weights->offset, file->weights, weights->size);
    }
    if (jobs > 1 && sq_pool_create(0, &pool, NULL) != SQUALL_OK) {
        pool = NULL; /* this thread alone does it too */
    }
    sq_pool_run(pool, hash_chunks, &job, jobs);
    sq_pool_destroy(&pool);
}

/* Facts in words, key and value; readers skip keys that they do not know. */
static void encode_about(writer *work)
{
    const sq_engine_file *file = work->file;
    const char *const facts[][2] = {{"model", file->model_name != NULL ? file->model_name : ""},
                                    {"command", file->command},
                                    {"compiler", file->compiler}};
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        count += facts[i][1] != NULL;
    }
    sq_put_uint(&work->about, count, 4);
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        if (facts[i][1] != NULL) {
            sq_put_string(&work->about, facts[i][0]);
            sq_put_string(&work->about, facts[i][1]);
        }
    }
}

static void encode_ranges(writer *work)
{
    const sq_engine_file *file = work->file;
    const size_t count = (size_t)file->profile_count * file->portable[0].input_count;
    for (size_t i = 0; file->ranges != NULL && i < count; i++) {
        sq_put_uint(&work->ranges, (uint64_t)file->ranges[i].min, 8);
        sq_put_uint(&work->ranges, (uint64_t)file->ranges[i].max, 8);
    }
}

/* Nothing when nothing is known: a plan made by hand, or read from an engine without it. */
static void encode_record(writer *work)
{
    const sq_engine_file *file = work->file;
    bool known = false;
    for (uint32_t p = 0; file->device != NULL && p < file->profile_count; p++) {
        for (uint32_t s = 0; s < file->device[p].step_count; s++) {
            known = known || file->device[p].steps[s].candidate_count > 0;
        }
    }
    for (uint32_t p = 0; known && p < file->profile_count; p++) {
        sq_record_encode(&file->device[p], &work->record);
    }
}

static void add_part(writer *work, uint32_t id, uint32_t flags, const void *data, uint64_t size)
{
    work->parts[work->count++] =
        (part){.id = id, .flags = flags, .data = (const unsigned char *)data, .size = size};
}

/* Where each section begins; returns where the last one ends. */
static uint64_t lay_out(writer *work)
{
    uint64_t at = SQ_ENGINE_HEADER_BYTES + (uint64_t)work->count * SQ_ENGINE_TABLE_BYTES;
    for (uint32_t i = 0; i < work->count; i++) {
        at = sq_section_place(work->parts[i].id, at);
        work->parts[i].offset = at;
        at += work->parts[i].size;
    }
    return at;
}

static void store_text(unsigned char *at, const char *text, size_t room)
{
    const size_t length = text != NULL ? strlen(text) : 0;
    if (length > 0) {
        memcpy(at, text, length < room ? length : room - 1);
    }
}

static const part *find_part(const writer *work, uint32_t id)
{
    const part *found = work->parts;
    while (found->id != id) {
        found++;
    }
    return found;
}

static void store_parts(const writer *work, unsigned char *bytes)
{
    for (uint32_t i = 0; i < work->count; i++) {
        const part *section = &work->parts[i];
        if (section->data != NULL && section->size > 0) {
            memcpy(bytes + section->offset, section->data, section->size);
        }
    }
    store_weights(work, find_part(work, SQ_SECTION_WEIGHTS), find_part(work, SQ_SECTION_CHUNKS),
                  bytes);
}

static void store_table(const writer *work, unsigned char *bytes)
{
    for (uint32_t i = 0; i < work->count; i++) {
        const part *section = &work->parts[i];
        unsigned char *entry = bytes + SQ_ENGINE_HEADER_BYTES + (size_t)i * SQ_ENGINE_TABLE_BYTES;
        sq_store_uint(entry + SQ_TABLE_ID, section->id, 4);
        sq_store_uint(entry + SQ_TABLE_FLAGS, section->flags, 4);
        sq_store_uint(entry + SQ_TABLE_OFFSET, section->offset, 8);
        sq_store_uint(entry + SQ_TABLE_SIZE, section->size, 8);
        const part *hashed =
            section->id == SQ_SECTION_WEIGHTS ? find_part(work, SQ_SECTION_CHUNKS) : section;
        sq_hash(bytes + hashed->offset, hashed->size, entry + SQ_TABLE_HASH);
    }
}

static void store_header(const writer *work, unsigned char *bytes, uint64_t size)
{
    const sq_engine_file *file = work->file;
    memcpy(bytes + SQ_HEADER_MAGIC, SQ_ENGINE_MAGIC, SQ_ENGINE_MAGIC_BYTES);
    sq_store_uint(bytes + SQ_HEADER_FORMAT, SQ_ENGINE_FORMAT, 4);
    sq_store_uint(bytes + SQ_HEADER_BYTES, SQ_ENGINE_HEADER_BYTES, 4);
    sq_store_uint(bytes + SQ_HEADER_FILE_BYTES, size, 8);
    sq_store_uint(bytes + SQ_HEADER_SECTIONS, work->count, 4);
    sq_store_uint(bytes + SQ_HEADER_PROFILES, file->profile_count, 4);
    sq_store_uint(bytes + SQ_HEADER_ARENA, work->arena_bytes, 8);
    sq_store_uint(bytes + SQ_HEADER_MACS, work->macs, 8);
    sq_store_uint(bytes + SQ_HEADER_WEIGHTS, file->weight_bytes, 8);
    sq_store_uint(bytes + SQ_HEADER_CHUNK, SQ_ENGINE_CHUNK_BYTES, 4);
    sq_store_uint(bytes + SQ_HEADER_THREADS, (uint32_t)file->threads, 4);
    memcpy(bytes + SQ_HEADER_MODEL_HASH, file->model_hash, SQ_HASH_BYTES);
    store_text(bytes + SQ_HEADER_VERSION, file->squall_version, SQ_HEADER_TEXT);
    store_text(bytes + SQ_HEADER_ISA, file->isa, SQ_HEADER_TEXT);
    sq_engine_hash_head(bytes, work->count, bytes + SQ_HEADER_HASH);
}

void sq_engine_hash_head(const unsigned char *bytes, uint32_t sections, unsigned char *out)
{
    unsigned char head[SQ_HEADER_HASH + SQ_MAX_SECTIONS * SQ_ENGINE_TABLE_BYTES];
    const size_t table = (size_t)sections * SQ_ENGINE_TABLE_BYTES;
    memcpy(head, bytes, SQ_HEADER_HASH);
    memcpy(head + SQ_HEADER_HASH, bytes + SQ_ENGINE_HEADER_BYTES, table);
    sq_hash(head, SQ_HEADER_HASH + table, out);
}

squall_status sq_engine_write(const sq_engine_file *file, unsigned char **bytes, size_t *size,
                              squall_error *err)
{
    squall_status status = SQUALL_OK;
    writer work = {.file = file};
    encode_plans(&work, file->portable, &work.portable);
    if (file->device != NULL) {
        encode_plans(&work, file->device, &work.device);
    }
    encode_about(&work);
    encode_ranges(&work);
    encode_record(&work);
    add_part(&work, SQ_SECTION_PORTABLE, SQ_SECTION_MANDATORY, work.portable.data,
             work.portable.length);
    if (file->device != NULL) {
        add_part(&work, SQ_SECTION_DEVICE, 0, work.device.data, work.device.length);
    }
    if (file->device != NULL && file->kernel_bytes > 0) {
        add_part(&work, SQ_SECTION_KERNELS, 0, file->kernels, file->kernel_bytes);
    }
    if (file->certificate != NULL) {
        add_part(&work, SQ_SECTION_CERTIFICATE, 0, file->certificate, strlen(file->certificate));
    }
    if (file->recipe != NULL) {
        add_part(&work, SQ_SECTION_RECIPE, SQ_SECTION_MANDATORY, file->recipe,
                 strlen(file->recipe));
    }
    add_part(&work, SQ_SECTION_ABOUT, 0, work.about.data, work.about.length);
    if (file->ranges != NULL) {
        add_part(&work, SQ_SECTION_RANGES, 0, work.ranges.data, work.ranges.length);
    }
    if (work.record.length > 0) {
        add_part(&work, SQ_SECTION_RECORD, 0, work.record.data, work.record.length);
    }
    add_part(&work, SQ_SECTION_CHUNKS, SQ_SECTION_MANDATORY, NULL,
             chunk_count(file) * SQ_HASH_BYTES);
    add_part(&work, SQ_SECTION_WEIGHTS, SQ_SECTION_MANDATORY, NULL, file->weight_bytes);
    const uint64_t total = lay_out(&work);
    if (total > SQ_LIMIT_FILE_BYTES) {
        status = sq_fail(err, SQUALL_E_LIMIT, file->model_name,
                         "its engine would have %llu bytes; at most %zu are written",
                         (unsigned long long)total, SQ_LIMIT_FILE_BYTES);
        goto done;
    }
    unsigned char *made = sq_alloc_huge(total, 1);
    if (made == NULL || work.portable.failed || work.device.failed || work.about.failed ||
        work.ranges.failed || work.record.failed) {
        sq_free(made);
        status = sq_fail(err, SQUALL_E_MEMORY, file->model_name, "no memory for its engine");
        goto done;
    }
    memset(made, 0, (size_t)work.parts[work.count - 1].offset); /* the last part ends the file */
    store_parts(&work, made);
    store_table(&work, made);
    store_header(&work, made, total);
    *bytes = made;
    *size = total;
done:
    sq_text_free(&work.portable);
    sq_text_free(&work.device);
    sq_text_free(&work.about);
    sq_text_free(&work.ranges);
    sq_text_free(&work.record);
    return status;
}
