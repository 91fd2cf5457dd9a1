/* wx/io/io_gzip.c - gzip, told by content, inflated within bounds. */
#include "wx/io/io_gzip.h"

#include <string.h>

#include <libdeflate.h>

#include "base/base.h"

#define GZIP_SMALLEST 18   /* bytes: a header of 10 and a trailer of 8 */
#define DEFLATE_RATIO 1032 /* no deflate stream grows by more */

bool sq_io_is_gzip(const unsigned char *bytes, size_t size)
{
    return size >= 3 && bytes[0] == 0x1f && bytes[1] == 0x8b && bytes[2] == 8;
}

/* What the trailer says the last member holds, modulo 2^32: a first guess, not to be trusted. */
static size_t size_guess(const unsigned char *bytes, size_t size, size_t most)
{
    const unsigned char *trailer = bytes + size - 4;
    const size_t claim = (size_t)trailer[0] | (size_t)trailer[1] << 8 | (size_t)trailer[2] << 16 |
                         (size_t)trailer[3] << 24;
    const size_t guess = claim > 0 && claim <= most ? claim : size * 4;
    return guess < most ? guess : most;
}

static bool only_zeros(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

squall_status sq_io_gunzip(const unsigned char *bytes, size_t size, const char *name,
                           unsigned char **out, size_t *out_size, squall_error *err)
{
    squall_status status = SQUALL_OK;
    unsigned char *buffer = NULL;
    size_t used = 0, capacity = 0, most;
    struct libdeflate_decompressor *decoder = NULL;
    if (size < GZIP_SMALLEST) {
        return sq_fail(err, SQUALL_E_TRUNCATED, name,
                       "%zu bytes of gzip; the shortest file has %d; fetch it again", size,
                       GZIP_SMALLEST);
    }
    if (!sq_mul_size(size, DEFLATE_RATIO, &most) || most > SQ_LIMIT_INFLATED) {
        most = SQ_LIMIT_INFLATED;
    }
    decoder = libdeflate_alloc_decompressor();
    capacity = size_guess(bytes, size, most);
    buffer = sq_alloc_raw(capacity, 1);
    for (size_t read = 0; decoder != NULL && buffer != NULL;) {
        size_t member_in = 0, member_out = 0;
        const enum libdeflate_result result =
            libdeflate_gzip_decompress_ex(decoder, bytes + read, size - read, buffer + used,
                                          capacity - used, &member_in, &member_out);
        if (result == LIBDEFLATE_SUCCESS) {
            used += member_out;
            read += member_in;
            /* Tapes and some tools pad with zeros; anything else must be the next member. */
            if (only_zeros(bytes + read, size - read)) {
                break;
            }
        } else if (result != LIBDEFLATE_INSUFFICIENT_SPACE) {
            status =
                sq_fail(err, SQUALL_E_CORRUPT, name,
                        "gzip data behind byte %zu is damaged or cut short; fetch it again", read);
            break;
        } else if (capacity >= most) {
            status = sq_fail(err, SQUALL_E_LIMIT, name, "inflates to more than %zu bytes", most);
            break;
        } else {
            const size_t grown = capacity < most / 2 ? capacity * 2 : most;
            unsigned char *larger = sq_alloc_raw(grown, 1);
            if (larger != NULL) {
                memcpy(larger, buffer, used);
            }
            sq_free(buffer);
            buffer = larger;
            capacity = grown;
        }
    }
    if (decoder == NULL || buffer == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, name, "no memory for %zu inflated bytes", capacity);
    }
    libdeflate_free_decompressor(decoder);
    if (status != SQUALL_OK) {
        sq_free(buffer);
        return status;
    }
    *out = buffer;
    *out_size = used;
    return SQUALL_OK;
}
