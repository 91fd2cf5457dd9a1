/* cli/cli_score.h - scores of several methods over lead times, pooled over issue times. */
#ifndef SQ_CLI_CLI_SCORE_H
#define SQ_CLI_CLI_SCORE_H

#include "cli/cli.h"

/* The methods in the order of every table: model, extrapolation, persistence, which are always
 * compared, then those that are only where they were asked for. */
enum { CLI_METHODS = 5, CLI_BASIC_METHODS = 3 };
extern const squall_method cli_methods[CLI_METHODS];

/* Sums of one method at one lead time. */
typedef struct cli_score {
    squall_contingency events;
    squall_errors errors;
    squall_fractions fractions;
} cli_score;

typedef struct cli_scores {
    double threshold_mm_h, cap_mm_h;
    size_t scale; /* neighbourhood of the FSS, cells */
    size_t lead_count;
    const int32_t *leads_s; /* borrowed */
    int64_t first_time;     /* of a forecast whose issue time is not known: when its first field is
                               valid,     and leads_s count from there; else SQUALL_TIME_NONE */
    bool bias; /* the table shows forecast over observed events in the place of the MAE */
    bool used[CLI_METHODS];
    const char *names[CLI_METHODS];
    cli_score *rows; /* owned, [lead_count][CLI_METHODS] */
} cli_scores;

squall_status cli_scores_init(cli_scores *scores, const int32_t *leads_s, size_t lead_count,
                              squall_error *err);
void cli_scores_free(cli_scores *scores);

/**
 * Add the forecasts of up to CLI_METHODS methods for one issue time.
 *
 * Every method is scored on the same cells: those that the observation and the extrapolation
 * (method 1) cover; without an extrapolation, those that the observation and the first of them
 * cover.
 * @param forecasts  borrowed; NULL for a method that is not there
 */
squall_status cli_scores_add(cli_scores *scores, squall_forecast *const *forecasts,
                             cli_frames *frames, int32_t tolerance_s, squall_error *err);

void cli_scores_print(const cli_scores *scores);
json_t *cli_scores_json(const cli_scores *scores);

#endif /* SQ_CLI_CLI_SCORE_H */
