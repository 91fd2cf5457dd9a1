/* tests/unit/edge/lora/test_lora.c - messages, commands, time in the air, and what is sent when.
 * With an argument it prints messages and what they mean, for tests/checks/lora_codec.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/lora/lora.h"

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static const int64_t epoch_s = 1577836800; /* date -u -d 2020-01-01 +%s */

/* Anything that a message can hold; every fourth number is a bound. */
static int32_t within(uint32_t *seed, int32_t low, int32_t high)
{
    const uint32_t pick = next(seed) % 8;
    return pick == 0   ? low
           : pick == 1 ? high
                       : low + (int32_t)(next(seed) % (uint32_t)(high - low + 1));
}

static sq_lora_message random_message(uint32_t *seed)
{
    sq_lora_message m = {
        .kind = (sq_lora_kind)within(seed, 0, 3),
        .station = (uint16_t)within(seed, 0, 65535),
        .sequence = (uint16_t)within(seed, 0, 65535),
        .issue_s = epoch_s + 60 * (int64_t)within(seed, 0, (1 << 25) - 1) + within(seed, 0, 59),
        .status = (uint32_t)within(seed, 0, 255),
        .battery = within(seed, -1, 100),
        .confidence = within(seed, -1, 100),
    };
    if (m.kind == SQ_LORA_ANSWER) {
        m.counter = next(seed) << 16 ^ next(seed);
        m.result = (uint32_t)within(seed, 0, 127);
        return m;
    }
    m.threshold_tenths = within(seed, 0, 2000);
    m.lead_step_min = 5 * within(seed, 1, 8);
    m.sectors = (uint32_t)within(seed, 0, SQ_LORA_SECTORS);
    m.leads = (uint32_t)within(seed, 1, SQ_LORA_LEADS);
    for (uint32_t s = 0; s < m.sectors; s++) {
        m.sector[s].onset_min = within(seed, -1, 150);
        for (uint32_t l = 0; l < m.leads; l++) {
            m.sector[s].rate_tenths[l] = within(seed, -1, next(seed) % 2 ? 40 : 2500);
        }
    }
    return m;
}

static size_t encode(const sq_lora_message *m, uint8_t *bytes)
{
    squall_error err = {.code = SQUALL_OK};
    size_t size = 0;
    if (sq_lora_encode(m, bytes, &size, &err) != SQUALL_OK) {
        fail_msg("%s", err.text);
    }
    return size;
}

static squall_status decode(const uint8_t *bytes, size_t size, sq_lora_message *out)
{
    squall_error err = {.code = SQUALL_OK};
    return sq_lora_decode(bytes, size, out, &err);
}

/* ------------------------------------------------------------------ messages */

static void test_rates(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 63; code++) {
        const int32_t value = sq_lora_rate_value(code);
        assert_int_equal(sq_lora_rate_code(value), code);
        if (code > 0) {
            const int32_t before = sq_lora_rate_value(code - 1);
            assert_true(before < value);
            assert_true(code < 9 || (value - before) * 8 <= before);
        }
    }
    assert_int_equal(sq_lora_rate_value(62), SQ_LORA_MOST_RATE);
    assert_int_equal(sq_lora_rate_value(63), SQ_LORA_NO_RATE);
    assert_int_equal(sq_lora_rate_code(-1), 63);
    assert_int_equal(sq_lora_rate_code(INT32_MAX), 62);
    assert_int_equal(sq_lora_rate_value(sq_lora_rate_code(1)), 2); /* half way goes up */
    for (int32_t rate = 0; rate <= SQ_LORA_MOST_RATE; rate++) {
        const int32_t got = sq_lora_rate_value(sq_lora_rate_code(rate));
        for (uint32_t code = 0; code < 63; code++) {
            assert_true(abs(got - rate) <= abs(sq_lora_rate_value(code) - rate));
        }
    }
}

static int32_t rounded(int32_t rate)
{
    return sq_lora_rate_value(sq_lora_rate_code(rate));
}

static void test_round_trip(void **state)
{
    (void)state;
    uint32_t seed = 5;
    size_t longest = 0;
    for (int n = 0; n < 20000; n++) {
        const sq_lora_message m = random_message(&seed);
        uint8_t bytes[SQ_LORA_MOST_BYTES], again[SQ_LORA_MOST_BYTES];
        sq_lora_message got;
        const size_t size = encode(&m, bytes);
        assert_int_equal(decode(bytes, size, &got), SQUALL_OK);
        longest = size > longest ? size : longest;
        assert_int_equal(got.kind, m.kind);
        assert_int_equal(got.station, m.station);
        assert_int_equal(got.sequence, m.sequence);
        assert_true(got.issue_s == m.issue_s - (m.issue_s - epoch_s) % 60);
        assert_int_equal(got.status, m.status);
        assert_int_equal(got.battery, m.battery);
        assert_true(abs(got.confidence - m.confidence) <= 2 ||
                    (m.confidence < 0 && got.confidence < 0));
        assert_int_equal(got.counter, m.counter);
        assert_int_equal(got.result, m.result);
        assert_int_equal(got.sectors, m.sectors);
        assert_int_equal(got.threshold_tenths,
                         m.kind == SQ_LORA_ANSWER ? 0 : rounded(m.threshold_tenths));
        for (uint32_t s = 0; s < m.sectors; s++) {
            const int32_t onset = m.sector[s].onset_min;
            assert_int_equal(got.sector[s].onset_min, onset < 0 ? -1 : (onset + 4) / 5 * 5);
            for (uint32_t l = 0; l < m.leads; l++) {
                assert_int_equal(got.sector[s].rate_tenths[l], rounded(m.sector[s].rate_tenths[l]));
            }
        }
        assert_int_equal(encode(&got, again), size);
        assert_memory_equal(bytes, again, size);
    }
    assert_int_equal(longest, 44);
}

/* The example of docs/edge.md, taken apart there. */
static void test_example(void **state)
{
    (void)state;
    const sq_lora_message m = {.kind = SQ_LORA_ALARM,
                               .station = 4711,
                               .sequence = 258,
                               .issue_s = 1782900300, /* date -u -d 2026-07-01T10:05 +%s */
                               .status = SQ_LORA_FALLBACK,
                               .battery = 87,
                               .confidence = 70,
                               .threshold_tenths = 100,
                               .lead_step_min = 15,
                               .sectors = 1,
                               .leads = 2,
                               .sector = {{{4, 480}, 25}}};
    uint8_t bytes[SQ_LORA_MOST_BYTES];
    char text[2 * SQ_LORA_MOST_BYTES + 1];
    const size_t size = encode(&m, bytes);
    assert_string_equal(sq_hex_format(bytes, size, text), "11126701021a133e825773a85142bcadff");
}

static void test_damage(void **state)
{
    (void)state;
    uint32_t seed = 9;
    squall_error err;
    for (int n = 0; n < 200; n++) {
        const sq_lora_message m = random_message(&seed);
        uint8_t bytes[SQ_LORA_MOST_BYTES];
        sq_lora_message got;
        const size_t size = encode(&m, bytes);
        for (size_t bit = 0; bit < 8 * size; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_not_equal(decode(bytes, size, &got), SQUALL_OK);
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t less = 0; less < size; less++) {
            assert_int_not_equal(decode(bytes, less, &got), SQUALL_OK);
        }
    }
    uint8_t bytes[SQ_LORA_MOST_BYTES + 1] = {0};
    sq_lora_message got;
    assert_int_equal(sq_lora_decode(bytes, 3, &got, &err), SQUALL_E_TRUNCATED);
    assert_int_equal(sq_lora_decode(bytes, sizeof bytes, &got, &err), SQUALL_E_CORRUPT);
}

static void test_refusals(void **state)
{
    (void)state;
    const sq_lora_message good = {.issue_s = epoch_s, .lead_step_min = 5, .leads = 1, .sectors = 1};
    sq_lora_message bad[12];
    uint8_t bytes[SQ_LORA_MOST_BYTES];
    size_t size;
    squall_error err;
    for (size_t i = 0; i < 12; i++) {
        bad[i] = good;
    }
    assert_int_equal(sq_lora_encode(&good, bytes, &size, &err), SQUALL_OK);
    bad[0].issue_s = epoch_s - 1;
    bad[1].issue_s = epoch_s + 60 * (int64_t)(1 << 25);
    bad[2].status = 256;
    bad[3].battery = 101;
    bad[4].confidence = -2;
    bad[5].sectors = 9;
    bad[6].leads = 0;
    bad[7].lead_step_min = 7;
    bad[8].threshold_tenths = -1;
    bad[9].sector[0].onset_min = 151;
    bad[10].kind = (sq_lora_kind)4;
    bad[11].kind = SQ_LORA_ANSWER;
    bad[11].result = 128;
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(sq_lora_encode(&bad[i], bytes, &size, &err), SQUALL_E_ARGUMENT);
    }
}

/* ------------------------------------------------------------------ commands */

static void test_commands(void **state)
{
    (void)state;
    uint8_t key[SQ_LORA_KEY_BYTES], other[SQ_LORA_KEY_BYTES];
    memset(key, 7, sizeof key);
    memset(other, 8, sizeof other);
    for (int order = SQ_LORA_ACKNOWLEDGE; order <= SQ_LORA_REBOOT; order++) {
        const sq_lora_command want = {.order = (sq_lora_order)order,
                                      .counter = 41,
                                      .sequence = 65535,
                                      .mask = 0x80,
                                      .threshold_tenths = 300,
                                      .cadence_s = 600,
                                      .release = {1, 2, 3, 4, 5, 6, 7, 8}};
        uint8_t bytes[SQ_LORA_MOST_BYTES];
        sq_lora_command got;
        squall_error err;
        size_t size = 0;
        assert_int_equal(sq_lora_seal(&want, 4711, key, bytes, &size, &err), SQUALL_OK);
        assert_true(size <= SQ_LORA_MOST_BYTES);
        assert_int_equal(sq_lora_open(bytes, size, 4711, key, 40, &got, &err), SQUALL_OK);
        assert_int_equal(got.order, order);
        assert_int_equal(got.counter, 41);
        const bool threshold = order == SQ_LORA_THRESHOLD, ack = order == SQ_LORA_ACKNOWLEDGE;
        assert_int_equal(got.mask, threshold || ack ? 0x80 : 0);
        assert_int_equal(got.sequence, ack ? 65535 : 0);
        assert_int_equal(got.threshold_tenths, threshold ? 300 : 0);
        assert_int_equal(got.cadence_s, order == SQ_LORA_CADENCE ? 600 : 0);
        assert_int_equal(got.release[7], order == SQ_LORA_RELEASE ? 8 : 0);
        /* again, older, for another station, by another key, changed, cut */
        assert_int_equal(sq_lora_open(bytes, size, 4711, key, 41, &got, &err), SQUALL_E_MISMATCH);
        assert_int_equal(sq_lora_open(bytes, size, 4711, key, 99, &got, &err), SQUALL_E_MISMATCH);
        assert_int_equal(sq_lora_open(bytes, size, 4712, key, 40, &got, &err), SQUALL_E_SIGNATURE);
        assert_int_equal(sq_lora_open(bytes, size, 4711, other, 40, &got, &err),
                         SQUALL_E_SIGNATURE);
        for (size_t bit = 0; bit < 8 * size; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(sq_lora_open(bytes, size, 4711, key, 0, &got, &err),
                             SQUALL_E_SIGNATURE);
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t less = 0; less < size; less++) {
            assert_int_not_equal(sq_lora_open(bytes, less, 4711, key, 0, &got, &err), SQUALL_OK);
        }
    }
    sq_lora_command bad = {.order = (sq_lora_order)5};
    uint8_t bytes[SQ_LORA_MOST_BYTES];
    size_t size;
    squall_error err;
    assert_int_equal(sq_lora_seal(&bad, 1, key, bytes, &size, &err), SQUALL_E_ARGUMENT);
    bad = (sq_lora_command){.order = SQ_LORA_CADENCE, .cadence_s = 65536};
    assert_int_equal(sq_lora_seal(&bad, 1, key, bytes, &size, &err), SQUALL_E_ARGUMENT);
}

/* ------------------------------------------------------------------ air */

static void test_airtime(void **state)
{
    (void)state;
    /* The Things Network's airtime calculator, 2024: 10 bytes of payload in EU868 take 61.7 ms at
     * SF7 and 1482.8 ms at SF12; 51 bytes take 2793.5 ms at SF12. */
    assert_int_equal((sq_lora_airtime_us(SQ_LORA_EU868, 5, 10) + 50) / 100, 617);
    assert_int_equal((sq_lora_airtime_us(SQ_LORA_EU868, 0, 10) + 50) / 100, 14828);
    assert_int_equal((sq_lora_airtime_us(SQ_LORA_EU868, 0, 51) + 50) / 100, 27935);
    assert_int_equal(sq_lora_airtime_us(SQ_LORA_EU868, 7, 10), 0);
    /* Most bytes of application payload N by RP002-1.0.3, tables of EU868, US915, AS923 with uplink
     * dwell time, CN470; 0 is "not available". What the dwell time leaves must be just that. */
    static const size_t most[SQ_LORA_REGIONS][7] = {
        [SQ_LORA_EU868] = {51, 51, 51, 115, 242, 242, 242},
        [SQ_LORA_CN470] = {0, 23, 86, 184, 242, 242},
        [SQ_LORA_US915] = {11, 53, 125, 242, 242},
        [SQ_LORA_AS923] = {0, 0, 11, 53, 125, 242, 242},
    };
    for (int r = 0; r < SQ_LORA_REGIONS; r++) {
        const int32_t rates = sq_lora_data_rates((sq_lora_region)r);
        for (int32_t rate = 0; rate < rates; rate++) {
            assert_int_equal(sq_lora_most_bytes((sq_lora_region)r, rate), most[r][rate]);
        }
        assert_int_equal(sq_lora_most_bytes((sq_lora_region)r, rates), 0);
    }
    assert_int_equal(sq_lora_slowest(SQ_LORA_EU868, 44), 0);
    assert_int_equal(sq_lora_slowest(SQ_LORA_CN470, 44), 2);
    assert_int_equal(sq_lora_slowest(SQ_LORA_US915, 44), 1);
    assert_int_equal(sq_lora_slowest(SQ_LORA_AS923, 44), 3);
    assert_int_equal(sq_lora_slowest(SQ_LORA_EU868, 243), -1);
    sq_lora_region region;
    assert_true(sq_lora_region_find("as923", &region) && region == SQ_LORA_AS923);
    assert_false(sq_lora_region_find("kr920", &region));
}

/* Whatever is asked for and when: no hour holds more than what is allowed, and alarms still fit
 * when reports have had their share. */
static void test_budget(void **state)
{
    (void)state;
    enum { MOST = 20000 };
    static int64_t sent_s[MOST], sent_us[MOST];
    sq_lora_budget budget;
    uint32_t seed = 3;
    size_t count = 0, first = 0;
    int64_t now_s = 100, used_us = 0, fullest_us = 0;
    sq_lora_budget_init(&budget, SQ_LORA_EU868, 1.0);
    assert_int_equal(budget.allowed_us, 36000000);
    for (int i = 0; i < MOST; i++) {
        now_s += next(&seed) % 100 == 0 ? 5000 : next(&seed) % 60;
        const int64_t airtime_us =
            sq_lora_airtime_us(SQ_LORA_EU868, (int32_t)(next(&seed) % 6), 44);
        if (!sq_lora_budget_fits(&budget, now_s, airtime_us, next(&seed) % 4 == 0)) {
            continue;
        }
        sq_lora_budget_spend(&budget, now_s, airtime_us);
        sent_s[count] = now_s;
        sent_us[count++] = airtime_us;
        used_us += airtime_us;
        while (sent_s[first] <= now_s - 3600) {
            used_us -= sent_us[first++];
        }
        assert_true(used_us <= 36000000);
        fullest_us = used_us > fullest_us ? used_us : fullest_us;
    }
    assert_true(count > 1000 && fullest_us > 33000000);
    sq_lora_budget_init(&budget, SQ_LORA_EU868, 0.001);
    assert_int_equal(budget.allowed_us, 3600000);
    assert_true(sq_lora_budget_fits(&budget, 0, 2400000, false));
    assert_false(sq_lora_budget_fits(&budget, 0, 2400001, false));
    sq_lora_budget_spend(&budget, 0, 2400000);
    assert_true(sq_lora_budget_fits(&budget, 3599, 1200000, true));
    assert_false(sq_lora_budget_fits(&budget, 3599, 1200001, true));
    assert_int_equal(sq_lora_budget_used(&budget, 3661), 0);
}

/* ------------------------------------------------------------------ what is sent when */

static sq_lora_message forecast(sq_lora_kind kind, int32_t rate_tenths)
{
    return (sq_lora_message){.kind = kind,
                             .issue_s = epoch_s,
                             .lead_step_min = 15,
                             .sectors = 1,
                             .leads = 1,
                             .sector = {{{rate_tenths}, -1}}};
}

static bool offer(sq_lora_outbox *box, sq_lora_kind kind, int32_t rate_tenths, int64_t now_s)
{
    const sq_lora_message m = forecast(kind, rate_tenths);
    return sq_lora_outbox_offer(box, &m, now_s);
}

static void test_news(void **state)
{
    (void)state;
    sq_lora_outbox box;
    sq_lora_outbox_init(&box);
    assert_true(offer(&box, SQ_LORA_REPORT, 0, 1000));   /* the first */
    assert_false(offer(&box, SQ_LORA_REPORT, 40, 1100)); /* too soon */
    assert_false(offer(&box, SQ_LORA_REPORT, 4, 1300));  /* two steps */
    assert_true(offer(&box, SQ_LORA_REPORT, 6, 1300));   /* three */
    assert_true(offer(&box, SQ_LORA_ALARM, 100, 1301));  /* at once */
    assert_false(offer(&box, SQ_LORA_ALARM, 104, 1310)); /* the same alarm */
    assert_true(offer(&box, SQ_LORA_ALARM, 300, 1310));  /* a worse one */
    assert_false(offer(&box, SQ_LORA_REPORT, 300, 1400));
    assert_true(offer(&box, SQ_LORA_REPORT, 300, 1610)); /* all clear, in its time */
    assert_false(offer(&box, SQ_LORA_REPORT, 300, 5000));
    assert_true(offer(&box, SQ_LORA_REPORT, 300, 5210)); /* silence */
    sq_lora_message m = forecast(SQ_LORA_REPORT, 300);
    m.status = SQ_LORA_NO_RADAR;
    assert_true(sq_lora_outbox_offer(&box, &m, 5600));
    m.sector[0].onset_min = 140;
    assert_true(sq_lora_outbox_offer(&box, &m, 6000));
    m.kind = SQ_LORA_ANSWER;
    assert_true(sq_lora_outbox_offer(&box, &m, 6000));
    assert_int_equal(box.count, 9);
    for (uint32_t i = 0; i < box.count; i++) {
        assert_int_equal(box.entries[i].message.sequence, i);
    }
}

static uint16_t send_next(sq_lora_outbox *box, int64_t now_s)
{
    sq_lora_entry *entry = sq_lora_outbox_next(box, now_s);
    assert_non_null(entry);
    const uint16_t sequence = entry->message.sequence;
    sq_lora_outbox_sent(box, entry, now_s);
    return sequence;
}

static void test_order(void **state)
{
    (void)state;
    sq_lora_outbox box;
    sq_lora_outbox_init(&box);
    box.rules.least_s = 0;
    assert_null(sq_lora_outbox_next(&box, 0));
    assert_true(offer(&box, SQ_LORA_REPORT, 0, 0));
    assert_true(offer(&box, SQ_LORA_ALARM, 100, 1));
    assert_true(offer(&box, SQ_LORA_REPORT, 40, 2));
    assert_int_equal(send_next(&box, 2), 1); /* the alarm, then the newest */
    assert_int_equal(send_next(&box, 2), 2);
    assert_int_equal(send_next(&box, 2), 0);
    assert_null(sq_lora_outbox_next(&box, 100));
    assert_int_equal(send_next(&box, 122), 1); /* again: 120 s, then 240, 360 */
    assert_int_equal(send_next(&box, 122), 2);
    assert_int_equal(send_next(&box, 122), 0);
    assert_int_equal(sq_lora_outbox_acknowledge(&box, 2, 1), 2); /* 2, and 1 before it */
    assert_int_equal(sq_lora_outbox_acknowledge(&box, 2, 1), 0);
    assert_null(sq_lora_outbox_next(&box, 361));
    assert_int_equal(send_next(&box, 362), 0);
    assert_int_equal(send_next(&box, 722), 0);
    assert_int_equal(box.entries[0].message.kind, SQ_LORA_STORED);
    assert_null(sq_lora_outbox_next(&box, 4000)); /* now it waits for the store's turn */
    assert_int_equal(send_next(&box, 4322), 0);
    assert_int_equal(sq_lora_outbox_acknowledge(&box, 0, 0), 1);
    assert_int_equal(box.count, 0);
}

/* Days without a network: alarms outlive reports, and what is too old goes. */
static void test_store(void **state)
{
    (void)state;
    sq_lora_outbox box;
    sq_lora_outbox_init(&box);
    box.rules.least_s = 0;
    assert_true(offer(&box, SQ_LORA_ALARM, 500, 0));
    for (int i = 0; i < 100; i++) {
        assert_true(offer(&box, SQ_LORA_REPORT, i % 2 ? 0 : 100, 10 + i));
    }
    assert_int_equal(box.count, SQ_LORA_QUEUE);
    assert_int_equal(box.dropped, 101 - SQ_LORA_QUEUE);
    assert_int_equal(box.entries[0].message.kind, SQ_LORA_ALARM);
    assert_int_equal(box.entries[SQ_LORA_QUEUE - 1].message.sequence, 100);
    const int64_t later = (int64_t)14 * 86400 + 50;
    sq_lora_entry *entry = sq_lora_outbox_next(&box, later);
    assert_non_null(entry);
    assert_true(box.entries[0].queued_s >= 50);
    assert_int_equal(entry->message.sequence, 100);
    for (int i = 0; i < 2 * SQ_LORA_QUEUE; i++) { /* alarms alone: the oldest goes */
        assert_true(offer(&box, SQ_LORA_ALARM, i % 2 ? 1000 : 100, later + i));
    }
    assert_int_equal(box.count, SQ_LORA_QUEUE);
    assert_int_equal(box.entries[0].queued_s, later + SQ_LORA_QUEUE);
}

/* ------------------------------------------------------------------ for the check */

static void print_rate(int32_t tenths)
{
    if (tenths < 0) {
        printf("null");
    } else {
        printf("%d.%d", tenths / 10, tenths % 10);
    }
}

static void print_maybe(const char *name, int32_t value)
{
    if (value < 0) {
        printf(", \"%s\": null", name);
    } else {
        printf(", \"%s\": %d", name, value);
    }
}

static void print_forecast(const sq_lora_message *m)
{
    printf(", \"threshold_mm_h\": ");
    print_rate(m->threshold_tenths);
    printf(", \"lead_step_min\": %d, \"sectors\": [", m->lead_step_min);
    for (uint32_t s = 0; s < m->sectors; s++) {
        printf("%s{\"rates_mm_h\": [", s > 0 ? ", " : "");
        for (uint32_t l = 0; l < m->leads; l++) {
            printf("%s", l > 0 ? ", " : "");
            print_rate(m->sector[s].rate_tenths[l]);
        }
        printf("]");
        print_maybe("onset_min", m->sector[s].onset_min);
        printf("}");
    }
    printf("]");
}

static void print_line(const uint8_t *bytes, size_t size)
{
    static const char *const kinds[] = {"report", "alarm", "stored", "answer"};
    char text[2 * SQ_LORA_MOST_BYTES + 1];
    sq_lora_message m;
    printf("{\"bytes\": \"%s\", ", sq_hex_format(bytes, size, text));
    if (decode(bytes, size, &m) != SQUALL_OK) {
        printf("\"data\": null}\n");
        return;
    }
    printf("\"data\": {\"kind\": \"%s\", \"station\": %u, \"sequence\": %u, \"issue_s\": %lld, "
           "\"status\": %u",
           kinds[m.kind], m.station, m.sequence, (long long)m.issue_s, m.status);
    print_maybe("battery", m.battery);
    print_maybe("confidence", m.confidence);
    if (m.kind == SQ_LORA_ANSWER) {
        printf(", \"counter\": %u, \"result\": %u", m.counter, m.result);
    } else {
        print_forecast(&m);
    }
    printf("}}\n");
}

/* CRC-16/CCITT-FALSE, so that damage gets as far as it can. */
static void reseal(uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xffff;
    for (size_t i = 0; i < (size - 2) * 8; i++) {
        const uint32_t bit = bytes[i / 8] >> (7 - i % 8) & 1u;
        crc = ((crc >> 15 ^ bit) & 1 ? crc << 1 ^ 0x1021 : crc << 1) & 0xffff;
    }
    bytes[size - 2] = (uint8_t)(crc >> 8);
    bytes[size - 1] = (uint8_t)(crc & 255);
}

/* Whole messages; every fourth damaged, half of these under a checksum that holds. */
static void print_messages(long count)
{
    uint32_t seed = 77;
    for (long i = 0; i < count; i++) {
        const sq_lora_message m = random_message(&seed);
        uint8_t bytes[SQ_LORA_MOST_BYTES];
        size_t size = encode(&m, bytes);
        if (i % 4 == 3) {
            bytes[next(&seed) % size] ^= (uint8_t)(1 << next(&seed) % 8);
            size -= next(&seed) % 8 == 0;
            if (i % 8 == 7) {
                reseal(bytes, size);
            }
        }
        print_line(bytes, size);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        print_messages(strtol(argv[1], NULL, 10));
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates),    cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_example),  cmocka_unit_test(test_damage),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_commands),
        cmocka_unit_test(test_airtime),  cmocka_unit_test(test_budget),
        cmocka_unit_test(test_news),     cmocka_unit_test(test_order),
        cmocka_unit_test(test_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
