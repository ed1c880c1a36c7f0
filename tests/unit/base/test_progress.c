/* test_progress.c: what is drawn, and when nothing is; remarks reach their sink whole or cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"

static const uint64_t SECOND = 1000000000u;

static const char *note; /* of the next drawing */

/* What one update and the end print when the work began `seconds` ago; freed by the caller. */
static char *drawn(bool terminal, double seconds, size_t done, size_t total, bool ended)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    struct berth_progress progress;
    berth_progress_begin(&progress, stream, "texts", total);
    assert_false(progress.terminal); /* memory is none */
    progress.terminal = terminal;
    progress.note = note;
    progress.started -= (uint64_t)(seconds * (double)SECOND);
    berth_progress_update(&progress, done);
    if (ended)
        berth_progress_end(&progress, total);
    fclose(stream);
    return text;
}

static void check_drawn(bool terminal, double seconds, size_t done, size_t total, const char *words)
{
    char *text = drawn(terminal, seconds, done, total, false);
    if (words ? !strstr(text, words) : text[0] != 0)
        fail_msg("'%s' was drawn, not '%s'", text, words ? words : "");
    free(text);
}

static void update_waits_a_second_on_a_terminal_and_five_elsewhere(void **state)
{
    (void)state;
    check_drawn(true, 0.5, 5, 10, NULL);
    check_drawn(true, 1.5, 5, 10, "[###############...............]");
    check_drawn(false, 4.5, 5, 10, NULL);
    check_drawn(false, 5.5, 5, 10, " 50 %  5 of 10 texts");
}

static void update_tells_rate_and_time_left(void **state)
{
    (void)state;
    check_drawn(false, 10, 500, 1000, "50/s, 10 s left\n");
    check_drawn(false, 10, 100, 2100, "10/s, 3 min 20 s left\n");
    check_drawn(false, 10, 10, 7510, "1/s, 2 h 5 min left\n");
    check_drawn(false, 10, 3, 6, "0.3/s, 10 s left\n");
    check_drawn(false, 10, 0, 1000, "  0 %  0 of 1000 texts, 0/s\n");
    check_drawn(false, 10, 500, 0, "500 texts, 50/s\n"); /* no total: no share */
}

static void update_ends_with_the_note(void **state)
{
    (void)state;
    note = "loss 0.5";
    check_drawn(false, 10, 500, 1000, "50/s, 10 s left, loss 0.5\n");
    check_drawn(false, 10, 500, 0, "500 texts, 50/s, loss 0.5\n");
    note = NULL;
}

static void end_clears_the_bar_or_closes_the_lines(void **state)
{
    (void)state;
    char *bar = drawn(true, 2, 1, 10, true), *lines = drawn(false, 6, 1, 10, true),
         *nothing = drawn(true, 0, 1, 10, true);
    assert_string_equal(bar + strlen(bar) - 4, "\r\033[K");
    assert_non_null(strstr(lines, "100 %  10 of 10 texts"));
    assert_string_equal(nothing, "");
    free(bar);
    free(lines);
    free(nothing);
}

static void quiet_prints_nothing(void **state)
{
    (void)state;
    struct berth_progress progress;
    berth_progress_begin(&progress, NULL, "texts", 10);
    progress.started = 0;
    berth_progress_update(&progress, 5);
    berth_progress_end(&progress, 10);
}

static void clock_does_not_go_back(void **state)
{
    (void)state;
    uint64_t last = berth_clock_ns();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = berth_clock_ns();
        assert_true(now >= last);
        last = now;
    }
}

struct line {
    enum berth_log_level level;
    char text[3000];
};

static void keep(void *context, enum berth_log_level level, const char *text)
{
    struct line *line = context;
    line->level = level;
    strcpy(line->text, text);
}

static void log_hands_on_one_bounded_line(void **state)
{
    (void)state;
    struct line line = {0};
    struct berth_log log = {keep, &line}, silent = {0};
    berth_log_write(&log, BERTH_LOG_WARNING, "%s: %d", "model", 3);
    assert_int_equal(line.level, BERTH_LOG_WARNING);
    assert_string_equal(line.text, "model: 3");
    berth_log_write(&log, BERTH_LOG_INFO, "%05000d", 1);
    assert_int_equal(strlen(line.text), 2000);
    berth_log_write(NULL, BERTH_LOG_INFO, "x");
    berth_log_write(&silent, BERTH_LOG_INFO, "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(update_waits_a_second_on_a_terminal_and_five_elsewhere),
        cmocka_unit_test(update_tells_rate_and_time_left),
        cmocka_unit_test(update_ends_with_the_note),
        cmocka_unit_test(end_clears_the_bar_or_closes_the_lines),
        cmocka_unit_test(quiet_prints_nothing),
        cmocka_unit_test(clock_does_not_go_back),
        cmocka_unit_test(log_hands_on_one_bounded_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
