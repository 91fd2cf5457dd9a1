/* rooms: svc/wis2 */
/* fuzz/fuzz_wis2.c - notifications as brokers send them: refused with words, or everything that is
 * read lies within its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "svc/wis2/wis2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sq_wis2_message message;
    squall_error err = {.text = ""};
    /* A copy of just its size: a read behind its end is seen. */
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data, size);
    if (sq_wis2_read(copy, size, &message, &err) != SQUALL_OK) {
        if (err.text[0] == '\0' || message.content != NULL) {
            abort();
        }
        free(copy);
        return 0;
    }
    if (message.data_id[0] == '\0' || message.href[0] == '\0' ||
        strlen(message.data_id) >= sizeof message.data_id ||
        message.digest_size > sizeof message.digest || message.rel > SQ_WIS2_DELETION) {
        abort();
    }
    /* Only the very file is taken for it. */
    if (message.digest_size > 0 && sq_wis2_verify(&message, copy, size, &err) == SQUALL_OK) {
        abort();
    }
    (void)!sq_wis2_verify(&message, message.content, message.content_size, &err);
    sq_wis2_message_free(&message);
    free(copy);
    return 0;
}
