/* access.h: who may ask: API keys, and the origins of browsers (CORS). */
#ifndef BERTH_SERVE_ACCESS_H
#define BERTH_SERVE_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "berth/status.h"

struct berth_access;

/* Copies both lists. */
enum berth_status berth_access_new(const char *const *keys, size_t key_count, const char *const *origins,
                                   size_t origin_count, struct berth_access **access,
                                   struct berth_error *err);
void berth_access_free(struct berth_access *access); /* NULL is fine */

/* True when no key is asked for, or `authorization` (may be NULL) is "Bearer KEY" with one of them. The time
 * it takes tells nothing of the keys but their number and lengths. */
bool berth_access_allows(const struct berth_access *access, const char *authorization);

/* What Access-Control-Allow-Origin says to a browser that comes from `origin` (may be NULL): the origin, "*",
 * or NULL: nothing. */
const char *berth_access_origin(const struct berth_access *access, const char *origin);

#endif
