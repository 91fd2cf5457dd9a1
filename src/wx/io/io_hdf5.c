/* wx/io/io_hdf5.c - HDF5 files: opened in memory, looked through for traps, told apart by content.
 */
#include "wx/io/io_hdf5.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "wx/io/io_hdf5_guard.h"

static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

/* The format allows a block of the user's own before the signature: 512 bytes, doubled and doubled.
 * SIZE_MAX where there is none. */
static size_t find_signature(const unsigned char *bytes, size_t size)
{
    for (size_t at = 0; at + sizeof signature <= size && at <= SQ_LIMIT_HEADER;
         at = at == 0 ? 512 : 2 * at) {
        if (memcmp(bytes + at, signature, sizeof signature) == 0) {
            return at;
        }
    }
    return SIZE_MAX;
}

static bool hdf5_sniff(const unsigned char *bytes, size_t size)
{
    return find_signature(bytes, size) != SIZE_MAX;
}

/* The size that the file's own header gives it. HDF5 checks it too, but does not say so in a way
 * that tells a cut file from a damaged one. */
static squall_status check_whole(const sq_io_source *source, squall_error *err)
{
    const size_t at = find_signature(source->bytes, source->size);
    const unsigned char *block = source->bytes + at;
    const size_t size = source->size - at;
    const unsigned version = size > 8 ? block[8] : 0;
    const size_t width_at = version < 2 ? 13 : 9;
    const size_t width = size > width_at ? block[width_at] : 0;
    size_t end_at = version < 2 ? 24 : 12; /* of the base address; the end follows 2 later */
    end_at += (version == 1 ? 4 : 0) + 2 * width;
    if (width == 0 || size < end_at + width) {
        return sq_fail(err, SQUALL_E_TRUNCATED, source->name,
                       "an HDF5 file of %zu bytes ends within its header; fetch it again",
                       source->size);
    }
    uint64_t end = 0;
    for (size_t i = width < 8 ? width : 8; i-- > 0;) {
        end = end << 8 | block[end_at + i];
    }
    if (end > source->size) {
        return sq_fail(err, SQUALL_E_TRUNCATED, source->name,
                       "the file has %zu bytes, its header says %" PRIu64 "; fetch it again",
                       source->size, end);
    }
    return SQUALL_OK;
}

/* HDF5 would copy the image twice. These hand it our bytes instead: it only reads them. */
static void *image_malloc(size_t size, H5FD_file_image_op_t op, void *source)
{
    const sq_io_source *s = source;
    (void)op;
    return size == s->size ? (void *)(uintptr_t)s->bytes : NULL;
}

static void *image_memcpy(void *dest, const void *src, size_t size, H5FD_file_image_op_t op,
                          void *source)
{
    const sq_io_source *s = source;
    (void)op;
    return dest == (const void *)s->bytes && src == dest && size == s->size ? dest : NULL;
}

static void *image_realloc(void *pointer, size_t size, H5FD_file_image_op_t op, void *source)
{
    (void)pointer, (void)size, (void)op, (void)source;
    return NULL;
}

static herr_t image_free(void *pointer, H5FD_file_image_op_t op, void *source)
{
    (void)pointer, (void)op, (void)source;
    return 0;
}

static void *udata_copy(void *source)
{
    return source;
}

static herr_t udata_free(void *source)
{
    (void)source;
    return 0;
}

/* Open the bytes as a file. `image` must stay where it is until the close. */
static squall_status image_open(sq_io_hdf5_image *image, squall_error *err)
{
    char name[40]; /* HDF5 takes two files in memory for one if their names are the same */
    snprintf(name, sizeof name, "squall-%p", (void *)image);
    H5FD_file_image_callbacks_t callbacks = {image_malloc, image_memcpy, image_realloc, image_free,
                                             udata_copy,   udata_free,   &image->source};
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 && H5Pset_fapl_core(access, (size_t)1 << 16, 0) >= 0 &&
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0 &&
        H5Pset_file_image_callbacks(access, &callbacks) >= 0 &&
        H5Pset_file_image(access, (void *)(uintptr_t)image->source.bytes, image->source.size) >=
            0) {
        image->file = H5Fopen(name, H5F_ACC_RDONLY, access);
    }
    if (access >= 0) {
        H5Pclose(access);
    }
    return image->file >= 0
               ? SQUALL_OK
               : sq_fail(err, SQUALL_E_CORRUPT, image->source.name,
                         "HDF5 cannot open it: its tables do not hold; fetch the file again");
}

/* --- traps --- */

/* A walk over all groups. */
typedef struct walk {
    const sq_io_hdf5_image *image;
    squall_error *err;
    squall_status status;
    size_t objects;
    int depth;
} walk;

/* Links to other files, and datasets whose values lie in them, would make a file from outside read
 * what it likes on this machine. */
static squall_status walk_dataset(hid_t group, const char *name, const char *where,
                                  squall_error *err)
{
    const hid_t dataset = H5Dopen2(group, name, H5P_DEFAULT);
    const hid_t plist = dataset >= 0 ? H5Dget_create_plist(dataset) : -1;
    const bool readable = plist >= 0;
    const bool inside =
        readable && H5Pget_layout(plist) != H5D_VIRTUAL &&
        (H5Pget_layout(plist) != H5D_CONTIGUOUS || H5Pget_external_count(plist) == 0);
    if (plist >= 0) {
        H5Pclose(plist);
    }
    if (dataset >= 0) {
        H5Dclose(dataset);
    }
    if (!readable) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "the dataset '%.60s' cannot be opened; fetch the file again", name);
    }
    return inside ? SQUALL_OK
                  : sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                            "the values of '%.60s' lie in another file; copy them into one: "
                            "h5repack",
                            name);
}

static herr_t walk_link(hid_t group, const char *name, const H5L_info_t *link, void *arg);

static squall_status walk_object(hid_t group, const char *name, walk *w)
{
    H5O_info_t info;
    const char *where = w->image->source.name;
    if (H5Oget_info_by_name2(group, name, &info, H5O_INFO_BASIC, H5P_DEFAULT) < 0) {
        return sq_fail(w->err, SQUALL_E_CORRUPT, where,
                       "'%.60s' cannot be opened; fetch the file again", name);
    }
    if (info.type == H5O_TYPE_DATASET) {
        return walk_dataset(group, name, where, w->err);
    }
    if (info.type != H5O_TYPE_GROUP) {
        return SQUALL_OK;
    }
    if (w->depth == SQ_LIMIT_DEPTH) {
        return sq_fail(w->err, SQUALL_E_LIMIT, where, "groups in groups deeper than %d at '%.60s'",
                       SQ_LIMIT_DEPTH, name);
    }
    const hid_t inner = H5Gopen2(group, name, H5P_DEFAULT);
    w->depth++;
    const bool ok =
        inner >= 0 && H5Literate(inner, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, walk_link, w) >= 0;
    w->depth--;
    if (inner >= 0) {
        H5Gclose(inner);
    }
    if (!ok && w->status == SQUALL_OK) {
        return sq_fail(w->err, SQUALL_E_CORRUPT, where,
                       "the group '%.60s' cannot be listed; fetch the file again", name);
    }
    return w->status;
}

static herr_t walk_link(hid_t group, const char *name, const H5L_info_t *link, void *arg)
{
    walk *w = arg;
    if (++w->objects > SQ_LIMIT_OBJECTS) {
        w->status = sq_fail(w->err, SQUALL_E_LIMIT, w->image->source.name,
                            "more than %zu groups and datasets", SQ_LIMIT_OBJECTS);
    } else if (link->type == H5L_TYPE_HARD) {
        w->status = walk_object(group, name, w);
    } else if (link->type != H5L_TYPE_SOFT) {
        w->status =
            sq_fail(w->err, SQUALL_E_UNSUPPORTED, w->image->source.name,
                    "'%.60s' is a link to another file; copy what it points to: h5repack", name);
    }
    return w->status == SQUALL_OK ? 0 : -1;
}

static squall_status check_traps(const sq_io_hdf5_image *image, squall_error *err)
{
    walk w = {.image = image, .err = err, .status = SQUALL_OK};
    return walk_object(image->file, "/", &w);
}

/* --- kinds --- */

/* netCDF-4 keeps each coordinate as a dimension scale. */
static herr_t is_scale(hid_t group, const char *name, const H5L_info_t *link, void *arg)
{
    const sq_io_hdf5_image *image = arg;
    char text[32];
    bool found;
    (void)group, (void)link;
    return sq_io_hdf5_text(image, name, "CLASS", text, sizeof text, &found, NULL) == SQUALL_OK &&
           strcmp(text, "DIMENSION_SCALE") == 0;
}

static bool netcdf_knows(const sq_io_hdf5_image *image)
{
    char text[64];
    bool found;
    if (H5Aexists(image->file, "_NCProperties") > 0 || H5Aexists(image->file, "_nc3_strict") > 0) {
        return true;
    }
    if (sq_io_hdf5_text(image, "/", "Conventions", text, sizeof text, &found, NULL) == SQUALL_OK &&
        strstr(text, "CF") != NULL) {
        return true;
    }
    return H5Literate(image->file, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, is_scale,
                      (void *)(uintptr_t)image) > 0;
}

/* An open file of any of the kinds. */
typedef struct hdf5_state {
    sq_io_hdf5_image image;
    const sq_io_hdf5_kind *kind; /* NULL: netCDF, by the netCDF library */
    void *inner;
} hdf5_state;

/* HDF5 prints its error stack unless told not to; the host's setting is put back. */
typedef struct quiet {
    H5E_auto2_t print;
    void *arg;
} quiet;

static quiet quiet_begin(void)
{
    quiet q = {NULL, NULL};
    H5Eget_auto2(H5E_DEFAULT, &q.print, &q.arg);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return q;
}

static void quiet_end(quiet q)
{
    H5Eclear2(H5E_DEFAULT);
    H5Eset_auto2(H5E_DEFAULT, q.print, q.arg);
}

static void image_close(sq_io_hdf5_image *image)
{
    if (image->file >= 0) {
        H5Fclose(image->file);
        image->file = -1;
    }
}

static void hdf5_close(void *state)
{
    hdf5_state *s = state;
    if (s != NULL) {
        const quiet q = quiet_begin();
        if (s->inner != NULL) {
            s->kind != NULL ? s->kind->close(s->inner) : sq_io_netcdf3.close(s->inner);
        }
        image_close(&s->image);
        quiet_end(q);
        sq_free(s);
    }
}

static squall_status open_kind(hdf5_state *s, size_t *count, char *text, squall_error *err)
{
    static const sq_io_hdf5_kind *const kinds[] = {&sq_io_knmi, &sq_io_odim};
    SQ_TRY(check_whole(&s->image.source, err));
    SQ_TRY(sq_io_hdf5_guard_file(&s->image.source,
                                 find_signature(s->image.source.bytes, s->image.source.size), err));
    SQ_TRY(image_open(&s->image, err));
    SQ_TRY(check_traps(&s->image, err));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i]->knows(&s->image)) {
            s->kind = kinds[i];
            return s->kind->open(&s->image, &s->inner, count, text, err);
        }
    }
    if (netcdf_knows(&s->image)) {
        image_close(&s->image); /* the netCDF library opens it itself */
        return sq_io_netcdf3.open(&s->image.source, &s->inner, count, text, err);
    }
    return sq_fail(err, SQUALL_E_UNSUPPORTED, s->image.source.name,
                   "an HDF5 file, but neither ODIM ('/what'), nor KNMI ('/overview'), nor "
                   "CF-netCDF ('Conventions'); convert it to one of these");
}

static squall_status hdf5_open(const sq_io_source *source, void **state, size_t *count, char *text,
                               squall_error *err)
{
    hdf5_state *s = sq_alloc(1, sizeof *s);
    *state = NULL;
    if (s == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, source->name, "no memory to open it");
    }
    s->image = (sq_io_hdf5_image){.source = *source, .file = -1};
    const quiet q = quiet_begin();
    const squall_status status = open_kind(s, count, text, err);
    quiet_end(q);
    if (status != SQUALL_OK) {
        hdf5_close(s);
        return status;
    }
    *state = s;
    return SQUALL_OK;
}

static int64_t hdf5_time(const void *state, size_t index)
{
    const hdf5_state *s = state;
    return s->kind != NULL ? s->kind->time(s->inner, index) : sq_io_netcdf3.time(s->inner, index);
}

static squall_status hdf5_read(void *state, size_t index, squall_field **out, squall_error *err)
{
    hdf5_state *s = state;
    const quiet q = quiet_begin();
    const squall_status status = s->kind != NULL ? s->kind->read(s->inner, index, out, err)
                                                 : sq_io_netcdf3.read(s->inner, index, out, err);
    quiet_end(q);
    return status;
}

const sq_io_format sq_io_hdf5 = {
    .name = "HDF5",
    .locked = true,
    .sniff = hdf5_sniff,
    .open = hdf5_open,
    .time = hdf5_time,
    .read = hdf5_read,
    .close = hdf5_close,
};
