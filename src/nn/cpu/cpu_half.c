/* nn/cpu/cpu_half.c - steps on tensors in 16 bits, by the kernels of float32. */
#include "nn/cpu/cpu_half.h"

#include <stdio.h>
#include <string.h>

enum { SMALL = 64 /* numbers of a constant that tactics may look at */ };
enum { MOST_WIDE = 8 << 20 }; /* bytes of transformed weights of one step */

const sq_cpu_half *sq_cpu_half_pick(void)
{
#if defined(__x86_64__)
    if (sq_cpu_can(SQ_ISA_AVX512)) {
        return &sq_cpu_half_avx512;
    }
    if (sq_cpu_can(SQ_ISA_AVX2)) {
        return &sq_cpu_half_avx2;
    }
#endif
    return &sq_cpu_half_c;
}

/* ---- Casts are conversions themselves. ---- */

static size_t cast_tactics(const sq_step *step, sq_tactic *out)
{
    sq_cpu_tactic(out, "cast");
    /* What becomes float32 is an output, which is plain: blocks are undone while it is half as
     * large. */
    out->in_layout[0] =
        (uint8_t)(step->out[0].dtype == SQUALL_F32 ? SQUALL_PLAIN : step->in[0].layout);
    out->out_layout[0] = out->in_layout[0];
    out->cost = 6e-10 * (double)squall_tensor_count(&step->in[0]);
    return 1;
}

/* ---- The twin's tactics. ---- */

static const char *suffix_of(squall_dtype dtype)
{
    return dtype == SQUALL_F16 ? "_f16" : "_bf16";
}

/* All that is worked out of a step before a tactic is chosen. */
typedef struct half_ways {
    sq_half_twin twin;
    sq_attrs attrs;
    sq_step step; /* points into this */
    float small[SQ_HALF_INPUTS][SMALL];
    sq_tactic all[SQ_MAX_TACTICS];
    const sq_cpu_driver *from[SQ_MAX_TACTICS];
    size_t count;
} half_ways;

/* Constants are there, the small ones as they are: only that matters to a tactic. A stored step has
 * lost those that were packed, so `stored` has numbers stand in for all. */
static void lend_constants(const sq_step *step, bool stored, half_ways *ways)
{
    for (uint32_t i = 0; i < ways->twin.in_count; i++) {
        squall_tensor *to = &ways->twin.in[i];
        const squall_tensor *from = &step->in[i];
        const size_t count = squall_tensor_count(from);
        const bool known = from->data != NULL && (from->layout == SQUALL_PLAIN);
        memset(ways->small[i], 0, sizeof ways->small[i]);
        if (from->dtype != SQUALL_F16 && from->dtype != SQUALL_BF16) {
            to->data = from->data;
        } else if (from->data != NULL || stored) {
            if (known && count <= SMALL) {
                sq_half_widen(&sq_cpu_half_c, from->dtype, from->data, ways->small[i], 0, count);
            }
            to->data = ways->small[i];
        }
    }
}

/* Release with sq_attrs_free(&ways->attrs). */
static size_t find_ways(const sq_step *step, int threads, bool stored, half_ways *ways,
                        sq_reason *why)
{
    ways->count = 0;
    memset(&ways->twin, 0, sizeof ways->twin);
    if (!sq_half_twin_make(step, &ways->twin, &ways->attrs, why)) {
        return 0;
    }
    lend_constants(step, stored, ways);
    ways->step = sq_half_twin_step(step, &ways->twin, &ways->attrs);
    ways->count = sq_cpu_list(&ways->step, threads, ways->all, ways->from, why);
    return ways->count;
}

/* Weights several times as large as what they are made of are transformed, which 16 bits would
 * blur: they stay in float32. */
static bool stays_wide(const sq_step *step, const sq_tactic *inner)
{
    const size_t raw = step->in_count > 1 ? squall_tensor_count(&step->in[1]) * sizeof(float) : 0;
    return inner->packed_bytes > 2 * raw;
}

/* Where such are large, for few pixels, their tactics are left out if there are others. */
static bool too_heavy(const sq_step *step, const half_ways *ways, size_t way)
{
    const sq_tactic *inner = &ways->all[way];
    if (!stays_wide(step, inner) || inner->packed_bytes <= MOST_WIDE) {
        return false;
    }
    for (size_t i = 0; i < ways->count; i++) {
        if (2 * ways->all[i].packed_bytes < inner->packed_bytes) {
            return true;
        }
    }
    return false;
}

/* The tactic of the step that the inner one makes; false, with words, when it does not fit. */
static bool wrap(const sq_step *step, const sq_tactic *inner, sq_half_twin *twin, sq_tactic *out,
                 sq_reason *why)
{
    const bool wide = stays_wide(step, inner);
    if (!sq_half_twin_settle(step, inner, wide, twin, why)) {
        return false;
    }
    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "%.40s%s", inner->name, suffix_of(twin->dtype));
    out->in_place = -1;
    const double runs = (double)twin->images * (double)twin->bands;
    double bytes = (double)inner->packed_bytes;
    memcpy(out->in_dropped, inner->in_dropped, SQ_HALF_INPUTS);
    for (uint32_t i = 0; i < step->in_count; i++) {
        out->in_layout[i] = (uint8_t)step->in[i].layout;
    }
    for (uint32_t p = 0; p < twin->port_count; p++) {
        const sq_half_port *port = &twin->ports[p];
        out->in_layout[port->from] = inner->in_layout[port->to];
        bytes += 6.0 * (double)squall_tensor_count(&step->in[port->from]);
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        out->out_layout[i] = inner->out_layout[i];
        bytes += 6.0 * (double)squall_tensor_count(&step->out[i]);
    }
    out->packed_bytes =
        wide ? inner->packed_bytes : sq_round_up(inner->packed_bytes / 2, SQ_ALIGNMENT);
    out->state_bytes = sq_round_up(sizeof(sq_half_state), SQ_ALIGNMENT) + inner->state_bytes;
    out->scratch_bytes = twin->scratch_bytes;
    out->cost = inner->cost > 0 ? inner->cost * runs + bytes / 1e10 : 0;
    return true;
}

size_t sq_half_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    half_ways ways;
    size_t made = 0;
    if (sq_half_is_cast(step)) {
        return cast_tactics(step, out);
    }
    find_ways(step, threads, false, &ways, why);
    for (size_t i = 0; i < ways.count; i++) {
        sq_half_twin twin = ways.twin;
        made += !too_heavy(step, &ways, i) && wrap(step, &ways.all[i], &twin, &out[made], why);
    }
    sq_attrs_free(&ways.attrs);
    return made;
}

/* A tactic by its name, with all that it hangs on; `way` is its number in `ways`. False, with
 * words, when there is none. Release `ways->attrs` in any case. */
static bool find_way(const sq_step *step, const char *name, int threads, half_ways *ways,
                     size_t *way, sq_tactic *out, sq_reason *why)
{
    snprintf(why->text, sizeof why->text, "there is none for %s", sq_op_name(step->op));
    find_ways(step, threads, true, ways, why);
    const char *suffix = suffix_of(ways->twin.dtype);
    const size_t length = strlen(name), tail = strlen(suffix);
    if (length <= tail || strcmp(name + length - tail, suffix) != 0) {
        return false;
    }
    for (size_t i = 0; i < ways->count; i++) {
        if (strlen(ways->all[i].name) == length - tail &&
            memcmp(ways->all[i].name, name, length - tail) == 0) {
            *way = i;
            return wrap(step, &ways->all[i], &ways->twin, out, why);
        }
    }
    return false;
}

static squall_status no_way(const sq_step *step, const char *name, const sq_reason *why,
                            squall_error *err)
{
    return sq_fail(err, SQUALL_E_MISMATCH, step->name, "this host has no tactic '%s': %s", name,
                   why->text);
}

squall_status sq_half_restore(const sq_step *step, const char *name, int threads, sq_tactic *out,
                              squall_error *err)
{
    half_ways ways;
    sq_reason why;
    size_t way;
    if (sq_half_is_cast(step)) {
        cast_tactics(step, out);
        snprintf(why.text, sizeof why.text, "a Cast has '%s'", out->name);
        return strcmp(out->name, name) == 0 ? SQUALL_OK : no_way(step, name, &why, err);
    }
    const bool found = find_way(step, name, threads, &ways, &way, out, &why);
    sq_attrs_free(&ways.attrs);
    return found ? SQUALL_OK : no_way(step, name, &why, err);
}

/* The constants of the twin in float32, then packed by the inner tactic. */
static squall_status pack_widened(const sq_step *step, half_ways *ways, size_t way, float *packed,
                                  squall_error *err)
{
    float *wide[SQ_HALF_INPUTS] = {NULL};
    squall_status status = SQUALL_OK;
    for (uint32_t i = 0; i < ways->twin.in_count && status == SQUALL_OK; i++) {
        const squall_tensor *from = &step->in[i];
        if (from->data == NULL || (from->dtype != SQUALL_F16 && from->dtype != SQUALL_BF16)) {
            continue;
        }
        const size_t count = squall_tensor_bytes(from) / sizeof(uint16_t);
        wide[i] = sq_alloc_raw(count, sizeof(float));
        if (wide[i] == NULL) {
            status = sq_fail(err, SQUALL_E_MEMORY, step->name, "no memory to widen its weights");
            break;
        }
        sq_half_widen(sq_cpu_half_pick(), from->dtype, from->data, wide[i], 0, count);
        ways->twin.in[i].data = wide[i];
    }
    if (status == SQUALL_OK) {
        status = ways->from[way]->pack(&ways->step, &ways->all[way], packed, err);
    }
    for (uint32_t i = 0; i < ways->twin.in_count; i++) {
        sq_free(wide[i]);
    }
    return status;
}

squall_status sq_half_pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                           squall_error *err)
{
    half_ways ways;
    sq_reason why;
    sq_tactic found;
    size_t way;
    squall_status status;
    float *wide = NULL;
    if (sq_half_is_cast(step)) {
        return SQUALL_OK;
    }
    if (!find_way(step, tactic->name, 1, &ways, &way, &found, &why)) {
        status = no_way(step, tactic->name, &why, err);
        goto done;
    }
    const size_t bytes = ways.all[way].packed_bytes;
    if (ways.from[way]->pack == NULL || bytes == 0) {
        status = SQUALL_OK;
        goto done;
    }
    if (ways.twin.packed_floats == 0) {
        status = pack_widened(step, &ways, way, packed, err);
        goto done;
    }
    wide = sq_alloc(bytes, 1);
    if (wide == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, step->name, "no memory to pack its weights");
        goto done;
    }
    SQ_TRY_GOTO(pack_widened(step, &ways, way, wide, err));
    sq_half_narrow(sq_cpu_half_pick(), ways.twin.dtype, wide, packed, 0, bytes / sizeof *wide);
done:
    sq_free(wide);
    sq_attrs_free(&ways.attrs);
    return status;
}

squall_status sq_half_bind(const sq_step *step, const sq_tactic *tactic, int threads, void *state,
                           squall_error *err)
{
    half_ways ways;
    sq_reason why;
    sq_tactic found;
    size_t way;
    squall_status status = SQUALL_OK;
    sq_half_state *s = state;
    if (sq_half_is_cast(step)) {
        return SQUALL_OK;
    }
    if (!find_way(step, tactic->name, threads, &ways, &way, &found, &why)) {
        status = no_way(step, tactic->name, &why, err);
        goto done;
    }
    const sq_cpu_driver *driver = ways.from[way];
    const sq_tactic *inner = &ways.all[way];
    *s = (sq_half_state){.twin = ways.twin, .half = sq_cpu_half_pick(), .run = driver->run};
    for (uint32_t i = 0; i < s->twin.in_count; i++) {
        s->twin.in[i].data = NULL;
    }
    if (inner->state_bytes > 0) {
        s->inner_state = sq_round_up(sizeof *s, SQ_ALIGNMENT);
    }
    if (driver->bind != NULL) {
        status = driver->bind(&ways.step, inner, threads, (char *)state + s->inner_state, err);
    }
done:
    sq_attrs_free(&ways.attrs);
    return status;
}
