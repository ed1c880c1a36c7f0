/* target_limits.c: the machine's own limits, in the run that everything else is measured in. */
#include <stdio.h>

#include "target.h"

static void record(struct target_run *run, const char *what, double rate, const char *unit)
{
    json_array_append_new(run->results, json_pack("{s:s, s:s, s:f, s:s}", "target", "limit", "what", what,
                                                  "rate", rate, "unit", unit));
}

void target_limits(struct target_run *run)
{
    static const struct {
        const char *name;
        size_t bytes;
    } sizes[] = {{"16 KB", 16 << 10}, {"1 MB", 1 << 20}, {"85 MB", 85 << 20}, {"1 GB", 1 << 30}};
    size_t count;
    const struct limit_unit *units = limit_units(&count);
    target_pin();
    printf("\nlimits of one core, measured\n");
    for (size_t i = 0; i < count; i++) {
        if (units[i].least > run->cpu.best)
            continue;
        const double rate = limit_unit_rate(&units[i]);
        printf("     %-4s %-30s %8.1f GOP/s\n", limit_format_name(units[i].format), units[i].name, rate);
        record(run, units[i].name, rate, "GOP/s");
    }
    for (enum limit_format format = 0; format < LIMIT_FORMATS; format++)
        run->limit[format] = limit_unit_rate(limit_unit_find(format, run->cpu.best));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const double rate = limit_read_rate(run->cpu.best, sizes[i].bytes);
        printf("     read %-30s %8.1f GB/s\n", sizes[i].name, rate);
        record(run, sizes[i].name, rate, "GB/s read");
        run->memory_rate = rate; /* of the largest */
    }
    target_unpin();
}
