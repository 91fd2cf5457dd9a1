/* squall/reduce.h - the smallest part of a model that still fails.
 *
 * Threads: calls may run side by side unless they write the same file. Ownership: everything passed
 * in is borrowed for the call.
 */
#ifndef SQUALL_REDUCE_H
#define SQUALL_REDUCE_H

#include <stddef.h>
#include <stdint.h>

#include "squall/compile.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Whether a model fails, by a test of the caller's own.
 *
 * @param path   borrowed; a model's file
 * @param fails  filled
 * @return anything but SQUALL_OK ends the reduction.
 */
typedef squall_status squall_reduce_check(void *self, const char *path, int32_t *fails,
                                          squall_error *err);

/** What it means to fail. Set it up with squall_reduce_options_init(); the first that is given of
 * `check`, `message` and `below_db` counts. */
typedef struct squall_reduce_options {
    uint32_t struct_size;
    squall_reduce_check *check; /**< NULL: none */
    void *check_self;           /**< its first argument */
    const char
        *message;    /**< borrowed; the model cannot be compiled, and the error or a note says
                          this (a part of it, without the numbers of nodes, which change); NULL */
    double below_db; /**< an output of the engine is less than this many dB PSNR from the model on
                          the reference kernels; default 40 */
    const char *tactic; /**< borrowed; with `below_db`: steps take tactics whose name has this in it
                             where they can, and one must; NULL: as squall_build() does */
    const char *device; /**< as for squall_build() */
    int32_t threads;
    const squall_input_shape *shapes; /**< borrowed; for inputs whose shape is not fixed */
    size_t shape_count;
    const squall_tensor *inputs; /**< borrowed; plain tensors with data, in the order of the model's
                                      inputs; NULL: seeded random numbers */
    size_t input_count;
    double seconds; /**< time to spend; 0: until it is done */
} squall_reduce_options;
SQUALL_API void squall_reduce_options_init(squall_reduce_options *options);

typedef struct squall_reduce_report {
    uint32_t nodes_in, nodes_out; /**< constants that are nodes counted in */
    uint32_t tests;               /**< models that were tried */
    int32_t complete;             /**< not 0: leaving out any one node more, it does not fail */
    double psnr_db;               /**< of the worst output; NaN where that was not the test */
    double seconds;
} squall_reduce_report;

/**
 * Leave nodes out of a model, and make its inputs smaller, as long as it fails; the smallest that
 * does is written to `out_path`, a model of its own with all its weights in it.
 *
 * What the nodes that are left want of those that are not becomes an input, whose numbers in the
 * test are those that the whole model has there. Same inputs, same result.
 *
 * @param report  filled; may be NULL
 * @param notes   may be NULL
 * @return SQUALL_OK; SQUALL_E_NO_DATA when the whole model does not fail; SQUALL_E_FORMAT and the
 *         other codes of reading a model that is no list of nodes; SQUALL_E_IO; SQUALL_E_MEMORY.
 * @since 0.1
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_reduce(const char *model_path,
                                                       const squall_reduce_options *options,
                                                       const char *out_path,
                                                       squall_reduce_report *report,
                                                       squall_notes *notes, squall_error *err);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_REDUCE_H */
