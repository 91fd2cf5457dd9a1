/* svc/infer/infer_run.c - a request run on its model, and the answer. */
#include <stdio.h>
#include <string.h>

#include "svc/infer/infer_private.h"

enum { CREWS = 8 /* contexts of one model */ };

/* ---------------------------------------------------------------- contexts */

static bool takes(const sq_infer_crew *crew, const squall_tensor *types, size_t count)
{
    bool same = true;
    for (size_t i = 0; same && i < count; i++) {
        same = crew->types[i].dtype == types[i].dtype && crew->types[i].rank == types[i].rank &&
               memcmp(crew->types[i].dims, types[i].dims,
                      types[i].rank * sizeof types[i].dims[0]) == 0;
    }
    return same;
}

static void destroy_crew(sq_infer_crew **crew)
{
    if (*crew != NULL) {
        squall_context_destroy(&(*crew)->context);
        sq_free((*crew)->types);
        sq_free(*crew);
        *crew = NULL;
    }
}

static squall_status create_crew(sq_infer_model *m, const squall_tensor *types, size_t count,
                                 sq_infer_crew **out, squall_error *err)
{
    sq_infer_crew *crew = sq_alloc(1, sizeof *crew);
    if (crew != NULL) {
        crew->types = sq_alloc(count > 0 ? count : 1, sizeof *types);
    }
    if (crew == NULL || crew->types == NULL) {
        destroy_crew(&crew);
        return sq_fail(err, SQUALL_E_MEMORY, m->config.name, "no memory");
    }
    memcpy(crew->types, types, count * sizeof *types);
    const squall_status status =
        squall_context_create_for(m->engine, types, count, m->threads, &crew->context, err);
    if (status != SQUALL_OK) {
        destroy_crew(&crew);
        return status;
    }
    *out = crew;
    return SQUALL_OK;
}

/* A context for these types: one that is idle, or a new one in the place of the oldest idle one of
 * others; while all are at work, the first that comes back. */
static squall_status borrow(sq_infer_model *m, const squall_tensor *types, size_t count,
                            sq_infer_crew **out, squall_error *err)
{
    sq_infer_crew *replaced = NULL;
    pthread_mutex_lock(&m->mutex);
    for (;;) {
        sq_infer_crew **last = NULL;
        for (sq_infer_crew **at = &m->idle; *at != NULL; at = &(*at)->next) {
            if (takes(*at, types, count)) {
                *out = *at;
                *at = (*at)->next;
                pthread_mutex_unlock(&m->mutex);
                return SQUALL_OK;
            }
            last = at;
        }
        if (m->crews < CREWS) {
            m->crews++;
            break;
        }
        if (last != NULL) {
            replaced = *last;
            *last = NULL;
            break;
        }
        pthread_cond_wait(&m->returned, &m->mutex);
    }
    pthread_mutex_unlock(&m->mutex);
    destroy_crew(&replaced);
    const squall_status status = create_crew(m, types, count, out, err);
    if (status != SQUALL_OK) {
        pthread_mutex_lock(&m->mutex);
        m->crews--;
        pthread_cond_signal(&m->returned);
        pthread_mutex_unlock(&m->mutex);
    }
    return status;
}

static void give_back(sq_infer_model *m, sq_infer_crew *crew)
{
    pthread_mutex_lock(&m->mutex);
    crew->next = m->idle;
    m->idle = crew;
    pthread_cond_signal(&m->returned);
    pthread_mutex_unlock(&m->mutex);
}

/* ---------------------------------------------------------------- the answer */

/* One run: its tensors and what of them is asked for. */
typedef struct run {
    sq_infer_model *model;
    const sq_infer_request *request;
    squall_tensor inputs[SQ_INFER_TENSORS], outputs[SQ_INFER_TENSORS];
    const char *names[SQ_INFER_TENSORS]; /* of the outputs */
    size_t input_count, output_count;
    size_t wishes[SQ_INFER_TENSORS]; /* outputs, in the order of the answer */
    bool binary[SQ_INFER_TENSORS];   /* how each of them goes */
    size_t wish_count;
} run;

static void write_value(const squall_tensor *t, size_t i, sq_json *json)
{
    const unsigned char *at = (const unsigned char *)t->data + i * squall_dtype_size(t->dtype);
    const size_t size = squall_dtype_size(t->dtype);
    const bool has_sign = t->dtype == SQUALL_I8 || t->dtype == SQUALL_I16 || t->dtype == SQUALL_I32;
    int64_t whole = 0;
    if (t->dtype == SQUALL_F32) {
        sq_json_real(json, NULL, (double)((const float *)t->data)[i], 9);
        return;
    }
    if (t->dtype == SQUALL_F64) {
        sq_json_real(json, NULL, ((const double *)t->data)[i], 17);
        return;
    }
    if (t->dtype == SQUALL_BOOL) {
        sq_json_bool(json, NULL, *at != 0);
        return;
    }
    memcpy(&whole, at, size); /* little-endian, as all hosts that we build for */
    if (has_sign && (at[size - 1] & 0x80) != 0) {
        whole -= (int64_t)1 << (8 * size);
    }
    sq_json_int(json, NULL, whole);
}

/* Whether JSON can say it: not half precision, nor whole numbers above what is signed. */
static bool has_json(squall_dtype dtype)
{
    return dtype != SQUALL_F16 && dtype != SQUALL_BF16 && dtype != SQUALL_U64;
}

static void write_output(const run *r, size_t wish, sq_json *json)
{
    const squall_tensor *t = &r->outputs[r->wishes[wish]];
    sq_json_object(json, NULL);
    sq_json_text(json, "name", r->names[r->wishes[wish]]);
    sq_json_text(json, "datatype", sq_infer_type_name(t->dtype));
    sq_json_array(json, "shape");
    for (uint32_t i = 0; i < t->rank; i++) {
        sq_json_int(json, NULL, t->dims[i]);
    }
    sq_json_end_array(json);
    if (r->binary[wish]) {
        sq_json_object(json, "parameters");
        sq_json_int(json, "binary_data_size", (int64_t)squall_tensor_bytes(t));
        sq_json_end_object(json);
    } else {
        const size_t count = squall_tensor_count(t);
        sq_json_array(json, "data");
        for (size_t i = 0; i < count; i++) {
            write_value(t, i, json);
        }
        sq_json_end_array(json);
    }
    sq_json_end_object(json);
}

static squall_status write_reply(const run *r, sq_infer_reply *out, squall_error *err)
{
    sq_json json = {0};
    bool binary = false;
    sq_json_object(&json, NULL);
    sq_json_text(&json, "model_name", r->model->config.name);
    sq_json_text(&json, "model_version", SQ_INFER_VERSION);
    if (r->request->id[0] != '\0') {
        sq_json_text(&json, "id", r->request->id);
    }
    sq_json_array(&json, "outputs");
    for (size_t i = 0; i < r->wish_count; i++) {
        write_output(r, i, &json);
        binary = binary || r->binary[i];
    }
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    const size_t header = json.text.length;
    for (size_t i = 0; i < r->wish_count; i++) {
        const squall_tensor *t = &r->outputs[r->wishes[i]];
        if (r->binary[i]) {
            sq_text_add_bytes(&json.text, t->data, squall_tensor_bytes(t));
        }
    }
    if (json.text.failed) {
        sq_json_free(&json);
        return sq_fail(err, SQUALL_E_MEMORY, r->model->config.name, "no memory for the answer");
    }
    *out = (sq_infer_reply){(unsigned char *)json.text.data, json.text.length, binary ? header : 0};
    return SQUALL_OK;
}

/* ---------------------------------------------------------------- a run */

static squall_status find_inputs(run *r, squall_error *err)
{
    const char *model = r->model->config.name;
    r->input_count = squall_engine_input_count(r->model->engine);
    r->output_count = squall_engine_output_count(r->model->engine);
    if (r->input_count > SQ_INFER_TENSORS || r->output_count > SQ_INFER_TENSORS) {
        return sq_fail(err, SQUALL_E_LIMIT, model, "has more than %d inputs or outputs",
                       SQ_INFER_TENSORS);
    }
    for (size_t i = 0; i < r->input_count; i++) {
        const char *name;
        squall_tensor type;
        const sq_infer_input *found = NULL;
        SQ_TRY(squall_engine_input(r->model->engine, 0, i, &name, &type, err));
        for (size_t k = 0; k < r->request->input_count; k++) {
            found = strcmp(r->request->inputs[k].name, name) == 0 ? &r->request->inputs[k] : found;
        }
        if (found == NULL) {
            return sq_fail(err, SQUALL_E_ARGUMENT, model, "input '%s' is missing", name);
        }
        if (found->tensor.dtype != type.dtype) {
            return sq_fail(err, SQUALL_E_ARGUMENT, model, "input '%s' is %s, and must be %s", name,
                           sq_infer_type_name(found->tensor.dtype), sq_infer_type_name(type.dtype));
        }
        r->inputs[i] = found->tensor;
    }
    if (r->request->input_count != r->input_count) {
        return sq_fail(err, SQUALL_E_ARGUMENT, model, "takes %zu inputs, not %zu", r->input_count,
                       r->request->input_count);
    }
    return SQUALL_OK;
}

static squall_status find_wishes(run *r, squall_error *err)
{
    for (size_t i = 0; i < r->output_count; i++) {
        squall_tensor unused;
        SQ_TRY(squall_engine_output(r->model->engine, 0, i, &r->names[i], &unused, err));
        r->wishes[i] = i;
        r->binary[i] = r->request->binary;
    }
    r->wish_count = r->request->wish_count > 0 ? r->request->wish_count : r->output_count;
    for (size_t k = 0; k < r->request->wish_count; k++) {
        size_t i = 0;
        while (i < r->output_count && strcmp(r->names[i], r->request->wishes[k].name) != 0) {
            i++;
        }
        if (i == r->output_count) {
            return sq_fail(err, SQUALL_E_ARGUMENT, r->model->config.name, "has no output '%s'",
                           r->request->wishes[k].name);
        }
        r->wishes[k] = i;
        r->binary[k] = r->request->wishes[k].binary;
    }
    return SQUALL_OK;
}

static squall_status make_outputs(run *r, const squall_context *context, squall_error *err)
{
    for (size_t i = 0; i < r->output_count; i++) {
        SQ_TRY(squall_context_output(context, i, &r->outputs[i], err));
        const size_t bytes = squall_tensor_bytes(&r->outputs[i]);
        r->outputs[i].data = sq_alloc_raw(bytes > 0 ? bytes : 1, 1);
        if (r->outputs[i].data == NULL) {
            return sq_fail(err, SQUALL_E_MEMORY, r->model->config.name, "no memory for '%s'",
                           r->names[i]);
        }
    }
    for (size_t k = 0; k < r->wish_count; k++) {
        const squall_dtype dtype = r->outputs[r->wishes[k]].dtype;
        if (!r->binary[k] && !has_json(dtype)) {
            return sq_fail(err, SQUALL_E_UNSUPPORTED, r->model->config.name,
                           "output '%s' is %s, which JSON cannot say: ask for it as binary",
                           r->names[r->wishes[k]], sq_infer_type_name(dtype));
        }
    }
    return SQUALL_OK;
}

/* Times by stage. */
static void note(sq_infer_model *m, const double at[5])
{
    pthread_mutex_lock(&m->mutex);
    m->stats.successes++;
    m->stats.runs++;
    m->stats.queue_s += at[1] - at[0];
    m->stats.input_s += at[2] - at[1];
    m->stats.run_s += at[3] - at[2];
    m->stats.output_s += at[4] - at[3];
    m->stats.success_s += at[4] - at[0];
    m->stats.last = sq_time_now() * 1000;
    pthread_mutex_unlock(&m->mutex);
}

squall_status sq_infer_run(sq_infer_model *model, const sq_infer_request *request,
                           sq_infer_reply *out, squall_error *err)
{
    double at[5];
    sq_infer_crew *crew = NULL;
    squall_status status = SQUALL_OK;
    if (model->engine == NULL) {
        return sq_fail(err, SQUALL_E_NO_DATA, model->config.name, "is not ready: %s",
                       model->reason);
    }
    run *r = sq_alloc(1, sizeof *r);
    if (r == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, model->config.name, "no memory");
    }
    r->model = model;
    r->request = request;
    at[0] = sq_clock_s();
    SQ_TRY_GOTO(find_inputs(r, err));
    SQ_TRY_GOTO(find_wishes(r, err));
    SQ_TRY_GOTO(borrow(model, r->inputs, r->input_count, &crew, err));
    at[1] = sq_clock_s();
    SQ_TRY_GOTO(make_outputs(r, crew->context, err));
    at[2] = sq_clock_s();
    SQ_TRY_GOTO(squall_context_run(crew->context, r->inputs, r->input_count, r->outputs,
                                   r->output_count, err));
    at[3] = sq_clock_s();
    SQ_TRY_GOTO(write_reply(r, out, err));
    at[4] = sq_clock_s();
    note(model, at);
done:
    if (crew != NULL) {
        give_back(model, crew);
    }
    for (size_t i = 0; i < r->output_count && i < SQ_INFER_TENSORS; i++) {
        sq_free(r->outputs[i].data);
    }
    sq_free(r);
    return status;
}

void sq_infer_note_failure(sq_infer_model *model, double seconds)
{
    pthread_mutex_lock(&model->mutex);
    model->stats.failures++;
    model->stats.failure_s += seconds;
    pthread_mutex_unlock(&model->mutex);
}

void sq_infer_note_input(sq_infer_model *model, double seconds)
{
    pthread_mutex_lock(&model->mutex);
    model->stats.input_s += seconds;
    model->stats.success_s += seconds;
    pthread_mutex_unlock(&model->mutex);
}
