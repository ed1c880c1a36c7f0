/* vocabulary.c: the public face of vocabulary training: a corpus read text by text into the trainer. */
#include <string.h>

#include "base/error.h"
#include "pipeline/model.h"
#include "text/vocab_train.h"

enum { ALPHABET_DEFAULT = 1000, FREQUENCY_DEFAULT = 2, TEXTS_A_REPORT = 1024 };

static const char *corpus_name(const struct berth_vocab_options *options)
{
    const bool file = options->corpus && strcmp(options->corpus, "-") != 0;
    return file ? options->corpus : "standard input";
}

static enum berth_status add_record(struct berth_vocab_trainer *trainer, const struct berth_record *record,
                                    struct berth_error *err)
{
    const struct berth_text *text = &record->text;
    enum berth_status status = berth_vocab_trainer_add(trainer, text->text, text->size, err);
    if (status == BERTH_OK && text->pair)
        status = berth_vocab_trainer_add(trainer, text->pair, text->pair_size, err);
    return status;
}

static enum berth_status read_corpus(const struct berth_vocab_options *options, struct berth_reader *reader,
                                     struct berth_vocab_trainer *trainer, size_t *texts,
                                     struct berth_error *err)
{
    for (*texts = 0;; ++*texts) {
        struct berth_record record;
        bool end;
        enum berth_status status = berth_reader_next(reader, &record, &end, err);
        if (status != BERTH_OK || end)
            return status;
        status = add_record(trainer, &record, err);
        if (status != BERTH_OK)
            return berth_fail_prefix(err, status, "%s:%zu", corpus_name(options), record.line);
        if (options->progress && *texts % TEXTS_A_REPORT == 0 &&
            !options->progress(options->progress_context, *texts, 0))
            return berth_fail(err, BERTH_CANCELLED, "the training of the vocabulary was stopped");
    }
}

enum berth_status berth_vocab_train(const struct berth_vocab_options *options, char **vocab, size_t *size,
                                    struct berth_vocab_report *report, struct berth_error *err)
{
    const struct berth_vocab_recipe recipe = {
        .size = options->size,
        .limit_alphabet = options->limit_alphabet ? options->limit_alphabet : ALPHABET_DEFAULT,
        .min_frequency = options->min_frequency ? options->min_frequency : FREQUENCY_DEFAULT,
        .options = {.do_lower_case = berth_choice_of(options->do_lower_case),
                    .strip_accents = berth_choice_of(options->strip_accents),
                    .tokenize_chinese_chars = berth_choice_of(options->tokenize_chinese_chars),
                    .add_special_tokens = BERTH_CHOICE_UNSET},
    };
    struct berth_vocab_trainer *trainer = NULL;
    struct berth_reader *reader = NULL;
    struct berth_buffer buffer = {0};
    struct berth_vocab_outcome outcome;
    size_t texts;
    enum berth_status status;
    *vocab = NULL;
    BERTH_TRY(berth_vocab_trainer_new(&recipe, &trainer, err));
    BERTH_TRY(berth_reader_open(options->corpus, options->layout, &options->columns, &reader, err));
    BERTH_TRY(read_corpus(options, reader, trainer, &texts, err));
    status = berth_vocab_trainer_finish(trainer, options->progress, options->progress_context, &buffer,
                                        &outcome, err);
    if (status != BERTH_OK && status != BERTH_NO_MEMORY && status != BERTH_CANCELLED)
        berth_fail_prefix(err, status, "%s", corpus_name(options));
    if (status == BERTH_OK) {
        *report = (struct berth_vocab_report){texts, outcome.words, outcome.alphabet, outcome.left_out,
                                              outcome.tokens};
        *vocab = buffer.data;
        *size = buffer.size;
        buffer = (struct berth_buffer){0};
    }
fail:
    berth_buffer_clear(&buffer);
    berth_reader_close(reader);
    berth_vocab_trainer_free(trainer);
    return status;
}
