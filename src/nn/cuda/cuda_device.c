/* nn/cuda/cuda_device.c - a GPU opened for one context: its memory, its queue, its kernels. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cuda/cuda_internal.h"

/* Numbers of CUdevice_attribute, and of other enumerations of the driver's ABI. */
enum { PROCESSORS = 16, MAJOR = 75, MINOR = 76, MOST_SHARED = 8 };
enum { NON_BLOCKING = 1, CAPTURE_THREAD = 1 };

struct sq_device {
    sq_cuda_driver driver;
    int device, capability, processors;
    void *context, *stream, *module, *graph;
    void *functions[SQ_CUDA_KERNELS]; /* NULL: not in the module */
    sq_cu_address *taken;             /* owned, [taken_count] */
    void **events;                    /* owned, [event_count] */
    size_t taken_count, event_count;
};

static const struct {
    const char *symbol;
    int capability, shared; /* shared: bytes beyond what every kernel may have, or 0 */
} kernels[SQ_CUDA_KERNELS] = {
#define KERNEL(name, capability) {"sq_" #name, capability, 0},
#define WGMMA(bh, cot, border) \
    {"sq_conv_wg_" #bh "_" #cot "_" #border, 90, SQ_WG_SHARED(bh, cot, border, 128)},
#define WGMMA8(bh, cot, border, row) \
    {"sq_conv_w8_" #bh "_" #cot "_" #border "_" #row, 90, SQ_WG_SHARED(bh, cot, border, row)},
#include "nn/cuda/cuda_kernels.inc"
#undef KERNEL
#undef WGMMA
#undef WGMMA8
};

bool sq_cuda_fits(const char *isa, int capability)
{
    char *end;
    if (strncmp(isa, "sm_", 3) != 0) {
        return false;
    }
    const long made_for = strtol(isa + 3, &end, 10);
    if (end == isa + 3) {
        return false;
    }
    if (strcmp(end, "a") == 0) {
        return made_for == capability;
    }
    return *end == '\0' && made_for / 10 == capability / 10 && made_for <= capability;
}

/* A failure of the driver in words. */
static squall_status fail(const sq_cuda_driver *driver, sq_cu_result result, const char *what,
                          squall_error *err)
{
    char text[128];
    return sq_fail(err, result == 2 ? SQUALL_E_MEMORY : SQUALL_E_DEVICE, "cuda", "%s: %s", what,
                   sq_cuda_driver_text(driver, result, text));
}

#define CU_TRY(driver, call, what)                       \
    do {                                                 \
        const sq_cu_result cu_result = (call);           \
        if (cu_result != 0) {                            \
            return fail((driver), cu_result, what, err); \
        }                                                \
    } while (0)

static squall_status describe(const sq_cuda_driver *driver, int index, sq_cuda_info *out,
                              squall_error *err)
{
    int device, major, minor;
    memset(out, 0, sizeof *out);
    CU_TRY(driver, driver->device_get(&device, index), "no such GPU");
    CU_TRY(driver, driver->device_name(out->name, sizeof out->name, device), "name of a GPU");
    CU_TRY(driver, driver->device_attribute(&major, MAJOR, device), "capability of a GPU");
    CU_TRY(driver, driver->device_attribute(&minor, MINOR, device), "capability of a GPU");
    CU_TRY(driver, driver->device_attribute(&out->processors, PROCESSORS, device),
           "processors of a GPU");
    CU_TRY(driver, driver->device_memory(&out->memory_bytes, device), "memory of a GPU");
    CU_TRY(driver, driver->driver_version(&out->driver), "version of the driver");
    out->name[sizeof out->name - 1] = '\0';
    out->capability = major * 10 + minor;
    return SQUALL_OK;
}

squall_status sq_cuda_find(int index, sq_cuda_info *out, int *count, squall_error *err)
{
    sq_cuda_driver driver;
    int found = 0;
    if (count != NULL) {
        *count = 0;
    }
    SQ_TRY(sq_cuda_driver_open(&driver, err));
    CU_TRY(&driver, driver.device_count(&found), "GPUs could not be counted");
    if (count != NULL) {
        *count = found;
    }
    if (index < 0 || index >= found) {
        return sq_fail(err, SQUALL_E_DEVICE, "cuda", "there is no GPU %d; there are %d", index,
                       found);
    }
    return describe(&driver, index, out, err);
}

/* The first GPU that can run kernels made for `isa`. */
static squall_status find_device(sq_device *device, const char *isa, squall_error *err)
{
    const sq_cuda_driver *driver = &device->driver;
    char there[160] = "no GPU";
    int found = 0;
    CU_TRY(driver, driver->device_count(&found), "GPUs could not be counted");
    for (int i = 0; i < found; i++) {
        sq_cuda_info info;
        SQ_TRY(describe(driver, i, &info, err));
        if (sq_cuda_fits(isa, info.capability)) {
            CU_TRY(driver, driver->device_get(&device->device, i), "no such GPU");
            device->capability = info.capability;
            device->processors = info.processors;
            return SQUALL_OK;
        }
        snprintf(there, sizeof there, "%.100s (sm_%d)", info.name, info.capability);
    }
    return sq_fail(err, SQUALL_E_MISMATCH, "cuda", "built for %s, this host has %s", isa, there);
}

static squall_status load(sq_device *device, const void *image, squall_error *err)
{
    const sq_cuda_driver *driver = &device->driver;
    CU_TRY(driver, driver->context_retain(&device->context, device->device), "no context");
    CU_TRY(driver, driver->context_set(device->context), "no context");
    CU_TRY(driver, driver->stream_create(&device->stream, NON_BLOCKING), "no queue");
    CU_TRY(driver, driver->module_load(&device->module, image), "its kernels cannot be loaded");
    for (int k = 0; k < SQ_CUDA_KERNELS; k++) {
        if (driver->module_function(&device->functions[k], device->module, kernels[k].symbol) !=
            0) {
            device->functions[k] = NULL;
            if (kernels[k].capability == 0) {
                return sq_fail(err, SQUALL_E_MISMATCH, "cuda",
                               "the engine's kernels lack '%s': build it again with this squall",
                               kernels[k].symbol);
            }
        } else if (kernels[k].shared > 0) {
            CU_TRY(driver,
                   driver->function_set(device->functions[k], MOST_SHARED, kernels[k].shared),
                   "shared memory of a kernel");
        }
    }
    return SQUALL_OK;
}

static void close_device(sq_device **device)
{
    sq_device *old = *device;
    if (old == NULL) {
        return;
    }
    const sq_cuda_driver *driver = &old->driver;
    if (old->context != NULL) {
        (void)driver->context_set(old->context);
    }
    if (old->stream != NULL) {
        (void)driver->stream_wait(old->stream);
    }
    for (size_t i = 0; i < old->event_count; i++) {
        (void)driver->event_destroy(old->events[i]);
    }
    if (old->graph != NULL) {
        (void)driver->graph_exec_destroy(old->graph);
    }
    for (size_t i = 0; i < old->taken_count; i++) {
        (void)driver->memory_free(old->taken[i]);
    }
    if (old->module != NULL) {
        (void)driver->module_unload(old->module);
    }
    if (old->stream != NULL) {
        (void)driver->stream_destroy(old->stream);
    }
    if (old->context != NULL) {
        (void)driver->context_release(old->device);
    }
    sq_free(old->taken);
    sq_free(old->events);
    sq_free(old);
    *device = NULL;
}

static squall_status open_device(const char *isa, const void *image, size_t bytes, sq_device **out,
                                 squall_error *err)
{
    squall_status status;
    sq_device *device = sq_alloc(1, sizeof *device);
    if (device == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "cuda", "no memory for a device");
    }
    if (bytes == 0) {
        status = sq_fail(err, SQUALL_E_MISMATCH, "cuda", "the engine has no kernels for %s", isa);
        goto done;
    }
    SQ_TRY_GOTO(sq_cuda_driver_open(&device->driver, err));
    SQ_TRY_GOTO(find_device(device, isa, err));
    SQ_TRY_GOTO(load(device, image, err));
    *out = device;
    device = NULL;
done:
    close_device(&device);
    return status;
}

static squall_status take(sq_device *device, size_t bytes, void **out, squall_error *err)
{
    const sq_cuda_driver *driver = &device->driver;
    sq_cu_address address = 0;
    sq_cu_address *taken =
        device->taken == NULL
            ? sq_alloc(1, sizeof *taken)
            : sq_regrow(device->taken, device->taken_count, device->taken_count + 1, sizeof *taken);
    if (taken == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "cuda", "no memory");
    }
    device->taken = taken;
    CU_TRY(driver, driver->context_set(device->context), "no context");
    const sq_cu_result result = driver->memory_take(&address, bytes > 0 ? bytes : 1);
    if (result != 0) {
        char text[128];
        return sq_fail(err, SQUALL_E_MEMORY, "cuda", "no %zu bytes on the GPU: %s", bytes,
                       sq_cuda_driver_text(driver, result, text));
    }
    device->taken[device->taken_count++] = address;
    /* Zeros: lanes past the last channel are never read as something that is no number. */
    CU_TRY(driver, driver->memory_fill(address, 0, bytes > 0 ? bytes : 1, device->stream),
           "memory could not be cleared");
    *out = (void *)(uintptr_t)address;
    return SQUALL_OK;
}

static squall_status done(sq_cu_result result)
{
    return result == 0 ? SQUALL_OK : SQUALL_E_DEVICE;
}

static squall_status put(sq_device *device, void *to, const void *from, size_t bytes)
{
    const sq_cuda_driver *driver = &device->driver;
    if (driver->context_set(device->context) != 0) {
        return SQUALL_E_DEVICE;
    }
    return done(driver->put((sq_cu_address)(uintptr_t)to, from, bytes, device->stream));
}

static squall_status get(sq_device *device, void *to, const void *from, size_t bytes)
{
    const sq_cuda_driver *driver = &device->driver;
    return done(driver->get(to, (sq_cu_address)(uintptr_t)from, bytes, device->stream));
}

static squall_status wait_device(sq_device *device)
{
    return done(device->driver.stream_wait(device->stream));
}

static squall_status record(sq_device *device)
{
    const sq_cuda_driver *driver = &device->driver;
    if (driver->context_set(device->context) != 0) {
        return SQUALL_E_DEVICE;
    }
    return done(driver->capture_begin(device->stream, CAPTURE_THREAD));
}

static squall_status keep(sq_device *device)
{
    const sq_cuda_driver *driver = &device->driver;
    void *graph = NULL;
    if (driver->capture_end(device->stream, &graph) != 0 || graph == NULL) {
        return SQUALL_E_DEVICE;
    }
    const sq_cu_result result = driver->graph_make(&device->graph, graph, 0);
    (void)driver->graph_destroy(graph);
    return done(result);
}

static squall_status replay(sq_device *device)
{
    return done(device->driver.graph_launch(device->graph, device->stream));
}

static squall_status marks(sq_device *device, size_t count)
{
    if (count <= device->event_count) {
        return SQUALL_OK;
    }
    void **events = device->events == NULL
                        ? sq_alloc(count, sizeof *events)
                        : sq_regrow(device->events, device->event_count, count, sizeof *events);
    if (events == NULL) {
        return SQUALL_E_MEMORY;
    }
    device->events = events;
    while (device->event_count < count) {
        if (device->driver.event_create(&events[device->event_count], 0) != 0) {
            return SQUALL_E_DEVICE;
        }
        device->event_count++;
    }
    return SQUALL_OK;
}

static squall_status mark(sq_device *device, size_t index)
{
    return done(device->driver.event_record(device->events[index], device->stream));
}

static double seconds(sq_device *device, size_t from, size_t to)
{
    float ms = 0;
    return device->driver.event_elapsed(&ms, device->events[from], device->events[to]) == 0
               ? 1e-3 * (double)ms
               : 0;
}

static const void *address_of(sq_cuda_source source, uint32_t index, uint64_t offset,
                              const sq_call *call)
{
    const void *base = NULL;
    switch (source) {
    case SQ_CUDA_INPUT:
        base = call->step->in[index].data;
        break;
    case SQ_CUDA_OUTPUT:
        base = call->step->out[index].data;
        break;
    case SQ_CUDA_PACKED:
        base = call->packed;
        break;
    case SQ_CUDA_SCRATCH:
        base = call->scratch;
        break;
    }
    return (const char *)base + offset;
}

/* How the copy engine is to see a tensor, into the arguments. */
static squall_status add_view(const sq_cuda_driver *driver, const sq_cuda_box *box,
                              const sq_call *call, unsigned char *args)
{
    static const unsigned each[4] = {1, 1, 1, 1};
    unsigned long long size[4], stride[3];
    sq_cuda_view view;
    void *base = (void *)(uintptr_t)address_of(box->source, box->index, box->offset, call);
    for (int i = 0; i < 4; i++) {
        size[i] = box->size[i];
        stride[i < 3 ? i : 2] = box->stride[i < 3 ? i : 2];
    }
    const sq_cu_result result = driver->view(&view, box->type, 4, base, size, stride, box->box,
                                             each, 0, box->swizzle, SQ_CU_L2_256, 0);
    memcpy(args + box->at, &view, sizeof view);
    return done(result);
}

squall_status sq_cuda_launch_on(sq_device *device, const sq_cuda_launch *launch,
                                const sq_call *call)
{
    unsigned char args[sizeof launch->args];
    void *params[1] = {args};
    memcpy(args, &launch->args, sizeof args);
    for (uint32_t i = 0; i < launch->patch_count; i++) {
        const sq_cuda_patch *patch = &launch->patches[i];
        const void *address = address_of(patch->source, patch->index, patch->offset, call);
        memcpy(args + launch->patches[i].at, &address, sizeof address);
    }
    for (uint32_t i = 0; i < launch->box_count; i++) {
        SQ_TRY(add_view(&device->driver, &launch->boxes[i], call, args));
    }
    void *function = device->functions[launch->kernel];
    if (function == NULL) {
        return SQUALL_E_DEVICE;
    }
    const uint32_t most = (uint32_t)device->processors;
    const sq_cu_attribute overlap = {.id = SQ_CU_OVERLAP, .value = {.number = 1}};
    const sq_cu_launch how = {
        .grid_x = launch->persistent && launch->grid_x > most ? most : launch->grid_x,
        .grid_y = launch->grid_y,
        .grid_z = 1,
        .block_x = launch->block,
        .block_y = 1,
        .block_z = 1,
        .shared = launch->shared,
        .stream = device->stream,
        .attributes = &overlap,
        .attribute_count = device->capability >= 90 ? 1 : 0, /* sq_wait_before() of the kernels */
    };
    return done(device->driver.launch(&how, function, params, NULL));
}

const sq_device_face sq_cuda_face = {
    .open = open_device,
    .close = close_device,
    .take = take,
    .put = put,
    .get = get,
    .wait = wait_device,
    .record = record,
    .keep = keep,
    .replay = replay,
    .marks = marks,
    .mark = mark,
    .seconds = seconds,
};
