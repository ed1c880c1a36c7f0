/* flags.h: options of the program's verbs as tables: each row parses itself and prints its line of --help. */
#ifndef BERTH_CLI_FLAGS_H
#define BERTH_CLI_FLAGS_H

#include <stdbool.h>
#include <stddef.h>

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };
enum { CLI_LIST_MAX = 64 };

struct cli_strings {
    const char *item[CLI_LIST_MAX];
    size_t count;
};

struct cli_sizes {
    size_t item[CLI_LIST_MAX];
    size_t count;
};

/* Reads one value into target; false: not a value of this kind. */
typedef bool cli_reader(void *target, const char *value);

struct cli_flag {
    const char *name;     /* "max-length"; NULL: a heading of the help, which is all it has */
    char letter;          /* 0: none */
    const char *argument; /* "N" in help; NULL: a switch, target is bool */
    cli_reader *read;     /* NULL for a switch */
    void *target;
    const char *help;
};

#define CLI_HEADING(title)               \
    {                                    \
        NULL, 0, NULL, NULL, NULL, title \
    }

/* Readers. Lists take commas and may be given several times. */
bool cli_read_string(void *target, const char *value);   /* const char * */
bool cli_read_strings(void *target, const char *value);  /* struct cli_strings, one a time */
bool cli_read_size(void *target, const char *value);     /* size_t, decimal */
bool cli_read_positive(void *target, const char *value); /* size_t, 1 and more */
bool cli_read_sizes(void *target, const char *value);    /* struct cli_sizes, each 1 and more */
bool cli_read_precision(void *target, const char *value);
bool cli_read_runtime(void *target, const char *value);
bool cli_read_optimization(void *target, const char *value);
bool cli_read_layout(void *target, const char *value);
bool cli_read_isa(void *target, const char *value);              /* const char * */
bool cli_read_task(void *target, const char *value);             /* const char * */
bool cli_read_tokenizer_option(void *target, const char *value); /* struct berth_options, KEY=true|false */

struct cli_verb {
    const char *name;    /* "predict" */
    const char *usage;   /* "-m MODEL [TEXT ...]" */
    const char *summary; /* one sentence */
    const char *notes;   /* printed below the options; may be NULL */
    const struct cli_flag *flags;
    size_t flag_count;
};

/* Parses argv[1..]. Returns -1 to go on, else the exit status to end with (--help and --version were
 * answered, or the usage was wrong and said so on stderr). *first is the index of the first argument that is
 * no option. */
int cli_parse(const struct cli_verb *verb, int argc, char **argv, int *first);

/* "berth VERB: MESSAGE" and a pointer to --help, on stderr; returns CLI_USAGE. */
int cli_usage(const struct cli_verb *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
