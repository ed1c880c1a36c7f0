/* cmd_pull.c: `berth pull`: a checkpoint from a hub into the cache; prints where it is. */
#include <inttypes.h>
#include <string.h>

#include "base/progress.h"
#include "cli/common.h"
#include "cli/verbs.h"

static bool show_progress(void *context, uint64_t done, uint64_t total)
{
    struct berth_progress *progress = context;
    progress->total = (size_t)(total / 1000);
    if (done > 0) /* else there is nothing to tell yet */
        berth_progress_update(progress, (size_t)(done / 1000));
    return true;
}

static void print_remark(void *context, int severity, const char *line)
{
    (void)context;
    fprintf(stderr, "berth: %s%s\n", severity == BERTH_SEVERITY_WARNING ? "note: " : "", line);
}

static int print_result(const char *id, const struct berth_pulled *pulled, bool json)
{
    struct cli_output output;
    struct berth_error err;
    enum berth_status status = cli_output_open(&output, NULL, &err);
    if (status != BERTH_OK)
        return cli_fail("pull", &err);
    if (json) {
        fputs("{\"id\": ", output.stream);
        cli_json_string(output.stream, id, strlen(id));
        fprintf(output.stream, ", \"commit\": \"%s\", \"path\": ", pulled->commit);
        cli_json_string(output.stream, pulled->path, strlen(pulled->path));
        fprintf(output.stream, ", \"files\": %zu, \"bytes\": %" PRIu64 ", \"fetched\": %" PRIu64 "}\n", pulled->files,
                pulled->bytes, pulled->fetched);
    } else
        fprintf(output.stream, "%s\n", pulled->path);
    return cli_output_close(&output, "pull", BERTH_OK, &err);
}

int cli_pull(int argc, char **argv)
{
    struct cli_common common = {0};
    struct berth_pull_options options = {0};
    bool json = false;
    const struct cli_flag flags[] = {
        CLI_HEADING("output"),
        {"json", 0, NULL, NULL, &json, "one JSON object: id, commit, path, files, bytes, fetched"},
        CLI_QUIET_FLAG(common),
    };
    const struct cli_verb verb = {
        "pull",
        "org/name[@revision]",
        "Fetches a checkpoint from a hub into the cache of Hugging Face's tools, and prints its folder.",
        "Environment: HF_ENDPOINT (the hub), HF_TOKEN (login; or the file HF_HOME/token), HF_HUB_CACHE\n"
        "or HF_HOME (the cache), HF_HUB_OFFLINE, HTTPS_PROXY, CURL_CA_BUNDLE.\n"
        "Afterwards -m org/name finds it without a network.",
        flags,
        sizeof flags / sizeof *flags};
    int first, end = cli_parse(&verb, argc, argv, &first);
    if (end >= 0)
        return end;
    if (first + 1 != argc)
        return cli_usage(&verb, first == argc ? "an id is needed: org/name" : "one id at a time");
    struct berth_progress progress;
    berth_progress_begin(&progress, common.quiet ? NULL : stderr, "kB", 0);
    options.progress = show_progress;
    options.progress_context = &progress;
    options.log = common.quiet ? NULL : print_remark;
    struct berth_pulled pulled;
    struct berth_error err;
    enum berth_status status = berth_pull(argv[first], &options, &pulled, &err);
    berth_progress_end(&progress, status == BERTH_OK ? (size_t)(pulled.bytes / 1000) : 0);
    if (status != BERTH_OK)
        return cli_fail("pull", &err);
    int exit_status = print_result(argv[first], &pulled, json);
    berth_memory_free(pulled.path);
    return exit_status;
}
