/* wx/io/io_hdf5_dense.c - groups of many links, and objects of many attributes, in an HDF5 file.
 *
 * Such a group keeps its link messages in a fractal heap, and their heap IDs in one or two version
 * 2 trees: by name and by order of creation. All of these have checksums, but what the messages say
 * and where they lead to must be looked at as it is for small groups. HDF5 File Format
 * Specification 3.0, parts III.A.2, III.G and IV.A.2.c and v. */
#include <stdlib.h>
#include <string.h>

#include "wx/io/io_hdf5_guard.h"

#define TREE_DEPTH 8 /* nodes above one another; one of 512 bytes has 20 records or more */
#define HEAP_DEPTH 8 /* indirect blocks above one another */
#define ID_MANAGED 0 /* kinds of objects in a heap: in its blocks, */
#define ID_TINY    2 /* in the ID itself, or else (1) in a place of their own */
#define TREE_HEAD  6 /* signature, version and type of a node */
#define DIRECT_MAX ((uint64_t)1 << 31) /* bytes of a direct block, as HDF5 has it */
#define ROWS_MAX   256                 /* of an indirect block */

/* A fractal heap. */
typedef struct heap {
    uint64_t start_bytes, direct_bytes; /* of the first direct blocks, and of the largest */
    uint64_t width, rows;               /* of the root; 0 rows: the root is a direct block */
    uint64_t root;
    size_t id_bytes, offset_bytes, length_bytes; /* of an ID and its parts */
    bool checked;                                /* direct blocks have checksums */
} heap;

/* A version 2 tree: where heap IDs are in its records, and the parts of its nodes. */
typedef struct tree {
    uint64_t node_bytes, record_bytes, depth, root, root_records, records;
    size_t id_at, id_bytes;
    size_t count_bytes;             /* of the number of records in a child */
    size_t total_bytes[TREE_DEPTH]; /* of that in all below a child at a depth */
} tree;

/* The heap IDs that a tree holds, each as a number. */
typedef struct ids {
    uint64_t *values;
    size_t count, capacity;
} ids;

/* Whole part of the logarithm to the base 2; 0 of 0. */
static unsigned log_2(uint64_t value)
{
    return value > 1 ? 63u - (unsigned)__builtin_clzll(value) : 0;
}

/* Bytes that hold a number up to `most`. */
static size_t bytes_for(uint64_t most)
{
    return log_2(most) / 8 + 1;
}

static bool is_power_of_2(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* --- fractal heaps --- */

static bool heap_open(const sq_io_hdf5_guard *g, uint64_t address, heap *h)
{
    sq_io_hdf5_range r;
    uint64_t id_bytes, filter_bytes, flags, managed_bytes, offset_bits, first_rows, version;
    const size_t head_bytes = 22 + 12 * g->length_bytes + 3 * g->address_bytes;
    if (!sq_io_hdf5_locate(g, address, head_bytes + 4, &r) ||
        memcmp(g->source->bytes + r.at, "FRHP", 4) != 0) {
        return false;
    }
    const size_t begin = r.at;
    r.at += 4;
    bool ok = sq_io_hdf5_take(g, &r, 1, &version) && sq_io_hdf5_take(g, &r, 2, &id_bytes) &&
              sq_io_hdf5_take(g, &r, 2, &filter_bytes) && sq_io_hdf5_take(g, &r, 1, &flags) &&
              sq_io_hdf5_take(g, &r, 4, &managed_bytes) &&
              /* huge objects and free space: 10 numbers that do not matter here */
              sq_io_hdf5_skip(&r, 10 * g->length_bytes + 2 * g->address_bytes) &&
              sq_io_hdf5_take(g, &r, 2, &h->width) &&
              sq_io_hdf5_take_length(g, &r, &h->start_bytes) &&
              sq_io_hdf5_take_length(g, &r, &h->direct_bytes) &&
              sq_io_hdf5_take(g, &r, 2, &offset_bits) && sq_io_hdf5_take(g, &r, 2, &first_rows) &&
              sq_io_hdf5_take_address(g, &r, &h->root) && sq_io_hdf5_take(g, &r, 2, &h->rows);
    ok = ok && version == 0 && filter_bytes == 0 && is_power_of_2(h->width) &&
         is_power_of_2(h->start_bytes) && is_power_of_2(h->direct_bytes) &&
         h->start_bytes <= h->direct_bytes && h->direct_bytes <= DIRECT_MAX && offset_bits > 0 &&
         offset_bits <= 64 && h->rows <= ROWS_MAX && managed_bytes > 0 && id_bytes >= 3 &&
         id_bytes <= 8 && log_2(h->direct_bytes) < offset_bits;
    if (!ok || !sq_io_hdf5_checksum_holds(g, begin, r.at)) {
        return false;
    }
    h->id_bytes = (size_t)id_bytes;
    h->offset_bytes = (size_t)(offset_bits + 7) / 8;
    h->length_bytes = (log_2(h->direct_bytes) + 7) / 8;
    if (bytes_for(managed_bytes) < h->length_bytes) {
        h->length_bytes = bytes_for(managed_bytes);
    }
    h->checked = (flags & 2) != 0;
    return 1 + h->offset_bytes + h->length_bytes <= h->id_bytes;
}

/* The size of each block in a row: the first two are alike, then each is twice the one before. */
static uint64_t row_bytes(const heap *h, uint64_t row)
{
    return row < 2 ? h->start_bytes : row - 1 < 40 ? h->start_bytes << (row - 1) : UINT64_MAX / 2;
}

/* The part of a direct block of `size` bytes that begins at `address` in the file, `offset` into
 * it. */
static bool direct_part(const sq_io_hdf5_guard *g, const heap *h, uint64_t address, uint64_t size,
                        uint64_t offset, uint64_t length, sq_io_hdf5_range *out)
{
    const size_t head = 5 + g->address_bytes + h->offset_bytes;
    sq_io_hdf5_range block;
    if (!sq_io_hdf5_locate(g, address, size, &block) || size < head + 4 ||
        memcmp(g->source->bytes + block.at, "FHDB\0", 5) != 0 || offset > size ||
        length > size - offset || offset < head + (h->checked ? 4 : 0) ||
        (h->checked && !sq_io_hdf5_checksum_inside(g, block, head))) {
        return false;
    }
    *out = (sq_io_hdf5_range){block.at + (size_t)offset, block.at + (size_t)(offset + length)};
    return true;
}

/* Follow an offset through the indirect block at `address`, of `rows` rows. */
static bool indirect_part(const sq_io_hdf5_guard *g, const heap *h, uint64_t address, uint64_t rows,
                          uint64_t offset, uint64_t length, int depth, sq_io_hdf5_range *out)
{
    const size_t head = 5 + g->address_bytes + h->offset_bytes;
    const uint64_t entries = rows * h->width, first = h->start_bytes * h->width;
    sq_io_hdf5_range r;
    if (first == 0 || depth == HEAP_DEPTH || rows == 0 || rows > ROWS_MAX ||
        !sq_io_hdf5_locate(g, address, head + entries * g->address_bytes + 4, &r) ||
        memcmp(g->source->bytes + r.at, "FHIB\0", 5) != 0 ||
        !sq_io_hdf5_checksum_holds(g, r.at, r.end - 4)) {
        return false;
    }
    const uint64_t row = offset < first ? 0 : log_2(offset / first) + 1;
    const uint64_t bytes = row_bytes(h, row);
    if (row >= rows || bytes == 0) {
        return false;
    }
    const uint64_t in_row = row == 0 ? offset : offset - (first << (row - 1));
    const uint64_t column = in_row >> log_2(bytes), within = in_row & (bytes - 1);
    uint64_t child;
    r.at += head;
    if (column >= h->width || !sq_io_hdf5_skip(&r, (row * h->width + column) * g->address_bytes) ||
        !sq_io_hdf5_take_address(g, &r, &child) || child == SQ_IO_HDF5_NOWHERE) {
        return false;
    }
    if (bytes <= h->direct_bytes) {
        return direct_part(g, h, child, bytes, within, length, out);
    }
    const uint64_t child_rows = log_2(bytes) - log_2(first) + 1;
    return bytes >= first && indirect_part(g, h, child, child_rows, within, length, depth + 1, out);
}

/* The object that a heap ID names. `*here` is false for one that is not in the heap's blocks: it is
 * larger than any link, and left to the library. */
static bool heap_find(const sq_io_hdf5_guard *g, const heap *h, uint64_t id, bool *here,
                      sq_io_hdf5_range *out)
{
    const unsigned kind = (unsigned)id >> 4 & 3;
    const uint64_t offset =
        id >> 8 & (h->offset_bytes < 8 ? ((uint64_t)1 << 8 * h->offset_bytes) - 1 : UINT64_MAX);
    const uint64_t length =
        id >> 8 * (1 + h->offset_bytes) & (((uint64_t)1 << 8 * h->length_bytes) - 1);
    *here = kind == ID_MANAGED;
    if ((id & 0xc0) != 0 || kind > ID_TINY) {
        return false;
    }
    if (!*here) {
        return true;
    }
    if (h->root == SQ_IO_HDF5_NOWHERE || length == 0) {
        return false;
    }
    return h->rows == 0 ? direct_part(g, h, h->root, h->start_bytes, offset, length, out)
                        : indirect_part(g, h, h->root, h->rows, offset, length, 0, out);
}

/* --- version 2 trees --- */

static bool tree_open(const sq_io_hdf5_guard *g, uint64_t address, bool links, size_t id_bytes,
                      tree *t)
{
    sq_io_hdf5_range r;
    uint64_t version, type;
    if (!sq_io_hdf5_locate(g, address, 22 + g->address_bytes + g->length_bytes, &r) ||
        memcmp(g->source->bytes + r.at, "BTHD", 4) != 0 ||
        !sq_io_hdf5_checksum_holds(g, r.at, r.end - 4)) {
        return false;
    }
    r.at += 4;
    if (!sq_io_hdf5_take(g, &r, 1, &version) || !sq_io_hdf5_take(g, &r, 1, &type) ||
        !sq_io_hdf5_take(g, &r, 4, &t->node_bytes) ||
        !sq_io_hdf5_take(g, &r, 2, &t->record_bytes) || !sq_io_hdf5_take(g, &r, 2, &t->depth) ||
        !sq_io_hdf5_skip(&r, 2) || !sq_io_hdf5_take_address(g, &r, &t->root) ||
        !sq_io_hdf5_take(g, &r, 2, &t->root_records) ||
        !sq_io_hdf5_take_length(g, &r, &t->records)) {
        return false;
    }
    /* By name (5, 8) and by creation (6, 9): what is before the heap ID, and the record's size. */
    const bool by_name = type == (links ? 5 : 8);
    t->id_at = !links ? 0 : by_name ? 4 : 8;
    t->id_bytes = id_bytes;
    const uint64_t more = links ? 0 : by_name ? 9 : 5; /* flags, order and hash of an attribute */
    if (version != 0 || (!by_name && type != (links ? 6 : 9)) ||
        t->record_bytes != t->id_at + id_bytes + more || t->node_bytes < 64 ||
        t->depth >= TREE_DEPTH || t->records > SQ_LIMIT_OBJECTS) {
        return false;
    }
    /* How many records nodes can have settles how wide their counts are written. */
    uint64_t most = (t->node_bytes - TREE_HEAD - 4) / t->record_bytes, all = most;
    t->count_bytes = bytes_for(most);
    t->total_bytes[0] = 0;
    for (uint64_t i = 1; i < t->depth; i++) {
        const uint64_t child = g->address_bytes + t->count_bytes + t->total_bytes[i - 1];
        most = (t->node_bytes - TREE_HEAD - 4 - child) / (t->record_bytes + child);
        if (__builtin_mul_overflow(all, most + 1, &all) || all > UINT32_MAX) {
            all = UINT32_MAX; /* such a node has no place in a file */
        }
        all += most;
        t->total_bytes[i] = bytes_for(all);
    }
    return true;
}

/* Note the IDs in the records of the node at `address`, and those below it. */
static bool tree_collect(sq_io_hdf5_guard *g, const tree *t, uint64_t address, uint64_t records,
                         uint64_t depth, ids *out)
{
    const size_t child_bytes =
        depth > 0 ? g->address_bytes + t->count_bytes + t->total_bytes[depth - 1] : 0;
    const uint64_t used =
        TREE_HEAD + records * t->record_bytes + (depth > 0 ? (records + 1) * child_bytes : 0);
    sq_io_hdf5_range r;
    if (++g->objects > SQ_LIMIT_OBJECTS || used + 4 > t->node_bytes ||
        !sq_io_hdf5_locate(g, address, used + 4, &r) ||
        memcmp(g->source->bytes + r.at, depth > 0 ? "BTIN\0" : "BTLF\0", 5) != 0 ||
        !sq_io_hdf5_checksum_holds(g, r.at, r.end - 4)) {
        return false;
    }
    r.at += TREE_HEAD;
    for (uint64_t i = 0; i < records; i++) {
        sq_io_hdf5_range record = {r.at + t->id_at, r.end};
        if (out->count == out->capacity ||
            !sq_io_hdf5_take(g, &record, t->id_bytes, &out->values[out->count++])) {
            return false;
        }
        (void)sq_io_hdf5_skip(&r, t->record_bytes);
    }
    for (uint64_t i = 0; depth > 0 && i <= records; i++) {
        uint64_t child, count;
        if (!sq_io_hdf5_take_address(g, &r, &child) ||
            !sq_io_hdf5_take(g, &r, t->count_bytes, &count) ||
            !sq_io_hdf5_skip(&r, t->total_bytes[depth - 1]) ||
            !tree_collect(g, t, child, count, depth - 1, out)) {
            return false;
        }
    }
    return true;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The IDs of a tree, sorted; `out->values` is to be freed whatever comes of it. */
static squall_status list_ids(sq_io_hdf5_guard *g, uint64_t address, bool links, size_t id_bytes,
                              ids *out)
{
    tree t;
    if (!tree_open(g, address, links, id_bytes, &t)) {
        return sq_io_hdf5_corrupt(g, "a tree of names", address);
    }
    out->capacity = (size_t)t.records;
    out->values = sq_alloc(out->capacity > 0 ? out->capacity : 1, sizeof *out->values);
    if (out->values == NULL) {
        return sq_fail(g->err, SQUALL_E_MEMORY, g->source->name, "no memory for %zu names",
                       out->capacity);
    }
    if ((t.records > 0 && !tree_collect(g, &t, t.root, t.root_records, t.depth, out)) ||
        out->count != out->capacity) {
        return sq_io_hdf5_corrupt(g, "a tree of names", address);
    }
    if (out->count > 0) {
        qsort(out->values, out->count, sizeof *out->values, by_value);
    }
    return SQUALL_OK;
}

squall_status sq_io_hdf5_dense(sq_io_hdf5_guard *g, bool links, sq_io_hdf5_range message,
                               sq_io_hdf5_visit *visit, int depth)
{
    squall_status status = SQUALL_OK;
    const uint64_t at = message.at - g->base;
    uint64_t version, flags, heap_at, names_at, order_at = SQ_IO_HDF5_NOWHERE;
    heap h;
    ids names = {0}, order = {0};
    if (!sq_io_hdf5_take(g, &message, 1, &version) || !sq_io_hdf5_take(g, &message, 1, &flags) ||
        version != 0 || ((flags & 1) != 0 && !sq_io_hdf5_skip(&message, links ? 8 : 2)) ||
        !sq_io_hdf5_take_address(g, &message, &heap_at) ||
        !sq_io_hdf5_take_address(g, &message, &names_at) ||
        ((flags & 2) != 0 && !sq_io_hdf5_take_address(g, &message, &order_at))) {
        return sq_io_hdf5_corrupt(g, "the description of a group", at);
    }
    if (heap_at == SQ_IO_HDF5_NOWHERE) {
        return SQUALL_OK; /* they are few, and in the object's header */
    }
    if (!heap_open(g, heap_at, &h) || h.id_bytes != (links ? 7u : 8u)) {
        return sq_io_hdf5_corrupt(g, "a heap of names", heap_at);
    }
    SQ_TRY_GOTO(list_ids(g, names_at, links, h.id_bytes, &names));
    if (order_at != SQ_IO_HDF5_NOWHERE) {
        SQ_TRY_GOTO(list_ids(g, order_at, links, h.id_bytes, &order));
        if (order.count != names.count || names.values == NULL || order.values == NULL ||
            memcmp(order.values, names.values, names.count * sizeof *names.values) != 0) {
            status = sq_io_hdf5_corrupt(g, "a tree of names", order_at);
            goto done;
        }
    }
    for (size_t i = 0; i < names.count; i++) {
        bool here;
        sq_io_hdf5_range object;
        if (!heap_find(g, &h, names.values[i], &here, &object)) {
            status = sq_io_hdf5_corrupt(g, "a heap of names", heap_at);
            goto done;
        }
        if (here) {
            SQ_TRY_GOTO(visit(g, object, depth));
        }
    }
done:
    sq_free(names.values);
    sq_free(order.values);
    return status;
}
