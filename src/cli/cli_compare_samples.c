/* cli/cli_compare_samples.c - samples for squall compare from .npy files. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_compare.h"
#include "cli/cli_npy.h"

enum { MAX_PORTS = 16 };

static void free_tensors(squall_tensor *tensors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sq_free(tensors[i].data);
    }
}

static squall_status read_tensors(char *const *paths, size_t count, squall_tensor *out,
                                  squall_error *err)
{
    memset(out, 0, count * sizeof *out);
    for (size_t i = 0; i < count; i++) {
        SQ_TRY(cli_npy_read(paths[i], &out[i], err));
    }
    return SQUALL_OK;
}

/* Add one sample: a file for each input of the engine and, unless `references` is NULL, one for
 * each output. */
static squall_status add_sample(cli_comparing *c, char *const *inputs, char *const *references,
                                squall_error *err)
{
    squall_tensor tensors[MAX_PORTS];
    const size_t count = squall_engine_input_count(c->engine);
    const size_t output_count = squall_engine_output_count(c->engine);
    squall_status status = read_tensors(inputs, count, tensors, err);
    if (status == SQUALL_OK) {
        status = squall_comparison_add(c->comparison, tensors, count, err);
    }
    free_tensors(tensors, count);
    if (status != SQUALL_OK || references == NULL) {
        return status;
    }
    status = read_tensors(references, output_count, tensors, err);
    if (status == SQUALL_OK) {
        status = squall_comparison_add_reference(c->comparison, tensors, output_count, err);
    }
    free_tensors(tensors, output_count);
    return status;
}

static squall_status check_ports(const cli_comparing *c, squall_error *err)
{
    const size_t inputs = squall_engine_input_count(c->engine);
    const size_t outputs = squall_engine_output_count(c->engine);
    if (inputs > MAX_PORTS || outputs > MAX_PORTS) {
        return sq_fail(err, SQUALL_E_LIMIT, "engine",
                       "has %zu inputs and %zu outputs; at most %d of each are compared", inputs,
                       outputs, MAX_PORTS);
    }
    return SQUALL_OK;
}

squall_status cli_compare_inputs(cli_comparing *c, squall_error *err)
{
    const cli_list *inputs = &c->want->inputs, *references = &c->want->references;
    SQ_TRY(check_ports(c, err));
    if (inputs->count != squall_engine_input_count(c->engine)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "--input", "%zu files; the engine has %zu inputs",
                       inputs->count, squall_engine_input_count(c->engine));
    }
    if (references->count > 0 && references->count != squall_engine_output_count(c->engine)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "--reference",
                       "%zu files; the engine has %zu outputs", references->count,
                       squall_engine_output_count(c->engine));
    }
    char *in[MAX_PORTS], *out[MAX_PORTS];
    for (size_t i = 0; i < inputs->count; i++) {
        in[i] = (char *)(uintptr_t)inputs->items[i];
    }
    for (size_t i = 0; i < references->count; i++) {
        out[i] = (char *)(uintptr_t)references->items[i];
    }
    c->samples = 1;
    return add_sample(c, in, references->count > 0 ? out : NULL, err);
}

/* ------------------------------------------------------------ a folder */

static int is_npy(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name);
    return length > 4 && strcmp(entry->d_name + length - 4, ".npy") == 0;
}

bool cli_compare_has_samples(const char *folder)
{
    struct dirent **entries = NULL;
    const int found = scandir(folder, &entries, is_npy, alphasort);
    for (int k = 0; k < found; k++) {
        free(entries[k]);
    }
    free(entries);
    return found > 0;
}

typedef squall_status port(const squall_engine *engine, size_t profile, size_t index,
                           const char **name, squall_tensor *type, squall_error *err);

/* The files of one sample: FOLDER/SAMPLE.npy for one port, FOLDER/SAMPLE.PORT.npy for several. */
static bool name_files(const cli_comparing *c, const char *folder, const char *sample, int length,
                       port *find, size_t count, char **paths)
{
    for (size_t i = 0; i < count; i++) {
        const char *name;
        squall_error err;
        const int made = count == 1 ? asprintf(&paths[i], "%s/%.*s.npy", folder, length, sample)
                         : find(c->engine, 0, i, &name, NULL, &err) == SQUALL_OK
                             ? asprintf(&paths[i], "%s/%.*s.%s.npy", folder, length, sample, name)
                             : -1;
        if (made < 0) {
            paths[i] = NULL;
            return false;
        }
    }
    return true;
}

/* Characters of the sample's name in that of the file of its first input; 0 when it is another
 * file's. */
static int sample_length(const cli_comparing *c, const char *entry)
{
    char suffix[160] = ".npy";
    const char *first;
    squall_error err;
    if (squall_engine_input_count(c->engine) > 1) {
        if (squall_engine_input(c->engine, 0, 0, &first, NULL, &err) != SQUALL_OK) {
            return 0;
        }
        snprintf(suffix, sizeof suffix, ".%.140s.npy", first);
    }
    const size_t whole = strlen(entry), end = strlen(suffix);
    return whole > end && strcmp(entry + whole - end, suffix) == 0 ? (int)(whole - end) : 0;
}

static squall_status add_entry(cli_comparing *c, const char *entry, squall_error *err)
{
    const int length = sample_length(c, entry);
    const char *elsewhere = c->want->references.count > 0 ? c->want->references.items[0] : NULL;
    char *in[MAX_PORTS] = {NULL}, *out[MAX_PORTS] = {NULL};
    squall_status status = SQUALL_OK;
    if (length == 0) {
        return SQUALL_OK;
    }
    if (!name_files(c, c->want->data, entry, length, squall_engine_input,
                    squall_engine_input_count(c->engine), in) ||
        (elsewhere != NULL && !name_files(c, elsewhere, entry, length, squall_engine_output,
                                          squall_engine_output_count(c->engine), out))) {
        status = sq_fail(err, SQUALL_E_MEMORY, entry, "no memory for its names");
    } else {
        status = add_sample(c, in, elsewhere != NULL ? out : NULL, err);
        c->samples++;
    }
    for (size_t i = 0; i < MAX_PORTS; i++) {
        free(in[i]);
        free(out[i]);
    }
    return status;
}

squall_status cli_compare_folder(cli_comparing *c, squall_error *err)
{
    const char *folder = c->want->data;
    struct dirent **entries = NULL;
    SQ_TRY(check_ports(c, err));
    if (c->want->references.count > 1) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "--reference",
                       "with --data it names one folder; %zu are given", c->want->references.count);
    }
    const int found = scandir(folder, &entries, is_npy, alphasort);
    squall_status status = SQUALL_OK;
    for (int k = 0; k < found; k++) {
        if (status == SQUALL_OK) {
            status = add_entry(c, entries[k]->d_name, err);
            cli_progress("compare", (size_t)k + 1, (size_t)found);
        }
        free(entries[k]);
    }
    free(entries);
    if (status == SQUALL_OK && c->samples == 0) {
        status = sq_fail(err, SQUALL_E_NO_DATA, folder,
                         "holds no sample: SAMPLE.npy files are needed, or SAMPLE.INPUT.npy for "
                         "each of several inputs");
    }
    return status;
}
