/* svc/http/http_url.c - addresses taken apart, and held against patterns. */
#include <string.h>

#include "svc/http/http.h"

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Whether the text is UTF-8 without control characters. */
static bool is_clean(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    while (*p != 0) {
        int more = *p < 0x80 ? 0 : *p < 0xC2 ? -1 : *p < 0xE0 ? 1 : *p < 0xF0 ? 2 : 3;
        if (more < 0 || *p < 0x20 || *p == 0x7F || *p > 0xF4) {
            return false;
        }
        for (p++; more > 0; more--, p++) {
            if ((*p & 0xC0) != 0x80) {
                return false;
            }
        }
    }
    return true;
}

/* Decode text[0..length) into `out`, which gets an end; false when a percent sign is wrong. */
static bool decode(const char *text, size_t length, bool plus, char *out)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '%') {
            const int high = i + 2 < length ? hex(text[i + 1]) : -1;
            const int low = i + 2 < length ? hex(text[i + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0)) {
                return false;
            }
            *out++ = (char)(high * 16 + low);
            i += 2;
        } else {
            *out++ = plus && text[i] == '+' ? ' ' : text[i];
        }
    }
    *out = '\0';
    return true;
}

static bool has_dots(const char *path)
{
    for (const char *at = path; at != NULL; at = strchr(at + 1, '/')) {
        const size_t length = strcspn(at + 1, "/");
        if (length > 0 && length <= 2 && strspn(at + 1, ".") >= length) {
            return true;
        }
        if (length == 0 && at[1] == '/') {
            return true;
        }
    }
    return false;
}

static squall_status parse_query(const char *query, char *store, sq_http_url *out,
                                 squall_error *err)
{
    while (*query != '\0') {
        const size_t length = strcspn(query, "&");
        const size_t name = strcspn(query, "=&");
        if (length > 0) {
            if (out->argument_count == SQ_HTTP_ARGUMENTS) {
                return sq_fail(err, SQUALL_E_LIMIT, "query", "more than %d parameters",
                               SQ_HTTP_ARGUMENTS);
            }
            sq_http_argument *argument = &out->arguments[out->argument_count++];
            argument->name = store;
            if (!decode(query, name, true, store)) {
                return sq_fail(err, SQUALL_E_FORMAT, "query", "a percent sign without two digits");
            }
            store += name + 1;
            argument->value = store;
            const size_t value = length > name ? length - name - 1 : 0;
            if (!decode(query + length - value, value, true, store)) {
                return sq_fail(err, SQUALL_E_FORMAT, "query", "a percent sign without two digits");
            }
            store += value + 1;
            if (!is_clean(argument->name) || !is_clean(argument->value)) {
                return sq_fail(err, SQUALL_E_FORMAT, "query",
                               "control characters, or text that is no UTF-8");
            }
        }
        query += length + (query[length] == '&' ? 1 : 0);
    }
    return SQUALL_OK;
}

squall_status sq_http_url_parse(const char *text, sq_http_url *out, squall_error *err)
{
    memset(out, 0, sizeof *out);
    const size_t length = strlen(text);
    const size_t path = strcspn(text, "?#");
    if (text[0] != '/') {
        return sq_fail(err, SQUALL_E_FORMAT, "address", "does not begin with a slash");
    }
    /* Each name and each value has an end of its own, for which '=' and '&' left room but once. */
    out->store = sq_alloc(length + 2 * SQ_HTTP_ARGUMENTS + 2, 1);
    if (out->store == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "address", "no memory");
    }
    squall_status status = SQUALL_OK;
    out->path = out->store;
    if (!decode(text, path, false, out->path) || !is_clean(out->path) || has_dots(out->path)) {
        status = sq_fail(err, SQUALL_E_FORMAT, "address",
                         "a wrong percent sign, control characters, or a segment that is empty, "
                         "'.' or '..'");
        goto done;
    }
    if (text[path] == '?') {
        char query[2] = "";
        const size_t end = strcspn(text + path + 1, "#");
        char *copy = end > 0 ? sq_alloc(end + 1, 1) : query;
        if (copy == NULL) {
            status = sq_fail(err, SQUALL_E_MEMORY, "address", "no memory");
            goto done;
        }
        memcpy(copy, text + path + 1, end);
        status = parse_query(copy, out->store + path + 1, out, err);
        if (copy != query) {
            sq_free(copy);
        }
    }
done:
    if (status != SQUALL_OK) {
        sq_http_url_free(out);
    }
    return status;
}

void sq_http_url_free(sq_http_url *url)
{
    sq_free(url->store);
    memset(url, 0, sizeof *url);
}

/* One capture of `length` characters; false when there is no room. */
static bool keep(sq_http_captures *out, size_t *used, const char *name, size_t name_length,
                 const char *value, size_t length)
{
    if (out->count == SQ_HTTP_CAPTURES || name_length >= SQ_HTTP_NAME ||
        length + 1 > sizeof out->store - *used) {
        return false;
    }
    sq_http_capture *capture = &out->items[out->count++];
    memcpy(capture->name, name, name_length);
    capture->name[name_length] = '\0';
    capture->value = out->store + *used;
    memcpy(out->store + *used, value, length);
    out->store[*used + length] = '\0';
    *used += length + 1;
    return true;
}

/* How many characters of `path` a capture takes that is followed by text[0..length) in the pattern;
 * 0 for none. */
static size_t capture_length(const char *path, const char *text, size_t length, bool last)
{
    const size_t segment = strcspn(path, "/");
    if (last) { /* to the end of the segment, less the text */
        return segment > length && strncmp(path + segment - length, text, length) == 0
                   ? segment - length
                   : 0;
    }
    for (size_t i = 1; i + length <= segment; i++) {
        if (strncmp(path + i, text, length) == 0) {
            return i;
        }
    }
    return 0;
}

bool sq_http_match(const char *pattern, const char *path, sq_http_captures *out)
{
    size_t used = 0;
    out->count = 0;
    while (*pattern != '\0') {
        if (*pattern != '{') {
            if (*pattern++ != *path++) {
                return false;
            }
            continue;
        }
        const size_t name = strcspn(pattern + 1, "}");
        const char *rest = pattern + 1 + name + 1;
        const size_t literal = strcspn(rest, "{/");
        const size_t taken = capture_length(path, rest, literal, rest[literal] != '{');
        if (taken == 0 || !keep(out, &used, pattern + 1, name, path, taken)) {
            return false;
        }
        path += taken;
        pattern = rest;
    }
    return *path == '\0' || (path[0] == '/' && path[1] == '\0');
}
