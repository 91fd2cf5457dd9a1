/* svc/wis2/wis2_message.c - WIS2 notification messages, read and written. Input is hostile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "svc/wis2/wis2.h"

enum { CONTENT_BYTES = 65536, SHA256_BYTES = 32, SHA512_BYTES = 64 };

#define CONFORMS "http://wis.wmo.int/spec/wnm/1/conf/core"

/* ---------------------------------------------------------------- reading */

/* "2022-03-20T04:50:18.314854383Z", "+00:00" for the Z: to milliseconds. */
static bool parse_time(const char *text, int64_t *out)
{
    char whole[24];
    int64_t seconds, ms = 0;
    if (text == NULL || strlen(text) < 20 || text[10] != 'T') {
        return false;
    }
    snprintf(whole, sizeof whole, "%.19sZ", text);
    const char *at = text + 19;
    if (*at == '.') {
        int64_t unit = 100;
        for (at++; *at >= '0' && *at <= '9'; at++, unit /= 10) {
            ms += (*at - '0') * unit;
        }
    }
    if ((strcmp(at, "Z") != 0 && strcmp(at, "+00:00") != 0) || !sq_time_parse(whole, &seconds)) {
        return false;
    }
    *out = seconds * 1000 + ms;
    return true;
}

/* A text of 1 to `size` - 1 bytes without control characters. */
static bool copy_text(const json_t *value, char *out, size_t size)
{
    const char *text = json_string_value(value);
    const size_t length = text != NULL ? strlen(text) : 0;
    if (length == 0 || length >= size) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) {
            return false;
        }
    }
    memcpy(out, text, length + 1);
    return true;
}

static bool is_uuid(const char *text)
{
    static const char pattern[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    if (text == NULL || strlen(text) != sizeof pattern - 1) {
        return false;
    }
    for (size_t i = 0; i < sizeof pattern - 1; i++) {
        const bool digit = strchr("0123456789abcdefABCDEF", text[i]) != NULL;
        if (pattern[i] == 'x' ? !digit : text[i] != '-') {
            return false;
        }
    }
    return true;
}

static bool conforms(const json_t *document)
{
    size_t i;
    json_t *value;
    const char *version = json_string_value(json_object_get(document, "version"));
    json_array_foreach(json_object_get(document, "conformsTo"), i, value)
    {
        const char *text = json_string_value(value);
        if (text != NULL && strcmp(text, CONFORMS) == 0) {
            return true;
        }
    }
    return version != NULL && strcmp(version, "v04") == 0;
}

/* What makes it a message of this kind at all. */
static squall_status check_frame(const json_t *document, squall_error *err)
{
    const char *type = json_string_value(json_object_get(document, "type"));
    const json_t *geometry = json_object_get(document, "geometry");
    if (!json_is_object(document) || type == NULL || strcmp(type, "Feature") != 0) {
        return sq_fail(err, SQUALL_E_FORMAT, "message", "is no GeoJSON Feature");
    }
    if (!is_uuid(json_string_value(json_object_get(document, "id")))) {
        return sq_fail(err, SQUALL_E_FORMAT, "message", "its id is no UUID");
    }
    if (!conforms(document)) {
        return sq_fail(err, SQUALL_E_FORMAT, "message", "does not say that it conforms to %s",
                       CONFORMS);
    }
    if (!json_is_null(geometry) && !json_is_object(geometry)) {
        return sq_fail(err, SQUALL_E_FORMAT, "message", "has no geometry, which may be null");
    }
    return SQUALL_OK;
}

static squall_status read_integrity(const json_t *integrity, sq_wis2_message *out,
                                    squall_error *err)
{
    const char *method = json_string_value(json_object_get(integrity, "method"));
    const char *value = json_string_value(json_object_get(integrity, "value"));
    size_t size = 0;
    if (integrity == NULL) {
        return SQUALL_OK;
    }
    out->digest_size = method == NULL                  ? 0
                       : strcmp(method, "sha512") == 0 ? SHA512_BYTES
                       : strcmp(method, "sha256") == 0 ? SHA256_BYTES
                                                       : 0;
    if (out->digest_size == 0) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, "message",
                       "integrity.method is '%.40s'; sha512 and sha256 are known",
                       method != NULL ? method : "");
    }
    if (value == NULL || !sq_base64_parse(value, out->digest, sizeof out->digest, &size) ||
        size != out->digest_size) {
        return sq_fail(err, SQUALL_E_FORMAT, "message",
                       "integrity.value is no hash of %zu bytes in base64", out->digest_size);
    }
    return SQUALL_OK;
}

static squall_status read_content(const json_t *content, sq_wis2_message *out, squall_error *err)
{
    const char *encoding = json_string_value(json_object_get(content, "encoding"));
    const char *value = json_string_value(json_object_get(content, "value"));
    bool good = true;
    if (content == NULL || out->rel == SQ_WIS2_DELETION) {
        return SQUALL_OK;
    }
    if (encoding == NULL || value == NULL || strlen(value) > CONTENT_BYTES) {
        return sq_fail(err, SQUALL_E_FORMAT, "message", "content must have encoding and value");
    }
    if (strcmp(encoding, "base64") != 0 && strcmp(encoding, "utf-8") != 0) {
        return SQUALL_OK; /* it can be fetched all the same */
    }
    out->content = sq_alloc_raw(strlen(value) + 1, 1);
    if (out->content == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "message", "no memory");
    }
    if (encoding[0] == 'u') {
        out->content_size = strlen(value);
        memcpy(out->content, value, out->content_size);
    } else {
        good = sq_base64_parse(value, out->content, strlen(value), &out->content_size);
    }
    return good ? SQUALL_OK
                : sq_fail(err, SQUALL_E_FORMAT, "message", "content.value is no base64");
}

static squall_status read_properties(const json_t *properties, sq_wis2_message *out,
                                     squall_error *err)
{
    int64_t unused;
    const char *when = json_string_value(json_object_get(properties, "datetime"));
    const char *from = json_string_value(json_object_get(properties, "start_datetime"));
    const char *to = json_string_value(json_object_get(properties, "end_datetime"));
    if (!copy_text(json_object_get(properties, "data_id"), out->data_id, sizeof out->data_id)) {
        return sq_fail(err, SQUALL_E_FORMAT, "message",
                       "properties.data_id must be a text of 1 to %d bytes", SQ_WIS2_TEXT - 1);
    }
    if (!parse_time(json_string_value(json_object_get(properties, "pubtime")),
                    &out->published_ms)) {
        return sq_fail(err, SQUALL_E_FORMAT, "message",
                       "properties.pubtime is no time such as 2026-01-31T12:00:00Z");
    }
    /* A null datetime is one that cannot be told. */
    if (!parse_time(when, &unused) && !(parse_time(from, &unused) && parse_time(to, &unused)) &&
        !json_is_null(json_object_get(properties, "datetime"))) {
        return sq_fail(err, SQUALL_E_FORMAT, "message",
                       "properties have neither datetime nor start_datetime and end_datetime");
    }
    return read_integrity(json_object_get(properties, "integrity"), out, err);
}

/* The one link that says where the file is. */
static squall_status read_links(const json_t *links, sq_wis2_message *out, squall_error *err)
{
    static const char *const rels[] = {"canonical", "update", "deletion"};
    size_t i, found = 0;
    json_t *link;
    if (!json_is_array(links) || json_array_size(links) == 0) {
        return sq_fail(err, SQUALL_E_FORMAT, "message", "has no links");
    }
    json_array_foreach(links, i, link)
    {
        const char *rel = json_string_value(json_object_get(link, "rel"));
        const json_t *length = json_object_get(link, "length");
        for (size_t k = 0; rel != NULL && k < 3; k++) {
            if (strcmp(rel, rels[k]) != 0) {
                continue;
            }
            found++;
            out->rel = (sq_wis2_rel)k;
            out->length = json_is_integer(length) && json_integer_value(length) >= 0
                              ? json_integer_value(length)
                              : -1;
            if (!copy_text(json_object_get(link, "href"), out->href, sizeof out->href)) {
                return sq_fail(err, SQUALL_E_FORMAT, "message",
                               "links[%zu].href must be a text of 1 to %d bytes", i,
                               SQ_WIS2_TEXT - 1);
            }
        }
    }
    return found == 1 ? SQUALL_OK
                      : sq_fail(err, SQUALL_E_FORMAT, "message",
                                "has %zu links of canonical, update or deletion, and must have one",
                                found);
}

squall_status sq_wis2_read(const void *bytes, size_t size, sq_wis2_message *out, squall_error *err)
{
    json_error_t problem;
    squall_status status = SQUALL_OK;
    memset(out, 0, sizeof *out);
    if (size > SQ_WIS2_MESSAGE) {
        return sq_fail(err, SQUALL_E_LIMIT, "message", "%zu bytes; at most %d are taken", size,
                       SQ_WIS2_MESSAGE);
    }
    json_t *document = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &problem);
    if (document == NULL) {
        return sq_fail(err, SQUALL_E_FORMAT, "message", "is no JSON: %s", problem.text);
    }
    const json_t *properties = json_object_get(document, "properties");
    SQ_TRY_GOTO(check_frame(document, err));
    SQ_TRY_GOTO(read_properties(properties, out, err));
    SQ_TRY_GOTO(read_links(json_object_get(document, "links"), out, err));
    SQ_TRY_GOTO(read_content(json_object_get(properties, "content"), out, err));
done:
    json_decref(document);
    if (status != SQUALL_OK) {
        sq_wis2_message_free(out);
    }
    return status;
}

void sq_wis2_message_free(sq_wis2_message *message)
{
    sq_free(message->content);
    message->content = NULL;
    message->content_size = 0;
}

squall_status sq_wis2_verify(const sq_wis2_message *message, const void *bytes, size_t size,
                             squall_error *err)
{
    unsigned char digest[SQ_WIS2_DIGEST];
    if (message->length >= 0 && (uint64_t)message->length != size) {
        return sq_fail(err, SQUALL_E_CORRUPT, message->data_id,
                       "%zu bytes came, where the message says %lld", size,
                       (long long)message->length);
    }
    if (message->digest_size == SHA512_BYTES) {
        sq_hash_sha512(bytes, size, digest);
    } else if (message->digest_size == SHA256_BYTES) {
        sq_hash(bytes, size, digest);
    }
    if (message->digest_size > 0 && !sq_hash_equal(digest, message->digest, message->digest_size)) {
        return sq_fail(err, SQUALL_E_CORRUPT, message->data_id,
                       "the file that came does not have the hash of the message");
    }
    return SQUALL_OK;
}

/* ---------------------------------------------------------------- writing */

static void write_geometry(const sq_wis2_product *p, sq_json *json)
{
    const double corners[5][2] = {{p->west, p->south},
                                  {p->east, p->south},
                                  {p->east, p->north},
                                  {p->west, p->north},
                                  {p->west, p->south}};
    sq_json_object(json, "geometry");
    sq_json_text(json, "type", "Polygon");
    sq_json_array(json, "coordinates");
    sq_json_array(json, NULL);
    for (size_t i = 0; i < 5; i++) {
        sq_json_array(json, NULL);
        sq_json_real(json, NULL, corners[i][0], 7);
        sq_json_real(json, NULL, corners[i][1], 7);
        sq_json_end_array(json);
    }
    sq_json_end_array(json);
    sq_json_end_array(json);
    sq_json_end_object(json);
}

static void write_properties(const sq_wis2_product *p, const char *data_id, const char *metadata_id,
                             int64_t published_ms, sq_json *json)
{
    unsigned char digest[SHA512_BYTES];
    char time[SQ_TIME_TEXT], value[2 * SHA512_BYTES];
    sq_hash_sha512(p->bytes, p->size, digest);
    sq_base64_format(digest, sizeof digest, value, sizeof value);
    sq_time_format(published_ms / 1000, time);
    sq_json_object(json, "properties");
    sq_json_format(json, "pubtime", "%.19s.%03dZ", time, (int)(published_ms % 1000));
    sq_json_text(json, "data_id", data_id);
    if (metadata_id[0] != '\0') {
        sq_json_text(json, "metadata_id", metadata_id);
    }
    sq_json_time(json, "start_datetime", p->start);
    sq_json_time(json, "end_datetime", p->end);
    sq_json_object(json, "integrity");
    sq_json_text(json, "method", "sha512");
    sq_json_text(json, "value", value);
    sq_json_end_object(json);
    sq_json_text(json, "producer", "squall");
    sq_json_end_object(json);
}

void sq_wis2_write(const sq_wis2_product *product, const char *id, const char *data_id,
                   const char *metadata_id, sq_wis2_rel rel, int64_t published_ms, sq_text *out)
{
    sq_json json = {0};
    sq_json_object(&json, NULL);
    sq_json_text(&json, "id", id);
    sq_json_array(&json, "conformsTo");
    sq_json_text(&json, NULL, CONFORMS);
    sq_json_end_array(&json);
    sq_json_text(&json, "type", "Feature");
    write_geometry(product, &json);
    write_properties(product, data_id, metadata_id, published_ms, &json);
    sq_json_array(&json, "links");
    sq_json_object(&json, NULL);
    sq_json_text(&json, "rel", rel == SQ_WIS2_UPDATE ? "update" : "canonical");
    sq_json_text(&json, "type", product->type);
    sq_json_text(&json, "href", product->href);
    sq_json_int(&json, "length", (int64_t)product->size);
    sq_json_end_object(&json);
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    *out = json.text;
}
