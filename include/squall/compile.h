/* squall/compile.h - from an ONNX model to an engine file. */
#ifndef SQUALL_COMPILE_H
#define SQUALL_COMPILE_H

#include <stddef.h>
#include <stdint.h>

#include "squall/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A concrete shape for one input. */
typedef struct squall_input_shape {
    const char *name; /**< borrowed; NULL means the only input */
    uint32_t rank;
    int64_t dims[SQUALL_MAX_DIMS];
} squall_input_shape;

/** How an engine is built. Set it up with squall_build_options_init(). */
typedef struct squall_build_options {
    uint32_t struct_size;
    const char *device; /**< "cpu" (default): this host's kernels, with the portable plan beside
                             them; "ref": the portable plan alone */
    int32_t threads;    /**< threads to plan scratch memory and tune for; 0: one a processor */
    const squall_input_shape
        *shapes; /**< borrowed; for inputs whose shape is not fixed in the model.
               An input named twice makes a profile each: its k-th shape belongs
               to profile k, and an input named fewer times keeps its last */
    size_t shape_count;
    const char *recipe; /**< borrowed; feature recipe, JSON text, to travel in the engine; NULL */
} squall_build_options;
SQUALL_API void squall_build_options_init(squall_build_options *options);

/** What a build came to. */
typedef struct squall_build_report {
    double seconds;
    size_t file_bytes, weight_bytes;
    uint32_t nodes_in, steps_out; /**< nodes of the model; steps of the first profile's plan */
    uint32_t steps_on_ref; /**< of them on the reference backend, though "cpu" was asked for */
    size_t arena_bytes, arena_bound_bytes; /**< largest over the profiles */
    uint64_t macs;                         /**< of the first profile */
} squall_build_report;

/**
 * Compile `model_path` into the engine file `engine_path`, which appears only when it is complete.
 * Same inputs, same bytes.
 *
 * @param report  filled; may be NULL
 * @param notes   a line for each pass that changed something, each step that ran on ref and why,
 * and on failure one for every node that is not supported; may be NULL
 * @return SQUALL_OK; SQUALL_E_UNSUPPORTED; SQUALL_E_SHAPE (a shape is missing or does not fit);
 *         SQUALL_E_IO and the other codes of reading a file.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_build(const char *model_path,
                                                      const squall_build_options *options,
                                                      const char *engine_path,
                                                      squall_build_report *report,
                                                      squall_notes *notes, squall_error *err);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_COMPILE_H */
