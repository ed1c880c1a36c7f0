/* database.c: statements, transactions and failures of SQLite. */
#include "results/database.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "base/error.h"

enum berth_status berth_results_fail(const struct berth_results *results, struct berth_error *err, const char *doing)
{
    const char *path = results->path, *words = sqlite3_errmsg(results->db);
    switch (sqlite3_errcode(results->db) & 0xff) {
    case SQLITE_NOMEM:
        return berth_fail(err, BERTH_NO_MEMORY, "%s: cannot %s: out of memory", path, doing);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return berth_fail(err, BERTH_BUSY, "%s: cannot %s: another process has held the file for %d seconds", path,
                          doing, BERTH_RESULTS_BUSY_MS / 1000);
    case SQLITE_NOTADB:
        return berth_fail(err, BERTH_FORMAT, "%s: not a results file: it is no SQLite database", path);
    case SQLITE_CORRUPT:
        return berth_fail(err, BERTH_FORMAT, "%s: the results file is damaged (%s): take a copy of it, or save what "
                          "`sqlite3 FILE .recover` can read", path, words);
    case SQLITE_FULL:
        return berth_fail(err, BERTH_IO, "%s: cannot %s: the disk is full", path, doing);
    case SQLITE_TOOBIG:
        return berth_fail(err, BERTH_LIMIT, "%s: cannot %s: a value is too large", path, doing);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return berth_fail(err, BERTH_IO, "%s: cannot %s: %s; is it, and its folder, writable?", path, doing, words);
    default:
        return berth_fail(err, BERTH_IO, "%s: cannot %s: %s", path, doing, words);
    }
}

static int bind_all(sqlite3_stmt *statement, const char *format, va_list args)
{
    int code = SQLITE_OK;
    for (int i = 1; *format && code == SQLITE_OK; i++, format++) {
        if (*format == 't') {
            const char *text = va_arg(args, const char *);
            code = sqlite3_bind_text(statement, i, text ? text : "", -1, SQLITE_STATIC);
        } else if (*format == 'i') {
            code = sqlite3_bind_int64(statement, i, va_arg(args, int64_t));
        } else if (*format == 'd') {
            double value = va_arg(args, double);
            code = isnan(value) ? sqlite3_bind_null(statement, i) : sqlite3_bind_double(statement, i, value);
        } else { /* b */
            const void *bytes = va_arg(args, const void *);
            size_t size = va_arg(args, size_t);
            code = bytes ? sqlite3_bind_blob64(statement, i, bytes, size, SQLITE_STATIC)
                         : sqlite3_bind_null(statement, i);
        }
    }
    return code;
}

static enum berth_status prepare(struct berth_results *results, sqlite3_stmt **statement, struct berth_error *err,
                                 const char *sql, const char *format, va_list args)
{
    *statement = NULL;
    if (sqlite3_prepare_v2(results->db, sql, -1, statement, NULL) == SQLITE_OK &&
        bind_all(*statement, format, args) == SQLITE_OK)
        return BERTH_OK;
    enum berth_status status = berth_results_fail(results, err, "use the file");
    sqlite3_finalize(*statement);
    *statement = NULL;
    return status;
}

enum berth_status berth_results_prepare(struct berth_results *results, sqlite3_stmt **statement,
                                        struct berth_error *err, const char *sql, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum berth_status status = prepare(results, statement, err, sql, format, args);
    va_end(args);
    return status;
}

enum berth_status berth_results_step(struct berth_results *results, sqlite3_stmt *statement, bool *row,
                                     struct berth_error *err)
{
    int code = sqlite3_step(statement);
    *row = code == SQLITE_ROW;
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        return BERTH_OK;
    return berth_results_fail(results, err, sqlite3_stmt_readonly(statement) ? "read" : "write");
}

enum berth_status berth_results_execute(struct berth_results *results, struct berth_error *err, const char *sql,
                                        const char *format, ...)
{
    sqlite3_stmt *statement;
    va_list args;
    va_start(args, format);
    enum berth_status status = prepare(results, &statement, err, sql, format, args);
    va_end(args);
    for (bool row = true; status == BERTH_OK && row;)
        status = berth_results_step(results, statement, &row, err);
    sqlite3_finalize(statement);
    return status;
}

enum berth_status berth_results_begin(struct berth_results *results, struct berth_error *err)
{
    return berth_results_execute(results, err, "BEGIN IMMEDIATE", "");
}

enum berth_status berth_results_end(struct berth_results *results, enum berth_status status, struct berth_error *err)
{
    if (status == BERTH_OK)
        status = berth_results_execute(results, err, "COMMIT", "");
    if (status != BERTH_OK && !sqlite3_get_autocommit(results->db)) /* the first sentence stays */
        sqlite3_exec(results->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

const char *berth_results_text_of(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text ? text : "";
}

double berth_results_double_of(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL ? NAN : sqlite3_column_double(statement, column);
}

int64_t berth_results_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
