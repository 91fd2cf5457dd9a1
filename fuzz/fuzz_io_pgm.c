/* rooms: wx/io */
/* fuzz/fuzz_io_pgm.c - FMI composites as PGM from hostile hands. Seeds: fuzz/make_io_text_seeds.py.
 */
#include "fuzz_io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (sq_io_pgm.sniff(data, size)) {
        fuzz_read_all(data, size);
    }
    return 0;
}
