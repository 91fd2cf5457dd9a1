/* tests/unit/svc/release/test_release.c - the states of a rollout: what each event leads to, what
 * the analysis says, and that the state file is believed only as it was written. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "svc/release/release_private.h"

enum { NOW = 1000000 };

static sq_config_release limits(void)
{
    return (sq_config_release){.min_psnr_db = 20,
                               .max_latency_ratio = 1.5,
                               .latency_slack_ms = 10,
                               .max_memory_ratio = 2,
                               .max_csi_loss = 0.02,
                               .least_events = 100,
                               .patience_s = 600};
}

static sq_rollout on_trial(const char *steps)
{
    sq_rollout r = {.stable = 1};
    sq_step parsed[SQ_ROLLOUT_STEPS];
    size_t count = 0;
    strcpy(r.engine, "rain");
    strcpy(r.model, "drift");
    assert_int_equal(sq_steps_parse(steps, parsed, &count, NULL), SQUALL_OK);
    assert_int_equal(sq_rollout_start(&r, 2, parsed, count, NOW), SQ_MOVE_ROUTE);
    assert_int_equal(r.phase,
                     parsed[0].kind == SQ_STEP_PAUSE ? SQ_PHASE_PAUSED : SQ_PHASE_PROGRESSING);
    return r;
}

/* Both versions made a forecast, in so many seconds. */
static sq_move run(sq_rollout *r, double old_s, double new_s, double psnr_db)
{
    const sq_config_release l = limits();
    const sq_rollout_trial trial = {.made = {true, true},
                                    .seconds = {old_s, new_s},
                                    .psnr_db = psnr_db};
    return sq_rollout_try(r, &l, &trial, NOW + 10);
}

static sq_move rain(sq_rollout *r, uint64_t hits_old, uint64_t hits_new)
{
    const sq_config_release l = limits();
    const sq_skill a = {.hits = hits_old, .misses = 200 - hits_old},
                   b = {.hits = hits_new, .misses = 200 - hits_new};
    return sq_rollout_score(r, &l, &a, &b, NOW + 20);
}

static void test_steps(void **state)
{
    (void)state;
    sq_step steps[SQ_ROLLOUT_STEPS];
    size_t count = 0;
    sq_text text = {0};
    squall_error err;
    const char *all = "shadow:3,regions:nl+be:2,weight:25:4,pause:600,pause";
    assert_int_equal(sq_steps_parse(all, steps, &count, NULL), SQUALL_OK);
    assert_int_equal(count, 5);
    assert_string_equal(steps[1].regions, "nl,be");
    for (size_t i = 0; i < count; i++) {
        sq_text_add(&text, "%s", i > 0 ? "," : "");
        sq_step_format(&steps[i], &text);
    }
    assert_string_equal(text.data, all); /* and back again */
    sq_text_free(&text);
    static const char *const wrong[] = {"",         "shadow",     "shadow:0",     "shadow:x",
                                        "weight:5", "weight:0:1", "weight:101:1", "regions::1",
                                        "pause:-1", "canary:1:1", "weight:5:1:2"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(sq_steps_parse(wrong[i], steps, &count, &err), SQUALL_E_ARGUMENT);
    }
}

static void test_success(void **state)
{
    (void)state;
    sq_rollout r = on_trial("shadow:2,weight:50:1,pause:60");
    const sq_config_release l = limits();
    assert_int_equal(run(&r, 0.1, 0.1, 40), SQ_MOVE_NONE);
    assert_int_equal(rain(&r, 150, 149), SQ_MOVE_NONE); /* skill is enough, cycles are not */
    assert_int_equal(run(&r, 0.1, 0.1, 40), SQ_MOVE_ROUTE);
    assert_int_equal(r.step, 1);
    assert_int_equal(r.compared, 0); /* a step counts for itself; skill goes on */
    assert_int_equal(run(&r, 0.1, 0.1, 40), SQ_MOVE_ROUTE);
    assert_int_equal(r.phase, SQ_PHASE_PAUSED);
    assert_int_equal(sq_rollout_tick(&r, &l, r.since + 59), SQ_MOVE_NONE);
    assert_int_equal(sq_rollout_tick(&r, &l, r.since + 60), SQ_MOVE_PROMOTE);
    assert_int_equal(r.stable, 2);
    assert_int_equal(r.previous, 1);
    assert_int_equal(r.candidate, 0);
    assert_int_equal(r.phase, SQ_PHASE_HEALTHY);
    assert_int_equal(sq_rollout_undo(&r, 0, NOW), SQ_MOVE_PROMOTE);
    assert_int_equal(r.stable, 1);
    assert_int_equal(r.previous, 2);
    assert_int_equal(sq_rollout_undo(&r, 1, NOW), SQ_MOVE_NONE);
}

/* The first version of all has nothing to be held against. */
static void test_first(void **state)
{
    (void)state;
    sq_rollout r = on_trial("shadow:2");
    const sq_config_release l = limits();
    r.stable = 0;
    assert_int_equal(sq_rollout_tick(&r, &l, NOW), SQ_MOVE_PROMOTE);
    assert_int_equal(r.stable, 2);
    assert_int_equal(sq_rollout_undo(&r, 0, NOW), SQ_MOVE_NONE); /* nothing was before */
    assert_int_equal(sq_rollout_abort(&r, "late", NOW), SQ_MOVE_NONE);
    assert_int_equal(sq_rollout_pause(&r, NOW), SQ_MOVE_NONE);
    assert_int_equal(sq_rollout_promote(&r, false, NOW), SQ_MOVE_NONE);
    assert_int_equal(run(&r, 1, 1, 1), SQ_MOVE_NONE);
    assert_int_equal(rain(&r, 1, 1), SQ_MOVE_NONE);
}

static void test_failures(void **state)
{
    (void)state;
    const sq_config_release l = limits();
    sq_rollout_trial failed = {.made = {true, false}, .reason = {"", "wrong shape"}};
    sq_rollout r = on_trial("shadow:5,weight:50:1");
    assert_int_equal(sq_rollout_try(&r, &l, &failed, NOW), SQ_MOVE_ABORT);
    assert_int_equal(r.phase, SQ_PHASE_DEGRADED);
    assert_int_equal(r.stable, 1);
    assert_int_equal(r.candidate, 0);
    assert_non_null(strstr(r.message, "1 of 1 forecasts failed (wrong shape)"));
    r = on_trial("shadow:5");
    failed.made[0] = false; /* neither could: the frames were missing */
    assert_int_equal(sq_rollout_try(&r, &l, &failed, NOW), SQ_MOVE_NONE);
    assert_int_equal(r.tally[1].failures, 0);
    assert_int_equal(run(&r, 0.1, 0.1, 19.9), SQ_MOVE_ABORT);
    assert_non_null(strstr(r.message, "PSNR"));
    r = on_trial("shadow:5");
    assert_int_equal(run(&r, 0.1, 0.9, 40), SQ_MOVE_NONE); /* one run may be anything */
    assert_int_equal(run(&r, 0.1, 0.9, 40), SQ_MOVE_NONE);
    assert_int_equal(run(&r, 0.1, 0.9, 40), SQ_MOVE_ABORT);
    assert_non_null(strstr(r.message, "latency P50 is 900.0 ms"));
    r = on_trial("shadow:5");
    run(&r, 0.1, 0.1, 40);
    run(&r, 0.1, 0.1, 40);
    assert_int_equal(run(&r, 0.1, 0.5, 40), SQ_MOVE_ABORT); /* the tail alone */
    assert_non_null(strstr(r.message, "latency P99"));
    r = on_trial("shadow:5");
    r.tally[0].memory_bytes = 1e6;
    r.tally[1].memory_bytes = 2.1e6;
    assert_int_equal(run(&r, 0.1, 0.1, 40), SQ_MOVE_ABORT);
    assert_non_null(strstr(r.message, "2.1 MB"));
    r = on_trial("shadow:5");
    assert_int_equal(rain(&r, 150, 140), SQ_MOVE_ABORT);
    assert_non_null(strstr(r.message, "CSI is 0.700 where the version in service has 0.750"));
    r = on_trial("pause"); /* a failure is one in a pause, too */
    assert_int_equal(run(&r, 0.1, 0.1, 1), SQ_MOVE_ABORT);
}

static void test_inconclusive(void **state)
{
    (void)state;
    const sq_config_release l = limits();
    sq_rollout r = on_trial("shadow:1,weight:50:1");
    assert_int_equal(run(&r, 0.1, 0.1, 40), SQ_MOVE_SAVE);
    assert_int_equal(r.verdict, SQ_VERDICT_INCONCLUSIVE);
    assert_int_equal(r.step, 0);
    assert_int_equal(sq_rollout_tick(&r, &l, NOW + 599), SQ_MOVE_NONE);
    assert_int_equal(sq_rollout_tick(&r, &l, NOW + 600), SQ_MOVE_SAVE);
    assert_int_equal(r.phase, SQ_PHASE_PAUSED);
    assert_int_equal(rain(&r, 150, 150), SQ_MOVE_NONE); /* paused: somebody has to say so */
    assert_int_equal(sq_rollout_promote(&r, false, NOW + 700), SQ_MOVE_ROUTE);
    assert_int_equal(r.phase, SQ_PHASE_PROGRESSING);
    assert_int_equal(sq_rollout_pause(&r, NOW + 710), SQ_MOVE_SAVE);
    assert_int_equal(sq_rollout_pause(&r, NOW + 710), SQ_MOVE_NONE);
    assert_int_equal(sq_rollout_promote(&r, true, NOW + 720), SQ_MOVE_PROMOTE);
    sq_rollout s = on_trial("shadow:1");
    assert_int_equal(sq_rollout_abort(&s, "by hand", NOW), SQ_MOVE_ABORT);
    for (int i = 0; i < 2 * SQ_ROLLOUT_HISTORY; i++) { /* the oldest make room */
        s.candidate = 2;
        assert_int_equal(sq_rollout_abort(&s, "again", NOW + i), SQ_MOVE_ABORT);
    }
    assert_int_equal(s.history_count, SQ_ROLLOUT_HISTORY);
    assert_int_equal(s.history[SQ_ROLLOUT_HISTORY - 1].time, NOW + 2 * SQ_ROLLOUT_HISTORY - 1);
}

static void test_quantiles(void **state)
{
    (void)state;
    sq_tally tally = {.time_count = 0};
    const sq_skill none = {0};
    assert_true(isnan(sq_tally_quantile(&tally, 0.5)));
    assert_true(isnan(sq_skill_csi(&none)));
    for (int i = 0; i < 100; i++) {
        tally.times_s[tally.time_count++] = (float)((i * 37) % 100 + 1); /* 1..100, mixed */
    }
    assert_float_equal(sq_tally_quantile(&tally, 0.50), 50, 1e-6);
    assert_float_equal(sq_tally_quantile(&tally, 0.99), 99, 1e-6);
    sq_rollout r = on_trial("shadow:1000");
    rain(&r, 150, 150);
    for (int i = 0; i < SQ_ROLLOUT_TIMES + 9; i++) { /* no more than there is room for */
        run(&r, 0.1, 0.1, 40);
    }
    assert_int_equal(r.tally[1].time_count, SQ_ROLLOUT_TIMES);
}

static void test_json(void **state)
{
    (void)state;
    sq_rollout r = on_trial("shadow:1,regions:nl+be:2,pause"), back;
    sq_json json = {0}, again = {0}, people = {0};
    run(&r, 0.1, 0.1, 40);
    rain(&r, 150, 149);
    sq_rollout_write(&r, true, &json);
    assert_true(sq_rollout_read(json.text.data, json.text.length, &back));
    sq_rollout_write(&back, true, &again);
    assert_string_equal(json.text.data, again.text.data);
    assert_int_equal(back.skill[1].hits, 149);
    sq_rollout_write(&r, false, &people);
    assert_non_null(strstr(people.text.data, "\"latency_p50_s\""));
    assert_false(sq_rollout_read("{}", 2, &back));
    assert_false(sq_rollout_read("nonsense", 8, &back));
    sq_json_free(&json);
    sq_json_free(&again);
    sq_json_free(&people);
}

static void test_state_file(void **state)
{
    (void)state;
    squall_error err;
    unsigned char *bytes = NULL;
    size_t size = 0;
    sq_release_engine engine = {.rollout = on_trial("shadow:1")};
    sq_release release = {.engines = &engine, .count = 1, .ring_serial = 7};
    snprintf(release.state_path, sizeof release.state_path, "test_release.json");
    unlink(release.state_path);
    assert_int_equal(sq_release_load(&release, NULL), SQUALL_OK); /* none yet */
    assert_int_equal(sq_release_save(&release, NULL), SQUALL_OK);
    memset(&engine.rollout, 0, sizeof engine.rollout);
    strcpy(engine.rollout.engine, "rain");
    strcpy(engine.rollout.model, "drift");
    release.ring_serial = 0;
    assert_int_equal(sq_release_load(&release, NULL), SQUALL_OK);
    assert_int_equal(engine.rollout.candidate, 2);
    assert_int_equal(release.ring_serial, 7);
    strcpy(engine.rollout.model, "other"); /* the engine has another model now: begin anew */
    engine.rollout.candidate = 0;
    assert_int_equal(sq_release_load(&release, NULL), SQUALL_OK);
    assert_int_equal(engine.rollout.candidate, 0);
    assert_int_equal(sq_file_read(release.state_path, 1 << 20, &bytes, &size, NULL), SQUALL_OK);
    for (size_t i = 0; i < size; i += 3) { /* digits of the hash may change their case */
        bytes[i] ^= i < 64 ? 1 : 0x20;
        assert_int_equal(sq_file_write(release.state_path, bytes, size, NULL), SQUALL_OK);
        assert_int_equal(sq_release_load(&release, &err), SQUALL_E_CORRUPT);
        bytes[i] ^= i < 64 ? 1 : 0x20;
    }
    sq_free(bytes);
    unlink(release.state_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),        cmocka_unit_test(test_success),
        cmocka_unit_test(test_first),        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_inconclusive), cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_json),         cmocka_unit_test(test_state_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
