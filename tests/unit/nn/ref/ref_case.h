/* tests/unit/nn/ref/ref_case.h - cases in text (tests/expected/ref_case_format.py): read, compared,
 * counted. */
#ifndef SQ_TEST_REF_CASE_H
#define SQ_TEST_REF_CASE_H

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "nn/tensor/tensor.h"

#define MAX_WORD 128

/* How one case went. */
typedef enum outcome { PASSED, FAILED, SKIPPED } outcome;

typedef struct reader {
    const char *at, *end;
} reader;

/* What every case has. */
typedef struct ref_case {
    char name[MAX_WORD], label[MAX_WORD]; /* no label: it is for another program */
    int32_t opset;
    double rtol, atol;
    outcome result;
    char why[640];
} ref_case;

static inline void die(const char *what)
{
    fprintf(stderr, "cases: %s\n", what);
    exit(2);
}

__attribute__((format(printf, 2, 3))) static inline void fail(ref_case *test, const char *format,
                                                              ...)
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

static inline bool next_word(reader *in, char *word)
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

static inline void rest_of_line(reader *in, char *text, size_t capacity)
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

static inline int64_t next_int(reader *in)
{
    char word[MAX_WORD];
    if (!next_word(in, word)) {
        die("a number is missing");
    }
    return word[0] == '-' ? strtoll(word, NULL, 10) : (int64_t)strtoull(word, NULL, 10);
}

static inline double next_double(reader *in)
{
    char word[MAX_WORD];
    if (!next_word(in, word)) {
        die("a number is missing");
    }
    return strtod(word, NULL);
}

static inline squall_dtype next_dtype(reader *in)
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

static inline bool is_float(squall_dtype dtype)
{
    return dtype == SQUALL_F32 || dtype == SQUALL_F64 || dtype == SQUALL_F16 ||
           dtype == SQUALL_BF16;
}

static inline void put_value(const squall_tensor *tensor, size_t i, reader *in)
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
static inline squall_tensor read_tensor(reader *in)
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

/* "BYTES HEX...": a model in hexadecimal digits, over as many words as it takes. Given (sq_free).
 */
static inline unsigned char *read_model(reader *in, size_t *size)
{
    char word[MAX_WORD];
    const int64_t bytes = next_int(in);
    unsigned char *model = sq_alloc((size_t)bytes, 1);
    *size = 0;
    while (model && *size < (size_t)bytes && next_word(in, word)) {
        for (size_t i = 0; word[i] && word[i + 1] && *size < (size_t)bytes; i += 2) {
            const char digits[3] = {word[i], word[i + 1], 0};
            model[(*size)++] = (unsigned char)strtoul(digits, NULL, 16);
        }
    }
    if (!model || *size != (size_t)bytes) {
        die("a model ends early");
    }
    return model;
}

/* As numpy.testing.assert_allclose with equal_nan; integers must be equal. */
static inline bool close_enough(const ref_case *test, const squall_tensor *want,
                                const squall_tensor *got, size_t i)
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

/* Value `id` of the case is `got`; is it what is expected? */
static inline void compare(ref_case *test, int64_t id, const squall_tensor *want,
                           const squall_tensor *got)
{
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

static inline tally *row_of(report *all, const char *label)
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

/* Read and run the next case, false at the end; `test` is filled. */
typedef bool run_case_fn(reader *in, ref_case *test);

static inline void run_file(const char *path, run_case_fn *run_case, report *all)
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
    ref_case test = {0};
    for (; run_case(&in, &test); test = (ref_case){0}) {
        if (test.label[0] == 0) {
            continue; /* it is for another program */
        }
        tally *row = row_of(all, test.label);
        row->total++;
        all->total++;
        if (test.result == PASSED) {
            row->passed++;
            all->passed++;
        } else if (all->tell) {
            printf("%s %s: %s\n", test.result == FAILED ? "FAIL" : "skip", test.name, test.why);
        }
    }
    sq_free(text);
}

static inline void run_folder(const char *folder, run_case_fn *run_case, report *all)
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
            run_file(path, run_case, all);
        }
    }
    (void)closedir(entries);
}

static inline int by_label(const void *a, const void *b)
{
    return strcmp(((const tally *)a)->label, ((const tally *)b)->label);
}

/* What both programs do with their arguments. */
static inline int run_cases(int argc, char **argv, run_case_fn *run_case)
{
    static report all;
    const bool committed = argc == 1;
    int next = 1;
    if (committed) {
        all.tell = true;
        run_folder(SQUALL_SOURCE_DIR "/tests/data/ref", run_case, &all);
    } else if (strcmp(argv[1], "--all") == 0) {
        all.tell = true;
        next = 2;
    }
    for (; next < argc; next++) {
        run_folder(argv[next], run_case, &all);
    }
    qsort(all.rows, all.row_count, sizeof all.rows[0], by_label);
    for (size_t i = 0; i < all.row_count && !committed; i++) {
        printf("%-28s %4zu of %4zu\n", all.rows[i].label, all.rows[i].passed, all.rows[i].total);
    }
    printf("%zu of %zu pass\n", all.passed, all.total);
    return all.total == 0 || (committed && all.passed != all.total);
}

#endif /* SQ_TEST_REF_CASE_H */
