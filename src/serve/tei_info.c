/* tei_info.c: what text-embeddings-inference's /info and /decode answer. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "serve/handlers.h"
#include "serve/inputs.h"
#include "serve/members.h"

static void write_labels(struct berth_writer *writer, const struct berth_model_info *info)
{
    berth_write(writer, "{\"classifier\":{\"id2label\":{");
    for (size_t i = 0; i < info->labels; i++) {
        berth_write(writer, i == 0 ? "\"" : ",\"");
        berth_write_integer(writer, (int64_t)i);
        berth_write(writer, "\":");
        berth_write_text(writer, info->label_names[i]);
    }
    berth_write(writer, "},\"label2id\":{");
    for (size_t i = 0; i < info->labels; i++) {
        if (i > 0)
            berth_write(writer, ",");
        berth_write_text(writer, info->label_names[i]);
        berth_write(writer, ":");
        berth_write_integer(writer, (int64_t)i);
    }
    berth_write(writer, "}}}");
}

static const char *dtype_name(const char *precision)
{
    return strcmp(precision, "fp32") == 0 ? "float32" : strcmp(precision, "bf16") == 0 ? "bfloat16" : precision;
}

static void write_size(struct berth_writer *writer, const char *name, size_t value)
{
    berth_write(writer, ",\"");
    berth_write(writer, name);
    berth_write(writer, "\":");
    berth_write_integer(writer, (int64_t)berth_min(value, INT64_MAX));
}

void berth_handle_tei_info(struct berth_request *request)
{
    const struct berth_call *call = berth_call_begin(request, NULL, NULL, BERTH_CALL_LOOK);
    if (!call)
        return;
    const struct berth_model_info *info = call->info;
    struct berth_writer writer = berth_write_begin(&request->reply, 200, "application/json");
    berth_write(&writer, "{\"model_id\":");
    berth_write_text(&writer, call->path);
    berth_write(&writer, ",\"model_sha\":null,\"model_dtype\":");
    berth_write_text(&writer, dtype_name(info->precision));
    berth_write(&writer, ",\"served_model_name\":");
    berth_write_text(&writer, call->name);
    berth_write(&writer, ",\"model_type\":");
    if (info->has_head)
        write_labels(&writer, info);
    else
        berth_write(&writer, "{\"embedding\":{\"pooling\":\"mean\"}}");
    write_size(&writer, "max_concurrent_requests", request->server->max_waiting);
    write_size(&writer, "max_input_length", info->max_length);
    write_size(&writer, "max_batch_tokens", request->deployment->queue.max_tokens);
    berth_write(&writer, ",\"max_batch_requests\":null");
    write_size(&writer, "max_client_batch_size", request->server->max_texts);
    berth_write(&writer, ",\"auto_truncate\":true");
    write_size(&writer, "tokenization_workers", 1);
    berth_write(&writer, ",\"version\":");
    berth_write_text(&writer, berth_version());
    berth_write(&writer, ",\"sha\":null,\"docker_label\":null}");
    berth_write_end(&writer, &request->reply);
}

/* The text of a list of ids, which comes next; NULL when the reply says why there is none. */
static char *decode(struct berth_call *call, struct berth_json *json, bool skip_special)
{
    struct berth_reply *reply = &call->request->reply;
    struct berth_error err;
    char *text;
    size_t first = call->tokens;
    if (berth_json_peek(json) != '[') {
        berth_body_refuse(json, reply, "\"ids\" holds something that is no list of token ids");
        return NULL;
    }
    if (!berth_inputs_add_ids(call, json, "\"ids\""))
        return NULL;
    if (berth_detokenize(call->model, call->ids + first, call->tokens - first, skip_special, true, &text, &err) ==
        BERTH_OK)
        return text;
    berth_reply_error(reply, err.status == BERTH_NO_MEMORY ? 503 : 422, "%s", err.message);
    return NULL;
}

void berth_handle_tei_decode(struct berth_request *request)
{
    struct berth_member members[] = {{.name = "ids"},
                                     {.name = "skip_special_tokens", .kind = BERTH_MEMBER_BOOL},
                                     {.name = "model", .kind = BERTH_MEMBER_TEXT}};
    char name[BERTH_VALUE_SIZE];
    if (!berth_members_read_body(&request->body, members, 3, &request->reply))
        return;
    if (!members[0].given) {
        berth_reply_error(&request->reply, 422, "the body has no \"ids\"");
        return;
    }
    struct berth_call *call =
        berth_call_begin(request, members[2].given ? berth_slice_copy(members[2].text, name, sizeof name) : NULL, NULL,
                         BERTH_CALL_LOOK);
    if (!call)
        return;
    struct berth_json *json = &members[0].any;
    bool skip = !members[1].given || members[1].truth, single = berth_inputs_are_ids(*json), some = single;
    struct berth_buffer texts;
    berth_buffer_init(&texts, SIZE_MAX / 2);
    struct berth_writer writer = {&texts, false};
    if (!single && !berth_json_open(json, '['))
        berth_body_refuse(json, &request->reply, "\"ids\" is no list");
    while (!request->reply.status && (single || berth_json_item(json))) {
        char *text = decode(call, json, skip);
        if (!text)
            break;
        berth_write(&writer, texts.size == 0 ? "[" : ",");
        berth_write_text(&writer, text);
        berth_memory_free(text);
        some = true;
        if (single)
            break;
    }
    if (!request->reply.status && !some)
        berth_reply_error(&request->reply, 400, "\"ids\" is empty");
    if (!request->reply.status) {
        struct berth_writer answer = berth_write_begin(&request->reply, 200, "application/json");
        berth_write_bytes(&answer, texts.data, texts.size);
        berth_write(&answer, "]");
        answer.failed |= writer.failed;
        berth_write_end(&answer, &request->reply);
    }
    berth_buffer_clear(&texts);
}
