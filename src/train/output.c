/* output.c: config.json is the source's with what training changed (made from the description for a random
 * model); the tokenizer's files are copied, or written from the tokenizer. */
#include "train/output.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/json_load.h"

enum { SMALL_FILE = 64 << 20, CONFIG_DEPTH = 64 };

enum berth_status berth_output_text(const char *directory, const char *name, const char *text, size_t size,
                                    struct berth_error *err)
{
    struct berth_atomic_file file;
    char *path = berth_path_join(directory, name);
    if (!path)
        return berth_fail_memory(err, "a path", strlen(directory));
    enum berth_status status = berth_atomic_open(path, &file, err);
    if (status == BERTH_OK && fwrite(text, 1, size, file.stream) != size) {
        status = berth_fail_errno(err, errno, "%s: cannot write", path);
        berth_atomic_abort(&file);
    } else if (status == BERTH_OK) {
        status = berth_atomic_commit(&file, err);
    }
    berth_free(path);
    return status;
}

static enum berth_status write_json(const char *directory, const char *name, const json_t *root,
                                    struct berth_error *err)
{
    char *text =
        root ? json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15))
             : NULL;
    if (!text)
        return berth_fail_memory(err, name, 0);
    size_t size = strlen(text);
    text[size] = '\n'; /* in place of the NUL */
    enum berth_status status = berth_output_text(directory, name, text, size + 1, err);
    free(text);
    return status;
}

static bool put(json_t *root, const char *name, json_t *value)
{
    return json_object_set_new(root, name, value) == 0;
}

static bool put_size(json_t *root, const char *name, size_t value)
{
    return put(root, name, json_integer((json_int_t)value));
}

/* --- config.json ---------------------------------------------------------------------------------- */

/* The sizes and constants of a model that came from no file, under its family's names. */
static bool put_sizes(json_t *root, const struct berth_config *config)
{
    bool distil = config->family == BERTH_FAMILY_DISTILBERT;
    bool ok = put_size(root, distil ? "dim" : "hidden_size", config->hidden_size) &&
              put_size(root, distil ? "hidden_dim" : "intermediate_size", config->intermediate_size) &&
              put_size(root, distil ? "n_heads" : "num_attention_heads", config->heads) &&
              put_size(root, distil ? "n_layers" : "num_hidden_layers", config->layers) &&
              put_size(root, "max_position_embeddings", config->max_positions) &&
              put_size(root, "pad_token_id", config->pad_token_id) &&
              put(root, "initializer_range", json_real(config->initializer_range)) &&
              put(root, "model_type", json_string(berth_family_name(config->family))) &&
              put(root, distil ? "activation" : "hidden_act",
                  json_string(berth_activation_name(config->activation)));
    if (ok && distil)
        return put(root, "sinusoidal_pos_embds", json_false());
    ok = ok && put_size(root, "type_vocab_size", config->type_vocab_size) &&
         put(root, "layer_norm_eps", json_real(config->layer_norm_eps)) &&
         put(root, "position_embedding_type", json_string("absolute"));
    if (ok && config->family == BERTH_FAMILY_ELECTRA)
        ok = put_size(root, "embedding_size", config->embedding_size);
    return ok;
}

static bool put_dropouts(json_t *root, const struct berth_config *config)
{
    bool distil = config->family == BERTH_FAMILY_DISTILBERT;
    return put(root, distil ? "dropout" : "hidden_dropout_prob", json_real(config->hidden_dropout)) &&
           put(root, distil ? "attention_dropout" : "attention_probs_dropout_prob",
               json_real(config->attention_dropout)) &&
           put(root, distil ? "seq_classif_dropout" : "classifier_dropout",
               json_real(config->classifier_dropout));
}

static bool put_labels(json_t *root, const struct berth_config *config)
{
    bool ok = put(root, "id2label", json_object()) && put(root, "label2id", json_object());
    json_t *names = json_object_get(root, "id2label"), *ids = json_object_get(root, "label2id");
    for (size_t i = 0; ok && i < config->labels; i++) {
        char number[24];
        snprintf(number, sizeof number, "%zu", i);
        ok = put(names, number, json_string(config->label_names[i])) &&
             put_size(ids, config->label_names[i], i);
    }
    json_object_del(root, "num_labels");
    return ok && put(root, "problem_type", json_string(berth_problem_name(config->problem)));
}

static const char *class_of(enum berth_family family, bool masked)
{
    if (masked)
        return family == BERTH_FAMILY_DISTILBERT ? "DistilBertForMaskedLM"
               : family == BERTH_FAMILY_ELECTRA  ? "ElectraForMaskedLM"
                                                 : "BertForMaskedLM";
    return family == BERTH_FAMILY_DISTILBERT ? "DistilBertForSequenceClassification"
           : family == BERTH_FAMILY_ELECTRA  ? "ElectraForSequenceClassification"
                                             : "BertForSequenceClassification";
}

static enum berth_status load_source(const char *directory, json_t **root, struct berth_error *err)
{
    char *text = NULL, *path = berth_path_join(directory, "config.json");
    size_t size;
    if (!path)
        return berth_fail_memory(err, "a path", strlen(directory));
    enum berth_status status = berth_file_read(path, SMALL_FILE, &text, &size, err);
    if (status == BERTH_OK)
        status = berth_json_load(path, text, size, CONFIG_DEPTH, 0, root, err);
    berth_free(text);
    berth_free(path);
    return status;
}

static enum berth_status write_config(const struct berth_output *output, struct berth_error *err)
{
    const struct berth_config *config = &output->encoder->config;
    json_t *root = NULL;
    enum berth_status status = BERTH_OK;
    if (output->source)
        status = load_source(output->source, &root, err);
    else
        root = json_object();
    if (status != BERTH_OK)
        return status;
    bool ok = root && (output->source || put_sizes(root, config)) && put_dropouts(root, config) &&
              (output->weights->masked || put_labels(root, config)) &&
              put_size(root, "vocab_size", output->weights->vocab) &&
              put(root, "torch_dtype", json_string("float32")) &&
              put(root, "architectures", json_pack("[s]", class_of(config->family, output->weights->masked)));
    status = ok ? write_json(output->directory, "config.json", root, err)
                : berth_fail_memory(err, "config.json", 0);
    json_decref(root);
    return status;
}

/* --- tokenizer ------------------------------------------------------------------------------------ */

static const char *const tokenizer_files[] = {"vocab.txt", "tokenizer_config.json", "special_tokens_map.json",
                                              "tokenizer.json", "added_tokens.json"};

static enum berth_status copy_file(const char *from, const char *to, const char *name,
                                   struct berth_error *err)
{
    char *text = NULL, *path = berth_path_join(from, name);
    size_t size;
    if (!path)
        return berth_fail_memory(err, "a path", strlen(from));
    enum berth_status status = BERTH_OK;
    if (berth_path_present(path)) {
        status = berth_file_read(path, SMALL_FILE, &text, &size, err);
        if (status == BERTH_OK)
            status = berth_output_text(to, name, text, size, err);
    }
    berth_free(text);
    berth_free(path);
    return status;
}

static enum berth_status write_vocab(const struct berth_output *output, struct berth_error *err)
{
    struct berth_buffer text;
    berth_buffer_init(&text, SMALL_FILE);
    bool ok = true;
    for (size_t i = 0; ok && i < berth_tokenizer_vocab_size(output->tokenizer); i++) {
        const char *token = berth_tokenizer_token(output->tokenizer, (int32_t)i);
        if (token)
            ok = berth_buffer_text(&text, token) && berth_buffer_text(&text, "\n");
        else
            ok = berth_buffer_format(&text, "[unused-%zu]\n", i);
    }
    enum berth_status status =
        ok ? berth_output_text(output->directory, "vocab.txt", text.data, text.size, err)
           : berth_fail_memory(err, "vocab.txt", text.size);
    berth_buffer_clear(&text);
    return status;
}

static json_t *special_tokens(const struct berth_tokenizer *tokenizer)
{
    static const char *const names[BERTH_SPECIAL_COUNT] = {
        [BERTH_SPECIAL_UNK] = "unk_token",   [BERTH_SPECIAL_CLS] = "cls_token",
        [BERTH_SPECIAL_SEP] = "sep_token",   [BERTH_SPECIAL_PAD] = "pad_token",
        [BERTH_SPECIAL_MASK] = "mask_token",
    };
    json_t *root = json_object();
    bool ok = root != NULL;
    for (size_t i = 0; ok && i < BERTH_SPECIAL_COUNT; i++) {
        int32_t id = berth_tokenizer_special(tokenizer, (enum berth_special)i);
        if (id >= 0)
            ok = put(root, names[i], json_string(berth_tokenizer_token(tokenizer, id)));
    }
    if (!ok) {
        json_decref(root);
        return NULL;
    }
    return root;
}

static enum berth_status write_tokenizer(const struct berth_output *output, struct berth_error *err)
{
    const struct berth_tokenizer_options *reads = berth_tokenizer_effective_options(output->tokenizer);
    enum berth_status status = write_vocab(output, err);
    if (status != BERTH_OK)
        return status;
    json_t *root = special_tokens(output->tokenizer);
    status = write_json(output->directory, "special_tokens_map.json", root, err);
    if (status == BERTH_OK) {
        bool ok = put(root, "do_lower_case", json_boolean(reads->do_lower_case == BERTH_CHOICE_YES)) &&
                  put(root, "strip_accents", json_boolean(reads->strip_accents == BERTH_CHOICE_YES)) &&
                  put(root, "tokenize_chinese_chars",
                      json_boolean(reads->tokenize_chinese_chars == BERTH_CHOICE_YES)) &&
                  put_size(root, "model_max_length", output->weights->positions) &&
                  put(root, "tokenizer_class", json_string("BertTokenizer"));
        status = ok ? write_json(output->directory, "tokenizer_config.json", root, err)
                    : berth_fail_memory(err, "tokenizer_config.json", 0);
    }
    json_decref(root);
    return status;
}

/* --- both ----------------------------------------------------------------------------------------- */

/* The folder and those above it. */
static enum berth_status make_directory(const char *directory, struct berth_error *err)
{
    char *path = berth_strdup(directory);
    if (!path)
        return berth_fail_memory(err, "a path", strlen(directory));
    int failed = 0;
    for (char *slash = path + 1; !failed && *path; slash++) {
        char kept = *slash;
        if (kept != '/' && kept != 0)
            continue;
        *slash = 0;
        failed = mkdir(path, 0777) != 0 && errno != EEXIST ? errno : 0;
        *slash = kept;
        if (kept == 0)
            break;
    }
    berth_free(path);
    if (!failed && !berth_directory_exists(directory))
        failed = ENOTDIR;
    return failed ? berth_fail_errno(err, failed, "%s: cannot make the output directory", directory)
                  : BERTH_OK;
}

/* What a killed run was writing. */
static void remove_unfinished(const char *directory)
{
    static const char *const written[] = {"config.json",     "model.safetensors", "resume.safetensors",
                                          "train_log.jsonl", "eval_log.jsonl",    "eval_results.json",
                                          "training.svg"};
    DIR *folder = opendir(directory);
    for (const struct dirent *entry; folder && (entry = readdir(folder));) {
        for (size_t i = 0; i < sizeof written / sizeof written[0]; i++) {
            size_t length = strlen(written[i]);
            if (strncmp(entry->d_name, written[i], length) == 0 &&
                strncmp(entry->d_name + length, ".part-", 6) == 0)
                unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
    if (folder)
        closedir(folder);
}

static bool same_directory(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

enum berth_status berth_output_begin(const struct berth_output *output, struct berth_error *err)
{
    enum berth_status status = make_directory(output->directory, err);
    remove_unfinished(output->directory);
    if (status == BERTH_OK)
        status = write_config(output, err);
    if (output->own_vocab || !output->source)
        return status == BERTH_OK ? write_tokenizer(output, err) : status;
    if (status == BERTH_OK && same_directory(output->source, output->directory))
        return status;
    for (size_t i = 0; i < sizeof tokenizer_files / sizeof *tokenizer_files && status == BERTH_OK; i++)
        status = copy_file(output->source, output->directory, tokenizer_files[i], err);
    return status;
}

static const char weights_file[] = "model.safetensors";

enum berth_status berth_output_weights(const struct berth_output *output, struct berth_error *err)
{
    static const char *const metadata[] = {"format", "pt", NULL};
    char *path = berth_path_join(output->directory, weights_file);
    if (!path)
        return berth_fail_memory(err, "a path", strlen(output->directory));
    enum berth_status status =
        berth_weights_write(output->weights, output->weights->value, path, metadata, err);
    berth_free(path);
    return status;
}

enum berth_status berth_output_read_weights(const struct berth_output *output, struct berth_weights *weights,
                                            struct berth_error *err)
{
    char *path = berth_path_join(output->directory, weights_file);
    if (!path)
        return berth_fail_memory(err, "a path", strlen(output->directory));
    enum berth_status status = berth_weights_read(weights, path, err);
    berth_free(path);
    return status;
}
