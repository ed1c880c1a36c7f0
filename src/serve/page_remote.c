/* page_remote.c: deployments on other servers, each asked by a worker of its own, so that one that is down or slow
 * holds up nobody. Only the addresses given at the start are asked, and no redirect is followed. */
#include "serve/page_remote.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/error.h"
#include "serve/page.h"

enum {
    CONNECT_MS = 2000,
    ANSWER_MS = 15000,
    ANSWER_BYTES = 8 << 20,
    REST_MS = 2000, /* after a failure its sentence is repeated for so long, without asking */
    WORDS_MAX = 31, /* spans of an explanation: with the whole text a batch of 32, which all servers take */
};

struct berth_page_remotes {
    size_t count;
    struct berth_remote *remote; /* [count] */
};

static enum berth_status open_remote(struct berth_remote *remote, const struct berth_page_remote *given,
                                     struct berth_error *err)
{
    enum berth_status status;
    remote->name = berth_strdup(given->name);
    remote->url = berth_strdup(given->url);
    remote->curl = curl_easy_init();
    if (!remote->name || !remote->url || !remote->curl)
        return berth_fail_memory(err, "a remote deployment", sizeof *remote);
    BERTH_TRY(berth_remote_read_url(given->url, &remote->wire, &remote->endpoint, err));
    BERTH_TRY(berth_worker_new(remote, &remote->worker, err));
fail:
    return status;
}

enum berth_status berth_page_remotes_new(const struct berth_page_remote *remotes, size_t count,
                                         struct berth_page_remotes **out, struct berth_error *err)
{
    *out = NULL;
    enum berth_status status = BERTH_OK;
    struct berth_page_remotes *all = berth_calloc(1, sizeof *all);
    if (!all || !(all->remote = berth_calloc(count, sizeof *all->remote))) {
        berth_free(all);
        return berth_fail_memory(err, "remote deployments", count * sizeof *all->remote);
    }
    for (; status == BERTH_OK && all->count < count; all->count++)
        status = open_remote(&all->remote[all->count], &remotes[all->count], err);
    if (status == BERTH_OK)
        *out = all;
    else
        berth_page_remotes_free(all);
    return status;
}

void berth_page_remotes_stop(struct berth_page_remotes *all)
{
    for (size_t i = 0; all && i < all->count; i++)
        berth_worker_stop(all->remote[i].worker);
}

void berth_page_remotes_free(struct berth_page_remotes *all)
{
    if (!all)
        return;
    for (size_t i = 0; i < all->count; i++) {
        struct berth_remote *remote = &all->remote[i];
        berth_worker_free(remote->worker);
        curl_easy_cleanup(remote->curl);
        berth_free(remote->name);
        berth_free(remote->url);
        berth_free(remote->endpoint);
    }
    berth_free(all->remote);
    berth_free(all);
}

bool berth_page_remotes_list(const struct berth_page_remotes *all, json_t *deployments)
{
    for (size_t i = 0; i < all->count; i++)
        if (json_array_append_new(deployments, json_pack("{s:s, s:s, s:s, s:[]}", "name", all->remote[i].name, "kind",
                                                         "remote", "url", all->remote[i].url, "labels")) != 0)
            return false;
    return true;
}

/* ---- asking ---- */

struct exchange {
    struct berth_buffer body;
    double queue_us, tokenize_us, compute_us; /* as the server tells them; NaN: it does not */
    double tokens;                            /* computed, likewise */
    double total_us;                          /* the round trip */
};

static size_t take_body(char *data, size_t one, size_t size, void *context)
{
    struct exchange *exchange = context;
    return berth_buffer_append(&exchange->body, data, one * size) ? one * size : 0;
}

/* A header "NAME: number", above zero; false for another one. */
static bool read_header(const char *line, size_t size, const char *name, double *number)
{
    size_t length = strlen(name);
    char digits[32];
    if (size <= length + 1 || strncasecmp(line, name, length) != 0 || line[length] != ':')
        return false;
    size_t count = berth_min(size - length - 1, sizeof digits - 1);
    memcpy(digits, line + length + 1, count);
    digits[count] = 0;
    double value = strtod(digits, NULL);
    if (value > 0 && isfinite(value))
        *number = value;
    return true;
}

static size_t take_header(char *line, size_t one, size_t size, void *context)
{
    struct exchange *exchange = context;
    size_t length = one * size;
    if (!read_header(line, length, "x-queue-time-us", &exchange->queue_us) &&
        !read_header(line, length, "x-tokenization-time-us", &exchange->tokenize_us) &&
        !read_header(line, length, "x-inference-time-us", &exchange->compute_us))
        read_header(line, length, "x-compute-tokens", &exchange->tokens);
    return length;
}

/* The sentence that a server's error object has; "" when there is none. */
static void say_refusal(const struct exchange *exchange, long http, struct berth_error *err)
{
    json_t *root = exchange->body.data ? json_loadb(exchange->body.data, exchange->body.size, 0, NULL) : NULL;
    const char *why = json_string_value(json_object_get(root, "error"));
    berth_fail(err, BERTH_IO, "HTTP %ld%s%.300s", http, why ? ": " : "", why ? why : "");
    json_decref(root);
}

static enum berth_status post(struct berth_remote *remote, const char *body, struct exchange *exchange,
                              struct berth_error *err)
{
    char sentence[CURL_ERROR_SIZE] = "";
    CURL *curl = remote->curl;
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Expect:"); /* large texts are sent at once */
    curl_easy_setopt(curl, CURLOPT_URL, remote->endpoint);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ANSWER_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, sentence);
    uint64_t started = berth_clock_ns();
    CURLcode code = curl_easy_perform(curl);
    exchange->total_us = (double)(berth_clock_ns() - started) * 1e-3;
    long http = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    if (code != CURLE_OK) {
        remote->down_until = berth_clock_ns() + REST_MS * UINT64_C(1000000);
        return berth_fail(err, BERTH_IO, "%s", *sentence ? sentence : curl_easy_strerror(code));
    }
    if (http == 200)
        return BERTH_OK;
    say_refusal(exchange, http, err);
    return BERTH_IO;
}

/* Asks for all texts at once: *root is the answer's JSON, for json_decref. */
static enum berth_status ask(struct berth_remote *remote, const struct berth_text *texts, size_t count,
                             struct exchange *exchange, json_t **root, struct berth_error *err)
{
    *root = NULL;
    *exchange = (struct exchange){.queue_us = (double)NAN, .tokenize_us = (double)NAN, .compute_us = (double)NAN, .tokens = (double)NAN};
    if (berth_clock_ns() < remote->down_until) {
        *err = remote->down;
        return err->status;
    }
    *err = (struct berth_error){0};
    char *body = berth_remote_body(remote->wire, texts, count, err);
    if (!body)
        return err->status ? err->status : berth_fail_memory(err, "a request", 0);
    berth_buffer_init(&exchange->body, ANSWER_BYTES);
    enum berth_status status = post(remote, body, exchange, err);
    free(body);
    if (status == BERTH_OK) {
        *root = json_loadb(exchange->body.data ? exchange->body.data : "", exchange->body.size, 0, NULL);
        if (!*root)
            status = berth_fail(err, BERTH_FORMAT, "the answer is not JSON");
    }
    berth_buffer_clear(&exchange->body);
    if (status != BERTH_OK) {
        berth_fail_prefix(err, status, "%s", remote->url);
        remote->down = *err;
    }
    return status;
}

/* ---- one answer ---- */

static json_t *number_or_null(double number)
{
    return isnan(number) ? json_null() : json_real(number);
}

static void answer_predict(struct berth_request *request, struct berth_remote *remote, const struct berth_text *text)
{
    struct exchange exchange;
    struct berth_remote_answer said;
    struct berth_error err;
    json_t *root;
    if (ask(remote, text, 1, &exchange, &root, &err) != BERTH_OK ||
        berth_remote_read(remote->wire, root, 0, 1, &said, &err) != BERTH_OK)
        berth_page_answer_fault(request, remote->name, err.message);
    else
        berth_page_answer(
            request, json_pack("{s:s, s:s, s:I, s:f, s:o, s:o, s:o, s:o, s:f, s:f}", "deployment", remote->name, "label",
                               said.names[said.best], "label_id",
                               (json_int_t)(remote->wire == BERTH_WIRE_TEI ? -1 : (json_int_t)said.best), "score",
                               said.score, "tokens", number_or_null(exchange.tokens), "queue_us", number_or_null(exchange.queue_us), "tokenize_us",
                               number_or_null(exchange.tokenize_us), "compute_us", number_or_null(exchange.compute_us),
                               "total_us", exchange.total_us, "round_trip_us", exchange.total_us));
    json_decref(root);
}

/* ---- why: words left out in turn, all in one batch ---- */

struct span {
    const char *begin, *end; /* within the text, or its pair */
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Cuts a text into words, several together when there are more than `most`; returns how many spans. */
static size_t cut_words(const char *text, size_t size, size_t most, struct span *spans)
{
    size_t words = 0, count = 0, taken = 0;
    for (size_t i = 0; i < size; i++)
        words += !is_space(text[i]) && (i == 0 || is_space(text[i - 1]));
    size_t together = berth_max(1, (words + most - 1) / most);
    for (size_t i = 0; i < size;) {
        while (i < size && is_space(text[i]))
            i++;
        size_t begin = i;
        while (i < size && !is_space(text[i]))
            i++;
        if (i == begin)
            break;
        if (taken++ % together == 0)
            spans[count++].begin = text + begin;
        spans[count - 1].end = text + i;
    }
    return count;
}

/* How much the label of the whole text leads over the best other one. */
static double lead_of(const struct berth_remote_answer *answer, enum berth_wire wire,
                      const struct berth_remote_answer *whole)
{
    size_t label = whole->best;
    for (size_t k = 0; wire == BERTH_WIRE_TEI && k < answer->count; k++)
        if (strcmp(answer->names[k], whole->names[whole->best]) == 0)
            label = k;
    if (answer->count < 2 || label >= answer->count)
        return answer->values[0];
    double other = -1e300;
    for (size_t k = 0; k < answer->count; k++)
        if (k != label && answer->values[k] > other)
            other = answer->values[k];
    return answer->values[label] - other;
}

/* The texts with each span left out; their bytes in *bytes for berth_free. */
static bool leave_out(const struct berth_text *text, const struct span *spans, size_t count, struct berth_text *variants,
                      char **bytes)
{
    char *at = *bytes = berth_malloc(count ? count : 1, text->size + 1);
    for (size_t i = 0; at && i < count; i++) {
        size_t before = (size_t)(spans[i].begin - text->text), behind = text->size - (size_t)(spans[i].end - text->text);
        memcpy(at, text->text, before);
        memcpy(at + before, spans[i].end, behind);
        variants[i] = *text;
        variants[i].text = at;
        variants[i].size = before + behind;
        at += before + behind;
    }
    return *bytes != NULL;
}

static json_t *spans_to_json(const struct berth_remote *remote, const json_t *root, const struct span *spans,
                             size_t count, struct berth_error *err)
{
    struct berth_remote_answer whole, part;
    if (berth_remote_read(remote->wire, root, 0, count + 1, &whole, err) != BERTH_OK)
        return NULL;
    json_t *parts = json_array();
    for (size_t i = 0; i < count; i++) {
        if (berth_remote_read(remote->wire, root, i + 1, count + 1, &part, err) != BERTH_OK) {
            json_decref(parts);
            return NULL;
        }
        json_t *words = json_stringn(spans[i].begin, (size_t)(spans[i].end - spans[i].begin));
        json_array_append_new(parts, json_pack("{s:o, s:f, s:b}", "text", words, "influence",
                                               lead_of(&whole, remote->wire, &whole) - lead_of(&part, remote->wire, &whole),
                                               "second", 0));
    }
    return json_pack("{s:s, s:s, s:s, s:o}", "deployment", remote->name, "label", whole.names[whole.best], "unit", "word",
                     "parts", parts);
}

static void answer_why(struct berth_request *request, struct berth_remote *remote, const struct berth_text *text)
{
    struct span spans[WORDS_MAX];
    struct berth_text variants[WORDS_MAX + 1] = {*text};
    struct exchange exchange;
    struct berth_error err;
    json_t *root = NULL, *answer = NULL;
    char *bytes;
    size_t count = cut_words(text->text, text->size, WORDS_MAX, spans);
    if (!leave_out(text, spans, count, variants + 1, &bytes))
        berth_fail_memory(&err, "an explanation", text->size);
    else if (ask(remote, variants, count + 1, &exchange, &root, &err) == BERTH_OK)
        answer = spans_to_json(remote, root, spans, count, &err);
    if (answer)
        berth_page_answer(request, answer);
    else
        berth_page_answer_fault(request, remote->name, err.message);
    json_decref(root);
    berth_free(bytes);
}

/* ---- handing over ---- */

/* On the remote's worker. The body was read once before: it is sound. */
static void answer(struct berth_request *request, struct berth_remote *remote, bool influence)
{
    json_t *body = berth_page_body(request);
    if (!body)
        return;
    const json_t *text = json_object_get(body, "text"), *pair = json_object_get(body, "pair");
    struct berth_text asked = {.text = json_string_value(text), .size = json_string_length(text)};
    asked.pair = json_string_value(pair);
    asked.pair_size = json_string_length(pair);
    (influence ? answer_why : answer_predict)(request, remote, &asked);
    json_decref(body);
}

static void run_predict(struct berth_request *request)
{
    answer(request, request->subject, false);
}

static void run_why(struct berth_request *request)
{
    answer(request, request->subject, true);
}

bool berth_page_remotes_take(struct berth_request *request, const char *name, bool influence)
{
    const struct berth_page_remotes *all = request->server->page->remotes;
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->remote[i].name, name) == 0) {
            request->subject = &all->remote[i];
            request->entry = NULL; /* none of ours */
            berth_request_defer(request, all->remote[i].worker, influence ? run_why : run_predict);
            return true;
        }
    return false;
}
