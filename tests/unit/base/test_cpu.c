/* test_cpu.c: names of levels, what this machine says of itself, and quotas of containers that tests can show
 * as folders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cpu.h"
#include "base/quota.h"

static void isa_names_parse_back(void **state)
{
    (void)state;
    enum berth_isa isa;
    for (int i = 0; i < BERTH_ISA_COUNT; i++) {
        assert_true(berth_isa_parse(berth_isa_name((enum berth_isa)i), &isa));
        assert_int_equal(isa, i);
    }
    assert_false(berth_isa_parse("AVX2", &isa));
    assert_false(berth_isa_parse("", &isa));
    assert_string_equal(berth_isa_name(BERTH_ISA_COUNT), "unknown");
}

static void detect_gives_sound_caches_and_a_reason(void **state)
{
    (void)state;
    struct berth_cpu cpu, again;
    berth_cpu_detect(&cpu);
    berth_cpu_detect(&again);
    assert_int_equal(cpu.best, again.best);
    assert_true(cpu.best < BERTH_ISA_COUNT);
    assert_true((cpu.best == BERTH_ISA_AMX) == (cpu.reason[0] == 0));
    assert_true(cpu.l1d >= 8 << 10 && cpu.l1d <= 1 << 20);
    assert_true(cpu.l2 > cpu.l1d && cpu.l3 >= 1 << 20);
#if defined(__x86_64__)
    assert_true(!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
                cpu.best >= BERTH_ISA_AVX2);
#endif
}

static void allowed_follows_the_affinity_mask(void **state)
{
    (void)state;
    cpu_set_t before, one;
    char why[128];
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    size_t all = berth_cpu_allowed(why, sizeof why);
    assert_true(all >= 1 && all <= (size_t)CPU_COUNT(&before) && why[0]);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &before))
            CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(berth_cpu_allowed(NULL, 0), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

/* --- a root folder with a file that stands for /proc/self/cgroup and a folder that stands for /sys/fs/cgroup
 */

struct root {
    char folder[64];
    char cgroup[128], mount[128];
};

static void root_init(struct root *root)
{
    strcpy(root->folder, "/tmp/berth-cgroup-XXXXXX");
    assert_non_null(mkdtemp(root->folder));
    snprintf(root->cgroup, sizeof root->cgroup, "%s/cgroup", root->folder);
    snprintf(root->mount, sizeof root->mount, "%s/mount", root->folder);
    assert_int_equal(mkdir(root->mount, 0777), 0);
}

static void root_clear(struct root *root)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", root->folder);
    assert_int_equal(system(command), 0);
}

/* Writes NAME below the root folder, making the folders on the way. */
static void put(const struct root *root, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root->folder, name);
    for (char *slash = path + strlen(root->folder) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(path, 0777);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static double quota_of(const struct root *root)
{
    return berth_quota_read(root->cgroup, root->mount);
}

static void quota_without_files_is_none(void **state)
{
    (void)state;
    assert_true(berth_quota_read("/nonexistent/cgroup", "/nonexistent") == 0);
    struct root root;
    root_init(&root);
    put(&root, "cgroup", "0::/a/b\n");
    assert_true(quota_of(&root) == 0);
    root_clear(&root);
}

static void quota_v2_is_the_smallest_of_all_ancestors(void **state)
{
    (void)state;
    struct root root;
    root_init(&root);
    put(&root, "cgroup", "0::/a/b/c\n");
    put(&root, "mount/a/b/c/cpu.max", "max 100000\n");
    assert_true(quota_of(&root) == 0);
    put(&root, "mount/a/b/cpu.max", "350000 100000\n");
    assert_true(quota_of(&root) == 3.5);
    put(&root, "mount/a/cpu.max", "150000 100000\n");
    assert_true(quota_of(&root) == 1.5);
    put(&root, "mount/cpu.max", "50000 100000\n");
    assert_true(quota_of(&root) == 0.5);
    root_clear(&root);
}

static void quota_v2_in_a_container_without_namespace_counts_the_mount(void **state)
{
    (void)state;
    struct root root;
    root_init(&root);
    put(&root, "cgroup", "0::/system.slice/somewhere-else\n");
    put(&root, "mount/cpu.max", "200000 100000\n");
    assert_true(quota_of(&root) == 2);
    put(&root, "cgroup", "0::/\n");
    assert_true(quota_of(&root) == 2);
    root_clear(&root);
}

static void quota_v1_reads_the_cpu_controller(void **state)
{
    (void)state;
    struct root root;
    root_init(&root);
    put(&root, "cgroup", "5:cpuset:/x\n4:cpu,cpuacct:/pod\n1:name=systemd:/y\n");
    put(&root, "mount/cpuset/x/cpu.cfs_quota_us", "100000\n"); /* not the cpu controller */
    put(&root, "mount/cpuset/x/cpu.cfs_period_us", "100000\n");
    assert_true(quota_of(&root) == 0);
    put(&root, "mount/cpu,cpuacct/pod/cpu.cfs_quota_us", "-1\n"); /* no limit */
    put(&root, "mount/cpu,cpuacct/pod/cpu.cfs_period_us", "100000\n");
    assert_true(quota_of(&root) == 0);
    put(&root, "mount/cpu,cpuacct/pod/cpu.cfs_quota_us", "250000\n");
    assert_true(quota_of(&root) == 2.5);
    root_clear(&root);
    root_init(&root);
    put(&root, "cgroup", "4:cpuacct,cpu:/pod\n"); /* mounted under the short name */
    put(&root, "mount/cpu/pod/cpu.cfs_quota_us", "75000\n");
    put(&root, "mount/cpu/pod/cpu.cfs_period_us", "50000\n");
    assert_true(quota_of(&root) == 1.5);
    root_clear(&root);
}

static void quota_malformed_files_are_none(void **state)
{
    (void)state;
    static const char *const texts[] = {"",           "\n",          "max",   "100000\n",
                                        "100000 0\n", "-5 100000\n", "x y\n", "nan 100000\n"};
    struct root root;
    root_init(&root);
    put(&root, "cgroup", "nonsense\n:\n0::/a\n0:");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put(&root, "mount/a/cpu.max", texts[i]);
        assert_true(quota_of(&root) == 0);
    }
    put(&root, "mount/a/cpu.max", "100000 100000\n"); /* and the same file, well-formed, is read */
    assert_true(quota_of(&root) == 1);
    root_clear(&root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(isa_names_parse_back),
        cmocka_unit_test(detect_gives_sound_caches_and_a_reason),
        cmocka_unit_test(allowed_follows_the_affinity_mask),
        cmocka_unit_test(quota_without_files_is_none),
        cmocka_unit_test(quota_v2_is_the_smallest_of_all_ancestors),
        cmocka_unit_test(quota_v2_in_a_container_without_namespace_counts_the_mount),
        cmocka_unit_test(quota_v1_reads_the_cpu_controller),
        cmocka_unit_test(quota_malformed_files_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
