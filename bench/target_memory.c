/* target_memory.c: T15, the size of the program and the memory of BERT-base at int8 in a process of its own.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target.h"

/* First line that a command prints; false when it fails or says nothing. */
static bool run_command(const char *command, char *line, size_t size)
{
    FILE *child = popen(command, "r");
    const bool read = child && fgets(line, (int)size, child);
    return child && pclose(child) == 0 && read;
}

static void judge_size(struct target_run *run)
{
    char command[2 * TARGET_PATH_SIZE], stripped[TARGET_PATH_SIZE], line[16];
    struct stat status;
    snprintf(stripped, sizeof stripped, "%s/bench/berth.stripped", run->build);
    snprintf(command, sizeof command, "strip -o '%s' '%s/berth' 2>&1 && echo done", stripped, run->build);
    if (!run_command(command, line, sizeof line) || stat(stripped, &status) != 0) {
        target_missing(run, "T15", "size of the program",
                       "strip is not here, or there is no program to strip");
        return;
    }
    target_verdict(run,
                   &(struct target_figure){"T15", "the program, stripped, MB", (double)status.st_size * 1e-6,
                                           TARGET_AT_MOST, 5, 0},
                   NULL);
    unlink(stripped);
}

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void judge_resident(struct target_run *run, const char *model)
{
    char command[2 * TARGET_PATH_SIZE], line[1024] = "";
    snprintf(command, sizeof command,
             "'%s/bench/bench_memory' --model '%s' --precision int8 --batches %d 2>&1", run->build, model,
             run->quick ? 40 : 200);
    const bool done = run_command(command, line, sizeof line);
    json_t *figures = done ? json_loads(line, 0, NULL) : NULL;
    if (!figures) {
        target_missing(run, "T15", "resident memory of BERT-base int8", line);
        return;
    }
    const double loaded = number(figures, "loaded"), after = number(figures, "after_all"),
                 early = number(figures, "after_a_tenth");
    char bound[160];
    printf(
        "     BERT-base int8: after loading %.1f MB (peak %.1f), after %.0f batches of changing lengths %.1f "
        "MB (peak %.1f)\n",
        loaded * 1e-6, number(figures, "peak_of_loading") * 1e-6, number(figures, "batches"), after * 1e-6,
        number(figures, "peak") * 1e-6);
    snprintf(bound, sizeof bound, "packed weights and the word embedding alone are %.1f MB",
             number(figures, "weight_bytes") * 1e-6);
    target_verdict(run,
                   &(struct target_figure){"T15", "BERT-base int8 resident after the batches, MB",
                                           after * 1e-6, TARGET_AT_MOST, 150, 0},
                   bound);
    target_verdict(
        run,
        &(struct target_figure){"T15", "resident at the end over resident after a tenth of the batches",
                                after / early, TARGET_AT_MOST, 1.01, 0},
        NULL);
    json_object_set_new(figures, "target", json_string("T15"));
    json_array_append_new(run->results, figures);
}

void target_memory(struct target_run *run)
{
    char folder[TARGET_PATH_SIZE];
    printf("\nT15  size of the program; memory of BERT-base int8 from an fp32 checkpoint, one thread\n");
    judge_size(run);
    judge_resident(run, target_checkpoint(run, folder) ? folder : "random:bert-base");
}
