/* model_write.c: weights, configuration and vocabulary side by side in a new directory. */
#include "pipeline/model_write.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "model/encoder_write.h"
#include "pipeline/source.h"

enum { VOCABULARY_LIMIT = 256 << 20 };

static enum berth_status write_bytes(const char *directory, const char *name, const char *bytes, size_t size,
                                     struct berth_error *err)
{
    struct berth_atomic_file file;
    char *path = berth_path_join(directory, name);
    if (!path)
        return berth_fail_memory(err, name, strlen(directory));
    enum berth_status status = berth_atomic_open(path, &file, err);
    if (status == BERTH_OK) {
        (void)fwrite(bytes, 1, size, file.stream); /* a failure stays in the stream */
        status = berth_atomic_commit(&file, err);
    }
    berth_free(path);
    return status;
}

static enum berth_status copy_file(const char *from, const char *directory, const char *name,
                                   struct berth_error *err)
{
    char *bytes = NULL;
    size_t size;
    enum berth_status status = berth_file_read(from, VOCABULARY_LIMIT, &bytes, &size, err);
    if (status == BERTH_OK)
        status = write_bytes(directory, name, bytes, size, err);
    berth_free(bytes);
    return status;
}

static enum berth_status copy_vocabulary(const char *model, const char *directory, struct berth_error *err)
{
    static const char *const names[] = {"vocab.txt", "tokenizer.json", "tokenizer_config.json",
                                        "special_tokens_map.json", "added_tokens.json"};
    enum berth_status status = BERTH_OK;
    char *folder = berth_source_folder(model);
    if (!folder)
        return berth_fail_memory(err, model, strlen(model));
    for (size_t i = 0; i < sizeof names / sizeof *names && status == BERTH_OK; i++) {
        char *path = berth_path_join(folder, names[i]);
        if (!path)
            status = berth_fail_memory(err, folder, strlen(folder));
        else if (berth_path_present(path))
            status = copy_file(path, directory, names[i], err);
        berth_free(path);
    }
    berth_free(folder);
    return status;
}

static bool is_json(const char *path)
{
    size_t length = strlen(path);
    return length > 5 && strcmp(path + length - 5, ".json") == 0;
}

enum berth_status berth_model_write(const char *model, const struct berth_encoder *encoder, bool widen,
                                    const enum berth_dtype *type, const char *vocab, const char *directory,
                                    struct berth_error *err)
{
    enum berth_status status;
    if (mkdir(directory, 0777) != 0 && errno != EEXIST)
        return berth_fail_errno(err, errno, "%s: cannot make the directory", directory);
    if (!berth_directory_exists(directory))
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "%s: is not a directory", directory);
    if (vocab)
        status = copy_file(vocab, directory, is_json(vocab) ? "tokenizer.json" : "vocab.txt", err);
    else if (berth_source_is_random(model))
        status = write_bytes(directory, "vocab.txt", (const char *)berth_builtin_vocab,
                             berth_builtin_vocab_size, err);
    else
        status = copy_vocabulary(model, directory, err);
    return status == BERTH_OK ? berth_encoder_write(encoder, widen, type, directory, err) : status;
}
