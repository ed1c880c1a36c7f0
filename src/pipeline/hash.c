/* hash.c: what tells two models' weights apart, whatever they are called. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/checkpoint.h"
#include "hub/digest.h"
#include "pipeline/model.h"
#include "pipeline/source.h"

enum { PIECE = 16 << 20, FILES_MAX = 4096 };

static enum berth_status add_file(struct berth_digest *digest, const char *path, struct berth_error *err)
{
    struct berth_map map;
    enum berth_status status = berth_map_open(path, &map, err);
    if (status != BERTH_OK)
        return status;
    for (size_t at = 0; at < map.size; at += PIECE) { /* what was read does not stay resident */
        size_t size = map.size - at < PIECE ? map.size - at : PIECE;
        berth_digest_add(digest, (const char *)map.data + at, size);
        berth_map_forget((const char *)map.data + at, size);
    }
    berth_map_close(&map);
    return BERTH_OK;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The files of a checkpoint, each once, in the order of their names. */
static enum berth_status add_shards(struct berth_digest *digest, const struct berth_checkpoint *checkpoint,
                                    struct berth_error *err)
{
    size_t files = 0, count = berth_checkpoint_count(checkpoint);
    enum berth_status status = BERTH_OK;
    const char **path = berth_calloc(FILES_MAX, sizeof *path);
    if (!path)
        return berth_fail_memory(err, "names of files", FILES_MAX * sizeof *path);
    for (size_t i = 0; i < count && status == BERTH_OK; i++) {
        const char *file = berth_checkpoint_file_of(checkpoint, berth_checkpoint_at(checkpoint, i));
        size_t k = 0;
        while (k < files && strcmp(path[k], file) != 0)
            k++;
        if (k == FILES_MAX)
            status = berth_fail(err, BERTH_LIMIT, "%s: more than %d files of weights", file, FILES_MAX);
        else if (k == files)
            path[files++] = file;
    }
    qsort(path, files, sizeof *path, compare_paths);
    for (size_t i = 0; i < files && status == BERTH_OK; i++)
        status = add_file(digest, path[i], err);
    berth_free(path);
    return status;
}

enum berth_status berth_model_hash(const struct berth_model *model, char hash[65], struct berth_error *err)
{
    struct berth_digest digest;
    struct berth_digest_text text;
    struct berth_checkpoint *checkpoint = NULL;
    enum berth_status status;
    hash[0] = 0;
    if (berth_source_is_random(model->path))
        return BERTH_OK;
    berth_digest_begin(&digest, true, false, 0);
    if (berth_source_is_onnx(model->path)) {
        status = add_file(&digest, model->path, err);
    } else {
        status = berth_checkpoint_open(model->path, &checkpoint, err);
        if (status == BERTH_OK)
            status = add_shards(&digest, checkpoint, err);
    }
    berth_checkpoint_close(checkpoint);
    if (status != BERTH_OK)
        return status;
    berth_digest_end(&digest, &text);
    memcpy(hash, text.sha256, sizeof text.sha256);
    return BERTH_OK;
}
