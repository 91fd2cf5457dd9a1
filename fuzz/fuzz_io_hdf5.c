/* rooms: wx/io */
/* fuzz/fuzz_io_hdf5.c - HDF5 files from hostile hands: ODIM, KNMI and netCDF-4. Seeds:
 * fuzz/make_io_hdf5_seeds.py. */
#include "fuzz_io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (sq_io_hdf5.sniff(data, size)) {
        fuzz_read_all(data, size);
    }
    return 0;
}
