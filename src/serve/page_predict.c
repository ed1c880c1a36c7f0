/* page_predict.c: what is served here, one text through one deployment, and which tokens its answer rests on.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "serve/handlers.h"
#include "serve/page.h"

/* ---- GET /api/deployments ---- */

static json_t *label_list(const struct berth_model_info *info)
{
    json_t *labels = json_array();
    for (size_t i = 0; labels && i < info->labels; i++)
        json_array_append_new(labels, json_string(info->label_names[i]));
    return labels;
}

static json_t *describe(const char *name, const struct berth_model_info *info, size_t threads)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "name", name,
                     "kind", "local", "model", info->name, "architecture", info->architecture, "problem",
                     info->problem, "parameters", (json_int_t)info->parameters, "precision", info->precision,
                     "runtime", info->runtime, "isa", info->isa, "threads", (json_int_t)threads, "max_length",
                     (json_int_t)info->max_length, "weight_bytes", (json_int_t)info->weight_bytes, "labels",
                     label_list(info));
}

void berth_handle_page_deployments(struct berth_request *request)
{
    const struct berth_page *page = request->server->page;
    struct berth_registry *registry = request->server->registry;
    char cpu[128] = "", isa[32] = "";
    json_t *list = json_array();
    for (size_t i = 0; list && i < page->count; i++) {
        struct berth_entry *entry = berth_registry_find(registry, page->names[i], NULL);
        struct berth_deployment *deployment = entry ? berth_registry_acquire(registry, entry) : NULL;
        if (deployment && deployment->info->has_head) {
            snprintf(cpu, sizeof cpu, "%s", deployment->info->cpu);
            snprintf(isa, sizeof isa, "%s", deployment->info->isa);
            json_array_append_new(list, describe(page->names[i], deployment->info, deployment->threads));
        }
        berth_registry_release(registry, deployment);
    }
    if (list && !berth_page_remotes_list(page->remotes, list)) {
        json_decref(list);
        list = NULL;
    }
    berth_page_answer(request,
                      json_pack("{s:s, s:s?, s:s?, s:o, s:{s:s?}, s:b}", "version", berth_version(), "cpu",
                                *cpu ? cpu : NULL, "isa", *isa ? isa : NULL, "deployments", list, "results",
                                "file", berth_page_log_file(page->log), "report", berth_page_log_file(page->log) != NULL));
}

/* ---- POST /api/predict, POST /api/why: {"deployment", "text", "pair"} ---- */

struct question {
    json_t *body; /* owner of what follows */
    const char *deployment;
    struct berth_text text;
};

/* False: the reply says why not. */
static bool read_question(struct berth_request *request, struct question *question)
{
    size_t size;
    *question = (struct question){.body = berth_page_body(request)};
    struct berth_text *text = &question->text;
    if (!question->body)
        return false;
    if (berth_page_text(request, question->body, "deployment", 128, &question->deployment, &size) &&
        berth_page_text(request, question->body, "text", SIZE_MAX, &text->text, &text->size) &&
        berth_page_text(request, question->body, "pair", SIZE_MAX, &text->pair, &text->pair_size)) {
        if (question->deployment && text->text)
            return true;
        berth_reply_error(&request->reply, 422, "the body lacks 'deployment' or 'text'");
    }
    json_decref(question->body);
    return false;
}

static void answer_predict(struct berth_request *request)
{
    const struct berth_call *call = &request->call;
    json_t *answer = berth_page_result(call->name, &call->items[0].result);
    if (answer &&
        (json_object_set_new(answer, "truncated", json_boolean(call->items[0].truncated)) != 0 ||
         json_object_set_new(answer, "queue_us", berth_page_us(call->queue_ns)) != 0 ||
         json_object_set_new(answer, "tokenize_us", berth_page_us(call->tokenize_ns)) != 0 ||
         json_object_set_new(answer, "compute_us", berth_page_us(call->compute_ns)) != 0 ||
         json_object_set_new(answer, "total_us",
                             berth_page_us(call->queue_ns + call->tokenize_ns + call->compute_ns)) != 0)) {
        json_decref(answer);
        answer = NULL;
    }
    berth_page_answer(request, answer);
}

void berth_handle_page_predict(struct berth_request *request)
{
    struct question question;
    if (!read_question(request, &question))
        return;
    if (!berth_page_remotes_take(request, question.deployment, false)) {
        struct berth_call *call = berth_call_begin(request, question.deployment, NULL, BERTH_CALL_CLASSIFY);
        if (call && berth_call_add_text(call, &question.text))
            berth_call_submit(call, answer_predict);
    }
    json_decref(question.body);
}

/* ---- why: each token hidden in turn, by the same call ---- */

/* Tokens computed for one explanation at most: a long text is explained in spans of several tokens. */
enum { WHY_TOKENS = 16384, WHY_SPANS = 256 };

static bool is_special(const struct berth_model *model, int32_t id)
{
    const char *text = berth_token_text(model, id);
    return text && (strcmp(text, "[CLS]") == 0 || strcmp(text, "[SEP]") == 0);
}

/* The id of [MASK], as the tokenizer itself reads it; -1 when it has none. */
static int32_t find_mask(const struct berth_model *model)
{
    struct berth_tokens tokens = {0};
    struct berth_text text = BERTH_TEXT("[MASK]");
    int32_t mask = -1;
    if (berth_tokenize(model, &text, 0, &tokens, NULL) == BERTH_OK)
        for (size_t i = 0; i < tokens.size; i++) {
            const char *word = berth_token_text(model, tokens.ids[i]);
            if (word && strcmp(word, "[MASK]") == 0)
                mask = tokens.ids[i];
        }
    berth_tokens_clear(&tokens);
    return mask;
}

/* How many tokens are hidden together so that all of them fit the bounds. */
static size_t span_of(size_t tokens)
{
    size_t variants = berth_min(berth_max(1, WHY_TOKENS / berth_max(tokens, 1)), WHY_SPANS);
    return (tokens + variants - 1) / variants;
}

/* The end of the span that begins at `at`: a special token, the other text, or enough tokens end it. */
static size_t span_end(const struct berth_model *model, const int32_t *ids, const uint8_t *types, size_t size,
                       size_t at)
{
    size_t span = span_of(size), end = at;
    while (end < size && end - at < span && types[end] == types[at] && !is_special(model, ids[end]))
        end++;
    return end;
}

/* The whole text first, then it once more for each span, with that hidden: behind [MASK]s, or left out where
 * the vocabulary has none. False when the call has failed. */
static bool add_variants(struct berth_call *call, const struct berth_tokens *tokens)
{
    int32_t mask = find_mask(call->model);
    size_t size = tokens->size;
    int32_t *ids = berth_malloc(size, sizeof *ids);
    uint8_t *types = berth_malloc(size, sizeof *types);
    bool fits = ids && types;
    if (!fits)
        berth_reply_error(&call->request->reply, 503, "memory ran out");
    fits = fits && berth_call_add_ids(call, tokens->ids, tokens->type_ids, size);
    for (size_t at = 0, end; fits && at < size; at = berth_max(end, at + 1)) {
        end = span_end(call->model, tokens->ids, tokens->type_ids, size, at);
        if (end == at)
            continue;
        size_t kept = 0;
        for (size_t i = 0; i < size; i++) {
            bool hidden = i >= at && i < end;
            if (hidden && mask < 0)
                continue;
            ids[kept] = hidden ? mask : tokens->ids[i];
            types[kept++] = tokens->type_ids[i];
        }
        fits = berth_call_add_ids(call, ids, types, kept);
    }
    berth_free(ids);
    berth_free(types);
    return fits;
}

/* By how much the label leads over the best other one, in logits; of a single output, its value. */
static double lead_of(const struct berth_result *result, size_t label)
{
    if (result->labels < 2)
        return (double)result->logits[0];
    double other = -1e300;
    for (size_t i = 0; i < result->labels; i++)
        if (i != label && (double)result->logits[i] > other)
            other = (double)result->logits[i];
    return (double)result->logits[label] - other;
}

static bool append_span(json_t *parts, const struct berth_call *call, size_t at, size_t end, double influence)
{
    const uint8_t *types = call->type_ids;
    struct berth_buffer words;
    berth_buffer_init(&words, 1 << 20);
    bool fits = true;
    for (size_t i = at; i < end; i++) {
        const char *word = berth_token_text(call->model, call->ids[i]);
        word = word ? word : "[UNK]";
        bool glued = i > at && strncmp(word, "##", 2) == 0;
        fits = fits && (i == at || glued || berth_buffer_text(&words, " ")) &&
               berth_buffer_text(&words, glued ? word + 2 : word);
    }
    json_t *text = words.data ? json_stringn(words.data, words.size) : NULL;
    bool second = types[at] == 1 && at > 0 && types[at - 1] != 1;
    if (at > 0 && !second) /* models without type ids: the second text begins behind the first [SEP] */
        second = is_special(call->model, call->ids[at - 1]) && at > 1;
    json_t *part = json_pack("{s:o, s:f, s:b}", "text", text ? text : json_string("\xef\xbf\xbd"),
                             "influence", influence, "second", (int)second);
    berth_buffer_clear(&words);
    return part && fits && json_array_append_new(parts, part) == 0;
}

static void answer_why(struct berth_request *request)
{
    const struct berth_call *call = &request->call;
    const struct berth_result *whole = &call->items[0].result;
    size_t size = call->items[0].size, item = 1;
    double lead = lead_of(whole, whole->label_id);
    json_t *parts = json_array();
    bool fits = parts != NULL;
    for (size_t at = 0, end; fits && at < size; at = berth_max(end, at + 1)) {
        end = span_end(call->model, call->ids, call->type_ids, size, at);
        if (end > at && item < call->count)
            fits = append_span(parts, call, at, end,
                               lead - lead_of(&call->items[item++].result, whole->label_id));
    }
    if (!fits) {
        json_decref(parts);
        parts = NULL;
    }
    berth_page_answer(request,
                      json_pack("{s:s, s:s?, s:f, s:s, s:o}", "deployment", call->name, "label", whole->label,
                                "lead", lead, "unit", span_of(size) > 1 ? "span" : "token", "parts", parts));
}

void berth_handle_page_why(struct berth_request *request)
{
    struct question question;
    struct berth_error err;
    if (!read_question(request, &question))
        return;
    if (!berth_page_remotes_take(request, question.deployment, true)) {
        struct berth_tokens tokens = {0};
        struct berth_call *call = berth_call_begin(request, question.deployment, NULL, BERTH_CALL_CLASSIFY);
        if (call && berth_tokenize(call->model, &question.text, 0, &tokens, &err) != BERTH_OK)
            berth_reply_failure(&request->reply, &err);
        else if (call && add_variants(call, &tokens))
            berth_call_submit(call, answer_why);
        berth_tokens_clear(&tokens);
    }
    json_decref(question.body);
}
