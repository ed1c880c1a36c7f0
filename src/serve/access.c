/* access.c: compares keys without telling where they differ. */
#include "serve/access.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/error.h"

struct berth_access {
    char **keys, **origins;
    size_t key_count, origin_count;
};

static bool copy_list(const char *const *list, size_t count, char ***out, size_t *copied)
{
    if (count == 0)
        return true;
    *out = berth_calloc(count, sizeof **out);
    for (; *out && *copied < count; ++*copied)
        if (!((*out)[*copied] = berth_strdup(list[*copied])))
            return false;
    return *out != NULL;
}

enum berth_status berth_access_new(const char *const *keys, size_t key_count, const char *const *origins,
                                   size_t origin_count, struct berth_access **out, struct berth_error *err)
{
    *out = NULL;
    struct berth_access *access = berth_calloc(1, sizeof *access);
    if (!access || !copy_list(keys, key_count, &access->keys, &access->key_count) ||
        !copy_list(origins, origin_count, &access->origins, &access->origin_count)) {
        berth_access_free(access);
        return berth_fail_memory(err, "the list of API keys", key_count * sizeof(char *));
    }
    for (size_t i = 0; i < key_count; i++)
        if (!*keys[i]) {
            berth_access_free(access);
            return berth_fail(err, BERTH_INVALID_ARGUMENT, "an API key is empty: everybody would have it");
        }
    *out = access;
    return BERTH_OK;
}

static void free_list(char **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        berth_free(list[i]);
    berth_free(list);
}

void berth_access_free(struct berth_access *access)
{
    if (!access)
        return;
    free_list(access->keys, access->key_count);
    free_list(access->origins, access->origin_count);
    berth_free(access);
}

/* Looks at every byte of the key, whatever is given. */
static bool is_key(const char *key, const char *given, size_t given_size)
{
    size_t size = strlen(key);
    volatile unsigned char differ = size != given_size;
    for (size_t i = 0; i < size; i++)
        differ |= (unsigned char)(key[i] ^ (given_size ? given[i % given_size] : 0));
    return differ == 0;
}

bool berth_access_allows(const struct berth_access *access, const char *authorization)
{
    if (access->key_count == 0)
        return true;
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return false;
    const char *given = authorization + 7;
    size_t size = strlen(given);
    bool allowed = false;
    for (size_t i = 0; i < access->key_count; i++)
        allowed |= is_key(access->keys[i], given, size);
    return allowed;
}

const char *berth_access_origin(const struct berth_access *access, const char *origin)
{
    for (size_t i = 0; i < access->origin_count; i++) {
        if (strcmp(access->origins[i], "*") == 0)
            return "*";
        if (origin && strcmp(access->origins[i], origin) == 0)
            return access->origins[i];
    }
    return NULL;
}
