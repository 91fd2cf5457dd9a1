/* nn/cpu/cpu_backend.c - the face of the room: which driver and which instruction set. */
#include <stdio.h>
#include <string.h>

#include "nn/cpu/cpu_half.h"
#include "nn/cpu/cpu_quant.h"

static const sq_cpu_driver *const groups[] = {sq_cpu_drivers_few,   sq_cpu_drivers_winograd,
                                              sq_cpu_drivers_conv,  sq_cpu_drivers_point,
                                              sq_cpu_drivers_pool,  sq_cpu_drivers_shape,
                                              sq_cpu_drivers_gates, sq_cpu_drivers_depth,
                                              sq_cpu_drivers_qconv, sq_cpu_drivers_qdepth,
                                              sq_cpu_drivers_qshape};

const sq_cpu_kernels *sq_cpu_pick(void)
{
#if defined(__x86_64__)
    if (sq_cpu_can(SQ_ISA_AVX512)) {
        return &sq_cpu_kernels_avx512;
    }
    if (sq_cpu_can(SQ_ISA_AVX2)) {
        return &sq_cpu_kernels_avx2;
    }
#elif defined(__aarch64__)
    if (sq_cpu_can(SQ_ISA_NEON)) {
        return &sq_cpu_kernels_neon;
    }
#endif
    return &sq_cpu_kernels_c;
}

const sq_cpu_quant *sq_cpu_quant_pick(void)
{
#if defined(__x86_64__)
    if (sq_cpu_can(SQ_ISA_AVX512_VNNI)) {
        return &sq_cpu_quant_avx512vnni;
    }
    if (sq_cpu_can(SQ_ISA_AVX512)) {
        return &sq_cpu_quant_avx512;
    }
    if (sq_cpu_can(SQ_ISA_AVX2)) {
        return &sq_cpu_quant_avx2;
    }
#elif defined(__aarch64__)
    if (sq_cpu_can(SQ_ISA_NEON_I8MM)) {
        return &sq_cpu_quant_neoni8mm;
    }
    if (sq_cpu_can(SQ_ISA_NEON_DOT)) {
        return &sq_cpu_quant_neondot;
    }
    if (sq_cpu_can(SQ_ISA_NEON)) {
        return &sq_cpu_quant_neon;
    }
#endif
    return &sq_cpu_quant_c;
}

squall_layout sq_cpu_layout(void)
{
    return sq_cpu_pick()->layout;
}

void sq_cpu_tactic(sq_tactic *tactic, const char *what)
{
    memset(tactic, 0, sizeof *tactic);
    snprintf(tactic->name, sizeof tactic->name, "%s_%s", what, sq_cpu_pick()->name);
    tactic->in_place = -1;
}

void sq_cpu_quant_tactic(sq_tactic *tactic, const char *what)
{
    memset(tactic, 0, sizeof *tactic);
    snprintf(tactic->name, sizeof tactic->name, "%s_%s", what, sq_cpu_quant_pick()->name);
    tactic->in_place = -1;
}

size_t sq_cpu_refuse(sq_reason *why, const char *text)
{
    snprintf(why->text, sizeof why->text, "%s", text);
    return 0;
}

sq_cpu_act sq_cpu_step_act(const sq_step *step)
{
    size_t count;
    sq_cpu_act act = {.kind = (sq_activation)sq_attr_int(step->attrs, "sq_activation", 0)};
    const float *params = sq_attr_floats(step->attrs, "sq_activation_params", &count);
    act.a = count > 0 ? params[0] : 0.0f;
    act.b = count > 1 ? params[1] : 0.0f;
    return act;
}

int64_t sq_cpu_blocks(const squall_tensor *tensor)
{
    const int64_t lanes = sq_cpu_pick()->lanes;
    return (tensor->dims[1] + lanes - 1) / lanes;
}

int64_t sq_cpu_pixels(const squall_tensor *tensor)
{
    int64_t pixels = 1;
    for (uint32_t i = 2; i < tensor->rank; i++) {
        pixels *= tensor->dims[i];
    }
    return pixels;
}

/* An activation that the epilogues know; an engine may hold any number there. */
static bool act_known(const sq_step *step)
{
    const sq_cpu_act act = sq_cpu_step_act(step);
    return act.kind >= SQ_ACT_NONE && act.kind <= SQ_ACT_SILU;
}

static bool has_bytes(const sq_step *step)
{
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (step->in[i].dtype == SQUALL_U8 || step->in[i].dtype == SQUALL_I8) {
            return true;
        }
    }
    return false;
}

size_t sq_cpu_list(const sq_step *step, int threads, sq_tactic *out, const sq_cpu_driver **from,
                   sq_reason *why)
{
    size_t count = 0;
    sq_reason other;
    snprintf(why->text, sizeof why->text, "no vectorised kernel for %s", sq_op_name(step->op));
    if (!act_known(step)) {
        return sq_cpu_refuse(why, "its activation is not known");
    }
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        for (const sq_cpu_driver *d = groups[g]; d->op != SQ_OP_NONE; d++) {
            if (d->op == step->op && count + SQ_CPU_TACTICS <= SQ_MAX_TACTICS) {
                /* Why it is not among the kernels of bytes is no reason where there are none. */
                const bool apart = groups[g] == sq_cpu_drivers_qshape && !has_bytes(step);
                const size_t found = d->tactics(step, threads, &out[count], apart ? &other : why);
                for (size_t i = 0; i < found; i++) {
                    from[count++] = d;
                }
            }
        }
    }
    return count;
}

static size_t tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    const sq_cpu_driver *from[SQ_MAX_TACTICS];
    return sq_half_wanted(step) ? sq_half_tactics(step, threads, out, why)
                                : sq_cpu_list(step, threads, out, from, why);
}

/* The tactic called `name`, and its driver. Constants that packing has replaced are gone from a
 * stored step; a number stands in for them, since only their presence matters here. */
static const sq_cpu_driver *find(const sq_step *step, const char *name, int threads,
                                 sq_tactic *tactic, sq_reason *why)
{
    static const float nothing[16];
    squall_tensor in[SQ_MAX_INPUTS];
    sq_tactic all[SQ_MAX_TACTICS];
    const sq_cpu_driver *from[SQ_MAX_TACTICS];
    sq_step view = *step;
    memcpy(in, step->in, step->in_count * sizeof *in);
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (in[i].data == NULL &&
            (in[i].dtype == SQUALL_F32 || in[i].dtype == SQUALL_I8 || in[i].dtype == SQUALL_I32)) {
            in[i].data = (void *)(uintptr_t)nothing;
        }
    }
    view.in = in;
    const size_t count = sq_cpu_list(&view, threads, all, from, why);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(all[i].name, name) == 0) {
            *tactic = all[i];
            return from[i];
        }
    }
    return NULL;
}

static squall_status restore(const sq_step *step, const char *name, int threads, sq_tactic *out,
                             squall_error *err)
{
    sq_reason why;
    if (sq_half_wanted(step)) {
        return sq_half_restore(step, name, threads, out, err);
    }
    if (find(step, name, threads, out, &why) == NULL) {
        return sq_fail(err, SQUALL_E_MISMATCH, step->name, "this host has no tactic '%s': %s", name,
                       why.text);
    }
    return SQUALL_OK;
}

static squall_status pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                          squall_error *err)
{
    sq_reason why;
    sq_tactic found;
    if (sq_half_wanted(step)) {
        return sq_half_pack(step, tactic, packed, err);
    }
    const sq_cpu_driver *driver = find(step, tactic->name, 1, &found, &why);
    return driver != NULL && driver->pack != NULL ? driver->pack(step, tactic, packed, err)
                                                  : SQUALL_OK;
}

static squall_status bind(const sq_step *step, const sq_tactic *tactic, int threads, void *state,
                          squall_error *err)
{
    sq_reason why;
    sq_tactic found;
    if (sq_half_wanted(step)) {
        return sq_half_bind(step, tactic, threads, state, err);
    }
    const sq_cpu_driver *driver = find(step, tactic->name, threads, &found, &why);
    return driver != NULL && driver->bind != NULL ? driver->bind(step, tactic, threads, state, err)
                                                  : SQUALL_OK;
}

static squall_status (*runner(const sq_step *step, const sq_tactic *tactic))(const sq_call *call)
{
    sq_reason why;
    sq_tactic found;
    if (sq_half_wanted(step)) {
        return sq_half_run;
    }
    const sq_cpu_driver *driver = find(step, tactic->name, 1, &found, &why);
    return driver != NULL ? driver->run : NULL;
}

const sq_backend sq_cpu_backend = {
    .id = SQ_BACKEND_CPU,
    .name = "cpu",
    .tactics = tactics,
    .pack = pack,
    .restore = restore,
    .bind = bind,
    .runner = runner,
};
