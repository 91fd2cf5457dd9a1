/* nn/op/op_shape_resize.c - shapes of what samples on another grid. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "nn/op/op_shape.h"

/* An input that is there and not empty: opset 11 writes an absent one as an empty list. */
static bool has_numbers(const sq_step *step, uint32_t index)
{
    return sq_op_has(step, index) && squall_tensor_count(&step->in[index]) > 0;
}

static squall_status check_word(const sq_step *step, const char *name, const char *otherwise,
                                const char *const *words, size_t count, squall_error *err)
{
    const char *word = sq_attr_string(step->attrs, name, otherwise);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(word, words[i]) == 0) {
            return SQUALL_OK;
        }
    }
    return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED, "%s '%.48s' is not known", name, word);
}

static squall_status check_words(const sq_step *step, squall_error *err)
{
    static const char *const modes[] = {"nearest", "linear", "cubic", "bilinear"};
    static const char *const coordinates[] = {"half_pixel",          "half_pixel_symmetric",
                                              "pytorch_half_pixel",  "align_corners",
                                              "asymmetric",          "tf_crop_and_resize",
                                              "tf_half_pixel_for_nn"};
    static const char *const nearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                          "ceil", "simple"};
    SQ_TRY(check_word(step, "mode", "nearest", modes, sizeof modes / sizeof modes[0], err));
    SQ_TRY(check_word(step, "coordinate_transformation_mode", "half_pixel", coordinates,
                      sizeof coordinates / sizeof coordinates[0], err));
    return check_word(step, "nearest_mode", "round_prefer_floor", nearest,
                      sizeof nearest / sizeof nearest[0], err);
}

/* floor(size * scale) in float, as ONNX's own shape inference and ONNX Runtime count; the exact
 * product would differ by one where a scale is the rounding of a fraction. */
static squall_status scale_size(const sq_step *step, int64_t size, double scale, int64_t *out,
                                squall_error *err)
{
    const float scaled = floorf((float)size * (float)scale);
    if (!(scale > 0) || !(scaled < 0x1p62f)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "size %" PRId64 " by a scale of %g", size, scale);
    }
    *out = (int64_t)scaled;
    return SQUALL_OK;
}

/* The output's sizes from `count` scales on `axes`; from input `index`, or an attribute. */
static squall_status by_scales(sq_step *step, uint32_t index, const uint32_t *axes, size_t count,
                               squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    const squall_tensor *input = sq_op_has(step, index) ? &step->in[index] : NULL;
    size_t given;
    const float *attribute = sq_attr_floats(step->attrs, "scales", &given);
    if (input) {
        if (!sq_op_is_float(input->dtype) || input->rank != 1) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the scales are no list of floating numbers");
        }
        given = squall_tensor_count(input);
        if (!input->data) {
            return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED,
                                "the shape of its output hangs on the scales, which are not "
                                "constant");
        }
    }
    if (given != count) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%zu scales for %zu dimensions", given, count);
    }
    int64_t dims[SQUALL_MAX_DIMS];
    memcpy(dims, in->dims, sizeof dims);
    for (size_t i = 0; i < count; i++) {
        const double scale = input ? sq_tensor_get_double(input, i) : (double)attribute[i];
        SQ_TRY(scale_size(step, in->dims[axes[i]], scale, &dims[axes[i]], err));
    }
    return sq_op_set(step, 0, in->dtype, in->rank, dims, err);
}

/* Replace the sizes wanted by those that keep the proportions: one scale for all axes, the least or
 * the largest of sizes[i] / in[i], kept as the fraction above / below; halves are rounded up. */
static squall_status keep_proportions(const sq_step *step, const uint32_t *axes, size_t count,
                                      bool least, int64_t *sizes, squall_error *err)
{
    const int64_t *in = step->in[0].dims;
    int64_t above = 0, below = 0;
    for (size_t i = 0; i < count; i++) {
        if (in[axes[i]] > INT32_MAX || sizes[i] > INT32_MAX || in[axes[i]] < 1) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "size %" PRId64 " to %" PRId64, in[axes[i]],
                                sizes[i]);
        }
        const int64_t left = sizes[i] * below, right = above * in[axes[i]];
        if (below == 0 || (least ? left < right : left > right)) {
            above = sizes[i];
            below = in[axes[i]];
        }
    }
    for (size_t i = 0; i < count; i++) {
        const int64_t product = above * in[axes[i]];
        sizes[i] = product / below + (product % below >= below - product % below);
    }
    return SQUALL_OK;
}

static squall_status by_sizes(sq_step *step, const uint32_t *axes, size_t count, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    int64_t sizes[SQUALL_MAX_DIMS], dims[SQUALL_MAX_DIMS];
    size_t given;
    SQ_TRY(sq_op_input_ints(step, 3, "sizes", SQUALL_MAX_DIMS, sizes, &given, err));
    if (given != count) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%zu sizes for %zu dimensions", given, count);
    }
    const char *policy = sq_attr_string(step->attrs, "keep_aspect_ratio_policy", "stretch");
    for (size_t i = 0; i < count; i++) {
        if (sizes[i] < 0) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "a size of %" PRId64, sizes[i]);
        }
    }
    if (strcmp(policy, "not_larger") == 0 || strcmp(policy, "not_smaller") == 0) {
        SQ_TRY(keep_proportions(step, axes, count, strcmp(policy, "not_larger") == 0, sizes, err));
    } else if (strcmp(policy, "stretch") != 0) {
        return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED, "keep_aspect_ratio_policy '%.32s'", policy);
    }
    memcpy(dims, in->dims, sizeof dims);
    for (size_t i = 0; i < count; i++) {
        if (sizes[i] > 0 && in->dims[axes[i]] == 0) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "nothing to sample along empty axis %" PRIu32,
                                axes[i]);
        }
        dims[axes[i]] = sizes[i];
    }
    return sq_op_set(step, 0, in->dtype, in->rank, dims, err);
}

squall_status sq_op_shape_resize(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    uint32_t axes[SQUALL_MAX_DIMS], set;
    size_t count;
    SQ_TRY(check_words(step, err));
    const int64_t *given = sq_attr_ints(step->attrs, "axes", &count); /* from opset 18 on */
    if (given) {
        SQ_TRY(sq_op_axis_set(step, given, count, in->rank, &set, err));
    } else {
        count = in->rank;
    }
    for (size_t i = 0; i < count; i++) {
        axes[i] = (uint32_t)i;
        if (given) {
            SQ_TRY(sq_op_axis(step, given[i], in->rank, &axes[i], err));
        }
    }
    if (step->attrs->opset < 11) { /* opset 10: data and scales */
        if (!has_numbers(step, 1) || step->in_count > 2) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "it takes data and scales in opset 10");
        }
        return by_scales(step, 1, axes, count, err);
    }
    const bool crops = strcmp(sq_attr_string(step->attrs, "coordinate_transformation_mode", ""),
                              "tf_crop_and_resize") == 0;
    if (crops && (!has_numbers(step, 1) || squall_tensor_count(&step->in[1]) != 2 * count)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "tf_crop_and_resize needs a roi of %zu numbers",
                            2 * count);
    }
    if (has_numbers(step, 2) == has_numbers(step, 3)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "it needs scales or sizes, and not both");
    }
    return has_numbers(step, 3) ? by_sizes(step, axes, count, err)
                                : by_scales(step, 2, axes, count, err);
}

squall_status sq_op_shape_upsample(sq_step *step, squall_error *err)
{
    static const char *const modes[] = {"nearest", "linear", "bilinear"};
    const uint32_t rank = step->in[0].rank;
    uint32_t axes[SQUALL_MAX_DIMS];
    SQ_TRY(check_word(step, "mode", "nearest", modes, sizeof modes / sizeof modes[0], err));
    for (uint32_t i = 0; i < rank; i++) {
        axes[i] = i;
    }
    return by_scales(step, 1, axes, rank, err); /* an attribute before opset 9 */
}

squall_status sq_op_shape_grid_sample(sq_step *step, squall_error *err)
{
    static const char *const modes[] = {"bilinear", "nearest", "bicubic", "linear", "cubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    const squall_tensor *in = &step->in[0], *grid = &step->in[1];
    SQ_TRY(check_word(step, "mode", "linear", modes, sizeof modes / sizeof modes[0], err));
    SQ_TRY(check_word(step, "padding_mode", "zeros", paddings, sizeof paddings / sizeof paddings[0],
                      err));
    /* data [N,C,D1..Dn], grid [N,d1..dn,n] */
    if (in->rank < 3 || in->rank > 2 + SQ_MAX_SPATIAL || grid->rank != in->rank ||
        grid->dims[0] != in->dims[0] || grid->dims[grid->rank - 1] != (int64_t)in->rank - 2 ||
        !sq_op_is_float(grid->dtype)) {
        char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "grid %s does not fit data %s",
                            sq_tensor_format(grid, a), sq_tensor_format(in, b));
    }
    int64_t dims[2 + SQ_MAX_SPATIAL] = {in->dims[0], in->dims[1]};
    memcpy(dims + 2, grid->dims + 1, (in->rank - 2) * sizeof dims[0]);
    return sq_op_set(step, 0, in->dtype, in->rank, dims, err);
}
