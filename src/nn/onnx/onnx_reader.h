/* nn/onnx/onnx_reader.h - one model being read; for the files of this room alone.
 *
 * Field numbers are those of onnx.proto (IR version 3 to 13); fields not named there are passed
 * over, as protocol buffers want it. */
#ifndef SQ_NN_ONNX_ONNX_READER_H
#define SQ_NN_ONNX_ONNX_READER_H

#include "base/base.h"
#include "nn/graph/graph.h"
#include "nn/onnx/onnx.h"
#include "nn/onnx/onnx_wire.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "ONNX holds numbers with the lowest byte first; so must the host"
#endif

#define SQ_ONNX_OLDEST_OPSET 7
#define SQ_ONNX_NEWEST_OPSET 23

/** Why something cannot be taken; empty when it can. */
#define SQ_ONNX_WHY 192
/** What names the thing at fault: "node 'conv1' (Conv, opset 17)". */
#define SQ_ONNX_WHERE 128

struct sq_onnx_scope;

typedef struct sq_onnx {
    const char *path;                  /* borrowed; what messages call the model */
    int folder;                        /* where external data are looked for; -1: nowhere */
    bool mapped;                       /* the bytes are a file's: pages read once may be dropped */
    int data_file;                     /* the external file that was read last; -1: none */
    char *data_name;                   /* owned; its name */
    uint64_t data_size;                /* its bytes */
    int32_t opset;                     /* of the default domain */
    sq_graph *graph;                   /* borrowed while it is filled */
    uint32_t depth;                    /* graphs around it */
    const struct sq_onnx_scope *scope; /* borrowed: of the graph around it; NULL for none */
    squall_notes *notes;               /* borrowed, may be NULL */
    uint32_t unsupported;              /* things that cannot be taken, */
    char first[SQ_ONNX_WHY];           /* and the first of them in words */
} sq_onnx;

/** Note one thing that cannot be taken; reading goes on, to find all of them. */
void sq_onnx_report(sq_onnx *onnx, const char *where, const char *why);

/** A name as an owned string: no control characters (they would reach terminals), not too long. */
SQUALL_MUST_USE squall_status sq_onnx_name(const sq_onnx *onnx, sq_wire bytes, char **out,
                                           squall_error *err);

/** The same for field `number` of a message; "" when it has none. */
SQUALL_MUST_USE squall_status sq_onnx_word(const sq_onnx *onnx, sq_wire message, uint32_t number,
                                           char **out, squall_error *err);

/** A TensorProto. `what` names it in messages. `why` is filled, and `out` left without a type, when
 * its kind is not taken. */
SQUALL_MUST_USE squall_status sq_onnx_tensor(sq_onnx *onnx, sq_wire message, const char *what,
                                             squall_tensor *out, char *why, squall_error *err);

/** Why numbers of this ONNX type are not taken, into `why`; false when they are. */
bool sq_onnx_type_unsupported(int64_t type, char *why);

/** The `size` bytes of a tensor whose data are in another file; `message` is its TensorProto,
 * `*data` is given (sq_free). */
SQUALL_MUST_USE squall_status sq_onnx_external(sq_onnx *onnx, sq_wire message, const char *what,
                                               void **data, size_t size, squall_error *err);

/** The folder that `path` is in, for openat; -1 with errno. */
int sq_onnx_open_folder(const char *path);

/** Open `name` for reading, in or below `folder` and nowhere else. `walk` takes the way for kernels
 * without openat2, on which no symbolic link is followed. A descriptor, or -1 with errno. */
int sq_onnx_open_beneath(int folder, const char *name, bool walk);

/** Add an AttributeProto to `attrs`. `why` is filled when it cannot be taken. */
SQUALL_MUST_USE squall_status sq_onnx_attribute(sq_onnx *onnx, sq_wire message, const char *where,
                                                sq_attrs *attrs, char *why, squall_error *err);

/** Values by name: sorted, so that no choice of names makes a search slow. */
typedef struct sq_onnx_names {
    const sq_graph *graph;
    uint32_t *order; /* owned, [count] */
    uint32_t count;
} sq_onnx_names;

/** The value of that name, or SQ_NO_VALUE. */
uint32_t sq_onnx_find_name(const sq_onnx_names *names, const char *name);

/** A new value of that name; that it is the only one is checked when all are there. */
SQUALL_MUST_USE squall_status sq_onnx_add_value(sq_onnx *onnx, sq_wire name, uint32_t *out,
                                                squall_error *err);

/** Where a graph in a graph stands: at a node of the graph around it. Values that it wants and does
 * not give are looked for there, and become inputs of the node. */
typedef struct sq_onnx_scope {
    const sq_onnx *onnx; /* of the graph around it */
    const sq_onnx_names *names;
    uint32_t node; /* in its graph */
} sq_onnx_scope;

/** The value of that name: of the graph, or, as a new input of it, of one around it. */
SQUALL_MUST_USE squall_status sq_onnx_resolve(const sq_onnx *onnx, const sq_onnx_names *names,
                                              const char *name, uint32_t *out, squall_error *err);

/** The NodeProto is a Constant, which becomes a value and no node. */
bool sq_onnx_is_constant(sq_wire message);

/** Add NodeProto number `index`: its values, its attributes, the graphs in them. Its inputs are
 * found later, when all values are there. */
SQUALL_MUST_USE squall_status sq_onnx_node(sq_onnx *onnx, sq_wire message, uint32_t index,
                                           squall_error *err);

/** Find the inputs of node `number`, which was made from that NodeProto, and of the graphs in it.
 */
SQUALL_MUST_USE squall_status sq_onnx_node_inputs(const sq_onnx *onnx, sq_wire message,
                                                  const sq_onnx_names *names, uint32_t number,
                                                  squall_error *err);

/** The graph of an AttributeProto; false when it has none. */
bool sq_onnx_attribute_graph(sq_wire message, sq_wire *out);

/** Fill onnx->graph with all of a GraphProto that gives values; what cannot be taken is reported.
 */
SQUALL_MUST_USE squall_status sq_onnx_graph_givers(sq_onnx *onnx, sq_wire message,
                                                   squall_error *err);

/** Then with what uses them, and put the nodes in order. */
SQUALL_MUST_USE squall_status sq_onnx_graph_users(const sq_onnx *onnx, sq_wire message,
                                                  squall_error *err);

#endif /* SQ_NN_ONNX_ONNX_READER_H */
