/* rooms: nn/plan */
/* fuzz/fuzz_keys.c - files of public keys: refused with words, or at least one key. */
#include <stdint.h>
#include <stdlib.h>

#include "nn/plan/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sq_keys keys;
    squall_error err = {.text = ""};
    const squall_status status = sq_keys_parse((const char *)data, size, "fuzz", &keys, &err);
    if (status == SQUALL_OK ? keys.count == 0 || keys.keys == NULL : err.text[0] == '\0') {
        abort();
    }
    sq_keys_free(&keys);
    return 0;
}
