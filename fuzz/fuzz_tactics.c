/* rooms: nn/compile */
/* fuzz/fuzz_tactics.c - files of measured times: refused with words, or times in order, each of
 * which is found again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nn/compile/compile_tactics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sq_times times = {0};
    squall_error err = {.text = ""};
    if (sq_times_parse(&times, (const char *)data, size, "fuzz", &err) != SQUALL_OK &&
        err.text[0] == '\0') {
        abort();
    }
    for (size_t i = 0; i < times.count; i++) {
        const sq_time *time = &times.items[i];
        if (!(time->median_s > 0) || !(time->spread_s >= 0) ||
            sq_times_find(&times, time->device, time->build, time->step, time->tactic) != time) {
            abort();
        }
    }
    sq_times_free(&times);
    return 0;
}
