/* json_load.c: one pass over the brackets, then jansson. */
#include "formats/json_load.h"

#include <stdint.h>
#include <string.h>

#include "base/error.h"

/* The parser recurses and allocates a value at a time; both are bounded here by counting, outside of strings,
 * the brackets and commas that it will meet. Malformed text is left for the parser to refuse. */
static enum berth_status check_bounds(const char *name, const char *text, size_t size, size_t max_depth,
                                      struct berth_error *err)
{
    size_t depth = 0, values = 1;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
            continue;
        }
        if (c == '"')
            in_string = true;
        else if (c == '{' || c == '[')
            depth++, values++;
        else if ((c == '}' || c == ']') && depth > 0)
            depth--;
        else if (c == ',')
            values++;
        if (depth > max_depth)
            return berth_fail(err, BERTH_LIMIT, "%s: JSON nested deeper than %zu levels", name, max_depth);
        if (values > BERTH_JSON_MAX_VALUES)
            return berth_fail(err, BERTH_LIMIT, "%s: JSON of more than %d values", name,
                              BERTH_JSON_MAX_VALUES);
    }
    return BERTH_OK;
}

enum berth_status berth_json_load(const char *name, const char *text, size_t size, size_t max_depth,
                                  size_t flags, json_t **root, struct berth_error *err)
{
    *root = NULL;
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3, size -= 3;
    enum berth_status status = check_bounds(name, text, size, max_depth, err);
    if (status != BERTH_OK)
        return status;
    json_error_t error;
    *root = json_loadb(text, size, flags, &error);
    if (*root)
        return BERTH_OK;
    if (error.text[0] == 0) /* the parser explains everything but a failed allocation */
        return berth_fail_memory(err, name, size);
    return berth_fail(err, BERTH_FORMAT, "%s: malformed JSON at line %d: %s", name, error.line, error.text);
}

char *berth_json_describe(const json_t *value, char *text, size_t size)
{
    static const char more[] = "...";
    memset(text, 0, size); /* jansson writes whole pieces while they fit, and no NUL */
    size_t need = json_dumpb(value, text, size - sizeof more, JSON_ENCODE_ANY | JSON_COMPACT);
    if (need > size - sizeof more)
        memcpy(text + strlen(text), more, sizeof more);
    return text;
}

struct writing {
    struct berth_buffer *buffer;
    bool failed;
};

static int append(const char *bytes, size_t size, void *context)
{
    struct writing *writing = context;
    writing->failed = writing->failed || !berth_buffer_append(writing->buffer, bytes, size);
    return writing->failed ? -1 : 0;
}

bool berth_json_write(const json_t *value, size_t flags, struct berth_buffer *buffer)
{
    struct writing writing = {buffer, false};
    return json_dump_callback(value, append, &writing, flags) == 0 && !writing.failed;
}

char *berth_json_dump(const json_t *value, size_t flags)
{
    struct berth_buffer text;
    berth_buffer_init(&text, SIZE_MAX / 2);
    if (!berth_json_write(value, flags, &text))
        berth_buffer_clear(&text);
    return text.data;
}
