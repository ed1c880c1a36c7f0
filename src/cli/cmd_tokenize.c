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

/* Encoded texts, kept until the longest is known. */
struct rows {
    struct row {
        size_t size;
        int32_t *ids;
        uint8_t *types;
    } * row;
    size_t count, capacity, longest;
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

static enum berth_status keep(struct rows *rows, const struct berth_tokens *tokens, struct berth_error *err)
{
    if (rows->count == rows->capacity) {
        size_t capacity = rows->capacity ? 2 * rows->capacity : 256;
        struct row *grown = realloc(rows->row, capacity * sizeof *grown);
        if (!grown)
            goto fail;
        rows->row = grown;
        rows->capacity = capacity;
    }
    struct row *row = &rows->row[rows->count++];
    *row = (struct row){tokens->size, malloc(tokens->size * sizeof *row->ids + 1), malloc(tokens->size + 1)};
    if (!row->ids || !row->types)
        goto fail;
    memcpy(row->ids, tokens->ids, tokens->size * sizeof *row->ids);
    memcpy(row->types, tokens->type_ids, tokens->size);
    rows->longest = tokens->size > rows->longest ? tokens->size : rows->longest;
    return BERTH_OK;
fail:
    snprintf(err->message, sizeof err->message,
             "out of memory for the tokens; without --padding longest nothing is kept");
    return err->status = BERTH_NO_MEMORY;
}

static void clear_rows(struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        free(rows->row[i].ids);
        free(rows->row[i].types);
    }
    free(rows->row);
}

/* With rows, keeps each text for later; without, writes it, `padded` tokens long at least. */
static enum berth_status encode_all(const struct berth_model *model, struct berth_reader *reader,
                                    const char *source, struct rows *rows, size_t padded, FILE *out,
                                    struct berth_error *err)
{
    struct berth_tokens tokens = {0};
    enum berth_status status = BERTH_OK;
    while (status == BERTH_OK && !ferror(out)) { /* nobody reads any more: cli_output_close says why */
        struct berth_record record;
        bool end;
        status = berth_reader_next(reader, &record, &end, err);
        if (status != BERTH_OK || end)
            break;
        status = berth_tokenize(model, &record.text, 0, &tokens, err);
        if (status != BERTH_OK)
            cli_place_error(err, source, record.line);
        else if (rows)
            status = keep(rows, &tokens, err);
        else {
            write_row(out, model, tokens.ids, tokens.type_ids, tokens.size,
                      padded > tokens.size ? padded : tokens.size);
            if (!berth_reader_ready(reader))
                fflush(out);
        }
    }
    berth_tokens_clear(&tokens);
    return status;
}

static enum berth_status tokenize_all(const struct berth_model *model, struct berth_reader *reader,
                                      const char *source, enum padding padding, FILE *out,
                                      struct berth_error *err)
{
    if (padding != PADDING_LONGEST)
        return encode_all(model, reader, source, NULL,
                          padding == PADDING_MAX ? berth_model_get_info(model)->max_length : 0, out, err);
    struct rows rows = {0};
    enum berth_status status = encode_all(model, reader, source, &rows, 0, out, err);
    for (size_t i = 0; i < rows.count && status == BERTH_OK; i++)
        write_row(out, model, rows.row[i].ids, rows.row[i].types, rows.row[i].size, rows.longest);
    clear_rows(&rows);
    return status;
}

/* The ids of a line, [1, 2] or {"ids": [1, 2]}; NULL, with an error, for anything else. Freed by the caller.
 */
static int32_t *read_ids(const struct berth_record *line, const char *source, size_t *count,
                         struct berth_error *err)
{
    json_t *root = json_loadb(line->text.text, line->text.size, 0, NULL);
    const json_t *array = json_is_object(root) ? json_object_get(root, "ids") : root, *item;
    *count = json_array_size(array);
    int32_t *ids = calloc(*count + 1, sizeof *ids);
    bool valid = json_is_array(array);
    size_t i;
    json_array_foreach(array, i, item)
    {
        json_int_t id = json_integer_value(item);
        valid = valid && json_is_integer(item) && id >= 0 && id <= INT32_MAX;
        if (valid && ids)
            ids[i] = (int32_t)id;
    }
    json_decref(root);
    if (ids && valid)
        return ids;
    free(ids);
    err->status = ids ? BERTH_FORMAT : BERTH_NO_MEMORY;
    snprintf(err->message, sizeof err->message, "%s",
             ids ? "a JSON list of token ids, or an object with \"ids\", is needed"
                 : "out of memory for the token ids");
    cli_place_error(err, source, line->line);
    return NULL;
}

static enum berth_status decode_all(const struct berth_model *model, struct berth_reader *reader,
                                    const char *source, bool keep_special, FILE *out, struct berth_error *err)
{
    while (!ferror(out)) {
        struct berth_record record;
        bool end;
        enum berth_status status = berth_reader_next(reader, &record, &end, err);
        if (status != BERTH_OK || end)
            return status;
        size_t count;
        int32_t *ids = read_ids(&record, source, &count, err);
        char *text;
        if (!ids)
            return err->status;
        status = berth_detokenize(model, ids, count, !keep_special, true, &text, err);
        free(ids);
        if (status != BERTH_OK)
            return cli_place_error(err, source, record.line);
        fprintf(out, "%s\n", text);
        berth_memory_free(text);
        if (!berth_reader_ready(reader))
            fflush(out);
    }
    return BERTH_OK;
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
        CLI_HEADING("input"),
        CLI_INPUT_FLAGS(input, layout, columns),
        CLI_HEADING("model"),
        CLI_MODEL_FLAG(common),
        CLI_TOKENIZER_FLAGS(common),
        CLI_HEADING("output"),
        CLI_OUTPUT_FLAG(output_path),
        {"padding", 0, "P", read_padding, &padding,
         "none (default), longest (of the input) or max (the maximum length)"},
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
        enum berth_status status =
            decode ? decode_all(model, reader, cli_source_name(input), keep_special, output.stream, &err)
                   : tokenize_all(model, reader, cli_source_name(input), padding, output.stream, &err);
        exit_status = cli_output_close(&output, "tokenize", status, &err);
    }
    berth_reader_close(reader);
    berth_model_free(model);
    return exit_status;
}
