/* rooms: wx/io */
/* seeds: tests/data/grib tests/data/mrms */
/* fuzz/fuzz_io_grib.c - GRIB2 files from hostile hands. */
#include "fuzz_io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (sq_io_grib.sniff(data, size)) {
        fuzz_read_all(data, size);
    }
    return 0;
}
