/* tests/unit/nn/compile/test_compile_tune.c - times of tactics: kept, merged, chosen by, replayed
 * to the same bytes. Nothing is timed here: a function hands out the times. */
#include <stdio.h>
#include <unistd.h>

#include "nn/compile/compile_tactics.h"
#include "nn/graph/graph_fixture.h"
#include "nn/onnx/onnx.h"
#include "nn/ref/ref.h"

#define MODEL SQUALL_SOURCE_DIR "/tests/data/compile/small_unet.onnx"
#define FILE_ "test_compile_tune.json"

static sq_time entry(const char *device, const char *tactic, double median_s, double spread_s)
{
    return (sq_time){.device = (char *)(uintptr_t)device,
                     .build = (char *)(uintptr_t) "0.1.0, gcc",
                     .step = (char *)(uintptr_t) "Relu.17{}(float32[4])->(float32[4])",
                     .tactic = (char *)(uintptr_t)tactic,
                     .median_s = median_s,
                     .spread_s = spread_s};
}

static const sq_time *find(const sq_times *times, const char *device, const char *tactic)
{
    const sq_time key = entry(device, tactic, 1, 0);
    return sq_times_find(times, device, key.build, key.step, tactic);
}

static void add(sq_times *times, const char *device, const char *tactic, double median_s,
                double spread_s)
{
    const sq_time time = entry(device, tactic, median_s, spread_s);
    assert_int_equal(sq_times_add(times, &time, NULL), SQUALL_OK);
}

static void test_file(void **state)
{
    (void)state;
    sq_times times = {0}, back = {0};
    squall_error err;
    add(&times, "b", "cpu:two", 0.1 / 3, 1e-7);
    add(&times, "b", "cpu:one", 2e-3, 0);
    add(&times, "a \"quoted\" \\ name", "ref:ref", 1, 0.5);
    add(&times, "b", "cpu:one", 3e-3, 0); /* slower: the first stays */
    assert_int_equal(times.count, 3);
    assert_true(find(&times, "b", "cpu:one")->median_s == 2e-3);
    assert_null(find(&times, "c", "cpu:one"));
    assert_int_equal(sq_times_write(&times, FILE_, &err), SQUALL_OK);
    assert_int_equal(sq_times_read(&back, FILE_, &err), SQUALL_OK);
    assert_int_equal(back.count, 3);
    for (size_t i = 0; i < 3; i++) { /* to the bit, in the same order */
        assert_string_equal(back.items[i].device, times.items[i].device);
        assert_string_equal(back.items[i].tactic, times.items[i].tactic);
        assert_true(back.items[i].median_s == times.items[i].median_s);
        assert_true(back.items[i].spread_s == times.items[i].spread_s);
    }
    sq_times_free(&times);
    sq_times_free(&back);
    unlink(FILE_);
}

/* Merged in either order: the same bytes. */
static void test_merge(void **state)
{
    (void)state;
    sq_times a = {0}, b = {0};
    squall_error err;
    unsigned char *first, *second;
    size_t first_size, second_size, total;
    add(&a, "m", "cpu:one", 2e-3, 1e-6);
    add(&a, "m", "cpu:two", 5e-3, 1e-6);
    add(&b, "m", "cpu:one", 1e-3, 2e-6);
    add(&b, "m", "cpu:two", 5e-3, 5e-7);
    add(&b, "n", "cpu:one", 1, 0);
    assert_int_equal(sq_times_write(&a, "a.json", &err), SQUALL_OK);
    assert_int_equal(sq_times_write(&b, "b.json", &err), SQUALL_OK);
    static const char *const ab[] = {"a.json", "b.json"}, *const ba[] = {"b.json", "a.json"};
    assert_int_equal(squall_tactics_merge(ab, 2, "ab.json", &total, &err), SQUALL_OK);
    assert_int_equal(total, 3);
    assert_int_equal(squall_tactics_merge(ba, 2, "a.json", NULL, &err), SQUALL_OK); /* in place */
    assert_int_equal(sq_file_read("ab.json", 1 << 20, &first, &first_size, &err), SQUALL_OK);
    assert_int_equal(sq_file_read("a.json", 1 << 20, &second, &second_size, &err), SQUALL_OK);
    assert_int_equal(first_size, second_size);
    assert_memory_equal(first, second, first_size);
    sq_times_free(&a);
    assert_int_equal(sq_times_read(&a, "ab.json", &err), SQUALL_OK);
    assert_true(find(&a, "m", "cpu:one")->median_s == 1e-3);
    assert_true(find(&a, "m", "cpu:two")->spread_s == 5e-7);
    sq_free(first);
    sq_free(second);
    sq_times_free(&a);
    sq_times_free(&b);
    unlink("a.json");
    unlink("b.json");
    unlink("ab.json");
}

static void test_hostile_files(void **state)
{
    (void)state;
#define GOOD     "\"device\":\"d\",\"build\":\"b\",\"step\":\"s\",\"tactic\":\"t\","
#define TIMES(x) "{\"format\":\"squall tactics 1\",\"times\":[" x "]}"
    static const char *const bad[] = {
        "",
        "[",
        "[]",
        "{}",
        "{\"format\":\"squall tactics 2\",\"times\":[]}",
        "{\"format\":\"squall tactics 1\",\"times\":{}}",
        "{\"format\":1,\"times\":[]}",
        TIMES("1"),
        TIMES("{}"),
        TIMES("{" GOOD "\"median_s\":1}"),
        TIMES("{" GOOD "\"median_s\":0,\"spread_s\":0}"),
        TIMES("{" GOOD "\"median_s\":-1,\"spread_s\":0}"),
        TIMES("{" GOOD "\"median_s\":1,\"spread_s\":-1}"),
        TIMES("{" GOOD "\"median_s\":1e999,\"spread_s\":0}"),
        TIMES("{" GOOD "\"median_s\":\"1\",\"spread_s\":0}"),
        TIMES("{\"device\":\"\",\"build\":\"b\",\"step\":\"s\",\"tactic\":\"t\",\"median_s\":1,"
              "\"spread_s\":0}"),
        TIMES("{\"device\":\"a\\u0000b\",\"build\":\"b\",\"step\":\"s\",\"tactic\":\"t\","
              "\"median_s\":1,\"spread_s\":0}"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sq_times times = {0};
        squall_error err = {.code = SQUALL_OK};
        const squall_status status =
            sq_times_parse(&times, bad[i], strlen(bad[i]), "bad.json", &err);
        if (status != SQUALL_E_FORMAT || err.text[0] == '\0') {
            fail_msg("case %zu: %s", i, squall_status_name(status));
        }
        sq_times_free(&times);
    }
    sq_times times = {0};
    const char *good = TIMES("{" GOOD "\"median_s\":1,\"spread_s\":0}");
    assert_int_equal(sq_times_parse(&times, good, strlen(good), "good.json", NULL), SQUALL_OK);
    assert_int_equal(times.count, 1);
    sq_times_free(&times);
}

/* Attributes in another order and another name are the same step; another size is not. */
static void test_keys(void **state)
{
    (void)state;
    sq_attrs attrs[2] = {{.opset = 17}, {.opset = 17}};
    squall_tensor in[2] = {{.dtype = SQUALL_F32, .rank = 2, .dims = {3, 4}}}, out = in[0];
    assert_true(sq_attr_set_int(&attrs[0], "group", 2) &&
                sq_attr_set_float(&attrs[0], "alpha", .5f));
    assert_true(sq_attr_set_float(&attrs[1], "alpha", .5f) &&
                sq_attr_set_int(&attrs[1], "group", 2));
    sq_text keys[3] = {{0}};
    for (int i = 0; i < 3; i++) {
        in[0].dims[1] = i == 2 ? 5 : 4;
        const sq_step step = {.op = SQ_OP_Elu,
                              .name = i == 0 ? "first" : "second",
                              .attrs = &attrs[i % 2],
                              .in_count = 2,
                              .out_count = 1,
                              .in = in,
                              .out = &out};
        assert_true(sq_step_key(&step, &keys[i]));
    }
    assert_string_equal(keys[0].data,
                        "Elu.17{alpha=0.5;group=2;}(float32[3,4], -)->(float32[3,4])");
    assert_string_equal(keys[0].data, keys[1].data);
    assert_string_not_equal(keys[0].data, keys[2].data);
    for (int i = 0; i < 3; i++) {
        sq_text_free(&keys[i]);
    }
    sq_attrs_free(&attrs[0]);
    sq_attrs_free(&attrs[1]);
}

/* ---- Choosing. ---- */

static double now_s;
static double fake_clock(void)
{
    return now_s;
}

/* Times by the tactic's name, and what was asked. */
typedef struct fake {
    const char *names[8];
    double medians[8];
    uint32_t asked;
} fake;

static squall_status fake_measure(void *self, const sq_step *step, const sq_candidate *candidate,
                                  int threads, double *median_s, double *spread_s,
                                  squall_error *err)
{
    (void)step;
    (void)threads;
    (void)err;
    fake *table = self;
    table->asked++;
    now_s += 1;
    *spread_s = 1e-9;
    for (size_t i = 0; i < 8; i++) {
        if (table->names[i] != NULL && strcmp(table->names[i], candidate->tactic.name) == 0) {
            *median_s = table->medians[i];
            return SQUALL_OK;
        }
    }
    fail_msg("'%s' should not be measured", candidate->tactic.name);
    return SQUALL_OK;
}

static sq_candidate candidate(const char *name, double cost, double extra_s)
{
    sq_candidate made = {.backend = &sq_ref_backend, .extra_s = extra_s};
    snprintf(made.tactic.name, sizeof made.tactic.name, "%s", name);
    made.tactic.cost = cost;
    return made;
}

static sq_tuner make_tuner(sq_times *times, fake *table, double budget_s)
{
    now_s = 0;
    return (sq_tuner){.device = "d",
                      .build = "b",
                      .threads = 1,
                      .times = times,
                      .budget_s = budget_s,
                      .clock_s = fake_clock,
                      .measure = fake_measure,
                      .self = table};
}

/* Of five tactics the four that are guessed best are measured; the shortest with its reorders wins.
 */
static void test_choice(void **state)
{
    (void)state;
    sq_times times = {0};
    fake table = {{"a", "b", "c", "d"}, {4e-2, 1e-2, 2e-2, 3e-2}, 0};
    sq_tuner tuner = make_tuner(&times, &table, 100);
    squall_tensor in = {.dtype = SQUALL_F32, .rank = 1, .dims = {4}}, out = in;
    sq_attrs attrs = {.opset = 17};
    const sq_step step = {SQ_OP_Relu, "r", &attrs, 1, 1, &in, &out};
    sq_candidate all[] = {candidate("e", 9e-2, 0), candidate("a", 1e-2, 0),
                          candidate("b", 2e-2, 1.5e-2), candidate("c", 3e-2, 0),
                          candidate("d", 4e-2, 0)};
    uint32_t chosen = 99;
    assert_int_equal(sq_choose_tuned(&tuner, &step, all, 5, &chosen, NULL), SQUALL_OK);
    assert_int_equal(table.asked, 4);
    assert_int_equal(tuner.measured, 4);
    assert_int_equal(tuner.known, 1);
    assert_true(tuner.spent_s == 4);
    assert_string_equal(all[chosen].tactic.name, "c"); /* b takes 10 ms and 15 ms of reorders */
    assert_true(all[chosen].median_s == 2e-2 && all[0].median_s == 0);
    /* Known now: nothing is asked again, whatever the order of the candidates. */
    sq_candidate turned[] = {candidate("c", 0, 0), candidate("b", 0, 0), candidate("e", 0, 0)};
    assert_int_equal(sq_choose_tuned(&tuner, &step, turned, 2, &chosen, NULL), SQUALL_OK);
    assert_int_equal(table.asked, 4);
    assert_string_equal(turned[chosen].tactic.name, "b");
    /* Another device or build knows nothing of it. */
    sq_tuner elsewhere = make_tuner(&times, &table, 0);
    elsewhere.device = "another";
    assert_int_equal(sq_choose_tuned(&elsewhere, &step, turned, 2, &chosen, NULL), SQUALL_OK);
    assert_int_equal(elsewhere.guessed, 1);
    assert_int_equal(chosen, 0);
    sq_times_free(&times);
}

/* What is guessed to be far slower is not worth a measurement, unless it is short anyway. */
static void test_not_worth_it(void **state)
{
    (void)state;
    squall_tensor in = {.dtype = SQUALL_F32, .rank = 1, .dims = {4}}, out = in;
    sq_attrs attrs = {.opset = 17};
    const sq_step step = {SQ_OP_Relu, "r", &attrs, 1, 1, &in, &out};
    for (int small = 0; small <= 1; small++) {
        sq_times times = {0};
        fake table = {{"fast", "slow"}, {1e-2, 1e-3}, 0};
        sq_tuner tuner = make_tuner(&times, &table, 100);
        const double unit = small ? 1e-5 : 1e-2;
        sq_candidate all[] = {candidate("slow", 20 * unit, 0), candidate("fast", unit, 0)};
        uint32_t chosen;
        assert_int_equal(sq_choose_tuned(&tuner, &step, all, 2, &chosen, NULL), SQUALL_OK);
        assert_int_equal(table.asked, small ? 2 : 0);
        assert_string_equal(all[chosen].tactic.name, small ? "slow" : "fast");
        sq_times_free(&times);
    }
}

/* The budget ends measuring; what was measured before is used, and a later build goes on. */
static void test_budget_and_resume(void **state)
{
    (void)state;
    squall_tensor in = {.dtype = SQUALL_F32, .rank = 1, .dims = {4}}, out = in;
    sq_attrs attrs = {.opset = 17};
    const sq_step step = {SQ_OP_Relu, "r", &attrs, 1, 1, &in, &out};
    sq_times times = {0};
    fake table = {{"a", "b", "c"}, {3e-2, 2e-2, 1e-2}, 0};
    sq_candidate all[] = {candidate("a", 1e-2, 0), candidate("b", 2e-2, 0),
                          candidate("c", 3e-2, 0)};
    uint32_t chosen;
    sq_tuner tuner = make_tuner(&times, &table, 1.5); /* two measurements begin within it */
    tuner.path = FILE_;
    unlink(FILE_);
    assert_int_equal(sq_choose_tuned(&tuner, &step, all, 3, &chosen, NULL), SQUALL_OK);
    assert_int_equal(table.asked, 2);
    assert_string_equal(all[chosen].tactic.name, "b");
    sq_times_free(&times);
    /* As if the build had been stopped there: the file has both times. */
    assert_int_equal(sq_times_read(&times, FILE_, NULL), SQUALL_OK);
    assert_int_equal(times.count, 2);
    sq_candidate again[] = {candidate("a", 1e-2, 0), candidate("b", 2e-2, 0),
                            candidate("c", 3e-2, 0)};
    sq_tuner later = make_tuner(&times, &table, 100);
    later.path = FILE_;
    assert_int_equal(sq_choose_tuned(&later, &step, again, 3, &chosen, NULL), SQUALL_OK);
    assert_int_equal(table.asked, 3);
    assert_string_equal(again[chosen].tactic.name, "c");
    /* What another process has added meanwhile is not lost. */
    sq_times other = {0};
    add(&other, "elsewhere", "cpu:x", 1, 0);
    assert_int_equal(sq_times_read(&other, FILE_, NULL), SQUALL_OK);
    assert_int_equal(sq_times_write(&other, FILE_, NULL), SQUALL_OK);
    in.dims[0] = out.dims[0] = 5;
    sq_candidate fresh[] = {candidate("a", 1e-2, 0), candidate("b", 2e-2, 0)};
    assert_int_equal(sq_choose_tuned(&later, &step, fresh, 2, &chosen, NULL), SQUALL_OK);
    sq_times_free(&other);
    assert_int_equal(sq_times_read(&other, FILE_, NULL), SQUALL_OK);
    assert_non_null(find(&other, "elsewhere", "cpu:x"));
    assert_int_equal(other.count, 6);
    sq_times_free(&other);
    sq_times_free(&times);
    unlink(FILE_);
}

/* ---- Whole builds. ---- */

/* A time for everything, from the names alone: another for each tactic and step. */
static squall_status any_measure(void *self, const sq_step *step, const sq_candidate *candidate,
                                 int threads, double *median_s, double *spread_s, squall_error *err)
{
    (void)threads;
    (void)err;
    uint32_t *asked = self;
    uint32_t hash = 2166136261u;
    ++*asked;
    for (const char *p = candidate->tactic.name; *p != '\0'; p++) {
        hash = (hash ^ (unsigned char)*p) * 16777619u;
    }
    hash = (hash ^ (uint32_t)step->in[0].dims[1]) * 16777619u;
    *median_s = 1e-6 * (double)(hash % 1000 + 1) / 3.0;
    *spread_s = 1e-8;
    return SQUALL_OK;
}

static void build(const sq_graph *graph, sq_tuner *tuner, unsigned char **bytes, size_t *size)
{
    static const squall_input_shape shape = {.rank = 4, .dims = {1, 3, 16, 16}};
    const unsigned char hash[SQ_HASH_BYTES] = {0};
    squall_build_options options;
    squall_build_report report = {0};
    squall_error err = {.code = SQUALL_OK};
    squall_build_options_init(&options);
    options.threads = 2;
    options.shapes = &shape;
    options.shape_count = 1;
    const sq_compile_job job = {.graph = graph,
                                .options = &options,
                                .optimise = true,
                                .model_hash = hash,
                                .choose = sq_choose_tuned,
                                .chooser = tuner,
                                .report = &report};
    if (sq_compile_run(&job, bytes, size, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
}

/* A tuned build, and one that only replays its file: the same engine, times of losers included. */
static void test_replay(void **state)
{
    (void)state;
    sq_graph *graph = NULL;
    squall_error err;
    assert_int_equal(sq_onnx_read(MODEL, &graph, NULL, &err), SQUALL_OK);
    sq_times times = {0}, back = {0};
    uint32_t asked = 0;
    unsigned char *first, *second;
    size_t first_size, second_size;
    unlink(FILE_);
    sq_tuner tuner = make_tuner(&times, NULL, 1e9);
    tuner.measure = any_measure;
    tuner.self = &asked;
    tuner.path = FILE_;
    build(graph, &tuner, &first, &first_size);
    assert_true(asked > 0 && tuner.measured == asked && tuner.guessed == 0);
    assert_int_equal(sq_times_read(&back, FILE_, &err), SQUALL_OK);
    sq_tuner replay = make_tuner(&back, NULL, 0);
    replay.measure = NULL; /* would crash */
    replay.strict = true;
    build(graph, &replay, &second, &second_size);
    assert_int_equal(replay.guessed, 0);
    assert_int_equal(replay.known, tuner.known);
    assert_int_equal(first_size, second_size);
    assert_memory_equal(first, second, first_size);
    /* The engine knows what was weighed. */
    sq_engine_file file;
    uint32_t losers = 0, timed = 0;
    assert_int_equal(sq_engine_read(second, second_size, "tuned", &file, &err), SQUALL_OK);
    for (uint32_t s = 0; s < file.device[0].step_count; s++) {
        const sq_plan_step *step = &file.device[0].steps[s];
        bool found = step->backend == SQ_PLAN_VIEW;
        for (uint32_t c = 0; c < step->candidate_count; c++) {
            const bool own = strcmp(step->candidates[c].tactic, step->tactic) == 0 &&
                             step->candidates[c].backend == step->backend;
            found = found || own;
            losers += !own;
            timed += step->candidates[c].median_s > 0;
        }
        assert_true(found);
    }
    assert_true(losers > 0 && timed >= 2);
    sq_engine_free(&file);
    sq_free(first);
    sq_free(second);
    sq_times_free(&times);
    sq_times_free(&back);
    sq_graph_destroy(&graph);
    unlink(FILE_);
}

/* The public road: strict without times is refused, with the steps in the notes. */
static void test_strict(void **state)
{
    (void)state;
    static const squall_input_shape shape = {.rank = 4, .dims = {1, 3, 16, 16}};
    squall_build_options options;
    squall_error err;
    sq_times none = {0};
    squall_notes *notes = squall_notes_create();
    squall_build_options_init(&options);
    options.threads = 1;
    options.shapes = &shape;
    options.shape_count = 1;
    options.tactics_strict = 1;
    assert_int_equal(squall_build(MODEL, &options, "tuned.sqe", NULL, notes, &err),
                     SQUALL_E_ARGUMENT);
    options.tactics_path = FILE_;
    unlink(FILE_);
    assert_int_equal(squall_build(MODEL, &options, "tuned.sqe", NULL, notes, &err), SQUALL_E_IO);
    assert_int_equal(sq_times_write(&none, FILE_, &err), SQUALL_OK);
    assert_int_equal(squall_build(MODEL, &options, "tuned.sqe", NULL, notes, &err),
                     SQUALL_E_MISMATCH);
    assert_non_null(strstr(err.text, sq_isa_name(sq_cpu_isa())));
    bool named = false;
    for (size_t i = 0; i < squall_notes_count(notes); i++) {
        named = named || strstr(squall_notes_get(notes, i), "no time for") != NULL;
    }
    assert_true(named);
    assert_int_equal(access("tuned.sqe", F_OK), -1);
    squall_notes_destroy(&notes);
    unlink(FILE_);
}

/* The real measurement: what it gives is a time, whatever the step; how long it is nobody can say
 * here. */
static void test_measure(void **state)
{
    (void)state;
    static const squall_input_shape shape = {.rank = 4, .dims = {1, 3, 16, 16}};
    squall_build_options options;
    squall_build_report report = {0};
    squall_error err = {.code = SQUALL_OK};
    sq_times times = {0};
    squall_build_options_init(&options);
    options.threads = 2;
    options.shapes = &shape;
    options.shape_count = 1;
    options.tune_seconds = 1000;
    options.tactics_path = FILE_;
    unlink(FILE_);
    if (squall_build(MODEL, &options, "tuned.sqe", &report, NULL, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    assert_int_equal(report.steps_by_guess, 0);
    assert_true(report.tactics_measured > 0 && report.steps_by_time > 0);
    assert_int_equal(sq_times_read(&times, FILE_, &err), SQUALL_OK);
    assert_int_equal(times.count, report.tactics_measured);
    for (size_t i = 0; i < times.count; i++) {
        assert_true(times.items[i].median_s > 0 && times.items[i].spread_s >= 0);
    }
    options.tactics_strict = 1;
    assert_int_equal(squall_build(MODEL, &options, "again.sqe", &report, NULL, &err), SQUALL_OK);
    assert_int_equal(report.tactics_measured, 0);
    unsigned char *first, *second;
    size_t first_size, second_size;
    assert_int_equal(sq_file_read("tuned.sqe", 1 << 24, &first, &first_size, &err), SQUALL_OK);
    assert_int_equal(sq_file_read("again.sqe", 1 << 24, &second, &second_size, &err), SQUALL_OK);
    assert_int_equal(first_size, second_size);
    assert_memory_equal(first, second, first_size);
    sq_free(first);
    sq_free(second);
    sq_times_free(&times);
    unlink("tuned.sqe");
    unlink("again.sqe");
    unlink(FILE_);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_hostile_files),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_not_worth_it),
        cmocka_unit_test(test_budget_and_resume),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_strict),
        cmocka_unit_test(test_measure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
