/* rooms: nn/runtime nn/plan */
/* fuzz/fuzz_engine.c - any bytes as an engine file: refused, or run once within what it declares.
 *
 * The hashes of the bytes are made right first, or nothing would ever reach the checks behind. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/unit/nn/plan/plan_make.h"
#include "squall/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_PORTS = 8, MAX_BYTES = 4 << 20, MAX_ARENA = 16 << 20, MAX_MACS = 10000000 };

/* The caller's tensors, or false when they are more or larger than is worth a run. */
static bool make_tensors(const squall_engine *engine, bool input, squall_tensor *tensors,
                         size_t *count)
{
    const size_t wanted =
        input ? squall_engine_input_count(engine) : squall_engine_output_count(engine);
    for (*count = 0; wanted <= MAX_PORTS && *count < wanted; ++*count) {
        squall_tensor *tensor = &tensors[*count];
        const squall_status status =
            input ? squall_engine_input(engine, 0, *count, NULL, tensor, NULL)
                  : squall_engine_output(engine, 0, *count, NULL, tensor, NULL);
        const size_t bytes = squall_tensor_bytes(tensor);
        if (status != SQUALL_OK || bytes > MAX_BYTES ||
            (tensor->data = sq_alloc(bytes, 1)) == NULL) {
            return false;
        }
        memset(tensor->data, input ? 0x3c : 0, bytes); /* small positive floats */
    }
    return wanted <= MAX_PORTS;
}

static void run(squall_engine *engine)
{
    squall_tensor in[MAX_PORTS] = {0}, out[MAX_PORTS] = {0};
    squall_profile_info info;
    squall_context *context = NULL;
    size_t in_count = 0, out_count = 0;
    squall_error err;
    if (squall_engine_profile(engine, 0, &info, &err) == SQUALL_OK &&
        info.arena_bytes <= MAX_ARENA && info.macs <= MAX_MACS &&
        make_tensors(engine, true, in, &in_count) && make_tensors(engine, false, out, &out_count) &&
        squall_context_create(engine, 0, 1, &context, &err) == SQUALL_OK &&
        squall_context_run(context, in, in_count, out, out_count, &err) == SQUALL_OK) {
        /* A second run of the same gives the same bits. */
        for (size_t i = 0; i < out_count; i++) {
            const size_t bytes = squall_tensor_bytes(&out[i]);
            void *first = sq_alloc_raw(bytes, 1);
            if (first != NULL && bytes > 0) {
                memcpy(first, out[i].data, bytes);
                if (squall_context_run(context, in, in_count, out, out_count, &err) != SQUALL_OK ||
                    memcmp(first, out[i].data, bytes) != 0) {
                    abort();
                }
            }
            sq_free(first);
        }
    }
    squall_context_destroy(&context);
    for (size_t i = 0; i < MAX_PORTS; i++) {
        sq_free(in[i].data);
        sq_free(out[i].data);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *bytes = sq_alloc_raw(size, 1);
    if (bytes == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(bytes, data, size);
    }
    if (size >= SQ_ENGINE_HEADER_BYTES) {
        plan_reseal(bytes, size);
    }
    for (int32_t portable = 0; portable <= 1; portable++) {
        squall_engine_options options;
        squall_engine *engine = NULL;
        squall_error err;
        squall_engine_options_init(&options);
        options.portable = portable;
        if (squall_engine_open_memory(bytes, size, "fuzz", &options, &engine, NULL, &err) ==
            SQUALL_OK) {
            run(engine);
        }
        squall_engine_close(&engine);
    }
    sq_free(bytes);
    return 0;
}
