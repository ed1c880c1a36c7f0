/* test_base_memory.c: each allocation of the base room fails in turn; and the harness that says so can fail
 * itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/threads.h"
#include "support/fault.h"

static enum berth_status grow_buffer(void *context, struct berth_error *err)
{
    (void)context;
    enum berth_status status = BERTH_OK;
    struct berth_buffer buffer;
    berth_buffer_init(&buffer, 1 << 20);
    for (int i = 0; i < 100 && status == BERTH_OK; i++) {
        size_t before = buffer.size;
        if (!berth_buffer_format(&buffer, "line %d\n", i))
            status = buffer.size == before ? berth_fail_memory(err, "a buffer", 0) : BERTH_INTERNAL;
    }
    berth_buffer_clear(&buffer);
    return status;
}

static void buffer_survives_each_failure(void **state)
{
    (void)state;
    fault_each(grow_buffer, NULL, 4, 0);
}

static enum berth_status start_team(void *context, struct berth_error *err)
{
    (void)context;
    struct berth_team *team;
    enum berth_status status = berth_team_new(3, &team, err);
    if (status != BERTH_OK && team)
        return BERTH_INTERNAL;
    berth_team_free(team);
    return status;
}

static void team_survives_each_failure(void **state)
{
    (void)state;
    fault_each(start_team, NULL, 2, 0);
}

static void count_nothing(void *context, size_t index, size_t member)
{
    (void)context, (void)index, (void)member;
}

static void run_of_a_team_allocates_nothing(void **state)
{
    (void)state;
    struct berth_team *team;
    assert_int_equal(berth_team_new(3, &team, NULL), BERTH_OK);
    fault_arm(0);
    for (int i = 0; i < 100; i++)
        berth_team_run(team, 10, count_nothing, NULL);
    assert_int_equal(fault_calls(), 0);
    berth_team_free(team);
}

static enum berth_status write_file(void *path, struct berth_error *err)
{
    struct berth_atomic_file file;
    enum berth_status status = berth_atomic_open(path, &file, err);
    if (status != BERTH_OK)
        return status;
    fputs("new", file.stream);
    return berth_atomic_commit(&file, err);
}

static void atomic_file_survives_each_failure(void **state)
{
    (void)state;
    char folder[] = "/tmp/berth-fault-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/f", folder);
    fault_each(write_file, path, 2, 1); /* spare: the name of the folder to sync */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing else was left in it */
}

static enum berth_status read_file(void *path, struct berth_error *err)
{
    char *data;
    size_t size;
    enum berth_status status = berth_file_read(path, 1000, &data, &size, err);
    berth_free(data);
    return status;
}

static void file_read_survives_each_failure(void **state)
{
    (void)state;
    char path[] = "/tmp/berth-fault-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, "abc", 3) == 3);
    close(fd);
    fault_each(read_file, path, 1, 0);
    unlink(path);
}

/* --- negative controls: what the harness must see (through berth_malloc: a compiler may drop a plain pair)
 */

static enum berth_status leak_one(void *context, struct berth_error *err)
{
    void **kept = context;
    berth_free(kept[0]);
    kept[0] = NULL;
    void *a = berth_malloc(1, 1), *b = berth_malloc(1, 1);
    if (a && b) {
        berth_free(a);
        berth_free(b);
        return BERTH_OK;
    }
    kept[0] = a; /* forgotten when b failed */
    berth_free(b);
    return berth_fail_memory(err, "a test", 1);
}

static enum berth_status fail_silently(void *context, struct berth_error *err)
{
    (void)context, (void)err;
    void *block = berth_malloc(1, 1);
    berth_free(block);
    return block ? BERTH_OK : BERTH_NO_MEMORY;
}

static enum berth_status ignore_failure(void *context, struct berth_error *err)
{
    (void)context, (void)err;
    berth_free(berth_malloc(1, 1));
    return BERTH_OK;
}

static enum berth_status name_it_wrongly(void *context, struct berth_error *err)
{
    (void)context;
    void *block = berth_malloc(1, 1);
    berth_free(block);
    return block ? BERTH_OK : berth_fail(err, BERTH_FORMAT, "out of memory, they say");
}

static void check_found(fault_operation *run, void *context, long at_least, long spare, const char *words)
{
    char fault[700];
    assert_true(fault_find(run, context, at_least, spare, fault, sizeof fault));
    if (!strstr(fault, words))
        fail_msg("'%s' does not say '%s'", fault, words);
}

static void harness_finds_each_kind_of_fault(void **state)
{
    (void)state;
    void *kept = NULL;
    char none[] = "/dev/null/none", fault[700];
    check_found(leak_one, &kept, 1, 0, "1 blocks are left behind");
    berth_free(kept);
    check_found(fail_silently, NULL, 1, 0, "allocation 1 failed: status");
    check_found(ignore_failure, NULL, 1, 0, "allocation 1 failed: status 0");
    check_found(name_it_wrongly, NULL, 1, 0, "out of memory, they say");
    check_found(read_file, none, 1, 0, "no allocation failed, but: /dev/null/none");
    check_found(start_team, NULL, 1000, 0, "at least 1000 expected");
    check_found(start_team, NULL, 1, 1, "1 harmless ones too few");
    assert_false(fault_find(start_team, NULL, 1, 0, fault, sizeof fault));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_survives_each_failure),
        cmocka_unit_test(team_survives_each_failure),
        cmocka_unit_test(run_of_a_team_allocates_nothing),
        cmocka_unit_test(atomic_file_survives_each_failure),
        cmocka_unit_test(file_read_survives_each_failure),
        cmocka_unit_test(harness_finds_each_kind_of_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
