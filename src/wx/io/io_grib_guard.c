/* wx/io/io_grib_guard.c - what is checked in packed values before ecCodes may see them.
 *
 * ecCodes 2.28 believes the sizes inside section 7: it writes as many values as a JPEG 2000 image
 * has pixels, wherever they end; reads groups of bits behind the end of the message; and ends the
 * program where an assertion of its own does not hold. Octets are those of WMO's Manual on Codes,
 * templates 5.2, 5.3, 5.4 and 5.40; the JPEG 2000 header is that of ISO/IEC 15444-1, annex A. */
#include <stdbool.h>
#include <string.h>

#include "wx/io/io_grib.h"

#define VALUE_BITS 32 /* of one packed number; no file needs more */

/* Bits from the front of octets, the first bit highest. */
typedef struct bits {
    const unsigned char *bytes;
    uint64_t at, end; /* in bits */
} bits;

/* Take a number of at most VALUE_BITS; false if there are not so many left. */
static bool take_bits(bits *source, unsigned count, uint32_t *out)
{
    uint64_t number = 0;
    if (count > source->end - source->at) {
        return false;
    }
    for (unsigned i = 0; i < count; i++, source->at++) {
        number = number << 1 | (source->bytes[source->at / 8] >> (7 - source->at % 8) & 1);
    }
    *out = (uint32_t)number;
    return true;
}

/* Cut `count` numbers of `width` bits off the front, up to the next octet. */
static bool cut_list(bits *rest, uint64_t count, unsigned width, bits *list)
{
    const uint64_t octets = (count * width + 7) / 8;
    if (octets * 8 > rest->end - rest->at) {
        return false;
    }
    *list = (bits){rest->bytes, rest->at, rest->at + octets * 8};
    rest->at += octets * 8;
    return true;
}

/* Templates 5.2 and 5.3: references, widths and lengths of groups, then their values. All must be
 * there, and the groups hold just as many values as section 5 says. */
static bool groups_hold(const sq_grib_field *field, bool differences)
{
    const sq_grib_section *packing = &field->section[5], *data = &field->section[7];
    bits rest = {data->bytes, 40, 8 * (uint64_t)data->size}, widths, lengths, references;
    const uint64_t count = sq_grib_u32(packing, 6);
    const unsigned value_bits = sq_grib_u8(packing, 20);
    const uint64_t groups = sq_grib_u32(packing, 32);
    const unsigned width_least = sq_grib_u8(packing, 36), width_bits = sq_grib_u8(packing, 37);
    const uint64_t length_least = sq_grib_u32(packing, 38);
    const unsigned length_step = sq_grib_u8(packing, 42), length_bits = sq_grib_u8(packing, 47);
    const uint64_t last_length = sq_grib_u32(packing, 43);
    if (groups == 0 || groups > count || sq_grib_u8(packing, 23) > 2 || value_bits > VALUE_BITS ||
        width_bits > VALUE_BITS || length_bits > VALUE_BITS) {
        return false;
    }
    if (differences) {
        const unsigned order = sq_grib_u8(packing, 48), octets = sq_grib_u8(packing, 49);
        bits first;
        if (order < 1 || order > 2 || octets < 1 || octets > 4 || count < order ||
            !cut_list(&rest, order + 1, 8 * octets, &first)) {
            return false;
        }
    }
    if (!cut_list(&rest, groups, value_bits, &references) ||
        !cut_list(&rest, groups, width_bits, &widths) ||
        !cut_list(&rest, groups, length_bits, &lengths)) {
        return false;
    }
    uint64_t values = 0, needed = 0;
    for (uint64_t i = 0; i < groups; i++) {
        uint32_t width, length;
        if (!take_bits(&widths, width_bits, &width) || !take_bits(&lengths, length_bits, &length) ||
            width > VALUE_BITS || width + width_least > VALUE_BITS) {
            return false;
        }
        const uint64_t in_group =
            i + 1 == groups ? last_length : length_least + (uint64_t)length * length_step;
        if (in_group > count - values) {
            return false;
        }
        values += in_group;
        needed += in_group * (width + width_least);
    }
    return values == count && needed <= rest.end - rest.at;
}

static uint32_t big_32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Template 5.40: one tile of one component, without a sign, and a pixel for each value. */
static bool jpeg_holds(const sq_grib_field *field)
{
    static const unsigned char begin[4] = {0xff, 0x4f, 0xff, 0x51}; /* SOC, SIZ */
    const sq_grib_section *packing = &field->section[5], *data = &field->section[7];
    const unsigned char *image = data->bytes + 5, *size = image + 4; /* Lsiz */
    if (sq_grib_u8(packing, 20) == 0) {
        return true; /* a constant, and no image */
    }
    if (data->size < 5 + 4 + 41 || memcmp(image, begin, sizeof begin) != 0 || size[0] != 0 ||
        size[1] != 41) { /* 38 octets and 3 for each component */
        return false;
    }
    const uint64_t width = big_32(size + 4), height = big_32(size + 8);
    const bool at_zero = big_32(size + 12) == 0 && big_32(size + 16) == 0 &&
                         big_32(size + 28) == 0 && big_32(size + 32) == 0;
    const bool one_tile = big_32(size + 20) >= width && big_32(size + 24) >= height;
    const bool one_component = size[36] == 0 && size[37] == 1 && size[39] == 1 && size[40] == 1;
    const unsigned depth = size[38] + 1u; /* 128 more with a sign */
    return at_zero && one_tile && one_component && depth < VALUE_BITS &&
           width * height == sq_grib_u32(packing, 6) && width < UINT32_MAX && height < UINT32_MAX;
}

/* Template 5.4: 32 or 64 bits a value. */
static bool floats_hold(const sq_grib_field *field)
{
    const uint64_t precision = sq_grib_u8(&field->section[5], 12);
    return (precision == 1 || precision == 2) &&
           field->section[7].size - 5 == 4 * precision * sq_grib_u32(&field->section[5], 6);
}

squall_status sq_grib_guard_values(const sq_grib_field *field, const char *where, squall_error *err)
{
    const unsigned template = sq_grib_u16(&field->section[5], 10);
    bool holds = true;
    if (template == SQ_GRIB_PACKED_COMPLEX || template == SQ_GRIB_PACKED_COMPLEX_DIFFERENCES) {
        holds = groups_hold(field, template == SQ_GRIB_PACKED_COMPLEX_DIFFERENCES);
    } else if (template == SQ_GRIB_PACKED_IEEE) {
        holds = floats_hold(field);
    } else if (template == SQ_GRIB_PACKED_JPEG2000) {
        holds = jpeg_holds(field);
    }
    return holds ? SQUALL_OK
                 : sq_fail(err, SQUALL_E_CORRUPT, where,
                           "what section 7 (%zu bytes, template 5.%u) holds is not the %u values "
                           "that section 5 says; fetch the file again",
                           field->section[7].size, template, sq_grib_u32(&field->section[5], 6));
}
