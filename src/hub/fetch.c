/* fetch.c: one file into the cache: ask the hub what it is, lock its blob, take what is missing of it, check it, and
 * only then give it its name. */
#include "hub/fetch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "hub/blob.h"
#include "hub/cache.h"
#include "hub/reply.h"
#include "hub/url.h"

static const uint64_t SMALL_LIMIT = (uint64_t)256 << 20; /* bytes of a configuration or a vocabulary */
static const uint64_t WEIGHTS_LIMIT = (uint64_t)64 << 30;

struct fetch {
    struct berth_hub_pull *pull;
    const char *name;
    const char *listed_sha256; /* NULL: none */
    struct berth_hub_blob blob;
    char *url;                 /* owned: where the bytes are */
    bool own;                  /* at the hub itself */
    char validator[BERTH_HUB_TAG_MAX + 1]; /* strong entity tag of who has the bytes; "" */
    bool absent;
    struct berth_hub_reply reply; /* of the last exchange: large */
};

char *berth_hub_pull_path(const struct berth_hub_pull *pull, const char *a, const char *b)
{
    const char *parts[] = {pull->id.folder, a, b, NULL};
    return berth_hub_path(pull->root, parts);
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), wanted = strlen(end);
    return size >= wanted && strcmp(text + size - wanted, end) == 0;
}

static uint64_t limit_of(const char *name)
{
    return ends_with(name, ".safetensors") || ends_with(name, ".bin") ? WEIGHTS_LIMIT : SMALL_LIMIT;
}

/* --- what is it? --------------------------------------------------------------------------------------------- */

/* Every answer of the hub names the commit: the files of a snapshot are of one. */
static enum berth_status learn_commit(struct fetch *f, const struct berth_hub_reply *reply, struct berth_error *err)
{
    struct berth_hub_pull *pull = f->pull;
    if (reply->commit[0] && pull->commit[0] && strcmp(reply->commit, pull->commit) != 0)
        return berth_fail(err, BERTH_IO, "changed on the hub from %.12s to %.12s meanwhile; pull it again",
                          pull->commit, reply->commit);
    if (reply->commit[0] && !pull->commit[0])
        memcpy(pull->commit, reply->commit, sizeof pull->commit);
    return BERTH_OK;
}

/* The hub's own word on the file: in a redirect to where it is kept, or in the answer itself. */
static void learn_identity(struct fetch *f, const struct berth_hub_reply *reply)
{
    struct berth_hub_blob *blob = &f->blob;
    if (!blob->name[0] && reply->linked_etag[0])
        memcpy(blob->name, reply->linked_etag, sizeof blob->name);
    if (!blob->has_size && reply->has_linked_size) {
        blob->size = reply->linked_size;
        blob->has_size = true;
    }
    if (reply->status != 200)
        return;
    if (!blob->name[0] && reply->etag[0])
        memcpy(blob->name, reply->etag, sizeof blob->name);
    if (!blob->has_size && reply->has_length) {
        blob->size = reply->length;
        blob->has_size = true;
    }
    if (!reply->weak)
        memcpy(f->validator, reply->etag, sizeof f->validator);
}

/* Asks for the headers, following redirects until the file is identified or the trail ends. */
static enum berth_status ask(struct fetch *f, struct berth_hub_reply *reply, bool *transient, struct berth_error *err)
{
    enum { HOPS_MAX = 5 };
    struct berth_hub_request request = {.head = true};
    enum berth_status status = BERTH_OK;
    for (int hops = 0; hops <= HOPS_MAX; hops++) {
        char *next;
        bool same;
        request.url = f->url;
        request.token = f->own ? f->pull->token : NULL;
        BERTH_TRY(berth_hub_exchange(f->pull->client, &request, reply, transient, err));
        if (request.head && (reply->status == 405 || reply->status == 501)) { /* a server without HEAD */
            request.head = false;
            request.headers_only = true;
            continue;
        }
        if (f->own)
            BERTH_TRY(learn_commit(f, reply, err));
        if (!f->own && reply->status >= 400) { /* an address signed for GET alone */
            reply->status = 200;
            return BERTH_OK;
        }
        learn_identity(f, reply);
        if (!berth_hub_reply_redirects(reply))
            return BERTH_OK;
        BERTH_TRY(berth_hub_follow(f->url, reply->location, &next, &same, err));
        berth_free(f->url);
        f->url = next;
        f->own = f->own && same;
        if (!f->own && f->blob.name[0]) {
            reply->status = 200;
            return BERTH_OK;
        }
    }
    return berth_fail(err, BERTH_LIMIT, "%s redirects more than %d times: refused", f->pull->host, HOPS_MAX);
fail:
    return status;
}

static enum berth_status identify(struct fetch *f, struct berth_hub_outcome *outcome, struct berth_error *err)
{
    struct berth_hub_pull *pull = f->pull;
    const char *parts[] = {pull->id.repo, "resolve", pull->reference, f->name, NULL};
    struct berth_hub_reply *reply = &f->reply;
    berth_free(f->url);
    f->url = berth_hub_url(pull->endpoint, parts, 1 | 8); /* '/' stays in the repository's and the file's names */
    if (!f->url)
        return berth_fail_memory(err, "an address", BERTH_HUB_URL_MAX);
    f->own = true;
    f->validator[0] = 0;
    f->blob = (struct berth_hub_blob){.limit = limit_of(f->name), .file = -1, .lock = -1};
    enum berth_status status = ask(f, reply, &outcome->again, err);
    if (status != BERTH_OK)
        return status;
    bool repository_gone = strcmp(reply->error_code, "RepoNotFound") == 0 ||
                           strcmp(reply->error_code, "RevisionNotFound") == 0;
    if (reply->status == 404 && !repository_gone) {
        f->absent = true;
        return berth_hub_refusal(pull, f->name, f->url, reply, outcome, err);
    }
    if (reply->status != 200)
        return berth_hub_refusal(pull, f->name, f->url, reply, outcome, err);
    if (!pull->commit[0])
        return berth_fail(err, BERTH_FORMAT,
                          "%s does not say which commit the files are of; is HF_ENDPOINT a hub?", pull->host);
    if (f->listed_sha256)
        memcpy(f->blob.sha256, f->listed_sha256, sizeof f->blob.sha256);
    return BERTH_OK;
}

/* --- its bytes ----------------------------------------------------------------------------------------------- */

static enum berth_status take(void *context, const struct berth_hub_reply *reply, const void *bytes, size_t size,
                              struct berth_error *err)
{
    struct fetch *f = context;
    if (reply->status != 200 && reply->status != 206)
        return BERTH_OK; /* the words of a redirect or a refusal */
    enum berth_status status = berth_hub_blob_accept(&f->blob, reply, err);
    if (status == BERTH_OK)
        status = berth_hub_blob_write(&f->blob, bytes, size, err);
    if (status == BERTH_OK)
        f->pull->fetched += size;
    f->pull->current = f->blob.have;
    return status;
}

static enum berth_status transfer(struct fetch *f, struct berth_hub_outcome *outcome, struct berth_error *err)
{
    struct berth_hub_reply *reply = &f->reply;
    struct berth_hub_blob *blob = &f->blob;
    struct berth_hub_request request = {.url = f->url,
                                        .offset = blob->have,
                                        .if_range = f->own && f->validator[0] ? f->validator : NULL,
                                        .sink = take,
                                        .sink_context = f};
    bool own = f->own;
    blob->accepted = false;
    enum berth_status status = berth_hub_get(f->pull, &request, &own, reply, &outcome->again, err);
    if (status != BERTH_OK)
        return status;
    if (reply->status == 416 && blob->have > 0) { /* what we hold is no beginning of it */
        outcome->again = outcome->at_once = true;
        status = berth_hub_blob_restart(blob, err);
        return status == BERTH_OK ? berth_fail(err, BERTH_IO, "the server has no such range") : status;
    }
    if (reply->status != 200 && reply->status != 206)
        return berth_hub_refusal(f->pull, f->name, f->url, reply, outcome, err);
    return berth_hub_blob_accept(blob, reply, err); /* of an empty file no byte has told */
}

static enum berth_status link_file(struct fetch *f, struct berth_error *err)
{
    struct berth_hub_pull *pull = f->pull;
    char target[BERTH_HUB_TAG_MAX + 16];
    char *folder = berth_hub_pull_path(pull, "snapshots", pull->commit), *link = NULL;
    const char *parts[] = {f->name, NULL};
    enum berth_status status;
    BERTH_TRY(folder ? BERTH_OK : berth_fail_memory(err, "a path", 0));
    BERTH_TRY(berth_hub_make_folders(folder, err));
    link = berth_hub_path(folder, parts);
    BERTH_TRY(link ? BERTH_OK : berth_fail_memory(err, "a path", 0));
    snprintf(target, sizeof target, "../../blobs/%s", f->blob.name);
    status = berth_hub_link(target, link, err);
fail:
    berth_free(link);
    berth_free(folder);
    return status;
}

static enum berth_status try_once(void *context, struct berth_hub_outcome *outcome, struct berth_error *err)
{
    struct fetch *f = context;
    bool whole = false, refetch = false;
    struct berth_hub_blob *blob = &f->blob;
    enum berth_status status;
    BERTH_TRY(identify(f, outcome, err));
    BERTH_TRY(berth_hub_blob_open(blob, f->pull, f->name, &whole, err));
    f->pull->current = blob->have;
    if (blob->has_size && f->pull->done + blob->size > f->pull->total)
        f->pull->total = f->pull->done + blob->size;
    if (!whole) {
        if (!(blob->has_size && blob->have == blob->size && blob->size > 0)) /* all but its name may be there */
            BERTH_TRY(transfer(f, outcome, err));
        status = berth_hub_blob_finish(blob, &refetch, err);
        outcome->again = outcome->again || refetch;
    }
    BERTH_TRY(status);
    status = link_file(f, err);
fail:
    outcome->progress = blob->have;
    if (status == BERTH_OK)
        f->pull->done += blob->has_size ? blob->size : blob->have;
    else
        berth_fail_prefix(err, status, "%s: %s", f->pull->id.repo, f->name);
    f->pull->current = 0;
    berth_hub_blob_close(blob);
    return status;
}

enum berth_status berth_hub_fetch(struct berth_hub_pull *pull, const char *name, const char *sha256, bool *found,
                                  struct berth_error *err)
{
    struct fetch *f = berth_calloc(1, sizeof *f);
    *found = false;
    if (!f)
        return berth_fail_memory(err, name, sizeof *f);
    f->pull = pull;
    f->name = name;
    f->listed_sha256 = sha256;
    enum berth_status status = berth_hub_retry(pull, try_once, f, err);
    *found = status == BERTH_OK;
    pull->files += status == BERTH_OK;
    if (f->absent)
        status = BERTH_OK;
    berth_free(f->url);
    berth_free(f);
    return status;
}
