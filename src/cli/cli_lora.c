/* cli/cli_lora.c - squall lora: messages of stations read, commands to them sealed, time in the
 * air.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "edge/lora/lora.h"

/* What was asked for on the command line. */
typedef struct request {
    const char *key, *region, *release, *device;
    int32_t station, counter, bytes, mask, sequence, cadence_s;
    double threshold_mm_h;
    bool json;
} request;

/* ------------------------------------------------------------------ bytes as text */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* `text` has room for 4 characters for every 3 bytes, and the end. */
static void base64_write(const uint8_t *bytes, size_t size, char *text)
{
    for (size_t i = 0; i < size; i += 3, text += 4) {
        const uint32_t three = (uint32_t)bytes[i] << 16 |
                               (i + 1 < size ? (uint32_t)bytes[i + 1] << 8 : 0) |
                               (i + 2 < size ? bytes[i + 2] : 0);
        for (int d = 0; d < 4; d++) {
            text[d] = i + (size_t)d <= size ? base64_digits[three >> (18 - 6 * d) & 63] : '=';
        }
    }
    *text = '\0';
}

/* Bytes in hexadecimal or in base 64; false for anything else, or too much. */
static bool read_bytes(const char *text, uint8_t *bytes, size_t room, size_t *size)
{
    const size_t length = strlen(text);
    *size = length / 2;
    if (length % 2 == 0 && *size <= room && sq_hex_parse(text, bytes, *size)) {
        return true;
    }
    const size_t digits = strcspn(text, "=");
    *size = digits * 3 / 4;
    if (length % 4 != 0 || length - digits > 2 || strspn(text + digits, "=") != length - digits ||
        *size > room) {
        return false;
    }
    uint32_t bits = 0;
    for (size_t i = 0; i < digits; i++) {
        const char *digit = strchr(base64_digits, text[i]);
        if (digit == NULL) {
            return false;
        }
        bits = bits << 6 | (uint32_t)(digit - base64_digits);
        if (i % 4 != 0) {
            bytes[i / 4 * 3 + i % 4 - 1] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
        }
    }
    return true;
}

/* ------------------------------------------------------------------ decode */

static json_t *rate_json(int32_t tenths)
{
    return tenths < 0 ? json_null() : json_real(tenths / 10.0);
}

static json_t *maybe(int32_t value)
{
    return value < 0 ? json_null() : json_integer(value);
}

/* The same names as packaging/chirpstack_codec.js. */
static json_t *message_json(const sq_lora_message *m)
{
    static const char *const kinds[] = {"report", "alarm", "stored", "answer"};
    json_t *out =
        json_pack("{s:s, s:i, s:i, s:I, s:o, s:i, s:o, s:o}", "kind", kinds[m->kind], "station",
                  m->station, "sequence", m->sequence, "issue_s", (json_int_t)m->issue_s, "issue",
                  cli_time(m->issue_s), "status", (int)m->status, "battery", maybe(m->battery),
                  "confidence", maybe(m->confidence));
    if (m->kind == SQ_LORA_ANSWER) {
        json_object_set_new(out, "counter", json_integer(m->counter));
        json_object_set_new(out, "result", json_integer(m->result));
        return out;
    }
    json_t *sectors = json_array();
    for (uint32_t s = 0; s < m->sectors; s++) {
        json_t *rates = json_array();
        for (uint32_t l = 0; l < m->leads; l++) {
            json_array_append_new(rates, rate_json(m->sector[s].rate_tenths[l]));
        }
        json_array_append_new(sectors, json_pack("{s:o, s:o}", "rates_mm_h", rates, "onset_min",
                                                 maybe(m->sector[s].onset_min)));
    }
    json_object_set_new(out, "threshold_mm_h", rate_json(m->threshold_tenths));
    json_object_set_new(out, "lead_step_min", json_integer(m->lead_step_min));
    json_object_set_new(out, "sectors", sectors);
    return out;
}

static void print_message(const sq_lora_message *m)
{
    static const char *const kinds[] = {"report", "alarm", "report, sent late,", "answer"};
    char issue[SQ_TIME_TEXT];
    printf(
        "%s of station %u, number %u, issued %s, status 0x%02x, battery %d %%, confidence %d %%\n",
        kinds[m->kind], m->station, m->sequence, sq_time_format(m->issue_s, issue), m->status,
        m->battery, m->confidence);
    if (m->kind == SQ_LORA_ANSWER) {
        printf("  to command %u: %s\n", m->counter, squall_status_name((squall_status)m->result));
        return;
    }
    for (uint32_t s = 0; s < m->sectors; s++) {
        printf("  sector %u: most", s);
        for (uint32_t l = 0; l < m->leads; l++) {
            const int32_t tenths = m->sector[s].rate_tenths[l];
            printf(tenths < 0 ? " -" : " %.1f", tenths / 10.0);
        }
        printf(" mm/h, every %d min; %.1f mm/h ", m->lead_step_min, m->threshold_tenths / 10.0);
        if (m->sector[s].onset_min < 0) {
            printf("not foreseen\n");
        } else {
            printf("in %d min\n", m->sector[s].onset_min);
        }
    }
}

static int decode(const request *want, const cli_list *rest)
{
    squall_error err = {.code = SQUALL_OK};
    json_t *list = json_array();
    for (size_t i = 1; i < rest->count; i++) {
        uint8_t bytes[SQ_LORA_MOST_BYTES];
        sq_lora_message message;
        size_t size;
        if (!read_bytes(rest->items[i], bytes, sizeof bytes, &size)) {
            json_decref(list);
            fprintf(stderr,
                    "squall lora: '%s' is neither hexadecimal nor base 64 of at most %d bytes\n",
                    rest->items[i], SQ_LORA_MOST_BYTES);
            return CLI_FAILED;
        }
        if (sq_lora_decode(bytes, size, &message, &err) != SQUALL_OK) {
            json_decref(list);
            return cli_report("lora", &err);
        }
        if (want->json) {
            json_array_append_new(list, message_json(&message));
        } else {
            print_message(&message);
        }
    }
    if (want->json) {
        return cli_print_json(list);
    }
    json_decref(list);
    return CLI_OK;
}

/* ------------------------------------------------------------------ airtime */

static int airtime(const request *want)
{
    sq_lora_region region;
    sq_lora_budget budget;
    json_t *list = json_array();
    if (!sq_lora_region_find(want->region, &region)) {
        json_decref(list);
        fprintf(stderr, "squall lora: --region: '%s' is none of eu868, cn470, us915, as923\n",
                want->region);
        return CLI_USAGE;
    }
    sq_lora_budget_init(&budget, region, 1.0);
    for (int32_t rate = 0; rate < sq_lora_data_rates(region); rate++) {
        const int64_t us = sq_lora_airtime_us(region, rate, (size_t)want->bytes);
        const size_t most = sq_lora_most_bytes(region, rate);
        if ((size_t)want->bytes > most) {
            continue;
        }
        if (want->json) {
            json_array_append_new(list,
                                  json_pack("{s:i, s:f, s:I, s:I}", "data_rate", rate, "airtime_ms",
                                            (double)us / 1e3, "most_bytes", (json_int_t)most,
                                            "an_hour", (json_int_t)(budget.allowed_us / us)));
        } else {
            printf("DR%d: %.1f ms in the air, at most %lld an hour; %zu bytes at most\n", rate,
                   (double)us / 1e3, (long long)(budget.allowed_us / us), most);
        }
    }
    if (want->json) {
        return cli_print_json(list);
    }
    json_decref(list);
    return CLI_OK;
}

/* ------------------------------------------------------------------ keys and commands */

static squall_status make_key(const char *path, squall_error *err)
{
    uint8_t key[SQ_LORA_KEY_BYTES];
    char text[2 * SQ_LORA_KEY_BYTES + 2];
    SQ_TRY(sq_random_bytes(key, sizeof key, err));
    sq_hex_format(key, sizeof key, text);
    text[2 * SQ_LORA_KEY_BYTES] = '\n';
    const int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const ssize_t wrote = file < 0 ? -1 : write(file, text, sizeof text - 1);
    const bool good = wrote == (ssize_t)sizeof text - 1 && fsync(file) == 0;
    sq_sign_forget(key, sizeof key);
    sq_sign_forget(text, sizeof text);
    if (file >= 0) {
        close(file);
    }
    return good ? SQUALL_OK
                : sq_fail(err, SQUALL_E_IO, path, "cannot be made: %s; a key is never overwritten",
                          strerror(errno));
}

static squall_status read_key(const char *path, uint8_t *key, squall_error *err)
{
    unsigned char *text = NULL;
    size_t size;
    SQ_TRY(sq_file_read(path, 1024, &text, &size, err));
    text[strcspn((char *)text, "\r\n")] = '\0';
    const bool good = sq_hex_parse((char *)text, key, SQ_LORA_KEY_BYTES);
    sq_sign_forget(text, size);
    sq_free(text);
    return good ? SQUALL_OK
                : sq_fail(err, SQUALL_E_FORMAT, path, "holds no key: %d hexadecimal digits are one",
                          2 * SQ_LORA_KEY_BYTES);
}

static const char *const orders[] = {"acknowledge", "threshold", "cadence", "release", "reboot"};

static bool find_order(const char *name, sq_lora_order *out)
{
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        if (strcmp(name, orders[i]) == 0) {
            *out = (sq_lora_order)i;
            return true;
        }
    }
    return false;
}

static int command(const request *want, const cli_list *rest)
{
    squall_error err = {.code = SQUALL_OK};
    uint8_t key[SQ_LORA_KEY_BYTES], bytes[SQ_LORA_MOST_BYTES];
    char text[2 * SQ_LORA_MOST_BYTES + 4];
    size_t size = 0;
    sq_lora_command c = {.counter = (uint32_t)want->counter,
                         .sequence = (uint16_t)want->sequence,
                         .mask = (uint16_t)want->mask,
                         .threshold_tenths = (int32_t)(want->threshold_mm_h * 10 + 0.5),
                         .cadence_s = want->cadence_s};
    if (rest->count != 2 || !find_order(rest->items[1], &c.order) || want->key == NULL ||
        want->station < 0 || want->counter < 1) {
        fprintf(stderr,
                "squall lora: command needs one of acknowledge, threshold, cadence, release, "
                "reboot, and --key, --station and --counter\n");
        return CLI_USAGE;
    }
    if (c.order == SQ_LORA_RELEASE &&
        (want->release == NULL || !sq_hex_parse(want->release, c.release, sizeof c.release))) {
        fprintf(stderr,
                "squall lora: --release takes the first 16 digits of the engine's SHA-256\n");
        return CLI_USAGE;
    }
    if (read_key(want->key, key, &err) != SQUALL_OK) {
        return cli_report("lora", &err);
    }
    const squall_status status = sq_lora_seal(&c, (uint16_t)want->station, key, bytes, &size, &err);
    sq_sign_forget(key, sizeof key);
    if (status != SQUALL_OK) {
        return cli_report("lora", &err);
    }
    base64_write(bytes, size, text);
    if (want->json || want->device != NULL) {
        /* as ChirpStack takes it at application/ID/device/EUI/command/down */
        return cli_print_json(json_pack("{s:o, s:b, s:i, s:s}", "devEui", cli_text(want->device),
                                        "confirmed", 0, "fPort", SQ_LORA_PORT, "data", text));
    }
    printf("%s\n", text);
    return CLI_OK;
}

static int run_verb(const request *want, const cli_list *rest)
{
    squall_error err = {.code = SQUALL_OK};
    const char *verb = rest->count > 0 ? rest->items[0] : "";
    if (strcmp(verb, "decode") == 0 && rest->count > 1) {
        return decode(want, rest);
    }
    if (strcmp(verb, "airtime") == 0 && rest->count == 1) {
        return airtime(want);
    }
    if (strcmp(verb, "command") == 0) {
        return command(want, rest);
    }
    if (strcmp(verb, "key") == 0 && rest->count == 2) {
        return make_key(rest->items[1], &err) == SQUALL_OK ? CLI_OK : cli_report("lora", &err);
    }
    fprintf(stderr, "squall lora: decode BYTES..., airtime, key FILE or command ORDER is needed\n");
    return CLI_USAGE;
}

static int run(int argc, char **argv)
{
    request want = {.region = "eu868", .station = -1, .bytes = 44, .cadence_s = 300};
    cli_list rest;
    int code;
    const cli_option options[] = {
        {.name = "region",
         .argument = "NAME",
         .text = &want.region,
         .help = "eu868 (default), cn470, us915 or as923"},
        {.name = "bytes",
         .argument = "N",
         .number = &want.bytes,
         .low = 0,
         .high = 242,
         .help = "of the message (default 44, the longest of a station)"},
        {.name = "key", .argument = "FILE", .text = &want.key, .help = "the station's key"},
        {.name = "station",
         .argument = "N",
         .number = &want.station,
         .low = 0,
         .high = 65535,
         .help = "the station that a command is for"},
        {.name = "counter",
         .argument = "N",
         .number = &want.counter,
         .low = 1,
         .high = INT32_MAX,
         .help = "of the command: above that of all before it"},
        {.name = "sequence",
         .argument = "N",
         .number = &want.sequence,
         .low = 0,
         .high = 65535,
         .help = "acknowledge: the message that has arrived"},
        {.name = "mask",
         .argument = "N",
         .number = &want.mask,
         .low = 0,
         .high = 65535,
         .help = "acknowledge: bits of those before it; threshold: bits of the sectors"},
        {.name = "threshold",
         .argument = "MM_H",
         .real = &want.threshold_mm_h,
         .low = 0,
         .high = 6553,
         .help = "threshold: alarms from this rate on"},
        {.name = "cadence",
         .argument = "S",
         .number = &want.cadence_s,
         .low = 1,
         .high = 65535,
         .help = "cadence: seconds between forecasts (default 300)"},
        {.name = "release",
         .argument = "DIGITS",
         .text = &want.release,
         .help = "release: the first 16 digits of the engine's SHA-256"},
        {.name = "device",
         .argument = "EUI",
         .text = &want.device,
         .help = "print the command as ChirpStack's JSON for this device"},
        {.name = "json", .flag = &want.json, .help = "print JSON"},
    };
    if (!cli_parse(&cli_lora, options, sizeof options / sizeof options[0], argc, argv, &rest,
                   &code)) {
        return code;
    }
    code = run_verb(&want, &rest);
    cli_list_free(&rest);
    return code;
}

const cli_command cli_lora = {
    .name = "lora",
    .arguments = "decode BYTES... | airtime | key FILE | command ORDER",
    .summary = "messages of stations over LoRaWAN: read, sealed, timed",
    .details =
        "decode reads messages in hexadecimal or base 64; airtime says how long one is in the air\n"
        "at each data rate that carries it; key makes a station's key; command seals one of\n"
        "acknowledge, threshold, cadence, release and reboot. docs/edge.md has them bit by bit.",
    .run = run,
};
