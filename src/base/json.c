/* base/json.c - JSON written as it goes, for answers and logs. */
#include "base/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/time.h"

/* Length of the UTF-8 sequence at `p`, or 0 when it is none. */
static size_t sequence(const unsigned char *p, size_t left)
{
    static const unsigned least[5] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t length = p[0] < 0x80 ? 1 : p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (length <= 1 || length > left || p[0] > 0xF4) {
        return length == 1 ? 1 : 0;
    }
    unsigned code = p[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
        code = code << 6 | (p[i] & 0x3Fu);
    }
    const bool fits = code >= least[length] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    return fits ? length : 0;
}

/* A byte that JSON does not take as it stands. */
static void escape(sq_text *text, unsigned char byte)
{
    switch (byte) {
    case '"':
        sq_text_add_bytes(text, "\\\"", 2);
        break;
    case '\\':
        sq_text_add_bytes(text, "\\\\", 2);
        break;
    case '\n':
        sq_text_add_bytes(text, "\\n", 2);
        break;
    default:
        sq_text_add(text, "\\u%04x", byte);
    }
}

static void quote(sq_text *text, const char *value, size_t length)
{
    const unsigned char *p = (const unsigned char *)value;
    sq_text_add_bytes(text, "\"", 1);
    for (size_t i = 0; i < length;) {
        size_t plain = i;
        while (plain < length && p[plain] >= 0x20 && p[plain] < 0x7F && p[plain] != '"' &&
               p[plain] != '\\') {
            plain++;
        }
        if (plain > i) {
            sq_text_add_bytes(text, value + i, plain - i);
            i = plain;
            continue;
        }
        const size_t bytes = sequence(p + i, length - i);
        if (bytes > 1) {
            sq_text_add_bytes(text, value + i, bytes);
        } else if (bytes == 1) {
            escape(text, p[i]);
        } else {
            sq_text_add_bytes(text, "\xEF\xBF\xBD", 3);
        }
        i += bytes > 0 ? bytes : 1;
    }
    sq_text_add_bytes(text, "\"", 1);
}

/* The comma and the key before a value. */
static void begin(sq_json *json, const char *key)
{
    if (json->depth < SQ_JSON_DEPTH) {
        if (json->more[json->depth]) {
            sq_text_add_bytes(&json->text, ",", 1);
        }
        json->more[json->depth] = true;
    }
    if (key != NULL) {
        quote(&json->text, key, strlen(key));
        sq_text_add_bytes(&json->text, ":", 1);
    }
}

static void open_bracket(sq_json *json, const char *key, const char *bracket)
{
    begin(json, key);
    sq_text_add_bytes(&json->text, bracket, 1);
    json->depth++;
    if (json->depth < SQ_JSON_DEPTH) {
        json->more[json->depth] = false;
    } else {
        json->text.failed = true;
    }
}

static void close_bracket(sq_json *json, const char *bracket)
{
    sq_text_add_bytes(&json->text, bracket, 1);
    json->depth -= json->depth > 0 ? 1 : 0;
}

void sq_json_object(sq_json *json, const char *key)
{
    open_bracket(json, key, "{");
}

void sq_json_array(sq_json *json, const char *key)
{
    open_bracket(json, key, "[");
}

void sq_json_end_object(sq_json *json)
{
    close_bracket(json, "}");
}

void sq_json_end_array(sq_json *json)
{
    close_bracket(json, "]");
}

void sq_json_text_n(sq_json *json, const char *key, const char *value, size_t length)
{
    begin(json, key);
    quote(&json->text, value, length);
}

void sq_json_text(sq_json *json, const char *key, const char *value)
{
    if (value == NULL) {
        sq_json_null(json, key);
    } else {
        sq_json_text_n(json, key, value, strlen(value));
    }
}

void sq_json_format(sq_json *json, const char *key, const char *format, ...)
{
    char value[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    sq_json_text(json, key, value);
}

void sq_json_int(sq_json *json, const char *key, int64_t value)
{
    begin(json, key);
    sq_text_add(&json->text, "%lld", (long long)value);
}

void sq_json_real(sq_json *json, const char *key, double value, int digits)
{
    begin(json, key);
    if (isfinite(value)) {
        sq_text_add(&json->text, "%.*g", digits, value);
    } else {
        sq_text_add_bytes(&json->text, "null", 4);
    }
}

void sq_json_bool(sq_json *json, const char *key, bool value)
{
    sq_json_raw(json, key, value ? "true" : "false");
}

void sq_json_null(sq_json *json, const char *key)
{
    sq_json_raw(json, key, "null");
}

void sq_json_time(sq_json *json, const char *key, int64_t value)
{
    char text[SQ_TIME_TEXT];
    sq_json_text(json, key, value != SQ_TIME_NONE ? sq_time_format(value, text) : NULL);
}

void sq_json_raw(sq_json *json, const char *key, const char *value)
{
    begin(json, key);
    sq_text_add_bytes(&json->text, value, strlen(value));
}

void sq_json_free(sq_json *json)
{
    sq_text_free(&json->text);
    memset(json, 0, sizeof *json);
}
