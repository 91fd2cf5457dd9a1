/* nn/op/op_select.c - what is chosen by its value: the shape rules, and the comparisons that rules
 * and kernels share. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "nn/op/op_shape.h"

#define MOST_SLICES 16384 /* each is compared with each */
#define MOST_BOXES  8192  /* of one batch; each is compared with each that was taken */

squall_status sq_op_shape_top_k(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    int64_t dims[SQUALL_MAX_DIMS], k = sq_attr_int(step->attrs, "k", -1); /* before opset 10 */
    uint32_t axis;
    size_t count;
    SQ_TRY(sq_op_axis(step, sq_attr_int(step->attrs, "axis", -1), in->rank, &axis, err));
    if (sq_op_has(step, 1)) {
        SQ_TRY(sq_op_need_one(step, 1, "k", err));
        SQ_TRY(sq_op_input_ints(step, 1, "k", 1, &k, &count, err));
    }
    if (k < 0 || k > in->dims[axis]) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the first %" PRId64 " of %" PRId64, k, in->dims[axis]);
    }
    memcpy(dims, in->dims, sizeof dims);
    dims[axis] = k;
    SQ_TRY(sq_op_set(step, 0, in->dtype, in->rank, dims, err));
    return sq_op_set(step, 1, SQUALL_I64, in->rank, dims, err);
}

squall_status sq_op_shape_non_zero(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    const size_t total = squall_tensor_count(in);
    int64_t dims[2] = {in->rank > 0 ? in->rank : 1, 0};
    SQ_TRY(sq_op_need_data(step, 0, "its numbers", err));
    for (size_t i = 0; i < total; i++) {
        dims[1] += sq_tensor_get_double(in, i) != 0;
    }
    return sq_op_set(step, 0, SQUALL_I64, 2, dims, err);
}

squall_status sq_op_shape_compress(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0], *condition = &step->in[1];
    const bool flat = !sq_attr_find(step->attrs, "axis");
    uint32_t axis = 0;
    if (!flat) {
        SQ_TRY(sq_op_axis(step, sq_attr_int(step->attrs, "axis", 0), in->rank, &axis, err));
    }
    const int64_t size = flat ? (int64_t)squall_tensor_count(in) : in->dims[axis];
    if (condition->dtype != SQUALL_BOOL || condition->rank != 1 || condition->dims[0] > size) {
        char text[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the condition %s does not fit %" PRId64 " numbers",
                            sq_tensor_format(condition, text), size);
    }
    SQ_TRY(sq_op_need_data(step, 1, "condition", err));
    int64_t kept = 0, dims[SQUALL_MAX_DIMS];
    for (int64_t i = 0; i < condition->dims[0]; i++) {
        kept += sq_tensor_get_int(condition, (size_t)i) != 0;
    }
    memcpy(dims, in->dims, sizeof dims);
    dims[axis] = kept;
    return sq_op_set(step, 0, in->dtype, flat ? 1 : in->rank, dims, err);
}

squall_status sq_op_slices(const sq_step *step, sq_slices *out, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    sq_slices slices = {.tensor = in, .count = squall_tensor_count(in), .outer = 1, .inner = 1};
    if (sq_attr_find(step->attrs, "axis")) {
        uint32_t axis;
        SQ_TRY(sq_op_axis(step, sq_attr_int(step->attrs, "axis", 0), in->rank, &axis, err));
        slices.count = (size_t)in->dims[axis];
        for (uint32_t i = 0; i < in->rank; i++) {
            slices.outer *= i < axis ? (size_t)in->dims[i] : 1;
            slices.inner *= i > axis ? (size_t)in->dims[i] : 1;
        }
    }
    if (slices.count > MOST_SLICES) {
        return SQ_STEP_FAIL(SQUALL_E_LIMIT, "%zu slices, at most %d", slices.count, MOST_SLICES);
    }
    *out = slices;
    return SQUALL_OK;
}

static int compare_numbers(const squall_tensor *tensor, size_t a, size_t b)
{
    if (sq_op_is_float(tensor->dtype)) {
        const double x = sq_tensor_get_double(tensor, a), y = sq_tensor_get_double(tensor, b);
        if (isnan(x) || isnan(y)) {
            return (isnan(x) != 0) - (isnan(y) != 0);
        }
        return (x > y) - (x < y);
    }
    const int64_t x = sq_tensor_get_int(tensor, a), y = sq_tensor_get_int(tensor, b);
    if (tensor->dtype == SQUALL_U64) {
        return ((uint64_t)x > (uint64_t)y) - ((uint64_t)x < (uint64_t)y);
    }
    return (x > y) - (x < y);
}

int sq_op_slices_compare(const sq_slices *slices, size_t a, size_t b)
{
    for (size_t outer = 0; outer < slices->outer; outer++) {
        const size_t first = outer * slices->count;
        for (size_t inner = 0; inner < slices->inner; inner++) {
            const int order = compare_numbers(slices->tensor, (first + a) * slices->inner + inner,
                                              (first + b) * slices->inner + inner);
            if (order != 0) {
                return order;
            }
        }
    }
    return 0;
}

squall_status sq_op_shape_unique(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    sq_slices slices;
    SQ_TRY(sq_op_need_data(step, 0, "its numbers", err));
    SQ_TRY(sq_op_slices(step, &slices, err));
    int64_t unique = 0;
    for (size_t i = 0; i < slices.count; i++) {
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++) {
            seen = sq_op_slices_compare(&slices, j, i) == 0;
        }
        unique += !seen;
    }
    const bool flat = !sq_attr_find(step->attrs, "axis");
    int64_t dims[SQUALL_MAX_DIMS];
    memcpy(dims, in->dims, sizeof dims);
    uint32_t axis = 0;
    if (!flat) {
        SQ_TRY(sq_op_axis(step, sq_attr_int(step->attrs, "axis", 0), in->rank, &axis, err));
    }
    dims[axis] = unique;
    const int64_t all = (int64_t)slices.count;
    SQ_TRY(sq_op_set(step, 0, in->dtype, flat ? 1 : in->rank, dims, err));
    SQ_TRY(sq_op_set(step, 1, SQUALL_I64, 1, &unique, err));
    SQ_TRY(sq_op_set(step, 2, SQUALL_I64, 1, &all, err));
    return sq_op_set(step, 3, SQUALL_I64, 1, &unique, err);
}

/* A box by its corners. */
typedef struct box {
    double y0, x0, y1, x1;
} box;

static box read_box(const squall_tensor *boxes, size_t index, bool by_centre)
{
    double v[4];
    for (size_t i = 0; i < 4; i++) {
        v[i] = sq_tensor_get_double(boxes, index * 4 + i);
    }
    if (by_centre) { /* x, y, width, height */
        return (box){v[1] - v[3] / 2, v[0] - v[2] / 2, v[1] + v[3] / 2, v[0] + v[2] / 2};
    }
    return (box){fmin(v[0], v[2]), fmin(v[1], v[3]), fmax(v[0], v[2]), fmax(v[1], v[3])};
}

/* What both cover over what either covers is more than the threshold. */
static bool overlap(const box *a, const box *b, double threshold)
{
    const double height = fmin(a->y1, b->y1) - fmax(a->y0, b->y0);
    const double width = fmin(a->x1, b->x1) - fmax(a->x0, b->x0);
    if (!(height > 0) || !(width > 0)) {
        return false;
    }
    const double both = height * width;
    const double first = (a->y1 - a->y0) * (a->x1 - a->x0);
    const double second = (b->y1 - b->y0) * (b->x1 - b->x0);
    return first > 0 && second > 0 && both / (first + second - both) > threshold;
}

/* What the inputs say. */
typedef struct box_choice {
    const squall_tensor *boxes, *scores;
    size_t batches, classes, count;
    int64_t most;
    double overlap, least;
    bool by_centre;
} box_choice;

static double number_or(const sq_step *step, uint32_t index, double otherwise)
{
    return sq_op_has(step, index) && squall_tensor_count(&step->in[index]) > 0
               ? sq_tensor_get_double(&step->in[index], 0)
               : otherwise;
}

static squall_status read_choice(const sq_step *step, box_choice *out, squall_error *err)
{
    const squall_tensor *boxes = &step->in[0], *scores = &step->in[1];
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (sq_op_has(step, i)) {
            SQ_TRY(sq_op_need_data(step, i, "what it chooses by", err));
        }
    }
    if (boxes->rank != 3 || scores->rank != 3 || boxes->dims[2] != 4 ||
        scores->dims[0] != boxes->dims[0] || scores->dims[2] != boxes->dims[1]) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "boxes and scores do not fit");
    }
    if (boxes->dims[1] > MOST_BOXES) {
        return SQ_STEP_FAIL(SQUALL_E_LIMIT, "%" PRId64 " boxes, at most %d", boxes->dims[1],
                            MOST_BOXES);
    }
    const bool has_most = sq_op_has(step, 2) && squall_tensor_count(&step->in[2]) > 0;
    const int64_t most = has_most ? sq_tensor_get_int(&step->in[2], 0) : 0;
    *out = (box_choice){.boxes = boxes,
                        .scores = scores,
                        .batches = (size_t)boxes->dims[0],
                        .classes = (size_t)scores->dims[1],
                        .count = (size_t)boxes->dims[1],
                        .most = most > MOST_BOXES ? MOST_BOXES : most,
                        .overlap = number_or(step, 3, 0),
                        .least = number_or(step, 4, -INFINITY),
                        .by_centre = sq_attr_int(step->attrs, "center_point_box", 0) != 0};
    return SQUALL_OK;
}

/* The box of the highest score that is not `done`; the earlier of equals. SIZE_MAX: none is left.
 */
static size_t best_box(const box_choice *choice, size_t first_score, const bool *done)
{
    size_t best = SIZE_MAX;
    double most = 0;
    for (size_t i = 0; i < choice->count; i++) {
        const double score = sq_tensor_get_double(choice->scores, first_score + i);
        if (!done[i] && score > choice->least && (best == SIZE_MAX || score > most)) {
            best = i;
            most = score;
        }
    }
    return best;
}

squall_status sq_op_select_boxes(const sq_step *step, int64_t *out, int64_t *count,
                                 squall_error *err)
{
    box_choice choice;
    SQ_TRY(read_choice(step, &choice, err));
    *count = 0;
    for (size_t at = 0; at < choice.batches * choice.classes; at++) {
        bool done[MOST_BOXES] = {false}, taken[MOST_BOXES] = {false};
        const size_t batch = at / choice.classes, first_box = batch * choice.count;
        int64_t number = 0;
        while (number < choice.most) {
            const size_t best = best_box(&choice, at * choice.count, done);
            if (best == SIZE_MAX) {
                break;
            }
            const box this = read_box(choice.boxes, first_box + best, choice.by_centre);
            bool hidden = false;
            for (size_t i = 0; i < choice.count && !hidden; i++) {
                if (taken[i]) {
                    const box other = read_box(choice.boxes, first_box + i, choice.by_centre);
                    hidden = overlap(&this, &other, choice.overlap);
                }
            }
            done[best] = true;
            taken[best] = !hidden;
            if (hidden) {
                continue;
            }
            if (out) {
                int64_t *row = out + *count * 3;
                row[0] = (int64_t)batch;
                row[1] = (int64_t)(at % choice.classes);
                row[2] = (int64_t)best;
            }
            number++;
            (*count)++;
        }
    }
    return SQUALL_OK;
}

squall_status sq_op_shape_non_max_suppression(sq_step *step, squall_error *err)
{
    int64_t dims[2] = {0, 3};
    SQ_TRY(sq_op_select_boxes(step, NULL, &dims[0], err));
    return sq_op_set(step, 0, SQUALL_I64, 2, dims, err);
}
