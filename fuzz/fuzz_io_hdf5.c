/* rooms: wx/io */
/* fuzz/fuzz_io_hdf5.c - HDF5 files from hostile hands: ODIM, KNMI and netCDF-4. Seeds:
 * fuzz/make_io_hdf5_seeds.py.
 *
 * Each input is read as it is, and with the checksums of its newer structures made right, or
 * nothing would ever reach what is behind them. */
#include <string.h>

#include "fuzz_io.h"
#include "wx/io/io_hdf5_guard.h"

/* Structures whose size their first bytes tell, in files with addresses and lengths of 8 bytes. */
static size_t sealed_bytes(const uint8_t *p, size_t left)
{
    static const struct {
        char signature[5];
        size_t bytes;
    } fixed[] = {{"FRHP", 142}, {"BTHD", 34}};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (left > 4 && memcmp(p, fixed[i].signature, 4) == 0) {
            return fixed[i].bytes;
        }
    }
    if (left > 44 && memcmp(p, "\x89HDF", 4) == 0 && (p[8] == 2 || p[8] == 3)) {
        return 44;
    }
    if (left < 32 || memcmp(p, "OHDR", 4) != 0) {
        return 0;
    }
    size_t at = 6 + ((p[5] & 0x20) != 0 ? 16 : 0) + ((p[5] & 0x10) != 0 ? 4 : 0);
    const size_t width = (size_t)1 << (p[5] & 3);
    size_t bytes = 0;
    for (size_t i = width < 4 ? width : 4; i-- > 0;) {
        bytes = bytes << 8 | p[at + i];
    }
    return at + width + bytes;
}

static void reseal(uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size; at++) {
        const size_t sealed = sealed_bytes(bytes + at, size - at);
        if (sealed > 0 && sealed + 4 <= size - at) {
            const uint32_t sum = sq_io_hdf5_checksum(bytes + at, sealed, SIZE_MAX);
            for (size_t i = 0; i < 4; i++) {
                bytes[at + sealed + i] = (uint8_t)(sum >> (8 * i));
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!sq_io_hdf5.sniff(data, size)) {
        return 0;
    }
    fuzz_read_all(data, size);
    uint8_t *sealed = malloc(size);
    if (sealed != NULL) {
        memcpy(sealed, data, size);
        reseal(sealed, size);
        if (memcmp(sealed, data, size) != 0) {
            fuzz_read_all(sealed, size);
        }
    }
    free(sealed);
    return 0;
}
