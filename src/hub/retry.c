/* retry.c: what to make of an answer: follow it, say what it refuses, or wait and ask again. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/error.h"
#include "hub/fetch.h"
#include "hub/url.h"

enum {
    REDIRECTS_MAX = 5,
    ATTEMPTS = 5,
    PAUSE_MS = 500,
    PAUSE_MAX_MS = 8000,
    WAIT_MAX_SECONDS = 300,  /* that a server may ask for */
    PROGRESS_BYTES = 1 << 20 /* a try that brings so much counts as none */
};

bool berth_hub_is_alive(void *context)
{
    const struct berth_hub_pull *pull = context;
    const struct berth_pull_options *options = pull->options;
    return !options->progress || options->progress(options->progress_context, pull->done + pull->current, pull->total);
}

/* False when the caller asked to stop. */
static bool sleep_ms(struct berth_hub_pull *pull, uint64_t ms)
{
    enum { SLICE = 100 };
    for (; ms > 0; ms -= ms < SLICE ? ms : SLICE) {
        uint64_t now = ms < SLICE ? ms : SLICE;
        struct timespec pause = {0, (long)now * 1000000};
        nanosleep(&pause, NULL);
        if (!berth_hub_is_alive(pull))
            return false;
    }
    return true;
}

static void log_retry(const struct berth_hub_pull *pull, const struct berth_error *err, uint64_t pause)
{
    char line[BERTH_ERROR_SIZE + 64];
    if (!pull->options->log)
        return;
    snprintf(line, sizeof line, "%s (the next attempt is in %.1f s)", err->message, (double)pause / 1000);
    pull->options->log(pull->options->log_context, BERTH_SEVERITY_INFO, line);
}

enum berth_status berth_hub_retry(struct berth_hub_pull *pull, berth_hub_attempt *attempt, void *context,
                                  struct berth_error *err)
{
    const unsigned attempts = pull->options->attempts ? pull->options->attempts : ATTEMPTS;
    const uint64_t first = pull->options->pause_ms ? pull->options->pause_ms : PAUSE_MS;
    uint64_t best = 0;
    for (unsigned failures = 0;;) {
        struct berth_hub_outcome outcome = {.again = false};
        enum berth_status status = attempt(context, &outcome, err);
        if (status == BERTH_OK || !outcome.again)
            return status;
        failures++;
        if (outcome.progress > best + PROGRESS_BYTES) {
            best = outcome.progress;
            failures = 1;
        }
        if (outcome.retry_after > WAIT_MAX_SECONDS)
            return berth_fail_prefix(err, status, "the server asks to wait %u seconds: try again then",
                                     outcome.retry_after);
        if (failures >= attempts)
            return berth_fail_prefix(err, status, "given up after %u attempts%s", failures,
                                     outcome.progress > 0 ? " (what came is kept, the next pull goes on from there)"
                                                          : "");
        uint64_t pause = first << (failures - 1 < 10 ? failures - 1 : 10);
        if (pause > PAUSE_MAX_MS)
            pause = PAUSE_MAX_MS;
        if (outcome.retry_after > 0)
            pause = (uint64_t)outcome.retry_after * 1000;
        if (outcome.at_once)
            pause = 0;
        log_retry(pull, err, pause);
        if (!sleep_ms(pull, pause))
            return berth_fail(err, BERTH_CANCELLED, "stopped by the caller");
    }
}

/* --- refusals ------------------------------------------------------------------------------------------------ */

static enum berth_status refuse_login(const struct berth_hub_pull *pull, const struct berth_hub_reply *reply,
                                      struct berth_error *err)
{
    bool gated = strcmp(reply->error_code, "GatedRepo") == 0;
    if (gated || reply->status == 403)
        return berth_fail(err, BERTH_NOT_FOUND,
                          "%s refuses access (%u)%s; accept the model's terms on its page, or set HF_TOKEN to a token "
                          "that may read it",
                          pull->host, reply->status, gated ? ", the model is gated" : "");
    if (pull->token)
        return berth_fail(err, BERTH_NOT_FOUND,
                          "%s does not let the token in (401): it is not valid, or there is no such repository; check "
                          "HF_TOKEN and the name",
                          pull->host);
    return berth_fail(err, BERTH_NOT_FOUND,
                      "%s wants a login (401): there is no such repository, or it is private; check the name, or set "
                      "HF_TOKEN",
                      pull->host);
}

static enum berth_status refuse_absent(const struct berth_hub_pull *pull, const char *file,
                                       const struct berth_hub_reply *reply, struct berth_error *err)
{
    if (strcmp(reply->error_code, "RevisionNotFound") == 0)
        return berth_fail(err, BERTH_NOT_FOUND, "%s has no revision '%s' of it (404)", pull->host, pull->id.revision);
    if (strcmp(reply->error_code, "RepoNotFound") == 0)
        return berth_fail(err, BERTH_NOT_FOUND, "%s has no such repository (404); check the name", pull->host);
    if (!file)
        return berth_fail(err, BERTH_NOT_FOUND,
                          "%s has no such repository, or none with a revision '%s' (404); check the name", pull->host,
                          pull->id.revision);
    return berth_fail(err, BERTH_NOT_FOUND, "%s has no such file (404)", pull->host);
}

enum berth_status berth_hub_refusal(const struct berth_hub_pull *pull, const char *file, const char *url,
                                    const struct berth_hub_reply *reply, struct berth_hub_outcome *outcome,
                                    struct berth_error *err)
{
    char host[256];
    berth_hub_host(url, host, sizeof host);
    outcome->retry_after = reply->retry_after;
    outcome->again = reply->status == 408 || reply->status == 429 || reply->status >= 500;
    if (strcmp(host, pull->host) != 0 && reply->status < 500 && reply->status != 429)
        return berth_fail(err, BERTH_IO, "%s, where the hub keeps the file, answers %u", host, reply->status);
    if (reply->status == 401 || reply->status == 403)
        return refuse_login(pull, reply, err);
    if (reply->status == 404)
        return refuse_absent(pull, file, reply, err);
    if (reply->status == 429)
        return berth_fail(err, BERTH_BUSY, "%s has had too many requests from here (429); try again later", host);
    if (reply->status >= 500)
        return berth_fail(err, BERTH_IO, "%s has a fault of its own (%u); try again later", host, reply->status);
    return berth_fail(err, BERTH_FORMAT, "%s answers %u, which no hub does; is HF_ENDPOINT one?", host, reply->status);
}

/* --- redirects ----------------------------------------------------------------------------------------------- */

enum berth_status berth_hub_get(struct berth_hub_pull *pull, const struct berth_hub_request *request, bool *own,
                                struct berth_hub_reply *reply, bool *transient, struct berth_error *err)
{
    struct berth_hub_request now = *request;
    char *url = NULL;
    enum berth_status status;
    for (int hops = 0;; hops++) {
        bool same;
        char *next;
        now.token = *own ? pull->token : NULL;
        BERTH_TRY(berth_hub_exchange(pull->client, &now, reply, transient, err));
        if (!berth_hub_reply_redirects(reply))
            break;
        if (hops == REDIRECTS_MAX) {
            status = berth_fail(err, BERTH_LIMIT, "%s redirects more than %d times: refused", pull->host, REDIRECTS_MAX);
            goto fail;
        }
        BERTH_TRY(berth_hub_follow(now.url, reply->location, &next, &same, err));
        *own = *own && same; /* once away, the token stays behind */
        berth_free(url);
        now.url = url = next;
    }
fail:
    berth_free(url);
    return status;
}
