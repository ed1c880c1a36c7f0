/* fake_hub.h: a hub on the loopback as the public one behaves: a description of each repository, small files with
 * git's ids, large ones behind a redirect to another port. What goes wrong is in the repository's name: words between
 * dashes, "org/plain", "org/cut-norange". All repositories are of the same folder's files.
 *
 *   answers  private (401 without "Bearer secret-token"), gated, missing, busy (429 twice), busylong, busyever, down, nolist,
 *            nohead, garbage, deep, teapot
 *   names    evil, evilshard (../ in them), bin (no safetensors), shards, tf (no weights), noconfig, lonely (a listed file is
 *            gone), branchonly (files under the branch's name alone)
 *   headers  noetag, badetag (../), weaketag, huge, changed (another commit each time), nocommit
 *   redirect loop, file (file:///), user (a user in the address), renamed (to org/plain)
 *   bodies   cut (the first transfer ends in the middle), cutever, corrupt, corruptonce, corruptsmall, longer (than
 *            announced), norange, wrongrange, slow, refuse (403 by the other port) */
#ifndef BERTH_TESTS_FAKE_HUB_H
#define BERTH_TESTS_FAKE_HUB_H

#include <stdio.h>

struct fake_hub;

#define FAKE_HUB_COMMIT "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"

/* Serves FOLDER; every request is a line of `log`: "hub|cdn METHOD PATH token=yes|no range=...". NULL: no port. */
struct fake_hub *fake_hub_start(const char *folder, FILE *log);
unsigned fake_hub_port(const struct fake_hub *hub);
void fake_hub_stop(struct fake_hub *hub);

#endif
