/* study.c: the two endpoints of the 2021 case study's server: /set_model chooses, /inference classifies a
 * list of texts. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "serve/handlers.h"
#include "serve/members.h"

/* Python's and everybody's spellings; false for another word. */
static bool parse_truth(const char *word, bool *truth)
{
    *truth = strcasecmp(word, "true") == 0 || strcmp(word, "1") == 0;
    return *truth || strcasecmp(word, "false") == 0 || strcmp(word, "0") == 0;
}

static void run_set_model(struct berth_request *request)
{
    struct berth_server *server = request->server;
    struct berth_registry *registry = server->registry;
    struct berth_error err;
    size_t threads = berth_min(request->threads, server->processors);
    if ((request->quantised &&
         berth_registry_quantise(registry, request->target, &request->target, &err) != BERTH_OK) ||
        (threads > 0 && berth_registry_set_threads(registry, request->target, threads, &err) != BERTH_OK)) {
        berth_reply_failure(&request->reply, &err);
        return;
    }
    atomic_store(&server->study, request->target);
    if (threads == request->threads)
        berth_reply_text(&request->reply, 200, "Model set to %s", request->target->name);
    else
        berth_reply_text(&request->reply, 200, "Model set to %s (%zu threads: all that this process may use)",
                         request->target->name, threads);
}

void berth_handle_set_model(struct berth_request *request)
{
    struct berth_reply *reply = &request->reply;
    char value[BERTH_VALUE_SIZE];
    if (!berth_request_field(request, "model_type", value) || !value[0]) {
        berth_reply_error(reply, 400, "Requests to `set_model` must include `model_type`");
        return;
    }
    request->target = berth_registry_find(request->server->registry, value, NULL);
    if (!request->target) {
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

/* Adds the texts of the body, a list of them; false when the reply says why not. */
static bool add_texts(struct berth_request *request, struct berth_call *call)
{
    struct berth_reply *reply = &request->reply;
    struct berth_json json;
    struct berth_slice slice;
    char none[1] = {0};
    size_t count = 0;
    berth_json_begin(&json, request->body.data ? request->body.data : none, request->body.size);
    if (!berth_json_open(&json, '[')) {
        berth_json_skip(&json);
        if (berth_body_end(&json, reply))
            berth_reply_error(reply, 422, "the body is not a list of texts");
        return false;
    }
    while (berth_json_item(&json)) {
        if (!berth_json_string(&json, &slice)) {
            berth_json_skip(&json);
            return berth_body_refuse(&json, reply, "item %zu of the list is not a text", count);
        }
        if (!berth_call_add_text(call, &(struct berth_text){.text = slice.bytes, .size = slice.size}))
            return false;
        count++;
    }
    if (!berth_body_end(&json, reply))
        return false;
    if (count == 0)
        berth_reply_error(reply, 400, "the list of texts is empty");
    return count > 0;
}

/* "time" is what the texts took, without waiting for others'; "input_size" the tokens of the longest. */
static void answer_inference(struct berth_request *request)
{
    const struct berth_call *call = &request->call;
    size_t longest = 0;
    struct berth_writer writer = berth_write_begin(&request->reply, 200, "application/json");
    berth_write(&writer, "{\"predictions\": [");
    for (size_t i = 0; i < call->count; i++) {
        const struct berth_result *result = &call->items[i].result;
        longest = berth_max(longest, call->items[i].size);
        for (size_t k = 0; k < result->labels; k++) {
            berth_write(&writer, k > 0 ? ", " : i > 0 ? ", [" : "[");
            berth_write_float(&writer, result->logits[k]);
        }
        berth_write(&writer, "]");
    }
    berth_write(&writer, "], \"time\": ");
    berth_write_float(&writer, (float)((double)(call->tokenize_ns + call->compute_ns) * 1e-9));
    berth_write(&writer, ", \"input_size\": ");
    berth_write_integer(&writer, (int64_t)longest);
    berth_write(&writer, ", \"model_path\": ");
    berth_write_text(&writer, call->path);
    berth_write(&writer, "}\n");
    berth_write_end(&writer, &request->reply);
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
        request->entry = NULL;
        berth_reply_error(&request->reply, 409, "no model is set: POST /set_model?model_type=NAME first");
        return;
    }
    if (!call)
        return;
    call->batched = true;
    if (add_texts(request, call))
        berth_call_submit(call, answer_inference);
}
