/* edge/lora/lora_command.c - commands: sealed by a key, each counted once. */
#include <string.h>

#include "edge/lora/lora.h"
#include "edge/lora/lora_bits.h"

enum { HEAD_BYTES = 5 }; /* version and order, counter */

/* Bytes between head and seal. */
static size_t argument_bytes(uint32_t order)
{
    static const uint8_t bytes[] = {[SQ_LORA_ACKNOWLEDGE] = 4,
                                    [SQ_LORA_THRESHOLD] = 3,
                                    [SQ_LORA_CADENCE] = 2,
                                    [SQ_LORA_RELEASE] = SQ_LORA_RELEASE_BYTES,
                                    [SQ_LORA_REBOOT] = 0};
    return bytes[order];
}

/* Over the station's number, which is not sent, and all that is before the seal. */
static void seal_of(const uint8_t *bytes, size_t size, uint16_t station, const uint8_t *key,
                    uint8_t *tag)
{
    uint8_t text[4 + SQ_LORA_MOST_BYTES] = {'s', 'q', (uint8_t)(station >> 8),
                                            (uint8_t)(station & 255)};
    uint8_t hash[SQ_HASH_BYTES];
    memcpy(text + 4, bytes, size);
    sq_hash_keyed(text, size + 4, key, SQ_LORA_KEY_BYTES, hash, sizeof hash);
    memcpy(tag, hash, SQ_LORA_TAG_BYTES);
}

squall_status sq_lora_seal(const sq_lora_command *command, uint16_t station, const uint8_t *key,
                           uint8_t *out, size_t *size, squall_error *err)
{
    sq_bits to = {out, 0};
    if (command->order < SQ_LORA_ACKNOWLEDGE || command->order > SQ_LORA_REBOOT) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "LoRa command", "this order is not there");
    }
    if (command->threshold_tenths < 0 || command->threshold_tenths > 65535 ||
        command->cadence_s < 0 || command->cadence_s > 65535) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "LoRa command",
                       "a threshold or cadence is outside 0 to 65535");
    }
    sq_bits_put(&to, SQ_LORA_VERSION, 4);
    sq_bits_put(&to, (uint32_t)command->order, 4);
    sq_bits_put(&to, command->counter, 32);
    switch (command->order) {
    case SQ_LORA_ACKNOWLEDGE:
        sq_bits_put(&to, command->sequence, 16);
        sq_bits_put(&to, command->mask, 16);
        break;
    case SQ_LORA_THRESHOLD:
        sq_bits_put(&to, command->mask & 255u, 8);
        sq_bits_put(&to, (uint32_t)command->threshold_tenths, 16);
        break;
    case SQ_LORA_CADENCE:
        sq_bits_put(&to, (uint32_t)command->cadence_s, 16);
        break;
    case SQ_LORA_RELEASE:
        memcpy(out + HEAD_BYTES, command->release, SQ_LORA_RELEASE_BYTES);
        break;
    case SQ_LORA_REBOOT:
        break;
    }
    const size_t body = HEAD_BYTES + argument_bytes((uint32_t)command->order);
    seal_of(out, body, station, key, out + body);
    *size = body + SQ_LORA_TAG_BYTES;
    return SQUALL_OK;
}

static void get_arguments(sq_bits *from, sq_lora_command *out)
{
    switch (out->order) {
    case SQ_LORA_ACKNOWLEDGE:
        out->sequence = (uint16_t)sq_bits_get(from, 16);
        out->mask = (uint16_t)sq_bits_get(from, 16);
        break;
    case SQ_LORA_THRESHOLD:
        out->mask = (uint16_t)sq_bits_get(from, 8);
        out->threshold_tenths = (int32_t)sq_bits_get(from, 16);
        break;
    case SQ_LORA_CADENCE:
        out->cadence_s = (int32_t)sq_bits_get(from, 16);
        break;
    case SQ_LORA_RELEASE:
        memcpy(out->release, from->bytes + HEAD_BYTES, SQ_LORA_RELEASE_BYTES);
        break;
    case SQ_LORA_REBOOT:
        break;
    }
}

squall_status sq_lora_open(const uint8_t *bytes, size_t size, uint16_t station, const uint8_t *key,
                           uint32_t last, sq_lora_command *out, squall_error *err)
{
    uint8_t copy[SQ_LORA_MOST_BYTES], tag[SQ_LORA_TAG_BYTES];
    sq_bits from = {copy, 0};
    if (size < HEAD_BYTES + SQ_LORA_TAG_BYTES || size > sizeof copy) {
        return sq_fail(err, size > sizeof copy ? SQUALL_E_CORRUPT : SQUALL_E_TRUNCATED,
                       "LoRa command", "%zu bytes; %d to %zu are allowed", size,
                       HEAD_BYTES + SQ_LORA_TAG_BYTES, sizeof copy);
    }
    const size_t body = size - SQ_LORA_TAG_BYTES;
    memcpy(copy, bytes, size);
    seal_of(copy, body, station, key, tag);
    if (!sq_hash_equal(tag, copy + body, sizeof tag)) {
        return sq_fail(err, SQUALL_E_SIGNATURE, "LoRa command",
                       "is not sealed by this station's key");
    }
    memset(out, 0, sizeof *out);
    const uint32_t version = sq_bits_get(&from, 4), order = sq_bits_get(&from, 4);
    if (version != SQ_LORA_VERSION) {
        return sq_fail(err, SQUALL_E_VERSION, "LoRa command", "version %u; this squall reads %d",
                       version, SQ_LORA_VERSION);
    }
    if (order > SQ_LORA_REBOOT || body != HEAD_BYTES + argument_bytes(order)) {
        return sq_fail(err, SQUALL_E_CORRUPT, "LoRa command", "order %u with %zu bytes", order,
                       size);
    }
    out->order = (sq_lora_order)order;
    out->counter = sq_bits_get(&from, 32);
    get_arguments(&from, out);
    if (out->counter <= last) {
        return sq_fail(err, SQUALL_E_MISMATCH, "LoRa command",
                       "its counter is %u, and %u has been there: it is sent again by somebody",
                       out->counter, last);
    }
    return SQUALL_OK;
}
