/* svc/serve/serve_files.c - files in by HTTP, and products out. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "svc/serve/serve_private.h"

/* A name that stays in its folder and is not taken for one that is unfinished. */
static bool is_file_name(const char *name)
{
    const size_t length = strlen(name);
    bool good = length > 0 && length <= 200 && isalnum((unsigned char)name[0]);
    for (size_t i = 0; i < length && good; i++) {
        good = isalnum((unsigned char)name[i]) || strchr("-_.+=,@", name[i]) != NULL;
    }
    return good;
}

/* The source that {source} names, by its own name or that of a region's radar; NULL when there is
 * none, or it takes no pushed files. */
static const char *source_of(const sq_serve_context *c, const char *name)
{
    const sq_config *config = c->world->config;
    const sq_region *region = sq_world_region(c->world, name);
    for (size_t i = 0; i < config->source_count; i++) {
        if (strcmp(config->sources[i].name, name) == 0) {
            return config->sources[i].push ? name : NULL;
        }
    }
    for (size_t i = 0; region != NULL && i < config->source_count; i++) {
        if (strcmp(config->sources[i].name, sq_region_config(region)->radar) == 0 &&
            config->sources[i].push) {
            return config->sources[i].name;
        }
    }
    return NULL;
}

squall_status sq_serve_take_file(void *owner, const char *source, const char *name,
                                 const void *bytes, size_t size, squall_error *err)
{
    const sq_serve *serve = owner;
    unsigned char hash[16];
    char folder[4096], path[4400], other[2 * sizeof hash + 1];
    if (!is_file_name(name)) {
        sq_hash_blake2b(name, strlen(name), hash, sizeof hash);
        name = sq_hex_format(hash, sizeof hash, other);
    }
    SQ_TRY(sq_cycle_inbox(serve->cycle, source, folder, err));
    snprintf(path, sizeof path, "%s/%s", folder, name);
    SQ_TRY(sq_file_write(path, bytes, size, err));
    sq_cycle_push(serve->cycle, source, path);
    return SQUALL_OK;
}

void sq_serve_push(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    squall_error problem = {.code = SQUALL_OK};
    sq_json json = {0};
    const char *source = source_of(c, sq_http_capture_find(request, "source"));
    const char *name = sq_http_capture_find(request, "name");
    const size_t most = (size_t)c->world->config->server.push_mb << 20;
    if (!is_file_name(name)) {
        sq_http_give_error(response, 400,
                           "a file's name begins with a letter or digit and has letters, digits "
                           "and -_.+=,@ in it, at most 200");
        return;
    }
    if (request->body_size == 0 || request->body_size > most) {
        sq_http_give_error(response, request->body_size == 0 ? 400 : 413,
                           "a file of 1 byte to %d MB is taken", c->world->config->server.push_mb);
        return;
    }
    if (source == NULL) {
        sq_http_give_error(response, 404, "there is no source '%.48s' that takes pushed files",
                           sq_http_capture_find(request, "source"));
        return;
    }
    if (sq_serve_take_file(c->serve, source, name, request->body, request->body_size, &problem) !=
        SQUALL_OK) {
        sq_http_give_failure(response, &problem);
        return;
    }
    sq_json_object(&json, NULL);
    sq_json_text(&json, "source", source);
    sq_json_text(&json, "name", name);
    sq_json_int(&json, "bytes", (int64_t)request->body_size);
    sq_json_end_object(&json);
    response->max_age_s = -1;
    sq_http_give_json(response, 202, SQ_TYPE_JSON, &json);
}

/* ---------------------------------------------------------------- products */

typedef struct product_list {
    const sq_http_request *request;
    sq_json *json;
} product_list;

static void write_product(void *arg, const sq_forecast_row *row)
{
    const product_list *list = arg;
    sq_json_object(list->json, NULL);
    sq_json_time(list->json, "issue_time", row->issue_time);
    sq_json_time(list->json, "made_time", row->made_time);
    sq_json_text(list->json, "method", row->method);
    sq_json_text(list->json, "model", row->model[0] != '\0' ? row->model : NULL);
    sq_json_real(list->json, "quality_index", row->quality_index, 4);
    sq_json_text(list->json, "quality", row->quality);
    sq_json_int(list->json, "bytes", row->bytes);
    sq_json_format(list->json, "href", "%s/regions/%s/products/%s", list->request->base,
                   row->region, sq_path_name(row->path));
    sq_json_end_object(list->json);
}

void sq_serve_products(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    squall_error problem = {.code = SQUALL_OK};
    sq_json json = {0};
    double limit = 100;
    const product_list list = {request, &json};
    sq_region *region = sq_serve_find_region(c, request, NULL, response);
    if (region == NULL || !sq_serve_number(request, "limit", 1, 100000, &limit, response)) {
        return;
    }
    sq_json_object(&json, NULL);
    sq_json_array(&json, "products");
    if (sq_catalogue_forecasts(c->serve->catalogue, sq_region_config(region)->name, true,
                               (size_t)limit, write_product, (void *)(uintptr_t)&list,
                               &problem) != SQUALL_OK) {
        sq_json_free(&json);
        sq_http_give_failure(response, &problem);
        return;
    }
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    response->max_age_s = sq_serve_fresh_s(c, region);
    sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
}

static void unmap(void *owner)
{
    sq_file_unmap(owner);
    sq_free(owner);
}

void sq_serve_product(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    squall_error problem = {.code = SQUALL_OK};
    char path[SQ_CONFIG_TEXT + 400];
    const char *name = sq_http_capture_find(request, "product");
    sq_region *region = sq_serve_find_region(c, request, NULL, response);
    if (region == NULL) {
        return;
    }
    snprintf(path, sizeof path, "%s/products/%s/%s", c->world->config->server.data,
             sq_region_config(region)->name, name);
    sq_mapping *mapping = sq_alloc(1, sizeof *mapping);
    if (mapping == NULL) {
        sq_http_give_error(response, 503, "no memory");
    } else if (!is_file_name(name) ||
               sq_file_map(path, SQ_LIMIT_FILE_BYTES, mapping, &problem) != SQUALL_OK) {
        sq_free(mapping);
        sq_http_give_error(response, 404, "there is no product '%.80s'", name);
    } else {
        response->plain = true;
        response->immutable = true;
        response->max_age_s = 86400;
        sq_http_give_bytes(response, 200, SQ_TYPE_NETCDF, mapping->data, mapping->size, unmap,
                           mapping);
    }
}
