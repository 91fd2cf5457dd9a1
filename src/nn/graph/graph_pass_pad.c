/* nn/graph/graph_pass_pad.c - pass: a Pad goes into the convolution or pooling behind it, where
 * that pads by the same numbers: zeros for a Conv and a mean that counts them, -infinity for a
 * maximum, or zeros where no number below them can come. */
#include <math.h>
#include <string.h>

#include "nn/graph/graph_match.h"

/* What a Pad adds to the spatial axes. */
typedef struct padding {
    uint32_t spatial;
    int64_t begin[SQ_MAX_SPATIAL], end[SQ_MAX_SPATIAL];
    double value;
} padding;

/* The number that a constant Pad writes. */
static bool find_value(const sq_graph *graph, const sq_node *pad, double *out)
{
    if (strcmp(sq_attr_string(&pad->attrs, "mode", "constant"), "constant") != 0) {
        return false;
    }
    if (pad->in_count > 2 && pad->inputs[2] != SQ_NO_VALUE) {
        return sq_graph_number(graph, pad->inputs[2], out);
    }
    *out = (double)sq_attr_float(&pad->attrs, "value", 0.0f);
    return true;
}

static bool find_padding(const sq_graph *graph, const sq_node *pad, padding *out)
{
    int64_t pads[2 * SQUALL_MAX_DIMS], axes[SQUALL_MAX_DIMS];
    size_t count, axis_count;
    bool given, has_axes;
    const squall_tensor *in = &graph->values[pad->inputs[0]].type;
    if (in->rank < 3 || in->rank > 2 + SQ_MAX_SPATIAL || !find_value(graph, pad, &out->value) ||
        !sq_graph_ints(graph, pad, 1, "pads", 2 * SQUALL_MAX_DIMS, pads, &count, &given) ||
        !sq_graph_ints(graph, pad, 3, NULL, SQUALL_MAX_DIMS, axes, &axis_count, &has_axes)) {
        return false;
    }
    const size_t each = has_axes ? axis_count : in->rank;
    *out = (padding){.spatial = in->rank - 2, .value = out->value};
    for (size_t i = 0; count == 2 * each && i < each; i++) {
        int64_t axis = has_axes ? axes[i] : (int64_t)i;
        axis += axis < 0 ? (int64_t)in->rank : 0;
        if (pads[i] < 0 || pads[each + i] < 0 || axis < 0 || axis >= (int64_t)in->rank ||
            (axis < 2 && (pads[i] != 0 || pads[each + i] != 0))) {
            return false;
        }
        if (axis >= 2) {
            out->begin[axis - 2] = pads[i];
            out->end[axis - 2] = pads[each + i];
        }
    }
    return given && count == 2 * each;
}

/* The pads that `user` has already, begins and then ends. */
static bool find_own(const sq_node *user, uint32_t spatial, int64_t *out)
{
    size_t count;
    const char *automatic = sq_attr_string(&user->attrs, "auto_pad", "NOTSET");
    const int64_t *pads = sq_attr_ints(&user->attrs, "pads", &count);
    memset(out, 0, 2 * SQ_MAX_SPATIAL * sizeof *out);
    if (strcmp(automatic, "VALID") == 0) {
        return true;
    }
    if (strcmp(automatic, "NOTSET") != 0 || (pads && count != 2 * (size_t)spatial)) {
        return false;
    }
    if (pads) {
        memcpy(out, pads, count * sizeof *out);
    }
    return true;
}

/* No number below 0 can come from `value`. */
static bool never_negative(const sq_graph *graph, const sq_graph_index *index, uint32_t value)
{
    if (index->producer[value] == SQ_NO_NODE) {
        return false;
    }
    const sq_node *node = &graph->nodes[index->producer[value]];
    const int64_t act = sq_attr_int(&node->attrs, "sq_activation", SQ_ACT_NONE);
    return node->op == SQ_OP_Relu || node->op == SQ_OP_Sigmoid || node->op == SQ_OP_Abs ||
           node->op == SQ_OP_Softmax || act == SQ_ACT_RELU || act == SQ_ACT_SIGMOID;
}

/* Every window holds a number of the input: the padding is narrower than it on each side. */
static bool windows_hold(const sq_node *pool, uint32_t spatial, const int64_t *pads)
{
    size_t count, dilations;
    const int64_t *kernel = sq_attr_ints(&pool->attrs, "kernel_shape", &count);
    const int64_t *dilation = sq_attr_ints(&pool->attrs, "dilations", &dilations);
    for (size_t i = 0; i < dilations; i++) {
        if (dilation[i] != 1) {
            return false;
        }
    }
    for (uint32_t i = 0; kernel && count == spatial && i < spatial; i++) {
        if (pads[i] >= kernel[i] || pads[spatial + i] >= kernel[i]) {
            return false;
        }
    }
    return kernel && count == spatial && sq_attr_int(&pool->attrs, "ceil_mode", 0) == 0;
}

/* Whether `user` pads by what `pad` pads by. `own` are its pads now, `sum` what they would be. */
static bool takes(const sq_graph *graph, const sq_graph_index *index, const sq_node *user,
                  const sq_node *pad, const padding *more, const int64_t *own, const int64_t *sum)
{
    const squall_dtype dtype = graph->values[pad->inputs[0]].type.dtype;
    bool bare = true;
    if (dtype != SQUALL_F32 && dtype != SQUALL_F16 && dtype != SQUALL_BF16) {
        return false;
    }
    for (uint32_t i = 0; i < 2 * more->spatial; i++) {
        bare = bare && own[i] == 0;
    }
    switch (user->op) {
    case SQ_OP_Conv:
        return more->value == 0;
    case SQ_OP_AveragePool:
        return more->value == 0 && windows_hold(user, more->spatial, sum) &&
               (bare || sq_attr_int(&user->attrs, "count_include_pad", 0) == 1);
    case SQ_OP_MaxPool:
        if (user->out_count > 1 && user->outputs[1] != SQ_NO_VALUE) {
            return false; /* the places of the largest numbers count from another corner */
        }
        return windows_hold(user, more->spatial, sum) &&
               ((isinf(more->value) && more->value < 0) ||
                (more->value == 0 && never_negative(graph, index, pad->inputs[0])));
    default:
        return false;
    }
}

static squall_status take_in(sq_node *user, const sq_node *pad, uint32_t spatial,
                             const int64_t *sum, squall_error *err)
{
    sq_attr_remove(&user->attrs, "auto_pad");
    if (!sq_attr_set_ints(&user->attrs, "pads", sum, 2 * (size_t)spatial) ||
        (user->op == SQ_OP_AveragePool && !sq_attr_set_int(&user->attrs, "count_include_pad", 1))) {
        char where[SQ_GRAPH_WHERE];
        return sq_fail(err, SQUALL_E_MEMORY, sq_graph_where(user, where),
                       "no memory to take a Pad in");
    }
    user->inputs[0] = pad->inputs[0];
    return SQUALL_OK;
}

squall_status sq_pass_pad(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                          squall_error *err)
{
    (void)evaluate;
    *changes = 0;
    sq_graph_index index;
    SQ_TRY(sq_graph_index_make(graph, &index, err));
    squall_status status = SQUALL_OK;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        sq_node *user = &graph->nodes[i];
        int64_t own[2 * SQ_MAX_SPATIAL], sum[2 * SQ_MAX_SPATIAL];
        padding more;
        if (user->dead || user->in_count < 1) {
            continue;
        }
        sq_node *pad = sq_graph_maker(graph, &index, user->inputs[0], SQ_OP_Pad);
        if (!pad || !find_padding(graph, pad, &more) || !find_own(user, more.spatial, own)) {
            continue;
        }
        bool fits = true;
        for (uint32_t d = 0; d < more.spatial; d++) {
            fits =
                fits && !__builtin_add_overflow(own[d], more.begin[d], &sum[d]) &&
                !__builtin_add_overflow(own[more.spatial + d], more.end[d], &sum[more.spatial + d]);
        }
        if (!fits || !takes(graph, &index, user, pad, &more, own, sum)) {
            continue;
        }
        SQ_TRY_GOTO(take_in(user, pad, more.spatial, sum, err));
        if (--index.uses[pad->outputs[0]] == 0) {
            sq_graph_retire(graph, pad, user, "it pads by the same numbers itself");
        }
        ++*changes;
    }
    sq_graph_compact(graph);
done:
    sq_graph_index_free(&index);
    return status;
}
