/* rooms: wx/io */
/* fuzz/fuzz_io_gzip.c - gzipped files from hostile hands. Seeds: fuzz/make_io_text_seeds.py. */
#include "fuzz_io.h"
#include "wx/io/io_gzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (sq_io_is_gzip(data, size)) {
        fuzz_read_all(data, size);
    }
    return 0;
}
