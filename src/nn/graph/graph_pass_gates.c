/* nn/graph/graph_pass_gates.c - pass: the gates of LSTM and GRU cells, dense or convolutional, as
 * PyTorch's exporters write them become one node each.
 *
 * The products that give the gates stay what they are; op_shape_gates.c has the formulas. */
#include "nn/graph/graph_match.h"

static bool is_float(const sq_graph *graph, uint32_t value)
{
    const squall_dtype dtype = graph->values[value].type.dtype;
    return dtype == SQUALL_F32 || dtype == SQUALL_F16 || dtype == SQUALL_BF16;
}

/* The node of operator `op` that gives `value` to one user alone. */
static sq_node *sole(const sq_graph *graph, const sq_graph_index *index, uint32_t value, sq_op op)
{
    sq_node *node = sq_graph_maker(graph, index, value, op);
    return node && index->uses[value] == 1 ? node : NULL;
}

/* ---- LSTM ---- */

enum { IN, FORGET, OUT, CELL, PARTS };

/* The nodes of a cell, and the values that it works on. */
typedef struct lstm_cell {
    sq_node *squash[PARTS];     /* three Sigmoid and the Tanh of each part */
    sq_node *kept, *added;      /* s(f) * cell, s(i) * tanh(g) */
    sq_node *sum, *bent, *last; /* bent: Tanh(cell'); NULL when the sum applies it itself */
    uint32_t gates, cell;
    int64_t part[PARTS];
} lstm_cell;

/* The part that `node`, an activation, is applied to; all must be of the same whole. */
static bool take_part(const sq_graph *graph, const sq_graph_index *index, sq_node *node, int which,
                      lstm_cell *out)
{
    uint32_t whole;
    int64_t parts;
    if (!sq_graph_part(graph, index, node->inputs[0], &whole, &out->part[which], &parts) ||
        parts != PARTS || (out->gates != SQ_NO_VALUE && out->gates != whole)) {
        return false;
    }
    out->gates = whole;
    out->squash[which] = node;
    return true;
}

/* Sigmoid(i) * Tanh(g), in either order. */
static bool find_added(const sq_graph *graph, const sq_graph_index *index, sq_node *mul,
                       lstm_cell *out)
{
    for (int swap = 0; swap < 2; swap++) {
        sq_node *gate = sole(graph, index, mul->inputs[swap], SQ_OP_Sigmoid);
        sq_node *cell = sole(graph, index, mul->inputs[1 - swap], SQ_OP_Tanh);
        if (gate && cell && take_part(graph, index, gate, IN, out) &&
            take_part(graph, index, cell, CELL, out)) {
            out->added = mul;
            return true;
        }
    }
    return false;
}

/* Sigmoid(f) * cell, in either order. */
static bool find_kept(const sq_graph *graph, const sq_graph_index *index, sq_node *mul,
                      lstm_cell *out)
{
    for (int swap = 0; swap < 2; swap++) {
        sq_node *gate = sole(graph, index, mul->inputs[swap], SQ_OP_Sigmoid);
        if (gate && mul->inputs[1 - swap] != SQ_NO_VALUE &&
            take_part(graph, index, gate, FORGET, out)) {
            out->kept = mul;
            out->cell = mul->inputs[1 - swap];
            return true;
        }
    }
    return false;
}

/* The sum that is cell', when `value` is its Tanh: by a node, or by the sum where nothing else
 * needs the cell, as in the last step of a sequence. */
static bool find_sum(const sq_graph *graph, const sq_graph_index *index, uint32_t value,
                     lstm_cell *out)
{
    out->bent = sole(graph, index, value, SQ_OP_Tanh);
    out->sum = out->bent ? sq_graph_maker(graph, index, out->bent->inputs[0], SQ_OP_Add)
                         : sole(graph, index, value, SQ_OP_Add);
    return out->sum && sq_attr_int(&out->sum->attrs, "sq_activation", SQ_ACT_NONE) ==
                           (out->bent ? SQ_ACT_NONE : SQ_ACT_TANH);
}

/* The cell whose hidden state is what `mul` gives. */
static bool find_lstm(const sq_graph *graph, const sq_graph_index *index, sq_node *mul,
                      lstm_cell *out)
{
    for (int swap = 0; swap < 2; swap++) {
        lstm_cell cell = {.gates = SQ_NO_VALUE, .last = mul};
        sq_node *gate = sole(graph, index, mul->inputs[swap], SQ_OP_Sigmoid);
        if (!gate || !find_sum(graph, index, mul->inputs[1 - swap], &cell) ||
            !take_part(graph, index, gate, OUT, &cell)) {
            continue;
        }
        for (int other = 0; other < 2; other++) {
            const uint32_t gates = cell.gates;
            sq_node *added = sole(graph, index, cell.sum->inputs[other], SQ_OP_Mul);
            sq_node *kept = sole(graph, index, cell.sum->inputs[1 - other], SQ_OP_Mul);
            if (added && kept && find_added(graph, index, added, &cell) &&
                find_kept(graph, index, kept, &cell)) {
                *out = cell;
                return true;
            }
            cell.gates = gates;
        }
    }
    return false;
}

/* Shapes as the operator has them, parts that differ. */
static bool lstm_fits(const sq_graph *graph, const lstm_cell *cell)
{
    unsigned seen = 0;
    for (int i = 0; i < PARTS; i++) {
        seen |= 1u << cell->part[i];
    }
    const squall_tensor *state = &graph->values[cell->cell].type;
    const squall_tensor *sum = &graph->values[cell->sum->outputs[0]].type;
    const squall_tensor *part = &graph->values[cell->squash[IN]->inputs[0]].type;
    return seen == (1u << PARTS) - 1 && is_float(graph, cell->gates) &&
           sq_tensor_same_type(state, sum) && sq_tensor_same_type(state, part);
}

/* The sum's node becomes the cell: the gates and the old state are there when it runs. */
static squall_status make_lstm(sq_graph *graph, lstm_cell *cell, squall_error *err)
{
    const uint32_t inputs[] = {cell->gates, cell->cell};
    const uint32_t outputs[] = {cell->last->outputs[0],
                                cell->bent ? cell->sum->outputs[0] : SQ_NO_VALUE};
    SQ_TRY(sq_graph_rewrite(cell->sum, SQ_OP_SqLstmGates, inputs, 2, outputs, 2, err));
    if (!sq_attr_set_ints(&cell->sum->attrs, "sq_gates", cell->part, PARTS)) {
        return sq_fail(err, SQUALL_E_MEMORY, cell->sum->name, "no memory for its gates");
    }
    sq_node *gone[] = {cell->squash[IN],  cell->squash[FORGET],
                       cell->squash[OUT], cell->squash[CELL],
                       cell->kept,        cell->added,
                       cell->last,        cell->bent};
    for (size_t i = 0; i < sizeof gone / sizeof gone[0] && gone[i]; i++) {
        sq_graph_retire(graph, gone[i], cell->sum, "the gates of an LSTM cell are one step");
    }
    return SQUALL_OK;
}

/* ---- GRU ---- */

/* A gate: the part of a value that it is, under a Sigmoid or not. */
typedef struct gru_gate {
    uint32_t whole;
    int64_t part[2]; /* which, of how many */
    sq_node *squash; /* its Sigmoid, if that can go too */
} gru_gate;

static void find_gate(const sq_graph *graph, const sq_graph_index *index, uint32_t value,
                      uint32_t uses, gru_gate *out)
{
    sq_node *squash = sq_graph_maker(graph, index, value, SQ_OP_Sigmoid);
    *out = (gru_gate){.squash = squash && index->uses[value] == uses ? squash : NULL};
    const uint32_t raw = out->squash ? squash->inputs[0] : value;
    if (!sq_graph_part(graph, index, raw, &out->whole, &out->part[0], &out->part[1])) {
        out->whole = raw;
        out->part[0] = 0;
        out->part[1] = 1;
    }
}

typedef struct gru_cell {
    sq_node *sum, *rest, *kept, *added; /* Add, 1 - z, (1 - z) * keep, z * fresh */
    gru_gate gate;
    uint32_t keep, fresh;
} gru_cell;

/* (1 - z) * keep + z * fresh, in any order; both products serve the sum alone. */
static bool find_gru(const sq_graph *graph, const sq_graph_index *index, sq_node *sum,
                     gru_cell *out)
{
    for (int order = 0; order < 8; order++) {
        gru_cell cell = {.sum = sum};
        double one;
        cell.kept = sole(graph, index, sum->inputs[order & 1], SQ_OP_Mul);
        cell.added = sole(graph, index, sum->inputs[1 - (order & 1)], SQ_OP_Mul);
        if (!cell.kept || !cell.added) {
            continue;
        }
        const int left = order >> 1 & 1, right = order >> 2;
        cell.rest = sole(graph, index, cell.kept->inputs[left], SQ_OP_Sub);
        cell.keep = cell.kept->inputs[1 - left];
        const uint32_t z = cell.added->inputs[right];
        cell.fresh = cell.added->inputs[1 - right];
        if (!cell.rest || cell.rest->inputs[1] != z || cell.keep == SQ_NO_VALUE ||
            cell.fresh == SQ_NO_VALUE || !sq_graph_number(graph, cell.rest->inputs[0], &one) ||
            one != 1.0) {
            continue;
        }
        find_gate(graph, index, z, 2, &cell.gate);
        const squall_tensor *type = &graph->values[sum->outputs[0]].type;
        if (type->rank >= 2 && is_float(graph, z) &&
            sq_tensor_same_type(type, &graph->values[z].type) &&
            sq_tensor_same_type(type, &graph->values[cell.keep].type) &&
            sq_tensor_same_type(type, &graph->values[cell.fresh].type)) {
            *out = cell;
            return true;
        }
    }
    return false;
}

static squall_status set_gate(sq_node *node, const gru_gate *gate, squall_error *err)
{
    if (!sq_attr_set_ints(&node->attrs, "sq_gates", gate->part, 2) ||
        !sq_attr_set_int(&node->attrs, "sq_sigmoid", gate->squash != NULL)) {
        return sq_fail(err, SQUALL_E_MEMORY, node->name, "no memory for its gates");
    }
    return SQUALL_OK;
}

static squall_status make_gru(sq_graph *graph, gru_cell *cell, squall_error *err)
{
    static const char *const why = "the gates of a GRU cell are one step";
    const uint32_t inputs[] = {cell->gate.whole, cell->keep, cell->fresh};
    const uint32_t output = cell->sum->outputs[0];
    SQ_TRY(sq_graph_rewrite(cell->sum, SQ_OP_SqGruUpdate, inputs, 3, &output, 1, err));
    SQ_TRY(set_gate(cell->sum, &cell->gate, err));
    sq_graph_retire(graph, cell->rest, cell->sum, "%s", why);
    sq_graph_retire(graph, cell->kept, cell->sum, "%s", why);
    sq_graph_retire(graph, cell->added, cell->sum, "%s", why);
    if (cell->gate.squash) {
        sq_graph_retire(graph, cell->gate.squash, cell->sum, "%s", why);
    }
    return SQUALL_OK;
}

/* r * state, where r is a part of the same gates as the update's: it need not be cut out. */
static squall_status make_resets(sq_graph *graph, const sq_graph_index *index, const gru_gate *gate,
                                 uint32_t *changes, squall_error *err)
{
    for (uint32_t i = 0; gate->part[1] > 1 && i < graph->node_count; i++) {
        sq_node *mul = &graph->nodes[i];
        for (int swap = 0; swap < 2 && !mul->dead && mul->op == SQ_OP_Mul; swap++) {
            const uint32_t r = mul->inputs[swap], state = mul->inputs[1 - swap];
            gru_gate reset;
            if (r == SQ_NO_VALUE || state == SQ_NO_VALUE) {
                continue;
            }
            find_gate(graph, index, r, 1, &reset);
            if (reset.whole != gate->whole || reset.part[1] != gate->part[1] ||
                !sq_tensor_same_type(&graph->values[r].type, &graph->values[state].type)) {
                continue;
            }
            const uint32_t inputs[] = {reset.whole, state}, output = mul->outputs[0];
            SQ_TRY(sq_graph_rewrite(mul, SQ_OP_SqGruReset, inputs, 2, &output, 1, err));
            SQ_TRY(set_gate(mul, &reset, err));
            if (reset.squash) {
                sq_graph_retire(graph, reset.squash, mul, "it is applied to the gate");
            }
            ++*changes;
        }
    }
    return SQUALL_OK;
}

static squall_status find_cells(sq_graph *graph, bool planes_alone, uint32_t *changes,
                                squall_error *err)
{
    *changes = 0;
    sq_graph_index index;
    SQ_TRY(sq_graph_index_make(graph, &index, err));
    squall_status status = SQUALL_OK;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        sq_node *node = &graph->nodes[i];
        lstm_cell lstm;
        gru_cell gru;
        if (node->dead || node->outputs[0] == SQ_NO_VALUE ||
            (planes_alone && graph->values[node->outputs[0]].type.rank != 4)) {
            continue;
        }
        if (node->op == SQ_OP_Mul && find_lstm(graph, &index, node, &lstm) &&
            lstm_fits(graph, &lstm)) {
            SQ_TRY_GOTO(make_lstm(graph, &lstm, err));
            index.producer[lstm.sum->outputs[0]] = (uint32_t)(lstm.sum - graph->nodes);
            ++*changes;
        } else if (node->op == SQ_OP_Add && !sq_attr_find(&node->attrs, "sq_activation") &&
                   find_gru(graph, &index, node, &gru)) {
            SQ_TRY_GOTO(make_gru(graph, &gru, err));
            ++*changes;
            SQ_TRY_GOTO(make_resets(graph, &index, &gru.gate, changes, err));
        }
    }
    sq_graph_compact(graph);
done:
    sq_graph_index_free(&index);
    return status;
}

squall_status sq_pass_gates(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                            squall_error *err)
{
    (void)evaluate;
    return find_cells(graph, false, changes, err);
}

squall_status sq_pass_gates_planes(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                                   squall_error *err)
{
    (void)evaluate;
    return find_cells(graph, true, changes, err);
}
