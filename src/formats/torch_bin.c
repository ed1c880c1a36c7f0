/* torch_bin.c: reads pytorch_model.bin, a state_dict that torch.save wrote: a pickle that describes tensors,
 * and the storages they are cut from. The zip form (torch 1.6 and later) keeps each storage in an entry of an
 * archive, the older form appends them to five pickles. Called by checkpoint.c; calls torch_zip.c,
 * torch_pickle.c and torch_stride.c. Source of both layouts: torch/serialization.py. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "formats/checkpoint_build.h"
#include "formats/torch_pickle.h"
#include "formats/torch_stride.h"
#include "formats/torch_zip.h"

/* The bytes behind the tensors, one element for each key of the pickle. */
struct storage {
    const char *key; /* [key_size], borrowed from the pickle */
    size_t key_size;
    enum berth_dtype dtype;
    size_t elements;
    const unsigned char *data; /* NULL until found */
};

struct storages {
    struct storage *items; /* sorted by key */
    size_t count;
};

/* --- storages
 * ------------------------------------------------------------------------------------------------ */

static int compare_storages(const void *a, const void *b)
{
    const struct storage *x = a, *y = b;
    int order = memcmp(x->key, y->key, berth_min(x->key_size, y->key_size));
    return order != 0 ? order : (x->key_size > y->key_size) - (x->key_size < y->key_size);
}

static struct storage *find_storage(const struct storages *storages, const struct berth_pickle_value *key)
{
    const struct storage wanted = {.key = (const char *)key->text, .key_size = key->count};
    return storages->count == 0
               ? NULL
               : bsearch(&wanted, storages->items, storages->count, sizeof wanted, compare_storages);
}

/* One element for every mention of a storage. */
static enum berth_status list_mentions(const char *path, const struct berth_pickle *pickle,
                                       struct storages *storages, struct berth_error *err)
{
    size_t mentions = 0;
    for (size_t i = 0; i < pickle->value_count; i++)
        mentions += pickle->values[i].kind == BERTH_PICKLE_STORAGE;
    storages->items = berth_calloc(mentions, sizeof *storages->items);
    if (!storages->items)
        return berth_fail_memory(err, path, mentions * sizeof *storages->items);
    for (size_t i = 0; i < pickle->value_count; i++) {
        const struct berth_pickle_value *value = &pickle->values[i];
        if (value->kind != BERTH_PICKLE_STORAGE)
            continue;
        const struct berth_pickle_value *key = berth_pickle_item(pickle, value, 2);
        int64_t elements = berth_pickle_item(pickle, value, 4)->integer;
        struct storage storage = {.key = (const char *)key->text,
                                  .key_size = key->count,
                                  .dtype = berth_pickle_storage_dtype(pickle, value),
                                  .elements = (size_t)elements};
        size_t bytes;
        if (elements < 0 || !berth_mul(storage.elements, berth_dtype_size(storage.dtype), &bytes))
            return berth_fail(err, BERTH_FORMAT, "%s: storage '%.*s' has an impossible size of %lld elements",
                              path, (int)berth_min(key->count, 256), storage.key, (long long)elements);
        storages->items[storages->count++] = storage;
    }
    return BERTH_OK;
}

/* Sorts and merges the mentions; they must agree. */
static enum berth_status merge_mentions(const char *path, struct storages *storages, struct berth_error *err)
{
    size_t kept = 0;
    qsort(storages->items, storages->count, sizeof *storages->items, compare_storages);
    for (size_t i = 0; i < storages->count; i++) {
        const struct storage *next = &storages->items[i],
                             *last = kept > 0 ? &storages->items[kept - 1] : NULL;
        if (!last || compare_storages(last, next) != 0)
            storages->items[kept++] = *next;
        else if (last->dtype != next->dtype || last->elements != next->elements)
            return berth_fail(err, BERTH_FORMAT, "%s: storage '%.*s' is described in two ways", path,
                              (int)berth_min(next->key_size, 256), next->key);
    }
    storages->count = kept;
    return BERTH_OK;
}

static enum berth_status list_storages(const char *path, const struct berth_pickle *pickle,
                                       struct storages *storages, struct berth_error *err)
{
    enum berth_status status = list_mentions(path, pickle, storages, err);
    return status == BERTH_OK ? merge_mentions(path, storages, err) : status;
}

/* --- tensors
 * ------------------------------------------------------------------------------------------------- */

/* What turning descriptions into tensors needs. */
struct job {
    struct berth_checkpoint *checkpoint;
    const char *path;
    const struct berth_pickle *pickle;
    const struct storages *storages;
    size_t
        copy_left; /* bytes that strided tensors may still take: a small file must not ask for much memory */
    struct berth_error *err;
};

/* False when sizes and strides are no lists of integers, or reach out of the storage. */
static bool resolve(const struct job *job, const struct berth_pickle_value *value, struct berth_strided *view,
                    struct berth_tensor *tensor)
{
    const struct berth_pickle_value *sizes = berth_pickle_item(job->pickle, value, 2);
    const struct berth_pickle_value *strides = berth_pickle_item(job->pickle, value, 3);
    if (sizes->count != strides->count || sizes->count > BERTH_TENSOR_MAX_RANK)
        return false;
    view->offset = berth_pickle_item(job->pickle, value, 1)->integer;
    view->rank = sizes->count;
    for (size_t i = 0; i < view->rank; i++) {
        const struct berth_pickle_value *size = berth_pickle_item(job->pickle, sizes, i);
        const struct berth_pickle_value *stride = berth_pickle_item(job->pickle, strides, i);
        if (size->kind != BERTH_PICKLE_INT || stride->kind != BERTH_PICKLE_INT)
            return false;
        view->size[i] = size->integer;
        view->stride[i] = stride->integer;
    }
    return berth_strided_resolve(view, tensor);
}

static enum berth_status add_tensor(struct job *job, const struct berth_pickle_value *name,
                                    const struct berth_pickle_value *value)
{
    const struct berth_pickle_value *storage_value = berth_pickle_item(job->pickle, value, 0);
    const struct storage *storage =
        find_storage(job->storages, berth_pickle_item(job->pickle, storage_value, 2));
    struct berth_strided view = {
        .dtype = storage->dtype, .data = storage->data, .elements = storage->elements};
    struct berth_tensor tensor;
    const char *text = (const char *)name->text;
    int length = (int)berth_min(name->count, 256); /* for messages */
    if (!resolve(job, value, &view, &tensor))
        return berth_fail(job->err, BERTH_FORMAT,
                          "%s: tensor '%.*s' does not lie in its storage of %zu elements", job->path, length,
                          text, storage->elements);
    void *owned = NULL;
    if (!tensor.data) {
        if (tensor.bytes > job->copy_left)
            return berth_fail(job->err, BERTH_LIMIT,
                              "%s: tensor '%.*s': its strides make more of the file than it holds", job->path,
                              length, text);
        job->copy_left -= tensor.bytes;
        tensor.data = owned = berth_aligned(tensor.bytes);
        if (!owned)
            return berth_fail_memory(job->err, job->path, tensor.bytes);
        berth_strided_copy(&view, owned);
    }
    enum berth_status status =
        berth_checkpoint_add(job->checkpoint, &tensor, text, name->count, owned, job->err);
    if (status != BERTH_OK)
        berth_free(owned);
    return status;
}

/* The result of the pickle is a dictionary of tensors; what else it holds (a step count) is passed over. */
static enum berth_status add_tensors(struct berth_checkpoint *checkpoint,
                                     const struct berth_weight_file *file, const struct berth_pickle *pickle,
                                     const struct storages *storages, struct berth_error *err)
{
    struct job job = {checkpoint, file->path, pickle, storages, 2 * file->size, err};
    bool dictionary = pickle->values[pickle->root].kind == BERTH_PICKLE_DICT;
    size_t added = 0;
    for (size_t i = 0; dictionary && i < pickle->member_count; i++) {
        const struct berth_pickle_member *member = &pickle->members[i];
        const struct berth_pickle_value *name = &pickle->values[member->key],
                                        *value = &pickle->values[member->value];
        if (member->container != pickle->root || name->kind != BERTH_PICKLE_TEXT ||
            value->kind != BERTH_PICKLE_TENSOR)
            continue;
        enum berth_status status = add_tensor(&job, name, value);
        if (status != BERTH_OK)
            return status;
        added++;
    }
    return added > 0
               ? BERTH_OK
               : berth_fail(err, BERTH_UNSUPPORTED,
                            "%s: holds no dictionary of tensors; save the model's state_dict", file->path);
}

/* --- the zip form
 * -------------------------------------------------------------------------------------------- */

/* All entries lie in one folder, whose name was the file's when it was saved: that of FOLDER/data.pkl. */
static const struct berth_zip_entry *find_pickle(const struct berth_zip *zip, size_t *folder)
{
    static const char suffix[] = "/data.pkl";
    for (size_t i = 0; i < zip->count; i++) {
        const char *name = zip->entries[i].name;
        const char *slash = memchr(name, '/', zip->entries[i].name_size);
        *folder = slash ? (size_t)(slash - name) : 0;
        if (slash && zip->entries[i].name_size - *folder == sizeof suffix - 1 &&
            memcmp(slash, suffix, sizeof suffix - 1) == 0)
            return &zip->entries[i];
    }
    return NULL;
}

/* FOLDER/NAME, or NULL. */
static const struct berth_zip_entry *find_beside(const struct berth_zip *zip,
                                                 const struct berth_zip_entry *pickle, size_t folder,
                                                 const char *name, size_t name_size)
{
    char full[1024];
    if (folder + 1 + name_size > sizeof full)
        return NULL;
    memcpy(full, pickle->name, folder + 1); /* with its slash */
    memcpy(full + folder + 1, name, name_size);
    return berth_zip_find(zip, full, folder + 1 + name_size);
}

static enum berth_status locate_in_zip(const char *path, const struct berth_zip *zip,
                                       const struct berth_zip_entry *pickle, size_t folder,
                                       const struct storages *storages, struct berth_error *err)
{
    for (size_t i = 0; i < storages->count; i++) {
        struct storage *storage = &storages->items[i];
        char name[256] = "data/";
        const struct berth_zip_entry *entry = NULL;
        if (storage->key_size <= sizeof name - 5) {
            memcpy(name + 5, storage->key, storage->key_size);
            entry = find_beside(zip, pickle, folder, name, 5 + storage->key_size);
        }
        if (!entry)
            return berth_fail(err, BERTH_FORMAT, "%s: storage '%.*s' is not in the archive", path,
                              (int)berth_min(storage->key_size, 256), storage->key);
        if (entry->size != storage->elements * berth_dtype_size(storage->dtype))
            return berth_fail(err, BERTH_FORMAT, "%s: storage '%.*s' should be %s[%zu], but has %zu bytes",
                              path, (int)berth_min(storage->key_size, 256), storage->key,
                              berth_dtype_name(storage->dtype), storage->elements, entry->size);
        storage->data = entry->data;
    }
    return BERTH_OK;
}

static enum berth_status read_zip(struct berth_checkpoint *checkpoint, const struct berth_weight_file *file,
                                  struct berth_error *err)
{
    const char *path = file->path;
    struct berth_zip zip = {0};
    struct berth_pickle pickle = {0};
    struct storages storages = {0};
    size_t folder = 0;
    enum berth_status status;
    BERTH_TRY(berth_zip_open(path, file->data, file->size, &zip, err));
    const struct berth_zip_entry *entry = find_pickle(&zip, &folder);
    if (!entry) {
        status = berth_fail(err, BERTH_FORMAT,
                            "%s: a zip archive that torch.save did not write: no data.pkl in it", path);
        goto fail;
    }
    const struct berth_zip_entry *order = find_beside(&zip, entry, folder, "byteorder", 9);
    if (order && (order->size != 6 || memcmp(order->data, "little", 6) != 0)) {
        status = berth_fail(err, BERTH_UNSUPPORTED, "%s: its numbers are not in little-endian order", path);
        goto fail;
    }
    BERTH_TRY(berth_pickle_read(path, entry->data, entry->size, &pickle, err));
    BERTH_TRY(list_storages(path, &pickle, &storages, err));
    BERTH_TRY(locate_in_zip(path, &zip, entry, folder, &storages, err));
    status = add_tensors(checkpoint, file, &pickle, &storages, err);
fail:
    berth_free(storages.items);
    berth_pickle_clear(&pickle);
    berth_zip_close(&zip);
    return status;
}

/* --- the older form
 * ------------------------------------------------------------------------------------------ */

enum { PART_MAGIC, PART_PROTOCOL, PART_SYSTEM, PART_OBJECT, PART_KEYS, PART_COUNT };

/* The number 0x1950a86a20f9469cfc6c and version 1001 begin every such file. */
static bool is_torch_pickle(const struct berth_pickle *parts)
{
    static const unsigned char magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    const struct berth_pickle_value *number = &parts[PART_MAGIC].values[parts[PART_MAGIC].root];
    const struct berth_pickle_value *version = &parts[PART_PROTOCOL].values[parts[PART_PROTOCOL].root];
    return number->kind == BERTH_PICKLE_LONG && number->count == sizeof magic &&
           memcmp(number->text, magic, sizeof magic) == 0 && version->kind == BERTH_PICKLE_INT &&
           version->integer == 1001;
}

static bool is_little_endian(const struct berth_pickle *system)
{
    for (size_t i = 0; i < system->member_count; i++) {
        const struct berth_pickle_member *member = &system->members[i];
        const struct berth_pickle_value *value = &system->values[member->value];
        if (member->container == system->root &&
            berth_pickle_is_text(&system->values[member->key], "little_endian"))
            return value->kind == BERTH_PICKLE_BOOL && value->integer != 0;
    }
    return false;
}

/* The storages follow the pickles in the order of the list of keys: 8 bytes of element count, then the
 * elements. */
static enum berth_status locate_in_order(const struct berth_weight_file *file, size_t at,
                                         const struct berth_pickle *keys, const struct storages *storages,
                                         struct berth_error *err)
{
    const char *path = file->path;
    for (size_t i = 0; i < keys->member_count; i++) {
        if (keys->members[i].container != keys->root)
            continue;
        const struct berth_pickle_value *key = &keys->values[keys->members[i].value];
        struct storage *storage = key->kind == BERTH_PICKLE_TEXT ? find_storage(storages, key) : NULL;
        if (!storage || storage->data)
            return berth_fail(err, BERTH_FORMAT,
                              "%s: its list of storages names an unknown one, or one twice", path);
        size_t bytes = storage->elements * berth_dtype_size(storage->dtype);
        if (file->size - at < 8 || bytes > file->size - at - 8)
            return berth_fail(err, BERTH_FORMAT,
                              "%s: storage '%.*s' of %zu bytes ends after the file (is it complete?)", path,
                              (int)berth_min(storage->key_size, 256), storage->key, bytes);
        uint64_t elements = 0;
        for (size_t k = 0; k < 8; k++)
            elements |= (uint64_t)file->data[at + k] << (8 * k);
        if (elements != storage->elements)
            return berth_fail(err, BERTH_FORMAT, "%s: storage '%.*s' should have %zu elements, but has %llu",
                              path, (int)berth_min(storage->key_size, 256), storage->key, storage->elements,
                              (unsigned long long)elements);
        storage->data = file->data + at + 8;
        at += 8 + bytes;
    }
    for (size_t i = 0; i < storages->count; i++)
        if (!storages->items[i].data)
            return berth_fail(err, BERTH_FORMAT, "%s: storage '%.*s' is not in the file", path,
                              (int)berth_min(storages->items[i].key_size, 256), storages->items[i].key);
    return BERTH_OK;
}

static enum berth_status read_older(struct berth_checkpoint *checkpoint, const struct berth_weight_file *file,
                                    struct berth_error *err)
{
    const char *path = file->path;
    struct berth_pickle parts[PART_COUNT] = {0};
    struct storages storages = {0};
    size_t at = 0;
    enum berth_status status;
    for (size_t i = 0; i < PART_COUNT; i++) {
        BERTH_TRY(berth_pickle_read(path, file->data + at, file->size - at, &parts[i], err));
        at += parts[i].size;
        if (i == PART_PROTOCOL && !is_torch_pickle(parts)) {
            status = berth_fail(err, BERTH_FORMAT, "%s: a pickle, but not one that torch.save wrote", path);
            goto fail;
        }
    }
    if (!is_little_endian(&parts[PART_SYSTEM])) {
        status = berth_fail(err, BERTH_UNSUPPORTED, "%s: its numbers are not in little-endian order", path);
        goto fail;
    }
    BERTH_TRY(list_storages(path, &parts[PART_OBJECT], &storages, err));
    BERTH_TRY(locate_in_order(file, at, &parts[PART_KEYS], &storages, err));
    status = add_tensors(checkpoint, file, &parts[PART_OBJECT], &storages, err);
fail:
    berth_free(storages.items);
    for (size_t i = 0; i < PART_COUNT; i++)
        berth_pickle_clear(&parts[i]);
    return status;
}

enum berth_status berth_torch_read(struct berth_checkpoint *checkpoint, const struct berth_weight_file *file,
                                   struct berth_error *err)
{
    return file->data[0] == 'P' ? read_zip(checkpoint, file, err) : read_older(checkpoint, file, err);
}
