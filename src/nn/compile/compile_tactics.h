/* nn/compile/compile_tactics.h - times of tactics, measured: kept in a file, looked up, taken. */
#ifndef SQ_NN_COMPILE_COMPILE_TACTICS_H
#define SQ_NN_COMPILE_COMPILE_TACTICS_H

#include "nn/compile/compile_internal.h"

/* ---- The cache: a text file that is shared, merged and replayed. ---- */

/** One tactic of one step, timed on one device by one build of squall. */
typedef struct sq_time {
    char *device, *build, *step; /* owned */
    char *tactic;                /* owned; "cpu:conv_direct_c16_avx512" */
    double median_s, spread_s;   /* of the runs; nine digits, as the file holds them */
} sq_time;

/** Times in the order of their four texts, none twice. Zero-initialise. */
typedef struct sq_times {
    sq_time *items; /* owned */
    size_t count, capacity;
} sq_times;

void sq_times_free(sq_times *times);

/** The time of a tactic, or NULL. */
const sq_time *sq_times_find(const sq_times *times, const char *device, const char *build,
                             const char *step, const char *tactic);

/** Add a time, rounded to what the file holds; where there is one already the shorter median stays
 * (then the smaller spread), whichever came first. SQUALL_E_MEMORY. */
SQUALL_MUST_USE squall_status sq_times_add(sq_times *times, const sq_time *time, squall_error *err);

/** Add what a file holds. SQUALL_E_FORMAT names the entry that is wrong. */
SQUALL_MUST_USE squall_status sq_times_read(sq_times *times, const char *path, squall_error *err);
/** The same for text in memory. */
SQUALL_MUST_USE squall_status sq_times_parse(sq_times *times, const char *text, size_t length,
                                             const char *name, squall_error *err);
/** Write all of them; the same times give the same bytes. */
SQUALL_MUST_USE squall_status sq_times_write(const sq_times *times, const char *path,
                                             squall_error *err);

/* ---- What a step is called in it. ---- */

/** Everything of a step that its time hangs on: operator, attributes, types; not its name. Steps
 * that are alike share it. False when there is no memory. */
bool sq_step_key(const sq_step *step, sq_text *out);
/** "cpu:conv_direct_c16_avx512" into `text` of SQ_TACTIC_KEY bytes; returns it. */
#define SQ_TACTIC_KEY (SQ_TACTIC_NAME + 16)
const char *sq_tactic_key(const char *backend, const char *tactic, char *text);
/** This processor, the instruction set in use and the number of threads; `text` of 160 bytes. */
const char *sq_device_key(int threads, char *text, size_t room);

/* ---- Tuning. ---- */

/** Time one candidate of a step; `step` has data for constants. SQUALL_E_MEMORY. */
typedef squall_status sq_measure(void *self, const sq_step *step, const sq_candidate *candidate,
                                 int threads, double *median_s, double *spread_s,
                                 squall_error *err);
/** By running it on numbers that are no measurement's; `self` is not used. */
sq_measure sq_measure_run;

/** Chooses by measured time. */
typedef struct sq_tuner {
    const char *device, *build; /* borrowed; keys of what is measured here */
    int threads;
    sq_times *times;  /* borrowed; looked up and added to */
    const char *path; /* borrowed; where they are kept as they come; NULL: nowhere */
    double budget_s;  /* for measuring; 0: only look up */
    double (*clock_s)(void);
    sq_measure *measure; /* with `self` */
    void *self;
    bool strict;           /* a step without a time is a failure */
    squall_notes *missing; /* a line for each such step; may be NULL */
    /* Filled: */
    double spent_s;
    uint32_t measured; /* tactics timed */
    uint32_t known;    /* steps chosen by time */
    uint32_t guessed;  /* steps with a choice for which no time is known */
} sq_tuner;

/** A sq_choose whose `self` is a sq_tuner. */
sq_choose sq_choose_tuned;

#endif /* SQ_NN_COMPILE_COMPILE_TACTICS_H */
