/* squall/io.h - radar and satellite files in, fields out. */
#ifndef SQUALL_IO_H
#define SQUALL_IO_H

#include <stddef.h>
#include <stdint.h>

#include "squall/field.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How files are read. Set it up with squall_io_options_init(). */
typedef struct squall_io_options {
    uint32_t struct_size;
    const char
        *quantity; /**< borrowed; take only datasets of this name ("RATE", "DBZH", "ACRR",
                        "precipitation", ...); NULL takes the one that rain is told from best */
} squall_io_options;
SQUALL_API void squall_io_options_init(squall_io_options *options);

/** An open file: one or more fields in it. Formats are told by content, never by name.
 * Threads: calls on different files may run side by side; a lock inside serialises the libraries
 * that need it. */
typedef struct squall_file squall_file;

/**
 * Open `path` and learn what it holds.
 *
 * Understood: ODIM HDF5 composites and images, KNMI HDF5, CF-NetCDF (BoM Rainfields, NWC SAF CRR,
 * OpenMRG and like ones), GRIB2, FMI PGM and GeoTIFF, DWD RADOLAN composites; any of them gzipped.
 *
 * @return SQUALL_OK; SQUALL_E_IO; SQUALL_E_FORMAT (no format known); SQUALL_E_UNSUPPORTED (known
 * but not taken: polar ODIM volumes, for one); SQUALL_E_TRUNCATED; SQUALL_E_CORRUPT;
 *         SQUALL_E_LIMIT; SQUALL_E_NO_DATA (nothing of `options->quantity` in it). `err->where`
 * names the file and the dataset in it.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_file_open(const char *path,
                                                          const squall_io_options *options,
                                                          squall_file **out, squall_error *err);

/** The same for bytes in memory, borrowed until the close; `name` is what messages call them. */
SQUALL_MUST_USE SQUALL_API squall_status squall_file_open_memory(const void *bytes, size_t size,
                                                                 const char *name,
                                                                 const squall_io_options *options,
                                                                 squall_file **out,
                                                                 squall_error *err);
SQUALL_API void squall_file_close(squall_file **file);

/** "ODIM_H5 2.4 COMP", "KNMI HDF5 3.5", "GRIB2 MRMS", ...; borrowed until the close. */
SQUALL_API const char *squall_file_format(const squall_file *file);

/** How many fields it holds, at least 1: one for each time. */
SQUALL_API size_t squall_file_count(const squall_file *file);

/** When field `index` is valid, without reading its values; SQUALL_TIME_NONE past the end. Fields
 * are in the order of the file, which need not be that of time. */
SQUALL_API int64_t squall_file_time(const squall_file *file, size_t index);

/**
 * Read field `index`; it is given.
 *
 * @return as squall_file_open(), and SQUALL_E_ARGUMENT past the end; SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_file_read(squall_file *file, size_t index,
                                                          squall_field **out, squall_error *err);

/** Fields of many files in the order of time. */
typedef struct squall_archive squall_archive;

/**
 * Look into files and folders (not deeper than one level; files whose name begins with a dot are
 * passed over) and note every field's time and place. A file that cannot be read is left out and
 * named in `notes`, with the reason; so is a second field of the same time and a field without one.
 *
 * @return SQUALL_OK; SQUALL_E_IO if a path does not exist; SQUALL_E_NO_DATA if no field was found.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_archive_open(const char *const *paths, size_t count,
                                                             const squall_io_options *options,
                                                             squall_archive **out,
                                                             squall_notes *notes,
                                                             squall_error *err);
SQUALL_API void squall_archive_close(squall_archive **archive);

SQUALL_API size_t squall_archive_count(const squall_archive *archive);
/** Valid time of entry `index`, ascending. */
SQUALL_API int64_t squall_archive_time(const squall_archive *archive, size_t index);
/** "path" or "path#index" of entry `index`; borrowed. */
SQUALL_API const char *squall_archive_name(const squall_archive *archive, size_t index);
/** The commonest distance between neighbours, seconds; 0 for a single field. */
SQUALL_API int32_t squall_archive_step_s(const squall_archive *archive);
/** The entry nearest to `time` within `tolerance_s`, or SIZE_MAX. */
SQUALL_API size_t squall_archive_find(const squall_archive *archive, int64_t time,
                                      int32_t tolerance_s);
/** Read entry `index`; the field is given. */
SQUALL_MUST_USE SQUALL_API squall_status squall_archive_read(squall_archive *archive, size_t index,
                                                             squall_field **out, squall_error *err);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_IO_H */
