/* file.h: reading and writing files safely. */
#ifndef BERTH_BASE_FILE_H
#define BERTH_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "berth/status.h"

/* A read-only private map of a whole regular file. A file that is truncated while mapped raises SIGBUS, as
 * for every user of mmap; berth maps only weights, and drops the map once they are packed. */
struct berth_map {
    const unsigned char *data; /* NULL for an empty file */
    size_t size;               /* bytes */
};

enum berth_status berth_map_open(const char *path, struct berth_map *map, struct berth_error *err);
void berth_map_close(struct berth_map *map);

/* Tells the kernel that the pages of [data, data + size) are not needed for now: they leave this process's
 * resident memory and are read again from the file when touched. Only whole pages inside the range are
 * dropped. */
void berth_map_forget(const void *data, size_t size);

/* Reads a whole regular file of at most `limit` bytes; *data is NUL-terminated (the NUL is not counted),
 * freed by the caller with berth_free. A directory, a device or a larger file is refused by name. */
enum berth_status berth_file_read(const char *path, size_t limit, char **data, size_t *size,
                                  struct berth_error *err);

/* The first line of a small file that the kernel makes (below /sys or /proc), its newline included; false
 * when there is none. */
bool berth_file_line(const char *path, char *line, int size);

/* True when path names a regular file / a directory (after following links). */
bool berth_file_exists(const char *path);
bool berth_directory_exists(const char *path);

/* "dir/name", freed by the caller with berth_free; NULL when memory ran out. */
char *berth_path_join(const char *directory, const char *name);

/* True when there is anything of that name, be it a directory or a link that leads nowhere: what is present
 * but cannot be read is an error, never taken for absent. */
bool berth_path_present(const char *path);

/* Writes beside PATH, then fsyncs and renames over it on commit: the old file or the new one is there, never
 * half of one. Links are followed, and an old file's permissions kept. What is no regular file (a device, a
 * pipe) is written as it stands. */
struct berth_atomic_file {
    FILE *stream;    /* write here; NULL when closed */
    char *path;      /* owned */
    char *temporary; /* owned; NULL: PATH itself is written */
};

enum berth_status berth_atomic_open(const char *path, struct berth_atomic_file *file,
                                    struct berth_error *err);
enum berth_status berth_atomic_commit(struct berth_atomic_file *file, struct berth_error *err);
void berth_atomic_abort(struct berth_atomic_file *file); /* removes the temporary; fine after commit */

#endif
