/* folder.c: a directory beside another, and its files' way there. */
#include "base/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

static void clear(struct berth_folder *folder)
{
    berth_free(folder->path);
    berth_free(folder->directory);
    *folder = (struct berth_folder){0};
}

/* DIRECTORY without slashes at its end. */
static char *copy_name(const char *directory)
{
    size_t length = strlen(directory);
    while (length > 1 && directory[length - 1] == '/')
        length--;
    return berth_strndup(directory, length);
}

enum berth_status berth_folder_begin(const char *directory, struct berth_folder *folder, struct berth_error *err)
{
    enum { TRIES = 1000, SUFFIX = 48 };
    *folder = (struct berth_folder){.directory = copy_name(directory)};
    const size_t size = strlen(directory) + SUFFIX;
    folder->path = folder->directory ? berth_malloc(size, 1) : NULL;
    if (!folder->path) {
        clear(folder);
        return berth_fail_memory(err, directory, size);
    }
    int made = -1;
    enum berth_status status = BERTH_OK;
    if (berth_path_present(directory) && !berth_directory_exists(directory))
        status = berth_fail(err, BERTH_INVALID_ARGUMENT, "%s: is not a directory", directory);
    for (unsigned n = 0; status == BERTH_OK && made != 0 && n < TRIES; n++) {
        snprintf(folder->path, size, "%s.part-%ld-%u", folder->directory, (long)getpid(), n);
        made = mkdir(folder->path, 0777);
        if (made != 0 && errno != EEXIST)
            break;
    }
    if (status == BERTH_OK && made != 0)
        status = berth_fail_errno(err, errno, "%s: cannot make a directory beside it", directory);
    if (status != BERTH_OK)
        clear(folder);
    return status;
}

static enum berth_status move_file(const struct berth_folder *folder, const char *name, struct berth_error *err)
{
    char *from = berth_path_join(folder->path, name), *to = berth_path_join(folder->directory, name);
    enum berth_status status = from && to ? BERTH_OK : berth_fail_memory(err, name, strlen(name));
    if (status == BERTH_OK && rename(from, to) != 0)
        status = berth_fail_errno(err, errno, "%s: cannot rename into place", to);
    berth_free(from);
    berth_free(to);
    return status;
}

/* Calls for every file; `last` (may be NULL) is left out. */
typedef enum berth_status visit_fn(const struct berth_folder *folder, const char *name, struct berth_error *err);

static enum berth_status visit_files(const struct berth_folder *folder, const char *last, visit_fn *visit,
                                     struct berth_error *err)
{
    DIR *list = opendir(folder->path);
    enum berth_status status =
        list ? BERTH_OK : berth_fail_errno(err, errno, "%s: cannot read the directory", folder->path);
    for (struct dirent *entry; status == BERTH_OK && (entry = readdir(list));) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !(last && strcmp(name, last) == 0))
            status = visit(folder, name, err);
    }
    if (list)
        closedir(list);
    return status;
}

static enum berth_status remove_file(const struct berth_folder *folder, const char *name, struct berth_error *err)
{
    char *path = berth_path_join(folder->path, name);
    (void)err;
    if (path)
        (void)unlink(path);
    berth_free(path);
    return BERTH_OK;
}

/* Makes the renames durable, as far as the file system does. */
static void sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

enum berth_status berth_folder_commit(struct berth_folder *folder, const char *last, struct berth_error *err)
{
    enum berth_status status = BERTH_OK;
    sync_directory(folder->path);
    if (!berth_path_present(folder->directory)) {
        if (rename(folder->path, folder->directory) != 0)
            status = berth_fail_errno(err, errno, "%s: cannot rename into place", folder->directory);
    } else {
        status = visit_files(folder, last, move_file, err);
        if (status == BERTH_OK && last)
            status = move_file(folder, last, err);
        if (status == BERTH_OK)
            (void)rmdir(folder->path);
    }
    if (status != BERTH_OK) {
        berth_folder_abort(folder);
        return status;
    }
    sync_directory(folder->directory);
    clear(folder);
    return BERTH_OK;
}

void berth_folder_abort(struct berth_folder *folder)
{
    struct berth_error unwanted;
    if (folder->path) {
        (void)visit_files(folder, NULL, remove_file, &unwanted);
        (void)rmdir(folder->path);
    }
    clear(folder);
}
