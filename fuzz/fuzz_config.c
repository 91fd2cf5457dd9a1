/* rooms: svc/config */
/* fuzz/fuzz_config.c - configuration files with anything in them. */
#include <stdint.h>
#include <stdlib.h>

#include "svc/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sq_config *config = NULL;
    squall_notes *problems = squall_notes_create();
    const squall_status status =
        sq_config_parse((const char *)data, size, "fuzz.ini", &config, problems, NULL);
    if ((status == SQUALL_OK) != (config != NULL) ||
        (status == SQUALL_E_FORMAT && squall_notes_count(problems) == 0)) {
        abort(); /* what is refused is refused with a reason */
    }
    sq_config_destroy(&config);
    squall_notes_destroy(&problems);
    return 0;
}
