/* nn/cpu/cpu_template_act.h - the activations on a vector of cpu_simd.h, which is included before.
 */
#define KERNEL static inline __attribute__((always_inline))

KERNEL vf activate(vf x, const sq_cpu_act *act)
{
    switch (act->kind) {
    case SQ_ACT_NONE:
        break;
    case SQ_ACT_RELU:
        return vf_max(x, vf_set(0.0f));
    case SQ_ACT_LEAKY_RELU:
        return vf_add(vf_max(x, vf_set(0.0f)), vf_mul(vf_min(x, vf_set(0.0f)), vf_set(act->a)));
    case SQ_ACT_CLIP:
        return vf_min(vf_max(x, vf_set(act->a)), vf_set(act->b));
    case SQ_ACT_SIGMOID:
        return vf_sigmoid(x);
    case SQ_ACT_TANH:
        return vf_tanh(x);
    case SQ_ACT_HARD_SIGMOID:
        return vf_min(vf_max(vf_fma(x, vf_set(act->a), vf_set(act->b)), vf_set(0.0f)),
                      vf_set(1.0f));
    case SQ_ACT_HARD_SWISH:
        return vf_mul(x, vf_min(vf_max(vf_fma(x, vf_set(1.0f / 6.0f), vf_set(0.5f)), vf_set(0.0f)),
                                vf_set(1.0f)));
    case SQ_ACT_SILU:
        return vf_mul(x, vf_sigmoid(x));
    }
    return x;
}
