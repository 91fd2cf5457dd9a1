/* svc/infer/infer_crew.c - contexts and their buffers, kept for the next run of the same kind. */
#include <string.h>

#include "svc/infer/infer_private.h"

enum { IDLE = 8 /* kept beside those at work, of one model */, MEGABYTE = 1000000 };

bool sq_infer_alike(const squall_tensor *a, const squall_tensor *b, size_t count)
{
    bool same = true;
    for (size_t i = 0; same && i < count; i++) {
        same = a[i].dtype == b[i].dtype && a[i].rank == b[i].rank &&
               memcmp(a[i].dims, b[i].dims, a[i].rank * sizeof a[i].dims[0]) == 0;
    }
    return same;
}

/* The types of `count` requests as one: the batch is dimension 0, the same in all inputs; false
 * where that cannot be. */
static bool widen(const squall_tensor *types, size_t input_count, size_t count, squall_tensor *out)
{
    for (size_t i = 0; i < input_count; i++) {
        out[i] = types[i];
        out[i].data = NULL;
        if (count == 1) {
            continue;
        }
        if (types[i].rank == 0 || types[i].dims[0] != types[0].dims[0] || types[i].dims[0] < 1) {
            return false;
        }
        out[i].dims[0] *= (int64_t)count;
    }
    return input_count > 0 || count == 1;
}

bool sq_infer_batch_fits(const sq_infer_model *m, const squall_tensor *types, size_t input_count,
                         size_t count)
{
    squall_tensor wide[SQ_INFER_TENSORS], own;
    squall_profile_info info;
    squall_error unused;
    const char *name;
    size_t profile;
    if (!widen(types, input_count, count, wide) ||
        squall_engine_find_profile(m->engine, wide, input_count, &profile, &unused) != SQUALL_OK ||
        squall_engine_profile(m->engine, profile, &info, &unused) != SQUALL_OK ||
        squall_engine_input(m->engine, profile, 0, &name, &own, &unused) != SQUALL_OK) {
        return false;
    }
    const double share = own.dims[0] > 0 ? (double)wide[0].dims[0] / (double)own.dims[0] : 1.0;
    return (double)info.arena_bytes * share <= (double)m->config.batch_mb * MEGABYTE;
}

void sq_infer_crew_destroy(sq_infer_crew **crew)
{
    sq_infer_crew *c = *crew;
    *crew = NULL;
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; c->inputs != NULL && i < c->input_count; i++) {
        sq_free(c->inputs[i].data);
    }
    for (size_t i = 0; c->outputs != NULL && i < c->output_count; i++) {
        sq_free(c->outputs[i].data);
    }
    squall_context_destroy(&c->context);
    sq_free(c->types);
    sq_free(c->inputs);
    sq_free(c->outputs);
    sq_free(c);
}

static squall_status add_buffer(const sq_infer_model *m, squall_tensor *tensor, squall_error *err)
{
    const size_t bytes = squall_tensor_bytes(tensor);
    tensor->data = sq_alloc_raw(bytes > 0 ? bytes : 1, 1);
    return tensor->data != NULL
               ? SQUALL_OK
               : sq_fail(err, SQUALL_E_MEMORY, m->config.name, "no memory for %zu bytes", bytes);
}

/* Its context and buffers, once its types are set. */
static squall_status equip(sq_infer_model *m, sq_infer_crew *crew, squall_error *err)
{
    squall_tensor wide[SQ_INFER_TENSORS];
    if (!widen(crew->types, crew->input_count, crew->count, wide)) {
        return sq_fail(err, SQUALL_E_SHAPE, m->config.name, "has no batch");
    }
    SQ_TRY(squall_context_create_for(m->engine, wide, crew->input_count, crew->threads,
                                     &crew->context, err));
    SQ_TRY(squall_context_check(crew->context, err));
    memcpy(crew->inputs, wide, crew->input_count * sizeof *wide);
    for (size_t i = 0; crew->count > 1 && i < crew->input_count; i++) {
        SQ_TRY(add_buffer(m, &crew->inputs[i], err));
    }
    for (size_t i = 0; i < crew->output_count; i++) {
        SQ_TRY(squall_context_output(crew->context, i, &crew->outputs[i], err));
        crew->outputs[i].data = NULL;
        if (crew->count > 1 &&
            (crew->outputs[i].rank == 0 || crew->outputs[i].dims[0] % (int64_t)crew->count != 0)) {
            return sq_fail(err, SQUALL_E_SHAPE, m->config.name, "output %zu has no batch", i);
        }
        SQ_TRY(add_buffer(m, &crew->outputs[i], err));
    }
    return SQUALL_OK;
}

static squall_status create_crew(sq_infer_model *m, const squall_tensor *types, size_t input_count,
                                 size_t count, int32_t threads, sq_infer_crew **out,
                                 squall_error *err)
{
    squall_status status = SQUALL_E_MEMORY;
    sq_infer_crew *crew = sq_alloc(1, sizeof *crew);
    if (crew != NULL) {
        crew->count = count;
        crew->threads = threads;
        crew->input_count = input_count;
        crew->output_count = squall_engine_output_count(m->engine);
        crew->types = sq_alloc(input_count + 1, sizeof *types);
        crew->inputs = sq_alloc(input_count + 1, sizeof *types);
        crew->outputs = sq_alloc(crew->output_count + 1, sizeof *types);
    }
    if (crew == NULL || crew->types == NULL || crew->inputs == NULL || crew->outputs == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, m->config.name, "no memory");
    } else {
        memcpy(crew->types, types, input_count * sizeof *types);
        status = equip(m, crew, err);
    }
    if (status != SQUALL_OK) {
        sq_infer_crew_destroy(&crew);
        return status;
    }
    *out = crew;
    return SQUALL_OK;
}

squall_status sq_infer_crew_borrow(sq_infer_model *m, const squall_tensor *types,
                                   size_t input_count, size_t count, int32_t threads,
                                   sq_infer_crew **out, squall_error *err)
{
    pthread_mutex_lock(&m->mutex);
    for (sq_infer_crew **at = &m->idle; *at != NULL; at = &(*at)->next) {
        if ((*at)->count == count && (*at)->threads == threads &&
            sq_infer_alike((*at)->types, types, input_count)) {
            *out = *at;
            *at = (*at)->next;
            m->idle_count--;
            pthread_mutex_unlock(&m->mutex);
            return SQUALL_OK;
        }
    }
    pthread_mutex_unlock(&m->mutex);
    return create_crew(m, types, input_count, count, threads, out, err);
}

void sq_infer_crew_return(sq_infer_model *m, sq_infer_crew *crew)
{
    sq_infer_crew *oldest = NULL;
    pthread_mutex_lock(&m->mutex);
    crew->next = m->idle;
    m->idle = crew;
    if (++m->idle_count > IDLE) {
        sq_infer_crew **last = &m->idle;
        while ((*last)->next != NULL) {
            last = &(*last)->next;
        }
        oldest = *last;
        *last = NULL;
        m->idle_count--;
    }
    pthread_mutex_unlock(&m->mutex);
    sq_infer_crew_destroy(&oldest);
}
