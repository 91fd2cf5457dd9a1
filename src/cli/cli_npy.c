/* cli/cli_npy.c - tensors as NumPy's .npy files: a magic, a Python dictionary in text, the numbers.
 */
#include "cli/cli_npy.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

static const struct {
    squall_dtype dtype;
    const char *code;
} codes[] = {
    {SQUALL_F32, "<f4"}, {SQUALL_F64, "<f8"}, {SQUALL_F16, "<f2"}, {SQUALL_I64, "<i8"},
    {SQUALL_I32, "<i4"}, {SQUALL_U8, "|u1"},  {SQUALL_I8, "|i1"},  {SQUALL_BOOL, "|b1"},
};
enum { CODES = sizeof codes / sizeof codes[0] };

squall_status cli_npy_write(const char *path, const squall_tensor *tensor, squall_error *err)
{
    const char *code = NULL;
    sq_text header = {0}, file = {0};
    for (size_t i = 0; i < CODES; i++) {
        code = codes[i].dtype == tensor->dtype ? codes[i].code : code;
    }
    const size_t bytes = squall_tensor_bytes(tensor);
    if (code == NULL || tensor->layout != SQUALL_PLAIN || bytes == SIZE_MAX) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, path, "%s has no place in a .npy file",
                       squall_dtype_name(tensor->dtype));
    }
    sq_text_add(&header, "{'descr': '%s', 'fortran_order': False, 'shape': (", code);
    for (uint32_t i = 0; i < tensor->rank; i++) {
        sq_text_add(&header, "%lld,%s", (long long)tensor->dims[i],
                    i + 1 < tensor->rank ? " " : "");
    }
    sq_text_add(&header, "), }");
    while ((10 + header.length + 1) % 64 != 0 && !header.failed) {
        sq_text_add(&header, " ");
    }
    sq_text_add(&header, "\n");
    const unsigned char start[10] = {0x93,
                                     'N',
                                     'U',
                                     'M',
                                     'P',
                                     'Y',
                                     1,
                                     0,
                                     (unsigned char)(header.length & 255),
                                     (unsigned char)(header.length >> 8)};
    sq_text_add_bytes(&file, start, sizeof start);
    sq_text_add_bytes(&file, header.data, header.length);
    sq_text_add_bytes(&file, tensor->data, bytes);
    squall_status status;
    if (header.failed || file.failed) {
        status = sq_fail(err, SQUALL_E_MEMORY, path, "no memory for its %zu bytes", bytes);
    } else {
        status = sq_file_write(path, file.data, file.length, err);
    }
    sq_text_free(&header);
    sq_text_free(&file);
    return status;
}

/* The text behind "'key':" in the header, blanks passed over; NULL when it is absent. */
static const char *header_value(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    if (at == NULL) {
        return NULL;
    }
    at += strlen(key);
    return at + strspn(at, " :");
}

static squall_status parse_header(const char *path, const char *header, squall_tensor *out,
                                  squall_error *err)
{
    const char *descr = header_value(header, "'descr'");
    const char *order = header_value(header, "'fortran_order'");
    const char *shape = header_value(header, "'shape'");
    memset(out, 0, sizeof *out);
    if (descr == NULL || order == NULL || shape == NULL || *shape != '(') {
        return sq_fail(err, SQUALL_E_FORMAT, path, "has no .npy header that can be read");
    }
    for (size_t i = 0; i < CODES; i++) {
        if (strncmp(descr + 1, codes[i].code, 3) == 0) {
            out->dtype = codes[i].dtype;
        }
    }
    if (out->dtype == SQUALL_DTYPE_NONE || strncmp(order, "False", 5) != 0) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, path,
                       "must hold little-endian numbers in C order, not %.20s", descr);
    }
    for (const char *p = shape + 1;;) {
        char *end;
        p += strspn(p, " ,");
        const long long size = strtoll(p, &end, 10);
        if (end == p) {
            return SQUALL_OK;
        }
        if (out->rank == SQUALL_MAX_DIMS || size < 0) {
            return sq_fail(err, SQUALL_E_LIMIT, path, "has more than %d dimensions",
                           SQUALL_MAX_DIMS);
        }
        out->dims[out->rank++] = size;
        p = end;
    }
}

squall_status cli_npy_read(const char *path, squall_tensor *out, squall_error *err)
{
    squall_status status;
    unsigned char *bytes = NULL;
    size_t size;
    char *header = NULL;
    SQ_TRY(sq_file_read(path, SQ_LIMIT_FILE_BYTES, &bytes, &size, err));
    if (size < 10 || memcmp(bytes, "\x93NUMPY\x01", 7) != 0) {
        status = sq_fail(err, SQUALL_E_FORMAT, path, "is no .npy file of format 1");
        goto done;
    }
    const size_t length = bytes[8] + 256u * bytes[9];
    header = size >= 10 + length ? sq_alloc(length + 1, 1) : NULL;
    if (header == NULL) {
        status = sq_fail(err, SQUALL_E_TRUNCATED, path, "ends within its header");
        goto done;
    }
    memcpy(header, bytes + 10, length);
    SQ_TRY_GOTO(parse_header(path, header, out, err));
    const size_t wanted = squall_tensor_bytes(out);
    if (wanted != size - 10 - length) {
        status =
            sq_fail(err, SQUALL_E_TRUNCATED, path, "holds %zu bytes of numbers; its shape asks %zu",
                    size - 10 - length, wanted);
        goto done;
    }
    out->data = sq_alloc_raw(wanted, 1);
    if (out->data == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, path, "no memory for %zu bytes", wanted);
        goto done;
    }
    memcpy(out->data, bytes + 10 + length, wanted);
done:
    sq_free(header);
    sq_free(bytes);
    return status;
}
