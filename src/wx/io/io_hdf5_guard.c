/* wx/io/io_hdf5_guard.c - a walk over the groups and object headers of an HDF5 file. */
#include "wx/io/io_hdf5_guard.h"

#include <string.h>

#define TREE_LEVELS    8
#define BLOCKS_MAX     256   /* of one object header */
#define FREE_MAX       65536 /* free blocks of one local heap */
#define LAYOUT_VERSION 4     /* the newest that HDF5 1.10 knows */

/* Messages of object headers that lead on. */
enum {
    MESSAGE_LINKS = 0x02,
    MESSAGE_LINK = 0x06,
    MESSAGE_FILE = 0x07,
    MESSAGE_LAYOUT = 0x08,
    MESSAGE_ATTRIBUTE = 0x0c,
    MESSAGE_MORE = 0x10,
    MESSAGE_TREE = 0x11,
    MESSAGE_ATTRIBUTES = 0x15
};

/* A local heap: the names of a group of the older kind. */
typedef struct heap {
    sq_io_hdf5_range data;
} heap;

bool sq_io_hdf5_locate(const sq_io_hdf5_guard *guard, uint64_t address, uint64_t size,
                       sq_io_hdf5_range *out)
{
    uint64_t at, end;
    if (__builtin_add_overflow(address, guard->base, &at) ||
        __builtin_add_overflow(at, size, &end) || end > guard->source->size) {
        return false;
    }
    *out = (sq_io_hdf5_range){(size_t)at, (size_t)end};
    return true;
}

bool sq_io_hdf5_take(const sq_io_hdf5_guard *guard, sq_io_hdf5_range *range, size_t bytes,
                     uint64_t *out)
{
    *out = 0;
    if (range->end - range->at < bytes) {
        return false;
    }
    for (size_t i = bytes; i-- > 0;) {
        *out = *out << 8 | guard->source->bytes[range->at + i];
    }
    range->at += bytes;
    return true;
}

bool sq_io_hdf5_take_address(const sq_io_hdf5_guard *guard, sq_io_hdf5_range *range, uint64_t *out)
{
    const bool taken = sq_io_hdf5_take(guard, range, guard->address_bytes, out);
    if (*out == UINT32_MAX && guard->address_bytes == 4) {
        *out = SQ_IO_HDF5_NOWHERE;
    }
    return taken;
}

bool sq_io_hdf5_take_length(const sq_io_hdf5_guard *guard, sq_io_hdf5_range *range, uint64_t *out)
{
    return sq_io_hdf5_take(guard, range, guard->length_bytes, out);
}

bool sq_io_hdf5_skip(sq_io_hdf5_range *range, uint64_t bytes)
{
    if (bytes > range->end - range->at) {
        return false;
    }
    range->at += (size_t)bytes;
    return true;
}

squall_status sq_io_hdf5_corrupt(const sq_io_hdf5_guard *g, const char *what, uint64_t address)
{
    return sq_fail(g->err, SQUALL_E_CORRUPT, g->source->name,
                   "%s at byte %llu does not hold; fetch the file again", what,
                   (unsigned long long)(address + g->base));
}

static squall_status walk_object(sq_io_hdf5_guard *g, uint64_t address, int depth);

/* --- groups of the older kind --- */

static bool heap_open(const sq_io_hdf5_guard *g, uint64_t address, heap *out)
{
    sq_io_hdf5_range head, block;
    uint64_t size, free_at, data_at, bytes;
    if (!sq_io_hdf5_locate(g, address, 8 + 2 * g->length_bytes + g->address_bytes, &head) ||
        memcmp(g->source->bytes + head.at, "HEAP\0", 5) != 0) {
        return false;
    }
    head.at += 8;
    if (!sq_io_hdf5_take_length(g, &head, &size) || !sq_io_hdf5_take_length(g, &head, &free_at) ||
        !sq_io_hdf5_take_address(g, &head, &data_at) ||
        !sq_io_hdf5_locate(g, data_at, size, &out->data)) {
        return false;
    }
    for (size_t i = 0; free_at != 1; i++) { /* 1 ends the list */
        block = out->data;
        const uint64_t here = free_at;
        if (i == FREE_MAX || !sq_io_hdf5_skip(&block, here) ||
            !sq_io_hdf5_take_length(g, &block, &free_at) ||
            !sq_io_hdf5_take_length(g, &block, &bytes) || bytes < 2 * g->length_bytes ||
            bytes > size - here) {
            return false;
        }
    }
    return true;
}

/* Whether a text that ends lies at `offset` of a heap. */
static bool heap_has_text(const sq_io_hdf5_guard *g, const heap *names, uint64_t offset)
{
    sq_io_hdf5_range text = names->data;
    return sq_io_hdf5_skip(&text, offset) &&
           memchr(g->source->bytes + text.at, 0, text.end - text.at) != NULL;
}

/* A leaf: the entries of a group. */
static squall_status walk_leaf(sq_io_hdf5_guard *g, uint64_t address, const heap *names, int depth)
{
    sq_io_hdf5_range r;
    uint64_t count;
    const uint64_t entry_bytes = g->length_bytes + g->address_bytes + 24;
    if (!sq_io_hdf5_locate(g, address, 8, &r) ||
        memcmp(g->source->bytes + r.at, "SNOD\1", 5) != 0) {
        return sq_io_hdf5_corrupt(g, "a list of names", address);
    }
    r.at += 6;
    if (!sq_io_hdf5_take(g, &r, 2, &count) || count > 2 * g->leaf_k ||
        !sq_io_hdf5_locate(g, address, 8 + entry_bytes * 2 * g->leaf_k, &r)) {
        return sq_io_hdf5_corrupt(g, "a list of names", address);
    }
    r.at += 8;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t name, object, cache, text;
        sq_io_hdf5_range scratch;
        if (!sq_io_hdf5_take_length(g, &r, &name) || !sq_io_hdf5_take_address(g, &r, &object) ||
            !sq_io_hdf5_take(g, &r, 4, &cache) || !sq_io_hdf5_skip(&r, 4)) {
            return sq_io_hdf5_corrupt(g, "a list of names", address);
        }
        scratch = r;
        if (!sq_io_hdf5_skip(&r, 16) || !sq_io_hdf5_take(g, &scratch, 4, &text) ||
            !heap_has_text(g, names, name) || cache > 2 ||
            (cache == 2 && !heap_has_text(g, names, text))) {
            return sq_io_hdf5_corrupt(g, "a list of names", address);
        }
        if (cache != 2) { /* 2 is a soft link, which has no object of its own */
            SQ_TRY(walk_object(g, object, depth + 1));
        }
    }
    return SQUALL_OK;
}

/* A node of the tree of a group; `level` is what its parent says, -1 at the root. */
static squall_status walk_tree(sq_io_hdf5_guard *g, uint64_t address, int level, const heap *names,
                               int depth)
{
    sq_io_hdf5_range r;
    uint64_t own_level, count, key, child;
    const uint64_t node_bytes = 8 + 2 * g->address_bytes + g->length_bytes +
                                (g->length_bytes + g->address_bytes) * 2 * (uint64_t)g->internal_k;
    if (!sq_io_hdf5_locate(g, address, node_bytes, &r) ||
        memcmp(g->source->bytes + r.at, "TREE\0", 5) != 0) {
        return sq_io_hdf5_corrupt(g, "a group's tree", address);
    }
    r.at += 5;
    if (!sq_io_hdf5_take(g, &r, 1, &own_level) || !sq_io_hdf5_take(g, &r, 2, &count) ||
        own_level > TREE_LEVELS || (level >= 0 && own_level != (uint64_t)level) ||
        count > 2 * g->internal_k || !sq_io_hdf5_skip(&r, 2 * g->address_bytes) ||
        !sq_io_hdf5_take_length(g, &r, &key) || !heap_has_text(g, names, key)) {
        return sq_io_hdf5_corrupt(g, "a group's tree", address);
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!sq_io_hdf5_take_address(g, &r, &child) || !sq_io_hdf5_take_length(g, &r, &key) ||
            !heap_has_text(g, names, key)) {
            return sq_io_hdf5_corrupt(g, "a group's tree", address);
        }
        SQ_TRY(own_level > 0 ? walk_tree(g, child, (int)own_level - 1, names, depth)
                             : walk_leaf(g, child, names, depth));
    }
    return SQUALL_OK;
}

static squall_status walk_group(sq_io_hdf5_guard *g, sq_io_hdf5_range r, int depth)
{
    uint64_t tree, names_at;
    heap names;
    if (!sq_io_hdf5_take_address(g, &r, &tree) || !sq_io_hdf5_take_address(g, &r, &names_at) ||
        !heap_open(g, names_at, &names)) {
        return sq_io_hdf5_corrupt(g, "the names of a group", r.at - g->base);
    }
    return walk_tree(g, tree, -1, &names, depth);
}

/* --- groups of the newer kind, while they are small --- */

static squall_status walk_link(sq_io_hdf5_guard *g, sq_io_hdf5_range r, int depth)
{
    const uint64_t at = r.at - g->base;
    uint64_t version, flags, type = 0, length, object;
    if (!sq_io_hdf5_take(g, &r, 1, &version) || !sq_io_hdf5_take(g, &r, 1, &flags) ||
        version != 1 || ((flags & 8) != 0 && !sq_io_hdf5_take(g, &r, 1, &type)) ||
        ((flags & 4) != 0 && !sq_io_hdf5_skip(&r, 8)) ||
        ((flags & 16) != 0 && !sq_io_hdf5_skip(&r, 1)) ||
        !sq_io_hdf5_take(g, &r, (size_t)1 << (flags & 3), &length) || length == 0 ||
        !sq_io_hdf5_skip(&r, length)) {
        return sq_io_hdf5_corrupt(g, "a link", at);
    }
    if (type == 0) {
        return sq_io_hdf5_take_address(g, &r, &object) ? walk_object(g, object, depth + 1)
                                                       : sq_io_hdf5_corrupt(g, "a link", at);
    }
    return sq_io_hdf5_take(g, &r, 2, &length) && sq_io_hdf5_skip(&r, length)
               ? SQUALL_OK
               : sq_io_hdf5_corrupt(g, "a link", at);
}

/* An attribute that is not in its object's header. */
static squall_status walk_attribute(sq_io_hdf5_guard *g, sq_io_hdf5_range r, int depth)
{
    (void)depth;
    return sq_io_hdf5_message_holds(g, MESSAGE_ATTRIBUTE, r)
               ? SQUALL_OK
               : sq_io_hdf5_corrupt(g, "an attribute", r.at - g->base);
}

/* --- object headers --- */

static uint32_t turn_left(uint32_t word, unsigned bits)
{
    return word << bits | word >> (32 - bits);
}

uint32_t sq_io_hdf5_checksum(const unsigned char *bytes, size_t size, size_t hole)
{
    size_t at = 0;
    uint32_t a = 0xdeadbeefu + (uint32_t)size, b = a, c = a;
    for (;; bytes += 12, size -= 12, at += 12) {
        uint32_t word[3] = {0};
        for (size_t i = 0; i < 12 && i < size; i++) {
            const bool is_hole = at + i >= hole && at + i - hole < 4;
            word[i / 4] |= is_hole ? 0 : (uint32_t)bytes[i] << (i % 4 * 8);
        }
        if (size == 0) {
            return c;
        }
        a += word[0];
        b += word[1];
        c += word[2];
        if (size <= 12) {
            break;
        }
        a = (a - c) ^ turn_left(c, 4), c += b;
        b = (b - a) ^ turn_left(a, 6), a += c;
        c = (c - b) ^ turn_left(b, 8), b += a;
        a = (a - c) ^ turn_left(c, 16), c += b;
        b = (b - a) ^ turn_left(a, 19), a += c;
        c = (c - b) ^ turn_left(b, 4), b += a;
    }
    c = (c ^ b) - turn_left(b, 14);
    a = (a ^ c) - turn_left(c, 11);
    b = (b ^ a) - turn_left(a, 25);
    c = (c ^ b) - turn_left(b, 16);
    a = (a ^ c) - turn_left(c, 4);
    b = (b ^ a) - turn_left(a, 14);
    return (c ^ b) - turn_left(b, 24);
}

bool sq_io_hdf5_checksum_holds(const sq_io_hdf5_guard *g, size_t at, size_t end)
{
    sq_io_hdf5_range r = {end, g->source->size};
    uint64_t stored;
    return sq_io_hdf5_take(g, &r, 4, &stored) &&
           stored == sq_io_hdf5_checksum(g->source->bytes + at, end - at, SIZE_MAX);
}

bool sq_io_hdf5_checksum_inside(const sq_io_hdf5_guard *g, sq_io_hdf5_range block, size_t hole)
{
    sq_io_hdf5_range r = {block.at + hole, block.end};
    uint64_t stored;
    return sq_io_hdf5_take(g, &r, 4, &stored) &&
           stored == sq_io_hdf5_checksum(g->source->bytes + block.at, block.end - block.at, hole);
}

/* The blocks of one header that are still to be walked. */
typedef struct blocks {
    sq_io_hdf5_range list[BLOCKS_MAX];
    size_t count;
    bool newer;     /* version 2 */
    unsigned flags; /* of a version 2 header */
} blocks;

static bool add_block(const sq_io_hdf5_guard *g, blocks *b, sq_io_hdf5_range message)
{
    uint64_t address, size;
    sq_io_hdf5_range block;
    if (b->count == BLOCKS_MAX || !sq_io_hdf5_take_address(g, &message, &address) ||
        !sq_io_hdf5_take_length(g, &message, &size) ||
        !sq_io_hdf5_locate(g, address, size, &block)) {
        return false;
    }
    if (b->newer) { /* a signature before, a checksum behind */
        if (size < 8 || memcmp(g->source->bytes + block.at, "OCHK", 4) != 0 ||
            !sq_io_hdf5_checksum_holds(g, block.at, block.end - 4)) {
            return false;
        }
        block.at += 4;
        block.end -= 4;
    }
    b->list[b->count++] = block;
    return true;
}

static squall_status walk_message(sq_io_hdf5_guard *g, blocks *b, unsigned type, unsigned flags,
                                  sq_io_hdf5_range message, int depth)
{
    const uint64_t at = message.at - g->base;
    if ((flags & 2) != 0) {
        return sq_fail(g->err, SQUALL_E_UNSUPPORTED, g->source->name,
                       "byte %llu: a header message that objects share; rewrite the file: h5repack",
                       (unsigned long long)message.at);
    }
    if (type == MESSAGE_LAYOUT && message.at < message.end &&
        g->source->bytes[message.at] > LAYOUT_VERSION) {
        return sq_fail(g->err, SQUALL_E_VERSION, g->source->name,
                       "a dataset is stored as only newer HDF5 libraries can (layout version %d, "
                       "known up to %d); rewrite the file: h5repack --high=2",
                       g->source->bytes[message.at], LAYOUT_VERSION);
    }
    switch (type) {
    case MESSAGE_MORE:
        return add_block(g, b, message) ? SQUALL_OK : sq_io_hdf5_corrupt(g, "an object header", at);
    case MESSAGE_TREE:
        return walk_group(g, message, depth);
    case MESSAGE_LINK:
        return walk_link(g, message, depth);
    case MESSAGE_LINKS:
        return sq_io_hdf5_dense(g, true, message, walk_link, depth);
    case MESSAGE_ATTRIBUTES:
        return sq_io_hdf5_dense(g, false, message, walk_attribute, depth);
    case MESSAGE_FILE:
        return sq_fail(g->err, SQUALL_E_UNSUPPORTED, g->source->name,
                       "values of a dataset lie in other files; copy them into one: h5repack");
    default:
        return sq_io_hdf5_message_holds(g, type, message)
                   ? SQUALL_OK
                   : sq_io_hdf5_corrupt(g,
                                        type == MESSAGE_ATTRIBUTE ? "an attribute"
                                                                  : "the description of an object",
                                        at);
    }
}

static squall_status walk_block(sq_io_hdf5_guard *g, blocks *b, sq_io_hdf5_range r, int depth)
{
    const size_t head = !b->newer ? 8 : (b->flags & 4) != 0 ? 6 : 4;
    while (r.end - r.at >= head) {
        uint64_t type, size, flags;
        sq_io_hdf5_range message;
        const uint64_t at = r.at - g->base;
        (void)sq_io_hdf5_take(g, &r, b->newer ? 1 : 2, &type);
        (void)sq_io_hdf5_take(g, &r, 2, &size);
        (void)sq_io_hdf5_take(g, &r, 1, &flags);
        (void)sq_io_hdf5_skip(&r, head - (b->newer ? 4 : 5));
        message = (sq_io_hdf5_range){r.at, r.at + (size_t)size};
        if (!sq_io_hdf5_skip(&r, size) || (!b->newer && size % 8 != 0)) {
            return sq_io_hdf5_corrupt(g, "an object header", at);
        }
        SQ_TRY(walk_message(g, b, (unsigned)type, (unsigned)flags, message, depth));
    }
    return SQUALL_OK;
}

/* The first block of a header. */
static bool first_block(const sq_io_hdf5_guard *g, uint64_t address, blocks *b)
{
    sq_io_hdf5_range r;
    uint64_t version, flags, size;
    if (!sq_io_hdf5_locate(g, address, 16, &r)) {
        return false;
    }
    const size_t begin = r.at;
    r.end = g->source->size;
    b->newer = memcmp(g->source->bytes + r.at, "OHDR", 4) == 0;
    if (b->newer) {
        r.at += 4;
        if (!sq_io_hdf5_take(g, &r, 1, &version) || !sq_io_hdf5_take(g, &r, 1, &flags) ||
            version != 2 || !sq_io_hdf5_skip(&r, (flags & 0x20) != 0 ? 16 : 0) ||
            !sq_io_hdf5_skip(&r, (flags & 0x10) != 0 ? 4 : 0) ||
            !sq_io_hdf5_take(g, &r, (size_t)1 << (flags & 3), &size)) {
            return false;
        }
        b->flags = (unsigned)flags;
    } else if (!sq_io_hdf5_take(g, &r, 1, &version) || version != 1 || !sq_io_hdf5_skip(&r, 7) ||
               !sq_io_hdf5_take(g, &r, 4, &size) || !sq_io_hdf5_skip(&r, 4)) {
        return false;
    }
    if (size > r.end - r.at) {
        return false;
    }
    r.end = r.at + (size_t)size;
    b->list[b->count++] = r;
    return !b->newer || sq_io_hdf5_checksum_holds(g, begin, r.end);
}

static squall_status walk_object(sq_io_hdf5_guard *g, uint64_t address, int depth)
{
    blocks b = {.count = 0};
    if (depth > SQ_LIMIT_DEPTH || ++g->objects > SQ_LIMIT_OBJECTS) {
        return sq_fail(g->err, SQUALL_E_LIMIT, g->source->name,
                       "groups in groups deeper than %d, or more than %zu objects", SQ_LIMIT_DEPTH,
                       SQ_LIMIT_OBJECTS);
    }
    if (!first_block(g, address, &b)) {
        return sq_io_hdf5_corrupt(g, "an object header", address);
    }
    for (size_t i = 0; i < b.count; i++) {
        SQ_TRY(walk_block(g, &b, b.list[i], depth));
    }
    return SQUALL_OK;
}

squall_status sq_io_hdf5_guard_file(const sq_io_source *source, size_t at, squall_error *err)
{
    sq_io_hdf5_guard g = {.source = source, .base = at, .err = err, .leaf_k = 4, .internal_k = 16};
    sq_io_hdf5_range r = {at + 8, source->size};
    uint64_t version, offsets, lengths, leaf, internal, base, root;
    bool ok = sq_io_hdf5_take(&g, &r, 1, &version) && version <= 3;
    if (version < 2) {
        ok = ok && sq_io_hdf5_skip(&r, 4) && sq_io_hdf5_take(&g, &r, 1, &offsets) &&
             sq_io_hdf5_take(&g, &r, 1, &lengths) && sq_io_hdf5_skip(&r, 1) &&
             sq_io_hdf5_take(&g, &r, 2, &leaf) && sq_io_hdf5_take(&g, &r, 2, &internal) &&
             sq_io_hdf5_skip(&r, version == 1 ? 8 : 4);
        g.leaf_k = ok ? (unsigned)leaf : 0;
        g.internal_k = ok ? (unsigned)internal : 0;
    } else {
        ok = ok && sq_io_hdf5_take(&g, &r, 1, &offsets) && sq_io_hdf5_take(&g, &r, 1, &lengths) &&
             sq_io_hdf5_skip(&r, 1);
    }
    if (!ok || (offsets != 4 && offsets != 8) || (lengths != 4 && lengths != 8)) {
        return sq_fail(err, ok ? SQUALL_E_UNSUPPORTED : SQUALL_E_VERSION, source->name,
                       "an HDF5 header that is not of versions 0 to 3, with addresses of 4 or 8 "
                       "bytes; rewrite the file: h5repack");
    }
    g.address_bytes = (size_t)offsets;
    g.length_bytes = (size_t)lengths;
    /* base; free space or extension; end of file; before version 2 driver and name; root */
    ok = sq_io_hdf5_take_address(&g, &r, &base) && sq_io_hdf5_skip(&r, 2 * offsets) &&
         (version >= 2 || sq_io_hdf5_skip(&r, offsets + lengths)) &&
         sq_io_hdf5_take_address(&g, &r, &root);
    if (!ok || base != at) {
        return sq_fail(err, SQUALL_E_CORRUPT, source->name,
                       "the HDF5 header does not hold; fetch the file again");
    }
    return walk_object(&g, root, 0);
}
