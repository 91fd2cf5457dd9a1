/* svc/config/config_table.c - the keys, one row each: what they take, their unit and default. */
#include <stddef.h>
#include <string.h>

#include "svc/config/config_table.h"

#define MEMBER(section, member) \
    offsetof(sq_config_##section, member), sizeof(((sq_config_##section *)NULL)->member)
#define TEXT(section, member, standard, unit, help)                                           \
    {                                                                                         \
#member, SQ_CONFIG_IS_TEXT, MEMBER(section, member), 0, 0, NULL, standard, unit, help \
    }
#define WORD(section, member, words, standard, help)                                         \
    {                                                                                        \
#member, SQ_CONFIG_IS_WORD, MEMBER(section, member), 0, 0, words, standard, "", help \
    }
#define INT(section, member, low, high, standard, unit, help)                                     \
    {                                                                                             \
#member, SQ_CONFIG_IS_INT, MEMBER(section, member), low, high, NULL, standard, unit, help \
    }
#define REAL(section, member, low, high, standard, unit, help)                                     \
    {                                                                                              \
#member, SQ_CONFIG_IS_REAL, MEMBER(section, member), low, high, NULL, standard, unit, help \
    }
#define BOOL(section, member, standard, help)                                               \
    {                                                                                       \
#member, SQ_CONFIG_IS_BOOL, MEMBER(section, member), 0, 0, NULL, standard, "", help \
    }

/* clang-format off: one key a line. */
static const sq_config_row server_rows[] = {
    TEXT(server, listen, "127.0.0.1:8080", "",
         "addresses to listen at, with commas: `HOST:PORT` in numbers, `[IPV6]:PORT`, `unix:PATH`; "
         "port 0 lets the system choose"),
    TEXT(server, base_url, "", "",
         "what clients call the server, for links in answers, such as `https://rain.example`; "
         "empty: by the Host header"),
    TEXT(server, cors, "*", "", "`Access-Control-Allow-Origin`; empty: none"),
    TEXT(server, data, "squall-data", "",
         "folder of catalogue, products and pushed files; made when it is not there"),
    WORD(server, log_level, "debug info warning error", "info",
         "lines below this level are not logged"),
    TEXT(server, title, "squall", "", "what the service calls itself"),
    TEXT(server, institution, "", "", "who runs it"),
    TEXT(server, license, "", "", "what users may do with the forecasts"),
    INT(server, http_threads, 1, 64, "2", "", "threads that answer requests"),
    INT(server, connections, 8, 100000, "4000", "", "most connections at one time"),
    INT(server, per_address, 0, 100000, "0", "",
        "most connections from one address; 0: no limit of its own (behind a proxy all come from "
        "one)"),
    INT(server, idle_s, 1, 3600, "60", "s", "a connection silent for so long is closed"),
    INT(server, stop_s, 0, 3600, "30", "s",
        "how long a stop waits for requests and cycles that run"),
    INT(server, workers, 0, 256, "0", "",
        "threads that read files and run cycles, side by side; 0: one a processor"),
    INT(server, threads, 0, 256, "0", "",
        "threads of one cycle; 0: 1 where there are more regions than processors, else the "
        "processors shared out"),
    INT(server, infer_workers, 0, 64, "0", "",
        "requests to infer, or batches of them, that run side by side; 0: one a processor"),
    INT(server, push_mb, 1, 4096, "64", "MB", "largest file that may be pushed"),
    TEXT(server, leaflet, "/usr/share/javascript/leaflet", "",
         "folder of `leaflet.js` and `leaflet.css` for the map page; Debian's package is "
         "libjs-leaflet"),
    TEXT(server, coastlines, "/usr/share/gmt-gshhg", "",
         "folder of GSHHG's coasts and borders, drawn under the rain; Debian's package is "
         "gmt-gshhg-low"),
    BOOL(server, sandbox, "yes",
         "whether the process gives up all system calls that it does not need (seccomp): it can "
         "start no "
         "program and look into no other process; what is refused is logged as `sandbox`"),
};
static const sq_config_row limits_rows[] = {
    WORD(limits, anonymous, "none read infer", "read", "what callers without a key may do"),
    REAL(limits, rate_per_s, 0, 1e6, "0", "1/s",
         "requests of one address without a key; 0: no limit"),
    REAL(limits, burst, 0, 1e6, "50", "", "requests that may come at once before the rate counts"),
    INT(limits, values, 1, 1000000, "4000", "1000",
        "most values in one answer, in thousands; above it is 413"),
    BOOL(limits, operate_tcp, "no",
         "whether operating calls (pushing files, for one) are taken on TCP from keys of role "
         "operate; otherwise on a Unix socket alone"),
};
static const sq_config_row retention_rows[] = {
    REAL(retention, products_gb, 0, 1e6, "10", "GB", "products on disk; the oldest go first"),
    REAL(retention, products_days, 0, 36500, "7", "d", "products older than this go"),
    REAL(retention, catalogue_days, 0, 36500, "90", "d", "scores and records older than this go"),
    REAL(retention, inbox_hours, 0, 876000, "24", "h", "pushed files older than this go"),
};
static const sq_config_row replay_rows[] = {
    REAL(replay, speed, 0.01, 100000, "60", "",
         "how much faster than life the sources with `replay` run; the clock of the whole service "
         "runs with them"),
    TEXT(replay, start, "", "",
         "time at which it begins (`2010-08-26T01:00Z`); empty: an hour after the first frame. "
         "Given without any source to replay it sets the clock alone, for rehearsals with old "
         "files"),
    BOOL(replay, loop, "no", "whether it begins again at its end"),
};
static const sq_config_row key_rows[] = {
    WORD(key, role, "read infer operate", "read",
         "what the key allows; each role may do what those before it may"),
    TEXT(key, hash, NULL, "",
         "BLAKE2b-256 of the key, 64 hexadecimal digits; `squall serve --make-key` prints both"),
    REAL(key, rate_per_s, 0, 1e6, "0", "1/s", "requests with this key; 0: no limit"),
    REAL(key, burst, 0, 1e6, "50", "", "requests that may come at once before the rate counts"),
};
static const sq_config_row source_rows[] = {
    TEXT(source, watch, "", "", "folder that files arrive in, by rename or written in place"),
    TEXT(source, replay, "", "",
         "folder of a finished sequence that is played as if it came now (see `[replay]`)"),
    BOOL(source, push, "no", "whether files may be pushed: `PUT /ingest/SOURCE/NAME`"),
    TEXT(source, quantity, "", "",
         "dataset to take (`RATE`, `ACRR`, `DBZH`, ...); empty: the best for rain"),
    TEXT(source, attribution, "", "", "whose data it is, as the licence asks"),
    TEXT(source, broker, "", "",
         "`[broker NAME]` whose notifications (WIS2) say what files there are; each is fetched, "
         "held against the hash of its message, and read"),
    TEXT(source, topics, "", "",
         "topics of those notifications, with commas; `+` and `#` as MQTT has them"),
    TEXT(source, hosts, "", "",
         "hosts that such files may be fetched from, with commas, without redirects to others; "
         "empty: any"),
    BOOL(source, require_hash, "no", "whether notifications without a hash are refused"),
    INT(source, download_s, 1, 3600, "30", "s",
        "a download that takes longer is ended; there are four attempts"),
    INT(source, download_mb, 1, 4096, "64", "MB", "largest file that is fetched"),
    INT(source, settle_ms, 0, 600000, "500", "ms",
        "a file whose writer does not close it is read when its size has rested for so long, and "
        "again when it grew"),
    INT(source, future_s, 0, 86400, "300", "s",
        "frames further ahead of the clock than this are refused"),
    REAL(source, zr_a, 1, 100000, "200", "", "Z = A R^B: A"),
    REAL(source, zr_b, 1, 10, "1.6", "", "Z = A R^B: B"),
    REAL(source, max_rate_mm_h, 0, 100000, "150", "mm/h", "rain rates are cut to this; 0: never"),
};
static const sq_config_row broker_rows[] = {
    TEXT(broker, host, NULL, "", "name or address of the broker"),
    INT(broker, port, 1, 65535, "1883", "", "its port; 8883 is usual with TLS"),
    BOOL(broker, tls, "no",
         "whether the connection is encrypted, and the broker's certificate checked"),
    TEXT(broker, ca_file, "", "", "file of certificates to trust; empty: the system's"),
    TEXT(broker, username, "", "", "who we are"),
    TEXT(broker, password_file, "", "", "file whose first line is the password"),
    TEXT(broker, client_id, "", "",
         "name of our session: under one the broker keeps notifications while we are away; empty: "
         "a new one each time"),
    TEXT(broker, publish, "", "",
         "topic under which each product is announced, `{region}` for the region's name, such as "
         "`origin/a/wis2/CENTRE/data/core/weather/prediction/forecast/nowcasting/deterministic/"
         "limited-area`; "
         "needs `base_url`; empty: none"),
    TEXT(broker, metadata_id, "", "",
         "identifier of the metadata record of our products (`urn:wmo:md:...`)"),
};
static const sq_config_row engine_rows[] = {
    TEXT(engine, file, "", "", "engine file (`squall build`); either this or `model`"),
    TEXT(engine, model, "", "",
         "model of the repository of `[release]`: the version that was promoted last is used"),
    TEXT(engine, trusted_keys, "", "",
         "file of public keys, one of which must have signed it; empty: any engine will do"),
    TEXT(engine, batch, "", "",
         "requests to infer of equal shapes that may be one run, such as `2,4,8`, at most 32; `1`: "
         "each runs alone; empty: `2,4,8` on a GPU, alone on a processor"),
    INT(engine, batch_mb, 1, 1000000, "256", "MB",
        "a run of several requests may take this much memory"),
    REAL(engine, queue_delay_ms, 0, 10000, "0", "ms",
         "how long a request may wait for others that it can run with"),
    INT(engine, queue, 1, 100000, "64", "",
        "requests to infer that may wait; further ones are answered 503 with Retry-After"),
    INT(engine, instances, 0, 64, "0", "",
        "runs of this engine for requests to infer at one time; 0: as many as `infer_workers`"),
    INT(engine, threads, 0, 256, "0", "",
        "threads of such a run; 0: one while others run or wait, else as `threads` in `[server]`, "
        "or one a processor, at most 4"),
};
static const sq_config_row region_rows[] = {
    TEXT(region, title, "", "", "its name for people; empty: that of the section"),
    TEXT(region, radar, NULL, "", "source of its rain frames"),
    TEXT(region, sources, "", "",
         "further sources that the engine's recipe asks for (satellite), with commas; each under "
         "its own name"),
    TEXT(region, engines, "", "",
         "engines, the best first, with commas; where one fails the next is tried, then "
         "extrapolation, then persistence"),
    WORD(region, method, "auto model extrapolation persistence sprog steps blend", "auto",
         "the best method to use; `auto` is the engines, or without one extrapolation"),
    TEXT(region, window, "", "cells",
         "part of the source's grid, `COL,ROW,WIDTH,HEIGHT`; empty: all of it"),
    TEXT(region, grid_proj, "", "",
         "PROJ text of a grid of its own, which frames are carried to; empty: the source's grid"),
    REAL(region, grid_left, -1e9, 1e9, "0", "m or degrees", "left edge of that grid"),
    REAL(region, grid_top, -1e9, 1e9, "0", "m or degrees", "top edge"),
    REAL(region, grid_cell, 1e-6, 1e6, "1000", "m or degrees", "cell size"),
    INT(region, grid_width, 0, 65536, "0", "cells", "width"),
    INT(region, grid_height, 0, 65536, "0", "cells", "height"),
    INT(region, cadence_s, 30, 86400, "300", "s", "time between frames"),
    INT(region, deadline_s, 0, 86400, "60", "s",
        "a cycle starts this long after its radar frame even when other sources are not there; and "
        "this long after a frame was due it counts as missing"),
    INT(region, max_age_min, 1, 10080, "60", "min", "an older forecast is not shown any more"),
    INT(region, history_min, 5, 1440, "60", "min", "observations that are kept and shown"),
    INT(region, instances, 1, 289, "13", "",
        "forecasts that are kept in memory, shown as instances and scored"),
    TEXT(region, leads_min, "", "min", "lead times with commas; empty: the engine's, or 5 to 60"),
    INT(region, members, 0, 200, "0", "",
        "members of a STEPS ensemble that is made beside the forecast, for its probabilities; 0: "
        "none, "
        "probabilities come from the neighbourhood; with `method = steps` 20 unless said "
        "otherwise"),
    REAL(region, alarm_mm_h, 0, 1000, "0", "mm/h",
         "alarm when the forecast or the last frame reaches this; 0: never. Cycles of regions in "
         "alarm go first"),
    INT(region, alarm_cells, 1, 1000000, "4", "cells", "in so many cells"),
};
static const sq_config_row location_rows[] = {
    TEXT(location, title, "", "", "its name for people; empty: that of the section"),
    REAL(location, lon, -180, 180, NULL, "degrees", "longitude, WGS 84"),
    REAL(location, lat, -90, 90, NULL, "degrees", "latitude, WGS 84"),
};
static const sq_config_row release_rows[] = {
    TEXT(release, repository, "", "", "model repository (`squall model`)"),
    TEXT(release, roots, "", "", "root keys that its keyring is signed by"),
    TEXT(release, key, "", "",
         "secret key of role `operate`, by which the ledger is written; empty: it is not"),
    TEXT(release, steps, "shadow:3,weight:25:3,weight:50:3", "",
         "steps of a rollout: `shadow:CYCLES`, `regions:A+B:CYCLES`, `weight:PERCENT:CYCLES`, "
         "`pause[:SECONDS]`"),
    REAL(release, min_psnr_db, -100, 200, "15", "dB",
         "a candidate further from the version in service than this, on any frame, fails"),
    REAL(release, max_latency_ratio, 0.1, 1000, "1.5", "",
         "P50 of its runs against that of the version in service; twice that for P99"),
    REAL(release, latency_slack_ms, 0, 600000, "20", "ms", "that much more is always allowed"),
    REAL(release, max_memory_ratio, 0.1, 1000, "2", "", "its weights and planned memory likewise"),
    INT(release, max_failures, 0, 100000, "0", "", "failed runs in a step that are allowed"),
    REAL(release, max_csi_loss, 0, 1, "0.02", "",
         "CSI at 1 mm/h, by radar frames that came later, may be so much lower"),
    INT(release, least_events, 0, 1000000000, "1000", "cells",
        "wet cells that were observed before skill is judged: with fewer a step is Inconclusive. "
        "0: skill does not count"),
    INT(release, patience_s, 0, 8640000, "21600", "s",
        "a step that is Inconclusive for so long pauses"),
};
/* clang-format on */

#define ROWS(rows) rows, sizeof(rows) / sizeof(rows)[0]
#define ONE(section, help)                                                             \
    {                                                                                  \
#section, false, sizeof(sq_config_##section), offsetof(sq_config, section), 0, \
            ROWS(section##_rows), help                                                 \
    }
#define MANY(section, help)                                                           \
    {                                                                                 \
#section, true, sizeof(sq_config_##section), offsetof(sq_config, section##s), \
            offsetof(sq_config, section##_count), ROWS(section##_rows), help          \
    }

const sq_config_section sq_config_sections[] = {
    ONE(server, "The process, and where it listens."),
    ONE(limits, "What callers may do, and how often."),
    ONE(retention, "How long things are kept on disk."),
    ONE(replay, "A finished sequence played as if it came now."),
    ONE(release, "Where new versions of engines come from, and how they come into service."),
    MANY(key, "A caller with a key. Keys themselves stand nowhere, only their hashes."),
    MANY(broker, "A broker of WIS2 notifications (MQTT 3.1.1). While it is away it is tried again, "
                 "first after a second, at last "
                 "each minute; forecasts go on."),
    MANY(source, "Where files come from."),
    MANY(engine, "A compiled network."),
    MANY(region, "A region: one grid, one forecast each cycle."),
    MANY(location, "A place by its name: a city."),
};
const size_t sq_config_section_count = sizeof sq_config_sections / sizeof sq_config_sections[0];

void sq_config_describe(sq_text *out)
{
    for (size_t s = 0; s < sq_config_section_count; s++) {
        const sq_config_section *section = &sq_config_sections[s];
        sq_text_add(out, "### `[%s%s]`\n\n%s\n\n| key | takes | default | unit | what |\n",
                    section->name, section->named ? " NAME" : "", section->help);
        sq_text_add(out, "|---|---|---|---|---|\n");
        for (size_t i = 0; i < section->row_count; i++) {
            const sq_config_row *row = &section->rows[i];
            sq_text_add(out, "| `%s` | ", row->key);
            if (row->type == SQ_CONFIG_IS_WORD) {
                sq_text_add(out, "%s", row->words);
            } else if (row->type == SQ_CONFIG_IS_BOOL) {
                sq_text_add(out, "yes no");
            } else if (row->type == SQ_CONFIG_IS_TEXT) {
                sq_text_add(out, "text");
            } else {
                sq_text_add(out, "%.10g to %.10g", row->low, row->high);
            }
            sq_text_add(out, " | %s%s%s | %s | %s |\n",
                        row->standard != NULL && row->standard[0] != '\0' ? "`" : "",
                        row->standard != NULL ? row->standard : "must be given",
                        row->standard != NULL && row->standard[0] != '\0' ? "`" : "", row->unit,
                        row->help);
        }
        sq_text_add(out, "\n");
    }
}
