/* bench_serving.c: the server under load, each check with a server of its own on loopback:
 *
 *   bench_serving [--model MODEL] [--seconds S] CHECK...
 *
 * Prints figures and bounds; ends with 1 when a bound is broken, with 2 when a check could not be made. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serving.h"

struct check {
    const char *name;
    void (*run)(const struct serving_options *options);
};

static const struct check checks[] = {
    {"overload", serving_overload},
    {"throughput", serving_throughput},
    {"tiny", serving_tiny},
    {"reload", serving_reload},
    {"kill", serving_kill},
};

enum { CHECKS = sizeof checks / sizeof *checks };

static void explain(void)
{
    fprintf(stderr, "usage: bench_serving [--model MODEL[,OPTIONS]] [--seconds S] CHECK...\nchecks:");
    for (size_t i = 0; i < CHECKS; i++)
        fprintf(stderr, " %s", checks[i].name);
    fprintf(stderr, "\n");
    exit(2);
}

static void run_check(const char *name, const struct serving_options *options)
{
    for (size_t i = 0; i < CHECKS; i++)
        if (strcmp(checks[i].name, name) == 0) {
            checks[i].run(options);
            return;
        }
    explain();
}

int main(int argc, char **argv)
{
    struct serving_options options = {.seconds = 8};
    size_t ran = 0;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--model") == 0 && value) {
            options.model = argv[++i];
            options.model_is_given = true;
        } else if (strcmp(argv[i], "--seconds") == 0 && value) {
            options.seconds = atof(argv[++i]);
        } else if (argv[i][0] == '-') {
            explain();
        } else {
            run_check(argv[i], &options);
            ran++;
        }
    }
    if (ran == 0)
        explain();
    printf("%zu bounds broken\n", serving_broken());
    return serving_broken() ? 1 : 0;
}
