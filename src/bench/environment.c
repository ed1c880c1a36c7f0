/* environment.c: /proc, /sys and the build. */
#include "bench/environment.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/file.h"
#include "berth/berth.h"

/* The value of "KEY : VALUE" of the first such line of a file; "" when there is none. */
static void find_line(const char *path, const char *key, char *value, size_t size)
{
    static const size_t longest = 4096;
    char line[4096];
    FILE *file = fopen(path, "r");
    *value = 0;
    while (file && fgets(line, (int)longest, file)) {
        size_t name = strcspn(line, "\t:");
        char *colon = strchr(line, ':');
        if (!colon || name != strlen(key) || strncmp(line, key, name) != 0)
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = 0;
        snprintf(value, size, "%s", colon);
        break;
    }
    if (file)
        fclose(file);
}

enum berth_status berth_environment_tell(berth_environment_fn *fact, void *context, struct berth_error *err)
{
    char value[4096], why[160];
    struct utsname system;
    enum berth_status status;
    BERTH_TRY(fact(context, "berth", berth_version(), err));
    BERTH_TRY(fact(context, "build", "C17, compiler " __VERSION__, err));
    find_line("/proc/cpuinfo", "model name", value, sizeof value);
    BERTH_TRY(fact(context, "cpu", value, err));
    find_line("/proc/cpuinfo", "flags", value, sizeof value);
    BERTH_TRY(fact(context, "flags", value, err));
    find_line("/proc/cpuinfo", "cpu MHz", value, sizeof value);
    BERTH_TRY(fact(context, "frequency_mhz", value, err));
    size_t processors = berth_cpu_allowed(why, sizeof why);
    snprintf(value, sizeof value, "%zu", processors);
    BERTH_TRY(fact(context, "processors", value, err));
    BERTH_TRY(fact(context, "processors_reason", why, err));
    if (!berth_file_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", value, sizeof value))
        strcpy(value, "not told");
    value[strcspn(value, "\n")] = 0;
    BERTH_TRY(fact(context, "governor", value, err));
    snprintf(value, sizeof value, "%llu",
             (unsigned long long)sysconf(_SC_PHYS_PAGES) * (unsigned long long)sysconf(_SC_PAGESIZE));
    BERTH_TRY(fact(context, "memory_bytes", value, err));
    if (uname(&system) == 0) {
        BERTH_TRY(fact(context, "machine", system.nodename, err));
        snprintf(value, sizeof value, "%s %s %s", system.sysname, system.release, system.machine);
        BERTH_TRY(fact(context, "kernel", value, err));
    }
    return BERTH_OK;
fail:
    return status;
}
