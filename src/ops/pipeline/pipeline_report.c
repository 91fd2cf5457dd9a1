/* ops/pipeline/pipeline_report.c - what a run came to: a page with plots, and the same as JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/pipeline/pipeline_private.h"

enum { WIDTH = 640, HEIGHT = 260, LEFT = 60, BOTTOM = 40, BAR = 22 };

static const struct {
    const char *key, *words, *colour;
} lines[] = {{"new", "the new version", "#0b62c4"},
             {"in_service", "the version in service", "#c4620b"},
             {"extrapolation", "extrapolation", "#777777"}};

/* CSI by lead time of up to three methods. */
static void draw_csi(sq_text *out, const json_t *skill)
{
    double most_s = 60.0;
    for (size_t k = 0; k < 3; k++) {
        const json_t *rows = json_object_get(skill, lines[k].key);
        const json_t *last = json_array_get(rows, json_array_size(rows) - 1);
        most_s = fmax(most_s, json_number_value(json_array_get(last, 0)));
    }
    sq_text_add(out, "<svg viewBox='0 0 %d %d' role='img' aria-label='CSI by lead time'>", WIDTH,
                HEIGHT);
    for (int i = 0; i <= 4; i++) {
        const int y = HEIGHT - BOTTOM - i * (HEIGHT - BOTTOM - 20) / 4;
        sq_text_add(out,
                    "<line x1='%d' x2='%d' y1='%d' y2='%d' stroke='#ddd'/><text x='8' y='%d'>%.2f"
                    "</text>",
                    LEFT, WIDTH - 10, y, y, y + 4, i / 4.0);
    }
    for (size_t k = 0; k < 3; k++) {
        size_t i;
        json_t *point;
        const json_t *rows = json_object_get(skill, lines[k].key);
        if (json_array_size(rows) == 0) {
            continue;
        }
        sq_text_add(out, "<polyline fill='none' stroke-width='2' stroke='%s' points='",
                    lines[k].colour);
        json_array_foreach(rows, i, point)
        {
            const double x = json_number_value(json_array_get(point, 0)) / most_s;
            const double y = json_number_value(json_array_get(point, 1));
            sq_text_add(out, "%.1f,%.1f ", LEFT + x * (WIDTH - LEFT - 20),
                        HEIGHT - BOTTOM - y * (HEIGHT - BOTTOM - 20));
        }
        sq_text_add(out, "'/><text x='%d' y='%zu' fill='%s'>%s</text>", WIDTH - 210, 24 + 18 * k,
                    lines[k].colour, lines[k].words);
    }
    sq_text_add(out, "<text x='%d' y='%d'>lead time, to %.0f min</text></svg>\n", LEFT, HEIGHT - 10,
                most_s / 60.0);
}

static const json_t *stage_of(const sq_pipeline *p, const char *name, const char *failed)
{
    return failed != NULL && strcmp(failed, name) == 0
               ? json_object_get(p->state, "failed")
               : json_object_get(json_object_get(p->state, "stages"), name);
}

static void draw_times(sq_text *out, const sq_pipeline *p, const char *failed)
{
    double most_s = 0.001;
    for (size_t i = 0; i < sq_pipeline_stage_count; i++) {
        most_s =
            fmax(most_s,
                 json_number_value(
                     json_object_get(stage_of(p, sq_pipeline_stages[i].name, failed), "seconds")));
    }
    sq_text_add(out, "<svg viewBox='0 0 %d %zu' role='img' aria-label='Seconds by stage'>", WIDTH,
                BAR * sq_pipeline_stage_count + 10);
    for (size_t i = 0; i < sq_pipeline_stage_count; i++) {
        const char *name = sq_pipeline_stages[i].name;
        const json_t *stage = stage_of(p, name, failed);
        const bool bad = failed != NULL && strcmp(failed, name) == 0;
        const double seconds = json_number_value(json_object_get(stage, "seconds"));
        sq_text_add(out,
                    "<text x='4' y='%zu'>%s</text><rect x='90' y='%zu' height='14' width='%.1f' "
                    "fill='%s'/><text x='%.1f' y='%zu'>%s</text>",
                    BAR * i + 16, name, BAR * i + 5, 1.0 + 400.0 * seconds / most_s,
                    bad ? "#c42a0b" : "#0b62c4", 96.0 + 400.0 * seconds / most_s, BAR * i + 16,
                    stage == NULL ? "not done"
                    : bad         ? "failed"
                                  : "");
        if (stage != NULL) {
            sq_text_add(out, "<text x='%d' y='%zu'>%.1f s</text>", WIDTH - 70, BAR * i + 16,
                        seconds);
        }
    }
    sq_text_add(out, "</svg>\n");
}

static void write_html(const sq_pipeline *p, const char *failed, const squall_error *why,
                       sq_text *out)
{
    char time[SQ_TIME_TEXT];
    const json_t *skill = json_object_get(stage_of(p, "skill", failed), "detail");
    sq_text_add(out, "<!doctype html><html lang='en'><meta charset='utf-8'><title>Pipeline of ");
    sq_text_add_html(out, p->c.name);
    sq_text_add(out, "</title><style>body{font:15px sans-serif;max-width:46em;margin:2em auto}"
                     "svg{width:100%%;font-size:12px}table{border-collapse:collapse}td,th{padding:"
                     "2px 10px;text-align:left;border-bottom:1px solid #ddd}code{font-size:85%%}"
                     "</style><h1>Pipeline of ");
    sq_text_add_html(out, p->c.name);
    sq_text_add(out, "</h1><p>%s: ", sq_time_format(sq_time_now(), time));
    if (failed != NULL) {
        sq_text_add(out, "<strong>stage %s failed</strong>: ", failed);
        sq_text_add_html(out, why->text);
        sq_text_add(out, " Nothing behind it was done; what serves is untouched.");
    } else {
        const json_t *add = json_object_get(stage_of(p, "add", NULL), "detail");
        sq_text_add(out, "every stage is done; version %lld.",
                    (long long)json_integer_value(json_object_get(add, "version")));
    }
    sq_text_add(out, "</p><h2>Skill on the days held back</h2>");
    draw_csi(out, json_object_get(skill, "held_back"));
    if (p->c.guard[0] != '\0') {
        sq_text_add(out, "<h2>On what it knew before</h2>");
        draw_csi(out, json_object_get(skill, "guard"));
    }
    sq_text_add(out, "<h2>Time by stage</h2>");
    draw_times(out, p, failed);
    sq_text_add(out, "<h2>Stages</h2><table><tr><th>stage<th>done<th>inputs<th>made</tr>");
    for (size_t i = 0; i < sq_pipeline_stage_count; i++) {
        const json_t *stage = stage_of(p, sq_pipeline_stages[i].name, failed);
        const char *inputs = json_string_value(json_object_get(stage, "inputs"));
        const char *when = json_string_value(json_object_get(stage, "time"));
        sq_text_add(out, "<tr><td>%s<td>%s<td><code>%.16s</code><td>%zu files</tr>",
                    sq_pipeline_stages[i].name, when != NULL ? when : "-",
                    inputs != NULL ? inputs : "-",
                    json_object_size(json_object_get(stage, "outputs")));
    }
    sq_text_add(out, "</table></html>\n");
}

squall_status sq_pipeline_report(const sq_pipeline *p, const char *failed, const squall_error *why,
                                 char *path, squall_error *err)
{
    char other[SQ_PIPELINE_PATH];
    sq_text html = {0};
    squall_status status;
    json_t *document =
        json_pack("{s:s, s:s, s:b, s:o, s:O}", "pipeline", p->c.name, "configuration_sha256",
                  p->hash, "good", failed == NULL, "failed",
                  failed != NULL ? json_pack("{s:s, s:s}", "stage", failed, "problem", why->text)
                                 : json_null(),
                  "stages", json_object_get(p->state, "stages"));
    char *text = document != NULL ? json_dumps(document, JSON_INDENT(1)) : NULL;
    write_html(p, failed, why, &html);
    if (text == NULL || html.failed) {
        status = sq_fail(err, SQUALL_E_MEMORY, "report", "no memory");
        goto done;
    }
    SQ_TRY_GOTO(sq_file_write(sq_pipeline_path(p, "report.json", other), text, strlen(text), err));
    sq_pipeline_path(p, "report.html", path);
    SQ_TRY_GOTO(sq_file_write(path, html.data, html.length, err));
done:
    free(text);
    json_decref(document);
    sq_text_free(&html);
    return status;
}
