/* fake_hub.c: see fake_hub.h. */
#include "support/fake_hub.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "hub/digest.h"

enum { NAME_MAX_ = 512, COUNTERS = 256, WAITS = 2 };

struct fake_hub {
    const char *folder;
    FILE *log;
    struct MHD_Daemon *hub, *cdn;
    pthread_mutex_t lock;
    struct {
        char key[NAME_MAX_];
        unsigned count;
    } counters[COUNTERS];
};

struct file {
    char *data;
    size_t size;
    struct berth_digest_text digest;
};

/* What a transfer sends: the file's bytes from `first`, and how it goes wrong. */
struct body {
    struct file file;
    size_t first;
    size_t cut;     /* ends here without a word; SIZE_MAX: never */
    size_t flipped; /* this byte is another; SIZE_MAX: none */
    size_t extra;   /* bytes more than there are */
    bool slow;
};

struct request {
    struct fake_hub *hub;
    struct MHD_Connection *connection;
    const char *method, *url;
    char repo[NAME_MAX_], what[NAME_MAX_]; /* "org/plain", file or revision */
    char revision[NAME_MAX_];
    bool head;
};

/* How often this was asked before. */
static unsigned count(struct fake_hub *hub, const char *repo, const char *what)
{
    char key[NAME_MAX_];
    unsigned before = 0;
    snprintf(key, sizeof key, "%.250s %.250s", repo, what);
    pthread_mutex_lock(&hub->lock);
    for (size_t i = 0; i < COUNTERS; i++) {
        if (hub->counters[i].key[0] && strcmp(hub->counters[i].key, key) != 0)
            continue;
        strcpy(hub->counters[i].key, key);
        before = hub->counters[i].count++;
        break;
    }
    pthread_mutex_unlock(&hub->lock);
    return before;
}

/* Whether the repository's name has the word. */
static bool is(const struct request *r, const char *word)
{
    const char *p = strchr(r->repo, '/');
    size_t size = strlen(word);
    for (p = p ? p + 1 : r->repo; *p; p += strcspn(p, "-"), p += *p == '-')
        if (strncmp(p, word, size) == 0 && (p[size] == 0 || p[size] == '-'))
            return true;
    return false;
}

static bool is_large(const char *name)
{
    return strstr(name, ".safetensors") && !strstr(name, ".json") ? true : strstr(name, ".bin") && !strstr(name, ".json");
}

static bool load(const struct fake_hub *hub, const char *name, struct file *file)
{
    char path[2 * NAME_MAX_];
    struct berth_digest digest;
    *file = (struct file){.data = NULL};
    snprintf(path, sizeof path, "%s/%s", hub->folder, name);
    FILE *stream = strstr(name, "..") ? NULL : fopen(path, "rb");
    if (!stream)
        return false;
    fseek(stream, 0, SEEK_END);
    file->size = (size_t)ftell(stream);
    rewind(stream);
    file->data = malloc(file->size + 1);
    if (fread(file->data, 1, file->size, stream) != file->size)
        abort();
    fclose(stream);
    berth_digest_begin(&digest, true, true, file->size);
    berth_digest_add(&digest, file->data, file->size);
    berth_digest_end(&digest, &file->digest);
    return true;
}

/* --- answering ----------------------------------------------------------------------------------------------- */

static enum MHD_Result send_response(struct request *r, unsigned status, struct MHD_Response *response)
{
    enum MHD_Result queued = MHD_queue_response(r->connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

static struct MHD_Response *text_response(const char *text)
{
    return MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result refuse(struct request *r, unsigned status, const char *code)
{
    struct MHD_Response *response = text_response("{\"error\": \"no\"}");
    if (code)
        MHD_add_response_header(response, "X-Error-Code", code);
    if (status == 429)
        MHD_add_response_header(response, "Retry-After", is(r, "busylong") ? "4000" : "1");
    return send_response(r, status, response);
}

static ssize_t read_body(void *context, uint64_t position, char *buffer, size_t most)
{
    struct body *body = context;
    size_t at = body->first + (size_t)position, end = body->file.size + body->extra;
    if (at >= body->cut)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (at >= end)
        return MHD_CONTENT_READER_END_OF_STREAM;
    size_t n = end - at < most ? end - at : most;
    if (n > body->cut - at)
        n = body->cut - at;
    if (body->slow) {
        struct timespec pause = {0, 8000000};
        nanosleep(&pause, NULL);
        n = n < 65536 ? n : 65536;
    }
    for (size_t i = 0; i < n; i++)
        buffer[i] = at + i < body->file.size ? body->file.data[at + i] : 'x';
    if (body->flipped >= at && body->flipped < at + n)
        buffer[body->flipped - at] ^= 1;
    return (ssize_t)n;
}

static void free_body(void *context)
{
    struct body *body = context;
    free(body->file.data);
    free(body);
}

/* Sends a file, or a range of it, with the faults of the repository's name. Takes the file. */
static enum MHD_Result send_file(struct request *r, struct file *file, const char *etag)
{
    struct body *body = calloc(1, sizeof *body);
    const char *range = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Range");
    const bool large = is_large(r->what);
    char text[128];
    unsigned status = 200;
    *body = (struct body){.file = *file, .cut = SIZE_MAX, .flipped = SIZE_MAX, .slow = large && is(r, "slow")};
    if (range && strncmp(range, "bytes=", 6) == 0 && !is(r, "norange")) {
        body->first = strtoul(range + 6, NULL, 10);
        status = body->first < file->size ? 206 : 416;
    }
    if (!r->head && large) {
        unsigned before = count(r->hub, r->repo, r->what);
        if ((is(r, "cut") && before == 0) || is(r, "cutever"))
            body->cut = is(r, "cutever") ? file->size / 2 : body->first + (file->size - body->first) / 2;
        if (is(r, "corrupt") || (is(r, "corruptonce") && before == 0))
            body->flipped = file->size / 3;
        if (is(r, "longer"))
            body->extra = 100;
    }
    if (is(r, "corruptsmall") && strcmp(r->what, "vocab.txt") == 0)
        body->flipped = 0;
    if (status == 416) {
        free_body(body);
        return refuse(r, 416, NULL);
    }
    uint64_t length = body->extra ? MHD_SIZE_UNKNOWN : file->size - body->first;
    struct MHD_Response *response = MHD_create_response_from_callback(length, 65536, read_body, body, free_body);
    if (status == 206) {
        size_t first = body->first + (is(r, "wrongrange") ? 1 : 0);
        snprintf(text, sizeof text, "bytes %zu-%zu/%zu", first, file->size - 1, file->size);
        MHD_add_response_header(response, "Content-Range", text);
    }
    if (etag && !is(r, "noetag")) {
        snprintf(text, sizeof text, "%s\"%s\"", is(r, "weaketag") ? "W/" : "",
                 is(r, "badetag") ? "../../../evil" : etag);
        MHD_add_response_header(response, "ETag", text);
    }
    if (!is(r, "nocommit"))
        MHD_add_response_header(response, "X-Repo-Commit",
                                is(r, "changed") && strcmp(r->what, "config.json") != 0 ? "beef" : FAKE_HUB_COMMIT);
    return send_response(r, status, response);
}

/* --- the hub's own port -------------------------------------------------------------------------------------- */

static enum MHD_Result redirect(struct request *r, const struct file *file)
{
    char location[4 * NAME_MAX_], text[128];
    unsigned port = MHD_get_daemon_info(r->hub->cdn, MHD_DAEMON_INFO_BIND_PORT)->port;
    struct MHD_Response *response = text_response("Found. Redirecting");
    if (is(r, "loop"))
        snprintf(location, sizeof location, "%s", r->url);
    else if (is(r, "file"))
        snprintf(location, sizeof location, "file:///etc/passwd");
    else if (is(r, "user"))
        snprintf(location, sizeof location, "http://me:word@127.0.0.1:%u/x", port);
    else
        snprintf(location, sizeof location, "http://127.0.0.1:%u/store/%s/%s?Signature=secret-signature", port, r->repo,
                 r->what);
    MHD_add_response_header(response, "Location", location);
    MHD_add_response_header(response, "X-Repo-Commit", FAKE_HUB_COMMIT);
    if (!is(r, "noetag") && !is(r, "loop")) {
        snprintf(text, sizeof text, "\"%s\"", is(r, "badetag") ? "../../../evil" : file->digest.sha256);
        MHD_add_response_header(response, "X-Linked-Etag", text);
    }
    snprintf(text, sizeof text, "%zu", file->size);
    MHD_add_response_header(response, "X-Linked-Size", is(r, "huge") ? "4611686018427387904" : text);
    return send_response(r, 302, response);
}

/* Whether a repository of this name has the file. */
static bool has(const struct request *r, const char *name)
{
    bool whole = strcmp(name, "model.safetensors") == 0, bin = strcmp(name, "pytorch_model.bin") == 0,
         shard = strstr(name, "-of-") || strstr(name, ".index.json");
    if (is(r, "bin") || is(r, "tf"))
        return !whole && !shard && (!bin || is(r, "bin"));
    if (is(r, "shards") || is(r, "evilshard"))
        return !whole && !bin;
    if (is(r, "noconfig") && strcmp(name, "config.json") == 0)
        return false;
    return !bin && !shard;
}

static enum MHD_Result resolve(struct request *r)
{
    struct file file;
    bool known = strcmp(r->revision, "main") == 0 || strcmp(r->revision, "v1") == 0 ||
                 strcmp(r->revision, "refs/pr/1") == 0 || (!is(r, "branchonly") && strcmp(r->revision, FAKE_HUB_COMMIT) == 0);
    if (is(r, "renamed")) {
        char location[4 * NAME_MAX_];
        struct MHD_Response *response = text_response("");
        snprintf(location, sizeof location, "/org/plain/resolve/%s/%s", r->revision, r->what);
        MHD_add_response_header(response, "Location", location);
        return send_response(r, 307, response);
    }
    if (!known)
        return refuse(r, 404, is(r, "branchonly") ? "EntryNotFound" : "RevisionNotFound");
    bool gone = is(r, "lonely") && strcmp(r->what, "vocab.txt") == 0;
    if (is(r, "evilshard") && strstr(r->what, ".index.json")) {
        static const char index[] = "{\"weight_map\": {\"a\": \"../../../../evil.safetensors\"}}";
        file = (struct file){.data = strdup(index), .size = sizeof index - 1};
        return send_file(r, &file, "odd-index");
    }
    if (gone || !has(r, r->what) || !load(r->hub, r->what, &file))
        return refuse(r, 404, "EntryNotFound");
    if (!is_large(r->what))
        return send_file(r, &file, file.digest.git);
    enum MHD_Result sent = redirect(r, &file);
    free(file.data);
    return sent;
}

static enum MHD_Result describe(struct request *r)
{
    static const char *const names[] = {"config.json", "vocab.txt", "tokenizer_config.json", "model.safetensors",
                                        "model.safetensors.index.json", "model-00001-of-00002.safetensors",
                                        "model-00002-of-00002.safetensors", "pytorch_model.bin"};
    char text[4096];
    size_t used = (size_t)snprintf(text, sizeof text, "{\"id\": \"%s\", \"sha\": \"%s\", \"siblings\": [", r->repo,
                                   FAKE_HUB_COMMIT);
    if (is(r, "nolist"))
        return refuse(r, 404, NULL);
    if (is(r, "garbage"))
        return send_response(r, 200, text_response("<html>welcome</html>"));
    if (is(r, "deep")) {
        memset(text, '[', sizeof text);
        text[sizeof text - 1] = 0;
        return send_response(r, 200, text_response(text));
    }
    if (strcmp(r->what, "main") != 0 && strcmp(r->what, "v1") != 0 && strcmp(r->what, "refs/pr/1") != 0 &&
        strcmp(r->what, FAKE_HUB_COMMIT) != 0)
        return refuse(r, 404, "RevisionNotFound");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (has(r, names[i]))
            used += (size_t)snprintf(text + used, sizeof text - used, "{\"rfilename\": \"%s\"}, ", names[i]);
    snprintf(text + used, sizeof text - used, "{\"rfilename\": \"%s\"}]}",
             is(r, "evil") ? "../../../../evil" : "README.md");
    return send_response(r, 200, text_response(text));
}

/* Faults of the whole repository; false when it is well. */
static bool refuses(struct request *r, enum MHD_Result *sent)
{
    const char *token = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Authorization");
    bool let_in = token && strcmp(token, "Bearer secret-token") == 0;
    if (is(r, "private") && !let_in)
        *sent = refuse(r, 401, "RepoNotFound");
    else if (is(r, "gated"))
        *sent = refuse(r, 403, "GatedRepo");
    else if (is(r, "missing"))
        *sent = refuse(r, 404, "RepoNotFound");
    else if ((is(r, "busy") && count(r->hub, r->repo, "waits") < WAITS) || is(r, "busylong") || is(r, "busyever"))
        *sent = refuse(r, 429, NULL);
    else if (is(r, "down"))
        *sent = refuse(r, 503, NULL);
    else if (is(r, "teapot"))
        *sent = refuse(r, 418, NULL);
    else if (is(r, "nohead") && r->head)
        *sent = refuse(r, 405, NULL);
    else
        return false;
    return true;
}

/* "org/name" at `from` up to `marker`, the rest behind it. */
static bool split(struct request *r, const char *from, const char *marker)
{
    const char *at = strstr(from, marker);
    if (!at || at == from)
        return false;
    snprintf(r->repo, sizeof r->repo, "%.*s", (int)(at - from), from);
    snprintf(r->what, sizeof r->what, "%s", at + strlen(marker));
    return true;
}

static void write_log(struct request *r, const char *port)
{
    const char *token = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Authorization");
    const char *range = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Range");
    const char *condition = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "If-Range");
    if (!r->hub->log)
        return;
    fprintf(r->hub->log, "%s %s %s token=%s range=%s if-range=%s\n", port, r->method, r->url, token ? "yes" : "no",
            range ? range : "", condition ? condition : "");
    fflush(r->hub->log);
}

static enum MHD_Result answer_hub(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload, size_t *upload_size,
                                  void **state)
{
    struct request r = {.hub = context, .connection = connection, .url = url, .method = method,
                        .head = strcmp(method, "HEAD") == 0};
    enum MHD_Result sent;
    (void)version, (void)upload, (void)upload_size, (void)state;
    write_log(&r, "hub");
    if (strncmp(url, "/api/models/", 12) == 0 && split(&r, url + 12, "/revision/"))
        return refuses(&r, &sent) ? sent : describe(&r);
    if (!split(&r, url + 1, "/resolve/"))
        return refuse(&r, 404, NULL);
    char *slash = strncmp(r.what, "refs/pr/1/", 10) == 0 ? r.what + 9 : strchr(r.what, '/');
    if (!slash)
        return refuse(&r, 404, NULL);
    snprintf(r.revision, sizeof r.revision, "%.*s", (int)(slash - r.what), r.what);
    memmove(r.what, slash + 1, strlen(slash + 1) + 1);
    return refuses(&r, &sent) ? sent : resolve(&r);
}

static enum MHD_Result answer_cdn(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload, size_t *upload_size,
                                  void **state)
{
    struct request r = {.hub = context, .connection = connection, .url = url, .method = method,
                        .head = strcmp(method, "HEAD") == 0};
    struct file file;
    (void)version, (void)upload, (void)upload_size, (void)state;
    write_log(&r, "cdn");
    const char *last = strrchr(url, '/');
    if (strncmp(url, "/store/", 7) != 0 || !last || last < url + 8)
        return refuse(&r, 404, NULL);
    snprintf(r.repo, sizeof r.repo, "%.*s", (int)(last - url - 7), url + 7);
    snprintf(r.what, sizeof r.what, "%s", last + 1);
    if (r.head || is(&r, "refuse")) /* an address signed for GET */
        return refuse(&r, 403, NULL);
    return load(r.hub, r.what, &file) ? send_file(&r, &file, NULL) : refuse(&r, 404, NULL);
}

/* --- running ------------------------------------------------------------------------------------------------- */

static struct MHD_Daemon *listen_on_loopback(MHD_AccessHandlerCallback answer, struct fake_hub *hub)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    return MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, 0, NULL, NULL, answer, hub,
                            MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_END);
}

struct fake_hub *fake_hub_start(const char *folder, FILE *log)
{
    struct fake_hub *hub = calloc(1, sizeof *hub);
    hub->folder = folder;
    hub->log = log;
    pthread_mutex_init(&hub->lock, NULL);
    hub->cdn = listen_on_loopback(answer_cdn, hub);
    hub->hub = listen_on_loopback(answer_hub, hub);
    if (hub->cdn && hub->hub)
        return hub;
    fake_hub_stop(hub);
    return NULL;
}

unsigned fake_hub_port(const struct fake_hub *hub)
{
    return MHD_get_daemon_info(hub->hub, MHD_DAEMON_INFO_BIND_PORT)->port;
}

void fake_hub_stop(struct fake_hub *hub)
{
    if (hub->hub)
        MHD_stop_daemon(hub->hub);
    if (hub->cdn)
        MHD_stop_daemon(hub->cdn);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}
