/* wx/product/product_canvas.c - a picture: areas, text, and its way into a PNG file. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/product/product_draw.h"

#define CANVAS_SIDE_MAX 16384 /* pixels; cairo itself ends at 32767 */
#define ELLIPSIS        "\xE2\x80\xA6"

squall_status sq_canvas_create(double width, double height, sq_canvas *out, squall_error *err)
{
    memset(out, 0, sizeof *out);
    if (!(width >= 1.0 && height >= 1.0 && width <= CANVAS_SIDE_MAX && height <= CANVAS_SIDE_MAX)) {
        return sq_fail(err, SQUALL_E_LIMIT, "picture",
                       "it would have %.0f x %.0f pixels, %d are allowed; choose a smaller "
                       "max_width, or fewer columns",
                       width, height, CANVAS_SIDE_MAX);
    }
    out->surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(width), (int)ceil(height));
    out->cairo = cairo_create(out->surface);
    out->fonts[0] = sq_font_create(false);
    out->fonts[1] = sq_font_create(true);
    if (cairo_status(out->cairo) != CAIRO_STATUS_SUCCESS || out->fonts[0] == NULL ||
        out->fonts[1] == NULL) {
        sq_canvas_destroy(out);
        return sq_fail(err, SQUALL_E_MEMORY, "picture", "no memory for %.0f x %.0f pixels", width,
                       height);
    }
    /* Outlines as the font has them, so that a text is as wide on every machine. */
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_set_font_options(out->cairo, options);
    cairo_font_options_destroy(options);
    sq_canvas_colour(out, SQ_COLOUR_PAPER);
    cairo_paint(out->cairo);
    cairo_set_line_width(out->cairo, 1.0);
    return SQUALL_OK;
}

void sq_canvas_destroy(sq_canvas *canvas)
{
    if (canvas->cairo != NULL) {
        cairo_destroy(canvas->cairo);
    }
    if (canvas->surface != NULL) {
        cairo_surface_destroy(canvas->surface);
    }
    for (size_t i = 0; i < 2; i++) {
        if (canvas->fonts[i] != NULL) {
            cairo_font_face_destroy(canvas->fonts[i]);
        }
    }
    memset(canvas, 0, sizeof *canvas);
}

static cairo_status_t take_bytes(void *closure, const unsigned char *bytes, unsigned size)
{
    sq_text *text = closure;
    sq_text_add_bytes(text, bytes, size);
    return text->failed ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

squall_status sq_canvas_write(sq_canvas *canvas, const char *path, squall_error *err)
{
    sq_text png = {0};
    squall_status status = SQUALL_OK;
    cairo_status_t problem = cairo_status(canvas->cairo);
    cairo_surface_flush(canvas->surface);
    if (problem == CAIRO_STATUS_SUCCESS && !canvas->no_memory) {
        problem = cairo_surface_write_to_png_stream(canvas->surface, take_bytes, &png);
    }
    if (canvas->no_memory || png.failed || problem == CAIRO_STATUS_NO_MEMORY) {
        status = sq_fail(err, SQUALL_E_MEMORY, path, "no memory for the picture");
    } else if (problem != CAIRO_STATUS_SUCCESS) {
        status = sq_fail(err, SQUALL_E_INTERNAL, path, "it could not be drawn: %s",
                         cairo_status_to_string(problem));
    } else {
        status = sq_file_write(path, png.data, png.length, err);
    }
    sq_text_free(&png);
    return status;
}

void sq_canvas_colour(sq_canvas *canvas, uint32_t colour)
{
    cairo_set_source_rgb(canvas->cairo, (double)(colour >> 16 & 0xFF) / 255.0,
                         (double)(colour >> 8 & 0xFF) / 255.0, (double)(colour & 0xFF) / 255.0);
}

void sq_canvas_fill(sq_canvas *canvas, const sq_rectangle *area, uint32_t colour)
{
    sq_canvas_colour(canvas, colour);
    cairo_rectangle(canvas->cairo, area->x, area->y, area->width, area->height);
    cairo_fill(canvas->cairo);
}

void sq_canvas_frame(sq_canvas *canvas, const sq_rectangle *area, uint32_t colour)
{
    sq_canvas_colour(canvas, colour);
    cairo_set_line_width(canvas->cairo, 1.0);
    cairo_rectangle(canvas->cairo, area->x - 0.5, area->y - 0.5, area->width + 1.0,
                    area->height + 1.0);
    cairo_stroke(canvas->cairo);
}

void sq_canvas_hatch(sq_canvas *canvas, const sq_rectangle *area)
{
    cairo_t *cairo = canvas->cairo;
    sq_canvas_fill(canvas, area, SQ_COLOUR_HATCH_LIGHT);
    cairo_save(cairo);
    cairo_rectangle(cairo, area->x, area->y, area->width, area->height);
    cairo_clip(cairo);
    sq_canvas_colour(canvas, SQ_COLOUR_HATCH_DARK);
    cairo_set_line_width(cairo, 1.0);
    const size_t lines = (size_t)((area->width + area->height) / SQ_HATCH_PERIOD);
    for (size_t i = 0; i <= lines; i++) {
        const double x = area->x + SQ_HATCH_PERIOD * (double)i;
        cairo_move_to(cairo, x, area->y);
        cairo_line_to(cairo, x - area->height, area->y + area->height);
    }
    cairo_stroke(cairo);
    cairo_restore(cairo);
}

static void use_pen(sq_canvas *canvas, const sq_pen *pen)
{
    cairo_set_font_face(canvas->cairo, canvas->fonts[pen->bold ? 1 : 0]);
    cairo_set_font_size(canvas->cairo, pen->size);
    sq_canvas_colour(canvas, pen->colour);
}

static double measure(sq_canvas *canvas, const char *text)
{
    cairo_text_extents_t extents;
    cairo_text_extents(canvas->cairo, text, &extents);
    return extents.x_advance;
}

double sq_canvas_text_width(sq_canvas *canvas, const sq_pen *pen, const char *text)
{
    use_pen(canvas, pen);
    return measure(canvas, text);
}

/* Bytes of the character that ends at `end`. */
static size_t last_character(const char *text, size_t end)
{
    size_t size = 1;
    while (size < end && ((unsigned char)text[end - size] & 0xC0) == 0x80) {
        size++;
    }
    return size;
}

/* `text` cut from its end until it fits with an ellipsis; in `buffer`, which has room for both. */
static void shorten(sq_canvas *canvas, const char *text, double max_width, char *buffer,
                    size_t size)
{
    size_t length = strlen(text);
    do {
        length -= length > 0 ? last_character(text, length) : 0;
        snprintf(buffer, size, "%.*s" ELLIPSIS, (int)length, text);
    } while (length > 0 && measure(canvas, buffer) > max_width);
}

double sq_canvas_text(sq_canvas *canvas, const sq_pen *pen, double x, double y, double max_width,
                      const char *text)
{
    use_pen(canvas, pen);
    char *buffer = NULL;
    if (max_width > 0.0 && measure(canvas, text) > max_width) {
        const size_t size = strlen(text) + sizeof ELLIPSIS;
        buffer = sq_alloc(size, 1);
        if (buffer == NULL) {
            canvas->no_memory = true;
            return 0.0;
        }
        shorten(canvas, text, max_width, buffer, size);
        text = buffer;
    }
    const double width = measure(canvas, text);
    cairo_move_to(canvas->cairo, x - pen->anchor * width, y);
    cairo_show_text(canvas->cairo, text);
    sq_free(buffer);
    return width;
}

size_t sq_canvas_paragraph(sq_canvas *canvas, const sq_pen *pen, double x, double y,
                           double max_width, double leading, const char *text, bool draw)
{
    char *line = sq_strdup(text); /* each line is built at its front */
    if (line == NULL) {
        canvas->no_memory = true;
        return 0;
    }
    use_pen(canvas, pen);
    size_t lines = 0;
    const char *start = text;
    while (*start != '\0') {
        size_t taken = 0; /* bytes of whole words that fit */
        for (size_t end = 0;;) {
            end += strspn(start + end, " ");
            end += strcspn(start + end, " \n");
            memcpy(line, start, end);
            line[end] = '\0';
            if (taken > 0 && measure(canvas, line) > max_width) {
                break;
            }
            taken = end;
            if (start[end] != ' ') {
                break; /* the end of the text or of a line */
            }
        }
        line[taken] = '\0';
        if (draw) {
            sq_canvas_text(canvas, pen, x, y + leading * (double)lines, max_width, line);
        }
        lines++;
        start += taken;
        start += *start == '\n' ? 1 : strspn(start, " ");
    }
    sq_free(line);
    return lines;
}
