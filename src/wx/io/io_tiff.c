/* wx/io/io_tiff.c - GeoTIFF: the first picture of a file, one sample a pixel. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <tiffio.h>

#include "wx/io/io_gdalxml.h"
#include "wx/io/io_geotiff.h"
#include "wx/io/io_share.h"

#define TAG_PIXEL_SCALE 33550
#define TAG_TIE_POINT   33922
#define TAG_MATRIX      34264
#define TAG_KEYS        34735
#define TAG_DOUBLES     34736
#define TAG_GDAL_XML    42112
#define TAG_GDAL_NODATA 42113

#define LIBRARY_BYTES ((tmsize_t)256 << 20) /* that libtiff may ask for at once */
#define TILE_BYTES    ((tmsize_t)64 << 20)

typedef struct tiff_state {
    sq_io_source source;
    TIFF *tiff;
    uint64_t offset;   /* of the library's reading */
    char problem[160]; /* the first that the library told of */
    squall_grid grid;
    uint16_t bits, format;
    double gain, shift, nodata, undetect; /* NaN where there is none */
    int64_t time;
    squall_quantity quantity;
    char name[32], unit[16];
} tiff_state;

static bool tiff_sniff(const unsigned char *bytes, size_t size)
{
    return size >= 8 && (memcmp(bytes, "II*\0", 4) == 0 || memcmp(bytes, "MM\0*", 4) == 0 ||
                         memcmp(bytes, "II+\0", 4) == 0 || memcmp(bytes, "MM\0+", 4) == 0);
}

/* The library reads from memory by these. */
static tmsize_t read_bytes(thandle_t handle, void *out, tmsize_t size)
{
    tiff_state *state = handle;
    const uint64_t left =
        state->offset < state->source.size ? state->source.size - state->offset : 0;
    const size_t count = size < 0 ? 0 : (uint64_t)size < left ? (size_t)size : (size_t)left;
    memcpy(out, state->source.bytes + (count > 0 ? state->offset : 0), count);
    state->offset += count;
    return (tmsize_t)count;
}

static tmsize_t write_bytes(thandle_t handle, void *bytes, tmsize_t size)
{
    (void)handle;
    (void)bytes;
    (void)size;
    return 0;
}

static toff_t seek_bytes(thandle_t handle, toff_t offset, int whence)
{
    tiff_state *state = handle;
    const uint64_t base = whence == SEEK_CUR   ? state->offset
                          : whence == SEEK_END ? state->source.size
                                               : 0;
    state->offset = base + offset;
    return state->offset;
}

static int close_bytes(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t size_bytes(thandle_t handle)
{
    return ((tiff_state *)handle)->source.size;
}

static int map_bytes(thandle_t handle, void **bytes, toff_t *size)
{
    const tiff_state *state = handle;
    *bytes = (void *)(uintptr_t)state->source.bytes;
    *size = state->source.size;
    return 1;
}

static void unmap_bytes(thandle_t handle, void *bytes, toff_t size)
{
    (void)handle;
    (void)bytes;
    (void)size;
}

/* Keep the first of the library's errors for our own message. */
__attribute__((format(printf, 4, 0))) static int
keep_error(TIFF *tiff, void *data, const char *module, const char *format, va_list args)
{
    tiff_state *state = data;
    (void)tiff;
    (void)module;
    if (state->problem[0] == '\0') {
        vsnprintf(state->problem, sizeof state->problem, format, args);
    }
    return 1;
}

static int drop_warning(TIFF *tiff, void *data, const char *module, const char *format,
                        va_list args)
{
    (void)tiff;
    (void)data;
    (void)module;
    (void)format;
    (void)args;
    return 1;
}

/* A tag that libtiff has no name for: it hands out count and pointer. NULL if the tag is not there
 * or not of `type`. */
static const void *find_tag(TIFF *tiff, uint32_t tag, TIFFDataType type, size_t *count)
{
    const TIFFField *field = TIFFFindField(tiff, tag, TIFF_ANY);
    uint32_t items = 0;
    const void *data = NULL;
    *count = 0;
    if (field == NULL || TIFFFieldDataType(field) != type || !TIFFFieldPassCount(field) ||
        TIFFFieldReadCount(field) != TIFF_VARIABLE2 ||
        TIFFGetField(tiff, tag, &items, &data) != 1) {
        return NULL;
    }
    *count = items;
    return data;
}

/* A text tag as text of its own, NULL if it is not there; sq_free(). */
static char *copy_text_tag(TIFF *tiff, uint32_t tag, bool *failed)
{
    size_t count;
    const char *data = find_tag(tiff, tag, TIFF_ASCII, &count);
    if (data == NULL) {
        return NULL;
    }
    char *text = sq_alloc(count + 1, 1);
    if (text == NULL) {
        *failed = true;
        return NULL;
    }
    memcpy(text, data, count);
    return text;
}

static void take_number(const char *xml, const char *name, double *out)
{
    char text[64];
    double value;
    if (sq_gdalxml_find(xml, name, text, sizeof text, NULL, 0) && sq_io_number(text, &value)) {
        *out = value;
    }
}

/* What FMI says in GDAL's metadata. */
static void take_items(tiff_state *state, const char *xml)
{
    char text[64], unit[16] = "";
    take_number(xml, "Gain", &state->gain);
    take_number(xml, "Offset", &state->shift);
    take_number(xml, "Nodata", &state->nodata);
    take_number(xml, "Undetect", &state->undetect);
    if (sq_gdalxml_find(xml, "Observation time", text, sizeof text, NULL, 0)) {
        int64_t time;
        if (sq_time_parse(text, &time)) {
            state->time = time;
        }
    }
    if (sq_gdalxml_find(xml, "Quantity", state->name, sizeof state->name, unit, sizeof unit)) {
        snprintf(state->unit, sizeof state->unit, "%s", unit);
        if (sq_io_same_word(unit, "dBZ")) {
            state->quantity = SQUALL_REFLECTIVITY;
        } else if (sq_io_same_word(unit, "mm/h")) {
            state->quantity = SQUALL_RAIN_RATE;
        } else if (sq_io_same_word(unit, "mm")) {
            state->quantity = SQUALL_ACCUMULATION;
        }
    }
}

static squall_status take_metadata(tiff_state *state, squall_error *err)
{
    bool failed = false;
    char *nodata = copy_text_tag(state->tiff, TAG_GDAL_NODATA, &failed);
    char *xml = copy_text_tag(state->tiff, TAG_GDAL_XML, &failed);
    state->gain = 1;
    state->shift = 0;
    state->nodata = state->undetect = NAN;
    state->time = SQUALL_TIME_NONE;
    state->quantity = SQUALL_OTHER;
    snprintf(state->name, sizeof state->name, "band 1");
    snprintf(state->unit, sizeof state->unit, "?");
    if (nodata != NULL && !sq_io_number(nodata, &state->nodata)) {
        state->nodata = NAN; /* "nan" too */
    }
    if (xml != NULL) {
        sq_gdalxml_unescape(xml);
        take_items(state, xml);
    }
    sq_free(nodata);
    sq_free(xml);
    if (failed) {
        return sq_fail(err, SQUALL_E_MEMORY, state->source.name, "no memory for its metadata");
    }
    if (!sq_io_wanted(state->source.quantity, state->quantity, state->name)) {
        return sq_fail(err, SQUALL_E_NO_DATA, state->source.name, "holds '%s' [%s], not '%s'",
                       state->name, state->unit, state->source.quantity);
    }
    return SQUALL_OK;
}

/* By how much a codec can pack at best, 0 for one that is not taken. It keeps a small file from
 * asking for a large field. */
static size_t codec_ratio(uint16_t codec)
{
    switch (codec) {
    case COMPRESSION_NONE:
        return 1;
    case COMPRESSION_PACKBITS:
        return 64;
    case COMPRESSION_DEFLATE:
    case COMPRESSION_ADOBE_DEFLATE:
        return 1032;
    case COMPRESSION_LZW:
        return 4096;
    case COMPRESSION_ZSTD:
        return 65536;
    default:
        return 0;
    }
}

static squall_status check_image(tiff_state *state, squall_error *err)
{
    const char *name = state->source.name;
    uint32_t width = 0, height = 0;
    uint16_t samples = 1, codec = COMPRESSION_NONE, photometric = PHOTOMETRIC_MINISBLACK;
    TIFFGetField(state->tiff, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(state->tiff, TIFFTAG_IMAGELENGTH, &height);
    TIFFGetFieldDefaulted(state->tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetFieldDefaulted(state->tiff, TIFFTAG_BITSPERSAMPLE, &state->bits);
    TIFFGetFieldDefaulted(state->tiff, TIFFTAG_SAMPLEFORMAT, &state->format);
    TIFFGetFieldDefaulted(state->tiff, TIFFTAG_COMPRESSION, &codec);
    TIFFGetField(state->tiff, TIFFTAG_PHOTOMETRIC, &photometric);
    const bool is_float = state->format == SAMPLEFORMAT_IEEEFP;
    const bool is_whole = state->format == SAMPLEFORMAT_UINT || state->format == SAMPLEFORMAT_INT;
    const bool sample_is_fine =
        (is_whole && (state->bits == 8 || state->bits == 16 || state->bits == 32)) ||
        (is_float && (state->bits == 32 || state->bits == 64));
    if (samples != 1 || !sample_is_fine || photometric != PHOTOMETRIC_MINISBLACK) {
        return sq_fail(
            err, SQUALL_E_UNSUPPORTED, name,
            "a TIFF of %u samples a pixel, %u bits, format %u, colours %u; one sample of "
            "8, 16, 32 bits or a float in grey (1) is taken, since pictures in colour "
            "hold no values",
            samples, state->bits, state->format, photometric);
    }
    const size_t ratio = codec_ratio(codec);
    if (ratio == 0) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, name,
                       "TIFF compression %u; none, LZW, deflate, PackBits and zstd are taken",
                       codec);
    }
    size_t cells = SIZE_MAX;
    if (width == 0 || height == 0 || width > SQ_LIMIT_FIELD_SIDE || height > SQ_LIMIT_FIELD_SIDE ||
        !sq_mul_size(width, height, &cells) || cells > SQ_LIMIT_FIELD_CELLS) {
        return sq_fail(err, SQUALL_E_LIMIT, name,
                       "%u x %u pixels; 1 to %zu a side and %zu in all are allowed", width, height,
                       SQ_LIMIT_FIELD_SIDE, SQ_LIMIT_FIELD_CELLS);
    }
    if (cells / ratio * (state->bits / 8) > state->source.size) {
        return sq_fail(err, SQUALL_E_TRUNCATED, name,
                       "%zu bytes cannot hold %u x %u pixels of %u bits; fetch it again",
                       state->source.size, width, height, state->bits);
    }
    state->grid.width = width;
    state->grid.height = height;
    return SQUALL_OK;
}

static squall_status take_place(tiff_state *state, squall_error *err)
{
    sq_geotiff_tags tags;
    TIFF *tiff = state->tiff;
    tags.scale = find_tag(tiff, TAG_PIXEL_SCALE, TIFF_DOUBLE, &tags.scale_count);
    tags.tie = find_tag(tiff, TAG_TIE_POINT, TIFF_DOUBLE, &tags.tie_count);
    tags.matrix = find_tag(tiff, TAG_MATRIX, TIFF_DOUBLE, &tags.matrix_count);
    tags.keys = find_tag(tiff, TAG_KEYS, TIFF_SHORT, &tags.key_count);
    tags.doubles = find_tag(tiff, TAG_DOUBLES, TIFF_DOUBLE, &tags.double_count);
    return sq_geotiff_place(&tags, state->source.name, &state->grid, err);
}

static void tiff_close(void *state)
{
    tiff_state *opened = state;
    if (opened->tiff != NULL) {
        TIFFClose(opened->tiff);
    }
    sq_free(opened);
}

/* Hand the bytes to libtiff. */
static squall_status open_library(tiff_state *state, squall_error *err)
{
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (options == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, state->source.name, "no memory to open it");
    }
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, LIBRARY_BYTES);
    TIFFOpenOptionsSetErrorHandlerExtR(options, keep_error, state);
    TIFFOpenOptionsSetWarningHandlerExtR(options, drop_warning, state);
    state->tiff =
        TIFFClientOpenExt(state->source.name, "r", state, read_bytes, write_bytes, seek_bytes,
                          close_bytes, size_bytes, map_bytes, unmap_bytes, options);
    TIFFOpenOptionsFree(options);
    if (state->tiff == NULL) {
        return sq_fail(err, SQUALL_E_CORRUPT, state->source.name,
                       "damaged or cut short, as libtiff finds: %s", state->problem);
    }
    return SQUALL_OK;
}

static squall_status tiff_open(const sq_io_source *source, void **state, size_t *count, char *text,
                               squall_error *err)
{
    squall_status status;
    tiff_state *opened = sq_alloc(1, sizeof *opened);
    if (opened == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, source->name, "no memory to open it");
    }
    opened->source = *source;
    SQ_TRY_GOTO(open_library(opened, err));
    SQ_TRY_GOTO(check_image(opened, err));
    SQ_TRY_GOTO(take_place(opened, err));
    SQ_TRY_GOTO(take_metadata(opened, err));
    snprintf(text, SQ_IO_FORMAT_TEXT, "GeoTIFF");
    *state = opened;
    *count = 1;
done:
    if (status != SQUALL_OK) {
        tiff_close(opened);
    }
    return status;
}

static int64_t tiff_time(const void *state, size_t index)
{
    return index == 0 ? ((const tiff_state *)state)->time : SQUALL_TIME_NONE;
}

/* Sample i of a row as a number. */
static double sample(const void *row, size_t i, unsigned bits, unsigned format)
{
    switch (format << 8 | bits) {
    case SAMPLEFORMAT_UINT << 8 | 8:
        return ((const uint8_t *)row)[i];
    case SAMPLEFORMAT_INT << 8 | 8:
        return ((const int8_t *)row)[i];
    case SAMPLEFORMAT_UINT << 8 | 16:
        return ((const uint16_t *)row)[i];
    case SAMPLEFORMAT_INT << 8 | 16:
        return ((const int16_t *)row)[i];
    case SAMPLEFORMAT_UINT << 8 | 32:
        return ((const uint32_t *)row)[i];
    case SAMPLEFORMAT_INT << 8 | 32:
        return ((const int32_t *)row)[i];
    case SAMPLEFORMAT_IEEEFP << 8 | 32:
        return (double)((const float *)row)[i];
    default: /* 64-bit floats: check_image() lets no other through */
        return ((const double *)row)[i];
    }
}

/* `count` samples into the field, from its cell `at` on. */
static void take_row(const tiff_state *state, const void *row, size_t count, size_t at,
                     squall_field *field)
{
    for (size_t i = 0; i < count; i++) {
        const double raw = sample(row, i, state->bits, state->format);
        const float value = (float)(raw * state->gain + state->shift);
        if (raw == state->undetect) {
            field->mask[at + i] = SQUALL_CELL_DRY;
            field->values[at + i] = 0;
        } else if (raw != state->nodata && isfinite(value)) {
            field->mask[at + i] = SQUALL_CELL_VALUE;
            field->values[at + i] = value;
        }
    }
}

static squall_status damaged(const tiff_state *state, const char *part, size_t number,
                             squall_error *err)
{
    char where[SQ_IO_WHERE];
    return sq_fail(err, SQUALL_E_CORRUPT,
                   sq_io_where(where, state->source.name, "%s %zu", part, number),
                   "damaged, as libtiff finds: %s",
                   state->problem[0] != '\0' ? state->problem : "it cannot be unpacked");
}

/* Whether the bytes of a tile or a strip are in the file. libtiff does not say so where they are
 * not. */
static squall_status check_whole(const tiff_state *state, const char *part, uint32_t number,
                                 squall_error *err)
{
    char where[SQ_IO_WHERE];
    const uint64_t at = TIFFGetStrileOffset(state->tiff, number);
    const uint64_t bytes = TIFFGetStrileByteCount(state->tiff, number);
    if (at <= state->source.size && bytes <= state->source.size - at) {
        return SQUALL_OK;
    }
    return sq_fail(err, SQUALL_E_TRUNCATED,
                   sq_io_where(where, state->source.name, "%s %u", part, number),
                   "%llu bytes at byte %llu are not in the %zu of the file; fetch it again",
                   (unsigned long long)bytes, (unsigned long long)at, state->source.size);
}

static squall_status read_tiles(tiff_state *state, squall_field *field, squall_error *err)
{
    uint32_t tile_width = 0, tile_height = 0;
    TIFFGetField(state->tiff, TIFFTAG_TILEWIDTH, &tile_width);
    TIFFGetField(state->tiff, TIFFTAG_TILELENGTH, &tile_height);
    const size_t width = field->grid.width, height = field->grid.height;
    const size_t sample_bytes = state->bits / 8;
    const tmsize_t bytes = TIFFTileSize(state->tiff);
    if (tile_width == 0 || tile_height == 0 || bytes <= 0 || bytes > TILE_BYTES ||
        (uint64_t)bytes != (uint64_t)tile_width * tile_height * sample_bytes) {
        return sq_fail(err, SQUALL_E_CORRUPT, state->source.name, "tiles of %u x %u pixels",
                       tile_width, tile_height);
    }
    unsigned char *tile = sq_alloc_raw((size_t)bytes, 1);
    if (tile == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, state->source.name, "no memory for a tile");
    }
    squall_status status = SQUALL_OK;
    uint32_t number = 0;
    for (size_t top = 0; top < height && status == SQUALL_OK; top += tile_height) {
        for (size_t left = 0; left < width && status == SQUALL_OK; left += tile_width, number++) {
            if (TIFFGetStrileByteCount(state->tiff, number) == 0) {
                continue; /* a tile left out holds nothing */
            }
            status = check_whole(state, "tile", number, err);
            if (status == SQUALL_OK &&
                TIFFReadEncodedTile(state->tiff, number, tile, bytes) != bytes) {
                status = damaged(state, "tile", number, err);
            }
            if (status != SQUALL_OK) {
                break;
            }
            const size_t columns = width - left < tile_width ? width - left : tile_width;
            const size_t rows = height - top < tile_height ? height - top : tile_height;
            for (size_t r = 0; r < rows; r++) {
                take_row(state, tile + r * tile_width * sample_bytes, columns,
                         (top + r) * width + left, field);
            }
        }
    }
    sq_free(tile);
    return status;
}

static squall_status read_rows(tiff_state *state, squall_field *field, squall_error *err)
{
    const size_t bytes = field->grid.width * (state->bits / 8);
    if (TIFFScanlineSize64(state->tiff) != bytes) {
        return sq_fail(err, SQUALL_E_CORRUPT, state->source.name, "rows of other than %zu bytes",
                       bytes);
    }
    unsigned char *row = sq_alloc_raw(bytes, 1);
    if (row == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, state->source.name, "no memory for a row");
    }
    squall_status status = SQUALL_OK;
    for (uint32_t r = 0; r < field->grid.height && status == SQUALL_OK; r++) {
        status = check_whole(state, "strip", TIFFComputeStrip(state->tiff, r, 0), err);
        if (status == SQUALL_OK && TIFFReadScanline(state->tiff, row, r, 0) != 1) {
            status = damaged(state, "row", r, err);
        }
        if (status == SQUALL_OK) {
            take_row(state, row, field->grid.width, r * field->grid.width, field);
        }
    }
    sq_free(row);
    return status;
}

static squall_status tiff_read(void *state, size_t index, squall_field **out, squall_error *err)
{
    tiff_state *opened = state;
    squall_field *field;
    (void)index;
    opened->problem[0] = '\0';
    SQ_TRY(sq_io_field_create(&opened->grid, opened->source.name, &field, err));
    squall_field_set_quantity(field, opened->quantity, opened->name, opened->unit);
    field->valid_time = opened->time;
    const squall_status status =
        TIFFIsTiled(opened->tiff) ? read_tiles(opened, field, err) : read_rows(opened, field, err);
    if (status != SQUALL_OK) {
        squall_field_destroy(&field);
        return status;
    }
    *out = field;
    return SQUALL_OK;
}

const sq_io_format sq_io_tiff = {.name = "GeoTIFF",
                                 .locked = false,
                                 .sniff = tiff_sniff,
                                 .open = tiff_open,
                                 .time = tiff_time,
                                 .read = tiff_read,
                                 .close = tiff_close};
