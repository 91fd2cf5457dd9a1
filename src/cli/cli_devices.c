/* cli/cli_devices.c - squall devices: what engines can be built for here. */
#include <string.h>

#include "cli/cli.h"
#include "nn/cuda/cuda.h"

static json_t *cpu_json(void)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:[s, s, s, s]}", "device", "cpu", "kernels",
                     sq_isa_name(sq_cpu_isa()), "features", sq_cpu_features(), "threads",
                     sq_cpu_count(), "precisions", "fp32", "fp16", "bf16", "int8");
}

static json_t *gpu_json(int index, const sq_cuda_info *info)
{
    char device[32], kind[32];
    snprintf(device, sizeof device, "cuda:%d", index);
    snprintf(kind, sizeof kind, "sm_%d", info->capability);
    return json_pack("{s:s, s:s, s:s, s:i, s:I, s:f, s:[s, s], s:s}", "device", device, "name",
                     info->name, "kernels", kind, "processors", info->processors, "memory_bytes",
                     (json_int_t)info->memory_bytes, "driver_cuda", info->driver / 1000.0,
                     "precisions", "fp32", "fp16", "convolution",
                     info->capability >= 75 ? "tensor cores" : "direct");
}

static void print_device(const json_t *device)
{
    const char *name = json_string_value(json_object_get(device, "name"));
    const char *features = json_string_value(json_object_get(device, "features"));
    printf("%-8s %s", json_string_value(json_object_get(device, "device")),
           name != NULL ? name : features);
    printf("; kernels %s", json_string_value(json_object_get(device, "kernels")));
    if (name != NULL) {
        printf("; %lld processors, %.1f GB; fp32, fp16; convolution: %s\n",
               (long long)json_integer_value(json_object_get(device, "processors")),
               1e-9 * (double)json_integer_value(json_object_get(device, "memory_bytes")),
               json_string_value(json_object_get(device, "convolution")));
    } else {
        printf("; %lld threads; fp32\n",
               (long long)json_integer_value(json_object_get(device, "threads")));
    }
}

static int run(int argc, char **argv)
{
    squall_error err = {.code = SQUALL_OK};
    bool json = false;
    cli_list rest;
    int code, count = 0;
    sq_cuda_info info;
    const cli_option options[] = {
        {.name = "json", .flag = &json, .help = "print JSON"},
    };
    if (!cli_parse(&cli_devices, options, sizeof options / sizeof options[0], argc, argv, &rest,
                   &code)) {
        return code;
    }
    json_t *devices = json_array();
    json_array_append_new(devices, cpu_json());
    squall_status status = sq_cuda_find(0, &info, &count, &err);
    for (int i = 0; status == SQUALL_OK && i < count; i++) {
        json_array_append_new(devices, gpu_json(i, &info));
        if (i + 1 < count) {
            status = sq_cuda_find(i + 1, &info, NULL, &err);
        }
    }
    const char *why = status == SQUALL_OK ? NULL : err.text;
    if (json) {
        cli_print_json(json_pack("{s:o, s:s?}", "devices", devices, "no_gpu", why));
    } else {
        for (size_t i = 0; i < json_array_size(devices); i++) {
            print_device(json_array_get(devices, i));
        }
        if (why != NULL) {
            printf("no GPU: %s\n", why);
        }
        json_decref(devices);
    }
    cli_list_free(&rest);
    return CLI_OK;
}

const cli_command cli_devices = {
    .name = "devices",
    .arguments = "",
    .summary = "list the processor and the GPUs that engines can be built for",
    .details = "GPUs need NVIDIA's driver alone to run engines, and NVRTC to build them.",
    .run = run,
};
