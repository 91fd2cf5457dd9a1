/* wx/io/io_gdalxml.c - the items of GDAL's metadata text in a TIFF, however often it was escaped.
 */
#include "wx/io/io_gdalxml.h"

#include <stdio.h>
#include <string.h>

#include "wx/io/io_place.h"

#define ESCAPE_LEVELS 4

static void unescape_once(char *text)
{
    static const struct {
        const char *escape;
        char plain;
    } escapes[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&amp;", '&'}};
    char *out = text;
    for (const char *p = text; *p != '\0';) {
        char plain = *p;
        size_t length = 1;
        for (size_t i = 0; *p == '&' && i < sizeof escapes / sizeof escapes[0]; i++) {
            if (strncmp(p, escapes[i].escape, strlen(escapes[i].escape)) == 0) {
                plain = escapes[i].plain;
                length = strlen(escapes[i].escape);
                break;
            }
        }
        *out++ = plain;
        p += length;
    }
    *out = '\0';
}

void sq_gdalxml_unescape(char *text)
{
    for (int i = 0; i < ESCAPE_LEVELS && strstr(text, "lt;Item") != NULL; i++) {
        unescape_once(text);
    }
}

/* The value of attribute `key` in a tag that ends at `end`. */
static bool find_attribute(const char *tag, const char *end, const char *key, char *value,
                           size_t size)
{
    const size_t length = strlen(key);
    for (const char *p = tag; p + length + 2 < end; p++) {
        if ((p[-1] == ' ' || p[-1] == '\n') && strncmp(p, key, length) == 0 && p[length] == '=' &&
            p[length + 1] == '"') {
            const char *first = p + length + 2;
            const char *last = memchr(first, '"', (size_t)(end - first));
            if (last == NULL) {
                return false;
            }
            sq_io_clean_text(first, (size_t)(last - first), value, size);
            return true;
        }
    }
    return false;
}

bool sq_gdalxml_find(const char *xml, const char *name, char *text, size_t text_size, char *unit,
                     size_t unit_size)
{
    for (const char *tag = xml; (tag = strstr(tag, "<Item")) != NULL;) {
        tag += 5;
        const char *end = strchr(tag, '>');
        char found[64];
        if (end == NULL) {
            return false;
        }
        if (find_attribute(tag + 1, end, "name", found, sizeof found) &&
            sq_io_same_word(found, name)) {
            sq_io_clean_text(end + 1, strcspn(end + 1, "<"), text, text_size);
            if (unit != NULL && !find_attribute(tag + 1, end, "unit", unit, unit_size)) {
                unit[0] = '\0';
            }
            return true;
        }
    }
    return false;
}
