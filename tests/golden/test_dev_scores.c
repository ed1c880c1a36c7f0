/* test_dev_scores.c: SST-2's dev file and the trained models' published logits, through reader, labels and
 * scorer: the published numbers of right answers come out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval/scorer.h"
#include "support/golden.h"

static const char *const names[] = {"negative", "positive"};
static const struct berth_model_info model = {.name = "m",
                                              .problem = "single_label_classification",
                                              .has_head = true,
                                              .labels = 2,
                                              .label_names = names};

/* Scores dev with logits [872][2]; `shift` pairs each text with another's logits. */
static void score_dev(const json_t *all, size_t shift, struct berth_evaluation *evaluation)
{
    struct berth_label_map labels;
    struct berth_scorer scorer;
    struct berth_reader *reader;
    struct berth_record record;
    bool end;
    const char *path = golden_find("data/sst2/dev.tsv");
    assert_non_null(path);
    assert_int_equal(BERTH_OK, berth_label_map_init(&labels, berth_task_find("sst2"), &model, NULL));
    assert_int_equal(BERTH_OK, berth_scorer_init(&scorer, &labels, NULL));
    assert_int_equal(BERTH_OK, berth_reader_open_task(path, "sst2", NULL, true, &reader, NULL));
    for (size_t i = 0;; i++) {
        double target;
        assert_int_equal(BERTH_OK, berth_reader_next(reader, &record, &end, NULL));
        if (end)
            break;
        const json_t *row = json_array_get(all, (i + shift) % json_array_size(all));
        float logits[] = {(float)json_number_value(json_array_get(row, 0)),
                          (float)json_number_value(json_array_get(row, 1))};
        assert_int_equal(BERTH_OK, berth_label_map_read(&labels, record.label, &target, NULL));
        assert_int_equal(BERTH_OK, berth_scorer_add(&scorer, &target, logits, NULL));
    }
    assert_int_equal(BERTH_OK, berth_scorer_finish(&scorer, evaluation, NULL));
    berth_reader_close(reader);
    berth_scorer_clear(&scorer);
    berth_label_map_clear(&labels);
}

static void scorer_trained_models_have_their_published_right_answers(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        double right;
    } published[] = {{"sst2-bert-small", 705}, {"sst2-distilbert-small", 710}, {"sst2-electra-small", 707}};
    for (size_t i = 0; i < 3; i++) {
        struct berth_evaluation evaluation;
        char relative[128];
        snprintf(relative, sizeof relative, "golden/trained/%s/golden_dev_logits.json", published[i].model);
        json_t *root = json_load_file(golden_find(relative), 0, NULL);
        const json_t *logits = json_object_get(root, "dev_logits");
        assert_non_null(logits);
        score_dev(logits, 0, &evaluation);
        assert_int_equal(872, evaluation.examples);
        assert_string_equal("accuracy", evaluation.metric[0].name);
        assert_true(evaluation.metric[0].value == published[i].right / 872);
        score_dev(logits, 1, &evaluation); /* negative control: logits of the neighbour */
        assert_true(evaluation.metric[0].value < 0.6);
        json_decref(root);
    }
}

int main(void)
{
    golden_path("golden/trained/sst2-bert-small/golden_dev_logits.json");
    golden_path("data/sst2/dev.tsv");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scorer_trained_models_have_their_published_right_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
