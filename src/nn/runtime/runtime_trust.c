/* nn/runtime/runtime_trust.c - machine code that an engine may bring: what was built here.
 *
 * A build notes the SHA-256 of the kernels that it made in a file of the user's, in
 * sq_state_folder(); one line each. */
#include <stdio.h>
#include <string.h>

#include "nn/runtime/runtime.h"

#define LIST_BYTES ((size_t)1 << 20)

/* The list as text, NULL when there is none; given. */
static char *read_list(const char *folder)
{
    char path[1024];
    unsigned char *text = NULL;
    size_t size;
    snprintf(path, sizeof path, "%s/kernels", folder);
    if (sq_file_read(path, LIST_BYTES, &text, &size, NULL) != SQUALL_OK) {
        return NULL;
    }
    return (char *)text;
}

bool sq_runtime_kernels_trusted(const unsigned char *kernels, size_t bytes)
{
    char folder[960], text[SQ_HASH_TEXT];
    unsigned char hash[SQ_HASH_BYTES];
    if (!sq_state_folder(folder, sizeof folder)) {
        return false;
    }
    char *list = read_list(folder);
    sq_hash(kernels, bytes, hash);
    const bool found = list != NULL && strstr(list, sq_hash_format(hash, text)) != NULL;
    sq_free(list);
    return found;
}

squall_status sq_runtime_trust_kernels(const unsigned char *kernels, size_t bytes,
                                       squall_error *err)
{
    char folder[960], path[1024], text[SQ_HASH_TEXT];
    unsigned char hash[SQ_HASH_BYTES];
    if (bytes == 0 || sq_runtime_kernels_trusted(kernels, bytes)) {
        return SQUALL_OK;
    }
    if (!sq_state_folder(folder, sizeof folder)) {
        return sq_fail(err, SQUALL_E_IO, "SQUALL_STATE",
                       "no folder to note in that these kernels were built here; set it, or HOME");
    }
    SQ_TRY(sq_folder_make(folder, err));
    sq_text made = {0};
    char *list = read_list(folder);
    sq_hash(kernels, bytes, hash);
    sq_text_add(&made, "%s%s\n", list != NULL ? list : "", sq_hash_format(hash, text));
    sq_free(list);
    snprintf(path, sizeof path, "%s/kernels", folder);
    const squall_status status = made.failed
                                     ? sq_fail(err, SQUALL_E_MEMORY, path, "no memory for it")
                                     : sq_file_write(path, made.data, made.length, err);
    sq_text_free(&made);
    return status;
}
