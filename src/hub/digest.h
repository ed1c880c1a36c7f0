/* digest.h: the two checksums that a hub gives of a file: SHA-256 of a large one, git's blob id of a small one. */
#ifndef BERTH_HUB_DIGEST_H
#define BERTH_HUB_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nettle/sha1.h>
#include <nettle/sha2.h>

struct berth_digest {
    bool wants_sha256, wants_sha1;
    struct sha256_ctx sha256;
    struct sha1_ctx sha1; /* of the bytes alone */
    struct sha1_ctx git;  /* of "blob SIZE\0" and the bytes */
};

struct berth_digest_text {
    char sha256[65], sha1[41], git[41]; /* hexadecimal; "" for what was not wanted */
};

/* `size` of the whole file stands in what git hashes; when it is not known, git's id comes out wrong. */
void berth_digest_begin(struct berth_digest *digest, bool sha256, bool sha1, uint64_t size);
void berth_digest_add(struct berth_digest *digest, const void *bytes, size_t size);
void berth_digest_end(struct berth_digest *digest, struct berth_digest_text *text);

#endif
