/* nn/onnx/onnx_read.c - ONNX models: the outermost message, and who may read what. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nn/onnx/onnx_reader.h"

/* Fields of ModelProto and OperatorSetIdProto. */
enum {
    MODEL_IR_VERSION = 1,
    MODEL_GRAPH = 7,
    MODEL_OPSET = 8,
    OPSET_DOMAIN = 1,
    OPSET_VERSION = 2
};

void sq_onnx_report(sq_onnx *onnx, const char *where, const char *why)
{
    sq_note(onnx->notes, where, "%s", why);
    if (onnx->unsupported++ == 0) {
        (void)snprintf(onnx->first, sizeof onnx->first, "%.110s: %.78s", where, why);
    }
}

squall_status sq_onnx_name(const sq_onnx *onnx, sq_wire bytes, char **out, squall_error *err)
{
    const size_t size = sq_wire_size(bytes);
    if (size >= SQ_LIMIT_NAME) {
        return sq_fail(err, SQUALL_E_LIMIT, onnx->path, "a name of %zu bytes, at most %d", size,
                       SQ_LIMIT_NAME - 1);
    }
    for (size_t i = 0; i < size; i++) {
        if (bytes.at[i] < 0x20 || bytes.at[i] == 0x7f) {
            return sq_fail(err, SQUALL_E_CORRUPT, onnx->path,
                           "a name holds the control character %d", bytes.at[i]);
        }
    }
    char *name = sq_alloc_raw(size + 1, 1);
    if (!name) {
        return sq_fail(err, SQUALL_E_MEMORY, onnx->path, "no memory for its names");
    }
    if (size > 0) {
        memcpy(name, bytes.at, size);
    }
    name[size] = '\0';
    *out = name;
    return SQUALL_OK;
}

squall_status sq_onnx_word(const sq_onnx *onnx, sq_wire message, uint32_t number, char **out,
                           squall_error *err)
{
    sq_wire_field field = {0};
    (void)sq_wire_find(message, number, SQ_WIRE_BYTES, &field);
    return sq_onnx_name(onnx, field.bytes, out, err);
}

/* The opset of the default domain, out of one entry of the list; others are of no interest until a
 * node uses them. */
static squall_status read_opset(sq_onnx *onnx, sq_wire message, squall_error *err)
{
    sq_wire_field domain = {0}, version = {0};
    (void)sq_wire_find(message, OPSET_DOMAIN, SQ_WIRE_BYTES, &domain);
    (void)sq_wire_find(message, OPSET_VERSION, SQ_WIRE_VARINT, &version);
    const size_t size = sq_wire_size(domain.bytes);
    if (size > 0 && (size != strlen("ai.onnx") || memcmp(domain.bytes.at, "ai.onnx", size) != 0)) {
        return SQUALL_OK;
    }
    if (version.value < SQ_ONNX_OLDEST_OPSET || version.value > SQ_ONNX_NEWEST_OPSET) {
        return sq_fail(err, SQUALL_E_VERSION, onnx->path,
                       "opset %" PRIu64 "; %d to %d are taken, export with opset_version = 17",
                       version.value, SQ_ONNX_OLDEST_OPSET, SQ_ONNX_NEWEST_OPSET);
    }
    onnx->opset = (int32_t)version.value;
    return SQUALL_OK;
}

/* Find the graph and the opset in the outermost message. */
static squall_status read_model(sq_onnx *onnx, sq_wire message, sq_wire *graph, squall_error *err)
{
    sq_wire_field field;
    sq_wire_result result;
    bool has_version = false, has_graph = false;
    while ((result = sq_wire_next(&message, &field)) == SQ_WIRE_FIELD) {
        if (field.number == MODEL_IR_VERSION && field.kind == SQ_WIRE_VARINT) {
            has_version = true;
        } else if (field.number == MODEL_GRAPH && field.kind == SQ_WIRE_BYTES) {
            if (has_graph) {
                return sq_fail(err, SQUALL_E_CORRUPT, onnx->path, "it has two graphs");
            }
            *graph = field.bytes;
            has_graph = true;
        } else if (field.number == MODEL_OPSET && field.kind == SQ_WIRE_BYTES) {
            SQ_TRY(read_opset(onnx, field.bytes, err));
        }
    }
    if (!has_version || (!has_graph && result != SQ_WIRE_SHORT)) {
        return sq_fail(err, SQUALL_E_FORMAT, onnx->path, "it is no ONNX model");
    }
    if (result == SQ_WIRE_SHORT) {
        return sq_fail(err, SQUALL_E_TRUNCATED, onnx->path, "it ends inside a field: it was cut");
    }
    if (result == SQ_WIRE_BAD) {
        return sq_fail(err, SQUALL_E_CORRUPT, onnx->path, "its bytes are no protocol buffer");
    }
    if (onnx->opset == 0) {
        return sq_fail(err, SQUALL_E_VERSION, onnx->path,
                       "it does not say which opset of ONNX it is for");
    }
    return SQUALL_OK;
}

static squall_status read_bytes(sq_onnx *onnx, const void *bytes, size_t size, sq_graph **out,
                                squall_error *err)
{
    sq_wire graph = {0};
    const unsigned char *begin = bytes;
    const sq_wire message = {begin, size > 0 ? begin + size : begin};
    SQ_TRY(read_model(onnx, message, &graph, err));
    onnx->graph = sq_graph_create();
    if (!onnx->graph) {
        return sq_fail(err, SQUALL_E_MEMORY, onnx->path, "no memory for a graph");
    }
    squall_status status = sq_onnx_graph_givers(onnx, graph, err);
    if (status == SQUALL_OK && onnx->unsupported > 0) {
        status = sq_fail(err, SQUALL_E_UNSUPPORTED, onnx->path,
                         "%" PRIu32 " of its parts cannot be taken, each with a note; first: %s",
                         onnx->unsupported, onnx->first);
    }
    if (status == SQUALL_OK) {
        status = sq_onnx_graph_users(onnx, graph, err);
    }
    if (status == SQUALL_OK) {
        *out = onnx->graph;
        return SQUALL_OK;
    }
    sq_graph_destroy(&onnx->graph);
    if (err && strcmp(err->where, onnx->path) != 0) { /* "node 'a' (Conv)": of which file? */
        char where[sizeof err->where];
        (void)snprintf(where, sizeof where, "%.50s: %.74s", sq_path_name(onnx->path), err->where);
        memcpy(err->where, where, sizeof where);
    }
    return status;
}

squall_status sq_onnx_read_memory(const void *bytes, size_t size, const char *name, sq_graph **out,
                                  squall_notes *notes, squall_error *err)
{
    sq_onnx onnx = {.path = name, .folder = -1, .data_file = -1, .notes = notes};
    return read_bytes(&onnx, bytes, size, out, err);
}

int sq_onnx_open_folder(const char *path)
{
    const size_t length = (size_t)(sq_path_name(path) - path);
    char *folder = sq_alloc(length + 2, 1);
    if (!folder) {
        errno = ENOMEM;
        return -1;
    }
    memcpy(folder, length > 0 ? path : ".", length > 0 ? length : 1);
    const int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    sq_free(folder);
    return fd;
}

squall_status sq_onnx_read(const char *path, sq_graph **out, squall_notes *notes, squall_error *err)
{
    sq_mapping file = {0};
    SQ_TRY(sq_file_map(path, SQ_LIMIT_FILE_BYTES, &file, err));
    sq_onnx onnx = {.path = path,
                    .folder = sq_onnx_open_folder(path),
                    .mapped = true,
                    .data_file = -1,
                    .notes = notes};
    squall_status status = SQUALL_OK;
    if (onnx.folder < 0) {
        status = sq_fail(err, errno == ENOMEM ? SQUALL_E_MEMORY : SQUALL_E_IO, path,
                         "its folder cannot be opened");
    } else {
        status = read_bytes(&onnx, file.data, file.size, out, err);
        (void)close(onnx.folder);
    }
    if (onnx.data_file >= 0) {
        (void)close(onnx.data_file);
    }
    sq_free(onnx.data_name);
    sq_file_unmap(&file);
    return status;
}
