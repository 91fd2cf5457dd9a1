/* wx/io/io_hdf5_attribute.c - attributes of HDF5 files, whatever shape their writers gave them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/io/io_hdf5.h"

/* An attribute with its type and the number of its elements. */
typedef struct attribute {
    hid_t id, type;
    char where[SQ_IO_WHERE];
} attribute;

static void attribute_close(attribute *a)
{
    if (a->type >= 0) {
        H5Tclose(a->type);
    }
    if (a->id >= 0) {
        H5Aclose(a->id);
    }
}

/* Open a one-element attribute; `*found` is false, and nothing open, where there is none. */
static squall_status attribute_open(const sq_io_hdf5_image *image, const char *path,
                                    const char *name, attribute *a, bool *found, squall_error *err)
{
    *a = (attribute){.id = -1, .type = -1};
    *found = false;
    sq_io_where(a->where, image->source.name, "/%s/%s", path[0] == '/' ? path + 1 : path, name);
    if (!sq_io_hdf5_exists(image, path)) {
        return SQUALL_OK;
    }
    const htri_t exists = H5Aexists_by_name(image->file, path, name, H5P_DEFAULT);
    if (exists == 0) {
        return SQUALL_OK;
    }
    a->id = exists > 0 ? H5Aopen_by_name(image->file, path, name, H5P_DEFAULT, H5P_DEFAULT) : -1;
    a->type = a->id >= 0 ? H5Aget_type(a->id) : -1;
    const hid_t space = a->type >= 0 ? H5Aget_space(a->id) : -1;
    const hssize_t elements = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    if (space >= 0) {
        H5Sclose(space);
    }
    if (elements != 1) {
        attribute_close(a);
        return sq_fail(err, SQUALL_E_CORRUPT, a->where,
                       elements < 0 ? "the attribute cannot be read; fetch the file again"
                                    : "the attribute is a list; it must be a single value");
    }
    *found = true;
    return SQUALL_OK;
}

/* The text of a variable-length string attribute; false if it cannot be read or is too long. */
static bool text_variable(const attribute *a, char *text, size_t size)
{
    char *read = NULL;
    const hid_t type = H5Tcopy(H5T_C_S1);
    const bool ok = type >= 0 && H5Tset_size(type, H5T_VARIABLE) >= 0 &&
                    H5Tset_cset(type, H5Tget_cset(a->type)) >= 0 &&
                    H5Aread(a->id, type, &read) >= 0;
    const bool fits = ok && sq_io_clean_text(read != NULL ? read : "",
                                             read != NULL ? strlen(read) : 0, text, size);
    if (read != NULL) {
        H5free_memory(read);
    }
    if (type >= 0) {
        H5Tclose(type);
    }
    return fits;
}

/* The same for one of a fixed length. */
static bool text_fixed(const attribute *a, char *text, size_t size)
{
    char read[4096];
    const size_t length = H5Tget_size(a->type);
    return length > 0 && length <= sizeof read && H5Aread(a->id, a->type, read) >= 0 &&
           sq_io_clean_text(read, length, text, size);
}

squall_status sq_io_hdf5_text(const sq_io_hdf5_image *image, const char *path, const char *name,
                              char *text, size_t size, bool *found, squall_error *err)
{
    attribute a;
    text[0] = 0;
    SQ_TRY(attribute_open(image, path, name, &a, found, err));
    if (!*found) {
        return SQUALL_OK;
    }
    const bool is_text = H5Tget_class(a.type) == H5T_STRING;
    const bool ok = is_text && (H5Tis_variable_str(a.type) > 0 ? text_variable(&a, text, size)
                                                               : text_fixed(&a, text, size));
    attribute_close(&a);
    if (!ok) {
        text[0] = 0;
        return sq_fail(err, SQUALL_E_CORRUPT, a.where,
                       is_text ? "the text cannot be read, or has more than %zu characters"
                               : "not a text; one of at most %zu characters is expected",
                       size - 1);
    }
    return SQUALL_OK;
}

bool sq_io_hdf5_is_number(hid_t type)
{
    const size_t size = H5Tget_size(type);
    const H5T_class_t class = H5Tget_class(type);
    if (class == H5T_INTEGER) {
        return (size == 1 || size == 2 || size == 4 || size == 8) &&
               H5Tget_precision(type) == 8 * size && H5Tget_offset(type) == 0;
    }
    return class == H5T_FLOAT &&
           (H5Tequal(type, H5T_IEEE_F32LE) > 0 || H5Tequal(type, H5T_IEEE_F32BE) > 0 ||
            H5Tequal(type, H5T_IEEE_F64LE) > 0 || H5Tequal(type, H5T_IEEE_F64BE) > 0);
}

squall_status sq_io_hdf5_number(const sq_io_hdf5_image *image, const char *path, const char *name,
                                double *value, bool *found, squall_error *err)
{
    attribute a;
    double read = NAN;
    SQ_TRY(attribute_open(image, path, name, &a, found, err));
    if (!*found) {
        return SQUALL_OK;
    }
    const bool ok = sq_io_hdf5_is_number(a.type) && H5Aread(a.id, H5T_NATIVE_DOUBLE, &read) >= 0;
    attribute_close(&a);
    if (!ok) {
        return sq_fail(err, SQUALL_E_CORRUPT, a.where, "not a number; one is expected");
    }
    *value = read;
    return SQUALL_OK;
}
