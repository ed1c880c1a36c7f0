/* test_base.c: the small pieces: errors, checked sizes, buffers, random numbers, CPU levels, container quotas, progress. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/checked.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/quota.h"
#include "base/rng.h"

static void fail_makes_hostile_bytes_harmless(void **state)
{
    (void)state;
    struct berth_error err;
    berth_fail(&err, BERTH_FORMAT, "%s", "a\x1b[31m\xff caf\xc3\xa9 \xc3");
    assert_int_equal(err.status, BERTH_FORMAT);
    assert_string_equal(err.message, "a?[31m? caf\xc3\xa9 ?");
    assert_int_equal(berth_fail(NULL, BERTH_IO, "nobody listens"), BERTH_IO);
}

static void fail_errno_tells_missing_from_other_trouble(void **state)
{
    (void)state;
    struct berth_error err;
    assert_int_equal(berth_fail_errno(&err, ENOENT, "x"), BERTH_NOT_FOUND);
    assert_int_equal(berth_fail_errno(&err, ENOMEM, "x"), BERTH_NO_MEMORY);
    assert_int_equal(berth_fail_errno(&err, EACCES, "%s: cannot open", "f"), BERTH_IO);
    assert_string_equal(err.message, "f: cannot open: Permission denied");
}

static void fail_prefix_goes_before_and_never_overflows(void **state)
{
    (void)state;
    struct berth_error err;
    berth_fail(&err, BERTH_LIMIT, "too long");
    assert_int_equal(berth_fail_prefix(&err, BERTH_LIMIT, "%s", "file"), BERTH_LIMIT);
    assert_string_equal(err.message, "file: too long");
    char long_text[3 * BERTH_ERROR_SIZE];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    berth_fail(&err, BERTH_LIMIT, "%s", long_text);
    berth_fail_prefix(&err, BERTH_LIMIT, "%s", long_text);
    assert_int_equal(strlen(err.message), BERTH_ERROR_SIZE - 1);
}

static void checked_arithmetic_refuses_what_does_not_fit(void **state)
{
    (void)state;
    size_t out;
    assert_true(berth_mul(SIZE_MAX / 2, 2, &out) && out == SIZE_MAX - 1);
    assert_false(berth_mul(SIZE_MAX / 2 + 1, 2, &out));
    assert_true(berth_add(SIZE_MAX, 0, &out));
    assert_false(berth_add(SIZE_MAX, 1, &out));
    assert_null(berth_malloc(SIZE_MAX / 2, 3));
    assert_null(berth_calloc(SIZE_MAX, SIZE_MAX));
    assert_null(berth_aligned(SIZE_MAX - 100));
    void *block = berth_aligned(5 << 20);
    assert_true(block && (uintptr_t)block % BERTH_ALIGNMENT == 0);
    berth_free(block);
}

static void buffer_stops_at_its_limit_and_keeps_its_content(void **state)
{
    (void)state;
    struct berth_buffer buffer;
    berth_buffer_init(&buffer, 10);
    assert_true(berth_buffer_text(&buffer, "01234"));
    assert_true(berth_buffer_format(&buffer, "%d", 56789));
    assert_false(berth_buffer_append(&buffer, "x", 1));
    assert_false(berth_buffer_format(&buffer, "%s", "y"));
    assert_string_equal(buffer.data, "0123456789");
    assert_int_equal(buffer.size, 10);
    berth_buffer_clear(&buffer);
}

static void rng_repeats_and_is_even(void **state)
{
    (void)state;
    struct berth_rng a, b;
    berth_rng_seed(&a, 7);
    berth_rng_seed(&b, 7);
    for (int i = 0; i < 100; i++)
        assert_true(berth_rng_next(&a) == berth_rng_next(&b));
    berth_rng_seed(&b, 8);
    assert_true(berth_rng_next(&a) != berth_rng_next(&b));
    /* xoshiro256** from the state {1, 2, 3, 4}: the first outputs of the authors' generator. */
    struct berth_rng known = {{1, 2, 3, 4}};
    assert_true(berth_rng_next(&known) == 11520 && berth_rng_next(&known) == 0 && berth_rng_next(&known) == 1509978240);
    enum { DRAWS = 100000, SIDES = 6 };
    size_t counts[SIDES] = {0};
    double sum = 0, squares = 0;
    for (int i = 0; i < DRAWS; i++) {
        counts[berth_rng_below(&a, SIDES)]++;
        double normal = berth_rng_normal(&a), uniform = berth_rng_uniform(&a);
        assert_true(uniform >= 0 && uniform < 1);
        sum += normal;
        squares += normal * normal;
    }
    for (int i = 0; i < SIDES; i++) /* five standard deviations of a binomial count */
        assert_true(fabs((double)counts[i] - DRAWS / 6.0) < 5 * sqrt(DRAWS * (1 / 6.0) * (5 / 6.0)));
    assert_true(fabs(sum / DRAWS) < 5 / sqrt(DRAWS) && fabs(squares / DRAWS - 1) < 5 * sqrt(2.0 / DRAWS));
}

static void isa_names_go_both_ways(void **state)
{
    (void)state;
    for (int i = 0; i < BERTH_ISA_COUNT; i++) {
        enum berth_isa isa;
        assert_true(berth_isa_parse(berth_isa_name((enum berth_isa)i), &isa));
        assert_int_equal(isa, i);
    }
    enum berth_isa isa;
    assert_false(berth_isa_parse("sse9", &isa));
    struct berth_cpu cpu;
    berth_cpu_detect(&cpu);
    assert_true(cpu.best == BERTH_ISA_AMX || cpu.reason[0]);
    assert_true(cpu.l1d >= 4096 && cpu.l2 >= cpu.l1d);
}

/* --- quotas: folders that look like a container's ---------------------------------------------------------------------------- */

static char root[64];

static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static double quota(const char *proc_cgroup)
{
    char path[128], mount[128];
    put("cgroup", proc_cgroup);
    snprintf(path, sizeof path, "%s/cgroup", root);
    snprintf(mount, sizeof mount, "%s/fs", root);
    return berth_quota_read(path, mount);
}

static void quota_is_the_smallest_on_the_way_to_the_root(void **state)
{
    (void)state;
    strcpy(root, "/tmp/berth-quota-XXXXXX");
    assert_non_null(mkdtemp(root));
    put("fs/a/b/cpu.max", "max 100000\n");
    assert_true(quota("0::/a/b\n") == 0);
    put("fs/a/cpu.max", "150000 100000\n");
    assert_true(quota("0::/a/b\n") == 1.5);
    put("fs/a/b/cpu.max", "50000 100000\n");
    assert_true(quota("0::/a/b\n") == 0.5);
    put("fs/cpu.max", "25000 100000\n"); /* the mount is the container's own group */
    assert_true(quota("0::/not/visible/here\n") == 0.25);
    put("fs/cpu,cpuacct/c/cpu.cfs_quota_us", "-1\n");
    put("fs/cpu,cpuacct/c/cpu.cfs_period_us", "100000\n");
    assert_true(quota("4:cpu,cpuacct:/c\n") == 0);
    put("fs/cpu,cpuacct/c/cpu.cfs_quota_us", "300000\n");
    assert_true(quota("9:memory:/c\n4:cpu,cpuacct:/c\n") == 3);
    put("fs/cpu,cpuacct/c/cpu.cfs_quota_us", "nonsense\n");
    assert_true(quota("4:cpu,cpuacct:/c\nmalformed\n") == 0);
    assert_true(berth_quota_read("/nonexistent", "/nonexistent") == 0);
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    assert_int_equal(system(command), 0);
    char why[160];
    assert_true(berth_cpu_allowed(why, sizeof why) >= 1 && why[0]);
}

static void progress_says_nothing_when_quiet_or_quick(void **state)
{
    (void)state;
    struct berth_progress progress;
    berth_progress_begin(&progress, NULL, "texts", 10);
    berth_progress_update(&progress, 5);
    berth_progress_end(&progress, 10);
    FILE *file = tmpfile();
    berth_progress_begin(&progress, file, "texts", 10);
    berth_progress_update(&progress, 5);
    berth_progress_end(&progress, 10);
    assert_int_equal(ftell(file), 0);
    progress.started -= 6000000000u; /* as if six seconds had passed */
    berth_progress_update(&progress, 5);
    berth_progress_end(&progress, 10);
    char text[512];
    rewind(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    text[size] = 0;
    assert_non_null(strstr(text, " 50 %  5 of 10 texts"));
    assert_non_null(strstr(text, "100 %  10 of 10 texts"));
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_makes_hostile_bytes_harmless),
        cmocka_unit_test(fail_errno_tells_missing_from_other_trouble),
        cmocka_unit_test(fail_prefix_goes_before_and_never_overflows),
        cmocka_unit_test(checked_arithmetic_refuses_what_does_not_fit),
        cmocka_unit_test(buffer_stops_at_its_limit_and_keeps_its_content),
        cmocka_unit_test(rng_repeats_and_is_even),
        cmocka_unit_test(isa_names_go_both_ways),
        cmocka_unit_test(quota_is_the_smallest_on_the_way_to_the_root),
        cmocka_unit_test(progress_says_nothing_when_quiet_or_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
