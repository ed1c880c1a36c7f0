/* cache.h: the cache that Hugging Face's tools share.
 *
 *     ROOT/models--org--name/refs/main                    the commit a branch or tag stood at when it was fetched
 *                            snapshots/COMMIT/FILE        links, ../../blobs/ETAG
 *                            blobs/ETAG                   contents; ETAG.incomplete while they arrive
 *     ROOT/.locks/models--org--name/ETAG.lock             held (flock) by who fetches that blob
 *
 * ROOT is HF_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub. */
#ifndef BERTH_HUB_CACHE_H
#define BERTH_HUB_CACHE_H

#include <stdbool.h>

#include "berth/status.h"
#include "hub/id.h"

/* ROOT, or `given` when it is not NULL. For berth_free. */
enum berth_status berth_hub_cache_root(const char *given, char **root, struct berth_error *err);

/* The token of HF_TOKEN, else of the file HF_TOKEN_PATH or HF_HOME/token: *token for berth_free, NULL when there is
 * none. One with control characters or spaces in it is refused; messages never hold it. */
enum berth_status berth_hub_token(char **token, struct berth_error *err);

/* The folder of a model's files in the cache: the snapshot of the revision, when it is there. NOT_FOUND otherwise. */
enum berth_status berth_hub_find(const char *root, const struct berth_hub_id *id, char **snapshot,
                                 struct berth_error *err);

/* Makes the folders of `path` (and itself), like mkdir -p. */
enum berth_status berth_hub_make_folders(const char *path, struct berth_error *err);

/* "ROOT/a/b/..." of the NULL-terminated parts; for berth_free, NULL when memory ran out. */
char *berth_hub_path(const char *root, const char *const *parts);

/* Makes LINK lead to TARGET (relative to it), at once: it was absent or another's before, and never half. */
enum berth_status berth_hub_link(const char *target, const char *link, struct berth_error *err);

#endif
