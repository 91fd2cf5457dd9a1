/* wx/product/product_map.c - one rain field as a map. */
#include <math.h>
#include <string.h>

#include "wx/grid/grid.h"
#include "wx/product/product_draw.h"

#define TALLEST 1.5 /* height of the map over max_width */

/* Where things are. Sizes grow with the map: `unit` is 1 for one of 900 pixels. */
typedef struct layout {
    double unit, text, margin;
    sq_rectangle map;
    double header, strip, footer; /* heights */
    double width, height;
    size_t footer_lines;
} layout;

/* What a map says, made once. */
typedef struct words {
    char *title, *method, *credit;
} words;

static void free_words(words *w)
{
    sq_free(w->title);
    sq_free(w->method);
    sq_free(w->credit);
}

static squall_status make_words(const squall_product_info *info, const sq_overlay *overlay,
                                words *w, squall_error *err)
{
    w->title = sq_product_text(info->title, "Rain rate");
    w->method = sq_method_format(info);
    w->credit = sq_credit_format(info, overlay);
    if (w->title == NULL || w->method == NULL || w->credit == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "picture", "no memory for its texts");
    }
    return SQUALL_OK;
}

static sq_pen footer_pen(const layout *l)
{
    return (sq_pen){0.86 * l->text, false, SQ_COLOUR_FADED, 0.0};
}

/* Texts are measured on a canvas of their own, as the right one cannot be made before. */
static squall_status make_layout(const squall_field *field, const squall_product_info *info,
                                 const squall_map_options *options, const words *w, layout *l,
                                 squall_error *err)
{
    sq_canvas probe;
    const double most = (double)options->max_width;
    const sq_view whole = sq_view_whole(&field->grid);
    sq_field_size(&field->grid, &whole, most, TALLEST * most, &l->map);
    l->unit = fmin(2.0, fmax(0.78, l->map.width / 820.0));
    l->text = 14.0 * l->unit;
    l->margin = rint(16.0 * l->unit);
    const double left = rint(54.0 * l->unit), right = rint(120.0 * l->unit);
    /* A narrow map still has room for its title and times. */
    l->width = left + fmax(l->map.width, 360.0 * l->unit) + right;
    l->header = rint(82.0 * l->unit);
    SQ_TRY(sq_canvas_create(1.0, 1.0, &probe, err));
    const sq_pen pen = footer_pen(l);
    const double room = l->width - left - l->margin;
    l->strip = sq_quality_strip(&probe, info, 0.0, 0.0, room, l->text, false);
    l->footer_lines = sq_canvas_paragraph(&probe, &pen, 0.0, 0.0, room, 0.0, w->credit, false);
    const bool failed = probe.no_memory;
    sq_canvas_destroy(&probe);
    if (failed) {
        return sq_fail(err, SQUALL_E_MEMORY, "picture", "no memory for its texts");
    }
    l->footer = rint(30.0 * l->unit) + (double)l->footer_lines * rint(1.4 * pen.size);
    l->map.x = left;
    l->map.y = l->header + (l->strip > 0.0 ? l->strip + rint(8.0 * l->unit) : 0.0);
    const double least = rint(330.0 * l->unit); /* what the colour bar needs */
    l->height = l->map.y + fmax(l->map.height, least) + l->footer + rint(0.6 * l->margin);
    return SQUALL_OK;
}

/* "+30 min" in a box at the upper right; nothing when no issue is known. */
static double draw_lead(sq_canvas *canvas, const layout *l, const squall_field *field,
                        const squall_product_info *info)
{
    char text[SQ_MOMENT_TEXT];
    if (info->issue_time == SQUALL_TIME_NONE) {
        return 0.0;
    }
    const int64_t lead_s = field->valid_time - info->issue_time;
    const sq_pen pen = {1.5 * l->text, true, SQ_COLOUR_PAPER, 0.5};
    sq_lead_format(lead_s, text);
    const double width = rint(sq_canvas_text_width(canvas, &pen, text) + 1.4 * l->text);
    const sq_rectangle box = {l->width - l->margin - width, rint(14.0 * l->unit), width,
                              rint(2.3 * l->text)};
    sq_canvas_fill(canvas, &box, lead_s > 0 ? 0x14387A : 0x55616D);
    sq_canvas_text(canvas, &pen, box.x + 0.5 * width, box.y + 0.5 * box.height + 0.54 * l->text,
                   0.0, text);
    return width;
}

static void draw_header(sq_canvas *canvas, const layout *l, const words *w,
                        const squall_field *field, const squall_product_info *info)
{
    const sq_pen title = {1.5 * l->text, true, SQ_COLOUR_INK, 0.0};
    const sq_pen valid = {1.12 * l->text, true, SQ_COLOUR_INK, 0.0};
    const sq_pen more = {l->text, false, SQ_COLOUR_FADED, 0.0};
    const double lead = draw_lead(canvas, l, field, info);
    const double room = l->width - l->map.x - l->margin;
    char moment[SQ_MOMENT_TEXT], issued[SQ_MOMENT_TEXT];
    sq_text line = {0};

    sq_canvas_text(canvas, &title, l->map.x, rint(34.0 * l->unit),
                   room - (lead > 0.0 ? lead + l->margin : 0.0), w->title);
    sq_text_add(&line, "Valid %s", sq_moment_format(field->valid_time, moment));
    const double y = rint(64.0 * l->unit);
    const double width =
        line.failed ? 0.0 : sq_canvas_text(canvas, &valid, l->map.x, y, room, line.data);
    canvas->no_memory = canvas->no_memory || line.failed;
    sq_text_free(&line);

    line = (sq_text){0};
    if (info->issue_time != SQUALL_TIME_NONE) {
        sq_text_add(&line, "issued %s", sq_moment_format(info->issue_time, issued));
    }
    if (w->method[0] != '\0') {
        sq_text_add(&line, "%s%s", line.length > 0 ? "  \xC2\xB7  " : "", w->method);
    }
    if (line.length > 0 && !line.failed) {
        sq_canvas_text(canvas, &more, l->map.x + width + 1.2 * l->text, y,
                       room - width - 1.2 * l->text, line.data);
    }
    canvas->no_memory = canvas->no_memory || line.failed;
    sq_text_free(&line);
}

/* Degrees along the lower and the left edge; one that would touch the one before is left out. */
static void draw_labels(sq_canvas *canvas, const layout *l, const squall_grid *grid,
                        const sq_overlay *overlay)
{
    sq_pen pen = {0.86 * l->text, false, SQ_COLOUR_FADED, 0.5};
    const sq_rectangle *map = &l->map;
    double last = -1e9;
    for (size_t i = 0; i < overlay->below_count; i++) {
        const sq_label *label = &overlay->below[i];
        const double x = map->x + label->at / (double)grid->width * map->width;
        const double half = 0.5 * sq_canvas_text_width(canvas, &pen, label->text);
        if (x - half > last + 0.6 * pen.size) {
            sq_canvas_text(canvas, &pen, x, map->y + map->height + 1.45 * pen.size, 0.0,
                           label->text);
            last = x + half;
        }
    }
    pen.anchor = 1.0;
    last = 1e9;
    for (size_t i = 0; i < overlay->left_count; i++) {
        const sq_label *label = &overlay->left[i];
        const double y = map->y + label->at / (double)grid->height * map->height;
        if (fabs(y - last) > 1.3 * pen.size) {
            sq_canvas_text(canvas, &pen, map->x - 0.5 * pen.size, y + 0.36 * pen.size, 0.0,
                           label->text);
            last = y;
        }
    }
}

static void draw_map(sq_canvas *canvas, const layout *l, const words *w, const squall_field *field,
                     const squall_product_info *info, const sq_overlay *overlay)
{
    draw_header(canvas, l, w, field, info);
    sq_quality_strip(canvas, info, l->map.x, l->header, l->width - l->map.x - l->margin, l->text,
                     true);
    const sq_view whole = sq_view_whole(&field->grid);
    sq_field_draw(canvas, &l->map, field, &whole, overlay);
    draw_labels(canvas, l, &field->grid, overlay);
    const double tall = fmin(fmax(l->map.height, 330.0 * l->unit), 520.0 * l->unit);
    const sq_rectangle scale = {rint(l->map.x + l->map.width + 20.0 * l->unit), l->map.y,
                                rint(22.0 * l->unit), rint(tall)};
    sq_scale_draw(canvas, &scale, l->text);
    const sq_pen pen = footer_pen(l);
    sq_canvas_paragraph(canvas, &pen, l->map.x, l->height - l->footer + rint(30.0 * l->unit),
                        l->width - l->map.x - l->margin, rint(1.4 * pen.size), w->credit, true);
}

squall_status squall_map_write(const char *path, const squall_field *field,
                               const squall_product_info *info, const squall_map_options *options,
                               squall_error *err)
{
    squall_status status = SQUALL_OK;
    squall_product_info known;
    squall_map_options chosen;
    sq_overlay overlay = {0};
    sq_canvas canvas = {0};
    words w = {0};
    layout l = {0};
    SQ_TRY(sq_product_info_read(info, &known, err));
    SQ_TRY(sq_map_options_read(options, &chosen, err));
    SQ_TRY(sq_product_field_check(field, "field", err));
    SQ_TRY_GOTO(sq_overlay_create(&field->grid, &chosen, &overlay, err));
    SQ_TRY_GOTO(make_words(&known, &overlay, &w, err));
    SQ_TRY_GOTO(make_layout(field, &known, &chosen, &w, &l, err));
    SQ_TRY_GOTO(sq_canvas_create(l.width, l.height, &canvas, err));
    draw_map(&canvas, &l, &w, field, &known, &overlay);
    status = sq_canvas_write(&canvas, path, err);
done:
    sq_canvas_destroy(&canvas);
    sq_overlay_free(&overlay);
    free_words(&w);
    return status;
}
