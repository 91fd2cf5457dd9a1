/* fuzz/fuzz_io.h - what the fuzz targets of wx/io share: open, read, and hold the field to what
 * squall/field.h says of every field. */
#ifndef FUZZ_FUZZ_IO_H
#define FUZZ_FUZZ_IO_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "../tests/unit/wx/io/io_leaks.h"
#include "squall/io.h"
#include "wx/io/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A cell that nobody looked at is NaN, a dry one 0, any other a number. */
static inline void fuzz_check_field(const squall_field *field)
{
    const squall_grid *grid = &field->grid;
    if (!(grid->dx > 0) || !(grid->dy > 0) || !isfinite(grid->left) || !isfinite(grid->top) ||
        grid->proj[0] == '\0') {
        abort();
    }
    for (size_t i = 0; i < grid->width * grid->height; i++) {
        const float value = field->values[i];
        const bool holds = field->mask[i] == SQUALL_CELL_NO_COVERAGE ? isnan(value)
                           : field->mask[i] == SQUALL_CELL_DRY       ? value == 0
                                                                     : isfinite(value);
        if (!holds) {
            abort();
        }
    }
}

/* Open the bytes as a file and read its first fields. */
static inline void fuzz_read_all(const uint8_t *data, size_t size)
{
    squall_file *file = NULL;
    squall_error err = {.text = ""};
    squall_status status = squall_file_open_memory(data, size, "fuzz", NULL, &file, &err);
    const size_t count = status == SQUALL_OK ? squall_file_count(file) : 0;
    for (size_t i = 0; i < count && i < 3; i++) {
        squall_field *field = NULL;
        status = squall_file_read(file, i, &field, &err);
        if (status == SQUALL_OK) {
            fuzz_check_field(field);
        }
        squall_field_destroy(&field);
    }
    if (status != SQUALL_OK && (err.text[0] == '\0' || err.where[0] == '\0')) {
        abort(); /* a failure without words */
    }
    squall_file_close(&file);
}

#endif /* FUZZ_FUZZ_IO_H */
