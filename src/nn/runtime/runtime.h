/* nn/runtime/runtime.h - the backends there are, and a step of a plan on one of them. */
#ifndef SQ_NN_RUNTIME_RUNTIME_H
#define SQ_NN_RUNTIME_RUNTIME_H

#include "nn/backend/backend.h"
#include "nn/plan/plan.h"
#include "squall/engine.h"

/** The backend of a number, or NULL. */
const sq_backend *sq_runtime_backend(uint32_t id);

/** The function that carries out a bound step. */
typedef squall_status sq_runtime_fn(const sq_call *call);

/** Whether anything runs for a step: not for views, nor when all that it gives is empty. */
bool sq_runtime_needed(const sq_plan *plan, const sq_plan_step *step);

/** Find the tactic of a stored step again, and hold what the file says of it against what it is:
 * layouts, packed bytes, taking over, dropped constants.
 *
 * @param in, out  caller's arrays of SQ_MAX_INPUTS and SQ_MAX_OUTPUTS, filled; constants have data
 * @return SQUALL_OK; SQUALL_E_MISMATCH when this host has not got the tactic; SQUALL_E_CORRUPT;
 *         SQUALL_E_LIMIT. */
SQUALL_MUST_USE squall_status sq_runtime_restore(const sq_engine_file *file, const sq_plan *plan,
                                                 uint32_t index, int threads, squall_tensor *in,
                                                 squall_tensor *out, sq_step *step,
                                                 sq_tactic *tactic, squall_error *err);

/** Looks at a step that has just run: `step` has all data, of the plan's step `index`. */
typedef squall_status sq_runtime_tap(void *self, const sq_plan *plan, uint32_t index,
                                     const sq_step *step, squall_error *err);

/** squall_context_run() with a look at each step behind it; views are not steps that run. What the
 * tap sees is overwritten by later steps. */
SQUALL_MUST_USE squall_status sq_runtime_run_tapped(squall_context *context,
                                                    const squall_tensor *inputs, size_t input_count,
                                                    const squall_tensor *outputs,
                                                    size_t output_count, sq_runtime_tap *tap,
                                                    void *self, squall_error *err);

/** A context's part on a device; zeroes while there is none. */
typedef struct sq_runtime_device {
    const sq_device_face *face;
    sq_device *device; /* owned; NULL: the context is on this processor */
    const sq_engine_file *file;
    const sq_plan *plan;
    void *arena, *scratch;          /* on the device */
    void **inputs, **outputs;       /* owned; each on the device: where the caller's tensors go */
    struct sq_runtime_copy *copies; /* owned */
    uint32_t copy_count;
} sq_runtime_device;

/** Open the device that the engine was built for, and take the plan's memory there. Released by
 * sq_runtime_device_close(), also after a failure. */
SQUALL_MUST_USE squall_status sq_runtime_device_open(const sq_engine_file *file,
                                                     const sq_plan *plan, size_t scratch_bytes,
                                                     sq_runtime_device *out, squall_error *err);
/** Bytes of the engine's weights, on the device, each once. */
SQUALL_MUST_USE squall_status sq_runtime_device_copy(sq_runtime_device *on, uint64_t offset,
                                                     uint64_t bytes, void **out, squall_error *err);
/** Where a tensor is on the device. */
SQUALL_MUST_USE squall_status sq_runtime_device_place(sq_runtime_device *on,
                                                      const sq_plan_value *value,
                                                      squall_tensor *tensor, squall_error *err);
/** The caller's inputs to the device; outputs from it, once all is done. */
squall_status sq_runtime_device_put(const sq_runtime_device *on, const squall_tensor *inputs);
squall_status sq_runtime_device_get(const sq_runtime_device *on, const squall_tensor *outputs);
void sq_runtime_device_close(sq_runtime_device *on);

/** Whether kernels were built here; note that they were. */
bool sq_runtime_kernels_trusted(const unsigned char *kernels, size_t bytes);
SQUALL_MUST_USE squall_status sq_runtime_trust_kernels(const unsigned char *kernels, size_t bytes,
                                                       squall_error *err);

struct squall_engine {
    sq_mapping mapping; /* size 0 when the bytes are the caller's */
    sq_engine_file file;
    const sq_plan *plans;  /* [profile_count]: those in use, of `file` */
    const char **backends; /* owned, [profile_count]; static texts or `device_text` */
    char device_text[64];  /* "cpu avx512" */
    bool on_device;        /* `plans` run on a GPU */
    char model_sha256[SQ_HASH_TEXT];
};

#endif /* SQ_NN_RUNTIME_RUNTIME_H */
