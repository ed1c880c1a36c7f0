/* cmd_demo.c: `berth demo`: the bundled model's deployments, and whatever is named, side by side on the page. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <unistd.h>

#include "base/progress.h"
#include "cli/served.h"
#include "cli/verbs.h"

static const char bundled[] = "bundled:sst2";

struct demo {
    struct cli_common common;
    struct berth_served_model served[CLI_LIST_MAX];
    size_t count;
    struct cli_strings models;
    struct cli_page page;
    bool published, only, open;
};

static void remark(const struct demo *demo, const char *name, const char *what, const struct berth_error *err)
{
    if (!demo->common.quiet)
        fprintf(stderr, "berth demo: %s %s: %s\n", name, what, err->message);
}

static bool add(struct demo *demo, const char *name, const char *model, enum berth_precision precision,
                enum berth_runtime runtime)
{
    if (demo->count == CLI_LIST_MAX)
        return false;
    struct berth_served_model *served = &demo->served[demo->count++];
    *served = (struct berth_served_model){.name = name, .model = model, .options = demo->common.options};
    served->options.precision = precision;
    served->options.runtime = runtime;
    return true;
}

/* Whether ONNX Runtime can run the bundled model here; when not, *err says why. */
static enum berth_status try_onnxruntime(const struct demo *demo, struct berth_error *err)
{
    struct berth_options options = demo->common.options;
    struct berth_model *model;
    options.runtime = BERTH_RUNTIME_ONNXRUNTIME;
    options.log = NULL; /* it is opened once more to be served, and logs then */
    enum berth_status status = berth_model_open(bundled, &options, &model, err);
    if (status == BERTH_OK)
        berth_model_free(model);
    return status;
}

/* The bundled model at every precision, and in ONNX Runtime where there is one. */
static void add_bundled(struct demo *demo)
{
    struct berth_error err;
    add(demo, "fp32", bundled, BERTH_PRECISION_FP32, BERTH_RUNTIME_NATIVE);
    add(demo, "bf16", bundled, BERTH_PRECISION_BF16, BERTH_RUNTIME_NATIVE);
    add(demo, "int8", bundled, BERTH_PRECISION_INT8, BERTH_RUNTIME_NATIVE);
    if (try_onnxruntime(demo, &err) == BERTH_OK)
        add(demo, "onnxruntime", bundled, BERTH_PRECISION_FP32, BERTH_RUNTIME_ONNXRUNTIME);
    else
        remark(demo, "onnxruntime", "is left out", &err);
}

static bool show_progress(void *context, uint64_t done, uint64_t total)
{
    struct berth_progress *progress = context;
    progress->total = (size_t)(total / 1000);
    if (done > 0)
        berth_progress_update(progress, (size_t)(done / 1000));
    return true;
}

static enum berth_status pull(const struct demo *demo, const struct berth_published_model *model, struct berth_error *err)
{
    struct berth_progress progress;
    struct berth_pulled pulled;
    char what[80];
    snprintf(what, sizeof what, "%s, kB", model->name);
    berth_progress_begin(&progress, demo->common.quiet ? NULL : stderr, what, 0);
    const struct berth_pull_options options = {.progress = show_progress, .progress_context = &progress};
    enum berth_status status = berth_pull(model->id, &options, &pulled, err);
    berth_progress_end(&progress, status == BERTH_OK ? (size_t)(pulled.bytes / 1000) : 0);
    if (status == BERTH_OK)
        berth_memory_free(pulled.path);
    return status;
}

/* The published checkpoints: from the cache, or fetched; one that cannot be had is left out, and that is said. */
static void add_published(struct demo *demo)
{
    size_t count;
    const struct berth_published_model *models = berth_hub_published(&count);
    for (size_t i = 0; i < count; i++) {
        struct berth_error err;
        char *path;
        enum berth_status status = berth_hub_locate(models[i].id, &path, &err);
        if (status == BERTH_OK)
            berth_memory_free(path);
        else
            status = pull(demo, &models[i], &err);
        if (status != BERTH_OK)
            remark(demo, models[i].name, "is left out", &err);
        else if (!add(demo, models[i].name, models[i].id, demo->common.options.precision, demo->common.options.runtime))
            return;
    }
}

/* Those of -m; false, with what is wrong in `fault`. */
static bool add_named(struct demo *demo, char *fault, size_t size)
{
    for (size_t i = 0; i < demo->models.count; i++) {
        char *argument = (char *)demo->models.item[i]; /* argv's strings are ours to change */
        if (demo->count == CLI_LIST_MAX) {
            snprintf(fault, size, "more than %d deployments", CLI_LIST_MAX);
            return false;
        }
        struct berth_served_model *served = &demo->served[demo->count];
        if (!cli_parse_served(argument, &demo->common.options, served, fault, size))
            return false;
        for (size_t k = 0; k < demo->count; k++)
            if (strcmp(demo->served[k].name, served->name) == 0) {
                snprintf(fault, size, "two deployments are named '%s'", served->name);
                return false;
            }
        demo->count++;
    }
    return true;
}

/* Hands the address to whatever opens addresses on this desktop; it outlives Ctrl-C here. */
static void open_browser(const char *url)
{
    extern char **environ;
    static char name[] = "xdg-open";
    char address[300];
    snprintf(address, sizeof address, "%s", url);
    char *const arguments[] = {name, address, NULL};
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;
    sigset_t none;
    pid_t child;
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    int code = posix_spawnp(&child, name, &files, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (code != 0)
        fprintf(stderr, "berth demo: --open: cannot run xdg-open: %s; open %s yourself\n", strerror(code), url);
}

static void greet(const char *url)
{
    printf("\n  The page: %s/\n\nA click there shows every deployment's answer. Ctrl-C ends.\n", url);
    fflush(stdout);
}

static void greet_and_open(const char *url)
{
    greet(url);
    open_browser(url);
}

int cli_demo(int argc, char **argv)
{
    struct demo demo = {0};
    struct berth_server_options options = {.host = "127.0.0.1"};
    size_t port = 5001;
    const struct cli_flag flags[] = {
        CLI_HEADING("deployments, beside those of bundled:sst2"),
        {"model", 'm', "NAME=MODEL", cli_read_strings, &demo.models,
         "another one; its own options after commas: NAME=DIR,precision=int8,threads=2"},
        {"published", 0, NULL, NULL, &demo.published,
         "checkpoints published for SST-2, a model of each architecture; fetched when the cache lacks them"},
        {"only", 0, NULL, NULL, &demo.only, "none of bundled:sst2"},
        {"ort-library", 0, "FILE", cli_read_string, &demo.common.options.ort_library,
         "ONNX Runtime's library (default: BERTH_ORT_LIBRARY, or the usual places)"},
        {"threads", 't', "N", cli_read_positive, &demo.common.options.threads,
         "threads (default: what affinity and the container allow)"},
        CLI_PAGE_FLAGS(demo.page),
        CLI_HEADING("server"),
        {"host", 0, "H", cli_read_string, &options.host, "address to listen on (default 127.0.0.1)"},
        {"port", 'p', "N", cli_read_size, &port, "port (default 5001; 0: a free one)"},
        {"open", 0, NULL, NULL, &demo.open, "opens the page in the browser of this desktop"},
        CLI_QUIET_FLAG(demo.common),
    };
    const struct cli_verb verb = {
        "demo",
        "[-m NAME=MODEL ...] [OPTIONS]",
        "Serves the page that shows what each deployment answers, how sure it is and how fast.",
        "bundled:sst2 is served in fp32, bf16 and int8, and in ONNX Runtime when its library is found.\n"
        "Everything that berth serve answers is there, too.",
        flags,
        sizeof flags / sizeof *flags};
    int first, end = cli_parse(&verb, argc, argv, &first);
    if (end >= 0)
        return end;
    if (first < argc)
        return cli_usage(&verb, "unexpected argument '%s'", argv[first]);
    if (port > 65535)
        return cli_usage(&verb, "--port: %zu is beyond 65535", port);
    if (demo.only && demo.models.count == 0 && !demo.published)
        return cli_usage(&verb, "--only: nothing is left to show; give -m NAME=MODEL or --published");
    cli_log_to_stderr(&demo.common);
    if (!demo.only)
        add_bundled(&demo);
    if (demo.published)
        add_published(&demo);
    char fault[256];
    if (!add_named(&demo, fault, sizeof fault))
        return cli_usage(&verb, "-m: %s", fault);
    if (!cli_read_page(&demo.page, demo.served, demo.count, fault, sizeof fault))
        return cli_usage(&verb, "%s", fault);
    if (demo.count == 0) {
        fputs("berth demo: none of the models could be had\n", stderr);
        return CLI_FAILED;
    }
    options.page = demo.page.options;
    options.models = demo.served;
    options.model_count = demo.count;
    options.port = (unsigned)port;
    options.defaults = demo.common.options;
    return cli_serve_until_signal(&options, "demo", demo.open ? greet_and_open : greet);
}
