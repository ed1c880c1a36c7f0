/* test_file.c: what is not a regular file is refused by name; a write is there whole or not at all, also on a full disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

static char folder[] = "/tmp/berth-file-XXXXXX";
static char path[256];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/berth-file-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/a file", folder);
    return 0;
}

static size_t files_in_folder(void)
{
    DIR *directory = opendir(folder);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    closedir(directory);
    return count;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void write_file(const char *text)
{
    struct berth_atomic_file file;
    assert_int_equal(berth_atomic_open(path, &file, NULL), BERTH_OK);
    fputs(text, file.stream);
    assert_int_equal(berth_atomic_commit(&file, NULL), BERTH_OK);
}

static void expect_content(const char *want)
{
    char *data;
    size_t size;
    assert_int_equal(berth_file_read(path, 1000, &data, &size, NULL), BERTH_OK);
    assert_int_equal(size, strlen(want));
    assert_string_equal(data, want);
    berth_free(data);
}

static void commit_replaces_the_file_and_leaves_nothing_beside_it(void **state)
{
    (void)state;
    write_file("old");
    write_file("new, longer");
    expect_content("new, longer");
    assert_int_equal(files_in_folder(), 1);
    struct stat info;
    mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0666 & ~mask);
}

static void abort_keeps_the_old_file(void **state)
{
    (void)state;
    write_file("old");
    struct berth_atomic_file file;
    assert_int_equal(berth_atomic_open(path, &file, NULL), BERTH_OK);
    fputs("half", file.stream);
    berth_atomic_abort(&file);
    berth_atomic_abort(&file); /* twice is fine */
    expect_content("old");
    assert_int_equal(files_in_folder(), 1);
}

static void commit_on_a_full_disk_fails_and_keeps_the_old_file(void **state)
{
    (void)state;
    write_file("old");
    struct rlimit before, tight;
    getrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_IGN);
    struct berth_atomic_file file;
    struct berth_error err;
    assert_int_equal(berth_atomic_open(path, &file, &err), BERTH_OK);
    tight = (struct rlimit){1000, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &tight);
    for (int i = 0; i < 100000; i++)
        fputs("0123456789", file.stream);
    enum berth_status status = berth_atomic_commit(&file, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, BERTH_IO);
    assert_non_null(strstr(err.message, path));
    expect_content("old");
    assert_int_equal(files_in_folder(), 1);
}

static void open_in_a_missing_folder_is_refused_by_name(void **state)
{
    (void)state;
    struct berth_atomic_file file;
    struct berth_error err;
    assert_int_equal(berth_atomic_open("/nonexistent/folder/file", &file, &err), BERTH_NOT_FOUND);
    assert_non_null(strstr(err.message, "/nonexistent/folder/file"));
}

static void read_refuses_what_is_no_regular_file(void **state)
{
    (void)state;
    char *data;
    size_t size;
    struct berth_map map;
    struct berth_error err;
    assert_int_equal(berth_file_read(folder, 1000, &data, &size, &err), BERTH_IO);
    assert_non_null(strstr(err.message, "directory"));
    assert_int_equal(berth_map_open(folder, &map, &err), BERTH_IO);
    assert_int_equal(berth_file_read("/dev/zero", 1000, &data, &size, &err), BERTH_IO);
    assert_int_equal(berth_file_read(path, 1000, &data, &size, &err), BERTH_NOT_FOUND);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(berth_file_read(path, 1000, &data, &size, &err), BERTH_IO); /* and does not wait for a writer */
}

static void read_refuses_more_than_the_limit(void **state)
{
    (void)state;
    char *data;
    size_t size;
    struct berth_error err;
    write_file("0123456789");
    assert_int_equal(berth_file_read(path, 9, &data, &size, &err), BERTH_LIMIT);
    assert_non_null(strstr(err.message, "10 bytes"));
    assert_int_equal(berth_file_read(path, 10, &data, &size, &err), BERTH_OK);
    berth_free(data);
}

static void map_shows_the_bytes_also_after_they_were_forgotten(void **state)
{
    (void)state;
    struct berth_map map;
    write_file("mapped");
    assert_int_equal(berth_map_open(path, &map, NULL), BERTH_OK);
    assert_int_equal(map.size, 6);
    berth_map_forget(map.data, map.size);
    assert_memory_equal(map.data, "mapped", 6);
    berth_map_close(&map);
    write_file("");
    assert_int_equal(berth_map_open(path, &map, NULL), BERTH_OK);
    assert_int_equal(map.size, 0);
    berth_map_close(&map);
}

static void path_join_adds_one_slash(void **state)
{
    (void)state;
    static const char *const cases[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *joined = berth_path_join(cases[i][0], cases[i][1]);
        assert_string_equal(joined, cases[i][2]);
        berth_free(joined);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(commit_replaces_the_file_and_leaves_nothing_beside_it),
        CASE(abort_keeps_the_old_file),
        CASE(commit_on_a_full_disk_fails_and_keeps_the_old_file),
        CASE(open_in_a_missing_folder_is_refused_by_name),
        CASE(read_refuses_what_is_no_regular_file),
        CASE(read_refuses_more_than_the_limit),
        CASE(map_shows_the_bytes_also_after_they_were_forgotten),
        CASE(path_join_adds_one_slash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
