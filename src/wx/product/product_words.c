/* wx/product/product_words.c - times, methods and warnings as they stand around a picture. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wx/product/product_draw.h"

#define SECONDS_A_DAY 86400
#define FIRST_WEEKDAY 4 /* 1 January 1970 was a Thursday */

char *sq_moment_format(int64_t time, char *text)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int year, month, day, hour, minute, second;
    sq_time_split(time, &year, &month, &day, &hour, &minute, &second, NULL);
    const int64_t days_since = time / SECONDS_A_DAY - (time % SECONDS_A_DAY < 0);
    const size_t weekday = (size_t)(((days_since + FIRST_WEEKDAY) % 7 + 7) % 7);
    snprintf(text, SQ_MOMENT_TEXT, "%s %d %s %d %02d:%02d UTC", days[weekday], day,
             months[(month + 11) % 12], year, hour, minute);
    return text;
}

char *sq_lead_format(int64_t lead_s, char *text)
{
    const char *sign = lead_s < 0 ? "\xE2\x88\x92" : "+";
    const long long size = llabs((long long)lead_s);
    const long long minutes = size / 60;
    if (size % 60 != 0) {
        snprintf(text, SQ_MOMENT_TEXT, "%s%lld s", sign, size);
    } else if (minutes < 120 || minutes % 60 == 0) {
        const bool hours = minutes >= 120;
        snprintf(text, SQ_MOMENT_TEXT, "%s%lld %s", sign, hours ? minutes / 60 : minutes,
                 hours ? "h" : "min");
    } else {
        snprintf(text, SQ_MOMENT_TEXT, "%s%lld h %lld min", sign, minutes / 60, minutes % 60);
    }
    return text;
}

/* The text as sq_product_text() cleans it, out of a builder that is released here. */
static char *finish_text(sq_text *text)
{
    char *clean = text->failed ? NULL : sq_product_text(text->data, "");
    sq_text_free(text);
    return clean;
}

char *sq_method_format(const squall_product_info *info)
{
    sq_text text = {0};
    if (info->method != NULL) {
        sq_text_add(&text, "%s", info->method);
    }
    if (text.length > 0 && !text.failed) {
        text.data[0] = (char)toupper((unsigned char)text.data[0]);
    }
    if (info->model != NULL) {
        sq_text_add(&text, "%s%s", text.length > 0 ? " " : "", info->model);
    }
    return finish_text(&text);
}

char *sq_credit_format(const squall_product_info *info, const sq_overlay *overlay)
{
    const char *const parts[] = {info->attribution, info->license, info->institution,
                                 overlay->coasts.count > 0 ? "Coastlines: GSHHG" : NULL};
    sq_text text = {0};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i] != NULL && parts[i][0] != '\0') {
            sq_text_add(&text, "%s%s", text.length > 0 ? " \xC2\xB7 " : "", parts[i]);
        }
    }
    return finish_text(&text);
}

static bool has_words(const squall_product_info *info)
{
    return info->quality != NULL && info->quality[0] != '\0' &&
           strcmp(info->quality, "nominal") != 0;
}

bool sq_quality_matters(const squall_product_info *info)
{
    return has_words(info) || (isfinite(info->quality_index) && info->quality_index < 1.0);
}

double sq_quality_strip(sq_canvas *canvas, const squall_product_info *info, double x, double y,
                        double width, double text_size, bool draw)
{
    if (!sq_quality_matters(info)) {
        return 0.0;
    }
    sq_text words = {0};
    sq_text_add(&words, "Reduced quality");
    if (isfinite(info->quality_index)) {
        sq_text_add(&words, " (%.2f)", info->quality_index);
    }
    if (has_words(info)) {
        sq_text_add(&words, ": %s", info->quality);
    }
    char *text = finish_text(&words);
    if (text == NULL) {
        canvas->no_memory = true;
        return 0.0;
    }
    const sq_pen pen = {text_size, false, SQ_COLOUR_INK, 0.0};
    const double pad = rint(0.6 * text_size), leading = rint(1.4 * text_size);
    const double room = width - 3.0 * pad;
    const size_t lines = sq_canvas_paragraph(canvas, &pen, 0.0, 0.0, room, leading, text, false);
    const double height = leading * (double)lines + pad;
    if (draw) {
        const sq_rectangle strip = {x, y, width, height}, edge = {x, y, rint(0.5 * pad), height};
        sq_canvas_fill(canvas, &strip, 0xFFF0C2);
        sq_canvas_fill(canvas, &edge, 0xD98200);
        sq_canvas_paragraph(canvas, &pen, x + 2.0 * pad, y + 0.5 * pad + 1.05 * text_size, room,
                            leading, text, true);
    }
    sq_free(text);
    return height;
}
