/* hf.c: text classification as Hugging Face's inference service has it: POST /models/{m}. `inputs` is a text, an
 * object {"text", "text_pair"}, or a list of either; the answer is a list of labels for each. */
#include "serve/handlers.h"
#include "serve/members.h"

static void answer(struct berth_request *request)
{
    const struct berth_call *call = &request->call;
    struct berth_ranking ranking = {.kind = request->form.hf.kind, .top = request->form.hf.top};
    struct berth_writer writer = berth_write_begin(&request->reply, 200, "application/json");
    for (size_t i = 0; i < call->count; i++) {
        berth_write(&writer, i == 0 ? "[" : ",");
        berth_ranking_write(&ranking, &call->items[i].result, call->info->label_names, &writer);
    }
    berth_write(&writer, "]");
    berth_ranking_clear(&ranking);
    berth_write_end(&writer, &request->reply);
}

static bool add_input(struct berth_call *call, struct berth_json *json)
{
    struct berth_reply *reply = &call->request->reply;
    struct berth_slice slice;
    if (berth_json_string(json, &slice))
        return berth_call_add_text(call, &(struct berth_text){.text = slice.bytes, .size = slice.size});
    if (berth_json_peek(json) != '{')
        return berth_body_refuse(json, reply, "\"inputs\" holds something that is neither a text nor an object with "
                                              "\"text\" and \"text_pair\"");
    struct berth_member members[] = {{.name = "text", .kind = BERTH_MEMBER_TEXT},
                                     {.name = "text_pair", .kind = BERTH_MEMBER_TEXT}};
    if (!berth_members_read(json, members, 2, "an object of \"inputs\"", reply))
        return false;
    if (!members[0].given)
        return berth_body_refuse(json, reply, "an object of \"inputs\" has no \"text\"");
    struct berth_text text = {.text = members[0].text.bytes, .size = members[0].text.size};
    if (members[1].given)
        text.pair = members[1].text.bytes, text.pair_size = members[1].text.size;
    return berth_call_add_text(call, &text);
}

static bool add_inputs(struct berth_call *call, struct berth_json *json)
{
    if (!berth_json_open(json, '['))
        return add_input(call, json);
    call->batched = true;
    bool some = false;
    while (berth_json_item(json)) {
        some = true;
        if (!add_input(call, json))
            return false;
    }
    if (!some)
        berth_reply_error(&call->request->reply, 400, "\"inputs\" is empty");
    return some;
}

enum { FUNCTION, TOP, ALL, TRUNCATION, LENGTH, PADDING, PARAMETERS };

struct parameters {
    struct berth_hf_form form;
    bool truncate;
    size_t max_length;
};

static bool read_function(const struct berth_member *member, enum berth_score_kind *kind, struct berth_reply *reply)
{
    static const char *const names[] = {"default", "softmax", "sigmoid", "none"}; /* in the order of the enum */
    char value[64];
    if (!member->given)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (berth_slice_is(member->text, names[i])) {
            *kind = (enum berth_score_kind)i;
            return true;
        }
    berth_reply_error(reply, 422, "function_to_apply '%s': use softmax, sigmoid or none",
                      berth_slice_copy(member->text, value, sizeof value));
    return false;
}

static bool read_parameters(struct berth_json *json, struct parameters *parameters, struct berth_reply *reply)
{
    struct berth_member members[PARAMETERS] = {
        [FUNCTION] = {.name = "function_to_apply", .kind = BERTH_MEMBER_TEXT},
        [TOP] = {.name = "top_k", .kind = BERTH_MEMBER_INTEGER},
        [ALL] = {.name = "return_all_scores", .kind = BERTH_MEMBER_BOOL},
        [TRUNCATION] = {.name = "truncation", .kind = BERTH_MEMBER_BOOL},
        [LENGTH] = {.name = "max_length", .kind = BERTH_MEMBER_INTEGER},
        [PADDING] = {.name = "padding"}, /* no answer depends on it */
    };
    if (!berth_members_read(json, members, PARAMETERS, "\"parameters\"", reply) ||
        !read_function(&members[FUNCTION], &parameters->form.kind, reply))
        return false;
    if (members[TOP].given && members[TOP].integer < 1)
        return berth_body_refuse(json, reply, "top_k %lld: use 1 or more", (long long)members[TOP].integer);
    if (members[LENGTH].given && members[LENGTH].integer < 1)
        return berth_body_refuse(json, reply, "max_length %lld: use 1 or more", (long long)members[LENGTH].integer);
    if (members[ALL].given && !members[ALL].truth)
        parameters->form.top = 1;
    if (members[TOP].given)
        parameters->form.top = (size_t)members[TOP].integer;
    if (members[TRUNCATION].given)
        parameters->truncate = members[TRUNCATION].truth;
    if (members[LENGTH].given)
        parameters->max_length = (size_t)members[LENGTH].integer;
    return true;
}

void berth_handle_hf(struct berth_request *request)
{
    struct berth_member members[] = {{.name = "inputs"}, {.name = "parameters"}};
    struct parameters parameters = {.truncate = true};
    struct berth_reply *reply = &request->reply;
    if (!berth_members_read_body(&request->body, members, 2, reply))
        return;
    if (!members[0].given) {
        berth_reply_error(reply, 422, "the body has no \"inputs\"");
        return;
    }
    if (members[1].given && !read_parameters(&members[1].any, &parameters, reply))
        return;
    struct berth_call *call = berth_call_begin(request, NULL, NULL, BERTH_CALL_CLASSIFY);
    if (!call)
        return;
    request->form.hf = parameters.form;
    call->truncate = parameters.truncate;
    call->max_length = parameters.max_length;
    if (add_inputs(call, &members[0].any))
        berth_call_submit(call, answer);
}
