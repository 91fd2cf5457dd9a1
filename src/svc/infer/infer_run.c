/* svc/infer/infer_run.c - requests made into jobs, jobs run, and their answers. */
#include <stdio.h>
#include <string.h>

#include "svc/infer/infer_private.h"

/* ---------------------------------------------------------------- the answer */

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

static void write_output(const sq_infer_job *r, size_t wish, sq_json *json)
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

/* The JSON (given) and the bytes of tensors behind it, in memory of just their size. */
static squall_status join_reply(const sq_infer_job *r, sq_json *json, bool binary,
                                sq_infer_reply *out, squall_error *err)
{
    const size_t header = json->text.length;
    size_t size = header;
    for (size_t i = 0; i < r->wish_count; i++) {
        size += r->binary[i] ? squall_tensor_bytes(&r->outputs[r->wishes[i]]) : 0;
    }
    unsigned char *bytes = json->text.failed ? NULL : (unsigned char *)json->text.data;
    if (bytes != NULL && binary) {
        bytes = sq_alloc_raw(size, 1);
    }
    if (bytes == NULL) {
        sq_json_free(json);
        return sq_fail(err, SQUALL_E_MEMORY, r->model->config.name, "no memory for the answer");
    }
    if (binary) {
        memcpy(bytes, json->text.data, header);
        sq_json_free(json);
        size = header;
    }
    for (size_t i = 0; i < r->wish_count; i++) {
        const squall_tensor *t = &r->outputs[r->wishes[i]];
        if (r->binary[i]) {
            memcpy(bytes + size, t->data, squall_tensor_bytes(t));
            size += squall_tensor_bytes(t);
        }
    }
    *out = (sq_infer_reply){bytes, size, binary ? header : 0};
    return SQUALL_OK;
}

static squall_status write_reply(const sq_infer_job *r, sq_infer_reply *out, squall_error *err)
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
    return join_reply(r, &json, binary, out, err);
}

/* ---------------------------------------------------------------- a job */

static squall_status find_inputs(sq_infer_job *r, squall_error *err)
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

static squall_status find_wishes(sq_infer_job *r, squall_error *err)
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

/* Whether each output can go as it is asked for. */
static squall_status check_wishes(const sq_infer_job *r, squall_error *err)
{
    for (size_t k = 0; k < r->wish_count; k++) {
        squall_tensor type;
        const char *name;
        SQ_TRY(squall_engine_output(r->model->engine, 0, r->wishes[k], &name, &type, err));
        if (!r->binary[k] && !has_json(type.dtype)) {
            return sq_fail(err, SQUALL_E_UNSUPPORTED, r->model->config.name,
                           "output '%s' is %s, which JSON cannot say: ask for it as binary", name,
                           sq_infer_type_name(type.dtype));
        }
    }
    return SQUALL_OK;
}

squall_status sq_infer_job_create(sq_infer_model *model, const sq_infer_request *request,
                                  sq_infer_job **out, squall_error *err)
{
    squall_status status = SQUALL_OK;
    size_t profile;
    if (model->engine == NULL) {
        return sq_fail(err, SQUALL_E_NO_DATA, model->config.name, "is not ready: %s",
                       model->reason);
    }
    sq_infer_job *job = sq_alloc(1, sizeof *job);
    if (job == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, model->config.name, "no memory");
    }
    atomic_fetch_add(&model->refs, 1);
    job->model = model;
    job->request = request;
    SQ_TRY_GOTO(find_inputs(job, err));
    SQ_TRY_GOTO(find_wishes(job, err));
    SQ_TRY_GOTO(check_wishes(job, err));
    SQ_TRY_GOTO(
        squall_engine_find_profile(model->engine, job->inputs, job->input_count, &profile, err));
    *out = job;
    job = NULL;
done:
    sq_infer_job_destroy(&job);
    return status;
}

void sq_infer_job_destroy(sq_infer_job **job)
{
    if (*job != NULL) {
        sq_infer_drop(&(*job)->model);
        sq_free(*job);
        *job = NULL;
    }
}

/* ---------------------------------------------------------------- a run */

/* Times of one run: when it began, its inputs were there, it was run. */
typedef struct moments {
    double start_s, input_s, run_s;
} moments;

static void observe(sq_infer *infer, const char *model, const char *stage, double seconds)
{
    const char *const labels[] = {model, stage};
    sq_metric_observe(infer->m.stage_seconds, seconds, labels);
}

/* One request that is answered. */
static void note(sq_infer *infer, const sq_infer_job *job, size_t count, const moments *at,
                 double wrote_s, double done_s)
{
    sq_infer_model *m = job->model;
    const char *const labels[] = {m->config.name, "ok"};
    const double queue_s = at->start_s - job->queued_s;
    const double input_s = job->read_s + at->input_s - at->start_s;
    const double run_s = at->run_s - at->input_s, output_s = done_s - wrote_s;
    const double total_s = job->read_s + done_s - job->queued_s;
    pthread_mutex_lock(&m->mutex);
    m->stats.successes++;
    m->stats.queue_s += queue_s;
    m->stats.input_s += input_s;
    m->stats.run_s += run_s;
    m->stats.output_s += output_s;
    m->stats.batches[count].output_s += output_s;
    m->stats.success_s += total_s;
    m->stats.last = sq_time_now() * 1000;
    pthread_mutex_unlock(&m->mutex);
    sq_metric_add(infer->m.requests, 1.0, labels);
    observe(infer, m->config.name, "queue", queue_s);
    observe(infer, m->config.name, "input", input_s);
    observe(infer, m->config.name, "infer", run_s);
    observe(infer, m->config.name, "output", output_s);
    observe(infer, m->config.name, "total", total_s);
}

/* One run, before its requests are answered: who has an answer finds it counted. */
static void note_run(sq_infer *infer, sq_infer_model *m, size_t count, const moments *at)
{
    const char *const labels[] = {m->config.name};
    pthread_mutex_lock(&m->mutex);
    m->stats.runs++;
    sq_infer_batch_stats *batch = &m->stats.batches[count];
    batch->runs++;
    batch->input_s += at->input_s - at->start_s;
    batch->run_s += at->run_s - at->input_s;
    pthread_mutex_unlock(&m->mutex);
    sq_metric_observe(infer->m.batch, (double)count, labels);
}

void sq_infer_note_failure(sq_infer *infer, sq_infer_model *model, double seconds)
{
    const char *const labels[] = {model->config.name, "failed"};
    pthread_mutex_lock(&model->mutex);
    model->stats.failures++;
    model->stats.failure_s += seconds;
    pthread_mutex_unlock(&model->mutex);
    sq_metric_add(infer->m.requests, 1.0, labels);
}

void sq_infer_job_fail(sq_infer *infer, sq_infer_job *job, const squall_error *err)
{
    sq_infer_note_failure(infer, job->model, job->read_s + sq_clock_s() - job->queued_s);
    job->done(job->owner, err->code, NULL, err);
    sq_infer_job_destroy(&job);
}

/* The jobs' inputs behind one another; one alone is read where it lies. */
static void gather(const sq_infer_crew *crew, sq_infer_job **jobs, squall_tensor *inputs)
{
    for (size_t i = 0; i < crew->input_count; i++) {
        inputs[i] = crew->inputs[i];
        if (crew->count == 1) {
            inputs[i].data = jobs[0]->inputs[i].data;
            continue;
        }
        const size_t bytes = squall_tensor_bytes(&jobs[0]->inputs[i]);
        for (size_t k = 0; k < crew->count; k++) {
            memcpy((char *)inputs[i].data + k * bytes, jobs[k]->inputs[i].data, bytes);
        }
    }
}

/* The part of each output that is job `k`'s. */
static void find_outputs(const sq_infer_crew *crew, size_t k, sq_infer_job *job)
{
    for (size_t i = 0; i < crew->output_count; i++) {
        job->outputs[i] = crew->outputs[i];
        if (crew->count > 1) {
            job->outputs[i].dims[0] /= (int64_t)crew->count;
            job->outputs[i].data =
                (char *)crew->outputs[i].data + k * squall_tensor_bytes(&job->outputs[i]);
        }
    }
}

static void answer(sq_infer *infer, sq_infer_job *job, size_t count, const moments *at)
{
    sq_infer_reply reply;
    squall_error err = {.code = SQUALL_OK};
    const double start_s = sq_clock_s();
    if (write_reply(job, &reply, &err) != SQUALL_OK) {
        sq_infer_job_fail(infer, job, &err);
        return;
    }
    note(infer, job, count, at, start_s, sq_clock_s());
    job->done(job->owner, SQUALL_OK, &reply, &err);
    sq_infer_job_destroy(&job);
}

/* One run of `count` jobs; what fails is answered so. A batch that cannot be is run one by one. */
static void run_once(sq_infer *infer, sq_infer_job **jobs, size_t count, double start_s)
{
    squall_tensor inputs[SQ_INFER_TENSORS];
    squall_error err = {.code = SQUALL_OK};
    sq_infer_crew *crew = NULL;
    sq_infer_model *m = jobs[0]->model;
    moments at = {.start_s = start_s};
    atomic_fetch_add(&m->refs, 1); /* the jobs' own go with them */
    squall_status status = sq_infer_crew_borrow(m, jobs[0]->inputs, jobs[0]->input_count, count,
                                                jobs[0]->threads, &crew, &err);
    if (status != SQUALL_OK && count > 1) {
        const int32_t threads = jobs[0]->threads;
        for (size_t k = 0; k < count; k++) {
            jobs[k]->threads = threads;
            run_once(infer, &jobs[k], 1, start_s);
        }
        sq_infer_drop(&m);
        return;
    }
    if (status == SQUALL_OK) {
        gather(crew, jobs, inputs);
        at.input_s = sq_clock_s();
        status = squall_context_run(crew->context, inputs, crew->input_count, crew->outputs,
                                    crew->output_count, &err);
        at.run_s = sq_clock_s();
    }
    if (status == SQUALL_OK) {
        note_run(infer, m, count, &at);
    }
    for (size_t k = 0; k < count; k++) {
        if (status != SQUALL_OK) {
            sq_infer_job_fail(infer, jobs[k], &err);
            continue;
        }
        find_outputs(crew, k, jobs[k]);
        answer(infer, jobs[k], count, &at);
    }
    if (crew != NULL) {
        sq_infer_crew_return(m, crew);
    }
    sq_infer_drop(&m);
}

void sq_infer_run_jobs(sq_infer *infer, sq_infer_job **jobs, size_t count)
{
    run_once(infer, jobs, count, sq_clock_s());
}
