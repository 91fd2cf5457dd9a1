/* edge/lora/lora_air.c - how long a message is in the air, and how much of the hour is left. */
#include <string.h>

#include "edge/lora/lora.h"

/* Headers, port and MIC that LoRaWAN 1.0 puts around a payload without options. */
enum { FRAME_BYTES = 13 };

typedef struct lora_rate {
    int32_t spreading, bandwidth_khz;
    size_t most; /* bytes of application payload by RP002-1.0.3, before the dwell time */
} lora_rate;

typedef struct region_rules {
    const char *name;
    int32_t rates;
    lora_rate rate[7];
    int64_t dwell_us; /* one message is at most this long in the air; 0: no rule */
    double duty;      /* of any hour */
} region_rules;

/* EU868: ETSI EN 300 220, band 868.0 to 868.6 MHz. CN470: MIIT notice 52 of 2019, 1 s a message.
 * US915: FCC 15.247, 400 ms a channel. AS923: RP002's default channels. */
static const region_rules regions[SQ_LORA_REGIONS] = {
    [SQ_LORA_EU868] = {"eu868",
                       7,
                       {{12, 125, 51},
                        {11, 125, 51},
                        {10, 125, 51},
                        {9, 125, 115},
                        {8, 125, 242},
                        {7, 125, 242},
                        {7, 250, 242}},
                       0,
                       0.01},
    [SQ_LORA_CN470] = {"cn470",
                       6,
                       {{12, 125, 242},
                        {11, 125, 242},
                        {10, 125, 242},
                        {9, 125, 242},
                        {8, 125, 242},
                        {7, 125, 242}},
                       1000000,
                       1.0},
    [SQ_LORA_US915] = {"us915",
                       5,
                       {{10, 125, 242}, {9, 125, 242}, {8, 125, 242}, {7, 125, 242}, {8, 500, 242}},
                       400000,
                       1.0},
    [SQ_LORA_AS923] = {"as923",
                       7,
                       {{12, 125, 51},
                        {11, 125, 51},
                        {10, 125, 51},
                        {9, 125, 115},
                        {8, 125, 242},
                        {7, 125, 242},
                        {7, 250, 242}},
                       400000,
                       0.01},
};

bool sq_lora_region_find(const char *name, sq_lora_region *out)
{
    for (int r = 0; r < SQ_LORA_REGIONS; r++) {
        if (strcmp(name, regions[r].name) == 0) {
            *out = (sq_lora_region)r;
            return true;
        }
    }
    return false;
}

int32_t sq_lora_data_rates(sq_lora_region region)
{
    return regions[region].rates;
}

int64_t sq_lora_airtime_us(sq_lora_region region, int32_t data_rate, size_t bytes)
{
    if (data_rate < 0 || data_rate >= regions[region].rates) {
        return 0;
    }
    const int64_t sf = regions[region].rate[data_rate].spreading;
    const int64_t khz = regions[region].rate[data_rate].bandwidth_khz;
    const int64_t symbol_us = ((int64_t)1000 << sf) / khz;
    const int64_t slow = symbol_us > 16000; /* low data rate optimisation */
    const int64_t bits = 8 * (int64_t)(bytes + FRAME_BYTES) - 4 * sf + 28 + 16;
    const int64_t group = 4 * (sf - 2 * slow);
    const int64_t groups = bits > 0 ? (bits + group - 1) / group : 0;
    const int64_t quarters = 4 * 12 + 1 + 4 * (8 + 5 * groups); /* of a symbol; preamble 12.25 */
    return symbol_us * quarters / 4;
}

size_t sq_lora_most_bytes(sq_lora_region region, int32_t data_rate)
{
    if (data_rate < 0 || data_rate >= regions[region].rates) {
        return 0;
    }
    const int64_t dwell_us = regions[region].dwell_us;
    size_t most = regions[region].rate[data_rate].most;
    while (most > 0 && dwell_us > 0 && sq_lora_airtime_us(region, data_rate, most) > dwell_us) {
        most--;
    }
    return most;
}

int32_t sq_lora_slowest(sq_lora_region region, size_t bytes)
{
    for (int32_t rate = 0; rate < regions[region].rates; rate++) {
        if (bytes <= sq_lora_most_bytes(region, rate)) {
            return rate;
        }
    }
    return -1;
}

/* ------------------------------------------------------------------ budget */

void sq_lora_budget_init(sq_lora_budget *budget, sq_lora_region region, double share)
{
    const double duty = share < regions[region].duty ? share : regions[region].duty;
    memset(budget, 0, sizeof *budget);
    budget->region = region;
    budget->allowed_us = (int64_t)(duty * 3600e6);
}

/* Forget the minutes that no hour up to `now_s` reaches. One more than 60 are kept: an hour that
 * begins within a minute counts all of that minute. */
static void advance(sq_lora_budget *budget, int64_t now_s)
{
    const int64_t minute = now_s / 60;
    const int64_t passed = minute - budget->minute;
    for (int64_t i = 1; i <= passed && i <= SQ_LORA_SLOTS; i++) {
        budget->used_us[(budget->minute + i) % SQ_LORA_SLOTS] = 0;
    }
    budget->minute = passed > 0 ? minute : budget->minute;
}

int64_t sq_lora_budget_used(sq_lora_budget *budget, int64_t now_s)
{
    int64_t used_us = 0;
    advance(budget, now_s);
    for (int i = 0; i < SQ_LORA_SLOTS; i++) {
        used_us += budget->used_us[i];
    }
    return used_us;
}

bool sq_lora_budget_fits(sq_lora_budget *budget, int64_t now_s, int64_t airtime_us, bool alarm)
{
    const int64_t allowed_us = alarm ? budget->allowed_us : budget->allowed_us / 3 * 2;
    return sq_lora_budget_used(budget, now_s) + airtime_us <= allowed_us;
}

void sq_lora_budget_spend(sq_lora_budget *budget, int64_t now_s, int64_t airtime_us)
{
    advance(budget, now_s);
    budget->used_us[budget->minute % SQ_LORA_SLOTS] += airtime_us;
}
