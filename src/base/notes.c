/* base/notes.c - what a call could cope with but its caller should tell the user. */
#include "base/notes.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"

void sq_note(squall_notes *notes, const char *where, const char *format, ...)
{
    char line[640];
    if (notes == NULL) {
        return;
    }
    int used =
        snprintf(line, sizeof line, "%s%s", where != NULL ? where : "", where != NULL ? ": " : "");
    used = used < 0 ? 0 : used >= (int)sizeof line ? (int)sizeof line - 1 : used;
    va_list args;
    va_start(args, format);
    vsnprintf(line + used, sizeof line - (size_t)used, format, args);
    va_end(args);
    if (notes->count == notes->capacity) {
        const size_t capacity = notes->capacity > 0 ? notes->capacity * 2 : 8;
        char **lines = sq_regrow(notes->lines, notes->count, capacity, sizeof *lines);
        if (lines == NULL) {
            return; /* a warning is not worth failing for */
        }
        notes->lines = lines;
        notes->capacity = capacity;
    }
    notes->lines[notes->count] = sq_strdup(line);
    if (notes->lines[notes->count] != NULL) {
        notes->count++;
    }
}

squall_notes *squall_notes_create(void)
{
    return sq_alloc(1, sizeof(squall_notes));
}

size_t squall_notes_count(const squall_notes *notes)
{
    return notes != NULL ? notes->count : 0;
}

const char *squall_notes_get(const squall_notes *notes, size_t index)
{
    return notes != NULL && index < notes->count ? notes->lines[index] : NULL;
}

void squall_notes_destroy(squall_notes **notes)
{
    if (notes == NULL || *notes == NULL) {
        return;
    }
    for (size_t i = 0; i < (*notes)->count; i++) {
        sq_free((*notes)->lines[i]);
    }
    sq_free((*notes)->lines);
    sq_free(*notes);
    *notes = NULL;
}
