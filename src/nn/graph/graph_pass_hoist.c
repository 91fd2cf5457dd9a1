/* nn/graph/graph_pass_hoist.c - pass: the part of a recurrent convolution that works on the input
 * of the network is done for all steps of time at once, in front of the recurrence.
 *
 * conv([x, h]) = conv_x(x) + conv_h(h), with the weights' input channels shared out. All x are
 * there before the first h, so that one convolution of a batch as long as the sequence gives
 * conv_x. */
#include <stdio.h>
#include <string.h>

#include "nn/graph/graph_match.h"

/* Only of images so small that a convolution of one does not fill the processor, and of so many
 * channels that it is worth the sums, which are written and read once more: bench/NOTES.md has the
 * numbers. */
#define MOST_PIXELS     256
#define FEWEST_CHANNELS 64
#define MOST_STEPS      SQ_MAX_OUTPUTS

/* The convolutions that share weights, of one recurrence. */
typedef struct sequence {
    uint32_t conv[MOST_STEPS]; /* node numbers, in their order */
    uint32_t count;
    uint32_t weights, bias; /* values */
    squall_tensor x;        /* type of each input */
} sequence;

/* The Concat in front of a convolution, if its first input is an image and others follow. */
static const sq_node *find_join(const sq_graph *graph, const sq_graph_index *index,
                                const sq_node *conv)
{
    uint32_t axis;
    if (conv->dead || conv->op != SQ_OP_Conv || sq_attr_int(&conv->attrs, "group", 1) != 1 ||
        sq_attr_find(&conv->attrs, "sq_activation") ||
        !sq_graph_is_constant(graph, conv->inputs[1]) ||
        graph->values[conv->inputs[1]].type.dtype != SQUALL_F32) {
        return NULL;
    }
    const sq_node *join = sq_graph_maker(graph, index, conv->inputs[0], SQ_OP_Concat);
    const squall_tensor *out = &graph->values[conv->outputs[0]].type;
    if (!join || join->in_count < 2 || out->rank != 4 ||
        out->dims[2] * out->dims[3] > MOST_PIXELS || index->uses[conv->inputs[0]] != 1 ||
        !sq_graph_axis(join, 0, 4, &axis) || axis != 1 ||
        sq_graph_is_constant(graph, join->inputs[0]) ||
        graph->values[join->inputs[0]].type.dims[1] < FEWEST_CHANNELS) {
        return NULL;
    }
    return join;
}

static uint32_t bias_of(const sq_node *conv)
{
    return conv->in_count > 2 ? conv->inputs[2] : SQ_NO_VALUE;
}

/* Values that hang on what the sequence gives are marked. */
static void mark(const sq_graph *graph, const sequence *all, bool *later)
{
    memset(later, 0, graph->value_count * sizeof *later);
    uint32_t next = 0;
    for (uint32_t n = 0; n < graph->node_count; n++) {
        const sq_node *node = &graph->nodes[n];
        bool hangs = next < all->count && all->conv[next] == n;
        next += hangs;
        for (uint32_t i = 0; i < node->in_count && !hangs; i++) {
            hangs = node->inputs[i] != SQ_NO_VALUE && later[node->inputs[i]];
        }
        for (uint32_t i = 0; i < node->out_count && hangs; i++) {
            if (node->outputs[i] != SQ_NO_VALUE) {
                later[node->outputs[i]] = true;
            }
        }
    }
}

/* The convolutions like number `first` whose inputs do not wait for any of them; true when at least
 * two are so and a later one does wait with its other inputs. */
static bool find_sequence(const sq_graph *graph, const sq_graph_index *index, uint32_t first,
                          bool *later, sequence *out)
{
    const sq_node *model = &graph->nodes[first];
    const sq_node *join = find_join(graph, index, model);
    if (!join) {
        return false;
    }
    *out = (sequence){.weights = model->inputs[1],
                      .bias = bias_of(model),
                      .x = graph->values[join->inputs[0]].type};
    for (uint32_t n = first; n < graph->node_count && out->count < MOST_STEPS; n++) {
        const sq_node *conv = &graph->nodes[n];
        const sq_node *other = find_join(graph, index, conv);
        if (other && conv->inputs[1] == out->weights && bias_of(conv) == out->bias &&
            sq_attrs_same(&conv->attrs, &model->attrs) &&
            sq_tensor_same_type(&graph->values[other->inputs[0]].type, &out->x)) {
            out->conv[out->count++] = n;
        }
    }
    mark(graph, out, later);
    uint32_t kept = 0;
    bool recurs = false;
    for (uint32_t i = 0; i < out->count; i++) {
        const sq_node *conv = &graph->nodes[out->conv[i]];
        join = find_join(graph, index, conv);
        if (!later[join->inputs[0]]) {
            for (uint32_t j = 1; j < join->in_count; j++) {
                recurs = recurs || later[join->inputs[j]];
            }
            out->conv[kept++] = out->conv[i];
        }
    }
    out->count = kept;
    return kept >= 2 && recurs;
}

/* Input channels from..to-1 of the weights as a constant of their own. */
static uint32_t cut_weights(sq_graph *graph, uint32_t weights, int64_t from, int64_t to)
{
    const squall_tensor whole = graph->values[weights].type;
    squall_tensor part;
    int64_t dims[4] = {whole.dims[0], to - from, whole.dims[2], whole.dims[3]};
    if (!sq_tensor_make(SQUALL_F32, 4, dims, &part)) {
        return SQ_NO_VALUE;
    }
    const size_t window = (size_t)(whole.dims[2] * whole.dims[3]);
    const size_t run = (size_t)(to - from) * window, row = (size_t)whole.dims[1] * window;
    for (int64_t o = 0; o < whole.dims[0]; o++) {
        memcpy((float *)part.data + (size_t)o * run,
               (const float *)whole.data + (size_t)o * row + (size_t)from * window,
               run * sizeof(float));
    }
    const uint32_t value = sq_graph_add_constant_beside(graph, graph->values[weights].name, &part);
    if (value == SQ_NO_VALUE) {
        sq_tensor_free(&part);
    }
    return value;
}

/* A new node of one output, whose type is given; its number, or SQ_NO_NODE. */
static uint32_t add_node(sq_graph *graph, sq_op op, const char *name, const uint32_t *inputs,
                         uint32_t in_count, uint32_t out_count)
{
    sq_node *node = sq_graph_add_node(graph, op, name, in_count, out_count);
    if (!node) {
        return SQ_NO_NODE;
    }
    memcpy(node->inputs, inputs, in_count * sizeof *inputs);
    for (uint32_t i = 0; i < out_count; i++) {
        sq_text text = {0};
        sq_text_add(&text, "%s.%u.%u", name, graph->value_count, i);
        node->outputs[i] = text.failed ? SQ_NO_VALUE : sq_graph_add_value(graph, text.data);
        sq_text_free(&text);
        if (node->outputs[i] == SQ_NO_VALUE) {
            node->dead = true;
            return SQ_NO_NODE;
        }
    }
    return graph->node_count - 1;
}

/* concat of all x, along the batch -> convolution -> a part for each step; the Split's number. */
static uint32_t add_front(sq_graph *graph, const sequence *all, const uint32_t *x, uint32_t weights)
{
    const sq_node *model = &graph->nodes[all->conv[0]];
    char name[SQ_GRAPH_WHERE];
    (void)snprintf(name, sizeof name, "%.80s.all", model->name);
    const uint32_t join = add_node(graph, SQ_OP_Concat, name, x, all->count, 1);
    if (join == SQ_NO_NODE || !sq_attr_set_int(&graph->nodes[join].attrs, "axis", 0)) {
        return SQ_NO_NODE;
    }
    const uint32_t inputs[] = {graph->nodes[join].outputs[0], weights, all->bias};
    const uint32_t conv =
        add_node(graph, SQ_OP_Conv, name, inputs, all->bias == SQ_NO_VALUE ? 2 : 3, 1);
    if (conv == SQ_NO_NODE) {
        return SQ_NO_NODE;
    }
    sq_attrs_free(&graph->nodes[conv].attrs);
    if (!sq_attrs_copy(&graph->nodes[all->conv[0]].attrs, &graph->nodes[conv].attrs)) {
        return SQ_NO_NODE;
    }
    const uint32_t split =
        add_node(graph, SQ_OP_Split, name, graph->nodes[conv].outputs, 1, all->count);
    if (split == SQ_NO_NODE || !sq_attr_set_int(&graph->nodes[split].attrs, "axis", 0) ||
        !sq_attr_set_int(&graph->nodes[split].attrs, "num_outputs", all->count)) {
        return SQ_NO_NODE;
    }
    for (uint32_t t = 0; t < all->count; t++) {
        sq_graph_stand_for(graph, &graph->nodes[conv], &graph->nodes[all->conv[t]]);
    }
    return split;
}

/* One step of time: its convolution works on the rest of its inputs, and its part is added. */
static bool change_step(sq_graph *graph, const sq_graph_index *index, uint32_t number,
                        uint32_t weights, uint32_t part)
{
    sq_node *conv = &graph->nodes[number];
    const uint32_t joined = conv->inputs[0], output = conv->outputs[0];
    sq_node *join = &graph->nodes[index->producer[joined]];
    if (join->in_count == 2) { /* it joins nothing any more */
        conv->inputs[0] = join->inputs[1];
        sq_graph_retire(graph, join, conv, "the rest of what it joined is used as it is");
    } else {
        memmove(join->inputs, join->inputs + 1, (join->in_count - 1) * sizeof *join->inputs);
        join->in_count--;
    }
    conv->inputs[1] = weights;
    conv->in_count = 2;
    char name[SQ_GRAPH_WHERE];
    (void)snprintf(name, sizeof name, "%.80s.sum", conv->name);
    const uint32_t inputs[] = {output, part};
    const uint32_t sum = add_node(graph, SQ_OP_Add, name, inputs, 2, 1);
    if (sum == SQ_NO_NODE) {
        return false;
    }
    conv = &graph->nodes[number]; /* nodes may have moved */
    sq_node *add = &graph->nodes[sum];
    const uint32_t own = add->outputs[0];
    conv->outputs[0] = own;
    add->inputs[0] = own;
    add->outputs[0] = output;
    sq_graph_stand_for(graph, add, conv);
    return true;
}

static squall_status hoist(sq_graph *graph, const sq_graph_index *index, const sequence *all,
                           squall_error *err)
{
    uint32_t x[MOST_STEPS];
    const int64_t mine = all->x.dims[1], channels = graph->values[all->weights].type.dims[1];
    const char *name = graph->nodes[all->conv[0]].name;
    for (uint32_t t = 0; t < all->count; t++) {
        x[t] = graph->nodes[index->producer[graph->nodes[all->conv[t]].inputs[0]]].inputs[0];
    }
    const uint32_t front = cut_weights(graph, all->weights, 0, mine);
    const uint32_t rest =
        front == SQ_NO_VALUE ? SQ_NO_VALUE : cut_weights(graph, all->weights, mine, channels);
    const uint32_t split = rest == SQ_NO_VALUE ? SQ_NO_NODE : add_front(graph, all, x, front);
    bool good = split != SQ_NO_NODE;
    for (uint32_t t = 0; good && t < all->count; t++) {
        good = change_step(graph, index, all->conv[t], rest, graph->nodes[split].outputs[t]);
    }
    return good ? SQUALL_OK
                : sq_fail(err, SQUALL_E_MEMORY, name, "no memory to take its input out of time");
}

/* The first sequence that there is; `*found` is its length, 0 when there is none. */
static squall_status hoist_one(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *found,
                               squall_error *err)
{
    sq_graph_index index = {0};
    squall_status status;
    sequence all;
    *found = 0;
    bool *later = sq_alloc(graph->value_count, sizeof *later);
    if (!later) {
        return sq_fail(err, SQUALL_E_MEMORY, "graph", "no memory to look for recurrences");
    }
    SQ_TRY_GOTO(sq_graph_index_make(graph, &index, err));
    for (uint32_t n = 0; n < graph->node_count; n++) {
        if (find_sequence(graph, &index, n, later, &all)) {
            *found = all.count;
            SQ_TRY_GOTO(hoist(graph, &index, &all, err));
            sq_graph_compact(graph);
            SQ_TRY_GOTO(sq_graph_sort(graph, err));
            status = sq_graph_infer(graph, evaluate, err); /* types of what is new */
            break;
        }
    }
done:
    sq_graph_index_free(&index);
    sq_free(later);
    return status;
}

squall_status sq_pass_hoist(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                            squall_error *err)
{
    uint32_t found = 1;
    *changes = 0;
    while (found > 0) {
        SQ_TRY(hoist_one(graph, evaluate, &found, err));
        *changes += found;
    }
    return SQUALL_OK;
}
