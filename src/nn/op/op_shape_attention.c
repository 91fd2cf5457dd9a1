/* nn/op/op_shape_attention.c - shapes of attention and of what prepares it. */
#include <inttypes.h>
#include <string.h>

#include "nn/op/op_shape.h"

/* Heads and sizes of one of query, key and value: [batch][heads][length][size], or, with the heads
 * in an attribute, [batch][length][heads * size]. */
static squall_status find_heads(const sq_step *step, uint32_t index, const char *attribute,
                                int64_t dims[4], squall_error *err)
{
    const squall_tensor *in = &step->in[index];
    SQ_TRY(sq_op_need_float(step, index, err));
    if (in->rank == 4) {
        for (uint32_t i = 0; i < 4; i++) {
            dims[i] = in->dims[i];
        }
        return SQUALL_OK;
    }
    const int64_t heads = sq_attr_int(step->attrs, attribute, 0);
    if (in->rank != 3 || heads < 1 || in->dims[2] % heads != 0) {
        char text[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "input %" PRIu32 " is %s; it must have 4 dimensions, or 3 of which the "
                            "last divides into %" PRId64 " heads",
                            index, sq_tensor_format(in, text), heads);
    }
    dims[0] = in->dims[0];
    dims[1] = heads;
    dims[2] = in->dims[1];
    dims[3] = in->dims[2] / heads;
    return SQUALL_OK;
}

squall_status sq_op_attention_sizes(const sq_step *step, sq_attention *out, squall_error *err)
{
    int64_t q[4], k[4], v[4];
    SQ_TRY(find_heads(step, 0, "q_num_heads", q, err));
    SQ_TRY(find_heads(step, 1, "kv_num_heads", k, err));
    SQ_TRY(find_heads(step, 2, "kv_num_heads", v, err));
    const bool past = sq_op_has(step, 4);
    const int64_t before = past && step->in[4].rank == 4 ? step->in[4].dims[2] : 0;
    const bool fits = step->in[0].rank == step->in[1].rank &&
                      step->in[0].rank == step->in[2].rank && q[0] == k[0] && q[0] == v[0] &&
                      k[1] == v[1] && k[1] > 0 && q[1] % k[1] == 0 && q[3] == k[3] && k[2] == v[2];
    if (!fits) {
        char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT], c[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "query %s, key %s and value %s do not fit",
                            sq_tensor_format(&step->in[0], a), sq_tensor_format(&step->in[1], b),
                            sq_tensor_format(&step->in[2], c));
    }
    if (past != sq_op_has(step, 5)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "past_key and past_value must be given together");
    }
    if (past) {
        const int64_t past_k[4] = {k[0], k[1], before, k[3]};
        const int64_t past_v[4] = {v[0], v[1], before, v[3]};
        SQ_TRY(sq_op_need_shape(step, 4, "past_key", 4, past_k, err));
        SQ_TRY(sq_op_need_shape(step, 5, "past_value", 4, past_v, err));
        SQ_TRY(sq_op_need_same_type(step, 1, 4, err));
        SQ_TRY(sq_op_need_same_type(step, 2, 5, err));
    }
    SQ_TRY(sq_op_need_shape(step, 6, "nonpad_kv_seqlen", 1, q, err));
    *out = (sq_attention){.batch = q[0],
                          .q_heads = q[1],
                          .kv_heads = k[1],
                          .q_length = q[2],
                          .past_length = before,
                          .kv_length = before + k[2],
                          .size = q[3],
                          .v_size = v[3]};
    return SQUALL_OK;
}

/* The mask is bool or floating and broadcasts to the scores, but for the last dimension, which may
 * end early. */
static squall_status check_mask(const sq_step *step, const sq_attention *sizes, squall_error *err)
{
    if (!sq_op_has(step, 3)) {
        return SQUALL_OK;
    }
    const squall_tensor *mask = &step->in[3];
    const int64_t wanted[4] = {sizes->batch, sizes->q_heads, sizes->q_length, sizes->kv_length};
    bool fits = mask->rank >= 1 && mask->rank <= 4 &&
                (mask->dtype == SQUALL_BOOL || sq_op_is_float(mask->dtype));
    for (uint32_t i = 0; fits && i < mask->rank; i++) {
        const int64_t size = mask->dims[mask->rank - 1 - i], want = wanted[3 - i];
        fits = size == want || (i == 0 ? size <= want : size == 1);
    }
    if (!fits) {
        char text[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "the mask %s does not broadcast to [%" PRId64 ",%" PRId64 ",%" PRId64
                            ",%" PRId64 "]",
                            sq_tensor_format(mask, text), wanted[0], wanted[1], wanted[2],
                            wanted[3]);
    }
    return SQUALL_OK;
}

squall_status sq_op_shape_attention(sq_step *step, squall_error *err)
{
    sq_attention sizes;
    SQ_TRY(sq_op_attention_sizes(step, &sizes, err));
    SQ_TRY(check_mask(step, &sizes, err));
    const int64_t mode = sq_attr_int(step->attrs, "qk_matmul_output_mode", 0);
    if (mode < 0 || mode > 3) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "qk_matmul_output_mode %" PRId64 "; 0 to 3", mode);
    }
    const squall_dtype dtype = step->in[0].dtype;
    int64_t width;
    if (__builtin_mul_overflow(sizes.q_heads, sizes.v_size, &width)) {
        return SQ_STEP_FAIL(SQUALL_E_LIMIT, "its heads overflow");
    }
    const int64_t flat[3] = {sizes.batch, sizes.q_length, width};
    const int64_t y[4] = {sizes.batch, sizes.q_heads, sizes.q_length, sizes.v_size};
    const int64_t key[4] = {sizes.batch, sizes.kv_heads, sizes.kv_length, sizes.size};
    const int64_t value[4] = {sizes.batch, sizes.kv_heads, sizes.kv_length, sizes.v_size};
    const int64_t scores[4] = {sizes.batch, sizes.q_heads, sizes.q_length, sizes.kv_length};
    const bool is_flat = step->in[0].rank == 3;
    SQ_TRY(sq_op_set(step, 0, dtype, is_flat ? 3 : 4, is_flat ? flat : y, err));
    SQ_TRY(sq_op_set(step, 1, step->in[1].dtype, 4, key, err));
    SQ_TRY(sq_op_set(step, 2, step->in[2].dtype, 4, value, err));
    return sq_op_set(step, 3, dtype, 4, scores, err);
}

squall_status sq_op_shape_rotary(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    int64_t dims[4];
    SQ_TRY(find_heads(step, 0, "num_heads", dims, err));
    int64_t turned = sq_attr_int(step->attrs, "rotary_embedding_dim", 0);
    turned = turned == 0 ? dims[3] : turned;
    if (turned < 0 || turned > dims[3] || turned % 2 != 0) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%" PRId64 " of %" PRId64 " numbers are to be turned",
                            turned, dims[3]);
    }
    const bool by_place = !sq_op_has(step, 3); /* one angle a place in the sequence */
    const int64_t places[2] = {dims[0], dims[2]};
    SQ_TRY(sq_op_need_shape(step, 3, "position_ids", 2, places, err));
    for (uint32_t i = 1; i <= 2; i++) {
        const squall_tensor *cache = &step->in[i];
        SQ_TRY(sq_op_need_float(step, i, err));
        const int64_t full[3] = {dims[0], dims[2], turned / 2};
        const int64_t rows[2] = {cache->rank > 0 ? cache->dims[0] : 0, turned / 2};
        SQ_TRY(sq_op_need_shape(step, i, "cache of angles", by_place ? 3 : 2,
                                by_place ? full : rows, err));
    }
    SQ_TRY(sq_op_need_shape(step, 2, "sines", step->in[1].rank, step->in[1].dims, err));
    return sq_op_set(step, 0, in->dtype, in->rank, in->dims, err);
}

/* [batch][length][heads * size] each; the state is [batch][kv heads][size of key][size of value].
 */
squall_status sq_op_shape_linear_attention(sq_step *step, squall_error *err)
{
    int64_t q[4], k[4], v[4];
    for (uint32_t i = 0; i < 3; i++) {
        if (step->in[i].rank != 3) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "input %" PRIu32 " must have 3 dimensions", i);
        }
    }
    SQ_TRY(find_heads(step, 0, "q_num_heads", q, err));
    SQ_TRY(find_heads(step, 1, "kv_num_heads", k, err));
    SQ_TRY(find_heads(step, 2, "kv_num_heads", v, err));
    int64_t width;
    if (q[0] != k[0] || q[0] != v[0] || q[2] != k[2] || q[2] != v[2] || q[3] != k[3] ||
        q[1] % k[1] != 0 || __builtin_mul_overflow(q[1], v[3], &width)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "query, key and value do not fit");
    }
    const int64_t state[4] = {q[0], k[1], k[3], v[3]};
    SQ_TRY(sq_op_need_shape(step, 3, "past_state", 4, state, err));
    for (uint32_t i = 4; i < 6; i++) { /* decay: one a head, or one a number of the key; beta: one
                                          a head, or one */
        if (!sq_op_has(step, i)) {
            continue;
        }
        const squall_tensor *in = &step->in[i];
        SQ_TRY(sq_op_need_float(step, i, err));
        const int64_t other = i == 4 ? step->in[1].dims[2] : 1;
        if (in->rank != 3 || in->dims[0] != q[0] || in->dims[1] != q[2] ||
            (in->dims[2] != k[1] && in->dims[2] != other)) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "input %" PRIu32 " does not fit the heads", i);
        }
    }
    const char *rule = sq_attr_string(step->attrs, "update_rule", "gated_delta");
    const bool gated = strcmp(rule, "gated") == 0 || strcmp(rule, "gated_delta") == 0;
    const bool delta = strcmp(rule, "delta") == 0 || strcmp(rule, "gated_delta") == 0;
    if ((!gated && !delta && strcmp(rule, "linear") != 0) || gated != sq_op_has(step, 4) ||
        delta != sq_op_has(step, 5)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "update_rule '%.32s' is not known, or decay and beta do not fit it",
                            rule);
    }
    const int64_t dims[3] = {q[0], q[2], width};
    const squall_dtype state_type = sq_op_has(step, 3) ? step->in[3].dtype : step->in[0].dtype;
    SQ_TRY(sq_op_set(step, 0, step->in[0].dtype, 3, dims, err));
    return sq_op_set(step, 1, state_type, 4, state, err);
}
