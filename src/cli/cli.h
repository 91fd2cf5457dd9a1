/* cli/cli.h - what the commands of the program share: options, messages, frames, output. */
#ifndef SQ_CLI_CLI_H
#define SQ_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "base/base.h"
#include "squall/engine.h"
#include "squall/feature.h"
#include "squall/field.h"
#include "squall/io.h"
#include "squall/motion.h"
#include "squall/nowcast.h"
#include "squall/verify.h"

/* Exit codes; `squall help` lists them. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_DEGRADED = 3 };

/* One option of a command. Exactly one target is set. */
typedef struct cli_option {
    const char *name;     /* "engine", without the dashes */
    const char *argument; /* what its value is called in --help; NULL for a switch */
    const char *help;
    const char **text; /* the last value given */
    bool *flag;
    int32_t *number;   /* whole number within low..high */
    int32_t low, high; /* of `number` and `real` */
    double *real;      /* a number within low..high */
    int64_t *time;
    struct cli_list *list; /* every value given */
} cli_option;

/* Texts in order; `items` is owned, the texts are argv's. */
typedef struct cli_list {
    const char **items;
    size_t count;
} cli_list;

typedef struct cli_command {
    const char *name;
    const char *arguments; /* of the synopsis: "FILE..." */
    const char *summary;   /* one line */
    const char *details;   /* further lines of its --help; may be NULL */
    int (*run)(int argc, char **argv);
} cli_command;

extern const cli_command cli_info, cli_build, cli_devices, cli_inspect, cli_bench, cli_features,
    cli_forecast, cli_verify, cli_keygen, cli_sign, cli_verify_engine, cli_tactics, cli_refit,
    cli_compare, cli_reduce, cli_serve, cli_keyring, cli_model, cli_release, cli_lora, cli_pipeline;

/** Read argv[1..] by `options`; what is no option goes to `rest` (owned array of argv's texts).
 * Returns true to go on; false with `*code` set when --help was asked for or the usage is wrong
 * (already printed). */
bool cli_parse(const cli_command *command, const cli_option *options, size_t option_count, int argc,
               char **argv, cli_list *rest, int *code);
void cli_list_free(cli_list *list);

/** "15:00,30:00"-like lists: whole numbers with commas; false, with a message, when it is none. */
bool cli_parse_numbers(const char *option, const char *text, int64_t *out, size_t room,
                       size_t *count);

/** A way to find motion by its name (--motion); NULL is the default. False, with a message, for
 * none. */
bool cli_parse_motion(const char *command, const char *text, squall_motion_method *out);

/** Print "squall COMMAND: where: text" on stderr; returns CLI_USAGE when an option's value is what
 * was refused (SQUALL_E_ARGUMENT), else CLI_FAILED. */
int cli_report(const char *command, const squall_error *err);
/** Print every note on stderr. */
void cli_print_notes(const char *command, const squall_notes *notes);
/** Notes as a JSON array; given. */
json_t *cli_notes_json(const squall_notes *notes);
/** Print a JSON document on stdout and release it; returns the exit code. NULL, which jansson gives
 * when there is no memory, is a failure. */
int cli_print_json(json_t *document);
/** A text for JSON, from a file or the command line: bytes that are no UTF-8 become U+FFFD. NULL
 * becomes null. */
json_t *cli_text(const char *text);
/** A number for JSON: null when it is not finite. */
json_t *cli_real(double value);
/** A time for JSON, or null. */
json_t *cli_time(int64_t time);

/** A line of progress on stderr, rewritten in place, when that is a terminal; `done` of `total`. */
void cli_progress(const char *what, size_t done, size_t total);

/** Peak resident memory of this process so far, bytes. */
size_t cli_peak_bytes(void);

/** How observations are read, the same for every command that takes them. */
typedef struct cli_input {
    const char *quantity; /* --quantity */
    double zr_a, zr_b;    /* --zr-a, --zr-b */
    double max_rate_mm_h; /* --max-rate */
    const char *window;   /* --window COL,ROW,WIDTH,HEIGHT in cells */
    const char *quality;  /* --quality NAME,... */
    double min_quality;   /* --min-quality */
} cli_input;
void cli_input_init(cli_input *input);
/* Rows of an option table for a cli_input. */
#define CLI_INPUT_OPTIONS(input)                                                       \
    {.name = "quantity",                                                               \
     .argument = "NAME",                                                               \
     .text = &(input).quantity,                                                        \
     .help = "dataset to take: RATE, ACRR, DBZH, ... (default: the best for rain)"},   \
        {.name = "zr-a",                                                               \
         .argument = "A",                                                              \
         .real = &(input).zr_a,                                                        \
         .low = 1,                                                                     \
         .high = 100000,                                                               \
         .help = "Z = A R^B: A (default 200)"},                                        \
        {.name = "zr-b",                                                               \
         .argument = "B",                                                              \
         .real = &(input).zr_b,                                                        \
         .low = 1,                                                                     \
         .high = 10,                                                                   \
         .help = "Z = A R^B: B (default 1.6)"},                                        \
        {.name = "max-rate",                                                           \
         .argument = "MM_H",                                                           \
         .real = &(input).max_rate_mm_h,                                               \
         .low = 0,                                                                     \
         .high = 100000,                                                               \
         .help = "cut observed rain rates to this (default 150; 0: never)"},           \
        {.name = "quality",                                                            \
         .argument = "NAME,...",                                                       \
         .text = &(input).quality,                                                     \
         .help = "make past frames fit: speckle, spokes, mask, gaps, instant"},        \
        {.name = "min-quality",                                                        \
         .argument = "Q",                                                              \
         .real = &(input).min_quality,                                                 \
         .low = 0,                                                                     \
         .high = 1,                                                                    \
         .help = "quality below which --quality mask takes cells out (default 0.5)"},  \
    {                                                                                  \
        .name = "window", .argument = "COL,ROW,WIDTH,HEIGHT", .text = &(input).window, \
        .help = "use only this part of each field, in cells"                           \
    }

/** Rain-rate frames of an archive, read when asked for and kept. */
typedef struct cli_frames {
    squall_archive *archive;
    squall_field **fields; /* owned, [count]; NULL until read, or when unreadable */
    bool *tried;           /* [count] */
    size_t count;
    cli_input input;
    unsigned quality;    /* CLI_QUALITY_*: what is done to past frames */
    squall_field **made; /* owned, [made_count]: frames of the last cli_frames_range(), where
                            `quality` is not 0 */
    size_t made_count;
    int64_t window[4];   /* of `input`: column, row, width, height; width 0 for the whole */
    squall_notes *notes; /* borrowed */
} cli_frames;

squall_status cli_frames_open(const cli_list *paths, const cli_input *input, squall_notes *notes,
                              cli_frames *out, squall_error *err);
void cli_frames_close(cli_frames *frames);
/** Frame `index` as a rain rate, cut to the window; NULL, with a note, when it cannot be read.
 * Borrowed. */
const squall_field *cli_frames_get(cli_frames *frames, size_t index);
/** Read all frames from `from` to `to` (both included), as --quality has them; returns how many are
 * in `list`, which has room for frames->count. Borrowed until the next call. */
size_t cli_frames_range(cli_frames *frames, int64_t from, int64_t to, const squall_field **list);
/** The frame within `tolerance_s` of `time`, or NULL. */
const squall_field *cli_frames_at(cli_frames *frames, int64_t time, int32_t tolerance_s);
/** Calibrate the probabilities of a forecast's ensemble by the file that the suite wrote. */
SQUALL_MUST_USE squall_status cli_calibration_apply(const char *path, squall_forecast *forecast,
                                                    squall_error *err);

/* --- cli_quality.c --- */

enum {
    CLI_QUALITY_SPECKLE = 1,
    CLI_QUALITY_SPOKES = 2,
    CLI_QUALITY_MASK = 4,
    CLI_QUALITY_GAPS = 8,
    CLI_QUALITY_INSTANT = 16
};
/** "speckle,gaps" to flags; NULL to 0. */
SQUALL_MUST_USE squall_status cli_quality_parse(const char *text, unsigned *flags,
                                                squall_error *err);
/** Put frames made fit, owned by `frames`, in the place of the `count` in `list`; returns how many.
 * What cannot be made stays as it was, with a note. */
size_t cli_quality_run(cli_frames *frames, const squall_field **list, size_t count);
void cli_quality_free(cli_frames *frames);

/** Release frames older than `time`. */
void cli_frames_forget(cli_frames *frames, int64_t time);

/* A source beside the radar: frames of a satellite, or a static map, put on the radar's grid. */
typedef struct cli_source {
    char name[48];
    cli_frames frames;
    squall_regrid *table;  /* from the grid of its last frame to the radar's; NULL before */
    squall_grid from, to;  /* that the table is for */
    squall_field **fields; /* owned, [count]: those of the last cli_sources_collect() */
    size_t count;
} cli_source;

enum { CLI_SOURCES = 16 };

/* The radar and the sources beside it, as a recipe wants them. */
typedef struct cli_sources {
    cli_source extra[CLI_SOURCES];
    size_t count;
    squall_source all[CLI_SOURCES + 1]; /* of the last cli_sources_collect(); the radar first */
} cli_sources;

/** Open sources given as NAME=PATH. */
squall_status cli_sources_open(cli_sources *sources, const cli_list *texts, squall_notes *notes,
                               squall_error *err);
void cli_sources_close(cli_sources *sources);
/** Fill sources->all with `radar` and, from every other source, the frames from `from` to `to` (a
 * static map has one frame, whose time does not matter), carried to the radar's grid. A source that
 * has none, or cannot be carried over, is left out with a note. */
squall_status cli_sources_collect(cli_sources *sources, const squall_source *radar, int64_t from,
                                  int64_t to, squall_notes *notes, squall_error *err);

/** Read a small text file (a recipe); given (sq_free). */
squall_status cli_read_text(const char *path, char **text, size_t *length, squall_error *err);

#endif /* SQ_CLI_CLI_H */
