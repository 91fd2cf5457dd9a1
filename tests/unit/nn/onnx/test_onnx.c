/* tests/unit/nn/onnx/test_onnx.c - models read, and models refused.
 *
 * The files are written by tests/expected/make_onnx.py, where it also stands what is in them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "nn/onnx/onnx.h"
#include "nn/onnx/onnx_reader.h"

#define DATA SQUALL_SOURCE_DIR "/tests/data/onnx/"

static sq_graph *read_good(const char *name)
{
    char path[1024];
    sq_graph *graph = NULL;
    squall_error err = {0};
    (void)snprintf(path, sizeof path, DATA "%s", name);
    if (sq_onnx_read(path, &graph, NULL, &err) != SQUALL_OK) {
        fail_msg("%s: %s: %s", name, err.where, err.text);
    }
    return graph;
}

static const sq_value *find(const sq_graph *graph, const char *name)
{
    for (uint32_t i = 0; i < graph->value_count; i++) {
        if (strcmp(graph->values[i].name, name) == 0) {
            return &graph->values[i];
        }
    }
    fail_msg("no value '%s'", name);
    return NULL;
}

static void test_types(void **state)
{
    (void)state;
    sq_graph *graph = read_good("types.onnx");
    static const int kinds[] = {1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 16};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (int raw = 0; raw < 2; raw++) {
            char name[16];
            (void)snprintf(name, sizeof name, "%s%d", raw ? "raw" : "list", kinds[i]);
            const sq_value *value = find(graph, name);
            assert_true(value->constant);
            assert_int_equal(value->type.dtype, kinds[i]);
            assert_int_equal(value->type.rank, 1);
            const bool is_signed = kinds[i] != SQUALL_U8 && kinds[i] != SQUALL_U16 &&
                                   kinds[i] != SQUALL_U32 && kinds[i] != SQUALL_U64;
            for (int j = 0; j < 3; j++) {
                const double expected = j == 2 && is_signed ? -3 : j + 1;
                assert_true(sq_tensor_get_double(&value->type, (size_t)j) == expected);
            }
        }
    }
    static const char *const flags[] = {"raw9", "list9"};
    for (int i = 0; i < 2; i++) {
        const uint8_t *data = find(graph, flags[i])->type.data;
        assert_int_equal(data[0], 1);
        assert_int_equal(data[1], 0);
        assert_int_equal(data[2], 1); /* 7 in the file */
    }
    assert_int_equal(squall_tensor_count(&find(graph, "empty")->type), 0);
    assert_int_equal(find(graph, "scalar")->type.rank, 0);
    assert_int_equal(sq_tensor_get_int(&find(graph, "scalar")->type, 0), -7);
    assert_string_equal(graph->name, "g");
    sq_graph_destroy(&graph);
}

static void test_constants(void **state)
{
    (void)state;
    sq_graph *graph = read_good("constants.onnx");
    assert_int_equal(graph->node_count, 1);
    assert_true(sq_tensor_get_double(&find(graph, "tensor")->type, 1) == -2.5);
    assert_true(sq_tensor_get_double(&find(graph, "float")->type, 0) == 0.5);
    assert_int_equal(find(graph, "float")->type.rank, 0);
    assert_int_equal(sq_tensor_get_int(&find(graph, "int")->type, 0), -9);
    assert_int_equal(find(graph, "floats")->type.dims[0], 3);
    assert_true(sq_tensor_get_double(&find(graph, "floats")->type, 2) == 3);
    assert_int_equal(find(graph, "ints")->type.dtype, SQUALL_I64);
    assert_int_equal(sq_tensor_get_int(&find(graph, "ints")->type, 1), 5);
    sq_graph_destroy(&graph);
}

static void test_attributes(void **state)
{
    (void)state;
    sq_graph *graph = read_good("attributes.onnx");
    assert_int_equal(graph->node_count, 4);
    const sq_attrs *conv = &graph->nodes[0].attrs, *leaky = &graph->nodes[1].attrs;
    const sq_attrs *fill = &graph->nodes[2].attrs, *up = &graph->nodes[3].attrs;
    size_t count;
    assert_string_equal(graph->nodes[0].name, "conv");
    assert_int_equal(conv->opset, 8);
    assert_int_equal(sq_attr_int(conv, "group", 0), 1);
    assert_string_equal(sq_attr_string(conv, "auto_pad", ""), "NOTSET");
    const int64_t *pads = sq_attr_ints(conv, "pads", &count);
    assert_int_equal(count, 4);
    assert_int_equal(pads[1], 1);
    assert_true(sq_attr_float(leaky, "alpha", 0) == 0.25f);
    const sq_attr *value = sq_attr_find(fill, "value");
    assert_int_equal(value->kind, SQ_ATTR_TENSOR);
    assert_int_equal(sq_tensor_get_int(&value->tensor, 0), -3);
    assert_true(sq_attr_floats(up, "scales", &count)[3] == 2.0f);
    assert_int_equal(count, 4);
    assert_int_equal(sq_graph_infer(graph, NULL, NULL), SQUALL_OK);
    assert_int_equal(find(graph, "y")->type.dims[2], 6); /* (4 - 2 + 1) * 2 */
    sq_graph_destroy(&graph);
}

static void test_symbols(void **state)
{
    (void)state;
    sq_graph *graph = read_good("symbols.onnx");
    const sq_value *a = find(graph, "a"), *b = find(graph, "b");
    assert_int_equal(graph->input_count, 2);
    assert_int_equal(a->type.dims[0], -1);
    assert_string_equal(a->symbols[0], "N");
    assert_int_equal(a->type.dims[1], 4);
    assert_null(a->symbols[1]);
    assert_string_equal(b->symbols[0], "N");
    assert_int_equal(b->type.rank, 4);
    assert_string_equal(b->symbols[1], "b[1]"); /* neither number nor name */
    assert_int_equal(b->type.dims[2], 3);
    assert_string_equal(b->symbols[3], "b[3]"); /* -1 */
    assert_int_equal(sq_graph_set_shape(graph, "a", (int64_t[]){7, 4, 3, 2}, 4, NULL), SQUALL_OK);
    assert_int_equal(sq_graph_set_shape(graph, "b", (int64_t[]){7, 1, 3, 1}, 4, NULL), SQUALL_OK);
    assert_int_equal(sq_graph_infer(graph, NULL, NULL), SQUALL_OK);
    assert_int_equal(find(graph, "y")->type.dims[0], 7);
    sq_graph_destroy(&graph);
}

/* Weights among the inputs, nodes without names and out of order, inputs and outputs left out. */
static void test_old(void **state)
{
    (void)state;
    sq_graph *graph = read_good("old.onnx");
    assert_int_equal(graph->input_count, 1);
    assert_string_equal(graph->values[graph->inputs[0]].name, "x");
    assert_int_equal(graph->node_count, 4);
    static const char *const names[] = {"sum", "clipped", "y", "r"};
    for (uint32_t i = 0; i < 4; i++) {
        assert_string_equal(graph->nodes[i].name, names[i]);
    }
    const sq_node *clip = &graph->nodes[1];
    assert_int_equal(clip->in_count, 3);
    assert_int_equal(clip->inputs[1], SQ_NO_VALUE);
    assert_string_equal(graph->values[clip->inputs[2]].name, "hi");
    assert_int_equal(graph->nodes[2].out_count, 1); /* the mask has no name */
    assert_int_equal(graph->nodes[3].in_count, 1);
    assert_int_equal(sq_graph_infer(graph, NULL, NULL), SQUALL_OK);
    sq_graph_destroy(&graph);
}

static void test_order(void **state)
{
    (void)state;
    sq_graph *graph = read_good("arithmetic.onnx");
    static const sq_op order[] = {SQ_OP_Shape, SQ_OP_Gather, SQ_OP_Div, SQ_OP_Slice};
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(graph->nodes[i].op, order[i]);
    }
    sq_graph_destroy(&graph);
    graph = read_good("opset_named.onnx"); /* the domain may be written out */
    assert_int_equal(graph->nodes[0].attrs.opset, 7);
    sq_graph_destroy(&graph);
}

static void test_external(void **state)
{
    (void)state;
    sq_graph *graph = read_good("external.onnx");
    for (size_t i = 0; i < 3; i++) {
        assert_true(sq_tensor_get_double(&find(graph, "w")->type, i) == (double)(i + 1));
        assert_true(sq_tensor_get_double(&find(graph, "v")->type, i) == (double)(i + 1));
    }
    sq_graph_destroy(&graph);
    graph = read_good("external_whole.onnx");
    assert_true(sq_tensor_get_double(&find(graph, "w")->type, 0) == 9);
    sq_graph_destroy(&graph);
    unsigned char *bytes;
    size_t size;
    squall_error err = {0};
    assert_int_equal(sq_file_read(DATA "external.onnx", 1 << 20, &bytes, &size, NULL), SQUALL_OK);
    assert_int_equal(sq_onnx_read_memory(bytes, size, "memory", &graph, NULL, &err),
                     SQUALL_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "another file"));
    sq_free(bytes);
}

/* What must be refused: the code, and a word that tells why. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        squall_status status;
        const char *word;
    } cases[] = {
        {"no such file.onnx", SQUALL_E_IO, "No such file"},
        {"empty.onnx", SQUALL_E_FORMAT, "no ONNX"},
        {"not_onnx.onnx", SQUALL_E_FORMAT, "no ONNX"},
        {"no_graph.onnx", SQUALL_E_FORMAT, "no ONNX"},
        {"group.onnx", SQUALL_E_CORRUPT, "protocol buffer"},
        {"two_graphs.onnx", SQUALL_E_CORRUPT, "two graphs"},
        {"opset_6.onnx", SQUALL_E_VERSION, "opset 6; 7 to 23"},
        {"opset_24.onnx", SQUALL_E_VERSION, "opset 24"},
        {"opset_none.onnx", SQUALL_E_VERSION, "which opset"},
        {"cycle.onnx", SQUALL_E_CORRUPT, "cycle"},
        {"self.onnx", SQUALL_E_CORRUPT, "cycle"},
        {"twice.onnx", SQUALL_E_CORRUPT, "'y' is given twice"},
        {"twice_weight.onnx", SQUALL_E_CORRUPT, "'w' is given twice"},
        {"twice_input.onnx", SQUALL_E_CORRUPT, "'x' is given twice"},
        {"twice_output.onnx", SQUALL_E_CORRUPT, "'y' is listed twice"},
        {"missing.onnx", SQUALL_E_CORRUPT, "'add' (Add) wants 'nothing'"},
        {"missing_output.onnx", SQUALL_E_CORRUPT, "given by nothing"},
        {"no_outputs.onnx", SQUALL_E_CORRUPT, "no outputs"},
        {"gives_nothing.onnx", SQUALL_E_CORRUPT, "gives nothing"},
        {"control.onnx", SQUALL_E_CORRUPT, "control character 27"},
        {"unnamed_weight.onnx", SQUALL_E_CORRUPT, "no name"},
        {"long_name.onnx", SQUALL_E_LIMIT, "5000 bytes"},
        {"weight_huge.onnx", SQUALL_E_LIMIT, "bytes of a tensor"},
        {"weight_huge_list.onnx", SQUALL_E_CORRUPT, "needs 2147483648 numbers, the file has 1"},
        {"weight_negative.onnx", SQUALL_E_LIMIT, "negative"},
        {"weight_raw_short.onnx", SQUALL_E_CORRUPT, "needs 12 bytes, the file has 11"},
        {"weight_raw_long.onnx", SQUALL_E_CORRUPT, "needs 12 bytes, the file has 13"},
        {"weight_list_short.onnx", SQUALL_E_CORRUPT, "needs 3 numbers, the file has 2"},
        {"weight_list_other.onnx", SQUALL_E_CORRUPT, "needs 3 numbers, the file has 0"},
        {"weight_rank.onnx", SQUALL_E_LIMIT, "9 dimensions"},
        {"weight_nowhere.onnx", SQUALL_E_CORRUPT, "own folder"},
        {"input_huge.onnx", SQUALL_E_LIMIT, "larger than"},
        {"input_rank.onnx", SQUALL_E_LIMIT, "more than 8"},
        {"attribute_twice.onnx", SQUALL_E_CORRUPT, "'a' is there twice"},
        {"attribute_unnamed.onnx", SQUALL_E_CORRUPT, "no name"},
        {"attribute_empty.onnx", SQUALL_E_CORRUPT, "no tensor"},
        {"body_missing.onnx", SQUALL_E_CORRUPT, "wants 'q'"},
        {"body_missing_output.onnx", SQUALL_E_CORRUPT, "'q' is given by nothing"},
        {"body_cycle.onnx", SQUALL_E_CORRUPT, "cycle"},
        {"body_behind.onnx", SQUALL_E_CORRUPT, "cycle"},
        {"body_deep.onnx", SQUALL_E_LIMIT, "more than 16 deep"},
        {"external_absolute.onnx", SQUALL_E_CORRUPT, "own folder"},
        {"external_above.onnx", SQUALL_E_CORRUPT, "own folder"},
        {"external_above_inside.onnx", SQUALL_E_CORRUPT, "own folder"},
        {"external_nowhere.onnx", SQUALL_E_CORRUPT, "own folder"},
        {"external_missing.onnx", SQUALL_E_IO, "No such file"},
        {"external_folder.onnx", SQUALL_E_IO, "not a regular file"},
        {"external_short.onnx", SQUALL_E_TRUNCATED, "which has 20"},
        {"external_far.onnx", SQUALL_E_TRUNCATED, "which has 20"},
        {"external_length.onnx", SQUALL_E_CORRUPT, "external data have 16"},
        {"external_offset.onnx", SQUALL_E_CORRUPT, "no number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[1024];
        sq_graph *graph = NULL;
        squall_error err = {0};
        (void)snprintf(path, sizeof path, DATA "%s", cases[i].name);
        const squall_status status = sq_onnx_read(path, &graph, NULL, &err);
        if (status != cases[i].status || !strstr(err.text, cases[i].word) ||
            !strstr(err.where, cases[i].name)) {
            fail_msg("%s: %s: %s: %s", cases[i].name, squall_status_name(status), err.where,
                     err.text);
        }
        assert_null(graph);
    }
}

/* Graphs in graphs: what they use of those around them becomes inputs, level by level. */
static void test_bodies(void **state)
{
    (void)state;
    sq_graph *graph = NULL;
    squall_error err = {0};
    if (sq_onnx_read(DATA "body.onnx", &graph, NULL, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    assert_int_equal(graph->node_count, 2);
    const sq_node *choice = &graph->nodes[1];
    assert_int_equal(choice->op, SQ_OP_If);
    assert_int_equal(choice->own_inputs, 1);
    assert_int_equal(choice->body_count, 2);
    /* then_branch uses x, c, and for the graph in it "around"; else_branch uses x */
    assert_int_equal(choice->in_count, 1 + 3 + 1);
    const sq_body *then = &choice->bodies[1]; /* the file has else_branch first */
    assert_string_equal(then->name, "then_branch");
    assert_int_equal(then->own_inputs, 0);
    assert_int_equal(then->first_capture, 2);
    assert_int_equal(then->graph->input_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_string_equal(then->graph->values[then->graph->inputs[i]].name,
                            graph->values[choice->inputs[2 + i]].name);
    }
    const sq_node *inner = &then->graph->nodes[1];
    assert_int_equal(inner->op, SQ_OP_If);
    assert_int_equal(inner->in_count, 1 + 2 + 1);
    const sq_graph *other = inner->bodies[0].graph; /* hands on a value of the graph around it */
    assert_int_equal(other->node_count, 0);
    assert_int_equal(other->outputs[0], other->inputs[0]);
    assert_string_equal(other->values[other->outputs[0]].name, "mine");
    assert_int_equal(choice->bodies[0].first_capture, 1);
    sq_graph_destroy(&graph);
}

/* Everything that cannot be taken is named in one pass. */
static void test_unsupported(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *lines[6];
    } cases[] = {
        {"unsupported.onnx",
         {"node 'first' (FooBar, opset 17): squall has no such operator",
          "node 'second' (Gelu, opset 17): domain 'com.microsoft' is not taken",
          "node 'text' (Constant, opset 17): its value is no tensor of numbers"}},
        {"unsupported_types.onnx",
         {"tensor 'words': numbers of type string (8)",
          "tensor 'f8': numbers of type float8e5m2 (19)", "input 'q': it is no tensor",
          "input 'open': the model does not say", "input 'text': numbers of type string (8)"}},
        {"unsupported_sparse.onnx", {"graph: sparse weights"}},
        {"body_unsupported.onnx", {"node 'deep' (FooBar, opset 17): squall has no such operator"}},
        {"unsupported_attributes.onnx",
         {"node 'own' (Relu, opset 17): attribute 'sq_activation' is not ONNX",
          "node 'other' (Identity, opset 17): attribute 'words' is of a kind",
          "node 'function' (Identity, opset 17): attribute 'a' refers"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[1024], number[8];
        sq_graph *graph = NULL;
        squall_error err = {0};
        squall_notes *notes = squall_notes_create();
        (void)snprintf(path, sizeof path, DATA "%s", cases[i].name);
        assert_int_equal(sq_onnx_read(path, &graph, notes, &err), SQUALL_E_UNSUPPORTED);
        size_t lines = 0;
        for (; cases[i].lines[lines]; lines++) {
            const char *line = squall_notes_get(notes, lines);
            assert_non_null(line);
            assert_non_null(strstr(line, cases[i].lines[lines]));
        }
        assert_int_equal(squall_notes_count(notes), lines);
        (void)snprintf(number, sizeof number, "%zu of", lines);
        assert_memory_equal(err.text, number, strlen(number));
        squall_notes_destroy(&notes);
    }
}

static void copy_into(const char *folder, const char *name, const char *as)
{
    char path[1024];
    unsigned char *bytes;
    size_t size;
    (void)snprintf(path, sizeof path, DATA "%s", name);
    assert_int_equal(sq_file_read(path, 1 << 20, &bytes, &size, NULL), SQUALL_OK);
    (void)snprintf(path, sizeof path, "%s/%s", folder, as);
    assert_int_equal(sq_file_write(path, bytes, size, NULL), SQUALL_OK);
    sq_free(bytes);
}

static squall_status read_status(const char *folder, const char *name, squall_error *err)
{
    char path[1024];
    sq_graph *graph = NULL;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    const squall_status status = sq_onnx_read(path, &graph, NULL, err);
    sq_graph_destroy(&graph);
    return status;
}

/* A link within the model's folder is fine; one that leaves it is not, at whatever level. */
static void test_links(void **state)
{
    (void)state;
    char top[] = "/tmp/squall_onnx_XXXXXX", folder[128], path[256];
    squall_error err = {0};
    assert_non_null(mkdtemp(top));
    (void)snprintf(folder, sizeof folder, "%s/model", top);
    assert_int_equal(mkdir(folder, 0755), 0);
    copy_into(top, "weights.bin", "weights.bin");
    copy_into(folder, "external.onnx", "m.onnx");
    copy_into(folder, "external_sub.onnx", "sub.onnx");

    (void)snprintf(path, sizeof path, "%s/weights.bin", folder);
    assert_int_equal(symlink("../weights.bin", path), 0);
    assert_int_equal(read_status(folder, "m.onnx", &err), SQUALL_E_CORRUPT);
    assert_non_null(strstr(err.text, "leaves the model's folder"));
    assert_int_equal(unlink(path), 0);
    copy_into(folder, "weights.bin", "inside.bin");
    assert_int_equal(symlink("inside.bin", path), 0);
    assert_int_equal(read_status(folder, "m.onnx", &err), SQUALL_OK);

    const int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(sq_onnx_open_beneath(fd, "weights.bin", true), -1); /* follows none at all */
    const int inside = sq_onnx_open_beneath(fd, "inside.bin", true);
    assert_true(inside >= 0);
    (void)close(inside);
    assert_int_equal(sq_onnx_open_beneath(fd, "../weights.bin", true), -1);
    assert_int_equal(sq_onnx_open_beneath(fd, "", true), -1);

    (void)snprintf(path, sizeof path, "%s/sub", folder);
    assert_int_equal(symlink("..", path), 0); /* a folder that is a link */
    assert_int_equal(read_status(folder, "sub.onnx", &err), SQUALL_E_CORRUPT);
    assert_int_equal(sq_onnx_open_beneath(fd, "sub/weights.bin", true), -1);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    copy_into(path, "weights.bin", "weights.bin");
    assert_int_equal(read_status(folder, "sub.onnx", &err), SQUALL_OK);
    const int below = sq_onnx_open_beneath(fd, "sub/weights.bin", true);
    assert_true(below >= 0);
    (void)close(below);
    assert_int_equal(unlink(strcat(path, "/weights.bin")), 0);

    assert_int_equal(mkfifo(path, 0600), 0); /* must not hang */
    assert_int_equal(read_status(folder, "sub.onnx", &err), SQUALL_E_IO);
    (void)close(fd);

    static const char *const made[] = {"model/sub/weights.bin",
                                       "model/sub",
                                       "model/m.onnx",
                                       "model/sub.onnx",
                                       "model/weights.bin",
                                       "model/inside.bin",
                                       "model",
                                       "weights.bin",
                                       "."};
    for (size_t i = 0; i < sizeof made / sizeof made[0] - 1; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", top, made[i]);
        assert_int_equal(remove(path), 0);
    }
    assert_int_equal(rmdir(top), 0);
}

static const char *const samples[] = {"types.onnx",      "constants.onnx",  "attributes.onnx",
                                      "symbols.onnx",    "arithmetic.onnx", "old.onnx",
                                      "unsupported.onnx"};

/* A file that ends anywhere is refused, but where its end may be: behind its last field. */
static void test_truncated(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        char path[1024];
        unsigned char *bytes;
        size_t size, passed = 0;
        (void)snprintf(path, sizeof path, DATA "%s", samples[i]);
        assert_int_equal(sq_file_read(path, 1 << 20, &bytes, &size, NULL), SQUALL_OK);
        for (size_t cut = 0; cut < size; cut++) {
            sq_graph *graph = NULL;
            unsigned char *part = sq_alloc_raw(cut, 1); /* so that a sanitizer sees the end */
            memcpy(part, bytes, cut);
            passed += sq_onnx_read_memory(part, cut, "cut", &graph, NULL, NULL) == SQUALL_OK;
            sq_graph_destroy(&graph);
            sq_free(part);
        }
        assert_int_equal(passed, 0); /* the opset comes last */
        sq_free(bytes);
    }
}

/* Every byte changed in a few ways: read or refused, and inferred or refused, but never more. */
static void test_changed(void **state)
{
    (void)state;
    size_t read = 0, refused = 0;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        char path[1024];
        unsigned char *bytes;
        size_t size;
        (void)snprintf(path, sizeof path, DATA "%s", samples[i]);
        assert_int_equal(sq_file_read(path, 1 << 20, &bytes, &size, NULL), SQUALL_OK);
        for (size_t at = 0; at < size; at++) {
            static const unsigned char changes[] = {0x01, 0x80, 0xff, 0x18};
            for (size_t j = 0; j < sizeof changes; j++) {
                sq_graph *graph = NULL;
                bytes[at] ^= changes[j];
                if (sq_onnx_read_memory(bytes, size, "changed", &graph, NULL, NULL) == SQUALL_OK) {
                    read++;
                    (void)!sq_graph_infer(graph, NULL, NULL);
                } else {
                    refused++;
                }
                sq_graph_destroy(&graph);
                bytes[at] ^= changes[j];
            }
        }
        sq_free(bytes);
    }
    assert_true(read > 100 && refused > 100);
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char *const names[] = {"types.onnx",   "constants.onnx", "attributes.onnx",
                                        "symbols.onnx", "old.onnx",       "external.onnx"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[1024];
        (void)snprintf(path, sizeof path, DATA "%s", names[i]);
        bool done = false;
        long n = 0;
        for (; !done; n++) {
            sq_graph *graph = NULL;
            sq_memory_fail_at(n);
            const squall_status status = sq_onnx_read(path, &graph, NULL, NULL);
            sq_memory_fail_at(-1);
            done = status == SQUALL_OK;
            assert_true(done || status == SQUALL_E_MEMORY || status == SQUALL_E_IO);
            sq_graph_destroy(&graph);
        }
        assert_true(n > 10);
    }
}

/* Wire format: https://protobuf.dev/programming-guides/encoding/ */
static void test_wire(void **state)
{
    (void)state;
    static const unsigned char message[] = {
        0x08, 0x96, 0x01,                                                /* 1: 150 */
        0x12, 0x03, 'a',  'b',  'c',                                     /* 2: "abc" */
        0x1d, 0x00, 0x00, 0x80, 0x3f,                                    /* 3: fixed32 */
        0x21, 0x01, 0,    0,    0,    0,    0,    0,    0x80,            /* 4: fixed64 */
        0x2a, 0x03, 0x01, 0x96, 0x01,                                    /* 5: packed 1, 150 */
        0x28, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 /* 5: -1 */
    };
    sq_wire wire = {message, message + sizeof message};
    sq_wire_field field;
    assert_int_equal(sq_wire_next(&wire, &field), SQ_WIRE_FIELD);
    assert_int_equal(field.value, 150);
    assert_int_equal(sq_wire_next(&wire, &field), SQ_WIRE_FIELD);
    assert_memory_equal(field.bytes.at, "abc", 3);
    assert_int_equal(sq_wire_next(&wire, &field), SQ_WIRE_FIELD);
    assert_int_equal(field.value, 0x3f800000);
    assert_int_equal(sq_wire_next(&wire, &field), SQ_WIRE_FIELD);
    assert_true(field.value == 0x8000000000000001u);
    const sq_wire whole = {message, message + sizeof message};
    int64_t numbers[3];
    size_t count;
    assert_true(sq_wire_numbers(whole, 5, SQ_WIRE_VARINT, numbers, 3, &count));
    assert_int_equal(count, 3);
    assert_int_equal(numbers[1], 150);
    assert_int_equal(numbers[2], -1);
    assert_true(sq_wire_numbers(whole, 5, SQ_WIRE_VARINT, numbers, 1, &count)); /* one stored */
    assert_int_equal(count, 3);
    assert_false(sq_wire_numbers(whole, 1, SQ_WIRE_FIXED32, NULL, 0, &count)); /* another kind */
    assert_int_equal(sq_wire_count(whole, 2), 1);

    static const struct {
        unsigned char bytes[12];
        size_t size;
        sq_wire_result result;
    } bad[] = {
        {{0x00, 0x01}, 2, SQ_WIRE_BAD},   /* field 0 */
        {{0x0b}, 1, SQ_WIRE_BAD},         /* a group */
        {{0x0f}, 1, SQ_WIRE_BAD},         /* wire type 7 */
        {{0x08}, 1, SQ_WIRE_SHORT},       /* no value */
        {{0x08, 0x80}, 2, SQ_WIRE_SHORT}, /* a value without an end */
        {{0x0a, 0x02, 'a'}, 3, SQ_WIRE_SHORT},
        {{0x0d, 1, 2, 3}, 4, SQ_WIRE_SHORT},
        {{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 11, SQ_WIRE_SHORT},
        {{0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 11, SQ_WIRE_BAD},
        {{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80}, 11, SQ_WIRE_BAD},
        {{0xf8, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00}, 7, SQ_WIRE_BAD}, /* a number of 31 bits */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sq_wire part = {bad[i].bytes, bad[i].bytes + bad[i].size};
        assert_int_equal(sq_wire_next(&part, &field), bad[i].result);
        part = (sq_wire){bad[i].bytes, bad[i].bytes + bad[i].size};
        assert_int_equal(sq_wire_count(part, 1), SIZE_MAX);
    }
}

/* The reference networks, whole: nodes by what make.py's README counts, and sizes of the output. */
static void test_workloads(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t nodes, convs;
        int64_t out[4];
    } cases[] = {
        {"rainnet-s", 51, 20, {1, 12, 256, 256}},
        {"rainnet-s-dyn", 51, 20, {3, 12, 256, 256}},
        {"smaat", 162, 42, {1, 12, 288, 288}},
        {"convlstm", 511, 35, {1, 5, 256, 256}},
    };
    if (access(SQUALL_SHARED_DIR "/workloads", R_OK) != 0) {
        print_error("skipped: no " SQUALL_SHARED_DIR "/workloads\n");
        skip();
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[1024];
        sq_graph *graph = NULL;
        squall_error err = {0};
        (void)snprintf(path, sizeof path, SQUALL_SHARED_DIR "/workloads/%s.onnx", cases[i].name);
        if (sq_onnx_read(path, &graph, NULL, &err) != SQUALL_OK) {
            fail_msg("%s: %s", err.where, err.text);
        }
        assert_int_equal(graph->node_count, cases[i].nodes);
        uint32_t convs = 0;
        for (uint32_t j = 0; j < graph->node_count; j++) {
            convs += graph->nodes[j].op == SQ_OP_Conv;
        }
        assert_int_equal(convs, cases[i].convs);
        sq_value *input = &graph->values[graph->inputs[0]];
        if (input->symbols[0]) {
            assert_string_equal(input->symbols[0], "N");
            assert_int_equal(sq_graph_set_shape(graph, "x", (int64_t[]){3, 4, 256, 256}, 4, &err),
                             SQUALL_OK);
        }
        /* convlstm's shapes hang on arithmetic that needs nn/ref: see nn/compile's tests */
        const squall_status status = sq_graph_infer(graph, NULL, &err);
        if (strcmp(cases[i].name, "convlstm") == 0) {
            assert_int_equal(status, SQUALL_E_UNSUPPORTED);
        } else {
            assert_int_equal(status, SQUALL_OK);
            const squall_tensor *out = &graph->values[graph->outputs[0]].type;
            assert_memory_equal(out->dims, cases[i].out, sizeof cases[i].out);
        }
        sq_graph_destroy(&graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),      cmocka_unit_test(test_constants),
        cmocka_unit_test(test_attributes), cmocka_unit_test(test_symbols),
        cmocka_unit_test(test_old),        cmocka_unit_test(test_order),
        cmocka_unit_test(test_external),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bodies),     cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_links),      cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_changed),    cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_wire),       cmocka_unit_test(test_workloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
