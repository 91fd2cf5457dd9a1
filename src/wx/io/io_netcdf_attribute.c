/* wx/io/io_netcdf_attribute.c - attributes and variables of netCDF files. */
#include <string.h>

#include "wx/io/io_netcdf.h"

bool sq_io_netcdf_text(const sq_io_netcdf_file *file, int variable, const char *name, char *text,
                       size_t size)
{
    char read[2048];
    nc_type type;
    size_t length;
    text[0] = 0;
    if (nc_inq_att(file->id, variable, name, &type, &length) != NC_NOERR) {
        return false;
    }
    if (type == NC_CHAR && length < sizeof read) {
        return nc_get_att_text(file->id, variable, name, read) == NC_NOERR &&
               sq_io_clean_text(read, length, text, size);
    }
    char *string = NULL;
    if (type != NC_STRING || length != 1 ||
        nc_get_att_string(file->id, variable, name, &string) != NC_NOERR || string == NULL) {
        return false;
    }
    const bool whole = sq_io_clean_text(string, strlen(string), text, size);
    nc_free_string(1, &string);
    return whole;
}

bool sq_io_netcdf_is_number(nc_type type)
{
    return type == NC_BYTE || type == NC_SHORT || type == NC_INT || type == NC_FLOAT ||
           type == NC_DOUBLE || type == NC_UBYTE || type == NC_USHORT || type == NC_UINT ||
           type == NC_INT64 || type == NC_UINT64;
}

size_t sq_io_netcdf_numbers(const sq_io_netcdf_file *file, int variable, const char *name,
                            double *out, size_t max, nc_type *type)
{
    nc_type own;
    size_t count;
    if (nc_inq_att(file->id, variable, name, &own, &count) != NC_NOERR || count > max ||
        !sq_io_netcdf_is_number(own) ||
        nc_get_att_double(file->id, variable, name, out) != NC_NOERR) {
        return 0;
    }
    if (type != NULL) {
        *type = own;
    }
    return count;
}

bool sq_io_netcdf_describe(const sq_io_netcdf_file *file, int id, sq_io_netcdf_variable *out)
{
    memset(out, 0, sizeof *out);
    out->id = id;
    if (nc_inq_varname(file->id, id, out->name) != NC_NOERR ||
        nc_inq_vartype(file->id, id, &out->type) != NC_NOERR ||
        nc_inq_varndims(file->id, id, &out->rank) != NC_NOERR || out->rank < 0) {
        return false;
    }
    if (out->rank > 4) {
        return true;
    }
    if (nc_inq_vardimid(file->id, id, out->dims) != NC_NOERR) {
        return false;
    }
    for (int i = 0; i < out->rank; i++) {
        if (nc_inq_dimlen(file->id, out->dims[i], &out->sizes[i]) != NC_NOERR) {
            return false;
        }
    }
    return true;
}

bool sq_io_netcdf_find(const sq_io_netcdf_file *file, const char *name, sq_io_netcdf_variable *out)
{
    int id;
    return name[0] != 0 && nc_inq_varid(file->id, name, &id) == NC_NOERR &&
           sq_io_netcdf_describe(file, id, out);
}

int sq_io_netcdf_variables(const sq_io_netcdf_file *file)
{
    int count = 0;
    return nc_inq_nvars(file->id, &count) == NC_NOERR && count > 0 ? count : 0;
}

bool sq_io_netcdf_coordinate(const sq_io_netcdf_file *file, int dim, sq_io_netcdf_variable *out)
{
    char name[NC_MAX_NAME + 1];
    return nc_inq_dimname(file->id, dim, name) == NC_NOERR && sq_io_netcdf_find(file, name, out) &&
           out->rank == 1 && out->dims[0] == dim && sq_io_netcdf_is_number(out->type);
}

squall_status sq_io_netcdf_fail(const sq_io_netcdf_file *file, const char *variable, int code,
                                squall_error *err)
{
    char where[SQ_IO_WHERE];
    sq_io_where(where, file->source.name, "/%s", variable);
    switch (code) {
    case NC_ENOMEM:
        return sq_fail(err, SQUALL_E_MEMORY, where, "no memory in the netCDF library");
    case NC_ENOFILTER:
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "packed by a filter that the netCDF library here lacks; repack it: nccopy "
                       "-d 4");
    default:
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "the netCDF library says '%s'; fetch the file again", nc_strerror(code));
    }
}

squall_status sq_io_netcdf_read(const sq_io_netcdf_file *file,
                                const sq_io_netcdf_variable *variable, double *out, size_t count,
                                squall_error *err)
{
    size_t held = 1;
    for (int i = 0; i < variable->rank && i < 4; i++) {
        if (!sq_mul_size(held, variable->sizes[i], &held)) {
            held = 0;
        }
    }
    if (held != count || variable->rank > 4 || !sq_io_netcdf_is_number(variable->type)) {
        return sq_io_netcdf_fail(file, variable->name, NC_EVARSIZE, err);
    }
    const int code = nc_get_var_double(file->id, variable->id, out);
    return code == NC_NOERR ? SQUALL_OK : sq_io_netcdf_fail(file, variable->name, code, err);
}
