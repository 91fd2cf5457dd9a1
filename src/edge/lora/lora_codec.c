/* edge/lora/lora_codec.c - messages to bytes and back; docs/edge.md has them bit by bit. */
#include <string.h>

#include "edge/lora/lora.h"
#include "edge/lora/lora_bits.h"

/* 2020-01-01T00:00Z: issue times count minutes from there, in 25 bits. */
static const int64_t epoch_s = 1577836800;

enum {
    NO_RATE = 63,
    NO_ONSET = 31,
    ONSET_STEP = 5,
    UNKNOWN_BATTERY = 127,
    UNKNOWN_CONFIDENCE = 31,
    HEAD_BITS = 85,     /* version to confidence */
    FORECAST_BITS = 16, /* threshold, lead step, sectors, leads */
    ANSWER_BITS = 39,
    CHECK_BYTES = 2
};

/* ------------------------------------------------------------------ rates */

int32_t sq_lora_rate_value(uint32_t code)
{
    const int32_t mantissa = (int32_t)(code & 7), exponent = (int32_t)(code >> 3 & 7);
    if (code == NO_RATE) {
        return SQ_LORA_NO_RATE;
    }
    return exponent == 0 ? 2 * mantissa : 2 * ((8 + mantissa) << (exponent - 1));
}

uint32_t sq_lora_rate_code(int32_t rate_tenths)
{
    uint32_t code = 0;
    if (rate_tenths < 0) {
        return NO_RATE;
    }
    /* Half way between two steps goes up. */
    while (code + 1 < NO_RATE && (int64_t)sq_lora_rate_value(code) + sq_lora_rate_value(code + 1) <=
                                     2 * (int64_t)rate_tenths) {
        code++;
    }
    return code;
}

/* ------------------------------------------------------------------ checksum */

/* CRC-16/CCITT-FALSE: polynomial 0x1021, from 0xffff. */
static uint16_t checksum(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= (uint32_t)bytes[i] << 8;
        for (int b = 0; b < 8; b++) {
            crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
        }
        crc &= 0xffff;
    }
    return (uint16_t)crc;
}

/* ------------------------------------------------------------------ writing */

static size_t bits_of(uint32_t kind, uint32_t sectors, uint32_t leads)
{
    return kind == SQ_LORA_ANSWER ? HEAD_BITS + ANSWER_BITS
                                  : HEAD_BITS + FORECAST_BITS + sectors * (5 + 6 * leads);
}

static const char *problem_of(const sq_lora_message *m)
{
    const int64_t minutes = (m->issue_s - epoch_s) / 60;
    if (m->kind < SQ_LORA_REPORT || m->kind > SQ_LORA_ANSWER) {
        return "this kind of message is not there";
    }
    if (m->issue_s < epoch_s || minutes >= 1 << 25) {
        return "the issue time is outside 2020 to 2083";
    }
    if (m->status > 255 || m->battery < -1 || m->battery > 100 || m->confidence < -1 ||
        m->confidence > 100) {
        return "status, battery or confidence is out of range";
    }
    if (m->kind == SQ_LORA_ANSWER) {
        return m->result > 127 ? "the result is above 127" : NULL;
    }
    if (m->sectors > SQ_LORA_SECTORS || m->leads < 1 || m->leads > SQ_LORA_LEADS) {
        return "there are more sectors or leads than a message holds";
    }
    if (m->lead_step_min < 5 || m->lead_step_min > 40 || m->lead_step_min % 5 != 0) {
        return "the step between leads is none of 5, 10 ... 40 minutes";
    }
    if (m->threshold_tenths < 0) {
        return "the threshold is below 0";
    }
    for (uint32_t s = 0; s < m->sectors; s++) {
        if (m->sector[s].onset_min < -1 || m->sector[s].onset_min > 150) {
            return "an onset is outside 0 to 150 minutes";
        }
    }
    return NULL;
}

static void put_forecast(const sq_lora_message *m, sq_bits *to)
{
    sq_bits_put(to, sq_lora_rate_code(m->threshold_tenths), 6);
    sq_bits_put(to, (uint32_t)(m->lead_step_min / 5 - 1), 3);
    sq_bits_put(to, m->sectors, 4);
    sq_bits_put(to, m->leads, 3);
    for (uint32_t s = 0; s < m->sectors; s++) {
        const sq_lora_sector *sector = &m->sector[s];
        const int32_t onset = (sector->onset_min + ONSET_STEP - 1) / ONSET_STEP;
        sq_bits_put(to, sector->onset_min < 0 ? NO_ONSET : (uint32_t)onset, 5);
        for (uint32_t l = 0; l < m->leads; l++) {
            sq_bits_put(to, sq_lora_rate_code(sector->rate_tenths[l]), 6);
        }
    }
}

squall_status sq_lora_encode(const sq_lora_message *m, uint8_t *out, size_t *size,
                             squall_error *err)
{
    const char *problem = problem_of(m);
    if (problem != NULL) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "LoRa message", "%s", problem);
    }
    sq_bits to = {out, 0};
    memset(out, 0, SQ_LORA_MOST_BYTES);
    sq_bits_put(&to, SQ_LORA_VERSION, 4);
    sq_bits_put(&to, (uint32_t)m->kind, 4);
    sq_bits_put(&to, m->station, 16);
    sq_bits_put(&to, m->sequence, 16);
    sq_bits_put(&to, (uint32_t)((m->issue_s - epoch_s) / 60), 25);
    sq_bits_put(&to, m->status, 8);
    sq_bits_put(&to, (uint32_t)(m->battery < 0 ? UNKNOWN_BATTERY : m->battery), 7);
    sq_bits_put(&to, (uint32_t)(m->confidence < 0 ? UNKNOWN_CONFIDENCE : (m->confidence + 2) / 5),
                5);
    if (m->kind == SQ_LORA_ANSWER) {
        sq_bits_put(&to, m->counter, 32);
        sq_bits_put(&to, m->result, 7);
    } else {
        put_forecast(m, &to);
    }
    const size_t body = (to.at + 7) / 8;
    to.at = body * 8;
    sq_bits_put(&to, checksum(out, body), 16);
    *size = body + CHECK_BYTES;
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ reading */

static squall_status corrupt(const char *what, squall_error *err)
{
    return sq_fail(err, SQUALL_E_CORRUPT, "LoRa message", "%s", what);
}

static squall_status get_forecast(sq_bits *from, size_t size, sq_lora_message *m, squall_error *err)
{
    const uint32_t threshold = sq_bits_get(from, 6);
    m->threshold_tenths = sq_lora_rate_value(threshold);
    m->lead_step_min = 5 * ((int32_t)sq_bits_get(from, 3) + 1);
    m->sectors = sq_bits_get(from, 4);
    m->leads = sq_bits_get(from, 3);
    if (threshold == NO_RATE || m->sectors > SQ_LORA_SECTORS || m->leads < 1 ||
        m->leads > SQ_LORA_LEADS) {
        return corrupt("its threshold or counts are out of range", err);
    }
    if (size != (bits_of(m->kind, m->sectors, m->leads) + 7) / 8 + CHECK_BYTES) {
        return corrupt("its length is not that of its sectors", err);
    }
    for (uint32_t s = 0; s < m->sectors; s++) {
        const uint32_t onset = sq_bits_get(from, 5);
        m->sector[s].onset_min = onset == NO_ONSET ? -1 : (int32_t)onset * ONSET_STEP;
        for (uint32_t l = 0; l < m->leads; l++) {
            m->sector[s].rate_tenths[l] = sq_lora_rate_value(sq_bits_get(from, 6));
        }
    }
    return SQUALL_OK;
}

static squall_status get_head(sq_bits *from, sq_lora_message *m, squall_error *err)
{
    const uint32_t version = sq_bits_get(from, 4), kind = sq_bits_get(from, 4);
    if (version != SQ_LORA_VERSION) {
        return sq_fail(err, SQUALL_E_VERSION, "LoRa message", "version %u; this squall reads %d",
                       version, SQ_LORA_VERSION);
    }
    m->kind = (sq_lora_kind)kind;
    m->station = (uint16_t)sq_bits_get(from, 16);
    m->sequence = (uint16_t)sq_bits_get(from, 16);
    m->issue_s = epoch_s + 60 * (int64_t)sq_bits_get(from, 25);
    m->status = sq_bits_get(from, 8);
    const uint32_t battery = sq_bits_get(from, 7), confidence = sq_bits_get(from, 5);
    m->battery = battery == UNKNOWN_BATTERY ? -1 : (int32_t)battery;
    m->confidence = confidence == UNKNOWN_CONFIDENCE ? -1 : (int32_t)confidence * 5;
    if (kind > SQ_LORA_ANSWER || m->battery > 100 || m->confidence > 100) {
        return corrupt("its kind, battery or confidence is out of range", err);
    }
    return SQUALL_OK;
}

squall_status sq_lora_decode(const uint8_t *bytes, size_t size, sq_lora_message *out,
                             squall_error *err)
{
    uint8_t copy[SQ_LORA_MOST_BYTES];
    sq_bits from = {copy, 0};
    const size_t least = (HEAD_BITS + FORECAST_BITS + 7) / 8 + CHECK_BYTES;
    if (size < least || size > sizeof copy) {
        return sq_fail(err, size < least ? SQUALL_E_TRUNCATED : SQUALL_E_CORRUPT, "LoRa message",
                       "%zu bytes; %zu to %zu are allowed", size, least, sizeof copy);
    }
    memcpy(copy, bytes, size);
    memset(out, 0, sizeof *out);
    const size_t body = size - CHECK_BYTES;
    if (checksum(bytes, body) != (bytes[body] << 8 | bytes[body + 1])) {
        return corrupt("its checksum does not hold", err);
    }
    SQ_TRY(get_head(&from, out, err));
    if (out->kind != SQ_LORA_ANSWER) {
        SQ_TRY(get_forecast(&from, size, out, err));
    } else if (size != (HEAD_BITS + ANSWER_BITS + 7) / 8 + CHECK_BYTES) {
        return corrupt("its length is not that of an answer", err);
    } else {
        out->counter = sq_bits_get(&from, 32);
        out->result = sq_bits_get(&from, 7);
    }
    if (sq_bits_get(&from, (int)(body * 8 - from.at)) != 0) {
        return corrupt("bits behind its end are set", err);
    }
    return SQUALL_OK;
}
