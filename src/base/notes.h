/* base/notes.h - what a call could cope with but its caller should tell the user. */
#ifndef SQ_BASE_NOTES_H
#define SQ_BASE_NOTES_H

#include <stddef.h>

#include "squall/status.h"

/** A list of warnings: "a.h5:/dataset1/data1: 3 frames missing before 12:05; used the last one".
 * Zero-initialise; release with sq_notes_free(). */
struct squall_notes {
    char **lines; /* [count], each owned */
    size_t count, capacity;
};

/** Add one line, built as "where: text". A NULL list is allowed and keeps nothing. */
__attribute__((format(printf, 3, 4))) void sq_note(squall_notes *notes, const char *where,
                                                   const char *format, ...);

#endif /* SQ_BASE_NOTES_H */
