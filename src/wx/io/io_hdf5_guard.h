/* wx/io/io_hdf5_guard.h - what is checked in an HDF5 file before the library may see it.
 *
 * HDF5 1.10.8 believes lengths and addresses in the older structures of a file, which have no
 * checksums: it reads behind the end of attributes, heaps and nodes that say so. So they are walked
 * here first, by the HDF5 File Format Specification 3.0, and held against the bytes there are.
 * Newer structures have checksums, but lead to older ones, and are walked as well. Indices of
 * chunks are left to the library.
 */
#ifndef SQ_WX_IO_IO_HDF5_GUARD_H
#define SQ_WX_IO_IO_HDF5_GUARD_H

#include "wx/io/io.h"

#define SQ_IO_HDF5_NOWHERE UINT64_MAX /* an address that is not set */

/** The walk. */
typedef struct sq_io_hdf5_guard {
    const sq_io_source *source;
    uint64_t base;                      /* what addresses are counted from */
    size_t address_bytes, length_bytes; /* of numbers in the file: 4 or 8 */
    squall_error *err;
    size_t objects;              /* seen so far */
    size_t heap_steps;           /* gone so far */
    unsigned leaf_k, internal_k; /* half the entries of a leaf and of a node of a group's tree */
} sq_io_hdf5_guard;

/** A part of the file: `at` and `end` are offsets into the bytes of the source. */
typedef struct sq_io_hdf5_range {
    size_t at, end;
} sq_io_hdf5_range;

/** Walk the whole file, which begins with its signature at `at`.
 * @return SQUALL_OK; SQUALL_E_CORRUPT; SQUALL_E_LIMIT; SQUALL_E_UNSUPPORTED. */
SQUALL_MUST_USE squall_status sq_io_hdf5_guard_file(const sq_io_source *source, size_t at,
                                                    squall_error *err);

/** The range of `size` bytes at file address `address`; false if it leaves the file. */
bool sq_io_hdf5_locate(const sq_io_hdf5_guard *guard, uint64_t address, uint64_t size,
                       sq_io_hdf5_range *out);

/** Take a little-endian number of 1 to 8 bytes from the front of a range; false, and 0, if there
 * are not so many left. */
bool sq_io_hdf5_take(const sq_io_hdf5_guard *guard, sq_io_hdf5_range *range, size_t bytes,
                     uint64_t *out);
/** The same for an address, SQ_IO_HDF5_NOWHERE for one that is not set, and for a length. */
bool sq_io_hdf5_take_address(const sq_io_hdf5_guard *guard, sq_io_hdf5_range *range, uint64_t *out);
bool sq_io_hdf5_take_length(const sq_io_hdf5_guard *guard, sq_io_hdf5_range *range, uint64_t *out);
/** Leave out bytes; false if there are not so many left. */
bool sq_io_hdf5_skip(sq_io_hdf5_range *range, uint64_t bytes);

/** The checksum of newer structures: Bob Jenkins' "lookup3" of 2006, hashlittle() from 0. The four
 * bytes at `hole` count as 0; SIZE_MAX for none. */
uint32_t sq_io_hdf5_checksum(const unsigned char *bytes, size_t size, size_t hole);

/** Whether the four bytes at `end` (offsets into the source) are the checksum of those from `at`
 * on. HDF5 loses memory where that of an object header is not. */
bool sq_io_hdf5_checksum_holds(const sq_io_hdf5_guard *guard, size_t at, size_t end);
/** The same for a block whose checksum is inside it, `hole` bytes from its front. */
bool sq_io_hdf5_checksum_inside(const sq_io_hdf5_guard *guard, sq_io_hdf5_range block, size_t hole);

/** Fail: `what`, at file address `address`, does not hold. */
squall_status sq_io_hdf5_corrupt(const sq_io_hdf5_guard *guard, const char *what, uint64_t address);

/* --- many links and attributes: io_hdf5_dense.c --- */

/** What is done with each link or attribute message. */
typedef squall_status sq_io_hdf5_visit(sq_io_hdf5_guard *guard, sq_io_hdf5_range message,
                                       int depth);

/** Walk the heap and the trees of an information message, of links or else of attributes, and visit
 * each message in the heap. */
SQUALL_MUST_USE squall_status sq_io_hdf5_dense(sq_io_hdf5_guard *guard, bool links,
                                               sq_io_hdf5_range message, sq_io_hdf5_visit *visit,
                                               int depth);

/* --- messages of object headers: io_hdf5_message.c --- */

/** Whether the message of `type` that fills `range` holds in itself. Messages that are of no
 * concern are passed. */
bool sq_io_hdf5_message_holds(sq_io_hdf5_guard *guard, unsigned type, sq_io_hdf5_range range);

#endif /* SQ_WX_IO_IO_HDF5_GUARD_H */
