/* nn/cpu/cpu_template_few.h - convolutions with 1 to 4 outputs, for the vector of cpu_simd.h.
 *
 * Where other kernels have outputs side by side in a vector, these have channels there: each sum is
 * a vector of partial sums, one a lane. LANES of them, of several pixels and all outputs, are
 * transposed at the end, so that adding them up gives a vector of results. */

/* Results of LANES / outs pixels, [pixel][output]. */
KERNEL vf few_group(const sq_few_run *run, const float *first, const int outs)
{
    const int pixels = LANES / outs;
    vf sum[LANES];
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) {
        sum[i] = vf_set(0.0f);
    }
    for (int32_t b = 0; b < run->blocks; b++) {
        for (int32_t y = 0; y < run->taps_y; y++) {
            const float *in = first + b * run->in_plane + y * run->in_row;
            const float *weights = run->weights + b * run->weight_plane + y * run->weight_row;
#pragma GCC unroll 1
            for (int32_t x = 0; x < run->taps_x; x++, in += LANES, weights += outs * LANES) {
#pragma GCC unroll 16
                for (int p = 0; p < pixels; p++) {
                    const vf v = vf_load(in + p * LANES);
#pragma GCC unroll 4
                    for (int k = 0; k < outs; k++) {
                        sum[p * outs + k] =
                            vf_fma(v, vf_load(weights + k * LANES), sum[p * outs + k]);
                    }
                }
            }
        }
    }
    vf_transpose(sum);
    /* halves are added to halves */
#pragma GCC unroll 4
    for (int half = LANES / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
        for (int i = 0; i < half; i++) {
            sum[i] = vf_add(sum[i], sum[i + half]);
        }
    }
    return activate(vf_add(sum[0], vf_load(run->bias)), &run->act);
}

/* One pixel, the same way but for the order of the last sums. */
KERNEL void few_pixel(const sq_few_run *run, const float *first, float *out, const int outs)
{
    float parts[LANES], result[LANES] = {0};
    for (int k = 0; k < outs; k++) {
        vf sum = vf_set(0.0f);
        for (int32_t b = 0; b < run->blocks; b++) {
            for (int32_t y = 0; y < run->taps_y; y++) {
                const float *in = first + b * run->in_plane + y * run->in_row;
                const float *weights =
                    run->weights + b * run->weight_plane + y * run->weight_row + k * LANES;
                for (int32_t x = 0; x < run->taps_x; x++) {
                    sum = vf_fma(vf_load(in + x * LANES), vf_load(weights + x * outs * LANES), sum);
                }
            }
        }
        vf_store(parts, sum);
        for (int half = LANES / 2; half > 0; half /= 2) {
            for (int i = 0; i < half; i++) {
                parts[i] += parts[i + half];
            }
        }
        result[k] = parts[0];
    }
    vf_store(result, activate(vf_add(vf_load(result), vf_load(run->bias)), &run->act));
    vf_store(out, vf_set(0.0f));
    memcpy(out, result, (size_t)outs * sizeof *out);
}

KERNEL void few_pixels(const sq_few_run *run, const int outs)
{
    const int32_t group = LANES / outs;
    for (int32_t i = 0; i < run->pixels && run->pixels < group; i++) {
        few_pixel(run, run->in + (ptrdiff_t)i * LANES, run->out + (ptrdiff_t)i * LANES, outs);
    }
    for (int32_t i = 0; i < run->pixels && run->pixels >= group; i += group) {
        /* The last group takes pixels of the one before once more: the same results. */
        const int32_t at = i + group <= run->pixels ? i : run->pixels - group;
        float results[LANES], *out = run->out + (ptrdiff_t)at * LANES;
        vf_store(results, few_group(run, run->in + (ptrdiff_t)at * LANES, outs));
        for (int32_t p = 0; p < group; p++, out += LANES) {
            vf_store(out, vf_set(0.0f));
            memcpy(out, results + p * outs, (size_t)outs * sizeof *out);
        }
    }
}

static void few_run(const sq_few_run *run)
{
    if (run->outputs == 1) {
        few_pixels(run, 1);
    } else if (run->outputs == 2) {
        few_pixels(run, 2);
    } else {
        few_pixels(run, 4);
    }
}
