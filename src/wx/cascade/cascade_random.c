/* wx/cascade/cascade_random.c - random numbers that are a function of their place, and noise. */
#include <math.h>

#include "wx/cascade/cascade.h"
#include "wx/cascade/cascade_kernels.h"

void sq_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t x[4] = {counter[0], counter[1], counter[2], counter[3]};
    uint32_t key0 = key[0], key1 = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t p = (uint64_t)0xD2511F53U * x[0], q = (uint64_t)0xCD9E8D57U * x[2];
        x[0] = (uint32_t)(q >> 32) ^ x[1] ^ key0;
        x[2] = (uint32_t)(p >> 32) ^ x[3] ^ key1;
        x[1] = (uint32_t)q;
        x[3] = (uint32_t)p;
        key0 += 0x9E3779B9U; /* the golden ratio */
        key1 += 0xBB67AE85U; /* the square root of 3 */
    }
    for (int i = 0; i < 4; i++) {
        out[i] = x[i];
    }
}

/* A column that is its own mirror image: the coefficient of a row is the conjugate of that of its
 * mirror row, and a row that is its own mirror image is real. */
static void make_symmetric(const sq_fft *fft, size_t column, float *re, float *im)
{
    const size_t height = sq_fft_height(fft), stride = sq_fft_stride(fft);
    for (size_t row = 0; row <= height / 2; row++) {
        const size_t mirror = row > 0 ? height - row : 0;
        float *const r = re + row * stride + column, *const i = im + row * stride + column;
        if (mirror == row) {
            *r *= 1.41421356237f; /* of mean square 1 as it was */
            *i = 0.0f;
        } else {
            re[mirror * stride + column] = *r;
            im[mirror * stride + column] = -*i;
        }
    }
}

void sq_cascade_noise(const sq_fft *fft, const float *filter, uint64_t seed, uint32_t member,
                      uint32_t step, float *re, float *im)
{
    const sq_cascade_kernels *kernels = sq_cascade_kernels_get();
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const size_t plane = sq_fft_plane(fft), width = sq_fft_width(fft);
    for (size_t first = 0; first < plane; first += (size_t)2 * SQ_FFT_LANES) {
        kernels->noise(key, member, step, first, filter + first, re + first, im + first);
    }
    make_symmetric(fft, 0, re, im);
    if (width % 2 == 0) {
        make_symmetric(fft, width / 2, re, im);
    }
}
