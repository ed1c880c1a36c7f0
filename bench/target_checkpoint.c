/* target_checkpoint.c: a BERT-base checkpoint of random weights on disk, in Hugging Face's layout. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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
bool target_checkpoint(const struct target_run *run, char folder[TARGET_PATH_SIZE])
{
    snprintf(folder, TARGET_PATH_SIZE, "%s/bench/bert-base", run->build);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(write_checkpoint(folder) ? 0 : 1);
    int status;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}
