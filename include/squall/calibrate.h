/* squall/calibrate.h - what a network in numbers of 8 bits is made from: samples, and how good it
 * has to be. */
#ifndef SQUALL_CALIBRATE_H
#define SQUALL_CALIBRATE_H

#include <stddef.h>
#include <stdint.h>

#include "squall/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Samples of what a network will see. Set it up with squall_calibration_init(). */
typedef struct squall_calibration {
    uint32_t struct_size;
    size_t sample_count;
    const squall_tensor *inputs; /**< borrowed; [sample_count][inputs of the model], plain, with
                                      data; all samples have the same shapes */
    const char *const *groups;   /**< borrowed; [sample_count]: what kind of sample each is, for the
                                      certificate; NULL: all are of one kind */
    const unsigned char *held_out; /**< borrowed; [sample_count]: not 0 for those on which the
                                        result is verified, and that nothing is chosen by; NULL:
                                        every fourth */
    /** Score the outputs of a sample: add to `counts` what was right, missed and false. The score
     * of a set of samples is counts[0] over the sum of the three (CSI, or IoU). NULL: none. */
    void (*score)(void *self, size_t sample, const squall_tensor *outputs, size_t output_count,
                  double counts[3]);
    void *self;
    const char *score_name; /**< borrowed; "CSI at 1 mm/h"; NULL without a score */
    const char *record; /**< borrowed; a JSON object about the samples that travels in the engine's
                             certificate (hashes of files, counts, what was overridden); NULL */
} squall_calibration;
SQUALL_API void squall_calibration_init(squall_calibration *calibration);

/** What a choice of layers comes to: one point of the front of time against quality. */
typedef struct squall_precision_point {
    uint32_t layers; /**< in 8 bits */
    double saved_s;  /**< of a run, as measured layer by layer */
    double psnr_db;  /**< as predicted from each layer's own loss */
} squall_precision_point;

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_CALIBRATE_H */
