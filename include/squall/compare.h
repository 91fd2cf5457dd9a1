/* squall/compare.h - how far an engine is from the model that it was built from.
 *
 * Threads: one call at a time a comparison. Ownership: a comparison is the caller's until
 * squall_comparison_destroy(); what it hands out is borrowed from it.
 */
#ifndef SQUALL_COMPARE_H
#define SQUALL_COMPARE_H

#include <stddef.h>
#include <stdint.h>

#include "squall/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/** An engine beside its model, run as it was written: operator by operator, in plain C. */
typedef struct squall_comparison squall_comparison;

/**
 * Begin to compare; samples are added one by one.
 *
 * @param engine  kept until destroy; the plan that it was opened with is compared
 * @param threads  0: one for each processor
 * @return SQUALL_OK; the codes of reading a model; SQUALL_E_MISMATCH when the model has other
 * inputs or outputs than the engine.
 * @since 0.1
 */
SQUALL_MUST_USE SQUALL_API squall_status
squall_comparison_create(const char *model_path, squall_engine *engine, int32_t threads,
                         squall_comparison **out, squall_notes *notes, squall_error *err);
SQUALL_API void squall_comparison_destroy(squall_comparison **comparison);

/**
 * Run both on one sample, once, and look at every layer.
 *
 * @param inputs  borrowed; plain tensors with data, in the order of the engine's inputs; every
 *                sample has the shapes of the first
 * @return SQUALL_OK; SQUALL_E_SHAPE; SQUALL_E_MEMORY; SQUALL_E_UNSUPPORTED.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_comparison_add(squall_comparison *comparison,
                                                               const squall_tensor *inputs,
                                                               size_t input_count,
                                                               squall_error *err);

/**
 * What another runtime (ONNX Runtime, PyTorch) gave for the sample that was added last: both the
 * engine and the model are held against it.
 *
 * @param outputs  borrowed; plain tensors with data, in the order of the engine's outputs
 * @return SQUALL_OK; SQUALL_E_SHAPE naming the output that does not fit; SQUALL_E_ARGUMENT.
 */
SQUALL_MUST_USE SQUALL_API squall_status
squall_comparison_add_reference(squall_comparison *comparison, const squall_tensor *outputs,
                                size_t output_count, squall_error *err);

/** What is held against what. */
typedef enum squall_compared {
    SQUALL_COMPARED_ENGINE = 0, /**< the engine against the model on the reference kernels */
    SQUALL_COMPARED_ENGINE_ELSEWHERE = 1, /**< the engine against another runtime */
    SQUALL_COMPARED_MODEL = 2             /**< the model on the reference kernels against another
                                               runtime */
} squall_compared;

/** What is known of one output over all samples. Infinite where there is no difference. */
typedef struct squall_output_error {
    const char *name; /**< borrowed from the comparison */
    double psnr_db;   /**< of the reference's range over the root of the mean squared error */
    double max_abs;   /**< the largest difference */
    double relative;  /**< root mean square of the difference over that of the reference */
} squall_output_error;
SQUALL_API size_t squall_comparison_output_count(const squall_comparison *comparison);
/** SQUALL_E_ARGUMENT when there is no such output, or nothing from another runtime was added. */
SQUALL_MUST_USE SQUALL_API squall_status
squall_comparison_output(const squall_comparison *comparison, squall_compared which, size_t index,
                         squall_output_error *out, squall_error *err);

/** An output of the last sample, of the engine (SQUALL_COMPARED_ENGINE) or the model on the
 * reference kernels (SQUALL_COMPARED_MODEL); its data is borrowed until the next sample. */
SQUALL_MUST_USE SQUALL_API squall_status
squall_comparison_values(const squall_comparison *comparison, squall_compared which, size_t index,
                         squall_tensor *out, squall_error *err);

/** One step of the engine whose output the model has too. */
typedef struct squall_layer_error {
    const char *name, *op, *tactic; /**< borrowed from the comparison */
    double snr_db;  /**< power of the reference over that of the difference; what came in wrong from
                         the layers before it counts too */
    double loss_db; /**< what this layer lost: the least of its inputs (at most 150 dB, exact inputs
                         count so) less its own; 0 when it lost nothing */
} squall_layer_error;
SQUALL_API size_t squall_comparison_layer_count(const squall_comparison *comparison);
SQUALL_MUST_USE SQUALL_API squall_status squall_comparison_layer(
    const squall_comparison *comparison, size_t index, squall_layer_error *out, squall_error *err);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_COMPARE_H */
