/* wx/io/io_hdf5_group.c - what there is in an HDF5 file, by name and number. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wx/io/io_hdf5.h"

bool sq_io_hdf5_exists(const sq_io_hdf5_image *image, const char *path)
{
    char part[SQ_IO_HDF5_PATH];
    if (strlen(path) >= sizeof part) {
        return false;
    }
    if (strcmp(path, "/") == 0) {
        return true;
    }
    /* H5Lexists() fails unless all but the last link are there: ask for each in turn. */
    for (const char *slash = path; slash != NULL;) {
        slash = strchr(slash + 1, '/');
        const size_t length = slash != NULL ? (size_t)(slash - path) : strlen(path);
        snprintf(part, sizeof part, "%.*s", (int)length, path);
        if (H5Lexists(image->file, part, H5P_DEFAULT) <= 0) {
            return false;
        }
    }
    return H5Oexists_by_name(image->file, path, H5P_DEFAULT) > 0;
}

bool sq_io_hdf5_is_group(const sq_io_hdf5_image *image, const char *path)
{
    H5O_info_t info;
    return sq_io_hdf5_exists(image, path) &&
           H5Oget_info_by_name2(image->file, path, &info, H5O_INFO_BASIC, H5P_DEFAULT) >= 0 &&
           info.type == H5O_TYPE_GROUP;
}

/* A listing under way. */
typedef struct listing {
    const char *prefix;
    sq_io_hdf5_numbers *numbers;
    bool no_memory;
} listing;

static herr_t add_number(hid_t group, const char *name, const H5L_info_t *link, void *arg)
{
    listing *l = arg;
    sq_io_hdf5_numbers *n = l->numbers;
    const size_t length = strlen(l->prefix);
    (void)group, (void)link;
    if (strncmp(name, l->prefix, length) != 0) {
        return 0;
    }
    const size_t digits = strspn(name + length, "0123456789");
    if (digits == 0 || digits > 6 || name[length + digits] != 0) {
        return 0;
    }
    if (n->count == n->capacity) {
        const size_t capacity = 2 * n->capacity + 8;
        int *grown = sq_regrow(n->values, n->capacity, capacity, sizeof *grown);
        if (grown == NULL) {
            l->no_memory = true;
            return -1;
        }
        n->values = grown;
        n->capacity = capacity;
    }
    n->values[n->count++] = (int)strtol(name + length, NULL, 10);
    return 0;
}

static int compare_int(const void *a, const void *b)
{
    const int left = *(const int *)a, right = *(const int *)b;
    return (left > right) - (left < right);
}

squall_status sq_io_hdf5_list(const sq_io_hdf5_image *image, const char *path, const char *prefix,
                              sq_io_hdf5_numbers *numbers, squall_error *err)
{
    *numbers = (sq_io_hdf5_numbers){0};
    if (!sq_io_hdf5_is_group(image, path)) {
        return SQUALL_OK;
    }
    listing l = {prefix, numbers, false};
    if (H5Literate_by_name(image->file, path, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, add_number, &l,
                           H5P_DEFAULT) < 0) {
        char where[SQ_IO_WHERE];
        sq_io_where(where, image->source.name, "/%s", path);
        return l.no_memory ? sq_fail(err, SQUALL_E_MEMORY, where, "no memory to list it")
                           : sq_fail(err, SQUALL_E_CORRUPT, where, "the group cannot be listed");
    }
    if (numbers->count > 0) {
        qsort(numbers->values, numbers->count, sizeof *numbers->values, compare_int);
    }
    return SQUALL_OK;
}
