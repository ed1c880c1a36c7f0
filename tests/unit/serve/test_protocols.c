/* test_protocols.c: a server in this process: the exact bytes of every protocol's answer, made from what the library
 * itself says of the texts, also while other clients ask in other protocols. */
/* tsan */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "berth/berth.h"
#include "support/http.h"

enum { ANSWER_SIZE = 16384, TEXTS = 3 };

static struct berth_server *server;
static struct berth_classifier *classifier;
static const struct berth_text texts[TEXTS] = {
    BERTH_TEXT("a gripping, funny film"),
    {.text = "is it good", .size = 10, .pair = "it is", .pair_size = 5},
    BERTH_TEXT("\"quoted\" \xc3\xa9"),
};
static float logits[TEXTS][2], scores[TEXTS][2];
static size_t best[TEXTS];

static int start(void **state)
{
    (void)state;
    static const struct berth_served_model models[] = {{.name = "tiny", .model = "random:bert-tiny"},
                                                       {.name = "seven", .model = "random:bert-tiny@7"}};
    struct berth_server_options options = {.models = models, .model_count = 2};
    struct berth_result results[TEXTS];
    struct berth_error err = {0};
    if (berth_server_start(&options, &server, &err) || berth_classifier_open("random:bert-tiny", NULL, &classifier, &err) ||
        berth_classify(classifier, texts, TEXTS, results, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    for (size_t i = 0; i < TEXTS; i++) {
        memcpy(logits[i], results[i].logits, sizeof logits[i]);
        memcpy(scores[i], results[i].scores, sizeof scores[i]);
        best[i] = results[i].label_id;
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    berth_server_stop(server);
    berth_classifier_free(classifier);
    return 0;
}

static void check_status(const char *target, const char *body, int status, const char *wanted)
{
    char answer[ANSWER_SIZE];
    int got = http_ask(berth_server_port(server), body ? "POST" : "GET", target, body, answer, sizeof answer);
    if (got != status || strcmp(answer, wanted) != 0)
        fail_msg("%s %s: %d %s\nwanted: %d %s", target, body ? body : "", got, answer, status, wanted);
}

static void check(const char *target, const char *body, const char *wanted)
{
    check_status(target, body, 200, wanted);
}

/* {"score","label"} or the other way round, best first. */
static char *ranked(char *text, size_t size, size_t i, const float *values, bool score_first)
{
    size_t first = best[i], second = 1 - first;
    const char *format = score_first ? "[{\"score\":%.9g,\"label\":\"LABEL_%zu\"},{\"score\":%.9g,\"label\":\"LABEL_%zu\"}]"
                                     : "[{\"label\":\"LABEL_%zu\",\"score\":%.9g},{\"label\":\"LABEL_%zu\",\"score\":%.9g}]";
    if (score_first)
        snprintf(text, size, format, (double)values[first], first, (double)values[second], second);
    else
        snprintf(text, size, format, first, (double)values[first], second, (double)values[second]);
    return text;
}

static void predict_answers_as_the_library(void **state)
{
    (void)state;
    char a[256], b[256], c[256], wanted[1024];
    check("/predict", "{\"inputs\":\"a gripping, funny film\"}", ranked(a, sizeof a, 0, scores[0], true));
    check("/predict", " {\"raw_scores\":true, \"inputs\":[\"a gripping, funny film\"]} ", ranked(a, sizeof a, 0, logits[0], true));
    check("/predict?model=tiny", "{\"inputs\":[\"is it good\",\"it is\"],\"model\":null}", ranked(a, sizeof a, 1, scores[1], true));
    snprintf(wanted, sizeof wanted, "[%s,%s,%s]", ranked(a, sizeof a, 0, scores[0], true),
             ranked(b, sizeof b, 1, scores[1], true), ranked(c, sizeof c, 2, scores[2], true));
    check("/predict", "{\"inputs\":[[\"a gripping, funny film\"],[\"is it good\",\"it is\"],[\"\\\"quoted\\\" \\u00e9\"]],"
                      "\"model\":\"tiny\"}", wanted);
}

static void hugging_face_answers_as_the_library(void **state)
{
    (void)state;
    char a[256], b[256], wanted[1024];
    snprintf(wanted, sizeof wanted, "[%s]", ranked(a, sizeof a, 0, scores[0], false));
    check("/models/tiny", "{\"inputs\":\"a gripping, funny film\"}", wanted);
    snprintf(wanted, sizeof wanted, "[%s,%s]", ranked(a, sizeof a, 0, logits[0], false), ranked(b, sizeof b, 1, logits[1], false));
    check("/models/tiny", "{\"parameters\":{\"function_to_apply\":\"none\"},\"inputs\":[\"a gripping, funny film\","
                          "{\"text\":\"is it good\",\"text_pair\":\"it is\"}]}", wanted);
    snprintf(wanted, sizeof wanted, "[[{\"label\":\"LABEL_%zu\",\"score\":%.9g}]]", best[2], (double)scores[2][best[2]]);
    check("/models/tiny", "{\"inputs\":[\"\\\"quoted\\\" \xc3\xa9\"],\"parameters\":{\"top_k\":1}}", wanted);
    check("/models/tiny", "{\"inputs\":[\"\\\"quoted\\\" \xc3\xa9\"],\"parameters\":{\"return_all_scores\":false,\"function_to_apply\":\"softmax\"}}", wanted);
}

static void open_inference_answers_as_the_library(void **state)
{
    (void)state;
    char wanted[1024], body[1024];
    snprintf(wanted, sizeof wanted, "{\"model_name\":\"tiny\",\"model_version\":\"1\",\"id\":\"x\\\"y\",\"outputs\":[{\"name\":\"logits\","
             "\"datatype\":\"FP32\",\"shape\":[2,2],\"data\":[%.9g,%.9g,%.9g,%.9g]}]}",
             (double)logits[0][0], (double)logits[0][1], (double)logits[2][0], (double)logits[2][1]);
    check("/v2/models/tiny/infer", "{\"id\":\"x\\\"y\",\"inputs\":[{\"name\":\"text\",\"shape\":[2],\"datatype\":\"BYTES\","
          "\"data\":[\"a gripping, funny film\",\"\\\"quoted\\\" \xc3\xa9\"]}]}", wanted);
    snprintf(wanted, sizeof wanted, "{\"model_name\":\"tiny\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"label\",\"datatype\":\"BYTES\","
             "\"shape\":[1],\"data\":[\"LABEL_%zu\"]},{\"name\":\"score\",\"datatype\":\"FP32\",\"shape\":[1],\"data\":[%.9g]}]}",
             best[1], (double)scores[1][best[1]]);
    check("/v2/models/tiny/versions/1/infer", "{\"outputs\":[{\"name\":\"label\"},{\"name\":\"score\"}],\"inputs\":[{\"name\":\"text\","
          "\"shape\":[1,2],\"datatype\":\"BYTES\",\"data\":[[\"is it good\",\"it is\"]]}]}", wanted);

    struct berth_model *model;
    struct berth_tokens tokens = {0};
    assert_int_equal(berth_model_open("random:bert-tiny", NULL, &model, NULL), BERTH_OK);
    assert_int_equal(berth_tokenize(model, &texts[1], 0, &tokens, NULL), BERTH_OK);
    char ids[256] = "", types[256] = "", mask[256] = "";
    for (size_t i = 0; i < tokens.size; i++) {
        sprintf(ids + strlen(ids), "%d,", (int)tokens.ids[i]);
        sprintf(types + strlen(types), "%d,", tokens.type_ids[i]);
        sprintf(mask + strlen(mask), "1,");
    }
    for (int nested = 0; nested < 2; nested++) { /* two tokens of padding behind the text */
        snprintf(body, sizeof body, "{\"inputs\":[{\"name\":\"input_ids\",\"shape\":[1,%zu],\"datatype\":\"INT64\",\"data\":%s%s0,0%s},"
                 "{\"name\":\"attention_mask\",\"shape\":[1,%zu],\"datatype\":\"INT64\",\"data\":%s%s0,0%s},"
                 "{\"name\":\"token_type_ids\",\"shape\":[1,%zu],\"datatype\":\"INT64\",\"data\":%s%s0,0%s}]}",
                 tokens.size + 2, nested ? "[[" : "[", ids, nested ? "]]" : "]", tokens.size + 2, nested ? "[[" : "[",
                 mask, nested ? "]]" : "]", tokens.size + 2, nested ? "[[" : "[", types, nested ? "]]" : "]");
        snprintf(wanted, sizeof wanted, "{\"model_name\":\"tiny\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"logits\",\"datatype\":"
                 "\"FP32\",\"shape\":[1,2],\"data\":[%.9g,%.9g]}]}", (double)logits[1][0], (double)logits[1][1]);
        check("/v2/models/tiny/infer", body, wanted);
    }
    berth_tokens_clear(&tokens);
    berth_model_free(model);
}

static void vectors_are_the_same_in_both_protocols(void **state)
{
    (void)state;
    static char embed[ANSWER_SIZE], openai[ANSWER_SIZE], wanted[ANSWER_SIZE + 512];
    unsigned port = berth_server_port(server);
    assert_int_equal(http_ask(port, "POST", "/embed", "{\"inputs\":[\"a gripping, funny film\"]}", embed, sizeof embed), 200);
    assert_int_equal(http_ask(port, "POST", "/v1/embeddings", "{\"input\":\"a gripping, funny film\",\"model\":\"tiny\"}", openai, sizeof openai), 200);
    embed[strlen(embed) - 1] = 0; /* the outer list */
    const char *usage = strstr(openai, "\"prompt_tokens\":");
    assert_non_null(usage);
    unsigned tokens = (unsigned)strtoul(usage + strlen("\"prompt_tokens\":"), NULL, 10);
    assert_true(tokens > 2);
    snprintf(wanted, sizeof wanted, "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"embedding\":%s,\"index\":0}],\"model\":\"tiny\","
             "\"usage\":{\"prompt_tokens\":%u,\"total_tokens\":%u}}", embed + 1, tokens, tokens);
    assert_string_equal(openai, wanted);
    double sum = 0;
    for (const char *at = embed + 2; *at;) {
        char *end;
        double number = strtod(at, &end);
        sum += number * number;
        at = *end ? end + 1 : end;
    }
    assert_true(sum > 0.9999 && sum < 1.0001);
}

static void wrong_requests_have_their_status(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *target, *body, *words;
    } asked[] = {
        {404, "/predict", "{\"inputs\":\"a\",\"model\":\"none\"}", "no model named 'none'"},
        {404, "/v1/embeddings", "{\"input\":\"a\",\"model\":\"none\"}", "no model named 'none'"},
        {404, "/models/none", "{\"inputs\":\"a\"}", "no model named 'none'"},
        {404, "/v2/models/none/infer", "{}", "no model named 'none'"},
        {404, "/v2/models/none", NULL, "no model named 'none'"},
        {404, "/v2/models/none/ready", NULL, "no model named 'none'"},
        {404, "/v2/models/tiny/versions/9/infer", "{}", "in version 9"},
        {404, "/v2/models/tiny/versions/1/nothing", "{}", "no such path"},
        {404, "/v2/models//infer", "{}", "no such path"},
        {405, "/v2/models/tiny/infer", NULL, "use POST"},
        {405, "/v2", "{}", "use GET"},
        {405, "/predict", NULL, "use POST"},
        {422, "/predict", "{\"inputs\":[[\"a\",\"b\",\"c\"]]}", "more than two"},
        {422, "/predict", "{\"inputs\":[[]]}", "empty list"},
        {422, "/predict", "{\"inputs\":[\"a\",5]}", "no text"},
        {422, "/predict", "{\"inputs\":{\"a\":1}}", "no text"},
        {422, "/predict", "{\"inputs\":\"a\",\"truncation_direction\":\"up\"}", "use left or right"},
        {422, "/predict", "{\"inputs\":\"a\",\"raw_scores\":\"yes\"}", "true or false"},
        {422, "/embed", "{\"inputs\":\"a\",\"dimensions\":0}", "dimensions 0"},
        {422, "/embed", "{\"inputs\":\"a\",\"dimensions\":129}", "have 128"},
        {422, "/embed", "{\"inputs\":\"a\",\"pooling\":\"max\"}", "use mean or cls"},
        {422, "/embed", "{\"inputs\":\"a\",\"prompt_name\":\"query\"}", "prompt_name"},
        {400, "/embed", "{\"inputs\":[]}", "is empty"},
        {422, "/embed", "{\"inputs\":[5,6,\"a\"]}", "no integer"},
        {422, "/embed", "{\"inputs\":[5,99999999999]}", "token id"},
        {400, "/embed", "{\"inputs\":[5,99999999999999999999]}", "64 bits"},
        {422, "/tokenize", "{\"inputs\":[5]}", "no text"},
        {422, "/decode", "{\"ids\":[-1]}", "token id"},
        {422, "/decode", "{\"ids\":\"a\"}", "no list"},
        {422, "/models/tiny", "{\"inputs\":[{\"txt\":\"a\"}]}", "no \\\"text\\\""},
        {422, "/models/tiny", "{\"inputs\":\"a\",\"parameters\":{\"top_k\":0}}", "top_k 0"},
        {422, "/models/tiny", "{\"inputs\":\"a\",\"parameters\":{\"function_to_apply\":\"tanh\"}}", "use softmax"},
        {400, "/models/tiny", "{\"inputs\":[]}", "is empty"},
        {422, "/v1/embeddings", "{\"input\":\"a\",\"encoding_format\":\"hex\"}", "use float or base64"},
        {422, "/v1/embeddings", "{\"model\":\"tiny\"}", "no \\\"input\\\""},
        {400, "/v1/embeddings", "{\"input\":[]}", "is empty"},
        {422, "/v2/models/tiny/infer", "{\"inputs\":[{\"name\":\"input_ids\",\"shape\":[1,3],\"datatype\":\"INT64\",\"data\":[2,7,3]},{\"name\":"
              "\"attention_mask\",\"shape\":[1,3],\"datatype\":\"INT64\",\"data\":[1,0,1]}]}", "masks token 1"},
        {422, "/v2/models/tiny/infer", "{\"inputs\":[{\"name\":\"input_ids\",\"shape\":[1,3],\"datatype\":\"INT64\",\"data\":[2,7,3]},{\"name\":"
              "\"attention_mask\",\"shape\":[1,3],\"datatype\":\"INT64\",\"data\":[0,0,0]}]}", "masks every token"},
        {422, "/v2/models/tiny/infer", "{\"inputs\":[{\"name\":\"input_ids\",\"shape\":[1,3],\"datatype\":\"INT64\",\"data\":[2,7,3]},{\"name\":"
              "\"token_type_ids\",\"shape\":[1,3],\"datatype\":\"INT64\",\"data\":[0,2,0]}]}", "0 to 1 are allowed"},
    };
    char answer[ANSWER_SIZE];
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        int got = http_ask(berth_server_port(server), asked[i].body ? "POST" : "GET", asked[i].target, asked[i].body, answer,
                           sizeof answer);
        if (got != asked[i].status || !strstr(answer, asked[i].words) || strncmp(answer, "{\"error\": \"", 11) != 0 ||
            !strstr(answer, "\"error_type\": \""))
            fail_msg("%s %s: %d %s\nwanted: %d %s", asked[i].target, asked[i].body ? asked[i].body : "", got, answer,
                     asked[i].status, asked[i].words);
    }
}

static void long_text_is_cut_on_either_side_or_refused(void **state)
{
    (void)state;
    static char body[8192], right[ANSWER_SIZE], other[ANSWER_SIZE];
    char words[4096] = "";
    unsigned port = berth_server_port(server);
    for (int i = 0; i < 600; i++)
        strcat(words, i < 300 ? "good " : "bad ");
    snprintf(body, sizeof body, "{\"inputs\":\"%s\",\"truncate\":false}", words);
    assert_int_equal(http_ask(port, "POST", "/predict", body, other, sizeof other), 422);
    assert_non_null(strstr(other, "512 tokens"));
    snprintf(body, sizeof body, "{\"inputs\":\"%s\"}", words);
    assert_int_equal(http_ask(port, "POST", "/predict", body, right, sizeof right), 200);
    snprintf(body, sizeof body, "{\"inputs\":\"%s\",\"truncate\":true}", words);
    assert_int_equal(http_ask(port, "POST", "/predict", body, other, sizeof other), 200);
    assert_string_equal(other, right);
}

/* --- all protocols at once ---------------------------------------------------------------------------- */

enum { CLIENTS = 4, ROUNDS = 12 };
static const struct {
    const char *target, *body;
} mixed[CLIENTS] = {
    {"/predict", "{\"inputs\":[[\"a gripping, funny film\"],[\"is it good\",\"it is\"]]}"},
    {"/v2/models/tiny/infer", "{\"inputs\":[{\"name\":\"text\",\"shape\":[2],\"datatype\":\"BYTES\",\"data\":[\"a\",\"much longer text than that\"]}]}"},
    {"/v1/embeddings", "{\"input\":[\"a gripping, funny film\",\"b\"]}"},
    {"/models/seven", "{\"inputs\":[\"a gripping, funny film\",\"b\"]}"},
};
static char right_answers[CLIENTS][ANSWER_SIZE];
static atomic_int wrong;

static void *ask_often(void *argument)
{
    size_t which = (size_t)(uintptr_t)argument;
    static _Thread_local char answer[ANSWER_SIZE];
    for (int i = 0; i < ROUNDS; i++)
        if (http_ask(berth_server_port(server), "POST", mixed[which].target, mixed[which].body, answer, sizeof answer) != 200 ||
            strcmp(answer, right_answers[which]) != 0)
            wrong++;
    return NULL;
}

static void answers_under_load_are_the_same_bytes(void **state)
{
    (void)state;
    pthread_t threads[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(http_ask(berth_server_port(server), "POST", mixed[i].target, mixed[i].body, right_answers[i], ANSWER_SIZE), 200);
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predict_answers_as_the_library),
        cmocka_unit_test(hugging_face_answers_as_the_library),
        cmocka_unit_test(open_inference_answers_as_the_library),
        cmocka_unit_test(vectors_are_the_same_in_both_protocols),
        cmocka_unit_test(wrong_requests_have_their_status),
        cmocka_unit_test(long_text_is_cut_on_either_side_or_refused),
        cmocka_unit_test(answers_under_load_are_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
