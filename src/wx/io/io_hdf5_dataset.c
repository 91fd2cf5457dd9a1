/* wx/io/io_hdf5_dataset.c - two-dimensional datasets of HDF5 files. */
#include <math.h>
#include <string.h>

#include "wx/io/io_hdf5.h"

#define BLOCK_BYTES ((size_t)4 << 20) /* of raw numbers, as doubles, read at a time */
#define CHUNK_SLOTS 4099              /* of the chunk cache: a prime above the chunks in a row */

/* Whether this build of HDF5 has all filters of a dataset; if not, one that is missing. */
static bool filters_known(hid_t plist, H5Z_filter_t *missing, char *name, size_t name_size)
{
    const int count = H5Pget_nfilters(plist);
    for (int i = 0; i < count; i++) {
        unsigned flags = 0;
        size_t values = 0;
        name[0] = 0;
        *missing = H5Pget_filter2(plist, (unsigned)i, &flags, &values, NULL, name_size, name, NULL);
        name[name_size - 1] = 0;
        if (*missing < 0 || H5Zfilter_avail(*missing) <= 0) {
            return false;
        }
    }
    return count >= 0;
}

/* Hold how a dataset is stored against what we take: chunks of sane size, known filters, nothing in
 * other files. `*row_bytes` gets the bytes of a row of chunks, 0 where there are no chunks. */
static squall_status check_storage(const sq_io_hdf5_dataset *d, size_t file_bytes,
                                   size_t *row_bytes, squall_error *err)
{
    squall_status status = SQUALL_OK;
    const hid_t plist = H5Dget_create_plist(d->id);
    if (plist < 0) {
        return sq_fail(err, SQUALL_E_CORRUPT, d->where, "its storage is not described");
    }
    const H5D_layout_t layout = H5Pget_layout(plist);
    hsize_t chunk[2] = {1, 1};
    H5Z_filter_t filter = 0;
    char name[64];
    *row_bytes = 0;
    if (layout == H5D_CHUNKED) {
        if (H5Pget_chunk(plist, 2, chunk) != 2) {
            status = sq_fail(err, SQUALL_E_CORRUPT, d->where, "its chunks have not two sides");
        } else {
            const size_t width = (size_t)chunk[1], height = (size_t)chunk[0];
            status = sq_io_check_cells(width, height, d->cell_bytes, file_bytes, d->where, err);
            if (status == SQUALL_OK) {
                *row_bytes = (d->width + width - 1) / width * width * height * d->cell_bytes;
            }
        }
        if (status == SQUALL_OK && !filters_known(plist, &filter, name, sizeof name)) {
            status = sq_fail(err, SQUALL_E_UNSUPPORTED, d->where,
                             "packed by filter %d '%.40s', which the HDF5 library here lacks; "
                             "repack it: h5repack -f GZIP=4",
                             (int)filter, name);
        }
    } else if ((layout != H5D_CONTIGUOUS && layout != H5D_COMPACT) ||
               H5Pget_external_count(plist) != 0) {
        status = sq_fail(err, SQUALL_E_UNSUPPORTED, d->where,
                         "its values lie in other files; copy them into one: h5repack");
    }
    H5Pclose(plist);
    return status;
}

/* Open it again with a cache for one row of chunks, so that each chunk is unpacked once although
 * rows are read a few at a time. */
static squall_status reopen_cached(sq_io_hdf5_dataset *d, const sq_io_hdf5_image *image,
                                   const char *path, size_t row_bytes, squall_error *err)
{
    const hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    H5Dclose(d->id);
    d->id = access >= 0 && H5Pset_chunk_cache(access, CHUNK_SLOTS, row_bytes, 1.0) >= 0
                ? H5Dopen2(image->file, path, access)
                : -1;
    if (access >= 0) {
        H5Pclose(access);
    }
    return d->id >= 0 ? SQUALL_OK : sq_fail(err, SQUALL_E_CORRUPT, d->where, "it opens only once");
}

squall_status sq_io_hdf5_dataset_open(const sq_io_hdf5_image *image, const char *path,
                                      sq_io_hdf5_dataset *d, squall_error *err)
{
    squall_status status;
    hid_t space = -1, type = -1;
    hsize_t sides[2] = {0, 0};
    size_t row_bytes = 0;
    *d = (sq_io_hdf5_dataset){.id = -1};
    sq_io_where(d->where, image->source.name, "/%s", path);
    H5O_info_t info;
    if (!sq_io_hdf5_exists(image, path) ||
        H5Oget_info_by_name2(image->file, path, &info, H5O_INFO_BASIC, H5P_DEFAULT) < 0 ||
        info.type != H5O_TYPE_DATASET || (d->id = H5Dopen2(image->file, path, H5P_DEFAULT)) < 0) {
        return sq_fail(err, SQUALL_E_CORRUPT, d->where,
                       "the dataset is missing or cannot be opened; fetch the file again");
    }
    space = H5Dget_space(d->id);
    type = H5Dget_type(d->id);
    if (space < 0 || type < 0 || H5Sget_simple_extent_ndims(space) != 2 ||
        H5Sget_simple_extent_dims(space, sides, NULL) != 2 || !sq_io_hdf5_is_number(type)) {
        status = sq_fail(err, SQUALL_E_CORRUPT, d->where,
                         "not a two-dimensional dataset of integers or floats");
        goto done;
    }
    d->height = (size_t)sides[0];
    d->width = (size_t)sides[1];
    d->cell_bytes = H5Tget_size(type);
    d->integer = H5Tget_class(type) == H5T_INTEGER;
    SQ_TRY_GOTO(
        sq_io_check_cells(d->width, d->height, d->cell_bytes, image->source.size, d->where, err));
    SQ_TRY_GOTO(check_storage(d, image->source.size, &row_bytes, err));
    if (row_bytes > 0) {
        SQ_TRY_GOTO(reopen_cached(d, image, path, row_bytes, err));
    }
done:
    if (space >= 0) {
        H5Sclose(space);
    }
    if (type >= 0) {
        H5Tclose(type);
    }
    if (status != SQUALL_OK) {
        sq_io_hdf5_dataset_close(d);
    }
    return status;
}

void sq_io_hdf5_dataset_close(sq_io_hdf5_dataset *dataset)
{
    if (dataset->id >= 0) {
        H5Dclose(dataset->id);
        dataset->id = -1;
    }
}

double sq_io_hdf5_stored(const sq_io_hdf5_dataset *dataset, double raw)
{
    return !dataset->integer && dataset->cell_bytes == sizeof(float) ? (double)(float)raw : raw;
}

/* What is done with a block of raw numbers that begins at cell `first`. */
typedef struct taker {
    const sq_io_packing *packing;
    float *values;
    uint8_t *mask; /* NULL: a quality index */
} taker;

static void take(const taker *t, const double *raw, size_t first, size_t count)
{
    if (t->mask != NULL) {
        sq_io_unpack(t->packing, raw, 1, count, t->values + first, t->mask + first);
    } else {
        sq_io_unpack_quality(t->packing, raw, count, t->values + first);
    }
}

static squall_status read_blocks(const sq_io_hdf5_dataset *d, const taker *t, squall_error *err)
{
    squall_status status = SQUALL_OK;
    const size_t fit = BLOCK_BYTES / sizeof(double) / d->width;
    const size_t block = fit < 1 ? 1 : fit < d->height ? fit : d->height;
    double *raw = sq_alloc_raw(block * d->width, sizeof *raw);
    const hid_t space = H5Dget_space(d->id);
    if (raw == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, d->where, "no memory for %zu rows of %zu numbers",
                         block, d->width);
        goto done;
    }
    for (size_t row = 0; row < d->height; row += block) {
        const size_t rows = d->height - row < block ? d->height - row : block;
        const hsize_t start[2] = {row, 0}, count[2] = {rows, d->width};
        const hid_t memory = H5Screate_simple(2, count, NULL);
        const bool ok = memory >= 0 && space >= 0 &&
                        H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
                        H5Dread(d->id, H5T_NATIVE_DOUBLE, memory, space, H5P_DEFAULT, raw) >= 0;
        if (memory >= 0) {
            H5Sclose(memory);
        }
        if (!ok) {
            status = sq_fail(err, SQUALL_E_CORRUPT, d->where,
                             "rows %zu to %zu of %zu cannot be unpacked; fetch the file again", row,
                             row + rows - 1, d->height);
            goto done;
        }
        take(t, raw, row * d->width, rows * d->width);
    }
done:
    if (space >= 0) {
        H5Sclose(space);
    }
    sq_free(raw);
    return status;
}

squall_status sq_io_hdf5_read_values(const sq_io_hdf5_dataset *dataset,
                                     const sq_io_packing *packing, float *values, uint8_t *mask,
                                     squall_error *err)
{
    return read_blocks(dataset, &(taker){packing, values, mask}, err);
}

squall_status sq_io_hdf5_read_quality(const sq_io_hdf5_dataset *dataset,
                                      const sq_io_packing *packing, float *quality,
                                      squall_error *err)
{
    return read_blocks(dataset, &(taker){packing, quality, NULL}, err);
}
