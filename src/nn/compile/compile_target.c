/* nn/compile/compile_target.c - what an engine is built for: a processor, or a kind of GPU. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/compile/compile_internal.h"
#include "nn/cuda/cuda.h"
#include "nn/runtime/runtime.h"

/* "cuda:0", "cuda:sm_90a", or "cuda" for the first one. */
static squall_status target_gpu(const squall_build_options *options, sq_target *out,
                                squall_error *err)
{
    const char *device = options->device;
    const char *which = device[4] == ':' ? device + 5 : "0";
    char *end;
    sq_cuda_info info;
    long capability;
    if (strncmp(which, "sm_", 3) == 0) {
        capability = strtol(which + 3, &end, 10);
        if (capability < 10 || capability > 999 || (*end != '\0' && strcmp(end, "a") != 0)) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "device",
                           "'%s' names no kind of GPU; write cuda:sm_80, cuda:sm_90a ...", device);
        }
        snprintf(out->isa, sizeof out->isa, "%s", which);
    } else {
        const long index = strtol(which, &end, 10);
        if (end == which || *end != '\0' || index < 0 || index > 1024) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "device",
                           "'%s' names no GPU; write cuda:0, or cuda:sm_90a for one that is not "
                           "here",
                           device);
        }
        SQ_TRY(sq_cuda_find((int)index, &info, NULL, err));
        capability = info.capability;
        snprintf(out->isa, sizeof out->isa, "sm_%ld%s", capability, capability == 90 ? "a" : "");
    }
    if (options->tune_seconds > 0 || options->tactics_path != NULL) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "tactics",
                       "are not measured on GPUs; they are chosen by their cost there");
    }
    out->gpu = true;
    out->backend = sq_cuda_backend_for((int)capability);
    return SQUALL_OK;
}

squall_status sq_compile_target(const squall_build_options *options, sq_target *out,
                                squall_error *err)
{
    const char *device = options->device != NULL ? options->device : "";
    const char *precision = options->precision != NULL ? options->precision : "fp32";
    memset(out, 0, sizeof *out);
    if (strncmp(device, "cuda", 4) == 0 && (device[4] == '\0' || device[4] == ':')) {
        SQ_TRY(target_gpu(options, out, err));
    } else if (strcmp(device, "cpu") == 0) {
        out->backend = sq_runtime_backend(SQ_BACKEND_CPU);
        snprintf(out->isa, sizeof out->isa, "%s", sq_isa_name(sq_cpu_isa()));
    } else if (strcmp(device, "ref") != 0) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "device",
                       "'%s' is not known; use cpu, ref, cuda:0 or cuda:sm_90a", device);
    }
    const bool bytes = strcmp(precision, "int8") == 0 || strcmp(precision, "auto") == 0;
    const bool automatic = strcmp(precision, "auto") == 0;
    if (strcmp(precision, "fp32") == 0 || (bytes && !(out->gpu && automatic))) {
        return SQUALL_OK;
    }
    if (strcmp(precision, "fp16") == 0 && out->backend != NULL) {
        out->half = SQUALL_F16;
    } else if (strcmp(precision, "bf16") == 0 && out->backend != NULL && !out->gpu) {
        out->half = SQUALL_BF16;
    } else {
        return sq_fail(err, SQUALL_E_ARGUMENT, "precision",
                       "'%s' on %s is not there; GPUs compute in fp32, fp16 or int8, processors in "
                       "fp32, int8 or what is best (auto), and keep tensors in fp16 or bf16",
                       precision, device);
    }
    return SQUALL_OK;
}
