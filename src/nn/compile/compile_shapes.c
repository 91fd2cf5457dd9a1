/* nn/compile/compile_shapes.c - concrete shapes for the inputs of one profile. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/compile/compile_internal.h"

static bool same_name(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* The shape that belongs to input `name` in `profile`: the profile-th under that name, or the last
 * one; NULL when there is none. */
static const squall_input_shape *find_shape(const squall_build_options *options, const char *name,
                                            uint32_t profile)
{
    const squall_input_shape *found = NULL;
    uint32_t seen = 0;
    for (size_t i = 0; i < options->shape_count && seen <= profile; i++) {
        if (same_name(options->shapes[i].name, name)) {
            found = &options->shapes[i];
            seen++;
        }
    }
    return found;
}

uint32_t sq_compile_profiles(const squall_build_options *options)
{
    uint32_t most = 1;
    for (size_t i = 0; i < options->shape_count; i++) {
        uint32_t count = 0;
        for (size_t j = 0; j < options->shape_count; j++) {
            count += same_name(options->shapes[j].name, options->shapes[i].name);
        }
        most = count > most ? count : most;
    }
    const size_t buckets = options->bucket_count > 0 ? options->bucket_count : 1;
    return buckets <= SQ_LIMIT_PROFILES ? most * (uint32_t)buckets : UINT32_MAX;
}

/* "'x' float32[N,4,256,256]" for messages, and "x=1x4x256x256" as what to pass. */
static void describe(const sq_value *value, char *text, size_t room, char *example,
                     size_t example_room)
{
    size_t used = (size_t)snprintf(text, room, "'%.60s' %s[", value->name,
                                   squall_dtype_name(value->type.dtype));
    size_t shown = (size_t)snprintf(example, example_room, "%.60s=", value->name);
    for (uint32_t d = 0; d < value->type.rank; d++) {
        const int64_t size = value->type.dims[d];
        char number[24];
        snprintf(number, sizeof number, "%" PRId64, size);
        const char *symbol = value->symbols[d] != NULL ? value->symbols[d] : "?";
        used += (size_t)snprintf(text + used, room - used, "%s%.16s", d > 0 ? "," : "",
                                 size >= 0 ? number : symbol);
        /* A batch of one; a size that is common for a radar grid. */
        shown +=
            (size_t)snprintf(example + shown, example_room - shown, "%s%.16s", d > 0 ? "x" : "",
                             size >= 0 ? number
                             : d == 0  ? "1"
                                       : "256");
    }
    snprintf(text + used, room - used, "]");
}

static squall_status check_names(const sq_graph *graph, const squall_build_options *options,
                                 squall_error *err)
{
    for (size_t i = 0; i < options->shape_count; i++) {
        const char *name = options->shapes[i].name;
        bool known = name == NULL && graph->input_count == 1;
        for (uint32_t k = 0; k < graph->input_count; k++) {
            known = known || same_name(graph->values[graph->inputs[k]].name, name);
        }
        if (!known) {
            return sq_fail(err, SQUALL_E_ARGUMENT, name != NULL ? name : "shape",
                           "a shape is given for an input that the model has not got; its %" PRIu32
                           " inputs begin with '%.60s'",
                           graph->input_count,
                           graph->input_count > 0 ? graph->values[graph->inputs[0]].name : "");
        }
    }
    return SQUALL_OK;
}

/* Whether a size that has no number here has one at another input, by its name. */
static bool known_elsewhere(const sq_graph *graph, const char *symbol)
{
    for (uint32_t k = 0; symbol != NULL && k < graph->input_count; k++) {
        const sq_value *other = &graph->values[graph->inputs[k]];
        for (uint32_t d = 0; d < other->type.rank; d++) {
            if (other->type.dims[d] >= 0 && same_name(other->symbols[d], symbol)) {
                return true;
            }
        }
    }
    return false;
}

/* Batches of an input of which nothing else is open and nothing is said. */
static const int64_t usual_batches[] = {
    [SQ_BATCH_MIN] = 1, [SQ_BATCH_PLANNED] = 8, [SQ_BATCH_MAX] = 32};

/* The sizes that a caller's shape means for an input, those that are open -1. */
static squall_status read_shape(const sq_value *value, const squall_input_shape *shape,
                                sq_batch which, int64_t *dims, uint32_t *rank, squall_error *err)
{
    const bool range = shape->batch_min != 0 || shape->batch_max != 0;
    if (range && (shape->rank < 1 || shape->batch_min < 1 || shape->dims[0] < shape->batch_min ||
                  shape->batch_max < shape->dims[0])) {
        return sq_fail(err, SQUALL_E_ARGUMENT, value->name,
                       "batches %" PRId64 ":%" PRId64 ":%" PRId64 " are no range; least, usual and "
                       "most must ascend from 1",
                       shape->batch_min, shape->rank > 0 ? shape->dims[0] : 0, shape->batch_max);
    }
    *rank = range && shape->rank == 1 ? value->type.rank : shape->rank;
    for (uint32_t d = 0; d < *rank && d < SQUALL_MAX_DIMS; d++) {
        dims[d] = d < shape->rank ? shape->dims[d] : value->type.dims[d];
    }
    if (range && which != SQ_BATCH_PLANNED) {
        dims[0] = which == SQ_BATCH_MIN ? shape->batch_min : shape->batch_max;
    }
    return SQUALL_OK;
}

/* Height and width of a bucket where they are open. */
static void use_bucket(const squall_build_options *options, uint32_t profile, int64_t *dims,
                       uint32_t rank)
{
    if (options->bucket_count > 0 && rank >= 2) {
        const squall_bucket *bucket = &options->buckets[profile % options->bucket_count];
        dims[rank - 2] = dims[rank - 2] < 0 ? bucket->height : dims[rank - 2];
        dims[rank - 1] = dims[rank - 1] < 0 ? bucket->width : dims[rank - 1];
    }
}

static bool complete(const int64_t *dims, uint32_t rank, uint32_t from)
{
    for (uint32_t d = from; d < rank; d++) {
        if (dims[d] < 0) {
            return false;
        }
    }
    return true;
}

/* Shapes that were asked for, and buckets. */
static squall_status set_given(sq_graph *graph, const squall_build_options *options,
                               uint32_t profile, sq_batch which, squall_error *err)
{
    const uint32_t buckets = options->bucket_count > 0 ? (uint32_t)options->bucket_count : 1;
    for (uint32_t k = 0; k < graph->input_count; k++) {
        sq_value *value = &graph->values[graph->inputs[k]];
        int64_t dims[SQUALL_MAX_DIMS];
        uint32_t rank = value->type.rank;
        memcpy(dims, value->type.dims, sizeof dims);
        const squall_input_shape *shape = find_shape(options, value->name, profile / buckets);
        if (shape == NULL && graph->input_count == 1) {
            shape = find_shape(options, NULL, profile / buckets);
        }
        if (shape != NULL) {
            SQ_TRY(read_shape(value, shape, which, dims, &rank, err));
        }
        use_bucket(options, profile, dims, rank);
        for (uint32_t d = 0; shape == NULL && d < rank; d++) {
            value->type.dims[d] = dims[d]; /* of the bucket; the batch may still be open */
        }
        if (complete(dims, rank, 0) && rank > 0) {
            SQ_TRY(sq_graph_set_shape(graph, value->name, dims, rank, err));
        } else if (shape != NULL && shape->rank == rank) {
            return sq_fail(err, SQUALL_E_SHAPE, value->name, "a size below 1 was asked for");
        }
    }
    return SQUALL_OK;
}

/* Whether the batch alone of an input is open, and nothing else says it. */
static bool wants_batches(const sq_graph *graph, const sq_value *value)
{
    return value->type.rank > 1 && value->type.dims[0] < 0 &&
           complete(value->type.dims, value->type.rank, 1) &&
           !known_elsewhere(graph, value->symbols[0]);
}

squall_status sq_compile_set_shapes(sq_graph *graph, const squall_build_options *options,
                                    uint32_t profile, sq_batch which, squall_error *err)
{
    SQ_TRY(check_names(graph, options, err));
    SQ_TRY(set_given(graph, options, profile, which, err));
    for (uint32_t k = 0; k < graph->input_count; k++) {
        const sq_value *value = &graph->values[graph->inputs[k]];
        if (wants_batches(graph, value)) {
            int64_t dims[SQUALL_MAX_DIMS];
            memcpy(dims, value->type.dims, sizeof dims);
            dims[0] = usual_batches[which];
            SQ_TRY(sq_graph_set_shape(graph, value->name, dims, value->type.rank, err));
        }
    }
    for (uint32_t k = 0; k < graph->input_count; k++) {
        const sq_value *value = &graph->values[graph->inputs[k]];
        for (uint32_t d = 0; d < value->type.rank; d++) {
            if (value->type.dims[d] < 0 && !known_elsewhere(graph, value->symbols[d])) {
                char text[256], example[256];
                describe(value, text, sizeof text, example, sizeof example);
                return sq_fail(err, SQUALL_E_SHAPE, graph->name,
                               "the size of its input %s is not fixed: pass a shape, such as %s",
                               text, example);
            }
        }
    }
    return SQUALL_OK;
}
