/* quota.c: cgroup v2 cpu.max and v1 cpu.cfs_quota_us, at every ancestor of the process's group. */
#include "base/quota.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "base/cpu.h"

enum { PATH_SIZE = 4096, LINE_SIZE = 4096 };

/* First line of DIR/NAME; false when it cannot be read. */
static bool read_line(const char *directory, const char *name, char *line, int size)
{
    char path[PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return berth_file_line(path, line, size);
}

/* The quota of one group, 0 without one. */
static double group_quota(const char *directory)
{
    char line[128], period_line[128];
    double quota = 0, period = 0;
    if (read_line(directory, "cpu.max", line, sizeof line)) { /* "max 100000" fails to convert: no quota */
        if (sscanf(line, "%lf %lf", &quota, &period) != 2)
            return 0;
    } else if (read_line(directory, "cpu.cfs_quota_us", line, sizeof line) &&
               read_line(directory, "cpu.cfs_period_us", period_line, sizeof period_line)) {
        quota = atof(line);
        period = atof(period_line);
    }
    return quota > 0 && period > 0 ? quota / period : 0;
}

/* The smallest quota from MOUNT + group up to MOUNT itself. Inside a container the group's path may not exist
 * below the mount (no cgroup namespace): then only the ancestors that do count, the mount itself being the
 * container's group. */
static double path_quota(const char *mount, const char *group)
{
    char path[PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s%s", mount, group);
    size_t mount_length = strlen(mount);
    double least = 0;
    if (length < 0 || (size_t)length >= sizeof path)
        return 0;
    for (;;) {
        double quota = group_quota(path);
        if (quota > 0 && (least == 0 || quota < least))
            least = quota;
        char *slash = strrchr(path, '/');
        if (!slash || (size_t)(slash - path) < mount_length)
            return least;
        *slash = 0;
    }
}

/* True when the comma-separated list of v1 controllers has "cpu". */
static bool lists_cpu(const char *controllers, size_t length)
{
    for (const char *p = controllers, *end = controllers + length; p < end;) {
        size_t n = strcspn(p, ",:");
        if (n == 3 && memcmp(p, "cpu", 3) == 0)
            return true;
        p += n + 1;
    }
    return false;
}

double berth_quota_read(const char *proc_cgroup, const char *mount)
{
    FILE *file = fopen(proc_cgroup, "re");
    if (!file)
        return 0;
    char line[LINE_SIZE];
    double least = 0;
    while (fgets(line, sizeof line, file)) { /* hierarchy:controllers:path */
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        controllers++;
        size_t length = (size_t)(group - controllers);
        group[strcspn(group, "\n")] = 0;
        group++;
        double quota = 0;
        if (length == 0)
            quota = path_quota(mount, group);
        else if (lists_cpu(controllers, length)) {
            char v1_mount[PATH_SIZE];
            snprintf(v1_mount, sizeof v1_mount, "%s/%.*s", mount, (int)length, controllers);
            quota = path_quota(v1_mount, group);
            if (quota == 0) {
                snprintf(v1_mount, sizeof v1_mount, "%s/cpu", mount);
                quota = path_quota(v1_mount, group);
            }
        }
        if (quota > 0 && (least == 0 || quota < least))
            least = quota;
    }
    fclose(file);
    return least;
}

size_t berth_cpu_allowed(char *why, size_t why_size)
{
    /* Machines beyond 1,024 processors need a larger mask than cpu_set_t: the kernel says EINVAL until it
     * fits. */
    size_t online = 0;
    for (size_t processors = 1024; processors <= 65536 && online == 0; processors *= 4) {
        cpu_set_t *mask = CPU_ALLOC(processors);
        if (!mask)
            break;
        size_t bytes = CPU_ALLOC_SIZE(processors);
        if (sched_getaffinity(0, bytes, mask) == 0)
            online = (size_t)CPU_COUNT_S(bytes, mask);
        CPU_FREE(mask);
    }
    online = berth_max(online, 1);
    double quota = berth_quota_read("/proc/self/cgroup", "/sys/fs/cgroup");
    size_t allowed = online;
    if (quota > 0 && quota < (double)online) {
        allowed = (size_t)quota;
        if ((double)allowed < quota)
            allowed++;
        allowed = berth_max(allowed, 1);
    }
    if (why && why_size > 0) {
        if (allowed < online)
            snprintf(why, why_size, "container quota of %.3g processors, affinity to %zu", quota, online);
        else
            snprintf(why, why_size, "affinity to %zu processor%s, no smaller container quota", online,
                     online == 1 ? "" : "s");
    }
    return allowed;
}
