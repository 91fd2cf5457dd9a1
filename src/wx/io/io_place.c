/* wx/io/io_place.c - places in files for messages, and PROJ strings from outside. */
#include "wx/io/io_place.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "wx/io/io_share.h"

char *sq_io_where(char *where, const char *name, const char *format, ...)
{
    char place[SQ_IO_WHERE / 2];
    va_list args;
    va_start(args, format);
    const int printed = vsnprintf(place, sizeof place, format, args);
    va_end(args);
    const size_t length = printed < 0 ? 0 : strlen(place);
    const size_t room = SQ_IO_WHERE - 2 - length, name_length = strlen(name);
    if (name_length <= room) {
        snprintf(where, SQ_IO_WHERE, "%s:%s", name, place);
    } else {
        snprintf(where, SQ_IO_WHERE, "...%s:%s", name + (name_length - room + 3), place);
    }
    return where;
}

bool sq_io_same_word(const char *a, const char *b)
{
    return strcasecmp(a, b) == 0;
}

bool sq_io_one_of(const char *word, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (sq_io_same_word(word, *words)) {
            return true;
        }
    }
    return false;
}

bool sq_io_clean_text(const char *bytes, size_t count, char *text, size_t size)
{
    size_t end = strnlen(bytes, count), begin = 0;
    while (begin < end && isspace((unsigned char)bytes[begin])) {
        begin++;
    }
    while (end > begin && isspace((unsigned char)bytes[end - 1])) {
        end--;
    }
    const size_t length = end - begin < size ? end - begin : size - 1;
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)bytes[begin + i];
        text[i] = c >= 0x20 && c < 0x7f ? (char)c : '?';
    }
    text[length] = 0;
    return length == end - begin;
}

/* One "+key=value" of a PROJ string. */
typedef struct proj_word {
    char key[32], value[128];
} proj_word;

/* The next word at *p into `word`: 1, 0 at the end, -1 for one that cannot be right. */
static int proj_next(const char **p, proj_word *word)
{
    while (isspace((unsigned char)**p) || **p == '+') {
        (*p)++;
    }
    if (**p == 0) {
        return 0;
    }
    size_t length = strcspn(*p, "= \t\r\n");
    if (length >= sizeof word->key ||
        strspn(*p, "abcdefghijklmnopqrstuvwxyz"
                   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != length) {
        return -1;
    }
    snprintf(word->key, sizeof word->key, "%.*s", (int)length, *p);
    *p += length;
    word->value[0] = 0;
    if (**p == '=') {
        (*p)++;
        length = strcspn(*p, " \t\r\n");
        if (length >= sizeof word->value ||
            strspn(*p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,+-") <
                length) {
            return -1;
        }
        snprintf(word->value, sizeof word->value, "%.*s", (int)length, *p);
        *p += length;
    }
    return 1;
}

/* Metres in one unit of the string's coordinates, by its earth ("+a=6378.137": kilometres), its
 * "+units" or its "+to_meter"; false for a unit not known. */
static bool proj_unit(const char *text, double *earth_m, double *unit_m)
{
    static const char *const lengths[] = {"a", "R", "b", NULL};
    proj_word word;
    *earth_m = *unit_m = 1;
    const char *p = text;
    while (proj_next(&p, &word) > 0) {
        double value;
        if (strcmp(word.key, "units") == 0) {
            if (strcmp(word.value, "m") != 0 && strcmp(word.value, "km") != 0) {
                return false;
            }
            *unit_m = word.value[0] == 'k' ? 1000 : 1;
        } else if (strcmp(word.key, "to_meter") == 0) {
            if (!sq_io_number(word.value, &value) || value <= 0) {
                return false;
            }
            *unit_m = value;
        } else if (sq_io_one_of(word.key, lengths) && sq_io_number(word.value, &value) &&
                   value > 1000 && value < 100000) {
            *earth_m = 1000;
        }
    }
    *unit_m *= *earth_m;
    return true;
}

/* Append one word to `proj`, its length multiplied by `earth_m` where it is one; false if there is
 * no room. */
static bool proj_append(char *proj, size_t size, const proj_word *word, double earth_m)
{
    static const char *const lengths[] = {"a", "R", "b", "h", "x_0", "y_0", NULL};
    static const char *const gone[] = {"units", "to_meter", "no_defs", "type", "wktext", NULL};
    if (sq_io_one_of(word->key, gone)) {
        return true;
    }
    const size_t used = strlen(proj);
    const char *space = used > 0 ? " " : "";
    double value;
    int printed;
    if (earth_m != 1 && sq_io_one_of(word->key, lengths) && sq_io_number(word->value, &value)) {
        printed =
            snprintf(proj + used, size - used, "%s+%s=%.12g", space, word->key, value * earth_m);
    } else if (word->value[0] != 0) {
        printed = snprintf(proj + used, size - used, "%s+%s=%s", space, word->key, word->value);
    } else {
        printed = snprintf(proj + used, size - used, "%s+%s", space, word->key);
    }
    return printed >= 0 && (size_t)printed < size - used;
}

squall_status sq_io_take_proj(const char *text, const char *where,
                              char proj[sizeof((squall_grid *)0)->proj], double *unit_m,
                              squall_error *err)
{
    const size_t size = sizeof((squall_grid *)0)->proj;
    static const char *const refused[] = {"init",     "step",    "nadgrids", "geoidgrids", "grids",
                                          "xy_grids", "z_grids", "file",     NULL};
    proj[0] = 0;
    double earth_m;
    if (!proj_unit(text, &earth_m, unit_m)) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "projection '%.200s': its unit is neither metres nor kilometres", text);
    }
    proj_word word;
    const char *p = text;
    bool named = false;
    int more;
    while ((more = proj_next(&p, &word)) > 0) {
        if (sq_io_one_of(word.key, refused) || strcmp(word.value, "pipeline") == 0) {
            return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                           "projection '%.200s': '%s' is not taken from files; a plain "
                           "'+proj=...' is",
                           text, word.key);
        }
        named = named || (strcmp(word.key, "proj") == 0 && word.value[0] != 0);
        if (!proj_append(proj, size, &word, earth_m)) {
            return sq_fail(err, SQUALL_E_LIMIT, where,
                           "a projection text of more than %zu characters", size - 1);
        }
    }
    if (more < 0 || !named) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "'%.200s' is no PROJ string; one begins with '+proj='", text);
    }
    if (sq_io_proj_is_longlat(proj)) {
        *unit_m = 1;
    }
    return SQUALL_OK;
}

bool sq_io_proj_is_longlat(const char *proj)
{
    static const char *const names[] = {"longlat", "latlong", "lonlat", "latlon", NULL};
    proj_word word;
    while (proj_next(&proj, &word) > 0) {
        if (strcmp(word.key, "proj") == 0) {
            return sq_io_one_of(word.value, names);
        }
    }
    return false;
}
