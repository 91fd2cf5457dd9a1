/* wx/io/io_grib.h - what the files of the GRIB2 reader share: sections, fields, octets. */
#ifndef SQ_WX_IO_IO_GRIB_H
#define SQ_WX_IO_IO_GRIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wx/io/io.h"

#define SQ_GRIB_SECTIONS 8

/** Bytes of one section, borrowed from the file; NULL where there is none. */
typedef struct sq_grib_section {
    const unsigned char *bytes;
    size_t size;
} sq_grib_section;

/** One field: its sections (1 to 7, by number) and what they say. A message may hold several. */
typedef struct sq_grib_field {
    sq_grib_section section[SQ_GRIB_SECTIONS];
    size_t message, part; /* from 1; `part` is the field in its message */
    bool alone;           /* the only field of its message */
    unsigned discipline, category, number;
    unsigned product; /* product definition template */
    int64_t time;     /* the end of the window; SQUALL_TIME_NONE where it cannot be told */
    int32_t window_s; /* 0 for an instant */
} sq_grib_field;

/** Octets `first`.. of a section as WMO counts them, from 1; the caller has checked its size. */
static inline unsigned sq_grib_u8(const sq_grib_section *section, size_t octet)
{
    return section->bytes[octet - 1];
}
static inline unsigned sq_grib_u16(const sq_grib_section *section, size_t octet)
{
    return sq_grib_u8(section, octet) << 8 | sq_grib_u8(section, octet + 1);
}
static inline uint32_t sq_grib_u32(const sq_grib_section *section, size_t octet)
{
    return (uint32_t)sq_grib_u16(section, octet) << 16 | sq_grib_u16(section, octet + 2);
}
/** GRIB writes a negative number as its amount with the first bit set. */
static inline int sq_grib_s16(const sq_grib_section *section, size_t octet)
{
    const unsigned raw = sq_grib_u16(section, octet);
    return raw & 0x8000u ? -(int)(raw & 0x7fffu) : (int)raw;
}
static inline int64_t sq_grib_s32(const sq_grib_section *section, size_t octet)
{
    const uint32_t raw = sq_grib_u32(section, octet);
    return raw & 0x80000000u ? -(int64_t)(raw & 0x7fffffffu) : (int64_t)raw;
}

#define SQ_GRIB_MISSING_32 0xffffffffu /* all bits set: not given */

/** Walk all messages of a file, check their sections' sizes, and list the fields, given (sq_free);
 * at least one. Values are not looked at. */
SQUALL_MUST_USE squall_status sq_grib_walk(const unsigned char *bytes, size_t size,
                                           const char *name, sq_grib_field **fields, size_t *count,
                                           squall_error *err);

/** How a field's rows lie in the file. */
typedef struct sq_grib_scan {
    bool from_east, from_south;
} sq_grib_scan;

/** The grid of a field, and its scanning mode. `where` names the field. The corner of a projected
 * grid costs a call of PROJ; `grid` may be NULL to check only that the grid is taken at all. */
SQUALL_MUST_USE squall_status sq_grib_read_grid(const sq_grib_field *field, const char *where,
                                                squall_grid *grid, sq_grib_scan *scan,
                                                squall_error *err);

/** Cells by the grid section, which sq_grib_read_grid() has passed. */
size_t sq_grib_cells(const sq_grib_field *field);

/** Data representation templates: how values are packed. */
enum {
    SQ_GRIB_PACKED_SIMPLY = 0,
    SQ_GRIB_PACKED_COMPLEX = 2,
    SQ_GRIB_PACKED_COMPLEX_DIFFERENCES = 3,
    SQ_GRIB_PACKED_IEEE = 4,
    SQ_GRIB_PACKED_JPEG2000 = 40,
    SQ_GRIB_PACKED_PNG = 41,
    SQ_GRIB_PACKED_CCSDS = 42
};

/** Whether the packing is taken, and fits the grid. */
SQUALL_MUST_USE squall_status sq_grib_check_values(const sq_grib_field *field, const char *where,
                                                   squall_error *err);

/** Unpack the values in the order of the file, each times `factor`, into `values`, sq_grib_cells();
 * NaN where the field's bitmap has none. Needs the lock of the room. */
SQUALL_MUST_USE squall_status sq_grib_read_values(const sq_grib_field *field, double factor,
                                                  const char *where, float *values,
                                                  squall_error *err);

/** Whether sections 5 and 7 of a field that sq_grib_check_values() has passed hold together, so
 * that ecCodes may unpack them.
 * @return SQUALL_OK; SQUALL_E_CORRUPT. */
SQUALL_MUST_USE squall_status sq_grib_guard_values(const sq_grib_field *field, const char *where,
                                                   squall_error *err);

#endif /* SQ_WX_IO_IO_GRIB_H */
