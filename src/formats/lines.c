/* lines.c: read(2) into one growing block, memchr over it. No stdio: fread would wait for a full buffer where
 * a pipe has delivered a line. First step of every reader of texts. */
#include "formats/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"

enum {
    READ_AHEAD = 256 << 10,
    CAPACITY_MAX = BERTH_LINE_MAX + 3, /* "\r\n" and the byte for a NUL */
};

enum berth_status berth_lines_open(const char *path, struct berth_lines *lines, struct berth_error *err)
{
    enum berth_status status;
    bool standard = !path || strcmp(path, "-") == 0;
    *lines = (struct berth_lines){.fd = standard ? STDIN_FILENO : -1, .owns_fd = !standard};
    lines->name = berth_strdup(standard ? "standard input" : path);
    lines->data = berth_malloc(READ_AHEAD, 1);
    lines->capacity = READ_AHEAD;
    if (!lines->name || !lines->data) {
        status = berth_fail_memory(err, "reading lines", READ_AHEAD);
        goto fail;
    }
    if (!standard && (lines->fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
        status = berth_fail_errno(err, errno, "%s: cannot open", path);
        goto fail;
    }
    struct stat info;
    if (fstat(lines->fd, &info) == 0 && S_ISDIR(info.st_mode)) {
        status = berth_fail(err, BERTH_IO, "%s: is a directory, a file of texts is needed", lines->name);
        goto fail;
    }
    return BERTH_OK;
fail:
    berth_lines_close(lines);
    return status;
}

void berth_lines_close(struct berth_lines *lines)
{
    if (lines->owns_fd && lines->fd >= 0)
        close(lines->fd);
    berth_free(lines->name);
    berth_free(lines->data);
    *lines = (struct berth_lines){.fd = -1};
}

/* Makes room behind the bytes held: what was handed out already goes first, then the block grows. */
static enum berth_status make_room(struct berth_lines *lines, struct berth_error *err)
{
    if (lines->start > 0) {
        memmove(lines->data, lines->data + lines->start, lines->filled - lines->start);
        lines->filled -= lines->start;
        lines->next -= lines->start;
        lines->searched -= lines->start;
        lines->start = 0;
    }
    if (lines->filled + 1 < lines->capacity)
        return BERTH_OK;
    if (lines->capacity == CAPACITY_MAX)
        return berth_fail(err, BERTH_LIMIT,
                          "%s:%zu: longer than %d MiB; is this a text file, and is every quote closed?",
                          lines->name, lines->number, BERTH_LINE_MAX >> 20);
    size_t capacity = berth_min(lines->capacity * 2, CAPACITY_MAX);
    char *data = berth_realloc(lines->data, capacity, 1);
    if (!data)
        return berth_fail_memory(err, "a long line", capacity);
    lines->data = data;
    lines->capacity = capacity;
    return BERTH_OK;
}

/* Reads what there is, waiting for at least a byte or the end. */
static enum berth_status fill(struct berth_lines *lines, struct berth_error *err)
{
    enum berth_status status = make_room(lines, err);
    if (status != BERTH_OK)
        return status;
    for (;;) {
        ssize_t got = read(lines->fd, lines->data + lines->filled, lines->capacity - 1 - lines->filled);
        if (got >= 0) {
            lines->filled += (size_t)got;
            lines->ended = got == 0;
            return BERTH_OK;
        }
        if (errno == EAGAIN) /* someone made the shared description non-blocking */
            (void)poll(&(struct pollfd){.fd = lines->fd, .events = POLLIN}, 1, -1);
        else if (errno != EINTR)
            return berth_fail_errno(err, errno, "%s: cannot read", lines->name);
    }
}

/* Offset behind the newline of the line that begins at `next`, or 0 when it has not arrived. */
static size_t find_end(struct berth_lines *lines)
{
    char *newline = memchr(lines->data + lines->searched, '\n', lines->filled - lines->searched);
    lines->searched = newline ? (size_t)(newline - lines->data) + 1 : lines->filled;
    return newline ? lines->searched : 0;
}

/* Moves `next` behind the line that begins there. */
static enum berth_status take_line(struct berth_lines *lines, bool *found, struct berth_error *err)
{
    enum berth_status status = BERTH_OK;
    size_t end;
    while ((end = find_end(lines)) == 0 && !lines->ended)
        if ((status = fill(lines, err)) != BERTH_OK)
            return status;
    if (end == 0)
        end = lines->filled; /* the last line lacks its newline, or there is none */
    *found = end > lines->next;
    lines->next = end;
    return BERTH_OK;
}

enum berth_status berth_lines_next(struct berth_lines *lines, bool *found, struct berth_error *err)
{
    static const char mark[] = {'\xef', '\xbb', '\xbf'};
    lines->start = lines->next;
    lines->number = ++lines->last;
    enum berth_status status = take_line(lines, found, err);
    if (status != BERTH_OK || !*found)
        lines->last--;
    else if (lines->number == 1 && lines->next - lines->start >= sizeof mark &&
             memcmp(lines->data + lines->start, mark, sizeof mark) == 0) {
        lines->start += sizeof mark;
        *found = lines->start < lines->filled; /* a file of nothing but the mark is empty */
    }
    return status;
}

enum berth_status berth_lines_extend(struct berth_lines *lines, bool *found, struct berth_error *err)
{
    enum berth_status status = take_line(lines, found, err);
    if (status == BERTH_OK && *found)
        lines->last++;
    return status;
}

char *berth_lines_text(const struct berth_lines *lines, size_t *size)
{
    char *text = lines->data + lines->start;
    *size = lines->next - lines->start;
    if (*size > 0 && text[*size - 1] == '\n')
        --*size;
    if (*size > 0 && text[*size - 1] == '\r')
        --*size;
    return text;
}

bool berth_lines_ready(struct berth_lines *lines)
{
    for (;;) {
        char *newline = memchr(lines->data + lines->searched, '\n', lines->filled - lines->searched);
        lines->searched = newline ? (size_t)(newline - lines->data) : lines->filled;
        if (newline || lines->ended)
            return true;
        if (poll(&(struct pollfd){.fd = lines->fd, .events = POLLIN}, 1, 0) <= 0)
            return false;
        size_t room = lines->capacity - 1 - lines->filled;
        if (room ==
            0) /* moving the block would break the current line; bytes are coming, so the wait is short */
            return true;
        ssize_t got = read(lines->fd, lines->data + lines->filled, room);
        if (got < 0)
            return errno != EAGAIN && errno != EINTR; /* the next call meets the error and says so */
        lines->filled += (size_t)got;
        lines->ended = got == 0;
    }
}
