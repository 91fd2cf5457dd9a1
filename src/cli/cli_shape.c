/* cli/cli_shape.c - shapes, profiles and grids as they are written on the command line. */
#include "cli/cli_shape.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A whole number of at least 1; moves `*p` behind it. */
static bool parse_size(const char **p, int64_t *out)
{
    char *end;
    errno = 0;
    const long long size = strtoll(*p, &end, 10);
    if (errno != 0 || end == *p || size < 1) {
        return false;
    }
    *out = size;
    *p = end;
    return true;
}

/* "1:8:32" at `*p` into the batch of `out`; `*p` is behind it. */
static bool parse_range(const char **p, squall_input_shape *out)
{
    if (!parse_size(p, &out->batch_min) || *(*p)++ != ':' || !parse_size(p, &out->dims[0]) ||
        *(*p)++ != ':' || !parse_size(p, &out->batch_max)) {
        return false;
    }
    out->rank = 1;
    return true;
}

static bool parse(const char *p, bool range, squall_input_shape *out)
{
    if (range && !parse_range(&p, out)) {
        return false;
    }
    if (range && *p == '\0') {
        return true;
    }
    if (range && *p++ != 'x') {
        return false;
    }
    for (;;) {
        if (out->rank == SQUALL_MAX_DIMS || !parse_size(&p, &out->dims[out->rank])) {
            return false;
        }
        out->rank++;
        if (*p == '\0') {
            return true;
        }
        if (*p++ != 'x') {
            return false;
        }
    }
}

bool cli_shape_parse(const char *option, const char *text, bool range, squall_input_shape *out,
                     char *name, size_t room)
{
    const char *equals = strchr(text, '=');
    memset(out, 0, sizeof *out);
    if (equals != NULL) {
        snprintf(name, room, "%.*s", (int)(equals - text), text);
        out->name = name;
    }
    if (parse(equals != NULL ? equals + 1 : text, range, out)) {
        return true;
    }
    fprintf(stderr, "squall build: --%s: '%s' is no shape such as %s\n", option, text,
            range ? "x=1:8:32x4x256x256" : "x=1x4x256x256");
    return false;
}

bool cli_bucket_parse(const char *text, squall_bucket *out)
{
    const char *p = text;
    if (parse_size(&p, &out->height) && *p++ == 'x' && parse_size(&p, &out->width) && *p == '\0') {
        return true;
    }
    fprintf(stderr, "squall build: --bucket: '%s' is no grid such as 256x256\n", text);
    return false;
}

bool cli_bytes_parse(const char *option, const char *text, size_t *out)
{
    static const struct {
        const char *suffix;
        size_t factor;
    } units[] = {{"", 1}, {"k", (size_t)1 << 10}, {"M", (size_t)1 << 20}, {"G", (size_t)1 << 30}};
    const char *p = text;
    int64_t number;
    if (parse_size(&p, &number)) {
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
            if (strcmp(p, units[i].suffix) == 0 && (size_t)number <= SIZE_MAX / units[i].factor) {
                *out = (size_t)number * units[i].factor;
                return true;
            }
        }
    }
    fprintf(stderr, "squall build: --%s: '%s' is no number of bytes such as 512M\n", option, text);
    return false;
}
