/* wx/io/io_grib.c - GRIB2: rain rates, sums and echoes, MRMS before all. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/io/io_grib.h"
#include "wx/io/io_share.h"

#define SNIFF_BYTES     128 /* a header of telecommunication may come before the first message */
#define LISTED_FIELDS   64  /* that a message looks at for what there is */
#define DISCIPLINE_MRMS 209

/* What special values mean, since MRMS has no bitmaps. */
typedef enum grib_codes {
    CODES_NONE,     /* every value is one */
    CODES_NEGATIVE, /* -3 nobody looked, -1 missing: none can be below 0; 0 is "no rain seen" */
    CODES_FLAG,     /* the same, but 0 is a class like others */
    CODES_999       /* -999 nobody looked, -99 no echo */
} grib_codes;

typedef struct grib_parameter {
    unsigned discipline, category, number;
    const char *name;
    squall_quantity quantity;
    const char *unit;
    double factor;    /* of the file's unit in ours */
    int32_t window_s; /* where the product template has none */
    grib_codes codes;
} grib_parameter;

#define MRMS_RATE(category, number, name)                                           \
    {                                                                               \
        209, category, number, name, SQUALL_RAIN_RATE, "mm/h", 1, 0, CODES_NEGATIVE \
    }
#define MRMS_SUM(number, name, window_s)                                             \
    {                                                                                \
        209, 6, number, name, SQUALL_ACCUMULATION, "mm", 1, window_s, CODES_NEGATIVE \
    }
#define MRMS_ECHO(category, number, name)                                        \
    {                                                                            \
        209, category, number, name, SQUALL_REFLECTIVITY, "dBZ", 1, 0, CODES_999 \
    }

/* Names and units of discipline 209 are those of NSSL's user table for MRMS, version 12. A sum of
 * WMO's kg/m2 is one of mm; a flux of kg/m2/s is 3600 mm/h. */
static const grib_parameter parameters[] = {
    MRMS_RATE(6, 1, "PrecipRate"),
    MRMS_SUM(2, "RadarOnly_QPE_01H", 3600),
    MRMS_SUM(3, "RadarOnly_QPE_03H", 3 * 3600),
    MRMS_SUM(4, "RadarOnly_QPE_06H", 6 * 3600),
    MRMS_SUM(5, "RadarOnly_QPE_12H", 12 * 3600),
    MRMS_SUM(6, "RadarOnly_QPE_24H", 24 * 3600),
    MRMS_SUM(7, "RadarOnly_QPE_48H", 48 * 3600),
    MRMS_SUM(8, "RadarOnly_QPE_72H", 72 * 3600),
    MRMS_SUM(30, "MultiSensor_QPE_01H_Pass1", 3600),
    MRMS_SUM(31, "MultiSensor_QPE_03H_Pass1", 3 * 3600),
    MRMS_SUM(32, "MultiSensor_QPE_06H_Pass1", 6 * 3600),
    MRMS_SUM(33, "MultiSensor_QPE_12H_Pass1", 12 * 3600),
    MRMS_SUM(34, "MultiSensor_QPE_24H_Pass1", 24 * 3600),
    MRMS_SUM(37, "MultiSensor_QPE_01H_Pass2", 3600),
    MRMS_SUM(38, "MultiSensor_QPE_03H_Pass2", 3 * 3600),
    MRMS_SUM(39, "MultiSensor_QPE_06H_Pass2", 6 * 3600),
    MRMS_SUM(40, "MultiSensor_QPE_12H_Pass2", 12 * 3600),
    MRMS_SUM(41, "MultiSensor_QPE_24H_Pass2", 24 * 3600),
    MRMS_SUM(45, "RadarOnly_QPE_15M", 900),
    MRMS_ECHO(3, 57, "ReflectivityAtLowestAltitude"),
    MRMS_ECHO(8, 8, "SeamlessHSR"),
    MRMS_ECHO(9, 0, "MergedReflectivityQC"),
    MRMS_ECHO(10, 0, "MergedReflectivityQCComposite"),
    MRMS_ECHO(11, 0, "MergedBaseReflectivityQC"),
    {209, 6, 0, "PrecipFlag", SQUALL_OTHER, "flag", 1, 0, CODES_FLAG},
    {209, 9, 3, "MergedRhoHV", SQUALL_OTHER, "1", 1, 0, CODES_999},
    {0, 1, 52, "tprate", SQUALL_RAIN_RATE, "mm/h", 3600, 0, CODES_NONE},
    {0, 1, 7, "prate", SQUALL_RAIN_RATE, "mm/h", 3600, 0, CODES_NONE},
    {0, 1, 65, "rprate", SQUALL_RAIN_RATE, "mm/h", 3600, 0, CODES_NONE},
    {0, 1, 8, "tp", SQUALL_ACCUMULATION, "mm", 1, 0, CODES_NONE},
    {0, 16, 4, "refd", SQUALL_REFLECTIVITY, "dBZ", 1, 0, CODES_NONE},
    {0, 16, 5, "refc", SQUALL_REFLECTIVITY, "dBZ", 1, 0, CODES_NONE},
};

typedef struct grib_state {
    sq_io_source source;
    sq_grib_field *fields;
    size_t *wanted; /* numbers in `fields` */
    size_t count;   /* of `wanted` */
} grib_state;

static bool grib_sniff(const unsigned char *bytes, size_t size)
{
    const size_t end = size < SNIFF_BYTES ? size : SNIFF_BYTES;
    for (size_t i = 0; i + 8 <= end; i++) {
        if (memcmp(bytes + i, "GRIB", 4) == 0 && (bytes[i + 7] == 1 || bytes[i + 7] == 2)) {
            return true;
        }
    }
    return false;
}

/* What is known of a field's parameter; one that is not known goes by its numbers, "209.3.33". */
static grib_parameter find_parameter(const sq_grib_field *field, char name[32])
{
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        const grib_parameter *p = &parameters[i];
        if (p->discipline == field->discipline && p->category == field->category &&
            p->number == field->number) {
            return *p;
        }
    }
    snprintf(name, 32, "%u.%u.%u", field->discipline, field->category, field->number);
    return (grib_parameter){.discipline = field->discipline,
                            .category = field->category,
                            .number = field->number,
                            .name = name,
                            .quantity = SQUALL_OTHER,
                            .unit = "?",
                            .factor = 1,
                            .codes = field->discipline == DISCIPLINE_MRMS ? CODES_999 : CODES_NONE};
}

static char *field_where(char *where, const sq_io_source *source, const sq_grib_field *field)
{
    return field->alone
               ? sq_io_where(where, source->name, "message %zu", field->message)
               : sq_io_where(where, source->name, "message %zu.%zu", field->message, field->part);
}

/* Everything about a field that can be refused before its values are read. */
static squall_status check_field(const sq_io_source *source, const sq_grib_field *field,
                                 squall_error *err)
{
    char where[SQ_IO_WHERE];
    sq_grib_scan scan;
    field_where(where, source, field);
    if (field->time == SQUALL_TIME_NONE) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "product template 4.%u, or its unit of time, is not taken; 4.0, 4.1, 4.2, "
                       "4.8, 4.11 and 4.12 in hours, minutes, seconds or days are",
                       field->product);
    }
    SQ_TRY(sq_grib_read_grid(field, where, NULL, &scan, err));
    return sq_grib_check_values(field, where, err);
}

/* The names of what a file holds, each once, for a message. */
static void list_names(const sq_grib_field *fields, size_t count, char *list, size_t size)
{
    size_t used = 0;
    list[0] = '\0';
    for (size_t i = 0; fields != NULL && i < count && i < LISTED_FIELDS; i++) {
        bool seen = false;
        for (size_t k = 0; k < i && !seen; k++) {
            seen = fields[k].discipline == fields[i].discipline &&
                   fields[k].category == fields[i].category && fields[k].number == fields[i].number;
        }
        char name[32];
        const grib_parameter parameter = find_parameter(&fields[i], name);
        if (seen || used + strlen(parameter.name) + 6 > size) {
            continue;
        }
        used += (size_t)snprintf(list + used, size - used, "%s%s", used > 0 ? ", " : "",
                                 parameter.name);
    }
}

/* Choose the fields: those of the wanted name, or of the one parameter that rain is told from
 * best. */
static squall_status choose(grib_state *state, size_t total, squall_error *err)
{
    const sq_io_source *source = &state->source;
    const sq_grib_field *best = NULL;
    char name[32];
    int best_rank = 0;
    for (size_t i = 0; i < total; i++) {
        const grib_parameter parameter = find_parameter(&state->fields[i], name);
        const int rank = sq_io_rain_rank(parameter.quantity);
        if (sq_io_wanted(source->quantity, parameter.quantity, parameter.name) &&
            (best == NULL || rank < best_rank)) {
            best = &state->fields[i];
            best_rank = rank;
        }
    }
    if (best == NULL) {
        char list[200];
        list_names(state->fields, total, list, sizeof list);
        return sq_fail(err, SQUALL_E_NO_DATA, source->name, "holds %s, not '%s'", list,
                       source->quantity);
    }
    for (size_t i = 0; i < total; i++) {
        const sq_grib_field *field = &state->fields[i];
        if (field->discipline == best->discipline && field->category == best->category &&
            field->number == best->number) {
            SQ_TRY(check_field(source, field, err));
            state->wanted[state->count++] = i;
        }
    }
    return SQUALL_OK;
}

static void grib_close(void *state)
{
    grib_state *opened = state;
    sq_free(opened->wanted);
    sq_free(opened->fields);
    sq_free(opened);
}

static squall_status grib_open(const sq_io_source *source, void **state, size_t *count, char *text,
                               squall_error *err)
{
    squall_status status;
    size_t total = 0;
    grib_state *opened = sq_alloc(1, sizeof *opened);
    if (opened == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, source->name, "no memory to open it");
    }
    opened->source = *source;
    SQ_TRY_GOTO(
        sq_grib_walk(source->bytes, source->size, source->name, &opened->fields, &total, err));
    opened->wanted = sq_alloc(total, sizeof *opened->wanted);
    if (opened->wanted == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, source->name, "no memory for %zu fields", total);
        goto done;
    }
    SQ_TRY_GOTO(choose(opened, total, err));
    const bool is_mrms = opened->fields[opened->wanted[0]].discipline == DISCIPLINE_MRMS;
    snprintf(text, SQ_IO_FORMAT_TEXT, "%s", is_mrms ? "GRIB2 MRMS" : "GRIB2");
    *state = opened;
    *count = opened->count;
done:
    if (status != SQUALL_OK) {
        grib_close(opened);
    }
    return status;
}

static int64_t grib_time(const void *state, size_t index)
{
    const grib_state *opened = state;
    return index < opened->count ? opened->fields[opened->wanted[index]].time : SQUALL_TIME_NONE;
}

/* Tell values from what only looks like one. */
static void make_mask(grib_codes codes, size_t cells, float *values, uint8_t *mask)
{
    for (size_t i = 0; i < cells; i++) {
        const float value = values[i];
        uint8_t cell = SQUALL_CELL_VALUE;
        if (!isfinite(value)) {
            cell = SQUALL_CELL_NO_COVERAGE;
        } else if (codes == CODES_NEGATIVE || codes == CODES_FLAG) {
            if (value < 0) {
                cell = SQUALL_CELL_NO_COVERAGE;
            } else if (value == 0 && codes == CODES_NEGATIVE) {
                cell = SQUALL_CELL_DRY;
            }
        } else if (codes == CODES_999) {
            if (fabsf(value + 999) < 0.01f) {
                cell = SQUALL_CELL_NO_COVERAGE;
            } else if (fabsf(value + 99) < 0.01f) {
                cell = SQUALL_CELL_DRY;
            }
        }
        mask[i] = cell;
        values[i] = cell == SQUALL_CELL_VALUE ? value : cell == SQUALL_CELL_DRY ? 0 : NAN;
    }
}

/* Turn rows round that begin in the east, and the field where it begins in the south. */
static void turn(squall_field *field, const sq_grib_scan *scan)
{
    const size_t width = field->grid.width, height = field->grid.height;
    for (size_t r = 0; scan->from_east && r < height; r++) {
        float *values = field->values + r * width;
        uint8_t *mask = field->mask + r * width;
        for (size_t a = 0, b = width - 1; a < b; a++, b--) {
            const float value = values[a];
            const uint8_t cell = mask[a];
            values[a] = values[b], mask[a] = mask[b];
            values[b] = value, mask[b] = cell;
        }
    }
    for (size_t a = 0, b = height - 1; scan->from_south && a < b; a++, b--) {
        float *values_a = field->values + a * width, *values_b = field->values + b * width;
        uint8_t *mask_a = field->mask + a * width, *mask_b = field->mask + b * width;
        for (size_t c = 0; c < width; c++) {
            const float value = values_a[c];
            const uint8_t cell = mask_a[c];
            values_a[c] = values_b[c], mask_a[c] = mask_b[c];
            values_b[c] = value, mask_b[c] = cell;
        }
    }
}

static squall_status grib_read(void *state, size_t index, squall_field **out, squall_error *err)
{
    const grib_state *opened = state;
    const sq_grib_field *source = &opened->fields[opened->wanted[index]];
    char where[SQ_IO_WHERE], name[32];
    squall_grid grid;
    sq_grib_scan scan;
    squall_field *field;
    const grib_parameter parameter = find_parameter(source, name);
    field_where(where, &opened->source, source);
    SQ_TRY(sq_grib_read_grid(source, where, &grid, &scan, err));
    SQ_TRY(sq_io_field_create(&grid, where, &field, err));
    const squall_status status =
        sq_grib_read_values(source, parameter.factor, where, field->values, err);
    if (status != SQUALL_OK) {
        squall_field_destroy(&field);
        return status;
    }
    squall_field_set_quantity(field, parameter.quantity, parameter.name, parameter.unit);
    field->valid_time = source->time;
    field->window_s = source->window_s > 0 ? source->window_s : parameter.window_s;
    make_mask(parameter.codes, grid.width * grid.height, field->values, field->mask);
    turn(field, &scan);
    *out = field;
    return SQUALL_OK;
}

const sq_io_format sq_io_grib = {.name = "GRIB2",
                                 .locked = true,
                                 .sniff = grib_sniff,
                                 .open = grib_open,
                                 .time = grib_time,
                                 .read = grib_read,
                                 .close = grib_close};
