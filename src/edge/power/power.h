/* edge/power/power.h - what the machine draws, by the counters that it has: RAPL of x86 processors,
 * INA3221 sensors of Jetson boards, batteries.
 *
 * Reading allocates nothing. What is not there, or may not be read (RAPL is root's), is left out.
 */
#ifndef SQ_EDGE_POWER_POWER_H
#define SQ_EDGE_POWER_POWER_H

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

typedef enum sq_power_kind {
    SQ_POWER_RAPL,    /* counts energy */
    SQ_POWER_INA3221, /* shows watts: energy by what is drawn between two readings */
    SQ_POWER_BATTERY  /* shows watts and what is left */
} sq_power_kind;

enum { SQ_POWER_SOURCES = 16, SQ_POWER_CHANNELS = 3, SQ_POWER_PATH = 256 };

typedef struct sq_power_source {
    sq_power_kind kind;
    char name[32]; /* "package-0", "VDD_IN", "BAT0" */
    char folder[SQ_POWER_PATH];
    int channel;        /* of an INA3221, 1..3 */
    int64_t at_uj;      /* counter at the last reading */
    int64_t wrap_uj;    /* where it begins again */
    double watts, at_s; /* at the last reading; watts < 0: could not be read */
    double energy_j;    /* since sq_power_open() */
} sq_power_source;

typedef struct sq_power {
    sq_power_source sources[SQ_POWER_SOURCES];
    size_t count;
    int32_t battery_percent; /* -1: no battery */
} sq_power;

/** Find the counters under `root` ("" for this machine's /sys) and read them for the first time.
 * @param now_s  of a clock that never goes back */
void sq_power_open(sq_power *power, const char *root, double now_s);
/** Read all of them. */
void sq_power_read(sq_power *power, double now_s);
/** Joules of one kind since sq_power_open(); -1 where there is none of it. Of an INA3221 the
 * channel called VDD_IN counts alone where there is one: it feeds the others. */
double sq_power_energy_j(const sq_power *power, sq_power_kind kind);
/** "RAPL", "INA3221", "battery". */
const char *sq_power_kind_name(sq_power_kind kind);

#endif /* SQ_EDGE_POWER_POWER_H */
