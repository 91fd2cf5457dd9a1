/* nn/graph/graph_why.c - why a node is a step of its own, for those who ask. */
#include <stdio.h>

#include "nn/graph/graph_match.h"

/* Operators that a pass can take into the node before them. */
static bool wants_host(sq_op op)
{
    switch (op) {
    case SQ_OP_Relu:
    case SQ_OP_LeakyRelu:
    case SQ_OP_Clip:
    case SQ_OP_Sigmoid:
    case SQ_OP_Tanh:
    case SQ_OP_HardSigmoid:
    case SQ_OP_HardSwish:
    case SQ_OP_BatchNormalization:
        return true;
    default:
        return false;
    }
}

static bool takes_guests(sq_op op)
{
    return op == SQ_OP_Conv || op == SQ_OP_ConvTranspose || op == SQ_OP_Gemm || op == SQ_OP_Add;
}

static const char *no_host(const sq_graph *graph, const sq_node *node, char *text)
{
    char where[SQ_GRAPH_WHERE];
    const uint32_t value = node->inputs[0];
    const sq_node *host = sq_graph_producer(graph, value);
    const uint32_t uses = sq_graph_use_count(graph, value);
    if (!host) {
        (void)snprintf(text, SQ_GRAPH_APART, "it works on an input of the network");
    } else if (!takes_guests(host->op)) {
        (void)snprintf(text, SQ_GRAPH_APART, "%s before it takes no other in",
                       sq_graph_where(host, where));
    } else if (uses > 1) {
        (void)snprintf(text, SQ_GRAPH_APART, "what %s gives is needed as it is, by %u others",
                       sq_graph_where(host, where), uses - 1);
    } else if (sq_attr_find(&host->attrs, "sq_activation")) {
        (void)snprintf(text, SQ_GRAPH_APART, "%s before it has an activation already",
                       sq_graph_where(host, where));
    } else {
        (void)snprintf(text, SQ_GRAPH_APART,
                       "its numbers, or those of %s, are not constant or not "
                       "of a type that is taken",
                       sq_graph_where(host, where));
    }
    return text;
}

const char *sq_graph_why_apart(const sq_graph *graph, const sq_node *node, char *text)
{
    text[0] = '\0';
    if (node->in_count < 1 || node->inputs[0] == SQ_NO_VALUE) {
        return text;
    }
    if (wants_host(node->op)) {
        return no_host(graph, node, text);
    }
    switch (node->op) {
    case SQ_OP_Pad:
        (void)snprintf(text, SQ_GRAPH_APART,
                       "what is behind it does not pad by these numbers itself");
        break;
    case SQ_OP_Concat:
        (void)snprintf(text, SQ_GRAPH_APART,
                       "what it joins is given by different steps, or needed elsewhere");
        break;
    case SQ_OP_Slice:
    case SQ_OP_Split:
        (void)snprintf(text, SQ_GRAPH_APART, "what it cuts out is nowhere else as it is");
        break;
    case SQ_OP_Transpose:
        (void)snprintf(text, SQ_GRAPH_APART,
                       "the order of the numbers changes, and no other Transpose undoes it");
        break;
    case SQ_OP_QuantizeLinear:
    case SQ_OP_DequantizeLinear:
        (void)snprintf(text, SQ_GRAPH_APART, "it meets no other of the same scale and zero point");
        break;
    case SQ_OP_Resize:
        (void)snprintf(text, SQ_GRAPH_APART,
                       "no convolution behind it can work on the image as it was before");
        break;
    default:
        break;
    }
    return text;
}
