/* nn/onnx/onnx_tensor.c - tensors in ONNX files: raw bytes, lists of numbers, data in other files.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nn/onnx/onnx_reader.h"

/* Fields of TensorProto. */
enum {
    FIELD_DIMS = 1,
    FIELD_TYPE = 2,
    FIELD_SEGMENT = 3,
    FIELD_FLOATS = 4,
    FIELD_INT32S = 5,
    FIELD_INT64S = 7,
    FIELD_RAW = 9,
    FIELD_DOUBLES = 10,
    FIELD_UINT64S = 11,
    FIELD_LOCATION = 14
};

bool sq_onnx_type_unsupported(int64_t type, char *why)
{
    static const char *const names[] = {
        [8] = "string",          [14] = "complex64",      [15] = "complex128",
        [17] = "float8e4m3fn",   [18] = "float8e4m3fnuz", [19] = "float8e5m2",
        [20] = "float8e5m2fnuz", [21] = "uint4",          [22] = "int4",
        [23] = "float4e2m1",     [24] = "float8e8m0"};
    if (type > 0 && type <= SQUALL_BF16 && squall_dtype_size((squall_dtype)type) > 0) {
        return false;
    }
    const bool known = type >= 0 && type < (int64_t)(sizeof names / sizeof names[0]);
    (void)snprintf(why, SQ_ONNX_WHY, "numbers of type %s (%" PRId64 ") are not taken",
                   known && names[type] ? names[type] : "unknown", type);
    return true;
}

static squall_status malformed(const char *what, squall_error *err)
{
    return sq_fail(err, SQUALL_E_CORRUPT, what, "a field of this tensor is malformed");
}

/* Drop the pages of the file that have been copied, so that weights are in memory once. */
static void drop_pages(const sq_onnx *onnx, sq_wire raw)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = ((uintptr_t)raw.at + page - 1) / page * page;
    const uintptr_t end = (uintptr_t)raw.end / page * page;
    if (onnx->mapped && begin < end) {
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED); /* advice: failing is fine */
    }
}

/* The numbers, in the list that their type uses, into `tensor`, whose data are allocated here once
 * the count is right. */
static squall_status read_lists(sq_wire message, const char *what, squall_tensor *tensor,
                                squall_error *err)
{
    uint32_t number = FIELD_INT32S; /* all types of up to 32 bits but float */
    sq_wire_kind kind = SQ_WIRE_VARINT;
    switch (tensor->dtype) {
    case SQUALL_F32:
        number = FIELD_FLOATS;
        kind = SQ_WIRE_FIXED32;
        break;
    case SQUALL_F64:
        number = FIELD_DOUBLES;
        kind = SQ_WIRE_FIXED64;
        break;
    case SQUALL_I64:
        number = FIELD_INT64S;
        break;
    case SQUALL_U32:
    case SQUALL_U64:
        number = FIELD_UINT64S;
        break;
    default:
        break;
    }
    const size_t wanted = squall_tensor_count(tensor);
    const size_t size = squall_dtype_size(tensor->dtype);
    size_t count;
    if (!sq_wire_numbers(message, number, kind, NULL, 0, &count)) {
        return malformed(what, err);
    }
    if (count != wanted) {
        char text[SQ_TENSOR_TEXT];
        return sq_fail(err, SQUALL_E_CORRUPT, what, "%s needs %zu numbers, the file has %zu",
                       sq_tensor_format(tensor, text), wanted, count);
    }
    const bool direct = kind != SQ_WIRE_VARINT || size == 8;
    void *data = sq_alloc_raw(wanted, size);
    int64_t *wide = direct ? NULL : sq_alloc_raw(wanted, sizeof *wide);
    if (!data || (!direct && !wide)) {
        sq_free(data);
        sq_free(wide);
        return sq_fail(err, SQUALL_E_MEMORY, what, "no memory for %zu numbers", wanted);
    }
    (void)sq_wire_numbers(message, number, kind, direct ? data : wide, wanted, &count);
    for (size_t i = 0; i < wanted && !direct; i++) {
        memcpy((unsigned char *)data + i * size, &wide[i], size); /* the low bytes come first */
    }
    sq_free(wide);
    tensor->data = data;
    return SQUALL_OK;
}

static squall_status read_raw(const sq_onnx *onnx, sq_wire raw, const char *what,
                              squall_tensor *tensor, squall_error *err)
{
    const size_t bytes = squall_tensor_bytes(tensor);
    if (sq_wire_size(raw) != bytes) {
        char text[SQ_TENSOR_TEXT];
        return sq_fail(err, SQUALL_E_CORRUPT, what, "%s needs %zu bytes, the file has %zu",
                       sq_tensor_format(tensor, text), bytes, sq_wire_size(raw));
    }
    tensor->data = sq_alloc_raw(bytes, 1);
    if (!tensor->data) {
        return sq_fail(err, SQUALL_E_MEMORY, what, "no memory for its %zu bytes", bytes);
    }
    if (bytes > 0) {
        memcpy(tensor->data, raw.at, bytes);
    }
    drop_pages(onnx, raw);
    return SQUALL_OK;
}

/* Type and shape. */
static squall_status read_type(sq_wire message, const char *what, squall_tensor *tensor, char *why,
                               squall_error *err)
{
    size_t rank;
    sq_wire_field type = {0};
    if (!sq_wire_numbers(message, FIELD_DIMS, SQ_WIRE_VARINT, tensor->dims, SQUALL_MAX_DIMS,
                         &rank)) {
        return malformed(what, err);
    }
    if (rank > SQUALL_MAX_DIMS) {
        return sq_fail(err, SQUALL_E_LIMIT, what, "%zu dimensions, at most %d", rank,
                       SQUALL_MAX_DIMS);
    }
    tensor->rank = (uint32_t)rank;
    (void)sq_wire_find(message, FIELD_TYPE, SQ_WIRE_VARINT, &type);
    if (sq_onnx_type_unsupported((int64_t)type.value, why)) {
        return SQUALL_OK;
    }
    if (sq_wire_count(message, FIELD_SEGMENT) > 0) {
        (void)snprintf(why, SQ_ONNX_WHY, "a tensor in segments is not taken");
        return SQUALL_OK;
    }
    tensor->dtype = (squall_dtype)type.value;
    const size_t bytes = squall_tensor_bytes(tensor);
    if (bytes > SQ_LIMIT_TENSOR_BYTES) {
        char text[SQ_TENSOR_TEXT];
        return sq_fail(err, SQUALL_E_LIMIT, what,
                       "%s has a negative size or more than the %zu bytes of a tensor",
                       sq_tensor_format(tensor, text), SQ_LIMIT_TENSOR_BYTES);
    }
    return SQUALL_OK;
}

squall_status sq_onnx_tensor(sq_onnx *onnx, sq_wire message, const char *what, squall_tensor *out,
                             char *why, squall_error *err)
{
    squall_status status = SQUALL_OK;
    squall_tensor tensor = {0};
    why[0] = '\0';
    *out = (squall_tensor){0};
    SQ_TRY(read_type(message, what, &tensor, why, err));
    if (why[0] != '\0') {
        return SQUALL_OK;
    }
    sq_wire_field location = {0}, raw;
    (void)sq_wire_find(message, FIELD_LOCATION, SQ_WIRE_VARINT, &location);
    if (location.value == 1) {
        const size_t bytes = squall_tensor_bytes(&tensor);
        SQ_TRY_GOTO(sq_onnx_external(onnx, message, what, &tensor.data, bytes, err));
    } else if (location.value != 0) {
        status = malformed(what, err);
        goto done;
    } else if (sq_wire_find(message, FIELD_RAW, SQ_WIRE_BYTES, &raw)) {
        SQ_TRY_GOTO(read_raw(onnx, raw.bytes, what, &tensor, err));
    } else {
        SQ_TRY_GOTO(read_lists(message, what, &tensor, err));
    }
    if (tensor.dtype == SQUALL_BOOL) { /* what C reads as a bool must be 0 or 1 */
        const size_t count = squall_tensor_count(&tensor);
        unsigned char *flags = tensor.data;
        for (size_t i = 0; i < count; i++) {
            flags[i] = flags[i] != 0;
        }
    }
    *out = tensor;
    tensor.data = NULL;
done:
    sq_tensor_free(&tensor);
    return status;
}
