/* nn/graph/graph.h - the network as the compiler sees it: values, nodes, and passes over them. */
#ifndef SQ_NN_GRAPH_GRAPH_H
#define SQ_NN_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "nn/op/op.h"

#define SQ_NO_VALUE UINT32_MAX /* an optional input or output that is absent */

/** A value: what a node gives, an input of the graph, or a constant. */
typedef struct sq_value {
    char *name;         /* owned; unique */
    squall_tensor type; /* dtype NONE while unknown; for graph inputs a size may be -1: symbolic;
                           `data` is set (and owned) for constants */
    char *symbols[SQUALL_MAX_DIMS]; /* owned; name of each symbolic size ("N"), NULL for a number */
    bool constant;
} sq_value;

struct sq_graph;

/** A graph in an attribute of If, Loop or Scan. Its inputs are those that the operator gives it,
 * then the values of the graph around it that it uses, which are inputs of the node too. */
typedef struct sq_body {
    char *name; /* owned; of the attribute: "then_branch" */
    struct sq_graph *graph;
    uint32_t own_inputs;    /* inputs of the graph that the operator gives */
    uint32_t first_capture; /* number of the node's input that its next input is */
    uint32_t *constants;    /* owned; while it is unrolled: what they are in the graph around it */
} sq_body;

typedef struct sq_node {
    sq_op op;
    char *name;        /* owned; as in the model, or made from the outputs' names */
    uint32_t *inputs;  /* owned, [in_count]: value numbers or SQ_NO_VALUE */
    uint32_t *outputs; /* owned, [out_count] */
    uint32_t in_count, out_count;
    sq_attrs attrs;
    sq_body *bodies;     /* owned, [body_count]; of If, Loop and Scan */
    uint32_t body_count; /* of those; then `own_inputs` of the inputs are the operator's */
    uint32_t own_inputs;
    uint32_t *origins; /* owned, [origin_count]; nodes of the model that it stands for: places */
    uint32_t origin_count; /* in the trace; none when nothing is traced */
    bool dead;             /* passes mark, sq_graph_compact() removes */
} sq_node;

/** A node of the model, and what was done to it. */
typedef struct sq_fate {
    char *name; /* owned */
    sq_op op;
    char *history; /* owned; "went into 'conv1' (Conv): normalisation; ...", NULL for nothing */
    enum { SQ_FATE_LIVES, SQ_FATE_FUSED, SQ_FATE_CONSTANT, SQ_FATE_REMOVED } end; /* so far */
} sq_fate;

/** What became of the nodes of the model: of those that are constants from the beginning, and from
 * sq_graph_trace() on of all others. */
typedef struct sq_trace {
    sq_fate *items; /* owned */
    uint32_t count, capacity;
    bool on;
    bool failed; /* there was no memory for all of it */
} sq_trace;

/** Nodes are in an order in which they can run. Value numbers stay when nodes go. */
typedef struct sq_graph {
    sq_value *values;           /* [value_count] */
    sq_node *nodes;             /* [node_count] */
    uint32_t *inputs, *outputs; /* value numbers */
    uint32_t value_count, value_capacity, node_count, node_capacity, input_count, output_count;
    char *name; /* of the model */
    sq_trace trace;
} sq_graph;

sq_graph *sq_graph_create(void); /* NULL when there is no memory */
void sq_graph_destroy(sq_graph **graph);
SQUALL_MUST_USE squall_status sq_graph_copy(const sq_graph *graph, sq_graph **out,
                                            squall_error *err);

/** Append; SQ_NO_VALUE / NULL when there is no memory. The node's arrays are made, to be filled. */
uint32_t sq_graph_add_value(sq_graph *graph, const char *name);
sq_node *sq_graph_add_node(sq_graph *graph, sq_op op, const char *name, uint32_t in_count,
                           uint32_t out_count);
/** A constant that takes over `tensor`'s data. */
uint32_t sq_graph_add_constant(sq_graph *graph, const char *name, squall_tensor *tensor);

/** The node that gives `value`, or NULL; how many uses it has, outputs of the graph counted in. */
sq_node *sq_graph_producer(const sq_graph *graph, uint32_t value);
uint32_t sq_graph_use_count(const sq_graph *graph, uint32_t value);
/** Every use of `old` (inputs of nodes, outputs of the graph) becomes one of `now`. */
void sq_graph_replace(sq_graph *graph, uint32_t old, uint32_t now);
void sq_graph_compact(sq_graph *graph);
/** Append an input to a node; false when there is no memory. */
bool sq_graph_add_input(sq_node *node, uint32_t value);
/** A body of that name for a node, with an empty graph; NULL when there is no memory. */
sq_body *sq_graph_add_body(sq_node *node, const char *name);
/** Put nodes into an order in which they can run; SQUALL_E_CORRUPT when there is a cycle. */
SQUALL_MUST_USE squall_status sq_graph_sort(sq_graph *graph, squall_error *err);

/** A node of the model that is a value here and no node; false when there is no memory. */
bool sq_graph_note_constant(sq_graph *graph, const char *name);
/** From now on keep what becomes of each node, those in bodies too. */
SQUALL_MUST_USE squall_status sq_graph_trace(sq_graph *graph, squall_error *err);
/** `node` is dead, for a reason in words; what it stood for, `into` (optional) stands for now. */
void sq_graph_retire(sq_graph *graph, sq_node *node, sq_node *into, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/** `node` is dead: its outputs are constants now. */
void sq_graph_retire_constant(sq_graph *graph, sq_node *node, const char *why);
/** `node`, which is new, stands for what `old` stands for; `old` may go on or be retired. */
void sq_graph_stand_for(sq_graph *graph, sq_node *node, const sq_node *old);

/** View a node as a step; `in`, `out` are caller's arrays of SQ_MAX_INPUTS, SQ_MAX_OUTPUTS. */
void sq_graph_step(const sq_graph *graph, const sq_node *node, squall_tensor *in,
                   squall_tensor *out, sq_step *step);

/** Give graph input `name` a concrete shape; rank and fixed sizes must agree. */
SQUALL_MUST_USE squall_status sq_graph_set_shape(sq_graph *graph, const char *name,
                                                 const int64_t *dims, uint32_t rank,
                                                 squall_error *err);

/** Carries out one step on constants; nn/ref's sq_ref_evaluate fits. */
typedef squall_status sq_graph_evaluate(sq_step *step, squall_error *err);

/** Shapes of every value, from the inputs' (all concrete); nodes whose inputs are all constant and
 * whose outputs are small are folded on the way, because later shapes hang on them. If, Loop and
 * Scan become the nodes of their graphs: which of them, and how many times, must be constant. */
SQUALL_MUST_USE squall_status sq_graph_infer(sq_graph *graph, sq_graph_evaluate *evaluate,
                                             squall_error *err);

/** A pass: changes the graph, returns how many times it found its pattern in `*changes`. */
typedef squall_status sq_graph_pass(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                                    squall_error *err);
sq_graph_pass sq_pass_fold_constants; /* nodes of constants become constants */
sq_graph_pass sq_pass_dead_code;      /* what no output needs goes */
sq_graph_pass
    sq_pass_identity; /* Identity, Dropout (inference), no-op Cast/Reshape/Pad/Slice/... */
sq_graph_pass
    sq_pass_batch_norm;        /* BatchNormalization into the Conv/ConvTranspose/Gemm before it */
sq_graph_pass sq_pass_integer; /* convolutions between integers work on them */
sq_graph_pass sq_pass_activation; /* an activation into the Conv/ConvTranspose/Gemm/Add before it */
sq_graph_pass sq_pass_shape;      /* Reshape and Resize by constants that are true of any batch */
sq_graph_pass sq_pass_same;       /* what is worked out twice */
sq_graph_pass sq_pass_transpose;  /* Transposes and Reshapes that follow one another */
sq_graph_pass sq_pass_parts;      /* Slice, Split and Concat that undo one another */
sq_graph_pass sq_pass_quantise;   /* QuantizeLinear and DequantizeLinear towards one another */
sq_graph_pass sq_pass_pad;        /* a Pad into the Conv or pooling behind it */
sq_graph_pass sq_pass_bias;       /* a constant added behind a convolution into its bias */
sq_graph_pass sq_pass_upsample;   /* a 1 x 1 convolution in front of a linear upsampling */
sq_graph_pass sq_pass_hoist;      /* input convolutions of recurrences, all at once */
sq_graph_pass sq_pass_fold_weights; /* last: weights held as integers that no pass took */
sq_graph_pass sq_pass_gates;  /* the gates of LSTM and GRU cells into SqLstmGates and SqGru... */
sq_graph_pass sq_pass_memory; /* memories whose gates are sums, as PredRNN's: SqMemoryGates */
sq_graph_pass sq_pass_gates_planes; /* those of cells whose state is N x C x H x W */

/* Passes that make one node of several for backends that run them as one: */
sq_graph_pass sq_pass_join;  /* Concat and enlarging into the 3 x 3 Conv behind them */
sq_graph_pass sq_pass_depth; /* a depthwise Conv and the 1 x 1 Conv behind it */

/** An enlarging by which cell (y, x) of the result is cell (y / 2, x / 2) of an image. */
bool sq_graph_doubles(const sq_graph *graph, const sq_node *node);

/** Is shown the graph after each pass that changed something. */
typedef struct sq_graph_watch {
    void *self;
    squall_status (*changed)(void *self, const sq_graph *graph, const char *pass,
                             squall_error *err);
} sq_graph_watch;

/** Run the passes in their order until none changes anything, at most a set number of rounds. A
 * line for each pass that did something goes to `notes`; `watch` (optional) sees them all. */
SQUALL_MUST_USE squall_status sq_graph_optimise(sq_graph *graph, sq_graph_evaluate *evaluate,
                                                const sq_graph_watch *watch, squall_notes *notes,
                                                squall_error *err);

/** Why no pass took `node` into another, in words; empty where there is nothing to say. Uses are
 * those of a graph in which all passes have run. Into `text` of SQ_GRAPH_APART bytes; returns it.
 */
#define SQ_GRAPH_APART 256
const char *sq_graph_why_apart(const sq_graph *graph, const sq_node *node, char *text);

/** The network in float16 or bfloat16 (`type`): constants are rounded, inputs and outputs stay
 * float32 behind Casts. Types are to be inferred again. A line goes to `notes` when constants are
 * beyond float16. */
SQUALL_MUST_USE squall_status sq_graph_to_half(sq_graph *graph, squall_dtype type,
                                               squall_notes *notes, squall_error *err);

/** The same for a device that works on integers: convolutions of what DequantizeLinear gives become
 * SqQConv. */
SQUALL_MUST_USE squall_status sq_graph_optimise_integers(sq_graph *graph,
                                                         sq_graph_evaluate *evaluate,
                                                         const sq_graph_watch *watch,
                                                         squall_notes *notes, squall_error *err);

/** For whom nodes become one: processors, those without Winograd's way, which alone reads what a
 * convolution joins, and GPUs, which have kernels for cells of convolutions. */
typedef enum sq_fusing { SQ_FUSE_CPU = 1, SQ_FUSE_CPU_PLAIN = 2, SQ_FUSE_GPU = 4 } sq_fusing;

/** Then those that make one node of several, once. */
SQUALL_MUST_USE squall_status sq_graph_fuse(sq_graph *graph, sq_fusing fusing,
                                            sq_graph_evaluate *evaluate,
                                            const sq_graph_watch *watch, squall_notes *notes,
                                            squall_error *err);

/** Convolutions take in the Concat of two values and the nearest-neighbour doubling in front of
 * them, and the 2 x 2 MaxPool behind them: they become SqConvBlock; those of 8 bits stay SqQConv.
 * For devices with kernels of it. `bytes`: those of 8 bits alone. */
SQUALL_MUST_USE squall_status sq_graph_to_blocks(sq_graph *graph, bool bytes, uint32_t *changes,
                                                 squall_error *err);

#endif /* SQ_NN_GRAPH_GRAPH_H */
