/* Requests to infer are read to the byte or refused with words; a model answers them, is unloaded
 * and loaded again. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "svc/infer/infer.h"

static squall_status read_text(const char *text, sq_infer_request *out, squall_error *err)
{
    return sq_infer_read((const unsigned char *)text, strlen(text), NULL, out, err);
}

static void test_json(void **state)
{
    static sq_infer_request r;
    squall_error err;
    (void)state;
    assert_int_equal(
        read_text("{\"id\":\"a\",\"inputs\":["
                  "{\"name\":\"i\",\"datatype\":\"INT16\",\"shape\":[2,2],\"data\":[[-32768,1],[2,"
                  "32767]]},"
                  "{\"name\":\"b\",\"datatype\":\"BOOL\",\"shape\":[2],\"data\":[true,0]},"
                  "{\"name\":\"d\",\"datatype\":\"FP64\",\"shape\":[],\"data\":[0.1]}],"
                  "\"outputs\":[{\"name\":\"y\",\"parameters\":{\"binary_data\":true}},"
                  "{\"name\":\"z\"}]}",
                  &r, &err),
        SQUALL_OK);
    assert_string_equal(r.id, "a");
    assert_int_equal(r.input_count, 3);
    const int16_t whole[4] = {-32768, 1, 2, 32767};
    assert_memory_equal(r.inputs[0].tensor.data, whole, sizeof whole);
    assert_int_equal(r.inputs[0].tensor.rank, 2);
    assert_memory_equal(r.inputs[1].tensor.data, "\1\0", 2);
    assert_true(*(const double *)r.inputs[2].tensor.data == 0.1);
    assert_int_equal(r.wish_count, 2);
    assert_true(r.wishes[0].binary && !r.wishes[1].binary);
    sq_infer_request_free(&r);
}

static void test_binary(void **state)
{
    static sq_infer_request r;
    static const char json[] = "{\"inputs\":[{\"name\":\"u\",\"datatype\":\"UINT8\",\"shape\":[1],"
                               "\"parameters\":{\"binary_data_size\":1}},"
                               "{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[2],\"parameters\":"
                               "{\"binary_data_size\":8}}],"
                               "\"parameters\":{\"binary_data_output\":true}}";
    const float values[2] = {1.5f, -2.0f};
    unsigned char body[512];
    char length[16];
    squall_error err;
    (void)state;
    const size_t header = sizeof json - 1;
    memcpy(body, json, header);
    body[header] = 7;
    memcpy(body + header + 1, values, sizeof values);
    snprintf(length, sizeof length, "%zu", header);
    for (size_t size = 0; size < header + 12; size++) { /* cut anywhere, or too long */
        const squall_status status = sq_infer_read(body, size, length, &r, &err);
        assert_int_equal(status == SQUALL_OK, size == header + 9);
        assert_int_equal(r.input_count, status == SQUALL_OK ? 2 : 0);
        if (status == SQUALL_OK) {
            assert_int_equal(*(const unsigned char *)r.inputs[0].tensor.data, 7);
            assert_memory_equal(r.inputs[1].tensor.data, values, sizeof values);
            assert_true(r.binary && r.wish_count == 0);
            sq_infer_request_free(&r);
        } else {
            assert_true(err.text[0] != '\0');
        }
    }
}

static void test_refusals(void **state)
{
    static sq_infer_request r;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "it is empty"},
        {"{}", "must be an object with inputs"},
        {"{\"inputs\":[{}]}", "must have a name"},
        {"{\"inputs\":[{\"name\":\"x\"}]}", "datatype must be"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\"}]}", "shape must be"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1.5]}]}", "shape[0]"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[9999999999]}]}", "at most"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"BF16\",\"shape\":[1],\"data\":[1]}]}",
         "no form in JSON"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[1],\"data\":[128]}]}",
         "128 is no INT8"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[1],\"data\":[1.0]}]}",
         "is no INT8"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"UINT8\",\"shape\":[100000000],\"data\":[1]}]"
         "}",
         "fewer than"},
        {"{\"id\":3,\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[1],\"data\":[1]}]"
         "}",
         "id must be"},
        {"{\"outputs\":3,\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[1],\"data\":["
         "1]}]}",
         "outputs must be"},
    };
    squall_error err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_not_equal(read_text(cases[i].text, &r, &err), SQUALL_OK);
        assert_non_null(strstr(err.text, cases[i].says));
        assert_int_equal(r.input_count, 0);
    }
    assert_string_equal(sq_infer_type_name(sq_infer_type_find("BF16")), "BF16");
    assert_int_equal(sq_infer_type_find("BYTES"), SQUALL_DTYPE_NONE);
}

static sq_config *make_config(const char *file)
{
    char text[1024];
    sq_config *config = NULL;
    squall_error err;
    const int length =
        snprintf(text, sizeof text,
                 "[source r]\nwatch = /tmp\n[region a]\nradar = r\n[engine good]\nfile = %s\n"
                 "[engine bad]\nfile = /nowhere\n",
                 file);
    squall_notes *notes = squall_notes_create();
    assert_int_equal(sq_config_parse(text, (size_t)length, "test", &config, notes, &err),
                     SQUALL_OK);
    squall_notes_destroy(&notes);
    return config;
}

/* An answer that is waited for. */
typedef struct outcome {
    pthread_mutex_t mutex;
    pthread_cond_t came;
    size_t done;
    squall_status status;
    sq_infer_reply reply;
    char text[400];
} outcome;

static outcome *make_outcome(void)
{
    outcome *o = calloc(1, sizeof *o);
    pthread_mutex_init(&o->mutex, NULL);
    pthread_cond_init(&o->came, NULL);
    return o;
}

static void on_done(void *owner, squall_status status, const sq_infer_reply *reply,
                    const squall_error *err)
{
    outcome *o = owner;
    pthread_mutex_lock(&o->mutex);
    o->done++;
    o->status = status;
    if (status == SQUALL_OK) {
        sq_free(o->reply.bytes);
        o->reply = *reply;
    } else {
        snprintf(o->text, sizeof o->text, "%s", err->text);
    }
    pthread_cond_signal(&o->came);
    pthread_mutex_unlock(&o->mutex);
}

static void wait_for(outcome *o)
{
    pthread_mutex_lock(&o->mutex);
    while (o->done == 0) {
        pthread_cond_wait(&o->came, &o->mutex);
    }
    pthread_mutex_unlock(&o->mutex);
}

/* Submit one and wait for its end. */
static squall_status run(sq_infer *infer, sq_infer_model *model, const sq_infer_request *request,
                         sq_infer_reply *reply, squall_error *err)
{
    outcome *o = make_outcome();
    squall_status status = sq_infer_submit(infer, model, request, 0.0, on_done, o, err);
    if (status == SQUALL_OK) {
        wait_for(o);
        status = o->status;
        *reply = o->reply;
    }
    free(o);
    return status;
}

/* The whole life of a model, with every allocation failing once. */
static void test_models(void **state)
{
    static sq_infer_request r;
    static unsigned char bytes[1 << 20];
    sq_config *config = make_config(SQUALL_SOURCE_DIR "/tests/data/engine/format_1.sqe");
    sq_infer *infer = sq_infer_create(NULL);
    sq_infer_reply reply;
    squall_error err;
    sq_json json = {0};
    (void)state;
    sq_infer_follow(infer, config);
    sq_infer_follow(infer, config); /* nothing new */
    assert_null(sq_infer_find(infer, "nothing"));
    sq_infer_model *bad = sq_infer_find(infer, "bad"), *good = sq_infer_find(infer, "good");
    assert_true(sq_infer_is_ready(good) && !sq_infer_is_ready(bad) && !sq_infer_all_ready(infer));
    sq_infer_write_metadata(good, &json);
    assert_non_null(
        strstr(json.text.data, "{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,3,-1,-1]}"));
    sq_infer_write_config(good, &json);
    sq_infer_write_index(infer, false, &json);
    assert_non_null(strstr(json.text.data, "\"state\":\"UNAVAILABLE\""));
    sq_json_free(&json);

    r.input_count = 1;
    snprintf(r.inputs[0].name, sizeof r.inputs[0].name, "x");
    r.inputs[0].tensor =
        (squall_tensor){.dtype = SQUALL_F32, .rank = 4, .dims = {2, 3, 6, 4}, .data = bytes};
    assert_int_equal(run(infer, bad, &r, &reply, &err), SQUALL_E_NO_DATA);
    size_t failed = 0;
    for (long n = 0; n < 60; n++) {
        r.binary = n % 2 == 0;
        sq_memory_fail_at(n);
        const squall_status status = run(infer, good, &r, &reply, &err);
        sq_memory_fail_at(-1);
        failed += status == SQUALL_E_MEMORY;
        if (status == SQUALL_OK) {
            assert_int_equal(reply.header_size > 0, r.binary);
            sq_free(reply.bytes);
        } else {
            assert_int_equal(status, SQUALL_E_MEMORY);
        }
    }
    assert_true(failed > 2);
    r.inputs[0].tensor.dtype = SQUALL_F64;
    assert_int_equal(run(infer, good, &r, &reply, &err), SQUALL_E_ARGUMENT);
    sq_infer_note_failure(infer, good, 0.5);
    sq_infer_write_stats(infer, NULL, &json);
    assert_non_null(strstr(json.text.data, "\"fail\":{\"count\":"));
    sq_json_free(&json);

    assert_int_equal(sq_infer_load(infer, "bad", &err), SQUALL_E_IO);
    assert_int_equal(sq_infer_unload(infer, "nothing", &err), SQUALL_E_NO_DATA);
    assert_int_equal(sq_infer_unload(infer, "bad", &err), SQUALL_OK);
    assert_true(sq_infer_all_ready(infer));
    assert_int_equal(sq_infer_unload(infer, "good", &err), SQUALL_OK);
    assert_true(sq_infer_is_ready(good)); /* who has it keeps it */
    sq_infer_drop(&good);
    good = sq_infer_find(infer, "good");
    assert_false(sq_infer_is_ready(good));
    assert_int_equal(sq_infer_load(infer, "good", &err), SQUALL_OK);
    sq_infer_drop(&good);
    good = sq_infer_find(infer, "good");
    assert_true(sq_infer_is_ready(good));
    sq_infer_drop(&good);
    sq_infer_drop(&bad);
    sq_infer_destroy(&infer);
    sq_config_destroy(&config);
}

enum { CALLERS = 11, VALUES = 3 * 6 * 4 };

/* Requests that wait together become batches, and each gets the answer that it gets alone. */
static void test_batches(void **state)
{
    sq_config *config = make_config(SQUALL_SOURCE_DIR "/tests/data/engine/format_1.sqe");
    sq_metrics *metrics = sq_metrics_create();
    static sq_infer_request requests[CALLERS];
    static float values[CALLERS][VALUES];
    outcome *outcomes[CALLERS], *more = make_outcome();
    sq_infer_reply alone[CALLERS];
    squall_error err;
    sq_json json = {0};
    sq_text text = {0};
    (void)state;
    snprintf(config->engines[0].batch, sizeof config->engines[0].batch, "2,4,8");
    config->engines[0].queue_delay_ms = 10000; /* until there are four: the engine takes no more */
    config->engines[0].queue = CALLERS;
    sq_infer *infer = sq_infer_create(metrics);
    sq_infer_follow(infer, config);
    sq_infer_model *good = sq_infer_find(infer, "good");
    for (size_t i = 0; i < CALLERS; i++) {
        sq_infer_request *r = &requests[i];
        r->input_count = 1;
        r->binary = true;
        snprintf(r->inputs[0].name, sizeof r->inputs[0].name, "x");
        r->inputs[0].tensor = (squall_tensor){.dtype = SQUALL_F32,
                                              .rank = 4,
                                              .dims = {1, 3, 6, 4},
                                              .data = values[i]};
        for (size_t k = 0; k < VALUES; k++) {
            values[i][k] = (float)(i * 7 + k) * 0.25f - 5.0f;
        }
    }
    for (size_t i = 0; i < CALLERS; i++) {
        outcomes[i] = make_outcome();
        assert_int_equal(sq_infer_submit(infer, good, &requests[i], 0.0, on_done, outcomes[i],
                                         &err),
                         SQUALL_OK);
    }
    for (size_t i = 0; i < 8; i++) {
        wait_for(outcomes[i]);
        assert_int_equal(outcomes[i]->status, SQUALL_OK);
    }
    sq_infer_update_metrics(infer);
    sq_metrics_write(metrics, false, &text);
    assert_non_null(strstr(text.data, "squall_infer_queue_requests{model=\"good\"} 3\n"));
    assert_non_null(strstr(text.data, "squall_infer_batch_requests_sum{model=\"good\"} 8\n"));
    sq_text_free(&text);

    /* Three wait, and seven more: some of them are run, the last are not. */
    for (size_t i = 0; i < CALLERS - 3 - 1; i++) {
        assert_int_equal(sq_infer_submit(infer, good, &requests[i], 0.0, on_done, more, &err),
                         SQUALL_OK);
    }
    sq_infer_stop(infer); /* all are answered when it returns, though not all were run */
    for (size_t i = 8; i < CALLERS; i++) {
        assert_int_equal(outcomes[i]->done, 1);
    }
    assert_int_equal(more->done, CALLERS - 3 - 1);
    assert_string_equal(more->text, "the service is stopping");
    assert_int_equal(sq_infer_submit(infer, good, &requests[0], 0.0, on_done, more, &err),
                     SQUALL_E_TIMEOUT);
    sq_infer_write_stats(infer, good, &json);
    assert_non_null(strstr(json.text.data, "{\"batch_size\":4,\"compute_input\":{\"count\":"));
    sq_json_free(&json);
    sq_infer_drop(&good);
    sq_infer_destroy(&infer);

    config->engines[0].queue_delay_ms = 0;
    infer = sq_infer_create(NULL);
    sq_infer_follow(infer, config);
    good = sq_infer_find(infer, "good");
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(run(infer, good, &requests[i], &alone[i], &err), SQUALL_OK);
        assert_int_equal(alone[i].size, outcomes[i]->reply.size);
        assert_memory_equal(alone[i].bytes, outcomes[i]->reply.bytes, alone[i].size);
        sq_free(alone[i].bytes);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        sq_free(outcomes[i]->reply.bytes);
        free(outcomes[i]);
    }
    sq_free(more->reply.bytes);
    free(more);
    sq_infer_drop(&good);
    sq_infer_destroy(&infer);
    sq_metrics_destroy(&metrics);
    sq_config_destroy(&config);
}

/* A queue that is full says so, and takes requests again when there is room. */
static void test_full(void **state)
{
    sq_config *config = make_config(SQUALL_SOURCE_DIR "/tests/data/engine/format_1.sqe");
    static sq_infer_request r;
    static float values[VALUES];
    outcome *o = make_outcome();
    squall_error err;
    (void)state;
    snprintf(config->engines[0].batch, sizeof config->engines[0].batch, "4");
    config->engines[0].queue_delay_ms = 10000;
    config->engines[0].queue = 3;
    sq_infer *infer = sq_infer_create(NULL);
    sq_infer_follow(infer, config);
    sq_infer_model *good = sq_infer_find(infer, "good");
    r.input_count = 1;
    snprintf(r.inputs[0].name, sizeof r.inputs[0].name, "x");
    r.inputs[0].tensor =
        (squall_tensor){.dtype = SQUALL_F32, .rank = 4, .dims = {1, 3, 6, 4}, .data = values};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(sq_infer_submit(infer, good, &r, 0.0, on_done, o, &err), SQUALL_OK);
    }
    assert_int_equal(sq_infer_submit(infer, good, &r, 0.0, on_done, o, &err), SQUALL_E_LIMIT);
    assert_non_null(strstr(err.text, "3 requests wait already"));
    sq_infer_drop(&good); /* its requests keep it */
    sq_infer_destroy(&infer);
    assert_int_equal(o->done, 3);
    free(o);
    sq_config_destroy(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),     cmocka_unit_test(test_binary),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_models),
        cmocka_unit_test(test_batches),  cmocka_unit_test(test_full),
    };
    return cmocka_run_group_tests_name("infer", tests, NULL, NULL);
}
