/* svc/catalogue/catalogue.c - the tables, and every statement on them. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "svc/catalogue/catalogue.h"

enum { SCHEMA_VERSION = 1, BUSY_MS = 5000 };

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS observations(id INTEGER PRIMARY KEY, source TEXT NOT NULL, name "
    "TEXT "
    "NOT NULL, result TEXT NOT NULL, valid_time INTEGER, received INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS observations_received ON observations(received);"
    "CREATE TABLE IF NOT EXISTS forecasts(region TEXT NOT NULL, issue_time INTEGER NOT NULL, "
    "made_time "
    "INTEGER NOT NULL, method TEXT NOT NULL, model TEXT NOT NULL, engine TEXT NOT NULL, quality "
    "TEXT "
    "NOT NULL, quality_index REAL, path TEXT NOT NULL, bytes INTEGER NOT NULL, "
    "PRIMARY KEY(region, issue_time)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS scores(region TEXT NOT NULL, method TEXT NOT NULL, model TEXT NOT "
    "NULL, "
    "issue_time INTEGER NOT NULL, lead_s INTEGER NOT NULL, threshold_mm_h REAL NOT NULL, hits "
    "INTEGER, "
    "misses INTEGER, false_alarms INTEGER, correct_negatives INTEGER, cells INTEGER, sum_abs REAL, "
    "sum_sq REAL, sum_error REAL, fss_difference REAL, fss_forecast REAL, fss_observation REAL, "
    "PRIMARY KEY(region, method, model, issue_time, lead_s)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS scores_issue ON scores(issue_time);";

struct sq_catalogue {
    pthread_mutex_t mutex;
    sqlite3 *db;
};

static squall_status fail_db(sq_catalogue *catalogue, const char *what, squall_error *err)
{
    const int code = sqlite3_errcode(catalogue->db);
    const squall_status status = code == SQLITE_NOMEM ? SQUALL_E_MEMORY
                                 : code == SQLITE_CORRUPT || code == SQLITE_NOTADB
                                     ? SQUALL_E_CORRUPT
                                     : SQUALL_E_IO;
    return sq_fail(err, status, "catalogue", "%s: %s", what, sqlite3_errmsg(catalogue->db));
}

static squall_status execute(sq_catalogue *catalogue, const char *sql, squall_error *err)
{
    return sqlite3_exec(catalogue->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? SQUALL_OK
               : fail_db(catalogue, "cannot be used", err);
}

static squall_status read_version(sq_catalogue *catalogue, int *version, squall_error *err)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(catalogue->db, "PRAGMA user_version", -1, &statement, NULL) !=
            SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        sqlite3_finalize(statement);
        return fail_db(catalogue, "cannot be read", err);
    }
    *version = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return SQUALL_OK;
}

static squall_status set_up(sq_catalogue *catalogue, squall_error *err)
{
    int version = 0;
    char pragma[64];
    sqlite3_busy_timeout(catalogue->db, BUSY_MS);
    SQ_TRY(read_version(catalogue, &version, err));
    if (version > SCHEMA_VERSION) {
        return sq_fail(err, SQUALL_E_VERSION, "catalogue", "version %d; this squall reads up to %d",
                       version, SCHEMA_VERSION);
    }
    /* NORMAL: after a power cut the last moments may be gone, but what is there is whole. */
    SQ_TRY(execute(catalogue, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;", err));
    SQ_TRY(execute(catalogue, schema, err));
    snprintf(pragma, sizeof pragma, "PRAGMA user_version=%d", SCHEMA_VERSION);
    return execute(catalogue, pragma, err);
}

squall_status sq_catalogue_open(const char *path, sq_catalogue **out, squall_error *err)
{
    sq_catalogue *catalogue = sq_alloc(1, sizeof *catalogue);
    if (catalogue == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, path, "no memory");
    }
    pthread_mutex_init(&catalogue->mutex, NULL);
    squall_status status = SQUALL_OK;
    if (sqlite3_open_v2(path, &catalogue->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                        NULL) != SQLITE_OK) {
        status = catalogue->db != NULL
                     ? fail_db(catalogue, path, err)
                     : sq_fail(err, SQUALL_E_MEMORY, path, "no memory for SQLite");
    } else {
        status = set_up(catalogue, err);
    }
    if (status != SQUALL_OK) {
        sq_catalogue_close(&catalogue);
        return status;
    }
    *out = catalogue;
    return SQUALL_OK;
}

void sq_catalogue_close(sq_catalogue **catalogue)
{
    if (catalogue == NULL || *catalogue == NULL) {
        return;
    }
    sqlite3_close_v2((*catalogue)->db);
    pthread_mutex_destroy(&(*catalogue)->mutex);
    sq_free(*catalogue);
    *catalogue = NULL;
}

/* ---------------------------------------------------------------- statements */

/* One value to bind: a text, a whole number or a real one. */
typedef struct value {
    char kind; /* 't', 'i', 'r' */
    const char *text;
    int64_t number;
    double real;
} value;

static value text_value(const char *text)
{
    return (value){.kind = 't', .text = text != NULL ? text : ""};
}

static value int_value(int64_t number)
{
    return (value){.kind = 'i', .number = number};
}

static value real_value(double real)
{
    return (value){.kind = 'r', .real = real};
}

/* A statement with its values; given (sqlite3_finalize). With the lock. */
static squall_status prepare(sq_catalogue *catalogue, const char *sql, const value *values,
                             size_t count, sqlite3_stmt **out, squall_error *err)
{
    *out = NULL;
    int code = sqlite3_prepare_v2(catalogue->db, sql, -1, out, NULL);
    for (size_t i = 0; i < count && code == SQLITE_OK; i++) {
        const int at = (int)i + 1;
        const value *v = &values[i];
        code = v->kind == 't'   ? sqlite3_bind_text(*out, at, v->text, -1, SQLITE_TRANSIENT)
               : v->kind == 'i' ? sqlite3_bind_int64(*out, at, v->number)
                                : sqlite3_bind_double(*out, at, v->real);
    }
    if (code != SQLITE_OK) {
        sqlite3_finalize(*out);
        *out = NULL;
        return fail_db(catalogue, "a statement cannot be made", err);
    }
    return SQUALL_OK;
}

/* Run a statement that gives no rows. */
static squall_status change(sq_catalogue *catalogue, const char *sql, const value *values,
                            size_t count, squall_error *err)
{
    sqlite3_stmt *statement;
    pthread_mutex_lock(&catalogue->mutex);
    squall_status status = prepare(catalogue, sql, values, count, &statement, err);
    if (status == SQUALL_OK) {
        const int code = sqlite3_step(statement);
        sqlite3_finalize(statement);
        if (code != SQLITE_DONE && code != SQLITE_ROW) {
            status = fail_db(catalogue, "cannot be written", err);
        }
    }
    pthread_mutex_unlock(&catalogue->mutex);
    return status;
}

#define CHANGE(catalogue, sql, values, err) \
    change(catalogue, sql, values, sizeof(values) / sizeof(values)[0], err)

squall_status sq_catalogue_observation(sq_catalogue *catalogue, const sq_observation_row *row,
                                       squall_error *err)
{
    const value values[] = {text_value(row->source), text_value(row->name), text_value(row->result),
                            int_value(row->valid_time), int_value(row->received)};
    return CHANGE(catalogue,
                  "INSERT INTO observations(source,name,result,valid_time,received) "
                  "VALUES(?1,?2,?3,NULLIF(?4,-9223372036854775807-1),?5)",
                  values, err);
}

squall_status sq_catalogue_forecast_begin(sq_catalogue *catalogue, const sq_forecast_row *row,
                                          squall_error *err)
{
    const value values[] = {text_value(row->region),   int_value(row->issue_time),
                            int_value(row->made_time), text_value(row->method),
                            text_value(row->model),    text_value(row->engine),
                            text_value(row->quality),  real_value(row->quality_index),
                            text_value(row->path)};
    return CHANGE(catalogue,
                  "INSERT INTO forecasts(region,issue_time,made_time,method,model,engine,quality,"
                  "quality_index,path,bytes) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,0) "
                  "ON CONFLICT(region,issue_time) DO UPDATE SET made_time=?3,method=?4,model=?5,"
                  "engine=?6,quality=?7,quality_index=?8,path=?9",
                  values, err);
}

squall_status sq_catalogue_forecast_end(sq_catalogue *catalogue, const char *region,
                                        int64_t issue_time, int64_t bytes, squall_error *err)
{
    const value values[] = {int_value(bytes), text_value(region), int_value(issue_time)};
    return CHANGE(catalogue, "UPDATE forecasts SET bytes=?1 WHERE region=?2 AND issue_time=?3",
                  values, err);
}

squall_status sq_catalogue_forecast_remove(sq_catalogue *catalogue, const char *region,
                                           int64_t issue_time, squall_error *err)
{
    const value values[] = {text_value(region), int_value(issue_time)};
    return CHANGE(catalogue, "DELETE FROM forecasts WHERE region=?1 AND issue_time=?2", values,
                  err);
}

static const char *column(sqlite3_stmt *statement, int index)
{
    const unsigned char *text = sqlite3_column_text(statement, index);
    return text != NULL ? (const char *)text : "";
}

squall_status sq_catalogue_forecasts(sq_catalogue *catalogue, const char *region, bool whole,
                                     size_t limit, sq_forecast_visit *visit, void *arg,
                                     squall_error *err)
{
    sqlite3_stmt *s;
    const value values[] = {text_value(region), int_value(whole ? 1 : 0),
                            int_value((int64_t)limit)};
    pthread_mutex_lock(&catalogue->mutex);
    squall_status status = prepare(
        catalogue,
        "SELECT region,issue_time,made_time,method,model,engine,quality,quality_index,path,bytes "
        "FROM forecasts WHERE (?1='' OR region=?1) AND (?2=0 OR bytes>0) ORDER BY issue_time DESC "
        "LIMIT ?3",
        values, 3, &s, err);
    while (status == SQUALL_OK && sqlite3_step(s) == SQLITE_ROW) {
        const sq_forecast_row row = {.region = column(s, 0),
                                     .issue_time = sqlite3_column_int64(s, 1),
                                     .made_time = sqlite3_column_int64(s, 2),
                                     .method = column(s, 3),
                                     .model = column(s, 4),
                                     .engine = column(s, 5),
                                     .quality = column(s, 6),
                                     .quality_index = sqlite3_column_double(s, 7),
                                     .path = column(s, 8),
                                     .bytes = sqlite3_column_int64(s, 9)};
        visit(arg, &row);
    }
    sqlite3_finalize(s);
    pthread_mutex_unlock(&catalogue->mutex);
    return status;
}

squall_status sq_catalogue_score(sq_catalogue *catalogue, const sq_score_row *row,
                                 squall_error *err)
{
    const value values[] = {text_value(row->region),
                            text_value(row->method),
                            text_value(row->model),
                            int_value(row->issue_time),
                            int_value(row->lead_s),
                            real_value(row->threshold_mm_h),
                            int_value((int64_t)row->hits),
                            int_value((int64_t)row->misses),
                            int_value((int64_t)row->false_alarms),
                            int_value((int64_t)row->correct_negatives),
                            int_value((int64_t)row->cells),
                            real_value(row->sum_abs),
                            real_value(row->sum_sq),
                            real_value(row->sum_error),
                            real_value(row->fss_difference),
                            real_value(row->fss_forecast),
                            real_value(row->fss_observation)};
    return CHANGE(catalogue,
                  "INSERT OR REPLACE INTO scores VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,"
                  "?14,?15,?16,?17)",
                  values, err);
}

squall_status sq_catalogue_skill(sq_catalogue *catalogue, const char *region, int64_t since,
                                 sq_score_visit *visit, void *arg, squall_error *err)
{
    sqlite3_stmt *s;
    const value values[] = {text_value(region), int_value(since)};
    pthread_mutex_lock(&catalogue->mutex);
    squall_status status =
        prepare(catalogue,
                "SELECT region,method,model,lead_s,MAX(issue_time),threshold_mm_h,SUM(hits),"
                "SUM(misses),SUM(false_alarms),SUM(correct_negatives),SUM(cells),SUM(sum_abs),"
                "SUM(sum_sq),SUM(sum_error),SUM(fss_difference),SUM(fss_forecast),"
                "SUM(fss_observation),COUNT(*) FROM scores WHERE (?1='' OR region=?1) AND "
                "issue_time>=?2 GROUP BY region,method,model,lead_s,threshold_mm_h ORDER BY "
                "region,method,model,lead_s",
                values, 2, &s, err);
    while (status == SQUALL_OK && sqlite3_step(s) == SQLITE_ROW) {
        const sq_score_row row = {.region = column(s, 0),
                                  .method = column(s, 1),
                                  .model = column(s, 2),
                                  .lead_s = sqlite3_column_int(s, 3),
                                  .issue_time = sqlite3_column_int64(s, 4),
                                  .threshold_mm_h = sqlite3_column_double(s, 5),
                                  .hits = (uint64_t)sqlite3_column_int64(s, 6),
                                  .misses = (uint64_t)sqlite3_column_int64(s, 7),
                                  .false_alarms = (uint64_t)sqlite3_column_int64(s, 8),
                                  .correct_negatives = (uint64_t)sqlite3_column_int64(s, 9),
                                  .cells = (uint64_t)sqlite3_column_int64(s, 10),
                                  .sum_abs = sqlite3_column_double(s, 11),
                                  .sum_sq = sqlite3_column_double(s, 12),
                                  .sum_error = sqlite3_column_double(s, 13),
                                  .fss_difference = sqlite3_column_double(s, 14),
                                  .fss_forecast = sqlite3_column_double(s, 15),
                                  .fss_observation = sqlite3_column_double(s, 16),
                                  .forecasts = (uint64_t)sqlite3_column_int64(s, 17)};
        visit(arg, &row);
    }
    sqlite3_finalize(s);
    pthread_mutex_unlock(&catalogue->mutex);
    return status;
}

squall_status sq_catalogue_prune(sq_catalogue *catalogue, int64_t before, squall_error *err)
{
    const value values[] = {int_value(before)};
    SQ_TRY(CHANGE(catalogue, "DELETE FROM observations WHERE received<?1", values, err));
    SQ_TRY(CHANGE(catalogue, "DELETE FROM scores WHERE issue_time<?1", values, err));
    return CHANGE(catalogue, "DELETE FROM forecasts WHERE issue_time<?1 AND bytes=0", values, err);
}

squall_status sq_catalogue_count(sq_catalogue *catalogue, int64_t *observations, int64_t *forecasts,
                                 int64_t *scores, squall_error *err)
{
    sqlite3_stmt *s;
    pthread_mutex_lock(&catalogue->mutex);
    squall_status status =
        prepare(catalogue,
                "SELECT (SELECT COUNT(*) FROM observations),(SELECT COUNT(*) FROM forecasts),"
                "(SELECT COUNT(*) FROM scores)",
                NULL, 0, &s, err);
    if (status == SQUALL_OK && sqlite3_step(s) == SQLITE_ROW) {
        *observations = sqlite3_column_int64(s, 0);
        *forecasts = sqlite3_column_int64(s, 1);
        *scores = sqlite3_column_int64(s, 2);
    } else if (status == SQUALL_OK) {
        status = fail_db(catalogue, "cannot be read", err);
    }
    sqlite3_finalize(s);
    pthread_mutex_unlock(&catalogue->mutex);
    return status;
}
