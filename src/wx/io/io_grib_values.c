/* wx/io/io_grib_values.c - sections 5, 6 and 7 of GRIB2: the values.
 *
 * PNG packing, which MRMS uses, is unpacked here; the others go to ecCodes. It gets a message of
 * our own making, in which nothing but these three sections is from the file. */
#include <math.h>
#include <string.h>

#include <eccodes.h>

#include "wx/io/io_grib.h"
#include "wx/io/io_place.h"
#include "wx/io/io_png.h"

#define MISSING_MARK 9.999e20 /* what ecCodes is told to put where the bitmap has no value */

/* Octets of section 5 in a template; 0 for one that is not taken. */
static size_t packing_octets(unsigned template)
{
    switch (template) {
    case SQ_GRIB_PACKED_SIMPLY:
    case SQ_GRIB_PACKED_PNG:
        return 21;
    case SQ_GRIB_PACKED_COMPLEX:
        return 47;
    case SQ_GRIB_PACKED_COMPLEX_DIFFERENCES:
        return 49;
    case SQ_GRIB_PACKED_IEEE:
        return 12;
    case SQ_GRIB_PACKED_JPEG2000:
        return 23;
    case SQ_GRIB_PACKED_CCSDS:
        return 25;
    default:
        return 0;
    }
}

static bool has_bitmap(const sq_grib_field *field)
{
    return sq_grib_u8(&field->section[6], 6) == 0;
}

/* Bits set in the bitmap of section 6. */
static size_t bitmap_count(const sq_grib_section *section, size_t cells)
{
    size_t set = 0;
    for (size_t i = 0; i < cells / 8; i++) {
        set += (size_t)__builtin_popcount(section->bytes[6 + i]);
    }
    for (size_t i = cells / 8 * 8; i < cells; i++) {
        set += section->bytes[6 + i / 8] >> (7 - i % 8) & 1;
    }
    return set;
}

squall_status sq_grib_check_values(const sq_grib_field *field, const char *where, squall_error *err)
{
    const sq_grib_section *packing = &field->section[5], *bitmap = &field->section[6];
    const unsigned template = sq_grib_u16(packing, 10);
    const size_t octets = packing_octets(template), cells = sq_grib_cells(field);
    const uint32_t count = sq_grib_u32(packing, 6);
    const unsigned indicator = sq_grib_u8(bitmap, 6);
    if (octets == 0) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "packing template 5.%u; simple (5.0), complex (5.2, 5.3), IEEE (5.4), JPEG "
                       "2000 (5.40), PNG (5.41) and CCSDS (5.42) are taken",
                       template);
    }
    if (packing->size < octets) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "section 5 of %zu bytes; packing template 5.%u has %zu", packing->size,
                       template, octets);
    }
    if (indicator != 0 && indicator != 255) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "bitmap %u is one that its centre keeps to itself", indicator);
    }
    if (indicator == 0 && bitmap->size < 6 + (cells + 7) / 8) {
        return sq_fail(err, SQUALL_E_CORRUPT, where, "a bitmap of %zu bytes for %zu points",
                       bitmap->size - 6, cells);
    }
    if (indicator == 0 ? count > cells : count != cells) {
        return sq_fail(err, SQUALL_E_CORRUPT, where, "%u packed values for %zu points", count,
                       cells);
    }
    if (template != SQ_GRIB_PACKED_IEEE) {
        const unsigned bits = sq_grib_u8(packing, 20);
        const size_t room = (field->section[7].size - 5) * 8;
        if (bits > 32 || (template == SQ_GRIB_PACKED_SIMPLY &&
                          room / (bits > 0 ? bits : 1) < count && bits > 0)) {
            return sq_fail(err, SQUALL_E_CORRUPT, where,
                           "%u values of %u bits in a section 7 of %zu bytes", count, bits,
                           field->section[7].size);
        }
    }
    return SQUALL_OK;
}

/* An IEEE 754 float in four octets. */
static double reference_value(const sq_grib_section *section)
{
    const uint32_t bits = sq_grib_u32(section, 12);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* 10^power or 2^power as ecCodes reckons them, so that the same bits come out. */
static double power_of(double base, int power)
{
    double value = 1;
    for (int i = power < 0 ? -power : power; i > 0; i--) {
        value *= base;
    }
    return power < 0 ? 1 / value : value;
}

/* Value i of a row of pixels of `bits` each. */
static uint32_t pixel(const unsigned char *row, size_t i, unsigned bits)
{
    switch (bits) {
    case 8:
        return row[i];
    case 16:
        return (uint32_t)row[2 * i] << 8 | row[2 * i + 1];
    case 24:
        return (uint32_t)row[3 * i] << 16 | (uint32_t)row[3 * i + 1] << 8 | row[3 * i + 2];
    case 32:
        return (uint32_t)row[4 * i] << 24 | (uint32_t)row[4 * i + 1] << 16 |
               (uint32_t)row[4 * i + 2] << 8 | row[4 * i + 3];
    default: /* 1, 2 or 4 */
        return (uint32_t)row[i * bits / 8] >> (8 - bits - i * bits % 8) & ((1u << bits) - 1);
    }
}

/* Move `count` packed values apart to where the bitmap has them, NaN between; from the end, since
 * they are in the same array. */
static void spread(const sq_grib_section *bitmap, size_t cells, size_t count, float *values)
{
    for (size_t i = cells; i-- > 0;) {
        const bool there = bitmap->bytes[6 + i / 8] >> (7 - i % 8) & 1;
        values[i] = there && count > 0 ? values[--count] : NAN;
    }
}

static squall_status read_png(const sq_grib_field *field, double factor, const char *where,
                              float *values, squall_error *err)
{
    const sq_grib_section *packing = &field->section[5], *data = &field->section[7];
    const size_t count = sq_grib_u32(packing, 6);
    const double reference = reference_value(packing);
    const double binary = power_of(2, sq_grib_s16(packing, 16));
    const double decimal = power_of(10, -sq_grib_s16(packing, 18));
    const unsigned bits = sq_grib_u8(packing, 20);
    if (bits == 0) {
        /* A constant: every decoder takes the reference as it stands, unscaled. */
        for (size_t i = 0; i < count; i++) {
            values[i] = (float)(reference * factor);
        }
    } else if (count > 0) {
        sq_png png = {0};
        SQ_TRY(sq_io_png_read(data->bytes + 5, data->size - 5, count, where, &png, err));
        if (png.bits != bits) {
            sq_free(png.rows);
            return sq_fail(err, SQUALL_E_CORRUPT, where, "a PNG of %u bits for values of %u",
                           png.bits, bits);
        }
        for (size_t r = 0; r < png.height; r++) {
            const unsigned char *row = png.rows + r * png.row_bytes + 1;
            float *out = values + r * png.width;
            for (size_t i = 0; i < png.width; i++) {
                out[i] = (float)((pixel(row, i, bits) * binary + reference) * decimal * factor);
            }
        }
        sq_free(png.rows);
    }
    if (has_bitmap(field)) {
        spread(&field->section[6], sq_grib_cells(field), count, values);
    }
    return SQUALL_OK;
}

/* What ecCodes has to say of a problem comes back as a code; it must not print. */
static void no_log(const codes_context *context, int level, const char *message)
{
    (void)context;
    (void)level;
    (void)message;
}

static void store32(unsigned char *p, size_t value)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (unsigned char)(value >> (24 - 8 * i));
    }
}

/* A message with the field's sections 5, 6 and 7 on a plain grid of its size; given. */
static unsigned char *make_message(const sq_grib_field *field, size_t *size)
{
    static const unsigned char head[16 + 21] = {'G', 'R', 'I', 'B', 0, 0, 0, 2, 0, 0, 0,
                                                0,   0,   0,   0,   0, /* section 0 */
                                                0,   0,   0,   21,  1, 0, 0, 0, 0, 4, 0,
                                                0,   7,   208, 1,   1, 0, 0, 0, 0, 0};
    static const unsigned char product[34] = {0, 0, 0, 34, 4, 0, 0, 0, 0, 1, 52};
    unsigned char grid[72] = {0, 0, 0, 72, 3};
    const size_t tail = field->section[5].size + field->section[6].size + field->section[7].size;
    *size = sizeof head + sizeof grid + sizeof product + tail + 4;
    unsigned char *message = sq_alloc_raw(*size, 1), *p = message;
    if (message == NULL) {
        return NULL;
    }
    store32(grid + 6, sq_grib_cells(field));
    grid[14] = 6;
    memcpy(grid + 30, field->section[3].bytes + 30, 8); /* sides */
    memset(grid + 42, 0xff, 4);                         /* no parts of the basic angle */
    p = (unsigned char *)memcpy(p, head, sizeof head) + sizeof head;
    p = (unsigned char *)memcpy(p, grid, sizeof grid) + sizeof grid;
    p = (unsigned char *)memcpy(p, product, sizeof product) + sizeof product;
    for (size_t i = 5; i <= 7; i++) {
        memcpy(p, field->section[i].bytes, field->section[i].size);
        p += field->section[i].size;
    }
    memcpy(p, "7777", 4);
    store32(message + 8, *size >> 32);
    store32(message + 12, *size & 0xffffffffu);
    return message;
}

/* The values of a message by ecCodes, which must be `cells`. */
static squall_status decode(codes_handle *handle, size_t cells, double factor, const char *where,
                            float *values, squall_error *err)
{
    size_t count = 0;
    int code = codes_set_double(handle, "missingValue", MISSING_MARK);
    if (code == 0) {
        code = codes_get_size(handle, "values", &count);
    }
    if (code == 0 && count != cells) {
        return sq_fail(err, SQUALL_E_CORRUPT, where, "%zu values for %zu points", count, cells);
    }
    double *wide = code == 0 ? sq_alloc_raw(cells, sizeof *wide) : NULL;
    if (code == 0 && wide == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, where, "no memory for %zu values", cells);
    }
    if (code == 0) {
        code = codes_get_double_array(handle, "values", wide, &count);
    }
    if (code == 0) {
        for (size_t i = 0; i < cells; i++) {
            values[i] = wide[i] == MISSING_MARK ? NAN : (float)(wide[i] * factor);
        }
    }
    sq_free(wide);
    if (code != 0) {
        return sq_fail(err, SQUALL_E_CORRUPT, where, "ecCodes cannot unpack its values: %s",
                       codes_get_error_message(code));
    }
    return SQUALL_OK;
}

squall_status sq_grib_read_values(const sq_grib_field *field, double factor, const char *where,
                                  float *values, squall_error *err)
{
    const size_t count = sq_grib_u32(&field->section[5], 6), cells = sq_grib_cells(field);
    if (has_bitmap(field) && bitmap_count(&field->section[6], cells) != count) {
        return sq_fail(err, SQUALL_E_CORRUPT, where, "%zu packed values; its bitmap has %zu", count,
                       bitmap_count(&field->section[6], cells));
    }
    if (sq_grib_u16(&field->section[5], 10) == SQ_GRIB_PACKED_PNG) {
        return read_png(field, factor, where, values, err);
    }
    SQ_TRY(sq_grib_guard_values(field, where, err));
    size_t size;
    unsigned char *message = make_message(field, &size);
    if (message == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, where, "no memory for its packed values");
    }
    codes_context *context = codes_context_get_default();
    codes_context_set_logging_proc(context, no_log);
    codes_handle *handle = codes_handle_new_from_message(context, message, size);
    squall_status status;
    if (handle == NULL) {
        status = sq_fail(err, SQUALL_E_CORRUPT, where,
                         "ecCodes cannot open it; if this is so for every file, its definitions "
                         "(package libeccodes-data) are missing");
    } else {
        status = decode(handle, cells, factor, where, values, err);
        codes_handle_delete(handle);
    }
    sq_free(message);
    return status;
}
