/* listing.c: what a hub says is in a repository. */
#include "hub/listing.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "formats/json_load.h"
#include "hub/id.h"
#include "hub/reply.h"

enum { DEPTH = 32 };

void berth_hub_listing_clear(struct berth_hub_listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        berth_free(listing->files[i].name);
    berth_free(listing->files);
    *listing = (struct berth_hub_listing){.count = 0};
}

static void read_checksum(struct berth_hub_file *file, const json_t *item)
{
    const json_t *lfs = json_object_get(item, "lfs");
    const char *sha256 = json_string_value(json_object_get(lfs, "sha256"));
    if (!sha256)
        sha256 = json_string_value(json_object_get(lfs, "oid"));
    if (sha256 && berth_hub_is_hex(sha256, 64))
        memcpy(file->sha256, sha256, 65);
}

static enum berth_status read_files(const char *name, const json_t *siblings, struct berth_hub_listing *listing,
                                    struct berth_error *err)
{
    size_t count = json_array_size(siblings);
    if (count > BERTH_HUB_FILES_MAX)
        return berth_fail(err, BERTH_LIMIT, "%s: the listing has %zu files, at most %d are read", name, count,
                          BERTH_HUB_FILES_MAX);
    listing->has_files = true;
    listing->files = berth_calloc(count, sizeof *listing->files);
    if (!listing->files)
        return berth_fail_memory(err, name, count * sizeof *listing->files);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(siblings, i);
        const char *file = json_string_value(json_object_get(item, "rfilename"));
        if (!file)
            return berth_fail(err, BERTH_FORMAT, "%s: the listing's file %zu has no name (\"rfilename\")", name, i);
        if (!berth_hub_is_safe_name(file))
            return berth_fail(err, BERTH_FORMAT,
                              "%s: the listing names a file '%.200s', which leads out of its folder or is no "
                              "file's name; nothing of this repository is taken",
                              name, file);
        listing->files[i].name = berth_strdup(file);
        if (!listing->files[i].name)
            return berth_fail_memory(err, name, strlen(file));
        listing->count = i + 1;
        read_checksum(&listing->files[i], item);
    }
    return BERTH_OK;
}

enum berth_status berth_hub_listing_parse(const char *name, const char *text, size_t size,
                                          struct berth_hub_listing *listing, struct berth_error *err)
{
    json_t *root = NULL;
    enum berth_status status;
    *listing = (struct berth_hub_listing){.count = 0};
    status = berth_json_load(name, text, size, DEPTH, 0, &root, err);
    if (status == BERTH_FORMAT) /* most likely a page for people, of a proxy or of another service */
        berth_fail_prefix(err, status, "the answer is no hub's description of a repository; check HF_ENDPOINT and proxies");
    BERTH_TRY(status);
    if (!json_is_object(root)) {
        status = berth_fail(err, BERTH_FORMAT, "%s: the hub's description is no JSON object; is this a hub?", name);
        goto fail;
    }
    const char *commit = json_string_value(json_object_get(root, "sha"));
    if (commit && !berth_hub_is_commit(commit)) {
        status = berth_fail(err, BERTH_FORMAT, "%s: the hub names a commit '%.100s', which is none", name, commit);
        goto fail;
    }
    if (commit)
        memcpy(listing->commit, commit, strlen(commit) + 1);
    const json_t *siblings = json_object_get(root, "siblings");
    if (json_is_array(siblings))
        BERTH_TRY(read_files(name, siblings, listing, err));
    json_decref(root);
    return BERTH_OK;
fail:
    json_decref(root);
    berth_hub_listing_clear(listing);
    return status;
}

const struct berth_hub_file *berth_hub_listing_find(const struct berth_hub_listing *listing, const char *name)
{
    for (size_t i = 0; i < listing->count; i++)
        if (strcmp(listing->files[i].name, name) == 0)
            return &listing->files[i];
    return NULL;
}

/* --- shards -------------------------------------------------------------------------------------------------- */

/* Keeps each file once, in the order the index names them. */
static enum berth_status read_shards(const char *name, json_t *map, json_t *seen, char **names, size_t *count,
                                     struct berth_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(map, key, value)
    {
        const char *file = json_string_value(value);
        if (!file || !berth_hub_is_safe_name(file) || strchr(file, '/'))
            return berth_fail(err, BERTH_FORMAT,
                              "%s: tensor '%.100s' lies in '%.200s', which is no file beside the index", name, key,
                              file ? file : "(no name)");
        if (json_object_get(seen, file))
            continue;
        if (*count == BERTH_HUB_SHARDS_MAX)
            return berth_fail(err, BERTH_LIMIT, "%s: more than %d weight files", name, BERTH_HUB_SHARDS_MAX);
        names[*count] = berth_strdup(file);
        if (!names[*count] || json_object_set_new(seen, file, json_true()) != 0) {
            *count += names[*count] != NULL;
            return berth_fail_memory(err, name, strlen(file));
        }
        ++*count;
    }
    return BERTH_OK;
}

enum berth_status berth_hub_shards_parse(const char *name, const char *text, size_t size, char ***names,
                                         size_t *count, struct berth_error *err)
{
    json_t *root = NULL, *seen = json_object();
    enum berth_status status;
    *names = NULL;
    *count = 0;
    BERTH_TRY(seen ? BERTH_OK : berth_fail_memory(err, name, 0));
    BERTH_TRY(berth_json_load(name, text, size, DEPTH, 0, &root, err));
    json_t *map = json_object_get(root, "weight_map");
    if (!json_is_object(map) || json_object_size(map) == 0) {
        status = berth_fail(err, BERTH_FORMAT, "%s: no \"weight_map\" object that names the weight files", name);
        goto fail;
    }
    *names = berth_calloc(BERTH_HUB_SHARDS_MAX, sizeof **names);
    BERTH_TRY(*names ? BERTH_OK : berth_fail_memory(err, name, BERTH_HUB_SHARDS_MAX * sizeof **names));
    BERTH_TRY(read_shards(name, map, seen, *names, count, err));
    json_decref(root);
    json_decref(seen);
    return BERTH_OK;
fail:
    while (*count > 0)
        berth_free((*names)[--*count]);
    berth_free(*names);
    *names = NULL;
    json_decref(root);
    json_decref(seen);
    return status;
}
