/* listing.h: the hub's description of a repository at a revision, and the index of a sharded checkpoint: JSON from
 * outside, to names that are safe to use. */
#ifndef BERTH_HUB_LISTING_H
#define BERTH_HUB_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/status.h"

enum { BERTH_HUB_FILES_MAX = 100000, BERTH_HUB_SHARDS_MAX = 4096 };

struct berth_hub_file {
    char *name;      /* owned */
    char sha256[65]; /* "" when the listing has none */
};

struct berth_hub_listing {
    char commit[65];              /* "" when the hub does not tell */
    bool has_files;               /* false: the description names no files */
    struct berth_hub_file *files; /* [count] owned */
    size_t count;
};

/* Reads {"sha": "...", "siblings": [{"rfilename": "...", "lfs": {"sha256": "..."}}]}. A name that leads out of its
 * folder is BERTH_FORMAT. `name` stands in messages. */
enum berth_status berth_hub_listing_parse(const char *name, const char *text, size_t size,
                                          struct berth_hub_listing *listing, struct berth_error *err);
void berth_hub_listing_clear(struct berth_hub_listing *listing);

/* NULL when it is not listed. */
const struct berth_hub_file *berth_hub_listing_find(const struct berth_hub_listing *listing, const char *name);

/* The distinct files of {"weight_map": {TENSOR: FILE}}, each a plain safe name: *names [*count], each and the array
 * for berth_free. */
enum berth_status berth_hub_shards_parse(const char *name, const char *text, size_t size, char ***names,
                                         size_t *count, struct berth_error *err);

#endif
