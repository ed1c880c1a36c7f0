/* tei.c: the routes of text-embeddings-inference: /predict, /embed, /tokenize; /decode and /info are in
 * tei_info.c.
 *
 * `inputs` of /predict is a text, a list of one or two texts (one text, or one pair: not a batch), or a list of such
 * lists. `truncate` left out means true, as with its option --auto-truncate. */
#include "serve/handlers.h"
#include "serve/inputs.h"
#include "serve/members.h"

enum { INPUTS, MODEL, TRUNCATE, DIRECTION, RAW_SCORES, NORMALIZE, POOLING, DIMENSIONS, PROMPT, SPECIAL, MEMBERS };

/* One table for all routes: a member that another route has is passed over, as it is there. */
static bool read_body(struct berth_request *request, struct berth_member members[MEMBERS])
{
    static const struct berth_member known[MEMBERS] = {
        [INPUTS] = {.name = "inputs"},
        [MODEL] = {.name = "model", .kind = BERTH_MEMBER_TEXT},
        [TRUNCATE] = {.name = "truncate", .kind = BERTH_MEMBER_BOOL},
        [DIRECTION] = {.name = "truncation_direction", .kind = BERTH_MEMBER_TEXT},
        [RAW_SCORES] = {.name = "raw_scores", .kind = BERTH_MEMBER_BOOL},
        [NORMALIZE] = {.name = "normalize", .kind = BERTH_MEMBER_BOOL},
        [POOLING] = {.name = "pooling", .kind = BERTH_MEMBER_TEXT},
        [DIMENSIONS] = {.name = "dimensions", .kind = BERTH_MEMBER_INTEGER},
        [PROMPT] = {.name = "prompt_name", .kind = BERTH_MEMBER_TEXT},
        [SPECIAL] = {.name = "add_special_tokens", .kind = BERTH_MEMBER_BOOL},
    };
    for (size_t i = 0; i < MEMBERS; i++)
        members[i] = known[i];
    struct berth_reply *reply = &request->reply;
    if (!berth_members_read_body(&request->body, members, MEMBERS, reply))
        return false;
    if (!members[INPUTS].given)
        berth_reply_error(reply, 422, "the body has no \"inputs\"");
    else if (members[PROMPT].given)
        berth_reply_error(reply, 422, "\"prompt_name\": this server knows no prompts; put the words into the text");
    return reply->status == 0;
}

/* The call with the options that all routes share; NULL when the reply says why not. */
static struct berth_call *begin(struct berth_request *request, const struct berth_member members[MEMBERS],
                                enum berth_call_kind kind)
{
    char name[BERTH_VALUE_SIZE];
    const struct berth_member *direction = &members[DIRECTION];
    bool left = direction->given && (berth_slice_is(direction->text, "left") || berth_slice_is(direction->text, "Left"));
    if (direction->given && !left && !berth_slice_is(direction->text, "right") &&
        !berth_slice_is(direction->text, "Right")) {
        berth_reply_error(&request->reply, 422, "truncation_direction '%s': use left or right",
                          berth_slice_copy(direction->text, name, sizeof name));
        return NULL;
    }
    const char *model = members[MODEL].given ? berth_slice_copy(members[MODEL].text, name, sizeof name) : NULL;
    struct berth_call *call = berth_call_begin(request, model, NULL, kind);
    if (!call)
        return NULL;
    call->truncate = !members[TRUNCATE].given || members[TRUNCATE].truth;
    call->truncate_left = left;
    return call;
}

/* Adds the texts of a list of one or two: one input. */
static bool add_list(struct berth_call *call, struct berth_json *json)
{
    struct berth_reply *reply = &call->request->reply;
    struct berth_slice part[2];
    size_t count = 0;
    berth_json_open(json, '[');
    while (berth_json_item(json)) {
        if (count == 2)
            return berth_body_refuse(json, reply, "\"inputs\": a list of more than two texts is no pair; a batch is "
                                                  "a list of lists");
        if (!berth_json_string(json, &part[count]))
            return berth_body_refuse(json, reply, "\"inputs\": a list of texts holds something that is no text");
        count++;
    }
    if (count == 0)
        return berth_body_refuse(json, reply, "\"inputs\" holds an empty list: give one text, or two for a pair");
    struct berth_text text = {.text = part[0].bytes, .size = part[0].size};
    if (count == 2)
        text.pair = part[1].bytes, text.pair_size = part[1].size;
    return berth_call_add_text(call, &text);
}

static bool add_single(struct berth_call *call, struct berth_json *json)
{
    struct berth_slice slice;
    if (!berth_json_string(json, &slice))
        return berth_body_refuse(json, &call->request->reply, "\"inputs\" holds something that is no text");
    struct berth_text text = {.text = slice.bytes, .size = slice.size};
    return berth_call_add_text(call, &text);
}

/* Whether the list that comes next holds lists. */
static bool holds_lists(struct berth_json json)
{
    return berth_json_open(&json, '[') && berth_json_item(&json) && berth_json_peek(&json) == '[';
}

static void answer_predict(struct berth_request *request)
{
    const struct berth_call *call = &request->call;
    const struct berth_tei_form *form = &request->form.tei;
    struct berth_ranking ranking = {.kind = form->raw_scores ? BERTH_SCORE_RAW : BERTH_SCORE_MODEL,
                                    .score_first = true};
    struct berth_writer writer = berth_write_begin(&request->reply, 200, "application/json");
    for (size_t i = 0; i < call->count; i++) {
        if (form->batch)
            berth_write(&writer, i == 0 ? "[" : ",");
        berth_ranking_write(&ranking, &call->items[i].result, call->info->label_names, &writer);
    }
    if (form->batch)
        berth_write(&writer, "]");
    berth_ranking_clear(&ranking);
    berth_write_end(&writer, &request->reply);
}

void berth_handle_predict(struct berth_request *request)
{
    struct berth_member members[MEMBERS];
    struct berth_call *call;
    if (!read_body(request, members) || !(call = begin(request, members, BERTH_CALL_CLASSIFY)))
        return;
    struct berth_json *json = &members[INPUTS].any;
    bool batch = holds_lists(*json), good;
    request->form.tei = (struct berth_tei_form){.batch = batch,
                                                .raw_scores = members[RAW_SCORES].given && members[RAW_SCORES].truth};
    call->batched = batch;
    if (!batch) {
        good = berth_json_peek(json) == '[' ? add_list(call, json) : add_single(call, json);
    } else {
        good = berth_json_open(json, '[');
        while (good && berth_json_item(json))
            good = berth_json_peek(json) == '['
                       ? add_list(call, json)
                       : berth_body_refuse(json, &request->reply, "\"inputs\": a batch is a list of lists alone");
    }
    if (good)
        berth_call_submit(call, answer_predict);
}

static void answer_embed(struct berth_request *request)
{
    const struct berth_call *call = &request->call;
    struct berth_writer writer = berth_write_begin(&request->reply, 200, "application/json");
    for (size_t i = 0; i < call->count; i++) {
        berth_write(&writer, i == 0 ? "[" : ",");
        berth_vector_write(&request->form.tei.cut, call->items[i].vector, &writer);
    }
    berth_write(&writer, "]");
    berth_write_end(&writer, &request->reply);
}

/* `inputs` of /embed: a text or a list of texts; token ids, or a list of lists of them, instead of texts. */
static bool add_any(struct berth_call *call, struct berth_json *json)
{
    struct berth_reply *reply = &call->request->reply;
    if (berth_json_peek(json) != '[')
        return add_single(call, json);
    if (berth_inputs_are_ids(*json))
        return berth_inputs_add_ids(call, json, "\"inputs\"");
    berth_json_open(json, '[');
    size_t count = 0;
    while (berth_json_item(json)) {
        bool good = berth_json_peek(json) == '[' ? berth_inputs_add_ids(call, json, "\"inputs\"") : add_single(call, json);
        if (!good)
            return false;
        count++;
    }
    if (count == 0)
        berth_reply_error(reply, 400, "\"inputs\" is empty");
    return count > 0;
}

void berth_handle_embed(struct berth_request *request)
{
    struct berth_member members[MEMBERS];
    struct berth_call *call;
    if (!read_body(request, members) || !(call = begin(request, members, BERTH_CALL_EMBED)))
        return;
    bool normalize = !members[NORMALIZE].given || members[NORMALIZE].truth;
    const struct berth_slice *pooling = members[POOLING].given ? &members[POOLING].text : NULL;
    if (!berth_pooling_choose(request, pooling, &call->pooling) ||
        !berth_cut_choose(request, members[DIMENSIONS].given, members[DIMENSIONS].integer, normalize,
                          &request->form.tei.cut))
        return;
    call->normalize = normalize;
    call->batched = berth_json_peek(&members[INPUTS].any) == '[' && !berth_inputs_are_ids(members[INPUTS].any);
    if (add_any(call, &members[INPUTS].any))
        berth_call_submit(call, answer_embed);
}

static void write_token(struct berth_writer *writer, const struct berth_model *model, int32_t id, bool special)
{
    const char *text = berth_token_text(model, id);
    berth_write(writer, "{\"id\":");
    berth_write_integer(writer, id);
    berth_write(writer, ",\"text\":");
    berth_write_text(writer, text ? text : "");
    berth_write(writer, special ? ",\"special\":true" : ",\"special\":false");
    berth_write(writer, ",\"start\":null,\"stop\":null}");
}

/* The first token of a text and its last are the special ones that the model adds. */
static void write_tokens(struct berth_writer *writer, const struct berth_call *call, size_t i, bool special,
                         bool listed)
{
    const struct berth_call_item *item = &call->items[i];
    bool some = false;
    berth_write(writer, i == 0 ? "[[" : ",[");
    for (size_t k = 0; k < item->size; k++) {
        bool added = special && (k == 0 || k + 1 == item->size);
        if (added && !listed)
            continue;
        if (some)
            berth_write(writer, ",");
        some = true;
        write_token(writer, call->model, call->ids[item->first + k], added);
    }
    berth_write(writer, "]");
}

/* Whether the model adds special tokens to a text. */
static bool adds_special(const struct berth_model *model)
{
    struct berth_tokens tokens = {0};
    bool adds = berth_tokenize(model, &(struct berth_text)BERTH_TEXT(""), 0, &tokens, NULL) == BERTH_OK &&
                tokens.size == 2;
    berth_tokens_clear(&tokens);
    return adds;
}

void berth_handle_tokenize(struct berth_request *request)
{
    struct berth_member members[MEMBERS];
    struct berth_call *call;
    if (!read_body(request, members) || !(call = begin(request, members, BERTH_CALL_LOOK)))
        return;
    struct berth_json *json = &members[INPUTS].any;
    if (berth_inputs_are_ids(*json)) {
        berth_reply_error(&request->reply, 422, "\"inputs\" holds something that is no text");
        return;
    }
    if (!add_any(call, json))
        return;
    bool special = adds_special(call->model), listed = !members[SPECIAL].given || members[SPECIAL].truth;
    struct berth_writer writer = berth_write_begin(&request->reply, 200, "application/json");
    for (size_t i = 0; i < call->count; i++)
        write_tokens(&writer, call, i, special, listed);
    berth_write(&writer, "]");
    berth_write_end(&writer, &request->reply);
}
