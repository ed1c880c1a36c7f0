/* test_file.c: only regular files are read; a write replaces a file whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/berth-file-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static const char *at(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void check_content(const char *path, const char *text)
{
    char *data;
    size_t size;
    struct berth_error err;
    assert_int_equal(berth_file_read(path, 1 << 20, &data, &size, &err), BERTH_OK);
    assert_int_equal(size, strlen(text));
    assert_string_equal(data, text);
    berth_free(data);
}

static size_t count_files(void)
{
    size_t count = 0;
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

/* Reading and mapping refuse alike, in a sentence with the path and these words. */
static void check_refused(const char *path, enum berth_status expected, const char *words)
{
    struct berth_error err;
    struct berth_map map;
    char *data = (char *)1;
    size_t size = 1;
    assert_int_equal(berth_file_read(path, 1000, &data, &size, &err), expected);
    assert_null(data);
    assert_true(strstr(err.message, path) && strstr(err.message, words));
    assert_int_equal(berth_map_open(path, &map, &err), expected);
    assert_null(map.data);
    assert_true(strstr(err.message, path) && strstr(err.message, words));
}

static void read_what_is_not_a_file_is_refused_by_name(void **state)
{
    (void)state;
    check_refused(folder, BERTH_IO, "is a directory");
    check_refused(at("missing"), BERTH_NOT_FOUND, "No such file");
    check_refused("/dev/null", BERTH_IO, "not a regular file");
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    check_refused(at("pipe"), BERTH_IO, "not a regular file"); /* and does not wait for a writer */
    assert_int_equal(symlink("loop", at("loop")), 0);
    check_refused(at("loop"), BERTH_IO, "symbolic links");
}

static void read_bounds_and_empty_files(void **state)
{
    (void)state;
    char *data;
    size_t size;
    struct berth_error err;
    struct berth_map map;
    put(at("five"), "12345");
    check_content(at("five"), "12345");
    assert_int_equal(berth_file_read(at("five"), 4, &data, &size, &err), BERTH_LIMIT);
    assert_non_null(strstr(err.message, "5 bytes, at most 4"));
    assert_int_equal(berth_file_read(at("five"), 5, &data, &size, &err), BERTH_OK);
    berth_free(data);
    put(at("empty"), "");
    check_content(at("empty"), "");
    assert_int_equal(berth_map_open(at("empty"), &map, &err), BERTH_OK);
    assert_true(!map.data && map.size == 0);
    berth_map_close(&map);
}

static void map_shows_the_bytes_also_after_forgetting_them(void **state)
{
    (void)state;
    enum { SIZE = 100000 };
    static char bytes[SIZE];
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 7 % 251);
    FILE *file = fopen(at("big"), "w");
    assert_true(file && fwrite(bytes, 1, SIZE, file) == SIZE && fclose(file) == 0);
    struct berth_map map;
    assert_int_equal(berth_map_open(at("big"), &map, NULL), BERTH_OK);
    assert_int_equal(map.size, SIZE);
    assert_memory_equal(map.data, bytes, SIZE);
    berth_map_forget(map.data + 1, SIZE - 1);
    berth_map_forget(map.data + 5, 3); /* less than a page: nothing to do */
    assert_memory_equal(map.data, bytes, SIZE);
    berth_map_close(&map);
    berth_map_close(&map);
}

static void paths_join_and_exist(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = berth_path_join(cases[i][0], cases[i][1]);
        assert_string_equal(path, cases[i][2]);
        berth_free(path);
    }
    put(at("f"), "x");
    assert_true(berth_file_exists(at("f")) && !berth_directory_exists(at("f")));
    assert_true(!berth_file_exists(folder) && berth_directory_exists(folder));
    assert_true(!berth_file_exists(at("none")) && !berth_directory_exists(at("none")));
}

static void atomic_commit_replaces_the_file_and_leaves_no_other(void **state)
{
    (void)state;
    struct berth_atomic_file file;
    struct berth_error err;
    struct stat info;
    mode_t mask = umask(027);
    put(at("a"), "old");
    assert_int_equal(berth_atomic_open(at("a"), &file, &err), BERTH_OK);
    fputs("new", file.stream);
    check_content(at("a"), "old"); /* until the commit */
    assert_int_equal(berth_atomic_commit(&file, &err), BERTH_OK);
    umask(mask);
    check_content(at("a"), "new");
    assert_int_equal(count_files(), 1);
    assert_int_equal(stat(at("a"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    berth_atomic_abort(&file); /* fine after commit */
    check_content(at("a"), "new");
}

static void atomic_abort_leaves_the_old_file(void **state)
{
    (void)state;
    struct berth_atomic_file file;
    put(at("a"), "old");
    assert_int_equal(berth_atomic_open(at("a"), &file, NULL), BERTH_OK);
    fputs("new", file.stream);
    berth_atomic_abort(&file);
    berth_atomic_abort(&file);
    check_content(at("a"), "old");
    assert_int_equal(count_files(), 1);
}

static void atomic_two_writers_at_once_do_not_meet(void **state)
{
    (void)state;
    struct berth_atomic_file first, second;
    assert_int_equal(berth_atomic_open(at("a"), &first, NULL), BERTH_OK);
    assert_int_equal(berth_atomic_open(at("a"), &second, NULL), BERTH_OK);
    fputs("first", first.stream);
    fputs("second", second.stream);
    assert_int_equal(berth_atomic_commit(&second, NULL), BERTH_OK);
    check_content(at("a"), "second");
    assert_int_equal(berth_atomic_commit(&first, NULL), BERTH_OK);
    check_content(at("a"), "first");
    assert_int_equal(count_files(), 1);
}

static void atomic_open_where_nothing_can_be_written_is_refused(void **state)
{
    (void)state;
    struct berth_atomic_file file;
    struct berth_error err;
    assert_int_equal(berth_atomic_open(at("none/a"), &file, &err), BERTH_NOT_FOUND);
    assert_non_null(strstr(err.message, "none/a: cannot write beside it"));
    berth_atomic_abort(&file);
    assert_int_equal(mkdir(at("folder"), 0777), 0);
    assert_int_equal(berth_atomic_open(at("folder"), &file, &err), BERTH_IO);
    assert_non_null(strstr(err.message, "directory"));
    assert_int_equal(count_files(), 1);
}

static void atomic_open_follows_links_and_keeps_permissions(void **state)
{
    (void)state;
    struct berth_atomic_file file;
    struct stat info;
    char target[256];
    put(at("real"), "old");
    snprintf(target, sizeof target, "%s", at("real"));
    assert_int_equal(chmod(target, 0640), 0);
    assert_int_equal(symlink(target, at("link")), 0);
    assert_int_equal(berth_atomic_open(at("link"), &file, NULL), BERTH_OK);
    fputs("new", file.stream);
    assert_int_equal(berth_atomic_commit(&file, NULL), BERTH_OK);
    check_content(target, "new");
    assert_true(lstat(at("link"), &info) == 0 && S_ISLNK(info.st_mode));
    assert_true(stat(target, &info) == 0 && (info.st_mode & 07777) == 0640);
    /* What is no regular file is written as it stands. */
    assert_int_equal(berth_atomic_open("/dev/null", &file, NULL), BERTH_OK);
    assert_null(file.temporary);
    assert_int_equal(berth_atomic_commit(&file, NULL), BERTH_OK);
    assert_true(stat("/dev/null", &info) == 0 && S_ISCHR(info.st_mode));
}

/* A limit on the size of files stands for a full disk: unlike one, it needs no privilege. */
static void check_full(size_t bytes, bool flushed_early)
{
    struct berth_atomic_file file;
    struct berth_error err;
    struct rlimit before, small;
    put(at("a"), "old");
    assert_int_equal(berth_atomic_open(at("a"), &file, &err), BERTH_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (size_t i = 0; i < bytes; i++)
        putc('x', file.stream);
    if (flushed_early)
        fflush(file.stream);
    enum berth_status status = berth_atomic_commit(&file, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, BERTH_IO);
    assert_true(strstr(err.message, "/a: cannot write: File too large") != NULL);
    check_content(at("a"), "old");
    assert_int_equal(count_files(), 1);
}

static void atomic_write_beyond_what_fits_leaves_the_old_file(void **state)
{
    (void)state;
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    check_full(2000, false);   /* fails in commit */
    check_full(2000, true);    /* failed before it: the reason is still told */
    check_full(200000, false); /* failed while writing */
    signal(SIGXFSZ, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
        IN_FOLDER(read_what_is_not_a_file_is_refused_by_name),
        IN_FOLDER(read_bounds_and_empty_files),
        IN_FOLDER(map_shows_the_bytes_also_after_forgetting_them),
        IN_FOLDER(paths_join_and_exist),
        IN_FOLDER(atomic_commit_replaces_the_file_and_leaves_no_other),
        IN_FOLDER(atomic_abort_leaves_the_old_file),
        IN_FOLDER(atomic_two_writers_at_once_do_not_meet),
        IN_FOLDER(atomic_open_where_nothing_can_be_written_is_refused),
        IN_FOLDER(atomic_open_follows_links_and_keeps_permissions),
        IN_FOLDER(atomic_write_beyond_what_fits_leaves_the_old_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
