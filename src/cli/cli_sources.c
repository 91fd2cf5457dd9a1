/* cli/cli_sources.c - satellites and static maps beside the radar, put on its grid. */
#include <math.h>
#include <string.h>

#include "cli/cli.h"

static squall_status open_one(cli_source *source, const char *text, squall_notes *notes,
                              squall_error *err)
{
    cli_input input;
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof source->name ||
        strncmp(text, "radar=", 6) == 0) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "--source",
                       "'%s' must be NAME=PATH, with a name other than radar", text);
    }
    snprintf(source->name, sizeof source->name, "%.*s", (int)(equals - text), text);
    const char *path = equals + 1;
    const cli_list paths = {.items = &path, .count = 1};
    cli_input_init(&input);
    return cli_frames_open(&paths, &input, notes, &source->frames, err);
}

squall_status cli_sources_open(cli_sources *sources, const cli_list *texts, squall_notes *notes,
                               squall_error *err)
{
    if (texts->count > CLI_SOURCES) {
        return sq_fail(err, SQUALL_E_LIMIT, "--source", "%zu sources; at most %d", texts->count,
                       CLI_SOURCES);
    }
    for (size_t i = 0; i < texts->count; i++) {
        squall_error problem = {.code = SQUALL_OK};
        const squall_status status =
            open_one(&sources->extra[sources->count], texts->items[i], notes, &problem);
        if (status == SQUALL_E_ARGUMENT) {
            return sq_fail(err, status, problem.where, "%s", problem.text);
        }
        if (status != SQUALL_OK) {
            /* A satellite that is away is no reason not to forecast. */
            sq_note(notes, problem.where, "%s; forecasting without it", problem.text);
            cli_frames_close(&sources->extra[sources->count].frames);
            continue;
        }
        sources->count++;
    }
    return SQUALL_OK;
}

static void drop_fields(cli_source *source)
{
    for (size_t i = 0; i < source->count; i++) {
        squall_field_destroy(&source->fields[i]);
    }
    sq_free(source->fields);
    source->fields = NULL;
    source->count = 0;
}

void cli_sources_close(cli_sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        drop_fields(&sources->extra[i]);
        squall_regrid_destroy(&sources->extra[i].table);
        cli_frames_close(&sources->extra[i].frames);
    }
    sources->count = 0;
}

/* One frame on the radar's grid. Coarser cells are spread bilinearly, finer ones averaged. */
static squall_status carry(cli_source *source, const squall_field *frame, const squall_grid *to,
                           squall_field **out, squall_error *err)
{
    if (source->table == NULL || !squall_grid_equal(&source->from, &frame->grid, 0.01) ||
        !squall_grid_equal(&source->to, to, 0.01)) {
        squall_regrid_destroy(&source->table);
        SQ_TRY(squall_regrid_create(&frame->grid, to, SQUALL_BILINEAR, &source->table, err));
        source->from = frame->grid;
        source->to = *to;
    }
    SQ_TRY(squall_field_create(to, out, err));
    return squall_regrid_run(source->table, frame, *out, err);
}

static squall_status collect_one(cli_source *source, const squall_grid *to, int64_t from,
                                 int64_t until, squall_notes *notes, squall_error *err)
{
    const size_t room = source->frames.count;
    squall_status status = SQUALL_OK;
    const squall_field **list = sq_alloc(room, sizeof *list);
    drop_fields(source);
    source->fields = sq_alloc(room, sizeof *source->fields);
    if (list == NULL || source->fields == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, source->name, "no memory for %zu frames", room);
        goto done;
    }
    const size_t count = room == 1 ? (list[0] = cli_frames_get(&source->frames, 0)) != NULL
                                   : cli_frames_range(&source->frames, from, until, list);
    for (size_t i = 0; i < count; i++) {
        squall_error problem = {.code = SQUALL_OK};
        status = carry(source, list[i], to, &source->fields[source->count], &problem);
        if (status == SQUALL_E_MEMORY) {
            squall_field_destroy(&source->fields[source->count]);
            status = sq_fail(err, status, problem.where, "%s", problem.text);
            goto done;
        }
        if (status == SQUALL_OK) {
            source->count++;
        } else {
            sq_note(notes, list[i]->source, "%s; left out", problem.text);
            squall_field_destroy(&source->fields[source->count]);
            status = SQUALL_OK;
        }
    }
done:
    sq_free(list);
    return status;
}

squall_status cli_sources_collect(cli_sources *sources, const squall_source *radar, int64_t from,
                                  int64_t to, squall_notes *notes, squall_error *err)
{
    sources->all[0] = *radar;
    for (size_t i = 0; i < sources->count; i++) {
        cli_source *source = &sources->extra[i];
        if (radar->count > 0) {
            SQ_TRY(
                collect_one(source, &radar->frames[radar->count - 1]->grid, from, to, notes, err));
        }
        sources->all[i + 1] =
            (squall_source){source->name, (const squall_field *const *)source->fields,
                            source->count};
    }
    return SQUALL_OK;
}
