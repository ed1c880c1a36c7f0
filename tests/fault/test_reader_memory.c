/* test_reader_memory.c: each allocation of reading a file fails in turn: one sentence, nothing leaked, and
 * the same records when none fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "berth/berth.h"
#include "eval/scorer.h"
#include "support/fault.h"
#include "support/text_support.h"

/* Reads all records; returns the first failure, else counts them. */
static enum berth_status read_all(const char *path, enum berth_layout layout, size_t *count,
                                  struct berth_error *err)
{
    static const struct berth_columns columns = {.label = "label"};
    struct berth_reader *reader;
    struct berth_record record;
    bool end = false;
    *count = 0;
    enum berth_status status = berth_reader_open(path, layout, &columns, &reader, err);
    if (status != BERTH_OK)
        return status;
    while ((status = berth_reader_next(reader, &record, &end, err)) == BERTH_OK && !end)
        ++*count;
    berth_reader_close(reader);
    return status;
}

static void check_layout(enum berth_layout layout, const char *bytes, size_t size, size_t records)
{
    char path[64];
    struct berth_error err;
    size_t count;
    enum berth_status status = BERTH_NO_MEMORY;
    strcpy(path, text_file(bytes, size));
    long at = 0;
    for (; status != BERTH_OK; at++) {
        assert_true(at < 1000);
        err.message[0] = 0;
        fault_arm(at + 1);
        status = read_all(path, layout, &count, &err);
        fault_disarm();
        if (status != BERTH_OK)
            assert_true(status == BERTH_NO_MEMORY && strlen(err.message) > 10);
    }
    assert_int_equal(records, count);
    assert_true(at > 3); /* something did fail */
    text_file_remove(path);
}

static void reader_each_allocation_may_fail(void **state)
{
    (void)state;
    static const char table[] = "text,label\na,1\nb,0\n", tabs[] = "text\tlabel\na\t1\nb\t0\n";
    static const char json[] = "{\"text\":\"a\",\"label\":[1,\"x\"]}\n{\"text\":\"\xff\",\"label\":0.5}\n";
    check_layout(BERTH_LAYOUT_LINES, table, sizeof table - 1, 3);
    check_layout(BERTH_LAYOUT_CSV, table, sizeof table - 1, 2);
    check_layout(BERTH_LAYOUT_TSV, tabs, sizeof tabs - 1, 2);
    check_layout(BERTH_LAYOUT_JSONL, json, sizeof json - 1, 2);
}

static void reader_long_line_may_fail_to_grow(void **state)
{
    (void)state;
    size_t size = 3 << 20;
    char *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, 'x', size);
    check_layout(BERTH_LAYOUT_LINES, bytes, size, 1);
    free(bytes);
}

/* Scores a few examples; false when memory ran out. */
static bool score(const struct berth_model_info *model, const char *task)
{
    static const double target[2] = {1, 0};
    static const float logits[2] = {1, 0};
    struct berth_label_map labels;
    struct berth_scorer scorer;
    struct berth_evaluation evaluation = {0};
    if (berth_label_map_init(&labels, berth_task_find(task), model, NULL) != BERTH_OK)
        return false;
    enum berth_status status = berth_scorer_init(&scorer, &labels, NULL);
    for (int i = 0; i < 2000 && status == BERTH_OK; i++)
        status = berth_scorer_add(&scorer, target, logits, NULL);
    if (status == BERTH_OK)
        status = berth_scorer_finish(&scorer, &evaluation, NULL);
    char *json = status == BERTH_OK ? berth_evaluation_json(&evaluation) : NULL;
    bool ok = json != NULL;
    if (ok)
        assert_int_equal(json[strlen(json) - 1], '}'); /* whole or not at all */
    berth_free(json);
    berth_scorer_clear(&scorer);
    berth_label_map_clear(&labels);
    return ok;
}

static void scorer_each_allocation_may_fail(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b"};
    static const char *const problems[] = {"regression", "single_label_classification",
                                           "multi_label_classification"};
    for (size_t i = 0; i < 3; i++) {
        struct berth_model_info model = {
            .name = "m", .problem = problems[i], .has_head = true, .labels = i ? 2 : 1, .label_names = names};
        bool ok = false;
        long at = 0;
        for (; !ok; at++) {
            assert_true(at < 1000);
            fault_arm(at + 1);
            ok = score(&model, "csv");
            fault_disarm();
        }
        assert_true(at > 1); /* something did fail */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_each_allocation_may_fail),
        cmocka_unit_test(reader_long_line_may_fail_to_grow),
        cmocka_unit_test(scorer_each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
