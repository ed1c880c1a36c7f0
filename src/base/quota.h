/* quota.h: the CPU quota of a container, read from the cgroup files; apart from cpu.c so that tests can show
 * it folders. */
#ifndef BERTH_BASE_QUOTA_H
#define BERTH_BASE_QUOTA_H

/* Processors that the quotas of a process's cgroups allow (1.5 for "150000 100000"), the smallest on the way
 * from its group to the root, v2 and v1; 0 when there is no quota. `proc_cgroup` is /proc/self/cgroup,
 * `mount` /sys/fs/cgroup. */
double berth_quota_read(const char *proc_cgroup, const char *mount);

#endif
