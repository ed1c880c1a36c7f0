/* checkpoint.c: finds the weight files of a model, has each read by the reader its content asks for, and
 * serves the tensors sorted by name. Called by model/; calls safetensors.c and torch_bin.c. */
#include "formats/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "formats/checkpoint_build.h"
#include "formats/json_load.h"

enum {
    INDEX_LIMIT = 16 << 20, /* bytes of an index file; one of a thousand layers is 2 MB */
    INDEX_DEPTH = 16,
    MAX_SHARDS = 4096,
    NAME_LIMIT = 1024, /* bytes of a tensor's name */
};

struct entry {
    struct berth_tensor tensor;
    char *name;  /* owned; tensor.name points here */
    void *owned; /* memory behind tensor.data, or NULL for a view */
    size_t file; /* index into files */
};

struct pair {
    char *key, *value; /* owned */
};

struct berth_checkpoint {
    struct berth_weight_file *files;
    size_t file_count;
    struct entry *entries; /* sorted by name once opened */
    size_t count, capacity;
    struct pair *metadata;
    size_t metadata_count;
};

void berth_checkpoint_close(struct berth_checkpoint *checkpoint)
{
    if (!checkpoint)
        return;
    for (size_t i = 0; i < checkpoint->count; i++) {
        berth_free(checkpoint->entries[i].name);
        berth_free(checkpoint->entries[i].owned);
    }
    for (size_t i = 0; i < checkpoint->metadata_count; i++) {
        berth_free(checkpoint->metadata[i].key);
        berth_free(checkpoint->metadata[i].value);
    }
    for (size_t i = 0; i < checkpoint->file_count; i++) {
        berth_free(checkpoint->files[i].path);
        berth_map_close(&checkpoint->files[i].map);
    }
    berth_free(checkpoint->entries);
    berth_free(checkpoint->metadata);
    berth_free(checkpoint->files);
    berth_free(checkpoint);
}

/* --- filling
 * ------------------------------------------------------------------------------------------------- */

enum berth_status berth_checkpoint_add(struct berth_checkpoint *checkpoint, const struct berth_tensor *tensor,
                                       const char *name, size_t length, void *owned, struct berth_error *err)
{
    const char *path = checkpoint->files[checkpoint->file_count - 1].path;
    if (length == 0 || length > NAME_LIMIT || memchr(name, 0, length))
        return berth_fail(err, BERTH_FORMAT,
                          "%s: a tensor's name is empty, longer than %d bytes, or has a NUL in it", path,
                          NAME_LIMIT);
    if (checkpoint->count == checkpoint->capacity) {
        size_t capacity = berth_max(checkpoint->capacity * 2, 256);
        struct entry *entries = berth_realloc(checkpoint->entries, capacity, sizeof *entries);
        if (!entries)
            return berth_fail_memory(err, path, capacity * sizeof *entries);
        checkpoint->entries = entries;
        checkpoint->capacity = capacity;
    }
    char *copy = berth_strndup(name, length);
    if (!copy)
        return berth_fail_memory(err, path, length + 1);
    struct entry *entry = &checkpoint->entries[checkpoint->count++];
    *entry = (struct entry){*tensor, copy, owned, checkpoint->file_count - 1};
    entry->tensor.name = copy;
    return BERTH_OK;
}

enum berth_status berth_checkpoint_add_metadata(struct berth_checkpoint *checkpoint, const char *key,
                                                const char *value, struct berth_error *err)
{
    struct pair *metadata =
        berth_realloc(checkpoint->metadata, checkpoint->metadata_count + 1, sizeof *checkpoint->metadata);
    if (!metadata)
        return berth_fail_memory(err, "metadata", sizeof *metadata);
    checkpoint->metadata = metadata;
    struct pair *pair = &metadata[checkpoint->metadata_count++];
    *pair = (struct pair){berth_strdup(key), berth_strdup(value)};
    return pair->key && pair->value ? BERTH_OK : berth_fail_memory(err, key, strlen(key) + strlen(value));
}

/* Which reader: a zip, a pickle (0x80 is its PROTO; a safetensors header may have that length byte, but then
 * its ninth byte opens a JSON object), else safetensors. */
static enum berth_status read_file(struct berth_checkpoint *checkpoint, const struct berth_weight_file *file,
                                   struct berth_error *err)
{
    static const char lfs[] = "version https://git-lfs";
    const unsigned char *data = file->data;
    if (file->size == 0)
        return berth_fail(err, BERTH_FORMAT, "%s: the file is empty; fetch the weights again", file->path);
    if (file->size >= sizeof lfs - 1 && memcmp(data, lfs, sizeof lfs - 1) == 0)
        return berth_fail(err, BERTH_FORMAT,
                          "%s: a Git LFS pointer, not the weights; fetch them with `git lfs pull`",
                          file->path);
    bool safetensors = file->size > 8 && data[8] == '{';
    bool zip = file->size >= 4 && memcmp(data, "PK\3\4", 4) == 0;
    if (zip || (data[0] == 0x80 && !safetensors))
        return berth_torch_read(checkpoint, file, err);
    return berth_safetensors_read(checkpoint, file, err);
}

/* Makes room for one more file and reads it. `data` is NULL to map `path`, else borrowed. */
static enum berth_status add_file(struct berth_checkpoint *checkpoint, const char *path,
                                  const unsigned char *data, size_t size, struct berth_error *err)
{
    struct berth_weight_file *files =
        berth_realloc(checkpoint->files, checkpoint->file_count + 1, sizeof *files);
    if (!files)
        return berth_fail_memory(err, path, sizeof *files);
    checkpoint->files = files;
    struct berth_weight_file file = {.path = berth_strdup(path), .data = data, .size = size};
    if (!file.path)
        return berth_fail_memory(err, path, strlen(path));
    if (!data) {
        enum berth_status status = berth_map_open(path, &file.map, err);
        if (status != BERTH_OK) {
            berth_free(file.path);
            return status;
        }
        file.data = file.map.data;
        file.size = file.map.size;
    }
    files[checkpoint->file_count++] = file;
    return read_file(checkpoint, &file, err);
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

/* Sorts; the same name twice is refused, in one file or two. */
static enum berth_status finish(struct berth_checkpoint *checkpoint, struct berth_error *err)
{
    if (checkpoint->count > 0)
        qsort(checkpoint->entries, checkpoint->count, sizeof *checkpoint->entries, compare_entries);
    for (size_t i = 1; i < checkpoint->count; i++) {
        const struct entry *a = &checkpoint->entries[i - 1], *b = &checkpoint->entries[i];
        if (strcmp(a->name, b->name) == 0)
            return berth_fail(err, BERTH_FORMAT, "%s: tensor '%s' appears twice (the other is in %s)",
                              checkpoint->files[b->file].path, b->name, checkpoint->files[a->file].path);
    }
    return BERTH_OK;
}

/* --- shards
 * -------------------------------------------------------------------------------------------------- */

/* The shards lie beside the index: a name that could lead anywhere else is refused. */
static bool is_plain_file_name(const char *name)
{
    return name[0] != 0 && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Reads every file that the index names, each once. `seen` is a JSON object used as a set. */
static enum berth_status add_shards(struct berth_checkpoint *checkpoint, const char *directory,
                                    const char *index, json_t *weight_map, json_t *seen,
                                    struct berth_error *err)
{
    const char *tensor;
    json_t *value;
    json_object_foreach(weight_map, tensor, value)
    {
        const char *shard = json_string_value(value);
        if (!shard || !is_plain_file_name(shard))
            return berth_fail(err, BERTH_FORMAT,
                              "%s: tensor '%s' is said to be in '%s', which is no plain file name", index,
                              tensor, shard ? shard : "(not a string)");
        if (json_object_get(seen, shard))
            continue;
        if (json_object_size(seen) >= MAX_SHARDS)
            return berth_fail(err, BERTH_LIMIT, "%s: more than %d weight files", index, MAX_SHARDS);
        char *path = berth_path_join(directory, shard);
        enum berth_status status = path && json_object_set_new(seen, shard, json_true()) == 0
                                       ? add_file(checkpoint, path, NULL, 0, err)
                                       : berth_fail_memory(err, index, strlen(shard));
        berth_free(path);
        if (status !=
            BERTH_OK) /* not found stands for a model without weights: one that lacks a part is broken */
            return berth_fail_prefix(err, status == BERTH_NOT_FOUND ? BERTH_IO : status, "%s", index);
    }
    return BERTH_OK;
}

/* Every tensor of the index is in the file it names. */
static enum berth_status check_index(const struct berth_checkpoint *checkpoint, const char *index,
                                     json_t *weight_map, struct berth_error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach(weight_map, name, value)
    {
        const struct berth_tensor *tensor = berth_checkpoint_find(checkpoint, name);
        const char *shard = json_string_value(value);
        const char *path = tensor ? berth_checkpoint_file_of(checkpoint, tensor) : "";
        const char *slash = strrchr(path, '/');
        if (strcmp(slash ? slash + 1 : path, shard) != 0)
            return berth_fail(err, BERTH_FORMAT, "%s: tensor '%s' is not in %s, where the index says it is",
                              index, name, shard);
    }
    return BERTH_OK;
}

static enum berth_status add_sharded(struct berth_checkpoint *checkpoint, const char *directory,
                                     const char *index, struct berth_error *err)
{
    char *text = NULL;
    size_t size;
    json_t *root = NULL, *seen = NULL;
    enum berth_status status;
    BERTH_TRY(berth_file_read(index, INDEX_LIMIT, &text, &size, err));
    BERTH_TRY(berth_json_load(index, text, size, INDEX_DEPTH, JSON_REJECT_DUPLICATES, &root, err));
    json_t *weight_map = json_object_get(root, "weight_map");
    if (!json_is_object(weight_map) || json_object_size(weight_map) == 0) {
        status =
            berth_fail(err, BERTH_FORMAT, "%s: no \"weight_map\" object that names the weight files", index);
        goto fail;
    }
    seen = json_object();
    BERTH_TRY(seen ? BERTH_OK : berth_fail_memory(err, index, 0));
    BERTH_TRY(add_shards(checkpoint, directory, index, weight_map, seen, err));
    BERTH_TRY(finish(checkpoint, err));
    status = check_index(checkpoint, index, weight_map, err);
fail:
    json_decref(seen);
    json_decref(root);
    berth_free(text);
    return status;
}

/* --- opening
 * ------------------------------------------------------------------------------------------------- */

static enum berth_status new_checkpoint(struct berth_checkpoint **checkpoint, struct berth_error *err)
{
    *checkpoint = berth_calloc(1, sizeof **checkpoint);
    return *checkpoint ? BERTH_OK : berth_fail_memory(err, "a checkpoint", sizeof **checkpoint);
}

/* One file, mapped or (data not NULL) borrowed. */
static enum berth_status open_one(const char *path, const unsigned char *data, size_t size,
                                  struct berth_checkpoint **checkpoint, struct berth_error *err)
{
    enum berth_status status;
    BERTH_TRY(new_checkpoint(checkpoint, err));
    BERTH_TRY(add_file(*checkpoint, path, data, size, err));
    BERTH_TRY(finish(*checkpoint, err));
    return BERTH_OK;
fail:
    berth_checkpoint_close(*checkpoint);
    *checkpoint = NULL;
    return status;
}

static enum berth_status open_sharded(const char *directory, const char *index,
                                      struct berth_checkpoint **checkpoint, struct berth_error *err)
{
    enum berth_status status;
    BERTH_TRY(new_checkpoint(checkpoint, err));
    BERTH_TRY(add_sharded(*checkpoint, directory, index, err));
    return BERTH_OK;
fail:
    berth_checkpoint_close(*checkpoint);
    *checkpoint = NULL;
    return status;
}

enum berth_status berth_checkpoint_begin(const char *path, struct berth_checkpoint **checkpoint, struct berth_error *err)
{
    enum berth_status status;
    BERTH_TRY(new_checkpoint(checkpoint, err));
    struct berth_checkpoint *made = *checkpoint;
    made->files = berth_calloc(1, sizeof *made->files);
    if (made->files)
        made->file_count = 1;
    if (!made->files || !(made->files[0].path = berth_strdup(path))) {
        status = berth_fail_memory(err, path, strlen(path));
        goto fail;
    }
    return BERTH_OK;
fail:
    berth_checkpoint_close(*checkpoint);
    *checkpoint = NULL;
    return status;
}

enum berth_status berth_checkpoint_finish(struct berth_checkpoint *checkpoint, struct berth_error *err)
{
    return finish(checkpoint, err);
}

enum berth_status berth_checkpoint_open_file(const char *path, struct berth_checkpoint **checkpoint,
                                             struct berth_error *err)
{
    return open_one(path, NULL, 0, checkpoint, err);
}

enum berth_status berth_checkpoint_open_memory(const char *name, const void *data, size_t size,
                                               struct berth_checkpoint **checkpoint, struct berth_error *err)
{
    return open_one(name, size > 0 ? data : "", size, checkpoint, err);
}

const struct berth_weights_name berth_weights_names[BERTH_WEIGHTS_NAMES] = {
    {"model.safetensors", false},
    {"model.safetensors.index.json", true},
    {"pytorch_model.bin", false},
    {"pytorch_model.bin.index.json", true},
};

enum berth_status berth_checkpoint_open(const char *directory, struct berth_checkpoint **checkpoint,
                                        struct berth_error *err)
{
    *checkpoint = NULL;
    if (!berth_directory_exists(directory))
        return berth_fail(err, BERTH_NOT_FOUND, "%s: no such directory", directory);
    for (size_t i = 0; i < BERTH_WEIGHTS_NAMES; i++) {
        char *path = berth_path_join(directory, berth_weights_names[i].name);
        if (!path)
            return berth_fail_memory(err, directory, 0);
        /* A directory of that name counts too, to be refused by name. */
        bool exists = berth_path_present(path);
        enum berth_status status = BERTH_OK;
        if (exists)
            status = berth_weights_names[i].index ? open_sharded(directory, path, checkpoint, err)
                                         : open_one(path, NULL, 0, checkpoint, err);
        berth_free(path);
        if (exists)
            return status;
    }
    return berth_fail(
        err, BERTH_NOT_FOUND,
        "%s: no weights: neither model.safetensors nor pytorch_model.bin, nor an index of shards", directory);
}

/* --- serving --------------------------------------------------------------------------------------- */

size_t berth_checkpoint_count(const struct berth_checkpoint *checkpoint)
{
    return checkpoint->count;
}

const struct berth_tensor *berth_checkpoint_at(const struct berth_checkpoint *checkpoint, size_t index)
{
    return &checkpoint->entries[index].tensor;
}

static int compare_name(const void *name, const void *entry)
{
    return strcmp(name, ((const struct entry *)entry)->name);
}

static const struct entry *find_entry(const struct berth_checkpoint *checkpoint, const char *name)
{
    return checkpoint->count == 0 ? NULL
                                  : bsearch(name, checkpoint->entries, checkpoint->count,
                                            sizeof *checkpoint->entries, compare_name);
}

const struct berth_tensor *berth_checkpoint_find(const struct berth_checkpoint *checkpoint, const char *name)
{
    const struct entry *entry = find_entry(checkpoint, name);
    return entry ? &entry->tensor : NULL;
}

const char *berth_checkpoint_file_of(const struct berth_checkpoint *checkpoint,
                                     const struct berth_tensor *tensor)
{
    const struct entry *entry = find_entry(checkpoint, tensor->name);
    return entry ? checkpoint->files[entry->file].path : "(no file)";
}

const char *berth_checkpoint_metadata(const struct berth_checkpoint *checkpoint, const char *key)
{
    for (size_t i = 0; i < checkpoint->metadata_count; i++)
        if (strcmp(checkpoint->metadata[i].key, key) == 0)
            return checkpoint->metadata[i].value;
    return NULL;
}

void berth_checkpoint_forget(const struct berth_checkpoint *checkpoint, const struct berth_tensor *tensor)
{
    uintptr_t data = (uintptr_t)tensor->data;
    for (size_t i = 0; i < checkpoint->file_count; i++) {
        const struct berth_map *map = &checkpoint->files[i].map;
        uintptr_t first = (uintptr_t)map->data;
        if (map->size > 0 && data >= first && data - first <= map->size &&
            tensor->bytes <= map->size - (data - first))
            berth_map_forget(tensor->data, tensor->bytes);
    }
}
