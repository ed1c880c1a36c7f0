/* test_queue.c: how batches are formed of what waits: in the order of arrival, of one kind of work, by tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "serve/queue.h"
#include "serve/request.h"

enum { CALLS = 4, TEXTS = 4, TOKENS = 64 };

static struct berth_server server;
static struct berth_request requests[CALLS];
static struct berth_call_item items[CALLS][TEXTS];
static int32_t ids[TOKENS];
static uint8_t types[TOKENS];
static struct berth_queue queue;
static struct berth_seat seat;
static struct berth_batch_text batch_texts[CALLS * TEXTS];
static struct berth_sequence sequences[CALLS * TEXTS];
static struct berth_batch batch = {.text = batch_texts, .sequence = sequences};

static int begin(void **state)
{
    (void)state;
    memset(requests, 0, sizeof requests);
    memset(items, 0, sizeof items);
    memset(&queue, 0, sizeof queue);
    berth_queue_init(&queue);
    seat = (struct berth_seat){0};
    berth_queue_add_seat(&queue, &seat);
    queue.max_tokens = 20;
    queue.max_texts = CALLS * TEXTS;
    return 0;
}

static int end(void **state)
{
    (void)state;
    berth_queue_clear_seat(&seat);
    berth_queue_clear(&queue);
    return 0;
}

/* Call `i` waits, with `count` texts of `size` tokens each. */
static void push(size_t i, enum berth_call_kind kind, enum berth_pooling pooling, size_t count, size_t size)
{
    unsigned refused;
    uint64_t wait;
    struct berth_call *call = &requests[i].call;
    requests[i].server = &server;
    requests[i].socket = -1;
    *call = (struct berth_call){.request = &requests[i], .kind = kind, .pooling = pooling, .items = items[i], .count = count,
                                .ids = ids, .type_ids = types, .tokens = count * size, .timeout_ns = UINT64_MAX, .limit_ns = UINT64_MAX};
    for (size_t k = 0; k < count; k++)
        items[i][k] = (struct berth_call_item){.size = size};
    assert_true(berth_queue_push(&queue, call, &refused, &wait));
}

/* The next batch: `wanted` names the calls of its texts by digits. Returns those calls that are whole by it. */
static struct berth_call *take(const char *wanted)
{
    struct berth_call *dead;
    char got[CALLS * TEXTS + 1] = "";
    assert_true(berth_queue_take(&queue, &seat, &batch, &dead));
    assert_null(dead);
    for (size_t i = 0; i < batch.texts; i++) {
        const struct berth_call *call = batch.text[i].call;
        got[i] = (char)('0' + (call->request - requests));
        assert_int_equal(call->kind, batch.kind); /* every text of a batch is computed as its batch says */
        if (call->kind == BERTH_CALL_EMBED)
            assert_int_equal(call->pooling, batch.pooling);
    }
    assert_string_equal(got, wanted);
    return berth_queue_finish(&queue, &batch, 1, 1);
}

static void kinds_of_work_are_not_mixed(void **state)
{
    (void)state;
    push(0, BERTH_CALL_CLASSIFY, BERTH_POOLING_MEAN, 1, 3);
    push(1, BERTH_CALL_EMBED, BERTH_POOLING_MEAN, 1, 3);
    push(2, BERTH_CALL_EMBED, BERTH_POOLING_CLS, 1, 3);
    push(3, BERTH_CALL_CLASSIFY, BERTH_POOLING_MEAN, 1, 3);
    assert_ptr_equal(take("03"), &requests[0].call);
    assert_ptr_equal(take("1"), &requests[1].call);
    assert_ptr_equal(take("2"), &requests[2].call);
    assert_int_equal(berth_queue_calls(&queue), 0);
}

static void large_call_leaves_half_of_a_batch_to_others(void **state)
{
    (void)state;
    push(0, BERTH_CALL_CLASSIFY, BERTH_POOLING_MEAN, 4, 8);
    push(1, BERTH_CALL_CLASSIFY, BERTH_POOLING_MEAN, 1, 4);
    assert_ptr_equal(take("001"), &requests[1].call);
    assert_ptr_equal(take("00"), &requests[0].call);
    push(0, BERTH_CALL_CLASSIFY, BERTH_POOLING_MEAN, 4, 4); /* alone, it has all */
    assert_ptr_equal(take("0000"), &requests[0].call);
}

static void a_long_text_is_passed_once_and_heads_the_next_batch(void **state)
{
    (void)state;
    push(0, BERTH_CALL_CLASSIFY, BERTH_POOLING_MEAN, 1, 12);
    push(1, BERTH_CALL_CLASSIFY, BERTH_POOLING_MEAN, 1, 16);
    push(2, BERTH_CALL_CLASSIFY, BERTH_POOLING_MEAN, 1, 8);
    push(3, BERTH_CALL_CLASSIFY, BERTH_POOLING_MEAN, 1, 1);
    take("02");
    take("13");
}

static void what_ends_in_the_queue_costs_nothing(void **state)
{
    (void)state;
    struct berth_call *dead;
    push(0, BERTH_CALL_CLASSIFY, BERTH_POOLING_MEAN, 1, 3);
    push(1, BERTH_CALL_CLASSIFY, BERTH_POOLING_MEAN, 1, 3);
    atomic_store(&requests[0].orphan, true);
    assert_true(berth_queue_take(&queue, &seat, &batch, &dead));
    assert_ptr_equal(dead, &requests[0].call);
    assert_int_equal(requests[0].reply.status, 499);
    assert_int_equal(batch.texts, 1);
    assert_ptr_equal(batch.text[0].call, &requests[1].call);
    assert_int_equal(queue.tokens, 0);
    berth_queue_close(&queue);
    assert_false(berth_queue_take(&queue, &seat, &batch, &dead));
    berth_reply_clear(&requests[0].reply);
}

static void a_bound_of_time_ends_a_batch_early(void **state)
{
    (void)state;
    queue.max_tokens = 1000;
    queue.ns_per_token = 10;
    queue.batch_ns = 3000; /* 300 tokens */
    for (size_t i = 0; i < CALLS; i++)
        push(i, BERTH_CALL_CLASSIFY, BERTH_POOLING_MEAN, 1, 140);
    take("01");
    queue.batch_ns = 1000; /* 100 tokens are too few to be worth it: 256 are taken */
    queue.ns_per_token = 10;
    take("2");
    queue.batch_ns = 0;
    take("3");
    push(0, BERTH_CALL_CLASSIFY, BERTH_POOLING_MEAN, 1, 700); /* one text is never too long */
    queue.batch_ns = 1;
    queue.ns_per_token = 10;
    take("0");
}

static void the_batch_under_way_is_waited_for(void **state)
{
    (void)state;
    struct berth_call *dead, late = {.timeout_ns = 1000000000u, .request = &requests[1], .items = items[1], .count = 1, .tokens = 1};
    unsigned refused;
    uint64_t wait;
    queue.ns_per_token = 1e9; /* a second each */
    push(0, BERTH_CALL_CLASSIFY, BERTH_POOLING_MEAN, 1, 3);
    assert_true(berth_queue_take(&queue, &seat, &batch, &dead));
    assert_false(berth_queue_push(&queue, &late, &refused, &wait)); /* three, less the time this took */
    assert_int_equal(refused, 429);
    assert_true(wait > 1000000000u && wait <= 3000000000u);
    seat.idle = true; /* it is done */
    assert_true(berth_queue_push(&queue, &late, &refused, &wait));
    assert_int_equal(wait, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kinds_of_work_are_not_mixed, begin, end),
        cmocka_unit_test_setup_teardown(large_call_leaves_half_of_a_batch_to_others, begin, end),
        cmocka_unit_test_setup_teardown(a_long_text_is_passed_once_and_heads_the_next_batch, begin, end),
        cmocka_unit_test_setup_teardown(what_ends_in_the_queue_costs_nothing, begin, end),
        cmocka_unit_test_setup_teardown(a_bound_of_time_ends_a_batch_early, begin, end),
        cmocka_unit_test_setup_teardown(the_batch_under_way_is_waited_for, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
