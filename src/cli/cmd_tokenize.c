/* cmd_tokenize.c: `berth tokenize`: a JSON object a text. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/common.h"
#include "cli/verbs.h"

enum padding { PADDING_NONE, PADDING_LONGEST, PADDING_MAX };

static bool read_padding(void *target, const char *value)
{
    static const char *const words[] = {"none", "longest", "max"};
    for (int i = 0; i < 3; i++)
        if (strcmp(value, words[i]) == 0) {
            *(enum padding *)target = (enum padding)i;
            return true;
        }
    return false;
}

/* One encoded text, kept until the longest is known. */
struct row {
    size_t size;
    int32_t *ids;
    uint8_t *types;
};

static void write_row(FILE *out, const struct berth_model *model, const int32_t *ids, const uint8_t *types,
                      size_t size, size_t padded)
{
    int32_t pad = berth_token_pad(model);
    fputs("{\"tokens\": [", out);
    for (size_t i = 0; i < padded; i++) {
        const char *token = berth_token_text(model, i < size ? ids[i] : pad);
        fputs(i ? ", " : "", out);
        cli_json_string(out, token, strlen(token));
    }
    fputs("], \"ids\": [", out);
    for (size_t i = 0; i < padded; i++)
        fprintf(out, "%s%d", i ? ", " : "", (int)(i < size ? ids[i] : pad));
    fputs("], \"type_ids\": [", out);
    for (size_t i = 0; i < padded; i++)
        fprintf(out, "%s%d", i ? ", " : "", i < size ? types[i] : 0);
    fputs("], \"attention_mask\": [", out);
    for (size_t i = 0; i < padded; i++)
        fprintf(out, "%s%d", i ? ", " : "", i < size);
    fputs("]}\n", out);
}

static enum berth_status no_memory(struct berth_error *err)
{
    snprintf(err->message, sizeof err->message,
             "out of memory for the tokens; without --padding longest nothing is kept");
    return err->status = BERTH_NO_MEMORY;
}

static bool keep(struct row *row, const struct berth_tokens *tokens)
{
    *row = (struct row){tokens->size, malloc(tokens->size * sizeof *row->ids + 1), malloc(tokens->size + 1)};
    if (!row->ids || !row->types)
        return false;
    memcpy(row->ids, tokens->ids, tokens->size * sizeof *row->ids);
    memcpy(row->types, tokens->type_ids, tokens->size);
    return true;
}

static enum berth_status tokenize_all(const struct berth_model *model, struct berth_reader *reader,
                                      enum padding padding, FILE *out, struct berth_error *err)
{
    struct berth_tokens tokens = {0};
    struct row *rows = NULL;
    size_t count = 0, capacity = 0, longest = 0;
    size_t limit = berth_model_get_info(model)->max_length;
    enum berth_status status;
    for (;;) {
        struct berth_record record;
        bool end;
        status = berth_reader_next(reader, &record, &end, err);
        if (status != BERTH_OK || end)
            break;
        status = berth_tokenize(model, &record.text, 0, &tokens, err);
        if (status != BERTH_OK)
            break;
        if (padding != PADDING_LONGEST) {
            write_row(out, model, tokens.ids, tokens.type_ids, tokens.size,
                      padding == PADDING_MAX ? limit : tokens.size);
            if (!berth_reader_ready(reader))
                fflush(out);
            continue;
        }
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 256;
            struct row *grown = realloc(rows, capacity * sizeof *rows);
            if (!grown) {
                status = no_memory(err);
                break;
            }
            rows = grown;
        }
        if (!keep(&rows[count++], &tokens)) {
            status = no_memory(err);
            break;
        }
        longest = tokens.size > longest ? tokens.size : longest;
    }
    for (size_t i = 0; i < count; i++) {
        if (status == BERTH_OK)
            write_row(out, model, rows[i].ids, rows[i].types, rows[i].size, longest);
        free(rows[i].ids);
        free(rows[i].types);
    }
    free(rows);
    berth_tokens_clear(&tokens);
    return status;
}

/* One line of ids, [1, 2] or {"ids": [1, 2]}, to text. */
static enum berth_status decode_line(const struct berth_model *model, const struct berth_text *line,
                                     size_t number, bool keep_special, FILE *out, struct berth_error *err)
{
    json_t *root = json_loadb(line->text, line->size, 0, NULL);
    const json_t *array = json_is_object(root) ? json_object_get(root, "ids") : root, *item;
    int32_t *ids = calloc(json_array_size(array) + 1, sizeof *ids);
    char *text = NULL;
    enum berth_status status = ids && json_is_array(array) ? BERTH_OK : BERTH_FORMAT;
    size_t i;
    json_array_foreach(array, i, item)
    {
        json_int_t id = json_integer_value(item);
        if (!json_is_integer(item) || id < 0 || id > INT32_MAX)
            status = BERTH_FORMAT;
        else if (ids)
            ids[i] = (int32_t)id;
    }
    if (status == BERTH_OK)
        status = berth_detokenize(model, ids, json_array_size(array), !keep_special, true, &text, err);
    else {
        err->status = status;
        snprintf(err->message, sizeof err->message,
                 "line %zu: a JSON list of token ids, or an object with \"ids\", is needed", number);
    }
    if (status == BERTH_OK)
        fprintf(out, "%s\n", text);
    berth_memory_free(text);
    free(ids);
    json_decref(root);
    return status;
}

static enum berth_status decode_all(const struct berth_model *model, struct berth_reader *reader,
                                    bool keep_special, FILE *out, struct berth_error *err)
{
    for (;;) {
        struct berth_record record;
        bool end;
        enum berth_status status = berth_reader_next(reader, &record, &end, err);
        if (status != BERTH_OK || end)
            return status;
        status = decode_line(model, &record.text, record.line, keep_special, out, err);
        if (status != BERTH_OK)
            return status;
    }
}

int cli_tokenize(int argc, char **argv)
{
    struct cli_common common = {.options.tokenizer_only = true};
    const char *input = NULL, *output_path = NULL;
    enum berth_layout layout = BERTH_LAYOUT_LINES;
    struct berth_columns columns = {0};
    enum padding padding = PADDING_NONE;
    bool decode = false, keep_special = false;
    const struct cli_flag flags[] = {
        CLI_MODEL_FLAG(common),
        CLI_INPUT_FLAGS(input, layout, columns),
        {"output", 'o', "FILE", cli_read_string, &output_path, "write there instead of standard output"},
        CLI_LENGTH_FLAG(common),
        {"padding", 0, "P", read_padding, &padding,
         "none (default), longest (of the input) or max (the maximum length)"},
        CLI_TOKENIZER_FLAG(common),
        {"vocab", 0, "FILE", cli_read_string, &common.options.vocab,
         "vocab.txt or tokenizer.json to use instead of the model's"},
        {"decode", 0, NULL, NULL, &decode, "the other way: lines of JSON ids to text"},
        {"keep-special", 0, NULL, NULL, &keep_special, "with --decode: write special tokens too"},
        CLI_QUIET_FLAG(common),
    };
    const struct cli_verb verb = {
        "tokenize",
        "-m MODEL [-i FILE] [OPTIONS]",
        "Turns texts into token ids: a JSON object a line with tokens, ids, type_ids and attention_mask.",
        "A folder with a vocabulary but no weights is enough.",
        flags,
        sizeof flags / sizeof *flags};
    int first, end = cli_parse(&verb, argc, argv, &first);
    if (end >= 0)
        return end;
    if (!common.model)
        return cli_usage(&verb, "no model; give -m MODEL");
    if (first < argc)
        return cli_usage(&verb, "unexpected argument '%s'; texts come from -i FILE or standard input",
                         argv[first]);
    cli_log_to_stderr(&common);
    struct berth_error err;
    struct berth_model *model;
    struct berth_reader *reader = NULL;
    struct cli_output output;
    if (berth_model_open(common.model, &common.options, &model, &err) != BERTH_OK)
        return cli_fail("tokenize", &err);
    int exit_status;
    if (padding == PADDING_MAX && berth_model_get_info(model)->max_length == 0)
        exit_status = cli_usage(&verb, "--padding max needs --max-length, as the model's files set no limit");
    else if (padding != PADDING_NONE && berth_token_pad(model) < 0)
        exit_status = cli_usage(&verb, "--padding: the vocabulary has no padding token");
    else if (berth_reader_open(input, decode ? BERTH_LAYOUT_LINES : layout, &columns, &reader, &err) !=
                 BERTH_OK ||
             cli_output_open(&output, output_path, &err) != BERTH_OK)
        exit_status = cli_fail("tokenize", &err);
    else {
        enum berth_status status = decode ? decode_all(model, reader, keep_special, output.stream, &err)
                                          : tokenize_all(model, reader, padding, output.stream, &err);
        exit_status = cli_output_close(&output, "tokenize", status, &err);
    }
    berth_reader_close(reader);
    berth_model_free(model);
    return exit_status;
}
