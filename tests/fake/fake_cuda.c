/* tests/fake/fake_cuda.c - a stand-in for libcuda.so.1 and libnvrtc on machines without a GPU.
 *
 * It keeps "device" memory in host memory, at addresses that no host code may touch by mistake: an
 * address handed out is the real one plus a shift, so that whoever follows one without the driver
 * crashes. Kernels without barriers are the product's own source, compiled for the host; those of
 * tensor cores are replaced by a plain loop over the same packed weights. NVRTC's part hands out a
 * few bytes that name the kind of GPU; only a module of that kind is loaded.
 *
 * SQUALL_FAKE_CAPABILITY: compute capability times ten (default 90). SQUALL_FAKE_GPUS: how many
 * (default 1). SQUALL_FAKE_MEMORY: bytes that can be taken (default 8 GiB). */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cuda/cuda_driver.h"
#include "nn/tensor/tensor.h"

static _Thread_local long long sq_fake_thread;
static float half_table[1 << 16];

static inline float sq_from_half(unsigned short h)
{
    return half_table[h];
}
static inline unsigned short sq_to_half(float f)
{
    return sq_float_to_half(f);
}

#define EXPORT __attribute__((visibility("default")))
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#include "nn/cuda/kernels/cuda_kernels.cuh"

enum { OK = 0, INVALID = 1, NO_MEMORY = 2, NOT_FOUND = 500, NO_IMAGE = 200 };
enum { RECORDED = 4096, ARGS = sizeof(sq_cuda_wg_args) };
#define SHIFT ((uint64_t)1 << 62)

/* ---- Memory ---- */

typedef struct block {
    uint64_t address; /* as handed out */
    size_t bytes;
    struct block *next;
} block;

static block *blocks;
static size_t taken_bytes;

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

/* The real address of device memory, all `bytes` of which must be one block's. */
static void *real(uint64_t address, size_t bytes)
{
    for (const block *b = blocks; b != NULL; b = b->next) {
        if (address >= b->address && address - b->address <= b->bytes &&
            bytes <= b->bytes - (address - b->address)) {
            return (void *)(uintptr_t)(address - SHIFT);
        }
    }
    fprintf(stderr, "fake_cuda: %zu bytes at %llx are not on the device\n", bytes,
            (unsigned long long)address);
    abort();
}

EXPORT int cuMemAlloc_v2(unsigned long long *out, size_t bytes)
{
    if (bytes == 0) {
        return INVALID;
    }
    if (bytes > number_of("SQUALL_FAKE_MEMORY", (uint64_t)8 << 30) - taken_bytes) {
        return NO_MEMORY;
    }
    block *b = malloc(sizeof *b);
    void *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (b == NULL || memory == NULL) {
        abort();
    }
    memset(memory, 0x7f, bytes); /* neither zeros nor small numbers */
    *b = (block){.address = (uint64_t)(uintptr_t)memory + SHIFT, .bytes = bytes, .next = blocks};
    blocks = b;
    taken_bytes += bytes;
    *out = b->address;
    return OK;
}

EXPORT int cuMemFree_v2(unsigned long long address)
{
    for (block **at = &blocks; *at != NULL; at = &(*at)->next) {
        block *b = *at;
        if (b->address == address) {
            *at = b->next;
            taken_bytes -= b->bytes;
            free((void *)(uintptr_t)(address - SHIFT));
            free(b);
            return OK;
        }
    }
    return INVALID;
}

EXPORT int cuMemsetD8Async(unsigned long long to, unsigned char value, size_t bytes, void *stream)
{
    (void)stream;
    memset(real(to, bytes), value, bytes);
    return OK;
}
EXPORT int cuMemcpyHtoDAsync_v2(unsigned long long to, const void *from, size_t bytes, void *stream)
{
    (void)stream;
    memcpy(real(to, bytes), from, bytes);
    return OK;
}
EXPORT int cuMemcpyDtoHAsync_v2(void *to, unsigned long long from, size_t bytes, void *stream)
{
    (void)stream;
    memcpy(to, real(from, bytes), bytes);
    return OK;
}

/* ---- Devices ---- */

EXPORT int cuInit(unsigned flags)
{
    for (int h = 0; h < 1 << 16; h++) {
        half_table[h] = sq_half_to_float((uint16_t)h);
    }
    return flags == 0 ? OK : INVALID;
}
EXPORT int cuDriverGetVersion(int *out)
{
    *out = 13000;
    return OK;
}
EXPORT int cuGetErrorString(int error, const char **out)
{
    *out = error == NO_MEMORY ? "out of memory" : error == OK ? "no error" : "an error";
    return OK;
}
EXPORT int cuDeviceGetCount(int *out)
{
    *out = (int)number_of("SQUALL_FAKE_GPUS", 1);
    return OK;
}
EXPORT int cuDeviceGet(int *out, int index)
{
    *out = index;
    return index >= 0 && index < (int)number_of("SQUALL_FAKE_GPUS", 1) ? OK : INVALID;
}
EXPORT int cuDeviceGetName(char *out, int room, int device)
{
    snprintf(out, (size_t)room, "Fake GPU %d", device);
    return OK;
}
EXPORT int cuDeviceGetAttribute(int *out, int attribute, int device)
{
    const int capability = (int)number_of("SQUALL_FAKE_CAPABILITY", 90);
    (void)device;
    *out = attribute == 75 ? capability / 10 : attribute == 76 ? capability % 10 : 132;
    return OK;
}
EXPORT int cuDeviceTotalMem_v2(size_t *out, int device)
{
    (void)device;
    *out = number_of("SQUALL_FAKE_MEMORY", (uint64_t)8 << 30);
    return OK;
}
EXPORT int cuDevicePrimaryCtxRetain(void **out, int device)
{
    (void)device;
    *out = &taken_bytes; /* any address but NULL */
    return OK;
}
EXPORT int cuDevicePrimaryCtxRelease_v2(int device)
{
    (void)device;
    return OK;
}
EXPORT int cuCtxSetCurrent(void *context)
{
    return context != NULL ? OK : INVALID;
}

/* ---- Kernels ---- */

typedef struct kernel {
    const char *name;
    int number;
} kernel;

enum {
#define KERNEL(name, capability) NUMBER_##name,
#include "nn/cuda/cuda_kernels.inc"
#undef KERNEL
    KERNELS
};
static const kernel kernels[KERNELS] = {
#define KERNEL(name, capability) {"sq_" #name, NUMBER_##name},
#include "nn/cuda/cuda_kernels.inc"
#undef KERNEL
};

EXPORT int cuModuleLoadData(void **out, const void *image)
{
    char want[32];
    const int capability = (int)number_of("SQUALL_FAKE_CAPABILITY", 90);
    snprintf(want, sizeof want, "FAKE sm_%d", capability);
    if (strncmp(image, want, strlen(want)) != 0) {
        return NO_IMAGE;
    }
    *out = (void *)(uintptr_t)kernels;
    return OK;
}
EXPORT int cuModuleUnload(void *module)
{
    return module != NULL ? OK : INVALID;
}
EXPORT int cuModuleGetFunction(void **out, void *module, const char *name)
{
    (void)module;
    for (int k = 0; k < KERNELS; k++) {
        if (strcmp(kernels[k].name, name) == 0) {
            *out = (void *)(uintptr_t)&kernels[k];
            return OK;
        }
    }
    return NOT_FOUND;
}
EXPORT int cuFuncSetAttribute(void *function, int attribute, int value)
{
    (void)function;
    (void)attribute;
    (void)value;
    return OK;
}

/* ---- The wgmma kernel: tiles, loads and taps as its table says, one number after another. ---- */

/* What this driver makes of a view. */
typedef struct seen {
    uint64_t base, size[4], stride[3];
    uint32_t box[4], size_of;
} seen;
_Static_assert(sizeof(seen) <= sizeof(sq_cuda_view), "a view is opaque, but not endless");

EXPORT int cuTensorMapEncodeTiled(void *out, int type, unsigned rank, void *base,
                                  const unsigned long long *size, const unsigned long long *stride,
                                  const unsigned *box, const unsigned *each, int interleave,
                                  int swizzle, int promotion, int fill)
{
    seen view = {.base = (uint64_t)(uintptr_t)base};
    const unsigned row = box[0] * (type == SQ_CU_F16 ? 2 : 1);
    bool good = (type == SQ_CU_F16 || type == SQ_CU_U8) && rank == 4 && interleave == 0 &&
                ((swizzle == 3 && row <= 128) || (swizzle == 2 && row <= 64)) && promotion <= 3 &&
                fill == 0 && view.base % 16 == 0;
    view.size_of = type == SQ_CU_F16 ? 2 : 1;
    for (int i = 0; i < 4; i++) {
        view.size[i] = size[i];
        view.box[i] = box[i];
        good = good && size[i] > 0 && box[i] > 0 && box[i] <= 256 && each[i] == 1;
    }
    for (int i = 0; i < 3; i++) {
        view.stride[i] = stride[i];
        good = good && stride[i] % 16 == 0;
    }
    memset(out, 0, sizeof(sq_cuda_view));
    memcpy(out, &view, sizeof view);
    return good ? OK : INVALID;
}

/* A number of a view; NULL outside of it. */
static void *number_at(const sq_cuda_view *from, int c, int x, int y, int n)
{
    seen view;
    memcpy(&view, from, sizeof view);
    if (c < 0 || x < 0 || y < 0 || n < 0 || (uint64_t)c >= view.size[0] ||
        (uint64_t)x >= view.size[1] || (uint64_t)y >= view.size[2] || (uint64_t)n >= view.size[3]) {
        return NULL;
    }
    return real(view.base + view.size_of * (uint64_t)c + (uint64_t)x * view.stride[0] +
                    (uint64_t)y * view.stride[1] + (uint64_t)n * view.stride[2],
                view.size_of);
}

/* The 64 channels that a tap meets for column `i`, row `j` of the pixels. */
static void tile_numbers(const sq_cuda_wg_args *args, const sq_cuda_load *load, int tap, int pitch,
                         int c0, const int *corner, int i, int j, float *out)
{
    const int y = corner[1] + load->dy + load->row[tap] / pitch + j;
    const int x = corner[0] + load->dx + load->row[tap] % pitch + i;
    const sq_half *from = number_at(&args->in[load->view], c0, x, y, corner[2]);
    seen view;
    memcpy(&view, &args->in[load->view], sizeof view);
    for (int c = 0; c < 64; c++) {
        out[c] = from != NULL && (uint64_t)(c0 + c) < view.size[0] ? sq_from_half(from[c]) : 0.0f;
    }
}

static float wg_sums[128][32][16]; /* [output][row][column] */

/* Add what one tap gives: 64 channels times `cot` outputs. */
static void wg_step(const sq_cuda_wg_args *args, const sq_cuda_load *load, int tap, int c0,
                    const uint16_t *image, int bh, int cot, int border, const int *corner)
{
    static float weights[128][64];
    for (int row = 0; row < cot; row++) {
        for (int c = 0; c < 64; c++) {
            weights[row][c] = sq_from_half(image[row * 64 + ((c / 8) ^ (row & 7)) * 8 + c % 8]);
        }
    }
    for (int j = 0; j < bh; j++) {
        for (int i = 0; i < SQ_WG_WIDTH(cot); i++) {
            float x[64];
            tile_numbers(args, load, tap, SQ_WG_PITCH(cot, border, 128), c0, corner, i, j, x);
            for (int row = 0; row < cot; row++) {
                float sum[8] = {0};
                for (int c = 0; c < 64; c++) {
                    sum[c % 8] += weights[row][c] * x[c];
                }
                for (int k = 0; k < 8; k++) {
                    wg_sums[row][j][i] += sum[k];
                }
            }
        }
    }
}

/* Finish and store one output channel of a tile, and the largest of each 2 x 2 of it. */
static void wg_store(const sq_cuda_wg_args *args, int phase, int o, float made[32][16], int bh,
                     int width, const int *corner)
{
    for (int j = 0; j < bh; j++) {
        for (int i = 0; i < width; i++) {
            const float x = made[j][i] + args->bias[o];
            sq_half *to = number_at(&args->out[phase], o, corner[0] + i, corner[1] + j, corner[2]);
            made[j][i] = args->relu ? (x < 0 ? 0 : x) : fmaxf(x, args->slope * x);
            if (to != NULL) {
                *to = sq_to_half(made[j][i]);
            }
        }
    }
    for (int j = 0; j < bh && args->with_pooled; j += 2) {
        for (int i = 0; i < width; i += 2) {
            sq_half *to =
                number_at(&args->pooled, o, (corner[0] + i) / 2, (corner[1] + j) / 2, corner[2]);
            if (to != NULL) {
                *to = sq_to_half(fmaxf(fmaxf(made[j][i], made[j][i + 1]),
                                       fmaxf(made[j + 1][i], made[j + 1][i + 1])));
            }
        }
    }
}

/* One tile of one block of outputs. */
static void wg_tile(const sq_cuda_wg_args *args, int bh, int cot, int border, int phase, int part,
                    const int *corner)
{
    const uint16_t *image =
        (const uint16_t *)args->weights +
        (size_t)(args->first[phase] + part * args->steps[phase]) * (size_t)cot * 64;
    memset(wg_sums, 0, sizeof wg_sums);
    for (int g = 0; g < args->groups; g++) {
        const sq_cuda_loads *loads = &args->group[phase][g];
        for (int chunk = 0; chunk < loads->chunks; chunk++) {
            for (int l = 0; l < loads->loads; l++) {
                for (int t = 0; t < loads->load[l].taps; t++, image += cot * 64) {
                    wg_step(args, &loads->load[l], t, chunk * 64, image, bh, cot, border, corner);
                }
            }
        }
    }
    for (int row = 0; row < cot; row++) {
        if (number_at(&args->out[phase], part * cot + row, 0, 0, 0) != NULL) {
            wg_store(args, phase, part * cot + row, wg_sums[row], bh, SQ_WG_WIDTH(cot), corner);
        }
    }
}

/* The same of bytes: 64 or 128 channels a row, sums in int32 that wrap round. */
static int wg_sums8[128][32][16];

static void wg_step8(const sq_cuda_wg_args *args, const sq_cuda_load *load, int tap, int c0,
                     const int8_t *image, int bh, int cot, int border, int row, const int *corner)
{
    const int pitch = SQ_WG_PITCH(cot, border, row);
    seen view;
    memcpy(&view, &args->in[load->view], sizeof view);
    for (int j = 0; j < bh; j++) {
        for (int i = 0; i < SQ_WG_WIDTH(cot); i++) {
            const uint8_t *from =
                number_at(&args->in[load->view], c0,
                          corner[0] + load->dx + load->row[tap] % pitch + i,
                          corner[1] + load->dy + load->row[tap] / pitch + j, corner[2]);
            for (int r = 0; r < cot && from != NULL; r++) {
                const int o = r / 16 * 16 + r % 8 * 2 + r / 8 % 2;
                const int swizzle = row == 64 ? r >> 1 & 3 : r & 7;
                for (int c = 0; c < row && (uint64_t)(c0 + c) < view.size[0]; c++) {
                    wg_sums8[o][j][i] +=
                        from[c] * image[r * row + ((c / 16) ^ swizzle) * 16 + c % 16];
                }
            }
        }
    }
}

static void wg_store8(const sq_cuda_wg_args *args, int phase, int o, int made[32][16], int bh,
                      int width, const int *corner)
{
    const int bias = ((const int *)args->bias)[phase * args->bias_step + o];
    for (int j = 0; j < bh; j++) {
        for (int i = 0; i < width; i++) {
            uint8_t *to = number_at(&args->out[phase], o, corner[0] + i, corner[1] + j, corner[2]);
            made[j][i] = sq_requantise(made[j][i] + bias, args->q.multiplier[o], &args->q);
            if (to != NULL) {
                *to = (uint8_t)made[j][i];
            }
        }
    }
    for (int j = 0; j < bh && args->with_pooled; j += 2) {
        for (int i = 0; i < width; i += 2) {
            uint8_t *to =
                number_at(&args->pooled, o, (corner[0] + i) / 2, (corner[1] + j) / 2, corner[2]);
            const int above = made[j][i] > made[j][i + 1] ? made[j][i] : made[j][i + 1];
            const int below =
                made[j + 1][i] > made[j + 1][i + 1] ? made[j + 1][i] : made[j + 1][i + 1];
            if (to != NULL) {
                *to = (uint8_t)(above > below ? above : below);
            }
        }
    }
}

static void wg_tile8(const sq_cuda_wg_args *args, int bh, int cot, int border, int row, int phase,
                     int part, const int *corner)
{
    const int8_t *image =
        (const int8_t *)args->weights +
        (size_t)(args->first[phase] + part * args->steps[phase]) * (size_t)(cot * row);
    memset(wg_sums8, 0, sizeof wg_sums8);
    for (int g = 0; g < args->groups; g++) {
        const sq_cuda_loads *loads = &args->group[phase][g];
        for (int chunk = 0; chunk < loads->chunks; chunk++) {
            for (int l = 0; l < loads->loads; l++) {
                for (int t = 0; t < loads->load[l].taps; t++, image += cot * row) {
                    wg_step8(args, &loads->load[l], t, chunk * row, image, bh, cot, border, row,
                             corner);
                }
            }
        }
    }
    for (int o = 0; o < cot; o++) {
        if (number_at(&args->out[phase], part * cot + o, 0, 0, 0) != NULL) {
            wg_store8(args, phase, part * cot + o, wg_sums8[o], bh, SQ_WG_WIDTH(cot), corner);
        }
    }
}

/* `row`: bytes of a row of channels; 0: halves. */
static void conv_wg(const sq_cuda_wg_args *args, int bh, int cot, int border, int row)
{
    for (int n = 0; n < args->n; n++) {
        for (int ty = 0; ty < args->tiles_y; ty++) {
            for (int tx = 0; tx < args->tiles_x; tx++) {
                const int corner[3] = {tx * SQ_WG_WIDTH(cot), ty * bh, n};
                for (int p = 0; p < args->phases; p++) {
                    for (int b = 0; b < args->blocks; b++) {
                        if (row == 0) {
                            wg_tile(args, bh, cot, border, p, b, corner);
                        } else {
                            wg_tile8(args, bh, cot, border, row, p, b, corner);
                        }
                    }
                }
            }
        }
    }
}

/* A number that a tap reads, of the sources beside each other. */
static float source_number(const sq_cuda_conv_args *args, bool half, long long n, int y, int x,
                           int c)
{
    const bool second = c >= args->in_pitch;
    const int up = second ? args->up2 : args->up, pitch = second ? args->in2_pitch : args->in_pitch;
    const void *from = second ? args->in2 : args->in;
    const long long at = ((n * (args->h >> up) + (y >> up)) * (args->w >> up) + (x >> up)) * pitch +
                         (second ? c - args->in_pitch : c);
    return half ? sq_from_half(((const sq_half *)from)[at]) : ((const float *)from)[at];
}

/* Where a tap reads; false: nowhere. */
static bool tap_place(const sq_cuda_conv_args *args, int oy, int ox, int t, int *y, int *x)
{
    *y = oy * args->stride_y + t / args->taps_x * args->dilation_y - args->pad_y;
    *x = ox * args->stride_x + t % args->taps_x * args->dilation_x - args->pad_x;
    if (args->transposed) {
        *y = oy + args->pad_y - t / args->taps_x * args->dilation_y;
        *x = ox + args->pad_x - t % args->taps_x * args->dilation_x;
        if (*y < 0 || *x < 0 || *y % args->stride_y != 0 || *x % args->stride_x != 0) {
            return false;
        }
        *y /= args->stride_y;
        *x /= args->stride_x;
    }
    return *y >= 0 && *y < args->h && *x >= 0 && *x < args->w;
}

/* A tile kernel's work as a plain loop: what it reads and writes, not how. */
static void conv_matrix(const sq_cuda_conv_args *args, bool half)
{
    const int each = args->in_pitch + args->in2_pitch;
    const long long pixels = (long long)args->n * args->out_h * args->out_w;
    for (long long p = 0; p < pixels; p++) {
        const int ox = (int)(p % args->out_w), oy = (int)(p / args->out_w % args->out_h);
        const long long n = p / args->out_w / args->out_h;
        for (int o = 0; o < args->out_pitch; o++) {
            float sum = o < args->out_channels ? args->bias[o] : 0.0f;
            for (int t = 0; t < args->taps_y * args->taps_x && o < args->out_channels; t++) {
                int y, x;
                const long long row = (long long)o * args->weight_pitch + t * each;
                for (int c = 0; tap_place(args, oy, ox, t, &y, &x) && c < each; c++) {
                    const float w = half ? sq_from_half(((const sq_half *)args->weights)[row + c])
                                         : ((const float *)args->weights)[row + c];
                    sum += source_number(args, half, n, y, x, c) * w;
                }
            }
            const float out = o < args->out_channels ? sq_act(sum, args->act) : 0.0f;
            if (half) {
                ((sq_half *)args->out)[p * args->out_pitch + o] = sq_to_half(out);
            } else {
                ((float *)args->out)[p * args->out_pitch + o] = out;
            }
        }
    }
    const int h = args->out_h / 2, w = args->out_w / 2, pitch = args->out_pitch;
    for (long long p = 0; args->pooled != NULL && p < (long long)args->n * h * w * pitch; p++) {
        const long long c = p % pitch, x = p / pitch % w, y = p / pitch / w % h;
        const long long n = p / pitch / w / h;
        float most = -INFINITY;
        for (int k = 0; k < 4; k++) {
            const long long from =
                ((n * args->out_h + 2 * y + k / 2) * args->out_w + 2 * x + k % 2) * pitch + c;
            most = fmaxf(most, sq_from_half(((const sq_half *)args->out)[from]));
        }
        ((sq_half *)args->pooled)[p] = sq_to_half(most);
    }
}

/* A tile kernel's work on bytes. */
static int qconv_sum(const sq_cuda_conv_args *args, long long n, int oy, int ox, int row)
{
    const int each = args->in_pitch + args->in2_pitch;
    int sum = ((const int *)args->bias)[row], y, x;
    for (int t = 0; t < args->taps_y * args->taps_x; t++) {
        const int8_t *weights =
            (const int8_t *)args->weights + (long long)row * args->weight_pitch + t * each;
        for (int c = 0; tap_place(args, oy, ox, t, &y, &x) && c < each; c++) {
            const bool second = c >= args->in_pitch;
            const int up = second ? args->up2 : args->up;
            const int pitch = second ? args->in2_pitch : args->in_pitch;
            const long long at =
                ((n * (args->h >> up) + (y >> up)) * (args->w >> up) + (x >> up)) * pitch +
                (second ? c - args->in_pitch : c);
            sum += ((const uint8_t *)(second ? args->in2 : args->in))[at] * weights[c];
        }
    }
    return sum;
}

static void qconv_matrix(const sq_cuda_conv_args *args)
{
    const long long pixels = (long long)args->n * args->out_h * args->out_w;
    const int pitch = args->out_pitch, h = args->out_h / 2, w = args->out_w / 2;
    uint8_t *out = (uint8_t *)args->out;
    for (long long p = 0; p < pixels; p++) {
        const int ox = (int)(p % args->out_w), oy = (int)(p / args->out_w % args->out_h);
        const int set = args->sets == 4 ? oy % 2 * 2 + ox % 2 : 0;
        for (int o = 0; o < args->out_channels; o++) {
            const int sum =
                qconv_sum(args, p / args->out_w / args->out_h, oy, ox, set * args->set_rows + o);
            const float by = args->q.multiplier[o];
            if (args->q.to_float) {
                ((float *)args->out)[p * pitch + o] = sq_act((float)sum * by, args->act);
            } else {
                out[p * pitch + o] = (uint8_t)sq_requantise(sum, by, &args->q);
            }
        }
    }
    for (long long p = 0; args->pooled != NULL && p < (long long)args->n * h * w * pitch; p++) {
        const long long c = p % pitch, x = p / pitch % w, y = p / pitch / w % h;
        const long long n = p / pitch / w / h;
        uint8_t most = 0;
        for (int k = 0; k < 4; k++) {
            const uint8_t number =
                out[((n * args->out_h + 2 * y + k / 2) * args->out_w + 2 * x + k % 2) * pitch + c];
            most = number > most ? number : most;
        }
        ((uint8_t *)args->pooled)[p] = most;
    }
}

/* Addresses of the arguments as the host can follow them; NULL stays. */
static void follow(const void *address_at)
{
    uint64_t address;
    memcpy(&address, address_at, sizeof address);
    if (address != 0) {
        address = (uint64_t)(uintptr_t)real(address, 1);
        memcpy((void *)(uintptr_t)address_at, &address, sizeof address);
    }
}

#define SIMPLE(name, type, ...)                                                \
    case NUMBER_##name: {                                                      \
        type args;                                                             \
        memcpy(&args, bytes, sizeof args);                                     \
        const void *const addresses[] = {__VA_ARGS__};                         \
        for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {  \
            follow(addresses[i]);                                              \
        }                                                                      \
        for (sq_fake_thread = 0; sq_fake_thread < threads; sq_fake_thread++) { \
            sq_##name(args);                                                   \
        }                                                                      \
        return OK;                                                             \
    }
#define TILE(name, half)                   \
    case NUMBER_##name: {                  \
        sq_cuda_conv_args args;            \
        memcpy(&args, bytes, sizeof args); \
        follow(&args.in);                  \
        follow(&args.weights);             \
        follow(&args.bias);                \
        follow(&args.out);                 \
        follow(&args.in2);                 \
        follow(&args.pooled);              \
        conv_matrix(&args, half);          \
        return OK;                         \
    }

#define QTILE(name)                        \
    case NUMBER_##name: {                  \
        sq_cuda_conv_args args;            \
        memcpy(&args, bytes, sizeof args); \
        follow(&args.in);                  \
        follow(&args.weights);             \
        follow(&args.bias);                \
        follow(&args.out);                 \
        follow(&args.in2);                 \
        follow(&args.pooled);              \
        follow(&args.q.multiplier);        \
        qconv_matrix(&args);               \
        return OK;                         \
    }

#define WGMMA(bh, cot, border)                     \
    case NUMBER_conv_wg_##bh##_##cot##_##border: { \
        sq_cuda_wg_args args;                      \
        memcpy(&args, bytes, sizeof args);         \
        follow(&args.weights);                     \
        follow(&args.bias);                        \
        conv_wg(&args, bh, cot, border, 0);        \
        return OK;                                 \
    }
#define WGMMA8(bh, cot, border, row)                       \
    case NUMBER_conv_w8_##bh##_##cot##_##border##_##row: { \
        sq_cuda_wg_args args;                              \
        memcpy(&args, bytes, sizeof args);                 \
        follow(&args.weights);                             \
        follow(&args.bias);                                \
        follow(&args.q.multiplier);                        \
        conv_wg(&args, bh, cot, border, row);              \
        return OK;                                         \
    }

static int run_kernel(int number, long long threads, const unsigned char *bytes)
{
    switch (number) {
        SIMPLE(map_f32, sq_cuda_map_args, &args.a, &args.b, &args.out)
        SIMPLE(map_f16, sq_cuda_map_args, &args.a, &args.b, &args.out)
        SIMPLE(map_f32_f16, sq_cuda_map_args, &args.a, &args.b, &args.out)
        SIMPLE(map_f16_f32, sq_cuda_map_args, &args.a, &args.b, &args.out)
        SIMPLE(conv_direct_f32, sq_cuda_conv_args, &args.in, &args.weights, &args.bias, &args.out)
        SIMPLE(conv_direct_f16, sq_cuda_conv_args, &args.in, &args.weights, &args.bias, &args.out)
        SIMPLE(depth_f32, sq_cuda_depth_args, &args.in, &args.weights, &args.bias, &args.out)
        SIMPLE(depth_f16, sq_cuda_depth_args, &args.in, &args.weights, &args.bias, &args.out)
        SIMPLE(few_f32, sq_cuda_few_args, &args.in, &args.in2, &args.weights, &args.bias, &args.out)
        SIMPLE(few_f16, sq_cuda_few_args, &args.in, &args.in2, &args.weights, &args.bias, &args.out)
        SIMPLE(spot_f32, sq_cuda_few_args, &args.in, &args.in2, &args.weights, &args.bias,
               &args.out)
        SIMPLE(spot_f16, sq_cuda_few_args, &args.in, &args.in2, &args.weights, &args.bias,
               &args.out)
        SIMPLE(planes_f32, sq_cuda_planes_args, &args.in, &args.out)
        SIMPLE(planes_f16, sq_cuda_planes_args, &args.in, &args.out)
        SIMPLE(planes_u8, sq_cuda_planes_args, &args.in, &args.out)
        SIMPLE(map_u8, sq_cuda_map_args, &args.a, &args.b, &args.out)
        SIMPLE(map_f32_u8, sq_cuda_map_args, &args.a, &args.b, &args.out)
        SIMPLE(map_u8_f32, sq_cuda_map_args, &args.a, &args.b, &args.out)
        SIMPLE(qconv_direct, sq_cuda_qconv_args, &args.in[0], &args.in[1], &args.in[2], &args.in[3],
               &args.in[4], &args.in[5], &args.in[6], &args.in[7], &args.weights, &args.bias,
               &args.out, &args.q.multiplier)
        SIMPLE(gates_f32, sq_cuda_gates_args, &args.gates, &args.state, &args.fresh, &args.out,
               &args.cell)
        SIMPLE(gates_f16, sq_cuda_gates_args, &args.gates, &args.state, &args.fresh, &args.out,
               &args.cell)
        SIMPLE(pool_f32, sq_cuda_pool_args, &args.in, &args.out)
        SIMPLE(pool_f16, sq_cuda_pool_args, &args.in, &args.out)
        SIMPLE(pool_u8, sq_cuda_pool_args, &args.in, &args.out)
        SIMPLE(resize_f32, sq_cuda_resize_args, &args.in, &args.table, &args.out)
        SIMPLE(resize_f16, sq_cuda_resize_args, &args.in, &args.table, &args.out)
        SIMPLE(resize_u8, sq_cuda_resize_args, &args.in, &args.table, &args.out)
        SIMPLE(reduce_first_f32, sq_cuda_reduce_args, &args.in, &args.out)
        SIMPLE(reduce_first_f16, sq_cuda_reduce_args, &args.in, &args.out)
        SIMPLE(reduce_last_f32, sq_cuda_reduce_args, &args.in, &args.out)
        SIMPLE(reduce_last_f16, sq_cuda_reduce_args, &args.in, &args.out)
        SIMPLE(reduce_row_f32, sq_cuda_reduce_args, &args.in, &args.out)
        SIMPLE(reduce_row_f16, sq_cuda_reduce_args, &args.in, &args.out)
        SIMPLE(gemm_f32, sq_cuda_gemm_args, &args.a, &args.b, &args.c, &args.out)
        SIMPLE(gemm_f16, sq_cuda_gemm_args, &args.a, &args.b, &args.c, &args.out)
        TILE(conv_tile_f32, false)
        TILE(conv_first_16, true)
        TILE(conv_first_32, true)
        TILE(conv_first_64, true)
        TILE(conv_mma_128x128, true)
        TILE(conv_mma_128x64, true)
        TILE(conv_mma_128x32, true)
        TILE(conv_mma_128x16, true)
        TILE(conv_mma_64x64, true)
        TILE(conv_mma_64x32, true)
        TILE(conv_mma_32x32, true)
        QTILE(qconv_mma_128x128)
        QTILE(qconv_mma_128x64)
        QTILE(qconv_mma_128x32)
        QTILE(qconv_mma_128x16)
        QTILE(qconv_mma_64x64)
        QTILE(qconv_mma_64x32)
        QTILE(qconv_mma_32x32)
        QTILE(qconv_mma_32x16)
#include "nn/cuda/cuda_wgmma.inc"
#undef WGMMA
#undef WGMMA8
    default:
        return INVALID;
    }
}

/* ---- Streams, graphs, events ---- */

typedef struct launched {
    int number;
    long long threads;
    unsigned char args[ARGS];
} launched;

typedef struct graph {
    launched *list; /* [count] */
    size_t count;
} graph;

static graph *recording; /* NULL: launches run at once */

EXPORT int cuLaunchKernelEx(const sq_cu_launch *how, void *function, void **params, void **extra)
{
    const kernel *which = function;
    const long long threads = (long long)how->grid_x * how->grid_y * how->grid_z * how->block_x *
                              how->block_y * how->block_z;
    launched now = {.number = which->number, .threads = threads};
    if (extra != NULL || threads == 0 || how->block_x * how->block_y * how->block_z > 1024 ||
        how->shared > 232448 || how->stream == NULL) {
        return INVALID;
    }
    memcpy(now.args, params[0], sizeof now.args); /* as long as the longest there are */
    if (recording == NULL) {
        return run_kernel(now.number, now.threads, now.args);
    }
    if (recording->count == RECORDED) {
        return INVALID;
    }
    recording->list[recording->count++] = now;
    return OK;
}

EXPORT int cuStreamCreate(void **out, unsigned flags)
{
    (void)flags;
    *out = malloc(1);
    return OK;
}
EXPORT int cuStreamDestroy_v2(void *stream)
{
    free(stream);
    return OK;
}
EXPORT int cuStreamSynchronize(void *stream)
{
    return stream != NULL && recording == NULL ? OK : INVALID;
}
EXPORT int cuStreamBeginCapture_v2(void *stream, int mode)
{
    (void)mode;
    if (stream == NULL || recording != NULL) {
        return INVALID;
    }
    recording = calloc(1, sizeof *recording);
    recording->list = calloc(RECORDED, sizeof *recording->list);
    return OK;
}
EXPORT int cuStreamEndCapture(void *stream, void **out)
{
    (void)stream;
    *out = recording;
    recording = NULL;
    return *out != NULL ? OK : INVALID;
}
EXPORT int cuGraphInstantiateWithFlags(void **out, void *from, unsigned long long flags)
{
    const graph *old = from;
    graph *made = calloc(1, sizeof *made);
    (void)flags;
    made->list = calloc(old->count + 1, sizeof *made->list);
    memcpy(made->list, old->list, old->count * sizeof *made->list);
    made->count = old->count;
    *out = made;
    return OK;
}
EXPORT int cuGraphDestroy(void *old)
{
    free(((graph *)old)->list);
    free(old);
    return OK;
}
EXPORT int cuGraphExecDestroy(void *old)
{
    return cuGraphDestroy(old);
}
EXPORT int cuGraphLaunch(void *exec, void *stream)
{
    const graph *g = exec;
    (void)stream;
    for (size_t i = 0; i < g->count; i++) {
        const int result = run_kernel(g->list[i].number, g->list[i].threads, g->list[i].args);
        if (result != OK) {
            return result;
        }
    }
    return OK;
}
EXPORT int cuEventCreate(void **out, unsigned flags)
{
    (void)flags;
    *out = malloc(1);
    return OK;
}
EXPORT int cuEventDestroy_v2(void *event)
{
    free(event);
    return OK;
}
EXPORT int cuEventRecord(void *event, void *stream)
{
    return event != NULL && stream != NULL ? OK : INVALID;
}
EXPORT int cuEventElapsedTime(float *out, void *from, void *to)
{
    *out = 0.001f;
    return from != NULL && to != NULL ? OK : INVALID;
}

/* ---- NVRTC ---- */

typedef struct program {
    char image[64];
} program;

EXPORT int nvrtcCreateProgram(void **out, const char *source, const char *name, int count,
                              const char *const *texts, const char *const *names)
{
    (void)name;
    bool found = false;
    for (int i = 0; i < count; i++) {
        found = found || (strstr(source, names[i]) != NULL && strstr(texts[i], "sq_map") == NULL);
    }
    *out = calloc(1, sizeof(program));
    return found ? OK : INVALID;
}
EXPORT int nvrtcCompileProgram(void *made, int count, const char *const *options)
{
    program *p = made;
    for (int i = 0; i < count; i++) {
        if (strncmp(options[i], "--gpu-architecture=sm_", 22) == 0 &&
            strcmp(options[i] + 22, "10") != 0) {
            snprintf(p->image, sizeof p->image, "FAKE %s", options[i] + 19);
            return OK;
        }
    }
    return 5;
}
EXPORT int nvrtcGetProgramLogSize(void *made, size_t *out)
{
    (void)made;
    *out = 20;
    return OK;
}
EXPORT int nvrtcGetProgramLog(void *made, char *out)
{
    (void)made;
    snprintf(out, 20, "no such kind of GPU");
    return OK;
}
EXPORT int nvrtcGetCUBINSize(void *made, size_t *out)
{
    (void)made;
    *out = sizeof(program);
    return OK;
}
EXPORT int nvrtcGetCUBIN(void *made, char *out)
{
    memcpy(out, made, sizeof(program));
    return OK;
}
EXPORT int nvrtcDestroyProgram(void **made)
{
    free(*made);
    *made = NULL;
    return OK;
}
