/* nn/graph/graph_match.h - what passes ask of nodes, and how they change one; for this room alone.
 */
#ifndef SQ_NN_GRAPH_GRAPH_MATCH_H
#define SQ_NN_GRAPH_GRAPH_MATCH_H

#include "nn/graph/graph_index.h"

/** The living node of operator `op` that gives `value`, or NULL. */
sq_node *sq_graph_maker(const sq_graph *graph, const sq_graph_index *index, uint32_t value,
                        sq_op op);

/** The only number of a constant; false when `value` is none. */
bool sq_graph_number(const sq_graph *graph, uint32_t value, double *out);

/** The integers that older opsets hold in attribute `name` and newer ones in constant input
 * `input`. False when they are there but not constant, or more than `capacity`; `*given` tells
 * whether there are any. `name` and `input` may be NULL and 0 for none. */
bool sq_graph_ints(const sq_graph *graph, const sq_node *node, uint32_t input, const char *name,
                   size_t capacity, int64_t *out, size_t *count, bool *given);

/** What a Slice takes: along each axis `start`, `start` + `step`, ...; as many as its output has.
 * False when that is not constant. Shapes are known. */
typedef struct sq_slice {
    int64_t start[SQUALL_MAX_DIMS], step[SQUALL_MAX_DIMS];
} sq_slice;
bool sq_graph_slice(const sq_graph *graph, const sq_node *node, sq_slice *out);

/** An axis that may count from the end; false when there is none such. */
bool sq_graph_axis(const sq_node *node, int64_t otherwise, uint32_t rank, uint32_t *out);

/** `value` as one of several equal parts along axis 1 of `whole`, by a Split or a Slice. */
bool sq_graph_part(const sq_graph *graph, const sq_graph_index *index, uint32_t value,
                   uint32_t *whole, int64_t *part, int64_t *parts);

/** Make another operator of `node`, without attributes: it keeps its name and its origins. */
SQUALL_MUST_USE squall_status sq_graph_rewrite(sq_node *node, sq_op op, const uint32_t *inputs,
                                               uint32_t in_count, const uint32_t *outputs,
                                               uint32_t out_count, squall_error *err);

/** A constant of int64 numbers, of rank 1; SQ_NO_VALUE when there is no memory. */
uint32_t sq_graph_add_ints(sq_graph *graph, const char *base, const int64_t *values, size_t count);

/** The bias of a Conv: its own, or zeros made for it. SQUALL_E_MEMORY. */
SQUALL_MUST_USE squall_status sq_graph_need_bias(sq_graph *graph, const sq_node *conv,
                                                 uint32_t *out, squall_error *err);

#endif /* SQ_NN_GRAPH_GRAPH_MATCH_H */
