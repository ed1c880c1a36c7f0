/* blob.h: the contents of one file on their way into the cache: one process at a time, resumed, checked, and under
 * their name only when they are whole. */
#ifndef BERTH_HUB_BLOB_H
#define BERTH_HUB_BLOB_H

#include <stdbool.h>
#include <stdint.h>

#include "hub/digest.h"
#include "hub/fetch.h"
#include "hub/reply.h"

struct berth_hub_blob {
    char name[BERTH_HUB_TAG_MAX + 1]; /* the entity tag; "": named by its SHA-256 once it is whole */
    char sha256[65];                  /* what a listing says; "" */
    bool has_size;
    uint64_t size;  /* of the whole, bytes */
    uint64_t limit; /* the largest that is taken */
    /* from here on the blob's own */
    int file, lock;      /* descriptors; -1: none */
    char *path;          /* of the whole; owned */
    char *partial;       /* of what has come so far; owned */
    uint64_t have;       /* bytes of it */
    bool resumed;        /* some of them came in an earlier try */
    bool accepted;       /* the answer that now comes fits them */
    struct berth_digest digest;
};

/* Locks the blob (waiting for whoever has it) and opens what is there of it. *whole: it is in the cache already, nothing
 * is left to do. Close it in any case. */
enum berth_status berth_hub_blob_open(struct berth_hub_blob *blob, struct berth_hub_pull *pull, const char *file,
                                      bool *whole, struct berth_error *err);
void berth_hub_blob_close(struct berth_hub_blob *blob);

/* Whether there is a checksum of the whole: then a beginning may be kept between runs. */
bool berth_hub_blob_is_checked(const struct berth_hub_blob *blob);

/* Forgets what has come. */
enum berth_status berth_hub_blob_restart(struct berth_hub_blob *blob, struct berth_error *err);

/* Fits the answer (200 or 206) to what is held: starts over when it is the whole, refuses another range or size. */
enum berth_status berth_hub_blob_accept(struct berth_hub_blob *blob, const struct berth_hub_reply *reply,
                                        struct berth_error *err);
enum berth_status berth_hub_blob_write(struct berth_hub_blob *blob, const void *bytes, size_t size,
                                       struct berth_error *err);

/* Checks the size and the checksum, syncs, and gives the blob its name (blob->name, blob->path). A wrong checksum
 * throws it away; *again when it had been resumed, so that a fresh copy may be right. */
enum berth_status berth_hub_blob_finish(struct berth_hub_blob *blob, bool *again, struct berth_error *err);

#endif
