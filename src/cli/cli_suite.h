/* cli/cli_suite.h - squall verify --suite: many sequences, issue times, methods and engines. */
#ifndef SQ_CLI_CLI_SUITE_H
#define SQ_CLI_CLI_SUITE_H

#include "cli/cli_engine.h"

enum {
    SUITE_THRESHOLDS = 5,
    SUITE_SCALES = 2,
    SUITE_BINS = 21, /* probabilities in twentieths */
    SUITE_RANKS = 21,
    SUITE_WAVES = 24, /* thirds of an octave of wavelength, from two cells on */
    SUITE_METHODS = 16,
    SUITE_LEADS = 32,
    SUITE_SEQUENCES = 64
};

extern const double suite_thresholds_mm_h[SUITE_THRESHOLDS]; /* 0.1, 0.5, 1, 5, 10 */
extern const double suite_scales_km[SUITE_SCALES];           /* 10, 40 */

/** Sums of one forecast field, or of many. Nothing but doubles that add up: a score is made of one
 * of its members. */
typedef struct suite_sums {
    double events[SUITE_THRESHOLDS][4]; /* hits, misses, false alarms, correct negatives */
    double errors[6]; /* cells; sums of |error|, error^2, error, CRPS; forecasts with them */
    double fractions[SUITE_THRESHOLDS][SUITE_SCALES][3];
    double chances[SUITE_THRESHOLDS][1 + 3 * SUITE_BINS]; /* sum (p - o)^2; for each bin: cells,
                                                             events, sum of p */
    double ranks[SUITE_RANKS];
    double sal[4];                 /* sums of |S|, |A|, L; forecasts with them */
    double power[2 * SUITE_WAVES]; /* of the forecast, then of what came */
} suite_sums;

/* What can be asked of the sums. */
typedef enum suite_score {
    SUITE_CSI,
    SUITE_POD,
    SUITE_FAR,
    SUITE_BIAS,
    SUITE_FSS_10,
    SUITE_FSS_40,
    SUITE_BRIER,
    SUITE_BRIER_SKILL,
    SUITE_ROC_AREA,
    SUITE_MAE, /* from here on without a threshold */
    SUITE_RMSE,
    SUITE_ERROR,
    SUITE_CRPS,
    SUITE_S,
    SUITE_A,
    SUITE_L,
    SUITE_FINE, /* power at wavelengths below 16 cells, of forecast over observation */
    SUITE_SCORES
} suite_score;

typedef struct suite_what {
    suite_score score;
    size_t threshold;
} suite_what;

/** One issue time. */
typedef struct suite_issue {
    int64_t time;
    size_t sequence, regime, season;
} suite_issue;

enum { SUITE_REGIMES = 3, SUITE_SEASONS = 4 };
extern const char *const suite_regimes[SUITE_REGIMES];
extern const char *const suite_seasons[SUITE_SEASONS];

typedef struct suite_method {
    char name[64];
    squall_method method;
    squall_engine *engine;       /* owned; NULL for a classic method */
    squall_nowcaster *nowcaster; /* owned */
} suite_method;

/** What was asked for. */
typedef struct suite_request {
    const cli_list *paths; /* [NAME=]PATH[@COL,ROW,WIDTH,HEIGHT] */
    const cli_list *engines;
    const char *methods, *html, *calibration;
    int64_t from, to;
    int32_t threads, every_s, tolerance_s, members, seed, block, resamples;
    const int64_t *leads_min;
    size_t lead_count;
    bool json;
    squall_motion_method motion;
    const cli_engine *open;
    const cli_input *input;
} suite_request;

typedef struct suite {
    const suite_request *want;
    suite_method methods[SUITE_METHODS];
    size_t method_count;
    char names[SUITE_SEQUENCES][64];
    size_t sequence_count, sequence_issues[SUITE_SEQUENCES];
    suite_issue *issues; /* owned, [issue_count] */
    suite_sums *sums;    /* owned, [issue_count][methods][leads] */
    bool *present;       /* owned, the same: whether there was a forecast and an observation */
    size_t issue_count, room;
    squall_notes *notes; /* borrowed */
} suite;

/** Run it all: forecasts, sums, tables, files; the exit code. */
int cli_suite_run(const suite_request *want, squall_notes *notes);

/* --- cli_suite_sums.c --- */

/** Sums of one forecast: `members` fields, whose mean is scored as the forecast. `mean` is scored
 * for them. `quantiles`: the members are no fields of rain that could be, and the spectrum is that
 * of `mean`. `cap_mm_h` 0 for none. */
SQUALL_MUST_USE squall_status suite_sums_add(suite_sums *sums, const squall_field *mean,
                                             const squall_field *const *members, size_t count,
                                             bool quantiles, const squall_field *observation,
                                             const uint8_t *mask, double cap_mm_h,
                                             squall_error *err);

/* --- cli_suite_score.c --- */

const char *suite_score_name(suite_score score);
bool suite_score_has_threshold(suite_score score);
/** Where in the sums a score has its numbers, in doubles. */
void suite_score_slice(const suite_what *what, size_t *first, size_t *count);
/** The score, from that slice alone. A squall_statistic; `arg` is a suite_what. */
double suite_score_of(const double *slice, const void *arg);
/** squall_economic_value() of a member of `chances`. */
double suite_value_of(const double *chances, double cost_loss);

/* --- cli_suite_json.c --- */

/** Everything that the report says; given. NULL without memory. */
json_t *suite_json(const suite *s);

/* --- cli_calibrate.c --- */

/** Maps from a method's probabilities to what came with them, by lead time and threshold, and what
 * they do to sequences that they were not fitted to; given. NULL without memory. */
json_t *suite_calibration(const suite *s, size_t method);

/* --- cli_suite_html.c, cli_suite_plot.c --- */

SQUALL_MUST_USE squall_status suite_html_write(const char *path, const json_t *document,
                                               squall_error *err);

/** One line of a plot. */
typedef struct suite_line {
    const char *name;
    const double *x, *y;
    const double *low, *high; /* NULL without intervals */
    size_t count;
} suite_line;

typedef struct suite_plot {
    const char *title, *x_label;
    double y_low, y_high; /* equal: by the lines */
    bool diagonal, log_y;
} suite_plot;

void suite_plot_add(sq_text *page, const suite_plot *plot, const suite_line *lines, size_t count);

#endif /* SQ_CLI_CLI_SUITE_H */
