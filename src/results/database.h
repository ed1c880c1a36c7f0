/* database.h: what the room's files share of SQLite: statements in one call, and its failures as sentences. */
#ifndef BERTH_RESULTS_DATABASE_H
#define BERTH_RESULTS_DATABASE_H

#include <sqlite3.h>

#include "results/results.h"

struct berth_results {
    sqlite3 *db;
    char *path; /* owned */
    enum berth_results_access access;
};

/* The schema in steps: step i takes a file of version i to i + 1 (results.h: from 0, an empty one). */
enum { BERTH_RESULTS_APPLICATION = 0x62727468, BERTH_RESULTS_VERSION = 2, BERTH_RESULTS_BUSY_MS = 10000 };
extern const char *const berth_results_steps[BERTH_RESULTS_VERSION];

/* SQLite's last failure on this file as a status and a sentence: "PATH: cannot DOING: ...". */
enum berth_status berth_results_fail(const struct berth_results *results, struct berth_error *err, const char *doing);

/* Prepares and binds. Of `format` each letter takes arguments: t text (NULL: ""), i int64_t, d double (NaN: NULL),
 * b const void * and size_t (NULL pointer: NULL). Bound memory must live until the statement is finalized. */
enum berth_status berth_results_prepare(struct berth_results *results, sqlite3_stmt **statement,
                                        struct berth_error *err, const char *sql, const char *format, ...);

/* *row tells whether there is one. */
enum berth_status berth_results_step(struct berth_results *results, sqlite3_stmt *statement, bool *row,
                                     struct berth_error *err);

/* Prepares, binds, runs to its end. */
enum berth_status berth_results_execute(struct berth_results *results, struct berth_error *err, const char *sql,
                                        const char *format, ...);

/* A column as text, never NULL; as a double, NaN for NULL. */
const char *berth_results_text_of(sqlite3_stmt *statement, int column);
double berth_results_double_of(sqlite3_stmt *statement, int column);

int64_t berth_results_now_us(void);

#endif
