/* cli/cli_frames.c - observations for the commands: read when needed, as rain rates, cut to a
 * window. */
#include <string.h>

#include "cli/cli.h"

void cli_input_init(cli_input *input)
{
    memset(input, 0, sizeof *input);
    input->zr_a = 200.0;
    input->zr_b = 1.6;
    input->max_rate_mm_h = 150.0;
    input->min_quality = 0.5;
}

/* The window that was asked for, {0, 0, 0, 0} for all; a width that is no part of a grid is found
 * out when there is one. */
static squall_status parse_window(const cli_input *input, int64_t window[4], squall_error *err)
{
    size_t count;
    memset(window, 0, 4 * sizeof *window);
    if (input->window == NULL) {
        return SQUALL_OK;
    }
    if (!cli_parse_numbers("window", input->window, window, 4, &count) || count != 4 ||
        window[0] < 0 || window[1] < 0 || window[2] < 1 || window[3] < 1) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "--window",
                       "'%s' is no COL,ROW,WIDTH,HEIGHT in cells", input->window);
    }
    return SQUALL_OK;
}

squall_status cli_frames_open(const cli_list *paths, const cli_input *input, squall_notes *notes,
                              cli_frames *out, squall_error *err)
{
    squall_io_options options;
    squall_io_options_init(&options);
    options.quantity = input->quantity;
    memset(out, 0, sizeof *out);
    SQ_TRY(parse_window(input, out->window, err));
    SQ_TRY(cli_quality_parse(input->quality, &out->quality, err));
    SQ_TRY(squall_archive_open(paths->items, paths->count, &options, &out->archive, notes, err));
    out->count = squall_archive_count(out->archive);
    out->input = *input;
    out->notes = notes;
    out->fields = sq_alloc(out->count, sizeof *out->fields);
    out->tried = sq_alloc(out->count, sizeof *out->tried);
    if (out->fields == NULL || out->tried == NULL) {
        cli_frames_close(out);
        return sq_fail(err, SQUALL_E_MEMORY, "frames", "no memory for %zu frames", out->count);
    }
    return SQUALL_OK;
}

void cli_frames_close(cli_frames *frames)
{
    for (size_t i = 0; frames->fields != NULL && i < frames->count; i++) {
        squall_field_destroy(&frames->fields[i]);
    }
    cli_quality_free(frames);
    sq_free(frames->fields);
    sq_free(frames->tried);
    squall_archive_close(&frames->archive);
    memset(frames, 0, sizeof *frames);
}

/* The part of a field that the window asks for. */
static squall_status cut(const int64_t window[4], squall_field **field, squall_error *err)
{
    squall_field *part = NULL;
    if (window[2] == 0) {
        return SQUALL_OK;
    }
    const squall_grid *whole = &(*field)->grid;
    if (window[2] > (int64_t)whole->width - window[0] ||
        window[3] > (int64_t)whole->height - window[1]) {
        return sq_fail(err, SQUALL_E_ARGUMENT, (*field)->source,
                       "the --window is not within its %zux%zu cells", whole->width, whole->height);
    }
    squall_grid grid = *whole;
    grid.left += (double)window[0] * grid.dx;
    grid.top -= (double)window[1] * grid.dy;
    grid.width = (size_t)window[2];
    grid.height = (size_t)window[3];
    SQ_TRY(squall_field_create(&grid, &part, err));
    squall_field_set_quantity(part, (*field)->quantity, (*field)->quantity_name,
                              (*field)->unit_name);
    part->valid_time = (*field)->valid_time;
    part->window_s = (*field)->window_s;
    memcpy(part->source, (*field)->source, sizeof part->source);
    if ((*field)->quality != NULL) {
        const squall_status status = squall_field_add_quality(part, err);
        if (status != SQUALL_OK) {
            squall_field_destroy(&part);
            return status;
        }
    }
    for (size_t y = 0; y < grid.height; y++) {
        const size_t from = (y + (size_t)window[1]) * whole->width + (size_t)window[0];
        memcpy(part->values + y * grid.width, (*field)->values + from,
               grid.width * sizeof *part->values);
        memcpy(part->mask + y * grid.width, (*field)->mask + from, grid.width);
        if (part->quality != NULL && (*field)->quality != NULL) {
            memcpy(part->quality + y * grid.width, (*field)->quality + from,
                   grid.width * sizeof *part->quality);
        }
    }
    squall_field_destroy(field);
    *field = part;
    return SQUALL_OK;
}

const squall_field *cli_frames_get(cli_frames *frames, size_t index)
{
    squall_error problem;
    squall_zr zr;
    squall_field *field = NULL;
    if (frames->tried[index]) {
        return frames->fields[index];
    }
    frames->tried[index] = true;
    memset(&problem, 0, sizeof problem);
    squall_zr_init(&zr);
    zr.a = frames->input.zr_a;
    zr.b = frames->input.zr_b;
    zr.max_rate = frames->input.max_rate_mm_h;
    squall_status status = squall_archive_read(frames->archive, index, &field, &problem);
    if (status == SQUALL_OK) {
        status = cut(frames->window, &field, &problem);
    }
    if (status == SQUALL_OK) {
        status = squall_field_to_rate(field, &zr, &problem);
    }
    if (status != SQUALL_OK) {
        sq_note(frames->notes, problem.where, "%s; left out", problem.text);
        squall_field_destroy(&field);
    }
    frames->fields[index] = field;
    return field;
}

size_t cli_frames_range(cli_frames *frames, int64_t from, int64_t to, const squall_field **list)
{
    size_t found = 0;
    for (size_t i = 0; i < frames->count; i++) {
        const int64_t time = squall_archive_time(frames->archive, i);
        if (time >= from && time <= to) {
            const squall_field *field = cli_frames_get(frames, i);
            if (field != NULL) {
                list[found++] = field;
            }
        }
    }
    return frames->quality != 0 && found > 0 ? cli_quality_run(frames, list, found) : found;
}

const squall_field *cli_frames_at(cli_frames *frames, int64_t time, int32_t tolerance_s)
{
    const size_t index = squall_archive_find(frames->archive, time, tolerance_s);
    return index != SIZE_MAX ? cli_frames_get(frames, index) : NULL;
}

void cli_frames_forget(cli_frames *frames, int64_t time)
{
    for (size_t i = 0; i < frames->count; i++) {
        if (frames->fields[i] != NULL && squall_archive_time(frames->archive, i) < time) {
            squall_field_destroy(&frames->fields[i]);
            frames->tried[i] = false;
        }
    }
}

squall_status cli_read_text(const char *path, char **text, size_t *length, squall_error *err)
{
    unsigned char *bytes;
    SQ_TRY(sq_file_read(path, (size_t)1 << 20, &bytes, length, err));
    *text = (char *)bytes;
    return SQUALL_OK;
}
