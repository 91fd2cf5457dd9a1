/* wx/feature/feature_tensor.c - observations into the input tensor. */
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

squall_status sq_feature_check_tensor(const squall_tensor *tensor, const squall_tensor *wanted,
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

const squall_field *sq_feature_nearest(const squall_source *source, int64_t time)
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
                       : sq_feature_nearest(source, time);
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

squall_status sq_feature_check_motion(const squall_recipe *recipe, const squall_motion *motion,
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
        sq_feature_nearest(find_source(sources, source_count, "radar"), issue_time);
    for (size_t i = 0; latest == NULL && i < source_count; i++) {
        latest = sq_feature_nearest(&sources[i], issue_time);
    }
    if (latest == NULL) {
        return sq_fail(err, SQUALL_E_NO_DATA, recipe->name, "no frame of any source was given");
    }
    m.grid = &latest->grid;
    squall_recipe_input_shape(recipe, m.grid->height, m.grid->width, &wanted);
    SQ_TRY(sq_feature_check_tensor(input, &wanted, "input tensor", err));
    SQ_TRY(sq_feature_check_motion(recipe, motion, m.grid, err));
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
