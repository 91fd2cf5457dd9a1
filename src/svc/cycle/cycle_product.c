/* svc/cycle/cycle_product.c - products on disk: written, found again, and tidied away. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "squall/io.h"
#include "squall/product.h"
#include "svc/cycle/cycle_private.h"

enum { TIDY_ROWS = 1 << 20 };

/* ---------------------------------------------------------------- writing */

static const char *attribution_of(const sq_world *world, const char *source)
{
    for (size_t i = 0; i < world->config->source_count; i++) {
        if (strcmp(world->config->sources[i].name, source) == 0) {
            return world->config->sources[i].attribution;
        }
    }
    return "";
}

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static void describe(const sq_world *world, const sq_region *region, const sq_snapshot *s,
                     squall_product_info *info)
{
    squall_product_info_init(info);
    info->issue_time = s->issue_time;
    info->method = squall_method_name(s->method);
    info->model = or_null(s->model);
    info->title = or_null(region->config.title);
    info->attribution = or_null(attribution_of(world, region->config.radar));
    info->history = "squall serve";
    info->quality = s->quality;
    info->quality_index = s->quality_index;
    info->institution = or_null(world->config->server.institution);
    info->license = or_null(world->config->server.license);
}

squall_status sq_snapshot_fields(const sq_snapshot *s, squall_field ***out, squall_error *err)
{
    squall_field **fields = sq_alloc(s->count, sizeof *fields);
    squall_status status =
        fields != NULL ? SQUALL_OK : sq_fail(err, SQUALL_E_MEMORY, s->region, "no memory");
    for (size_t i = 0; i < s->count && status == SQUALL_OK; i++) {
        status = sq_layer_field(s->layers[i], &s->place->grid, &fields[i], err);
    }
    if (status != SQUALL_OK) {
        sq_snapshot_free_fields(s, &fields);
        return status;
    }
    *out = fields;
    return SQUALL_OK;
}

void sq_snapshot_free_fields(const sq_snapshot *s, squall_field ***fields)
{
    for (size_t i = 0; *fields != NULL && i < s->count; i++) {
        squall_field_destroy(&(*fields)[i]);
    }
    sq_free(*fields);
    *fields = NULL;
}

/* data/products/REGION/REGION-20100826T020000Z.nc, and its folder made. */
static squall_status product_path(const sq_world *world, const sq_snapshot *s, char *path,
                                  size_t size, squall_error *err)
{
    snprintf(path, size, "%s/products/%s", world->config->server.data, s->region);
    SQ_TRY(sq_folder_make(path, err));
    snprintf(path, size, "%s/products/%s/%s-%s.nc", world->config->server.data, s->region,
             s->region, s->id);
    return SQUALL_OK;
}

/* First the row, then the file, then the row again: whenever the process is killed, the catalogue
 * knows of the file, and the file is whole or not there. */
static squall_status write_product(sq_cycle *cycle, const sq_job *job, squall_error *err)
{
    const sq_snapshot *s = job->snapshot;
    char path[4096];
    struct stat about;
    squall_field **fields = NULL;
    squall_product_info info;
    SQ_TRY(product_path(job->world, s, path, sizeof path, err));
    const sq_forecast_row row = {.region = s->region,
                                 .method = squall_method_name(s->method),
                                 .model = s->model,
                                 .engine = s->engine,
                                 .quality = s->quality,
                                 .path = path,
                                 .issue_time = s->issue_time,
                                 .made_time = s->made_time,
                                 .quality_index = s->quality_index};
    SQ_TRY(sq_catalogue_forecast_begin(cycle->catalogue, &row, err));
    SQ_TRY(sq_snapshot_fields(s, &fields, err));
    describe(job->world, job->region, s, &info);
    const squall_status status =
        squall_netcdf_write(path, (const squall_field *const *)fields, s->count, &info, err);
    sq_snapshot_free_fields(s, &fields);
    if (status != SQUALL_OK) {
        return status;
    }
    SQ_TRY(sq_catalogue_forecast_end(cycle->catalogue, s->region, s->issue_time,
                                     stat(path, &about) == 0 ? (int64_t)about.st_size : 1, err));
    if (cycle->listener.written != NULL) {
        cycle->listener.written(cycle->listener.owner, s, path);
    }
    return SQUALL_OK;
}

void sq_cycle_product(sq_cycle *cycle, sq_job *job)
{
    squall_error problem = {.code = SQUALL_OK};
    if (cycle->catalogue != NULL && write_product(cycle, job, &problem) != SQUALL_OK) {
        sq_log_failure(cycle->log, SQ_LOG_ERROR, "product", &problem);
    }
}

/* ---------------------------------------------------------------- finding again */

/* A row of the catalogue that outlives the visit. */
typedef struct kept_row {
    char path[4096], region[SQ_CONFIG_NAME], model[64], engine[SQ_CONFIG_NAME], quality[256],
        method[32];
    int64_t issue_time, made_time, bytes;
    double quality_index;
} kept_row;

typedef struct kept_rows {
    kept_row *items; /* owned */
    size_t count, capacity;
    bool failed;
} kept_rows;

static void keep_row(void *arg, const sq_forecast_row *row)
{
    kept_rows *rows = arg;
    if (rows->count == rows->capacity) {
        const size_t capacity = rows->capacity > 0 ? 2 * rows->capacity : 64;
        kept_row *grown = sq_regrow(rows->items, rows->count, capacity, sizeof *grown);
        if (grown == NULL) {
            rows->failed = true;
            return;
        }
        rows->items = grown;
        rows->capacity = capacity;
    }
    kept_row *kept = &rows->items[rows->count++];
    snprintf(kept->path, sizeof kept->path, "%s", row->path);
    snprintf(kept->region, sizeof kept->region, "%s", row->region);
    snprintf(kept->model, sizeof kept->model, "%s", row->model);
    snprintf(kept->engine, sizeof kept->engine, "%s", row->engine);
    snprintf(kept->quality, sizeof kept->quality, "%s", row->quality);
    snprintf(kept->method, sizeof kept->method, "%s", row->method);
    kept->issue_time = row->issue_time;
    kept->made_time = row->made_time;
    kept->bytes = row->bytes;
    kept->quality_index = row->quality_index;
}

/* The layers of a product, and where they lie: `*place` is used again while the grid is the same.
 * The region's own place stays unknown: it is that of its frames, written as they write it. */
static squall_status read_layers(squall_file *file, const kept_row *row, sq_place **place,
                                 sq_snapshot *s, squall_error *err)
{
    for (size_t i = 0; i < s->count; i++) {
        squall_field *field = NULL;
        squall_status status = SQUALL_OK;
        SQ_TRY(squall_file_read(file, i, &field, err));
        if (*place == NULL || !squall_grid_equal(&(*place)->grid, &field->grid, 0.0)) {
            sq_place_drop(place);
            status = sq_place_create(&field->grid, place, err);
        }
        if (status == SQUALL_OK) {
            s->leads_s[i] = (int32_t)(field->valid_time - row->issue_time);
            s->layers[i] = sq_layer_create(field);
            status = s->layers[i] != NULL ? SQUALL_OK
                                          : sq_fail(err, SQUALL_E_MEMORY, row->path, "no memory");
        }
        squall_field_destroy(&field);
        if (status != SQUALL_OK) {
            return status;
        }
    }
    s->place = sq_place_keep(*place);
    return SQUALL_OK;
}

/* A forecast of an earlier process from its product. */
static squall_status read_snapshot(sq_cycle *cycle, sq_region *region, const kept_row *row,
                                   sq_place **place, sq_snapshot **out, squall_error *err)
{
    squall_file *file = NULL;
    SQ_TRY(squall_file_open(row->path, NULL, &file, err));
    sq_snapshot *s = sq_snapshot_create(squall_file_count(file), 1, err);
    squall_status status = s != NULL ? read_layers(file, row, place, s, err) : SQUALL_E_MEMORY;
    squall_file_close(&file);
    if (status != SQUALL_OK) {
        if (s != NULL) {
            sq_snapshot_drop(&s);
        }
        return status;
    }
    s->number = atomic_fetch_add(&cycle->number, 1) + 1;
    memcpy(s->region, region->config.name, sizeof s->region);
    memcpy(s->model, row->model, sizeof s->model);
    memcpy(s->engine, row->engine, sizeof s->engine);
    memcpy(s->quality, row->quality, sizeof s->quality);
    s->issue_time = row->issue_time;
    s->made_time = row->made_time;
    s->method = sq_method_find(row->method);
    s->quality_index = row->quality_index;
    s->complete = true;
    s->inputs = sq_strdup("{\"sources\":[],\"notes\":[\"read from its product after a restart\"]}");
    sq_snapshot_name(s);
    *out = s;
    return SQUALL_OK;
}

/* A product that was being written when the process ended: whole under its name, or not there. */
static void settle_row(sq_cycle *cycle, kept_row *row)
{
    squall_error problem;
    struct stat about;
    const bool there = stat(row->path, &about) == 0 && about.st_size > 0;
    if (there && row->bytes == (int64_t)about.st_size) {
        return;
    }
    const squall_status status =
        there ? sq_catalogue_forecast_end(cycle->catalogue, row->region, row->issue_time,
                                          (int64_t)about.st_size, &problem)
              : sq_catalogue_forecast_remove(cycle->catalogue, row->region, row->issue_time,
                                             &problem);
    if (status != SQUALL_OK) {
        sq_log_failure(cycle->log, SQ_LOG_ERROR, "catalogue", &problem);
    }
    row->bytes = there ? (int64_t)about.st_size : 0;
}

void sq_cycle_restore(sq_cycle *cycle, sq_region *region)
{
    squall_error problem = {.code = SQUALL_OK};
    kept_rows rows = {0};
    const int64_t now = sq_cycle_now(cycle);
    const int64_t oldest = now - (int64_t)region->config.max_age_min * 60;
    if (cycle->catalogue == NULL) {
        return;
    }
    if (sq_catalogue_forecasts(cycle->catalogue, region->config.name, false, TIDY_ROWS, keep_row,
                               &rows, &problem) != SQUALL_OK) {
        sq_log_failure(cycle->log, SQ_LOG_ERROR, "catalogue", &problem);
    }
    sq_place *place = NULL;
    size_t restored = 0;
    for (size_t i = 0; i < rows.count; i++) {
        kept_row *row = &rows.items[i];
        sq_snapshot *s = NULL;
        settle_row(cycle, row);
        if (row->bytes == 0 || row->issue_time > now || row->issue_time < oldest ||
            restored >= (size_t)region->config.instances) {
            continue;
        }
        if (read_snapshot(cycle, region, row, &place, &s, &problem) != SQUALL_OK) {
            sq_log_failure(cycle->log, SQ_LOG_WARNING, "product", &problem);
        } else if (sq_region_publish(region, s, region->epoch)) {
            restored++;
        }
    }
    if (restored > 0) {
        sq_json line;
        sq_log_begin(cycle->log, &line, SQ_LOG_INFO, "restored");
        sq_json_text(&line, "region", region->config.name);
        sq_json_int(&line, "forecasts", (int64_t)restored);
        sq_log_end(cycle->log, &line);
    }
    sq_place_drop(&place);
    sq_free(rows.items);
}

/* ---------------------------------------------------------------- tidying */

/* Products that are too old, or too many, oldest first; the newest of each region stays. */
static void tidy_products(sq_cycle *cycle, const sq_config *config, const kept_rows *rows)
{
    squall_error problem;
    const double room = config->retention.products_gb * 1e9;
    const int64_t oldest =
        sq_cycle_now(cycle) - (int64_t)(config->retention.products_days * 86400.0);
    double used = 0.0;
    for (size_t i = 0; i < rows->count; i++) { /* newest first */
        const kept_row *row = &rows->items[i];
        used += (double)row->bytes;
        if (row->bytes == 0 || (used <= room && row->issue_time >= oldest)) {
            continue;
        }
        bool newer = false; /* of the same region */
        for (size_t k = 0; k < i && !newer; k++) {
            newer = strcmp(rows->items[k].region, row->region) == 0 && rows->items[k].bytes > 0;
        }
        if (newer && (unlink(row->path) == 0 || errno == ENOENT)) {
            used -= (double)row->bytes;
            if (sq_catalogue_forecast_remove(cycle->catalogue, row->region, row->issue_time,
                                             &problem) != SQUALL_OK) {
                sq_log_failure(cycle->log, SQ_LOG_ERROR, "catalogue", &problem);
            }
        }
    }
    sq_metric_set(cycle->m.products_bytes, used, NULL);
}

static void tidy_inbox(const char *folder, double hours)
{
    struct stat about;
    const int64_t oldest = sq_time_now() - (int64_t)(hours * 3600.0);
    DIR *open = folder[0] != '\0' ? opendir(folder) : NULL;
    for (struct dirent *entry = open != NULL ? readdir(open) : NULL; entry != NULL;
         entry = readdir(open)) {
        char path[4400];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (lstat(path, &about) == 0 && S_ISREG(about.st_mode) && about.st_mtime < oldest) {
            unlink(path);
        }
    }
    if (open != NULL) {
        closedir(open);
    }
}

void sq_cycle_tidy(sq_cycle *cycle, sq_job *job)
{
    squall_error problem = {.code = SQUALL_OK};
    kept_rows rows = {0};
    const sq_config *config = job->world->config;
    for (size_t i = 0; i < config->source_count; i++) {
        tidy_inbox(job->world->feeds[i]->inbox, config->retention.inbox_hours);
    }
    if (cycle->catalogue == NULL) {
        return;
    }
    squall_status status =
        sq_catalogue_forecasts(cycle->catalogue, NULL, false, TIDY_ROWS, keep_row, &rows, &problem);
    if (status == SQUALL_OK && !rows.failed) {
        tidy_products(cycle, config, &rows);
        status = sq_catalogue_prune(cycle->catalogue,
                                    sq_cycle_now(cycle) -
                                        (int64_t)(config->retention.catalogue_days * 86400.0),
                                    &problem);
    }
    if (status != SQUALL_OK) {
        sq_log_failure(cycle->log, SQ_LOG_ERROR, "catalogue", &problem);
    }
    sq_free(rows.items);
}
