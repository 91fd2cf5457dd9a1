/* svc/infer/infer_read.c - requests: JSON with the bytes of tensors behind it. Input is hostile. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "svc/infer/infer.h"

#define MOST_BYTES ((size_t)1 << 30) /* of one tensor */
enum { DEPTH = SQUALL_MAX_DIMS + 1 };

static const struct {
    const char *name;
    squall_dtype dtype;
} types[] = {{"BOOL", SQUALL_BOOL},  {"UINT8", SQUALL_U8},   {"UINT16", SQUALL_U16},
             {"UINT32", SQUALL_U32}, {"UINT64", SQUALL_U64}, {"INT8", SQUALL_I8},
             {"INT16", SQUALL_I16},  {"INT32", SQUALL_I32},  {"INT64", SQUALL_I64},
             {"FP16", SQUALL_F16},   {"FP32", SQUALL_F32},   {"FP64", SQUALL_F64},
             {"BF16", SQUALL_BF16}};
enum { TYPES = sizeof types / sizeof types[0] };

const char *sq_infer_type_name(squall_dtype dtype)
{
    for (size_t i = 0; i < TYPES; i++) {
        if (types[i].dtype == dtype) {
            return types[i].name;
        }
    }
    return NULL;
}

squall_dtype sq_infer_type_find(const char *name)
{
    for (size_t i = 0; i < TYPES; i++) {
        if (strcmp(types[i].name, name) == 0) {
            return types[i].dtype;
        }
    }
    return SQUALL_DTYPE_NONE;
}

/* ---------------------------------------------------------------- numbers in JSON */

/* Where the next number goes. */
typedef struct filler {
    const char *where;
    squall_tensor *tensor;
    size_t count, filled;
} filler;

static squall_status put_integer(const filler *f, json_int_t value, squall_error *err)
{
    static const struct {
        squall_dtype dtype;
        json_int_t low, high;
    } ranges[] = {{SQUALL_BOOL, 0, 1},
                  {SQUALL_U8, 0, UINT8_MAX},
                  {SQUALL_U16, 0, UINT16_MAX},
                  {SQUALL_U32, 0, UINT32_MAX},
                  {SQUALL_U64, 0, LLONG_MAX},
                  {SQUALL_I8, INT8_MIN, INT8_MAX},
                  {SQUALL_I16, INT16_MIN, INT16_MAX},
                  {SQUALL_I32, INT32_MIN, INT32_MAX},
                  {SQUALL_I64, LLONG_MIN, LLONG_MAX}};
    const size_t size = squall_dtype_size(f->tensor->dtype);
    unsigned char *at = (unsigned char *)f->tensor->data + f->filled * size;
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (ranges[i].dtype == f->tensor->dtype && value >= ranges[i].low &&
            value <= ranges[i].high) {
            memcpy(at, &value, size); /* little-endian, as all hosts that we build for */
            return SQUALL_OK;
        }
    }
    return sq_fail(err, SQUALL_E_FORMAT, f->where, "data[%zu]: %lld is no %s", f->filled,
                   (long long)value, sq_infer_type_name(f->tensor->dtype));
}

static squall_status put_number(const filler *f, const json_t *value, squall_error *err)
{
    const squall_dtype dtype = f->tensor->dtype;
    if (json_is_boolean(value) && dtype == SQUALL_BOOL) {
        return put_integer(f, json_is_true(value) ? 1 : 0, err);
    }
    if (json_is_number(value) && dtype == SQUALL_F32) {
        ((float *)f->tensor->data)[f->filled] = (float)json_number_value(value);
        return SQUALL_OK;
    }
    if (json_is_number(value) && dtype == SQUALL_F64) {
        ((double *)f->tensor->data)[f->filled] = json_number_value(value);
        return SQUALL_OK;
    }
    if (json_is_integer(value)) {
        return put_integer(f, json_integer_value(value), err);
    }
    return sq_fail(err, SQUALL_E_FORMAT, f->where, "data[%zu] is no %s", f->filled,
                   sq_infer_type_name(dtype));
}

/* The numbers of an array, flat or nested. */
static squall_status fill(filler *f, const json_t *array, int depth, squall_error *err)
{
    const json_t *value;
    size_t i;
    if (depth > DEPTH) {
        return sq_fail(err, SQUALL_E_FORMAT, f->where, "data are nested more than %d deep", DEPTH);
    }
    json_array_foreach(array, i, value)
    {
        if (json_is_array(value)) {
            SQ_TRY(fill(f, value, depth + 1, err));
        } else if (f->filled == f->count) {
            return sq_fail(err, SQUALL_E_SHAPE, f->where,
                           "data has more than the %zu values of "
                           "its shape",
                           f->count);
        } else {
            SQ_TRY(put_number(f, value, err));
            f->filled++;
        }
    }
    return SQUALL_OK;
}

/* ---------------------------------------------------------------- inputs */

static squall_status read_name(const json_t *object, const char *what, size_t index, char *name,
                               squall_error *err)
{
    const char *text = json_string_value(json_object_get(object, "name"));
    if (text == NULL || text[0] == '\0' || strlen(text) >= SQ_INFER_NAME) {
        return sq_fail(err, SQUALL_E_FORMAT, "request", "%s[%zu] must have a name of 1 to %d bytes",
                       what, index, SQ_INFER_NAME - 1);
    }
    snprintf(name, SQ_INFER_NAME, "%s", text);
    return SQUALL_OK;
}

static squall_status read_shape(const json_t *object, const char *where, squall_tensor *out,
                                squall_error *err)
{
    const json_t *shape = json_object_get(object, "shape"), *value;
    size_t i;
    if (!json_is_array(shape) || json_array_size(shape) > SQUALL_MAX_DIMS) {
        return sq_fail(err, SQUALL_E_FORMAT, where, "shape must be an array of at most %d sizes",
                       SQUALL_MAX_DIMS);
    }
    out->rank = (uint32_t)json_array_size(shape);
    json_array_foreach(shape, i, value)
    {
        out->dims[i] = json_integer_value(value);
        if (!json_is_integer(value) || out->dims[i] < 0) {
            return sq_fail(err, SQUALL_E_FORMAT, where,
                           "shape[%zu] must be a whole number from 0 on", i);
        }
    }
    if (squall_tensor_bytes(out) > MOST_BYTES) {
        return sq_fail(err, SQUALL_E_LIMIT, where, "a tensor of at most %zu bytes is taken",
                       MOST_BYTES);
    }
    return SQUALL_OK;
}

/* What follows the JSON. */
typedef struct tail {
    const unsigned char *bytes;
    size_t size, used;
} tail;

static squall_status take_binary(const json_t *size_of, const char *where, tail *rest,
                                 sq_infer_input *out, squall_error *err)
{
    const size_t bytes = squall_tensor_bytes(&out->tensor);
    const size_t element = squall_dtype_size(out->tensor.dtype);
    if (!json_is_integer(size_of) || json_integer_value(size_of) < 0 ||
        (size_t)json_integer_value(size_of) != bytes) {
        return sq_fail(err, SQUALL_E_SHAPE, where,
                       "binary_data_size must be the %zu bytes of its shape and datatype", bytes);
    }
    if (bytes > rest->size - rest->used) {
        return sq_fail(err, SQUALL_E_FORMAT, where,
                       "the body ends %zu bytes before the tensor does",
                       bytes - (rest->size - rest->used));
    }
    const unsigned char *at = rest->bytes + rest->used;
    rest->used += bytes;
    if ((uintptr_t)at % element == 0) {
        out->tensor.data = (void *)(uintptr_t)at;
        return SQUALL_OK;
    }
    out->store = sq_alloc_raw(bytes > 0 ? bytes : 1, 1);
    if (out->store == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, where, "no memory for %zu bytes", bytes);
    }
    memcpy(out->store, at, bytes);
    out->tensor.data = out->store;
    return SQUALL_OK;
}

static squall_status take_json(const json_t *data, const char *where, sq_infer_input *out,
                               squall_error *err)
{
    filler f = {where, &out->tensor, squall_tensor_count(&out->tensor), 0};
    if (!json_is_array(data)) {
        return sq_fail(err, SQUALL_E_FORMAT, where,
                       "must have data, or binary_data_size among its parameters");
    }
    if (out->tensor.dtype == SQUALL_F16 || out->tensor.dtype == SQUALL_BF16) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "%s has no form in JSON: send it as binary",
                       sq_infer_type_name(out->tensor.dtype));
    }
    /* No more is asked for than stands there. */
    if (f.count > SQ_INFER_JSON_BYTES) {
        return sq_fail(err, SQUALL_E_SHAPE, where,
                       "data has fewer than the %zu values of its shape", f.count);
    }
    out->store = sq_alloc(f.count > 0 ? f.count : 1, squall_dtype_size(out->tensor.dtype));
    if (out->store == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, where, "no memory for %zu values", f.count);
    }
    out->tensor.data = out->store;
    SQ_TRY(fill(&f, data, 1, err));
    if (f.filled != f.count) {
        return sq_fail(err, SQUALL_E_SHAPE, where, "data has %zu of the %zu values of its shape",
                       f.filled, f.count);
    }
    return SQUALL_OK;
}

static squall_status read_input(const json_t *object, size_t index, tail *rest,
                                sq_infer_request *out, squall_error *err)
{
    char where[SQ_INFER_NAME + 16];
    sq_infer_input *input = &out->inputs[index];
    out->input_count = index + 1; /* what it holds is freed, whatever happens */
    SQ_TRY(read_name(object, "inputs", index, input->name, err));
    snprintf(where, sizeof where, "input '%s'", input->name);
    for (size_t i = 0; i < index; i++) {
        if (strcmp(out->inputs[i].name, input->name) == 0) {
            return sq_fail(err, SQUALL_E_FORMAT, where, "is given twice");
        }
    }
    const char *type = json_string_value(json_object_get(object, "datatype"));
    input->tensor.dtype = type != NULL ? sq_infer_type_find(type) : SQUALL_DTYPE_NONE;
    if (input->tensor.dtype == SQUALL_DTYPE_NONE) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "datatype must be one of BOOL, UINT8..64, INT8..64, FP16, BF16, FP32, FP64");
    }
    SQ_TRY(read_shape(object, where, &input->tensor, err));
    const json_t *size_of =
        json_object_get(json_object_get(object, "parameters"), "binary_data_size");
    const json_t *data = json_object_get(object, "data");
    if (size_of != NULL && data != NULL) {
        return sq_fail(err, SQUALL_E_FORMAT, where, "has both data and binary_data_size");
    }
    return size_of != NULL ? take_binary(size_of, where, rest, input, err)
                           : take_json(data, where, input, err);
}

/* ---------------------------------------------------------------- the whole */

static squall_status read_wishes(const json_t *root, sq_infer_request *out, squall_error *err)
{
    const json_t *outputs = json_object_get(root, "outputs"), *object;
    size_t i;
    out->binary =
        json_is_true(json_object_get(json_object_get(root, "parameters"), "binary_data_output"));
    if (outputs == NULL) {
        return SQUALL_OK;
    }
    if (!json_is_array(outputs) || json_array_size(outputs) > SQ_INFER_TENSORS) {
        return sq_fail(err, SQUALL_E_FORMAT, "request", "outputs must be an array of at most %d",
                       SQ_INFER_TENSORS);
    }
    json_array_foreach(outputs, i, object)
    {
        sq_infer_wish *wish = &out->wishes[i];
        SQ_TRY(read_name(object, "outputs", i, wish->name, err));
        const json_t *parameters = json_object_get(object, "parameters");
        const json_t *binary = json_object_get(parameters, "binary_data");
        if (json_object_get(parameters, "classification") != NULL) {
            return sq_fail(err, SQUALL_E_UNSUPPORTED, wish->name, "classification is not offered");
        }
        wish->binary = binary != NULL ? json_is_true(binary) : out->binary;
        out->wish_count = i + 1;
    }
    return SQUALL_OK;
}

static squall_status read_root(const json_t *root, tail *rest, sq_infer_request *out,
                               squall_error *err)
{
    const json_t *inputs = json_object_get(root, "inputs"), *object;
    const json_t *id = json_object_get(root, "id");
    size_t i;
    if (!json_is_object(root) || !json_is_array(inputs) || json_array_size(inputs) == 0 ||
        json_array_size(inputs) > SQ_INFER_TENSORS) {
        return sq_fail(err, SQUALL_E_FORMAT, "request",
                       "must be an object with inputs, an array of 1 to %d", SQ_INFER_TENSORS);
    }
    if (id != NULL && (!json_is_string(id) || json_string_length(id) >= sizeof out->id)) {
        return sq_fail(err, SQUALL_E_FORMAT, "request", "id must be a text of less than %zu bytes",
                       sizeof out->id);
    }
    snprintf(out->id, sizeof out->id, "%s", id != NULL ? json_string_value(id) : "");
    json_array_foreach(inputs, i, object)
    {
        SQ_TRY(read_input(object, i, rest, out, err));
    }
    if (rest->used != rest->size) {
        return sq_fail(err, SQUALL_E_FORMAT, "request", "%zu bytes follow the last tensor",
                       rest->size - rest->used);
    }
    return read_wishes(root, out, err);
}

/* How long the JSON is. */
static squall_status read_length(const char *text, size_t size, size_t *out, squall_error *err)
{
    char *end = NULL;
    *out = size;
    if (text != NULL) {
        errno = 0;
        const unsigned long long value =
            text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : ULLONG_MAX;
        if (errno != 0 || end == NULL || *end != '\0' || value > size) {
            return sq_fail(err, SQUALL_E_FORMAT, "Inference-Header-Content-Length",
                           "must be the length of the JSON, at most the %zu bytes of the body",
                           size);
        }
        *out = (size_t)value;
    }
    if (*out > SQ_INFER_JSON_BYTES) {
        return sq_fail(err, SQUALL_E_LIMIT, "request",
                       "JSON of at most %zu bytes is taken; send tensors as binary",
                       SQ_INFER_JSON_BYTES);
    }
    return SQUALL_OK;
}

squall_status sq_infer_read(const unsigned char *body, size_t size, const char *header_length,
                            sq_infer_request *out, squall_error *err)
{
    json_error_t problem;
    size_t length;
    memset(out, 0, sizeof *out);
    SQ_TRY(read_length(header_length, size, &length, err));
    json_t *root = length > 0
                       ? json_loadb((const char *)body, length, JSON_REJECT_DUPLICATES, &problem)
                       : NULL;
    if (root == NULL) {
        return sq_fail(err, SQUALL_E_FORMAT, "request", "is no JSON: %s",
                       length > 0 ? problem.text : "it is empty");
    }
    tail rest = {body + length, size - length, 0};
    const squall_status status = read_root(root, &rest, out, err);
    json_decref(root);
    if (status != SQUALL_OK) {
        sq_infer_request_free(out);
    }
    return status;
}

void sq_infer_request_free(sq_infer_request *request)
{
    for (size_t i = 0; i < request->input_count; i++) {
        sq_free(request->inputs[i].store);
    }
    memset(request, 0, sizeof *request);
}
