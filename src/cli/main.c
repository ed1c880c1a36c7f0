/* main.c: finds the verb. Each verb is one file: its options, and wiring of the library. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "berth/berth.h"
#include "cli/verbs.h"

struct entry {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};

static const struct entry entries[] = {
    {"tokenize", cli_tokenize, "text to token ids"},
    {"predict", cli_predict, "text to labels"},
    {"eval", cli_eval, "metrics of a model on labelled data"},
    {"finetune", cli_finetune, "trains a classifier"},
    {"vocab", cli_vocab, "trains a WordPiece vocabulary"},
    {"info", cli_info, "what a model is, and what running it costs"},
    {"serve", cli_serve, "HTTP server"},
    {"bench", cli_bench, "measures deployments, in process and over HTTP"},
    {"convert", cli_convert, "a model into another format"},
    {"pull", cli_pull, "fetches a checkpoint from a hub into the cache"},
    {"quantize", cli_quantize, "an int8 or bf16 checkpoint, and what it costs"},
    {"report", cli_report, "tables and plots of results"},
    {"export", cli_export, "raw latencies as CSV or JSON"},
    {"compare", cli_compare, "whether two runs differ"},
    {"recommend", cli_recommend, "the cheapest deployment that meets an objective"},
    {"demo", cli_demo, "the page: what each deployment answers, and how fast"},
};

static void print_usage(FILE *stream)
{
    fputs(
        "usage: berth VERB [OPTIONS]\n\n"
        "berth takes a BERT-family text classifier from a checkpoint to production.\n\nverbs:\n",
        stream);
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        fprintf(stream, "  %-10s %s\n", entries[i].name, entries[i].summary);
    fputs("\nberth VERB --help tells a verb's options; berth --version the version.\n", stream);
}

static int run_verb(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return CLI_USAGE;
    }
    const char *verb = argv[1];
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0 || (strcmp(verb, "help") == 0 && argc == 2)) {
        print_usage(stdout);
        return CLI_OK;
    }
    if (strcmp(verb, "--version") == 0 || strcmp(verb, "version") == 0) {
        printf("berth %s\n", berth_version());
        return CLI_OK;
    }
    if (strcmp(verb, "help") == 0) { /* berth help VERB */
        static char help[] = "--help";
        verb = argv[2];
        argv[2] = help;
    }
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        if (strcmp(verb, entries[i].name) == 0)
            return entries[i].run(argc - 1, argv + 1);
    fprintf(stderr, "berth: there is no verb '%s'; see berth --help\n", verb);
    return CLI_USAGE;
}

int main(int argc, char **argv)
{
    int status = run_verb(argc, argv);
    if (status == CLI_OK && (fflush(stdout) != 0 || ferror(stdout))) { /* help and version go there too */
        fprintf(stderr, "berth: cannot write to standard output: %s\n", strerror(errno ? errno : EIO));
        return CLI_FAILED;
    }
    return status;
}
