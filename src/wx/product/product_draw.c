/* wx/product/product_draw.c - fields in colour, the colour bar, and the words around them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/grid/grid.h"
#include "wx/product/product_draw.h"

#define MAP_WIDTH_MIN 64
#define MAP_WIDTH_MAX 8192

void squall_map_options_init(squall_map_options *options)
{
    memset(options, 0, sizeof *options);
    options->struct_size = (uint32_t)sizeof *options;
    options->max_width = 900;
    options->graticule = 1;
}

squall_status sq_map_options_read(const squall_map_options *options, squall_map_options *out,
                                  squall_error *err)
{
    squall_map_options_init(out);
    if (options == NULL) {
        return SQUALL_OK;
    }
    if (options->struct_size < sizeof options->struct_size) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "map options",
                       "struct_size is %u; call squall_map_options_init() first",
                       (unsigned)options->struct_size);
    }
    memcpy(out, options, options->struct_size < sizeof *out ? options->struct_size : sizeof *out);
    if (out->max_width < MAP_WIDTH_MIN || out->max_width > MAP_WIDTH_MAX) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "map options",
                       "max_width is %zu pixels; %d to %d can be drawn", out->max_width,
                       MAP_WIDTH_MIN, MAP_WIDTH_MAX);
    }
    return SQUALL_OK;
}

/* How much wider than high a cell is drawn. Degrees of longitude shrink toward the poles; whether a
 * grid is one of degrees is told by what the projection does, not by its name. */
static double cell_aspect(const squall_grid *grid)
{
    const double column = floor(0.5 * (double)grid->width);
    const double row = floor(0.5 * (double)grid->height);
    double lon[3] = {column, column + 1.0, column}, lat[3] = {row, row, row + 1.0};
    double aspect = grid->dx / grid->dy;
    if (squall_grid_to_lonlat(grid, lon, lat, 3, lon, lat, NULL) == SQUALL_OK &&
        fabs(remainder(lon[1] - lon[0] - grid->dx, 360.0)) < 1e-6 * grid->dx &&
        fabs(lat[0] - lat[2] - grid->dy) < 1e-6 * grid->dy && lat[0] == lat[1]) {
        aspect *= fmax(0.1, cos(lat[0] * 0.017453292519943295));
    }
    return aspect;
}

void sq_view_cover(sq_view *view, const squall_field *field)
{
    const size_t width = field->grid.width, height = field->grid.height;
    size_t left = width, right = 0, top = height, bottom = 0;
    if (view->width > 0) {
        left = view->column;
        right = view->column + view->width;
        top = view->row;
        bottom = view->row + view->height;
    }
    for (size_t i = 0; i < height; i++) {
        for (size_t j = 0; j < width; j++) {
            if (field->mask[i * width + j] != SQUALL_CELL_NO_COVERAGE) {
                left = j < left ? j : left;
                right = j + 1 > right ? j + 1 : right;
                top = i < top ? i : top;
                bottom = i + 1 > bottom ? i + 1 : bottom;
            }
        }
    }
    if (right > left) {
        *view = (sq_view){left, top, right - left, bottom - top};
    }
}

void sq_field_size(const squall_grid *grid, const sq_view *view, double max_width,
                   double max_height, sq_rectangle *out)
{
    const double aspect = cell_aspect(grid);
    const double width = (double)view->width * aspect, height = (double)view->height;
    double pixels = fmin(max_width / width, max_height / height);
    if (pixels > 1.0) {
        pixels = floor(pixels);
    }
    out->width = fmax(1.0, rint(width * pixels));
    out->height = fmax(1.0, rint(height * pixels));
}

/* The cells under pixel `at` of `pixels`: at least one. */
static void find_cells(size_t at, size_t pixels, size_t cells, size_t *first, size_t *end)
{
    *first = at * cells / pixels;
    *end = (at + 1) * cells / pixels;
    if (*end <= *first) {
        *end = *first + 1;
    }
}

/* The mean rate under one pixel, NaN where less than half of it is covered. */
static float pixel_rate(const squall_field *field, size_t top, size_t bottom, size_t left,
                        size_t right)
{
    const size_t width = field->grid.width;
    double sum = 0.0;
    size_t covered = 0;
    for (size_t i = top; i < bottom; i++) {
        for (size_t j = left; j < right; j++) {
            const float rate = field->values[i * width + j];
            if (field->mask[i * width + j] != SQUALL_CELL_NO_COVERAGE && !isnan(rate)) {
                sum += (double)rate;
                covered++;
            }
        }
    }
    return 2 * covered >= (bottom - top) * (right - left) ? (float)(sum / (double)covered) : NAN;
}

static void find_rates(const squall_field *field, const sq_view *view, size_t width, size_t height,
                       float *rates)
{
    for (size_t y = 0; y < height; y++) {
        size_t top, bottom, left, right;
        find_cells(y, height, view->height, &top, &bottom);
        for (size_t x = 0; x < width; x++) {
            find_cells(x, width, view->width, &left, &right);
            rates[y * width + x] = pixel_rate(field, view->row + top, view->row + bottom,
                                              view->column + left, view->column + right);
        }
    }
}

/* Hatching where nobody looked, with a line where that begins. */
static uint32_t hatch_colour(const float *rates, size_t width, size_t height, size_t x, size_t y)
{
    const float *here = rates + y * width + x;
    if ((x > 0 && !isnan(here[-1])) || (x + 1 < width && !isnan(here[1])) ||
        (y > 0 && !isnan(*(here - width))) || (y + 1 < height && !isnan(here[width]))) {
        return SQ_COLOUR_HATCH_EDGE;
    }
    return (x + y) % SQ_HATCH_PERIOD == 0 ? SQ_COLOUR_HATCH_DARK : SQ_COLOUR_HATCH_LIGHT;
}

static void draw_cells(sq_canvas *canvas, const sq_rectangle *area, const squall_field *field,
                       const sq_view *view)
{
    const size_t width = (size_t)area->width, height = (size_t)area->height;
    float *rates = sq_alloc_raw(width * height, sizeof *rates);
    uint32_t *pixels = sq_alloc_raw(width * height, sizeof *pixels);
    if (rates == NULL || pixels == NULL) {
        canvas->no_memory = true;
        goto done;
    }
    find_rates(field, view, width, height, rates);
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            const float rate = rates[y * width + x];
            pixels[y * width + x] = isnan(rate) ? hatch_colour(rates, width, height, x, y)
                                                : sq_rate_colour((double)rate);
        }
    }
    cairo_surface_t *image =
        cairo_image_surface_create_for_data((unsigned char *)pixels, CAIRO_FORMAT_RGB24, (int)width,
                                            (int)height, (int)(4 * width));
    cairo_set_source_surface(canvas->cairo, image, area->x, area->y);
    cairo_pattern_set_filter(cairo_get_source(canvas->cairo), CAIRO_FILTER_NEAREST);
    cairo_rectangle(canvas->cairo, area->x, area->y, area->width, area->height);
    cairo_fill(canvas->cairo);
    cairo_surface_destroy(image);
done:
    sq_free(rates);
    sq_free(pixels);
}

/* The path of all lines; what is far outside is left out, as its coordinates may be of any size. */
static void trace_lines(sq_canvas *canvas, const sq_rectangle *area, const sq_view *view,
                        const sq_lines *lines)
{
    bool down = false;
    double last_x = 0.0, last_y = 0.0;
    for (size_t i = 0; i < lines->count; i++) {
        const double x = (lines->column[i] - (double)view->column) / (double)view->width;
        const double y = (lines->row[i] - (double)view->row) / (double)view->height;
        if (!(fabs(x - 0.5) < 1.0 && fabs(y - 0.5) < 1.0)) {
            down = false;
            continue;
        }
        /* A jump across the picture is the edge of the projection, not a line. */
        down = down && fabs(x - last_x) < 0.5 && fabs(y - last_y) < 0.5;
        const double at_x = area->x + x * area->width, at_y = area->y + y * area->height;
        if (down) {
            cairo_line_to(canvas->cairo, at_x, at_y);
        } else {
            cairo_move_to(canvas->cairo, at_x, at_y);
        }
        down = true;
        last_x = x;
        last_y = y;
    }
}

static void draw_overlay(sq_canvas *canvas, const sq_rectangle *area, const sq_view *view,
                         const sq_overlay *overlay)
{
    static const double dashes[2] = {5.0, 2.5};
    cairo_t *cairo = canvas->cairo;
    cairo_save(cairo);
    cairo_rectangle(cairo, area->x, area->y, area->width, area->height);
    cairo_clip(cairo);
    cairo_set_line_join(cairo, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_width(cairo, 1.0);
    trace_lines(canvas, area, view, &overlay->graticule);
    cairo_set_source_rgba(cairo, 0.20, 0.26, 0.32, 0.30);
    cairo_stroke(cairo);
    trace_lines(canvas, area, view, &overlay->coasts);
    cairo_set_line_width(cairo, 0.9);
    cairo_set_source_rgba(cairo, 0.10, 0.12, 0.14, 0.75);
    cairo_stroke(cairo);
    trace_lines(canvas, area, view, &overlay->borders);
    cairo_set_dash(cairo, dashes, 2, 0.0);
    cairo_set_source_rgba(cairo, 0.10, 0.12, 0.14, 0.65);
    cairo_stroke(cairo);
    cairo_restore(cairo);
}

void sq_field_draw(sq_canvas *canvas, const sq_rectangle *area, const squall_field *field,
                   const sq_view *view, const sq_overlay *overlay)
{
    draw_cells(canvas, area, field, view);
    draw_overlay(canvas, area, view, overlay);
    sq_canvas_frame(canvas, area, SQ_COLOUR_FRAME);
}

void sq_scale_draw(sq_canvas *canvas, const sq_rectangle *area, double text_size)
{
    const sq_pen label = {text_size, false, SQ_COLOUR_INK, 0.0};
    const sq_pen unit = {text_size, true, SQ_COLOUR_INK, 0.0};
    const double swatch = rint(1.5 * text_size);
    const double top = area->y + rint(1.7 * text_size);
    const double height = area->height - (top - area->y) - 3.0 * swatch;
    const double block = floor(height / SQ_RATE_CLASSES);
    const double text_x = area->x + area->width + 0.5 * text_size;
    sq_canvas_text(canvas, &unit, area->x, area->y + text_size, 0.0, "mm/h");
    for (size_t i = 0; i < SQ_RATE_CLASSES; i++) {
        const sq_rate_class *class = &sq_rate_classes[SQ_RATE_CLASSES - 1 - i];
        const sq_rectangle box = {area->x, top + block * (double)i, area->width, block};
        char text[16];
        sq_canvas_fill(canvas, &box, class->colour);
        snprintf(text, sizeof text, "%g", class->from_mm_h);
        sq_canvas_text(canvas, &label, text_x, box.y + block + 0.36 * text_size, 0.0, text);
    }
    const sq_rectangle bar = {area->x, top, area->width, block * SQ_RATE_CLASSES};
    sq_canvas_frame(canvas, &bar, SQ_COLOUR_FRAME);

    sq_rectangle box = {area->x, bar.y + bar.height + swatch, area->width, swatch - 4.0};
    sq_canvas_fill(canvas, &box, SQ_COLOUR_GROUND);
    sq_canvas_frame(canvas, &box, SQ_COLOUR_FRAME);
    sq_canvas_text(canvas, &label, text_x, box.y + 0.5 * box.height + 0.36 * text_size, 0.0, "dry");
    box.y += swatch + 2.0;
    sq_canvas_hatch(canvas, &box);
    sq_canvas_frame(canvas, &box, SQ_COLOUR_FRAME);
    sq_canvas_text(canvas, &label, text_x, box.y + 0.5 * box.height + 0.36 * text_size, 0.0,
                   "no data");
}
