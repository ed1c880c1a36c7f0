/* wire.c: requests to classify, and their answers, in the three protocols. None of it runs within a measured time. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/checked.h"
#include "base/error.h"
#include "bench/remote.h"

enum { WIRE_MAX = 64 << 20, VALUES_MAX = 4 << 20 };

/* Ill-formed UTF-8 becomes '?': a server would refuse the whole request. */
static json_t *text_json(const char *text, size_t size)
{
    json_t *json = json_stringn(text ? text : "", size);
    if (json)
        return json;
    char *copy = berth_strndup(text, size);
    for (size_t i = 0; copy && i < size; i++)
        if ((unsigned char)copy[i] >= 0x80)
            copy[i] = '?';
    json = copy ? json_stringn(copy, size) : NULL;
    berth_free(copy);
    return json;
}

static enum berth_status finish_wire(const struct berth_endpoint *endpoint, const char *method, const char *path,
                                     const char *body, size_t size, struct berth_wire *wire, struct berth_error *err)
{
    struct berth_buffer buffer;
    berth_buffer_init(&buffer, WIRE_MAX);
    bool good = berth_buffer_format(&buffer, "%s %s%s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\n", method,
                                    endpoint->prefix, path, endpoint->host) &&
                (!body || berth_buffer_text(&buffer, "Content-Type: application/json\r\n")) &&
                (*method == 'G' || berth_buffer_format(&buffer, "Content-Length: %zu\r\n", size)) &&
                berth_buffer_text(&buffer, "\r\n") && (!body || berth_buffer_append(&buffer, body, size));
    *wire = (struct berth_wire){buffer.data, buffer.size};
    if (good)
        return BERTH_OK;
    berth_buffer_clear(&buffer);
    *wire = (struct berth_wire){0};
    return berth_fail_memory(err, "a request", size);
}

enum berth_status berth_remote_plain_wire(const struct berth_endpoint *endpoint, const char *method, const char *path,
                                          struct berth_wire *wire, struct berth_error *err)
{
    return finish_wire(endpoint, method, path, NULL, 0, wire, err);
}

struct batch {
    const struct berth_text *texts;
    size_t total, first, count;
};

static const struct berth_text *text_at(const struct batch *batch, size_t i)
{
    return &batch->texts[(batch->first + i) % batch->total];
}

/* ["text", ...] */
static json_t *texts_json(const struct batch *batch)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < batch->count; i++)
        if (json_array_append_new(list, text_json(text_at(batch, i)->text, text_at(batch, i)->size)) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

/* {"inputs": [["text"], ["text", "pair"]]}: a batch, even of one. */
static json_t *predict_json(const struct batch *batch)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < batch->count; i++) {
        const struct berth_text *text = text_at(batch, i);
        json_t *row = json_pack("[o]", text_json(text->text, text->size));
        if (row && text->pair && json_array_append_new(row, text_json(text->pair, text->pair_size)) != 0) {
            json_decref(row);
            row = NULL;
        }
        if (json_array_append_new(list, row) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return json_pack("{s:o, s:b, s:b}", "inputs", list, "raw_scores", 1, "truncate", 1);
}

static json_t *tensor_json(const char *name, const char *type, size_t rows, size_t columns, json_t *data)
{
    json_t *shape = columns ? json_pack("[I, I]", (json_int_t)rows, (json_int_t)columns)
                            : json_pack("[I]", (json_int_t)rows);
    return json_pack("{s:s, s:o, s:s, s:o}", "name", name, "shape", shape, "datatype", type, "data", data);
}

/* Ids of all texts, padded to the longest: what a server of a bare graph takes. */
static enum berth_status ids_json(const struct berth_remote *remote, const struct berth_model *tokenizer,
                                  const struct batch *batch, json_t **inputs, struct berth_error *err)
{
    enum berth_status status = BERTH_OK;
    struct berth_tokens tokens = {0};
    int32_t pad = berth_token_pad(tokenizer);
    size_t longest = 0;
    json_t *ids = json_array(), *mask = json_array(), *types = json_array();
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < batch->count; i++) {
            BERTH_TRY(berth_tokenize(tokenizer, text_at(batch, i), 0, &tokens, err));
            longest = berth_max(longest, tokens.size);
            for (size_t t = 0; pass == 1 && t < longest; t++) {
                bool there = t < tokens.size;
                json_array_append_new(ids, json_integer(there ? tokens.ids[t] : pad < 0 ? 0 : pad));
                json_array_append_new(mask, json_integer(there));
                json_array_append_new(types, json_integer(there ? tokens.type_ids[t] : 0));
            }
        }
    *inputs = json_pack("[o, o]", tensor_json("input_ids", "INT64", batch->count, longest, json_incref(ids)),
                        tensor_json("attention_mask", "INT64", batch->count, longest, json_incref(mask)));
    if (*inputs && remote->type_ids)
        json_array_append_new(*inputs, tensor_json("token_type_ids", "INT64", batch->count, longest, json_incref(types)));
fail:
    berth_tokens_clear(&tokens);
    json_decref(ids);
    json_decref(mask);
    json_decref(types);
    return status;
}

static enum berth_status infer_json(const struct berth_remote *remote, const struct berth_model *tokenizer,
                                    const struct batch *batch, json_t **body, struct berth_error *err)
{
    json_t *inputs = NULL;
    *body = NULL;
    if (remote->ids && !tokenizer)
        return berth_fail(err, BERTH_UNSUPPORTED,
                          "target %s: model %s takes token ids, and its tokenizer is not here: give -m %s=MODEL",
                          remote->target->name, remote->model, remote->model);
    if (remote->ids) {
        enum berth_status status = ids_json(remote, tokenizer, batch, &inputs, err);
        if (status != BERTH_OK)
            return status;
    } else {
        inputs = json_pack("[o]", tensor_json(remote->input, "BYTES", batch->count, 0, texts_json(batch)));
    }
    *body = json_pack("{s:o, s:[{s:s}]}", "inputs", inputs, "outputs", "name", remote->output);
    return BERTH_OK;
}

enum berth_status berth_remote_wire(const struct berth_remote *remote, const struct berth_model *tokenizer,
                                    const struct berth_text *texts, size_t total, size_t first, size_t count,
                                    struct berth_wire *wire, struct berth_error *err)
{
    const struct batch batch = {texts, total, first, count};
    char path[512];
    json_t *json = NULL;
    *wire = (struct berth_wire){0};
    for (size_t i = 0; i < count && remote->protocol != BERTH_PROTOCOL_BERTH && !remote->ids; i++)
        if (text_at(&batch, i)->pair)
            return berth_fail(err, BERTH_UNSUPPORTED,
                              "target %s: pairs of texts need --protocol berth (POST /predict)", remote->target->name);
    if (remote->protocol == BERTH_PROTOCOL_STUDY) {
        snprintf(path, sizeof path, "/inference");
        json = texts_json(&batch);
    } else if (remote->protocol == BERTH_PROTOCOL_BERTH) {
        snprintf(path, sizeof path, "/predict?model=%s", remote->model);
        json = predict_json(&batch);
    } else {
        snprintf(path, sizeof path, "/v2/models/%s/infer", remote->model);
        enum berth_status status = infer_json(remote, tokenizer, &batch, &json, err);
        if (status != BERTH_OK)
            return status;
    }
    char *body = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!body)
        return berth_fail_memory(err, "a request", count * 64);
    enum berth_status status =
        finish_wire(&remote->target->endpoint, "POST", path, body, strlen(body), wire, err);
    free(body);
    return status;
}

/* Appends all numbers of nested lists; false for anything else, for what is not finite and for too many. */
static bool flatten(const json_t *json, struct berth_logits *logits, size_t *count, size_t capacity, int depth)
{
    if (json_is_number(json)) {
        double value = json_number_value(json);
        if (*count == capacity || !isfinite(value))
            return false;
        logits->value[(*count)++] = (float)value;
        return true;
    }
    if (!json_is_array(json) || depth == 0)
        return false;
    for (size_t i = 0; i < json_array_size(json); i++)
        if (!flatten(json_array_get(json, i), logits, count, capacity, depth - 1))
            return false;
    return true;
}

static size_t count_numbers(const json_t *json, int depth)
{
    if (!json_is_array(json))
        return 1;
    size_t sum = 0;
    for (size_t i = 0; i < json_array_size(json) && depth > 0; i++)
        sum += count_numbers(json_array_get(json, i), depth - 1);
    return sum;
}

static enum berth_status fail_answer(const struct berth_remote *remote, struct berth_error *err, const char *why)
{
    return berth_fail(err, BERTH_FORMAT, "target %s: an answer is not what was asked for: %s", remote->target->name,
                      why);
}

/* Rows of numbers, nested or flat. */
static enum berth_status read_rows(const struct berth_remote *remote, const json_t *data, size_t texts,
                                   struct berth_logits *logits, struct berth_error *err)
{
    size_t numbers = json_is_array(data) ? count_numbers(data, 3) : 0, count = 0;
    if (numbers == 0 || numbers % texts != 0 || numbers > VALUES_MAX)
        return fail_answer(remote, err, "its logits are not a row for each text");
    enum berth_status status = berth_logits_new(texts, numbers / texts, logits, err);
    if (status == BERTH_OK && !flatten(data, logits, &count, numbers, 3)) {
        berth_logits_clear(logits);
        status = fail_answer(remote, err, "its logits are not finite numbers");
    }
    return status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The labels of the first answer, sorted, are those of all: without the model's own list any fixed order does. */
static bool learn_labels(struct berth_remote *remote, const json_t *row)
{
    size_t count = json_array_size(row);
    if (count == 0 || count > BERTH_REMOTE_LABELS)
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_object_get(json_array_get(row, i), "label"));
        if (!name || !(remote->label[i] = berth_strdup(name)))
            return false;
        remote->labels++;
    }
    qsort(remote->label, count, sizeof *remote->label, compare_names);
    return true;
}

static enum berth_status read_labelled(struct berth_remote *remote, const json_t *json, size_t texts,
                                       const char *const *names, size_t names_count, struct berth_logits *logits,
                                       struct berth_error *err)
{
    if (json_array_size(json) != texts)
        return fail_answer(remote, err, "not a list of scores for each text");
    if (!names && remote->labels == 0 && !learn_labels(remote, json_array_get(json, 0)))
        return fail_answer(remote, err, "no list of labels and scores");
    const char *const *order = names ? names : (const char *const *)remote->label;
    size_t labels = names ? names_count : remote->labels;
    enum berth_status status = berth_logits_new(texts, labels, logits, err);
    for (size_t i = 0; status == BERTH_OK && i < texts; i++) {
        const json_t *row = json_array_get(json, i);
        bool good = json_array_size(row) == labels;
        for (size_t k = 0; good && k < labels; k++) {
            const char *name = json_string_value(json_object_get(json_array_get(row, k), "label"));
            const json_t *score = json_object_get(json_array_get(row, k), "score");
            size_t at = 0;
            while (name && at < labels && strcmp(order[at], name) != 0)
                at++;
            good = name && at < labels && json_is_number(score) && isfinite(json_number_value(score));
            if (good)
                logits->value[i * labels + at] = (float)json_number_value(score);
        }
        if (!good) {
            berth_logits_clear(logits);
            status = fail_answer(remote, err, "its labels are not the model's");
        }
    }
    return status;
}

enum berth_status berth_remote_parse(struct berth_remote *remote, const char *body, size_t size, size_t texts,
                                     const char *const *names, size_t names_count, struct berth_logits *logits,
                                     struct berth_error *err)
{
    json_error_t fault;
    *logits = (struct berth_logits){0};
    json_t *json = json_loadb(body, size, 0, &fault), *output;
    if (!json)
        return fail_answer(remote, err, "no JSON");
    enum berth_status status;
    if (remote->protocol == BERTH_PROTOCOL_STUDY) {
        status = read_rows(remote, json_object_get(json, "predictions"), texts, logits, err);
    } else if (remote->protocol == BERTH_PROTOCOL_BERTH) {
        status = read_labelled(remote, json, texts, names, names_count, logits, err);
    } else {
        const json_t *data = NULL;
        size_t i;
        json_array_foreach(json_object_get(json, "outputs"), i, output)
        {
            const char *name = json_string_value(json_object_get(output, "name"));
            if (name && strcmp(name, remote->output) == 0)
                data = json_object_get(output, "data");
        }
        status = read_rows(remote, data, texts, logits, err);
    }
    json_decref(json);
    return status;
}
