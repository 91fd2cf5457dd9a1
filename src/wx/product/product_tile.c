/* wx/product/product_tile.c - tiles: the colours of rain by number, and indexed PNG. */
#include <math.h>
#include <string.h>

#include <libdeflate.h>

#include "wx/product/product_draw.h"

enum { MOST_SIDE = 8192, LEVEL = 6, PALETTE_MOST = 256 };

_Static_assert(SQ_TILE_CLASSES == SQ_RATE_CLASSES, "tiles have the classes of the maps");

uint8_t sq_tile_colour(float rate_mm_h)
{
    uint8_t index = SQ_TILE_CLEAR;
    if (isnan(rate_mm_h)) {
        return SQ_TILE_NO_COVERAGE;
    }
    while (index < SQ_RATE_CLASSES &&
           (double)rate_mm_h >= sq_rate_classes[index].from_mm_h - 1e-6) {
        index++;
    }
    return index;
}

uint32_t sq_tile_argb(size_t index, double *from_mm_h)
{
    const bool class_of_rain = index > SQ_TILE_CLEAR && index <= SQ_TILE_CLASSES;
    *from_mm_h = class_of_rain ? sq_rate_classes[index - 1].from_mm_h : 0.0;
    return class_of_rain                  ? 0xE6000000u | sq_rate_classes[index - 1].colour
           : index == SQ_TILE_NO_COVERAGE ? 0x59000000u | SQ_COLOUR_HATCH_EDGE
                                          : 0u;
}

static void put_u32(unsigned char *at, uint32_t value)
{
    at[0] = (unsigned char)(value >> 24);
    at[1] = (unsigned char)(value >> 16);
    at[2] = (unsigned char)(value >> 8);
    at[3] = (unsigned char)value;
}

/* Length, type, bytes and checksum of one chunk; `type` and the bytes stand at `at` + 4 already.
 * Returns where the next one begins. */
static unsigned char *end_chunk(unsigned char *at, const char *type, size_t length)
{
    put_u32(at, (uint32_t)length);
    memcpy(at + 4, type, 4);
    put_u32(at + 8 + length, libdeflate_crc32(0, at + 4, length + 4));
    return at + 12 + length;
}

/* Bits of a pixel, so that few colours take little room: 1, 2, 4 or 8. */
static unsigned depth_of(size_t colours)
{
    return colours <= 2 ? 1 : colours <= 4 ? 2 : colours <= 16 ? 4 : 8;
}

/* Rows as PNG has them: a filter byte (none), then packed pixels. */
static void pack_rows(const uint8_t *pixels, size_t width, size_t height, unsigned depth,
                      unsigned char *rows, size_t stride)
{
    for (size_t y = 0; y < height; y++) {
        unsigned char *row = rows + y * stride;
        memset(row, 0, stride);
        for (size_t x = 0; x < width; x++) {
            const size_t bit = x * depth;
            row[1 + bit / 8] =
                (unsigned char)(row[1 + bit / 8] | pixels[y * width + x] << (8 - depth - bit % 8));
        }
    }
}

static unsigned char *write_head(unsigned char *at, size_t width, size_t height, unsigned depth,
                                 const uint32_t *palette, size_t colours)
{
    static const unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    memcpy(at, signature, sizeof signature);
    at += sizeof signature;
    put_u32(at + 8, (uint32_t)width);
    put_u32(at + 12, (uint32_t)height);
    at[16] = (unsigned char)depth;
    at[17] = 3; /* indexed */
    at[18] = at[19] = at[20] = 0;
    at = end_chunk(at, "IHDR", 13);
    for (size_t i = 0; i < colours; i++) {
        at[8 + 3 * i] = (unsigned char)(palette[i] >> 16);
        at[9 + 3 * i] = (unsigned char)(palette[i] >> 8);
        at[10 + 3 * i] = (unsigned char)palette[i];
    }
    at = end_chunk(at, "PLTE", 3 * colours);
    for (size_t i = 0; i < colours; i++) {
        at[8 + i] = (unsigned char)(palette[i] >> 24);
    }
    return end_chunk(at, "tRNS", colours);
}

squall_status sq_png_encode(const uint8_t *pixels, size_t width, size_t height,
                            const uint32_t *palette, size_t colours, unsigned char **out,
                            size_t *size, squall_error *err)
{
    if (width == 0 || height == 0 || width > MOST_SIDE || height > MOST_SIDE || colours == 0 ||
        colours > PALETTE_MOST) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "PNG", "%zux%zu pixels, %zu colours", width, height,
                       colours);
    }
    squall_status status = SQUALL_OK;
    const unsigned depth = depth_of(colours);
    const size_t stride = 1 + (width * depth + 7) / 8, raw = stride * height;
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(LEVEL);
    unsigned char *rows = sq_alloc_raw(raw, 1), *png = NULL;
    if (compressor == NULL || rows == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "PNG", "no memory");
        goto done;
    }
    const size_t room = libdeflate_zlib_compress_bound(compressor, raw);
    png = sq_alloc_raw(room + 5 * 12 + 8 + 13 + 4 * colours, 1);
    if (png == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "PNG", "no memory");
        goto done;
    }
    pack_rows(pixels, width, height, depth, rows, stride);
    unsigned char *at = write_head(png, width, height, depth, palette, colours);
    at = end_chunk(at, "IDAT", libdeflate_zlib_compress(compressor, rows, raw, at + 8, room));
    at = end_chunk(at, "IEND", 0);
    *out = png;
    *size = (size_t)(at - png);
    png = NULL;
done:
    libdeflate_free_compressor(compressor);
    sq_free(rows);
    sq_free(png);
    return status;
}
