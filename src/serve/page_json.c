/* page_json.c: bodies of the page's requests and answers. */
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/json_text.h"
#include "serve/page.h"

/* Whether a media type is JSON's, whatever its parameters. */
static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    return type && strncasecmp(type, json, sizeof json - 1) == 0 && strchr("; \t", type[sizeof json - 1]);
}

json_t *berth_page_body(struct berth_request *request)
{
    if (!is_json(berth_request_header(request, "Content-Type"))) {
        berth_reply_error(&request->reply, 415, "send this with Content-Type: application/json");
        return NULL;
    }
    json_error_t fault;
    const char *body = "";
    if (request->body.data) {
        berth_json_text_mend(request->body.data, request->body.size);
        body = request->body.data;
    }
    json_t *object = json_loadb(body, request->body.size, JSON_ALLOW_NUL, &fault);
    if (!object)
        berth_reply_error(&request->reply, 400, "the body is not JSON: line %d: %s", fault.line, fault.text);
    else if (!json_is_object(object))
        berth_reply_error(&request->reply, 422, "the body is not an object");
    else
        return object;
    json_decref(object);
    return NULL;
}

bool berth_page_text(struct berth_request *request, const json_t *object, const char *name, size_t limit,
                     const char **text, size_t *size)
{
    const json_t *value = json_object_get(object, name);
    *text = json_string_value(value);
    *size = *text ? json_string_length(value) : 0;
    if (!value || json_is_null(value) || (*text && *size <= limit))
        return true;
    berth_reply_error(&request->reply, 422, "'%s' is not a text of at most %zu bytes", name, limit);
    return false;
}

void berth_page_answer(struct berth_request *request, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(object);
    berth_reply_begin(&request->reply, 200, "application/json");
    berth_reply_header(&request->reply, "Cache-Control", "no-store");
    if (!text || !berth_buffer_text(&request->reply.body, text))
        berth_reply_error(&request->reply, 503, "memory ran out");
    berth_free(text);
}

void berth_page_answer_fault(struct berth_request *request, const char *deployment, const char *sentence)
{
    berth_page_answer(request, json_pack("{s:s, s:s}", "deployment", deployment, "error", sentence));
}

json_t *berth_page_us(uint64_t ns)
{
    return json_real((double)ns * 1e-3);
}

static json_t *list_of(const float *values, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < count; i++)
        if (json_array_append_new(list, json_real((double)values[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

json_t *berth_page_result(const char *deployment, const struct berth_result *result)
{
    return json_pack("{s:s, s:s?, s:I, s:f, s:o, s:o, s:I, s:b}", "deployment", deployment, "label", result->label,
                     "label_id", (json_int_t)result->label_id, "score", (double)result->score, "scores",
                     list_of(result->scores, result->labels), "logits", list_of(result->logits, result->labels),
                     "tokens", (json_int_t)result->tokens, "truncated", (int)result->truncated);
}

void berth_page_defer(struct berth_request *request, void (*run)(struct berth_request *request))
{
    berth_request_defer(request, request->server->page->worker, run);
}
