/* flags.c: table-driven options over getopt_long. */
#include "cli/flags.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "berth/berth.h"

enum { FLAGS_MAX = 64, FIRST_CODE = 256, HELP_CODE = 'h', VERSION_CODE = FIRST_CODE - 1 };
enum { HELP_FIRST = 34, HELP_WIDTH = 100 }; /* columns of --help */

bool cli_read_string(void *target, const char *value)
{
    *(const char **)target = value;
    return true;
}

bool cli_read_strings(void *target, const char *value)
{
    struct cli_strings *list = target;
    if (list->count == CLI_LIST_MAX)
        return false;
    list->item[list->count++] = value;
    return true;
}

bool cli_read_size(void *target, const char *value)
{
    char *end;
    if (*value < '0' || *value > '9')
        return false;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (errno || *end || number > SIZE_MAX / 4)
        return false;
    *(size_t *)target = (size_t)number;
    return true;
}

bool cli_read_positive(void *target, const char *value)
{
    size_t number;
    if (!cli_read_size(&number, value) || number == 0)
        return false;
    *(size_t *)target = number;
    return true;
}

bool cli_read_sizes(void *target, const char *value)
{
    struct cli_sizes *list = target;
    while (*value) {
        char number[24];
        size_t length = strcspn(value, ",");
        if (length == 0 || length >= sizeof number || list->count == CLI_LIST_MAX)
            return false;
        memcpy(number, value, length);
        number[length] = 0;
        if (!cli_read_positive(&list->item[list->count], number))
            return false;
        list->count++;
        value += length;
        if (*value == ',' && *++value == 0)
            return false;
    }
    return list->count > 0;
}

bool cli_read_precision(void *target, const char *value)
{
    return berth_precision_parse(value, target);
}

bool cli_read_runtime(void *target, const char *value)
{
    return berth_runtime_parse(value, target);
}

bool cli_read_optimization(void *target, const char *value)
{
    return berth_optimization_parse(value, target);
}

/* The place of value among the words; -1: it is none of them. */
static int find_word(const char *value, const char *const *words, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(words[i], value) == 0)
            return i;
    return -1;
}

bool cli_read_layout(void *target, const char *value)
{
    static const char *const words[] = {"text", "jsonl", "tsv", "csv"};
    static const enum berth_layout layouts[] = {BERTH_LAYOUT_LINES, BERTH_LAYOUT_JSONL, BERTH_LAYOUT_TSV,
                                                BERTH_LAYOUT_CSV};
    int found = find_word(value, words, 4);
    if (found >= 0)
        *(enum berth_layout *)target = layouts[found];
    return found >= 0;
}

bool cli_read_isa(void *target, const char *value)
{
    static const char *const words[] = {"scalar", "avx2", "avx512", "vnni", "amx"};
    *(const char **)target = value;
    return find_word(value, words, sizeof words / sizeof *words) >= 0;
}

bool cli_read_task(void *target, const char *value)
{
    static const char *const words[] = {"cola", "sst2", "mrpc", "stsb", "qqp",  "mnli",
                                        "qnli", "rte",  "wnli", "csv",  "jsonl"};
    *(const char **)target = value;
    return find_word(value, words, sizeof words / sizeof *words) >= 0;
}

bool cli_read_tokenizer_option(void *target, const char *value)
{
    struct berth_options *options = target;
    struct {
        const char *key;
        enum berth_override *override;
    } keys[] = {{"do_lower_case=", &options->do_lower_case},
                {"strip_accents=", &options->strip_accents},
                {"tokenize_chinese_chars=", &options->tokenize_chinese_chars},
                {"add_special_tokens=", &options->add_special_tokens}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        size_t length = strlen(keys[i].key);
        if (strncmp(value, keys[i].key, length) != 0)
            continue;
        const char *word = value + length;
        bool on = strcmp(word, "true") == 0, off = strcmp(word, "false") == 0,
             open = strcmp(word, "null") == 0;
        *keys[i].override = on ? BERTH_FORCE_ON : off ? BERTH_FORCE_OFF : BERTH_FROM_FILES;
        return on || off || open;
    }
    return false;
}

/* Words of the text in the columns from FIRST on, in as many lines as they take. */
static void print_wrapped(const char *text)
{
    size_t column = HELP_FIRST;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column > HELP_FIRST && column + 1 + word > HELP_WIDTH) {
            printf("\n%*s", HELP_FIRST, "");
            column = HELP_FIRST;
        } else if (column > HELP_FIRST) {
            putchar(' ');
            column++;
        }
        printf("%.*s", (int)word, text);
        column += word;
        text += word + strspn(text + word, " ");
    }
    putchar('\n');
}

static void print_flag(const struct cli_flag *flag)
{
    char left[64], letter[] = "-?, ";
    letter[1] = flag->letter;
    snprintf(left, sizeof left, "  %4s--%s%s%s", flag->letter ? letter : "", flag->name,
             flag->argument ? " " : "", flag->argument ? flag->argument : "");
    printf("%-*s", HELP_FIRST, left);
    if (strlen(left) >= HELP_FIRST) /* too long for its column: a line of its own */
        printf("\n%*s", HELP_FIRST, "");
    print_wrapped(flag->help);
}

static void print_help(const struct cli_verb *verb)
{
    printf("usage: berth %s %s\n\n%s\n", verb->name, verb->usage, verb->summary);
    for (size_t i = 0; i < verb->flag_count; i++)
        if (verb->flags[i].name)
            print_flag(&verb->flags[i]);
        else
            printf("\n%s:\n", verb->flags[i].help);
    print_flag(&(struct cli_flag){"help", 'h', NULL, NULL, NULL, "this text"});
    print_flag(&(struct cli_flag){"version", 0, NULL, NULL, NULL, "the version of berth"});
    if (verb->notes)
        printf("\n%s\n", verb->notes);
}

int cli_usage(const struct cli_verb *verb, const char *format, ...)
{
    fprintf(stderr, "berth %s: ", verb->name);
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "; see berth %s --help\n", verb->name);
    return CLI_USAGE;
}

int cli_parse(const struct cli_verb *verb, int argc, char **argv, int *first)
{
    struct option longs[FLAGS_MAX + 3] = {{0}};
    char shorts[2 * FLAGS_MAX + 4] = ":h";
    size_t used = strlen(shorts), count = 0;
    if (verb->flag_count > FLAGS_MAX)
        return cli_usage(verb, "more than %d options", FLAGS_MAX);
    for (size_t i = 0; i < verb->flag_count; i++) {
        const struct cli_flag *flag = &verb->flags[i];
        if (!flag->name)
            continue;
        longs[count++] = (struct option){flag->name, flag->argument ? required_argument : no_argument, NULL,
                                         FIRST_CODE + (int)i};
        if (flag->letter) {
            shorts[used++] = flag->letter;
            if (flag->argument)
                shorts[used++] = ':';
        }
    }
    longs[count++] = (struct option){"help", no_argument, NULL, HELP_CODE};
    longs[count] = (struct option){"version", no_argument, NULL, VERSION_CODE};
    optind = 1;
    for (int code; (code = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        if (code == HELP_CODE) {
            print_help(verb);
            return CLI_OK;
        }
        if (code == VERSION_CODE) {
            printf("berth %s\n", berth_version());
            return CLI_OK;
        }
        if (code == ':')
            return cli_usage(verb, "option '%s' needs a value", argv[optind - 1]);
        const struct cli_flag *flag = NULL;
        for (size_t i = 0; i < verb->flag_count && !flag; i++)
            if (code == FIRST_CODE + (int)i || (code < FIRST_CODE && code == verb->flags[i].letter))
                flag = &verb->flags[i];
        if (code == '?' || !flag)
            return cli_usage(verb, "unknown option '%s'", argv[optind - 1]);
        if (!flag->argument)
            *(bool *)flag->target = true;
        else if (!flag->read(flag->target, optarg))
            return cli_usage(verb, "--%s: '%s' is not a valid %s: %s", flag->name, optarg, flag->argument,
                             flag->help);
    }
    *first = optind;
    return -1;
}
