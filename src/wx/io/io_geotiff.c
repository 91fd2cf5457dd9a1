/* wx/io/io_geotiff.c - GeoTIFF's tags: where a picture lies (OGC 19-008r4). */
#include "wx/io/io_geotiff.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

enum {
    KEY_MODEL_TYPE = 1024,
    KEY_RASTER_TYPE = 1025,
    KEY_GEODETIC_CRS = 2048,
    KEY_MAJOR_AXIS = 2057,
    KEY_MINOR_AXIS = 2058,
    KEY_INVERSE_FLATTENING = 2059,
    KEY_PROJECTED_CRS = 3072,
    KEY_CONVERSION = 3074,
    KEY_METHOD = 3075,
    KEY_LINEAR_UNIT = 3076,
    KEY_PARALLEL_1 = 3078,
    KEY_PARALLEL_2 = 3079,
    KEY_ORIGIN_LON = 3080,
    KEY_ORIGIN_LAT = 3081,
    KEY_FALSE_EASTING = 3082,
    KEY_FALSE_NORTHING = 3083,
    KEY_FALSE_ORIGIN_LON = 3084,
    KEY_FALSE_ORIGIN_LAT = 3085,
    KEY_FALSE_ORIGIN_EASTING = 3086,
    KEY_FALSE_ORIGIN_NORTHING = 3087,
    KEY_CENTRE_LON = 3088,
    KEY_CENTRE_LAT = 3089,
    KEY_ORIGIN_SCALE = 3092,
    KEY_POLE_LON = 3095
};

enum { MODEL_PROJECTED = 1, MODEL_GEOGRAPHIC = 2 };
enum { RASTER_POINT = 2, USER_DEFINED = 32767, UNIT_METRE = 9001 };

enum {
    METHOD_TRANSVERSE_MERCATOR = 1,
    METHOD_LAMBERT_CONIC_2SP = 8,
    METHOD_LAMBERT_AZIMUTHAL = 10,
    METHOD_ALBERS = 11,
    METHOD_POLAR_STEREOGRAPHIC = 15
};

/* Where a key is in the directory, or NULL: four numbers, the key, the tag that holds its value (0
 * for itself), how many, and the value or its place in that tag. */
static const uint16_t *find_key(const sq_geotiff_tags *tags, unsigned key)
{
    for (size_t i = 4; i + 4 <= tags->key_count && i / 4 <= tags->keys[3]; i += 4) {
        if (tags->keys[i] == key) {
            return tags->keys + i;
        }
    }
    return NULL;
}

/* A key that is a small number; 0 if it is not there. */
static unsigned key_code(const sq_geotiff_tags *tags, unsigned key)
{
    const uint16_t *entry = find_key(tags, key);
    return entry != NULL && entry[1] == 0 ? entry[3] : 0;
}

/* A key that is a double, or `otherwise`. */
static double key_number(const sq_geotiff_tags *tags, unsigned key, double otherwise)
{
    const uint16_t *entry = find_key(tags, key);
    if (entry == NULL || entry[1] != 34736 || entry[3] >= tags->double_count ||
        !isfinite(tags->doubles[entry[3]])) {
        return otherwise;
    }
    return tags->doubles[entry[3]];
}

/* EPSG codes whose PROJ strings are short; others are left to PROJ's own list. Definitions as PROJ
 * 9.1 gives them (projinfo -o PROJ). */
static void epsg_text(unsigned code, char *text, size_t size)
{
    if (code >= 32601 && code <= 32660) {
        snprintf(text, size, "+proj=utm +zone=%u +ellps=WGS84 +units=m", code - 32600);
    } else if (code >= 32701 && code <= 32760) {
        snprintf(text, size, "+proj=utm +zone=%u +south +ellps=WGS84 +units=m", code - 32700);
    } else if (code >= 25828 && code <= 25838) {
        snprintf(text, size, "+proj=utm +zone=%u +ellps=GRS80 +units=m", code - 25800);
    } else if (code == 3067) {
        snprintf(text, size, "+proj=utm +zone=35 +ellps=GRS80 +units=m");
    } else if (code == 3035) {
        snprintf(text, size,
                 "+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 +ellps=GRS80 +units=m");
    } else if (code == 4326 || code == 4258 || code == 4269) {
        snprintf(text, size, "+proj=longlat +ellps=%s", code == 4326 ? "WGS84" : "GRS80");
    } else {
        snprintf(text, size, "EPSG:%u", code);
    }
}

/* The earth of a CRS that the file spells out: its axes, or that of a geodetic CRS we know. */
static bool earth_text(const sq_geotiff_tags *tags, char *text, size_t size)
{
    const double major = key_number(tags, KEY_MAJOR_AXIS, NAN);
    const double minor = key_number(tags, KEY_MINOR_AXIS, NAN);
    const double flattening = key_number(tags, KEY_INVERSE_FLATTENING, NAN);
    const unsigned geodetic = key_code(tags, KEY_GEODETIC_CRS);
    if (major > 1e6 && major < 1e7 && flattening > 1) {
        snprintf(text, size, "+a=%.12g +rf=%.12g", major, flattening);
    } else if (major > 1e6 && major < 1e7 && minor > 1e6 && minor <= major) {
        snprintf(text, size, "+a=%.12g +b=%.12g", major, minor);
    } else if (major > 1e6 && major < 1e7) {
        snprintf(text, size, "+R=%.12g", major);
    } else if (geodetic == 4326 || geodetic == 4258 || geodetic == 4269) {
        snprintf(text, size, "+ellps=%s", geodetic == 4326 ? "WGS84" : "GRS80");
    } else {
        return false;
    }
    return true;
}

/* A projection that the file spells out by its parameters. False for a method that is not known. */
static bool method_text(const sq_geotiff_tags *tags, const char *earth, char *text, size_t size)
{
    const double lon_0 = key_number(tags, KEY_ORIGIN_LON, 0);
    const double lat_0 = key_number(tags, KEY_ORIGIN_LAT, 0);
    const double lat_1 = key_number(tags, KEY_PARALLEL_1, lat_0);
    const double lat_2 = key_number(tags, KEY_PARALLEL_2, lat_1);
    const double x_0 = key_number(tags, KEY_FALSE_EASTING, 0);
    const double y_0 = key_number(tags, KEY_FALSE_NORTHING, 0);
    const double scale = key_number(tags, KEY_ORIGIN_SCALE, 1);
    const unsigned conversion = key_code(tags, KEY_CONVERSION); /* 160zz, 161zz: UTM zones */
    char place[128];
    if (conversion >= 16001 && conversion <= 16160 && (conversion - 16001) % 100 < 60) {
        snprintf(text, size, "+proj=utm +zone=%u%s %s +units=m", (conversion - 16000) % 100,
                 conversion > 16100 ? " +south" : "", earth);
        return true;
    }
    snprintf(place, sizeof place, "+x_0=%.12g +y_0=%.12g %s +units=m", x_0, y_0, earth);
    switch (key_code(tags, KEY_METHOD)) {
    case METHOD_TRANSVERSE_MERCATOR:
        snprintf(text, size, "+proj=tmerc +lat_0=%.12g +lon_0=%.12g +k=%.12g %s", lat_0, lon_0,
                 scale, place);
        return true;
    case METHOD_LAMBERT_CONIC_2SP:
        snprintf(text, size,
                 "+proj=lcc +lat_0=%.12g +lon_0=%.12g +lat_1=%.12g +lat_2=%.12g +x_0=%.12g "
                 "+y_0=%.12g %s +units=m",
                 key_number(tags, KEY_FALSE_ORIGIN_LAT, lat_0),
                 key_number(tags, KEY_FALSE_ORIGIN_LON, lon_0), lat_1, lat_2,
                 key_number(tags, KEY_FALSE_ORIGIN_EASTING, x_0),
                 key_number(tags, KEY_FALSE_ORIGIN_NORTHING, y_0), earth);
        return true;
    case METHOD_LAMBERT_AZIMUTHAL:
        snprintf(text, size, "+proj=laea +lat_0=%.12g +lon_0=%.12g %s",
                 key_number(tags, KEY_CENTRE_LAT, lat_0), key_number(tags, KEY_CENTRE_LON, lon_0),
                 place);
        return true;
    case METHOD_ALBERS:
        snprintf(text, size, "+proj=aea +lat_0=%.12g +lon_0=%.12g +lat_1=%.12g +lat_2=%.12g %s",
                 lat_0, lon_0, lat_1, lat_2, place);
        return true;
    case METHOD_POLAR_STEREOGRAPHIC:
        /* The origin's latitude is the true one here, where the scale is 1. */
        snprintf(text, size, "+proj=stere +lat_0=%d +%s=%.12g +lon_0=%.12g %s",
                 lat_0 < 0 ? -90 : 90, scale == 1 ? "lat_ts" : "k", scale == 1 ? lat_0 : scale,
                 key_number(tags, KEY_POLE_LON, lon_0), place);
        return true;
    default:
        return false;
    }
}

static squall_status find_projection(const sq_geotiff_tags *tags, const char *where, char *text,
                                     size_t size, squall_error *err)
{
    const unsigned model = key_code(tags, KEY_MODEL_TYPE);
    const bool geographic = model == MODEL_GEOGRAPHIC;
    const unsigned code = key_code(tags, geographic ? KEY_GEODETIC_CRS : KEY_PROJECTED_CRS);
    const unsigned unit = key_code(tags, KEY_LINEAR_UNIT);
    char earth[64];
    if (!geographic && model != MODEL_PROJECTED) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "model type %u; projected (1) and geographic (2) are taken", model);
    }
    if (code != 0 && code != USER_DEFINED) {
        epsg_text(code, text, size);
        return SQUALL_OK;
    }
    if (!geographic && unit != 0 && unit != UNIT_METRE) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "unit %u of length; metres (9001) are taken", unit);
    }
    if (!earth_text(tags, earth, sizeof earth)) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "its earth is neither an EPSG code known here nor given by its axes");
    }
    if (geographic) {
        snprintf(text, size, "+proj=longlat %s", earth);
        return SQUALL_OK;
    }
    if (!method_text(tags, earth, text, size)) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "projection method %u is not taken; an EPSG code would be",
                       key_code(tags, KEY_METHOD));
    }
    return SQUALL_OK;
}

squall_status sq_geotiff_place(const sq_geotiff_tags *tags, const char *where, squall_grid *grid,
                               squall_error *err)
{
    if (tags->key_count < 4) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "a TIFF without GeoTIFF's key directory has no place on the earth");
    }
    if (tags->scale_count >= 2 && tags->tie_count >= 6) {
        grid->dx = tags->scale[0];
        grid->dy = tags->scale[1];
        grid->left = tags->tie[3] - tags->tie[0] * grid->dx;
        grid->top = tags->tie[4] + tags->tie[1] * grid->dy;
    } else if (tags->matrix_count >= 8 && tags->matrix[1] == 0 && tags->matrix[4] == 0) {
        grid->dx = tags->matrix[0];
        grid->dy = -tags->matrix[5];
        grid->left = tags->matrix[3];
        grid->top = tags->matrix[7];
    } else {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "neither a pixel scale with a tie point nor a matrix without rotation; turn "
                       "it to north with gdalwarp");
    }
    if (!(grid->dx > 0) || !(grid->dy > 0) || !isfinite(grid->left) || !isfinite(grid->top)) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "pixels of %g x %g at (%g, %g); sizes must be above 0", grid->dx, grid->dy,
                       grid->left, grid->top);
    }
    if (key_code(tags, KEY_RASTER_TYPE) == RASTER_POINT) {
        grid->left -= grid->dx / 2;
        grid->top += grid->dy / 2;
    }
    return find_projection(tags, where, grid->proj, sizeof grid->proj, err);
}
