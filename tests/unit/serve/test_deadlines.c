/* test_deadlines.c: a step that takes too long ends the connection; one that is paused, renewed or over does
 * not. */
/* tsan */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/deadlines.h"

enum { TIMEOUT_MS = 160 };

struct pair {
    int ours, theirs;
    struct berth_watch *watch;
};

static struct berth_deadlines *deadlines;

static void make_pair(struct pair *pair)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    *pair = (struct pair){.ours = fds[0], .theirs = fds[1]};
    pair->watch = berth_deadlines_watch(deadlines, pair->ours);
    assert_non_null(pair->watch);
}

static void drop_pair(struct pair *pair)
{
    berth_deadlines_forget(deadlines, pair->watch);
    close(pair->ours);
    close(pair->theirs);
}

/* True when the other side sees the end of the stream within ms. */
static bool ends_within(const struct pair *pair, int ms)
{
    struct pollfd poll_fd = {.fd = pair->theirs, .events = POLLIN};
    char byte;
    return poll(&poll_fd, 1, ms) == 1 && read(pair->theirs, &byte, 1) == 0;
}

static void watch_that_is_late_is_cut_and_not_before(void **state)
{
    (void)state;
    struct pair pair;
    uint64_t started = berth_clock_ns();
    make_pair(&pair);
    assert_true(ends_within(&pair, 20 * TIMEOUT_MS));
    assert_true(berth_clock_ns() - started >= TIMEOUT_MS * 1000000u);
    drop_pair(&pair);
}

static void watch_that_is_paused_is_never_cut(void **state)
{
    (void)state;
    struct pair pair;
    make_pair(&pair);
    berth_deadlines_pause(deadlines, pair.watch);
    assert_false(ends_within(&pair, 3 * TIMEOUT_MS));
    berth_deadlines_begin(deadlines, pair.watch, NULL);
    assert_true(ends_within(&pair, 20 * TIMEOUT_MS));
    drop_pair(&pair);
}

static void watch_that_is_forgotten_leaves_the_others(void **state)
{
    (void)state;
    struct pair pairs[3];
    for (size_t i = 0; i < 3; i++)
        make_pair(&pairs[i]);
    berth_deadlines_forget(deadlines, pairs[1].watch);
    pairs[1].watch = NULL;
    assert_true(ends_within(&pairs[0], 20 * TIMEOUT_MS));
    assert_true(ends_within(&pairs[2], 20 * TIMEOUT_MS));
    assert_false(ends_within(&pairs[1], TIMEOUT_MS));
    for (size_t i = 0; i < 3; i++)
        drop_pair(&pairs[i]);
}

static void watch_with_a_farewell_sends_it_before_the_cut(void **state)
{
    (void)state;
    struct pair pair;
    char bytes[8] = "";
    make_pair(&pair);
    berth_deadlines_begin(deadlines, pair.watch, "late");
    struct pollfd poll_fd = {.fd = pair.theirs, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 20 * TIMEOUT_MS), 1);
    assert_int_equal(read(pair.theirs, bytes, sizeof bytes), 4);
    assert_string_equal(bytes, "late");
    assert_true(ends_within(&pair, 20 * TIMEOUT_MS));
    drop_pair(&pair);
}

/* An event loop that is told of changes only, and has taken an end that came with data for data alone, is told again. */
static void watch_whose_client_has_closed_its_side_is_told_of_again(void **state)
{
    (void)state;
    struct pair pair, busy;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    char byte;
    make_pair(&pair);
    make_pair(&busy);
    berth_deadlines_pause(deadlines, busy.watch); /* its answer is on the way: nothing is done about it */
    int loop = epoll_create1(0);
    event.data.fd = pair.ours;
    assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, pair.ours, &event), 0);
    event.data.fd = busy.ours;
    assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, busy.ours, &event), 0);
    for (struct pair *each = &pair;; each = &busy) {
        assert_int_equal(write(each->theirs, "x", 1), 1);
        shutdown(each->theirs, SHUT_WR);
        assert_int_equal(epoll_wait(loop, &event, 1, 20 * TIMEOUT_MS), 1);
        assert_int_equal(read(each->ours, &byte, 1), 1);
        if (each == &busy)
            break;
        assert_int_equal(epoll_wait(loop, &event, 1, TIMEOUT_MS * 3 / 4), 1);
        assert_int_equal(event.data.fd, pair.ours);
    }
    assert_int_equal(epoll_wait(loop, &event, 1, 0), 0);
    close(loop);
    drop_pair(&pair);
    drop_pair(&busy);
}

static void gone_of_a_closed_side_is_true(void **state)
{
    (void)state;
    struct pair pair;
    make_pair(&pair);
    assert_false(berth_deadlines_closed(pair.ours));
    assert_int_equal(write(pair.theirs, "x", 1), 1); /* more to read is no end */
    assert_false(berth_deadlines_closed(pair.ours));
    shutdown(pair.theirs, SHUT_WR);
    assert_true(berth_deadlines_closed(pair.ours));
    assert_false(berth_deadlines_closed(-1));
    drop_pair(&pair);
}

static int start(void **state)
{
    (void)state;
    return berth_deadlines_new(TIMEOUT_MS, &deadlines, NULL);
}

static int stop(void **state)
{
    (void)state;
    berth_deadlines_watch(deadlines, -1); /* one that nobody forgot is freed, too */
    berth_deadlines_free(deadlines);
    berth_deadlines_free(NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watch_that_is_late_is_cut_and_not_before),
        cmocka_unit_test(watch_that_is_paused_is_never_cut),
        cmocka_unit_test(watch_that_is_forgotten_leaves_the_others),
        cmocka_unit_test(watch_with_a_farewell_sends_it_before_the_cut),
        cmocka_unit_test(watch_whose_client_has_closed_its_side_is_told_of_again),
        cmocka_unit_test(gone_of_a_closed_side_is_true),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
