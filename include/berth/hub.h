/* berth/hub.h: models from a hub, through the cache that Hugging Face's tools share. Part of berth.h.
 *
 * A model argument "org/name" or "org/name@revision" that is no directory is looked up in that cache, offline;
 * berth_pull puts it there. The environment is read as those tools read it: HF_HUB_CACHE, HF_HOME and XDG_CACHE_HOME
 * say where the cache is, HF_ENDPOINT which hub is asked, HF_TOKEN (or HF_TOKEN_PATH, or the file HF_HOME/token) how to
 * log in, HF_HUB_OFFLINE=1 forbids the network, HTTPS_PROXY and its like and CURL_CA_BUNDLE are libcurl's. */
#ifndef BERTH_HUB_H
#define BERTH_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct berth_pull_options {
    const char *endpoint;   /* NULL: HF_ENDPOINT, else the public hub */
    const char *cache;      /* folder; NULL: as the environment says */
    const char *token;      /* NULL: as the environment says; "": none. Sent to the endpoint alone, never logged */
    unsigned attempts;      /* failures in a row before giving up; 0: 5 */
    unsigned pause_ms;      /* before the second attempt, doubled for each further one; 0: 500 */
    unsigned stall_seconds; /* a transfer that stands still so long is cut, and tried again; 0: 30 */
    /* Bytes so far and of all files known of (0: not known yet). Return false to stop (BERTH_CANCELLED): what came is
     * kept and the next pull goes on from there. */
    bool (*progress)(void *progress_context, uint64_t done, uint64_t total);
    void *progress_context;
    void (*log)(void *log_context, int severity, const char *line); /* enum berth_severity; NULL: dropped */
    void *log_context;
};

struct berth_pulled {
    char *path;       /* the snapshot's folder, a model argument in its own right; for berth_memory_free */
    char commit[65];
    size_t files;
    uint64_t bytes;   /* of all files */
    uint64_t fetched; /* of them, what came over the network: 0 when the cache had them */
};

/* Fetches what berth needs of MODEL ("org/name" or "org/name@revision"; "main" by default): config.json, the files of
 * the vocabulary, and the weights, safetensors before pytorch_model.bin, one file or shards. Every file is checked
 * (size; SHA-256 or git's blob id as the hub gives it) before it appears; the revision points to the new snapshot when
 * all are there. Interrupted, the next call goes on where it ended. Processes that pull the same model at once wait for
 * each other. */
BERTH_API enum berth_status berth_pull(const char *model, const struct berth_pull_options *options,
                                       struct berth_pulled *pulled, struct berth_error *err);

/* The folder of a model in the cache, without any network: *path for berth_memory_free. BERTH_NOT_FOUND says how to
 * get it. */
BERTH_API enum berth_status berth_hub_locate(const char *model, char **path, struct berth_error *err);

/* Published checkpoints fine-tuned on SST-2, one of each architecture of the study. */
struct berth_published_model {
    const char *name;         /* short, as a served model's: "bert-base" */
    const char *id;           /* for berth_pull: "org/name" */
    const char *architecture; /* "BertForSequenceClassification" */
};
/* Static storage; *count of them. */
BERTH_API const struct berth_published_model *berth_hub_published(size_t *count);

#ifdef __cplusplus
}
#endif
#endif
