/* nn/compile/compile_explain.h - what became of the nodes, and the graph as pictures. */
#ifndef SQ_NN_COMPILE_COMPILE_EXPLAIN_H
#define SQ_NN_COMPILE_COMPILE_EXPLAIN_H

#include "nn/graph/graph.h"
#include "nn/plan/plan.h"
#include "nn/runtime/runtime.h"
#include "squall/explain.h"

#define SQ_NO_STEP UINT32_MAX

/**
 * Fill an explanation from a graph that was traced from the beginning and has been lowered.
 *
 * @param step_of  [node_count]: number of each node's step in `plan`, or SQ_NO_STEP
 */
SQUALL_MUST_USE squall_status sq_explain(squall_explanation *explanation, const sq_graph *graph,
                                         const sq_plan *plan, const uint32_t *step_of,
                                         squall_error *err);

/** Names and tactics of the steps, from the plan that is kept in the end. */
SQUALL_MUST_USE squall_status sq_explain_settle(squall_explanation *explanation,
                                                const sq_plan *plan, squall_error *err);

/** Where a graph is written after each pass that changed it. */
typedef struct sq_dump {
    const char *folder; /* borrowed; must be there */
    uint32_t number;    /* of the next files */
} sq_dump;

/** Write `folder`/NN-name.dot and .json; "pass " in front of a name is left out. */
SQUALL_MUST_USE squall_status sq_dump_graph(sq_dump *dump, const sq_graph *graph, const char *name,
                                            squall_error *err);

#endif /* SQ_NN_COMPILE_COMPILE_EXPLAIN_H */
