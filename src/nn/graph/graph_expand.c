/* nn/graph/graph_expand.c - If, Loop and Scan become the nodes of their graphs.
 *
 * An If becomes one of its branches. A Loop or Scan becomes one round of its body with itself
 * behind it, one round further; the shapes and constants of that round are known before the next is
 * looked at, so that a condition may hang on what a round gives. */
#include <inttypes.h>
#include <string.h>

#include "nn/graph/graph_index.h"

#define OWN_OPSET 13 /* of the nodes that this file makes */

/* One expansion. Nodes are appended to the graph and moved in front of `node` in the end. */
typedef struct expansion {
    sq_graph *graph;
    uint32_t node;  /* the control node, by number: arrays move when they grow */
    uint32_t first; /* the first node that was appended */
    bool again;     /* the control node stays, behind the new ones */
} expansion;

static sq_node *node_of(const expansion *ex)
{
    return &ex->graph->nodes[ex->node];
}

#define DIGITS_OF(number) #number
#define DIGITS(number)    DIGITS_OF(number)

static squall_status refuse(const expansion *ex, const char *why, squall_error *err)
{
    char where[SQ_GRAPH_WHERE];
    return sq_fail(err, SQUALL_E_UNSUPPORTED, sq_graph_where(node_of(ex), where), "%s", why);
}

static squall_status no_memory(const expansion *ex, squall_error *err)
{
    char where[SQ_GRAPH_WHERE];
    return sq_fail(err, SQUALL_E_MEMORY, sq_graph_where(node_of(ex), where),
                   "no memory for the nodes that it stands for");
}

/* "loop.3/name": a name for what round `round` of the node makes. */
static bool make_name(const expansion *ex, int64_t round, const char *name, sq_text *out)
{
    sq_text_add(out, "%.200s.%" PRId64 "/%.200s", node_of(ex)->name, round, name);
    return !out->failed;
}

static uint32_t add_value(const expansion *ex, int64_t round, const char *name)
{
    sq_text text = {0};
    const uint32_t number =
        make_name(ex, round, name, &text) ? sq_graph_add_value(ex->graph, text.data) : SQ_NO_VALUE;
    sq_text_free(&text);
    return number;
}

/* A node of one output; -1, here and below, stands for no memory: SQ_NO_VALUE is returned. */
static uint32_t add_node(const expansion *ex, sq_op op, int64_t round, const char *name,
                         const uint32_t *inputs, uint32_t in_count, uint32_t output)
{
    sq_text text = {0};
    sq_node *node = make_name(ex, round, name, &text)
                        ? sq_graph_add_node(ex->graph, op, text.data, in_count, 1)
                        : NULL;
    sq_text_free(&text);
    output = output != SQ_NO_VALUE ? output : add_value(ex, round, name);
    if (!node || output == SQ_NO_VALUE) {
        return SQ_NO_VALUE;
    }
    node = &ex->graph->nodes[ex->graph->node_count - 1];
    node->attrs.opset = OWN_OPSET;
    memcpy(node->inputs, inputs, in_count * sizeof *inputs);
    node->outputs[0] = output;
    return output;
}

static uint32_t add_int(const expansion *ex, int64_t round, const char *name, uint32_t rank,
                        int64_t value)
{
    squall_tensor tensor;
    sq_text text = {0};
    uint32_t number = SQ_NO_VALUE;
    if (!sq_tensor_make(SQUALL_I64, rank, (const int64_t[]){1}, &tensor)) {
        return SQ_NO_VALUE;
    }
    *(int64_t *)tensor.data = value;
    if (make_name(ex, round, name, &text)) {
        number = sq_graph_add_constant(ex->graph, text.data, &tensor);
    }
    sq_text_free(&text);
    sq_tensor_free(&tensor);
    return number;
}

/* The constant value of a node's input as an integer; false when it is none. */
static bool constant_int(const sq_graph *graph, uint32_t value, int64_t *out)
{
    if (!sq_graph_is_constant(graph, value) ||
        squall_tensor_count(&graph->values[value].type) != 1) {
        return false;
    }
    *out = sq_tensor_get_int(&graph->values[value].type, 0);
    return true;
}

/* Constant `value` of a body: copied in the first round, found again in the next. */
static squall_status map_constant(const expansion *ex, uint32_t body, uint32_t value, int64_t round,
                                  uint32_t *out, squall_error *err)
{
    sq_body *held = &node_of(ex)->bodies[body];
    const uint32_t count = held->graph->value_count;
    const sq_value *inner = &held->graph->values[value];
    if (!held->constants) {
        held->constants = sq_alloc_raw(count, sizeof *held->constants);
        for (uint32_t i = 0; held->constants && i < count; i++) {
            held->constants[i] = SQ_NO_VALUE;
        }
    }
    if (!held->constants) {
        return no_memory(ex, err);
    }
    if (held->constants[value] == SQ_NO_VALUE) {
        *out = add_value(ex, round, inner->name);
        if (*out == SQ_NO_VALUE || !sq_tensor_copy(&inner->type, &ex->graph->values[*out].type)) {
            return no_memory(ex, err);
        }
        ex->graph->values[*out].constant = true;
        held->constants[value] = *out;
    }
    *out = held->constants[value];
    return SQUALL_OK;
}

/* Value `value` of a body as one of the graph: new, but for constants. */
static squall_status map_value(const expansion *ex, uint32_t body, uint32_t value, int64_t round,
                               uint32_t *map, squall_error *err)
{
    if (value == SQ_NO_VALUE || map[value] != SQ_NO_VALUE) {
        return SQUALL_OK;
    }
    const sq_value *inner = &node_of(ex)->bodies[body].graph->values[value];
    if (inner->constant) {
        return map_constant(ex, body, value, round, &map[value], err);
    }
    map[value] = add_value(ex, round, inner->name);
    return map[value] != SQ_NO_VALUE ? SQUALL_OK : no_memory(ex, err);
}

static uint32_t mapped(const uint32_t *map, uint32_t value)
{
    return value == SQ_NO_VALUE ? SQ_NO_VALUE : map[value];
}

/* Node `index` of a body, its values by `map`. */
static squall_status copy_node(const expansion *ex, uint32_t body, uint32_t index, int64_t round,
                               uint32_t *map, squall_error *err)
{
    sq_text name = {0};
    const sq_node *inner = &node_of(ex)->bodies[body].graph->nodes[index];
    for (uint32_t i = 0; i < inner->in_count; i++) {
        SQ_TRY(map_value(ex, body, inner->inputs[i], round, map, err));
    }
    for (uint32_t i = 0; i < inner->out_count; i++) {
        SQ_TRY(map_value(ex, body, inner->outputs[i], round, map, err));
    }
    const bool named = make_name(ex, round, inner->name, &name);
    sq_node *copy = named ? sq_graph_add_node(ex->graph, inner->op, name.data, inner->in_count,
                                              inner->out_count)
                          : NULL;
    sq_text_free(&name);
    inner = &node_of(ex)->bodies[body].graph->nodes[index]; /* the arrays may have moved */
    if (!copy || !sq_graph_copy_node(inner, copy)) {
        return no_memory(ex, err);
    }
    for (uint32_t i = 0; i < inner->in_count; i++) {
        copy->inputs[i] = mapped(map, inner->inputs[i]);
    }
    for (uint32_t i = 0; i < inner->out_count; i++) {
        copy->outputs[i] = mapped(map, inner->outputs[i]);
    }
    return SQUALL_OK;
}

/* The nodes of body `body`, whose own inputs are `given`. `*out` is given (sq_free): what each
 * value of the body is in the graph. */
static squall_status inline_body(const expansion *ex, uint32_t body, const uint32_t *given,
                                 int64_t round, uint32_t **out, squall_error *err)
{
    squall_status status = SQUALL_OK;
    const sq_body *held = &node_of(ex)->bodies[body];
    const sq_graph *inner = held->graph;
    uint32_t *map = sq_alloc_raw(inner->value_count, sizeof *map);
    if (!map) {
        return no_memory(ex, err);
    }
    if (inner->node_count + ex->graph->node_count > SQ_LIMIT_NODES ||
        inner->value_count + ex->graph->value_count > SQ_LIMIT_VALUES) {
        status = refuse(ex, "unrolled, it would make more nodes than a network may have", err);
        goto done;
    }
    for (uint32_t i = 0; i < inner->value_count; i++) {
        map[i] = SQ_NO_VALUE;
    }
    for (uint32_t i = 0; i < inner->input_count; i++) {
        map[inner->inputs[i]] =
            i < held->own_inputs
                ? given[i]
                : node_of(ex)->inputs[held->first_capture + (i - held->own_inputs)];
    }
    for (uint32_t i = 0; i < inner->node_count; i++) {
        SQ_TRY_GOTO(copy_node(ex, body, i, round, map, err));
    }
    for (uint32_t i = 0; i < inner->output_count; i++) { /* constants that no node uses */
        SQ_TRY_GOTO(map_value(ex, body, inner->outputs[i], round, map, err));
    }
    *out = map;
    map = NULL;
done:
    sq_free(map);
    return status;
}

/* The node's output `index` is `value`. */
static squall_status set_output(const expansion *ex, uint32_t index, uint32_t value,
                                squall_error *err)
{
    const uint32_t target =
        index < node_of(ex)->out_count ? node_of(ex)->outputs[index] : SQ_NO_VALUE;
    if (target != SQ_NO_VALUE && add_node(ex, SQ_OP_Identity, -1, ex->graph->values[target].name,
                                          &value, 1, target) == SQ_NO_VALUE) {
        return no_memory(ex, err);
    }
    return SQUALL_OK;
}

static int find_body(const sq_node *node, const char *name)
{
    for (uint32_t i = 0; i < node->body_count; i++) {
        if (strcmp(node->bodies[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static squall_status expand_if(const expansion *ex, squall_error *err)
{
    const sq_node *node = node_of(ex);
    int64_t condition;
    if (node->own_inputs != 1 || !constant_int(ex->graph, node->inputs[0], &condition)) {
        return refuse(ex, "its condition hangs on data; export one branch alone", err);
    }
    const int body = find_body(node, condition ? "then_branch" : "else_branch");
    if (body < 0 || node->bodies[body].graph->output_count != node->out_count ||
        node->bodies[body].own_inputs != 0) {
        return refuse(ex, "its branch is missing or does not fit its outputs", err);
    }
    uint32_t *map = NULL;
    squall_status status = inline_body(ex, (uint32_t)body, NULL, condition, &map, err);
    const uint32_t outputs = status == SQUALL_OK ? node_of(ex)->out_count : 0;
    for (uint32_t i = 0; i < outputs && status == SQUALL_OK; i++) {
        status = set_output(ex, i, map[node_of(ex)->bodies[body].graph->outputs[i]], err);
    }
    sq_free(map);
    return status;
}

/* A Loop or Scan while it is unrolled: `states` values go from round to round, `collected` outputs
 * gather what each round gives. */
typedef struct unrolling {
    uint32_t states, collected, scanned; /* scanned: inputs that a Scan takes slices of */
    int64_t round;
} unrolling;

static int64_t list_at(const sq_node *node, const char *name, uint32_t index)
{
    size_t count;
    const int64_t *list = sq_attr_ints(&node->attrs, name, &count);
    return index < count ? list[index] : 0;
}

/* Put what a round gives for collected output `k` behind (or before) what there is. */
static squall_status collect(const expansion *ex, const unrolling *un, uint32_t k, uint32_t value,
                             uint32_t *total, squall_error *err)
{
    const int64_t axis = list_at(node_of(ex), "scan_output_axes", k);
    const bool before = list_at(node_of(ex), "scan_output_directions", k) != 0;
    const uint32_t axes = add_int(ex, un->round, "axis", 1, axis);
    const uint32_t row = axes == SQ_NO_VALUE
                             ? SQ_NO_VALUE
                             : add_node(ex, SQ_OP_Unsqueeze, un->round, "row",
                                        (const uint32_t[]){value, axes}, 2, SQ_NO_VALUE);
    if (row == SQ_NO_VALUE) {
        return no_memory(ex, err);
    }
    if (*total == SQ_NO_VALUE) {
        *total = row;
        return SQUALL_OK;
    }
    const uint32_t both[2] = {before ? row : *total, before ? *total : row};
    *total = add_node(ex, SQ_OP_Concat, un->round, "rows", both, 2, SQ_NO_VALUE);
    if (*total == SQ_NO_VALUE ||
        !sq_attr_set_int(&ex->graph->nodes[ex->graph->node_count - 1].attrs, "axis", axis)) {
        return no_memory(ex, err);
    }
    return SQUALL_OK;
}

/* What has been collected so far: value numbers in the node's own attribute, as int64. */
static uint32_t collected_at(const sq_node *node, uint32_t k)
{
    size_t count;
    const int64_t *list = sq_attr_ints(&node->attrs, "sq_collected", &count);
    return k < count ? (uint32_t)list[k] : SQ_NO_VALUE;
}

/* No round is left: the states and what was collected are the outputs. */
static squall_status finish(const expansion *ex, const unrolling *un, uint32_t first_state,
                            squall_error *err)
{
    for (uint32_t i = 0; i < un->states; i++) {
        SQ_TRY(set_output(ex, i, node_of(ex)->inputs[first_state + i], err));
    }
    for (uint32_t k = 0; k < un->collected; k++) {
        const uint32_t total = collected_at(node_of(ex), k);
        const uint32_t output = un->states + k;
        const bool wanted =
            output < node_of(ex)->out_count && node_of(ex)->outputs[output] != SQ_NO_VALUE;
        if (wanted && total == SQ_NO_VALUE) {
            return refuse(ex, "it makes no round, and what it collects has no shape then", err);
        }
        if (wanted) {
            SQ_TRY(set_output(ex, output, total, err));
        }
    }
    return SQUALL_OK;
}

/* Round `un->round`: the body on `given`; its outputs from `first_output` on are the states, which
 * become the node's inputs from `first_state` on, then what is collected. */
static squall_status make_round(expansion *ex, const unrolling *un, const uint32_t *given,
                                uint32_t first_output, uint32_t first_state, squall_error *err)
{
    squall_status status = SQUALL_OK;
    uint32_t *map = NULL;
    int64_t totals[SQ_MAX_OUTPUTS];
    if (un->round >= SQ_LIMIT_ROUNDS) {
        return refuse(ex,
                      "it makes more than " DIGITS(
                          SQ_LIMIT_ROUNDS) " rounds, and a loop is unrolled",
                      err);
    }
    SQ_TRY_GOTO(inline_body(ex, 0, given, un->round, &map, err));
    for (uint32_t k = 0; k < un->collected; k++) {
        uint32_t total = collected_at(node_of(ex), k);
        const uint32_t inner = node_of(ex)->bodies[0].graph->outputs[first_output + un->states + k];
        SQ_TRY_GOTO(collect(ex, un, k, map[inner], &total, err));
        totals[k] = total;
    }
    sq_node *node = node_of(ex);
    const uint32_t *outputs = node->bodies[0].graph->outputs;
    if (first_output == 1 && node->own_inputs > 1) { /* a Loop's condition */
        node->inputs[1] = map[outputs[0]];
    }
    for (uint32_t i = 0; i < un->states; i++) {
        node->inputs[first_state + i] = map[outputs[first_output + i]];
    }
    if (!sq_attr_set_int(&node->attrs, "sq_iteration", un->round + 1) ||
        !sq_attr_set_ints(&node->attrs, "sq_collected", totals, un->collected)) {
        status = no_memory(ex, err);
        goto done;
    }
    ex->again = true;
done:
    sq_free(map);
    return status;
}

/* Inputs: how many rounds at most, whether to make the first, the states. The body takes the number
 * of the round, the condition and the states; it gives the condition, the states and what is
 * collected. */
static squall_status expand_loop(expansion *ex, squall_error *err)
{
    const sq_node *node = node_of(ex);
    unrolling un = {.states = node->own_inputs > 2 ? node->own_inputs - 2 : 0,
                    .round = sq_attr_int(&node->attrs, "sq_iteration", 0)};
    const sq_graph *body = node->body_count == 1 ? node->bodies[0].graph : NULL;
    if (!body || node->bodies[0].own_inputs != 2 + un.states ||
        body->output_count < 1 + un.states || body->output_count - 1 > SQ_MAX_OUTPUTS ||
        node->out_count > body->output_count - 1) {
        return refuse(ex, "its body does not fit its inputs and outputs", err);
    }
    un.collected = body->output_count - 1 - un.states;
    const bool has_most = node->own_inputs > 0 && node->inputs[0] != SQ_NO_VALUE;
    const bool has_condition = node->own_inputs > 1 && node->inputs[1] != SQ_NO_VALUE;
    int64_t most = INT64_MAX, condition = 1;
    if ((has_most && !constant_int(ex->graph, node->inputs[0], &most)) ||
        (has_condition && !constant_int(ex->graph, node->inputs[1], &condition))) {
        return refuse(ex, "how many rounds it makes hangs on data", err);
    }
    if (un.round >= most || !condition) {
        return finish(ex, &un, 2, err);
    }
    uint32_t given[2 + SQ_MAX_INPUTS] = {0};
    if (un.states > SQ_MAX_INPUTS) {
        return refuse(ex, "it has more states than can be taken", err);
    }
    for (uint32_t i = 0; i < un.states; i++) {
        given[2 + i] = node->inputs[2 + i];
    }
    given[0] = add_int(ex, un.round, "round", 0, un.round);
    given[1] = has_condition ? node_of(ex)->inputs[1] : SQ_NO_VALUE;
    if (!has_condition) { /* there is none to look at: it is true */
        squall_tensor truth;
        if (!sq_tensor_make(SQUALL_BOOL, 0, NULL, &truth)) {
            return no_memory(ex, err);
        }
        *(uint8_t *)truth.data = 1;
        given[1] = sq_graph_add_constant(ex->graph, "true", &truth);
        sq_tensor_free(&truth);
    }
    if (given[0] == SQ_NO_VALUE || given[1] == SQ_NO_VALUE) {
        return no_memory(ex, err);
    }
    return make_round(ex, &un, given, 1, 2, err);
}

/* Slice number `round` of scanned input `j`, into `*out`. */
static squall_status take_slice(const expansion *ex, const unrolling *un, uint32_t j,
                                int64_t length, uint32_t *out, squall_error *err)
{
    const sq_node *node = node_of(ex);
    const bool backwards = list_at(node, "scan_input_directions", j) != 0;
    const int64_t axis = list_at(node, "scan_input_axes", j);
    const uint32_t from = node->inputs[un->states + j];
    const uint32_t at =
        add_int(ex, un->round, "at", 0, backwards ? length - 1 - un->round : un->round);
    *out = at == SQ_NO_VALUE ? SQ_NO_VALUE
                             : add_node(ex, SQ_OP_Gather, un->round, "slice",
                                        (const uint32_t[]){from, at}, 2, SQ_NO_VALUE);
    if (*out == SQ_NO_VALUE ||
        !sq_attr_set_int(&ex->graph->nodes[ex->graph->node_count - 1].attrs, "axis", axis)) {
        return no_memory(ex, err);
    }
    return SQUALL_OK;
}

/* How many slices the scanned inputs have: all as many. */
static squall_status scan_length(const expansion *ex, const unrolling *un, int64_t *out,
                                 squall_error *err)
{
    const sq_node *node = node_of(ex);
    *out = -1;
    for (uint32_t j = 0; j < un->scanned; j++) {
        const uint32_t value = node->inputs[un->states + j];
        const squall_tensor *type = value != SQ_NO_VALUE ? &ex->graph->values[value].type : NULL;
        int64_t axis = list_at(node, "scan_input_axes", j);
        axis += type && axis < 0 ? (int64_t)type->rank : 0;
        if (!type || axis < 0 || axis >= (int64_t)type->rank ||
            (*out >= 0 && *out != type->dims[axis])) {
            return refuse(ex, "what it scans does not fit", err);
        }
        *out = type->dims[axis];
    }
    return SQUALL_OK;
}

/* Inputs: the states, then what is scanned, slice by slice. The body takes both and gives the
 * states and what is collected. */
static squall_status expand_scan(expansion *ex, squall_error *err)
{
    const sq_node *node = node_of(ex);
    const int64_t scanned = sq_attr_int(&node->attrs, "num_scan_inputs", 0);
    const sq_graph *body = node->body_count == 1 ? node->bodies[0].graph : NULL;
    if (node->attrs.opset < 9) {
        return refuse(ex, "Scan of opset 8 is not taken; export with a later one", err);
    }
    if (scanned < 1 || scanned > (int64_t)node->own_inputs || node->own_inputs > SQ_MAX_INPUTS) {
        return refuse(ex, "num_scan_inputs does not fit its inputs", err);
    }
    unrolling un = {.scanned = (uint32_t)scanned,
                    .states = node->own_inputs - (uint32_t)scanned,
                    .round = sq_attr_int(&node->attrs, "sq_iteration", 0)};
    if (!body || node->bodies[0].own_inputs != node->own_inputs || body->output_count < un.states ||
        body->output_count > SQ_MAX_OUTPUTS || node->out_count > body->output_count) {
        return refuse(ex, "its body does not fit its inputs and outputs", err);
    }
    un.collected = body->output_count - un.states;
    int64_t length;
    SQ_TRY(scan_length(ex, &un, &length, err));
    if (un.round >= length) {
        return finish(ex, &un, 0, err);
    }
    uint32_t given[SQ_MAX_INPUTS] = {0};
    memcpy(given, node->inputs, un.states * sizeof given[0]);
    for (uint32_t j = 0; j < un.scanned; j++) {
        SQ_TRY(take_slice(ex, &un, j, length, &given[un.states + j], err));
    }
    return make_round(ex, &un, given, 0, 0, err);
}

/* The nodes from `first` on go to where the control node is; it stays behind them, or goes. */
static squall_status move_nodes(const expansion *ex, squall_error *err)
{
    sq_graph *graph = ex->graph;
    const uint32_t made = graph->node_count - ex->first, tail = ex->first - ex->node;
    sq_node *held = sq_alloc_raw(tail, sizeof *held);
    if (!held) {
        return no_memory(ex, err);
    }
    if (!ex->again) {
        sq_graph_retire(graph, node_of(ex), NULL, "its rounds or its branch took its place");
    }
    memcpy(held, graph->nodes + ex->node, tail * sizeof *held);
    memmove(graph->nodes + ex->node, graph->nodes + ex->first, made * sizeof *held);
    memcpy(graph->nodes + ex->node + made, held, tail * sizeof *held);
    sq_free(held);
    return SQUALL_OK;
}

squall_status sq_graph_expand(sq_graph *graph, uint32_t index, squall_error *err)
{
    expansion ex = {.graph = graph, .node = index, .first = graph->node_count};
    squall_status status;
    switch (graph->nodes[index].op) {
    case SQ_OP_If:
        status = expand_if(&ex, err);
        break;
    case SQ_OP_Loop:
        status = expand_loop(&ex, err);
        break;
    default:
        status = expand_scan(&ex, err);
        break;
    }
    SQ_TRY(status);
    return move_nodes(&ex, err);
}
