/* nn/onnx/onnx_parts.h - a model's file as a list of nodes; for the files of this room. */
#ifndef SQ_NN_ONNX_ONNX_PARTS_H
#define SQ_NN_ONNX_ONNX_PARTS_H

#include "nn/onnx/onnx_reader.h"

typedef struct sq_part_value {
    sq_wire name;
    sq_wire weight; /* its TensorProto; empty when it is none */
    sq_wire info;   /* its ValueInfoProto; empty when the file has none */
    bool is_output; /* of the whole */
} sq_part_value;

typedef struct sq_part_node {
    sq_wire bytes;          /* its NodeProto */
    uint32_t *uses, *gives; /* owned; numbers of values */
    uint32_t use_count, give_count;
    bool constant;
} sq_part_node;

struct sq_onnx_parts {
    char *path; /* owned */
    sq_mapping file;
    sq_wire model, graph;
    sq_part_value *values; /* owned, by name */
    sq_part_node *nodes;   /* owned, in the order of the file */
    uint32_t value_count, node_count;
};

#endif /* SQ_NN_ONNX_ONNX_PARTS_H */
