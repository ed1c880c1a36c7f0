/* members.h: the objects of the protocols' bodies, read by a table of what may stand in them.
 *
 *     struct berth_member members[] = {{.name = "inputs"}, {.name = "truncate", .kind = BERTH_MEMBER_BOOL}};
 *     if (berth_members_read(&json, members, 2, "the body", &request->reply) && members[1].given) ...
 */
#ifndef BERTH_SERVE_MEMBERS_H
#define BERTH_SERVE_MEMBERS_H

#include "serve/json_pull.h"
#include "serve/reply.h"

enum berth_member_kind {
    BERTH_MEMBER_ANY, /* passed over; `any` reads it later */
    BERTH_MEMBER_TEXT,
    BERTH_MEMBER_BOOL,
    BERTH_MEMBER_INTEGER
};

struct berth_member {
    const char *name;
    enum berth_member_kind kind;
    bool given; /* out: it stands there, and is not null */
    union {
        struct berth_json any;
        struct berth_slice text; /* borrowed from the body */
        bool truth;
        int64_t integer;
    };
};

/* Reads the object that comes next. Members that the table does not name are passed over, as the servers do whose
 * protocols these are. False when the reply says why not: 400 where the JSON is malformed or names a member of the
 * table twice, 422 where there is no object or a member is of another kind. `where` stands in messages. */
bool berth_members_read(struct berth_json *json, struct berth_member *members, size_t count, const char *where,
                        struct berth_reply *reply);

/* The same for a whole body, which holds nothing but that object. The body is rewritten. */
bool berth_members_read_body(struct berth_buffer *body, struct berth_member *members, size_t count,
                             struct berth_reply *reply);

/* Ends the reading of a body: false when it is malformed or goes on, and the reply is a 400. */
bool berth_body_end(struct berth_json *json, struct berth_reply *reply);

/* A reply for a value that is not of the kind asked for: 400 when in truth the JSON is malformed there, else 422 with
 * the sentence. Returns false. */
bool berth_body_refuse(const struct berth_json *json, struct berth_reply *reply, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
