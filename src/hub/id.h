/* id.h: names that a person or a hub gives: "org/name[@revision]", and files of a repository. Both are taken for
 * hostile: whatever passes here may stand in a path below the cache. */
#ifndef BERTH_HUB_ID_H
#define BERTH_HUB_ID_H

#include <stdbool.h>

#include "berth/status.h"

enum { BERTH_HUB_PART_MAX = 96, BERTH_HUB_REVISION_MAX = 200, BERTH_HUB_NAME_MAX = 255 };

struct berth_hub_id {
    char repo[2 * BERTH_HUB_PART_MAX + 2];     /* "org/name" */
    char folder[2 * BERTH_HUB_PART_MAX + 16];  /* "models--org--name", of the cache */
    char revision[BERTH_HUB_REVISION_MAX + 1]; /* branch, tag, pull request or commit; "main" unless given */
};

/* Reads "org/name" or "org/name@revision". Parts are as the hub has them: letters, digits and ._- that neither
 * begin nor end with . or -, without ".." and "--"; a revision is what git takes for a reference. */
enum berth_status berth_hub_id_parse(const char *text, struct berth_hub_id *id, struct berth_error *err);

/* Whether a model argument has that form. */
bool berth_hub_is_id(const char *text);

/* A commit: 40 hexadecimal digits on the hub; letters and digits, at most 64, are taken. */
bool berth_hub_is_commit(const char *text);

/* Whether a repository's file may be made below a folder under its own name: relative, no "..", no control
 * characters, no backslash, bounded. */
bool berth_hub_is_safe_name(const char *name);

#endif
