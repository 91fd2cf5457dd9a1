/* svc/config/config_check.c - whether the sections fit one another, and lists taken apart. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svc/config/config_private.h"

size_t sq_config_split(const char *list, char names[SQ_CONFIG_LIST][SQ_CONFIG_NAME])
{
    size_t count = 0;
    for (const char *at = list; *at != '\0';) {
        at += strspn(at, " ,");
        size_t length = strcspn(at, ",");
        const char *next = at + length;
        while (length > 0 && at[length - 1] == ' ') {
            length--;
        }
        if (length > 0) {
            if (count == SQ_CONFIG_LIST || length >= SQ_CONFIG_NAME) {
                return SIZE_MAX;
            }
            memset(names[count], 0, SQ_CONFIG_NAME);
            memcpy(names[count++], at, length);
        }
        at = next;
    }
    return count;
}

size_t sq_config_numbers(const char *list, int64_t low, int64_t high, int64_t *out, size_t room)
{
    size_t count = 0;
    for (const char *at = list + strspn(list, " "); *at != '\0';) {
        char *end;
        errno = 0;
        const long long value = strtoll(at, &end, 10);
        if (errno != 0 || end == at || value < low || value > high || count == room) {
            return SIZE_MAX;
        }
        out[count++] = value;
        end += strspn(end, " ");
        if (*end != '\0' && *end != ',') {
            return SIZE_MAX;
        }
        at = end + (*end == ',' ? 1 : 0);
    }
    return count;
}

bool sq_config_region_equal(const sq_config_region *a, const sq_config_region *b)
{
    return memcmp(a->name, b->name, sizeof *a - offsetof(sq_config_region, name)) == 0;
}

bool sq_config_source_equal(const sq_config_source *a, const sq_config_source *b)
{
    return memcmp(a->name, b->name, sizeof *a - offsetof(sq_config_source, name)) == 0;
}

bool sq_config_engine_equal(const sq_config_engine *a, const sq_config_engine *b)
{
    return memcmp(a->name, b->name, sizeof *a - offsetof(sq_config_engine, name)) == 0;
}

bool sq_config_broker_equal(const sq_config_broker *a, const sq_config_broker *b)
{
    return memcmp(a->name, b->name, sizeof *a - offsetof(sq_config_broker, name)) == 0;
}

static bool has_broker(const sq_config *config, const char *name)
{
    for (size_t i = 0; i < config->broker_count; i++) {
        if (strcmp(config->brokers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_source(const sq_config *config, const char *name)
{
    for (size_t i = 0; i < config->source_count; i++) {
        if (strcmp(config->sources[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_engine(const sq_config *config, const char *name)
{
    for (size_t i = 0; i < config->engine_count; i++) {
        if (strcmp(config->engines[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* A list of names that must all exist. */
static void check_list(const sq_config *config, const sq_config_region *region, const char *section,
                       const char *key, const char *list,
                       bool (*has)(const sq_config *, const char *), squall_notes *problems)
{
    char names[SQ_CONFIG_LIST][SQ_CONFIG_NAME], text[128];
    const size_t count = sq_config_split(list, names);
    if (count == SIZE_MAX) {
        sq_config_problem(problems, config, region->line, section, key,
                          "too many or too long names");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!has(config, names[i])) {
            snprintf(text, sizeof text, "there is no section [%s %.47s]",
                     has == has_source ? "source" : "engine", names[i]);
            sq_config_problem(problems, config, region->line, section, key, text);
        }
    }
}

static void check_leads(const sq_config *config, const sq_config_region *region,
                        const char *section, squall_notes *problems)
{
    int64_t leads[64];
    const size_t count = sq_config_numbers(region->leads_min, 1, 360, leads, 64);
    bool good = count != SIZE_MAX;
    for (size_t i = 1; good && i < count; i++) {
        good = leads[i] > leads[i - 1];
    }
    if (!good) {
        sq_config_problem(problems, config, region->line, section, "leads_min",
                          "whole minutes from 1 to 360, ascending, with commas, at most 64");
    }
}

static void check_region(const sq_config *config, const sq_config_region *region,
                         squall_notes *problems)
{
    char section[SQ_CONFIG_NAME + 16];
    int64_t window[4];
    snprintf(section, sizeof section, "region %s", region->name);
    if (region->radar[0] != '\0') {
        check_list(config, region, section, "radar", region->radar, has_source, problems);
    }
    check_list(config, region, section, "sources", region->sources, has_source, problems);
    check_list(config, region, section, "engines", region->engines, has_engine, problems);
    check_leads(config, region, section, problems);
    if (region->window[0] != '\0' &&
        (sq_config_numbers(region->window, 0, 1 << 20, window, 4) != 4 || window[2] < 1 ||
         window[3] < 1)) {
        sq_config_problem(problems, config, region->line, section, "window",
                          "must be COL,ROW,WIDTH,HEIGHT in cells");
    }
    if (region->grid_proj[0] != '\0' && (region->grid_width < 1 || region->grid_height < 1)) {
        sq_config_problem(problems, config, region->line, section, "grid_proj",
                          "needs grid_width, grid_height, grid_left, grid_top and grid_cell beside "
                          "it");
    }
    if (region->grid_proj[0] != '\0' && region->window[0] != '\0') {
        sq_config_problem(problems, config, region->line, section, "grid_proj",
                          "either a window or a grid, not both");
    }
}

static void check_source(const sq_config *config, const sq_config_source *source,
                         squall_notes *problems)
{
    char section[SQ_CONFIG_NAME + 16];
    snprintf(section, sizeof section, "source %s", source->name);
    char hosts[SQ_CONFIG_LIST][SQ_CONFIG_NAME];
    if (source->watch[0] == '\0' && source->replay[0] == '\0' && !source->push &&
        source->broker[0] == '\0') {
        sq_config_problem(problems, config, source->line, section, "",
                          "has neither watch, replay, push nor broker: nothing can arrive");
    }
    if (source->broker[0] != '\0' && !has_broker(config, source->broker)) {
        sq_config_problem(problems, config, source->line, section, "broker",
                          "there is no section of this name");
    }
    if ((source->broker[0] == '\0') != (source->topics[0] == '\0')) {
        sq_config_problem(problems, config, source->line, section, "topics",
                          "broker and topics need one another");
    }
    if (sq_config_split(source->hosts, hosts) == SIZE_MAX) {
        sq_config_problem(problems, config, source->line, section, "hosts",
                          "too many or too long names");
    }
    if (source->replay[0] != '\0' && source->watch[0] != '\0') {
        sq_config_problem(problems, config, source->line, section, "replay",
                          "cannot stand beside watch: they run by different clocks");
    }
}

static void check_engine(const sq_config *config, const sq_config_engine *engine,
                         squall_notes *problems)
{
    int64_t sizes[SQ_CONFIG_LIST];
    char section[SQ_CONFIG_NAME + 16];
    const size_t count = sq_config_numbers(engine->batch, 1, 32, sizes, SQ_CONFIG_LIST - 1);
    bool good = count != SIZE_MAX;
    for (size_t i = 1; good && i < count; i++) {
        good = sizes[i] > sizes[i - 1];
    }
    if (!good) {
        snprintf(section, sizeof section, "engine %s", engine->name);
        sq_config_problem(problems, config, engine->line, section, "batch",
                          "whole numbers from 1 to 32, ascending, with commas");
    }
}

static void check_origin(const sq_config *config, const sq_config_engine *engine,
                         squall_notes *problems)
{
    char section[SQ_CONFIG_NAME + 16];
    snprintf(section, sizeof section, "engine %s", engine->name);
    if ((engine->file[0] == '\0') == (engine->model[0] == '\0')) {
        sq_config_problem(problems, config, engine->line, section, "file",
                          "either file or model must be given");
    } else if (engine->model[0] != '\0' &&
               (config->release.repository[0] == '\0' || config->release.roots[0] == '\0')) {
        sq_config_problem(problems, config, engine->line, section, "model",
                          "needs repository and roots in [release]");
    }
}

static void check_broker(const sq_config *config, const sq_config_broker *broker,
                         squall_notes *problems)
{
    char section[SQ_CONFIG_NAME + 16];
    snprintf(section, sizeof section, "broker %s", broker->name);
    if (strpbrk(broker->publish, "+# ") != NULL) {
        sq_config_problem(problems, config, broker->line, section, "publish",
                          "is one topic: without +, # and spaces");
    }
    if (broker->publish[0] != '\0' && config->server.base_url[0] == '\0') {
        sq_config_problem(problems, config, broker->line, section, "publish",
                          "needs base_url in [server]: announcements say where products are");
    }
}

void sq_config_check(const sq_config *config, squall_notes *problems)
{
    unsigned char hash[32];
    int64_t start;
    for (size_t i = 0; i < config->region_count; i++) {
        check_region(config, &config->regions[i], problems);
    }
    for (size_t i = 0; i < config->source_count; i++) {
        check_source(config, &config->sources[i], problems);
    }
    for (size_t i = 0; i < config->broker_count; i++) {
        check_broker(config, &config->brokers[i], problems);
    }
    for (size_t i = 0; i < config->engine_count; i++) {
        check_engine(config, &config->engines[i], problems);
        check_origin(config, &config->engines[i], problems);
    }
    for (size_t i = 0; i < config->key_count; i++) {
        const sq_config_key *key = &config->keys[i];
        char section[SQ_CONFIG_NAME + 16];
        snprintf(section, sizeof section, "key %s", key->name);
        if (key->hash[0] != '\0' && !sq_hex_parse(key->hash, hash, sizeof hash)) {
            sq_config_problem(
                problems, config, key->line, section, "hash",
                "must be 64 hexadecimal digits, as squall serve --make-key prints them");
        }
    }
    if (config->replay.start[0] != '\0' && !sq_time_parse(config->replay.start, &start)) {
        sq_config_problem(problems, config, 0, "replay", "start",
                          "is no time such as 2010-08-26T01:00Z");
    }
    if (config->region_count == 0) {
        sq_config_problem(problems, config, 0, "region NAME", "", "there must be at least one");
    }
}
