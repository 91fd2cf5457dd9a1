/* wx/product/product_draw.h - what maps and contact sheets are drawn with. Private to the room. */
#ifndef SQ_WX_PRODUCT_PRODUCT_DRAW_H
#define SQ_WX_PRODUCT_PRODUCT_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cairo.h>

#include "wx/product/product.h"

/** Colours, 0xRRGGBB. */
enum {
    SQ_COLOUR_PAPER = 0xFFFFFF,
    SQ_COLOUR_GROUND = 0xFAFAF7, /* covered and dry, or less than the first class */
    SQ_COLOUR_HATCH_LIGHT = 0xD6D6D6,
    SQ_COLOUR_HATCH_DARK = 0xB2B2B2,
    SQ_COLOUR_HATCH_EDGE = 0x8A8A8A, /* where coverage ends */
    SQ_COLOUR_INK = 0x17212B,
    SQ_COLOUR_FADED = 0x55616D,
    SQ_COLOUR_FRAME = 0x39434D
};

#define SQ_HATCH_PERIOD 7 /* pixels from one line of the hatching to the next */
#define SQ_RATE_CLASSES 10

/** The classes of rain: from `from_mm_h` on, until the next class. Blues darken up to 10 mm/h;
 * there yellow begins, and darkens again. Lightness alone tells the order within each half, and no
 * two classes look alike to a reader who is blind to red, green or blue. */
typedef struct sq_rate_class {
    double from_mm_h;
    uint32_t colour;
} sq_rate_class;
extern const sq_rate_class sq_rate_classes[SQ_RATE_CLASSES];

/** The colour of a rate; SQ_COLOUR_GROUND below the first class. */
uint32_t sq_rate_colour(double rate_mm_h);

/** DejaVu Sans, or the system's own sans-serif where that is not installed. Given
 * (cairo_font_face_destroy); NULL without memory. */
cairo_font_face_t *sq_font_create(bool bold);

/** A picture being drawn. Zero-initialise; release with sq_canvas_destroy(). */
typedef struct sq_canvas {
    cairo_surface_t *surface;
    cairo_t *cairo;
    cairo_font_face_t *fonts[2]; /* regular, bold */
    bool no_memory;              /* an allocation of ours failed: sq_canvas_write() reports it */
} sq_canvas;

SQUALL_MUST_USE squall_status sq_canvas_create(double width, double height, sq_canvas *out,
                                               squall_error *err);
void sq_canvas_destroy(sq_canvas *canvas);

/** Encode as PNG and write; reports what went wrong while drawing, too. */
SQUALL_MUST_USE squall_status sq_canvas_write(sq_canvas *canvas, const char *path,
                                              squall_error *err);

typedef struct sq_rectangle {
    double x, y, width, height; /* pixels */
} sq_rectangle;

void sq_canvas_colour(sq_canvas *canvas, uint32_t colour);
void sq_canvas_fill(sq_canvas *canvas, const sq_rectangle *area, uint32_t colour);
/** A line of one pixel just around `area`. */
void sq_canvas_frame(sq_canvas *canvas, const sq_rectangle *area, uint32_t colour);
void sq_canvas_hatch(sq_canvas *canvas, const sq_rectangle *area);

typedef struct sq_pen {
    double size; /* pixels */
    bool bold;
    uint32_t colour;
    double anchor; /* the part of the text that lies left of x: 0 left, 0.5 centred, 1 right */
} sq_pen;

/** Text with its baseline at y; cut with an ellipsis where it is wider than `max_width` (0: never).
 * Returns the width drawn. */
double sq_canvas_text(sq_canvas *canvas, const sq_pen *pen, double x, double y, double max_width,
                      const char *text);
double sq_canvas_text_width(sq_canvas *canvas, const sq_pen *pen, const char *text);

/** The same broken into lines of at most `max_width`, at spaces; returns how many. `draw` false
 * only counts. */
size_t sq_canvas_paragraph(sq_canvas *canvas, const sq_pen *pen, double x, double y,
                           double max_width, double leading, const char *text, bool draw);

/** Lines on a map: points in cell coordinates, with NaN between one line and the next. */
typedef struct sq_lines {
    double *column, *row; /* [count], from sq_alloc */
    size_t count, capacity;
    bool failed; /* out of memory */
} sq_lines;

void sq_lines_add(sq_lines *lines, double x, double y);
void sq_lines_break(sq_lines *lines);
void sq_lines_free(sq_lines *lines);

/** What of the earth a grid shows, in degrees; longitudes run on past 180 where they must. */
typedef struct sq_extent {
    double west, east, south, north;
} sq_extent;
/** SQUALL_E_ARGUMENT when no part of the grid lies on the earth, or PROJ knows no such projection.
 */
SQUALL_MUST_USE squall_status sq_extent_find(const squall_grid *grid, sq_extent *out,
                                             squall_error *err);

#define SQ_LABELS_MAX 48
typedef struct sq_label {
    char text[16]; /* "52.5°N" */
    double at;     /* column on the lower edge, or row on the left one */
} sq_label;

/** Everything that is drawn over the fields of one grid, made once for all of them.
 * Zero-initialise; release with sq_overlay_free(). */
typedef struct sq_overlay {
    sq_lines graticule, coasts, borders;
    sq_label below[SQ_LABELS_MAX], left[SQ_LABELS_MAX];
    size_t below_count, left_count;
} sq_overlay;

SQUALL_MUST_USE squall_status sq_overlay_create(const squall_grid *grid,
                                                const squall_map_options *options, sq_overlay *out,
                                                squall_error *err);
void sq_overlay_free(sq_overlay *overlay);

/** Coast and border lines within `extent` from GSHHG's files in `folder`, as longitude and
 * latitude; nothing where there are no such files, or none that can be read. */
void sq_coasts_read(const char *folder, const sq_extent *extent, sq_lines *coasts,
                    sq_lines *borders);

/** A part of a grid, in cells. */
typedef struct sq_view {
    size_t column, row, width, height;
} sq_view;

/** All of a grid. */
static inline sq_view sq_view_whole(const squall_grid *grid)
{
    return (sq_view){0, 0, grid->width, grid->height};
}

/** Widen `view` (empty while its width is 0) to what `field` covers. */
void sq_view_cover(sq_view *view, const squall_field *field);

/** The pixels of a part of a field drawn with at most `max_width` and `max_height`, cells square on
 * the ground: whole multiples of a cell where there is room for that. */
void sq_field_size(const squall_grid *grid, const sq_view *view, double max_width,
                   double max_height, sq_rectangle *out);

/** A part of a field with its overlay in `area` (whole pixels), in a frame. Cells that are smaller
 * than a pixel are averaged over what is covered. */
void sq_field_draw(sq_canvas *canvas, const sq_rectangle *area, const squall_field *field,
                   const sq_view *view, const sq_overlay *overlay);

/** The colour bar, top down from the heaviest class; as high as `area`, labels to the right. */
void sq_scale_draw(sq_canvas *canvas, const sq_rectangle *area, double text_size);

/** The caller's options, or defaults where `options` is NULL; SQUALL_E_ARGUMENT when they cannot be
 * followed. */
SQUALL_MUST_USE squall_status sq_map_options_read(const squall_map_options *options,
                                                  squall_map_options *out, squall_error *err);

#define SQ_MOMENT_TEXT 40
/** "Thu 26 Aug 2010 03:30 UTC" into SQ_MOMENT_TEXT bytes. */
char *sq_moment_format(int64_t time, char *text);
/** "+30 min", "+1 h 30 min" into SQ_MOMENT_TEXT bytes. */
char *sq_lead_format(int64_t lead_s, char *text);

/** "Extrapolation", "Model rain-1 0.2" as a reader would have it. Given (sq_free); NULL without
 * memory. */
char *sq_method_format(const squall_product_info *info);

/** Attribution, licence and the source of coast lines in one line; given (sq_free). */
char *sq_credit_format(const squall_product_info *info, const sq_overlay *overlay);

/** Whether `info` has something to say that a reader must know of before he trusts the picture. */
bool sq_quality_matters(const squall_product_info *info);
/** The strip that says so: as high as the text needs, which is returned; `draw` false only asks. */
double sq_quality_strip(sq_canvas *canvas, const squall_product_info *info, double x, double y,
                        double width, double text_size, bool draw);

#endif /* SQ_WX_PRODUCT_PRODUCT_DRAW_H */
