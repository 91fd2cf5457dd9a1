/* wx/io/io_open.c - which reader takes a file, told by content; and the public face of all. */
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "wx/io/io.h"
#include "wx/io/io_gzip.h"

/* Larger files are mapped; those up to here are read, because a mapped file that another program
 * cuts short while it is open ends the process. */
#define READ_WHOLE_BYTES ((off_t)256 << 20)

/* Asked in this order; what a format begins with is long enough that two cannot both say yes. */
static const sq_io_format *const formats[] = {&sq_io_hdf5, &sq_io_netcdf3, &sq_io_grib,
                                              &sq_io_tiff, &sq_io_radolan, &sq_io_pgm};

struct squall_file {
    char *name;
    char *quantity;       /* NULL for any */
    sq_mapping mapping;   /* a large file; data NULL otherwise */
    unsigned char *owned; /* a file that was read, or what was inflated; NULL otherwise */
    sq_io_source source;  /* stays where it is until the close */
    const sq_io_format *format;
    void *state; /* the reader's */
    size_t count;
    char text[SQ_IO_FORMAT_TEXT];
};

void sq_io_lock(void)
{
    sq_formats_lock();
}

void sq_io_unlock(void)
{
    sq_formats_unlock();
}

/* What surrounds every call of a reader: the lock for those that need it, and the C locale, in
 * which a decimal point is a point whatever the program around us has chosen. */
typedef struct reader_scope {
    bool locked;
    locale_t ours, before;
} reader_scope;

static void scope_enter(reader_scope *scope, const sq_io_format *format)
{
    scope->ours = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    scope->before = scope->ours != (locale_t)0 ? uselocale(scope->ours) : (locale_t)0;
    scope->locked = format->locked;
    if (scope->locked) {
        sq_io_lock();
    }
}

static void scope_leave(reader_scope *scope)
{
    if (scope->locked) {
        sq_io_unlock();
    }
    if (scope->before != (locale_t)0) {
        uselocale(scope->before);
    }
    if (scope->ours != (locale_t)0) {
        freelocale(scope->ours);
    }
}

void squall_io_options_init(squall_io_options *options)
{
    *options = (squall_io_options){.struct_size = sizeof *options};
}

/* Choose a reader for the source of `file` and let it open. */
static squall_status open_source(squall_file *file, squall_error *err)
{
    const sq_io_source *source = &file->source;
    if (source->size == 0) {
        return sq_fail(err, SQUALL_E_TRUNCATED, source->name, "is empty; fetch it again");
    }
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (formats[i]->sniff(source->bytes, source->size)) {
            reader_scope scope;
            scope_enter(&scope, formats[i]);
            const squall_status status =
                formats[i]->open(source, &file->state, &file->count, file->text, err);
            scope_leave(&scope);
            if (status == SQUALL_OK) {
                file->format = formats[i];
            }
            return status;
        }
    }
    return sq_fail(err, SQUALL_E_FORMAT, source->name,
                   "is of no format that is known; HDF5 (ODIM, KNMI), NetCDF, GRIB2, GeoTIFF, "
                   "RADOLAN and FMI PGM are, each also gzipped");
}

/* Everything behind the point where the bytes are there. Takes over `file` and closes it on
 * failure. */
static squall_status open_bytes(squall_file *file, const unsigned char *bytes, size_t size,
                                const char *name, const squall_io_options *options,
                                squall_file **out, squall_error *err)
{
    squall_status status;
    const char *quantity = options != NULL ? options->quantity : NULL;
    file->name = sq_strdup(name);
    file->quantity = quantity != NULL ? sq_strdup(quantity) : NULL;
    if (file->name == NULL || (quantity != NULL && file->quantity == NULL)) {
        status = sq_fail(err, SQUALL_E_MEMORY, name, "no memory for its name");
        goto done;
    }
    if (sq_io_is_gzip(bytes, size)) {
        unsigned char *inflated;
        SQ_TRY_GOTO(sq_io_gunzip(bytes, size, name, &inflated, &size, err));
        sq_free(file->owned);
        sq_file_unmap(&file->mapping);
        bytes = file->owned = inflated;
    }
    file->source = (sq_io_source){bytes, size, file->name, file->quantity};
    SQ_TRY_GOTO(open_source(file, err));
    *out = file;
    return SQUALL_OK;
done:
    squall_file_close(&file);
    return status;
}

static squall_status make_file(const char *name, const squall_io_options *options,
                               squall_file **out, squall_error *err)
{
    if (options != NULL && options->struct_size != sizeof *options) {
        return sq_fail(err, SQUALL_E_ARGUMENT, name,
                       "an option struct of %u bytes, not %zu; call squall_io_options_init() first",
                       options->struct_size, sizeof *options);
    }
    *out = sq_alloc(1, sizeof **out);
    return *out != NULL ? SQUALL_OK : sq_fail(err, SQUALL_E_MEMORY, name, "no memory to open it");
}

squall_status squall_file_open(const char *path, const squall_io_options *options,
                               squall_file **out, squall_error *err)
{
    squall_file *file;
    struct stat info;
    const unsigned char *bytes;
    size_t size;
    squall_status status;
    *out = NULL;
    SQ_TRY(make_file(path, options, &file, err));
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > READ_WHOLE_BYTES) {
        status = sq_file_map(path, SQ_LIMIT_FILE_BYTES, &file->mapping, err);
        bytes = file->mapping.data;
        size = file->mapping.size;
    } else {
        status = sq_file_read(path, SQ_LIMIT_FILE_BYTES, &file->owned, &size, err);
        bytes = file->owned;
    }
    if (status != SQUALL_OK) {
        squall_file_close(&file);
        return status;
    }
    return open_bytes(file, bytes, size, path, options, out, err);
}

squall_status squall_file_open_memory(const void *bytes, size_t size, const char *name,
                                      const squall_io_options *options, squall_file **out,
                                      squall_error *err)
{
    squall_file *file;
    *out = NULL;
    SQ_TRY(make_file(name, options, &file, err));
    return open_bytes(file, bytes, size, name, options, out, err);
}

void squall_file_close(squall_file **file)
{
    if (file == NULL || *file == NULL) {
        return;
    }
    squall_file *closed = *file;
    if (closed->format != NULL) {
        reader_scope scope;
        scope_enter(&scope, closed->format);
        closed->format->close(closed->state);
        scope_leave(&scope);
    }
    sq_file_unmap(&closed->mapping);
    sq_free(closed->owned);
    sq_free(closed->quantity);
    sq_free(closed->name);
    sq_free(closed);
    *file = NULL;
}

const char *squall_file_format(const squall_file *file)
{
    return file->text;
}

size_t squall_file_count(const squall_file *file)
{
    return file->count;
}

int64_t squall_file_time(const squall_file *file, size_t index)
{
    return index < file->count ? file->format->time(file->state, index) : SQUALL_TIME_NONE;
}

squall_status squall_file_read(squall_file *file, size_t index, squall_field **out,
                               squall_error *err)
{
    *out = NULL;
    if (index >= file->count) {
        return sq_fail(err, SQUALL_E_ARGUMENT, file->name,
                       "holds %zu fields; there is no field %zu", file->count, index);
    }
    reader_scope scope;
    scope_enter(&scope, file->format);
    const squall_status status = file->format->read(file->state, index, out, err);
    scope_leave(&scope);
    return status;
}
