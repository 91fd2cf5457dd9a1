/* wx/io/io_netcdf.c - CF-netCDF files, classic and netCDF-4: one variable of rain on a regular
 * grid.
 *
 * The variable is the one asked for, else the one that rain is told from best: a rate before an
 * accumulation before a reflectivity, a standard name before a unit. CF has no word for "nothing
 * detected": a rain of 0 is dry. Rain below 0 is missing, whatever _FillValue says (BoM marks with
 * -2 what is not its -1).
 */
#include "wx/io/io_netcdf.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <netcdf_mem.h>

#include "wx/io/io_share.h"

#define BLOCK_BYTES ((size_t)4 << 20) /* of raw numbers, as doubles, read at a time */
#define CHUNK_SLOTS 4099              /* of the chunk cache: a prime above the chunks in a row */

typedef struct netcdf_state {
    sq_io_netcdf_file file;
    sq_io_netcdf_variable variable;
    sq_io_netcdf_times times;
    squall_grid grid;
    bool flip_x, flip_y;
    squall_quantity quantity;
    char unit_name[16];
    sq_io_packing packing;
    double wrap; /* what negative numbers lack where signed ones stand for unsigned; else 0 */
} netcdf_state;

/* "CDF" and the version: 1 classic, 2 with 64-bit offsets, 5 with 64-bit data. */
static bool netcdf_sniff(const unsigned char *bytes, size_t size)
{
    return size >= 4 && memcmp(bytes, "CDF", 3) == 0 &&
           (bytes[3] == 1 || bytes[3] == 2 || bytes[3] == 5);
}

/* --- quantities --- */

/* What a standard name or a unit says. */
typedef struct meaning {
    const char *word;
    squall_quantity quantity;
    double number; /* of a unit: ours in one of it; of a name: the window it tells, seconds */
} meaning;

static const meaning standard_names[] = {
    {"rainfall_rate", SQUALL_RAIN_RATE, 0},
    {"lwe_precipitation_rate", SQUALL_RAIN_RATE, 0},
    {"precipitation_rate", SQUALL_RAIN_RATE, 0},
    {"convective_precipitation_rate", SQUALL_RAIN_RATE, 0},
    {"convective_rainfall_rate", SQUALL_RAIN_RATE, 0},
    {"lwe_convective_precipitation_rate", SQUALL_RAIN_RATE, 0},
    {"precipitation_flux", SQUALL_RAIN_RATE, 0},
    {"rainfall_flux", SQUALL_RAIN_RATE, 0},
    {"convective_precipitation_flux", SQUALL_RAIN_RATE, 0},
    {"convective_rainfall_flux", SQUALL_RAIN_RATE, 0},
    {"precipitation_amount", SQUALL_ACCUMULATION, 0},
    {"rainfall_amount", SQUALL_ACCUMULATION, 0},
    {"thickness_of_rainfall_amount", SQUALL_ACCUMULATION, 0},
    {"lwe_thickness_of_precipitation_amount", SQUALL_ACCUMULATION, 0},
    {"convective_precipitation_hourly_accumulation", SQUALL_ACCUMULATION, 3600},
    {"equivalent_reflectivity_factor", SQUALL_REFLECTIVITY, 0},
    {NULL, SQUALL_OTHER, 0},
};

static const meaning units[] = {
    {"mm/h", SQUALL_RAIN_RATE, 1},           {"mm h-1", SQUALL_RAIN_RATE, 1},
    {"mm/hr", SQUALL_RAIN_RATE, 1},          {"mm hr-1", SQUALL_RAIN_RATE, 1},
    {"mm h^-1", SQUALL_RAIN_RATE, 1},        {"mm.h-1", SQUALL_RAIN_RATE, 1},
    {"mm/hour", SQUALL_RAIN_RATE, 1},        {"mm hour-1", SQUALL_RAIN_RATE, 1},
    {"kg m-2 h-1", SQUALL_RAIN_RATE, 1},     {"mm s-1", SQUALL_RAIN_RATE, 3600},
    {"mm/s", SQUALL_RAIN_RATE, 3600},        {"kg m-2 s-1", SQUALL_RAIN_RATE, 3600},
    {"m s-1", SQUALL_RAIN_RATE, 3600000},    {"m/s", SQUALL_RAIN_RATE, 3600000},
    {"mm", SQUALL_ACCUMULATION, 1},          {"millimeter", SQUALL_ACCUMULATION, 1},
    {"millimeters", SQUALL_ACCUMULATION, 1}, {"kg m-2", SQUALL_ACCUMULATION, 1},
    {"kg/m2", SQUALL_ACCUMULATION, 1},       {"kg m^-2", SQUALL_ACCUMULATION, 1},
    {"cm", SQUALL_ACCUMULATION, 10},         {"m", SQUALL_ACCUMULATION, 1000},
    {"dBZ", SQUALL_REFLECTIVITY, 1},         {NULL, SQUALL_OTHER, 1},
};

/* These say "rain" without a standard name; "m s-1" may be wind and "m" a height. */
static bool unit_speaks_of_rain(const char *unit)
{
    return strncmp(unit, "mm", 2) == 0 || strncmp(unit, "mill", 4) == 0 ||
           strncmp(unit, "kg", 2) == 0 || sq_io_same_word(unit, "dBZ");
}

static const meaning *mean(const meaning *list, const char *word)
{
    while (list->word != NULL && !sq_io_same_word(list->word, word)) {
        list++;
    }
    return list;
}

/* What a variable holds: its quantity, the factor of its unit, and how sure that is (0: no field of
 * numbers; 1: something else; then the better the more). */
static int judge(const sq_io_netcdf_file *file, const sq_io_netcdf_variable *v,
                 squall_quantity *quantity, double *factor)
{
    char standard[64], unit[32];
    *quantity = SQUALL_OTHER;
    *factor = 1;
    if (v->rank < 2 || v->rank > 4 || !sq_io_netcdf_is_number(v->type)) {
        return 0;
    }
    sq_io_netcdf_text(file, v->id, "standard_name", standard, sizeof standard);
    sq_io_netcdf_text(file, v->id, "units", unit, sizeof unit);
    const meaning *by_name = mean(standard_names, standard), *by_unit = mean(units, unit);
    if (by_unit->word == NULL ||
        (by_name->word != NULL ? by_name->quantity != by_unit->quantity
                               : standard[0] != 0 || !unit_speaks_of_rain(unit))) {
        return 1;
    }
    *quantity = by_unit->quantity;
    *factor = by_unit->number;
    return 2 + 2 * (SQUALL_REFLECTIVITY - by_unit->quantity) + (by_name->word != NULL ? 1 : 0);
}

/* Whether `wanted` names this variable. */
static bool is_wanted(const sq_io_netcdf_file *file, const sq_io_netcdf_variable *v,
                      squall_quantity quantity, const char *wanted)
{
    char standard[64];
    return sq_io_wanted(wanted, quantity, v->name) ||
           (sq_io_netcdf_text(file, v->id, "standard_name", standard, sizeof standard) &&
            sq_io_same_word(standard, wanted));
}

static squall_status choose_variable(netcdf_state *s, squall_error *err)
{
    const char *wanted = s->file.source.quantity;
    int best = 0;
    const int count = sq_io_netcdf_variables(&s->file);
    for (int id = 0; id < count; id++) {
        sq_io_netcdf_variable v;
        squall_quantity quantity;
        double factor;
        if (!sq_io_netcdf_describe(&s->file, id, &v)) {
            continue;
        }
        const int score = judge(&s->file, &v, &quantity, &factor);
        if (score > best &&
            (wanted == NULL ? score > 1 : is_wanted(&s->file, &v, quantity, wanted))) {
            best = score;
            s->variable = v;
            s->quantity = quantity;
            s->packing.factor = factor;
        }
    }
    if (best > 0) {
        return SQUALL_OK;
    }
    return sq_fail(err, SQUALL_E_NO_DATA, s->file.source.name,
                   "no variable %s%s; rain is told by a standard name (rainfall_rate, "
                   "precipitation_amount, ...) or a unit (mm h-1, mm, dBZ)",
                   wanted != NULL ? "is called " : "of rain", wanted != NULL ? wanted : "");
}

/* --- packing --- */

/* A raw number of an attribute as it comes back from the variable. */
static double as_stored(const netcdf_state *s, double raw)
{
    const double number = s->variable.type == NC_FLOAT ? (double)(float)raw : raw;
    return number < 0 ? number + s->wrap : number;
}

/* Classic netCDF has no unsigned types: "_Unsigned" says that signed ones stand for them. */
static double wrap_of(const netcdf_state *s)
{
    char text[8];
    const nc_type type = s->variable.type;
    if (!sq_io_netcdf_text(&s->file, s->variable.id, "_Unsigned", text, sizeof text) ||
        !sq_io_same_word(text, "true")) {
        return 0;
    }
    return type == NC_BYTE ? 256 : type == NC_SHORT ? 65536 : type == NC_INT ? 4294967296.0 : 0;
}

/* CF gives limits in the packed type; where the types differ, some writers mean unpacked values. */
static void read_limit(const netcdf_state *s, const char *name, size_t index, double *limit)
{
    double values[2];
    nc_type type;
    const size_t count = sq_io_netcdf_numbers(&s->file, s->variable.id, name, values, 2, &type);
    const bool real = s->variable.type == NC_FLOAT || s->variable.type == NC_DOUBLE;
    if (index >= count || isnan(values[index])) {
        return;
    }
    if (!real && (type == NC_FLOAT || type == NC_DOUBLE) &&
        (s->packing.gain != 1 || s->packing.offset != 0)) {
        values[index] = (values[index] - s->packing.offset) / s->packing.gain;
    } else if (!real) {
        values[index] = as_stored(s, values[index]);
    }
    *limit = values[index];
}

static double default_fill(nc_type type)
{
    switch (type) {
    case NC_SHORT:
        return NC_FILL_SHORT;
    case NC_USHORT:
        return NC_FILL_USHORT;
    case NC_INT:
        return NC_FILL_INT;
    case NC_UINT:
        return NC_FILL_UINT;
    case NC_INT64:
        return (double)NC_FILL_INT64;
    case NC_UINT64:
        return (double)NC_FILL_UINT64;
    case NC_FLOAT:
    case NC_DOUBLE:
        return NC_FILL_FLOAT; /* NC_FILL_DOUBLE is the same number */
    default:
        return NAN; /* bytes have none: all of their values are in use */
    }
}

static squall_status read_packing(netcdf_state *s, squall_error *err)
{
    sq_io_packing *p = &s->packing;
    double missing[SQ_IO_MISSING - 1], number;
    const int id = s->variable.id;
    const double factor = p->factor;
    sq_io_packing_init(p);
    p->factor = factor;
    (void)sq_io_netcdf_numbers(&s->file, id, "scale_factor", &p->gain, 1, NULL);
    (void)sq_io_netcdf_numbers(&s->file, id, "add_offset", &p->offset, 1, NULL);
    if (!isfinite(p->gain) || !isfinite(p->offset) || p->gain == 0) {
        char where[SQ_IO_WHERE];
        return sq_fail(err, SQUALL_E_CORRUPT,
                       sq_io_where(where, s->file.source.name, "/%.40s", s->variable.name),
                       "scale_factor %g and add_offset %g do not say what its numbers mean",
                       p->gain, p->offset);
    }
    const bool filled = sq_io_netcdf_numbers(&s->file, id, "_FillValue", &number, 1, NULL) == 1;
    s->wrap = wrap_of(s);
    (void)sq_io_packing_add_missing(p,
                                    as_stored(s, filled ? number : default_fill(s->variable.type)));
    const size_t count =
        sq_io_netcdf_numbers(&s->file, id, "missing_value", missing, SQ_IO_MISSING - 1, NULL);
    for (size_t i = 0; i < count; i++) {
        (void)sq_io_packing_add_missing(p, as_stored(s, missing[i]));
    }
    read_limit(s, "valid_min", 0, &p->raw_min);
    read_limit(s, "valid_max", 0, &p->raw_max);
    read_limit(s, "valid_range", 0, &p->raw_min);
    read_limit(s, "valid_range", 1, &p->raw_max);
    p->no_negative = s->quantity == SQUALL_RAIN_RATE || s->quantity == SQUALL_ACCUMULATION;
    p->zero_is_dry = p->no_negative;
    return SQUALL_OK;
}

/* --- opening --- */

/* Hold the chunks of a variable against what the file can hold, and let the library keep one row of
 * them, so that each is unpacked once although rows are read a few at a time. */
static squall_status check_chunks(const netcdf_state *s, size_t cell_bytes, const char *where,
                                  squall_error *err)
{
    const sq_io_netcdf_variable *v = &s->variable;
    int storage = NC_CONTIGUOUS;
    size_t chunk[4] = {1, 1, 1, 1}, bytes = cell_bytes, most = 0;
    if (s->file.version != 4 ||
        nc_inq_var_chunking(s->file.id, v->id, &storage, chunk) != NC_NOERR ||
        storage != NC_CHUNKED) {
        return SQUALL_OK;
    }
    bool fits = sq_mul_size(s->file.source.size, SQ_LIMIT_PACKED, &most);
    for (int i = 0; i < v->rank; i++) {
        fits = fits && chunk[i] > 0 && sq_mul_size(bytes, chunk[i], &bytes);
    }
    if (!fits || bytes > most + ((size_t)4 << 20) || bytes > 8 * SQ_LIMIT_FIELD_CELLS) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "its chunks are larger than what the file can hold; fetch it again");
    }
    const size_t width = v->sizes[v->rank - 1], chunk_width = chunk[v->rank - 1];
    const size_t row_bytes = (width + chunk_width - 1) / chunk_width * bytes;
    const int code = nc_set_var_chunk_cache(s->file.id, v->id, row_bytes, CHUNK_SLOTS, 1.0F);
    return code == NC_NOERR ? SQUALL_OK : sq_io_netcdf_fail(&s->file, v->name, code, err);
}

/* Other dimensions than time, y and x may be there if they have one entry. */
static squall_status check_shape(const netcdf_state *s, squall_error *err)
{
    const sq_io_netcdf_variable *v = &s->variable;
    char where[SQ_IO_WHERE];
    sq_io_where(where, s->file.source.name, "/%.40s", v->name);
    for (int i = 0; i + 2 < v->rank; i++) {
        if (i != s->times.dim && v->sizes[i] != 1) {
            char name[NC_MAX_NAME + 1] = "";
            (void)nc_inq_dimname(s->file.id, v->dims[i], name);
            return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                           "dimension '%.40s' has %zu entries, and only one of them can be read; "
                           "cut it out: ncks -d %.40s,0",
                           name, v->sizes[i], name);
        }
    }
    size_t cell_bytes = 0;
    if (nc_inq_type(s->file.id, v->type, NULL, &cell_bytes) != NC_NOERR) {
        cell_bytes = sizeof(double);
    }
    SQ_TRY(sq_io_check_cells(v->sizes[v->rank - 1], v->sizes[v->rank - 2], cell_bytes,
                             s->file.source.size, where, err));
    return check_chunks(s, cell_bytes, where, err);
}

/* The window that the standard name itself tells, where nothing else does. */
static void window_by_name(netcdf_state *s)
{
    char standard[64];
    sq_io_netcdf_text(&s->file, s->variable.id, "standard_name", standard, sizeof standard);
    const int32_t window_s = (int32_t)mean(standard_names, standard)->number;
    for (size_t i = 0; window_s > 0 && i < s->times.count; i++) {
        s->times.windows_s[i] = s->times.windows_s[i] > 0 ? s->times.windows_s[i] : window_s;
    }
}

/* "netCDF-4 CF-1.7" into `text`. */
static void describe_format(const sq_io_netcdf_file *file, char *text)
{
    char conventions[32];
    sq_io_netcdf_text(file, NC_GLOBAL, "Conventions", conventions, sizeof conventions);
    snprintf(text, SQ_IO_FORMAT_TEXT, "netCDF-%d%s%s", file->version,
             conventions[0] != 0 ? " " : "", conventions);
}

static void netcdf_close(void *state)
{
    netcdf_state *s = state;
    if (s != NULL) {
        if (s->file.id >= 0) {
            nc_close(s->file.id);
        }
        sq_io_netcdf_times_free(&s->times);
        sq_free(s);
    }
}

static squall_status open_image(netcdf_state *s, squall_error *err)
{
    char name[40]; /* not a path: it must not look like one to the library */
    int format = 0;
    if (netcdf_sniff(s->file.source.bytes, s->file.source.size)) {
        SQ_TRY(sq_io_netcdf_check_classic(&s->file.source, err));
    }
    snprintf(name, sizeof name, "squall-%p", (void *)s);
    const int code = nc_open_mem(name, NC_NOWRITE, s->file.source.size,
                                 (void *)(uintptr_t)s->file.source.bytes, &s->file.id);
    if (code != NC_NOERR) {
        s->file.id = -1;
        return sq_io_netcdf_fail(&s->file, "", code, err);
    }
    (void)nc_inq_format(s->file.id, &format);
    s->file.version = format == NC_FORMAT_NETCDF4 || format == NC_FORMAT_NETCDF4_CLASSIC ? 4 : 3;
    return SQUALL_OK;
}

static squall_status netcdf_open(const sq_io_source *source, void **state, size_t *count,
                                 char *text, squall_error *err)
{
    squall_status status;
    netcdf_state *s = sq_alloc(1, sizeof *s);
    *state = NULL;
    if (s == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, source->name, "no memory to open it");
    }
    s->file = (sq_io_netcdf_file){.source = *source, .id = -1};
    SQ_TRY_GOTO(open_image(s, err));
    describe_format(&s->file, text);
    SQ_TRY_GOTO(choose_variable(s, err));
    SQ_TRY_GOTO(read_packing(s, err));
    SQ_TRY_GOTO(sq_io_netcdf_times_read(&s->file, &s->variable, s->quantity == SQUALL_ACCUMULATION,
                                        &s->times, err));
    window_by_name(s);
    SQ_TRY_GOTO(check_shape(s, err));
    SQ_TRY_GOTO(sq_io_netcdf_grid(&s->file, &s->variable, &s->grid, &s->flip_x, &s->flip_y, err));
    sq_io_netcdf_text(&s->file, s->variable.id, "units", s->unit_name, sizeof s->unit_name);
    *count = s->times.count;
    *state = s;
    s = NULL;
done:
    netcdf_close(s);
    return status;
}

static int64_t netcdf_time(const void *state, size_t index)
{
    const netcdf_state *s = state;
    return index < s->times.count ? s->times.times[index] : SQUALL_TIME_NONE;
}

/* --- values --- */

/* Read frame `index` row block by row block. */
static squall_status read_values(const netcdf_state *s, size_t index, squall_field *field,
                                 squall_error *err)
{
    squall_status status = SQUALL_OK;
    const sq_io_netcdf_variable *v = &s->variable;
    const size_t width = s->grid.width, height = s->grid.height;
    const size_t rows_fit = BLOCK_BYTES / sizeof(double) / width;
    const size_t block = rows_fit < 1 ? 1 : rows_fit < height ? rows_fit : height;
    size_t start[4] = {0}, count[4] = {1, 1, 1, 1};
    double *raw = sq_alloc_raw(block * width, sizeof *raw);
    if (raw == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, field->source, "no memory for %zu numbers",
                       block * width);
    }
    if (s->times.dim >= 0) {
        start[s->times.dim] = index;
    }
    count[v->rank - 1] = width;
    for (size_t row = 0; row < height; row += block) {
        const size_t rows = height - row < block ? height - row : block;
        start[v->rank - 2] = row;
        count[v->rank - 2] = rows;
        const int code = nc_get_vara_double(s->file.id, v->id, start, count, raw);
        if (code != NC_NOERR) {
            status = sq_io_netcdf_fail(&s->file, v->name, code, err);
            goto done;
        }
        for (size_t i = 0; s->wrap > 0 && i < rows * width; i++) {
            raw[i] += raw[i] < 0 ? s->wrap : 0;
        }
        for (size_t i = 0; i < rows; i++) {
            const size_t to = (s->flip_y ? height - 1 - (row + i) : row + i) * width;
            const double *from = raw + i * width + (s->flip_x ? width - 1 : 0);
            sq_io_unpack(&s->packing, from, s->flip_x ? -1 : 1, width, field->values + to,
                         field->mask + to);
        }
    }
done:
    sq_free(raw);
    return status;
}

static squall_status netcdf_read(void *state, size_t index, squall_field **out, squall_error *err)
{
    squall_status status;
    const netcdf_state *s = state;
    squall_field *field = NULL;
    char where[SQ_IO_WHERE];
    *out = NULL;
    sq_io_where(where, s->file.source.name, "/%.40s", s->variable.name);
    SQ_TRY_GOTO(sq_io_field_create(&s->grid, where, &field, err));
    squall_field_set_quantity(field, s->quantity, s->variable.name,
                              s->quantity == SQUALL_OTHER ? s->unit_name : NULL);
    field->valid_time = s->times.times[index];
    field->window_s = s->times.windows_s[index];
    SQ_TRY_GOTO(read_values(s, index, field, err));
    *out = field;
    field = NULL;
done:
    squall_field_destroy(&field);
    return status;
}

const sq_io_format sq_io_netcdf3 = {
    .name = "netCDF",
    .locked = true,
    .sniff = netcdf_sniff,
    .open = netcdf_open,
    .time = netcdf_time,
    .read = netcdf_read,
    .close = netcdf_close,
};
