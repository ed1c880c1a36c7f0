/* cmd_serve.c: `berth serve`: options, signals, and the line that says it is ready. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/common.h"
#include "cli/verbs.h"

/* KEY=VALUE, one of a model's own options; false, with what is wrong in `fault`. */
static bool parse_model_option(char *argument, struct berth_options *options, char *fault, size_t size)
{
    const struct cli_flag known[] = {
        {"precision", 0, NULL, cli_read_precision, &options->precision, "fp32, bf16, int8 or auto"},
        {"runtime", 0, NULL, cli_read_runtime, &options->runtime, "native, cuda or onnxruntime"},
        {"optimization", 0, NULL, cli_read_optimization, &options->optimization, "none, runtime or fused"},
        {"threads", 0, NULL, cli_read_positive, &options->threads, "a number, 1 or more"},
        {"max-length", 0, NULL, cli_read_positive, &options->max_length, "a number, 1 or more"},
        {"isa", 0, NULL, cli_read_isa, &options->isa, "scalar, avx2, avx512, vnni or amx"},
        {"vocab", 0, NULL, cli_read_string, &options->vocab, "a file"},
    };
    char *value = strchr(argument, '=');
    if (value)
        *value++ = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(argument, known[i].name) != 0)
            continue;
        if (value && known[i].read(known[i].target, value))
            return true;
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

/* One -m: NAME=MODEL[,key=value ...]. Takes the argument apart in place; false, with what is wrong in
 * `fault`. */
static bool parse_model(char *argument, const struct berth_options *defaults,
                        struct berth_served_model *served, char *fault, size_t size)
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
        if (!parse_model_option(rest, &served->options, fault, size))
            return false;
    }
    return true;
}

static int serve_until_signal(struct berth_server_options *options)
{
    /* The signals are blocked before any thread starts, so only sigwait below sees them. */
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct berth_error err;
    struct berth_server *server;
    if (berth_server_start(options, &server, &err) != BERTH_OK)
        return cli_fail("serve", &err);
    bool v6 = strchr(options->host, ':'); /* in brackets within a URL */
    printf("listening on http://%s%s%s:%u\n", v6 ? "[" : "", options->host, v6 ? "]" : "",
           berth_server_port(server));
    fflush(stdout);
    int signal_number;
    while (sigwait(&ends, &signal_number) == 0 && signal_number == SIGHUP)
        fputs("berth serve: SIGHUP: this version cannot re-read its models; restart it for that\n", stderr);
    berth_server_stop(server);
    return CLI_OK;
}

int cli_serve(int argc, char **argv)
{
    struct cli_common common = {0};
    struct cli_strings models = {0};
    struct berth_server_options options = {.host = "127.0.0.1"};
    size_t port = 5001, timeout = 0;
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
        CLI_QUIET_FLAG(common),
    };
    const struct cli_verb verb = {
        "serve",
        "-m NAME=MODEL [-m NAME=MODEL ...] [OPTIONS]",
        "Serves models over HTTP: POST /set_model, POST /inference, GET /health.",
        "Prints \"listening on http://HOST:PORT\" when ready. SIGTERM drains and ends with 0.",
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
    if (timeout > 86400000)
        return cli_usage(&verb, "--request-timeout-ms: a day is the most");
    cli_log_to_stderr(&common);
    struct berth_served_model served[CLI_LIST_MAX];
    for (size_t i = 0; i < models.count; i++) {
        char fault[256];
        char *argument = (char *)models.item[i]; /* argv's strings are ours to change */
        if (!parse_model(argument, &common.options, &served[i], fault, sizeof fault))
            return cli_usage(&verb, "-m: %s", fault);
        for (size_t k = 0; k < i; k++)
            if (strcmp(served[k].name, served[i].name) == 0)
                return cli_usage(&verb, "-m: two models are named '%s'", served[i].name);
    }
    options.models = served;
    options.model_count = models.count;
    options.port = (unsigned)port;
    options.request_timeout_ms = (unsigned)timeout;
    options.defaults = common.options;
    return serve_until_signal(&options);
}
