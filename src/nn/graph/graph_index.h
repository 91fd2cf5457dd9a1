/* nn/graph/graph_index.h - who gives and who uses each value; for the files of this room alone. */
#ifndef SQ_NN_GRAPH_GRAPH_INDEX_H
#define SQ_NN_GRAPH_GRAPH_INDEX_H

#include "nn/graph/graph.h"

#define SQ_NO_NODE UINT32_MAX

/** A snapshot over values 0..value_count-1: passes would be quadratic if they searched each time.
 */
typedef struct sq_graph_index {
    uint32_t *producer; /* owned; node number, or SQ_NO_NODE */
    uint32_t *uses;     /* owned; by living nodes and as outputs of the graph */
    uint32_t *user;     /* owned; the last node that uses it, or SQ_NO_NODE */
} sq_graph_index;

SQUALL_MUST_USE squall_status sq_graph_index_make(const sq_graph *graph, sq_graph_index *out,
                                                  squall_error *err);
void sq_graph_index_free(sq_graph_index *index);

/** `value` is there and constant. */
bool sq_graph_is_constant(const sq_graph *graph, uint32_t value);
/** All inputs of `node` that are there are constant. */
bool sq_graph_all_constant(const sq_graph *graph, const sq_node *node);
bool sq_graph_is_output(const sq_graph *graph, uint32_t value);

/** Carry out `node`, whose inputs are constant and whose output types are known: its outputs become
 * constants and it is marked dead. `*done` is false when the evaluator does not know the operator.
 */
SQUALL_MUST_USE squall_status sq_graph_fold(sq_graph *graph, sq_node *node,
                                            sq_graph_evaluate *evaluate, bool *done,
                                            squall_error *err);

/** Put the nodes that an If, Loop or Scan stands for, or one round of them, in front of node number
 * `index`, which is marked dead when nothing is left of it. All before it is inferred and folded.
 * SQUALL_E_UNSUPPORTED with the reason when it hangs on data. */
SQUALL_MUST_USE squall_status sq_graph_expand(sq_graph *graph, uint32_t index, squall_error *err);

/** Attributes and bodies of `node` into `copy`; its inputs and outputs are the caller's. */
bool sq_graph_copy_node(const sq_node *node, sq_node *copy);

void sq_trace_free(sq_trace *trace);
bool sq_trace_copy(const sq_trace *trace, sq_trace *out);

/** Bytes of the outputs of `node`; SIZE_MAX when a type is not known. */
size_t sq_graph_output_bytes(const sq_graph *graph, const sq_node *node);

/** "node 'conv1' (Conv)" into `text` of SQ_GRAPH_WHERE bytes; returns it. */
#define SQ_GRAPH_WHERE 128
const char *sq_graph_where(const sq_node *node, char *text);

/** A constant under a name made from `base` that no value has yet; takes over `tensor`'s data,
 * which stays the caller's when SQ_NO_VALUE is returned. */
uint32_t sq_graph_add_constant_beside(sq_graph *graph, const char *base, squall_tensor *tensor);

#endif /* SQ_NN_GRAPH_GRAPH_INDEX_H */
