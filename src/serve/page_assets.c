/* page_assets.c: the page's own files, which travel inside the program, compressed when it was built. */
#include "serve/page_assets.h"

#include <string.h>

#include "serve/handlers.h"

/* Everything the page loads comes from here; nobody frames it. */
static const char policy[] = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

static const struct berth_page_asset *find(const char *path)
{
    for (size_t i = 0; i < berth_page_asset_count; i++)
        if (strcmp(berth_page_assets[i].path, path) == 0)
            return &berth_page_assets[i];
    return NULL;
}

/* Whether a list like "gzip, deflate, br;q=0.5" names gzip and does not rule it out. */
static bool takes_gzip(const char *accepted)
{
    const char *at = accepted ? strstr(accepted, "gzip") : NULL;
    return at && strncmp(at + 4, ";q=0,", 5) != 0 && strcmp(at + 4, ";q=0") != 0;
}

static void send_asset(struct berth_request *request, const struct berth_page_asset *asset)
{
    struct berth_reply *reply = &request->reply;
    const char *known = berth_request_header(request, "If-None-Match");
    bool same = known && strstr(known, asset->etag);
    bool compressed = takes_gzip(berth_request_header(request, "Accept-Encoding"));
    berth_reply_begin(reply, same ? 304 : 200, asset->content_type);
    berth_reply_header(reply, "ETag", "\"%s\"", asset->etag);
    berth_reply_header(reply, "Cache-Control", "no-cache"); /* keep it, but ask whether it is still the same */
    berth_reply_header(reply, "Content-Security-Policy", "%s", policy);
    berth_reply_header(reply, "X-Content-Type-Options", "nosniff");
    berth_reply_header(reply, "Vary", "Accept-Encoding");
    if (same)
        return;
    if (compressed)
        berth_reply_header(reply, "Content-Encoding", "gzip");
    if (!berth_buffer_append(&reply->body, compressed ? asset->gzip : asset->plain,
                             compressed ? asset->gzip_size : asset->plain_size))
        berth_reply_error(reply, 503, "memory ran out");
}

void berth_handle_page(struct berth_request *request)
{
    send_asset(request, find("index.html"));
}

void berth_handle_page_asset(struct berth_request *request)
{
    const struct berth_page_asset *asset = find(request->model);
    if (asset)
        send_asset(request, asset);
    else
        berth_reply_error(&request->reply, 404, "the page has no file '%s'", request->model);
}
