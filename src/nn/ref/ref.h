/* nn/ref/ref.h - every operator in plain C: the yardstick of every test and the last fall-back. */
#ifndef SQ_NN_REF_REF_H
#define SQ_NN_REF_REF_H

#include "nn/backend/backend.h"

/** The reference backend. Plain layouts, no packed constants; one tactic, "ref", an operator. */
extern const sq_backend sq_ref_backend;

/** Carry out one step whose inputs' data are set and whose outputs' types are known, into fresh
 * data that this call allocates (sq_alloc) in step->out[]: what constant folding and tests call. */
SQUALL_MUST_USE squall_status sq_ref_evaluate(sq_step *step, squall_error *err);

#endif /* SQ_NN_REF_REF_H */
