/* digest.c: nettle's hashes, fed together. */
#include "hub/digest.h"

#include <inttypes.h>
#include <stdio.h>

void berth_digest_begin(struct berth_digest *digest, bool sha256, bool sha1, uint64_t size)
{
    char header[40];
    int length = snprintf(header, sizeof header, "blob %" PRIu64, size);
    digest->wants_sha256 = sha256;
    digest->wants_sha1 = sha1;
    sha256_init(&digest->sha256);
    sha1_init(&digest->sha1);
    sha1_init(&digest->git);
    sha1_update(&digest->git, (size_t)length + 1, (const uint8_t *)header); /* with its NUL */
}

void berth_digest_add(struct berth_digest *digest, const void *bytes, size_t size)
{
    if (digest->wants_sha256)
        sha256_update(&digest->sha256, size, bytes);
    if (digest->wants_sha1) {
        sha1_update(&digest->sha1, size, bytes);
        sha1_update(&digest->git, size, bytes);
    }
}

static void print_hex(const uint8_t *bytes, size_t size, char *text)
{
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

void berth_digest_end(struct berth_digest *digest, struct berth_digest_text *text)
{
    uint8_t bytes[SHA256_DIGEST_SIZE];
    *text = (struct berth_digest_text){{0}, {0}, {0}};
    if (digest->wants_sha256) {
        sha256_digest(&digest->sha256, sizeof bytes, bytes);
        print_hex(bytes, SHA256_DIGEST_SIZE, text->sha256);
    }
    if (digest->wants_sha1) {
        sha1_digest(&digest->sha1, SHA1_DIGEST_SIZE, bytes);
        print_hex(bytes, SHA1_DIGEST_SIZE, text->sha1);
        sha1_digest(&digest->git, SHA1_DIGEST_SIZE, bytes);
        print_hex(bytes, SHA1_DIGEST_SIZE, text->git);
    }
}
