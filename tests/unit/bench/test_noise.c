/* test_noise.c: what makes a run noisy, and that quiet is quiet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "bench/noise.h"

/* 100 seconds of one processor in ticks: half of it this process's own, `steal` and `others` shares of all. */
static struct berth_noise make_noise(double steal, double others)
{
    double tick = (double)sysconf(_SC_CLK_TCK), total = 100 * tick;
    struct berth_noise noise = {0};
    noise.end.total = (uint64_t)total;
    noise.end.steal = (uint64_t)(steal * total);
    noise.end.own = 50;
    noise.end.idle = (uint64_t)((0.5 - steal - others) * total);
    return noise;
}

static void check_words(struct berth_noise noise, bool alone, const char *words)
{
    struct berth_noise_verdict verdict;
    berth_noise_judge(&noise, alone, &verdict);
    if (!strstr(verdict.words, words))
        fail_msg("'%s' where '%s' is wanted", verdict.words, words);
    assert_int_equal(verdict.noisy, strcmp(words, "quiet") != 0);
}

static void noise_of_each_kind_is_told(void **state)
{
    (void)state;
    check_words(make_noise(0, 0), true, "quiet");
    check_words(make_noise(0.005, 0.04), true, "quiet");
    check_words(make_noise(0.02, 0), true, "the host took 2.0 % of the time");
    check_words(make_noise(0, 0.1), true, "other processes used 10.0 % of the processors");
    check_words(make_noise(0, 0.1), false, "quiet"); /* the server may be one of them */
    struct berth_noise noise = make_noise(0, 0);
    noise.fastest = 3000, noise.slowest = 2400;
    check_words(noise, true, "the frequency fell by 20.0 %");
    noise = make_noise(0, 0);
    noise.begin.load = (double)sysconf(_SC_NPROCESSORS_ONLN) * 3;
    check_words(noise, false, "when it began");
    noise.begin.load = 0.5;
    check_words(noise, false, "quiet");
}

static void noise_all_at_once_fits(void **state)
{
    (void)state;
    struct berth_noise noise = make_noise(0.25, 0.2);
    struct berth_noise_verdict verdict;
    noise.begin.load = 123456.7, noise.fastest = 5000, noise.slowest = 1;
    berth_noise_judge(&noise, true, &verdict);
    assert_non_null(strstr(verdict.words, "the frequency fell by 100.0 %"));
}

static void noise_parse_reads_proc_stat(void **state)
{
    (void)state;
    struct berth_noise_point point;
    assert_true(berth_noise_parse("cpu  1 2 3 40 5 6 7 8 0 0", &point));
    assert_int_equal(point.total, 72);
    assert_int_equal(point.idle, 45);
    assert_int_equal(point.steal, 8);
    assert_false(berth_noise_parse("cpu  1 2", &point));
    assert_false(berth_noise_parse("intr 1 2 3 4", &point));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_of_each_kind_is_told),
        cmocka_unit_test(noise_all_at_once_fits),
        cmocka_unit_test(noise_parse_reads_proc_stat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
