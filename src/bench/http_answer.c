/* http_answer.c: status line, headers, and where the body ends. */
#include "bench/http_answer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"

void berth_answer_init(struct berth_answer *answer)
{
    *answer = (struct berth_answer){.stages = {NAN, NAN, NAN, NAN}, .keep_alive = true};
}

static enum berth_answer_state fail_answer(struct berth_answer *answer, const char *fault)
{
    answer->fault = fault;
    return BERTH_ANSWER_BAD;
}

/* "12.5" of at most 31 bytes as a finite number that is not negative, else NaN. */
static double read_number(const char *text, size_t size)
{
    char copy[32], *end;
    if (size == 0 || size >= sizeof copy || strspn(text, "0123456789.") < size)
        return NAN;
    memcpy(copy, text, size);
    copy[size] = 0;
    double value = strtod(copy, &end);
    return *end == 0 && isfinite(value) ? value : NAN;
}

/* The headers that tell a stage, in microseconds (preferred) and in milliseconds. */
static void read_stage(struct berth_stages *stages, const char *name, size_t name_size, const char *value,
                       size_t size)
{
    static const char *const names[] = {"x-tokenization-time", "x-queue-time", "x-inference-time",
                                        "x-total-time"};
    double *const fields[] = {&stages->tokenize_ms, &stages->queue_ms, &stages->inference_ms,
                              &stages->total_ms};
    for (size_t i = 0; i < 4; i++) {
        size_t length = strlen(names[i]);
        if (name_size < length || strncasecmp(name, names[i], length) != 0)
            continue;
        double number = read_number(value, size);
        if (name_size == length + 3 && strncasecmp(name + length, "-us", 3) == 0 && !isnan(number))
            *fields[i] = number * 1e-3;
        else if (name_size == length && isnan(*fields[i]))
            *fields[i] = number;
    }
}

/* Every digit counts: "12abc", "-1" and what overflows are refused. */
static bool read_length(const char *text, size_t size, unsigned base, size_t *length)
{
    *length = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 16;
        if (digit >= base || !berth_mul(*length, base, length) || !berth_add(*length, digit, length))
            return false;
    }
    return size > 0;
}

static bool same_word(const char *text, size_t size, const char *word)
{
    return size == strlen(word) && strncasecmp(text, word, size) == 0;
}

static const char *read_header(struct berth_answer *answer, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    if (!colon || colon == line)
        return "a header without a name";
    size_t name = (size_t)(colon - line);
    const char *value = colon + 1, *end = line + size;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t value_size = (size_t)(end - value);
    if (same_word(line, name, "content-length")) {
        size_t length;
        if (!read_length(value, value_size, 10, &length) || (answer->sized && length != answer->length))
            return "a Content-Length that is no number";
        answer->sized = true;
        answer->length = length;
    } else if (same_word(line, name, "transfer-encoding")) {
        if (!same_word(value, value_size, "chunked"))
            return "a Transfer-Encoding other than chunked";
        answer->chunked = true;
    } else if (same_word(line, name, "connection")) {
        if (same_word(value, value_size, "close"))
            answer->keep_alive = false;
    } else if (*line == 'x' || *line == 'X') {
        read_stage(&answer->stages, line, name, value, value_size);
    }
    return NULL;
}

/* "HTTP/1.1 200 OK" */
static bool read_status(struct berth_answer *answer, const char *line, size_t size)
{
    if (size < 12 || memcmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') || line[8] != ' ' ||
        (size > 12 && line[12] != ' '))
        return false;
    size_t status;
    if (!read_length(line + 9, 3, 10, &status) || status < 100 || status > 599)
        return false;
    answer->status = (int)status;
    answer->keep_alive = line[7] == '1';
    return true;
}

/* All lines up to the empty one, which ends at `end`. */
static enum berth_answer_state read_head(struct berth_answer *answer, const char *data, size_t begin,
                                         size_t end)
{
    const char *line = data + begin, *stop = data + end;
    bool first = true;
    while (line < stop) {
        const char *newline = memchr(line, '\n', (size_t)(stop - line));
        size_t size = (size_t)(newline - line);
        if (size > 0 && line[size - 1] == '\r')
            size--;
        if (first && !read_status(answer, line, size))
            return fail_answer(answer, "what came does not begin with a status line of HTTP/1.1");
        const char *fault = !first && size > 0 ? read_header(answer, line, size) : NULL;
        if (fault)
            return fail_answer(answer, fault);
        first = false;
        line = newline + 1;
    }
    if (answer->status < 200) { /* 100 Continue: the answer proper follows */
        struct berth_answer fresh;
        berth_answer_init(&fresh);
        fresh.body = fresh.scanned = end;
        *answer = fresh;
        return BERTH_ANSWER_MORE;
    }
    answer->headed = true;
    answer->body = answer->scanned = end;
    if (answer->status == 204 || answer->status == 304) {
        answer->chunked = false, answer->sized = true, answer->length = 0;
    }
    if (answer->sized && answer->length > BERTH_ANSWER_BODY_MAX)
        return fail_answer(answer, "a body of more than 64 MiB");
    return BERTH_ANSWER_WHOLE;
}

/* One past the empty line that ends the headers, from `from` on; 0: not there yet. */
static size_t find_blank(const char *data, size_t from, size_t size)
{
    const char *at = data + from, *stop = data + size;
    while ((at = memchr(at, '\n', (size_t)(stop - at)))) {
        at++;
        if (at < stop && *at == '\n')
            return (size_t)(at + 1 - data);
        if (at + 1 < stop && at[0] == '\r' && at[1] == '\n')
            return (size_t)(at + 2 - data);
    }
    return 0;
}

/* Joins the chunks that have come: `scanned` is the next chunk's line, body_size the bytes joined so far. */
static enum berth_answer_state read_chunks(struct berth_answer *answer, char *data, size_t size)
{
    for (;;) {
        char *line = data + answer->scanned;
        char *newline = memchr(line, '\n', size - answer->scanned);
        if (!newline)
            return size - answer->scanned > 64 ? fail_answer(answer, "a chunk without a size")
                                               : BERTH_ANSWER_MORE;
        size_t digits = 0, chunk;
        while (line + digits < newline && line[digits] != ';' && line[digits] != '\r' && line[digits] != ' ')
            digits++;
        if (!read_length(line, digits, 16, &chunk) || chunk > BERTH_ANSWER_BODY_MAX - answer->body_size)
            return fail_answer(answer, "a chunk whose size is no number, or a body of more than 64 MiB");
        size_t content = (size_t)(newline + 1 - data);
        if (chunk == 0) { /* trailers, then an empty line; from the newline on, which may begin it */
            size_t end = find_blank(data, content - 1, size);
            if (end == 0)
                return size - content > BERTH_ANSWER_HEADERS_MAX ? fail_answer(answer, "trailers without end")
                                                                 : BERTH_ANSWER_MORE;
            answer->end = end;
            return BERTH_ANSWER_WHOLE;
        }
        if (size - content < chunk + 2) /* with its CRLF */
            return BERTH_ANSWER_MORE;
        if (data[content + chunk] != '\r' || data[content + chunk + 1] != '\n')
            return fail_answer(answer, "a chunk longer than it says");
        memmove(data + answer->body + answer->body_size, data + content, chunk);
        answer->body_size += chunk;
        answer->scanned = content + chunk + 2;
    }
}

static enum berth_answer_state read_body(struct berth_answer *answer, char *data, size_t size, bool closed)
{
    if (answer->chunked)
        return read_chunks(answer, data, size);
    size_t there = size - answer->body;
    if (answer->sized) {
        if (there < answer->length)
            return BERTH_ANSWER_MORE;
        answer->body_size = answer->length;
    } else {
        answer->keep_alive = false;
        if (there > BERTH_ANSWER_BODY_MAX)
            return fail_answer(answer, "a body of more than 64 MiB");
        if (!closed)
            return BERTH_ANSWER_MORE;
        answer->body_size = there;
    }
    answer->end = answer->body + answer->body_size;
    return BERTH_ANSWER_WHOLE;
}

enum berth_answer_state berth_answer_read(struct berth_answer *answer, char *data, size_t size, bool closed)
{
    while (!answer->headed) {
        size_t begin = answer->body, end = 0;
        if (size > begin)
            end = find_blank(data, answer->scanned > begin ? answer->scanned : begin, size);
        if ((end ? end : size) - begin > BERTH_ANSWER_HEADERS_MAX)
            return fail_answer(answer, "headers of more than 32 KiB");
        if (end == 0) {
            /* A server that speaks something else is told from one that is slow. */
            size_t known = berth_min(size - begin, 7);
            if (memcmp(data + begin, "HTTP/1.", known) != 0)
                return fail_answer(answer, "what came does not begin with a status line of HTTP/1.1");
            answer->scanned = size - begin > 3 ? size - 3 : begin;
            return closed ? fail_answer(answer, "the connection was closed within the headers")
                          : BERTH_ANSWER_MORE;
        }
        if (read_head(answer, data, begin, end) == BERTH_ANSWER_BAD)
            return BERTH_ANSWER_BAD;
    }
    enum berth_answer_state state = read_body(answer, data, size, closed);
    if (state == BERTH_ANSWER_MORE && closed)
        return fail_answer(answer, "the connection was closed within the body");
    return state;
}
