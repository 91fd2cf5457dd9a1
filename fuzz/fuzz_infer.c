/* rooms: svc/infer */
/* fuzz/fuzz_infer.c - requests to infer: the first two bytes are the length of the JSON (65535:
 * there is no header), the rest the body. Refused with words, or every tensor lies where it says.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svc/infer/infer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sq_infer_request request;
    squall_error err = {.text = ""};
    char length[16];
    if (size < 2) {
        return 0;
    }
    const unsigned given = data[0] | (unsigned)data[1] << 8;
    snprintf(length, sizeof length, "%u", given);
    /* A copy of just its size: a read behind its end is seen. */
    uint8_t *body = malloc(size - 2 > 0 ? size - 2 : 1);
    if (body == NULL) {
        return 0;
    }
    memcpy(body, data + 2, size - 2);
    if (sq_infer_read(body, size - 2, given == 65535 ? NULL : length, &request, &err) !=
        SQUALL_OK) {
        if (err.text[0] == '\0' || request.input_count != 0) {
            abort();
        }
        free(body);
        return 0;
    }
    unsigned sum = 0;
    for (size_t i = 0; i < request.input_count; i++) {
        const squall_tensor *t = &request.inputs[i].tensor;
        const size_t bytes = squall_tensor_bytes(t);
        if (t->data == NULL || (uintptr_t)t->data % squall_dtype_size(t->dtype) != 0 ||
            sq_infer_type_name(t->dtype) == NULL) {
            abort();
        }
        for (size_t k = 0; k < bytes; k++) {
            sum += ((const unsigned char *)t->data)[k];
        }
    }
    if (sum == 1 && request.input_count == 0) { /* never: the sum is used, so the bytes are read */
        abort();
    }
    sq_infer_request_free(&request);
    free(body);
    return 0;
}
