/* test_hub_memory.c: each of berth's own allocations of a pull fails in turn: one sentence, nothing leaked,
 * nothing under a name that is not whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "berth/berth.h"
#include "support/fake_hub.h"
#include "support/fault.h"

enum { SPARE = 1 }; /* the name of the folder to sync */

struct job {
    char folder[64], cache[80], endpoint[64];
    const char *model;
};

static void put(const char *folder, const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void empty(const char *folder)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

/* The hub allocates, too: it is another process. */
static pid_t serve(const char *folder, char *endpoint, size_t size)
{
    int ends[2];
    unsigned port;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct fake_hub *hub = fake_hub_start(folder, NULL);
        port = hub ? fake_hub_port(hub) : 0;
        if (write(ends[1], &port, sizeof port) == (ssize_t)sizeof port)
            pause();
        _exit(0);
    }
    assert_int_equal(read(ends[0], &port, sizeof port), sizeof port);
    close(ends[0]);
    close(ends[1]);
    assert_true(child > 0 && port > 0);
    snprintf(endpoint, size, "http://127.0.0.1:%u", port);
    return child;
}

static enum berth_status pull(void *context, struct berth_error *err)
{
    const struct job *job = context;
    const struct berth_pull_options options = {
        .endpoint = job->endpoint, .cache = job->cache, .token = "t", .attempts = 1, .pause_ms = 1};
    struct berth_pulled pulled;
    empty(job->cache);
    enum berth_status status = berth_pull(job->model, &options, &pulled, err);
    if (status != BERTH_OK && pulled.path)
        return BERTH_INTERNAL;
    berth_memory_free(pulled.path);
    return status;
}

static void pull_each_allocation_may_fail(void **state)
{
    (void)state;
    struct job job = {.folder = "/tmp/berth-hub-XXXXXX"};
    assert_non_null(mkdtemp(job.folder));
    snprintf(job.cache, sizeof job.cache, "%s/cache", job.folder);
    put(job.folder, "config.json", "{}");
    put(job.folder, "vocab.txt", "[PAD]\n");
    put(job.folder, "tokenizer_config.json", "{}");
    put(job.folder, "model.safetensors.index.json",
        "{\"weight_map\": {\"a\": \"model-00001-of-00002.safetensors\"}}");
    put(job.folder, "model-00001-of-00002.safetensors", "weights");
    put(job.folder, "model-00002-of-00002.safetensors", "more");
    pid_t server = serve(job.folder, job.endpoint, sizeof job.endpoint);
    job.model = "org/shards";
    struct berth_error err;
    if (pull(&job, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    fault_each(pull, &job, 60, SPARE);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    empty(job.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pull_each_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
