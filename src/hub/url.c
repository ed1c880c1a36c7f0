/* url.c: libcurl's own URL parser, so that what is checked is what is connected to. */
#include "hub/url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/error.h"
#include "hub/reply.h"

static bool is(CURLU *url, CURLUPart part, const char *wanted)
{
    char *text = NULL;
    bool same = curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK && strcasecmp(text, wanted) == 0;
    curl_free(text);
    return same;
}

static bool has(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool there = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return there;
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
    char *text = NULL;
    bool same = curl_url_get(a, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK && is(b, part, text);
    curl_free(text);
    return same;
}

static bool is_web(CURLU *url)
{
    return is(url, CURLUPART_SCHEME, "http") || is(url, CURLUPART_SCHEME, "https");
}

enum berth_status berth_hub_endpoint(const char *text, char **endpoint, struct berth_error *err)
{
    CURLU *url = curl_url();
    *endpoint = NULL;
    if (!url)
        return berth_fail_memory(err, "an address", strlen(text));
    bool good = strlen(text) < BERTH_HUB_URL_MAX / 4 && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
                is_web(url) && !has(url, CURLUPART_USER) && !has(url, CURLUPART_QUERY) &&
                !has(url, CURLUPART_FRAGMENT);
    curl_url_cleanup(url);
    if (!good) {
        char host[256]; /* a user's password may stand before it */
        berth_hub_host(text, host, sizeof host);
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "HF_ENDPOINT: what is set (%s) is no address of a hub; give it as https://HOST", host);
    }
    size_t size = strlen(text);
    while (size > 0 && text[size - 1] == '/')
        size--;
    *endpoint = berth_strndup(text, size);
    return *endpoint ? BERTH_OK : berth_fail_memory(err, "an address", size);
}

static bool append_escaped(struct berth_buffer *buffer, const char *text, bool keep_slashes)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text; text++)
        if (strchr(plain, *text) || (keep_slashes && *text == '/')) {
            if (!berth_buffer_append(buffer, text, 1))
                return false;
        } else if (!berth_buffer_format(buffer, "%%%02X", (unsigned)(unsigned char)*text))
            return false;
    return true;
}

char *berth_hub_url(const char *endpoint, const char *const *parts, unsigned keep_slashes)
{
    struct berth_buffer buffer;
    berth_buffer_init(&buffer, BERTH_HUB_URL_MAX);
    bool good = berth_buffer_text(&buffer, endpoint);
    for (size_t i = 0; good && parts[i]; i++)
        good = berth_buffer_text(&buffer, "/") && append_escaped(&buffer, parts[i], keep_slashes >> i & 1);
    if (good)
        return buffer.data;
    berth_buffer_clear(&buffer);
    return NULL;
}

void berth_hub_host(const char *url, char *host, size_t size)
{
    const char *start = strstr(url, "://");
    start = start ? start + 3 : url;
    size_t length = strcspn(start, "/?#");
    const char *user = memchr(start, '@', length);
    if (user) {
        length -= (size_t)(user + 1 - start);
        start = user + 1;
    }
    snprintf(host, size, "%.*s", (int)(length < 200 ? length : 200), start);
}

static enum berth_status check_redirect(CURLU *from, CURLU *to, const char *host, struct berth_error *err)
{
    if (!is_web(to))
        return berth_fail(err, BERTH_UNSUPPORTED, "%s redirects to something that is neither http nor https: refused",
                          host);
    if (is(from, CURLUPART_SCHEME, "https") && !is(to, CURLUPART_SCHEME, "https"))
        return berth_fail(err, BERTH_UNSUPPORTED, "%s redirects from https to plain http: refused", host);
    if (has(to, CURLUPART_USER) || has(to, CURLUPART_PASSWORD))
        return berth_fail(err, BERTH_UNSUPPORTED, "%s redirects to an address with a user in it: refused", host);
    return BERTH_OK;
}

enum berth_status berth_hub_follow(const char *from, const char *location, char **to, bool *same_origin,
                                   struct berth_error *err)
{
    CURLU *old = curl_url(), *new = curl_url();
    char host[256], *text = NULL;
    enum berth_status status = BERTH_OK;
    *to = NULL;
    *same_origin = false;
    berth_hub_host(from, host, sizeof host);
    if (!old || !new) {
        status = berth_fail_memory(err, "an address", strlen(from));
        goto fail;
    }
    /* Setting a relative URL on a handle that holds one resolves it. Schemes that libcurl lacks are let through here
     * to be refused by name. */
    if (!location[0] || curl_url_set(old, CURLUPART_URL, from, 0) != CURLUE_OK ||
        curl_url_set(new, CURLUPART_URL, from, 0) != CURLUE_OK ||
        curl_url_set(new, CURLUPART_URL, location, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) {
        status = berth_fail(err, BERTH_FORMAT, "%s redirects to no valid address", host);
        goto fail;
    }
    BERTH_TRY(check_redirect(old, new, host, err));
    *same_origin = same_part(old, new, CURLUPART_SCHEME) && same_part(old, new, CURLUPART_HOST) &&
                   same_part(old, new, CURLUPART_PORT);
    if (curl_url_get(new, CURLUPART_URL, &text, 0) != CURLUE_OK || !(*to = berth_strdup(text)))
        status = berth_fail_memory(err, "an address", strlen(location));
fail:
    curl_free(text);
    curl_url_cleanup(old);
    curl_url_cleanup(new);
    return status;
}

bool berth_hub_is_exposed(const char *url)
{
    CURLU *handle = curl_url();
    bool exposed = handle && curl_url_set(handle, CURLUPART_URL, url, 0) == CURLUE_OK &&
                   is(handle, CURLUPART_SCHEME, "http") && !is(handle, CURLUPART_HOST, "localhost") &&
                   !is(handle, CURLUPART_HOST, "127.0.0.1") && !is(handle, CURLUPART_HOST, "[::1]");
    curl_url_cleanup(handle);
    return exposed;
}
