/* wx/io/io_grib_walk.c - GRIB2 messages cut into sections, and what sections 1 and 4 say.
 *
 * Done here and not by ecCodes, so that looking into a file costs microseconds and nothing that
 * does not hold together reaches a decoder. */
#include <stdio.h>
#include <string.h>

#include "wx/io/io_grib.h"
#include "wx/io/io_place.h"

#define INDICATOR_BYTES 16  /* section 0 */
#define END_BYTES       4   /* "7777" */
#define GAP_BYTES       256 /* between messages: headers of telecommunication, padding */

/* The shortest that each section may be; section 4 depends on its template. */
static const size_t shortest[SQ_GRIB_SECTIONS] = {0, 21, 5, 14, 34, 11, 6, 5};

/* Where a template of section 4 keeps the end of its interval; 0 is an instant. Templates of
 * probabilities are not here: their values are no rain. */
typedef struct product_template {
    unsigned number;
    size_t interval; /* octet of the year of the end */
} product_template;

static const product_template product_templates[] = {
    {0, 0}, {1, 0}, {2, 0}, {8, 35}, {11, 38}, {12, 37},
};

typedef struct grib_walk {
    const unsigned char *bytes;
    size_t size;
    const char *name;
    sq_grib_field *fields;
    size_t count, capacity, message;
} grib_walk;

static bool begins_message(const unsigned char *p)
{
    return memcmp(p, "GRIB", 4) == 0;
}

/* Seconds in one unit of time by code table 4.4; 0 for those that vary or are unknown. */
static int64_t unit_seconds(unsigned unit)
{
    switch (unit) {
    case 0:
        return 60;
    case 1:
        return 3600;
    case 2:
        return 86400;
    case 10:
        return 3 * 3600;
    case 11:
        return 6 * 3600;
    case 12:
        return 12 * 3600;
    case 13:
        return 1;
    default:
        return 0;
    }
}

/* Year, month, day, hour, minute and second from `octet`. */
static bool read_time(const sq_grib_section *section, size_t octet, int64_t *time)
{
    return sq_time_from_utc((int)sq_grib_u16(section, octet), (int)sq_grib_u8(section, octet + 2),
                            (int)sq_grib_u8(section, octet + 3),
                            (int)sq_grib_u8(section, octet + 4),
                            (int)sq_grib_u8(section, octet + 5),
                            (int)sq_grib_u8(section, octet + 6), time);
}

/* Time and window of a field. A template that is not known leaves the time out; the field is then
 * refused only if it is wanted. */
static squall_status take_product(const grib_walk *walk, sq_grib_field *field, squall_error *err)
{
    const sq_grib_section *identification = &field->section[1], *product = &field->section[4];
    char where[SQ_IO_WHERE];
    field->product = sq_grib_u16(product, 8);
    field->category = sq_grib_u8(product, 10);
    field->number = sq_grib_u8(product, 11);
    field->time = SQUALL_TIME_NONE;
    const product_template *template = NULL;
    for (size_t i = 0; i < sizeof product_templates / sizeof product_templates[0]; i++) {
        if (product_templates[i].number == field->product) {
            template = &product_templates[i];
        }
    }
    if (template == NULL) {
        return SQUALL_OK;
    }
    sq_io_where(where, walk->name, "message %zu, section 4", field->message);
    if (template->interval > 0) {
        /* Twelve octets of time, number of ranges and missing values, then the last range. */
        if (product->size < template->interval + 18) {
            return sq_fail(err, SQUALL_E_CORRUPT, where, "%zu bytes are too few for template %u",
                           product->size, field->product);
        }
        const unsigned unit = sq_grib_u8(product, template->interval + 14);
        const int64_t length = sq_grib_u32(product, template->interval + 15) * unit_seconds(unit);
        if (!read_time(product, template->interval, &field->time) || length > INT32_MAX) {
            return sq_fail(err, SQUALL_E_CORRUPT, where, "the end of its interval is no time");
        }
        field->window_s = (int32_t)length;
        return SQUALL_OK;
    }
    int64_t reference;
    const int64_t unit = unit_seconds(sq_grib_u8(product, 18));
    const int64_t lead = sq_grib_s32(product, 19);
    if (!read_time(identification, 13, &reference)) {
        return sq_fail(err, SQUALL_E_CORRUPT,
                       sq_io_where(where, walk->name, "message %zu, section 1", field->message),
                       "its reference time is no time");
    }
    if (unit > 0 || lead == 0) {
        field->time = reference + lead * unit;
    }
    return SQUALL_OK;
}

static squall_status add_field(grib_walk *walk, const sq_grib_field *field, squall_error *err)
{
    if (walk->count == walk->capacity) {
        const size_t larger = walk->capacity > 0 ? walk->capacity * 2 : 1;
        sq_grib_field *grown = larger <= SQ_LIMIT_FRAMES ? sq_regrow(walk->fields, walk->count,
                                                                     larger, sizeof *walk->fields)
                                                         : NULL;
        if (grown == NULL) {
            return sq_fail(err, larger > SQ_LIMIT_FRAMES ? SQUALL_E_LIMIT : SQUALL_E_MEMORY,
                           walk->name, "no room for more than %zu fields (%zu at most)",
                           walk->count, SQ_LIMIT_FRAMES);
        }
        walk->fields = grown;
        walk->capacity = larger;
    }
    walk->fields[walk->count] = *field;
    SQ_TRY(take_product(walk, &walk->fields[walk->count], err));
    walk->count++;
    return SQUALL_OK;
}

/* One section at `at` of a message of `size` bytes. */
static squall_status next_section(const grib_walk *walk, const unsigned char *message, size_t size,
                                  size_t at, unsigned *number, sq_grib_section *section,
                                  squall_error *err)
{
    char where[SQ_IO_WHERE];
    sq_io_where(where, walk->name, "message %zu, byte %zu", walk->message, at);
    if (size - at < 5 + END_BYTES) {
        return sq_fail(err, SQUALL_E_CORRUPT, where, "the message has no end '7777' here");
    }
    section->bytes = message + at;
    section->size = 5;
    const size_t length = sq_grib_u32(section, 1);
    *number = sq_grib_u8(section, 5);
    if (*number < 1 || *number >= SQ_GRIB_SECTIONS || length < shortest[*number] ||
        length > size - at - END_BYTES) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "section %u of %zu bytes cannot be in a message of %zu", *number, length,
                       size);
    }
    section->size = length;
    return SQUALL_OK;
}

/* The sections of one message, and a field at each section 7. Sections 2 to 7, 3 to 7 or 4 to 7
 * may come again; what does not stays. */
static squall_status walk_message(grib_walk *walk, const unsigned char *message, size_t size,
                                  squall_error *err)
{
    char where[SQ_IO_WHERE];
    sq_grib_field field = {.message = walk->message, .discipline = message[6]};
    sq_grib_section bitmap = {0};
    const size_t first = walk->count;
    unsigned before = 0;
    for (size_t at = INDICATOR_BYTES; at != size - END_BYTES;) {
        unsigned number;
        sq_grib_section section;
        SQ_TRY(next_section(walk, message, size, at, &number, &section, err));
        const bool follows = number == before + 1 || (number == 3 && before == 1) ||
                             (before == 7 && number >= 2 && number <= 4);
        if (!follows) {
            return sq_fail(err, SQUALL_E_CORRUPT,
                           sq_io_where(where, walk->name, "message %zu, byte %zu", walk->message,
                                       at),
                           "section %u cannot follow section %u", number, before);
        }
        if (number == 6 && sq_grib_u8(&section, 6) == 254) {
            field.section[6] = bitmap; /* "as before in this message" */
        } else {
            field.section[number] = section;
            if (number == 6 && sq_grib_u8(&section, 6) == 0) {
                bitmap = section;
            }
        }
        if (number == 7) {
            if (field.section[3].bytes == NULL || field.section[6].bytes == NULL) {
                return sq_fail(err, SQUALL_E_CORRUPT,
                               sq_io_where(where, walk->name, "message %zu", walk->message),
                               "a field without a grid, or with a bitmap that was not given");
            }
            field.part++;
            SQ_TRY(add_field(walk, &field, err));
        }
        before = number;
        at += section.size;
    }
    if (before != 7) {
        return sq_fail(err, SQUALL_E_CORRUPT,
                       sq_io_where(where, walk->name, "message %zu", walk->message),
                       "ends behind section %u, before its values", before);
    }
    if (walk->count == first + 1) {
        walk->fields[first].alone = true;
    }
    return SQUALL_OK;
}

/* Check section 0 of the message at `at` and the mark of its end; `*length` is its size. */
static squall_status measure_message(const grib_walk *walk, size_t at, size_t *length,
                                     squall_error *err)
{
    char where[SQ_IO_WHERE];
    const unsigned char *message = walk->bytes + at;
    const size_t left = walk->size - at;
    sq_io_where(where, walk->name, "message %zu", walk->message);
    if (left < INDICATOR_BYTES) {
        return sq_fail(err, SQUALL_E_TRUNCATED, where, "ends within its first section");
    }
    if (message[7] != 2) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "is GRIB edition %u; convert it with 'grib_set -s edition=2'", message[7]);
    }
    size_t size = 0;
    for (size_t i = 8; i < INDICATOR_BYTES; i++) {
        size = size << 8 | message[i];
    }
    if (size < INDICATOR_BYTES + END_BYTES) {
        return sq_fail(err, SQUALL_E_CORRUPT, where, "a length of %zu bytes cannot be", size);
    }
    if (size > left) {
        return sq_fail(err, SQUALL_E_TRUNCATED, where,
                       "%zu bytes; its length is %zu; fetch it again", left, size);
    }
    if (memcmp(message + size - END_BYTES, "7777", END_BYTES) != 0) {
        return sq_fail(err, SQUALL_E_CORRUPT, where, "does not end in '7777' after %zu bytes",
                       size);
    }
    *length = size;
    return SQUALL_OK;
}

/* The next "GRIB" at or behind `at`, or the end of the file; SIZE_MAX if it is too far away to be
 * a gap. */
static size_t find_message(const grib_walk *walk, size_t at)
{
    const size_t end = walk->size - at > GAP_BYTES ? at + GAP_BYTES : walk->size;
    for (size_t p = at; p < end && walk->size - p >= 4; p++) {
        if (begins_message(walk->bytes + p)) {
            return p;
        }
    }
    return end == walk->size ? end : SIZE_MAX;
}

squall_status sq_grib_walk(const unsigned char *bytes, size_t size, const char *name,
                           sq_grib_field **fields, size_t *count, squall_error *err)
{
    squall_status status = SQUALL_OK;
    grib_walk walk = {.bytes = bytes, .size = size, .name = name};
    char where[SQ_IO_WHERE];
    for (size_t at = find_message(&walk, 0); at != size;) {
        size_t length;
        if (at == SIZE_MAX) {
            status = sq_fail(err, SQUALL_E_CORRUPT,
                             sq_io_where(where, name, "behind message %zu", walk.message),
                             "what follows is no GRIB message; fetch it again");
            goto done;
        }
        walk.message++;
        SQ_TRY_GOTO(measure_message(&walk, at, &length, err));
        SQ_TRY_GOTO(walk_message(&walk, bytes + at, length, err));
        at = find_message(&walk, at + length);
    }
    if (walk.count == 0) {
        status = sq_fail(err, SQUALL_E_CORRUPT, name, "holds no GRIB message");
    }
done:
    if (status != SQUALL_OK) {
        sq_free(walk.fields);
        return status;
    }
    *fields = walk.fields;
    *count = walk.count;
    return SQUALL_OK;
}
