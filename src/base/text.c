/* base/text.c - text that grows while it is written. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

static bool reserve(sq_text *text, size_t extra)
{
    if (text->failed || extra > (size_t)1 << 30) {
        text->failed = true;
        return false;
    }
    const size_t need = text->length + extra + 1;
    if (need > text->capacity) {
        const size_t grown = need * 2 > 256 ? need * 2 : 256;
        char *data = sq_regrow(text->data, text->length, grown, 1);
        if (data == NULL) {
            text->failed = true;
            return false;
        }
        text->data = data;
        text->capacity = grown;
    }
    return true;
}

void sq_text_add(sq_text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length >= 0 && reserve(text, (size_t)length)) {
        vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
}

void sq_text_add_bytes(sq_text *text, const void *bytes, size_t count)
{
    if (reserve(text, count)) {
        memcpy(text->data + text->length, bytes, count);
        text->length += count;
        text->data[text->length] = '\0';
    }
}

void sq_text_add_html(sq_text *text, const char *words)
{
    for (const char *p = words; *p != '\0'; p++) {
        switch (*p) {
        case '&':
            sq_text_add(text, "&amp;");
            break;
        case '<':
            sq_text_add(text, "&lt;");
            break;
        case '>':
            sq_text_add(text, "&gt;");
            break;
        case '"':
            sq_text_add(text, "&quot;");
            break;
        default:
            sq_text_add_bytes(text, p, 1);
        }
    }
}

void sq_text_free(sq_text *text)
{
    sq_free(text->data);
    memset(text, 0, sizeof *text);
}
