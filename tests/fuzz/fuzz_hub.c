/* fuzz_hub.c: any bytes as a hub's headers, description, index, redirect and id: whatever is let through is
 * fit to be a path below the cache. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "berth/berth.h"
#include "hub/id.h"
#include "hub/listing.h"
#include "hub/reply.h"
#include "hub/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void feed_headers(const char *text)
{
    static struct berth_hub_reply reply;
    reply = (struct berth_hub_reply){0};
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        berth_hub_reply_line(&reply, line, length);
        line += length + (line[length] == '\n');
    }
    if (strpbrk(reply.etag, "/\\") || reply.etag[0] == '.' || strpbrk(reply.linked_etag, "/\\") ||
        (reply.commit[0] && !berth_hub_is_commit(reply.commit)) || reply.status > 999)
        abort();
    char *to;
    bool same;
    if (reply.location[0] &&
        berth_hub_follow("https://hub.example/a/b", reply.location, &to, &same, NULL) == BERTH_OK) {
        if (strncmp(to, "https://", 8) != 0)
            abort();
        berth_memory_free(to);
    }
}

static void feed_json(const char *text, size_t size)
{
    struct berth_hub_listing listing;
    struct berth_error err = {0};
    char **names;
    size_t count;
    if (berth_hub_listing_parse("fuzz", text, size, &listing, &err) == BERTH_OK) {
        for (size_t i = 0; i < listing.count; i++)
            if (strstr(listing.files[i].name, "/../") || strncmp(listing.files[i].name, "../", 3) == 0 ||
                listing.files[i].name[0] == '/')
                abort();
        berth_hub_listing_clear(&listing);
    } else if (!err.message[0] || listing.files)
        abort();
    if (berth_hub_shards_parse("fuzz", text, size, &names, &count, &err) == BERTH_OK) {
        for (size_t i = 0; i < count; i++) {
            if (strchr(names[i], '/') || strcmp(names[i], "..") == 0)
                abort();
            berth_memory_free(names[i]);
        }
        berth_memory_free(names);
    } else if (names || count)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct berth_hub_id id;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = 0;
    if (berth_hub_id_parse(text, &id, NULL) == BERTH_OK &&
        (strstr(id.revision, "..") || strchr(id.folder, '/')))
        abort();
    feed_headers(text);
    feed_json(text, size);
    free(text);
    return 0;
}
