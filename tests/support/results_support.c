/* results_support.c: results files of tests. */
#include "support/results_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

const char *results_file(void)
{
    static char path[128];
    static int count;
    if (!folder[0]) {
        strcpy(folder, "/tmp/berth-results-XXXXXX");
        assert_non_null(mkdtemp(folder));
    }
    snprintf(path, sizeof path, "%s/%d.db", folder, count++);
    return path;
}

void results_files_remove(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (folder[0])
        assert_int_equal(system(command), 0);
    folder[0] = 0;
}

struct berth_results *results_open(const char *path, enum berth_results_access access)
{
    struct berth_results *results;
    struct berth_error err;
    if (berth_results_open(path, access, &results, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return results;
}

int64_t results_run(struct berth_results *results, const char *name)
{
    int64_t run;
    struct berth_error err;
    if (berth_results_add_run(results, &(struct berth_results_run){.name = name}, &run, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return run;
}

int64_t results_configuration(struct berth_results *results, struct berth_results_configuration c)
{
    int64_t id;
    struct berth_error err;
    c.runtime = c.runtime ? c.runtime : "native";
    c.precision = c.precision ? c.precision : "fp32";
    c.scenario = c.scenario ? c.scenario : "single-stream";
    c.data = c.data ? c.data : "synthetic";
    c.target = c.target ? c.target : "local";
    c.threads = c.threads ? c.threads : 1;
    c.batch = c.batch ? c.batch : 1;
    const struct berth_results_outcome ok = {.status = "ok"};
    if (berth_results_add_configuration(results, &c, &id, &err) != BERTH_OK ||
        berth_results_set_outcome(results, id, &ok, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return id;
}

void results_append_ms(struct berth_results *results, int64_t configuration, int64_t first, const double *ms,
                       size_t count)
{
    struct berth_error err;
    int64_t *ns = malloc(count * sizeof *ns);
    for (size_t i = 0; i < count; i++)
        ns[i] = (int64_t)(ms[i] * 1e6 + 0.5);
    const struct berth_results_trials block = {
        .configuration = configuration, .first = first, .count = count, .latency_ns = ns};
    if (berth_results_append(results, &block, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    free(ns);
}
