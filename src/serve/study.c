/* study.c: the two endpoints of the 2021 case study's server: /set_model chooses, /inference classifies a
 * list of texts. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "base/cpu.h"
#include "base/json_text.h"
#include "serve/handlers.h"

/* Python's and everybody's spellings; false for another word. */
static bool parse_truth(const char *word, bool *truth)
{
    *truth = strcasecmp(word, "true") == 0 || strcmp(word, "1") == 0;
    return *truth || strcasecmp(word, "false") == 0 || strcmp(word, "0") == 0;
}

static void run_set_model(struct berth_request *request)
{
    struct berth_server *server = request->server;
    struct berth_instance *retired = NULL;
    struct berth_error err;
    size_t allowed = berth_cpu_allowed(NULL, 0);
    size_t threads = berth_min(request->threads, allowed);
    if (!berth_request_overdue(request)) {
        if (request->quantised &&
            berth_registry_quantise(server->registry, request->entry, &request->entry, &err) != BERTH_OK) {
            berth_reply_failure(&request->reply, &err);
        } else if (threads > 0 && berth_registry_set_threads(server->registry, request->entry, threads,
                                                             &retired, &err) != BERTH_OK) {
            berth_reply_failure(&request->reply, &err);
        } else {
            atomic_store(&server->study, request->entry);
            if (threads == request->threads)
                berth_reply_text(&request->reply, 200, "Model set to %s", request->entry->name);
            else
                berth_reply_text(&request->reply, 200,
                                 "Model set to %s (%zu threads: all that this process may use)",
                                 request->entry->name, threads);
        }
    }
    berth_instance_free(retired);
}

void berth_handle_set_model(struct berth_request *request)
{
    struct berth_reply *reply = &request->reply;
    char value[BERTH_VALUE_SIZE];
    if (!berth_request_field(request, "model_type", value) || !value[0]) {
        berth_reply_error(reply, 400, "Requests to `set_model` must include `model_type`");
        return;
    }
    request->entry = berth_registry_find(request->server->registry, value);
    if (!request->entry) {
        berth_reply_error(reply, 404, "no model named '%s' is served here", value);
        return;
    }
    bool quantised = false;
    if (berth_request_field(request, "use_onnx_quant", value) && !parse_truth(value, &quantised)) {
        berth_reply_error(reply, 400, "use_onnx_quant '%s': use True or False", value);
        return;
    }
    request->quantised = quantised;
    if (berth_request_field(request, "num_threads", value)) {
        char *end;
        unsigned long threads = strtoul(value, &end, 10);
        if (value[0] < '0' || value[0] > '9' || *end || threads < 1 || threads > 1024) {
            berth_reply_error(reply, 400, "num_threads '%s': use a number from 1 to 1024", value);
            return;
        }
        request->threads = threads;
    }
    berth_request_manage(request, run_set_model);
}

/* The texts of the body, or NULL and the reply says why not. */
static json_t *read_texts(struct berth_request *request)
{
    json_error_t fault;
    const char *body = "";
    if (request->body.data) {
        berth_json_text_mend(request->body.data, request->body.size);
        body = request->body.data;
    }
    json_t *texts = json_loadb(body, request->body.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &fault);
    if (!texts) {
        berth_reply_error(&request->reply, 400, "the body is not JSON: line %d: %s", fault.line, fault.text);
        return NULL;
    }
    size_t bad = 0, count = json_array_size(texts);
    while (bad < count && json_is_string(json_array_get(texts, bad)))
        bad++;
    if (count > 0 && bad == count)
        return texts;
    if (!json_is_array(texts))
        berth_reply_error(&request->reply, 422, "the body is not a list of texts");
    else if (count == 0)
        berth_reply_error(&request->reply, 400, "the list of texts is empty");
    else
        berth_reply_error(&request->reply, 422, "item %zu of the list is not a text", bad);
    json_decref(texts);
    return NULL;
}

/* Appends "[l0, l1]" for each text. */
static bool write_logits(struct berth_buffer *body, const struct berth_call *call)
{
    bool fits = true;
    for (size_t i = 0; i < call->count; i++) {
        const struct berth_result *result = &call->items[i].result;
        fits = fits && berth_buffer_text(body, i == 0 ? "[" : ", [");
        for (size_t k = 0; k < result->labels; k++)
            fits = fits && (k == 0 || berth_buffer_text(body, ", ")) &&
                   berth_reply_float(body, result->logits[k]);
        fits = fits && berth_buffer_text(body, "]");
    }
    return fits;
}

/* "time" is what the texts took, without waiting for others'; "input_size" the tokens of the longest. */
static void answer_inference(struct berth_request *request)
{
    const struct berth_call *call = &request->call;
    struct berth_buffer *body = &request->reply.body;
    size_t longest = 0;
    for (size_t i = 0; i < call->count; i++)
        longest = berth_max(longest, call->items[i].size);
    berth_reply_begin(&request->reply, 200, "application/json");
    bool fits = berth_buffer_text(body, "{\"predictions\": [") && write_logits(body, call);
    double seconds = (double)(call->tokenize_ns + call->compute_ns) * 1e-9;
    json_t *rest = json_pack("{s:f, s:I, s:s}", "time", seconds, "input_size", (json_int_t)longest,
                             "model_path", call->path);
    char *text = rest ? json_dumps(rest, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9)) : NULL;
    fits = fits && text && berth_buffer_format(body, "], %s\n", text + 1);
    free(text);
    json_decref(rest);
    if (!fits)
        berth_reply_error(&request->reply, 503, "memory ran out");
}

void berth_handle_inference(struct berth_request *request)
{
    char name[BERTH_VALUE_SIZE];
    struct berth_entry *chosen = atomic_load(&request->server->study);
    struct berth_call *call;
    if (berth_request_query(request, "model", name)) {
        call = berth_call_begin(request, name, NULL, BERTH_CALL_CLASSIFY);
    } else if (chosen) {
        call = berth_call_begin_entry(request, chosen, BERTH_CALL_CLASSIFY);
    } else {
        berth_reply_error(&request->reply, 409, "no model is set: POST /set_model?model_type=NAME first");
        return;
    }
    json_t *texts = call ? read_texts(request) : NULL;
    if (!texts)
        return;
    call->batched = true;
    bool added = true;
    for (size_t i = 0; i < json_array_size(texts) && added; i++) {
        const json_t *item = json_array_get(texts, i);
        added = berth_call_add_text(
            call, &(struct berth_text){.text = json_string_value(item), .size = json_string_length(item)});
    }
    json_decref(texts);
    if (added)
        berth_call_submit(call, answer_inference);
}
