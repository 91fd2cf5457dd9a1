/* wx/product/product_info.c - what is known beside the fields, and texts fit to be published. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/product/product.h"

#define TIME_MAX     ((int64_t)1 << 36) /* seconds: within some 2000 years of 1970 times are added */
#define WINDOW_MAX_S (366 * 86400)

static bool is_time(int64_t time)
{
    return time > -TIME_MAX && time < TIME_MAX;
}

void squall_product_info_init(squall_product_info *info)
{
    memset(info, 0, sizeof *info);
    info->struct_size = (uint32_t)sizeof *info;
    info->issue_time = SQUALL_TIME_NONE;
    info->quality_index = NAN;
}

squall_status sq_product_info_read(const squall_product_info *info, squall_product_info *out,
                                   squall_error *err)
{
    squall_product_info_init(out);
    if (info == NULL) {
        return SQUALL_OK;
    }
    if (info->struct_size < sizeof info->struct_size) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "product info",
                       "struct_size is %u; call squall_product_info_init() first",
                       (unsigned)info->struct_size);
    }
    /* A caller built against an older header knows fewer members; the others keep their defaults.
     */
    const size_t known = info->struct_size < sizeof *out ? info->struct_size : sizeof *out;
    memcpy(out, info, known);
    out->struct_size = (uint32_t)sizeof *out;
    if (out->issue_time != SQUALL_TIME_NONE && !is_time(out->issue_time)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "product info", "the issue time %lld s is no date",
                       (long long)out->issue_time);
    }
    return SQUALL_OK;
}

squall_status sq_product_field_check(const squall_field *field, const char *name, squall_error *err)
{
    if (field == NULL) {
        return sq_fail(err, SQUALL_E_ARGUMENT, name, "there is none");
    }
    if (field->quantity != SQUALL_RAIN_RATE) {
        return sq_fail(err, SQUALL_E_SHAPE, name,
                       "holds '%s' [%s]; a rain rate in mm/h is needed: squall_field_to_rate()",
                       field->quantity_name, field->unit_name);
    }
    if (field->valid_time == SQUALL_TIME_NONE) {
        return sq_fail(err, SQUALL_E_SHAPE, name, "has no valid time");
    }
    if (!is_time(field->valid_time) || field->window_s < 0 || field->window_s > WINDOW_MAX_S) {
        return sq_fail(err, SQUALL_E_SHAPE, name,
                       "is of %lld s, over a window of %ld s; that is no time",
                       (long long)field->valid_time, (long)field->window_s);
    }
    return SQUALL_OK;
}

/* Bytes of the well-formed UTF-8 character at `p`, 0 when there is none. */
static size_t character_size(const unsigned char *p)
{
    static const struct {
        unsigned char first_low, first_high, second_low, second_high;
        size_t size;
    } forms[] = {
        /* Table 3-7 of the Unicode standard; bytes after the second are 80..BF. */
        {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
        {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
        {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    if (p[0] < 0x80) {
        return 1;
    }
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (p[0] < forms[i].first_low || p[0] > forms[i].first_high) {
            continue;
        }
        if (p[1] < forms[i].second_low || p[1] > forms[i].second_high) {
            return 0;
        }
        for (size_t k = 2; k < forms[i].size; k++) {
            if ((p[k] & 0xC0) != 0x80) {
                return 0;
            }
        }
        return forms[i].size;
    }
    return 0;
}

char *sq_product_text(const char *text, const char *fallback)
{
    char *copy = sq_strdup(text != NULL ? text : fallback);
    if (copy == NULL) {
        return NULL;
    }
    for (unsigned char *p = (unsigned char *)copy; *p != 0;) {
        size_t size = character_size(p);
        if (size == 0) {
            *p = '?';
            size = 1;
        } else if ((*p < 0x20 && *p != '\n') || *p == 0x7F) {
            *p = ' ';
        }
        p += size;
    }
    return copy;
}
