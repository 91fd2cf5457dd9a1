/* nn/compile/compile_reduce.c - delta debugging: nodes are left out, then sizes made smaller, as
 * long as the model fails. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "nn/compile/compile_reduce.h"

typedef struct reduction {
    sq_onnx_parts *parts;
    sq_knowledge knowledge;
    sq_failing how;
    bool *kept, *trial; /* owned, [count] */
    uint32_t count;     /* nodes of the file */
    bool resized;       /* sizes are no longer those of the whole: outputs are left open */
    double deadline_s;  /* 0: none */
    squall_reduce_report report;
} reduction;

void squall_reduce_options_init(squall_reduce_options *options)
{
    memset(options, 0, sizeof *options);
    options->struct_size = (uint32_t)sizeof *options;
    options->below_db = 40.0;
    options->device = "cpu";
}

static bool out_of_time(const reduction *r)
{
    return r->deadline_s > 0 && sq_clock_s() > r->deadline_s;
}

/* Types of the ports of the model that is being written. */
static bool type_of(void *self, const char *name, bool output, squall_tensor *out)
{
    const reduction *r = self;
    sq_known *item = sq_knowledge_find(&r->knowledge, name);
    if (item == NULL) {
        return false;
    }
    *out = item->recorded;
    memcpy(out->dims, item->dims, sizeof out->dims);
    for (uint32_t d = 0; output && r->resized && d < out->rank; d++) {
        out->dims[d] = -1;
    }
    item->port = item->port || !output;
    return true;
}

static void forget_ports(reduction *r)
{
    for (uint32_t i = 0; i < r->knowledge.count; i++) {
        r->knowledge.items[i].port = false;
    }
}

static squall_status write_kept(reduction *r, const bool *kept, unsigned char **bytes, size_t *size,
                                squall_error *err)
{
    forget_ports(r);
    return sq_onnx_parts_write(r->parts, kept, type_of, r, bytes, size, &r->report.nodes_out, err);
}

static squall_status try(reduction *r, const bool *kept, bool *fails, squall_error *err)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    *fails = false;
    SQ_TRY(write_kept(r, kept, &bytes, &size, err));
    squall_status status = SQUALL_OK;
    /* A test of the caller's need not see that sizes no longer fit each other. */
    if (r->report.nodes_out > 0 && (!r->resized || sq_has_shapes(bytes, size))) {
        status = sq_fails(&r->how, bytes, size, fails, err);
        r->report.tests++;
    }
    sq_free(bytes);
    return status;
}

/* Leave out nodes `from` to before `to` of those that are kept, counted among them; `*gone` says
 * whether the rest still fails, and then it is the model. */
static squall_status leave_out(reduction *r, uint32_t from, uint32_t to, bool *gone,
                               squall_error *err)
{
    uint32_t number = 0, left = 0;
    for (uint32_t n = 0; n < r->count; n++) {
        const bool out = r->kept[n] && number >= from && number < to;
        number += r->kept[n];
        r->trial[n] = r->kept[n] && !out;
        left += r->trial[n];
    }
    *gone = false;
    if (left == 0) {
        return SQUALL_OK;
    }
    SQ_TRY(try(r, r->trial, gone, err));
    if (*gone) {
        memcpy(r->kept, r->trial, r->count * sizeof *r->kept);
    }
    return SQUALL_OK;
}

static uint32_t count_kept(const reduction *r)
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < r->count; n++) {
        count += r->kept[n];
    }
    return count;
}

/* One pass over the nodes, from the last, by pieces of that many; `*any` says whether one went. */
static squall_status pass(reduction *r, uint32_t piece, bool *any, squall_error *err)
{
    uint32_t end = count_kept(r);
    *any = false;
    while (end > 0 && !out_of_time(r)) {
        const uint32_t from = end > piece ? end - piece : 0;
        bool gone;
        SQ_TRY(leave_out(r, from, end, &gone, err));
        *any = *any || gone;
        end = from;
    }
    return SQUALL_OK;
}

/* Zeller and Hildebrandt, Simplifying and isolating failure-inducing input (2002), by complements
 * alone. */
static squall_status reduce_nodes(reduction *r, squall_error *err)
{
    uint32_t piece = count_kept(r) / 2;
    while (piece > 0 && !out_of_time(r)) {
        bool any;
        SQ_TRY(pass(r, piece, &any, err));
        if (!any || piece > 1) {
            if (piece == 1) {
                break;
            }
            piece = piece / 2 < count_kept(r) ? piece / 2 : count_kept(r) / 2;
            piece = piece > 0 ? piece : 1;
        }
    }
    r->report.complete = !out_of_time(r);
    return SQUALL_OK;
}

/* Set the sizes `from` of inputs to `to`: of all of them, or dimension `dim` of one alone. */
static void resize(reduction *r, int64_t from, int64_t to, const sq_known *alone, uint32_t dim)
{
    for (uint32_t i = 0; i < r->knowledge.count; i++) {
        sq_known *item = &r->knowledge.items[i];
        for (uint32_t d = 0; item->port && d < item->recorded.rank; d++) {
            if (item->dims[d] == from && (alone == NULL || (alone == item && d == dim))) {
                item->dims[d] = to;
            }
        }
    }
}

/* Try a size; what it was before comes back when the model no longer fails. */
static squall_status try_size(reduction *r, int64_t from, int64_t to, const sq_known *alone,
                              uint32_t dim, bool *fails, squall_error *err)
{
    const size_t bytes = sizeof r->knowledge.items[0].dims;
    const bool resized = r->resized;
    int64_t *old = sq_alloc(r->knowledge.count, bytes);
    if (old == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "sizes", "no memory");
    }
    for (uint32_t i = 0; i < r->knowledge.count; i++) {
        memcpy(old + (size_t)i * SQUALL_MAX_DIMS, r->knowledge.items[i].dims, bytes);
    }
    resize(r, from, to, alone, dim);
    r->resized = true;
    const squall_status status = try(r, r->kept, fails, err);
    if (status != SQUALL_OK || !*fails) {
        for (uint32_t i = 0; i < r->knowledge.count; i++) {
            memcpy(r->knowledge.items[i].dims, old + (size_t)i * SQUALL_MAX_DIMS, bytes);
        }
        r->resized = resized;
    }
    sq_free(old);
    return status;
}

/* One size, of all inputs that have it or of one alone: 1, else halves of it as long as they do. */
static squall_status shrink(reduction *r, int64_t size, const sq_known *alone, uint32_t dim,
                            squall_error *err)
{
    bool fails;
    SQ_TRY(try_size(r, size, 1, alone, dim, &fails, err));
    while (!fails && size > 2 && !out_of_time(r)) {
        bool half;
        SQ_TRY(try_size(r, size, size / 2, alone, dim, &half, err));
        if (!half) {
            return SQUALL_OK;
        }
        size /= 2;
    }
    return SQUALL_OK;
}

/* The largest size of an input below `bound`, or 1. */
static int64_t next_size(const reduction *r, int64_t bound)
{
    int64_t most = 1;
    for (uint32_t i = 0; i < r->knowledge.count; i++) {
        const sq_known *item = &r->knowledge.items[i];
        for (uint32_t d = 0; item->port && d < item->recorded.rank; d++) {
            if (item->dims[d] < bound && item->dims[d] > most) {
                most = item->dims[d];
            }
        }
    }
    return most;
}

static squall_status reduce_sizes(reduction *r, squall_error *err)
{
    bool fails;
    SQ_TRY(try(r, r->kept, &fails, err)); /* says which inputs there are */
    for (int64_t size = next_size(r, INT64_MAX); size > 1 && !out_of_time(r);
         size = next_size(r, size)) {
        SQ_TRY(shrink(r, size, NULL, 0, err));
    }
    for (uint32_t i = 0; i < r->knowledge.count; i++) {
        const sq_known *item = &r->knowledge.items[i];
        for (uint32_t d = 0; d < item->recorded.rank && !out_of_time(r); d++) {
            if (item->port && item->dims[d] > 1) {
                SQ_TRY(shrink(r, item->dims[d], item, d, err));
            }
        }
    }
    return SQUALL_OK;
}

static squall_status prepare(reduction *r, const char *model_path, squall_error *err)
{
    bool fails;
    SQ_TRY(sq_onnx_parts_open(model_path, &r->parts, err));
    r->count = sq_onnx_parts_count(r->parts);
    r->kept = sq_alloc(r->count, sizeof *r->kept);
    r->trial = sq_alloc(r->count, sizeof *r->trial);
    if (r->kept == NULL || r->trial == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, model_path, "no memory to reduce it");
    }
    for (uint32_t n = 0; n < r->count; n++) {
        r->kept[n] = true;
    }
    SQ_TRY(sq_know(model_path, r->how.options, &r->knowledge, err));
    SQ_TRY(try(r, r->kept, &fails, err));
    if (!fails) {
        return sq_fail(err, SQUALL_E_NO_DATA, model_path,
                       "does not fail as a whole, so there is nothing to reduce: %s", r->how.said);
    }
    r->report.nodes_in = r->count;
    return SQUALL_OK;
}

static squall_status reduce(reduction *r, const char *model_path, const char *out_path,
                            squall_error *err)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    SQ_TRY(prepare(r, model_path, err));
    SQ_TRY(reduce_nodes(r, err));
    SQ_TRY(reduce_sizes(r, err));
    SQ_TRY(write_kept(r, r->kept, &bytes, &size, err));
    const squall_status status = sq_file_write(out_path, bytes, size, err);
    sq_free(bytes);
    return status;
}

squall_status squall_reduce(const char *model_path, const squall_reduce_options *options,
                            const char *out_path, squall_reduce_report *report, squall_notes *notes,
                            squall_error *err)
{
    const double start = sq_clock_s();
    squall_reduce_options want;
    squall_reduce_options_init(&want);
    if (options != NULL) {
        if (options->struct_size < sizeof options->struct_size) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "squall_reduce_options",
                           "was not set up by squall_reduce_options_init()");
        }
        memcpy(&want, options,
               options->struct_size < sizeof want ? options->struct_size : sizeof want);
    }
    reduction r = {
        .how = {.options = &want, .knowledge = &r.knowledge, .out_path = out_path, .psnr_db = NAN},
        .deadline_s = want.seconds > 0 ? start + want.seconds : 0};
    const squall_status status = reduce(&r, model_path, out_path, err);
    if (status == SQUALL_OK) {
        if (!r.report.complete) {
            sq_note(notes, model_path, "the time was over: it may be that less of it still fails");
        }
        r.report.psnr_db = r.how.psnr_db;
        r.report.seconds = sq_clock_s() - start;
        if (report != NULL) {
            *report = r.report;
        }
    }
    sq_onnx_parts_close(&r.parts);
    sq_knowledge_free(&r.knowledge);
    sq_free(r.kept);
    sq_free(r.trial);
    return status;
}
