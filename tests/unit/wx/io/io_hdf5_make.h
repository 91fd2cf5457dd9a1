/* tests/unit/wx/io/io_hdf5_make.h - HDF5 files made and changed by the HDF5 library, for tests. */
#ifndef TESTS_IO_HDF5_MAKE_H
#define TESTS_IO_HDF5_MAKE_H

#include <hdf5.h>

#include "wx/io/io_check.h"

typedef enum edit_kind { TEXT = 1, LONG_TEXT, NUMBER, WHOLE, PAIR, GONE } edit_kind;

/* An attribute that is not as usual. */
typedef struct edit {
    edit_kind kind;
    const char *group, *name, *text;
    double number;
} edit;

static inline hid_t ok(hid_t id)
{
    if (id < 0) {
        fail_msg("HDF5 failed in making the file");
    }
    return id;
}

static inline hid_t group_open(hid_t file, const char *path)
{
    if (strcmp(path, "/") != 0 && H5Lexists(file, path, H5P_DEFAULT) <= 0) {
        const hid_t plist = ok(H5Pcreate(H5P_LINK_CREATE));
        ok(H5Pset_create_intermediate_group(plist, 1));
        const hid_t made = ok(H5Gcreate2(file, path, plist, H5P_DEFAULT, H5P_DEFAULT));
        H5Pclose(plist);
        return made;
    }
    return ok(H5Gopen2(file, path, H5P_DEFAULT));
}

static inline void put(hid_t file, const edit *e)
{
    const hid_t group = group_open(file, e->group);
    if (H5Aexists(group, e->name) > 0) {
        ok(H5Adelete(group, e->name));
    }
    if (e->kind != GONE) {
        const hsize_t two = 2;
        const bool is_text = e->kind == TEXT || e->kind == LONG_TEXT;
        const hid_t space =
            ok(e->kind == PAIR ? H5Screate_simple(1, &two, NULL) : H5Screate(H5S_SCALAR));
        hid_t type;
        if (is_text) {
            type = ok(H5Tcopy(H5T_C_S1));
            ok(H5Tset_size(type, e->kind == TEXT ? strlen(e->text) + 1 : H5T_VARIABLE));
        } else {
            type = ok(H5Tcopy(e->kind == WHOLE ? H5T_STD_I64BE : H5T_IEEE_F64LE));
        }
        const hid_t attribute =
            ok(H5Acreate2(group, e->name, type, space, H5P_DEFAULT, H5P_DEFAULT));
        const double pair[2] = {e->number, e->number};
        ok(H5Awrite(attribute, is_text ? type : H5T_NATIVE_DOUBLE,
                    e->kind == TEXT        ? (const void *)e->text
                    : e->kind == LONG_TEXT ? (const void *)&e->text
                                           : (const void *)pair));
        H5Aclose(attribute);
        H5Tclose(type);
        H5Sclose(space);
    }
    H5Gclose(group);
}

static inline void put_all(hid_t file, const edit *edits, size_t count)
{
    for (size_t i = 0; i < count && edits[i].kind != 0; i++) {
        put(file, &edits[i]);
    }
}

/* The bytes of a file, which is removed; release them with sq_free(). */
static inline unsigned char *take_file(const char *path, size_t *size)
{
    unsigned char *bytes;
    assert_int_equal(sq_file_read(path, (size_t)4 << 20, &bytes, size, NULL), SQUALL_OK);
    remove(path);
    return bytes;
}

#endif /* TESTS_IO_HDF5_MAKE_H */
