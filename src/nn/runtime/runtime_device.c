/* nn/runtime/runtime_device.c - a context whose steps run on a device: its memory there, the
 * caller's tensors on their way, and the steps as one piece of recorded work. */
#include <inttypes.h>
#include <string.h>

#include "nn/runtime/runtime.h"

/* Constants and packed weights that have been copied to the device. */
struct sq_runtime_copy {
    uint64_t offset, bytes; /* in the engine's weights */
    void *data;
};

squall_status sq_runtime_device_open(const sq_engine_file *file, const sq_plan *plan,
                                     size_t scratch_bytes, sq_runtime_device *out,
                                     squall_error *err)
{
    out->face = sq_runtime_backend(SQ_BACKEND_CUDA)->device;
    out->file = file;
    out->plan = plan;
    out->inputs = sq_alloc(plan->input_count, sizeof *out->inputs);
    out->outputs = sq_alloc(plan->output_count, sizeof *out->outputs);
    uint32_t most = 0;
    for (uint32_t s = 0; s < plan->step_count; s++) {
        most += plan->steps[s].in_count + 1;
    }
    out->copies = sq_alloc(most, sizeof *out->copies);
    if (out->inputs == NULL || out->outputs == NULL || out->copies == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, file->name, "no memory for a context on a device");
    }
    SQ_TRY(out->face->open(file->isa, file->kernels, file->kernel_bytes, &out->device, err));
    SQ_TRY(out->face->take(out->device, plan->arena_bytes, &out->arena, err));
    SQ_TRY(out->face->take(out->device, scratch_bytes, &out->scratch, err));
    for (uint32_t i = 0; i < plan->input_count + plan->output_count; i++) {
        const bool in = i < plan->input_count;
        const uint32_t k = in ? i : i - plan->input_count;
        const sq_plan_value *value = &plan->values[in ? plan->inputs[k] : plan->outputs[k]];
        SQ_TRY(out->face->take(out->device, squall_tensor_bytes(&value->type),
                               in ? &out->inputs[k] : &out->outputs[k], err));
    }
    return SQUALL_OK;
}

squall_status sq_runtime_device_copy(sq_runtime_device *on, uint64_t offset, uint64_t bytes,
                                     void **out, squall_error *err)
{
    *out = NULL;
    if (bytes == 0) {
        return SQUALL_OK;
    }
    for (uint32_t i = 0; i < on->copy_count; i++) {
        if (on->copies[i].offset == offset && on->copies[i].bytes == bytes) {
            *out = on->copies[i].data;
            return SQUALL_OK;
        }
    }
    SQ_TRY(on->face->take(on->device, bytes, out, err));
    on->copies[on->copy_count++] =
        (struct sq_runtime_copy){.offset = offset, .bytes = bytes, .data = *out};
    const squall_status status = on->face->put(on->device, *out, on->file->weights + offset, bytes);
    return status == SQUALL_OK
               ? SQUALL_OK
               : sq_fail(err, status, on->file->name,
                         "%" PRIu64 " bytes of weights did not get to the device", bytes);
}

squall_status sq_runtime_device_place(sq_runtime_device *on, const sq_plan_value *value,
                                      squall_tensor *tensor, squall_error *err)
{
    switch (value->home) {
    case SQ_HOME_ARENA:
        tensor->data = (char *)on->arena + value->offset;
        return SQUALL_OK;
    case SQ_HOME_CONST:
        return sq_runtime_device_copy(on, value->offset, squall_tensor_bytes(&value->type),
                                      &tensor->data, err);
    case SQ_HOME_INPUT:
        tensor->data = on->inputs[value->offset];
        return SQUALL_OK;
    case SQ_HOME_OUTPUT:
        tensor->data = on->outputs[value->offset];
        return SQUALL_OK;
    case SQ_HOME_NONE:
    case SQ_HOME_DROPPED:
        tensor->data = NULL;
        break;
    }
    return SQUALL_OK;
}

squall_status sq_runtime_device_put(const sq_runtime_device *on, const squall_tensor *inputs)
{
    for (uint32_t i = 0; i < on->plan->input_count; i++) {
        SQ_TRY(on->face->put(on->device, on->inputs[i], inputs[i].data,
                             squall_tensor_bytes(&inputs[i])));
    }
    return SQUALL_OK;
}

squall_status sq_runtime_device_get(const sq_runtime_device *on, const squall_tensor *outputs)
{
    for (uint32_t i = 0; i < on->plan->output_count; i++) {
        SQ_TRY(on->face->get(on->device, outputs[i].data, on->outputs[i],
                             squall_tensor_bytes(&outputs[i])));
    }
    return on->face->wait(on->device);
}

void sq_runtime_device_close(sq_runtime_device *on)
{
    if (on->device != NULL) {
        on->face->close(&on->device);
    }
    sq_free(on->inputs);
    sq_free(on->outputs);
    sq_free(on->copies);
    memset(on, 0, sizeof *on);
}
