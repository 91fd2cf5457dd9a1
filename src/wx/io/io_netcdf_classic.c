/* wx/io/io_netcdf_classic.c - whether the header of a classic netCDF file holds.
 *
 * The netCDF library (4.9.0) believes the counts in a classic header: a name of length -1 ends in a
 * copy of as many bytes. So the header is walked here first, every count held against the bytes
 * that are left, and every variable against the end of the file.
 */
#include "wx/io/io_netcdf.h"

#define NAME_BYTES 256
#define DIMS_MAX   1024

/* A walk through the header. */
typedef struct reader {
    const unsigned char *bytes;
    size_t size, at;
    int version; /* 1, 2 or 5 */
    bool ok;     /* false once something did not hold; reads give 0 from then on */
    bool cut;    /* what did not hold is that the bytes ran out */
} reader;

/* Whether `count` more bytes are there; if not, the walk is over. */
static bool has(reader *r, uint64_t count)
{
    if (r->ok && count > r->size - r->at) {
        r->ok = false;
        r->cut = true;
    }
    return r->ok;
}

/* Sizes of the dimensions, and what the record variables need. */
typedef struct layout {
    uint64_t dims[DIMS_MAX];
    size_t dim_count;
    uint64_t records;
    uint64_t record_bytes; /* of all record variables, each padded to 4 */
    uint64_t record_end;   /* the end of the first record in the file */
    size_t record_variables;
    uint64_t only_bytes; /* of the last record variable, not padded */
    uint64_t end;        /* of what is not in records */
} layout;

static uint64_t read_bytes(reader *r, size_t count)
{
    uint64_t value = 0;
    if (!has(r, count)) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        value = value << 8 | r->bytes[r->at++];
    }
    return value;
}

/* A count: 32 bits, 64 in version 5, never negative. */
static uint64_t read_count(reader *r)
{
    const uint64_t value = read_bytes(r, r->version == 5 ? 8 : 4);
    if (value > (r->version == 5 ? (uint64_t)INT64_MAX : (uint64_t)INT32_MAX)) {
        r->ok = false;
    }
    return r->ok ? value : 0;
}

static void skip_padded(reader *r, uint64_t count)
{
    const uint64_t padded = count < UINT64_MAX - 3 ? (count + 3) / 4 * 4 : count;
    if (has(r, padded)) {
        r->at += (size_t)padded;
    }
}

static void skip_name(reader *r)
{
    const uint64_t length = read_count(r);
    r->ok = r->ok && length > 0 && length <= NAME_BYTES;
    skip_padded(r, length);
}

/* The head of a list: its tag, or zero for an absent one; how many entries follow. */
static uint64_t read_list(reader *r, uint64_t tag)
{
    const uint64_t found = read_bytes(r, 4), count = read_count(r);
    r->ok = r->ok && (found == tag || (found == 0 && count == 0));
    return has(r, count) ? count : 0; /* each entry takes more than a byte */
}

/* Bytes of an external type, 0 for one that is none. Version 5 adds those above NC_DOUBLE. */
static uint64_t type_bytes(reader *r)
{
    static const unsigned char sizes[] = {0, 1, 1, 2, 4, 4, 8, 1, 2, 4, 8, 8};
    const uint64_t type = read_bytes(r, 4);
    r->ok = r->ok && type >= NC_BYTE && type <= (r->version == 5 ? NC_UINT64 : NC_DOUBLE);
    return r->ok ? sizes[type] : 0;
}

static void skip_attributes(reader *r)
{
    const uint64_t count = read_list(r, 0x0c);
    for (uint64_t i = 0; i < count && r->ok; i++) {
        skip_name(r);
        const uint64_t bytes = type_bytes(r), values = read_count(r);
        if (r->ok) {
            skip_padded(r, values <= UINT64_MAX / 8 ? values * bytes : UINT64_MAX);
        }
    }
}

static void read_dims(reader *r, layout *l)
{
    const uint64_t count = read_list(r, 0x0a);
    r->ok = r->ok && count <= DIMS_MAX;
    for (uint64_t i = 0; i < count && r->ok; i++) {
        skip_name(r);
        l->dims[l->dim_count++] = read_count(r);
    }
}

/* Note where a variable ends. */
static void read_variable(reader *r, layout *l)
{
    skip_name(r);
    const uint64_t rank = read_count(r);
    uint64_t bytes = 1;
    bool in_records = false;
    r->ok = r->ok && rank <= DIMS_MAX;
    for (uint64_t i = 0; i < rank && r->ok; i++) {
        const uint64_t dim = read_count(r);
        if (!r->ok || dim >= l->dim_count || (l->dims[dim] == 0 && i > 0)) {
            r->ok = false; /* only the first dimension may be that of records */
        } else if (l->dims[dim] == 0) {
            in_records = true;
        } else if (__builtin_mul_overflow(bytes, l->dims[dim], &bytes)) {
            r->ok = false;
        }
    }
    skip_attributes(r);
    const uint64_t cell_bytes = type_bytes(r);
    uint64_t end = 0;
    r->ok = r->ok && !__builtin_mul_overflow(bytes, cell_bytes, &bytes) && bytes <= SIZE_MAX / 4;
    (void)read_count(r); /* the size as the writer knew it, which is redundant and may be cut */
    const uint64_t begin = read_bytes(r, r->version == 1 ? 4 : 8);
    if (!r->ok || __builtin_add_overflow(begin, bytes, &end)) {
        r->ok = false;
        return;
    }
    if (in_records) {
        l->record_variables++;
        l->only_bytes = bytes;
        l->record_bytes += (bytes + 3) / 4 * 4;
        l->record_end = end > l->record_end ? end : l->record_end;
        r->ok = l->record_bytes <= SIZE_MAX / 4;
    } else {
        l->end = end > l->end ? end : l->end;
    }
}

squall_status sq_io_netcdf_check_classic(const sq_io_source *source, squall_error *err)
{
    layout l = {.dim_count = 0};
    reader r = {.bytes = source->bytes, .size = source->size, .at = 4, .ok = true};
    r.version = source->bytes[3];
    l.records = read_count(&r);
    read_dims(&r, &l);
    skip_attributes(&r);
    const uint64_t count = read_list(&r, 0x0b);
    for (uint64_t i = 0; i < count && r.ok; i++) {
        read_variable(&r, &l);
    }
    if (!r.ok) {
        return sq_fail(err, r.cut ? SQUALL_E_TRUNCATED : SQUALL_E_CORRUPT, source->name,
                       "the netCDF header %s at byte %zu of %zu; fetch the file again",
                       r.cut ? "wants more than there is" : "does not hold", r.at, r.size);
    }
    uint64_t end = l.end, all = 0;
    if (l.records > 0 && l.record_variables > 0) {
        const uint64_t step = l.record_variables == 1 ? l.only_bytes : l.record_bytes;
        if (__builtin_mul_overflow(l.records - 1, step, &all) ||
            __builtin_add_overflow(all, l.record_end, &all)) {
            all = UINT64_MAX;
        }
        end = all > end ? all : end;
    }
    if (end > source->size) {
        return sq_fail(err, SQUALL_E_TRUNCATED, source->name,
                       "the file has %zu bytes, its header speaks of %llu; fetch it again",
                       source->size, (unsigned long long)end);
    }
    return SQUALL_OK;
}
