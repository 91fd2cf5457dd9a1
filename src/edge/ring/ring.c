/* edge/ring/ring.c - slots in turn, each with its number and checksum. */
#include "edge/ring/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_HEAD = 64, MOST_SLOTS = 1048576 };

static const char magic[8] = {'s', 'q', 'r', 'i', 'n', 'g', '1', '\n'};

/* At the beginning of a slot; numbers are the machine's own, little-endian on all that we run on.
 */
typedef struct slot_head {
    uint32_t check; /* of all behind it, to the record's end */
    uint32_t size;
    uint64_t sequence;
} slot_head;

typedef struct file_head {
    char magic[8];
    uint32_t slot_bytes, slots, check;
} file_head;

_Static_assert(sizeof(slot_head) == SQ_RING_HEAD, "a slot's head has 16 bytes");

struct sq_ring {
    int file;
    sq_ring_options options;
    uint64_t last, written;
    uint32_t unsynced;
    char path[256];
    unsigned char slot[SQ_RING_MOST_SLOT];
};

/* CRC-32 (IEEE 802.3), bit by bit: records are short and rare. */
static uint32_t checksum(const unsigned char *bytes, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int b = 0; b < 8; b++) {
            crc = crc & 1 ? crc >> 1 ^ UINT32_C(0xedb88320) : crc >> 1;
        }
    }
    return ~crc;
}

static uint32_t head_check(const file_head *head)
{
    return checksum((const unsigned char *)head, offsetof(file_head, check));
}

static off_t slot_place(const sq_ring *ring, uint64_t index)
{
    return (off_t)(FILE_HEAD + index * ring->options.slot_bytes);
}

/* Read slot `index`; its number, or 0 when it holds no whole record. */
static uint64_t load_slot(sq_ring *ring, uint64_t index)
{
    slot_head head;
    const size_t bytes = ring->options.slot_bytes;
    if (pread(ring->file, ring->slot, bytes, slot_place(ring, index)) != (ssize_t)bytes) {
        return 0;
    }
    memcpy(&head, ring->slot, sizeof head);
    if (head.size > bytes - sizeof head || head.sequence == 0 ||
        (head.sequence - 1) % ring->options.slots != index ||
        head.check !=
            checksum(ring->slot + sizeof head.check, sizeof head - sizeof head.check + head.size)) {
        return 0;
    }
    return head.sequence;
}

/* ------------------------------------------------------------------ opening */

/* A new file appears under its name when all its room is there. */
static squall_status make_file(const char *path, const sq_ring_options *options, squall_error *err)
{
    sq_atomic_file whole = {0};
    file_head head = {.slot_bytes = options->slot_bytes, .slots = options->slots};
    memcpy(head.magic, magic, sizeof magic);
    head.check = head_check(&head);
    SQ_TRY(sq_atomic_begin(path, &whole, err));
    const int file = open(whole.temporary, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    const off_t bytes = FILE_HEAD + (off_t)options->slots * (off_t)options->slot_bytes;
    int problem = file < 0 ? errno : posix_fallocate(file, 0, bytes);
    if (problem == 0 && pwrite(file, &head, sizeof head, 0) != (ssize_t)sizeof head) {
        problem = errno;
    }
    if (file >= 0) {
        close(file);
    }
    if (problem != 0) {
        sq_atomic_abort(&whole);
        return sq_fail(err, SQUALL_E_IO, path, "no room for %lld bytes: %s", (long long)bytes,
                       strerror(problem));
    }
    return sq_atomic_commit(&whole, err);
}

static squall_status check_file(const sq_ring *ring, squall_error *err)
{
    file_head head;
    struct stat info;
    if (pread(ring->file, &head, sizeof head, 0) != (ssize_t)sizeof head ||
        memcmp(head.magic, magic, sizeof magic) != 0 || head.check != head_check(&head)) {
        return sq_fail(err, SQUALL_E_CORRUPT, ring->path, "is no ring, or its head is damaged");
    }
    if (head.slot_bytes != ring->options.slot_bytes || head.slots != ring->options.slots) {
        return sq_fail(err, SQUALL_E_MISMATCH, ring->path,
                       "has %u slots of %u bytes, and %u of %u are wanted; move it away first",
                       head.slots, head.slot_bytes, ring->options.slots, ring->options.slot_bytes);
    }
    if (fstat(ring->file, &info) != 0 || info.st_size < slot_place(ring, ring->options.slots)) {
        return sq_fail(err, SQUALL_E_CORRUPT, ring->path, "is shorter than its slots");
    }
    return SQUALL_OK;
}

static squall_status open_file(sq_ring *ring, squall_error *err)
{
    ring->file = open(ring->path, O_RDWR | O_CLOEXEC);
    if (ring->file < 0 && errno == ENOENT) {
        SQ_TRY(make_file(ring->path, &ring->options, err));
        ring->file = open(ring->path, O_RDWR | O_CLOEXEC);
    }
    if (ring->file < 0) {
        return sq_fail(err, SQUALL_E_IO, ring->path, "cannot be opened: %s", strerror(errno));
    }
    SQ_TRY(check_file(ring, err));
    for (uint32_t i = 0; i < ring->options.slots; i++) {
        const uint64_t sequence = load_slot(ring, i);
        ring->last = sequence > ring->last ? sequence : ring->last;
    }
    return SQUALL_OK;
}

squall_status sq_ring_open(const char *path, const sq_ring_options *options, sq_ring **out,
                           squall_error *err)
{
    if (options->slot_bytes < 64 || options->slot_bytes > SQ_RING_MOST_SLOT ||
        options->slot_bytes % 64 != 0 || options->slots < 2 || options->slots > MOST_SLOTS ||
        strlen(path) >= sizeof((sq_ring *)NULL)->path) {
        return sq_fail(err, SQUALL_E_ARGUMENT, path,
                       "a ring has 2 to %d slots of 64 to %d bytes, by 64, and a path of at most "
                       "%zu characters",
                       MOST_SLOTS, SQ_RING_MOST_SLOT, sizeof((sq_ring *)NULL)->path - 1);
    }
    sq_ring *ring = sq_alloc(1, sizeof *ring);
    if (ring == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, path, "no memory for the ring");
    }
    ring->options = *options;
    snprintf(ring->path, sizeof ring->path, "%s", path);
    const squall_status status = open_file(ring, err);
    if (status != SQUALL_OK) {
        sq_ring_close(&ring);
        return status;
    }
    *out = ring;
    return SQUALL_OK;
}

void sq_ring_close(sq_ring **ring)
{
    if (*ring != NULL && (*ring)->file >= 0) {
        close((*ring)->file);
    }
    sq_free(*ring);
    *ring = NULL;
}

/* ------------------------------------------------------------------ writing */

squall_status sq_ring_sync(sq_ring *ring, squall_error *err)
{
    if (fdatasync(ring->file) != 0) {
        return sq_fail(err, SQUALL_E_IO, ring->path, "cannot be synced: %s", strerror(errno));
    }
    ring->unsynced = 0;
    return SQUALL_OK;
}

squall_status sq_ring_append(sq_ring *ring, const void *bytes, size_t size, uint64_t *sequence,
                             squall_error *err)
{
    const size_t room = ring->options.slot_bytes - sizeof(slot_head);
    slot_head head = {.size = (uint32_t)size, .sequence = ring->last + 1};
    if (size > room) {
        return sq_fail(err, SQUALL_E_LIMIT, ring->path, "a record of %zu bytes; %zu fit", size,
                       room);
    }
    memset(ring->slot, 0, ring->options.slot_bytes);
    memcpy(ring->slot, &head, sizeof head);
    memcpy(ring->slot + sizeof head, bytes, size);
    head.check = checksum(ring->slot + sizeof head.check, sizeof head - sizeof head.check + size);
    memcpy(ring->slot, &head, sizeof head);
    const ssize_t wrote = pwrite(ring->file, ring->slot, ring->options.slot_bytes,
                                 slot_place(ring, ring->last % ring->options.slots));
    if (wrote != (ssize_t)ring->options.slot_bytes) {
        return sq_fail(err, SQUALL_E_IO, ring->path, "record %llu cannot be written: %s",
                       (unsigned long long)head.sequence, wrote < 0 ? strerror(errno) : "no room");
    }
    ring->last = head.sequence;
    ring->written += ring->options.slot_bytes;
    ring->unsynced++;
    if (sequence != NULL) {
        *sequence = head.sequence;
    }
    return ring->options.sync_every > 0 && ring->unsynced >= ring->options.sync_every
               ? sq_ring_sync(ring, err)
               : SQUALL_OK;
}

/* ------------------------------------------------------------------ reading */

uint64_t sq_ring_last(const sq_ring *ring)
{
    return ring->last;
}

uint64_t sq_ring_first(const sq_ring *ring)
{
    return ring->last == 0                    ? 0
           : ring->last < ring->options.slots ? 1
                                              : ring->last - ring->options.slots + 1;
}

squall_status sq_ring_read(sq_ring *ring, uint64_t sequence, void *bytes, size_t room, size_t *size,
                           squall_error *err)
{
    slot_head head;
    if (sequence == 0 || load_slot(ring, (sequence - 1) % ring->options.slots) != sequence) {
        return sq_fail(err, SQUALL_E_NO_DATA, ring->path, "record %llu is not there",
                       (unsigned long long)sequence);
    }
    memcpy(&head, ring->slot, sizeof head);
    if (head.size > room) {
        return sq_fail(err, SQUALL_E_LIMIT, ring->path,
                       "record %llu has %u bytes; there is room "
                       "for %zu",
                       (unsigned long long)sequence, head.size, room);
    }
    memcpy(bytes, ring->slot + sizeof head, head.size);
    *size = head.size;
    return SQUALL_OK;
}

uint64_t sq_ring_written(const sq_ring *ring)
{
    return ring->written;
}
