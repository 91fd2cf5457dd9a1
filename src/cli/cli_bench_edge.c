/* cli/cli_bench_edge.c - squall bench --edge: cold start, memory, processor time and energy of a
 * run.
 */
#include "cli/cli_bench_edge.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* How often a forecast is due on a box that is pressed: docs/edge.md. */
static const double runs_a_second = 8.0;

static double cpu_s(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) != 0
               ? 0.0
               : (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

void cli_edge_begin(cli_edge *edge)
{
    sq_power_open(&edge->power, "", sq_clock_s());
    edge->wall_s = sq_clock_s();
    edge->cpu_s = cpu_s();
}

void cli_edge_sample(cli_edge *edge)
{
    sq_power_read(&edge->power, sq_clock_s());
}

void cli_edge_end(cli_edge *edge, int32_t runs, const char *engine)
{
    struct stat file;
    sq_power_read(&edge->power, sq_clock_s());
    edge->cpu_s = cpu_s() - edge->cpu_s;
    edge->wall_s = sq_clock_s() - edge->wall_s;
    for (int kind = SQ_POWER_RAPL; kind <= SQ_POWER_BATTERY; kind++) {
        edge->energy_j[kind] = sq_power_energy_j(&edge->power, (sq_power_kind)kind);
    }
    edge->engine_bytes = stat(engine, &file) == 0 ? (int64_t)file.st_size : -1;
    edge->runs = runs;
}

/* Of all processors that this process may use. */
static double busy_share(const cli_edge *edge)
{
    return edge->cpu_s / edge->runs * runs_a_second / sq_cpu_count();
}

void cli_edge_print(const cli_edge *edge)
{
    bool counted = false;
    printf("  at the edge: first result %.1f ms after opening, %.1f MB resident at most, engine of "
           "%.2f MB\n"
           "    processor time %.3f ms a run; %.0f runs a second take %.1f %% of %d processors\n",
           1e3 * edge->first_s, (double)cli_peak_bytes() / 1e6, (double)edge->engine_bytes / 1e6,
           1e3 * edge->cpu_s / edge->runs, runs_a_second, 100 * busy_share(edge), sq_cpu_count());
    for (int kind = SQ_POWER_RAPL; kind <= SQ_POWER_BATTERY; kind++) {
        if (edge->energy_j[kind] >= 0) {
            printf("    energy %.4f J a run, %.2f W (%s)\n", edge->energy_j[kind] / edge->runs,
                   edge->energy_j[kind] / edge->wall_s, sq_power_kind_name((sq_power_kind)kind));
            counted = true;
        }
    }
    if (!counted) {
        printf("    no counter of energy can be read here: processor time stands in for it\n");
    }
}

json_t *cli_edge_json(const cli_edge *edge)
{
    json_t *energy = json_object();
    for (int kind = SQ_POWER_RAPL; kind <= SQ_POWER_BATTERY; kind++) {
        if (edge->energy_j[kind] >= 0) {
            json_object_set_new(energy, sq_power_kind_name((sq_power_kind)kind),
                                json_real(edge->energy_j[kind] / edge->runs));
        }
    }
    return json_pack("{s:f, s:I, s:f, s:f, s:o, s:o}", "first_ms", 1e3 * edge->first_s,
                     "engine_bytes", (json_int_t)edge->engine_bytes, "cpu_ms",
                     1e3 * edge->cpu_s / edge->runs, "busy_share", busy_share(edge), "energy_j",
                     energy, "battery_percent",
                     edge->power.battery_percent < 0 ? json_null()
                                                     : json_integer(edge->power.battery_percent));
}
