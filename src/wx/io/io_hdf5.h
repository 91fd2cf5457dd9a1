/* wx/io/io_hdf5.h - what the readers of HDF5 files share: an image opened in memory, its attributes
 * and its two-dimensional datasets, each checked before it is believed. */
#ifndef SQ_WX_IO_IO_HDF5_H
#define SQ_WX_IO_IO_HDF5_H

#include <hdf5.h>

#include "wx/io/io.h"
#include "wx/io/io_pixels.h"
#include "wx/io/io_place.h"

/** An open HDF5 image. `source` is a copy; what it points to lives until the close. */
typedef struct sq_io_hdf5_image {
    sq_io_source source;
    hid_t file;
} sq_io_hdf5_image;

/** A kind of content of HDF5 files. `image` is borrowed until `close`. */
typedef struct sq_io_hdf5_kind {
    bool (*knows)(const sq_io_hdf5_image *image);
    squall_status (*open)(const sq_io_hdf5_image *image, void **state, size_t *count, char *text,
                          squall_error *err);
    int64_t (*time)(const void *state, size_t index);
    squall_status (*read)(void *state, size_t index, squall_field **out, squall_error *err);
    void (*close)(void *state);
} sq_io_hdf5_kind;

extern const sq_io_hdf5_kind sq_io_odim; /* io_odim.c */
extern const sq_io_hdf5_kind sq_io_knmi; /* io_knmi.c */

#define SQ_IO_HDF5_PATH 96 /* bytes of the path of a group or dataset in a file */

/* --- groups: io_hdf5_group.c --- */

/** Whether there is a group or dataset at `path` ("dataset1/what"). */
bool sq_io_hdf5_exists(const sq_io_hdf5_image *image, const char *path);
bool sq_io_hdf5_is_group(const sq_io_hdf5_image *image, const char *path);

/** The numbers of "prefix1", "prefix2", ...: ascending. Release `values` with sq_free(), also after
 * a failure. */
typedef struct sq_io_hdf5_numbers {
    int *values; /* [count] */
    size_t count, capacity;
} sq_io_hdf5_numbers;

/** List the links in the group `path` ("/" for the first) that are called "prefix<number>"; none if
 * there is no such group. */
SQUALL_MUST_USE squall_status sq_io_hdf5_list(const sq_io_hdf5_image *image, const char *path,
                                              const char *prefix, sq_io_hdf5_numbers *numbers,
                                              squall_error *err);

/* --- attributes: io_hdf5_attribute.c --- */

/** Read a text attribute: a scalar or one element, of fixed or variable length. Other bytes than
 * printable ASCII become '?'. `*found` says whether there is one; `text` is "" if not.
 *
 * @return SQUALL_E_CORRUPT if it is no text, or longer than `size` - 1 characters. */
SQUALL_MUST_USE squall_status sq_io_hdf5_text(const sq_io_hdf5_image *image, const char *path,
                                              const char *attribute, char *text, size_t size,
                                              bool *found, squall_error *err);

/** Read a numeric attribute of one element. `*value` stays as it is where there is none. */
SQUALL_MUST_USE squall_status sq_io_hdf5_number(const sq_io_hdf5_image *image, const char *path,
                                                const char *attribute, double *value, bool *found,
                                                squall_error *err);

/** Whether a type is an integer or floating point number as machines have them. HDF5 lets a file
 * define stranger ones (17 bits, from the third on); no weather service does. */
bool sq_io_hdf5_is_number(hid_t type);

/* --- datasets: io_hdf5_dataset.c --- */

/** A two-dimensional dataset of plain numbers, open. */
typedef struct sq_io_hdf5_dataset {
    hid_t id;
    size_t width, height, cell_bytes;
    bool integer; /* of an integer type; else float (4 bytes) or double */
    char where[SQ_IO_WHERE];
} sq_io_hdf5_dataset;

/**
 * Open the dataset at `path` and check what it declares: shape, type, limits, storage, filters.
 *
 * @return SQUALL_OK: close it; SQUALL_E_CORRUPT; SQUALL_E_LIMIT; SQUALL_E_UNSUPPORTED.
 */
SQUALL_MUST_USE squall_status sq_io_hdf5_dataset_open(const sq_io_hdf5_image *image,
                                                      const char *path, sq_io_hdf5_dataset *out,
                                                      squall_error *err);
void sq_io_hdf5_dataset_close(sq_io_hdf5_dataset *dataset);

/** A raw number as it comes back from storage: rounded to float where that is what is stored. */
double sq_io_hdf5_stored(const sq_io_hdf5_dataset *dataset, double raw);

/** Read the whole of it into `values` and `mask`, each [height][width]. */
SQUALL_MUST_USE squall_status sq_io_hdf5_read_values(const sq_io_hdf5_dataset *dataset,
                                                     const sq_io_packing *packing, float *values,
                                                     uint8_t *mask, squall_error *err);
/** Read the whole of it as a quality index. */
SQUALL_MUST_USE squall_status sq_io_hdf5_read_quality(const sq_io_hdf5_dataset *dataset,
                                                      const sq_io_packing *packing, float *quality,
                                                      squall_error *err);

#endif /* SQ_WX_IO_IO_HDF5_H */
