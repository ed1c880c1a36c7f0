/* test_results_files.c: results files that are damaged, foreign, older, newer or in use; writers that are killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "results/database.h"
#include "support/results_support.h"

static int remove_files(void **state)
{
    (void)state;
    results_files_remove();
    return 0;
}

static void check_refused(const char *path, enum berth_results_access access, enum berth_status status, const char *words)
{
    struct berth_results *results;
    struct berth_error err = {0};
    assert_int_equal(berth_results_open(path, access, &results, &err), status);
    assert_null(results);
    if (!strstr(err.message, words) || !strstr(err.message, path))
        fail_msg("no '%s' in: %s", words, err.message);
}

static void write_bytes(const char *path, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

/* A file with `n` latencies in single blocks and one block of 5000. */
static int64_t fill(const char *path, size_t n)
{
    struct berth_results *r = results_open(path, BERTH_RESULTS_APPEND);
    int64_t c = results_configuration(r, (struct berth_results_configuration){.run = results_run(r, "a")});
    double *ms = malloc(5000 * sizeof *ms);
    for (int i = 0; i < 5000; i++)
        ms[i] = 1 + i % 7;
    for (size_t i = 0; i < n; i++)
        results_append_ms(r, c, 1 + (int64_t)i, ms + i, 1);
    results_append_ms(r, c, 1 + (int64_t)n, ms, 5000);
    free(ms);
    berth_results_close(r);
    return c;
}

static void files_that_are_none_are_named(void **state)
{
    (void)state;
    char path[128];
    strcpy(path, results_file());
    check_refused(path, BERTH_RESULTS_READ, BERTH_NOT_FOUND, "No such file");
    write_bytes(path, "", 0);
    check_refused(path, BERTH_RESULTS_READ, BERTH_FORMAT, "holds no results yet");
    static char text[2000];
    memset(text, 'x', sizeof text);
    write_bytes(path, text, sizeof text);
    check_refused(path, BERTH_RESULTS_READ, BERTH_FORMAT, "not a results file");
    check_refused(path, BERTH_RESULTS_APPEND, BERTH_FORMAT, "not a results file");
    struct stat kept;
    assert_int_equal(stat(path, &kept), 0);
    assert_int_equal(kept.st_size, sizeof text);
    check_refused("/tmp", BERTH_RESULTS_READ, BERTH_INVALID_ARGUMENT, "no regular file");
    check_refused("/nonexistent/folder/x.db", BERTH_RESULTS_APPEND, BERTH_IO, "cannot open");
    strcpy(path, results_file());
    run_sql(path, "CREATE TABLE run(x)");
    check_refused(path, BERTH_RESULTS_APPEND, BERTH_FORMAT, "no results file of berth");
}

static void versions_are_migrated_or_refused(void **state)
{
    (void)state;
    char path[128], sql[200];
    strcpy(path, results_file());
    run_sql(path, berth_results_steps[0]); /* a file of version 1, with a run */
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = 1; INSERT INTO run VALUES(1, "
             "'0123456789abcdef0123456789abcdef', 'old', 1, 2, '', '', 3)", BERTH_RESULTS_APPLICATION);
    run_sql(path, sql);
    struct berth_results *r = results_open(path, BERTH_RESULTS_READ);
    struct berth_error err;
    int64_t run;
    assert_int_equal(berth_results_find_run(r, "old", &run, &err), BERTH_OK);
    assert_int_equal(berth_results_page_clear(r, &err), BERTH_OK);
    berth_results_close(r);
    run_sql(path, "PRAGMA user_version = 3");
    check_refused(path, BERTH_RESULTS_READ, BERTH_UNSUPPORTED, "of version 3; this berth knows versions up to 2");
    check_refused(path, BERTH_RESULTS_APPEND, BERTH_UNSUPPORTED, "of version 3");
    run_sql(path, "PRAGMA user_version = -1");
    check_refused(path, BERTH_RESULTS_READ, BERTH_FORMAT, "which there never was");
}

static void damage_is_found_before_anything_is_read(void **state)
{
    (void)state;
    char path[128];
    strcpy(path, results_file());
    fill(path, 300);
    struct stat whole;
    assert_int_equal(stat(path, &whole), 0);
    char *bytes = malloc((size_t)whole.st_size);
    FILE *file = fopen(path, "r");
    assert_int_equal(fread(bytes, 1, (size_t)whole.st_size, file), whole.st_size);
    fclose(file);
    for (long size = 150; size < whole.st_size; size += whole.st_size / 23) { /* truncated anywhere */
        write_bytes(path, bytes, (size_t)size);
        check_refused(path, BERTH_RESULTS_READ, BERTH_FORMAT, "damaged");
        check_refused(path, BERTH_RESULTS_APPEND, BERTH_FORMAT, "damaged");
    }
    write_bytes(path, bytes, 50);
    check_refused(path, BERTH_RESULTS_READ, BERTH_FORMAT, "damaged");
    /* Every header of a page destroyed in turn: refused, or read without it mattering; never a crash. */
    for (long page = 1; page < whole.st_size / 4096; page++) {
        char *copy = malloc((size_t)whole.st_size);
        memcpy(copy, bytes, (size_t)whole.st_size);
        memset(copy + page * 4096, 0xa5, 16);
        write_bytes(path, copy, (size_t)whole.st_size);
        free(copy);
        struct berth_results *r;
        struct berth_results_book book;
        struct berth_results_series series;
        if (berth_results_open(path, BERTH_RESULTS_READ, &r, NULL) != BERTH_OK)
            continue;
        if (berth_results_read(r, 0, &book, NULL) == BERTH_OK) {
            if (book.configurations > 0 &&
                berth_results_read_series(r, book.configuration[0].id, &series, NULL) == BERTH_OK)
                berth_results_series_clear(&series);
            berth_results_book_clear(&book);
        }
        berth_results_close(r);
    }
    free(bytes);
}

static void blocks_that_lie_about_their_size_are_refused(void **state)
{
    (void)state;
    static const char *const lies[] = {
        "UPDATE trials SET count = count + 1",   "UPDATE trials SET count = 1000000000000",
        "UPDATE trials SET count = 0",           "UPDATE trials SET latency = x'00'",
        "UPDATE trials SET service = x'0000'",   "UPDATE trials SET ok = x'000000'",
        "UPDATE trials SET first = -5",          "UPDATE trials SET texts = -1",
        "UPDATE trials SET count = -1",         "UPDATE trials SET latency = x'ffffffffffffffff', count = 1"};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        char path[128];
        strcpy(path, results_file());
        int64_t c = fill(path, 0);
        run_sql(path, lies[i]);
        struct berth_results *r = results_open(path, BERTH_RESULTS_READ);
        struct berth_results_series series;
        struct berth_error err = {0};
        if (berth_results_read_series(r, c, &series, &err) != BERTH_FORMAT || !strstr(err.message, "damaged"))
            fail_msg("accepted: %s: %s", lies[i], err.message);
        assert_null(series.latency_ns);
        berth_results_close(r);
    }
}

static void foreign_schemas_are_refused(void **state)
{
    (void)state;
    char path[128];
    strcpy(path, results_file());
    fill(path, 0);
    run_sql(path, "ALTER TABLE fact RENAME TO other; CREATE VIEW fact AS SELECT 1 AS run, 'a' AS key, 'b' AS value");
    check_refused(path, BERTH_RESULTS_READ, BERTH_FORMAT, "its table fact is not as version 2 has it");
}

static void triggers_of_a_file_are_not_run(void **state)
{
    (void)state;
    char path[128];
    strcpy(path, results_file());
    int64_t c = fill(path, 0);
    run_sql(path, "CREATE TRIGGER t AFTER INSERT ON trials BEGIN DELETE FROM run; DELETE FROM trials; END");
    struct berth_results *r = results_open(path, BERTH_RESULTS_APPEND);
    static const double ms[] = {1};
    results_append_ms(r, c, 5001, ms, 1);
    struct berth_results_series series;
    assert_int_equal(berth_results_read_series(r, c, &series, NULL), BERTH_OK);
    assert_int_equal(series.n, 5001);
    berth_results_series_clear(&series);
    berth_results_close(r);
}

/* Appends trials one by one, or in blocks of three, until it is killed. */
static void append_for_ever(const char *path, const char *name, int pipe_end, size_t block)
{
    struct berth_results *r = results_open(path, BERTH_RESULTS_APPEND);
    int64_t c = results_configuration(r, (struct berth_results_configuration){.run = results_run(r, name)});
    static const double ms[] = {1, 2, 3};
    for (int64_t i = 0;; i++) {
        results_append_ms(r, c, 1 + i * (int64_t)block, ms, block);
        if (write(pipe_end, "x", 1) != 1)
            _exit(1);
    }
}

static size_t count_latencies(const char *path, size_t *runs)
{
    struct berth_results *r = results_open(path, BERTH_RESULTS_READ);
    struct berth_results_book book;
    struct berth_results_series series;
    size_t n = 0;
    assert_int_equal(berth_results_read(r, 0, &book, NULL), BERTH_OK);
    for (size_t i = 0; i < book.configurations; i++) {
        assert_int_equal(berth_results_read_series(r, book.configuration[i].id, &series, NULL), BERTH_OK);
        for (size_t t = 0; t < series.n; t++)
            assert_int_equal(series.trial[t], t + 1); /* none is missing */
        n += series.n;
        berth_results_series_clear(&series);
    }
    *runs = book.runs;
    berth_results_book_clear(&book);
    berth_results_close(r);
    return n;
}

/* Two processes append at once and are killed at any moment, again and again: whatever they were told is there. */
static void killed_writers_lose_at_most_what_was_in_flight(void **state)
{
    (void)state;
    char path[128];
    strcpy(path, results_file());
    size_t told = 0, runs = 0, most = 0;
    for (int round = 0; round < 6; round++) {
        int ends[2];
        pid_t child[2];
        assert_int_equal(pipe(ends), 0);
        for (int i = 0; i < 2; i++)
            if ((child[i] = fork()) == 0)
                append_for_ever(path, i ? "b" : "a", ends[1], i ? 3 : 1);
        close(ends[1]);
        char byte;
        for (int i = 0; i < 30 + 17 * round; i++) /* both are at it */
            assert_int_equal(read(ends[0], &byte, 1), 1);
        for (int i = 0; i < 2; i++)
            kill(child[i], SIGKILL);
        for (int i = 0; i < 2; i++)
            waitpid(child[i], NULL, 0);
        size_t appended = 30 + 17 * (size_t)round;
        while (read(ends[0], &byte, 1) == 1)
            appended++;
        close(ends[0]);
        told += appended, most += 3 * appended + 4;
        size_t found = count_latencies(path, &runs);
        if (found < told || found > most)
            fail_msg("round %d: %zu latencies, between %zu and %zu were appended", round, found, told, most);
    }
    assert_true(runs >= 6 && runs <= 12);
}

static void file_in_a_folder_that_nobody_may_write_is_read(void **state)
{
    (void)state;
    char folder[] = "/tmp/berth-results-ro-XXXXXX", path[128], command[256];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a ?#%%.db", folder);
    int64_t c = fill(path, 0);
    assert_int_equal(chmod(path, 0444) | chmod(folder, 0555), 0);
    if (access(folder, W_OK) == 0) { /* the superuser may write anywhere: as somebody else, then */
        pid_t child = fork();
        if (child == 0) {
            if (setgid(65534) != 0 || setuid(65534) != 0)
                _exit(0);
            struct berth_results *r;
            struct berth_results_series series;
            _exit(berth_results_open(path, BERTH_RESULTS_READ, &r, NULL) != BERTH_OK ||
                  berth_results_read_series(r, c, &series, NULL) != BERTH_OK || series.n != 5000);
        }
        int code;
        waitpid(child, &code, 0);
        assert_int_equal(code, 0);
    } else {
        struct berth_results *r = results_open(path, BERTH_RESULTS_READ);
        berth_results_close(r);
    }
    chmod(folder, 0755);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_that_are_none_are_named),
        cmocka_unit_test(versions_are_migrated_or_refused),
        cmocka_unit_test(damage_is_found_before_anything_is_read),
        cmocka_unit_test(blocks_that_lie_about_their_size_are_refused),
        cmocka_unit_test(foreign_schemas_are_refused),
        cmocka_unit_test(triggers_of_a_file_are_not_run),
        cmocka_unit_test(killed_writers_lose_at_most_what_was_in_flight),
        cmocka_unit_test(file_in_a_folder_that_nobody_may_write_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, remove_files);
}
