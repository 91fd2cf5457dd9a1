/* rooms: nn/onnx */
/* seeds: tests/data/onnx */
/* fuzz/fuzz_onnx.c - ONNX models from hostile hands: refused with words, or a graph that holds. */
#include <stdint.h>
#include <stdlib.h>

#include "nn/onnx/onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sq_graph *graph = NULL;
    squall_notes *notes = squall_notes_create();
    squall_error err = {.text = ""};
    if (sq_onnx_read_memory(data, size, "fuzz", &graph, notes, &err) != SQUALL_OK &&
        (graph != NULL || err.text[0] == '\0')) {
        abort();
    }
    sq_graph_destroy(&graph);
    squall_notes_destroy(&notes);
    return 0;
}
