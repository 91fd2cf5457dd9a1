/* edge/lora/lora.h - what a station says over LoRaWAN, and what it is told: messages of at most 51
 * bytes, how long they are in the air, what may be sent when, and commands that nobody can forge.
 *
 * No sockets and no clocks: the caller gives the time. Nothing here allocates. docs/edge.md has the
 * messages bit by bit; packaging/chirpstack_codec.js reads them, too.
 */
#ifndef SQ_EDGE_LORA_LORA_H
#define SQ_EDGE_LORA_LORA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

/* ------------------------------------------------------------------ rates in six bits */

/** No value: the sector is outside coverage. */
#define SQ_LORA_NO_RATE (-1)
/** The largest rate that a message holds; more is sent as this. */
#define SQ_LORA_MOST_RATE 1792

/** A rate in tenths of mm/h as a code of 6 bits: its nearest of 63 steps (12 % apart or less, from
 * 0.2 mm/h); 63 for what is negative. */
uint32_t sq_lora_rate_code(int32_t rate_tenths);
/** And back; SQ_LORA_NO_RATE for 63. `code` below 64. */
int32_t sq_lora_rate_value(uint32_t code);

/* ------------------------------------------------------------------ uplinks */

enum {
    SQ_LORA_VERSION = 1,
    SQ_LORA_MOST_BYTES = 51, /* what EU868 carries at its slowest */
    SQ_LORA_SECTORS = 8,
    SQ_LORA_LEADS = 4,
    SQ_LORA_PORT = 10, /* LoRaWAN port of these messages, both ways */
};

typedef enum sq_lora_kind {
    SQ_LORA_REPORT = 0, /* a forecast, now */
    SQ_LORA_ALARM = 1,  /* the same, because a threshold is passed */
    SQ_LORA_STORED = 2, /* the same, sent later */
    SQ_LORA_ANSWER = 3  /* to a command */
} sq_lora_kind;

/* Bits of `status`. */
enum {
    SQ_LORA_CLOCK_UNSURE = 1,     /* neither GNSS nor NTP for a day */
    SQ_LORA_NO_RADAR = 2,         /* the newest frame is older than three intervals */
    SQ_LORA_FALLBACK = 4,         /* the forecast is extrapolation, not the engine's */
    SQ_LORA_STORAGE = 8,          /* the log cannot be written */
    SQ_LORA_SAVING = 16,          /* a power budget lowers cadence or precision */
    SQ_LORA_NO_GAUGE = 32,        /* gauges are silent, stuck or absurd */
    SQ_LORA_ENGINE_RETURNED = 64, /* a new engine failed its self-test; the old one runs */
    SQ_LORA_RESTARTED = 128       /* first message since the start */
};

typedef struct sq_lora_sector {
    int32_t rate_tenths[SQ_LORA_LEADS]; /* most rain at each lead, 0.1 mm/h; SQ_LORA_NO_RATE */
    int32_t onset_min; /* from issue until `threshold` is reached, 0..150; -1: not foreseen */
} sq_lora_sector;

typedef struct sq_lora_message {
    sq_lora_kind kind;
    uint16_t station, sequence;
    int64_t issue_s;    /* whole minutes from 2020-01-01 count, until 2083 */
    uint32_t status;    /* bits as above */
    int32_t battery;    /* percent; -1: unknown */
    int32_t confidence; /* percent, in steps of 5; -1: unknown */
    /* a forecast; without sectors: no rain anywhere */
    int32_t threshold_tenths, lead_step_min; /* of `onset`; between leads, 5..40 by 5 */
    uint32_t sectors, leads;
    sq_lora_sector sector[SQ_LORA_SECTORS];
    /* an answer */
    uint32_t counter; /* of the command */
    uint32_t result;  /* a squall_status, below 128 */
} sq_lora_message;

/**
 * @param out  filled; SQ_LORA_MOST_BYTES
 * @param size filled
 * @return SQUALL_E_ARGUMENT for what the format cannot hold; rates are rounded, onsets go to the
 *         next 5 minutes.
 */
SQUALL_MUST_USE squall_status sq_lora_encode(const sq_lora_message *message, uint8_t *out,
                                             size_t *size, squall_error *err);
/** What sq_lora_encode() wrote: nothing else passes. SQUALL_E_TRUNCATED, E_VERSION, E_CORRUPT (a
 * checksum, a length, bits that mean nothing). */
SQUALL_MUST_USE squall_status sq_lora_decode(const uint8_t *bytes, size_t size,
                                             sq_lora_message *out, squall_error *err);

/* ------------------------------------------------------------------ commands */

enum { SQ_LORA_KEY_BYTES = 32, SQ_LORA_TAG_BYTES = 8, SQ_LORA_RELEASE_BYTES = 8 };

typedef enum sq_lora_order {
    SQ_LORA_ACKNOWLEDGE = 0, /* `sequence` and the 16 before it, by `mask`, have arrived */
    SQ_LORA_THRESHOLD = 1,   /* alarms from `threshold_tenths` on, in the sectors of `mask` */
    SQ_LORA_CADENCE = 2,     /* a forecast every `cadence_s` */
    SQ_LORA_RELEASE = 3,     /* the engine whose SHA-256 begins with `release`, once it is here */
    SQ_LORA_REBOOT = 4
} sq_lora_order;

typedef struct sq_lora_command {
    sq_lora_order order;
    uint32_t counter; /* larger than that of every command before */
    uint16_t sequence, mask;
    int32_t threshold_tenths, cadence_s;
    uint8_t release[SQ_LORA_RELEASE_BYTES];
} sq_lora_command;

/** Write a command for one station, sealed by its key (keyed BLAKE2b over station and command). */
SQUALL_MUST_USE squall_status sq_lora_seal(const sq_lora_command *command, uint16_t station,
                                           const uint8_t *key, uint8_t *out, size_t *size,
                                           squall_error *err);
/**
 * Read a command: nothing in it is looked at before its seal is found good.
 *
 * @param last  counter of the newest command that was carried out; it is the caller's to keep
 *              where a restart does not lose it, before the command is carried out
 * @return SQUALL_E_SIGNATURE for a forged one, or one for another station; SQUALL_E_MISMATCH for
 *         one that came before; SQUALL_E_VERSION, E_TRUNCATED, E_CORRUPT.
 */
SQUALL_MUST_USE squall_status sq_lora_open(const uint8_t *bytes, size_t size, uint16_t station,
                                           const uint8_t *key, uint32_t last, sq_lora_command *out,
                                           squall_error *err);

/* ------------------------------------------------------------------ air */

typedef enum sq_lora_region {
    SQ_LORA_EU868,
    SQ_LORA_CN470,
    SQ_LORA_US915,
    SQ_LORA_AS923,
    SQ_LORA_REGIONS
} sq_lora_region;

/** "eu868"; false for a name that is none. */
bool sq_lora_region_find(const char *name, sq_lora_region *out);
/** Data rates of a region are 0 .. this - 1. */
int32_t sq_lora_data_rates(sq_lora_region region);
/** Time in the air of a message of `bytes` at a data rate, in microseconds: preamble of 8, header,
 * checksum, code rate 4/5, and LoRaWAN's 13 bytes around it. Semtech AN1200.13, "LoRa Modem
 * Designer's Guide", section 4. 0 for a data rate that the region lacks. */
int64_t sq_lora_airtime_us(sq_lora_region region, int32_t data_rate, size_t bytes);
/** Bytes that one message may have at a data rate: what RP002 and the region's dwell time leave. */
size_t sq_lora_most_bytes(sq_lora_region region, int32_t data_rate);
/** The slowest data rate that carries `bytes`; -1 if none does. */
int32_t sq_lora_slowest(sq_lora_region region, size_t bytes);

enum { SQ_LORA_SLOTS = 61 };

/* Time in the air over the last hour, by minutes of a clock that never goes back. */
typedef struct sq_lora_budget {
    sq_lora_region region;
    int64_t allowed_us; /* in any hour; the region's duty cycle or less */
    int64_t minute;
    int64_t used_us[SQ_LORA_SLOTS];
} sq_lora_budget;

/** @param share  of the time, 0 < share <= 1: less than the law allows; the smaller one counts */
void sq_lora_budget_init(sq_lora_budget *budget, sq_lora_region region, double share);
/** Whether `airtime_us` more fits the hour that ends at `now_s` (monotonic). What is no alarm
 * leaves a third of the hour's budget to alarms. */
bool sq_lora_budget_fits(sq_lora_budget *budget, int64_t now_s, int64_t airtime_us, bool alarm);
/** Account for a message that is sent. */
void sq_lora_budget_spend(sq_lora_budget *budget, int64_t now_s, int64_t airtime_us);
/** Microseconds in the hour that ends at `now_s`. */
int64_t sq_lora_budget_used(sq_lora_budget *budget, int64_t now_s);

/* ------------------------------------------------------------------ what is sent when */

enum { SQ_LORA_QUEUE = 64 };

typedef struct sq_lora_rules {
    int32_t delta;     /* steps of a rate's code, or of 5 minutes of an onset, that are news */
    int64_t silence_s; /* at most this long without a message */
    int64_t least_s;   /* at least this long between two that are no alarms */
    int64_t retry_s;   /* until what was not acknowledged is sent again */
    int32_t retries;   /* before it waits for the store's turn */
    int64_t forget_s;  /* older than this is dropped */
} sq_lora_rules;

typedef struct sq_lora_entry {
    sq_lora_message message;
    int64_t queued_s, sent_s; /* monotonic; sent_s < 0: not yet */
    int32_t sends;
} sq_lora_entry;

/* What waits to be sent or acknowledged. A plain struct: the caller may keep it in a file. */
typedef struct sq_lora_outbox {
    sq_lora_rules rules;
    sq_lora_message last; /* the newest forecast that was queued */
    bool has_last;
    uint16_t next_sequence;
    int64_t last_queued_s, last_sent_s;
    uint32_t count;
    uint64_t dropped; /* never sent: too old, or pushed out by newer ones */
    sq_lora_entry entries[SQ_LORA_QUEUE];
} sq_lora_outbox;

void sq_lora_outbox_init(sq_lora_outbox *outbox);
/**
 * Offer a forecast or an answer; it gets the next sequence number if it is news: an alarm that was
 * none, a change by `delta` anywhere, another status, or `silence_s` over. A full queue drops its
 * oldest message that is no alarm (else its oldest).
 *
 * @return whether it was queued
 */
bool sq_lora_outbox_offer(sq_lora_outbox *outbox, const sq_lora_message *message, int64_t now_s);
/** The next message to send at `now_s`: alarms first, newest first, then what is due again, then
 * the store, oldest first; NULL while nothing is due. Borrowed until the outbox is changed. */
sq_lora_entry *sq_lora_outbox_next(sq_lora_outbox *outbox, int64_t now_s);
/** That entry was handed to the radio. */
void sq_lora_outbox_sent(sq_lora_outbox *outbox, sq_lora_entry *entry, int64_t now_s);
/** Take off what a SQ_LORA_ACKNOWLEDGE names; returns how many that were. */
uint32_t sq_lora_outbox_acknowledge(sq_lora_outbox *outbox, uint16_t sequence, uint16_t mask);

#endif /* SQ_EDGE_LORA_LORA_H */
