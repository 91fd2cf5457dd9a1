/* wx/product/product_geojson.c - coasts and borders as GeoJSON: the map under a map. */
#include <math.h>

#include "wx/product/product.h"
#include "wx/product/product_draw.h"

typedef struct box {
    double west, south, east, north;
} box;

static bool is_inside(const box *b, const sq_lines *lines, size_t i)
{
    return lines->column[i] >= b->west && lines->column[i] <= b->east &&
           lines->row[i] >= b->south && lines->row[i] <= b->north;
}

/* A point is kept when it, or its neighbour on the line, lies in the box: lines end outside it. */
static bool is_kept(const box *b, const sq_lines *lines, size_t i)
{
    return !isnan(lines->column[i]) &&
           (is_inside(b, lines, i) || (i > 0 && is_inside(b, lines, i - 1)) ||
            (i + 1 < lines->count && is_inside(b, lines, i + 1)));
}

static void write_lines(const char *kind, const box *b, const sq_lines *lines, sq_json *out)
{
    sq_json_object(out, NULL);
    sq_json_text(out, "type", "Feature");
    sq_json_object(out, "properties");
    sq_json_text(out, "kind", kind);
    sq_json_end_object(out);
    sq_json_object(out, "geometry");
    sq_json_text(out, "type", "MultiLineString");
    sq_json_array(out, "coordinates");
    bool open = false;
    for (size_t i = 0; i <= lines->count; i++) {
        const bool kept = i < lines->count && is_kept(b, lines, i);
        if (kept && !open && !(i + 1 < lines->count && is_kept(b, lines, i + 1))) {
            continue; /* one point alone is no line */
        }
        if (kept && !open) {
            sq_json_array(out, NULL);
        }
        if (!kept && open) {
            sq_json_end_array(out);
        }
        open = kept;
        if (kept) {
            sq_json_array(out, NULL);
            sq_json_real(out, NULL, lines->column[i], 6);
            sq_json_real(out, NULL, lines->row[i], 6);
            sq_json_end_array(out);
        }
    }
    sq_json_end_array(out);
    sq_json_end_object(out);
    sq_json_end_object(out);
}

/* GSHHG counts from 0 to 360: every line goes to where the box is. */
static void turn_near(const box *b, sq_lines *lines)
{
    const double middle = 0.5 * (b->west + b->east);
    for (size_t i = 0; i < lines->count; i++) {
        lines->column[i] -= 360.0 * rint((lines->column[i] - middle) / 360.0); /* a break stays */
    }
}

void sq_coasts_write(const char *folder, double west, double south, double east, double north,
                     sq_json *out)
{
    const sq_extent extent = {west, east, south, north};
    const box b = {west, south, east, north};
    sq_lines coasts = {0}, borders = {0};
    sq_coasts_read(folder, &extent, &coasts, &borders);
    turn_near(&b, &coasts);
    turn_near(&b, &borders);
    sq_json_object(out, NULL);
    sq_json_text(out, "type", "FeatureCollection");
    sq_json_array(out, "features");
    write_lines("coast", &b, &coasts, out);
    write_lines("border", &b, &borders, out);
    sq_json_end_array(out);
    sq_json_end_object(out);
    out->text.failed = out->text.failed || coasts.failed || borders.failed;
    sq_lines_free(&coasts);
    sq_lines_free(&borders);
}
