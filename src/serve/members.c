/* members.c: tables of members over the reader of JSON. */
#include "serve/members.h"

#include <stdarg.h>
#include <stdio.h>

#include "berth/status.h"

static bool refuse_malformed(const struct berth_json *json, struct berth_reply *reply)
{
    berth_reply_error(reply, 400, "the body is not JSON: line %zu: %s", berth_json_line(json),
                      json->fault ? json->fault : "the text ends early");
    return false;
}

bool berth_body_refuse(const struct berth_json *json, struct berth_reply *reply, const char *format, ...)
{
    if (json->fault || json->at == json->end)
        return refuse_malformed(json, reply);
    char sentence[BERTH_ERROR_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    berth_reply_error(reply, 422, "%s", sentence);
    return false;
}

bool berth_body_end(struct berth_json *json, struct berth_reply *reply)
{
    return berth_json_end(json) || refuse_malformed(json, reply);
}

static bool read_member(struct berth_json *json, struct berth_member *member)
{
    member->given = true;
    switch (member->kind) {
        case BERTH_MEMBER_TEXT:
            return berth_json_string(json, &member->text);
        case BERTH_MEMBER_BOOL:
            return berth_json_bool(json, &member->truth);
        case BERTH_MEMBER_INTEGER:
            return berth_json_integer(json, &member->integer);
        default:
            member->any = *json;
            return berth_json_skip(json);
    }
}

static const char *kind_name(enum berth_member_kind kind)
{
    return kind == BERTH_MEMBER_TEXT ? "a text" : kind == BERTH_MEMBER_BOOL ? "true or false" : "an integer";
}

bool berth_members_read(struct berth_json *json, struct berth_member *members, size_t count, const char *where,
                        struct berth_reply *reply)
{
    struct berth_slice name;
    uint64_t seen = 0;
    for (size_t i = 0; i < count; i++)
        members[i].given = false;
    if (!berth_json_open(json, '{'))
        return berth_body_refuse(json, reply, "%s is not a JSON object", where);
    while (berth_json_member(json, &name)) {
        size_t i = 0;
        while (i < count && !berth_slice_is(name, members[i].name))
            i++;
        if (i == count) {
            berth_json_skip(json);
            continue;
        }
        if (seen >> i & 1) {
            berth_reply_error(reply, 400, "%s has \"%s\" twice", where, members[i].name);
            return false;
        }
        seen |= (uint64_t)1 << i;
        if (!berth_json_null(json) && !read_member(json, &members[i]))
            return berth_body_refuse(json, reply, "\"%s\" of %s is not %s", members[i].name, where,
                                     kind_name(members[i].kind));
    }
    return !json->fault || refuse_malformed(json, reply);
}

bool berth_members_read_body(struct berth_buffer *body, struct berth_member *members, size_t count,
                             struct berth_reply *reply)
{
    struct berth_json json;
    char none[1] = {0};
    berth_json_begin(&json, body->data ? body->data : none, body->size);
    return berth_members_read(&json, members, count, "the body", reply) && berth_body_end(&json, reply);
}
