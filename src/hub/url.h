/* url.h: addresses: the hub's own, and where it sends us. */
#ifndef BERTH_HUB_URL_H
#define BERTH_HUB_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "berth/status.h"

/* Checks an address of a hub (http or https, no user, no query) and drops a final '/'. For berth_free. */
enum berth_status berth_hub_endpoint(const char *text, char **endpoint, struct berth_error *err);

/* ENDPOINT/PREFIX + each of `parts` (NULL-terminated), escaped; a part's '/' stays when `keep_slashes` has its bit.
 * For berth_free; NULL when memory ran out. */
char *berth_hub_url(const char *endpoint, const char *const *parts, unsigned keep_slashes);

/* Where `location` leads from `from`: *to for berth_free. Refused (BERTH_UNSUPPORTED): anything but http and https,
 * from https to http, an address with a user in it. *same_origin: scheme, host and port are those of `from`. */
enum berth_status berth_hub_follow(const char *from, const char *location, char **to, bool *same_origin,
                                   struct berth_error *err);

/* "host" or "host:port" of an address, for messages: what else is in it may be secret. */
void berth_hub_host(const char *url, char *host, size_t size);

/* Plain http to another machine: what is sent can be read on the way. */
bool berth_hub_is_exposed(const char *url);

#endif
