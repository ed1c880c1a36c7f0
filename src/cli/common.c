/* common.c: output, errors and JSON text of all verbs. */
#include "cli/common.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static void print_remark(void *context, enum berth_severity severity, const char *line)
{
    (void)context;
    fprintf(stderr, "berth: %s%s\n",
            severity == BERTH_SEVERITY_ERROR     ? "error: "
            : severity == BERTH_SEVERITY_WARNING ? "note: "
                                                 : "",
            line);
}

void cli_log_to_stderr(struct cli_common *common)
{
    common->options.log = common->quiet ? NULL : print_remark;
}

int cli_fail(const char *verb, const struct berth_error *err)
{
    fprintf(stderr, "berth %s: %s\n", verb, err->message);
    return CLI_FAILED;
}

/* The file that a signal must not leave behind: a signal handler has nothing but globals. */
static char unfinished[PATH_MAX];
static atomic_bool is_unfinished;

static void remove_unfinished(int signal_number)
{
    if (atomic_load(&is_unfinished))
        unlink(unfinished);
    raise(signal_number); /* once more, with the default action: SA_RESETHAND */
}

static void remove_on_signal(const char *path)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    if (!path || strlen(path) >= sizeof unfinished)
        return;
    strcpy(unfinished, path);
    atomic_store(&is_unfinished, true);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct sigaction now, old;
        now = (struct sigaction){.sa_handler = remove_unfinished, .sa_flags = (int)SA_RESETHAND};
        if (sigaction(ends[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL) /* nohup's stays */
            sigaction(ends[i], &now, NULL);
    }
}

enum berth_status cli_output_open(struct cli_output *output, const char *path, struct berth_error *err)
{
    *output = (struct cli_output){.stream = stdout, .to_file = path && strcmp(path, "-") != 0};
    if (!output->to_file)
        return BERTH_OK;
    enum berth_status status = berth_atomic_open(path, &output->file, err);
    output->stream = output->file.stream;
    if (status == BERTH_OK)
        remove_on_signal(output->file.temporary);
    return status;
}

int cli_output_close(struct cli_output *output, const char *verb, enum berth_status status,
                     struct berth_error *err)
{
    if (output->to_file && status == BERTH_OK)
        status = berth_atomic_commit(&output->file, err);
    else if (output->to_file)
        berth_atomic_abort(&output->file);
    else if (fflush(stdout) != 0 || ferror(stdout)) {
        if (status == BERTH_OK) {
            err->status = status = BERTH_IO;
            snprintf(err->message, sizeof err->message, "cannot write to standard output: %s",
                     strerror(errno ? errno : EIO));
        }
    }
    atomic_store(&is_unfinished, false);
    return status == BERTH_OK ? CLI_OK : cli_fail(verb, err);
}

enum berth_status cli_place_error(struct berth_error *err, const char *source, size_t line)
{
    struct berth_error bare = *err;
    snprintf(err->message, sizeof err->message, "%s:%zu: %.900s", source, line, bare.message);
    return err->status;
}

const char *cli_source_name(const char *input)
{
    return input && strcmp(input, "-") != 0 ? input : "standard input";
}

/* Bytes of the well-formed UTF-8 sequence at s, 0 when it is ill-formed. */
static size_t sequence_length(const unsigned char *s, const unsigned char *end)
{
    if (*s < 0x80)
        return 1;
    size_t n = *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : 2;
    if (*s < 0xc2 || *s > 0xf4 || (size_t)(end - s) < n)
        return 0;
    unsigned char low = *s == 0xe0   ? 0xa0
                        : *s == 0xf0 ? 0x90
                                     : 0x80,
                  high = *s == 0xed   ? 0x9f
                         : *s == 0xf4 ? 0x8f
                                      : 0xbf;
    for (size_t i = 1; i < n; i++, low = 0x80, high = 0xbf)
        if (s[i] < low || s[i] > high)
            return 0;
    return n;
}

void cli_json_string(FILE *stream, const char *text, size_t size)
{
    const unsigned char *s = (const unsigned char *)text, *end = s + size;
    putc('"', stream);
    while (s < end) {
        size_t n = sequence_length(s, end);
        if (*s == '"' || *s == '\\')
            fprintf(stream, "\\%c", *s);
        else if (*s == '\n')
            fputs("\\n", stream);
        else if (*s == '\t')
            fputs("\\t", stream);
        else if (*s < 0x20 || *s == 0x7f)
            fprintf(stream, "\\u%04x", *s);
        else if (n == 0)
            fputs("\\ufffd", stream);
        else
            fwrite(s, 1, n, stream);
        s += n ? n : 1;
    }
    putc('"', stream);
}
