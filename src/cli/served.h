/* served.h: what `berth serve` and `berth demo` read alike: models with their own options, and the page. */
#ifndef BERTH_CLI_SERVED_H
#define BERTH_CLI_SERVED_H

#include "cli/common.h"

/* One -m: NAME=MODEL[,key=value ...]. Takes the argument apart in place; false, with what is wrong in
 * `fault`. */
bool cli_parse_served(char *argument, const struct berth_options *defaults, struct berth_served_model *served,
                      char *fault, size_t size);

/* Starts the server, prints where it listens and serves until SIGTERM or SIGINT; `greet` (may be NULL) is
 * called with the address when it is ready. Returns the exit status. */
int cli_serve_until_signal(struct berth_server_options *options, const char *verb,
                           void (*greet)(const char *url));

/* The page's options as they are on the command line. */
struct cli_page {
    struct berth_page_options options;
    struct cli_strings remotes;
    struct berth_page_remote remote[CLI_LIST_MAX];
};

#define CLI_PAGE_FLAGS(p)                                                                                   \
    CLI_HEADING("the page, at /"),                                                                          \
        {"data",                                                                                            \
         0,                                                                                                 \
         "FILE",                                                                                            \
         cli_read_string,                                                                                   \
         &(p).options.data,                                                                                 \
         "its labelled sentences: a GLUE file, .csv or .jsonl (default: bundled reviews)"},                 \
        {"task",                                                                                            \
         0,                                                                                                 \
         "T",                                                                                               \
         cli_read_task,                                                                                     \
         &(p).options.task,                                                                                 \
         "the layout of --data (default: told from the file)"},                                             \
        {"results",                                                                                         \
         0,                                                                                                 \
         "FILE",                                                                                            \
         cli_read_string,                                                                                   \
         &(p).options.results,                                                                              \
         "results file: keeps the page's log, and has the report's figures"},                               \
    {                                                                                                       \
        "remote", 0, "NAME=URL", cli_read_strings, &(p).remotes,                                            \
            "a deployment elsewhere to compare with: http://HOST:PORT, .../v2/models/NAME or .../inference" \
    }

/* Takes the remotes apart, checks their names against the models'; false, with what is wrong in `fault`. */
bool cli_read_page(struct cli_page *page, const struct berth_served_model *served, size_t count, char *fault,
                   size_t size);

#endif
