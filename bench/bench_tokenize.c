/* bench_tokenize.c: speed of tokenising on one core, in MB of text a second: real English (the sentences of
 * SST-2's training set, one by one as a server would, and as one long text), and texts that bad code is slow
 * on. For the latter also a text twice as long: the ratio of times shows that cost is linear.
 *
 * bench_tokenize [--runs N] [--json], data below BERTH_SHARED (default ../shared) */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "base/file.h"
#include "text/tokenizer.h"

enum { RUNS_MAX = 101, MEGABYTE = 1 << 20, TEXT_MAX = 64 << 20 };

struct bench {
    const struct berth_tokenizer *tokenizer;
    size_t runs;
    bool json;
    bool first; /* line of the JSON list */
};

/* Texts end to end, each ended by a newline. */
struct texts {
    const char *name;
    struct berth_buffer bytes;
    bool split; /* a text a line, else one text */
};

static void die(const char *message)
{
    fprintf(stderr, "bench_tokenize: %s\n", message);
    exit(1);
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds of this thread on a core: others' work on the machine counts little. */
static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Tokens of all texts. */
static size_t encode_all(const struct bench *bench, const struct texts *texts, size_t size,
                         struct berth_encoding *encoding)
{
    const char *at = texts->bytes.data, *end = at + size;
    size_t tokens = 0;
    while (at < end) {
        const char *stop = texts->split ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        stop = stop ? stop : end;
        if (berth_tokenizer_encode(bench->tokenizer, at, (size_t)(stop - at), NULL, 0, 0, encoding, NULL) !=
            BERTH_OK)
            die("out of memory");
        tokens += encoding->size;
        at = stop + 1;
    }
    return tokens;
}

/* Median seconds for the first `size` bytes. */
static double measure(const struct bench *bench, const struct texts *texts, size_t size, size_t *tokens,
                      double *low, double *high)
{
    double seconds[RUNS_MAX];
    struct berth_encoding encoding = {0};
    *tokens = encode_all(bench, texts, size, &encoding); /* warms up */
    for (size_t r = 0; r < bench->runs; r++) {
        const double start = now();
        encode_all(bench, texts, size, &encoding);
        seconds[r] = now() - start;
    }
    berth_encoding_clear(&encoding);
    qsort(seconds, bench->runs, sizeof seconds[0], compare_doubles);
    *low = seconds[bench->runs / 4];
    *high = seconds[bench->runs * 3 / 4];
    return seconds[bench->runs / 2];
}

static void report(struct bench *bench, struct texts *texts)
{
    double low, high, half_low, half_high;
    size_t tokens, half_tokens, size = texts->bytes.size;
    const double whole = measure(bench, texts, size, &tokens, &low, &high);
    const double half = measure(bench, texts, size / 2, &half_tokens, &half_low, &half_high);
    const double megabytes = (double)size * 1e-6;
    if (bench->json)
        printf(
            "%s{\"text\": \"%s\", \"bytes\": %zu, \"tokens\": %zu, \"mb_per_s\": %.4g, \"mb_per_s_low\": "
            "%.4g, "
            "\"mb_per_s_high\": %.4g, \"time_of_whole_over_half\": %.3g}",
            bench->first ? "" : ",\n ", texts->name, size, tokens, megabytes / whole, megabytes / high,
            megabytes / low, whole / half);
    else
        printf("%-22s %9.2f MB %9zu tokens  %7.1f MB/s  (%.1f .. %.1f)  %7.1f Mtokens/s  whole/half %.2f\n",
               texts->name, megabytes, tokens, megabytes / whole, megabytes / high, megabytes / low,
               (double)tokens * 1e-6 / whole, whole / half);
    fflush(stdout);
    bench->first = false;
    berth_buffer_clear(&texts->bytes);
}

static struct texts begin(const char *name, bool split)
{
    struct texts texts = {.name = name, .split = split};
    berth_buffer_init(&texts.bytes, TEXT_MAX);
    return texts;
}

static void append(struct texts *texts, const char *bytes, size_t size)
{
    if (!berth_buffer_append(&texts->bytes, bytes, size))
        die("out of memory");
}

/* A megabyte of one string, again and again. */
static void report_repeated(struct bench *bench, const char *name, const char *unit)
{
    struct texts texts = begin(name, false);
    const size_t size = strlen(unit);
    while (texts.bytes.size + size <= MEGABYTE)
        append(&texts, unit, size);
    report(bench, &texts);
}

/* The sentences of a TSV: its first column, without the header. */
static void report_sentences(struct bench *bench, const char *path, bool split, bool spaces)
{
    char *data;
    size_t size;
    if (berth_file_read(path, TEXT_MAX, &data, &size, NULL) != BERTH_OK) {
        fprintf(stderr, "bench_tokenize: %s is missing: no figure for real text\n", path);
        return;
    }
    struct texts texts = begin(split    ? "sst2 sentences"
                               : spaces ? "sst2 as one text"
                                        : "sst2 without spaces",
                               split);
    const char *end = data + size, *at = memchr(data, '\n', size);
    while (at && ++at < end && (spaces || texts.bytes.size < MEGABYTE)) {
        const char *stop = memchr(at, '\t', (size_t)(end - at));
        if (!stop)
            break;
        for (; at < stop && !spaces; at++)
            if (*at != ' ')
                append(&texts, at, 1);
        append(&texts, at, (size_t)(stop - at));
        if (spaces)
            append(&texts, "\n", 1);
        at = memchr(stop, '\n', (size_t)(end - stop));
    }
    free(data);
    report(bench, &texts);
}

static void report_open(struct bench *bench, const char *path)
{
    double ms[RUNS_MAX];
    for (size_t r = 0; r < bench->runs; r++) {
        struct berth_tokenizer *tokenizer;
        const double start = now();
        if (berth_tokenizer_open_vocab(path, NULL, &tokenizer, NULL) != BERTH_OK)
            return;
        ms[r] = (now() - start) * 1e3;
        berth_tokenizer_free(tokenizer);
    }
    qsort(ms, bench->runs, sizeof ms[0], compare_doubles);
    const char *name = strrchr(path, '/');
    if (bench->json)
        printf("%s{\"open\": \"%s\", \"ms\": %.4g}", bench->first ? "" : ",\n ", name + 1,
               ms[bench->runs / 2]);
    else
        printf("opening %s: %.2f ms\n", name + 1, ms[bench->runs / 2]);
    bench->first = false;
}

int main(int argc, char **argv)
{
    struct bench bench = {.runs = 9, .first = true};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--json") == 0)
            bench.json = true;
        else if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc && atoi(argv[i + 1]) > 0 &&
                 atoi(argv[i + 1]) <= RUNS_MAX)
            bench.runs = (size_t)atoi(argv[++i]);
        else {
            fprintf(stderr, "usage: bench_tokenize [--runs N] [--json]\n");
            return 2;
        }
    const char *shared = getenv("BERTH_SHARED");
    char vocab[4096], json[4096], sst2[4096];
    snprintf(vocab, sizeof vocab, "%s/data/vocab/bert-base-uncased-vocab.txt", shared ? shared : "../shared");
    snprintf(json, sizeof json, "%s/data/vocab/bert-base-uncased-tokenizer.json",
             shared ? shared : "../shared");
    snprintf(sst2, sizeof sst2, "%s/data/sst2/train.tsv", shared ? shared : "../shared");
    struct berth_tokenizer *tokenizer;
    struct berth_error err;
    if (berth_tokenizer_open_vocab(vocab, NULL, &tokenizer, &err) != BERTH_OK)
        die(err.message);
    bench.tokenizer = tokenizer;
    if (bench.json)
        printf("{\"target_mb_per_s\": 50, \"cells\": [\n ");
    report_sentences(&bench, sst2, true, true);
    report_sentences(&bench, sst2, false, true);
    report_sentences(&bench, sst2, false, false);
    report_repeated(&bench, "one letter", "a");
    report_repeated(
        &bench, "unknown words",
        "zqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzqzq\xc6\xbf ");
    report_repeated(&bench, "punctuation", "...,!");
    report_repeated(&bench, "chinese", "\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97");
    report_repeated(&bench, "accents", "r\xc3\xa9sum\xc3\xa9 \xc3\xbc\x62\x65r stra\xc3\x9f\x65 ");
    report_repeated(&bench, "cyrillic",
                    "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 \xd0\xbc\xd0\xb8\xd1\x80 ");
    report_repeated(&bench, "hangul", "\xed\x95\x9c\xea\xb5\xad\xec\x96\xb4 ");
    report_repeated(&bench, "combining marks", "\xcc\x81\xcc\xa3");
    report_repeated(&bench, "spacing marks", "\xe3\x80\xae\xf0\x9d\x85\xa5"); /* kept, and reordered */
    report_repeated(&bench, "special tokens", "[SEP]");
    report_repeated(&bench, "almost special tokens", "[SEP[MAS[");
    report_repeated(&bench, "ill-formed bytes", "\xff\xe2\x82");
    report_open(&bench, vocab);
    report_open(&bench, json);
    if (bench.json)
        printf("\n]}\n");
    berth_tokenizer_free(tokenizer);
    return 0;
}
