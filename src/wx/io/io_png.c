/* wx/io/io_png.c - the pixels of a PNG, as GRIB2 packs fields into them.
 *
 * Fields of MRMS have 24.5 million pixels. ecCodes would give them as doubles, at twice the time
 * and four times the memory of this. */
#include "wx/io/io_png.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <libdeflate.h>

#include "base/base.h"

#define SIGNATURE_BYTES 8
#define CHUNK_BYTES     12 /* length, type and CRC around the data */
#define DEFLATE_RATIO   1032

static size_t load32(const unsigned char *p)
{
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

/* One chunk at `*at`, which moves behind it. */
typedef struct png_chunk {
    const unsigned char *type, *data;
    size_t length;
} png_chunk;

static squall_status next_chunk(const unsigned char *bytes, size_t size, size_t *at,
                                const char *where, png_chunk *chunk, squall_error *err)
{
    if (size - *at < CHUNK_BYTES || load32(bytes + *at) > size - *at - CHUNK_BYTES) {
        return sq_fail(err, SQUALL_E_TRUNCATED, where, "its PNG ends within a chunk, at byte %zu",
                       size);
    }
    chunk->length = load32(bytes + *at);
    chunk->type = bytes + *at + 4;
    chunk->data = bytes + *at + 8;
    const size_t crc = libdeflate_crc32(0, chunk->type, chunk->length + 4);
    if (crc != load32(chunk->data + chunk->length)) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "its PNG chunk at byte %zu does not fit its checksum", *at);
    }
    *at += chunk->length + CHUNK_BYTES;
    return SQUALL_OK;
}

static squall_status take_header(const png_chunk *chunk, size_t pixels, const char *where,
                                 sq_png *png, squall_error *err)
{
    static const unsigned samples[] = {1, 0, 3, 0, 0, 0, 4}; /* by colour type */
    if (memcmp(chunk->type, "IHDR", 4) != 0 || chunk->length != 13) {
        return sq_fail(err, SQUALL_E_CORRUPT, where, "its PNG does not begin with a header");
    }
    const unsigned char *p = chunk->data;
    png->width = load32(p);
    png->height = load32(p + 4);
    const unsigned depth = p[8], colour = p[9];
    const bool depth_is_fine =
        colour == 0 ? depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16
                    : depth == 8;
    if (colour >= sizeof samples / sizeof samples[0] || samples[colour] == 0 || !depth_is_fine ||
        p[10] != 0 || p[11] != 0 || p[12] != 0) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "a PNG of colour type %u, depth %u, interlacing %u; grey, RGB and RGBA "
                       "without interlacing are taken",
                       colour, depth, p[12]);
    }
    size_t count;
    if (!sq_mul_size(png->width, png->height, &count) || count != pixels || count == 0) {
        return sq_fail(err, SQUALL_E_CORRUPT, where, "its PNG has %zu x %zu pixels for %zu values",
                       png->width, png->height, pixels);
    }
    png->bits = depth * samples[colour];
    png->row_bytes = 1 + (png->width * png->bits + 7) / 8;
    return SQUALL_OK;
}

/* The Paeth predictor of the PNG specification, section 9.4. */
static unsigned char paeth(int left, int above, int corner)
{
    const int estimate = left + above - corner;
    const int to_left = estimate > left ? estimate - left : left - estimate;
    const int to_above = estimate > above ? estimate - above : above - estimate;
    const int to_corner = estimate > corner ? estimate - corner : corner - estimate;
    if (to_left <= to_above && to_left <= to_corner) {
        return (unsigned char)left;
    }
    return (unsigned char)(to_above <= to_corner ? above : corner);
}

/* Undo the filter of one row. `above` is the row before, or zeros; `step` the bytes of a pixel. */
static bool unfilter_row(unsigned filter, unsigned char *row, const unsigned char *above,
                         size_t count, size_t step)
{
    switch (filter) {
    case 0:
        return true;
    case 1:
        for (size_t i = step; i < count; i++) {
            row[i] = (unsigned char)(row[i] + row[i - step]);
        }
        return true;
    case 2:
        for (size_t i = 0; i < count; i++) {
            row[i] = (unsigned char)(row[i] + above[i]);
        }
        return true;
    case 3:
        for (size_t i = 0; i < count; i++) {
            const unsigned left = i >= step ? row[i - step] : 0;
            row[i] = (unsigned char)(row[i] + (left + above[i]) / 2);
        }
        return true;
    case 4:
        for (size_t i = 0; i < count; i++) {
            const int left = i >= step ? row[i - step] : 0;
            const int corner = i >= step ? above[i - step] : 0;
            row[i] = (unsigned char)(row[i] + paeth(left, above[i], corner));
        }
        return true;
    default:
        return false;
    }
}

static squall_status unfilter(sq_png *png, const char *where, squall_error *err)
{
    const size_t count = png->row_bytes - 1, step = png->bits < 8 ? 1 : png->bits / 8;
    unsigned char *zeros = sq_alloc(count, 1);
    if (zeros == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, where, "no memory for a row of pixels");
    }
    const unsigned char *above = zeros;
    squall_status status = SQUALL_OK;
    for (size_t r = 0; r < png->height && status == SQUALL_OK; r++) {
        unsigned char *row = png->rows + r * png->row_bytes;
        if (!unfilter_row(row[0], row + 1, above, count, step)) {
            status = sq_fail(err, SQUALL_E_CORRUPT, where,
                             "row %zu of its PNG has filter %u of 0..4", r, row[0]);
        }
        above = row + 1;
    }
    sq_free(zeros);
    return status;
}

/* Inflate the packed bytes into rows. */
static squall_status inflate_rows(const unsigned char *packed, size_t size, const char *where,
                                  sq_png *png, squall_error *err)
{
    size_t raw;
    if (!sq_mul_size(png->row_bytes, png->height, &raw) || raw / DEFLATE_RATIO > size) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "%zu packed bytes cannot hold %zu x %zu pixels of %u bits", size, png->width,
                       png->height, png->bits);
    }
    struct libdeflate_decompressor *decoder = libdeflate_alloc_decompressor();
    png->rows = sq_alloc_raw(raw, 1);
    squall_status status = SQUALL_OK;
    if (decoder == NULL || png->rows == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, where, "no memory for %zu bytes of pixels", raw);
    } else if (libdeflate_zlib_decompress(decoder, packed, size, png->rows, raw, NULL) !=
               LIBDEFLATE_SUCCESS) {
        status = sq_fail(err, SQUALL_E_CORRUPT, where,
                         "the packed pixels of its PNG are damaged or not %zu x %zu", png->width,
                         png->height);
    }
    libdeflate_free_decompressor(decoder);
    return status;
}

/* The data chunks as one stream: `*packed` is theirs where there is one only, else a copy, which
 * then is `*owned` too. */
static squall_status join_data(const unsigned char *bytes, size_t size, size_t at,
                               const char *where, const unsigned char **packed,
                               unsigned char **owned, size_t *packed_size, squall_error *err)
{
    png_chunk chunk;
    size_t total = 0, chunks = 0;
    for (size_t p = at; p < size;) {
        SQ_TRY(next_chunk(bytes, size, &p, where, &chunk, err));
        if (memcmp(chunk.type, "IDAT", 4) == 0) {
            *packed = chunk.data;
            total += chunk.length;
            chunks++;
        } else if (memcmp(chunk.type, "IEND", 4) == 0) {
            break;
        }
    }
    *packed_size = total;
    if (chunks == 1) {
        return SQUALL_OK;
    }
    *owned = sq_alloc_raw(total, 1);
    if (*owned == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, where, "no memory for %zu packed bytes", total);
    }
    size_t used = 0;
    for (size_t p = at; p < size && used < total;) {
        SQ_TRY(next_chunk(bytes, size, &p, where, &chunk, err));
        if (memcmp(chunk.type, "IDAT", 4) == 0) {
            memcpy(*owned + used, chunk.data, chunk.length);
            used += chunk.length;
        }
    }
    *packed = *owned;
    return SQUALL_OK;
}

squall_status sq_io_png_read(const unsigned char *bytes, size_t size, size_t pixels,
                             const char *where, sq_png *out, squall_error *err)
{
    static const unsigned char signature[SIGNATURE_BYTES] = {0x89, 'P', 'N', 'G', 13, 10, 26, 10};
    squall_status status;
    const unsigned char *packed = NULL;
    unsigned char *owned = NULL;
    size_t at = SIGNATURE_BYTES, packed_size = 0;
    png_chunk chunk;
    if (size < SIGNATURE_BYTES || memcmp(bytes, signature, SIGNATURE_BYTES) != 0) {
        return sq_fail(err, SQUALL_E_CORRUPT, where, "%zu bytes where a PNG should be are none",
                       size);
    }
    SQ_TRY(next_chunk(bytes, size, &at, where, &chunk, err));
    SQ_TRY(take_header(&chunk, pixels, where, out, err));
    SQ_TRY_GOTO(join_data(bytes, size, at, where, &packed, &owned, &packed_size, err));
    SQ_TRY_GOTO(inflate_rows(packed, packed_size, where, out, err));
    SQ_TRY_GOTO(unfilter(out, where, err));
done:
    sq_free(owned);
    if (status != SQUALL_OK) {
        sq_free(out->rows);
        out->rows = NULL;
    }
    return status;
}
