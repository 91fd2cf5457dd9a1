/* nn/compile/compile_certificate.c - what travels in an engine about its numbers of 8 bits, JSON:
 * what it was calibrated by, what each layer and value is, and how good it is on samples held out,
 * for each kind of sample. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/compile/compile_trial.h"

static void put(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value); /* a NULL makes it fail; the dump then lacks the key */
}

/* What is finite; JSON knows no other. */
static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *list_layers(const sq_quant *quant)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < quant->layer_count; i++) {
        const sq_quant_layer *layer = &quant->layers[i];
        json_t *entry = json_object();
        put(entry, "name", json_string(layer->name));
        put(entry, "precision", json_string(layer->on ? "int8" : "fp32"));
        put(entry, "by_rule", json_boolean(layer->fixed));
        if (layer->noise > 0) {
            put(entry, "noise_alone", real(layer->noise));
        }
        json_array_append_new(list, entry);
    }
    return list;
}

static json_t *list_values(const sq_quant *quant)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < quant->value_count; i++) {
        const sq_quant_value *value = &quant->values[i];
        json_t *entry = json_object();
        put(entry, "name", json_string(value->name));
        put(entry, "range_by", json_string(sq_range_name(value->method)));
        put(entry, "low", real((double)value->low));
        put(entry, "high", real((double)value->high));
        put(entry, "clipped", real(value->clipped));
        json_array_append_new(list, entry);
    }
    return list;
}

static json_t *describe(const sq_quality *quality, const char *score_name)
{
    json_t *entry = json_object();
    put(entry, "samples", json_integer((json_int_t)quality->samples));
    put(entry, "psnr_db", real(sq_quality_psnr(quality)));
    if (score_name != NULL) {
        put(entry, "score", json_string(score_name));
        put(entry, "score_fp32", real(sq_quality_score(quality->counts_fp32)));
        put(entry, "score_int8", real(sq_quality_score(quality->counts)));
        put(entry, "score_lost", real(sq_quality_loss(quality)));
    }
    return entry;
}

/* Every kind of sample for itself, those that were calibrated by too: what is not held out and bad
 * is worth knowing as well. PSNR is against the range of all. */
static squall_status list_groups(const sq_calibrator *c, const sq_quality *total, json_t *list,
                                 squall_error *err)
{
    const squall_calibration *given = c->given;
    squall_status status = SQUALL_OK;
    sq_trial trial;
    SQ_TRY(sq_trial_open(c, &c->quant, &trial, err));
    for (size_t first = 0; first < given->sample_count && status == SQUALL_OK; first++) {
        bool seen = false;
        for (size_t s = 0; s < first; s++) {
            seen = seen || strcmp(given->groups[s], given->groups[first]) == 0;
        }
        sq_quality quality = {0};
        size_t out = 0;
        for (size_t s = first; s < given->sample_count && !seen && status == SQUALL_OK; s++) {
            if (strcmp(given->groups[s], given->groups[first]) == 0) {
                status = sq_trial_run(c, &trial, s, NULL, NULL, err);
                if (status == SQUALL_OK) {
                    sq_trial_judge(c, &trial, s, &quality);
                    out += c->held_out[s];
                }
            }
        }
        if (!seen && status == SQUALL_OK) {
            quality.low = total->low;
            quality.high = total->high;
            json_t *entry = describe(&quality, given->score != NULL ? given->score_name : NULL);
            put(entry, "group", json_string(given->groups[first]));
            put(entry, "held_out", json_integer((json_int_t)out));
            json_array_append_new(list, entry);
        }
    }
    sq_trial_close(&trial);
    return status;
}

squall_status sq_certificate_make(const sq_calibrator *c, const sq_quality *total, char **out,
                                  squall_error *err)
{
    squall_status status = SQUALL_OK;
    const squall_calibration *given = c->given;
    json_t *root = json_object(), *groups = json_array();
    put(root, "squall_certificate", json_integer(1));
    put(root, "samples", json_integer((json_int_t)given->sample_count));
    put(root, "verified",
        describe(total, given->score != NULL
                            ? (given->score_name != NULL ? given->score_name : "score")
                            : NULL));
    if (given->groups != NULL) {
        status = list_groups(c, total, groups, err);
    }
    put(root, "groups", groups);
    put(root, "layers", list_layers(&c->quant));
    put(root, "values", list_values(&c->quant));
    if (given->record != NULL) {
        put(root, "data", json_loads(given->record, 0, NULL));
    }
    char *text =
        status == SQUALL_OK ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(root);
    if (status != SQUALL_OK) {
        return status;
    }
    *out = text != NULL ? sq_strdup(text) : NULL;
    free(text);
    if (*out == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "certificate", "no memory for its text");
    }
    return SQUALL_OK;
}
