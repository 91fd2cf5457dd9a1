/* tests/unit/nn/ref/test_ref_node.c - small networks with known outputs, run on the reference.
 *
 * Without arguments: the cases in tests/data/ref, all of which must pass. With arguments
 * `[--all] FOLDER...`: the *.cases files there; prints a table by operator and "N of M pass"
 * (--all: also why each other one does not), and exits 0 unless there were none. The format is
 * described in tests/expected/ref_case_format.py. */
#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/ref/ref.h"

#define MAX_VALUES 4096
#define MAX_WORD   128

/* How one case went. */
typedef enum outcome { PASSED, FAILED, SKIPPED } outcome;

typedef struct reader {
    const char *at, *end;
} reader;

/* A case while it is read and run: nodes run as soon as their attributes are read. */
typedef struct test_case {
    char name[MAX_WORD], label[MAX_WORD];
    int32_t opset;
    double rtol, atol;
    squall_tensor values[MAX_VALUES];
    outcome result;
    char why[640];
    /* the node being read */
    bool pending;
    sq_op op;
    sq_attrs attrs;
    uint32_t in_count, out_count;
    int ids[SQ_MAX_INPUTS + SQ_MAX_OUTPUTS];
} test_case;

static void die(const char *what)
{
    fprintf(stderr, "test_ref_node: %s\n", what);
    exit(2);
}

__attribute__((format(printf, 2, 3))) static void fail(test_case *test, const char *format, ...)
{
    if (test->result != PASSED) {
        return;
    }
    test->result = FAILED;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(test->why, sizeof test->why, format, args);
    va_end(args);
}

static bool next_word(reader *in, char *word)
{
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\n')) {
        in->at++;
    }
    size_t length = 0;
    while (in->at < in->end && *in->at != ' ' && *in->at != '\n') {
        if (length + 1 < MAX_WORD) {
            word[length++] = *in->at;
        }
        in->at++;
    }
    word[length] = 0;
    return length > 0;
}

static void rest_of_line(reader *in, char *text, size_t capacity)
{
    size_t length = 0;
    while (in->at < in->end && *in->at == ' ') {
        in->at++;
    }
    for (; in->at < in->end && *in->at != '\n'; in->at++) {
        if (length + 1 < capacity) {
            text[length++] = *in->at;
        }
    }
    text[length] = 0;
}

static int64_t next_int(reader *in)
{
    char word[MAX_WORD];
    if (!next_word(in, word)) {
        die("a number is missing");
    }
    return word[0] == '-' ? strtoll(word, NULL, 10) : (int64_t)strtoull(word, NULL, 10);
}

static double next_double(reader *in)
{
    char word[MAX_WORD];
    if (!next_word(in, word)) {
        die("a number is missing");
    }
    return strtod(word, NULL);
}

static squall_dtype next_dtype(reader *in)
{
    char word[MAX_WORD];
    next_word(in, word);
    for (int i = 1; i <= SQUALL_BF16; i++) {
        if (squall_dtype_size((squall_dtype)i) > 0 &&
            strcmp(word, squall_dtype_name((squall_dtype)i)) == 0) {
            return (squall_dtype)i;
        }
    }
    die("an unknown type");
    return SQUALL_DTYPE_NONE;
}

static bool is_float(squall_dtype dtype)
{
    return dtype == SQUALL_F32 || dtype == SQUALL_F64 || dtype == SQUALL_F16 ||
           dtype == SQUALL_BF16;
}

static void put_value(const squall_tensor *tensor, size_t i, reader *in)
{
    if (is_float(tensor->dtype)) {
        const double value = next_double(in);
        switch (tensor->dtype) {
        case SQUALL_F64:
            ((double *)tensor->data)[i] = value;
            break;
        case SQUALL_F32:
            ((float *)tensor->data)[i] = (float)value;
            break;
        case SQUALL_F16:
            ((uint16_t *)tensor->data)[i] = sq_float_to_half((float)value);
            break;
        default:
            ((uint16_t *)tensor->data)[i] = sq_float_to_bf16((float)value);
            break;
        }
        return;
    }
    const int64_t value = next_int(in);
    switch (squall_dtype_size(tensor->dtype)) { /* two's complement: the sign does not matter */
    case 1:
        ((uint8_t *)tensor->data)[i] = (uint8_t)value;
        break;
    case 2:
        ((uint16_t *)tensor->data)[i] = (uint16_t)value;
        break;
    case 4:
        ((uint32_t *)tensor->data)[i] = (uint32_t)value;
        break;
    default:
        ((uint64_t *)tensor->data)[i] = (uint64_t)value;
        break;
    }
}

/* "TYPE RANK SIZES" and the values behind it. */
static squall_tensor read_tensor(reader *in)
{
    const squall_dtype dtype = next_dtype(in);
    const int64_t rank = next_int(in);
    int64_t dims[SQUALL_MAX_DIMS] = {0};
    squall_tensor tensor;
    if (rank < 0 || rank > SQUALL_MAX_DIMS) {
        die("a rank is out of range");
    }
    for (int64_t i = 0; i < rank; i++) {
        dims[i] = next_int(in);
    }
    if (!sq_tensor_make(dtype, (uint32_t)rank, dims, &tensor)) {
        die("no memory for a tensor");
    }
    const size_t count = squall_tensor_count(&tensor);
    for (size_t i = 0; i < count; i++) {
        put_value(&tensor, i, in);
    }
    return tensor;
}

static squall_tensor *value_of(test_case *test, int64_t id)
{
    if (id < 0 || id >= MAX_VALUES) {
        die("a value's number is out of range");
    }
    return &test->values[id];
}

static void read_attr(test_case *test, reader *in)
{
    char name[MAX_WORD], kind[MAX_WORD], text[1024];
    bool ok = true;
    next_word(in, name);
    next_word(in, kind);
    if (strcmp(kind, "int") == 0) {
        ok = sq_attr_set_int(&test->attrs, name, next_int(in));
    } else if (strcmp(kind, "float") == 0) {
        ok = sq_attr_set_float(&test->attrs, name, (float)next_double(in));
    } else if (strcmp(kind, "string") == 0) {
        rest_of_line(in, text, sizeof text);
        ok = sq_attr_set_string(&test->attrs, name, text, strlen(text));
    } else if (strcmp(kind, "tensor") == 0) {
        squall_tensor tensor = read_tensor(in);
        ok = sq_attr_set_tensor(&test->attrs, name, &tensor);
    } else {
        const size_t count = (size_t)next_int(in);
        int64_t ints[256];
        float floats[256];
        if (count > 256) {
            die("a list is too long");
        }
        const bool whole = strcmp(kind, "ints") == 0;
        for (size_t i = 0; i < count; i++) {
            if (whole) {
                ints[i] = next_int(in);
            } else {
                floats[i] = (float)next_double(in);
            }
        }
        ok = whole ? sq_attr_set_ints(&test->attrs, name, ints, count)
                   : sq_attr_set_floats(&test->attrs, name, floats, count);
    }
    if (!ok) {
        die("no memory for an attribute");
    }
}

/* Run the node whose attributes have all been read. */
static void run_pending(test_case *test)
{
    if (!test->pending) {
        return;
    }
    test->pending = false;
    squall_tensor in[SQ_MAX_INPUTS] = {0}, out[SQ_MAX_OUTPUTS] = {0};
    for (uint32_t i = 0; i < test->in_count; i++) {
        if (test->ids[i] >= 0) {
            in[i] = *value_of(test, test->ids[i]);
        }
    }
    test->attrs.opset = test->opset;
    sq_step step = {.op = test->op,
                    .name = test->name,
                    .attrs = &test->attrs,
                    .in_count = test->in_count,
                    .out_count = test->out_count,
                    .in = in,
                    .out = out};
    squall_error error = {0};
    if (test->result == PASSED &&
        (sq_op_infer(&step, &error) != SQUALL_OK || sq_ref_evaluate(&step, &error) != SQUALL_OK)) {
        fail(test, "%s: %s: %s", squall_status_name(error.code), error.where, error.text);
    }
    for (uint32_t i = 0; i < test->out_count; i++) {
        const int id = test->ids[test->in_count + i];
        if (id < 0 || test->result != PASSED) {
            sq_free(out[i].data);
        } else {
            sq_tensor_free(value_of(test, id));
            *value_of(test, id) = out[i];
        }
    }
    sq_attrs_free(&test->attrs);
    memset(&test->attrs, 0, sizeof test->attrs);
}

static void read_node(test_case *test, reader *in)
{
    char op[MAX_WORD];
    next_word(in, op);
    test->op = sq_op_find(op);
    const int64_t in_count = next_int(in), out_count = next_int(in);
    const bool fits = in_count <= SQ_MAX_INPUTS && out_count <= SQ_MAX_OUTPUTS;
    for (int64_t i = 0; i < in_count + out_count; i++) {
        const int64_t id = next_int(in);
        if (fits) {
            test->ids[i] = (int)id;
        }
    }
    if (test->op == SQ_OP_NONE) {
        fail(test, "operator %s is not in the table", op);
    } else if (!fits) {
        fail(test, "%s has too many inputs or outputs", op);
    }
    test->in_count = fits ? (uint32_t)in_count : 0;
    test->out_count = fits ? (uint32_t)out_count : 0;
    test->pending = true;
}

/* As numpy.testing.assert_allclose with equal_nan; integers must be equal. */
static bool close_enough(const test_case *test, const squall_tensor *want, const squall_tensor *got,
                         size_t i)
{
    if (!is_float(want->dtype)) {
        return sq_tensor_get_int(want, i) == sq_tensor_get_int(got, i);
    }
    const double a = sq_tensor_get_double(got, i), b = sq_tensor_get_double(want, i);
    if (isnan(b) || isinf(b)) {
        return isnan(b) ? isnan(a) : a == b;
    }
    return fabs(a - b) <= test->atol + test->rtol * fabs(b);
}

static void compare(test_case *test, int64_t id, const squall_tensor *want)
{
    const squall_tensor *got = value_of(test, id);
    if (test->result != PASSED) {
        return;
    }
    if (!sq_tensor_same_type(want, got)) {
        char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT];
        fail(test, "value %d is %s, expected %s", (int)id, sq_tensor_format(got, a),
             sq_tensor_format(want, b));
        return;
    }
    const size_t count = squall_tensor_count(want);
    size_t wrong = 0, first = 0;
    for (size_t i = count; i-- > 0;) {
        if (!close_enough(test, want, got, i)) {
            wrong++;
            first = i;
        }
    }
    if (wrong > 0) {
        fail(test, "%zu of %zu numbers of value %d differ; number %zu is %.9g, expected %.9g",
             wrong, count, (int)id, first, sq_tensor_get_double(got, first),
             sq_tensor_get_double(want, first));
    }
}

/* Read and run the next case; false at the end. */
static bool run_case(reader *in, test_case *test)
{
    char word[MAX_WORD];
    if (!next_word(in, word)) {
        return false;
    }
    memset(test, 0, sizeof *test);
    if (strcmp(word, "case") != 0 || !next_word(in, test->name) || !next_word(in, test->label)) {
        die("'case NAME LABEL' expected");
    }
    int expected = 0;
    while (next_word(in, word) && strcmp(word, "end") != 0) {
        if (strcmp(word, "attr") == 0) {
            read_attr(test, in);
            continue;
        }
        run_pending(test);
        if (strcmp(word, "skip") == 0) {
            rest_of_line(in, test->why, sizeof test->why);
            test->result = SKIPPED;
        } else if (strcmp(word, "opset") == 0) {
            test->opset = (int32_t)next_int(in);
        } else if (strcmp(word, "tolerance") == 0) {
            test->rtol = next_double(in);
            test->atol = next_double(in);
        } else if (strcmp(word, "tensor") == 0) {
            squall_tensor *value = value_of(test, next_int(in));
            *value = read_tensor(in);
        } else if (strcmp(word, "node") == 0) {
            read_node(test, in);
        } else if (strcmp(word, "expect") == 0) {
            const int64_t id = next_int(in);
            squall_tensor want = read_tensor(in);
            compare(test, id, &want);
            sq_tensor_free(&want);
            expected++;
        } else {
            die("an unknown word");
        }
    }
    if (expected == 0) {
        fail(test, "nothing was expected of it");
    }
    for (size_t i = 0; i < MAX_VALUES; i++) {
        sq_tensor_free(&test->values[i]);
    }
    return true;
}

/* Counts of one operator. */
typedef struct tally {
    char label[MAX_WORD];
    size_t passed, total;
} tally;

typedef struct report {
    tally rows[512];
    size_t row_count;
    size_t passed, total;
    bool tell; /* why those that do not pass do not */
} report;

static tally *row_of(report *all, const char *label)
{
    for (size_t i = 0; i < all->row_count; i++) {
        if (strcmp(all->rows[i].label, label) == 0) {
            return &all->rows[i];
        }
    }
    if (all->row_count == sizeof all->rows / sizeof all->rows[0]) {
        die("too many operators");
    }
    tally *row = &all->rows[all->row_count++];
    (void)snprintf(row->label, sizeof row->label, "%s", label);
    return row;
}

static void run_file(const char *path, report *all)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        die("a file cannot be read");
    }
    const long size = ftell(file);
    rewind(file);
    char *text = size >= 0 ? sq_alloc_raw((size_t)size, 1) : NULL;
    if (!text || fread(text, 1, (size_t)size, file) != (size_t)size) {
        die("a file cannot be read");
    }
    (void)fclose(file);
    reader in = {.at = text, .end = text + size};
    test_case *test = sq_alloc(1, sizeof *test);
    while (run_case(&in, test)) {
        tally *row = row_of(all, test->label);
        row->total++;
        all->total++;
        if (test->result == PASSED) {
            row->passed++;
            all->passed++;
        } else if (all->tell) {
            printf("%s %s: %s\n", test->result == FAILED ? "FAIL" : "skip", test->name, test->why);
        }
    }
    sq_free(test);
    sq_free(text);
}

static void run_folder(const char *folder, report *all)
{
    DIR *entries = opendir(folder);
    if (!entries) {
        die("a folder cannot be read");
    }
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot && strcmp(dot, ".cases") == 0) {
            char path[4096];
            (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            run_file(path, all);
        }
    }
    (void)closedir(entries);
}

static int by_label(const void *a, const void *b)
{
    return strcmp(((const tally *)a)->label, ((const tally *)b)->label);
}

int main(int argc, char **argv)
{
    static report all;
    const bool committed = argc == 1;
    int next = 1;
    if (committed) {
        all.tell = true;
        run_folder(SQUALL_SOURCE_DIR "/tests/data/ref", &all);
    } else if (strcmp(argv[1], "--all") == 0) {
        all.tell = true;
        next = 2;
    }
    for (; next < argc; next++) {
        run_folder(argv[next], &all);
    }
    qsort(all.rows, all.row_count, sizeof all.rows[0], by_label);
    for (size_t i = 0; i < all.row_count && !committed; i++) {
        printf("%-28s %4zu of %4zu\n", all.rows[i].label, all.rows[i].passed, all.rows[i].total);
    }
    printf("%zu of %zu pass\n", all.passed, all.total);
    return all.total == 0 || (committed && all.passed != all.total);
}
