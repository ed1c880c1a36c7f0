/* test_arena.c: pieces are aligned, bounded, and never overlap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"

static void take_gives_aligned_disjoint_pieces_until_full(void **state)
{
    (void)state;
    struct berth_arena arena;
    assert_true(berth_arena_init(&arena, berth_arena_need(3, 5) + berth_arena_need(100, 1)));
    unsigned char *a = berth_arena_take(&arena, 3, 5), *b = berth_arena_take(&arena, 100, 1);
    assert_non_null(a);
    assert_non_null(b);
    assert_true((uintptr_t)a % 64 == 0 && (uintptr_t)b % 64 == 0 && b >= a + 15);
    assert_null(berth_arena_take(&arena, 1, 1));
    berth_arena_reset(&arena);
    assert_ptr_equal(a, berth_arena_take(&arena, 1, 1));
    berth_arena_clear(&arena);
}

static void take_refuses_overflowing_sizes(void **state)
{
    (void)state;
    struct berth_arena arena;
    assert_true(berth_arena_init(&arena, 64));
    assert_null(berth_arena_take(&arena, SIZE_MAX, 2));
    assert_null(berth_arena_take(&arena, SIZE_MAX / 2, 1));
    berth_arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take_gives_aligned_disjoint_pieces_until_full),
        cmocka_unit_test(take_refuses_overflowing_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
