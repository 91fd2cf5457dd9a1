/* wx/feature/feature_recipe.c - recipes: JSON in, every key checked; see docs/recipe.md. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "wx/feature/feature.h"

#define MAX_TEXT_BYTES ((size_t)1 << 20)

/* Where in the recipe a message points. */
typedef struct spot {
    const char *name; /* of the recipe */
    char path[96];    /* "inputs[3].time_s" */
    squall_error *err;
} spot;

__attribute__((format(printf, 2, 3))) static squall_status refuse(const spot *at,
                                                                  const char *format, ...)
{
    char where[160], text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(where, sizeof where, "%s:%s", at->name, at->path);
    return sq_fail(at->err, SQUALL_E_FORMAT, where, "%s", text);
}

/* Every key of `object` must be one of `allowed` ("a b c "): a misspelt key must not pass in
 * silence. */
static squall_status check_keys(json_t *object, const char *allowed, spot *at)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object)) {
        return refuse(at, "must be an object");
    }
    json_object_foreach(object, key, value)
    {
        char wanted[64];
        snprintf(wanted, sizeof wanted, " %.60s ", key);
        if (strstr(allowed, wanted) == NULL) {
            return refuse(at, "unknown key '%.40s'; allowed are:%s", key, allowed);
        }
    }
    return SQUALL_OK;
}

static squall_status get_number(json_t *object, const char *key, double otherwise, double low,
                                double high, double *out, const spot *at)
{
    json_t *value = json_object_get(object, key);
    if (value == NULL) {
        *out = otherwise;
        return SQUALL_OK;
    }
    const double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= low && number <= high)) {
        return refuse(at, "'%s' must be a number from %g to %g", key, low, high);
    }
    *out = number;
    return SQUALL_OK;
}

static squall_status get_seconds(json_t *object, const char *key, int32_t low, int32_t high,
                                 int32_t *out, const spot *at)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < low ||
        json_integer_value(value) > high) {
        return refuse(at, "'%s' must be a whole number of seconds from %d to %d", key, low, high);
    }
    *out = (int32_t)json_integer_value(value);
    return SQUALL_OK;
}

static squall_status get_name(json_t *object, const char *key, const char *otherwise, char *out,
                              const spot *at)
{
    json_t *value = json_object_get(object, key);
    if (value == NULL && otherwise != NULL) {
        snprintf(out, SQ_RECIPE_NAME, "%s", otherwise);
        return SQUALL_OK;
    }
    if (!json_is_string(value) || json_string_length(value) == 0 ||
        json_string_length(value) >= SQ_RECIPE_NAME) {
        return refuse(at, "'%s' must be a text of 1 to %d bytes", key, SQ_RECIPE_NAME - 1);
    }
    snprintf(out, SQ_RECIPE_NAME, "%s", json_string_value(value));
    return SQUALL_OK;
}

static squall_status parse_transform(const char *name, json_t *object, sq_transform *out, spot *at)
{
    char curve[SQ_RECIPE_NAME];
    snprintf(at->path, sizeof at->path, "transforms.%.60s", name);
    SQ_TRY(check_keys(object,
                      " curve min max epsilon threshold_mm_h zero_dbr mean scale dry_below ", at));
    if (strlen(name) >= SQ_RECIPE_NAME) {
        return refuse(at, "a name has at most %d bytes", SQ_RECIPE_NAME - 1);
    }
    snprintf(out->name, sizeof out->name, "%s", name);
    SQ_TRY(get_name(object, "curve", NULL, curve, at));
    out->curve = strcmp(curve, "linear") == 0 ? SQ_CURVE_LINEAR
                 : strcmp(curve, "log") == 0  ? SQ_CURVE_LOG
                 : strcmp(curve, "dbr") == 0  ? SQ_CURVE_DBR
                                              : 0;
    if (out->curve == 0) {
        return refuse(at, "'curve' must be linear, log or dbr, not '%s'", curve);
    }
    SQ_TRY(get_number(object, "min", 0.0, -1e9, 1e9, &out->min, at));
    SQ_TRY(get_number(object, "max", 1e9, -1e9, 1e9, &out->max, at));
    SQ_TRY(get_number(object, "epsilon", 0.1, 1e-9, 1e9, &out->epsilon, at));
    SQ_TRY(get_number(object, "threshold_mm_h", 0.1, 1e-9, 1e9, &out->threshold, at));
    SQ_TRY(get_number(object, "zero_dbr", -15.0, -1e3, 1e3, &out->zero_dbr, at));
    SQ_TRY(get_number(object, "mean", 0.0, -1e9, 1e9, &out->mean, at));
    SQ_TRY(get_number(object, "scale", 1.0, 1e-9, 1e9, &out->scale, at));
    SQ_TRY(get_number(object, "dry_below", 0.0, -1e9, 1e9, &out->dry_below, at));
    if (out->min >= out->max) {
        return refuse(at, "'min' %g is not below 'max' %g", out->min, out->max);
    }
    if (out->curve == SQ_CURVE_LOG && out->min + out->epsilon <= 0.0) {
        return refuse(at, "'min' %g + 'epsilon' %g has no logarithm", out->min, out->epsilon);
    }
    return SQUALL_OK;
}

static squall_status find_transform(const squall_recipe *recipe, json_t *object, int *out,
                                    const spot *at)
{
    char name[SQ_RECIPE_NAME];
    SQ_TRY(get_name(object, "transform", recipe->transforms[0].name, name, at));
    for (size_t i = 0; i < recipe->transform_count; i++) {
        if (strcmp(recipe->transforms[i].name, name) == 0) {
            *out = (int)i;
            return SQUALL_OK;
        }
    }
    return refuse(at, "'transform' names '%s', which 'transforms' does not have", name);
}

static const struct {
    const char *name;
    sq_channel_kind kind;
    size_t width; /* tensor channels it takes */
} kinds[] = {
    {"field", SQ_CHANNEL_FIELD, 1},     {"coverage", SQ_CHANNEL_COVERAGE, 1},
    {"quality", SQ_CHANNEL_QUALITY, 1}, {"time_of_day", SQ_CHANNEL_TIME_OF_DAY, 2},
    {"season", SQ_CHANNEL_SEASON, 2},   {"motion", SQ_CHANNEL_MOTION, 2},
};

static squall_status parse_channel(squall_recipe *recipe, size_t index, json_t *object, spot *at)
{
    sq_channel *channel = &recipe->channels[index];
    char kind[SQ_RECIPE_NAME];
    snprintf(at->path, sizeof at->path, "inputs[%zu]", index);
    SQ_TRY(check_keys(object, " kind source time_s static required transform ", at));
    SQ_TRY(get_name(object, "kind", "field", kind, at));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, kind) == 0) {
            channel->kind = kinds[i].kind;
            recipe->input_channels += kinds[i].width;
        }
    }
    if (channel->kind == 0) {
        return refuse(at,
                      "'kind' must be field, coverage, quality, time_of_day, season or motion, "
                      "not '%s'",
                      kind);
    }
    SQ_TRY(get_name(object, "source", "radar", channel->source, at));
    SQ_TRY(find_transform(recipe, object, &channel->transform, at));
    json_t *fixed = json_object_get(object, "static");
    json_t *required = json_object_get(object, "required");
    if ((fixed != NULL && !json_is_boolean(fixed)) ||
        (required != NULL && !json_is_boolean(required))) {
        return refuse(at, "'static' and 'required' are true or false");
    }
    channel->fixed = json_is_true(fixed);
    channel->required =
        required != NULL ? json_is_true(required) : strcmp(channel->source, "radar") == 0;
    if (json_object_get(object, "time_s") != NULL) {
        SQ_TRY(get_seconds(object, "time_s", -86400, 0, &channel->time_s, at));
    }
    return SQUALL_OK;
}

/* The rates whose probabilities the network gives, if any. */
static squall_status parse_thresholds(squall_recipe *recipe, json_t *list, const spot *at)
{
    const size_t count = json_array_size(list);
    if (list == NULL) {
        return SQUALL_OK;
    }
    if (count == 0 || count > SQ_RECIPE_THRESHOLDS) {
        return refuse(at, "'thresholds_mm_h' must be a list of 1 to %d rates",
                      SQ_RECIPE_THRESHOLDS);
    }
    for (size_t i = 0; i < count; i++) {
        const double rate = json_number_value(json_array_get(list, i));
        if (!json_is_number(json_array_get(list, i)) || !(rate > 0.0 && rate <= 1000.0) ||
            (i > 0 && (float)rate <= recipe->thresholds_mm_h[i - 1])) {
            return refuse(at, "'thresholds_mm_h' must ascend, above 0 and up to 1000 mm/h");
        }
        recipe->thresholds_mm_h[i] = (float)rate;
    }
    recipe->threshold_count = count;
    return SQUALL_OK;
}

static squall_status parse_outputs(squall_recipe *recipe, json_t *object, spot *at)
{
    snprintf(at->path, sizeof at->path, "outputs");
    SQ_TRY(check_keys(object, " leads_s transform matched thresholds_mm_h ", at));
    json_t *matched = json_object_get(object, "matched");
    if (matched != NULL && !json_is_boolean(matched)) {
        return refuse(at, "'matched' is true or false");
    }
    recipe->matched = json_is_true(matched);
    SQ_TRY(parse_thresholds(recipe, json_object_get(object, "thresholds_mm_h"), at));
    json_t *leads = json_object_get(object, "leads_s");
    const size_t count = json_array_size(leads);
    if (count == 0 || count > SQ_RECIPE_CHANNELS) {
        return refuse(at, "'leads_s' must be a list of 1 to %d lead times", SQ_RECIPE_CHANNELS);
    }
    recipe->leads_s = sq_alloc(count, sizeof *recipe->leads_s);
    if (recipe->leads_s == NULL) {
        return sq_fail(at->err, SQUALL_E_MEMORY, at->name, "no memory for the lead times");
    }
    recipe->lead_count = count;
    for (size_t i = 0; i < count; i++) {
        json_t *value = json_array_get(leads, i);
        const json_int_t lead = json_integer_value(value);
        if (!json_is_integer(value) || lead < 1 || lead > 21600 ||
            (i > 0 && lead <= recipe->leads_s[i - 1])) {
            return refuse(at, "'leads_s' must ascend, in whole seconds from 1 to 21600");
        }
        recipe->leads_s[i] = (int32_t)lead;
    }
    return find_transform(recipe, object, &recipe->output_transform, at);
}

static squall_status parse_transforms(squall_recipe *recipe, json_t *object, spot *at)
{
    const char *key;
    json_t *value;
    const size_t count = json_object_size(object);
    snprintf(at->path, sizeof at->path, "transforms");
    if (count == 0 || count > SQ_RECIPE_CHANNELS) {
        return refuse(at, "must be an object of 1 to %d transforms", SQ_RECIPE_CHANNELS);
    }
    recipe->transforms = sq_alloc(count, sizeof *recipe->transforms);
    if (recipe->transforms == NULL) {
        return sq_fail(at->err, SQUALL_E_MEMORY, at->name, "no memory for the transforms");
    }
    json_object_foreach(object, key, value)
    {
        SQ_TRY(parse_transform(key, value, &recipe->transforms[recipe->transform_count], at));
        recipe->transform_count++;
    }
    return SQUALL_OK;
}

static squall_status parse_inputs(squall_recipe *recipe, json_t *list, spot *at)
{
    const size_t count = json_array_size(list);
    snprintf(at->path, sizeof at->path, "inputs");
    if (count == 0 || count > SQ_RECIPE_CHANNELS) {
        return refuse(at, "must be a list of 1 to %d channels", SQ_RECIPE_CHANNELS);
    }
    recipe->channels = sq_alloc(count, sizeof *recipe->channels);
    if (recipe->channels == NULL) {
        return sq_fail(at->err, SQUALL_E_MEMORY, at->name, "no memory for the channels");
    }
    recipe->channel_count = count;
    for (size_t i = 0; i < count; i++) {
        SQ_TRY(parse_channel(recipe, i, json_array_get(list, i), at));
    }
    return SQUALL_OK;
}

static squall_status parse_root(squall_recipe *recipe, json_t *root, spot *at)
{
    char frame[SQ_RECIPE_NAME];
    double number = 0;
    snprintf(at->path, sizeof at->path, "(top)");
    SQ_TRY(check_keys(root,
                      " squall_recipe name frame multiple cell_m tolerance_s transforms inputs "
                      "outputs ",
                      at));
    const json_int_t version = json_integer_value(json_object_get(root, "squall_recipe"));
    if (version != SQUALL_RECIPE_VERSION) {
        return sq_fail(at->err, SQUALL_E_VERSION, at->name,
                       "recipe version %lld; this squall reads version %d", (long long)version,
                       SQUALL_RECIPE_VERSION);
    }
    SQ_TRY(get_name(root, "name", NULL, recipe->name, at));
    SQ_TRY(get_name(root, "frame", "fixed", frame, at));
    if (strcmp(frame, "fixed") != 0 && strcmp(frame, "moving") != 0) {
        return refuse(at, "'frame' must be fixed or moving, not '%s'", frame);
    }
    recipe->moving = strcmp(frame, "moving") == 0;
    SQ_TRY(get_number(root, "multiple", 1, 1, 256, &number, at));
    recipe->multiple = (uint32_t)number;
    SQ_TRY(get_number(root, "cell_m", 0, 0, 1e6, &recipe->cell_m, at));
    SQ_TRY(get_seconds(root, "tolerance_s", 0, 86400, &recipe->tolerance_s, at));
    SQ_TRY(parse_transforms(recipe, json_object_get(root, "transforms"), at));
    SQ_TRY(parse_inputs(recipe, json_object_get(root, "inputs"), at));
    SQ_TRY(parse_outputs(recipe, json_object_get(root, "outputs"), at));
    const size_t outputs = recipe->lead_count * (1 + recipe->threshold_count);
    if (recipe->input_channels > SQ_RECIPE_CHANNELS || outputs > SQ_RECIPE_CHANNELS) {
        return sq_fail(at->err, SQUALL_E_LIMIT, at->name, "%zu channels in, %zu out; at most %d",
                       recipe->input_channels, outputs, SQ_RECIPE_CHANNELS);
    }
    return SQUALL_OK;
}

squall_status squall_recipe_parse(const char *text, size_t length, const char *name,
                                  squall_recipe **out, squall_error *err)
{
    squall_status status;
    json_error_t problem;
    spot at = {.name = name, .err = err};
    squall_recipe *recipe = NULL;
    if (length > MAX_TEXT_BYTES) {
        return sq_fail(err, SQUALL_E_LIMIT, name, "%zu bytes; a recipe has at most %zu", length,
                       MAX_TEXT_BYTES);
    }
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
    if (root == NULL) {
        return sq_fail(err, SQUALL_E_FORMAT, name, "is no JSON: line %d, %s", problem.line,
                       problem.text);
    }
    recipe = sq_alloc(1, sizeof *recipe);
    if (recipe == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, name, "no memory for the recipe");
        goto done;
    }
    SQ_TRY_GOTO(parse_root(recipe, root, &at));
    *out = recipe;
    recipe = NULL;
done:
    squall_recipe_destroy(&recipe);
    json_decref(root);
    return status;
}

void squall_recipe_destroy(squall_recipe **recipe)
{
    if (recipe == NULL || *recipe == NULL) {
        return;
    }
    sq_free((*recipe)->transforms);
    sq_free((*recipe)->channels);
    sq_free((*recipe)->leads_s);
    sq_free(*recipe);
    *recipe = NULL;
}

const char *squall_recipe_name(const squall_recipe *recipe)
{
    return recipe->name;
}

size_t squall_recipe_input_channels(const squall_recipe *recipe)
{
    return recipe->input_channels;
}

size_t squall_recipe_output_channels(const squall_recipe *recipe)
{
    return recipe->lead_count;
}

bool squall_recipe_has_chances(const squall_recipe *recipe)
{
    return recipe->threshold_count > 0;
}

int32_t squall_recipe_lead_s(const squall_recipe *recipe, size_t index)
{
    return index < recipe->lead_count ? recipe->leads_s[index] : 0;
}

int32_t squall_recipe_earliest_s(const squall_recipe *recipe)
{
    int32_t earliest = 0;
    for (size_t i = 0; i < recipe->channel_count; i++) {
        earliest = recipe->channels[i].time_s < earliest ? recipe->channels[i].time_s : earliest;
    }
    return earliest;
}

int32_t squall_recipe_tolerance_s(const squall_recipe *recipe)
{
    return recipe->tolerance_s;
}

double squall_recipe_cell_m(const squall_recipe *recipe)
{
    return recipe->cell_m;
}

static void shape(const squall_recipe *recipe, size_t channels, size_t height, size_t width,
                  squall_tensor *out)
{
    const int64_t multiple = recipe->multiple;
    memset(out, 0, sizeof *out);
    out->dtype = SQUALL_F32;
    out->layout = SQUALL_PLAIN;
    out->rank = 4;
    out->dims[0] = 1;
    out->dims[1] = (int64_t)channels;
    out->dims[2] = ((int64_t)height + multiple - 1) / multiple * multiple;
    out->dims[3] = ((int64_t)width + multiple - 1) / multiple * multiple;
}

void squall_recipe_input_shape(const squall_recipe *recipe, size_t height, size_t width,
                               squall_tensor *out)
{
    shape(recipe, recipe->input_channels, height, width, out);
}

void squall_recipe_output_shape(const squall_recipe *recipe, size_t height, size_t width,
                                squall_tensor *out)
{
    shape(recipe, recipe->lead_count * (1 + recipe->threshold_count), height, width, out);
}
