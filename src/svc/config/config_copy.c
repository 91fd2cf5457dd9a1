/* svc/config/config_copy.c - a configuration twice. */
#include <string.h>

#include "svc/config/config_table.h"

sq_config *sq_config_copy(const sq_config *config)
{
    sq_config *copy = sq_alloc(1, sizeof *copy);
    if (copy == NULL) {
        return NULL;
    }
    *copy = *config;
    copy->trials = NULL;
    bool whole = true;
    for (size_t s = 0; s < sq_config_section_count; s++) {
        const sq_config_section *section = &sq_config_sections[s];
        if (!section->named) {
            continue;
        }
        void **items = (void **)(void *)((char *)copy + section->offset);
        const size_t count =
            *(const size_t *)(const void *)((const char *)copy + section->count_offset);
        const void *from = *items;
        *items = sq_alloc_raw(count, section->item_bytes);
        whole = whole && *items != NULL;
        if (*items != NULL && count > 0) {
            memcpy(*items, from, count * section->item_bytes);
        }
    }
    if (!whole) {
        sq_config_destroy(&copy);
    }
    return copy;
}

bool sq_config_make_trials(sq_config *config)
{
    if (config->trials == NULL) {
        config->trials = sq_alloc(config->engine_count, sizeof *config->trials);
    } else {
        memset(config->trials, 0, config->engine_count * sizeof *config->trials);
    }
    return config->trials != NULL;
}
