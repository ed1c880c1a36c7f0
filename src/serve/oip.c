/* oip.c: the Open Inference Protocol, version 2: POST /v2/models/{m}/infer. What the server and its models say of
 * themselves is in oip_about.c.
 *
 * Token ids come as rows of one length with an attention_mask. What is masked behind a row's end is left out before
 * computing, which changes nothing in the answer. Masked tokens before or within the text are refused: their
 * positions would stay taken, and padding is never in front for these models. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "serve/handlers.h"
#include "serve/oip.h"

/* The size of the JSON at the start of the body; false when the reply says why there is none. */
static bool read_json_size(struct berth_request *request, size_t *size)
{
    const char *header = berth_request_header(request, "Inference-Header-Content-Length");
    *size = request->body.size;
    if (!header)
        return true;
    char *end;
    unsigned long long given = strtoull(header, &end, 10);
    if (header[0] >= '0' && header[0] <= '9' && *end == 0 && given <= request->body.size) {
        *size = (size_t)given;
        return true;
    }
    berth_reply_error(&request->reply, 400, "Inference-Header-Content-Length '%s': the body has %zu bytes", header,
                      request->body.size);
    return false;
}

struct texts {
    struct berth_call *call;
    bool pairs, half; /* half: the first text of a pair waits in `first` */
    struct berth_slice first;
};

static bool take_text(void *context, struct berth_slice slice)
{
    struct texts *texts = context;
    if (texts->pairs && !texts->half) {
        texts->first = slice;
        texts->half = true;
        return true;
    }
    texts->half = false;
    struct berth_text text = {.text = slice.bytes, .size = slice.size};
    if (texts->pairs)
        text = (struct berth_text){
            .text = texts->first.bytes, .size = texts->first.size, .pair = slice.bytes, .pair_size = slice.size};
    return berth_call_add_text(texts->call, &text);
}

static bool add_texts(struct berth_call *call, const struct berth_oip_tensor *tensor)
{
    struct texts texts = {.call = call, .pairs = tensor->rank == 2 && tensor->shape[1] == 2};
    return berth_oip_texts(tensor, take_text, &texts, &call->request->reply);
}

/* Tokens of a row up to its padding; 0 when the reply says why there are none. */
static size_t row_size(const int32_t *mask, size_t size, size_t row, struct berth_reply *reply)
{
    while (size > 0 && mask[size - 1] == 0)
        size--;
    if (size == 0)
        berth_reply_error(reply, 422, "input 'attention_mask': row %zu masks every token", row);
    for (size_t k = 0; k < size; k++)
        if (mask[k] == 0) {
            berth_reply_error(reply, 422, "input 'attention_mask': row %zu masks token %zu within the text; only "
                                          "padding behind a text can be masked",
                              row, k);
            return 0;
        }
    return size;
}

/* One of ids, mask and types (NULL: not given). */
static int32_t *read_integers(const struct berth_oip_tensor *tensor, int64_t least, int64_t most, struct berth_reply *reply)
{
    int32_t *values = berth_malloc(tensor->elements, sizeof *values);
    if (!values)
        berth_reply_error(reply, 503, "memory ran out");
    else if (!berth_oip_integers(tensor, least, most, values, reply)) {
        berth_free(values);
        values = NULL;
    }
    return values;
}

static bool add_rows(struct berth_call *call, const struct berth_oip_tensor *shape, const int32_t *ids,
                     const int32_t *mask, const int32_t *types)
{
    size_t length = shape->shape[1];
    uint8_t *row_types = types ? berth_malloc(length, 1) : NULL;
    bool good = !types || row_types;
    if (!good)
        berth_reply_error(&call->request->reply, 503, "memory ran out");
    for (size_t i = 0; i < shape->shape[0] && good; i++) {
        size_t at = i * length, size = mask ? row_size(mask + at, length, i, &call->request->reply) : length;
        for (size_t k = 0; k < size && types; k++)
            row_types[k] = (uint8_t)types[at + k];
        good = size > 0 && berth_call_add_ids(call, ids + at, row_types, size);
    }
    berth_free(row_types);
    return good;
}

static bool add_ids(struct berth_call *call, const struct berth_oip_tensor *tensor)
{
    struct berth_reply *reply = &call->request->reply;
    const struct berth_model_info *info = call->info;
    const struct berth_oip_tensor *mask = &tensor[BERTH_OIP_MASK], *types = &tensor[BERTH_OIP_TYPES];
    int64_t last_type = info->type_vocab_size ? (int64_t)berth_min(info->type_vocab_size, 256) - 1 : 0;
    int32_t *ids = read_integers(&tensor[BERTH_OIP_IDS], 0, (int64_t)info->vocab_size - 1, reply);
    int32_t *masks = ids && mask->name ? read_integers(mask, 0, 1, reply) : NULL;
    int32_t *type_ids = ids && types->name && !reply->status ? read_integers(types, 0, last_type, reply) : NULL;
    bool good = !reply->status && add_rows(call, &tensor[BERTH_OIP_IDS], ids, masks, type_ids);
    berth_free(ids);
    berth_free(masks);
    berth_free(type_ids);
    return good;
}

void berth_handle_oip_infer(struct berth_request *request)
{
    struct berth_oip_inputs inputs;
    size_t json_size;
    struct berth_call *call = berth_call_begin(request, NULL, NULL, BERTH_CALL_CLASSIFY);
    if (!call || !read_json_size(request, &json_size) ||
        !berth_oip_read(&request->body, json_size, &inputs, &request->form.oip, &request->reply))
        return;
    for (size_t i = 0; i < request->form.oip.count; i++)
        if (request->form.oip.output[i].kind == BERTH_OIP_LABEL && strcmp(call->info->problem, "regression") == 0) {
            berth_reply_error(&request->reply, 422, "output 'label': model '%s' is a regression and has none", call->name);
            return;
        }
    call->timeout_ns = inputs.timeout_ns;
    call->batched = inputs.tensor[inputs.tensor[BERTH_OIP_TEXT].name ? BERTH_OIP_TEXT : BERTH_OIP_IDS].shape[0] > 1;
    if (inputs.tensor[BERTH_OIP_TEXT].name ? add_texts(call, &inputs.tensor[BERTH_OIP_TEXT])
                                           : add_ids(call, inputs.tensor))
        berth_call_submit(call, berth_oip_answer);
}
