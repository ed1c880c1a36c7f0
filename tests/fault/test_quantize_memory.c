/* test_quantize_memory.c: each allocation of quantising a model fails in turn: the call says so, leaks nothing and leaves
 * neither a directory nor a part of one; and each of opening what it wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/fault.h"
#include "support/tiny_model.h"

/* Harmless: remarks that are only logged, names of folders to sync. */
enum { QUANTISE_SPARE = 3, OPEN_SPARE = 0 };

struct job {
    struct berth_quantize_options options;
    char model[160], parent[128], output[256];
};

static void remove_folder(const char *folder)
{
    DIR *list = opendir(folder);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    if (list)
        closedir(list);
    rmdir(folder);
}

/* True when anything of the output is there, under its name or a part's. */
static bool is_left(const struct job *job)
{
    bool left = false;
    DIR *list = opendir(job->parent);
    for (struct dirent *entry; list && (entry = readdir(list));)
        left = left || strncmp(entry->d_name, "quantised", 9) == 0;
    if (list)
        closedir(list);
    return left;
}

static enum berth_status quantise(void *context, struct berth_error *err)
{
    struct job *job = context;
    struct berth_quantize_report report;
    enum berth_status status = berth_quantize(job->model, &job->options, &report, err);
    berth_quantize_report_clear(&report);
    if (status != BERTH_OK && is_left(job))
        return BERTH_INTERNAL;
    remove_folder(job->output);
    return status;
}

static enum berth_status open_written(void *context, struct berth_error *err)
{
    struct job *job = context;
    struct berth_model *model;
    enum berth_status status = berth_model_open(job->output, &job->options.options, &model, err);
    if (status == BERTH_OK)
        berth_model_free(model);
    return status;
}

static void quantise_survives_each_failure(void **state)
{
    (void)state;
    struct support_model model;
    struct berth_error err;
    tiny_init(&model);
    tiny_write(&model, tiny_vocab);
    struct job job = {.options = {.limit_drop = true, .max_drop = 100, .task = "jsonl", .speed_seconds = 1e-9, .options = {.threads = 1}}};
    char data[256];
    snprintf(job.model, sizeof job.model, "%s", model.directory);
    snprintf(job.parent, sizeof job.parent, "%s", model.directory);
    snprintf(job.output, sizeof job.output, "%s/quantised", model.directory);
    tiny_write_file(&model, "data.jsonl", "{\"text\": \"a funny film!\", \"label\": 1}\n{\"text\": \"not the film\", \"label\": 0}\n");
    snprintf(data, sizeof data, "%s/data.jsonl", model.directory);
    job.options.data = data;
    job.options.output = job.output;
    char fault[1024];
    bool broken = fault_find(quantise, &job, 100, QUANTISE_SPARE, fault, sizeof fault);
    unlink(data);
    if (broken)
        fail_msg("%s", fault);
    job.options.data = job.options.task = NULL;
    job.options.limit_drop = false;
    if (berth_quantize(job.model, &job.options, NULL, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    broken = fault_find(open_written, &job, 50, OPEN_SPARE, fault, sizeof fault);
    remove_folder(job.output);
    tiny_clear(&model);
    if (broken)
        fail_msg("%s", fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantise_survives_each_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
