/* framing.c: the head of a request, read as strictly as anybody in front might. */
#include "serve/framing.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

static bool is_token(const char *text, size_t size)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < size; i++) {
        char c = text[i], letter = (char)(c | 0x20);
        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && (c == 0 || !strchr(others, c)))
            return false;
    }
    return size > 0;
}

/* Visible characters, spaces and tabs; bytes above ASCII are everybody's own. */
static bool is_field_value(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 127)
            return false;
    return true;
}

/* A name or an address, and a port: nothing that could be a path, a list or somebody's name and password. */
static bool is_host(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == 127 || strchr("/\\@,?#\"<>", text[i]))
            return false;
    return true;
}

unsigned berth_framing_target(const char *target, const char **why)
{
    size_t size = strlen(target), arguments = 1;
    for (size_t i = 0; i < size; i++)
        arguments += target[i] == '&';
    if (size > BERTH_TARGET_BYTES || arguments > BERTH_TARGET_ARGUMENTS) {
        *why = "the target of the request is too long";
        return 414;
    }
    *why = NULL;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)target[i] <= ' ' || target[i] == 127)
            *why = "the target of a request must have no spaces and no control characters";
    const char *nul = strstr(target, "%00"), *query = strchr(target, '?');
    if (nul && (!query || nul < query))
        *why = "a path must have no %00";
    if (*target != '/')
        *why = "the target of a request must be a path that begins with '/'";
    return *why ? 400 : 0;
}

struct head {
    size_t lines; /* bytes of all header lines, by what was read of them */
    unsigned hosts, lengths, codings;
    bool folded, name, value, host, coding; /* what is wrong */
};

static enum MHD_Result look_at(void *context, enum MHD_ValueKind kind, const char *name, size_t name_size,
                               const char *value, size_t size)
{
    (void)kind;
    struct head *head = context;
    if (!value) {
        value = "";
        size = 0;
    }
    head->name |= !is_token(name, name_size);
    head->value |= !is_field_value(value, size);
    /* Both lie where they arrived, the value behind its name, unless the library has joined lines. */
    uintptr_t begin = (uintptr_t)name, behind = (uintptr_t)value;
    head->folded |= behind <= begin + name_size;
    head->lines += behind + size - begin + 2;
    if (name_size == 4 && strncasecmp(name, "Host", 4) == 0) {
        head->hosts++;
        head->host |= !is_host(value, size);
    } else if (name_size == 14 && strncasecmp(name, "Content-Length", 14) == 0) {
        head->lengths++;
    } else if (name_size == 17 && strncasecmp(name, "Transfer-Encoding", 17) == 0) {
        head->codings++;
        head->coding |= size != 7 || strncasecmp(value, "chunked", 7) != 0;
    }
    return MHD_YES;
}

static size_t bytes_of_head(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info ? info->header_size : 0;
}

static const char *find_fault(const struct head *head, const struct berth_framing_line *line, size_t size)
{
    bool old = strcmp(line->version, "HTTP/1.0") == 0;
    if (!is_token(line->method, strlen(line->method)))
        return "the method is no word";
    if (head->name)
        return "the name of a header must be a word, and its colon follow at once";
    if (head->folded)
        return "a header goes on in a second line; send it in one";
    if (head->value)
        return "the value of a header must have no control characters";
    if (head->hosts > 1 || head->host || (head->hosts == 0 && !old))
        return "exactly one header Host is needed, a name or an address and a port";
    if (head->lengths > 1)
        return "there must be one header Content-Length, not several";
    if (head->lengths > 0 && head->codings > 0)
        return "Content-Length and Transfer-Encoding exclude each other";
    if (head->codings > 1 || head->coding || (head->codings > 0 && old))
        return "Transfer-Encoding must be 'chunked', once, and in HTTP/1.1";
    /* Every byte must be accounted for: a NUL hides what follows it, a bare line feed counts one less than a line's
     * end, and so do spaces that were passed over. */
    size_t begin = strlen(line->method) + 1 + line->target_size + 1;
    if (size != begin + strlen(line->version) + 2 + head->lines + 2 || line->version != line->method + begin)
        return "the head must consist of lines that end in CR and LF, with single spaces in the first and no NUL";
    return NULL;
}

struct berth_framing berth_framing_check(struct MHD_Connection *connection, const struct berth_framing_line *line)
{
    struct head head = {0};
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, look_at, &head);
    return (struct berth_framing){.fault = find_fault(&head, line, bytes_of_head(connection)),
                                  .chunked = head.codings > 0};
}
