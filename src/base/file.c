/* file.c: maps, bounded reads, atomic writes. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"

/* Opens a regular file for reading; anything else is refused by name. O_NONBLOCK keeps a FIFO from blocking
 * the open. */
static enum berth_status open_regular(const char *path, int *fd, size_t *size, struct berth_error *err)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return berth_fail_errno(err, errno, "%s: cannot open", path);
    struct stat info;
    enum berth_status status;
    if (fstat(*fd, &info) != 0)
        status = berth_fail_errno(err, errno, "%s: cannot stat", path);
    else if (S_ISDIR(info.st_mode))
        status = berth_fail(err, BERTH_IO, "%s: is a directory, a file is needed", path);
    else if (!S_ISREG(info.st_mode))
        status = berth_fail(err, BERTH_IO, "%s: is not a regular file", path);
    else {
        *size = (size_t)info.st_size;
        return BERTH_OK;
    }
    close(*fd);
    return status;
}

enum berth_status berth_map_open(const char *path, struct berth_map *map, struct berth_error *err)
{
    *map = (struct berth_map){0};
    int fd;
    size_t size = 0;
    enum berth_status status = open_regular(path, &fd, &size, err);
    if (status != BERTH_OK)
        return status;
    if (size > 0) {
        void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            status = berth_fail_errno(err, errno, "%s: cannot map %zu bytes", path, size);
        else
            *map = (struct berth_map){data, size};
    }
    close(fd);
    return status;
}

void berth_map_close(struct berth_map *map)
{
    if (map->data)
        munmap((void *)map->data, map->size);
    *map = (struct berth_map){0};
}

void berth_map_forget(const void *data, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = berth_round_up((uintptr_t)data, page);
    uintptr_t last = ((uintptr_t)data + size) & ~(page - 1);
    if (last > first)
        (void)madvise((void *)first, last - first, MADV_DONTNEED); /* advice: a refusal only costs memory */
}

enum berth_status berth_file_read(const char *path, size_t limit, char **data, size_t *size,
                                  struct berth_error *err)
{
    *data = NULL;
    *size = 0;
    int fd;
    size_t length = 0;
    enum berth_status status = open_regular(path, &fd, &length, err);
    if (status != BERTH_OK)
        return status;
    char *block = NULL;
    if (length > limit) {
        status = berth_fail(err, BERTH_LIMIT, "%s: %zu bytes, at most %zu are read", path, length, limit);
        goto fail;
    }
    block = berth_malloc(length + 1, 1);
    if (!block) {
        status = berth_fail_memory(err, path, length + 1);
        goto fail;
    }
    size_t used = 0;
    while (used < length) {
        ssize_t n = read(fd, block + used, length - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            status = berth_fail_errno(err, errno, "%s: cannot read", path);
            goto fail;
        }
        if (n == 0)
            break; /* it shrank meanwhile: what is there counts */
        used += (size_t)n;
    }
    block[used] = 0;
    close(fd);
    *data = block;
    *size = used;
    return BERTH_OK;
fail:
    berth_free(block);
    close(fd);
    return status;
}

bool berth_file_line(const char *path, char *line, int size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool read = fgets(line, size, file) != NULL;
    fclose(file);
    return read;
}

bool berth_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool berth_path_present(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

bool berth_directory_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

char *berth_path_join(const char *directory, const char *name)
{
    size_t a = strlen(directory), b = strlen(name);
    bool slash = a > 0 && directory[a - 1] != '/';
    char *path = berth_malloc(a + b + 2, 1);
    if (path) {
        memcpy(path, directory, a);
        if (slash)
            path[a++] = '/';
        memcpy(path + a, name, b + 1);
    }
    return path;
}

static void atomic_clear(struct berth_atomic_file *file)
{
    berth_free(file->path);
    berth_free(file->temporary);
    *file = (struct berth_atomic_file){0};
}

/* Creates PATH.part-PID-N for the first N that is free. mkostemp is not used: it makes files private, and
 * undoing that means asking for the umask, which only setting it tells, for all threads at once. */
static int create_beside(char *temporary, size_t size, const char *path)
{
    enum { TRIES = 10000 };
    for (unsigned n = 0; n < TRIES; n++) {
        snprintf(temporary, size, "%s.part-%ld-%u", path, (long)getpid(), n);
        int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* Opens the new file beside file->path, with the old one's permissions. */
static enum berth_status open_beside(struct berth_atomic_file *file, const struct stat *old,
                                     struct berth_error *err)
{
    size_t size = strlen(file->path) + 48; /* ".part-", two numbers */
    file->temporary = berth_malloc(size, 1);
    if (!file->temporary)
        return berth_fail_memory(err, file->path, size);
    int fd = create_beside(file->temporary, size, file->path);
    if (fd < 0) {
        berth_free(file->temporary); /* nothing to remove */
        file->temporary = NULL;
        return berth_fail_errno(err, errno, "%s: cannot write beside it", file->path);
    }
    bool same_mode = !old || fchmod(fd, old->st_mode & 07777) == 0;
    file->stream = same_mode ? fdopen(fd, "wb") : NULL;
    if (file->stream)
        return BERTH_OK;
    enum berth_status status = berth_fail_errno(err, errno, "%s: cannot write beside it", file->path);
    close(fd);
    return status;
}

enum berth_status berth_atomic_open(const char *path, struct berth_atomic_file *file, struct berth_error *err)
{
    struct stat old;
    bool exists = stat(path, &old) == 0, dangles = !exists && berth_path_present(path);
    bool regular = exists && S_ISREG(old.st_mode);
    char resolved[PATH_MAX];
    const char *target =
        regular ? realpath(path, resolved) : NULL; /* a link stays, what it leads to is replaced */
    *file = (struct berth_atomic_file){.path = berth_strdup(target ? target : path)};
    enum berth_status status;
    if (!file->path) {
        status = berth_fail_memory(err, path, strlen(path));
        goto fail;
    }
    if (regular || !(exists || dangles))
        BERTH_TRY(open_beside(file, regular ? &old : NULL, err));
    else if (!(file->stream = fopen(path, "wbe"))) {
        status = berth_fail_errno(err, errno, "%s: cannot write", path);
        goto fail;
    }
    return BERTH_OK;
fail:
    berth_atomic_abort(file);
    return status;
}

/* Why an earlier write to the stream failed: stdio keeps only that it did, so the file, which is thrown away,
 * is asked again. */
static int write_error(FILE *stream)
{
    return write(fileno(stream), "", 1) < 0 ? errno : EIO;
}

/* Makes the rename itself durable; a directory that cannot be synced is left to the file system. */
static void sync_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash == path ? berth_strdup("/")
                      : slash       ? berth_strndup(path, (size_t)(slash - path))
                                    : berth_strdup(".");
    int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    berth_free(directory);
}

enum berth_status berth_atomic_commit(struct berth_atomic_file *file, struct berth_error *err)
{
    enum berth_status status = BERTH_OK;
    if (ferror(file->stream))
        status = berth_fail_errno(err, write_error(file->stream), "%s: cannot write", file->path);
    else if (fflush(file->stream) != 0 || (file->temporary && fsync(fileno(file->stream)) != 0))
        status = berth_fail_errno(err, errno, "%s: cannot write", file->path);
    if (fclose(file->stream) != 0 && status == BERTH_OK)
        status = berth_fail_errno(err, errno, "%s: cannot write", file->path);
    file->stream = NULL;
    if (status == BERTH_OK && file->temporary && rename(file->temporary, file->path) != 0)
        status = berth_fail_errno(err, errno, "%s: cannot rename into place", file->path);
    if (file->temporary && status == BERTH_OK)
        sync_directory_of(file->path);
    else if (file->temporary)
        unlink(file->temporary);
    atomic_clear(file);
    return status;
}

void berth_atomic_abort(struct berth_atomic_file *file)
{
    if (file->stream)
        fclose(file->stream);
    if (file->temporary)
        unlink(file->temporary);
    atomic_clear(file);
}
