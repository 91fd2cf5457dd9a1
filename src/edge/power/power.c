/* edge/power/power.c - counters of energy, found and read. */
#include "edge/power/power.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first line of folder/name into `text`; false when it is not there or empty. */
static bool read_line(const char *folder, const char *name, char *text, size_t room)
{
    char path[SQ_POWER_PATH + 64];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) {
        return false;
    }
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return false;
    }
    const ssize_t got = read(file, text, room - 1);
    close(file);
    text[got > 0 ? got : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return *text != '\0';
}

static bool read_number(const char *folder, const char *name, int64_t *out)
{
    char text[32], *end;
    if (!read_line(folder, name, text, sizeof text)) {
        return false;
    }
    *out = strtoll(text, &end, 10);
    return *end == '\0';
}

/* ------------------------------------------------------------------ finding */

static sq_power_source *add(sq_power *power, sq_power_kind kind, const char *folder,
                            const char *name)
{
    if (power->count == SQ_POWER_SOURCES || strlen(folder) >= SQ_POWER_PATH) {
        return NULL;
    }
    sq_power_source *source = &power->sources[power->count++];
    *source = (sq_power_source){.kind = kind, .watts = -1.0};
    snprintf(source->folder, sizeof source->folder, "%s", folder);
    snprintf(source->name, sizeof source->name, "%.31s", name);
    return source;
}

/* Whole packages; what is below them ("intel-rapl:0:0") is part of them. */
static void find_rapl(sq_power *power, const char *folder, const char *entry)
{
    char name[64];
    int64_t value;
    const char *first = strchr(entry, ':');
    if (strncmp(entry, "intel-rapl", 10) != 0 || first == NULL || strchr(first + 1, ':') != NULL ||
        !read_line(folder, "name", name, sizeof name) || strncmp(name, "package", 7) != 0 ||
        !read_number(folder, "energy_uj", &value)) {
        return;
    }
    sq_power_source *source = add(power, SQ_POWER_RAPL, folder, name);
    if (source != NULL) {
        source->at_uj = value;
        if (!read_number(folder, "max_energy_range_uj", &source->wrap_uj)) {
            source->wrap_uj = 0;
        }
    }
}

static void find_ina3221(sq_power *power, const char *folder, const char *entry)
{
    char name[64], file[32];
    int64_t value;
    (void)entry;
    if (!read_line(folder, "name", name, sizeof name) || strcmp(name, "ina3221") != 0) {
        return;
    }
    for (int channel = 1; channel <= SQ_POWER_CHANNELS; channel++) {
        snprintf(file, sizeof file, "curr%d_input", channel);
        if (!read_number(folder, file, &value)) {
            continue;
        }
        snprintf(file, sizeof file, "in%d_label", channel);
        if (!read_line(folder, file, name, sizeof name)) {
            snprintf(name, sizeof name, "channel %d", channel);
        }
        sq_power_source *source = add(power, SQ_POWER_INA3221, folder, name);
        if (source != NULL) {
            source->channel = channel;
        }
    }
}

/* Batteries of the machine, not those of a mouse. */
static void find_battery(sq_power *power, const char *folder, const char *entry)
{
    char text[64];
    if (read_line(folder, "type", text, sizeof text) && strcmp(text, "Battery") == 0 &&
        !(read_line(folder, "scope", text, sizeof text) && strcmp(text, "Device") == 0)) {
        (void)add(power, SQ_POWER_BATTERY, folder, entry);
    }
}

static void find(sq_power *power, const char *root, const char *class,
                 void (*look)(sq_power *power, const char *folder, const char *entry))
{
    char path[SQ_POWER_PATH], folder[2 * SQ_POWER_PATH + 2];
    if (snprintf(path, sizeof path, "%s/sys/class/%s", root, class) >= (int)sizeof path) {
        return;
    }
    DIR *list = opendir(path);
    if (list == NULL) {
        return;
    }
    for (const struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
        if (entry->d_name[0] != '.') {
            snprintf(folder, sizeof folder, "%s/%s", path, entry->d_name);
            look(power, folder, entry->d_name);
        }
    }
    closedir(list);
}

void sq_power_open(sq_power *power, const char *root, double now_s)
{
    memset(power, 0, sizeof *power);
    find(power, root, "powercap", find_rapl);
    find(power, root, "hwmon", find_ina3221);
    find(power, root, "power_supply", find_battery);
    for (size_t i = 0; i < power->count; i++) {
        power->sources[i].at_s = now_s;
    }
    sq_power_read(power, now_s);
}

/* ------------------------------------------------------------------ reading */

static void read_rapl(sq_power_source *source, double passed_s)
{
    int64_t value;
    source->watts = -1.0;
    if (!read_number(source->folder, "energy_uj", &value)) {
        return;
    }
    const int64_t more = value - source->at_uj + (value < source->at_uj ? source->wrap_uj : 0);
    source->at_uj = value;
    if (more >= 0) { /* a counter that was set back tells nothing */
        source->energy_j += 1e-6 * (double)more;
        source->watts = passed_s > 0 ? 1e-6 * (double)more / passed_s : -1.0;
    }
}

static double ina3221_watts(const sq_power_source *source)
{
    char volts[32], amperes[32];
    int64_t mv, ma;
    snprintf(volts, sizeof volts, "in%d_input", source->channel);
    snprintf(amperes, sizeof amperes, "curr%d_input", source->channel);
    return read_number(source->folder, volts, &mv) && read_number(source->folder, amperes, &ma)
               ? 1e-6 * (double)mv * (double)ma
               : -1.0;
}

static double battery_watts(const sq_power_source *source)
{
    char status[32];
    int64_t uw, uv, ua;
    if (read_line(source->folder, "status", status, sizeof status) &&
        strcmp(status, "Discharging") != 0) {
        return 0.0;
    }
    if (read_number(source->folder, "power_now", &uw)) {
        return 1e-6 * (double)(uw < 0 ? -uw : uw);
    }
    if (read_number(source->folder, "voltage_now", &uv) &&
        read_number(source->folder, "current_now", &ua)) {
        return 1e-12 * (double)uv * (double)(ua < 0 ? -ua : ua);
    }
    return -1.0;
}

void sq_power_read(sq_power *power, double now_s)
{
    power->battery_percent = -1;
    for (size_t i = 0; i < power->count; i++) {
        sq_power_source *source = &power->sources[i];
        const double passed_s = now_s - source->at_s;
        int64_t percent;
        source->at_s = now_s;
        if (source->kind == SQ_POWER_RAPL) {
            read_rapl(source, passed_s);
            continue;
        }
        const double watts =
            source->kind == SQ_POWER_INA3221 ? ina3221_watts(source) : battery_watts(source);
        if (watts >= 0 && source->watts >= 0) {
            source->energy_j += 0.5 * (watts + source->watts) * passed_s;
        }
        source->watts = watts;
        if (source->kind == SQ_POWER_BATTERY && read_number(source->folder, "capacity", &percent) &&
            percent >= 0 && percent <= 100 &&
            (power->battery_percent < 0 || percent < power->battery_percent)) {
            power->battery_percent = (int32_t)percent;
        }
    }
}

double sq_power_energy_j(const sq_power *power, sq_power_kind kind)
{
    double sum_j = -1.0;
    for (size_t i = 0; i < power->count; i++) {
        const sq_power_source *source = &power->sources[i];
        if (source->kind != kind) {
            continue;
        }
        if (strcmp(source->name, "VDD_IN") == 0) {
            return source->energy_j;
        }
        sum_j = (sum_j < 0 ? 0 : sum_j) + source->energy_j;
    }
    return sum_j;
}

const char *sq_power_kind_name(sq_power_kind kind)
{
    return kind == SQ_POWER_RAPL ? "RAPL" : kind == SQ_POWER_INA3221 ? "INA3221" : "battery";
}
