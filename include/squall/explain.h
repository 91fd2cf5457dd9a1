/* squall/explain.h - what became of each node of a model, and why. */
#ifndef SQUALL_EXPLAIN_H
#define SQUALL_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "squall/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What a node became. */
typedef enum squall_became {
    SQUALL_BECAME_STEP = 0,     /**< a step of its own */
    SQUALL_BECAME_FUSED = 1,    /**< part of another node's step */
    SQUALL_BECAME_VIEW = 2,     /**< another shape of the same memory: nothing runs */
    SQUALL_BECAME_CONSTANT = 3, /**< worked out when the engine was built */
    SQUALL_BECAME_REMOVED = 4   /**< nothing: it is not needed */
} squall_became;

/** One node. Texts are borrowed, good as long as the explanation. */
typedef struct squall_fate {
    const char *node, *op; /**< in the model; "loop/add" for a node in a body */
    squall_became became;
    int64_t step;       /**< number of its first step in the first profile's plan; -1: none */
    uint32_t steps;     /**< how many: the nodes of a loop are a step for each round */
    const char *name;   /**< of that step; "" for none */
    const char *tactic; /**< "cpu:conv_direct_c16_avx512"; "" for none */
    const char *why;    /**< in words: what was done with it, and why no more was */
} squall_fate;

typedef struct squall_explanation squall_explanation;

/** NULL when there is no memory. */
SQUALL_API squall_explanation *squall_explanation_create(void);
SQUALL_API void squall_explanation_destroy(squall_explanation **explanation);
/** Nodes of the model, in its order. */
SQUALL_API size_t squall_explanation_count(const squall_explanation *explanation);
/** @param out  filled; @return SQUALL_E_ARGUMENT when there is no node of this number. */
SQUALL_MUST_USE SQUALL_API squall_status squall_explanation_get(
    const squall_explanation *explanation, size_t index, squall_fate *out, squall_error *err);
/** "step", "fused", "view", "constant", "removed". */
SQUALL_API const char *squall_became_name(squall_became became);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_EXPLAIN_H */
