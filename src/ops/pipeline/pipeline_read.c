/* ops/pipeline/pipeline_read.c - the configuration of a pipeline. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "ops/pipeline/pipeline_private.h"

static const struct {
    const char *key, *standard, *help;
    size_t offset;
} keys[] = {
#define X(key, standard, help) {#key, standard, help, offsetof(sq_pipeline_config, key)},
    SQ_PIPELINE_KEYS(X)
#undef X
};
enum { KEYS = sizeof keys / sizeof keys[0], FILE_BYTES = 1 << 20 };
enum { APART_S = 3600 }; /* what is forecast from a frame reaches so far */

typedef struct reader {
    sq_pipeline_config *config;
    bool given[KEYS];
    char problem[300]; /* the first one */
} reader;

static int on_value(void *user, const char *section, const char *key, const char *value)
{
    reader *r = user;
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].key, key) == 0 && strcmp(section, "pipeline") == 0) {
            if (strlen(value) >= SQ_PIPELINE_TEXT || r->given[i]) {
                snprintf(r->problem, sizeof r->problem, "%s is given twice, or longer than %d", key,
                         SQ_PIPELINE_TEXT - 1);
            }
            snprintf((char *)r->config + keys[i].offset, SQ_PIPELINE_TEXT, "%s", value);
            r->given[i] = true;
            return 1;
        }
    }
    if (r->problem[0] == '\0') {
        snprintf(r->problem, sizeof r->problem, "there is no key '%.60s' in a section [%.60s]", key,
                 section);
    }
    return 1;
}

/* Days that decide must not be days that were learnt from, nor those that chose the best step. */
static squall_status check_times(const sq_pipeline_config *c, const char *path, squall_error *err)
{
    const struct {
        const char *key, *text;
    } all[] = {{"train_from", c->train_from},       {"train_to", c->train_to},
               {"validate_from", c->validate_from}, {"validate_to", c->validate_to},
               {"evaluate_from", c->evaluate_from}, {"evaluate_to", c->evaluate_to}};
    int64_t times[6];
    for (size_t i = 0; i < 6; i++) {
        if (!sq_time_parse(all[i].text, &times[i])) {
            return sq_fail(err, SQUALL_E_FORMAT, path, "%s: '%.60s' is no time", all[i].key,
                           all[i].text);
        }
    }
    if (times[0] >= times[1] || times[2] >= times[3] || times[4] >= times[5]) {
        return sq_fail(err, SQUALL_E_FORMAT, path, "a span ends before it begins");
    }
    for (size_t i = 0; i < 4; i += 2) {
        if (times[i] < times[5] + APART_S && times[4] < times[i + 1] + APART_S) {
            return sq_fail(err, SQUALL_E_FORMAT, path,
                           "%s...%s and the evaluation share time, or are less than an hour "
                           "apart: skill on frames that were learnt from says nothing",
                           all[i].key, all[i + 1].key);
        }
    }
    return SQUALL_OK;
}

squall_status sq_pipeline_read(const char *path, sq_pipeline_config *out, char *hash,
                               squall_error *err)
{
    unsigned char *bytes = NULL, digest[SQ_HASH_BYTES];
    size_t size = 0;
    reader r = {.config = out};
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < KEYS; i++) {
        snprintf((char *)out + keys[i].offset, SQ_PIPELINE_TEXT, "%s",
                 keys[i].standard != NULL ? keys[i].standard : "");
    }
    SQ_TRY(sq_file_read(path, FILE_BYTES, &bytes, &size, err));
    sq_hash(bytes, size, digest);
    sq_hash_format(digest, hash);
    const int line = ini_parse_string((const char *)bytes, on_value, &r);
    sq_free(bytes);
    if (line != 0) {
        return sq_fail(err, SQUALL_E_FORMAT, path,
                       "line %d is neither [pipeline], key = value nor a comment", line);
    }
    for (size_t i = 0; i < KEYS && r.problem[0] == '\0'; i++) {
        if (keys[i].standard == NULL && !r.given[i]) {
            snprintf(r.problem, sizeof r.problem, "%s must be given", keys[i].key);
        }
    }
    if (r.problem[0] != '\0') {
        return sq_fail(err, SQUALL_E_FORMAT, path, "%s", r.problem);
    }
    return check_times(out, path, err);
}

void sq_pipeline_describe(sq_text *out)
{
    sq_text_add(out, "| key | default | what |\n|---|---|---|\n");
    for (size_t i = 0; i < KEYS; i++) {
        const char *standard = keys[i].standard;
        sq_text_add(out, "| `%s` | %s%s%s | %s |\n", keys[i].key,
                    standard != NULL && standard[0] != '\0' ? "`" : "",
                    standard != NULL ? standard : "must be given",
                    standard != NULL && standard[0] != '\0' ? "`" : "", keys[i].help);
    }
}
