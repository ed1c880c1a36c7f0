/* inputs.c: making and reading the texts of queries. */
#include "bench/inputs.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/rng.h"
#include "eval/label_map.h"

enum {
    WORDS = 512,             /* different ones in synthetic texts */
    TRIES = 64 * WORDS,      /* to find them */
    TEXT_MAX = 64 << 20,
    DATA_MAX = 2000000       /* texts of a file */
};

static enum berth_status count_tokens(const struct berth_model *model, const struct berth_text *text, size_t limit,
                                      size_t *count, struct berth_error *err)
{
    struct berth_tokens tokens = {0};
    enum berth_status status = berth_tokenize(model, text, limit, &tokens, err);
    *count = tokens.size;
    berth_tokens_clear(&tokens);
    return status;
}

struct words {
    const char *item[WORDS]; /* borrowed from the model */
    size_t count, special;   /* special: tokens of an empty text */
};

/* Words that are one token when they stand alone. */
static enum berth_status find_words(const struct berth_model *model, struct berth_rng *rng, struct words *words,
                                    struct berth_error *err)
{
    const struct berth_model_info *info = berth_model_get_info(model);
    struct berth_text empty = BERTH_TEXT("");
    enum berth_status status;
    words->count = 0;
    BERTH_TRY(count_tokens(model, &empty, 0, &words->special, err));
    for (size_t i = 0; i < TRIES && words->count < WORDS && info->tokenizer_size > 0; i++) {
        const char *word = berth_token_text(model, (int32_t)berth_rng_below(rng, info->tokenizer_size));
        if (!word || word[0] == '#' || word[0] == '[' || !word[0])
            continue;
        bool letters = true;
        for (const char *at = word; *at; at++)
            letters = letters && (((unsigned char)*at >= 'a' && *at <= 'z') || (unsigned char)*at >= 0x80);
        const struct berth_text text = {.text = word, .size = strlen(word)};
        size_t count = 0;
        if (letters)
            BERTH_TRY(count_tokens(model, &text, 0, &count, err));
        if (count == words->special + 1)
            words->item[words->count++] = word;
    }
    if (words->count == 0)
        return berth_fail(err, BERTH_UNSUPPORTED, "%s: its vocabulary has no words to make texts of; give --data",
                          info->name);
    return BERTH_OK;
fail:
    return status;
}

static enum berth_status make_text(const struct berth_model *model, const struct words *words, size_t length,
                                   struct berth_rng *rng, struct berth_text *text, struct berth_error *err)
{
    struct berth_buffer buffer;
    berth_buffer_init(&buffer, TEXT_MAX);
    bool good = berth_buffer_text(&buffer, "");
    for (size_t i = words->special; i < length && good; i++)
        good = (i == words->special || berth_buffer_text(&buffer, " ")) &&
               berth_buffer_text(&buffer, words->item[berth_rng_below(rng, words->count)]);
    if (!good) {
        berth_buffer_clear(&buffer);
        return berth_fail_memory(err, "a text", length * 8);
    }
    text->text = buffer.data;
    text->size = buffer.size;
    size_t count;
    enum berth_status status = count_tokens(model, text, length + 1, &count, err);
    if (status == BERTH_OK && count != length)
        status = berth_fail(err, BERTH_INTERNAL, "a text made for %zu tokens has %zu", length, count);
    return status;
}

static enum berth_status allocate(struct berth_inputs *inputs, size_t count, bool labels, struct berth_error *err)
{
    inputs->count = count;
    inputs->text = berth_calloc(count, sizeof *inputs->text);
    inputs->tokens = berth_calloc(count, sizeof *inputs->tokens);
    if (labels)
        inputs->label = berth_calloc(count, sizeof *inputs->label);
    if (!inputs->text || !inputs->tokens || (labels && !inputs->label))
        return berth_fail_memory(err, "texts", count * sizeof *inputs->text);
    return BERTH_OK;
}

enum berth_status berth_inputs_synthetic(const struct berth_model *model, size_t length, size_t count, uint64_t seed,
                                         struct berth_inputs *inputs, struct berth_error *err)
{
    enum berth_status status;
    struct berth_rng rng;
    struct words words;
    *inputs = (struct berth_inputs){.length = length};
    berth_rng_seed(&rng, seed ^ length * 0x9e3779b97f4a7c15u);
    BERTH_TRY(allocate(inputs, count, false, err));
    BERTH_TRY(find_words(model, &rng, &words, err));
    if (length < words.special) {
        size_t size;
        if (!berth_mul(count, length, &size) || !(inputs->ids = berth_calloc(size, sizeof *inputs->ids)))
            return berth_fail_memory(err, "token ids", count * length * sizeof *inputs->ids);
        for (size_t i = 0; i < size; i++)
            inputs->ids[i] = (int32_t)berth_rng_below(&rng, berth_model_get_info(model)->vocab_size);
    }
    for (size_t i = 0; i < count; i++) {
        inputs->tokens[i] = length;
        if (!inputs->ids)
            BERTH_TRY(make_text(model, &words, length, &rng, &inputs->text[i], err));
    }
    return BERTH_OK;
fail:
    return status;
}

static enum berth_status read_rows(const struct berth_bench_options *options, bool labels,
                                   enum berth_status (*each)(void *, const struct berth_record *, struct berth_error *),
                                   void *context, struct berth_error *err)
{
    struct berth_reader *reader;
    enum berth_status status = berth_reader_open_task(options->data, options->task, &options->columns, labels, &reader, err);
    if (status != BERTH_OK)
        return status;
    struct berth_record record;
    bool end = false;
    while (status == BERTH_OK && (status = berth_reader_next(reader, &record, &end, err)) == BERTH_OK && !end)
        status = each(context, &record, err);
    berth_reader_close(reader);
    return status;
}

struct filling {
    struct berth_inputs *inputs;
    const struct berth_model *model;
    struct berth_label_map *labels; /* NULL: left out */
    const char *path;
    size_t next, counted;
};

static enum berth_status count_row(void *context, const struct berth_record *record, struct berth_error *err)
{
    struct filling *filling = context;
    (void)record;
    if (++filling->counted > DATA_MAX)
        return berth_fail(err, BERTH_LIMIT, "%s: more than %d texts", filling->path, DATA_MAX);
    return BERTH_OK;
}

static enum berth_status take_row(void *context, const struct berth_record *record, struct berth_error *err)
{
    struct filling *filling = context;
    struct berth_inputs *inputs = filling->inputs;
    if (filling->next == inputs->count)
        return berth_fail(err, BERTH_IO, "%s: grew while it was read", filling->path);
    size_t i = filling->next++;
    struct berth_text *text = &inputs->text[i];
    const struct berth_text *from = &record->text;
    text->text = berth_strndup(from->text, from->size);
    text->size = from->size;
    if (from->pair) {
        text->pair = berth_strndup(from->pair, from->pair_size);
        text->pair_size = from->pair_size;
        inputs->pairs = true;
    }
    if (!text->text || (from->pair && !text->pair))
        return berth_fail_memory(err, "a text", from->size);
    enum berth_status status = count_tokens(filling->model, text, 0, &inputs->tokens[i], err);
    if (status != BERTH_OK || !filling->labels)
        return status;
    double target = 0;
    status = berth_label_map_read(filling->labels, record->label ? record->label : "", &target, err);
    if (status != BERTH_OK)
        return berth_fail_prefix(err, status, "%s:%zu", filling->path, record->line);
    inputs->label[i] = berth_label_map_to_model(filling->labels, (size_t)target);
    return BERTH_OK;
}

static void shuffle(struct berth_inputs *inputs, uint64_t seed)
{
    struct berth_rng rng;
    berth_rng_seed(&rng, seed);
    for (size_t i = inputs->count; i > 1; i--) {
        size_t k = (size_t)berth_rng_below(&rng, i), last = i - 1;
        struct berth_text text = inputs->text[k];
        size_t tokens = inputs->tokens[k];
        inputs->text[k] = inputs->text[last], inputs->text[last] = text;
        inputs->tokens[k] = inputs->tokens[last], inputs->tokens[last] = tokens;
        if (inputs->label) {
            size_t label = inputs->label[k];
            inputs->label[k] = inputs->label[last], inputs->label[last] = label;
        }
    }
}

enum berth_status berth_inputs_data(const struct berth_model *model, const struct berth_bench_options *options,
                                    bool labels, struct berth_inputs *inputs, struct berth_error *err)
{
    enum berth_status status;
    struct berth_label_map map = {0};
    struct filling filling = {.inputs = inputs, .model = model, .path = options->data};
    const struct berth_task *task = berth_task_find(options->task);
    *inputs = (struct berth_inputs){0};
    if (!task)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "task '%s': one of %s", options->task, berth_task_names);
    if (labels) {
        BERTH_TRY(berth_label_map_init(&map, task, berth_model_get_info(model), err));
        if (map.kind == BERTH_TARGET_CLASS) /* accuracy is of one label a text */
            filling.labels = &map;
    }
    BERTH_TRY(read_rows(options, filling.labels != NULL, count_row, &filling, err));
    if (filling.counted == 0) {
        status = berth_fail(err, BERTH_FORMAT, "%s: no texts", options->data);
        goto fail;
    }
    BERTH_TRY(allocate(inputs, filling.counted, filling.labels != NULL, err));
    BERTH_TRY(read_rows(options, filling.labels != NULL, take_row, &filling, err));
    inputs->count = filling.next;
    shuffle(inputs, options->seed);
    berth_label_map_clear(&map);
    return BERTH_OK;
fail:
    berth_label_map_clear(&map);
    return status;
}

void berth_inputs_clear(struct berth_inputs *inputs)
{
    for (size_t i = 0; inputs->text && i < inputs->count; i++) {
        berth_free((void *)inputs->text[i].text);
        berth_free((void *)inputs->text[i].pair);
    }
    berth_free(inputs->text);
    berth_free(inputs->tokens);
    berth_free(inputs->label);
    berth_free(inputs->ids);
    *inputs = (struct berth_inputs){0};
}

size_t berth_inputs_tokens(const struct berth_inputs *inputs, size_t first, size_t count, size_t *longest)
{
    size_t sum = 0;
    *longest = 0;
    for (size_t i = 0; i < count; i++) {
        size_t tokens = inputs->tokens[(first + i) % inputs->count];
        sum += tokens;
        *longest = berth_max(*longest, tokens);
    }
    return sum;
}
