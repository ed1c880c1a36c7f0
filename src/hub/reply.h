/* reply.h: what the headers of an answer say. Fed line by line, from outside: bounded, anything may come. */
#ifndef BERTH_HUB_REPLY_H
#define BERTH_HUB_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BERTH_HUB_TAG_MAX = 128, BERTH_HUB_URL_MAX = 8192 };

struct berth_hub_reply {
    unsigned status;                          /* 200; 0 before the status line */
    char etag[BERTH_HUB_TAG_MAX + 1];         /* without W/ and quotes; "" when absent or unfit as a file's name */
    char linked_etag[BERTH_HUB_TAG_MAX + 1];  /* the hub's own of a file that another host keeps */
    bool weak;                                /* etag was W/"..." */
    char commit[65];                          /* X-Repo-Commit; "" when absent or malformed */
    char error_code[64];                      /* X-Error-Code, "RepoNotFound" */
    char location[BERTH_HUB_URL_MAX];         /* of a redirect; "" when absent or too long */
    bool has_length, has_linked_size, has_range;
    uint64_t length;                          /* Content-Length, bytes */
    uint64_t linked_size;                     /* X-Linked-Size */
    uint64_t range_first, range_total;        /* Content-Range; total UINT64_MAX when the server says "*" */
    unsigned retry_after;                     /* seconds; set from libcurl, which knows its date form too */
};

/* Takes one header line, with or without its line end. A status line begins anew. */
void berth_hub_reply_line(struct berth_hub_reply *reply, const char *line, size_t size);

bool berth_hub_reply_redirects(const struct berth_hub_reply *reply); /* 301, 302, 303, 307, 308 */

/* Whether the text is `digits` hexadecimal digits. */
bool berth_hub_is_hex(const char *text, size_t digits);

#endif
