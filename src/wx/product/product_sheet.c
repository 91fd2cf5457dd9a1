/* wx/product/product_sheet.c - a contact sheet: what was seen above what was forecast. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/grid/grid.h"
#include "wx/product/product_draw.h"

#define COLUMNS_MAX   64
#define PANEL_PART    0.27 /* width of a panel over max_width */
#define SHEET_WIDEST  2600.0
#define PANEL_MIN     90.0
#define PANEL_TALLEST 1.35 /* over its width */
#define SPARE_PART    25   /* of the covered part: what is shown around it */

/* Where things are; `text` is the size of all but the title. */
typedef struct layout {
    double text, margin, gap;
    sq_view view;       /* the part of the grid that is shown */
    sq_rectangle panel; /* the first one: upper left */
    double header, strip, times, footer;
    double width, height;
} layout;

static const squall_field *first_field(const squall_field *const *observed,
                                       const squall_field *const *forecast, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (forecast != NULL && forecast[i] != NULL) {
            return forecast[i];
        }
        if (observed != NULL && observed[i] != NULL) {
            return observed[i];
        }
    }
    return NULL;
}

static squall_status check_row(const squall_field *const *row, size_t count, const char *name,
                               const squall_grid *grid, int64_t *times, squall_error *err)
{
    for (size_t i = 0; row != NULL && i < count; i++) {
        char where[48];
        if (row[i] == NULL) {
            continue;
        }
        snprintf(where, sizeof where, "%s %zu", name, i);
        SQ_TRY(sq_product_field_check(row[i], where, err));
        if (!squall_grid_equal(&row[i]->grid, grid, 0.01)) {
            return sq_fail(err, SQUALL_E_SHAPE, where, "is on another grid than the others");
        }
        if (times[i] != SQUALL_TIME_NONE && times[i] != row[i]->valid_time) {
            char a[SQ_TIME_TEXT], b[SQ_TIME_TEXT];
            return sq_fail(err, SQUALL_E_SHAPE, where,
                           "is of %s, but shares its column with an observation of %s",
                           sq_time_format(row[i]->valid_time, a), sq_time_format(times[i], b));
        }
        times[i] = row[i]->valid_time;
    }
    return SQUALL_OK;
}

/* What any of the fields covers, with some room around it. */
static sq_view find_view(const squall_field *const *observed, const squall_field *const *forecast,
                         size_t count, const squall_grid *grid)
{
    sq_view view = {0, 0, 0, 0};
    for (size_t i = 0; i < count; i++) {
        if (observed != NULL && observed[i] != NULL) {
            sq_view_cover(&view, observed[i]);
        }
        if (forecast != NULL && forecast[i] != NULL) {
            sq_view_cover(&view, forecast[i]);
        }
    }
    if (view.width == 0) {
        return sq_view_whole(grid);
    }
    const size_t spare = (view.width > view.height ? view.width : view.height) / SPARE_PART;
    const size_t left = view.column > spare ? view.column - spare : 0;
    const size_t top = view.row > spare ? view.row - spare : 0;
    const size_t right = view.column + view.width + spare;
    const size_t bottom = view.row + view.height + spare;
    view.width = (right < grid->width ? right : grid->width) - left;
    view.height = (bottom < grid->height ? bottom : grid->height) - top;
    view.column = left;
    view.row = top;
    return view;
}

static sq_pen credit_pen(const layout *l)
{
    return (sq_pen){0.86 * l->text, false, SQ_COLOUR_FADED, 0.0};
}

static squall_status make_layout(const squall_grid *grid, size_t count,
                                 const squall_product_info *info, const squall_map_options *options,
                                 const char *credit, layout *l, squall_error *err)
{
    sq_canvas probe;
    const double columns = (double)count;
    double widest = fmin(PANEL_PART * (double)options->max_width, SHEET_WIDEST / columns);
    widest = fmax(PANEL_MIN, floor(widest));
    sq_field_size(grid, &l->view, widest, PANEL_TALLEST * widest, &l->panel);
    /* Sheets are looked at shrunk: their text is large beside the panels. */
    l->text = fmax(11.0, fmin(30.0, rint(0.082 * widest)));
    l->margin = l->text;
    l->gap = rint(0.6 * l->text);
    const double left = rint(2.6 * l->text), right = rint(8.2 * l->text);
    l->panel.x = left;
    l->width = left + columns * (l->panel.width + l->gap) - l->gap + right;
    l->width = fmax(l->width, 34.0 * l->text);
    l->header = rint(4.9 * l->text);
    l->times = rint(2.9 * l->text);
    SQ_TRY(sq_canvas_create(1.0, 1.0, &probe, err));
    const double room = l->width - left - l->margin;
    const sq_pen pen = credit_pen(l);
    l->strip = sq_quality_strip(&probe, info, 0.0, 0.0, room, l->text, false);
    const size_t lines = sq_canvas_paragraph(&probe, &pen, 0.0, 0.0, room, 0.0, credit, false);
    const bool failed = probe.no_memory;
    sq_canvas_destroy(&probe);
    if (failed) {
        return sq_fail(err, SQUALL_E_MEMORY, "picture", "no memory for its texts");
    }
    l->strip += l->strip > 0.0 ? l->gap : 0.0;
    l->footer = rint(0.9 * l->text + 1.3 * l->text * (double)lines);
    l->panel.y = l->header + l->strip + l->times;
    l->height = l->panel.y + 2.0 * l->panel.height + l->gap + l->footer;
    l->height = fmax(l->height, l->panel.y + 20.0 * l->text + l->footer);
    return SQUALL_OK;
}

static void draw_header(sq_canvas *canvas, const layout *l, const squall_product_info *info)
{
    const sq_pen title_pen = {1.35 * l->text, true, SQ_COLOUR_INK, 0.0};
    const sq_pen pen = {l->text, false, SQ_COLOUR_FADED, 0.0};
    const double room = l->width - l->panel.x - l->margin;
    char issued[SQ_MOMENT_TEXT];
    char *title = sq_product_text(info->title, "Rain rate: observed and forecast");
    char *method = sq_method_format(info);
    sq_text line = {0};
    if (info->issue_time != SQUALL_TIME_NONE) {
        sq_text_add(&line, "Issued %s", sq_moment_format(info->issue_time, issued));
    }
    if (method != NULL && method[0] != '\0') {
        sq_text_add(&line, "%s%s", line.length > 0 ? "  \xC2\xB7  " : "", method);
    }
    if (title != NULL) {
        sq_canvas_text(canvas, &title_pen, l->panel.x, rint(2.0 * l->text), room, title);
    }
    if (line.length > 0 && !line.failed) {
        sq_canvas_text(canvas, &pen, l->panel.x, rint(3.9 * l->text), room, line.data);
    }
    canvas->no_memory = canvas->no_memory || title == NULL || method == NULL || line.failed;
    sq_text_free(&line);
    sq_free(title);
    sq_free(method);
}

/* Above a column: when, and how long after the issue. */
static void draw_times(sq_canvas *canvas, const layout *l, double x, int64_t time,
                       int64_t issue_time)
{
    sq_pen pen = {1.08 * l->text, true, SQ_COLOUR_INK, 0.5};
    const double middle = x + 0.5 * l->panel.width;
    const double y = l->panel.y - 0.55 * l->text;
    char lead[SQ_MOMENT_TEXT], clock[16];
    int hour, minute;
    if (time == SQUALL_TIME_NONE) {
        return;
    }
    sq_time_split(time, NULL, NULL, NULL, &hour, &minute, NULL, NULL);
    snprintf(clock, sizeof clock, "%02d:%02d UTC", hour, minute);
    if (issue_time == SQUALL_TIME_NONE) {
        sq_canvas_text(canvas, &pen, middle, y, l->panel.width, clock);
        return;
    }
    sq_lead_format(time - issue_time, lead);
    sq_canvas_text(canvas, &pen, middle, y - 1.35 * l->text, l->panel.width, lead);
    pen.size = l->text;
    pen.bold = false;
    sq_canvas_text(canvas, &pen, middle, y, l->panel.width, clock);
}

static void draw_panel(sq_canvas *canvas, const layout *l, const sq_rectangle *area,
                       const squall_field *field, const char *absent, const sq_overlay *overlay)
{
    const sq_pen pen = {l->text, false, SQ_COLOUR_FADED, 0.5};
    if (field != NULL) {
        sq_field_draw(canvas, area, field, &l->view, overlay);
        return;
    }
    sq_canvas_fill(canvas, area, 0xECECEC);
    sq_canvas_frame(canvas, area, SQ_COLOUR_HATCH_EDGE);
    sq_canvas_text(canvas, &pen, area->x + 0.5 * area->width,
                   area->y + 0.5 * area->height + 0.36 * l->text, area->width, absent);
}

static void draw_row(sq_canvas *canvas, const layout *l, double y, const char *name,
                     const squall_field *const *fields, size_t count, const char *absent,
                     const sq_overlay *overlay)
{
    const sq_pen pen = {1.08 * l->text, true, SQ_COLOUR_INK, 0.5};
    sq_rectangle area = l->panel;
    area.y = y;
    cairo_save(canvas->cairo);
    cairo_translate(canvas->cairo, l->panel.x - 0.8 * l->text, y + 0.5 * area.height);
    cairo_rotate(canvas->cairo, -0.5 * 3.14159265358979323846);
    sq_canvas_text(canvas, &pen, 0.0, 0.0, area.height, name);
    cairo_restore(canvas->cairo);
    for (size_t i = 0; i < count; i++) {
        draw_panel(canvas, l, &area, fields != NULL ? fields[i] : NULL, absent, overlay);
        area.x += l->panel.width + l->gap;
    }
}

static void draw_sheet(sq_canvas *canvas, const layout *l, const squall_field *const *observed,
                       const squall_field *const *forecast, size_t count, const int64_t *times,
                       const squall_product_info *info, const char *credit,
                       const sq_overlay *overlay)
{
    draw_header(canvas, l, info);
    sq_quality_strip(canvas, info, l->panel.x, l->header, l->width - l->panel.x - l->margin,
                     l->text, true);
    for (size_t i = 0; i < count; i++) {
        draw_times(canvas, l, l->panel.x + (double)i * (l->panel.width + l->gap), times[i],
                   info->issue_time);
    }
    draw_row(canvas, l, l->panel.y, "Observed", observed, count, "not observed", overlay);
    draw_row(canvas, l, l->panel.y + l->panel.height + l->gap, "Forecast", forecast, count,
             "no forecast", overlay);
    const double right =
        l->panel.x + (double)count * (l->panel.width + l->gap) - l->gap + 1.4 * l->text;
    const double tall = fmax(20.0 * l->text, 2.0 * l->panel.height + l->gap);
    const sq_rectangle scale = {rint(right), l->panel.y, rint(1.5 * l->text),
                                rint(fmin(tall, 34.0 * l->text))};
    sq_scale_draw(canvas, &scale, l->text);
    const sq_pen pen = credit_pen(l);
    sq_canvas_paragraph(canvas, &pen, l->panel.x, l->height - l->footer + 1.5 * l->text,
                        l->width - l->panel.x - l->margin, rint(1.3 * l->text), credit, true);
}

squall_status squall_sheet_write(const char *path, const squall_field *const *observed,
                                 const squall_field *const *forecast, size_t count,
                                 const squall_product_info *info, const squall_map_options *options,
                                 squall_error *err)
{
    squall_status status = SQUALL_OK;
    squall_product_info known;
    squall_map_options chosen;
    int64_t times[COLUMNS_MAX];
    sq_overlay overlay = {0};
    sq_canvas canvas = {0};
    layout l = {0};
    char *credit = NULL;
    SQ_TRY(sq_product_info_read(info, &known, err));
    SQ_TRY(sq_map_options_read(options, &chosen, err));
    if (count > COLUMNS_MAX) {
        return sq_fail(err, SQUALL_E_LIMIT, "contact sheet", "%zu columns; at most %d are drawn",
                       count, COLUMNS_MAX);
    }
    const squall_field *any = first_field(observed, forecast, count);
    if (any == NULL) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "contact sheet", "there is no field to draw");
    }
    for (size_t i = 0; i < count; i++) {
        times[i] = SQUALL_TIME_NONE;
    }
    SQ_TRY(check_row(observed, count, "observation", &any->grid, times, err));
    SQ_TRY(check_row(forecast, count, "forecast", &any->grid, times, err));
    SQ_TRY_GOTO(sq_overlay_create(&any->grid, &chosen, &overlay, err));
    credit = sq_credit_format(&known, &overlay);
    if (credit == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "picture", "no memory for its texts");
        goto done;
    }
    l.view = find_view(observed, forecast, count, &any->grid);
    SQ_TRY_GOTO(make_layout(&any->grid, count, &known, &chosen, credit, &l, err));
    SQ_TRY_GOTO(sq_canvas_create(l.width, l.height, &canvas, err));
    draw_sheet(&canvas, &l, observed, forecast, count, times, &known, credit, &overlay);
    status = sq_canvas_write(&canvas, path, err);
done:
    sq_canvas_destroy(&canvas);
    sq_overlay_free(&overlay);
    sq_free(credit);
    return status;
}
