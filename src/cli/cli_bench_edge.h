/* cli/cli_bench_edge.h - what a small box needs to know of an engine, for squall bench --edge. */
#ifndef SQ_CLI_CLI_BENCH_EDGE_H
#define SQ_CLI_CLI_BENCH_EDGE_H

#include <jansson.h>

#include "cli/cli.h"
#include "edge/power/power.h"

typedef struct cli_edge {
    sq_power power;
    double cpu_s, wall_s; /* at the beginning; of all runs at the end */
    double energy_j[3];   /* by sq_power_kind; -1: no counter */
    double first_s;       /* from opening the engine to its first result */
    int64_t engine_bytes;
    int32_t runs;
} cli_edge;

/** Before the runs that count. */
void cli_edge_begin(cli_edge *edge);
/** Read the counters that show watts alone, between two runs. */
void cli_edge_sample(cli_edge *edge);
/** Behind the runs. */
void cli_edge_end(cli_edge *edge, int32_t runs, const char *engine);

void cli_edge_print(const cli_edge *edge);
json_t *cli_edge_json(const cli_edge *edge);

#endif /* SQ_CLI_CLI_BENCH_EDGE_H */
