/* edge/ring/ring.h - a log of records in a file that never grows: the newest take the place of the
 * oldest, and a power cut at any moment loses at most the record that was being written.
 *
 * Flash wears evenly: each record is one write to the next slot, and all slots are used in turn.
 * Nothing is allocated but by opening. One ring, one thread.
 */
#ifndef SQ_EDGE_RING_RING_H
#define SQ_EDGE_RING_RING_H

#include <stdint.h>

#include "base/base.h"

enum {
    SQ_RING_HEAD = 16,       /* bytes of a slot before the record */
    SQ_RING_MOST_SLOT = 4096 /* bytes */
};

typedef struct sq_ring_options {
    uint32_t
        slot_bytes; /* 64 to SQ_RING_MOST_SLOT, a multiple of 64; a record has SQ_RING_HEAD less */
    uint32_t slots; /* 2 to 1048576 */
    uint32_t sync_every; /* records until they are forced to the disk; 0: only by sq_ring_sync() */
} sq_ring_options;

typedef struct sq_ring sq_ring;

/**
 * Open a ring, or make it, whole, when there is none. What a power cut left half written is passed
 * over.
 * @param out  given: sq_ring_close()
 * @return SQUALL_E_IO (no room, no right), SQUALL_E_CORRUPT (another file, or its head is damaged),
 *         SQUALL_E_MISMATCH (a ring of other sizes), SQUALL_E_ARGUMENT, SQUALL_E_MEMORY
 */
SQUALL_MUST_USE squall_status sq_ring_open(const char *path, const sq_ring_options *options,
                                           sq_ring **out, squall_error *err);
void sq_ring_close(sq_ring **ring);

/** Write a record; with sync_every 1 it is on the disk when this returns.
 * @param sequence  filled: its number, from 1 on; may be NULL */
SQUALL_MUST_USE squall_status sq_ring_append(sq_ring *ring, const void *bytes, size_t size,
                                             uint64_t *sequence, squall_error *err);
/** Force what is written to the disk. */
SQUALL_MUST_USE squall_status sq_ring_sync(sq_ring *ring, squall_error *err);

/** Numbers of the newest record, and of the oldest that may be there; 0: there is none. */
uint64_t sq_ring_last(const sq_ring *ring);
uint64_t sq_ring_first(const sq_ring *ring);
/** Read record `sequence` into `room` bytes; SQUALL_E_NO_DATA when it is gone or damaged,
 * SQUALL_E_LIMIT when it is longer than `room`. */
SQUALL_MUST_USE squall_status sq_ring_read(sq_ring *ring, uint64_t sequence, void *bytes,
                                           size_t room, size_t *size, squall_error *err);
/** Bytes written since it was opened: what the flash has worn. */
uint64_t sq_ring_written(const sq_ring *ring);

#endif /* SQ_EDGE_RING_RING_H */
