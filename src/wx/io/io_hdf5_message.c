/* wx/io/io_hdf5_message.c - whether single messages of HDF5 object headers hold in themselves. */
#include <string.h>

#include "wx/io/io_hdf5_guard.h"

#define TYPE_DEPTH 8                 /* types in types */
#define RANK_MAX   32                /* of HDF5 */
#define HEAP_STEPS ((size_t)1 << 24) /* looks at objects of global heaps, in one file */

/* What a datatype message says. */
typedef struct datatype {
    unsigned class;
    uint64_t bytes;    /* of one element */
    bool has_pointers; /* into the global heap */
    uint64_t base_bytes;
} datatype;

enum {
    CLASS_FIXED,
    CLASS_FLOAT,
    CLASS_TIME,
    CLASS_STRING,
    CLASS_BITS,
    CLASS_OPAQUE,
    CLASS_COMPOUND,
    CLASS_REFERENCE,
    CLASS_ENUM,
    CLASS_VARIABLE,
    CLASS_ARRAY
};

/* A name that ends in zero, padded to a multiple of `unit`. */
static bool skip_name(const sq_io_hdf5_guard *g, sq_io_hdf5_range *r, size_t unit)
{
    const unsigned char *begin = g->source->bytes + r->at;
    const unsigned char *zero = memchr(begin, 0, r->end - r->at);
    return zero != NULL && sq_io_hdf5_skip(r, ((size_t)(zero - begin) + unit) / unit * unit);
}

static bool take_datatype(const sq_io_hdf5_guard *g, sq_io_hdf5_range *r, int depth, datatype *out);

static bool take_members(const sq_io_hdf5_guard *g, sq_io_hdf5_range *r, unsigned version,
                         uint64_t count, uint64_t bytes, int depth)
{
    size_t offset_bytes = 4;
    if (version >= 3) {
        offset_bytes = bytes < 1u << 8 ? 1 : bytes < 1u << 16 ? 2 : bytes < 1u << 24 ? 3 : 4;
    }
    for (uint64_t i = 0; i < count; i++) {
        datatype member;
        uint64_t offset;
        if (!skip_name(g, r, version < 3 ? 8 : 1) ||
            !sq_io_hdf5_take(g, r, offset_bytes, &offset) ||
            (version == 1 && !sq_io_hdf5_skip(r, 28)) || !take_datatype(g, r, depth + 1, &member) ||
            offset > bytes || member.bytes > bytes - offset || member.has_pointers) {
            return false;
        }
    }
    return count > 0;
}

static bool take_enum(const sq_io_hdf5_guard *g, sq_io_hdf5_range *r, unsigned version,
                      uint64_t count, uint64_t bytes, int depth)
{
    datatype base;
    if (!take_datatype(g, r, depth + 1, &base) || base.class != CLASS_FIXED ||
        base.bytes != bytes) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!skip_name(g, r, version < 3 ? 8 : 1)) {
            return false;
        }
    }
    return sq_io_hdf5_skip(r, count * bytes);
}

static bool take_array(const sq_io_hdf5_guard *g, sq_io_hdf5_range *r, unsigned version,
                       uint64_t bytes, int depth)
{
    uint64_t rank, side, cells = 1;
    datatype base;
    if (!sq_io_hdf5_take(g, r, 1, &rank) || rank == 0 || rank > RANK_MAX ||
        (version < 3 && !sq_io_hdf5_skip(r, 3))) {
        return false;
    }
    for (uint64_t i = 0; i < rank; i++) {
        if (!sq_io_hdf5_take(g, r, 4, &side) || side == 0 ||
            __builtin_mul_overflow(cells, side, &cells)) {
            return false;
        }
    }
    return (version >= 3 || sq_io_hdf5_skip(r, 4 * rank)) &&
           take_datatype(g, r, depth + 1, &base) && !base.has_pointers &&
           !__builtin_mul_overflow(cells, base.bytes, &cells) && cells == bytes;
}

/* Take a datatype from the front of a range. */
static bool take_datatype(const sq_io_hdf5_guard *g, sq_io_hdf5_range *r, int depth, datatype *out)
{
    uint64_t head, bits, word, precision;
    datatype base;
    if (depth > TYPE_DEPTH || !sq_io_hdf5_take(g, r, 1, &head) ||
        !sq_io_hdf5_take(g, r, 3, &bits) || !sq_io_hdf5_take(g, r, 4, &out->bytes)) {
        return false;
    }
    const unsigned version = (unsigned)head >> 4;
    out->class = (unsigned)head & 15;
    out->has_pointers = out->class == CLASS_VARIABLE;
    out->base_bytes = 1;
    if (version < 1 || version > 3 || out->bytes == 0) {
        return false;
    }
    switch (out->class) {
    case CLASS_FIXED:
    case CLASS_BITS:
        return sq_io_hdf5_take(g, r, 2, &word) && sq_io_hdf5_take(g, r, 2, &precision) &&
               precision > 0 && word + precision <= 8 * out->bytes;
    case CLASS_FLOAT:
        return sq_io_hdf5_take(g, r, 2, &word) && sq_io_hdf5_take(g, r, 2, &precision) &&
               precision > 0 && word + precision <= 8 * out->bytes && sq_io_hdf5_skip(r, 8);
    case CLASS_TIME:
        return sq_io_hdf5_skip(r, 2);
    case CLASS_STRING:
    case CLASS_REFERENCE:
        return true;
    case CLASS_OPAQUE:
        return sq_io_hdf5_skip(r, (bits & 255) / 8 * 8);
    case CLASS_COMPOUND:
        return take_members(g, r, version, bits & 0xffff, out->bytes, depth);
    case CLASS_ENUM:
        return take_enum(g, r, version, bits & 0xffff, out->bytes, depth);
    case CLASS_VARIABLE:
        if (out->bytes != 8 + g->address_bytes || !take_datatype(g, r, depth + 1, &base) ||
            base.has_pointers) {
            return false;
        }
        out->base_bytes = base.bytes;
        return true;
    case CLASS_ARRAY:
        return take_array(g, r, version, out->bytes, depth);
    default:
        return false;
    }
}

/* Take a dataspace; how many elements it has. */
static bool take_dataspace(const sq_io_hdf5_guard *g, sq_io_hdf5_range *r, uint64_t *elements)
{
    uint64_t version, rank, flags, type, side;
    if (!sq_io_hdf5_take(g, r, 1, &version) || !sq_io_hdf5_take(g, r, 1, &rank) ||
        !sq_io_hdf5_take(g, r, 1, &flags) || !sq_io_hdf5_take(g, r, 1, &type) ||
        (version != 1 && version != 2) || rank > RANK_MAX ||
        (version == 1 && !sq_io_hdf5_skip(r, 4))) {
        return false;
    }
    *elements = version == 2 && type == 2 ? 0 : 1;
    for (uint64_t i = 0; i < rank; i++) {
        if (!sq_io_hdf5_take_length(g, r, &side) ||
            __builtin_mul_overflow(*elements, side, elements)) {
            return false;
        }
    }
    const uint64_t more = (flags & 1) + (version == 1 && (flags & 2) != 0 ? 1 : 0);
    return sq_io_hdf5_skip(r, more * g->length_bytes * rank);
}

/* Whether a collection of the global heap at `address` holds, and its object `index` has at least
 * `bytes`. Object 0 is the free space, whose size includes its head; HDF5 walks on behind it by
 * that size, and for ever where it is 0. */
static bool heap_holds(sq_io_hdf5_guard *g, uint64_t address, uint64_t index, uint64_t bytes)
{
    const uint64_t head_bytes = 16; /* of the collection, and of each object */
    sq_io_hdf5_range r, head;
    uint64_t size, id, object_bytes;
    if (!sq_io_hdf5_locate(g, address, head_bytes, &head) ||
        memcmp(g->source->bytes + head.at, "GCOL\1", 5) != 0) {
        return false;
    }
    head.at += 8;
    if (!sq_io_hdf5_take_length(g, &head, &size) || size < 4096 ||
        !sq_io_hdf5_locate(g, address, size, &r)) {
        return false;
    }
    r.at += head_bytes;
    bool found = false;
    while (r.end - r.at >= head_bytes) {
        if (++g->heap_steps > HEAP_STEPS || !sq_io_hdf5_take(g, &r, 2, &id) ||
            !sq_io_hdf5_skip(&r, 6) || !sq_io_hdf5_take_length(g, &r, &object_bytes) ||
            !sq_io_hdf5_skip(&r, 8 - g->length_bytes)) { /* heads are padded to 16 */
            return false;
        }
        if (id == 0 && object_bytes < head_bytes) {
            return false;
        }
        const uint64_t left = r.end - r.at;
        if (id == 0 ? object_bytes - head_bytes > left : object_bytes > left) {
            return false;
        }
        if (!sq_io_hdf5_skip(&r,
                             id == 0 ? object_bytes - head_bytes : (object_bytes + 7) / 8 * 8)) {
            return false;
        }
        found = found || (id != 0 && id == index && object_bytes >= bytes);
    }
    return found;
}

/* The parts of an attribute: name, type, space and values, padded to 8 in version 1. */
static bool attribute_holds(sq_io_hdf5_guard *g, sq_io_hdf5_range r)
{
    uint64_t version, flags, sizes[3], elements, bytes;
    sq_io_hdf5_range parts[3];
    datatype type;
    if (!sq_io_hdf5_take(g, &r, 1, &version) || !sq_io_hdf5_take(g, &r, 1, &flags) || version < 1 ||
        version > 3 || (version > 1 && (flags & 3) != 0)) {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        if (!sq_io_hdf5_take(g, &r, 2, &sizes[i])) {
            return false;
        }
    }
    if (version == 3 && !sq_io_hdf5_skip(&r, 1)) {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        parts[i].at = r.at;
        if (!sq_io_hdf5_skip(&r, version == 1 ? (sizes[i] + 7) / 8 * 8 : sizes[i])) {
            return false;
        }
        parts[i].end = parts[i].at + (size_t)sizes[i];
    }
    if (sizes[0] == 0 || g->source->bytes[parts[0].end - 1] != 0 ||
        !take_datatype(g, &parts[1], 0, &type) || !take_dataspace(g, &parts[2], &elements) ||
        __builtin_mul_overflow(elements, type.bytes, &bytes) || bytes > r.end - r.at) {
        return false;
    }
    for (uint64_t i = 0; type.has_pointers && i < elements; i++) {
        uint64_t length, address, index, needed;
        if (!sq_io_hdf5_take(g, &r, 4, &length) || !sq_io_hdf5_take_address(g, &r, &address) ||
            !sq_io_hdf5_take(g, &r, 4, &index) ||
            __builtin_mul_overflow(length, type.base_bytes, &needed) ||
            (address != 0 && !heap_holds(g, address, index, needed))) {
            return false;
        }
    }
    return true;
}

static bool filters_hold(const sq_io_hdf5_guard *g, sq_io_hdf5_range r)
{
    uint64_t version, count;
    if (!sq_io_hdf5_take(g, &r, 1, &version) || !sq_io_hdf5_take(g, &r, 1, &count) || version < 1 ||
        version > 2 || count > 32 || (version == 1 && !sq_io_hdf5_skip(&r, 6))) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t id, name_bytes = 0, flags, values;
        if (!sq_io_hdf5_take(g, &r, 2, &id) ||
            ((version == 1 || id >= 256) && !sq_io_hdf5_take(g, &r, 2, &name_bytes)) ||
            !sq_io_hdf5_take(g, &r, 2, &flags) || !sq_io_hdf5_take(g, &r, 2, &values)) {
            return false;
        }
        const size_t name_at = r.at;
        if ((version == 1 && name_bytes % 8 != 0) || !sq_io_hdf5_skip(&r, name_bytes) ||
            (name_bytes > 0 && memchr(g->source->bytes + name_at, 0, (size_t)name_bytes) == NULL) ||
            !sq_io_hdf5_skip(&r, 4 * values + (version == 1 && values % 2 != 0 ? 4 : 0))) {
            return false;
        }
    }
    return true;
}

static bool fill_holds(const sq_io_hdf5_guard *g, sq_io_hdf5_range r)
{
    uint64_t version, flags, size = 0;
    if (!sq_io_hdf5_take(g, &r, 1, &version) || !sq_io_hdf5_take(g, &r, 1, &flags)) {
        return false;
    }
    if (version == 3) {
        return (flags & 0x20) == 0 ||
               (sq_io_hdf5_take(g, &r, 4, &size) && sq_io_hdf5_skip(&r, size));
    }
    uint64_t write_time, defined;
    if ((version != 1 && version != 2) || !sq_io_hdf5_take(g, &r, 1, &write_time) ||
        !sq_io_hdf5_take(g, &r, 1, &defined)) {
        return false;
    }
    if (version == 2 && defined == 0) {
        return true;
    }
    return sq_io_hdf5_take(g, &r, 4, &size) &&
           (size == UINT32_MAX || sq_io_hdf5_skip(&r, size)); /* -1: none */
}

/* Where a dataset is stored: compact, contiguous or in chunks, versions 3 and 4. */
static bool layout_holds(const sq_io_hdf5_guard *g, sq_io_hdf5_range r)
{
    uint64_t version, class, size, address;
    sq_io_hdf5_range values;
    if (!sq_io_hdf5_take(g, &r, 1, &version) || !sq_io_hdf5_take(g, &r, 1, &class)) {
        return false;
    }
    if (version != 3 && version != 4) {
        return version == 1 || version == 2; /* of before 2001 */
    }
    switch (class) {
    case 0:
        return sq_io_hdf5_take(g, &r, 2, &size) && sq_io_hdf5_skip(&r, size);
    case 1:
        return sq_io_hdf5_take_address(g, &r, &address) && sq_io_hdf5_take_length(g, &r, &size) &&
               (address == SQ_IO_HDF5_NOWHERE || sq_io_hdf5_locate(g, address, size, &values));
    default:
        return true;
    }
}

bool sq_io_hdf5_message_holds(sq_io_hdf5_guard *guard, unsigned type, sq_io_hdf5_range range)
{
    uint64_t elements;
    datatype described;
    switch (type) {
    case 0x01:
        return take_dataspace(guard, &range, &elements);
    case 0x03:
        return take_datatype(guard, &range, 0, &described);
    case 0x05:
        return fill_holds(guard, range);
    case 0x08:
        return layout_holds(guard, range);
    case 0x0b:
        return filters_hold(guard, range);
    case 0x0c:
        return attribute_holds(guard, range);
    default:
        return true;
    }
}
