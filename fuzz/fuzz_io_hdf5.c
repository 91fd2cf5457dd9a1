/* rooms: wx/io */
/* fuzz/fuzz_io_hdf5.c - HDF5 and netCDF files from hostile hands. Seeds:
 * fuzz/make_io_hdf5_seeds.py. */
#include <stdint.h>
#include <stdlib.h>

#include "../tests/unit/wx/io/io_leaks.h"
#include "squall/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    squall_file *file = NULL;
    squall_error err;
    if (squall_file_open_memory(data, size, "fuzz", NULL, &file, &err) != SQUALL_OK) {
        return 0;
    }
    const size_t count = squall_file_count(file);
    for (size_t i = 0; i < count && i < 3; i++) {
        squall_field *field = NULL;
        if (squall_file_read(file, i, &field, &err) == SQUALL_OK) {
            squall_field_counts counts;
            squall_field_count(field, &counts); /* touches every cell */
        }
        squall_field_destroy(&field);
    }
    squall_file_close(&file);
    return 0;
}
