/* wx/io/io_pgm.c - FMI composites as PGM: one byte a pixel, the rest in comment lines. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/io/io_share.h"

#define PGM_NO_COVERAGE 255
#define PGM_NO_ECHO     0
#define PGM_GAIN        0.5 /* dBZ a step */
#define PGM_OFFSET      (-32.0)

/* The earth that FMI projects its composites with. The files do not name it; with it their corners
 * and their pixel sizes agree to nine digits, and pysteps' reader takes the same one. */
#define PGM_EARTH_RADIUS_M 6371288

/* What the header says. A NaN was not there. */
typedef struct pgm_header {
    size_t width, height, data; /* `data`: offset of the first pixel */
    bool is_stereographic;
    char param[32]; /* "CorrectedReflectivity" */
    int64_t time;
    double central_lon, central_lat, true_lat;
    double left_lon, bottom_lat, right_lon, top_lat; /* outer corners */
    double dx, dy;                                   /* metres */
} pgm_header;

typedef struct pgm_state {
    sq_io_source source;
    pgm_header header;
} pgm_state;

static bool pgm_sniff(const unsigned char *bytes, size_t size)
{
    return size >= 3 && bytes[0] == 'P' && bytes[1] == '5' && isspace(bytes[2]);
}

/* Read up to four numbers parted by blanks; how many there were, -1 for anything else. */
static int numbers(char *text, double *out, int most)
{
    int count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, " \t\r", &rest); word != NULL;
         word = strtok_r(NULL, " \t\r", &rest)) {
        if (count == most || !sq_io_number(word, &out[count])) {
            return -1;
        }
        count++;
    }
    return count;
}

/* Take over one comment line, "key value..."; lines of other keys pass. */
static squall_status take_comment(const char *line, const char *name, pgm_header *header,
                                  squall_error *err)
{
    char key[32], rest[224], where[SQ_IO_WHERE];
    int offset = 0;
    if (sscanf(line, "%31s %n", key, &offset) != 1 || offset == 0) {
        return SQUALL_OK;
    }
    snprintf(rest, sizeof rest, "%s", line + offset);
    const struct {
        const char *key;
        double *first, *second;
    } fields[] = {
        {"centrallongitude", &header->central_lon, NULL},
        {"centrallatitude", &header->central_lat, NULL},
        {"truelatitude", &header->true_lat, NULL},
        {"metersperpixel_x", &header->dx, NULL},
        {"metersperpixel_y", &header->dy, NULL},
        {"bottomleft", &header->left_lon, &header->bottom_lat},
        {"topright", &header->right_lon, &header->top_lat},
    };
    bool fine = true;
    if (strcmp(key, "obstime") == 0) {
        rest[strcspn(rest, " \t\r")] = '\0';
        fine = sq_time_parse(rest, &header->time);
    } else if (strcmp(key, "param") == 0) {
        rest[strcspn(rest, " \t\r")] = '\0';
        sq_io_clean_text(rest, strlen(rest), header->param, sizeof header->param);
    } else if (strcmp(key, "type") == 0) {
        header->is_stereographic = strncmp(rest, "stereographic", 13) == 0;
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcmp(key, fields[i].key) == 0) {
            double value[2] = {NAN, NAN};
            fine = numbers(rest, value, 2) == (fields[i].second != NULL ? 2 : 1);
            *fields[i].first = value[0];
            if (fields[i].second != NULL) {
                *fields[i].second = value[1];
            }
        }
    }
    if (!fine) {
        char text[96];
        sq_io_clean_text(line, strlen(line), text, sizeof text);
        return sq_fail(err, SQUALL_E_CORRUPT, sq_io_where(where, name, "header line '%s'", key),
                       "'%s' cannot be read", text);
    }
    return SQUALL_OK;
}

/* Walk the header: blanks, comments and the three numbers in any order that PGM allows. */
static squall_status read_header(const sq_io_source *source, pgm_header *header, squall_error *err)
{
    const unsigned char *bytes = source->bytes;
    const size_t end = source->size < SQ_LIMIT_HEADER ? source->size : SQ_LIMIT_HEADER;
    size_t number[3] = {0}, at = 2;
    for (int found = 0; found < 3;) {
        if (at < end && bytes[at] == '#') {
            char line[256];
            size_t length = 0;
            for (at++; at < end && bytes[at] != '\n'; at++) {
                if (length < sizeof line - 1 && bytes[at] != '\0') {
                    line[length++] = (char)bytes[at];
                }
            }
            line[length] = '\0';
            SQ_TRY(take_comment(line, source->name, header, err));
        } else if (at < end && isspace(bytes[at])) {
            at++;
        } else if (at < end && isdigit(bytes[at])) {
            for (; at < end && isdigit(bytes[at]); at++) {
                number[found] = number[found] * 10 + (size_t)(bytes[at] - '0');
                if (number[found] > SQ_LIMIT_FIELD_SIDE) {
                    return sq_fail(err, SQUALL_E_LIMIT, source->name,
                                   "a PGM size above the limit of %zu", SQ_LIMIT_FIELD_SIDE);
                }
            }
            found++;
        } else if (at >= end) {
            return sq_fail(err, source->size > end ? SQUALL_E_LIMIT : SQUALL_E_TRUNCATED,
                           source->name, "the PGM header does not end within %zu bytes", end);
        } else {
            return sq_fail(err, SQUALL_E_CORRUPT, source->name,
                           "byte 0x%02x at offset %zu has no place in a PGM header", bytes[at], at);
        }
    }
    if (at < end && !isspace(bytes[at])) {
        return sq_fail(err, SQUALL_E_CORRUPT, source->name,
                       "byte 0x%02x at offset %zu; white space ends a PGM header", bytes[at], at);
    }
    if (number[2] != 255) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, source->name,
                       "a PGM with grey values up to %zu; FMI composites have 255", number[2]);
    }
    header->width = number[0];
    header->height = number[1];
    header->data = at + 1;
    return SQUALL_OK;
}

/* Which of the lines that a place and a time need is missing, or NULL. */
static const char *missing_line(const pgm_header *header)
{
    const struct {
        const char *key;
        bool there;
    } needed[] = {
        {"obstime", header->time != SQUALL_TIME_NONE},
        {"param", header->param[0] != '\0'},
        {"type", header->is_stereographic},
        {"centrallongitude", !isnan(header->central_lon)},
        {"centrallatitude", !isnan(header->central_lat)},
        {"truelatitude", !isnan(header->true_lat)},
        {"bottomleft", !isnan(header->left_lon) && !isnan(header->bottom_lat)},
        {"topright", !isnan(header->right_lon) && !isnan(header->top_lat)},
    };
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (!needed[i].there) {
            return needed[i].key;
        }
    }
    return NULL;
}

static bool is_on_earth(const pgm_header *header)
{
    return fabs(header->central_lat) <= 90 && fabs(header->true_lat) <= 90 &&
           fabs(header->bottom_lat) <= 90 && fabs(header->top_lat) <= 90 &&
           fabs(header->central_lon) <= 360 && fabs(header->left_lon) <= 360 &&
           fabs(header->right_lon) <= 360;
}

static squall_status check_header(const sq_io_source *source, const pgm_header *header,
                                  squall_error *err)
{
    size_t cells = SIZE_MAX;
    const char *missing = missing_line(header);
    if (missing != NULL) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, source->name,
                       "a PGM without FMI's header line '# %s%s'; only composites of FMI in "
                       "stereographic projection are taken",
                       missing, strcmp(missing, "type") == 0 ? " stereographic" : "");
    }
    if (!is_on_earth(header)) {
        return sq_fail(err, SQUALL_E_CORRUPT, source->name,
                       "a longitude or latitude in its header lines is no place on the earth");
    }
    if (strcmp(header->param, "CorrectedReflectivity") != 0) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, source->name,
                       "'# param %s'; only CorrectedReflectivity is taken", header->param);
    }
    if (!sq_mul_size(header->width, header->height, &cells) || cells == 0 ||
        cells > SQ_LIMIT_FIELD_CELLS) {
        return sq_fail(err, cells == 0 ? SQUALL_E_CORRUPT : SQUALL_E_LIMIT, source->name,
                       "%zu x %zu pixels; between 1 and %zu are allowed", header->width,
                       header->height, SQ_LIMIT_FIELD_CELLS);
    }
    const size_t there = source->size > header->data ? source->size - header->data : 0;
    if (there != cells) {
        return sq_fail(err, there < cells ? SQUALL_E_TRUNCATED : SQUALL_E_CORRUPT, source->name,
                       "%zu bytes of pixels; its header says %zu x %zu; fetch it again", there,
                       header->width, header->height);
    }
    if (!sq_io_wanted(source->quantity, SQUALL_REFLECTIVITY, header->param)) {
        return sq_fail(err, SQUALL_E_NO_DATA, source->name, "holds %s (DBZH), not '%s'",
                       header->param, source->quantity);
    }
    return SQUALL_OK;
}

static squall_status pgm_open(const sq_io_source *source, void **state, size_t *count, char *text,
                              squall_error *err)
{
    pgm_header header = {.time = SQUALL_TIME_NONE};
    double *const unknown[] = {&header.central_lon, &header.central_lat, &header.true_lat,
                               &header.left_lon,    &header.bottom_lat,  &header.right_lon,
                               &header.top_lat,     &header.dx,          &header.dy};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        *unknown[i] = NAN;
    }
    SQ_TRY(read_header(source, &header, err));
    SQ_TRY(check_header(source, &header, err));
    pgm_state *opened = sq_alloc(1, sizeof *opened);
    if (opened == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, source->name, "no memory for its header");
    }
    opened->source = *source;
    opened->header = header;
    snprintf(text, SQ_IO_FORMAT_TEXT, "PGM FMI");
    *state = opened;
    *count = 1;
    return SQUALL_OK;
}

static int64_t pgm_time(const void *state, size_t index)
{
    return index == 0 ? ((const pgm_state *)state)->header.time : SQUALL_TIME_NONE;
}

static squall_status make_grid(const pgm_header *header, const char *name, squall_grid *grid,
                               squall_error *err)
{
    double left, bottom, right, top;
    snprintf(grid->proj, sizeof grid->proj,
             "+proj=stere +lat_0=%.10g +lat_ts=%.10g +lon_0=%.10g +R=%d +units=m",
             header->central_lat, header->true_lat, header->central_lon, PGM_EARTH_RADIUS_M);
    SQ_TRY(
        sq_io_project(grid->proj, header->left_lon, header->bottom_lat, name, &left, &bottom, err));
    SQ_TRY(sq_io_project(grid->proj, header->right_lon, header->top_lat, name, &right, &top, err));
    grid->width = header->width;
    grid->height = header->height;
    grid->left = left;
    grid->top = top;
    grid->dx = (right - left) / (double)grid->width;
    grid->dy = (top - bottom) / (double)grid->height;
    /* The pixel sizes are said twice; where they differ by a pixel over the whole, one is wrong. */
    const bool x_agrees =
        isnan(header->dx) || fabs(header->dx - grid->dx) * (double)grid->width < grid->dx;
    const bool y_agrees =
        isnan(header->dy) || fabs(header->dy - grid->dy) * (double)grid->height < grid->dy;
    if (!(grid->dx > 0 && grid->dy > 0) || !x_agrees || !y_agrees) {
        return sq_fail(err, SQUALL_E_CORRUPT, name,
                       "pixels of %g x %g m by its corners, %g x %g m by its header lines",
                       grid->dx, grid->dy, header->dx, header->dy);
    }
    return SQUALL_OK;
}

static squall_status pgm_read(void *state, size_t index, squall_field **out, squall_error *err)
{
    const pgm_state *opened = state;
    const pgm_header *header = &opened->header;
    squall_grid grid = {0};
    squall_field *field;
    (void)index;
    SQ_TRY(make_grid(header, opened->source.name, &grid, err));
    SQ_TRY(sq_io_field_create(&grid, opened->source.name, &field, err));
    squall_field_set_quantity(field, SQUALL_REFLECTIVITY, header->param, "dBZ");
    field->valid_time = header->time;
    const unsigned char *pixels = opened->source.bytes + header->data;
    for (size_t i = 0; i < grid.width * grid.height; i++) {
        if (pixels[i] == PGM_NO_ECHO) {
            field->mask[i] = SQUALL_CELL_DRY;
            field->values[i] = 0;
        } else if (pixels[i] != PGM_NO_COVERAGE) {
            field->mask[i] = SQUALL_CELL_VALUE;
            field->values[i] = (float)(PGM_GAIN * pixels[i] + PGM_OFFSET);
        }
    }
    *out = field;
    return SQUALL_OK;
}

static void pgm_close(void *state)
{
    sq_free(state);
}

const sq_io_format sq_io_pgm = {.name = "PGM",
                                .locked = false,
                                .sniff = pgm_sniff,
                                .open = pgm_open,
                                .time = pgm_time,
                                .read = pgm_read,
                                .close = pgm_close};
