/* svc/infer/infer_write.c - what models are and did, in the words of the protocol. */
#include <string.h>

#include "svc/infer/infer_private.h"

void sq_infer_describe(const squall_engine *engine, bool input, size_t index, const char **name,
                       squall_tensor *out)
{
    squall_error unused;
    int64_t least = 0, most = 0;
    *name = "";
    *out = (squall_tensor){0};
    for (size_t p = 0; p < squall_engine_profile_count(engine); p++) {
        squall_tensor type;
        const squall_status status =
            input ? squall_engine_input(engine, p, index, name, &type, &unused)
                  : squall_engine_output(engine, p, index, name, &type, &unused);
        if (status != SQUALL_OK) {
            continue;
        }
        if (p == 0) {
            *out = type;
        }
        for (uint32_t d = 0; d < out->rank; d++) {
            out->dims[d] =
                type.rank == out->rank && type.dims[d] == out->dims[d] ? type.dims[d] : -1;
        }
        /* The batch of an output is that of the inputs, where it is open. */
        if (out->rank > 0 &&
            squall_engine_batches(engine, p, input ? index : 0, &least, &most, &unused) ==
                SQUALL_OK &&
            least != most) {
            out->dims[0] = -1;
        }
    }
}

static void write_tensors(const squall_engine *engine, bool input, bool config, sq_json *json)
{
    const size_t count =
        input ? squall_engine_input_count(engine) : squall_engine_output_count(engine);
    sq_json_array(json, config ? (input ? "input" : "output") : (input ? "inputs" : "outputs"));
    for (size_t i = 0; i < count; i++) {
        const char *name;
        squall_tensor type;
        sq_infer_describe(engine, input, i, &name, &type);
        const char *word = sq_infer_type_name(type.dtype);
        sq_json_object(json, NULL);
        sq_json_text(json, "name", name);
        if (config) {
            sq_json_format(json, "data_type", "TYPE_%s", word != NULL ? word : "INVALID");
        } else {
            sq_json_text(json, "datatype", word);
        }
        sq_json_array(json, config ? "dims" : "shape");
        for (uint32_t d = 0; d < type.rank; d++) {
            sq_json_int(json, NULL, type.dims[d]);
        }
        sq_json_end_array(json);
        sq_json_end_object(json);
    }
    sq_json_end_array(json);
}

void sq_infer_write_metadata(sq_infer_model *model, sq_json *json)
{
    sq_json_object(json, NULL);
    sq_json_text(json, "name", model->config.name);
    sq_json_array(json, "versions");
    sq_json_text(json, NULL, SQ_INFER_VERSION);
    sq_json_end_array(json);
    sq_json_text(json, "platform", "squall_engine");
    write_tensors(model->engine, true, false, json);
    write_tensors(model->engine, false, false, json);
    sq_json_end_object(json);
}

void sq_infer_write_config(sq_infer_model *model, sq_json *json)
{
    sq_json_object(json, NULL);
    sq_json_text(json, "name", model->config.name);
    sq_json_text(json, "platform", "squall_engine");
    sq_json_text(json, "backend", "squall");
    /* 0: the batch is one of the sizes in dims, as it is in the requests. */
    sq_json_int(json, "max_batch_size", 0);
    write_tensors(model->engine, true, true, json);
    write_tensors(model->engine, false, true, json);
    sq_json_object(json, "dynamic_batching");
    sq_json_array(json, "preferred_batch_size");
    for (size_t i = 1; i < model->size_count; i++) {
        sq_json_int(json, NULL, (int64_t)model->sizes[i]);
    }
    sq_json_end_array(json);
    sq_json_int(json, "max_queue_delay_microseconds",
                (int64_t)(model->config.queue_delay_ms * 1e3));
    sq_json_end_object(json);
    sq_json_raw(json, "version_policy", "{\"latest\":{\"num_versions\":1}}");
    sq_json_end_object(json);
}

/* All models, kept; `*count` of them. NULL without memory. */
static sq_infer_model **keep_all(sq_infer *infer, size_t *count)
{
    pthread_mutex_lock(&infer->mutex);
    sq_infer_model **models = sq_alloc(infer->count > 0 ? infer->count : 1, sizeof *models);
    for (size_t i = 0; models != NULL && i < infer->count; i++) {
        models[i] = infer->models[i];
        atomic_fetch_add(&models[i]->refs, 1);
    }
    *count = models != NULL ? infer->count : 0;
    pthread_mutex_unlock(&infer->mutex);
    return models;
}

void sq_infer_write_index(sq_infer *infer, bool ready_only, sq_json *json)
{
    size_t count;
    sq_infer_model **models = keep_all(infer, &count);
    sq_json_array(json, NULL);
    for (size_t i = 0; i < count; i++) {
        const bool ready = models[i]->engine != NULL;
        if (ready || !ready_only) {
            sq_json_object(json, NULL);
            sq_json_text(json, "name", models[i]->config.name);
            sq_json_text(json, "version", SQ_INFER_VERSION);
            sq_json_text(json, "state", ready ? "READY" : "UNAVAILABLE");
            sq_json_text(json, "reason", models[i]->reason);
            sq_json_end_object(json);
        }
        sq_infer_drop(&models[i]);
    }
    sq_json_end_array(json);
    json->text.failed = json->text.failed || models == NULL;
    sq_free(models);
}

/* ---------------------------------------------------------------- statistics */

static void write_duration(const char *name, uint64_t count, double seconds, sq_json *json)
{
    sq_json_object(json, name);
    sq_json_int(json, "count", (int64_t)count);
    sq_json_int(json, "ns", (int64_t)(seconds * 1e9));
    sq_json_end_object(json);
}

static void write_one(sq_infer_model *m, sq_json *json)
{
    pthread_mutex_lock(&m->mutex);
    const sq_infer_stats s = m->stats;
    pthread_mutex_unlock(&m->mutex);
    sq_json_object(json, NULL);
    sq_json_text(json, "name", m->config.name);
    sq_json_text(json, "version", SQ_INFER_VERSION);
    sq_json_int(json, "last_inference", s.last);
    sq_json_int(json, "inference_count", (int64_t)s.successes);
    sq_json_int(json, "execution_count", (int64_t)s.runs);
    sq_json_object(json, "inference_stats");
    write_duration("success", s.successes, s.success_s, json);
    write_duration("fail", s.failures, s.failure_s, json);
    write_duration("queue", s.successes, s.queue_s, json);
    write_duration("compute_input", s.successes, s.input_s, json);
    write_duration("compute_infer", s.successes, s.run_s, json);
    write_duration("compute_output", s.successes, s.output_s, json);
    sq_json_end_object(json);
    sq_json_array(json, "batch_stats");
    for (size_t i = 1; i <= SQ_INFER_BATCH; i++) {
        const sq_infer_batch_stats *batch = &s.batches[i];
        if (batch->runs > 0) {
            sq_json_object(json, NULL);
            sq_json_int(json, "batch_size", (int64_t)i);
            write_duration("compute_input", batch->runs, batch->input_s, json);
            write_duration("compute_infer", batch->runs, batch->run_s, json);
            write_duration("compute_output", batch->runs, batch->output_s, json);
            sq_json_end_object(json);
        }
    }
    sq_json_end_array(json);
    sq_json_end_object(json);
}

void sq_infer_write_stats(sq_infer *infer, sq_infer_model *model, sq_json *json)
{
    size_t count = 0;
    sq_infer_model **models = model == NULL ? keep_all(infer, &count) : NULL;
    sq_json_object(json, NULL);
    sq_json_array(json, "model_stats");
    if (model != NULL) {
        write_one(model, json);
    }
    for (size_t i = 0; i < count; i++) {
        write_one(models[i], json);
        sq_infer_drop(&models[i]);
    }
    sq_json_end_array(json);
    sq_json_end_object(json);
    json->text.failed = json->text.failed || (model == NULL && models == NULL);
    sq_free(models);
}
