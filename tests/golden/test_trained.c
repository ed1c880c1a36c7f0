/* test_trained.c: the trained SST-2 checkpoints on the whole development set, from text to logits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/alloc.h"
#include "support/engine_support.h"
#include "text/tokenizer.h"

enum { MAX_LENGTH = 128, SENTENCES = 2000, LABELS = 2 };

static const double bound = 5e-5; /* docs/numerics.md */
static char trained[512], dev[512];

struct sentences {
    int32_t *ids;
    size_t *offsets;
    int *labels;
    size_t count;
};

/* Tokens of column 1 and the label of column 2, from the line after the header on. */
static void read_sentences(struct sentences *s, const struct berth_tokenizer *tokenizer)
{
    char *text, *save = NULL;
    size_t size;
    struct berth_error err;
    struct berth_encoding encoding = {0};
    assert_int_equal(berth_file_read(dev, 1 << 24, &text, &size, &err), BERTH_OK);
    s->ids = calloc(SENTENCES * MAX_LENGTH, sizeof *s->ids);
    s->offsets = calloc(SENTENCES + 1, sizeof *s->offsets);
    s->labels = calloc(SENTENCES, sizeof *s->labels);
    s->count = 0;
    strtok_r(text, "\n", &save);
    for (char *line = strtok_r(NULL, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        assert_true(s->count < SENTENCES);
        size_t length = strcspn(line, "\t");
        s->labels[s->count] = atoi(line + length + 1);
        if (berth_tokenizer_encode(tokenizer, line, length, NULL, 0, MAX_LENGTH, &encoding, &err) != BERTH_OK)
            fail_msg("%s", err.message);
        memcpy(s->ids + s->offsets[s->count], encoding.ids, encoding.size * sizeof *s->ids);
        s->offsets[s->count + 1] = s->offsets[s->count] + encoding.size;
        s->count++;
    }
    berth_encoding_clear(&encoding);
    berth_free(text);
}

static void check_trained(const char *name, enum berth_isa isa)
{
    char path[700];
    struct berth_error err;
    struct berth_encoder *encoder;
    struct berth_tokenizer *tokenizer;
    struct support_runner runner;
    struct sentences s;
    snprintf(path, sizeof path, "%s/%s", trained, name);
    if (berth_encoder_open(path, &encoder, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    if (berth_tokenizer_open(path, NULL, &tokenizer, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    read_sentences(&s, tokenizer);
    size_t tokens = s.offsets[s.count], right = 0;
    support_runner_open(&runner, encoder, isa, 2, tokens);
    float *logits = calloc(s.count * LABELS, sizeof *logits);
    struct berth_batch batch = {.texts = s.count, .offsets = s.offsets, .ids = s.ids};
    struct berth_outputs outputs = {.logits = logits};
    if (berth_engine_run(runner.engine, &batch, &outputs, &err) != BERTH_OK)
        fail_msg("%s", err.message);

    snprintf(path, sizeof path, "%s/%s/golden_dev_logits.json", trained, name);
    json_t *golden = json_load_file(path, 0, NULL);
    double *want;
    assert_int_equal(support_numbers(json_object_get(golden, "dev_logits"), &want), s.count * LABELS);
    double distance = support_distance(logits, want, s.count * LABELS);
    for (size_t i = 0; i < s.count; i++)
        right += (logits[2 * i + 1] > logits[2 * i]) == s.labels[i];
    double accuracy = (double)right / (double)s.count;
    printf("%-24s %-7s logits %.1e  accuracy %.4f  (%zu sentences)\n", name, berth_isa_name(isa), distance,
           accuracy, s.count);
    assert_true(distance <= bound);
    assert_float_equal(accuracy, json_number_value(json_object_get(golden, "dev_accuracy")), 1e-4);
    /* The checker rejects a wrong answer: the sentences shifted by one. */
    assert_true(support_distance(logits, want + LABELS, (s.count - 1) * LABELS) > bound);

    json_decref(golden);
    free(want);
    free(logits);
    free(s.ids);
    free(s.offsets);
    free(s.labels);
    support_runner_close(&runner);
    berth_tokenizer_free(tokenizer);
}

static void run_trained_models_give_reference_logits(void **state)
{
    (void)state;
    static const char *const names[] = {"sst2-bert-small", "sst2-distilbert-small", "sst2-electra-small"};
    for (size_t i = 0; i < 3; i++)
        for (int isa = 0; isa <= (int)support_best_isa(); isa++)
            if (berth_kernels_select((enum berth_isa)isa)->isa == (enum berth_isa)isa)
                check_trained(names[i], (enum berth_isa)isa);
}

int main(void)
{
    if (!support_shared("test_trained", "golden/trained", trained, sizeof trained) ||
        !support_shared("test_trained", "data/sst2/dev.tsv", dev, sizeof dev))
        return 77;
    const struct CMUnitTest tests[] = {cmocka_unit_test(run_trained_models_give_reference_logits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
