/* wx/feature/feature_tensor.c - observations into the input tensor, output tensor into fields. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "wx/feature/feature.h"

#define PI              3.14159265358979323846
#define SAME_GRID_CELLS 0.05 /* corners of one product differ by that much between versions */

/* What the making of one tensor needs at hand. */
typedef struct maker {
    const squall_recipe *recipe;
    int64_t issue_time;
    const squall_motion *motion;
    const squall_grid *grid;
    size_t padded_height, padded_width;
    squall_field *moved;        /* scratch: a frame carried to the issue time */
    const squall_field *cached; /* the frame that `moved` holds, or NULL */
    squall_feature_quality quality;
    squall_notes *notes;
    squall_error *err;
} maker;

static squall_status check_tensor(const squall_tensor *tensor, const squall_tensor *wanted,
                                  const char *name, squall_error *err)
{
    bool same = tensor != NULL && tensor->data != NULL && tensor->dtype == wanted->dtype &&
                tensor->layout == wanted->layout && tensor->rank == wanted->rank;
    for (uint32_t i = 0; same && i < wanted->rank; i++) {
        same = tensor->dims[i] == wanted->dims[i];
    }
    if (!same) {
        return sq_fail(err, SQUALL_E_SHAPE, name,
                       "must be float32 [1,%lld,%lld,%lld], as the recipe and the grid ask",
                       (long long)wanted->dims[1], (long long)wanted->dims[2],
                       (long long)wanted->dims[3]);
    }
    return SQUALL_OK;
}

static const squall_source *find_source(const squall_source *sources, size_t count,
                                        const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(sources[i].name, name) == 0) {
            return &sources[i];
        }
    }
    return NULL;
}

/* The frame nearest to `time`; a tie goes to the older one, which has certainly been there. NULL
 * when the source is empty. */
static const squall_field *nearest_frame(const squall_source *source, int64_t time)
{
    const squall_field *best = NULL;
    for (size_t i = 0; source != NULL && i < source->count; i++) {
        const squall_field *frame = source->frames[i];
        if (frame == NULL || frame->valid_time == SQUALL_TIME_NONE) {
            continue;
        }
        const int64_t distance = llabs(frame->valid_time - time);
        const int64_t least = best != NULL ? llabs(best->valid_time - time) : 0;
        if (best == NULL || distance < least ||
            (distance == least && frame->valid_time < best->valid_time)) {
            best = frame;
        }
    }
    return best;
}

static void fill(float *plane, size_t count, float value)
{
    for (size_t i = 0; i < count; i++) {
        plane[i] = value;
    }
}

/* Write one field into a padded plane: its transform, its coverage or its quality. */
static void write_plane(const maker *m, const sq_channel *channel, const squall_field *field,
                        float *plane)
{
    const sq_transform *transform = &m->recipe->transforms[channel->transform];
    const float nothing =
        channel->kind == SQ_CHANNEL_FIELD ? sq_transform_forward(transform, 0.0f) : 0.0f;
    fill(plane, m->padded_height * m->padded_width, nothing);
    for (size_t y = 0; y < m->grid->height; y++) {
        const size_t from = y * m->grid->width;
        float *row = plane + y * m->padded_width;
        for (size_t x = 0; x < m->grid->width; x++) {
            const size_t i = from + x;
            if (field->mask[i] == SQUALL_CELL_NO_COVERAGE) {
                continue;
            }
            if (channel->kind == SQ_CHANNEL_COVERAGE) {
                row[x] = 1.0f;
            } else if (channel->kind == SQ_CHANNEL_QUALITY) {
                row[x] =
                    field->quality != NULL && !isnan(field->quality[i]) ? field->quality[i] : 0.0f;
            } else if (field->values[i] != 0.0f) { /* most cells are dry: `nothing` stands there */
                row[x] = sq_transform_forward(transform, field->values[i]);
            }
        }
    }
}

/* The field of one channel, where the recipe wants it: found, and carried to the issue time. NULL
 * in
 * `*out` when the source has nothing. */
static squall_status find_field(maker *m, const sq_channel *channel, const squall_source *source,
                                const squall_field **out)
{
    char wanted[SQ_TIME_TEXT], used[SQ_TIME_TEXT];
    const int64_t time = m->issue_time + channel->time_s;
    const squall_field *frame =
        channel->fixed ? (source != NULL && source->count > 0 ? source->frames[0] : NULL)
                       : nearest_frame(source, time);
    *out = NULL;
    m->quality.wanted++;
    if (frame == NULL) {
        m->quality.absent++;
        if (channel->required) {
            return sq_fail(m->err, SQUALL_E_NO_DATA, channel->source,
                           "no frame at all, and the recipe '%s' requires it", m->recipe->name);
        }
        sq_note(m->notes, channel->source, "absent; its channels hold 'nothing known'");
        return SQUALL_OK;
    }
    if (!squall_grid_equal(&frame->grid, m->grid, SAME_GRID_CELLS)) {
        return sq_fail(
            m->err, SQUALL_E_SHAPE, frame->source,
            "is on another grid (%zux%zu) than the newest frame (%zux%zu); regrid it first",
            frame->grid.width, frame->grid.height, m->grid->width, m->grid->height);
    }
    const int64_t off = channel->fixed ? 0 : llabs(frame->valid_time - time);
    if (off > m->recipe->tolerance_s) {
        m->quality.replaced++;
        sq_note(m->notes, channel->source, "nothing at %s; %s stands in for it",
                sq_time_format(time, wanted), sq_time_format(frame->valid_time, used));
    } else {
        m->quality.exact++;
    }
    if (!m->recipe->moving || channel->fixed || frame->valid_time == m->issue_time) {
        *out = frame;
        return SQUALL_OK;
    }
    if (m->cached != frame) {
        SQ_TRY(squall_advect(frame, m->motion, (int32_t)(m->issue_time - frame->valid_time), NULL,
                             m->moved, m->err));
        m->cached = frame;
    }
    *out = m->moved;
    return SQUALL_OK;
}

/* sin and cos of the time of day or of the season, the same in every cell but for the longitude. */
static squall_status write_clock(const maker *m, const sq_channel *channel, float *planes)
{
    int hour, minute, second, yearday;
    const size_t plane = m->padded_height * m->padded_width;
    sq_time_split(m->issue_time + channel->time_s, NULL, NULL, NULL, &hour, &minute, &second,
                  &yearday);
    double turn = yearday / 365.2425;
    if (channel->kind == SQ_CHANNEL_TIME_OF_DAY) {
        double column = 0.5 * (double)m->grid->width, row = 0.5 * (double)m->grid->height;
        SQ_TRY(squall_grid_to_lonlat(m->grid, &column, &row, 1, &column, &row, m->err));
        turn = (hour * 3600 + minute * 60 + second) / 86400.0 + column / 360.0;
    }
    fill(planes, plane, (float)sin(2.0 * PI * turn));
    fill(planes + plane, plane, (float)cos(2.0 * PI * turn));
    return SQUALL_OK;
}

/* The motion in metres per second (cells per second where cells are degrees), through the
 * transform. */
static void write_motion(const maker *m, const sq_channel *channel, float *planes)
{
    const sq_transform *transform = &m->recipe->transforms[channel->transform];
    const size_t plane = m->padded_height * m->padded_width;
    fill(planes, 2 * plane, sq_transform_forward(transform, 0.0f));
    for (size_t y = 0; y < m->grid->height; y++) {
        for (size_t x = 0; x < m->grid->width; x++) {
            const size_t from = y * m->grid->width + x, to = y * m->padded_width + x;
            planes[to] = sq_transform_forward(transform, m->motion->u[from] * (float)m->grid->dx);
            planes[plane + to] =
                sq_transform_forward(transform, m->motion->v[from] * (float)m->grid->dy);
        }
    }
}

static squall_status make_channels(maker *m, const squall_source *sources, size_t source_count,
                                   float *data)
{
    const size_t plane = m->padded_height * m->padded_width;
    for (size_t i = 0; i < m->recipe->channel_count; i++) {
        const sq_channel *channel = &m->recipe->channels[i];
        const squall_field *field;
        switch (channel->kind) {
        case SQ_CHANNEL_FIELD:
        case SQ_CHANNEL_COVERAGE:
        case SQ_CHANNEL_QUALITY:
            SQ_TRY(find_field(m, channel, find_source(sources, source_count, channel->source),
                              &field));
            if (field != NULL) {
                write_plane(m, channel, field, data);
            } else {
                const sq_transform *transform = &m->recipe->transforms[channel->transform];
                fill(data, plane,
                     channel->kind == SQ_CHANNEL_FIELD ? sq_transform_forward(transform, 0.0f)
                                                       : 0.0f);
            }
            data += plane;
            break;
        case SQ_CHANNEL_TIME_OF_DAY:
        case SQ_CHANNEL_SEASON:
            SQ_TRY(write_clock(m, channel, data));
            data += 2 * plane;
            break;
        case SQ_CHANNEL_MOTION:
            write_motion(m, channel, data);
            data += 2 * plane;
            break;
        }
    }
    return SQUALL_OK;
}

/* Whether the recipe cannot do without a motion field, and whether `motion` fits the grid. */
static squall_status check_motion(const squall_recipe *recipe, const squall_motion *motion,
                                  const squall_grid *grid, squall_error *err)
{
    bool needed = recipe->moving;
    for (size_t i = 0; i < recipe->channel_count; i++) {
        needed = needed || recipe->channels[i].kind == SQ_CHANNEL_MOTION;
    }
    if (needed && motion == NULL) {
        return sq_fail(err, SQUALL_E_ARGUMENT, recipe->name, "needs a motion field");
    }
    if (needed && !squall_grid_equal(&motion->grid, grid, SAME_GRID_CELLS)) {
        return sq_fail(err, SQUALL_E_SHAPE, recipe->name,
                       "the motion field (%zux%zu) is on another grid than the frames (%zux%zu)",
                       motion->grid.width, motion->grid.height, grid->width, grid->height);
    }
    return SQUALL_OK;
}

squall_status squall_features_make(const squall_recipe *recipe, const squall_source *sources,
                                   size_t source_count, int64_t issue_time,
                                   const squall_motion *motion, const squall_tensor *input,
                                   squall_feature_quality *quality, squall_notes *notes,
                                   squall_error *err)
{
    squall_status status;
    squall_tensor wanted;
    maker m = {
        .recipe = recipe, .issue_time = issue_time, .motion = motion, .notes = notes, .err = err};
    /* The newest radar frame says the grid; without a radar, the first frame there is. */
    const squall_field *latest =
        nearest_frame(find_source(sources, source_count, "radar"), issue_time);
    for (size_t i = 0; latest == NULL && i < source_count; i++) {
        latest = nearest_frame(&sources[i], issue_time);
    }
    if (latest == NULL) {
        return sq_fail(err, SQUALL_E_NO_DATA, recipe->name, "no frame of any source was given");
    }
    m.grid = &latest->grid;
    squall_recipe_input_shape(recipe, m.grid->height, m.grid->width, &wanted);
    SQ_TRY(check_tensor(input, &wanted, "input tensor", err));
    SQ_TRY(check_motion(recipe, motion, m.grid, err));
    m.padded_height = (size_t)wanted.dims[2];
    m.padded_width = (size_t)wanted.dims[3];
    if (recipe->moving) {
        SQ_TRY(squall_field_create(m.grid, &m.moved, err));
    }
    SQ_TRY_GOTO(make_channels(&m, sources, source_count, input->data));
    if (quality != NULL) {
        *quality = m.quality;
    }
done:
    squall_field_destroy(&m.moved);
    return status;
}

/* One plane of the output as a rain-rate field, covered where the newest frame is. */
static void read_plane(const squall_recipe *recipe, const float *plane, size_t padded_width,
                       const squall_field *latest, squall_field *out)
{
    const sq_transform *transform = &recipe->transforms[recipe->output_transform];
    for (size_t y = 0; y < latest->grid.height; y++) {
        for (size_t x = 0; x < latest->grid.width; x++) {
            const size_t i = y * latest->grid.width + x;
            if (latest->mask[i] == SQUALL_CELL_NO_COVERAGE) {
                out->values[i] = NAN;
                out->mask[i] = SQUALL_CELL_NO_COVERAGE;
                continue;
            }
            out->values[i] = sq_transform_inverse(transform, plane[y * padded_width + x]);
            out->mask[i] = out->values[i] > 0.0f ? SQUALL_CELL_VALUE : SQUALL_CELL_DRY;
        }
    }
}

squall_status squall_features_invert(const squall_recipe *recipe, const squall_tensor *output,
                                     const squall_field *latest, int64_t issue_time,
                                     const squall_motion *motion, squall_field *const *out,
                                     squall_error *err)
{
    squall_status status = SQUALL_OK;
    squall_tensor wanted;
    squall_field *moving[SQ_RECIPE_CHANNELS] = {NULL};
    squall_recipe_output_shape(recipe, latest->grid.height, latest->grid.width, &wanted);
    SQ_TRY(check_tensor(output, &wanted, "output tensor", err));
    SQ_TRY(check_motion(recipe, motion, &latest->grid, err));
    const size_t plane = (size_t)(wanted.dims[2] * wanted.dims[3]);
    for (size_t i = 0; i < recipe->lead_count; i++) {
        if (!squall_grid_equal(&out[i]->grid, &latest->grid, 0.0)) {
            status = sq_fail(err, SQUALL_E_SHAPE, "forecast field",
                             "is on another grid than the newest frame");
            goto done;
        }
        squall_field *field = out[i];
        if (recipe->moving) {
            SQ_TRY_GOTO(squall_field_create(&latest->grid, &moving[i], err));
            field = moving[i];
        }
        squall_field_set_quantity(field, SQUALL_RAIN_RATE, NULL, NULL);
        field->window_s = 0;
        field->valid_time = recipe->moving ? issue_time : issue_time + recipe->leads_s[i];
        read_plane(recipe, (const float *)output->data + i * plane, (size_t)wanted.dims[3], latest,
                   field);
    }
    if (recipe->moving) {
        SQ_TRY_GOTO(squall_advect_each((const squall_field *const *)moving, motion, recipe->leads_s,
                                       recipe->lead_count, NULL, out, err));
    }
done:
    for (size_t i = 0; i < recipe->lead_count; i++) {
        squall_field_destroy(&moving[i]);
    }
    return status;
}

/* One lead's target and weight from the frame that was seen then, already in the right frame. */
static void write_target(const squall_recipe *recipe, const squall_field *seen,
                         const squall_field *latest, size_t padded_width, float *target,
                         float *weight)
{
    const sq_transform *transform = &recipe->transforms[recipe->output_transform];
    for (size_t y = 0; y < latest->grid.height; y++) {
        for (size_t x = 0; x < latest->grid.width; x++) {
            const size_t i = y * latest->grid.width + x, to = y * padded_width + x;
            if (seen->mask[i] != SQUALL_CELL_NO_COVERAGE &&
                latest->mask[i] != SQUALL_CELL_NO_COVERAGE) {
                target[to] = sq_transform_forward(transform, seen->values[i]);
                weight[to] = 1.0f;
            }
        }
    }
}

squall_status squall_features_target(const squall_recipe *recipe, const squall_source *radar,
                                     int64_t issue_time, const squall_motion *motion,
                                     const squall_tensor *target, const squall_tensor *weight,
                                     squall_error *err)
{
    squall_status status = SQUALL_OK;
    squall_tensor wanted;
    squall_field *moved = NULL;
    const squall_field *latest = nearest_frame(radar, issue_time);
    if (latest == NULL || llabs(latest->valid_time - issue_time) > recipe->tolerance_s) {
        return sq_fail(err, SQUALL_E_NO_DATA, "radar", "no frame at the issue time");
    }
    squall_recipe_output_shape(recipe, latest->grid.height, latest->grid.width, &wanted);
    SQ_TRY(check_tensor(target, &wanted, "target tensor", err));
    SQ_TRY(check_tensor(weight, &wanted, "weight tensor", err));
    SQ_TRY(check_motion(recipe, motion, &latest->grid, err));
    const size_t plane = (size_t)(wanted.dims[2] * wanted.dims[3]);
    const float nothing = sq_transform_forward(&recipe->transforms[recipe->output_transform], 0.0f);
    if (recipe->moving) {
        SQ_TRY(squall_field_create(&latest->grid, &moved, err));
    }
    for (size_t i = 0; i < recipe->lead_count; i++) {
        const int64_t time = issue_time + recipe->leads_s[i];
        float *to = (float *)target->data + i * plane, *known = (float *)weight->data + i * plane;
        fill(to, plane, nothing);
        fill(known, plane, 0.0f);
        const squall_field *seen = nearest_frame(radar, time);
        if (llabs(seen->valid_time - time) > recipe->tolerance_s || seen == latest) {
            continue;
        }
        if (recipe->moving) {
            SQ_TRY_GOTO(squall_advect(seen, motion, (int32_t)(issue_time - seen->valid_time), NULL,
                                      moved, err));
            seen = moved;
        }
        write_target(recipe, seen, latest, (size_t)wanted.dims[3], to, known);
    }
done:
    squall_field_destroy(&moved);
    return status;
}
