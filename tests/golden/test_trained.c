/* test_trained.c: the trained SST-2 checkpoints on the whole development set, from text to logits. Where only a part
 * runs (support/part.h): every model, level and precision, each on one sentence of 16, another one each time. */
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
#include "support/golden.h"
#include "support/engine_support.h"
#include "support/part.h"
#include "text/tokenizer.h"

enum { MAX_LENGTH = 128, SENTENCES = 2000, LABELS = 2, PART = 16 };

/* docs/numerics.md: of logits, by precision; and of accuracy, lost against fp32. */
static const double bounds[] = {
    [BERTH_NUMBER_F32] = 5e-5, [BERTH_NUMBER_BF16] = 0.02, [BERTH_NUMBER_S8] = 0.06};
static const double accuracy_bounds[] = {
    [BERTH_NUMBER_F32] = 1e-4, [BERTH_NUMBER_BF16] = 0.003, [BERTH_NUMBER_S8] = 0.003};
static const char *const number_names[] = {"fp32", "bf16", "int8"};
static char trained[512], dev[512];

struct sentences {
    int32_t *ids;
    size_t *offsets;
    int *labels;
    size_t *rows; /* which sentence of the file each one is */
    size_t count;
};

/* Tokens of column 1 and the label of column 2, from the line after the header on; in part: those of `turn`. */
static void read_sentences(struct sentences *s, const struct berth_tokenizer *tokenizer, size_t turn)
{
    char *text, *save = NULL;
    size_t size, row = 0;
    struct berth_error err;
    struct berth_encoding encoding = {0};
    assert_int_equal(berth_file_read(dev, 1 << 24, &text, &size, &err), BERTH_OK);
    s->ids = calloc(SENTENCES * MAX_LENGTH, sizeof *s->ids);
    s->offsets = calloc(SENTENCES + 1, sizeof *s->offsets);
    s->labels = calloc(SENTENCES, sizeof *s->labels);
    s->rows = calloc(SENTENCES, sizeof *s->rows);
    s->count = 0;
    strtok_r(text, "\n", &save);
    for (char *line = strtok_r(NULL, "\n", &save); line; line = strtok_r(NULL, "\n", &save), row++) {
        if (!part_has(row + turn, PART))
            continue;
        assert_true(s->count < SENTENCES);
        s->rows[s->count] = row;
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

/* The golden logits of the sentences; freed by the caller. */
static double *wanted(const json_t *golden, const struct sentences *s)
{
    double *all, *want = calloc(s->count * LABELS, sizeof *want);
    size_t count = support_numbers(json_object_get(golden, "dev_logits"), &all);
    assert_true(want && (part_only() || count == s->count * LABELS));
    for (size_t i = 0; i < s->count * LABELS; i++) {
        assert_true(s->rows[i / LABELS] < count / LABELS);
        want[i] = all[s->rows[i / LABELS] * LABELS + i % LABELS];
    }
    free(all);
    return want;
}

static void check_trained(const char *name, enum berth_number number, enum berth_isa isa, size_t turn)
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
    read_sentences(&s, tokenizer, turn);
    size_t tokens = s.offsets[s.count], right = 0, changed = 0;
    support_runner_open_as(&runner, encoder, number, isa, 2, tokens);
    float *logits = calloc(s.count * LABELS, sizeof *logits);
    struct berth_batch batch = {.texts = s.count, .offsets = s.offsets, .ids = s.ids};
    struct berth_outputs outputs = {.logits = logits};
    if (berth_engine_run(runner.engine, &batch, &outputs, &err) != BERTH_OK)
        fail_msg("%s", err.message);

    snprintf(path, sizeof path, "%s/%s/golden_dev_logits.json", trained, name);
    json_t *golden = json_load_file(path, 0, NULL);
    double *want = wanted(golden, &s);
    double distance = support_distance(logits, want, s.count * LABELS);
    for (size_t i = 0; i < s.count; i++) {
        bool positive = logits[2 * i + 1] > logits[2 * i];
        right += positive == s.labels[i];
        changed += positive != (want[2 * i + 1] > want[2 * i]);
    }
    double accuracy = (double)right / (double)s.count;
    printf("%-24s %s %-7s logits %.1e  accuracy %.4f  answers changed %.2f %%  (%zu sentences)\n", name,
           number_names[number], berth_isa_name(isa), distance, accuracy,
           100.0 * (double)changed / (double)s.count, s.count);
    assert_true(distance <= bounds[number]);
    if (!part_only())
        assert_float_equal(accuracy, json_number_value(json_object_get(golden, "dev_accuracy")),
                           accuracy_bounds[number]);
    /* The checker rejects a wrong answer: the sentences shifted by one. */
    assert_true(support_distance(logits, want + LABELS, (s.count - 1) * LABELS) > bounds[number]);

    json_decref(golden);
    free(want);
    free(logits);
    free(s.ids);
    free(s.offsets);
    free(s.labels);
    free(s.rows);
    support_runner_close(&runner);
    berth_tokenizer_free(tokenizer);
}

static void run_trained_models_give_reference_logits(void **state)
{
    (void)state;
    static const char *const names[] = {"sst2-bert-small", "sst2-distilbert-small", "sst2-electra-small"};
    size_t turn = 0;
    for (size_t i = 0; i < 3; i++)
        for (enum berth_isa isa = BERTH_ISA_SCALAR; isa <= support_best_isa(); isa++)
            for (enum berth_number number = BERTH_NUMBER_F32; number <= BERTH_NUMBER_S8; number++)
                if (berth_kernels_select(isa)->isa == isa)
                    check_trained(names[i], number, isa, turn++);
}

int main(void)
{
    snprintf(trained, sizeof trained, "%s", golden_path("golden/trained"));
    snprintf(dev, sizeof dev, "%s", golden_path("data/sst2/dev.tsv"));
    const struct CMUnitTest tests[] = {cmocka_unit_test(run_trained_models_give_reference_logits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
