/* target_tokenize.c: T9, from what bench_tokenize measures. */
#include <stdio.h>
#include <string.h>

#include "target.h"

enum { OUTPUT_MAX = 1 << 20 };

/* What bench_tokenize prints, an object; NULL when it does not run. */
static json_t *run_bench_tokenize(const struct target_run *run)
{
    static char output[OUTPUT_MAX];
    char command[4096];
    snprintf(command, sizeof command, "'%s/bench/bench_tokenize' --json%s", run->build,
             run->quick ? " --runs 3" : "");
    FILE *child = popen(command, "r");
    if (!child)
        return NULL;
    size_t size = fread(output, 1, sizeof output, child);
    return pclose(child) == 0 ? json_loadb(output, size, 0, NULL) : NULL;
}

void target_tokenize(struct target_run *run)
{
    printf(
        "\nT9   tokenising, one core, MB/s; whole/half: time of a text over that of its half (2 is "
        "linear)\n");
    fflush(stdout);
    target_pin(); /* a child stays on its parent's core */
    json_t *figures = run_bench_tokenize(run), *cells = json_object_get(figures, "cells"), *line;
    target_unpin();
    if (json_array_size(cells) == 0)
        target_missing(run, "T9", "tokenising",
                       "bench_tokenize gave no figures; it needs the reference data (BERTH_SHARED)");
    size_t i;
    double english = 0, worst = 0;
    json_array_foreach(cells, i, line)
    {
        const char *text = json_string_value(json_object_get(line, "text"));
        if (!text)
            continue;
        double speed = json_number_value(json_object_get(line, "mb_per_s"));
        double growth = json_number_value(json_object_get(line, "time_of_whole_over_half"));
        printf("     %-24s %8.1f MB/s   whole/half %.2f\n", text, speed, growth);
        if (strcmp(text, "sst2 as one text") == 0)
            english = speed;
        worst = growth > worst ? growth : worst;
        json_array_append_new(run->results, json_pack("{s:s, s:s, s:f, s:f}", "target", "T9", "text", text,
                                                      "mb_per_s", speed, "whole_over_half", growth));
    }
    if (english > 0)
        target_verdict(run, &(struct target_figure){"T9", "English, MB/s", english, TARGET_AT_LEAST, 50, 0},
                       NULL);
    if (worst > 0)
        target_verdict(run,
                       &(struct target_figure){"T9", "worst text, time for twice the length", worst,
                                               TARGET_AT_MOST, 3, 0},
                       NULL);
    json_decref(figures);
}
