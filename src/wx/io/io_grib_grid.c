/* wx/io/io_grib_grid.c - section 3 of GRIB2: where a field lies. */
#include <math.h>
#include <stdio.h>

#include "wx/io/io_grib.h"
#include "wx/io/io_share.h"

/* Grid definition templates, with the size of the section and the octet of the scanning mode. */
enum { GRID_LONLAT = 0, GRID_POLAR_STEREOGRAPHIC = 20, GRID_LAMBERT = 30 };

static size_t grid_octets(unsigned template, size_t *scanning)
{
    switch (template) {
    case GRID_LONLAT:
        *scanning = 72;
        return 72;
    case GRID_POLAR_STEREOGRAPHIC:
        *scanning = 65;
        return 65;
    case GRID_LAMBERT:
        *scanning = 65;
        return 81;
    default:
        return 0;
    }
}

/* The earth by code table 3.2, as PROJ says it. False for one that is not known. */
static bool earth_text(const sq_grib_section *section, char *text, size_t size)
{
    const unsigned shape = sq_grib_u8(section, 15);
    const double radius =
        sq_grib_u32(section, 17) / pow(10, (double)(int8_t)sq_grib_u8(section, 16));
    double major = sq_grib_u32(section, 22) / pow(10, (double)(int8_t)sq_grib_u8(section, 21));
    double minor = sq_grib_u32(section, 27) / pow(10, (double)(int8_t)sq_grib_u8(section, 26));
    switch (shape) {
    case 0:
        snprintf(text, size, "+R=6367470");
        return true;
    case 1:
        snprintf(text, size, "+R=%.12g", radius);
        return radius > 1e6 && radius < 1e7;
    case 2:
        snprintf(text, size, "+a=6378160 +b=6356775");
        return true;
    case 3:
        major *= 1000;
        minor *= 1000;
        break;
    case 4:
        snprintf(text, size, "+ellps=GRS80");
        return true;
    case 5:
        snprintf(text, size, "+ellps=WGS84");
        return true;
    case 6:
        snprintf(text, size, "+R=6371229");
        return true;
    case 7:
        break;
    case 8:
        snprintf(text, size, "+R=6371200");
        return true;
    default:
        return false;
    }
    snprintf(text, size, "+a=%.12g +b=%.12g", major, minor);
    return major > 1e6 && major < 1e7 && minor > 1e6 && minor <= major;
}

/* The distance between neighbours in degrees: as given, else from the first and the last point. */
static double increment(const sq_grib_section *section, size_t octet, bool given, double span,
                        size_t count, double unit)
{
    const uint32_t raw = sq_grib_u32(section, octet);
    if (given && raw != SQ_GRIB_MISSING_32 && raw != 0) {
        return raw * unit;
    }
    return count > 1 ? span / (double)(count - 1) : 0;
}

/* Template 3.0. The increments decide: MRMS rounds its last point off by a millionth. */
static void place_lonlat(const sq_grib_section *section, const char *earth, squall_grid *grid,
                         const sq_grib_scan *scan)
{
    const uint32_t basic = sq_grib_u32(section, 39), parts = sq_grib_u32(section, 43);
    const bool own_unit =
        basic != 0 && basic != SQ_GRIB_MISSING_32 && parts != 0 && parts != SQ_GRIB_MISSING_32;
    const double unit = own_unit ? (double)basic / parts : 1e-6;
    const double lat_1 = (double)sq_grib_s32(section, 47) * unit;
    const double lon_1 = (double)sq_grib_s32(section, 51) * unit;
    const double lat_2 = (double)sq_grib_s32(section, 56) * unit;
    const double lon_2 = (double)sq_grib_s32(section, 60) * unit;
    const unsigned flags = sq_grib_u8(section, 55);
    const double lon_span = fmod(scan->from_east ? lon_1 - lon_2 : lon_2 - lon_1, 360);
    grid->dx = increment(section, 64, flags & 0x20, lon_span < 0 ? lon_span + 360 : lon_span,
                         grid->width, unit);
    grid->dy = increment(section, 68, flags & 0x10, fabs(lat_2 - lat_1), grid->height, unit);
    const double west = scan->from_east ? lon_1 - (double)(grid->width - 1) * grid->dx : lon_1;
    const double north = scan->from_south ? lat_1 + (double)(grid->height - 1) * grid->dy : lat_1;
    grid->left = west - grid->dx / 2;
    grid->left -= 360 * floor((grid->left + 180) / 360);
    grid->top = north + grid->dy / 2;
    snprintf(grid->proj, sizeof grid->proj, "+proj=longlat %s", earth);
}

/* Templates 3.20 and 3.30: the first point is given as longitude and latitude. */
static squall_status place_projected(const sq_grib_section *section, unsigned template,
                                     const char *earth, const char *where, squall_grid *grid,
                                     const sq_grib_scan *scan, squall_error *err)
{
    const double lat_1 = (double)sq_grib_s32(section, 39) * 1e-6;
    const double lon_1 = (double)sq_grib_s32(section, 43) * 1e-6;
    const double lat_d = (double)sq_grib_s32(section, 48) * 1e-6;
    const double lon_v = (double)sq_grib_s32(section, 52) * 1e-6;
    const double lon_0 = lon_v - 360 * floor((lon_v + 180) / 360);
    grid->dx = sq_grib_u32(section, 56) * 1e-3;
    grid->dy = sq_grib_u32(section, 60) * 1e-3;
    if (template == GRID_POLAR_STEREOGRAPHIC) {
        const bool south = sq_grib_u8(section, 64) & 0x80;
        snprintf(grid->proj, sizeof grid->proj,
                 "+proj=stere +lat_0=%d +lat_ts=%.10g +lon_0=%.10g %s +units=m", south ? -90 : 90,
                 lat_d, lon_0, earth);
    } else {
        snprintf(grid->proj, sizeof grid->proj,
                 "+proj=lcc +lat_0=%.10g +lon_0=%.10g +lat_1=%.10g +lat_2=%.10g %s +units=m", lat_d,
                 lon_0, (double)sq_grib_s32(section, 66) * 1e-6,
                 (double)sq_grib_s32(section, 70) * 1e-6, earth);
    }
    double x, y;
    SQ_TRY(sq_io_project(grid->proj, lon_1, lat_1, where, &x, &y, err));
    const double west = scan->from_east ? x - (double)(grid->width - 1) * grid->dx : x;
    const double north = scan->from_south ? y + (double)(grid->height - 1) * grid->dy : y;
    grid->left = west - grid->dx / 2;
    grid->top = north + grid->dy / 2;
    return SQUALL_OK;
}

size_t sq_grib_cells(const sq_grib_field *field)
{
    return (size_t)sq_grib_u32(&field->section[3], 31) * sq_grib_u32(&field->section[3], 35);
}

/* Sides and their product against the limits and against what the section counts itself. */
static squall_status check_sides(const sq_grib_section *section, const char *where,
                                 squall_error *err)
{
    const uint32_t width = sq_grib_u32(section, 31), height = sq_grib_u32(section, 35);
    const uint32_t points = sq_grib_u32(section, 7);
    if (sq_grib_u8(section, 6) != 0 || sq_grib_u8(section, 11) != 0 ||
        width == SQ_GRIB_MISSING_32 || height == SQ_GRIB_MISSING_32) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "its rows are not all of one length; only regular grids are taken");
    }
    if (width == 0 || height == 0 || (uint64_t)width * height != points) {
        return sq_fail(err, SQUALL_E_CORRUPT, where, "%u x %u points; section 3 counts %u", width,
                       height, points);
    }
    if (width > SQ_LIMIT_FIELD_SIDE || height > SQ_LIMIT_FIELD_SIDE ||
        points > SQ_LIMIT_FIELD_CELLS) {
        return sq_fail(err, SQUALL_E_LIMIT, where,
                       "%u x %u points exceed the limits of %zu a side and %zu in all", width,
                       height, SQ_LIMIT_FIELD_SIDE, SQ_LIMIT_FIELD_CELLS);
    }
    return SQUALL_OK;
}

squall_status sq_grib_read_grid(const sq_grib_field *field, const char *where, squall_grid *grid,
                                sq_grib_scan *scan, squall_error *err)
{
    const sq_grib_section *section = &field->section[3];
    const unsigned template = sq_grib_u16(section, 13);
    size_t scanning = 0;
    const size_t octets = grid_octets(template, &scanning);
    char earth[64];
    if (octets == 0) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "grid template 3.%u; longitude-latitude (3.0), polar stereographic (3.20) "
                       "and Lambert conformal (3.30) are taken",
                       template);
    }
    if (section->size < octets) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "section 3 of %zu bytes; grid template 3.%u has %zu", section->size,
                       template, octets);
    }
    SQ_TRY(check_sides(section, where, err));
    const unsigned mode = sq_grib_u8(section, scanning);
    if (mode & 0x30) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "scanning mode 0x%02x runs along columns or turns at row ends; rows in one "
                       "direction are taken",
                       mode);
    }
    if (!earth_text(section, earth, sizeof earth)) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where, "shape %u of the earth is not known",
                       sq_grib_u8(section, 15));
    }
    scan->from_east = mode & 0x80;
    scan->from_south = mode & 0x40;
    if (grid == NULL) {
        return SQUALL_OK;
    }
    *grid = (squall_grid){.width = sq_grib_u32(section, 31), .height = sq_grib_u32(section, 35)};
    if (template == GRID_LONLAT) {
        place_lonlat(section, earth, grid, scan);
        return SQUALL_OK;
    }
    return place_projected(section, template, earth, where, grid, scan, err);
}
