/* rooms: wx/io */
/* seeds: tests/data/tiff */
/* fuzz/fuzz_io_tiff.c - GeoTIFF files from hostile hands. */
#include "fuzz_io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (sq_io_tiff.sniff(data, size)) {
        fuzz_read_all(data, size);
    }
    return 0;
}
