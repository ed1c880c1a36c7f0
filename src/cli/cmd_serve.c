/* cmd_serve.c: `berth serve`: options, signals, and the line that says it is ready. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "cli/served.h"
#include "cli/verbs.h"

enum { DELAY_MAX = 10000000, DAY_MS = 86400000 };

/* KEY=VALUE, one of a model's own options; false, with what is wrong in `fault`. */
static bool parse_model_option(char *argument, struct berth_served_model *served, char *fault, size_t size)
{
    struct berth_options *options = &served->options;
    size_t delay = served->max_batch_delay_us;
    const struct cli_flag known[] = {
        {"precision", 0, NULL, cli_read_precision, &options->precision, "fp32, bf16, int8 or auto"},
        {"runtime", 0, NULL, cli_read_runtime, &options->runtime, "native, cuda or onnxruntime"},
        {"optimization", 0, NULL, cli_read_optimization, &options->optimization, "none, runtime or fused"},
        {"threads", 0, NULL, cli_read_positive, &options->threads, "a number, 1 or more"},
        {"max-length", 0, NULL, cli_read_positive, &options->max_length, "a number, 1 or more"},
        {"isa", 0, NULL, cli_read_isa, &options->isa, "scalar, avx2, avx512, vnni or amx"},
        {"vocab", 0, NULL, cli_read_string, &options->vocab, "a file"},
        {"instances", 0, NULL, cli_read_positive, &served->instances, "a number, 1 or more"},
        {"version", 0, NULL, cli_read_string, &served->version, "a name"},
        {"max-batch-tokens", 0, NULL, cli_read_positive, &options->max_batch_tokens, "a number, 1 or more"},
        {"max-batch-texts", 0, NULL, cli_read_positive, &served->max_batch_texts, "a number, 1 or more"},
        {"max-batch-delay-us", 0, NULL, cli_read_size, &delay, "microseconds"},
    };
    char *value = strchr(argument, '=');
    if (value)
        *value++ = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(argument, known[i].name) != 0)
            continue;
        if (value && known[i].read(known[i].target, value) && delay <= DELAY_MAX) {
            served->max_batch_delay_us = (unsigned)delay;
            return true;
        }
        snprintf(fault, size, "'%s' is not a valid %s of a model, which is %s", value ? value : "", argument,
                 known[i].help);
        return false;
    }
    snprintf(fault, size,
             "a model has no option '%s'; it has precision, runtime, optimization, threads, max-length, isa and "
             "vocab",
             argument);
    return false;
}

/* Where a model's own options begin: behind the longest path that exists and is followed by a comma or the
 * end, because paths may hold commas; without one (random:PRESET) behind the first comma. Cuts the model off
 * there; NULL: no options. */
static char *cut_options(char *model)
{
    if (berth_path_present(model))
        return NULL;
    char *first = strchr(model, ','), *cut = strrchr(model, ',');
    for (; cut && cut != first; cut = memrchr(model, ',', (size_t)(cut - model))) {
        *cut = 0;
        if (berth_path_present(model))
            return cut + 1;
        *cut = ',';
    }
    if (cut)
        *cut++ = 0;
    return cut;
}

bool cli_parse_served(char *argument, const struct berth_options *defaults, struct berth_served_model *served,
                      char *fault, size_t size)
{
    *served = (struct berth_served_model){.options = *defaults};
    char *rest, *sign = argument + strcspn(argument, "=,");
    if (*sign == '=') {
        *sign = 0;
        served->name = argument;
        served->model = sign + 1;
        rest = cut_options(sign + 1);
    } else { /* the folder's own name */
        rest = cut_options(argument);
        served->model = argument;
        size_t length = strlen(argument);
        while (length > 1 && argument[length - 1] == '/')
            argument[--length] = 0;
        const char *slash = strrchr(argument, '/');
        served->name = slash ? slash + 1 : argument;
    }
    if (!*served->name || !*served->model) {
        snprintf(fault, size, "a name and a model are needed, as in -m sst2=DIR");
        return false;
    }
    for (char *next; rest; rest = next) {
        next = strchr(rest, ',');
        if (next)
            *next++ = 0;
        if (!parse_model_option(rest, served, fault, size))
            return false;
    }
    return true;
}

int cli_serve_until_signal(struct berth_server_options *options, const char *name,
                           void (*greet)(const char *url))
{
    /* The signals are blocked before any thread starts, so only sigwait below sees them. */
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files; /* idle connections cost a descriptor each */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
#ifdef __GLIBC__
    /* A threshold that is set stays: weights that a reload frees go back to the system, not into a heap that ages with them. */
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
    struct berth_error err;
    struct berth_server *server;
    if (berth_server_start(options, &server, &err) != BERTH_OK)
        return cli_fail(name, &err);
    if (options->check_only) {
        printf("the configuration is good: %zu model%s\n", options->model_count, options->model_count == 1 ? "" : "s");
        return CLI_OK;
    }
    bool v6 = strchr(options->host, ':'); /* in brackets within a URL */
    char url[300];
    snprintf(url, sizeof url, "%s://%s%.200s%s:%u", options->tls_cert ? "https" : "http", v6 ? "[" : "", options->host, v6 ? "]" : "",
             berth_server_port(server));
    printf("listening on %s\n", url);
    if (options->unix_socket)
        printf("listening on unix:%s\n", options->unix_socket);
    fflush(stdout);
    if (greet)
        greet(url);
    int signal_number;
    while (sigwait(&ends, &signal_number) == 0 && signal_number == SIGHUP)
        berth_server_reload(server);
    berth_server_stop(server);
    return CLI_OK;
}

static bool same_version(const struct berth_served_model *a, const struct berth_served_model *b)
{
    return strcmp(a->version ? a->version : "1", b->version ? b->version : "1") == 0;
}

int cli_serve(int argc, char **argv)
{
    struct cli_common common = {0};
    struct cli_strings models = {0};
    struct berth_server_options options = {.host = "127.0.0.1"};
    struct cli_page page = {0};
    struct cli_strings keys = {0}, origins = {0};
    size_t port = 5001, timeout = 0, queue = 0, drain = 0, delay = 0, instances = 0, texts = 0;
    const struct cli_flag flags[] = {
        CLI_HEADING("models"),
        {"model", 'm', "NAME=MODEL", cli_read_strings, &models,
         "a model to serve; its own options after commas: NAME=DIR,threads=2 (behind the longest path that "
         "exists)"},
        CLI_ENGINE_FLAGS(common),
        CLI_LENGTH_FLAG(common),
        CLI_VOCAB_FLAG(common),
        CLI_HEADING("server"),
        {"host", 0, "H", cli_read_string, &options.host, "address to listen on (default 127.0.0.1)"},
        {"port", 'p', "N", cli_read_size, &port, "port (default 5001; 0: a free one)"},
        {"max-body-bytes", 0, "N", cli_read_positive, &options.max_body_bytes,
         "largest request body (default 8388608)"},
        {"max-concurrent-requests", 0, "N", cli_read_positive, &options.max_concurrent_requests,
         "waiting requests (default 512), then 429"},
        {"request-timeout-ms", 0, "N", cli_read_positive, &timeout,
         "also bounds slow headers and bodies (default 30000)"},
        {"instances", 0, "N", cli_read_positive, &instances, "of each model, with its own threads each (default 1)"},
        {"max-batch-tokens", 0, "N", cli_read_positive, &common.options.max_batch_tokens,
         "tokens computed together at most (default 1024)"},
        {"max-batch-texts", 0, "N", cli_read_positive, &texts,
         "texts computed together at most (default 1024; 1: no batching)"},
        {"max-batch-delay-us", 0, "N", cli_read_size, &delay,
         "how long a batch behind a batch waits to be filled (default 0)"},
        {"max-queue-ms", 0, "N", cli_read_positive, &queue,
         "a request that would wait longer is refused at once (default: --request-timeout-ms)"},
        {"drain-timeout-ms", 0, "N", cli_read_positive, &drain,
         "for what is under way at SIGTERM (default: --request-timeout-ms)"},
        {"max-connections", 0, "N", cli_read_positive, &options.max_connections, "open ones (default 16384)"},
        {"max-texts", 0, "N", cli_read_positive, &options.max_texts, "of a request (default 16384)"},
        {"max-tokens", 0, "N", cli_read_positive, &options.max_tokens, "of a request (default 1048576)"},
        {"api-key", 0, "KEY", cli_read_strings, &keys,
         "asked for as Authorization: Bearer KEY; may be given several times"},
        {"cors-origin", 0, "ORIGIN", cli_read_strings, &origins,
         "whose pages may ask, or *; may be given several times"},
        {"tls-cert", 0, "FILE", cli_read_string, &options.tls_cert, "certificate chain, PEM: HTTPS"},
        {"tls-key", 0, "FILE", cli_read_string, &options.tls_key, "its key, PEM"},
        {"unix-socket", 0, "PATH", cli_read_string, &options.unix_socket, "listens there, too"},
        {"access-log", 0, "FILE", cli_read_string, &options.access_log,
         "a JSON line a request; - for standard output"},
        {"check-config", 0, NULL, NULL, &options.check_only, "loads and checks everything, then ends"},
        CLI_PAGE_FLAGS(page),
        CLI_QUIET_FLAG(common),
    };
    const struct cli_verb verb = {
        "serve",
        "-m NAME=MODEL [-m NAME=MODEL ...] [OPTIONS]",
        "Serves models over HTTP in several protocols, with a page and metrics.",
        "Prints \"listening on http://HOST:PORT\" when ready. SIGTERM drains and ends with 0;\n"
        "SIGHUP loads the models again.",
        flags,
        sizeof flags / sizeof *flags};
    int first, end = cli_parse(&verb, argc, argv, &first);
    if (end >= 0)
        return end;
    if (first < argc)
        return cli_usage(&verb, "unexpected argument '%s'", argv[first]);
    if (models.count == 0)
        return cli_usage(&verb, "no model; give -m NAME=MODEL");
    if (port > 65535)
        return cli_usage(&verb, "--port: %zu is beyond 65535", port);
    if (timeout > DAY_MS || queue > DAY_MS || drain > DAY_MS)
        return cli_usage(&verb, "--request-timeout-ms, --max-queue-ms, --drain-timeout-ms: a day is the most");
    if (delay > DELAY_MAX)
        return cli_usage(&verb, "--max-batch-delay-us: ten seconds are the most");
    if (!options.tls_cert != !options.tls_key)
        return cli_usage(&verb, "--tls-cert and --tls-key: give both or neither");
    cli_log_to_stderr(&common);
    struct berth_served_model served[CLI_LIST_MAX];
    for (size_t i = 0; i < models.count; i++) {
        char fault[256];
        char *argument = (char *)models.item[i]; /* argv's strings are ours to change */
        if (!cli_parse_served(argument, &common.options, &served[i], fault, sizeof fault))
            return cli_usage(&verb, "-m: %s", fault);
        served[i].instances = served[i].instances ? served[i].instances : instances;
        served[i].max_batch_texts = served[i].max_batch_texts ? served[i].max_batch_texts : texts;
        served[i].max_batch_delay_us = served[i].max_batch_delay_us ? served[i].max_batch_delay_us : (unsigned)delay;
        for (size_t k = 0; k < i; k++)
            if (strcmp(served[k].name, served[i].name) == 0 && same_version(&served[k], &served[i]))
                return cli_usage(&verb, "-m: two models are named '%s'", served[i].name);
    }
    char fault[256];
    if (!cli_read_page(&page, served, models.count, fault, sizeof fault))
        return cli_usage(&verb, "%s", fault);
    options.page = page.options;
    options.models = served;
    options.model_count = models.count;
    options.port = (unsigned)port;
    options.request_timeout_ms = (unsigned)timeout;
    options.max_queue_ms = (unsigned)queue;
    options.drain_timeout_ms = (unsigned)drain;
    options.api_keys = keys.item;
    options.api_key_count = keys.count;
    options.cors_origins = origins.item;
    options.cors_origin_count = origins.count;
    options.defaults = common.options;
    return cli_serve_until_signal(&options, "serve", NULL);
}
