/* wx/io/io_radolan.c - binary composites of DWD: a text header up to ETX, then one number a cell.
 *
 * The time in the header is the end of the interval: the hour of an RW at 01:50 is the sum of the
 * twelve five-minute fields stamped 00:55 to 01:50. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wx/io/io_share.h"

#define ETX 0x03

/* Bits above the value of a 16-bit cell. Two more, 0x1000 (from a secondary source) and 0x8000
 * (clutter was put right), say how a value came about; it is a value all the same. */
#define CELL_VALUE    0x0fff
#define CELL_NO_DATA  0x2000
#define CELL_NEGATIVE 0x4000

/* Bytes of the reflectivity products. */
#define ECHO_NONE    0
#define ECHO_CLUTTER 249 /* and above: no data */
#define ECHO_GAIN    0.5
#define ECHO_OFFSET  (-32.5)

#define PRECISION_MAX 10.0 /* mm a step; products have 0.001 to 1 */

#define HEADER_FIXED 17 /* "RW", "DDhhmm", "10000", "MMYY" */

typedef struct radolan_product {
    const char *code;
    bool is_echo; /* a byte a cell, dBZ; otherwise two bytes, mm summed over the interval */
} radolan_product;

static const radolan_product products[] = {
    {"RY", false}, {"YW", false}, {"RW", false}, {"EY", false}, {"EW", false},
    {"RV", false}, {"RH", false}, {"RB", false}, {"SF", false}, {"SH", false},
    {"SQ", false}, {"RX", true},  {"WX", true},  {"EX", true},
};

/* The grids: how far the reference point at 9 E, 51 N is from the left and the lower edge. */
typedef struct radolan_grid {
    size_t rows, columns;
    bool is_wgs84; /* as of format version 5; before, a sphere of 6370.04 km */
    double left_m, bottom_m;
} radolan_grid;

static const radolan_grid grids[] = {
    {900, 900, false, 450e3, 450e3},   {1100, 900, false, 370e3, 550e3},
    {1500, 1400, false, 600e3, 800e3}, {900, 900, true, 450e3, 450e3},
    {1100, 900, true, 370e3, 550e3},   {1200, 1100, false, 470e3, 600e3},
    {1200, 1100, true, 470e3, 600e3},
};

typedef struct radolan_state {
    sq_io_source source;
    const radolan_product *product;
    const radolan_grid *grid;
    size_t data; /* offset of the first cell */
    int64_t time;
    int32_t window_s;
    double precision;
} radolan_state;

/* What the tokens of the header say; -1 was not there. */
typedef struct radolan_header {
    long bytes, version, interval, unit, rows, columns, lead_min;
    double precision;
} radolan_header;

static bool all_digits(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isdigit(bytes[i])) {
            return false;
        }
    }
    return true;
}

static bool radolan_sniff(const unsigned char *bytes, size_t size)
{
    return size >= HEADER_FIXED + 2 && isupper(bytes[0]) && isalnum(bytes[1]) &&
           all_digits(bytes + 2, HEADER_FIXED - 2) && bytes[HEADER_FIXED] == 'B' &&
           bytes[HEADER_FIXED + 1] == 'Y';
}

/* The number in `width` characters at `text`, blanks before it; -1 if there is none. */
static long field_number(const char *text, size_t width)
{
    char copy[16];
    char *end;
    snprintf(copy, sizeof copy, "%.*s", (int)width, text);
    const long value = strtol(copy, &end, 10);
    return end == copy || *end != '\0' || value < 0 ? -1 : value;
}

/* Walk the tokens. Each has a fixed width; the list of stations behind MS may hold any letters and
 * ends the walk. */
static void read_tokens(const char *text, radolan_header *header)
{
    const char *p = text + HEADER_FIXED;
    while (*p != '\0' && strncmp(p, "MS", 2) != 0) {
        if (strncmp(p, "BY", 2) == 0) {
            const size_t width = strspn(p + 2, " 0123456789");
            header->bytes = field_number(p + 2, width);
            p += 2 + width;
        } else if (strncmp(p, "VS", 2) == 0) {
            header->version = field_number(p + 2, 2);
            p += 2;
        } else if (strncmp(p, "SW", 2) == 0) {
            p += 2 + strnlen(p + 2, 9); /* a version may hold any letters */
        } else if (strncmp(p, "PR", 2) == 0) {
            char power[8] = "1";
            const size_t blanks = strspn(p + 2, " ");
            snprintf(power + 1, sizeof power - 1, "%.4s", p + 2 + blanks);
            if (p[2 + blanks] != 'E' || !sq_io_number(power, &header->precision)) {
                header->precision = -1;
            }
            p += 2;
        } else if (strncmp(p, "INT", 3) == 0) {
            header->interval = field_number(p + 3, 4);
            p += 3;
        } else if (*p == 'U' && isdigit((unsigned char)p[1])) {
            header->unit = p[1] - '0';
            p += 2;
        } else if (strncmp(p, "GP", 2) == 0) {
            header->rows = field_number(p + 2, 4);
            header->columns = strnlen(p, 7) == 7 && p[6] == 'x' ? field_number(p + 7, 4) : -1;
            p += 2;
        } else if (strncmp(p, "VV", 2) == 0) {
            header->lead_min = field_number(p + 2, 4);
            p += 2;
        } else {
            p++;
        }
    }
}

static bool header_time(const char *text, int64_t *out)
{
    int part[5];
    static const int at[5] = {2, 4, 6, 13, 15}; /* day, hour, minute, month, year */
    for (int i = 0; i < 5; i++) {
        part[i] = (int)field_number(text + at[i], 2);
    }
    return sq_time_from_utc(2000 + part[4], part[3], part[0], part[1], part[2], 0, out);
}

static squall_status take_product(const char *text, radolan_state *state, squall_error *err)
{
    if (strncmp(text + 8, "10000", 5) != 0) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, state->source.name,
                       "a RADOLAN product of the single radar %.5s; composites (10000) are taken",
                       text + 8);
    }
    for (size_t i = 0; i < sizeof products / sizeof products[0]; i++) {
        if (strncmp(text, products[i].code, 2) == 0) {
            state->product = &products[i];
            return SQUALL_OK;
        }
    }
    return sq_fail(err, SQUALL_E_UNSUPPORTED, state->source.name,
                   "RADOLAN product '%.2s' is not among those taken: RY, YW, RW, EY, EW, RV, RH, "
                   "RB, SF, SH, SQ, RX, WX, EX",
                   text);
}

static squall_status take_header(const char *text, const radolan_header *header,
                                 radolan_state *state, squall_error *err)
{
    const char *name = state->source.name;
    const bool is_wgs84 = header->version >= 5;
    if (!header_time(text, &state->time)) {
        return sq_fail(err, SQUALL_E_CORRUPT, name,
                       "the RADOLAN header's '%.6s', '%.4s' (day, hour, minute; month, year) is "
                       "no time",
                       text + 2, text + 13);
    }
    for (size_t i = 0; i < sizeof grids / sizeof grids[0]; i++) {
        if ((long)grids[i].rows == header->rows && (long)grids[i].columns == header->columns &&
            grids[i].is_wgs84 == is_wgs84) {
            state->grid = &grids[i];
        }
    }
    if (state->grid == NULL) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, name,
                       "a RADOLAN grid of %ld x %ld in format version %ld is not known; 900 x "
                       "900, 1100 x 900, 1200 x 1100 and 1500 x 1400 are",
                       header->rows, header->columns, header->version);
    }
    if (header->unit > 1 || header->interval <= 0 || header->interval > 366 * 1440L) {
        return sq_fail(err, SQUALL_E_CORRUPT, name,
                       "a RADOLAN interval of %ld in unit %ld; minutes (0) or days (1) above 0",
                       header->interval, header->unit);
    }
    if (!state->product->is_echo) {
        if (!(header->precision > 0 && header->precision <= PRECISION_MAX)) {
            return sq_fail(err, SQUALL_E_CORRUPT, name,
                           "the RADOLAN header has no precision 'PR E-..' up to %g mm",
                           PRECISION_MAX);
        }
        state->precision = header->precision;
        const long minutes = header->unit == 1 ? header->interval * 1440 : header->interval;
        if (minutes > 366 * 1440L) {
            return sq_fail(err, SQUALL_E_LIMIT, name, "a RADOLAN interval of %ld days",
                           header->interval);
        }
        state->window_s = (int32_t)(minutes * 60);
    }
    if (header->lead_min > 0) {
        state->time += (int64_t)header->lead_min * 60;
    }
    return SQUALL_OK;
}

static squall_status check_size(const radolan_header *header, const radolan_state *state,
                                squall_error *err)
{
    const size_t cells = state->grid->rows * state->grid->columns;
    const size_t needed = state->data + cells * (state->product->is_echo ? 1 : 2);
    const size_t size = state->source.size;
    if (header->bytes < 0 || (size_t)header->bytes != needed) {
        return sq_fail(err, SQUALL_E_CORRUPT, state->source.name,
                       "the RADOLAN header says BY %ld bytes; its %zu x %zu cells make %zu",
                       header->bytes, state->grid->rows, state->grid->columns, needed);
    }
    if (size != needed) {
        return sq_fail(err, size < needed ? SQUALL_E_TRUNCATED : SQUALL_E_CORRUPT,
                       state->source.name, "%zu bytes; its RADOLAN header says %zu; fetch it again",
                       size, needed);
    }
    return SQUALL_OK;
}

/* The header as text of its own; `*data` becomes the offset behind ETX. */
static squall_status copy_header(const sq_io_source *source, char **text, size_t *data,
                                 squall_error *err)
{
    const size_t end = source->size < SQ_LIMIT_HEADER ? source->size : SQ_LIMIT_HEADER;
    const unsigned char *etx = memchr(source->bytes, ETX, end);
    if (etx == NULL) {
        return sq_fail(err, end < source->size ? SQUALL_E_CORRUPT : SQUALL_E_TRUNCATED,
                       source->name, "the RADOLAN header does not end within %zu bytes", end);
    }
    const size_t length = (size_t)(etx - source->bytes);
    *text = sq_alloc(length + 1, 1);
    if (*text == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, source->name, "no memory for its header");
    }
    memcpy(*text, source->bytes, length);
    *data = length + 1;
    return SQUALL_OK;
}

static squall_status radolan_open(const sq_io_source *source, void **state, size_t *count,
                                  char *format, squall_error *err)
{
    squall_status status;
    char *text = NULL;
    radolan_header header = {-1, -1, -1, 0, -1, -1, 0, -1};
    radolan_state *opened = sq_alloc(1, sizeof *opened);
    if (opened == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, source->name, "no memory for its header");
    }
    opened->source = *source;
    SQ_TRY_GOTO(copy_header(source, &text, &opened->data, err));
    read_tokens(text, &header);
    SQ_TRY_GOTO(take_product(text, opened, err));
    SQ_TRY_GOTO(take_header(text, &header, opened, err));
    SQ_TRY_GOTO(check_size(&header, opened, err));
    const squall_quantity quantity =
        opened->product->is_echo ? SQUALL_REFLECTIVITY : SQUALL_ACCUMULATION;
    if (!sq_io_wanted(source->quantity, quantity, opened->product->code)) {
        status = sq_fail(err, SQUALL_E_NO_DATA, source->name, "holds %s, not '%s'",
                         opened->product->code, source->quantity);
        goto done;
    }
    snprintf(format, SQ_IO_FORMAT_TEXT, "RADOLAN %s", opened->product->code);
    *state = opened;
    *count = 1;
done:
    sq_free(text);
    if (status != SQUALL_OK) {
        sq_free(opened);
    }
    return status;
}

static int64_t radolan_time(const void *state, size_t index)
{
    return index == 0 ? ((const radolan_state *)state)->time : SQUALL_TIME_NONE;
}

static squall_status make_grid(const radolan_state *state, squall_grid *grid, squall_error *err)
{
    double x, y;
    snprintf(grid->proj, sizeof grid->proj,
             "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 %s +units=m",
             state->grid->is_wgs84 ? "+ellps=WGS84" : "+R=6370040");
    SQ_TRY(sq_io_project(grid->proj, 9.0, 51.0, state->source.name, &x, &y, err));
    grid->width = state->grid->columns;
    grid->height = state->grid->rows;
    grid->dx = grid->dy = 1000;
    grid->left = x - state->grid->left_m;
    grid->top = y - state->grid->bottom_m + (double)grid->height * grid->dy;
    return SQUALL_OK;
}

/* One row of 16-bit cells. */
static void read_sums(const unsigned char *cells, size_t count, double precision, float *values,
                      uint8_t *mask)
{
    for (size_t i = 0; i < count; i++) {
        const unsigned cell = (unsigned)cells[2 * i] | (unsigned)cells[2 * i + 1] << 8;
        if (cell & CELL_NO_DATA) {
            continue;
        }
        const double value = (cell & CELL_VALUE) * precision;
        mask[i] = (cell & CELL_VALUE) == 0 ? SQUALL_CELL_DRY : SQUALL_CELL_VALUE;
        values[i] = (float)(cell & CELL_NEGATIVE ? -value : value);
    }
}

/* One row of 8-bit cells. */
static void read_echoes(const unsigned char *cells, size_t count, float *values, uint8_t *mask)
{
    for (size_t i = 0; i < count; i++) {
        if (cells[i] == ECHO_NONE) {
            mask[i] = SQUALL_CELL_DRY;
            values[i] = 0;
        } else if (cells[i] < ECHO_CLUTTER) {
            mask[i] = SQUALL_CELL_VALUE;
            values[i] = (float)(ECHO_GAIN * cells[i] + ECHO_OFFSET);
        }
    }
}

static squall_status radolan_read(void *state, size_t index, squall_field **out, squall_error *err)
{
    const radolan_state *opened = state;
    const radolan_product *product = opened->product;
    squall_grid grid = {0};
    squall_field *field;
    (void)index;
    SQ_TRY(make_grid(opened, &grid, err));
    SQ_TRY(sq_io_field_create(&grid, opened->source.name, &field, err));
    if (product->is_echo) {
        squall_field_set_quantity(field, SQUALL_REFLECTIVITY, product->code, "dBZ");
    } else {
        squall_field_set_quantity(field, SQUALL_ACCUMULATION, product->code, "mm");
    }
    field->valid_time = opened->time;
    field->window_s = opened->window_s;
    /* The file begins in the south. */
    const unsigned char *bytes = opened->source.bytes + opened->data;
    for (size_t row = 0; row < grid.height; row++) {
        const size_t at = row * grid.width, from = (grid.height - 1 - row) * grid.width;
        if (product->is_echo) {
            read_echoes(bytes + from, grid.width, field->values + at, field->mask + at);
        } else {
            read_sums(bytes + 2 * from, grid.width, opened->precision, field->values + at,
                      field->mask + at);
        }
    }
    *out = field;
    return SQUALL_OK;
}

static void radolan_close(void *state)
{
    sq_free(state);
}

const sq_io_format sq_io_radolan = {.name = "RADOLAN",
                                    .locked = false,
                                    .sniff = radolan_sniff,
                                    .open = radolan_open,
                                    .time = radolan_time,
                                    .read = radolan_read,
                                    .close = radolan_close};
