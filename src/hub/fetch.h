/* fetch.h: one file of a repository into the cache: asked about, locked, resumed, checked, linked. */
#ifndef BERTH_HUB_FETCH_H
#define BERTH_HUB_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/berth.h"
#include "hub/id.h"
#include "hub/transfer.h"

/* What the files of one pull share. */
struct berth_hub_pull {
    struct berth_hub_id id;
    char *root, *endpoint, *token;                  /* owned; token may be NULL */
    char reference[BERTH_HUB_REVISION_MAX + 1];     /* what URLs name: the commit, or the revision */
    char commit[65];                                /* "" until the hub told */
    struct berth_hub_client *client;                /* owned */
    const struct berth_pull_options *options;       /* borrowed, never NULL */
    uint64_t done, total;                           /* bytes of files that are there; of all that are known of */
    uint64_t current;                               /* bytes of the file that now comes */
    uint64_t fetched;                               /* bytes that came over the network */
    size_t files;
    char host[256];                                 /* of the endpoint, for messages */
};

/* How a try ended that did not succeed. */
struct berth_hub_outcome {
    bool again;            /* another try may succeed */
    bool at_once;          /* ... without a pause */
    unsigned retry_after;  /* seconds that the server asks for; 0: none */
    uint64_t progress;     /* bytes held now: a try that brought more than a mebibyte does not count */
};

typedef enum berth_status berth_hub_attempt(void *context, struct berth_hub_outcome *outcome,
                                            struct berth_error *err);

/* Calls `attempt` until it succeeds, says that it cannot, or has failed options->attempts times in a row, with growing
 * pauses between. */
enum berth_status berth_hub_retry(struct berth_hub_pull *pull, berth_hub_attempt *attempt, void *context,
                                  struct berth_error *err);

/* The sentence for an answer that is neither success nor redirect, without the repository's name; `file` NULL: the
 * repository itself was asked for. Sets outcome->again for 408, 429 and 5xx. */
enum berth_status berth_hub_refusal(const struct berth_hub_pull *pull, const char *file, const char *url,
                                    const struct berth_hub_reply *reply, struct berth_hub_outcome *outcome,
                                    struct berth_error *err);

/* GET with redirects followed where they are safe: at most five, the token only to the hub's own origin. *own is
 * whether we are still there. */
enum berth_status berth_hub_get(struct berth_hub_pull *pull, const struct berth_hub_request *request, bool *own,
                                struct berth_hub_reply *reply, bool *transient, struct berth_error *err);

/* Fetches a file, or finds it in the cache, and links it into the snapshot. sha256 may be NULL: not listed. *found is
 * false, and the result OK, when the repository has no such file. */
enum berth_status berth_hub_fetch(struct berth_hub_pull *pull, const char *name, const char *sha256, bool *found,
                                  struct berth_error *err);

/* A path in the repository's folder of the cache, "ROOT/models--org--name/A/B"; b may be NULL. For berth_free. */
char *berth_hub_pull_path(const struct berth_hub_pull *pull, const char *a, const char *b);

bool berth_hub_is_alive(void *pull);

#endif
