/* test_train_order.c: epochs are permutations, made again by seed and number; batches of like lengths;
 * bounds; and the log that a kill cuts off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "train/journal.h"
#include "train/order.h"

enum { COUNT = 1003, BATCH = 8 };

static struct berth_train_data make_data(void)
{
    static size_t offsets[COUNT + 1];
    struct berth_rng rng;
    struct berth_train_data data = {.count = COUNT, .offsets = offsets};
    berth_rng_seed(&rng, 1);
    for (size_t i = 0; i < COUNT; i++) {
        size_t length = 1 + (size_t)berth_rng_below(&rng, 60);
        offsets[i + 1] = offsets[i] + length;
        data.longest = length > data.longest ? length : data.longest;
    }
    return data;
}

static void fill_of_any_kind_is_a_permutation_made_again_by_seed(void **state)
{
    (void)state;
    const struct berth_train_data data = make_data();
    size_t rows[COUNT], again[COUNT], scratch[COUNT];
    for (int kind = BERTH_ORDER_FILE; kind <= BERTH_ORDER_BY_LENGTH; kind++) {
        bool seen[COUNT] = {false};
        berth_order_fill(rows, scratch, &data, (enum berth_order_kind)kind, BATCH, 5, 2);
        for (size_t i = 0; i < COUNT; i++) {
            assert_true(rows[i] < COUNT && !seen[rows[i]]);
            seen[rows[i]] = true;
        }
        berth_order_fill(again, scratch, &data, (enum berth_order_kind)kind, BATCH, 5, 2);
        assert_memory_equal(rows, again, sizeof rows);
        berth_order_fill(again, scratch, &data, (enum berth_order_kind)kind, BATCH, 5, 3);
        assert_true((memcmp(rows, again, sizeof rows) == 0) == (kind == BERTH_ORDER_FILE));
        berth_order_fill(again, scratch, &data, (enum berth_order_kind)kind, BATCH, 6, 2);
        assert_true((memcmp(rows, again, sizeof rows) == 0) == (kind == BERTH_ORDER_FILE));
    }
}

/* Tokens that padding to the longest of each batch would add. */
static size_t padding(const struct berth_train_data *data, const size_t *rows)
{
    size_t sum = 0;
    for (size_t first = 0; first < COUNT; first += BATCH) {
        size_t longest = 0, tokens = 0, end = first + BATCH < COUNT ? first + BATCH : COUNT;
        for (size_t i = first; i < end; i++) {
            size_t length = data->offsets[rows[i] + 1] - data->offsets[rows[i]];
            longest = length > longest ? length : longest;
            tokens += length;
        }
        sum += longest * (end - first) - tokens;
    }
    return sum;
}

static void batches_by_length_have_like_lengths(void **state)
{
    (void)state;
    const struct berth_train_data data = make_data();
    size_t rows[COUNT], scratch[COUNT];
    berth_order_fill(rows, scratch, &data, BERTH_ORDER_SHUFFLED, BATCH, 5, 0);
    size_t loose = padding(&data, rows);
    berth_order_fill(rows, scratch, &data, BERTH_ORDER_BY_LENGTH, BATCH, 5, 0);
    assert_true(padding(&data, rows) * 10 < loose);
}

static void bounds_hold_for_every_batch(void **state)
{
    (void)state;
    const struct berth_train_data data = make_data();
    const struct berth_network_bounds bounds = berth_order_bounds(&data, BATCH);
    size_t rows[COUNT], scratch[COUNT], most = 0;
    berth_order_fill(rows, scratch, &data, BERTH_ORDER_BY_LENGTH, COUNT, 0, 0); /* longest first */
    for (size_t i = 0; i < BATCH; i++)
        most += data.offsets[rows[i] + 1] - data.offsets[rows[i]];
    assert_int_equal(bounds.tokens, most);
    assert_int_equal(bounds.texts, BATCH);
    assert_int_equal(bounds.longest, data.longest);
}

static void journal_that_was_cut_off_keeps_whole_lines_up_to_a_step(void **state)
{
    (void)state;
    char directory[] = "/tmp/berth-journal-XXXXXX", path[128], text[256] = "";
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/log.jsonl", directory);
    FILE *file = fopen(path, "w");
    fputs("{\"step\":10}\n{\"step\":20}\n{\"step\":30}\n{\"st", file);
    fclose(file);
    struct berth_journal journal;
    assert_int_equal(berth_journal_open(&journal, directory, "log.jsonl", 20, NULL), BERTH_OK);
    assert_int_equal(berth_journal_write(&journal, json_pack("{s:i}", "step", 21), NULL), BERTH_OK);
    berth_journal_close(&journal);
    file = fopen(path, "r");
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    assert_string_equal(text, "{\"step\":10}\n{\"step\":20}\n{\"step\":21}\n");
    unlink(path);
    rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fill_of_any_kind_is_a_permutation_made_again_by_seed),
        cmocka_unit_test(batches_by_length_have_like_lengths),
        cmocka_unit_test(bounds_hold_for_every_batch),
        cmocka_unit_test(journal_that_was_cut_off_keeps_whole_lines_up_to_a_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
