/* squall/compile.h - from an ONNX model to an engine file.
 *
 * Threads: calls may run side by side unless they write the same file. Ownership: everything passed
 * in is borrowed for the call, nothing is handed out but files.
 */
#ifndef SQUALL_COMPILE_H
#define SQUALL_COMPILE_H

#include <stddef.h>
#include <stdint.h>

#include "squall/calibrate.h"
#include "squall/explain.h"
#include "squall/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A shape for one input: concrete, or with a range of batches in dimension 0. Zero-initialise. */
typedef struct squall_input_shape {
    const char *name; /**< borrowed; NULL means the only input */
    uint32_t rank; /**< with a range it may be 1: the other sizes are the model's or a bucket's */
    int64_t dims[SQUALL_MAX_DIMS];
    int64_t batch_min, batch_max; /**< batches that contexts can be made for, around dims[0], which
                                       is planned and tuned for; 0 and 0: dims[0] alone */
} squall_input_shape;

/** Height and width of a grid. */
typedef struct squall_bucket {
    int64_t height, width;
} squall_bucket;

/** How an engine is built. Set it up with squall_build_options_init(). */
typedef struct squall_build_options {
    uint32_t struct_size;
    const char *device; /**< "cpu" (default): this host's kernels, with the portable plan beside
                             them; "ref": the portable plan alone; "cuda:0": kernels for that
                             GPU; "cuda:sm_80", "cuda:sm_90a": for GPUs of that kind, which need
                             not be here. See docs/cuda.md */
    int32_t threads;    /**< threads to plan scratch memory and tune for; 0: one a processor */
    const squall_input_shape *shapes; /**< borrowed; for inputs whose shape is not fixed in the
                                    model. An input named twice makes a profile each: its k-th shape
                                    belongs to profile k, and an input named fewer times keeps its
                                    last. An input of which only the batch is open, and that is not
                                    named, gets the batches 1:8:32 */
    size_t shape_count;
    const char *recipe; /**< borrowed; feature recipe, JSON text, to travel in the engine; NULL */
    const squall_bucket *buckets; /**< borrowed; each profile is made for each of these grids: the
                                       last two sizes of inputs where they are open */
    size_t bucket_count;
    size_t memory_limit_bytes; /**< arena and scratch memory of a context, at its largest batch;
                                    0: any */
    double tune_seconds;       /**< time to spend on measuring tactics here; 0: none is measured */
    const char *tactics_path;  /**< borrowed; file of measured times: what it holds for this device
                                    and build is used, what is measured is added to it at once, so
                                    that an interrupted build goes on where it was; NULL: none */
    int32_t tactics_strict;    /**< not 0: measure nothing, and refuse when a choice is left for
                                    which the file holds no time */
    const char *precision;     /**< what the device computes in: "fp32" (default); "fp16" on a GPU;
                                    on a processor "fp16" and "bf16" keep weights and tensors in 16
                                    bits, half the memory, and compute in float32; "int8" and "auto":
                                    layers in numbers of 8 bits, all of them or those that are worth
                                    it. Inputs and outputs stay float32 */
    squall_explanation *explanation; /**< borrowed; filled with what became of each node of the
                                        model, for the first profile; NULL: not wanted */
    const char *dump_folder; /**< borrowed; a folder that is there: the graph as DOT and JSON after
                                each pass that changed it; NULL: not wanted */
    const char *precision_rules; /**< borrowed; text, a line each "PATTERN fp32" or "PATTERN int8":
                                      what layers whose name fits compute in, the last line that
                                      fits counts; '*' is any text, '#' begins a comment; NULL */
    const squall_calibration *calibration; /**< borrowed; needed for int8 and auto */
    double min_psnr_db;    /**< on the samples held out, against float32: layers go back to float32
                                until it is reached; 0: any */
    double max_score_loss; /**< the same for the share of the score that is lost (0.01); 0: any */
    int32_t no_winograd;   /**< not 0: convolutions are sums of products, term by term, and not by
                                Winograd's way, which takes a third of the time and rounds more
                                (110 to 125 dB against 130 to 140 in float32) */
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
    size_t memory_bytes; /**< arena and scratch of a context, largest over profiles and batches */
    uint32_t profile_count;
    uint32_t tactics_measured; /**< by this build */
    uint32_t steps_by_time;    /**< steps that had a choice, made by measured time */
    uint32_t steps_by_guess;   /**< steps that had a choice, made by guess though times were asked
                                    for: the budget was over */
    double tuned_s;            /**< spent on measuring */
    uint32_t layers_int8;      /**< layers that compute in 8 bits */
    uint32_t layers_could;     /**< layers that could */
    double psnr_db;           /**< against float32 on the samples held out; 0 when not calibrated */
    double score_fp32, score; /**< on the samples held out, in float32 and as built */
    double calibrated_s;      /**< spent on calibration */
} squall_build_report;

/**
 * Compile `model_path` into the engine file `engine_path`, which appears only when it is complete.
 * Same inputs, same bytes.
 *
 * @param report  filled; may be NULL
 * @param notes   a line for each pass that changed something, each step that ran on ref and why,
 * and on failure one for every node that is not supported; may be NULL
 * @return SQUALL_OK; SQUALL_E_UNSUPPORTED; SQUALL_E_SHAPE (a shape is missing or does not fit);
 *         SQUALL_E_MISMATCH when strict and times are missing, the notes say which;
 *         SQUALL_E_LIMIT (also when the memory limit cannot be kept; the words say what would do);
 *         SQUALL_E_IO and the other codes of reading a file.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_build(const char *model_path,
                                                      const squall_build_options *options,
                                                      const char *engine_path,
                                                      squall_build_report *report,
                                                      squall_notes *notes, squall_error *err);

/**
 * Put the weights of another model of the same graph into an engine: shapes, tactics, what is known
 * of their times, and the recipe stay; nothing is measured. A signature does not stay.
 *
 * @param out_path  the new engine; may be `engine_path`
 * @param report, notes  as for squall_build()
 * @return SQUALL_OK; SQUALL_E_MISMATCH when the graph is another, with the first step that differs,
 *         or when the engine was built for another device; SQUALL_E_ARGUMENT and SQUALL_E_SHAPE
 * when its inputs are others; the codes of squall_build() and squall_engine_open().
 * @since 0.1
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_refit(const char *engine_path,
                                                      const char *model_path, const char *out_path,
                                                      squall_build_report *report,
                                                      squall_notes *notes, squall_error *err);

/**
 * Put files of measured times together; of two times for the same thing the shorter stays, whatever
 * the order of the files.
 *
 * @param out_path  may be one of `paths`
 * @param total  filled: how many times there are now; may be NULL
 * @return SQUALL_OK; SQUALL_E_FORMAT naming the file and entry that are wrong; SQUALL_E_IO.
 * @since 0.1
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_tactics_merge(const char *const *paths,
                                                              size_t path_count,
                                                              const char *out_path, size_t *total,
                                                              squall_error *err);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_COMPILE_H */
