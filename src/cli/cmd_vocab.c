/* cmd_vocab.c: `berth vocab`: trains a vocabulary, writes it whole or not at all. */
#include "base/progress.h"
#include "cli/common.h"
#include "cli/verbs.h"

/* First texts are counted, then tokens. */
static bool show_progress(void *context, size_t done, size_t total)
{
    struct berth_progress *progress = context;
    progress->what = total ? "tokens" : "texts";
    progress->total = total;
    berth_progress_update(progress, done);
    return true;
}

static void print_report(const struct berth_vocab_options *training, const struct berth_vocab_report *report)
{
    fprintf(stderr, "berth: %zu tokens, %zu characters among them, of %zu words in %zu texts\n",
            report->tokens, report->alphabet, report->words, report->texts);
    if (report->left_out > 0)
        fprintf(stderr,
                "berth: note: words with one of the %zu rarer characters are unknown; "
                "--limit-alphabet takes more\n",
                report->left_out);
    if (report->tokens < training->size)
        fprintf(stderr,
                "berth: note: the corpus has no more pairs that come so often; "
                "--min-frequency 1 or more texts give more tokens\n");
}

/* The output is opened first: an hour's work is not lost to a folder that is not there. */
static int train(const struct berth_vocab_options *training, const char *output_path,
                 struct berth_progress *progress)
{
    struct berth_error err;
    struct cli_output output;
    struct berth_vocab_report report;
    char *vocab;
    size_t size;
    if (cli_output_open(&output, output_path, &err) != BERTH_OK)
        return cli_fail("vocab", &err);
    enum berth_status status = berth_vocab_train(training, &vocab, &size, &report, &err);
    if (status == BERTH_OK)
        fwrite(vocab, 1, size, output.stream); /* a failure is found when the output is closed */
    berth_memory_free(vocab);
    berth_progress_end(progress, status == BERTH_OK ? report.tokens : 0);
    const int exit_status = cli_output_close(&output, "vocab", status, &err);
    if (exit_status == CLI_OK && progress->stream)
        print_report(training, &report);
    return exit_status;
}

int cli_vocab(int argc, char **argv)
{
    struct cli_common common = {0};
    struct berth_vocab_options training = {0};
    const char *output_path = NULL;
    const struct cli_flag flags[] = {
        CLI_HEADING("corpus"),
        {"corpus", 0, "FILE", cli_read_string, &training.corpus, "texts; - is standard input"},
        {"input-format", 0, "F", cli_read_layout, &training.layout,
         "text (default: a line a text), jsonl, tsv or csv"},
        {"text-column", 0, "NAME", cli_read_string, &training.columns.text, "column or key of the text"},
        {"pair-column", 0, "NAME", cli_read_string, &training.columns.pair,
         "column or key of the second text"},
        CLI_HEADING("vocabulary"),
        {"size", 0, "N", cli_read_positive, &training.size, "tokens, special ones and characters included"},
        {"limit-alphabet", 0, "N", cli_read_positive, &training.limit_alphabet,
         "the N most frequent characters alone (default 1000)"},
        {"min-frequency", 0, "N", cli_read_positive, &training.min_frequency,
         "merge pairs that come N times or more (default 2)"},
        {"tokenizer-option", 0, "K=BOOL", cli_read_tokenizer_option, &common.options,
         "do_lower_case, strip_accents, tokenize_chinese_chars"},
        CLI_HEADING("output"),
        CLI_OUTPUT_FLAG(output_path),
        CLI_QUIET_FLAG(common),
    };
    const struct cli_verb verb = {
        "vocab",
        "--corpus FILE --size N [-o vocab.txt]",
        "Trains a WordPiece vocabulary: a token a line, the same for the same texts.",
        "Use it with the same --tokenizer-option as here.",
        flags,
        sizeof flags / sizeof *flags};
    int first, end = cli_parse(&verb, argc, argv, &first);
    if (end >= 0)
        return end;
    if (!training.corpus || training.size == 0)
        return cli_usage(&verb, "--corpus FILE and --size N are needed");
    if (first < argc)
        return cli_usage(&verb, "unexpected argument '%s'", argv[first]);
    training.do_lower_case = common.options.do_lower_case;
    training.strip_accents = common.options.strip_accents;
    training.tokenize_chinese_chars = common.options.tokenize_chinese_chars;
    struct berth_progress progress;
    berth_progress_begin(&progress, common.quiet ? NULL : stderr, "texts", 0);
    training.progress = show_progress;
    training.progress_context = &progress;
    return train(&training, output_path, &progress);
}
