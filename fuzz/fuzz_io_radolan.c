/* rooms: wx/io */
/* fuzz/fuzz_io_radolan.c - RADOLAN composites from hostile hands. Seeds:
 * fuzz/make_io_text_seeds.py.
 *
 * A composite has a cell for each of its square kilometres. The bytes of an input behind its header
 * are repeated up to the size that the header claims, so that inputs stay small. */
#include <string.h>

#include "fuzz_io.h"

enum { ETX = 3, MAX_BYTES = 5 << 20 };

/* The number behind "BY" in the header, 0 for none. */
static size_t claimed_bytes(const uint8_t *data, size_t header_bytes)
{
    size_t claim = 0;
    for (size_t i = 19; i < header_bytes && data[i] >= '0' && data[i] <= '9'; i++) {
        claim = claim * 10 + data[i] - '0';
        if (claim > MAX_BYTES) {
            return 0;
        }
    }
    return claim;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!sq_io_radolan.sniff(data, size)) {
        return 0;
    }
    const uint8_t *etx = memchr(data, ETX, size);
    const size_t header = etx != NULL ? (size_t)(etx - data) + 1 : size;
    const size_t claim = claimed_bytes(data, header);
    if (claim <= size || header == size) {
        fuzz_read_all(data, size);
        return 0;
    }
    uint8_t *whole = malloc(claim);
    if (whole != NULL) {
        memcpy(whole, data, size);
        for (size_t i = size; i < claim; i++) {
            whole[i] = whole[i - (size - header)];
        }
        fuzz_read_all(whole, claim);
    }
    free(whole);
    return 0;
}
