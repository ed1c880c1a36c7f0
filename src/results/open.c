/* open.c: opening a results file: what it is, whether it is whole, and bringing an older one up to date. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"
#include "base/error.h"
#include "results/database.h"

/* A results file may come from anywhere: nothing in it is executed, no value is larger than a block needs. */
static void distrust(sqlite3 *db)
{
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, BERTH_RESULTS_BLOCK * 8 + (1 << 20));
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_busy_timeout(db, BERTH_RESULTS_BUSY_MS);
}

/* "file:PATH?immutable=1" with the characters that mean something in it escaped; NULL without memory. */
static char *immutable_uri(const char *path)
{
    static const char tail[] = "?immutable=1";
    char *uri = berth_malloc(strlen(path) * 3 + sizeof "file:" + sizeof tail, 1);
    if (!uri)
        return NULL;
    char *end = uri + sprintf(uri, "file:");
    for (; *path; path++)
        end += sprintf(end, strchr("%?#", *path) ? "%%%02X" : "%c", *path);
    strcpy(end, tail);
    return uri;
}

static bool has_log_beside(const char *path)
{
    char name[4096];
    struct stat information;
    return snprintf(name, sizeof name, "%s-wal", path) >= (int)sizeof name ||
           (stat(name, &information) == 0 && information.st_size > 0);
}

static int open_as(struct berth_results *results, const char *name, int flags)
{
    sqlite3_close(results->db);
    results->db = NULL;
    int code = sqlite3_open_v2(name, &results->db, flags | SQLITE_OPEN_NOMUTEX, NULL); /* a thread at a time */
    if (code == SQLITE_OK) {
        distrust(results->db);
        code = sqlite3_exec(results->db, "PRAGMA cell_size_check = ON; PRAGMA cache_size = -65536;"
                            "PRAGMA schema_version", NULL, NULL, NULL);
    }
    return code;
}

static enum berth_status open_database(struct berth_results *results, struct berth_error *err)
{
    if (results->access == BERTH_RESULTS_MEMORY)
        return open_as(results, ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) == SQLITE_OK
                   ? BERTH_OK
                   : berth_results_fail(results, err, "open");
    struct stat information;
    int found = stat(results->path, &information);
    if (found != 0 && (results->access == BERTH_RESULTS_READ || errno != ENOENT))
        return berth_fail_errno(err, errno, "%s: cannot open the results file", results->path);
    if (found == 0 && !S_ISREG(information.st_mode))
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "%s: not a results file: it is no regular file", results->path);
    int flags = results->access == BERTH_RESULTS_READ ? SQLITE_OPEN_READONLY
                                                      : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    int code = open_as(results, results->path, flags);
    if (results->access == BERTH_RESULTS_READ && results->db &&
        ((code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_READONLY) && !has_log_beside(results->path)) {
        char *uri = immutable_uri(results->path); /* in a folder that nobody may write, as it stands */
        if (!uri)
            return berth_fail_memory(err, "a path", strlen(results->path));
        code = open_as(results, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
        berth_free(uri);
    }
    if (!results->db)
        return berth_fail_memory(err, "the results file", 0);
    return code == SQLITE_OK ? BERTH_OK : berth_results_fail(results, err, "open");
}

static enum berth_status read_number(struct berth_results *results, const char *sql, int64_t *number,
                                     struct berth_error *err)
{
    sqlite3_stmt *statement;
    bool row;
    enum berth_status status = berth_results_prepare(results, &statement, err, sql, "");
    if (status == BERTH_OK && (status = berth_results_step(results, statement, &row, err)) == BERTH_OK)
        *number = row ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return status;
}

/* 0 is a file that nothing was written to yet. */
static enum berth_status read_version(struct berth_results *results, int64_t *version, struct berth_error *err)
{
    int64_t application = 0, tables = 0;
    enum berth_status status;
    BERTH_TRY(read_number(results, "PRAGMA application_id", &application, err));
    BERTH_TRY(read_number(results, "PRAGMA user_version", version, err));
    BERTH_TRY(read_number(results, "SELECT count(*) FROM sqlite_schema", &tables, err));
    if (application == 0 && *version == 0 && tables == 0)
        return BERTH_OK;
    if (application != BERTH_RESULTS_APPLICATION)
        return berth_fail(err, BERTH_FORMAT, "%s: an SQLite database, but no results file of berth", results->path);
    if (*version > BERTH_RESULTS_VERSION)
        return berth_fail(err, BERTH_UNSUPPORTED, "%s: a results file of version %lld; this berth knows versions up to "
                          "%d: use the berth that wrote it, or a newer one", results->path, (long long)*version,
                          BERTH_RESULTS_VERSION);
    if (*version < 1)
        return berth_fail(err, BERTH_FORMAT, "%s: a results file of version %lld, which there never was", results->path,
                          (long long)*version);
    return BERTH_OK;
fail:
    return status;
}

/* All steps that are missing in one transaction; another process may have been faster. */
static enum berth_status migrate(struct berth_results *results, struct berth_error *err)
{
    char pragma[96];
    int64_t version = 0;
    enum berth_status status = berth_results_begin(results, err);
    if (status != BERTH_OK)
        return status;
    BERTH_TRY(read_version(results, &version, err));
    for (; version < BERTH_RESULTS_VERSION; version++)
        if (sqlite3_exec(results->db, berth_results_steps[version], NULL, NULL, NULL) != SQLITE_OK)
            BERTH_TRY(berth_results_fail(results, err, "bring it to this version"));
    snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d; PRAGMA user_version = %d", BERTH_RESULTS_APPLICATION,
             BERTH_RESULTS_VERSION);
    if (sqlite3_exec(results->db, pragma, NULL, NULL, NULL) != SQLITE_OK)
        BERTH_TRY(berth_results_fail(results, err, "bring it to this version"));
    return berth_results_end(results, BERTH_OK, err);
fail:
    return berth_results_end(results, status, err);
}

/* Write-ahead: readers never wait for writers, and a killed writer loses nothing it had appended. With synchronous
 * NORMAL a power failure may lose the last trials, but never the file; waiting for the disk after every trial would
 * disturb what is measured. The change itself is refused while another process does the same, hence the tries. */
static enum berth_status write_ahead(struct berth_results *results, struct berth_error *err)
{
    int code = SQLITE_OK;
    for (int i = 0; i < BERTH_RESULTS_BUSY_MS / 10; i++) {
        code = sqlite3_exec(results->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                            "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
        if ((code & 0xff) != SQLITE_BUSY)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    }
    return code == SQLITE_OK ? BERTH_OK : berth_results_fail(results, err, "write");
}

/* The tables are exactly those that the steps make, in a file whose pages are all in order. */
static enum berth_status check_schema(struct berth_results *results, struct berth_error *err)
{
    struct berth_results model = {.path = results->path};
    sqlite3_stmt *wanted = NULL, *found = NULL;
    bool row, other;
    enum berth_status status = BERTH_OK;
    if (sqlite3_open_v2(":memory:", &model.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
        BERTH_TRY(berth_fail_memory(err, "the schema", 0));
    for (int i = 0; i < BERTH_RESULTS_VERSION; i++)
        if (sqlite3_exec(model.db, berth_results_steps[i], NULL, NULL, NULL) != SQLITE_OK)
            BERTH_TRY(berth_results_fail(&model, err, "make the schema"));
    BERTH_TRY(berth_results_prepare(&model, &wanted, err, "SELECT name, sql FROM sqlite_schema WHERE sql NOT NULL", ""));
    for (;;) {
        BERTH_TRY(berth_results_step(&model, wanted, &row, err));
        if (!row)
            break;
        BERTH_TRY(berth_results_prepare(results, &found, err, "SELECT 1 FROM sqlite_schema WHERE name = ? AND sql = ?",
                                        "tt", berth_results_text_of(wanted, 0), berth_results_text_of(wanted, 1)));
        BERTH_TRY(berth_results_step(results, found, &other, err));
        if (!other && strcmp(berth_results_text_of(wanted, 0), "sqlite_sequence") != 0)
            BERTH_TRY(berth_fail(err, BERTH_FORMAT, "%s: the results file is damaged: its table %s is not as version %d "
                                 "has it", results->path, berth_results_text_of(wanted, 0), BERTH_RESULTS_VERSION));
        sqlite3_finalize(found);
        found = NULL;
    }
fail:
    sqlite3_finalize(found);
    sqlite3_finalize(wanted);
    sqlite3_close(model.db);
    return status;
}

static enum berth_status check_pages(struct berth_results *results, struct berth_error *err)
{
    sqlite3_stmt *statement;
    bool row;
    enum berth_status status = berth_results_prepare(results, &statement, err, "PRAGMA quick_check(1)", "");
    if (status == BERTH_OK && (status = berth_results_step(results, statement, &row, err)) == BERTH_OK &&
        (!row || strcmp(berth_results_text_of(statement, 0), "ok") != 0))
        status = berth_fail(err, BERTH_FORMAT, "%s: the results file is damaged (%s): take a copy of it, or save what "
                            "`sqlite3 FILE .recover` can read", results->path,
                            row ? berth_results_text_of(statement, 0) : "it cannot be checked");
    sqlite3_finalize(statement);
    return status;
}

static enum berth_status prepare_file(struct berth_results *results, struct berth_error *err)
{
    int64_t version = 0;
    enum berth_status status;
    BERTH_TRY(open_database(results, err));
    BERTH_TRY(read_version(results, &version, err));
    if (results->access == BERTH_RESULTS_READ && version == 0)
        return berth_fail(err, BERTH_FORMAT, "%s: holds no results yet", results->path);
    if (version > 0)
        BERTH_TRY(check_pages(results, err));
    if (results->access == BERTH_RESULTS_READ && version < BERTH_RESULTS_VERSION &&
        open_as(results, results->path, SQLITE_OPEN_READWRITE) != SQLITE_OK)
        return berth_results_fail(results, err, "bring it to this version");
    if (results->access == BERTH_RESULTS_APPEND)
        BERTH_TRY(write_ahead(results, err));
    if (version < BERTH_RESULTS_VERSION)
        BERTH_TRY(migrate(results, err));
    return check_schema(results, err);
fail:
    return status;
}

enum berth_status berth_results_open(const char *path, enum berth_results_access access, struct berth_results **results,
                                     struct berth_error *err)
{
    *results = NULL;
    struct berth_results *made = berth_calloc(1, sizeof *made);
    if (!made || !(made->path = berth_strdup(access == BERTH_RESULTS_MEMORY ? "memory" : path))) {
        berth_free(made);
        return berth_fail_memory(err, "a results file", sizeof *made);
    }
    made->access = access;
    enum berth_status status = prepare_file(made, err);
    if (status == BERTH_OK)
        *results = made;
    else
        berth_results_close(made);
    return status;
}

void berth_results_close(struct berth_results *results)
{
    if (!results)
        return;
    sqlite3_close(results->db); /* the last one to close copies the log into the file */
    berth_free(results->path);
    berth_free(results);
}

const char *berth_results_path(const struct berth_results *results)
{
    return results->path;
}
