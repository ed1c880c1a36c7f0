/* reply.c: header lines to numbers and names that are fit to use. */
#include "hub/reply.h"

#include <string.h>
#include <strings.h>

#include "hub/id.h"

bool berth_hub_is_hex(const char *text, size_t digits)
{
    return strlen(text) == digits && strspn(text, "0123456789abcdef") == digits;
}

bool berth_hub_reply_redirects(const struct berth_hub_reply *reply)
{
    return reply->status == 301 || reply->status == 302 || reply->status == 303 || reply->status == 307 ||
           reply->status == 308;
}

/* Copies a value that fits and has no control characters; else target becomes "". */
static void copy(char *target, size_t capacity, const char *value, size_t size)
{
    target[0] = 0;
    if (size >= capacity)
        return;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)value[i] < ' ' || value[i] == 0x7f)
            return;
    memcpy(target, value, size);
    target[size] = 0;
}

/* Digits alone; *end is what follows them. False without a digit, and when 64 bits do not hold them. */
static bool read_number(const char *text, const char *limit, uint64_t *number, const char **end)
{
    const char *p = text;
    *number = 0;
    for (; p < limit && *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(*number, 10u, number) ||
            __builtin_add_overflow(*number, (uint64_t)(*p - '0'), number))
            return false;
    *end = p;
    return p > text;
}

static bool read_whole_number(const char *text, size_t size, uint64_t *number)
{
    const char *end;
    return read_number(text, text + size, number, &end) && end == text + size;
}

/* "bytes 100-199/200" or ".../ *". */
static void read_range(struct berth_hub_reply *reply, const char *text, size_t size)
{
    const char *limit = text + size, *p = text + 6;
    uint64_t last;
    if (size < 6 || strncasecmp(text, "bytes ", 6) != 0 || !read_number(p, limit, &reply->range_first, &p) ||
        p == limit || *p++ != '-' || !read_number(p, limit, &last, &p) || p == limit || *p++ != '/' ||
        last < reply->range_first)
        return;
    reply->range_total = UINT64_MAX;
    reply->has_range = (limit - p == 1 && *p == '*') || read_whole_number(p, (size_t)(limit - p), &reply->range_total);
}

/* W/"x", "x" and x alike; kept when it is fit to name a file. */
static void read_tag(char *tag, bool *weak, const char *text, size_t size)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-+=:";
    bool is_weak = size > 2 && (text[0] == 'W' || text[0] == 'w') && text[1] == '/';
    if (is_weak)
        text += 2, size -= 2;
    if (size >= 2 && text[0] == '"' && text[size - 1] == '"')
        text++, size -= 2;
    copy(tag, BERTH_HUB_TAG_MAX + 1, text, size);
    if (tag[strspn(tag, allowed)] || tag[0] == '.')
        tag[0] = 0;
    if (weak)
        *weak = is_weak;
}

static void read_status(struct berth_hub_reply *reply, const char *line, size_t size)
{
    const char *space = memchr(line, ' ', size), *end;
    uint64_t status;
    *reply = (struct berth_hub_reply){0};
    if (space && read_number(space + 1, line + size, &status, &end) && status < 1000)
        reply->status = (unsigned)status;
}

void berth_hub_reply_line(struct berth_hub_reply *reply, const char *line, size_t size)
{
    while (size > 0 && (line[size - 1] == '\r' || line[size - 1] == '\n' || line[size - 1] == ' '))
        size--;
    if (size > 5 && strncasecmp(line, "HTTP/", 5) == 0) {
        read_status(reply, line, size);
        return;
    }
    const char *colon = memchr(line, ':', size);
    if (!colon)
        return;
    size_t name = (size_t)(colon - line);
    const char *value = colon + 1;
    while (value < line + size && (*value == ' ' || *value == '\t'))
        value++;
    size_t length = (size_t)(line + size - value);
#define IS(text) (name == sizeof(text) - 1 && strncasecmp(line, text, name) == 0)
    if (IS("ETag"))
        read_tag(reply->etag, &reply->weak, value, length);
    else if (IS("X-Linked-Etag"))
        read_tag(reply->linked_etag, NULL, value, length);
    else if (IS("X-Linked-Size"))
        reply->has_linked_size = read_whole_number(value, length, &reply->linked_size);
    else if (IS("Content-Length"))
        reply->has_length = read_whole_number(value, length, &reply->length);
    else if (IS("Content-Range"))
        read_range(reply, value, length);
    else if (IS("Location"))
        copy(reply->location, sizeof reply->location, value, length);
    else if (IS("X-Error-Code"))
        copy(reply->error_code, sizeof reply->error_code, value, length);
    else if (IS("X-Repo-Commit")) {
        copy(reply->commit, sizeof reply->commit, value, length);
        if (!berth_hub_is_commit(reply->commit))
            reply->commit[0] = 0;
    }
#undef IS
}
