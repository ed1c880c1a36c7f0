/* test_threads.c: every piece runs exactly once, whatever the counts; teams work side by side; bursts and
 * pauses. */
/* tsan */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/threads.h"

enum { PIECES_MAX = 1000 };

struct count {
    _Atomic int times[PIECES_MAX];
    _Atomic size_t highest_member;
};

static void count_piece(void *context, size_t index, size_t member)
{
    struct count *count = context;
    atomic_fetch_add(&count->times[index], 1);
    if (member > atomic_load(&count->highest_member))
        atomic_store(&count->highest_member, member);
}

static void check_runs(size_t threads, int runs)
{
    struct berth_error err;
    struct berth_team *team;
    assert_int_equal(berth_team_new(threads, &team, &err), BERTH_OK);
    assert_int_equal(berth_team_size(team), threads);
    static const size_t counts[] = {0, 1, 2, 3, 7, PIECES_MAX};
    for (int run = 0; run < runs; run++)
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            struct count count = {0};
            berth_team_run(team, counts[c], count_piece, &count);
            for (size_t i = 0; i < PIECES_MAX; i++)
                assert_int_equal(atomic_load(&count.times[i]), i < counts[c] ? 1 : 0);
            assert_true(atomic_load(&count.highest_member) < threads);
        }
    berth_team_free(team);
}

static void run_any_count_on_any_team_does_each_piece_once(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= 6; threads++)
        check_runs(threads, 50);
}

static void run_after_a_pause_wakes_sleeping_members(void **state)
{
    (void)state;
    struct berth_error err;
    struct berth_team *team;
    assert_int_equal(berth_team_new(3, &team, &err), BERTH_OK);
    for (int i = 0; i < 20; i++) {
        usleep(2000);
        struct count count = {0};
        berth_team_run(team, 100, count_piece, &count);
        for (size_t k = 0; k < 100; k++)
            assert_int_equal(atomic_load(&count.times[k]), 1);
    }
    berth_team_free(team);
}

static void *run_own_team(void *argument)
{
    (void)argument;
    struct berth_team *team;
    if (berth_team_new(2, &team, NULL) != BERTH_OK)
        return "no team";
    for (int i = 0; i < 200; i++) {
        struct count count = {0};
        berth_team_run(team, 10, count_piece, &count);
        for (size_t k = 0; k < 10; k++)
            if (atomic_load(&count.times[k]) != 1)
                return "a piece did not run once";
    }
    berth_team_free(team);
    return NULL;
}

static void several_teams_at_once_do_not_mix(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_own_team, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *fault;
        pthread_join(threads[i], &fault);
        assert_null(fault);
    }
}

/* Pieces of very different cost, and enough of them that members meet at the end of the list. */
static void spin_unevenly(void *context, size_t index, size_t member)
{
    volatile size_t work = index % 17 == 0 ? 20000 : 10;
    while (work > 0)
        work--;
    count_piece(context, index, member);
}

static void run_uneven_pieces_returns_when_all_are_done(void **state)
{
    (void)state;
    struct berth_team *team;
    assert_int_equal(berth_team_new(4, &team, NULL), BERTH_OK);
    for (int run = 0; run < 20; run++) {
        struct count count = {0};
        berth_team_run(team, 200, spin_unevenly, &count);
        for (size_t i = 0; i < 200; i++)
            assert_int_equal(atomic_load(&count.times[i]), 1);
    }
    berth_team_free(team);
}

/* No room for a thread's stack: some members start, one does not, all are taken back. */
static void new_that_cannot_start_a_thread_says_so_and_cleans_up(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* sanitizers reserve more address space than any limit leaves */
#endif
    struct rlimit before, small;
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    assert_true(file && fscanf(file, "%lu", &pages) == 1 && fclose(file) == 0);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    small = before;
    small.rlim_cur = pages * (unsigned long)sysconf(_SC_PAGESIZE) + (256ul << 20);
    struct berth_error err = {0};
    struct berth_team *team = (struct berth_team *)1;
    assert_int_equal(setrlimit(RLIMIT_AS, &small), 0);
    enum berth_status status = berth_team_new(BERTH_THREADS_MAX, &team, &err);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(status, BERTH_IO);
    assert_null(team);
    assert_non_null(strstr(err.message, "of 1024; ask for fewer with --threads"));
    check_runs(3, 1); /* and threads can be had again */
}

static void new_refuses_a_count_out_of_range(void **state)
{
    (void)state;
    struct berth_error err;
    struct berth_team *team = (struct berth_team *)1;
    assert_int_equal(berth_team_new(0, &team, &err), BERTH_INVALID_ARGUMENT);
    assert_null(team);
    assert_non_null(strstr(err.message, "0 threads"));
    assert_int_equal(berth_team_new(BERTH_THREADS_MAX + 1, &team, &err), BERTH_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_any_count_on_any_team_does_each_piece_once),
        cmocka_unit_test(run_after_a_pause_wakes_sleeping_members),
        cmocka_unit_test(several_teams_at_once_do_not_mix),
        cmocka_unit_test(run_uneven_pieces_returns_when_all_are_done),
        cmocka_unit_test(new_that_cannot_start_a_thread_says_so_and_cleans_up),
        cmocka_unit_test(new_refuses_a_count_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
