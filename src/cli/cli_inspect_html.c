/* cli/cli_inspect_html.c - the document of squall inspect as one HTML page: no script, nothing from
 * elsewhere. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_inspect.h"

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1c2430;--soft:#5d6b7c;--line:#d8dee6;--back:#fff;"
    "--box:#f5f7fa;--bar:#2f7fd1;--win:#1f8a4c}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e4e9f0;--soft:#9aa7b6;--line:#333d4a;"
    "--back:#141a21;--box:#1c242d;--bar:#5aa2ea;--win:#56c283}}"
    "body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--back);"
    "max-width:75rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}"
    "h3{font-size:1rem;margin:1.25rem 0 .5rem}"
    "p.lead{color:var(--soft);margin:0 0 1rem}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:0}"
    "dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}"
    "table{border-collapse:collapse;width:100%;font-size:.87rem}"
    "th{text-align:left;color:var(--soft);font-weight:600;border-bottom:1px solid var(--line);"
    "padding:.25rem .5rem}"
    "td{padding:.2rem .5rem;border-bottom:1px solid var(--line);vertical-align:top}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "code,pre,td.t{font-family:ui-monospace,monospace;font-size:.82rem}"
    "pre{background:var(--box);padding:.75rem;border-radius:.4rem;overflow:auto;max-height:28rem}"
    "tr.lost td{color:var(--soft);border-bottom-style:dotted}"
    ".bar{display:inline-block;height:.6rem;background:var(--bar);border-radius:.15rem;"
    "vertical-align:middle}"
    ".tag{color:var(--win);font-weight:600}.scroll{overflow-x:auto}"
    "svg{width:100%;height:auto;background:var(--box);border-radius:.4rem}"
    "svg text{fill:var(--soft);font:11px system-ui,sans-serif}";

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value != NULL ? value : "–";
}

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void add_fact(sq_text *page, const char *label, const char *value)
{
    sq_text_add(page, "<dt>%s</dt><dd>", label);
    sq_text_add_html(page, value);
    sq_text_add(page, "</dd>\n");
}

/* "1 234 567": groups of three. */
static const char *grouped(double value, char *out)
{
    char digits[32];
    const int length = snprintf(digits, sizeof digits, "%.0f", value);
    int used = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            used += snprintf(out + used, (size_t)(64 - used), "&#8239;");
        }
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}

static void add_type(sq_text *page, const json_t *value)
{
    const json_t *shape = json_object_get(value, "shape");
    const json_t *batches = json_object_get(value, "batches");
    const long long least = json_integer_value(json_array_get(batches, 0));
    const long long most = json_integer_value(json_array_get(batches, 1));
    sq_text_add(page, "%s[", text(value, "type"));
    for (size_t i = 0; i < json_array_size(shape); i++) {
        if (i == 0 && least != most) {
            sq_text_add(page, "%lld–%lld", least, most);
        } else {
            sq_text_add(page, "%s%lld", i > 0 ? "," : "",
                        (long long)json_integer_value(json_array_get(shape, i)));
        }
    }
    sq_text_add(page, "]");
}

static void add_ports(sq_text *page, const json_t *profile, const char *key)
{
    size_t i;
    json_t *port;
    json_array_foreach(json_object_get(profile, key), i, port)
    {
        sq_text_add(page, "<dt>%s</dt><dd>", i == 0 ? key : "");
        sq_text_add_html(page, text(port, "name"));
        sq_text_add(page, " <code>");
        add_type(page, port);
        sq_text_add(page, "</code></dd>\n");
    }
}

static void add_ms(sq_text *page, const json_t *candidate, const char *key)
{
    const json_t *value = json_object_get(candidate, key);
    if (json_is_number(value)) {
        sq_text_add(page, "<td class=\"n\">%.4f</td>", 1e3 * json_number_value(value));
    } else {
        sq_text_add(page, "<td class=\"n\">–</td>");
    }
}

static const json_t *chosen_of(const json_t *layer)
{
    size_t c;
    json_t *candidate;
    json_array_foreach(json_object_get(layer, "candidates"), c, candidate)
    {
        if (json_is_true(json_object_get(candidate, "chosen"))) {
            return candidate;
        }
    }
    return NULL;
}

static void add_losers(sq_text *page, const json_t *layer, const json_t *own)
{
    size_t c;
    json_t *candidate;
    json_array_foreach(json_object_get(layer, "candidates"), c, candidate)
    {
        if (candidate == own) {
            continue;
        }
        sq_text_add(page, "<tr class=\"lost\"><td></td><td>lost</td><td>%s</td><td class=\"t\">",
                    text(candidate, "backend"));
        sq_text_add_html(page, text(candidate, "tactic"));
        sq_text_add(page, "</td><td></td><td></td><td></td>");
        add_ms(page, candidate, "median_s");
        add_ms(page, candidate, "guess_s");
        sq_text_add(page, "<td></td></tr>\n");
    }
    if (json_is_string(json_object_get(layer, "why"))) {
        sq_text_add(page, "<tr class=\"lost\"><td></td><td colspan=\"9\">why: ");
        sq_text_add_html(page, text(layer, "why"));
        sq_text_add(page, "</td></tr>\n");
    }
}

static void add_layers(sq_text *page, const json_t *profile)
{
    size_t i;
    json_t *layer;
    double most = 1;
    json_array_foreach(json_object_get(profile, "layers"), i, layer)
    {
        most = fmax(most, number(layer, "macs"));
    }
    sq_text_add(
        page, "<h3>Layers and tactics</h3><div class=\"scroll\"><table><tr><th "
              "class=\"n\">step</th><th>op</th><th>on</th><th>tactic</th><th>output</th><th "
              "class=\"n\">MMAC</th><th></th><th class=\"n\">measured ms</th><th class=\"n\">guess "
              "ms</th><th>name</th></tr>\n");
    json_array_foreach(json_object_get(profile, "layers"), i, layer)
    {
        const json_t *own = chosen_of(layer);
        const json_t *out = json_array_get(json_object_get(layer, "outputs"), 0);
        sq_text_add(page, "<tr><td class=\"n\">%zu</td><td>%s</td><td>%s</td><td class=\"t\">", i,
                    text(layer, "op"), text(layer, "backend"));
        sq_text_add_html(page, text(layer, "tactic"));
        sq_text_add(page, "</td><td class=\"t\">");
        if (out != NULL) {
            add_type(page, out);
            sq_text_add(page, " %s", text(out, "layout"));
        }
        sq_text_add(page,
                    "</td><td class=\"n\">%.2f</td><td><span class=\"bar\" style=\"width:%.1fpx\">"
                    "</span></td>",
                    1e-6 * number(layer, "macs"), 48 * number(layer, "macs") / most);
        add_ms(page, own, "median_s");
        add_ms(page, own, "guess_s");
        sq_text_add(page, "<td>");
        sq_text_add_html(page, text(layer, "name"));
        sq_text_add(page, "</td></tr>\n");
        add_losers(page, layer, own);
    }
    sq_text_add(page, "</table></div>\n");
}

/* Steps to the right, addresses upwards; one rectangle a buffer. */
static void add_memory(sq_text *page, const json_t *profile)
{
    enum { WIDTH = 1000, HEIGHT = 320, LEFT = 70, FOOT = 24, HUE = 47 };
    const double arena = fmax(number(profile, "arena_bytes"), 1);
    const double steps = fmax(number(profile, "steps"), 1);
    const double x_unit = (WIDTH - LEFT) / (steps + 1), y_unit = HEIGHT / arena;
    size_t i;
    json_t *span;
    sq_text_add(page,
                "<h3>Memory map</h3><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"what lies "
                "in the arena at which step\">\n",
                WIDTH, HEIGHT + FOOT);
    json_array_foreach(json_object_get(profile, "memory"), i, span)
    {
        const double first = number(span, "first"), last = number(span, "last");
        const double bytes = number(span, "bytes");
        sq_text_add(page,
                    "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" "
                    "fill=\"hsl(%zu 55%% 55%%)\" stroke=\"hsl(%zu 55%% 35%%)\" "
                    "stroke-width=\".5\"><title>",
                    LEFT + first * x_unit, HEIGHT - (number(span, "offset") + bytes) * y_unit,
                    fmax((last - first + 1) * x_unit - 0.4, 0.6), fmax(bytes * y_unit, 0.4),
                    i * HUE % 360, i * HUE % 360);
        sq_text_add_html(page, text(span, "name"));
        sq_text_add(page, ": %.0f bytes at %.0f, steps %.0f to %.0f</title></rect>\n", bytes,
                    number(span, "offset"), first, last);
    }
    sq_text_add(page,
                "<text x=\"4\" y=\"12\">%.1f MB</text><text x=\"4\" y=\"%d\">0</text>"
                "<text x=\"%d\" y=\"%d\">step 0</text><text x=\"%d\" y=\"%d\" "
                "text-anchor=\"end\">step %.0f</text></svg>\n",
                arena / 1e6, HEIGHT, LEFT, HEIGHT + 16, WIDTH - 4, HEIGHT + 16, steps - 1);
}

static void add_profile(sq_text *page, const json_t *profile, size_t index)
{
    char arena[64], bound[64], scratch[64];
    const double least = number(profile, "arena_bound_bytes");
    sq_text_add(page, "<h2>Profile %zu</h2><dl>\n", index);
    add_ports(page, profile, "inputs");
    add_ports(page, profile, "outputs");
    add_fact(page, "runs on", text(profile, "backend"));
    sq_text_add(page, "<dt>work</dt><dd>%.0f steps, %.2f GFLOP a run</dd>\n",
                number(profile, "steps"), 2e-9 * number(profile, "macs"));
    sq_text_add(page,
                "<dt>memory</dt><dd>arena %s bytes, lower bound %s: <span "
                "class=\"tag\">%.2f×</span>; scratch %s bytes</dd></dl>\n",
                grouped(number(profile, "arena_bytes"), arena), grouped(least, bound),
                least > 0 ? number(profile, "arena_bytes") / least : 1.0,
                grouped(number(profile, "scratch_bytes"), scratch));
    add_memory(page, profile);
    add_layers(page, profile);
}

static void add_header(sq_text *page, const json_t *document)
{
    char bytes[64], at[64];
    size_t i;
    json_t *section;
    sq_text_add(page, "<h1>");
    sq_text_add_html(page, text(document, "model"));
    sq_text_add(page, "</h1><p class=\"lead\">");
    sq_text_add_html(page, sq_path_name(text(document, "file")));
    sq_text_add(page, ", %s bytes</p><dl>\n", grouped(number(document, "bytes"), bytes));
    add_fact(page, "model SHA-256", text(document, "model_sha256"));
    sq_text_add(page, "<dt>made by</dt><dd>squall ");
    sq_text_add_html(page, text(document, "squall_version"));
    sq_text_add(page, "</dd>\n");
    add_fact(page, "compiler", text(document, "compiler"));
    add_fact(page, "command", text(document, "command"));
    add_fact(page, "device", text(document, "isa"));
    sq_text_add(page, "<dt>threads</dt><dd>%.0f</dd><dt>plan shown</dt><dd>%s</dd>\n",
                number(document, "threads"), text(document, "plan"));
    add_fact(page, "signed by", text(document, "signed_by"));
    sq_text_add(page, "</dl><h2>Sections</h2><div class=\"scroll\"><table><tr><th "
                      "class=\"n\">id</th><th>name</th><th class=\"n\">offset</th><th "
                      "class=\"n\">bytes</th><th>SHA-256</th></tr>\n");
    json_array_foreach(json_object_get(document, "sections"), i, section)
    {
        sq_text_add(page,
                    "<tr><td class=\"n\">%.0f</td><td>%s</td><td class=\"n\">%s</td><td "
                    "class=\"n\">%s</td><td class=\"t\">%s</td></tr>\n",
                    number(section, "id"), text(section, "name"),
                    grouped(number(section, "offset"), at),
                    grouped(number(section, "bytes"), bytes), text(section, "sha256"));
    }
    sq_text_add(page, "</table></div>\n");
}

/* A document within the document, as it is. */
static void add_document(sq_text *page, const char *title, const char *none, const json_t *value)
{
    char *dumped = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);
    sq_text_add(page, "<h2>%s</h2>", title);
    if (dumped == NULL || json_is_null(value)) {
        sq_text_add(page, "<p>%s</p>", none);
    } else {
        sq_text_add(page, "<pre>");
        sq_text_add_html(page, dumped);
        sq_text_add(page, "</pre>");
    }
    free(dumped);
}

squall_status cli_inspect_html(const json_t *document, const char *path, squall_error *err)
{
    sq_text page = {0};
    size_t i;
    json_t *profile;
    sq_text_add(&page, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                       "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                       "<title>");
    sq_text_add_html(&page, text(document, "model"));
    sq_text_add(&page, " – squall engine</title><style>%s</style></head><body>\n", style);
    add_header(&page, document);
    json_array_foreach(json_object_get(document, "profiles"), i, profile)
    {
        add_profile(&page, profile, i);
    }
    add_document(&page, "Calibration", "all layers are in float",
                 json_object_get(document, "certificate"));
    add_document(&page, "Feature recipe", "none travels in this engine",
                 json_object_get(document, "recipe"));
    sq_text_add(&page, "</body></html>\n");
    const squall_status status = page.failed
                                     ? sq_fail(err, SQUALL_E_MEMORY, path, "no memory for the page")
                                     : sq_file_write(path, page.data, page.length, err);
    sq_text_free(&page);
    return status;
}
