/* cli/cli_samples.c - samples for numbers of 8 bits: a list of them, and .npy files as such. */
#include "cli/cli_samples.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_npy.h"

enum { MOST_FILES = 4096 };

void cli_samples_init(cli_samples_options *options)
{
    *options = (cli_samples_options){
        .cover = "regime,wet,maximum", .samples = 32, .size = 256, .every_s = 1800, .least = 2};
}

bool cli_samples_grow(cli_samples *c)
{
    if (c->count < c->capacity) {
        return true;
    }
    const size_t capacity = c->capacity > 0 ? 2 * c->capacity : 32;
    void *grown;
#define GROW(array)                                                     \
    grown = sq_regrow((array), c->capacity, capacity, sizeof *(array)); \
    if (grown == NULL) {                                                \
        return false;                                                   \
    }                                                                   \
    (array) = grown;
    GROW(c->inputs)
    GROW(c->targets)
    GROW(c->weights)
    GROW(c->groups)
    GROW(c->held_out)
#undef GROW
    c->capacity = capacity;
    return true;
}

void cli_samples_close(cli_samples *c)
{
    for (size_t i = 0; i < c->count; i++) {
        sq_tensor_free(&c->inputs[i]);
        sq_tensor_free(&c->targets[i]);
        sq_tensor_free(&c->weights[i]);
        sq_free(c->groups[i]);
    }
    sq_free(c->inputs);
    sq_free(c->targets);
    sq_free(c->weights);
    sq_free(c->groups);
    sq_free(c->held_out);
    sq_free(c->record);
    memset(c, 0, sizeof *c);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of the .npy files of a folder, sorted; each and the list are given. */
static squall_status list_files(const char *path, char ***out, size_t *count, squall_error *err)
{
    DIR *folder = opendir(path);
    char **names = sq_alloc(MOST_FILES, sizeof *names);
    const struct dirent *entry;
    *count = 0;
    if (folder == NULL || names == NULL) {
        if (folder != NULL) {
            closedir(folder);
        }
        sq_free(names);
        return sq_fail(err, SQUALL_E_IO, path, "cannot be opened as a folder");
    }
    while ((entry = readdir(folder)) != NULL && *count < MOST_FILES) {
        const size_t length = strlen(entry->d_name);
        if (length > 4 && strcmp(entry->d_name + length - 4, ".npy") == 0 &&
            (names[*count] = sq_strdup(entry->d_name)) != NULL) {
            ++*count;
        }
    }
    closedir(folder);
    qsort(names, *count, sizeof *names, by_name);
    *out = names;
    return SQUALL_OK;
}

/* Every file is one sample of the model's one input. */
static squall_status read_arrays(const cli_samples_options *options, cli_samples *out,
                                 squall_error *err)
{
    char **names = NULL, path[4096];
    size_t count = 0;
    const char *folder = options->paths.items[0];
    squall_status status;
    SQ_TRY(list_files(folder, &names, &count, err));
    status = count >= 2 ? SQUALL_OK
                        : sq_fail(err, SQUALL_E_NO_DATA, folder,
                                  "holds %zu .npy files; without a recipe each is one input of the "
                                  "model, and at least 2 are needed",
                                  count);
    for (size_t i = 0; i < count && status == SQUALL_OK; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (!cli_samples_grow(out)) {
            status = sq_fail(err, SQUALL_E_MEMORY, path, "no memory for it");
            break;
        }
        status = cli_npy_read(path, &out->inputs[out->count], err);
        if (status == SQUALL_OK) {
            out->held_out[out->count] = i % 4 == 3 || (count < 4 && i + 1 == count);
            out->groups[out->count] = sq_strdup("array");
            out->count++;
        }
    }
    for (size_t i = 0; i < count; i++) {
        sq_free(names[i]);
    }
    sq_free(names);
    return status;
}

/* CSI of what the network gives, against what came: right, missed and false cells. */
static void score(void *self, size_t sample, const squall_tensor *outputs, size_t output_count,
                  double counts[3])
{
    const cli_samples *c = self;
    const squall_tensor *target = &c->targets[sample];
    const size_t count = squall_tensor_count(target);
    if (output_count != 1 || squall_tensor_count(&outputs[0]) != count) {
        return;
    }
    const float *got = outputs[0].data, *want = target->data, *weight = c->weights[sample].data;
    for (size_t i = 0; i < count; i++) {
        const bool rain = want[i] >= c->threshold, said = got[i] >= c->threshold;
        if (weight[i] > 0 && (rain || said)) {
            counts[rain && said ? 0 : rain ? 1 : 2]++;
        }
    }
}

squall_status cli_samples_open(const cli_samples_options *options, const cli_input *input,
                               const char *recipe, size_t recipe_length, squall_notes *notes,
                               cli_samples *out, squall_error *err)
{
    memset(out, 0, sizeof *out);
    const squall_status status =
        recipe != NULL ? cli_samples_radar(options, input, recipe, recipe_length, notes, out, err)
                       : read_arrays(options, out, err);
    if (status != SQUALL_OK) {
        cli_samples_close(out);
        return status;
    }
    squall_calibration_init(&out->given);
    out->given.sample_count = out->count;
    out->given.inputs = out->inputs;
    out->given.groups = (const char *const *)out->groups;
    out->given.held_out = out->held_out;
    out->given.record = out->record;
    if (recipe != NULL) {
        out->given.score = score;
        out->given.self = out;
        out->given.score_name = "CSI at 1 mm/h, all lead times";
    }
    return SQUALL_OK;
}
