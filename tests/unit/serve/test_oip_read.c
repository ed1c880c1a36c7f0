/* test_oip_read.c: bodies of inferences: what is taken, and what is refused with which status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/oip.h"

#define TEXT_INPUT "{\"name\":\"text\",\"shape\":[2],\"datatype\":\"BYTES\",\"data\":[\"a\",\"b\"]}"
#define IDS(shape, data) "{\"name\":\"input_ids\",\"shape\":" shape ",\"datatype\":\"INT64\",\"data\":" data "}"
#define MASK(shape, data) "{\"name\":\"attention_mask\",\"shape\":" shape ",\"datatype\":\"INT64\",\"data\":" data "}"

struct case_of_body {
    unsigned status; /* 0: taken */
    const char *words, *json;
    const char *binary; /* behind it; NULL: nothing */
    size_t binary_size;
};

static bool count_text(void *context, struct berth_slice text)
{
    (void)text;
    ++*(size_t *)context;
    return true;
}

/* As the handler reads: the body, then all elements. */
static bool read_all(struct berth_buffer *body, size_t json_size, struct berth_oip_inputs *inputs,
                     struct berth_oip_form *form, struct berth_reply *reply)
{
    bool good = berth_oip_read(body, json_size, inputs, form, reply);
    for (size_t i = 0; i < BERTH_OIP_INPUTS && good; i++) {
        const struct berth_oip_tensor *tensor = &inputs->tensor[i];
        size_t count = 0;
        int32_t *values = calloc(tensor->elements + 1, sizeof *values);
        if (tensor->name)
            good = i == BERTH_OIP_TEXT ? berth_oip_texts(tensor, count_text, &count, reply)
                                       : berth_oip_integers(tensor, 0, i == BERTH_OIP_IDS ? 30521 : 1, values, reply);
        if (good && i == BERTH_OIP_TEXT && tensor->name)
            assert_int_equal(count, tensor->elements);
        free(values);
    }
    return good;
}

static void check(const struct case_of_body *body)
{
    size_t json_size = strlen(body->json), size = json_size + body->binary_size;
    char *bytes = malloc(size ? size : 1); /* exactly as large: a byte read behind it is found */
    memcpy(bytes, body->json, json_size);
    if (body->binary)
        memcpy(bytes + json_size, body->binary, body->binary_size);
    struct berth_buffer buffer = {.data = bytes, .size = size};
    struct berth_oip_inputs inputs;
    struct berth_oip_form form;
    struct berth_reply reply = {0};
    bool good = read_all(&buffer, json_size, &inputs, &form, &reply);
    if (good != (body->status == 0) || reply.status != body->status ||
        (body->words && !strstr(reply.body.data, body->words)))
        fail_msg("%s: status %u, want %u with '%s': %s", body->json, reply.status, body->status,
                 body->words ? body->words : "", reply.body.data ? reply.body.data : "");
    berth_reply_clear(&reply);
    free(bytes);
}

static void bodies_are_taken(void **state)
{
    (void)state;
    static const struct case_of_body bodies[] = {
        {0, NULL, "{\"inputs\":[" TEXT_INPUT "]}", NULL, 0},
        {0, NULL, "{\"id\":\"1\",\"parameters\":{\"x\":[{}]},\"inputs\":[" TEXT_INPUT "],\"outputs\":[],\"more\":1}", NULL, 0},
        {0, NULL, "{\"id\":null,\"inputs\":[" TEXT_INPUT "],\"outputs\":[{\"name\":\"score\"},{\"name\":\"logits\"},{\"name\":\"label\"}]}", NULL, 0},
        {0, NULL, "{\"inputs\":[{\"data\":[[\"a\"],[\"b\"]],\"datatype\":\"BYTES\",\"shape\":[2,1],\"name\":\"text\"}]}", NULL, 0},
        {0, NULL, "{\"inputs\":[{\"data\":[\"a\",\"b\"],\"datatype\":\"BYTES\",\"shape\":[1,2],\"name\":\"text\"}]}", NULL, 0},
        {0, NULL, "{\"inputs\":[" IDS("[2,2]", "[[1,2],[3,4]]") "," MASK("[2,2]", "[1,1,1,0]") "]}", NULL, 0},
        {0, NULL, "{\"inputs\":[" IDS("[1,2]", "[1,2]") "]}", NULL, 0},
        {0, NULL, "{\"inputs\":[{\"name\":\"text\",\"shape\":[2],\"datatype\":\"BYTES\",\"parameters\":{\"binary_data_size\":9}}]}", "\1\0\0\0x\0\0\0\0", 9},
        {0, NULL, "{\"inputs\":[{\"name\":\"input_ids\",\"shape\":[1,1],\"datatype\":\"INT64\",\"parameters\":{\"binary_data_size\":8}}]}", "\1\0\0\0\0\0\0\0", 8},
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        check(&bodies[i]);
}

static void wrong_bodies_are_refused_by_name(void **state)
{
    (void)state;
    static const struct case_of_body bodies[] = {
        {400, "ends early", "", NULL, 0},
        {400, "not JSON", "{\"inputs\":[", NULL, 0},
        {400, "not JSON", "{\"inputs\":[]} x", NULL, 0},
        {400, "twice", "{\"inputs\":[],\"inputs\":[]}", NULL, 0},
        {422, "not a JSON object", "[]", NULL, 0},
        {422, "no \\\"inputs\\\"", "{}", NULL, 0},
        {422, "no \\\"inputs\\\"", "{\"inputs\":null}", NULL, 0},
        {422, "is no list", "{\"inputs\":{}}", NULL, 0},
        {422, "no input 'text'", "{\"inputs\":[]}", NULL, 0},
        {422, "not a text", "{\"id\":5,\"inputs\":[" TEXT_INPUT "]}", NULL, 0},
        {422, "not a JSON object", "{\"inputs\":[5]}", NULL, 0},
        {422, "no \\\"name\\\"", "{\"inputs\":[{}]}", NULL, 0},
        {422, "named 'x'", "{\"inputs\":[{\"name\":\"x\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"a\"]}]}", NULL, 0},
        {422, "given twice", "{\"inputs\":[" TEXT_INPUT "," TEXT_INPUT "]}", NULL, 0},
        {422, "to be BYTES", "{\"inputs\":[{\"name\":\"text\",\"shape\":[1],\"datatype\":\"INT64\",\"data\":[1]}]}", NULL, 0},
        {422, "to be INT64", "{\"inputs\":[{\"name\":\"input_ids\",\"shape\":[1,1],\"datatype\":\"FP32\",\"data\":[1]}]}", NULL, 0},
        {422, "to be BYTES", "{\"inputs\":[{\"name\":\"text\",\"shape\":[1],\"data\":[1]}]}", NULL, 0},
        {422, "no \\\"shape\\\"", "{\"inputs\":[{\"name\":\"text\",\"datatype\":\"BYTES\",\"data\":[\"a\"]}]}", NULL, 0},
        {422, "no \\\"data\\\"", "{\"inputs\":[{\"name\":\"text\",\"datatype\":\"BYTES\",\"shape\":[1]}]}", NULL, 0},
        {422, "dimension of 0", "{\"inputs\":[{\"name\":\"text\",\"datatype\":\"BYTES\",\"shape\":[0],\"data\":[]}]}", NULL, 0},
        {422, "dimension of -1", "{\"inputs\":[" IDS("[-1,2]", "[]") "]}", NULL, 0},
        {422, "more elements", "{\"inputs\":[" IDS("[4294967296,4294967296]", "[]") "]}", NULL, 0},
        {422, "more elements", "{\"inputs\":[" IDS("[9223372036854775807,3]", "[]") "]}", NULL, 0},
        {400, "beyond 64 bits", "{\"inputs\":[" IDS("[9223372036854775808,1]", "[]") "]}", NULL, 0},
        {422, "more than 2 dimensions", "{\"inputs\":[" IDS("[1,1,1]", "[1]") "]}", NULL, 0},
        {422, "no dimension", "{\"inputs\":[" IDS("[]", "[1]") "]}", NULL, 0},
        {422, "no integer", "{\"inputs\":[" IDS("[1.5,1]", "[1]") "]}", NULL, 0},
        {422, "is no list", "{\"inputs\":[" IDS("5", "[1]") "]}", NULL, 0},
        {422, "[texts,tokens]", "{\"inputs\":[" IDS("[2]", "[1,2]") "]}", NULL, 0},
        {422, "[texts,2]", "{\"inputs\":[{\"name\":\"text\",\"datatype\":\"BYTES\",\"shape\":[1,3],\"data\":[\"a\",\"b\",\"c\"]}]}", NULL, 0},
        {422, "does not match", "{\"inputs\":[" IDS("[2,2]", "[1,2,3]") "]}", NULL, 0},
        {422, "does not match", "{\"inputs\":[" IDS("[2,2]", "[1,2,3,4,5]") "]}", NULL, 0},
        {422, "does not match", "{\"inputs\":[" IDS("[2,2]", "[[1,2],[3]]") "]}", NULL, 0},
        {422, "does not match", "{\"inputs\":[" IDS("[2,2]", "[[1,2],[3,4,5]]") "]}", NULL, 0},
        {422, "does not match", "{\"inputs\":[" IDS("[2,2]", "[[1,2],[3,4],[5,6]]") "]}", NULL, 0},
        {422, "does not match", "{\"inputs\":[" IDS("[2,2]", "[[1,2],3,4]") "]}", NULL, 0},
        {422, "does not match", "{\"inputs\":[" IDS("[2,2]", "[1,2,[3,4]]") "]}", NULL, 0},
        {422, "does not match", "{\"inputs\":[" IDS("[1,1]", "[[[1]]]") "]}", NULL, 0},
        {422, "does not match", "{\"inputs\":[" IDS("[1,1]", "[]") "]}", NULL, 0},
        {422, "is no list", "{\"inputs\":[" IDS("[1,1]", "1") "]}", NULL, 0},
        {422, "no integer", "{\"inputs\":[" IDS("[1,2]", "[1,1.5]") "]}", NULL, 0},
        {422, "no integer", "{\"inputs\":[" IDS("[1,2]", "[1,\"2\"]") "]}", NULL, 0},
        {422, "element 1 is -1", "{\"inputs\":[" IDS("[1,2]", "[1,-1]") "]}", NULL, 0},
        {422, "element 0 is 30522", "{\"inputs\":[" IDS("[1,2]", "[30522,1]") "]}", NULL, 0},
        {422, "element 0 is 9223372036854775807", "{\"inputs\":[" IDS("[1,1]", "[9223372036854775807]") "]}", NULL, 0},
        {400, "not JSON", "{\"inputs\":[" IDS("[1,1]", "[NaN]") "]}", NULL, 0},
        {422, "element 0 is 2; 0 to 1", "{\"inputs\":[" IDS("[1,1]", "[1]") "," MASK("[1,1]", "[2]") "]}", NULL, 0},
        {422, "different shapes", "{\"inputs\":[" IDS("[1,2]", "[1,2]") "," MASK("[2,1]", "[1,1]") "]}", NULL, 0},
        {422, "different shapes", "{\"inputs\":[" IDS("[1,2]", "[1,2]") "," MASK("[2]", "[1,1]") "]}", NULL, 0},
        {422, "no input 'text'", "{\"inputs\":[" MASK("[1,1]", "[1]") "]}", NULL, 0},
        {422, "at once", "{\"inputs\":[" TEXT_INPUT "," IDS("[1,1]", "[1]") "]}", NULL, 0},
        {422, "is no text", "{\"inputs\":[{\"name\":\"text\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[1]}]}", NULL, 0},
        {422, "named 'y'", "{\"inputs\":[" TEXT_INPUT "],\"outputs\":[{\"name\":\"y\"}]}", NULL, 0},
        {422, "asked for twice", "{\"inputs\":[" TEXT_INPUT "],\"outputs\":[{\"name\":\"logits\"},{\"name\":\"logits\"}]}", NULL, 0},
        {422, "1 or more", "{\"inputs\":[" TEXT_INPUT "],\"outputs\":[{\"name\":\"logits\",\"parameters\":{\"classification\":0}}]}", NULL, 0},
        {422, "true or false", "{\"inputs\":[" TEXT_INPUT "],\"outputs\":[{\"name\":\"logits\",\"parameters\":{\"binary_data\":1}}]}", NULL, 0},
        {422, "timeout -1", "{\"parameters\":{\"timeout\":-1},\"inputs\":[" TEXT_INPUT "]}", NULL, 0},
        {400, "bytes are left", "{\"inputs\":[{\"name\":\"text\",\"shape\":[1],\"datatype\":\"BYTES\",\"parameters\":{\"binary_data_size\":9}}]}", "\1\0\0\0", 4},
        {400, "bytes are left", "{\"inputs\":[{\"name\":\"text\",\"shape\":[1],\"datatype\":\"BYTES\",\"parameters\":{\"binary_data_size\":-1}}]}", "\1\0\0\0", 4},
        {400, "2 bytes stand behind", "{\"inputs\":[{\"name\":\"text\",\"shape\":[1],\"datatype\":\"BYTES\",\"parameters\":{\"binary_data_size\":4}}]}", "\0\0\0\0zz", 6},
        {400, "4 bytes stand behind", "{\"inputs\":[" TEXT_INPUT "]}", "\0\0\0\0", 4},
        {422, "binary data do not match", "{\"inputs\":[{\"name\":\"text\",\"shape\":[1],\"datatype\":\"BYTES\",\"parameters\":{\"binary_data_size\":4}}]}", "\xff\xff\xff\xff", 4},
        {422, "binary data do not match", "{\"inputs\":[{\"name\":\"text\",\"shape\":[2],\"datatype\":\"BYTES\",\"parameters\":{\"binary_data_size\":4}}]}", "\0\0\0\0", 4},
        {422, "binary data do not match", "{\"inputs\":[{\"name\":\"text\",\"shape\":[1],\"datatype\":\"BYTES\",\"parameters\":{\"binary_data_size\":3}}]}", "\0\0\0", 3},
        {422, "binary data do not match", "{\"inputs\":[{\"name\":\"text\",\"shape\":[1],\"datatype\":\"BYTES\",\"parameters\":{\"binary_data_size\":8}}]}", "\0\0\0\0\0\0\0\0", 8},
        {422, "binary data do not match", "{\"inputs\":[{\"name\":\"input_ids\",\"shape\":[1,1],\"datatype\":\"INT64\",\"parameters\":{\"binary_data_size\":7}}]}", "\1\0\0\0\0\0\0", 7},
        {422, "element 0 is -1", "{\"inputs\":[{\"name\":\"input_ids\",\"shape\":[1,1],\"datatype\":\"INT64\",\"parameters\":{\"binary_data_size\":8}}]}", "\xff\xff\xff\xff\xff\xff\xff\xff", 8},
        {422, "both", "{\"inputs\":[{\"name\":\"text\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"a\"],\"parameters\":{\"binary_data_size\":0}}]}", NULL, 0},
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        check(&bodies[i]);
}

static void values_are_those_of_the_body(void **state)
{
    (void)state;
    char body[] = "{\"id\":\"a\\u0062c\",\"parameters\":{\"binary_data_output\":true,\"timeout\":5},\"inputs\":["
                  "{\"name\":\"input_ids\",\"shape\":[2,3],\"datatype\":\"INT64\",\"data\":[[101,7,102],[101,102,0]]}],"
                  "\"outputs\":[{\"name\":\"logits\",\"parameters\":{\"classification\":2,\"binary_data\":false}},"
                  "{\"name\":\"score\"}]}";
    static const int32_t wanted[] = {101, 7, 102, 101, 102, 0};
    struct berth_buffer buffer = {.data = body, .size = strlen(body)};
    struct berth_oip_inputs inputs;
    struct berth_oip_form form;
    struct berth_reply reply = {0};
    int32_t values[6];
    assert_true(berth_oip_read(&buffer, buffer.size, &inputs, &form, &reply));
    assert_true(berth_slice_is(form.id, "abc"));
    assert_int_equal(inputs.timeout_ns, 5000);
    assert_int_equal(form.count, 2);
    assert_int_equal(form.output[0].kind, BERTH_OIP_LOGITS);
    assert_int_equal(form.output[0].classes, 2);
    assert_false(form.output[0].binary);
    assert_true(form.output[1].binary);
    assert_true(berth_oip_integers(&inputs.tensor[BERTH_OIP_IDS], 0, 200, values, &reply));
    assert_memory_equal(values, wanted, sizeof wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_taken),
        cmocka_unit_test(wrong_bodies_are_refused_by_name),
        cmocka_unit_test(values_are_those_of_the_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
