/* test_predict.c: the whole way, from a model directory and texts to logits, through the public API, at every
 * instruction-set level: the reference's logits, and the same bits alone, in a batch, and on one, two or
 * three threads. Where only a part runs (support/part.h): one batch of three, others at each level, and fewer texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "berth/berth.h"
#include "support/golden.h"
#include "support/part.h"

static const double BOUND = 5e-5;
static const char *const levels[] = {"scalar", "avx2", "avx512"};
enum { TEXTS_MAX = 64 };

struct totals {
    size_t models, texts;
    double worst;
};

static struct berth_classifier *open_model(const char *directory, struct berth_options options)
{
    struct berth_classifier *classifier;
    struct berth_error err;
    if (berth_classifier_open(directory, &options, &classifier, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return classifier;
}

/* Texts of a golden batch; 0 when it was made from raw ids. */
static size_t texts_of(const json_t *batch, struct berth_text *texts)
{
    const json_t *inputs = json_object_get(batch, "inputs"), *input;
    size_t i, count = 0;
    json_array_foreach(inputs, i, input)
    {
        struct berth_text *text = &texts[count++];
        text->text = golden_string(input, "text", &text->size);
        text->pair = golden_string(input, "text_pair", &text->pair_size);
    }
    return count;
}

/* Largest distance of the batch's logits from the reference. */
static double distance(const struct berth_result *results, size_t count, const json_t *want)
{
    double worst = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < results[i].labels; k++) {
            double difference =
                fabs(results[i].logits[k] - json_number_value(json_array_get(json_array_get(want, i), k)));
            worst = difference > worst || isnan(difference) ? difference : worst;
        }
    return worst;
}

static void check_batch(const char *directory, const char *level, const json_t *batch, struct totals *totals)
{
    const json_t *want = json_object_get(batch, "logits_f64");
    struct berth_text texts[TEXTS_MAX];
    size_t count = texts_of(batch, texts);
    if (count == 0 || !want)
        return;
    const json_t *call = json_object_get(batch, "tokenizer_call");
    struct berth_options options = {.isa = level, .threads = 2};
    if (json_is_true(json_object_get(call, "truncation")) ||
        json_is_string(json_object_get(call, "truncation")))
        options.max_length = (size_t)json_integer_value(json_object_get(call, "max_length"));
    struct berth_classifier *classifier = open_model(directory, options);
    struct berth_result results[TEXTS_MAX];
    struct berth_error err;
    if (berth_classify(classifier, texts, count, results, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    double worst = distance(results, count, want);
    if (!(worst <= BOUND))
        fail_msg("%s, %s, batch %s: off by %g", directory, level,
                 json_string_value(json_object_get(batch, "name")), worst);
    if (count > 1) { /* negative control: another text's logits are not taken for these */
        struct berth_result swapped[TEXTS_MAX];
        memcpy(swapped, results, sizeof swapped);
        swapped[0] = results[1];
        if (memcmp(results[0].logits, results[1].logits, results[0].labels * sizeof(float)) != 0)
            assert_true(distance(swapped, count, want) > BOUND);
    }
    totals->texts += count;
    totals->worst = worst > totals->worst ? worst : totals->worst;
    berth_classifier_free(classifier);
}

static void predict_texts_gives_the_reference_logits(void **state)
{
    (void)state;
    json_t *index = golden_json(golden_path("golden/models/index.json"));
    struct totals totals = {0};
    const char *name;
    json_t *entry;
    size_t n;
    json_t *list = json_is_array(index) ? index : json_object_get(index, "models");
    json_t *names = json_array();
    if (json_is_object(list))
        json_object_foreach(list, name, entry) json_array_append_new(names, json_string(name));
    else
        json_array_foreach(list, n, entry)
            json_array_append(names, json_is_string(entry) ? entry : json_object_get(entry, "name"));
    json_array_foreach(names, n, entry)
    {
        char folder[512], file[600];
        snprintf(folder, sizeof folder, "golden/models/%s", json_string_value(entry));
        snprintf(file, sizeof file, "%s/golden.json", folder);
        if (strstr(folder, "relative"))
            continue; /* refused by name: tested in test_models.c */
        json_t *golden = golden_json(golden_path(file)), *batch;
        char directory[4096];
        snprintf(directory, sizeof directory, "%s", golden_path(folder));
        size_t b;
        for (size_t level = 0; level < 3; level++)
            json_array_foreach(json_object_get(golden, "batches"), b, batch)
                if (part_has(b + level + n, 3))
                    check_batch(directory, levels[level], batch, &totals);
        totals.models++;
        json_decref(golden);
    }
    printf("%zu models, %zu texts over all levels, largest distance %.2g\n", totals.models, totals.texts,
           totals.worst);
    assert_true(totals.models >= 15 && totals.texts > part_of(500, 150));
    json_decref(names);
    json_decref(index);
}

/* --- same text, same bits
 * --------------------------------------------------------------------------------------------------- */

enum { MANY = 64 };

static void make_texts(char storage[MANY][256], struct berth_text texts[MANY])
{
    static const char *const words[] = {"film",        "gripping", "not",  "the",          "unaffable",
                                        "caf\xc3\xa9", "1984",     "plot", "\xe4\xb8\xad", "!"};
    for (size_t i = 0; i < MANY; i++) {
        storage[i][0] = 0;
        for (size_t k = 0; k <= i % 23; k++) {
            strcat(storage[i], words[(i * 7 + k * 3) % 10]);
            strcat(storage[i], " ");
        }
        texts[i] = (struct berth_text){storage[i], strlen(storage[i]), NULL, 0};
    }
}

static void same_text_gives_the_same_bits(void **state)
{
    (void)state;
    static char storage[MANY][256];
    struct berth_text texts[MANY];
    make_texts(storage, texts);
    static const char *const models[] = {"random:bert-tiny", "random:electra-small"};
    for (size_t m = 0; m < 2; m++)
        for (size_t level = 0; level < 3; level++) {
            float want[MANY][2];
            for (size_t threads = 1; threads <= 3; threads++) {
                struct berth_options options = {.isa = levels[level],
                                                .threads = threads,
                                                .max_length = 128,
                                                .max_batch_tokens = 300 * threads};
                struct berth_classifier *classifier = open_model(models[m], options);
                struct berth_result results[MANY], alone;
                size_t texts_here =
                    m == 1 && level == 0 ? part_of(8, 2) : part_of(MANY, 10); /* the plain C kernels are slow on the larger model */
                assert_int_equal(berth_classify(classifier, texts, texts_here, results, NULL), BERTH_OK);
                for (size_t i = 0; i < texts_here; i++) {
                    if (threads == 1)
                        memcpy(want[i], results[i].logits, sizeof want[i]);
                    assert_memory_equal(want[i], results[i].logits, sizeof want[i]);
                }
                for (size_t i = 0; i < texts_here; i += 5) {
                    assert_int_equal(berth_classify(classifier, &texts[i], 1, &alone, NULL), BERTH_OK);
                    assert_memory_equal(want[i], alone.logits, sizeof want[i]);
                }
                berth_classifier_free(classifier);
            }
            assert_true(memcmp(want[0], want[1], sizeof want[0]) != 0); /* different texts do differ */
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predict_texts_gives_the_reference_logits),
        cmocka_unit_test(same_text_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
