/* cli/cli_samples_radar.c - samples from radar files: windows of frames, chosen by their weather,
 * through the recipe as a forecast makes them. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli_samples.h"
#include "wx/calib/calib.h"
#include "wx/feature/feature.h"

enum { WINDOWS = 16, MOST_CANDIDATES = 20000, MOST_PLACES = 32 };
static const double least_covered = 0.3;

/* A window of the frame of an issue time. */
typedef struct window {
    size_t place; /* folder of frames */
    size_t frame; /* in its archive */
    size_t column, row;
} window;

/* A folder of frames. */
typedef struct place {
    const char *path;
    cli_frames frames;
    const squall_field **list; /* owned, [frames.count] */
} place;

typedef struct maker {
    const cli_samples_options *options;
    squall_recipe *recipe;
    place places[MOST_PLACES];
    size_t place_count;
    size_t size;         /* cells a side */
    window *windows;     /* owned, [MOST_CANDIDATES] */
    sq_weather *weather; /* owned, the same */
    size_t count;
    size_t *chosen; /* owned */
    size_t chosen_count;
    sq_coverage coverage;
    json_t *files;
    cli_samples *out;
    squall_notes *notes;
} maker;

static squall_status no_memory(squall_error *err)
{
    return sq_fail(err, SQUALL_E_MEMORY, "calibration", "no memory");
}

/* Where window `i` of `count` begins along a side of `cells`: the first at its beginning, the last
 * at its end. */
static size_t start_of(size_t cells, size_t size, size_t i, size_t count)
{
    return cells > size && count > 1 ? (cells - size) * i / (count - 1) : 0;
}

/* Windows of a frame, side by side; where there are many, some of them. */
static squall_status look_at(maker *m, size_t at, size_t frame, const squall_field *field,
                             squall_error *err)
{
    const size_t width = field->grid.width, height = field->grid.height, size = m->size;
    const size_t across = (width + size - 1) / size, down = (height + size - 1) / size;
    if (across == 0 || down == 0) {
        return SQUALL_OK; /* nothing to look at */
    }
    const size_t step = across * down > WINDOWS ? (across * down + WINDOWS - 1) / WINDOWS : 1;
    for (size_t i = frame % step; i < across * down && m->count < MOST_CANDIDATES; i += step) {
        window *w = &m->windows[m->count];
        w->place = at;
        w->frame = frame;
        w->column = start_of(width, size, i % across, across);
        w->row = start_of(height, size, i / across, down);
        SQ_TRY(sq_weather_of(field, w->column, w->row, width < size ? width : size,
                             height < size ? height : size, &m->weather[m->count], err));
        m->count += m->weather[m->count].covered >= least_covered;
    }
    return SQUALL_OK;
}

/* Whether the tensors of a field's grid hold a window. */
static bool is_large_enough(const maker *m, const squall_field *field)
{
    squall_tensor type;
    squall_recipe_input_shape(m->recipe, field->grid.height, field->grid.width, &type);
    return type.dims[2] >= (int64_t)m->size && type.dims[3] >= (int64_t)m->size;
}

static squall_status look_at_place(maker *m, size_t at, squall_error *err)
{
    cli_frames *frames = &m->places[at].frames;
    const int32_t earliest = squall_recipe_earliest_s(m->recipe);
    const int32_t last =
        squall_recipe_lead_s(m->recipe, squall_recipe_output_channels(m->recipe) - 1);
    const int64_t from = squall_archive_time(frames->archive, 0) - earliest;
    const int64_t whole = squall_archive_time(frames->archive, frames->count - 1);
    const int64_t to = whole - last > from ? whole - last : whole;
    const size_t before = m->count;
    int64_t previous = INT64_MIN / 2;
    for (size_t i = 0; i < frames->count; i++) {
        const int64_t time = squall_archive_time(frames->archive, i);
        if (time < from || time > to || time - previous < m->options->every_s) {
            continue;
        }
        previous = time;
        const squall_field *field = cli_frames_get(frames, i);
        if (field != NULL && is_large_enough(m, field)) {
            SQ_TRY(look_at(m, at, i, field, err));
        } else if (field != NULL) {
            sq_note(m->notes, field->source, "is smaller than %zu cells; --calib-size takes less",
                    m->size);
        }
        cli_frames_forget(frames, time + 1);
        cli_progress("calibration: weather", i + 1, frames->count);
    }
    if (m->count == before) {
        sq_note(m->notes, m->places[at].path,
                "no frame has the %d s of observations before it that the recipe asks for, and "
                "windows of %zu cells of which 3 in 10 are covered",
                -earliest, m->size);
    }
    return SQUALL_OK;
}

static squall_status look_at_all(maker *m, const cli_input *input, squall_error *err)
{
    for (size_t i = 0; i < m->options->paths.count; i++) {
        if (i == MOST_PLACES) {
            return sq_fail(err, SQUALL_E_LIMIT, "--calib", "at most %d folders", MOST_PLACES);
        }
        place *at = &m->places[i];
        at->path = m->options->paths.items[i];
        const cli_list paths = {.items = &at->path, .count = 1};
        SQ_TRY(cli_frames_open(&paths, input, m->notes, &at->frames, err));
        m->place_count++;
        at->list = sq_alloc(at->frames.count, sizeof *at->list);
        if (at->list == NULL) {
            return no_memory(err);
        }
        SQ_TRY(look_at_place(m, i, err));
    }
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ tensors of what is chosen */

/* A window of the last two sizes of a tensor; given. */
static bool cut_out(const squall_tensor *whole, const window *w, size_t size, squall_tensor *out)
{
    const int64_t dims[4] = {1, whole->dims[1], (int64_t)size, (int64_t)size};
    /* a tensor is at least as large as its field; what is beyond is padding, as in a forecast */
    const size_t height = (size_t)whole->dims[2], width = (size_t)whole->dims[3];
    const size_t row = w->row + size > height ? height - size : w->row;
    const size_t column = w->column + size > width ? width - size : w->column;
    if (!sq_tensor_make(SQUALL_F32, 4, dims, out)) {
        return false;
    }
    for (size_t c = 0; c < (size_t)whole->dims[1]; c++) {
        for (size_t y = 0; y < size; y++) {
            memcpy((float *)out->data + (c * size + y) * size,
                   (const float *)whole->data + (c * height + row + y) * width + column,
                   size * sizeof(float));
        }
    }
    return true;
}

/* Tensors of one issue time, over the whole grid. */
typedef struct tensors {
    squall_tensor input, target, weight;
} tensors;

static void free_tensors(tensors *made)
{
    sq_tensor_free(&made->input);
    sq_tensor_free(&made->target);
    sq_tensor_free(&made->weight);
}

static squall_status make_tensors(maker *m, place *at, int64_t issue, tensors *made,
                                  squall_error *err)
{
    squall_status status;
    squall_motion *motion = NULL;
    squall_tensor type;
    const int32_t earliest = squall_recipe_earliest_s(m->recipe);
    const int32_t reach = earliest < -2700 ? earliest : -2700;
    const int32_t tolerance = squall_recipe_tolerance_s(m->recipe);
    const int32_t last =
        squall_recipe_lead_s(m->recipe, squall_recipe_output_channels(m->recipe) - 1);
    const size_t past = cli_frames_range(&at->frames, issue + reach - tolerance, issue, at->list);
    if (past == 0) {
        return sq_fail(err, SQUALL_E_NO_DATA, "radar", "no frame for an issue time");
    }
    const squall_source source = {"radar", at->list, past};
    const squall_grid *grid = &at->list[past - 1]->grid;
    SQ_TRY(squall_nowcast_motion(&source, 1, issue, m->options->threads, &motion, m->notes, err));
    squall_recipe_input_shape(m->recipe, grid->height, grid->width, &type);
    bool room = sq_tensor_make(SQUALL_F32, 4, type.dims, &made->input);
    squall_recipe_output_shape(m->recipe, grid->height, grid->width, &type);
    room = room && sq_tensor_make(SQUALL_F32, 4, type.dims, &made->target) &&
           sq_tensor_make(SQUALL_F32, 4, type.dims, &made->weight);
    if (!room) {
        status = no_memory(err);
        goto done;
    }
    SQ_TRY_GOTO(squall_features_make(m->recipe, &source, 1, issue, motion, &made->input, NULL,
                                     m->notes, err));
    const size_t all =
        past + cli_frames_range(&at->frames, issue + 1, issue + last + tolerance, at->list + past);
    const squall_source later = {"radar", at->list, all};
    SQ_TRY_GOTO(squall_features_target(m->recipe, &later, issue, motion, &made->target,
                                       &made->weight, err));
done:
    squall_motion_destroy(&motion);
    return status;
}

/* Note a file and the hash of what was read of it. */
static void note_file(maker *m, place *at, size_t frame)
{
    unsigned char hash[SQ_HASH_BYTES];
    char text[SQ_HASH_TEXT];
    const squall_field *field = cli_frames_get(&at->frames, frame);
    if (field != NULL) {
        sq_hash(field->values, field->grid.width * field->grid.height * sizeof(float), hash);
        const char *name = squall_archive_name(at->frames.archive, frame);
        const char *slash = strrchr(name, '/');
        json_array_append_new(m->files,
                              json_pack("{s:s, s:o, s:s}", "name", slash != NULL ? slash + 1 : name,
                                        "time", cli_time(field->valid_time), "sha256",
                                        sq_hash_format(hash, text)));
    }
}

static squall_status add_sample(maker *m, const tensors *whole, size_t which, bool held_out,
                                squall_error *err)
{
    cli_samples *out = m->out;
    char text[SQ_WEATHER_TEXT];
    if (!cli_samples_grow(out)) {
        return no_memory(err);
    }
    const size_t at = out->count++;
    const window *w = &m->windows[which];
    out->groups[at] = sq_strdup(sq_weather_format(&m->weather[which], text));
    out->held_out[at] = held_out;
    return out->groups[at] != NULL && cut_out(&whole->input, w, m->size, &out->inputs[at]) &&
                   cut_out(&whole->target, w, m->size, &out->targets[at]) &&
                   cut_out(&whole->weight, w, m->size, &out->weights[at])
               ? SQUALL_OK
               : no_memory(err);
}

/* Of each regime the second, fifth, eighth ... that was chosen is held out. */
static bool is_held_out(const maker *m, size_t nth)
{
    const uint8_t regime = m->weather[m->chosen[nth]].stratum[SQ_ASPECT_REGIME];
    size_t before = 0;
    for (size_t i = 0; i < nth; i++) {
        before += m->weather[m->chosen[i]].stratum[SQ_ASPECT_REGIME] == regime;
    }
    return before % 3 == 1;
}

/* What was chosen of one frame, which is read and carried once. */
static squall_status make_frame(maker *m, size_t at, size_t frame, size_t *done, squall_error *err)
{
    place *from = &m->places[at];
    tensors whole = {.input = {.data = NULL}};
    squall_status status = SQUALL_OK;
    const int64_t issue = squall_archive_time(from->frames.archive, frame);
    for (size_t i = 0; i < m->chosen_count && status == SQUALL_OK; i++) {
        const window *w = &m->windows[m->chosen[i]];
        if (w->place != at || w->frame != frame) {
            continue;
        }
        if (whole.input.data == NULL) {
            status = make_tensors(m, from, issue, &whole, err);
            note_file(m, from, frame);
        }
        if (status == SQUALL_OK) {
            status = add_sample(m, &whole, m->chosen[i], is_held_out(m, i), err);
            cli_progress("calibration: samples", ++*done, m->chosen_count);
        }
    }
    cli_frames_forget(&from->frames, issue - 10800);
    free_tensors(&whole);
    return status;
}

static squall_status make_samples(maker *m, squall_error *err)
{
    size_t done = 0;
    for (size_t at = 0; at < m->place_count; at++) {
        for (size_t frame = 0; frame < m->places[at].frames.count; frame++) {
            SQ_TRY(make_frame(m, at, frame, &done, err));
        }
        cli_frames_forget(&m->places[at].frames, INT64_MAX);
    }
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ coverage */

static squall_status read_cover(const char *text, uint32_t *out, squall_error *err)
{
    *out = 0;
    while (*text != '\0') {
        const size_t length = strcspn(text, ",");
        int found = -1;
        for (int a = 0; a < SQ_ASPECTS; a++) {
            const char *name = sq_aspect_name((sq_aspect)a);
            found = strlen(name) == length && strncmp(name, text, length) == 0 ? a : found;
        }
        if (found < 0) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "--calib-cover",
                           "'%.*s' is none of regime, wet, maximum, season, hour", (int)length,
                           text);
        }
        *out |= 1u << found;
        text += length + (text[length] == ',');
    }
    return SQUALL_OK;
}

static json_t *coverage_json(const sq_coverage *coverage)
{
    json_t *all = json_object();
    for (int a = 0; a < SQ_ASPECTS; a++) {
        json_t *one = json_object();
        for (uint32_t s = 0; s < sq_aspect_count((sq_aspect)a); s++) {
            json_object_set_new(one, sq_aspect_stratum((sq_aspect)a, s),
                                json_integer(coverage->count[a][s]));
        }
        json_object_set_new(all, sq_aspect_name((sq_aspect)a), one);
    }
    return all;
}

/* What was seen, in words for the engine; a gap is a refusal unless it was allowed. */
static squall_status check_coverage(maker *m, char **missing, squall_error *err)
{
    uint32_t wanted;
    char text[1024];
    SQ_TRY(read_cover(m->options->cover, &wanted, err));
    for (size_t i = 0; i < m->chosen_count; i++) {
        sq_coverage_add(&m->coverage, &m->weather[m->chosen[i]]);
    }
    const bool whole =
        sq_coverage_check(&m->coverage, wanted, (uint32_t)m->options->least, text, sizeof text);
    *missing = sq_strdup(text);
    if (whole || m->options->allow_thin) {
        return *missing != NULL ? SQUALL_OK : no_memory(err);
    }
    return sq_fail(err, SQUALL_E_NO_DATA, m->options->paths.items[0],
                   "the weather there does not cover what the network will see: %s; add such "
                   "frames, or take it as it is with --allow-thin, which the engine will say",
                   text);
}

static squall_status choose(maker *m, squall_error *err)
{
    m->chosen = sq_alloc((size_t)m->options->samples, sizeof *m->chosen);
    if (m->chosen == NULL) {
        return no_memory(err);
    }
    m->chosen_count =
        sq_weather_choose(m->weather, m->count, (size_t)m->options->samples, m->chosen);
    return m->chosen_count >= 2
               ? SQUALL_OK
               : sq_fail(err, SQUALL_E_NO_DATA, m->options->paths.items[0],
                         "gives %zu samples; at least 2 are needed", m->chosen_count);
}

static squall_status write_record(maker *m, const char *missing, squall_error *err)
{
    json_t *record =
        json_pack("{s:O, s:o, s:I, s:I, s:s, s:s, s:b}", "frames", m->files, "strata",
                  coverage_json(&m->coverage), "cells_a_side", (json_int_t)m->size,
                  "least_a_stratum", (json_int_t)m->options->least, "asked_to_cover",
                  m->options->cover, "missing", missing, "thin_allowed", m->options->allow_thin);
    char *text = record != NULL ? json_dumps(record, 0) : NULL;
    m->out->record = text != NULL ? sq_strdup(text) : NULL;
    free(text);
    json_decref(record);
    return m->out->record != NULL ? SQUALL_OK : no_memory(err);
}

squall_status cli_samples_radar(const cli_samples_options *options, const cli_input *input,
                                const char *recipe, size_t recipe_length, squall_notes *notes,
                                cli_samples *out, squall_error *err)
{
    squall_status status;
    char *missing = NULL;
    maker m = {.options = options, .out = out, .notes = notes, .files = json_array()};
    SQ_TRY_GOTO(squall_recipe_parse(recipe, recipe_length, "recipe", &m.recipe, err));
    m.size =
        ((size_t)options->size + m.recipe->multiple - 1) / m.recipe->multiple * m.recipe->multiple;
    out->threshold = sq_transform_forward(&m.recipe->transforms[m.recipe->output_transform], 1.0f);
    m.windows = sq_alloc(MOST_CANDIDATES, sizeof *m.windows);
    m.weather = sq_alloc(MOST_CANDIDATES, sizeof *m.weather);
    if (m.windows == NULL || m.weather == NULL) {
        status = no_memory(err);
        goto done;
    }
    SQ_TRY_GOTO(look_at_all(&m, input, err));
    SQ_TRY_GOTO(choose(&m, err));
    SQ_TRY_GOTO(check_coverage(&m, &missing, err));
    SQ_TRY_GOTO(make_samples(&m, err));
    SQ_TRY_GOTO(write_record(&m, missing, err));
done:
    sq_free(missing);
    sq_free(m.chosen);
    sq_free(m.weather);
    sq_free(m.windows);
    for (size_t i = 0; i < m.place_count; i++) {
        sq_free(m.places[i].list);
        cli_frames_close(&m.places[i].frames);
    }
    squall_recipe_destroy(&m.recipe);
    json_decref(m.files);
    return status;
}
