/* nn/compile/compile_kernels.c - the machine code of an engine for GPUs: which kernels it needs,
 * made by NVRTC or as they were made before.
 *
 * What NVRTC made is kept in kernels-of/ of sq_state_folder(), named by the SHA-256 of all that it
 * was made from and with the SHA-256 of the code before it. */
#include <stdio.h>
#include <string.h>

#include "nn/compile/compile_internal.h"
#include "nn/cuda/cuda.h"
#include "nn/rtc/rtc.h"

#define KEPT_BYTES ((size_t)1 << 28)

/* What a tactic wants, once. */
static void want(const char *tactic, sq_text *wanted)
{
    sq_text line = {0};
    sq_cuda_wanted(tactic, &line);
    if (line.failed) {
        wanted->failed = true;
    } else if (line.data != NULL && strstr(wanted->data, line.data) == NULL) {
        sq_text_add(wanted, "%s", line.data);
    }
    sq_text_free(&line);
}

/* Where code made from these texts is kept; false when there is no place for it. */
static bool kept_path(const char *isa, const char *wanted, char *folder, char *path, size_t room)
{
    unsigned char hash[SQ_HASH_BYTES];
    char name[SQ_HASH_TEXT], state[768];
    sq_text all = {0};
    if (!sq_state_folder(state, sizeof state)) {
        return false;
    }
    sq_text_add(&all, "%s\n%s\n", isa, wanted);
    for (const sq_rtc_source *source = sq_rtc_sources; source->name != NULL; source++) {
        sq_text_add(&all, "%s\n%s\n", source->name, source->text);
    }
    const bool made = !all.failed;
    if (made) {
        sq_hash(all.data, all.length, hash);
        snprintf(folder, room, "%s/kernels-of", state);
        snprintf(path, room, "%.800s/%s", folder, sq_hash_format(hash, name));
    }
    sq_text_free(&all);
    return made;
}

/* Code that was kept, whole; false when there is none. */
static bool read_kept(const char *path, unsigned char **kernels, size_t *bytes)
{
    unsigned char hash[SQ_HASH_BYTES], *file = NULL;
    size_t size = 0;
    if (sq_file_read(path, KEPT_BYTES, &file, &size, NULL) != SQUALL_OK) {
        return false;
    }
    bool whole = size > SQ_HASH_BYTES;
    if (whole) {
        sq_hash(file + SQ_HASH_BYTES, size - SQ_HASH_BYTES, hash);
        whole = memcmp(hash, file, SQ_HASH_BYTES) == 0;
    }
    unsigned char *made = whole ? sq_alloc_raw(size - SQ_HASH_BYTES, 1) : NULL;
    if (made != NULL) {
        memcpy(made, file + SQ_HASH_BYTES, size - SQ_HASH_BYTES);
        *kernels = made;
        *bytes = size - SQ_HASH_BYTES;
    }
    sq_free(file);
    return made != NULL;
}

/* Keep it for the next build, which does not depend on it. */
static void keep(const char *folder, const char *path, const unsigned char *kernels, size_t bytes)
{
    squall_error none;
    unsigned char *file = sq_alloc_raw(SQ_HASH_BYTES + bytes, 1);
    if (file == NULL) {
        return;
    }
    sq_hash(kernels, bytes, file);
    memcpy(file + SQ_HASH_BYTES, kernels, bytes);
    squall_status status = sq_folder_make(folder, &none);
    if (status == SQUALL_OK) {
        status = sq_file_write(path, file, SQ_HASH_BYTES + bytes, &none);
    }
    (void)status;
    sq_free(file);
}

squall_status sq_compile_code(const char *isa, const char *wanted, unsigned char **kernels,
                              size_t *bytes, squall_error *err)
{
    char folder[1024] = "", path[1024] = "";
    const bool keeps = kept_path(isa, wanted, folder, path, sizeof path);
    if (keeps && read_kept(path, kernels, bytes)) {
        return SQUALL_OK;
    }
    SQ_TRY(sq_rtc_build(isa, wanted, kernels, bytes, err));
    if (keeps) {
        keep(folder, path, *kernels, *bytes);
    }
    return SQUALL_OK;
}

squall_status sq_compile_kernels(const sq_target *target, const sq_engine_file *file,
                                 unsigned char **kernels, size_t *bytes, squall_error *err)
{
    sq_text wanted = {0};
    if (!target->gpu) {
        return SQUALL_OK;
    }
    sq_text_add(&wanted, "/* for the tactics of one engine */\n");
    for (uint32_t p = 0; p < file->profile_count; p++) {
        for (uint32_t s = 0; s < file->device[p].step_count && !wanted.failed; s++) {
            want(file->device[p].steps[s].tactic, &wanted);
        }
    }
    const squall_status status =
        wanted.failed ? sq_fail(err, SQUALL_E_MEMORY, target->isa, "no memory for its kernels")
                      : sq_compile_code(target->isa, wanted.data, kernels, bytes, err);
    sq_text_free(&wanted);
    return status;
}
