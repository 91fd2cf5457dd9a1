/* rooms: wx/io */
/* fuzz/fuzz_io_netcdf3.c - classic netCDF files from hostile hands. Seeds:
 * fuzz/make_io_hdf5_seeds.py. */
#include "fuzz_io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (sq_io_netcdf3.sniff(data, size)) {
        fuzz_read_all(data, size);
    }
    return 0;
}
