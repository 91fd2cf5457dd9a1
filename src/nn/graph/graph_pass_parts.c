/* nn/graph/graph_pass_parts.c - pass: what is cut out of what was joined, and joined from what was
 * cut out, is taken from where it is.
 *
 * A value may be a piece: numbers start, start + 1, ... along one axis of another value, by a Slice
 * or a Split. A piece of a piece is a piece of the whole; a piece of a Concat may be one of its
 * inputs, or a piece of it; pieces that lie side by side and are joined are one piece, or the
 * whole. */
#include <string.h>

#include "nn/graph/graph_match.h"

typedef struct piece {
    uint32_t whole, axis;
    int64_t start, length;
} piece;

typedef struct work {
    sq_graph *graph;
    sq_graph_index index;
    uint32_t *alias; /* owned, [aliases]: what stands for a value now */
    uint32_t aliases;
    uint32_t changes;
} work;

static int64_t size_of(const work *w, uint32_t value, uint32_t axis)
{
    return w->graph->values[value].type.dims[axis];
}

/* The one axis along which a Slice takes less than all, in steps of 1. */
static bool slice_piece(const work *w, const sq_node *node, piece *out)
{
    sq_slice cut;
    uint32_t found = 0;
    const squall_tensor *in = &w->graph->values[node->inputs[0]].type;
    const squall_tensor *to = &w->graph->values[node->outputs[0]].type;
    if (!sq_graph_slice(w->graph, node, &cut)) {
        return false;
    }
    for (uint32_t d = 0; d < in->rank; d++) {
        if (cut.step[d] != 1) {
            return false;
        }
        if (in->dims[d] != to->dims[d]) {
            *out = (piece){node->inputs[0], d, cut.start[d], to->dims[d]};
            found++;
        }
    }
    return found == 1 && out->length > 0;
}

static bool split_piece(const work *w, const sq_node *node, uint32_t value, piece *out)
{
    uint32_t axis;
    int64_t start = 0;
    if (!sq_graph_axis(node, 0, w->graph->values[node->inputs[0]].type.rank, &axis)) {
        return false;
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        if (node->outputs[i] == SQ_NO_VALUE) {
            return false; /* its size is not known */
        }
        const int64_t length = size_of(w, node->outputs[i], axis);
        if (node->outputs[i] == value) {
            *out = (piece){node->inputs[0], axis, start, length};
            return length > 0;
        }
        start += length;
    }
    return false;
}

/* `value` as a piece of what is not a piece itself along the same axis. */
static bool find_piece(const work *w, uint32_t value, piece *out)
{
    bool found = false;
    int64_t start = 0;
    uint32_t at = value, axis = 0;
    for (uint32_t depth = 0; depth < 16; depth++) {
        piece next;
        const uint32_t number = at == SQ_NO_VALUE ? SQ_NO_NODE : w->index.producer[at];
        if (number == SQ_NO_NODE || w->graph->nodes[number].dead) {
            break;
        }
        const sq_node *node = &w->graph->nodes[number];
        if (node->inputs == NULL || node->in_count < 1 || node->inputs[0] == SQ_NO_VALUE ||
            !((node->op == SQ_OP_Slice && slice_piece(w, node, &next)) ||
              (node->op == SQ_OP_Split && split_piece(w, node, at, &next))) ||
            (found && next.axis != axis)) {
            break;
        }
        found = true;
        axis = next.axis;
        start += next.start;
        at = next.whole;
    }
    if (found) {
        *out = (piece){at, axis, start, size_of(w, value, axis)};
    }
    return found;
}

/* The input of the Concat that gives `whole` in which a piece lies, made the new whole. */
static bool find_in_concat(const work *w, piece *part)
{
    uint32_t axis;
    int64_t at = 0;
    const sq_node *join = sq_graph_maker(w->graph, &w->index, part->whole, SQ_OP_Concat);
    if (!join || !sq_graph_axis(join, 0, w->graph->values[part->whole].type.rank, &axis) ||
        axis != part->axis) {
        return false;
    }
    for (uint32_t i = 0; i < join->in_count; i++) {
        const int64_t length = size_of(w, join->inputs[i], axis);
        if (part->start >= at && part->start + part->length <= at + length) {
            part->whole = join->inputs[i];
            part->start -= at;
            return true;
        }
        at += length;
    }
    return false;
}

/* `node` becomes the Slice that gives a piece. */
static squall_status become_slice(const work *w, sq_node *node, const piece *part,
                                  squall_error *err)
{
    const int64_t axis = part->axis, end = part->start + part->length;
    const uint32_t inputs[] = {part->whole, sq_graph_add_ints(w->graph, "start", &part->start, 1),
                               sq_graph_add_ints(w->graph, "end", &end, 1),
                               sq_graph_add_ints(w->graph, "axis", &axis, 1)};
    const uint32_t output = node->outputs[0];
    if (inputs[1] == SQ_NO_VALUE || inputs[2] == SQ_NO_VALUE || inputs[3] == SQ_NO_VALUE) {
        return sq_fail(err, SQUALL_E_MEMORY, node->name, "no memory for what it takes");
    }
    SQ_TRY(sq_graph_rewrite(node, SQ_OP_Slice, inputs, 4, &output, 1, err));
    node->attrs.opset = node->attrs.opset < 10 ? 10 : node->attrs.opset;
    return SQUALL_OK;
}

static bool is_whole(const work *w, const piece *part)
{
    return part->start == 0 && part->length == size_of(w, part->whole, part->axis);
}

/* All users of `value` take `now` from here on; an output of the graph keeps its name. */
static bool stand_in(work *w, uint32_t value, uint32_t now)
{
    if (sq_graph_is_output(w->graph, value)) {
        return false;
    }
    w->alias[value] = now;
    w->changes++;
    return true;
}

static squall_status improve_slice(work *w, sq_node *node, squall_error *err)
{
    piece part, found;
    if (!find_piece(w, node->outputs[0], &part)) {
        return SQUALL_OK;
    }
    found = part;
    while (find_in_concat(w, &found) && !is_whole(w, &found)) {
        piece deeper;
        if (!find_piece(w, found.whole, &deeper) || deeper.axis != found.axis) {
            continue;
        }
        found.start += deeper.start;
        found.whole = deeper.whole;
    }
    if (is_whole(w, &found)) {
        if (stand_in(w, node->outputs[0], found.whole)) {
            sq_graph_retire(w->graph, node, NULL, "what it cuts out is there already");
        }
        return SQUALL_OK;
    }
    if (found.whole != node->inputs[0]) {
        w->changes++;
        return become_slice(w, node, &found, err);
    }
    return SQUALL_OK;
}

/* Parts of a Concat that are inputs of it. The Split goes when nothing needs it any more. */
static void improve_split(work *w, sq_node *node)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < node->out_count; i++) {
        piece part;
        const uint32_t value = node->outputs[i];
        if (value == SQ_NO_VALUE || w->index.uses[value] == 0) {
            continue;
        }
        if (w->alias[value] == value &&
            !(split_piece(w, node, value, &part) && find_in_concat(w, &part) &&
              is_whole(w, &part) && stand_in(w, value, part.whole))) {
            left++;
        }
    }
    if (left == 0) {
        sq_graph_retire(w->graph, node, NULL, "the parts are there already");
    }
}

/* `out`, the inputs of a Concat, with those that are pieces side by side as one; how many. The
 * first of a run stands for it, with its length in `runs`. */
static bool side_by_side(const work *w, uint32_t axis, uint32_t a, uint32_t b, piece *sum)
{
    piece left = *sum, right;
    if (left.length == 0 && (!find_piece(w, a, &left) || left.axis != axis)) {
        return false;
    }
    if (!find_piece(w, b, &right) || right.axis != axis || right.whole != left.whole ||
        right.start != left.start + left.length) {
        return false;
    }
    left.length += right.length;
    *sum = left;
    return true;
}

/* Join pieces that lie side by side: the whole of something stands for its run; other runs stay,
 * unless they are all of the Concat, which is then one Slice. */
static squall_status improve_concat(work *w, sq_node *node, squall_error *err)
{
    uint32_t axis, kept = 0;
    uint32_t inputs[SQ_MAX_INPUTS];
    const uint32_t count = node->in_count;
    if (!sq_graph_axis(node, 0, w->graph->values[node->outputs[0]].type.rank, &axis) ||
        count > SQ_MAX_INPUTS) {
        return SQUALL_OK;
    }
    for (uint32_t i = 0; i < count;) {
        piece sum = {0};
        uint32_t end = i + 1;
        while (end < count &&
               side_by_side(w, axis, node->inputs[end - 1], node->inputs[end], &sum)) {
            end++;
        }
        if (end - i > 1 && i == 0 && end == count && !is_whole(w, &sum)) {
            w->changes++;
            return become_slice(w, node, &sum, err);
        }
        const bool whole = end - i > 1 && is_whole(w, &sum);
        for (uint32_t j = i; j < end && !whole; j++) {
            inputs[kept++] = node->inputs[j];
        }
        if (whole) {
            inputs[kept++] = sum.whole;
        }
        i = end;
    }
    if (kept < count) {
        memcpy(node->inputs, inputs, kept * sizeof *inputs);
        node->in_count = kept;
        w->changes++;
    }
    return SQUALL_OK;
}

/* A Concat of Concats along the same axis is one. */
static squall_status flatten_concat(work *w, sq_node *node, squall_error *err)
{
    uint32_t axis, other;
    if (!sq_graph_axis(node, 0, w->graph->values[node->outputs[0]].type.rank, &axis)) {
        return SQUALL_OK;
    }
    for (uint32_t i = 0; i < node->in_count; i++) {
        sq_node *inner = sq_graph_maker(w->graph, &w->index, node->inputs[i], SQ_OP_Concat);
        uint32_t inputs[SQ_MAX_INPUTS];
        if (!inner || w->index.uses[node->inputs[i]] != 1 ||
            !sq_graph_axis(inner, 0, w->graph->values[node->inputs[i]].type.rank, &other) ||
            other != axis || node->in_count + inner->in_count - 1 > SQ_MAX_INPUTS) {
            continue;
        }
        const uint32_t count = node->in_count + inner->in_count - 1, output = node->outputs[0];
        memcpy(inputs, node->inputs, i * sizeof *inputs);
        memcpy(inputs + i, inner->inputs, inner->in_count * sizeof *inputs);
        memcpy(inputs + i + inner->in_count, node->inputs + i + 1,
               (node->in_count - i - 1) * sizeof *inputs);
        SQ_TRY(sq_graph_rewrite(node, SQ_OP_Concat, inputs, count, &output, 1, err));
        if (!sq_attr_set_int(&node->attrs, "axis", axis)) {
            return sq_fail(err, SQUALL_E_MEMORY, node->name, "no memory for its axis");
        }
        sq_graph_retire(w->graph, inner, node, "its inputs are joined at once");
        w->changes++;
        i--; /* wraps at 0, and comes back */
    }
    return SQUALL_OK;
}

static squall_status improve(work *w, sq_node *node, squall_error *err)
{
    for (uint32_t i = 0; i < node->in_count; i++) {
        while (node->inputs[i] != SQ_NO_VALUE && node->inputs[i] < w->aliases &&
               w->alias[node->inputs[i]] != node->inputs[i]) {
            node->inputs[i] = w->alias[node->inputs[i]];
        }
    }
    if (node->dead || node->in_count < 1 || node->inputs[0] == SQ_NO_VALUE) {
        return SQUALL_OK;
    }
    switch (node->op) {
    case SQ_OP_Slice:
        return improve_slice(w, node, err);
    case SQ_OP_Split:
        improve_split(w, node);
        return SQUALL_OK;
    case SQ_OP_Concat:
        SQ_TRY(flatten_concat(w, node, err));
        return improve_concat(w, node, err);
    default:
        return SQUALL_OK;
    }
}

squall_status sq_pass_parts(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                            squall_error *err)
{
    (void)evaluate;
    *changes = 0;
    work w = {.graph = graph, .aliases = graph->value_count};
    squall_status status = SQUALL_OK;
    SQ_TRY(sq_graph_index_make(graph, &w.index, err));
    w.alias = sq_alloc_raw(w.aliases, sizeof *w.alias);
    if (!w.alias) {
        status = sq_fail(err, SQUALL_E_MEMORY, "graph", "no memory to find parts");
        goto done;
    }
    for (uint32_t i = 0; i < w.aliases; i++) {
        w.alias[i] = i;
    }
    for (uint32_t i = 0; i < graph->node_count; i++) {
        SQ_TRY_GOTO(improve(&w, &graph->nodes[i], err));
    }
    sq_graph_compact(graph);
    *changes = w.changes;
done:
    sq_free(w.alias);
    sq_graph_index_free(&w.index);
    return status;
}
