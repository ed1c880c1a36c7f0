/* pull.c: a model from the hub: what the repository holds, which of it berth needs, file by file into the cache, and
 * last the reference that makes it found. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/checkpoint.h"
#include "formats/hf_config.h"
#include "hub/cache.h"
#include "hub/fetch.h"
#include "hub/listing.h"
#include "hub/url.h"

enum { LISTING_LIMIT = 32 << 20, INDEX_LIMIT = 16 << 20, STALL_SECONDS = 30 };

static const char public_hub[] = "https://huggingface.co";

const struct berth_published_model *berth_hub_published(size_t *count)
{
    static const struct berth_published_model models[] = {
        {"bert-base", "textattack/bert-base-uncased-SST-2", "BertForSequenceClassification"},
        {"distilbert", "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
         "DistilBertForSequenceClassification"},
        {"electra-small", "howey/electra-small-sst2", "ElectraForSequenceClassification"},
        {"bert-tiny", "M-FAC/bert-tiny-finetuned-sst2", "BertForSequenceClassification"},
    };
    *count = sizeof models / sizeof *models;
    return models;
}

enum berth_status berth_hub_locate(const char *model, char **path, struct berth_error *err)
{
    struct berth_hub_id id;
    char *root = NULL;
    *path = NULL;
    enum berth_status status = berth_hub_id_parse(model, &id, err);
    if (status == BERTH_OK)
        status = berth_hub_cache_root(NULL, &root, err);
    if (status == BERTH_OK)
        status = berth_hub_find(root, &id, path, err);
    berth_free(root);
    return status;
}

/* --- the repository ------------------------------------------------------------------------------------------ */

struct description {
    struct berth_hub_pull *pull;
    struct berth_hub_listing *listing;
    struct berth_buffer text;
    bool absent; /* a 404 that does not say of what: there may be a hub without this service */
};

static enum berth_status take_text(void *context, const struct berth_hub_reply *reply, const void *bytes, size_t size,
                                   struct berth_error *err)
{
    struct description *d = context;
    if (reply->status != 200 || berth_buffer_append(&d->text, bytes, size))
        return BERTH_OK;
    return d->text.size + size > d->text.limit
               ? berth_fail(err, BERTH_LIMIT, "the description is longer than %d bytes", LISTING_LIMIT)
               : berth_fail_memory(err, "the description", d->text.size + size);
}

static enum berth_status describe_once(void *context, struct berth_hub_outcome *outcome, struct berth_error *err)
{
    struct description *d = context;
    struct berth_hub_pull *pull = d->pull;
    const char *parts[] = {"api", "models", pull->id.repo, "revision", pull->id.revision, NULL};
    char *url = berth_hub_url(pull->endpoint, parts, 4);
    struct berth_hub_reply *reply = berth_calloc(1, sizeof *reply);
    struct berth_hub_request request = {.url = url, .sink = take_text, .sink_context = d};
    bool own = true;
    enum berth_status status;
    berth_buffer_clear(&d->text);
    berth_buffer_init(&d->text, LISTING_LIMIT);
    BERTH_TRY(url && reply ? BERTH_OK : berth_fail_memory(err, "a request", sizeof *reply));
    BERTH_TRY(berth_hub_get(pull, &request, &own, reply, &outcome->again, err));
    if (reply->status != 200) {
        d->absent = (reply->status == 404 && !reply->error_code[0]) || reply->status == 405 || reply->status == 501;
        status = berth_hub_refusal(pull, NULL, url, reply, outcome, err);
    }
fail:
    berth_free(reply);
    berth_free(url);
    return status == BERTH_OK ? status : berth_fail_prefix(err, status, "%s", pull->id.repo);
}

/* Fills the listing; without files, and the result OK, when the hub has no such service: then names are tried. */
static enum berth_status describe(struct berth_hub_pull *pull, struct berth_hub_listing *listing,
                                  struct berth_error *err)
{
    struct description d = {.pull = pull, .listing = listing};
    berth_buffer_init(&d.text, LISTING_LIMIT);
    enum berth_status status = berth_hub_retry(pull, describe_once, &d, err);
    if (status == BERTH_OK)
        status = berth_hub_listing_parse(pull->id.repo, d.text.data ? d.text.data : "", d.text.size, listing, err);
    else if (d.absent)
        status = BERTH_OK;
    berth_buffer_clear(&d.text);
    if (status == BERTH_OK && listing->commit[0]) {
        memcpy(pull->commit, listing->commit, sizeof pull->commit);
        snprintf(pull->reference, sizeof pull->reference, "%s", listing->commit);
    }
    return status;
}

/* --- its files ----------------------------------------------------------------------------------------------- */

/* Fetches a file that may be absent; what a listing leaves out is not asked for. */
static enum berth_status fetch_if_any(struct berth_hub_pull *pull, const struct berth_hub_listing *listing,
                                      const char *name, bool *found, struct berth_error *err)
{
    const struct berth_hub_file *file = berth_hub_listing_find(listing, name);
    *found = false;
    if (listing->has_files && !file)
        return BERTH_OK;
    enum berth_status status = berth_hub_fetch(pull, name, file && file->sha256[0] ? file->sha256 : NULL, found, err);
    if (status == BERTH_OK && file && !*found)
        return berth_fail(err, BERTH_NOT_FOUND, "%s: %s is listed by %s, but is not there (404)", pull->id.repo, name,
                          pull->host);
    return status;
}

static void tell(const struct berth_hub_pull *pull, const char *words)
{
    if (pull->options->log)
        pull->options->log(pull->options->log_context, BERTH_SEVERITY_WARNING, words);
}

/* Said before hundreds of megabytes come, and no reason not to fetch them. */
static enum berth_status check_config(const struct berth_hub_pull *pull, struct berth_error *err)
{
    struct berth_config config;
    char *folder = berth_hub_pull_path(pull, "snapshots", pull->commit), line[BERTH_ERROR_SIZE + 64];
    enum berth_status status =
        folder ? berth_config_read(folder, &config, err) : berth_fail_memory(err, "a path", 0);
    berth_free(folder);
    if (status == BERTH_OK)
        berth_config_clear(&config);
    if (status == BERTH_OK || status == BERTH_NO_MEMORY)
        return status;
    snprintf(line, sizeof line, "berth cannot run this model: %s", err->message);
    tell(pull, line);
    return BERTH_OK;
}

/* config.json first: it must be there. A hub may know files by the branch's name alone. */
static enum berth_status fetch_config(struct berth_hub_pull *pull, const struct berth_hub_listing *listing,
                                      struct berth_error *err)
{
    bool found;
    enum berth_status status = fetch_if_any(pull, listing, "config.json", &found, err);
    bool absent = status == BERTH_NOT_FOUND || (status == BERTH_OK && !found);
    if (absent && strcmp(pull->reference, pull->id.revision) != 0) {
        snprintf(pull->reference, sizeof pull->reference, "%s", pull->id.revision);
        status = fetch_if_any(pull, listing, "config.json", &found, err);
    }
    if (status == BERTH_OK && !found && (listing->has_files || listing->commit[0]))
        return berth_fail(err, BERTH_NOT_FOUND, "%s: has no config.json: it is no model that berth reads",
                          pull->id.repo);
    if (status == BERTH_OK && !found)
        return berth_fail(err, BERTH_NOT_FOUND,
                          "%s: %s has no such repository, or no config.json in its revision '%s' (404); check the name",
                          pull->id.repo, pull->host, pull->id.revision);
    return status == BERTH_OK ? check_config(pull, err) : status;
}

static enum berth_status fetch_shards(struct berth_hub_pull *pull, const struct berth_hub_listing *listing,
                                      const char *index, struct berth_error *err)
{
    char *folder = berth_hub_pull_path(pull, "snapshots", pull->commit), *path = NULL, *text = NULL, **names = NULL;
    size_t size, count = 0;
    bool found;
    enum berth_status status;
    BERTH_TRY(folder ? BERTH_OK : berth_fail_memory(err, "a path", 0));
    path = berth_path_join(folder, index);
    BERTH_TRY(path ? BERTH_OK : berth_fail_memory(err, "a path", 0));
    BERTH_TRY(berth_file_read(path, INDEX_LIMIT, &text, &size, err));
    status = berth_hub_shards_parse(index, text, size, &names, &count, err);
    if (status != BERTH_OK) {
        berth_fail_prefix(err, status, "%s", pull->id.repo);
        goto fail;
    }
    for (size_t i = 0; i < count; i++) {
        BERTH_TRY(fetch_if_any(pull, listing, names[i], &found, err));
        if (!found) {
            status = berth_fail(err, BERTH_NOT_FOUND, "%s: %s names %s, which the repository lacks", pull->id.repo,
                                index, names[i]);
            goto fail;
        }
    }
fail:
    for (size_t i = 0; i < count; i++)
        berth_free(names[i]);
    berth_free(names);
    berth_free(text);
    berth_free(path);
    berth_free(folder);
    return status;
}

/* The first of these that there is, as a directory of a model is read. */
static enum berth_status fetch_weights(struct berth_hub_pull *pull, const struct berth_hub_listing *listing,
                                       struct berth_error *err)
{
    for (size_t i = 0; i < BERTH_WEIGHTS_NAMES; i++) {
        const char *name = berth_weights_names[i].name;
        bool found;
        enum berth_status status = fetch_if_any(pull, listing, name, &found, err);
        if (status != BERTH_OK)
            return status;
        if (found)
            return berth_weights_names[i].index ? fetch_shards(pull, listing, name, err) : BERTH_OK;
    }
    return berth_fail(err, BERTH_NOT_FOUND,
                      "%s: has no weights that berth reads: neither model.safetensors nor pytorch_model.bin, nor an "
                      "index of shards",
                      pull->id.repo);
}

static enum berth_status fetch_all(struct berth_hub_pull *pull, const struct berth_hub_listing *listing,
                                   struct berth_error *err)
{
    static const char *const names[] = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
                                        "vocab.txt", "tokenizer.json"};
    enum berth_status status;
    bool found;
    BERTH_TRY(fetch_config(pull, listing, err));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        BERTH_TRY(fetch_if_any(pull, listing, names[i], &found, err));
    status = fetch_weights(pull, listing, err);
fail:
    return status;
}

/* refs/REVISION: without a line end, as Hugging Face's tools write it. */
static enum berth_status write_reference(const struct berth_hub_pull *pull, struct berth_error *err)
{
    struct berth_atomic_file file = {.stream = NULL};
    char *path = NULL, *slash;
    enum berth_status status = BERTH_OK;
    if (strcmp(pull->id.revision, pull->commit) == 0)
        return BERTH_OK;
    path = berth_hub_pull_path(pull, "refs", pull->id.revision);
    BERTH_TRY(path ? BERTH_OK : berth_fail_memory(err, "a path", 0));
    slash = strrchr(path, '/');
    *slash = 0;
    status = berth_hub_make_folders(path, err);
    *slash = '/';
    BERTH_TRY(status);
    BERTH_TRY(berth_atomic_open(path, &file, err));
    fputs(pull->commit, file.stream);
    status = berth_atomic_commit(&file, err);
fail:
    berth_free(path);
    return status;
}

/* --- the call ------------------------------------------------------------------------------------------------ */

static enum berth_status check_online(struct berth_error *err)
{
    static const char *const yes[] = {"1", "ON", "YES", "TRUE"};
    const char *offline = getenv("HF_HUB_OFFLINE");
    for (size_t i = 0; offline && i < sizeof yes / sizeof *yes; i++)
        if (strcasecmp(offline, yes[i]) == 0)
            return berth_fail(err, BERTH_INVALID_ARGUMENT, "HF_HUB_OFFLINE is set: nothing is fetched; unset it to pull");
    return BERTH_OK;
}

static enum berth_status prepare(struct berth_hub_pull *pull, const char *model, struct berth_error *err)
{
    const struct berth_pull_options *o = pull->options;
    const char *endpoint = o->endpoint ? o->endpoint : getenv("HF_ENDPOINT");
    enum berth_status status;
    BERTH_TRY(berth_hub_id_parse(model, &pull->id, err));
    BERTH_TRY(check_online(err));
    BERTH_TRY(berth_hub_endpoint(endpoint && endpoint[0] ? endpoint : public_hub, &pull->endpoint, err));
    BERTH_TRY(berth_hub_cache_root(o->cache, &pull->root, err));
    if (!o->token)
        BERTH_TRY(berth_hub_token(&pull->token, err));
    else if (o->token[0] && !(pull->token = berth_strdup(o->token))) {
        status = berth_fail_memory(err, "a token", strlen(o->token));
        goto fail;
    }
    berth_hub_host(pull->endpoint, pull->host, sizeof pull->host);
    snprintf(pull->reference, sizeof pull->reference, "%s", pull->id.revision);
    if (pull->token && berth_hub_is_exposed(pull->endpoint))
        tell(pull, "HF_ENDPOINT is plain http: the token can be read on the way");
    status = berth_hub_client_new(o->stall_seconds ? o->stall_seconds : STALL_SECONDS, berth_hub_is_alive, pull,
                                  &pull->client, err);
fail:
    return status;
}

enum berth_status berth_pull(const char *model, const struct berth_pull_options *options,
                             struct berth_pulled *pulled, struct berth_error *err)
{
    static const struct berth_pull_options defaults;
    struct berth_hub_pull pull = {.options = options ? options : &defaults};
    struct berth_hub_listing listing = {.count = 0};
    struct berth_error spare;
    enum berth_status status;
    *pulled = (struct berth_pulled){.path = NULL};
    if (!err)
        err = &spare;
    BERTH_TRY(prepare(&pull, model, err));
    BERTH_TRY(describe(&pull, &listing, err));
    BERTH_TRY(fetch_all(&pull, &listing, err));
    BERTH_TRY(write_reference(&pull, err));
    pulled->path = berth_hub_pull_path(&pull, "snapshots", pull.commit);
    BERTH_TRY(pulled->path ? BERTH_OK : berth_fail_memory(err, "a path", 0));
    memcpy(pulled->commit, pull.commit, sizeof pulled->commit);
    pulled->files = pull.files;
    pulled->bytes = pull.done;
    pulled->fetched = pull.fetched;
fail:
    berth_hub_listing_clear(&listing);
    berth_hub_client_free(pull.client);
    berth_free(pull.token);
    berth_free(pull.endpoint);
    berth_free(pull.root);
    return status;
}
