/* wx/product/product_crs.c - map projections in the words of the CF conventions (appendix F). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "wx/product/product.h"

#define WORDS_MAX 48
#define DEGREE    0.017453292519943295

/* A PROJ string taken apart: "+key=value" or "+key". */
typedef struct words {
    char buffer[512];
    size_t count;
    const char *key[WORDS_MAX];
    const char *value[WORDS_MAX]; /* "" where there is none */
    const char *whole;            /* as it was given, for messages */
} words;

/* The earth under a projection, in metres; b equals a on a sphere. */
typedef struct earth {
    double a, b;
    double inverse_flattening; /* 0 where b was given */
    double unit_m;             /* metres in the unit that the string gives lengths in */
} earth;

/* Codes that radar composites come with; UTM zones are worked out. PROJ strings as printed by PROJ
 * 9.5 (pyproj 3.7, CRS(code).to_proj4()), datums as their ellipsoids. */
static const struct {
    int code;
    const char *proj;
} epsg_table[] = {
    {2154, "+proj=lcc +lat_0=46.5 +lon_0=3 +lat_1=49 +lat_2=44 +x_0=700000 +y_0=6600000 "
           "+ellps=GRS80"},
    {2193, "+proj=tmerc +lat_0=0 +lon_0=173 +k=0.9996 +x_0=1600000 +y_0=10000000 +ellps=GRS80"},
    {3006, "+proj=utm +zone=33 +ellps=GRS80"},
    {3031, "+proj=stere +lat_0=-90 +lat_ts=-71 +lon_0=0 +ellps=WGS84"},
    {3034, "+proj=lcc +lat_0=52 +lon_0=10 +lat_1=35 +lat_2=65 +x_0=4000000 +y_0=2800000 "
           "+ellps=GRS80"},
    {3035, "+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 +ellps=GRS80"},
    {3067, "+proj=utm +zone=35 +ellps=GRS80"},
    {3413, "+proj=stere +lat_0=90 +lat_ts=70 +lon_0=-45 +ellps=WGS84"},
    {3575, "+proj=laea +lat_0=90 +lon_0=10 +ellps=WGS84"},
    {3577, "+proj=aea +lat_0=0 +lon_0=132 +lat_1=-18 +lat_2=-36 +ellps=GRS80"},
    {3857, "+proj=merc +a=6378137 +b=6378137"},
    {3995, "+proj=stere +lat_0=90 +lat_ts=71 +lon_0=0 +ellps=WGS84"},
    {4258, "+proj=longlat +ellps=GRS80"},
    {4269, "+proj=longlat +ellps=GRS80"},
    {4326, "+proj=longlat +ellps=WGS84"},
    {5070, "+proj=aea +lat_0=23 +lon_0=-96 +lat_1=29.5 +lat_2=45.5 +ellps=GRS80"},
};

/* Semi-axes as PROJ's `-le` lists them. */
static const struct {
    const char *name;
    earth shape;
} ellipsoid_table[] = {
    {"WGS84", {6378137.0, 0.0, 298.257223563, 1.0}},
    {"GRS80", {6378137.0, 0.0, 298.257222101, 1.0}},
    {"bessel", {6377397.155, 0.0, 299.1528128, 1.0}},
    {"intl", {6378388.0, 0.0, 297.0, 1.0}},
    {"airy", {6377563.396, 0.0, 299.3249646, 1.0}},
    {"mod_airy", {6377340.189, 6356034.446, 0.0, 1.0}},
    {"clrk66", {6378206.4, 6356583.8, 0.0, 1.0}},
    {"clrk80", {6378249.145, 0.0, 293.4663, 1.0}},
    {"krass", {6378245.0, 0.0, 298.3, 1.0}},
    {"WGS72", {6378135.0, 0.0, 298.26, 1.0}},
    {"WGS66", {6378145.0, 0.0, 298.25, 1.0}},
    {"GRS67", {6378160.0, 0.0, 298.247167427, 1.0}},
    {"aust_SA", {6378160.0, 0.0, 298.25, 1.0}},
    {"hough", {6378270.0, 0.0, 297.0, 1.0}},
    {"evrst30", {6377276.345, 0.0, 300.8017, 1.0}},
    {"sphere", {6370997.0, 6370997.0, 0.0, 1.0}},
    /* +datum=: those that need no shift to WGS 84, under the names of datums. */
    {"NAD83", {6378137.0, 0.0, 298.257222101, 1.0}},
};

/* Where a PROJ word goes: a number of the grid mapping, 0 when it is not given. */
typedef struct place {
    const char *key;
    const char *attribute;
} place;

#define PLACES_MAX 4
typedef struct projection projection;

/* A projection: its names, the attributes that are a matter of names, further words it takes, and
 * what needs working out. */
struct projection {
    const char *proj;
    const char *mapping;
    place places[PLACES_MAX];
    const char *words; /* each between spaces */
    squall_status (*finish)(const words *w, const earth *shape, sq_product_crs *out,
                            squall_error *err);
};

/* Words that any projection may have: the earth, units, and what changes no place. */
static const char *const common_words =
    " proj a b R rf f ellps datum units to_meter towgs84 no_defs type wktext over nadgrids pm ";

static squall_status unsupported(const words *w, squall_error *err, const char *what,
                                 const char *value)
{
    return sq_fail(err, SQUALL_E_UNSUPPORTED, "projection",
                   "CF has no words for '%s%s' in \"%.160s\"; regrid to another projection first",
                   what, value, w->whole);
}

static const char *find_word(const words *w, const char *key)
{
    for (size_t i = 0; i < w->count; i++) {
        if (strcmp(w->key[i], key) == 0) {
            return w->value[i];
        }
    }
    return NULL;
}

/* A number, or `fallback` where the word is not there. */
static squall_status read_number(const words *w, const char *key, double fallback, double *out,
                                 squall_error *err)
{
    const char *text = find_word(w, key);
    *out = fallback;
    if (text == NULL) {
        return SQUALL_OK;
    }
    char *end;
    const double number = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(number)) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, "projection",
                       "'+%s=%s' in \"%.160s\" is no decimal number", key, text, w->whole);
    }
    *out = number;
    return SQUALL_OK;
}

static void add_numbers(sq_product_crs *out, const char *name, const double *values, size_t count)
{
    sq_product_crs_attribute *attribute = &out->attributes[out->count++];
    attribute->name = name;
    attribute->text = NULL;
    attribute->count = count;
    memcpy(attribute->values, values, count * sizeof *values);
}

static void add_number(sq_product_crs *out, const char *name, double value)
{
    add_numbers(out, name, &value, 1);
}

/* The scale factor, as PROJ finds it. */
static squall_status read_scale(const words *w, double *out, squall_error *err)
{
    SQ_TRY(read_number(w, find_word(w, "k_0") != NULL ? "k_0" : "k", 1.0, out, err));
    if (!(*out > 0.0)) {
        return unsupported(w, err, "scale factor of 0 or less", "");
    }
    return SQUALL_OK;
}

/* The parallel, in degrees, at which a polar stereographic projection with the factor `scale` < 1
 * at the pole is true to scale: Snyder (1987), equations 21-33 to 21-35 and 14-15, by bisection.
 * Readers that turn a scale factor into a parallel do so for a sphere, which moves a map by
 * kilometres; so they get the parallel. */
static double true_parallel(double scale, const earth *shape)
{
    const double flat = shape->b / shape->a;
    const double e = sqrt(fmax(0.0, 1.0 - flat * flat));
    const double at_pole = 2.0 / sqrt(pow(1.0 + e, 1.0 + e) * pow(1.0 - e, 1.0 - e));
    double low = -90.0, high = 90.0;
    for (int i = 0; i < 100; i++) {
        const double middle = 0.5 * (low + high);
        const double phi = middle * DEGREE;
        const double es = e * sin(phi);
        const double m = cos(phi) / sqrt(1.0 - es * es);
        const double t = tan(45.0 * DEGREE - 0.5 * phi) / pow((1.0 - es) / (1.0 + es), 0.5 * e);
        if (m / t < scale * at_pole) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return 0.5 * (low + high);
}

/* Polar or oblique: CF has two names for what PROJ calls stere. */
static squall_status finish_stere(const words *w, const earth *shape, sq_product_crs *out,
                                  squall_error *err)
{
    double lat_0, lat_ts, scale;
    SQ_TRY(read_number(w, "lat_0", 0.0, &lat_0, err));
    SQ_TRY(read_number(w, "lat_ts", 90.0, &lat_ts, err));
    SQ_TRY(read_scale(w, &scale, err));
    if (fabs(fabs(lat_0) - 90.0) > 1e-9) {
        add_number(out, "scale_factor_at_projection_origin", scale);
        return SQUALL_OK;
    }
    out->mapping = "polar_stereographic";
    out->attributes[0].name = "straight_vertical_longitude_from_pole";
    const double side = lat_0 < 0.0 ? -1.0 : 1.0;
    /* PROJ looks at the scale factor only where no parallel is given. */
    if (fabs(fabs(lat_ts) - 90.0) > 1e-9) {
        add_number(out, "standard_parallel", side * fabs(lat_ts));
    } else if (scale < 1.0) {
        add_number(out, "standard_parallel", side * true_parallel(scale, shape));
    } else {
        add_number(out, "scale_factor_at_projection_origin", scale);
    }
    return SQUALL_OK;
}

static squall_status finish_merc(const words *w, const earth *shape, sq_product_crs *out,
                                 squall_error *err)
{
    (void)shape;
    double number;
    if (find_word(w, "lat_ts") != NULL) {
        SQ_TRY(read_number(w, "lat_ts", 0.0, &number, err));
        add_number(out, "standard_parallel", fabs(number));
    } else {
        SQ_TRY(read_scale(w, &number, err));
        add_number(out, "scale_factor_at_projection_origin", number);
    }
    return SQUALL_OK;
}

static squall_status finish_tmerc(const words *w, const earth *shape, sq_product_crs *out,
                                  squall_error *err)
{
    (void)shape;
    double scale;
    SQ_TRY(read_scale(w, &scale, err));
    add_number(out, "scale_factor_at_central_meridian", scale);
    return SQUALL_OK;
}

/* A zone is a transverse Mercator with everything settled. */
static squall_status finish_utm(const words *w, const earth *shape, sq_product_crs *out,
                                squall_error *err)
{
    (void)shape;
    double zone;
    SQ_TRY(read_number(w, "zone", 0.0, &zone, err));
    if (zone < 1.0 || zone > 60.0 || zone != floor(zone)) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, "projection",
                       "\"%.160s\" has no UTM zone from 1 to 60", w->whole);
    }
    add_number(out, "longitude_of_central_meridian", zone * 6.0 - 183.0);
    add_number(out, "latitude_of_projection_origin", 0.0);
    add_number(out, "false_easting", 500000.0);
    add_number(out, "false_northing", find_word(w, "south") != NULL ? 10000000.0 : 0.0);
    add_number(out, "scale_factor_at_central_meridian", 0.9996);
    return SQUALL_OK;
}

/* Parallels with PROJ's fallbacks: one parallel is also the origin's. */
static squall_status finish_lcc(const words *w, const earth *shape, sq_product_crs *out,
                                squall_error *err)
{
    (void)shape;
    double parallels[2], lat_0, scale;
    SQ_TRY(read_scale(w, &scale, err));
    if (scale != 1.0) {
        return unsupported(w, err, "a scale factor with +proj=lcc", "");
    }
    SQ_TRY(read_number(w, "lat_1", 0.0, &parallels[0], err));
    SQ_TRY(read_number(w, "lat_2", parallels[0], &parallels[1], err));
    const bool one = find_word(w, "lat_2") == NULL;
    SQ_TRY(read_number(w, "lat_0", one ? parallels[0] : 0.0, &lat_0, err));
    add_number(out, "latitude_of_projection_origin", lat_0);
    /* One number means that the cone touches at the origin; otherwise both are said. */
    const bool touches = parallels[0] == parallels[1] && parallels[0] == lat_0;
    add_numbers(out, "standard_parallel", parallels, touches ? 1 : 2);
    return SQUALL_OK;
}

static squall_status finish_aea(const words *w, const earth *shape, sq_product_crs *out,
                                squall_error *err)
{
    (void)shape;
    double parallels[2];
    SQ_TRY(read_number(w, "lat_1", 0.0, &parallels[0], err));
    SQ_TRY(read_number(w, "lat_2", 0.0, &parallels[1], err));
    add_numbers(out, "standard_parallel", parallels, 2);
    return SQUALL_OK;
}

/* Seen from a satellite. CF-1.8 speaks of scanning angles under names that it defines in metres;
 * its checkers and GDAL take PROJ's metres, which are the angles times the height, and so do we. */
static squall_status finish_geos(const words *w, const earth *shape, sq_product_crs *out,
                                 squall_error *err)
{
    double height, lat_0;
    const char *sweep = find_word(w, "sweep");
    SQ_TRY(read_number(w, "h", 0.0, &height, err));
    SQ_TRY(read_number(w, "lat_0", 0.0, &lat_0, err));
    if (!(height > 0.0) || lat_0 != 0.0) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, "projection",
                       "\"%.160s\" needs a height +h= above 0 and no latitude", w->whole);
    }
    if (sweep != NULL && strcmp(sweep, "x") != 0 && strcmp(sweep, "y") != 0) {
        return unsupported(w, err, "+sweep=", sweep);
    }
    add_number(out, "latitude_of_projection_origin", 0.0);
    height *= shape->unit_m;
    add_number(out, "perspective_point_height", height);
    out->attributes[out->count++] =
        (sq_product_crs_attribute){.name = "sweep_angle_axis",
                                   .text = sweep != NULL && *sweep == 'x' ? "x" : "y"};
    return SQUALL_OK;
}

static const projection projection_table[] = {
    {"longlat", "latitude_longitude", {{NULL, NULL}}, " ", NULL},
    {"laea",
     "lambert_azimuthal_equal_area",
     {{"lon_0", "longitude_of_projection_origin"},
      {"lat_0", "latitude_of_projection_origin"},
      {"x_0", "false_easting"},
      {"y_0", "false_northing"}},
     " ",
     NULL},
    {"aeqd",
     "azimuthal_equidistant",
     {{"lon_0", "longitude_of_projection_origin"},
      {"lat_0", "latitude_of_projection_origin"},
      {"x_0", "false_easting"},
      {"y_0", "false_northing"}},
     " ",
     NULL},
    {"stere",
     "stereographic",
     {{"lon_0", "longitude_of_projection_origin"},
      {"lat_0", "latitude_of_projection_origin"},
      {"x_0", "false_easting"},
      {"y_0", "false_northing"}},
     " lat_ts k k_0 ",
     finish_stere},
    {"merc",
     "mercator",
     {{"lon_0", "longitude_of_projection_origin"},
      {"x_0", "false_easting"},
      {"y_0", "false_northing"}},
     " lat_ts k k_0 ",
     finish_merc},
    {"tmerc",
     "transverse_mercator",
     {{"lon_0", "longitude_of_central_meridian"},
      {"lat_0", "latitude_of_projection_origin"},
      {"x_0", "false_easting"},
      {"y_0", "false_northing"}},
     " k k_0 approx ",
     finish_tmerc},
    {"utm", "transverse_mercator", {{NULL, NULL}}, " zone south approx ", finish_utm},
    {"lcc",
     "lambert_conformal_conic",
     {{"lon_0", "longitude_of_central_meridian"},
      {"x_0", "false_easting"},
      {"y_0", "false_northing"}},
     " lat_0 lat_1 lat_2 k k_0 ",
     finish_lcc},
    {"aea",
     "albers_conical_equal_area",
     {{"lon_0", "longitude_of_central_meridian"},
      {"lat_0", "latitude_of_projection_origin"},
      {"x_0", "false_easting"},
      {"y_0", "false_northing"}},
     " lat_1 lat_2 ",
     finish_aea},
    {"geos",
     "geostationary",
     {{"lon_0", "longitude_of_projection_origin"},
      {"x_0", "false_easting"},
      {"y_0", "false_northing"}},
     " h sweep lat_0 ",
     finish_geos},
};

/* The same projection under another name. */
static const char *plain_name(const char *proj)
{
    static const char *const same[][2] = {{"latlong", "longlat"},
                                          {"latlon", "longlat"},
                                          {"lonlat", "longlat"},
                                          {"etmerc", "tmerc"}};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        if (strcmp(proj, same[i][0]) == 0) {
            return same[i][1];
        }
    }
    return proj;
}

/* The PROJ string behind "EPSG:n", written into `text`; whatever is no such code is copied as it
 * is. False for a code that is not known. */
static bool expand_code(const char *proj, char *text, size_t size)
{
    const char *start = proj + strspn(proj, " ");
    if (strncasecmp(start, "epsg:", 5) != 0) {
        snprintf(text, size, "%s", proj);
        return true;
    }
    char *rest;
    const long code = strtol(start + 5, &rest, 10);
    for (size_t i = 0; i < sizeof epsg_table / sizeof epsg_table[0]; i++) {
        if (code == epsg_table[i].code) {
            snprintf(text, size, "%s%s", epsg_table[i].proj, rest);
            return true;
        }
    }
    static const struct {
        int first, last, zone;
        const char *more;
    } zones[] = {{32601, 32660, 1, "+ellps=WGS84"},
                 {32701, 32760, 1, "+south +ellps=WGS84"},
                 {25828, 25838, 28, "+ellps=GRS80"},
                 {26901, 26923, 1, "+ellps=GRS80"}};
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
        if (code >= zones[i].first && code <= zones[i].last) {
            snprintf(text, size, "+proj=utm +zone=%ld %s%s", code - zones[i].first + zones[i].zone,
                     zones[i].more, rest);
            return true;
        }
    }
    return false;
}

static squall_status read_words(const char *proj, words *w, squall_error *err)
{
    memset(w, 0, sizeof *w);
    w->whole = proj;
    if (!expand_code(proj, w->buffer, sizeof w->buffer)) {
        return unsupported(w, err, proj, "");
    }
    char *save = NULL;
    for (char *word = strtok_r(w->buffer, " \t\r\n", &save); word != NULL;
         word = strtok_r(NULL, " \t\r\n", &save)) {
        if (w->count == WORDS_MAX) {
            return sq_fail(err, SQUALL_E_UNSUPPORTED, "projection", "more than %d words in it",
                           WORDS_MAX);
        }
        char *equals = strchr(word, '=');
        w->key[w->count] = word + (*word == '+');
        w->value[w->count] = equals != NULL ? equals + 1 : "";
        if (equals != NULL) {
            *equals = '\0';
        }
        w->count++;
    }
    return SQUALL_OK;
}

/* Refuse every word whose effect would be lost. */
static squall_status check_words(const words *w, const projection *kind, squall_error *err)
{
    for (size_t i = 0; i < w->count; i++) {
        char spaced[64];
        if (snprintf(spaced, sizeof spaced, " %s ", w->key[i]) >= (int)sizeof spaced) {
            return unsupported(w, err, w->key[i], "");
        }
        bool known = strstr(common_words, spaced) != NULL || strstr(kind->words, spaced) != NULL;
        for (size_t k = 0; k < PLACES_MAX && kind->places[k].key != NULL; k++) {
            known = known || strcmp(kind->places[k].key, w->key[i]) == 0;
        }
        if (!known) {
            return unsupported(w, err, w->key[i], w->value[i]);
        }
    }
    const char *grids = find_word(w, "nadgrids");
    if (grids != NULL && strcmp(grids, "@null") != 0) {
        return unsupported(w, err, "+nadgrids=", grids);
    }
    const char *meridian = find_word(w, "pm");
    if (meridian != NULL && strcmp(meridian, "greenwich") != 0 && strcmp(meridian, "0") != 0) {
        return unsupported(w, err, "+pm=", meridian);
    }
    return SQUALL_OK;
}

/* The shape of the earth, by the words that PROJ looks at, in the order in which it does. */
static squall_status read_earth(const words *w, earth *out, squall_error *err)
{
    if (find_word(w, "R") != NULL) {
        SQ_TRY(read_number(w, "R", 0.0, &out->a, err));
        out->b = out->a;
    } else if (find_word(w, "a") != NULL) {
        double flattening;
        SQ_TRY(read_number(w, "a", 0.0, &out->a, err));
        SQ_TRY(read_number(w, "b", 0.0, &out->b, err));
        SQ_TRY(read_number(w, "rf", 0.0, &out->inverse_flattening, err));
        SQ_TRY(read_number(w, "f", 0.0, &flattening, err));
        if (out->inverse_flattening == 0.0 && flattening > 0.0) {
            out->inverse_flattening = 1.0 / flattening;
        }
        if (out->b == 0.0 && out->inverse_flattening == 0.0) {
            out->b = out->a;
        }
    } else {
        const char *name = find_word(w, "ellps");
        if (name == NULL) {
            name = find_word(w, "datum");
        }
        if (name == NULL) {
            name = "WGS84"; /* as PROJ takes it when a string says nothing */
        }
        size_t i = 0;
        const size_t known = sizeof ellipsoid_table / sizeof ellipsoid_table[0];
        while (i < known && strcmp(name, ellipsoid_table[i].name) != 0) {
            i++;
        }
        if (i == known) {
            return sq_fail(err, SQUALL_E_UNSUPPORTED, "projection",
                           "the earth '%s' in \"%.160s\" is not known; give +a= and +rf=, and "
                           "+towgs84= for a datum",
                           name, w->whole);
        }
        *out = ellipsoid_table[i].shape;
    }
    if (out->b > 0.0) {
        out->inverse_flattening = 0.0;
    } else if (out->inverse_flattening > 1.0) {
        out->b = out->a * (1.0 - 1.0 / out->inverse_flattening);
    }
    if (!(out->a > 0.0) || !(out->b > 0.0) || out->b > out->a) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, "projection",
                       "the earth in \"%.160s\" has semi-axes %g and %g", w->whole, out->a, out->b);
    }
    /* Some composites give the earth in kilometres, and with it every length. */
    out->unit_m = out->a < 1e5 ? 1000.0 : 1.0;
    out->a *= out->unit_m;
    out->b *= out->unit_m;
    return SQUALL_OK;
}

static void add_earth(sq_product_crs *out, const earth *shape)
{
    if (shape->a == shape->b) {
        add_number(out, "earth_radius", shape->a);
        return;
    }
    add_number(out, "semi_major_axis", shape->a);
    if (shape->inverse_flattening > 0.0) {
        add_number(out, "inverse_flattening", shape->inverse_flattening);
    } else {
        add_number(out, "semi_minor_axis", shape->b);
    }
}

/* Metres in a unit of the coordinates. */
static squall_status read_unit(const words *w, double *out, squall_error *err)
{
    const char *unit = find_word(w, "units");
    SQ_TRY(read_number(w, "to_meter", 1.0, out, err));
    if (unit != NULL && strcmp(unit, "km") == 0) {
        *out = 1000.0;
    } else if (unit != NULL && strcmp(unit, "m") != 0) {
        return unsupported(w, err, "+units=", unit);
    }
    return *out > 0.0 ? SQUALL_OK : unsupported(w, err, "+to_meter=", find_word(w, "to_meter"));
}

/* The shift to WGS 84, where it is more than nothing. */
static squall_status add_shift(const words *w, sq_product_crs *out, squall_error *err)
{
    const char *text = find_word(w, "towgs84");
    double shift[7] = {0.0};
    size_t count = 0;
    bool any = false;
    while (text != NULL && *text != '\0') {
        char *end;
        if (count == 7) {
            return unsupported(w, err, "+towgs84 of more than 7 numbers", "");
        }
        shift[count] = strtod(text, &end);
        if (end == text || (*end != ',' && *end != '\0') || !isfinite(shift[count])) {
            return unsupported(w, err, "+towgs84=", find_word(w, "towgs84"));
        }
        any = any || shift[count] != 0.0;
        count++;
        text = *end == ',' ? end + 1 : end;
    }
    if (any && count != 3 && count != 7) {
        return unsupported(w, err, "+towgs84=", find_word(w, "towgs84"));
    }
    if (any) {
        add_numbers(out, "towgs84", shift, count);
    }
    return SQUALL_OK;
}

squall_status sq_product_crs_read(const char *proj, sq_product_crs *out, squall_error *err)
{
    words w;
    earth shape = {0.0, 0.0, 0.0, 1.0};
    double unit_m;
    memset(out, 0, sizeof *out);
    SQ_TRY(read_words(proj, &w, err));
    const char *name = find_word(&w, "proj");
    const projection *kind = NULL;
    const size_t known = sizeof projection_table / sizeof projection_table[0];
    for (size_t i = 0; name != NULL && i < known; i++) {
        if (strcmp(plain_name(name), projection_table[i].proj) == 0) {
            kind = &projection_table[i];
        }
    }
    if (kind == NULL) {
        return unsupported(&w, err, "+proj=", name != NULL ? name : "");
    }
    SQ_TRY(check_words(&w, kind, err));
    SQ_TRY(read_earth(&w, &shape, err));
    SQ_TRY(read_unit(&w, &unit_m, err));

    out->mapping = kind->mapping;
    out->unit_m = unit_m * shape.unit_m;
    if (strcmp(kind->proj, "longlat") == 0) {
        if (unit_m != 1.0) {
            return unsupported(&w, err, "longitudes in a unit of length", "");
        }
        out->degrees = true;
        out->unit_m = 1.0;
    }
    for (size_t k = 0; k < PLACES_MAX && kind->places[k].key != NULL; k++) {
        double number;
        SQ_TRY(read_number(&w, kind->places[k].key, 0.0, &number, err));
        const bool is_length = kind->places[k].key[1] == '_'; /* x_0, y_0 */
        add_number(out, kind->places[k].attribute, is_length ? number * shape.unit_m : number);
    }
    if (kind->finish != NULL) {
        SQ_TRY(kind->finish(&w, &shape, out, err));
    }
    add_earth(out, &shape);
    return add_shift(&w, out, err);
}
