/* target_cold.c: T10, from a BERT-base checkpoint on disk to the first answer of a new process, and that
 * process's peak memory. The weights are random: writes build/bench/bert-base once. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "formats/checkpoint.h"
#include "target.h"

enum {
    LAYERS = 12,
    HIDDEN = 768,
    INNER = 3072,
    VOCAB = 30522,
    POSITIONS = 512,
    TENSORS = 5 + 16 * LAYERS + 4,
    NAME_SIZE = 160
};

struct checkpoint {
    struct berth_tensor tensor[TENSORS];
    char name[TENSORS][NAME_SIZE];
    size_t count;
    float *noise; /* weights of every matrix start somewhere in it */
};

static void add(struct checkpoint *out, size_t rows, size_t columns, const float *data, const char *prefix,
                const char *name)
{
    struct berth_tensor *tensor = &out->tensor[out->count];
    snprintf(out->name[out->count], NAME_SIZE, "%s%s", prefix, name);
    *tensor = (struct berth_tensor){.name = out->name[out->count], .dtype = BERTH_DTYPE_F32, .data = data};
    tensor->rank = columns ? 2 : 1;
    tensor->shape[0] = rows;
    tensor->shape[1] = columns;
    tensor->elements = rows * (columns ? columns : 1);
    tensor->bytes = tensor->elements * sizeof(float);
    out->count++;
}

static void add_linear(struct checkpoint *out, size_t rows, size_t columns, const char *prefix,
                       const char *name)
{
    char full[NAME_SIZE / 2];
    snprintf(full, sizeof full, "%s.weight", name);
    add(out, rows, columns, out->noise + out->count * 1000, prefix, full);
    snprintf(full, sizeof full, "%s.bias", name);
    add(out, rows, 0, out->noise + out->count * 1000, prefix, full);
}

static void add_norm(struct checkpoint *out, const float *ones, const char *prefix, const char *name)
{
    char full[NAME_SIZE / 2];
    snprintf(full, sizeof full, "%s.weight", name);
    add(out, HIDDEN, 0, ones, prefix, full);
    snprintf(full, sizeof full, "%s.bias", name);
    add(out, HIDDEN, 0, out->noise + out->count * 1000, prefix, full);
}

static void list_tensors(struct checkpoint *out, const float *ones)
{
    static const char embeddings[] = "bert.embeddings.";
    add(out, VOCAB, HIDDEN, out->noise, embeddings, "word_embeddings.weight");
    add(out, POSITIONS, HIDDEN, out->noise + 1, embeddings, "position_embeddings.weight");
    add(out, 2, HIDDEN, out->noise + 2, embeddings, "token_type_embeddings.weight");
    add_norm(out, ones, embeddings, "LayerNorm");
    for (int layer = 0; layer < LAYERS; layer++) {
        char prefix[48];
        snprintf(prefix, sizeof prefix, "bert.encoder.layer.%d.", layer);
        add_linear(out, HIDDEN, HIDDEN, prefix, "attention.self.query");
        add_linear(out, HIDDEN, HIDDEN, prefix, "attention.self.key");
        add_linear(out, HIDDEN, HIDDEN, prefix, "attention.self.value");
        add_linear(out, HIDDEN, HIDDEN, prefix, "attention.output.dense");
        add_norm(out, ones, prefix, "attention.output.LayerNorm");
        add_linear(out, INNER, HIDDEN, prefix, "intermediate.dense");
        add_linear(out, HIDDEN, INNER, prefix, "output.dense");
        add_norm(out, ones, prefix, "output.LayerNorm");
    }
    add_linear(out, HIDDEN, HIDDEN, "bert.pooler.", "dense");
    add_linear(out, 2, HIDDEN, "", "classifier");
}

static bool write_weights(const char *path)
{
    static struct checkpoint out;
    static float ones[HIDDEN];
    size_t count = (size_t)VOCAB * HIDDEN + 1000 * TENSORS;
    struct berth_rng rng;
    struct berth_error err;
    out.noise = malloc(count * sizeof *out.noise);
    if (!out.noise)
        return false;
    berth_rng_seed(&rng, 1);
    for (size_t i = 0; i < count; i++)
        out.noise[i] = (float)((berth_rng_uniform(&rng) - 0.5) * 0.07); /* deviation 0.02 */
    for (size_t i = 0; i < HIDDEN; i++)
        ones[i] = 1;
    list_tensors(&out, ones);
    bool done = berth_safetensors_write(path, out.tensor, out.count, NULL, &err) == BERTH_OK;
    if (!done)
        fprintf(stderr, "bench_targets: %s\n", err.message);
    free(out.noise);
    return done;
}

static bool write_text(const char *folder, const char *name, const char *text)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (!file)
        return false;
    bool done = fputs(text, file) >= 0;
    return fclose(file) == 0 && done;
}

/* As many entries as the published vocabulary, so that reading it costs as much: special tokens, letters,
 * their ends of words, made-up words. */
static bool write_vocabulary(const char *folder)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/vocab.txt", folder);
    FILE *file = fopen(path, "w");
    if (!file)
        return false;
    int entries = 5 + 2 * 26;
    fputs("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", file);
    for (char letter = 'a'; letter <= 'z'; letter++)
        fprintf(file, "%c\n##%c\n", letter, letter);
    for (; entries < VOCAB; entries++)
        fprintf(file, "word%d\n", entries);
    return fclose(file) == 0;
}

static bool write_checkpoint(const char *folder)
{
    char path[4096];
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return false;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    return write_text(
               folder, "config.json",
               "{\"architectures\": [\"BertForSequenceClassification\"], \"model_type\": \"bert\", "
               "\"hidden_act\": "
               "\"gelu\", \"hidden_size\": 768, \"intermediate_size\": 3072, \"layer_norm_eps\": 1e-12, "
               "\"max_position_embeddings\": 512, \"num_attention_heads\": 12, \"num_hidden_layers\": 12, "
               "\"type_vocab_size\": 2, \"vocab_size\": 30522}\n") &&
           write_text(folder, "tokenizer_config.json", "{\"do_lower_case\": true}\n") &&
           write_vocabulary(folder) &&
           (berth_file_exists(path) || write_weights(path)); /* last and atomic: there means complete */
}

/* In a child, so that this process stays small. */
static bool make_checkpoint(const char *folder)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(write_checkpoint(folder) ? 0 : 1);
    int status;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* One new process: ms until its first line of output is there, and its peak resident memory in MB. */
static bool run_once(const char *program, const char *folder, double *ms, double *peak_mb)
{
    int pipe_ends[2];
    if (pipe(pipe_ends) != 0)
        return false;
    uint64_t started = berth_clock_ns();
    pid_t child = fork();
    if (child == 0) {
        dup2(pipe_ends[1], STDOUT_FILENO);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        execl(program, "berth", "predict", "-m", folder, "--format", "jsonl", "a gripping, funny film",
              (char *)NULL);
        _exit(127);
    }
    close(pipe_ends[1]);
    char answer[4096];
    ssize_t size = 0, more = 1;
    while (child > 0 && more > 0 && size < (ssize_t)sizeof answer && !memchr(answer, '\n', (size_t)size)) {
        more = read(pipe_ends[0], answer + size, sizeof answer - (size_t)size);
        size += more > 0 ? more : 0;
    }
    *ms = (double)(berth_clock_ns() - started) * 1e-6;
    close(pipe_ends[0]);
    int status;
    struct rusage usage;
    if (child <= 0 || wait4(child, &status, 0, &usage) != child)
        return false;
    *peak_mb = (double)usage.ru_maxrss * 1024e-6;
    return status == 0 && size > 0;
}

void target_cold(struct target_run *run)
{
    enum { RUNS = 11 };
    char folder[2048], program[2048];
    snprintf(folder, sizeof folder, "%s/bench/bert-base", run->build);
    snprintf(program, sizeof program, "%s/berth", run->build);
    printf("\nT10 a BERT-base fp32 checkpoint on disk to the first answer of a new process, file in cache\n");
    if (!make_checkpoint(folder)) {
        printf("  %s cannot be written (it needs 440 MB): no figure\n", folder);
        return;
    }
    double ms[RUNS], peak[RUNS], warm_ms, warm_peak;
    size_t runs = run->quick ? 5 : RUNS;
    bool done = run_once(program, folder, &warm_ms, &warm_peak); /* brings the file into the cache */
    for (size_t r = 0; r < runs && done; r++)
        done = run_once(program, folder, &ms[r], &peak[r]);
    if (!done) {
        printf("  %s predict -m %s failed: no figure\n", program, folder);
        return;
    }
    struct berth_stats time, memory;
    berth_stats_compute(ms, runs, &time);
    berth_stats_compute(peak, runs, &memory);
    printf(
        "  median %.0f ms of %zu runs, fastest %.0f ms; peak resident memory %.0f MB, of which weights in "
        "fp32 438 MB\n",
        time.p50, runs, time.min, memory.p50);
    json_array_append_new(
        run->results, json_pack("{s:s, s:f, s:f, s:I, s:f}", "target", "T10", "p50_ms", time.p50, "min_ms",
                                time.min, "n", (json_int_t)runs, "peak_resident_mb", memory.p50));
    target_verdict(run, "T10", "first answer, ms", time.p50, TARGET_AT_MOST, 250);
    target_verdict(run, "T10", "peak resident memory over that of the weights", memory.p50 / 438,
                   TARGET_AT_MOST, 1.25);
}
