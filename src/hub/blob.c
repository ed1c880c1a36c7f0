/* blob.c: a blob's lock, its partial file, its checksum, its rename. */
#include "hub/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "hub/cache.h"

bool berth_hub_blob_is_checked(const struct berth_hub_blob *blob)
{
    return blob->sha256[0] || berth_hub_is_hex(blob->name, 64) || berth_hub_is_hex(blob->name, 40);
}

static void begin_digest(struct berth_hub_blob *blob)
{
    bool sha1 = berth_hub_is_hex(blob->name, 40);
    berth_digest_begin(&blob->digest, !sha1 || blob->sha256[0], sha1, blob->size);
}

/* --- lock ---------------------------------------------------------------------------------------------------- */

/* A lock on a file that was removed meanwhile keeps nobody out. */
static bool is_current(int fd, const char *path)
{
    struct stat held, now;
    return fstat(fd, &held) == 0 && stat(path, &now) == 0 && held.st_ino == now.st_ino && held.st_dev == now.st_dev;
}

static enum berth_status wait_for_lock(struct berth_hub_pull *pull, const char *path, const char *file, int *lock,
                                       struct berth_error *err)
{
    for (bool told = false;;) {
        if (*lock < 0)
            *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (*lock < 0)
            return berth_fail_errno(err, errno, "%s: cannot open", path);
        if (flock(*lock, LOCK_EX | LOCK_NB) == 0) {
            if (is_current(*lock, path))
                return BERTH_OK;
            close(*lock);
            *lock = -1;
            continue;
        }
        if (errno != EWOULDBLOCK && errno != EINTR)
            return berth_fail_errno(err, errno, "%s: cannot lock", path);
        if (!told && pull->options->log) {
            char line[512];
            snprintf(line, sizeof line, "%s: %s is being fetched by another process: waiting for it", pull->id.repo,
                     file);
            pull->options->log(pull->options->log_context, BERTH_SEVERITY_INFO, line);
        }
        told = true;
        struct timespec pause = {0, 100000000};
        nanosleep(&pause, NULL);
        if (!berth_hub_is_alive(pull))
            return berth_fail(err, BERTH_CANCELLED, "stopped by the caller");
    }
}

static enum berth_status take_lock(struct berth_hub_blob *blob, struct berth_hub_pull *pull, const char *name,
                                   const char *file, struct berth_error *err)
{
    char lock_name[BERTH_HUB_TAG_MAX + 80];
    const char *folder_parts[] = {".locks", pull->id.folder, NULL}, *parts[] = {lock_name, NULL};
    char *folder = berth_hub_path(pull->root, folder_parts), *path = NULL;
    enum berth_status status;
    snprintf(lock_name, sizeof lock_name, "%s.lock", name);
    BERTH_TRY(folder ? BERTH_OK : berth_fail_memory(err, "a path", 0));
    BERTH_TRY(berth_hub_make_folders(folder, err));
    path = berth_hub_path(folder, parts);
    BERTH_TRY(path ? BERTH_OK : berth_fail_memory(err, "a path", 0));
    status = wait_for_lock(pull, path, file, &blob->lock, err);
fail:
    berth_free(path);
    berth_free(folder);
    return status;
}

/* --- what is there ------------------------------------------------------------------------------------------- */

/* Reads the beginning that an earlier try left into the checksum. */
static enum berth_status hash_beginning(struct berth_hub_blob *blob, struct berth_error *err)
{
    enum { CHUNK = 1 << 18 };
    char *chunk = berth_malloc(CHUNK, 1);
    if (!chunk)
        return berth_fail_memory(err, blob->partial, CHUNK);
    begin_digest(blob);
    uint64_t at = 0;
    while (at < blob->have) {
        ssize_t n = pread(blob->file, chunk, CHUNK, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        berth_digest_add(&blob->digest, chunk, (size_t)n);
        at += (uint64_t)n;
    }
    berth_free(chunk);
    return at == blob->have ? BERTH_OK : berth_fail_errno(err, errno ? errno : EIO, "%s: cannot read", blob->partial);
}

static enum berth_status open_partial(struct berth_hub_blob *blob, struct berth_error *err)
{
    struct stat info;
    blob->file = open(blob->partial, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (blob->file < 0 || fstat(blob->file, &info) != 0)
        return berth_fail_errno(err, errno, "%s: cannot open", blob->partial);
    if (!S_ISREG(info.st_mode))
        return berth_fail(err, BERTH_IO, "%s: is not a regular file", blob->partial);
    blob->have = (uint64_t)info.st_size;
    blob->resumed = blob->have > 0;
    if (blob->have > 0 && (!blob->has_size || blob->have > blob->size || !berth_hub_blob_is_checked(blob)))
        return berth_hub_blob_restart(blob, err);
    return hash_beginning(blob, err);
}

static enum berth_status check_room(const struct berth_hub_blob *blob, struct berth_error *err)
{
    struct statvfs disk;
    if (!blob->has_size || fstatvfs(blob->file, &disk) != 0)
        return BERTH_OK;
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize, needed = blob->size - blob->have;
    if (needed <= free_bytes)
        return BERTH_OK;
    return berth_fail(err, BERTH_IO, "%s: %" PRIu64 " bytes are to come, the disk has room for %" PRIu64
                      "; make room, or choose another place with HF_HOME", blob->partial, needed, free_bytes);
}

/* Blobs of one content and name are the same: there and of the right size, it need not be fetched. */
static bool is_whole(const struct berth_hub_blob *blob)
{
    struct stat info;
    return stat(blob->path, &info) == 0 && S_ISREG(info.st_mode) &&
           (!blob->has_size || (uint64_t)info.st_size == blob->size);
}

/* A name for a file whose own is not known before it is there: of its place in the repository. */
static void provisional_name(const struct berth_hub_pull *pull, const char *file, char name[80])
{
    struct berth_digest digest;
    struct berth_digest_text text;
    berth_digest_begin(&digest, true, false, 0);
    berth_digest_add(&digest, pull->commit, strlen(pull->commit) + 1);
    berth_digest_add(&digest, file, strlen(file));
    berth_digest_end(&digest, &text);
    snprintf(name, 80, "unnamed-%s", text.sha256);
}

static enum berth_status make_paths(struct berth_hub_blob *blob, struct berth_hub_pull *pull, const char *name,
                                    struct berth_error *err)
{
    char partial[BERTH_HUB_TAG_MAX + 96];
    char *folder = berth_hub_pull_path(pull, "blobs", NULL);
    enum berth_status status = folder ? berth_hub_make_folders(folder, err) : berth_fail_memory(err, "a path", 0);
    berth_free(folder);
    if (status != BERTH_OK)
        return status;
    snprintf(partial, sizeof partial, "%s.incomplete", name);
    blob->path = berth_hub_pull_path(pull, "blobs", name);
    blob->partial = berth_hub_pull_path(pull, "blobs", partial);
    return blob->path && blob->partial ? BERTH_OK : berth_fail_memory(err, "a path", 0);
}

enum berth_status berth_hub_blob_open(struct berth_hub_blob *blob, struct berth_hub_pull *pull, const char *file,
                                      bool *whole, struct berth_error *err)
{
    char provisional[80];
    const char *name = blob->name;
    enum berth_status status;
    *whole = false;
    if (blob->has_size && blob->size > blob->limit)
        return berth_fail(err, BERTH_LIMIT, "%" PRIu64 " bytes, at most %" PRIu64 " are taken of such a file", blob->size,
                          blob->limit);
    if (!blob->name[0]) {
        provisional_name(pull, file, provisional);
        name = provisional;
    }
    BERTH_TRY(make_paths(blob, pull, name, err));
    if (blob->name[0] && is_whole(blob)) {
        *whole = true;
        return BERTH_OK;
    }
    BERTH_TRY(take_lock(blob, pull, name, file, err));
    if (blob->name[0] && is_whole(blob)) { /* who had the lock has fetched it */
        *whole = true;
        return BERTH_OK;
    }
    BERTH_TRY(open_partial(blob, err));
    BERTH_TRY(check_room(blob, err));
fail:
    return status;
}

void berth_hub_blob_close(struct berth_hub_blob *blob)
{
    if (blob->file >= 0)
        close(blob->file);
    if (blob->lock >= 0)
        close(blob->lock);
    berth_free(blob->path);
    berth_free(blob->partial);
    blob->path = blob->partial = NULL;
    blob->file = blob->lock = -1;
}

/* --- what comes ---------------------------------------------------------------------------------------------- */

enum berth_status berth_hub_blob_restart(struct berth_hub_blob *blob, struct berth_error *err)
{
    if (ftruncate(blob->file, 0) != 0)
        return berth_fail_errno(err, errno, "%s: cannot truncate", blob->partial);
    blob->have = 0;
    blob->resumed = false;
    begin_digest(blob);
    return BERTH_OK;
}

static enum berth_status accept_whole(struct berth_hub_blob *blob, const struct berth_hub_reply *reply,
                                      struct berth_error *err)
{
    if (reply->has_length && blob->has_size && reply->length != blob->size)
        return berth_fail(err, BERTH_FORMAT, "the server sends %" PRIu64 " bytes, the hub says that there are %" PRIu64,
                          reply->length, blob->size);
    if (reply->has_length && !blob->has_size) {
        blob->size = reply->length;
        blob->has_size = true;
    }
    return berth_hub_blob_restart(blob, err);
}

enum berth_status berth_hub_blob_accept(struct berth_hub_blob *blob, const struct berth_hub_reply *reply,
                                        struct berth_error *err)
{
    if (blob->accepted)
        return BERTH_OK;
    blob->accepted = true;
    if (reply->status == 200)
        return accept_whole(blob, reply, err);
    if (!reply->has_range || reply->range_first != blob->have)
        return berth_fail(err, BERTH_FORMAT, "the server sends another range than the one from byte %" PRIu64 " on",
                          blob->have);
    if (blob->has_size && reply->range_total != UINT64_MAX && reply->range_total != blob->size)
        return berth_fail(err, BERTH_FORMAT, "the server has %" PRIu64 " bytes, the hub says that there are %" PRIu64,
                          reply->range_total, blob->size);
    return BERTH_OK;
}

enum berth_status berth_hub_blob_write(struct berth_hub_blob *blob, const void *bytes, size_t size,
                                       struct berth_error *err)
{
    uint64_t most = blob->has_size ? blob->size : blob->limit;
    if (size > most - blob->have)
        return berth_fail(err, BERTH_LIMIT, "the server sends more than the %" PRIu64 " bytes that %s", most,
                          blob->has_size ? "were announced" : "are taken of such a file");
    const char *p = bytes;
    for (size_t left = size; left > 0;) {
        ssize_t n = pwrite(blob->file, p, left, (off_t)(blob->have + (size - left)));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return berth_fail_errno(err, n < 0 ? errno : EIO, "%s: cannot write", blob->partial);
        p += n;
        left -= (size_t)n;
    }
    berth_digest_add(&blob->digest, bytes, size);
    blob->have += size;
    return BERTH_OK;
}

/* --- the end ------------------------------------------------------------------------------------------------- */

/* The first checksum that does not match, as a sentence; OK when all do. */
static enum berth_status compare(const struct berth_hub_blob *blob, const struct berth_digest_text *text,
                                 struct berth_error *err)
{
    const char *kind = "SHA-256", *is = text->sha256, *wanted = NULL;
    if (blob->sha256[0] && strcmp(blob->sha256, text->sha256) != 0)
        wanted = blob->sha256;
    else if (berth_hub_is_hex(blob->name, 64) && strcmp(blob->name, text->sha256) != 0)
        wanted = blob->name;
    else if (berth_hub_is_hex(blob->name, 40) && strcmp(blob->name, text->git) != 0 &&
             strcmp(blob->name, text->sha1) != 0) {
        kind = "git blob id";
        is = text->git;
        wanted = blob->name;
    }
    if (!wanted)
        return BERTH_OK;
    return berth_fail(err, BERTH_FORMAT, "wrong checksum: its %s is %s, the hub says %s; what came was thrown away", kind,
                      is, wanted);
}

static enum berth_status give_name(struct berth_hub_blob *blob, const char *name, struct berth_error *err)
{
    if (!blob->name[0]) { /* provisional until now */
        char *slash = strrchr(blob->path, '/');
        const char *parts[] = {name, NULL};
        *slash = 0;
        char *path = berth_hub_path(blob->path, parts);
        if (!path)
            return berth_fail_memory(err, "a path", 0);
        berth_free(blob->path);
        blob->path = path;
        snprintf(blob->name, sizeof blob->name, "%s", name);
    }
    if (fsync(blob->file) != 0)
        return berth_fail_errno(err, errno, "%s: cannot write", blob->partial);
    if (rename(blob->partial, blob->path) != 0)
        return berth_fail_errno(err, errno, "%s: cannot rename into place", blob->path);
    return BERTH_OK;
}

enum berth_status berth_hub_blob_finish(struct berth_hub_blob *blob, bool *again, struct berth_error *err)
{
    struct berth_digest_text text;
    if (blob->has_size && blob->have < blob->size) {
        *again = true;
        return berth_fail(err, BERTH_IO, "the server ended after %" PRIu64 " of %" PRIu64 " bytes", blob->have,
                          blob->size);
    }
    berth_digest_end(&blob->digest, &text);
    enum berth_status status = compare(blob, &text, err);
    if (status == BERTH_OK)
        return give_name(blob, text.sha256, err);
    *again = blob->resumed;
    unlink(blob->partial);
    return status;
}
