/* id.c: which names may become paths and URLs. */
#include "hub/id.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

static const char alphanumeric[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
static const char part_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

static bool is_part(const char *text, size_t size)
{
    if (size == 0 || size > BERTH_HUB_PART_MAX || strspn(text, part_letters) < size)
        return false;
    for (size_t i = 1; i < size; i++)
        if (text[i] == text[i - 1] && (text[i] == '.' || text[i] == '-'))
            return false;
    return !strchr(".-", text[0]) && !strchr(".-", text[size - 1]);
}

/* git's rules for references, printable ASCII alone. */
static bool is_revision(const char *text)
{
    size_t size = strlen(text);
    if (size == 0 || size > BERTH_HUB_REVISION_MAX || text[size - 1] == '/' || text[size - 1] == '.')
        return false;
    for (size_t i = 0; i < size; i++) {
        bool first = i == 0 || text[i - 1] == '/';
        if (text[i] <= ' ' || text[i] > '~' || strchr("~^:?*[\\@{}%#\"'<>|&;$`", text[i]))
            return false;
        if (first && (text[i] == '.' || text[i] == '/' || text[i] == '-'))
            return false;
        if (text[i] == '.' && text[i + 1] == '.')
            return false;
    }
    return true;
}

/* Where the parts end; false when the text is no id. *revision is NULL without one. */
static bool split(const char *text, size_t *org, size_t *name, const char **revision)
{
    *org = strcspn(text, "/");
    if (text[*org] != '/')
        return false;
    const char *second = text + *org + 1;
    *name = strcspn(second, "@");
    *revision = second[*name] == '@' ? second + *name + 1 : NULL;
    return is_part(text, *org) && is_part(second, *name) && (!*revision || is_revision(*revision));
}

bool berth_hub_is_id(const char *text)
{
    size_t org, name;
    const char *revision;
    return split(text, &org, &name, &revision);
}

enum berth_status berth_hub_id_parse(const char *text, struct berth_hub_id *id, struct berth_error *err)
{
    size_t org, name;
    const char *revision;
    *id = (struct berth_hub_id){{0}, {0}, {0}};
    if (!split(text, &org, &name, &revision))
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "'%.300s' is no id of a hub: org/name or org/name@revision, of letters, digits and ._-",
                          text);
    const char *second = text + org + 1;
    snprintf(id->repo, sizeof id->repo, "%.*s/%.*s", (int)org, text, (int)name, second);
    snprintf(id->folder, sizeof id->folder, "models--%.*s--%.*s", (int)org, text, (int)name, second);
    snprintf(id->revision, sizeof id->revision, "%s", revision ? revision : "main");
    return BERTH_OK;
}

bool berth_hub_is_commit(const char *text)
{
    size_t size = strlen(text);
    return size > 0 && size <= 64 && strspn(text, alphanumeric) == size;
}

bool berth_hub_is_safe_name(const char *name)
{
    size_t size = strlen(name);
    if (size == 0 || size > BERTH_HUB_NAME_MAX || name[0] == '/' || name[size - 1] == '/')
        return false;
    for (const char *part = name; part;) {
        size_t length = strcspn(part, "/");
        bool dots = (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.');
        if (length == 0 || dots)
            return false;
        for (size_t i = 0; i < length; i++)
            if ((unsigned char)part[i] < ' ' || part[i] == 0x7f || part[i] == '\\')
                return false;
        part = part[length] ? part + length + 1 : NULL;
    }
    return true;
}
