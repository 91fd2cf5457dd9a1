/* tests/unit/wx/io/io_leaks.h - what LeakSanitizer is told of libraries that lose memory.
 *
 * HDF5 1.10.8 loses the block of an object header whose checksum fails. io_hdf5_guard.c refuses
 * those first, but cannot find the headers that only a fractal heap leads to. */
#ifndef TESTS_IO_LEAKS_H
#define TESTS_IO_LEAKS_H

/* The name is LeakSanitizer's; nothing calls it without the sanitizer. */
const char *__lsan_default_suppressions(void);
__attribute__((used, visibility("default"))) const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5\n";
}

#endif /* TESTS_IO_LEAKS_H */
