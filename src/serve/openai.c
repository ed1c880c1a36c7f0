/* openai.c: OpenAI's /v1/embeddings. `input` is a text, a list of texts, a list of token ids (one
 * text), or a list of such lists; ids are taken as they are. Vectors have length 1, as OpenAI's have. */
#include "serve/handlers.h"
#include "serve/inputs.h"
#include "serve/members.h"

enum { INPUT, MODEL, FORMAT, DIMENSIONS, MEMBERS };

static void answer_embeddings(struct berth_request *request)
{
    const struct berth_call *call = &request->call;
    const struct berth_openai_form *form = &request->form.openai;
    struct berth_writer writer = berth_write_begin(&request->reply, 200, "application/json");
    berth_write(&writer, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < call->count; i++) {
        berth_write(&writer, i == 0 ? "{\"object\":\"embedding\",\"embedding\":" : ",{\"object\":\"embedding\",\"embedding\":");
        if (form->base64)
            berth_vector_write_base64(&form->cut, call->items[i].vector, &writer);
        else
            berth_vector_write(&form->cut, call->items[i].vector, &writer);
        berth_write(&writer, ",\"index\":");
        berth_write_integer(&writer, (int64_t)i);
        berth_write(&writer, "}");
    }
    berth_write(&writer, "],\"model\":");
    berth_write_text(&writer, call->name);
    berth_write(&writer, ",\"usage\":{\"prompt_tokens\":");
    berth_write_integer(&writer, (int64_t)call->tokens);
    berth_write(&writer, ",\"total_tokens\":");
    berth_write_integer(&writer, (int64_t)call->tokens);
    berth_write(&writer, "}}");
    berth_write_end(&writer, &request->reply);
}

static bool add_item(struct berth_call *call, struct berth_json *json)
{
    struct berth_slice slice;
    if (berth_json_peek(json) == '[')
        return berth_inputs_add_ids(call, json, "\"input\"");
    if (!berth_json_string(json, &slice))
        return berth_body_refuse(json, &call->request->reply, "\"input\" holds something that is neither a text nor a "
                                                              "list of token ids");
    return berth_call_add_text(call, &(struct berth_text){.text = slice.bytes, .size = slice.size});
}

static bool add_input(struct berth_call *call, struct berth_json *json)
{
    if (berth_json_peek(json) != '[' || berth_inputs_are_ids(*json))
        return add_item(call, json);
    call->batched = true;
    berth_json_open(json, '[');
    bool some = false;
    while (berth_json_item(json)) {
        some = true;
        if (!add_item(call, json))
            return false;
    }
    if (!some)
        berth_reply_error(&call->request->reply, 400, "\"input\" is empty");
    return some;
}

/* Whether the body asks for base64; false when the reply says what is wrong. */
static bool read_format(struct berth_request *request, const struct berth_member *format)
{
    char value[BERTH_VALUE_SIZE];
    bool base64 = format->given && berth_slice_is(format->text, "base64");
    request->form.openai.base64 = base64;
    if (!format->given || base64 || berth_slice_is(format->text, "float"))
        return true;
    berth_reply_error(&request->reply, 422, "encoding_format '%s': use float or base64",
                      berth_slice_copy(format->text, value, sizeof value));
    return false;
}

void berth_handle_openai_embeddings(struct berth_request *request)
{
    struct berth_member members[MEMBERS] = {[INPUT] = {.name = "input"},
                                            [MODEL] = {.name = "model", .kind = BERTH_MEMBER_TEXT},
                                            [FORMAT] = {.name = "encoding_format", .kind = BERTH_MEMBER_TEXT},
                                            [DIMENSIONS] = {.name = "dimensions", .kind = BERTH_MEMBER_INTEGER}};
    struct berth_reply *reply = &request->reply;
    char name[BERTH_VALUE_SIZE];
    if (!berth_members_read_body(&request->body, members, MEMBERS, reply) || !read_format(request, &members[FORMAT]))
        return;
    if (!members[INPUT].given) {
        berth_reply_error(reply, 422, "the body has no \"input\"");
        return;
    }
    struct berth_call *call = berth_call_begin(
        request, members[MODEL].given ? berth_slice_copy(members[MODEL].text, name, sizeof name) : NULL, NULL,
        BERTH_CALL_EMBED);
    if (!call || !berth_pooling_choose(request, NULL, &call->pooling) ||
        !berth_cut_choose(request, members[DIMENSIONS].given, members[DIMENSIONS].integer, true,
                          &request->form.openai.cut))
        return;
    call->normalize = true;
    if (add_input(call, &members[INPUT].any))
        berth_call_submit(call, answer_embeddings);
}
