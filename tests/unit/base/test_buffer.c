/* test_buffer.c: growth up to the limit, never beyond; a refusal changes nothing. The heap's sizes are
 * checked beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"

static void append_up_to_the_limit_then_refuses(void **state)
{
    (void)state;
    struct berth_buffer buffer;
    berth_buffer_init(&buffer, 100);
    for (int i = 0; i < 100; i++)
        assert_true(berth_buffer_append(&buffer, &(char){(char)('a' + i % 26)}, 1));
    assert_int_equal(buffer.size, 100);
    assert_false(berth_buffer_append(&buffer, "x", 1));
    assert_false(berth_buffer_text(&buffer, "x"));
    assert_false(berth_buffer_format(&buffer, "%d", 1));
    assert_false(berth_buffer_reserve(&buffer, SIZE_MAX));
    assert_true(berth_buffer_append(&buffer, "", 0));
    assert_int_equal(buffer.size, 100);
    assert_int_equal(strlen(buffer.data), 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(buffer.data[i], 'a' + i % 26);
    berth_buffer_clear(&buffer);
    assert_null(buffer.data);
    berth_buffer_clear(&buffer);
}

static void append_keeps_nul_bytes(void **state)
{
    (void)state;
    struct berth_buffer buffer;
    berth_buffer_init(&buffer, 1000);
    assert_true(berth_buffer_append(&buffer, "a\0b", 3));
    assert_true(berth_buffer_format(&buffer, "%s-%d", "c", 42));
    assert_int_equal(buffer.size, 7);
    assert_memory_equal(buffer.data, "a\0bc-42", 8);
    berth_buffer_clear(&buffer);
}

static void reserve_makes_later_appends_stay_in_place(void **state)
{
    (void)state;
    struct berth_buffer buffer;
    berth_buffer_init(&buffer, 10000);
    assert_true(berth_buffer_reserve(&buffer, 5000));
    const char *data = buffer.data;
    for (int i = 0; i < 500; i++)
        assert_true(berth_buffer_text(&buffer, "0123456789"));
    assert_ptr_equal(buffer.data, data);
    berth_buffer_clear(&buffer);
}

static void alloc_overflowing_sizes_give_null(void **state)
{
    (void)state;
    assert_null(berth_malloc(SIZE_MAX, 2));
    assert_null(berth_calloc(SIZE_MAX / 2, 3));
    assert_null(berth_malloc(SIZE_MAX / 2, 1));
    assert_null(berth_aligned(SIZE_MAX));
    char *block = berth_strdup("kept");
    assert_null(berth_realloc(block, SIZE_MAX, 2));
    assert_string_equal(block, "kept");
    berth_free(block);
    berth_free(NULL);
}

static void alloc_zero_and_aligned_blocks_can_be_used(void **state)
{
    (void)state;
    void *zero = berth_malloc(0, 8), *cleared = berth_calloc(0, 0);
    assert_non_null(zero);
    assert_non_null(cleared);
    berth_free(zero);
    berth_free(cleared);
    static const size_t sizes[] = {0, 1, 64, 65, (4 << 20) - 1, (4 << 20) + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *block = berth_aligned(sizes[i]);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % BERTH_ALIGNMENT, 0);
        memset(block, 1, sizes[i]);
        berth_free(block);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append_up_to_the_limit_then_refuses),
        cmocka_unit_test(append_keeps_nul_bytes),
        cmocka_unit_test(reserve_makes_later_appends_stay_in_place),
        cmocka_unit_test(alloc_overflowing_sizes_give_null),
        cmocka_unit_test(alloc_zero_and_aligned_blocks_can_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
