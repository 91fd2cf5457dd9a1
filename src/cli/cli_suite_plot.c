/* cli/cli_suite_plot.c - lines in SVG, for the suite's report. */
#include <math.h>

#include "cli/cli_suite.h"

enum { WIDTH = 340, HEIGHT = 250, LEFT = 52, RIGHT = 10, TOP = 24, BOTTOM = 34, TICKS = 5 };

/* Told apart by people who see colours differently (Okabe and Ito 2008). */
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#8a7a00", "#777777"};
enum { COLOURS = sizeof colours / sizeof colours[0] };

/* Where the axes begin and end. */
typedef struct axes {
    double x0, x1, y0, y1;
    bool log_y;
} axes;

static double scaled(const axes *a, double y)
{
    return a->log_y ? log10(fmax(y, 1e-30)) : y;
}

static double to_x(const axes *a, double x)
{
    return LEFT + (x - a->x0) / (a->x1 - a->x0) * (WIDTH - LEFT - RIGHT);
}

static double to_y(const axes *a, double y)
{
    return HEIGHT - BOTTOM - (scaled(a, y) - a->y0) / (a->y1 - a->y0) * (HEIGHT - TOP - BOTTOM);
}

static void widen(double value, double *low, double *high)
{
    if (isfinite(value)) {
        *low = value < *low ? value : *low;
        *high = value > *high ? value : *high;
    }
}

static axes find_axes(const suite_plot *plot, const suite_line *lines, size_t count)
{
    axes a = {INFINITY, -INFINITY, INFINITY, -INFINITY, plot->log_y};
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < lines[i].count; k++) {
            if (!isfinite(lines[i].y[k]) || (a.log_y && !(lines[i].y[k] > 0))) {
                continue;
            }
            widen(lines[i].x[k], &a.x0, &a.x1);
            widen(scaled(&a, lines[i].y[k]), &a.y0, &a.y1);
            if (lines[i].low != NULL) {
                widen(scaled(&a, lines[i].low[k]), &a.y0, &a.y1);
                widen(scaled(&a, lines[i].high[k]), &a.y0, &a.y1);
            }
        }
    }
    if (plot->y_high > plot->y_low) {
        a.y0 = plot->y_low;
        a.y1 = plot->y_high;
    }
    if (!(a.x1 > a.x0)) {
        a.x0 = isfinite(a.x0) ? a.x0 - 1 : 0;
        a.x1 = a.x0 + 2;
    }
    if (!(a.y1 > a.y0)) {
        a.y0 = isfinite(a.y0) ? a.y0 - 0.5 : 0;
        a.y1 = a.y0 + 1;
    }
    return a;
}

static void add_frame(sq_text *page, const suite_plot *plot, const axes *a)
{
    sq_text_add(page, "<svg viewBox=\"0 0 %d %d\" role=\"img\"><title>", WIDTH, HEIGHT);
    sq_text_add_html(page, plot->title);
    sq_text_add(page, "</title><text class=\"h\" x=\"%d\" y=\"15\">", LEFT);
    sq_text_add_html(page, plot->title);
    sq_text_add(page, "</text><text x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDTH - RIGHT,
                HEIGHT - 4);
    sq_text_add_html(page, plot->x_label);
    sq_text_add(page, "</text>\n");
    for (int i = 0; i < TICKS; i++) {
        const double part = (double)i / (TICKS - 1);
        const double x = a->x0 + part * (a->x1 - a->x0);
        const double raw = a->y0 + part * (a->y1 - a->y0);
        const double y = fabs(raw) < 1e-9 * (a->y1 - a->y0) ? 0 : raw;
        const double at_x = LEFT + part * (WIDTH - LEFT - RIGHT);
        const double at_y = HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM);
        sq_text_add(page,
                    "<path class=\"g\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" "
                    "text-anchor=\"end\">%.3g</text><text x=\"%.1f\" y=\"%d\" "
                    "text-anchor=\"middle\">%.3g</text>\n",
                    LEFT, at_y, WIDTH - RIGHT, LEFT - 4, at_y + 4, a->log_y ? pow(10, y) : y, at_x,
                    HEIGHT - BOTTOM + 14, x);
    }
}

static void add_line(sq_text *page, const axes *a, const suite_line *line, const char *colour)
{
    bool pen = false;
    sq_text_add(page, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.8\" d=\"", colour);
    for (size_t k = 0; k < line->count; k++) {
        const bool known = isfinite(line->y[k]) && (!a->log_y || line->y[k] > 0);
        if (known) {
            sq_text_add(page, "%c%.1f %.1f", pen ? 'L' : 'M', to_x(a, line->x[k]),
                        to_y(a, line->y[k]));
        }
        pen = pen || known;
    }
    sq_text_add(page, "\"/>");
    for (size_t k = 0; k < line->count; k++) {
        if (!isfinite(line->y[k]) || (a->log_y && !(line->y[k] > 0))) {
            continue;
        }
        sq_text_add(page, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.2\" fill=\"%s\"/>",
                    to_x(a, line->x[k]), to_y(a, line->y[k]), colour);
        if (line->low != NULL && isfinite(line->low[k]) && isfinite(line->high[k])) {
            sq_text_add(page, "<path stroke=\"%s\" d=\"M%.1f %.1fV%.1f\"/>", colour,
                        to_x(a, line->x[k]), to_y(a, line->low[k]), to_y(a, line->high[k]));
        }
    }
    sq_text_add(page, "\n");
}

void suite_plot_add(sq_text *page, const suite_plot *plot, const suite_line *lines, size_t count)
{
    const axes a = find_axes(plot, lines, count);
    sq_text_add(page, "<figure>");
    add_frame(page, plot, &a);
    if (plot->diagonal) {
        sq_text_add(page, "<path class=\"g\" stroke-dasharray=\"4 3\" d=\"M%.1f %.1fL%.1f %.1f\"/>",
                    to_x(&a, 0), to_y(&a, 0), to_x(&a, 1), to_y(&a, 1));
    }
    for (size_t i = 0; i < count; i++) {
        add_line(page, &a, &lines[i], colours[i % COLOURS]);
    }
    sq_text_add(page, "</svg><figcaption>");
    for (size_t i = 0; i < count; i++) {
        sq_text_add(page, "<span style=\"color:%s\">&#9679; ", colours[i % COLOURS]);
        sq_text_add_html(page, lines[i].name);
        sq_text_add(page, "</span> ");
    }
    sq_text_add(page, "</figcaption></figure>\n");
}
