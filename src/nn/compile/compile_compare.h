/* nn/compile/compile_compare.h - what the files of the comparison share. */
#ifndef SQ_NN_COMPILE_COMPILE_COMPARE_H
#define SQ_NN_COMPILE_COMPILE_COMPARE_H

#include "nn/compile/compile_internal.h"
#include "nn/runtime/runtime.h"
#include "squall/compare.h"

/* A step of the engine, and the sums over all samples. */
typedef struct sq_compared_layer {
    uint32_t step, value; /* of the engine's plan */
    double signal, noise; /* sums of squares */
    bool seen;            /* the model has it */
} sq_compared_layer;

/* An output against what it should be: the sums over all samples. */
typedef struct sq_compared_output {
    double signal, noise, low, high, worst;
    size_t count;
} sq_compared_output;

struct squall_comparison {
    squall_engine *engine; /* the caller's */
    int32_t threads;
    sq_graph *graph; /* the model */
    squall_engine *reference;
    unsigned char *reference_bytes;            /* that it lies in */
    squall_context *mine, *theirs;             /* of the reference, of the engine */
    squall_tensor *my_outputs, *their_outputs; /* owned, with data */
    const sq_plan *plan;   /* of the engine's profile; at another batch its steps are the same */
    squall_tensor *values; /* owned, [value_count of the reference's plan]: kept of the last run */
    uint32_t value_count;
    const sq_plan *reference_plan;
    sq_compared_layer *layers; /* owned */
    uint32_t layer_count;
    /* owned, [output_count] each: the engine against the model; both against another runtime */
    sq_compared_output *outputs, *engine_outputs, *model_outputs;
    uint32_t output_count;
    size_t samples, references; /* how many of the samples came with what another runtime gave */
};

/** Begin to compare an engine with a graph, which is given to it in any case. */
SQUALL_MUST_USE squall_status sq_compare_graph(sq_graph *graph, squall_engine *engine,
                                               int32_t threads, squall_comparison **out,
                                               squall_error *err);

/** Element `index` of a plain tensor. */
double sq_compare_element(const squall_tensor *tensor, size_t index);

/** The difference of two numbers; none where both are the same NaN or infinity. */
double sq_compare_apart(double got, double want);

/** Power of a signal over that of a noise; infinite without one. */
double sq_compare_decibel(double signal, double noise);

/** Add the outputs of the last run of both. */
SQUALL_MUST_USE squall_status sq_compare_add_outputs(squall_comparison *c, squall_error *err);

#endif /* SQ_NN_COMPILE_COMPILE_COMPARE_H */
