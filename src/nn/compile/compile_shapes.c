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
    return most;
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

squall_status sq_compile_set_shapes(sq_graph *graph, const squall_build_options *options,
                                    uint32_t profile, squall_error *err)
{
    SQ_TRY(check_names(graph, options, err));
    for (uint32_t k = 0; k < graph->input_count; k++) {
        const sq_value *value = &graph->values[graph->inputs[k]];
        const squall_input_shape *shape = find_shape(options, value->name, profile);
        if (shape == NULL && graph->input_count == 1) {
            shape = find_shape(options, NULL, profile);
        }
        if (shape != NULL) {
            SQ_TRY(sq_graph_set_shape(graph, value->name, shape->dims, shape->rank, err));
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
