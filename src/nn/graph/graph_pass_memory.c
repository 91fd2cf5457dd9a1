/* nn/graph/graph_pass_memory.c - pass: what a memory keeps and takes in, in cells like PredRNN's,
 * whose gates are sums of parts of two values, becomes one node.
 *
 * The products that give the gates stay what they are; op_shape_gates.c has the formula. */
#include "nn/graph/graph_match.h"

enum { IN, FORGET, CELL, GATES };

/* A gate: its activated sum, the sum with a number before that or NULL, and the parts of two
 * values. */
typedef struct memory_gate {
    sq_node *bent, *sum;
    uint32_t whole[2];
    int64_t part[2], parts[2];
    float offset;
} memory_gate;

typedef struct memory_cell {
    sq_node *sum, *kept, *added;
    memory_gate gates[GATES];
    uint32_t old;
} memory_cell;

/* The node of operator `op` that gives `value` to one user alone. */
static sq_node *sole(const sq_graph *graph, const sq_graph_index *index, uint32_t value, sq_op op)
{
    sq_node *node = sq_graph_maker(graph, index, value, op);
    return node && index->uses[value] == 1 ? node : NULL;
}

static int64_t activation(const sq_node *node)
{
    return sq_attr_int(&node->attrs, "sq_activation", SQ_ACT_NONE);
}

/* a + b, or (a + b) + number, behind which the pass on activations has put `act`. */
static bool find_gate(const sq_graph *graph, const sq_graph_index *index, uint32_t value,
                      sq_activation act, memory_gate *out)
{
    *out = (memory_gate){.bent = sole(graph, index, value, SQ_OP_Add)};
    if (!out->bent || activation(out->bent) != act) {
        return false;
    }
    const sq_node *sum = out->bent;
    for (int swap = 0; swap < 2 && !out->sum; swap++) {
        double number;
        if (sq_graph_number(graph, out->bent->inputs[swap], &number)) {
            out->sum = sole(graph, index, out->bent->inputs[1 - swap], SQ_OP_Add);
            if (!out->sum || activation(out->sum) != SQ_ACT_NONE) {
                return false;
            }
            out->offset = (float)number;
            sum = out->sum;
        }
    }
    for (int i = 0; i < 2; i++) {
        if (!sq_graph_part(graph, index, sum->inputs[i], &out->whole[i], &out->part[i],
                           &out->parts[i])) {
            return false;
        }
    }
    return true;
}

/* The parts of all gates are of the same two values, in the same order; they are put in it. */
static bool settle_gates(memory_gate *gates)
{
    for (int g = 1; g < GATES; g++) {
        memory_gate *gate = &gates[g];
        if (gate->whole[0] != gates->whole[0]) {
            const memory_gate was = *gate;
            for (int i = 0; i < 2; i++) {
                gate->whole[i] = was.whole[1 - i];
                gate->part[i] = was.part[1 - i];
                gate->parts[i] = was.parts[1 - i];
            }
        }
        for (int i = 0; i < 2; i++) {
            if (gate->whole[i] != gates->whole[i] || gate->parts[i] != gates->parts[i]) {
                return false;
            }
        }
    }
    return true;
}

/* s(f) * old and s(i) * tanh(g), each in either order. */
static bool find_products(const sq_graph *graph, const sq_graph_index *index, memory_cell *cell)
{
    bool kept = false, added = false;
    for (int swap = 0; swap < 2; swap++) {
        const uint32_t old = cell->kept->inputs[1 - swap];
        if (!kept && old != SQ_NO_VALUE &&
            find_gate(graph, index, cell->kept->inputs[swap], SQ_ACT_SIGMOID,
                      &cell->gates[FORGET])) {
            cell->old = old;
            kept = true;
        }
        added = added || (find_gate(graph, index, cell->added->inputs[swap], SQ_ACT_SIGMOID,
                                    &cell->gates[IN]) &&
                          find_gate(graph, index, cell->added->inputs[1 - swap], SQ_ACT_TANH,
                                    &cell->gates[CELL]));
    }
    return kept && added && settle_gates(cell->gates);
}

/* The memory that `sum` gives. */
static bool find_cell(const sq_graph *graph, const sq_graph_index *index, sq_node *sum,
                      memory_cell *out)
{
    for (int swap = 0; swap < 2; swap++) {
        memory_cell cell = {.sum = sum};
        cell.kept = sole(graph, index, sum->inputs[swap], SQ_OP_Mul);
        cell.added = sole(graph, index, sum->inputs[1 - swap], SQ_OP_Mul);
        if (!cell.kept || !cell.added || !find_products(graph, index, &cell)) {
            continue;
        }
        const squall_tensor *type = &graph->values[sum->outputs[0]].type;
        const bool known =
            type->dtype == SQUALL_F32 || type->dtype == SQUALL_F16 || type->dtype == SQUALL_BF16;
        if (known && sq_tensor_same_type(type, &graph->values[cell.old].type) &&
            sq_tensor_same_type(type, &graph->values[cell.gates[IN].bent->outputs[0]].type)) {
            *out = cell;
            return true;
        }
    }
    return false;
}

/* The sum's node becomes the cell. */
static squall_status make_cell(sq_graph *graph, memory_cell *cell, squall_error *err)
{
    const memory_gate *gates = cell->gates;
    const uint32_t inputs[] = {gates->whole[0], gates->whole[1], cell->old};
    const uint32_t output = cell->sum->outputs[0];
    int64_t parts[2 + 2 * GATES] = {gates->parts[0], gates->parts[1]};
    float offsets[GATES];
    for (int g = 0; g < GATES; g++) {
        parts[2 + 2 * g] = gates[g].part[0];
        parts[3 + 2 * g] = gates[g].part[1];
        offsets[g] = gates[g].offset;
    }
    SQ_TRY(sq_graph_rewrite(cell->sum, SQ_OP_SqMemoryGates, inputs, 3, &output, 1, err));
    if (!sq_attr_set_ints(&cell->sum->attrs, "sq_gates", parts, sizeof parts / sizeof parts[0]) ||
        !sq_attr_set_floats(&cell->sum->attrs, "sq_offsets", offsets, GATES)) {
        return sq_fail(err, SQUALL_E_MEMORY, cell->sum->name, "no memory for its gates");
    }
    sq_node *gone[] = {cell->kept,    cell->added,  gates[0].bent, gates[1].bent,
                       gates[2].bent, gates[0].sum, gates[1].sum,  gates[2].sum};
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) {
        if (gone[i]) {
            sq_graph_retire(graph, gone[i], cell->sum, "the gates of a memory are one step");
        }
    }
    return SQUALL_OK;
}

squall_status sq_pass_memory(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                             squall_error *err)
{
    (void)evaluate;
    *changes = 0;
    sq_graph_index index;
    SQ_TRY(sq_graph_index_make(graph, &index, err));
    squall_status status = SQUALL_OK;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        sq_node *node = &graph->nodes[i];
        memory_cell cell;
        if (!node->dead && node->op == SQ_OP_Add && node->outputs[0] != SQ_NO_VALUE &&
            activation(node) == SQ_ACT_NONE && find_cell(graph, &index, node, &cell)) {
            SQ_TRY_GOTO(make_cell(graph, &cell, err));
            ++*changes;
        }
    }
    sq_graph_compact(graph);
done:
    sq_graph_index_free(&index);
    return status;
}
