/* target_cold.c: T10, from a BERT-base checkpoint on disk to the first answer of a new process, and that
 * process's peak memory: fp32, int8 made at load, and an int8 checkpoint. The weights are random. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "target.h"

/* What one new process took until its first line of output was there. */
struct first_answer {
    double ms, cpu_ms; /* by the clock, and of all its threads until it ended */
    double peak_mb;    /* resident */
};

/* The first line that comes out of a pipe, without its end; true when there is one. */
static bool read_line(int pipe_end, char line[TARGET_WHY_SIZE])
{
    ssize_t size = 0, more = 1;
    while (more > 0 && size < TARGET_WHY_SIZE - 1 && !memchr(line, '\n', (size_t)size)) {
        more = read(pipe_end, line + size, (size_t)(TARGET_WHY_SIZE - 1 - size));
        size += more > 0 ? more : 0;
    }
    line[size] = 0;
    line[strcspn(line, "\n")] = 0;
    return size > 0;
}

static double milliseconds(struct timeval time)
{
    return (double)time.tv_sec * 1e3 + (double)time.tv_usec * 1e-3;
}

/* False with what the process says when it fails. */
static bool run_once(const char *program, const char *folder, const char *precision,
                     struct first_answer *answer, char why[TARGET_WHY_SIZE])
{
    int pipe_ends[2], status;
    struct rusage usage;
    snprintf(why, TARGET_WHY_SIZE, "no process could be started");
    if (pipe(pipe_ends) != 0)
        return false;
    const uint64_t started = berth_clock_ns();
    const pid_t child = fork();
    if (child == 0) {
        dup2(pipe_ends[1], STDOUT_FILENO);
        dup2(pipe_ends[1], STDERR_FILENO);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        execl(program, "berth", "predict", "-m", folder, "--precision", precision, "--format", "jsonl",
              "a gripping, funny film", (char *)NULL);
        _exit(127);
    }
    close(pipe_ends[1]);
    const bool said = child > 0 && read_line(pipe_ends[0], why);
    answer->ms = (double)(berth_clock_ns() - started) * 1e-6;
    close(pipe_ends[0]);
    if (child <= 0 || wait4(child, &status, 0, &usage) != child)
        return false;
    answer->cpu_ms = milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime);
    answer->peak_mb = (double)usage.ru_maxrss * 1024e-6;
    return status == 0 && said;
}

/* The first answer from that folder at that precision; false, told already, when there is none. */
static bool measure(struct target_run *run, const char *what, const char *folder, const char *precision,
                    double wanted_ms, struct target_spread *memory)
{
    enum { RUNS = 11 };
    char program[TARGET_PATH_SIZE], line[160], bound[160], why[TARGET_WHY_SIZE];
    snprintf(program, sizeof program, "%s/berth", run->build);
    double ms[RUNS], cpu[RUNS], peak[RUNS];
    const size_t runs = run->quick ? 5 : RUNS;
    struct first_answer answer;
    bool done = run_once(program, folder, precision, &answer, why); /* brings the file into the cache */
    for (size_t r = 0; r < runs && done; r++) {
        done = run_once(program, folder, precision, &answer, why);
        ms[r] = answer.ms;
        cpu[r] = answer.cpu_ms;
        peak[r] = answer.peak_mb;
    }
    if (!done) {
        target_missing(run, "T10", what, why);
        return false;
    }
    const struct target_spread time = target_spread(ms, runs), work = target_spread(cpu, runs);
    *memory = target_spread(peak, runs);
    printf("     %s: %.0f ms (%.0f..%.0f) of %zu runs, %.0f ms of CPU time; peak resident memory %.0f MB\n",
           what, time.median, time.low, time.high, runs, work.median, memory->median);
    json_array_append_new(
        run->results, json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:I, s:f}", "target", "T10", "what", what,
                                "median_ms", time.median, "p10_ms", time.low, "p90_ms", time.high, "cpu_ms",
                                work.median, "n", (json_int_t)runs, "peak_resident_mb", memory->median));
    snprintf(line, sizeof line, "%s, first answer, ms", what);
    snprintf(bound, sizeof bound, "it took %.0f ms of CPU time, its fastest runs %.0f ms by the clock",
             work.median, time.low);
    target_verdict(run, &(struct target_figure){"T10", line, time.median, TARGET_AT_MOST, wanted_ms, 0},
                   bound);
    return true;
}

/* An int8 checkpoint beside the fp32 one, by berth itself, once. */
static bool quantise(const struct target_run *run, const char *folder, char quantised[TARGET_PATH_SIZE])
{
    char program[TARGET_PATH_SIZE], weights[TARGET_PATH_SIZE];
    snprintf(program, sizeof program, "%s/berth", run->build);
    snprintf(quantised, TARGET_PATH_SIZE, "%s/bench/bert-base-int8", run->build);
    snprintf(weights, sizeof weights, "%s/bench/bert-base-int8/model.safetensors", run->build);
    if (berth_file_exists(weights))
        return true;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        if (freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr))
            execl(program, "berth", "quantize", "-m", folder, "-o", quantised, (char *)NULL);
        _exit(127);
    }
    int status;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

void target_cold(struct target_run *run)
{
    static const double weights_mb = 438;
    char folder[TARGET_PATH_SIZE], quantised[TARGET_PATH_SIZE];
    struct target_spread memory;
    printf("\nT10  a BERT-base checkpoint on disk to the first answer of a new process, file in cache\n");
    if (!target_checkpoint(run, folder)) {
        target_missing(run, "T10", folder, "it cannot be written, and needs 440 MB");
        return;
    }
    if (measure(run, "fp32 checkpoint", folder, "fp32", 250, &memory))
        target_verdict(run,
                       &(struct target_figure){"T10", "fp32, peak resident memory over that of the weights",
                                               memory.median / weights_mb, TARGET_AT_MOST, 1.25, 0},
                       NULL);
    measure(run, "fp32 checkpoint, int8 made at load", folder, "int8", 250, &memory);
    if (quantise(run, folder, quantised))
        measure(run, "int8 checkpoint", quantised, "int8", 100, &memory);
    else
        target_missing(run, "T10", "int8 checkpoint", "berth quantize failed");
}
