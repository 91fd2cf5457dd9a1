/* nn/plan/plan_map.c - the arena in pictures: what lies where, from which step to which. */
#include <string.h>

#include "nn/plan/plan_internal.h"

squall_status sq_plan_map(const sq_plan *plan, sq_plan_span **out, uint32_t *count,
                          squall_error *err)
{
    sq_plan_lives lives = {NULL, NULL, NULL};
    SQ_TRY(sq_plan_lives_init(plan, &lives, err));
    sq_plan_span *spans = sq_alloc(plan->value_count, sizeof *spans);
    *count = 0;
    for (uint32_t v = 0; spans != NULL && v < plan->value_count; v++) {
        if (plan->values[v].home != SQ_HOME_ARENA || lives.root[v] != v ||
            lives.def[v] == INT64_MAX) {
            continue;
        }
        spans[(*count)++] = (sq_plan_span){.value = v,
                                           .first = (uint32_t)lives.def[v],
                                           .last = (uint32_t)lives.last[v],
                                           .offset = plan->values[v].offset,
                                           .bytes = sq_plan_value_bytes(&plan->values[v])};
    }
    sq_plan_lives_free(&lives);
    if (spans == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "memory map", "no memory for it");
    }
    *out = spans;
    return SQUALL_OK;
}

squall_status sq_engine_sections(const unsigned char *bytes, size_t size, const char *name,
                                 sq_section_info *out, uint32_t *count, squall_error *err)
{
    sq_sections sections;
    SQ_TRY(sq_sections_read(bytes, size, name, &sections, err));
    *count = sections.count;
    for (uint32_t i = 0; i < sections.count; i++) {
        const sq_section *part = &sections.items[i];
        out[i] = (sq_section_info){.id = part->id,
                                   .name = sq_section_name(part->id),
                                   .mandatory = (part->flags & SQ_SECTION_MANDATORY) != 0,
                                   .offset = part->offset,
                                   .bytes = part->size};
        memcpy(out[i].hash, part->hash, SQ_HASH_BYTES);
        if (part->id == SQ_SECTION_SIGNATURE) {
            memcpy(out[i].hash, bytes + part->offset + SQ_SIGNATURE_KEY, SQ_SIGN_PUBLIC_BYTES);
        }
    }
    return SQUALL_OK;
}
