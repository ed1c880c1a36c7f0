/* inputs.c: token ids from JSON, and options of vectors. */
#include "serve/inputs.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "serve/members.h"

bool berth_inputs_are_ids(struct berth_json json)
{
    return berth_json_open(&json, '[') && berth_json_item(&json) && berth_json_peek(&json) == '0';
}

/* Ids beyond 32 bits are none of any vocabulary's, like -1. */
static int32_t narrow(int64_t id)
{
    return id < 0 || id > INT32_MAX ? -1 : (int32_t)id;
}

bool berth_inputs_add_ids(struct berth_call *call, struct berth_json *json, const char *where)
{
    int32_t *ids = NULL;
    size_t count = 0, capacity = 0;
    bool good = true;
    berth_json_open(json, '[');
    while (good && berth_json_item(json)) {
        int64_t id;
        if (count == capacity) {
            capacity = berth_max(64, 2 * capacity);
            int32_t *grown = berth_realloc(ids, capacity, sizeof *ids);
            if (!grown) {
                berth_reply_error(&call->request->reply, 503, "memory ran out");
                good = false;
                break;
            }
            ids = grown;
        }
        good = berth_json_integer(json, &id) ||
               berth_body_refuse(json, &call->request->reply, "%s: a list of token ids holds something that is no "
                                                              "integer", where);
        if (good)
            ids[count++] = narrow(id);
    }
    good = good && berth_call_add_ids(call, ids, NULL, count);
    berth_free(ids);
    return good;
}

bool berth_pooling_choose(struct berth_request *request, const struct berth_slice *named,
                          enum berth_pooling *pooling)
{
    char value[BERTH_VALUE_SIZE] = "mean";
    if (named)
        berth_slice_copy(*named, value, sizeof value);
    else
        berth_request_query(request, "pooling", value);
    *pooling = strcmp(value, "cls") == 0 ? BERTH_POOLING_CLS : BERTH_POOLING_MEAN;
    if (*pooling == BERTH_POOLING_MEAN && strcmp(value, "mean") != 0)
        berth_reply_error(&request->reply, 422, "pooling '%s': use mean or cls", value);
    return request->reply.status == 0;
}

bool berth_cut_choose(struct berth_request *request, bool given, int64_t dimensions, bool normalize,
                      struct berth_cut *cut)
{
    size_t width = request->call.width;
    if (given && (dimensions < 1 || (uint64_t)dimensions > width)) {
        berth_reply_error(&request->reply, 422, "dimensions %lld: the model's vectors have %zu",
                          (long long)dimensions, width);
        return false;
    }
    *cut = (struct berth_cut){.width = given ? (size_t)dimensions : width,
                              .cut = given && (uint64_t)dimensions < width,
                              .normalize = normalize};
    return true;
}
