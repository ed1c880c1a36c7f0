/* target_texts.c: T8, SST-2's dev sentences at their real lengths, text in, labels out, one core. berth takes
 * the texts as they are; ONNX Runtime takes ids that berth has made for it, padded to the longest of each
 * batch, and its time is that of its runs alone: the tokenising that it would need costs it nothing here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "target.h"

enum { PASSES = 3, TEXTS_MAX = 1024, BATCH = TARGET_TEXTS_MAX };

struct sentences {
    size_t count;
    struct berth_text text[TEXTS_MAX];
};

/* Tokens that were computed, and ms, of one pass over the sentences. */
struct pass {
    double ours_ms, peer_ms;
    size_t tokens, padded;
};

static bool read_sentences(const char *path, struct sentences *sentences, char why[TARGET_WHY_SIZE])
{
    struct berth_reader *reader;
    struct berth_record record;
    struct berth_error err;
    bool end = false;
    enum berth_status status = berth_reader_open_task(path, "sst2", NULL, true, &reader, &err);
    while (status == BERTH_OK && sentences->count < TEXTS_MAX) {
        status = berth_reader_next(reader, &record, &end, &err);
        if (status != BERTH_OK || end)
            break;
        char *copy = malloc(record.text.size + 1);
        if (!copy)
            break;
        memcpy(copy, record.text.text, record.text.size);
        sentences->text[sentences->count++] = (struct berth_text){copy, record.text.size, NULL, 0};
    }
    berth_reader_close(reader);
    if (status != BERTH_OK)
        snprintf(why, TARGET_WHY_SIZE, "%s", err.message);
    return status == BERTH_OK;
}

static bool tokenize(const struct berth_model *model, const struct berth_text *texts, size_t count,
                     struct target_batch *batch)
{
    struct berth_tokens tokens = {0};
    bool done = true;
    *batch = (struct target_batch){.texts = count};
    for (size_t i = 0; i < count && done; i++) {
        done = berth_tokenize(model, &texts[i], 0, &tokens, NULL) == BERTH_OK &&
               batch->offsets[i] + tokens.size <= TARGET_TOKENS_MAX;
        if (!done)
            break;
        memcpy(batch->ids + batch->offsets[i], tokens.ids, tokens.size * sizeof *tokens.ids);
        batch->offsets[i + 1] = batch->offsets[i] + tokens.size;
        batch->longest = tokens.size > batch->longest ? tokens.size : batch->longest;
    }
    berth_tokens_clear(&tokens);
    return done;
}

static bool run_ours(struct berth_session *session, const struct berth_text *texts, size_t count,
                     struct pass *pass)
{
    struct berth_result results[BATCH];
    struct berth_error err;
    const uint64_t begun = berth_clock_ns();
    if (berth_session_classify(session, texts, count, results, &err) != BERTH_OK)
        return false;
    pass->ours_ms += (double)(berth_clock_ns() - begun) * 1e-6;
    return true;
}

static bool run_peer(struct peer_model *peer, const struct target_batch *batch, struct pass *pass)
{
    char why[PEER_WHY_SIZE];
    if (!peer)
        return true;
    if (!peer_model_prepare(peer, batch->ids, batch->offsets, batch->texts, why))
        return false;
    const uint64_t begun = berth_clock_ns();
    if (!peer_model_run(peer, NULL, why))
        return false;
    pass->peer_ms += (double)(berth_clock_ns() - begun) * 1e-6;
    return true;
}

/* One pass, batch by batch in turns, who is first changing by chance. */
static bool run_pass(struct target_run *run, struct berth_session *session, struct peer_model *peer,
                     const struct sentences *sentences, struct pass *pass)
{
    static struct target_batch batch;
    *pass = (struct pass){0};
    for (size_t at = 0; at < sentences->count; at += BATCH) {
        const struct berth_text *texts = sentences->text + at;
        const size_t count = sentences->count - at < BATCH ? sentences->count - at : BATCH;
        const bool ours_first = berth_rng_below(&run->rng, 2) == 0;
        if (!tokenize(berth_session_model(session), texts, count, &batch) ||
            (ours_first && !run_ours(session, texts, count, pass)) || !run_peer(peer, &batch, pass) ||
            (!ours_first && !run_ours(session, texts, count, pass)))
            return false;
        pass->tokens += batch.offsets[count];
        pass->padded += count * batch.longest;
    }
    return true;
}

static void judge(struct target_run *run, const struct sentences *sentences, const struct pass *passes,
                  size_t count, const char *precision, const char *missing)
{
    double ours[PASSES], peer[PASSES], ratios[PASSES];
    for (size_t p = 0; p < count; p++) {
        ours[p] = passes[p].ours_ms;
        peer[p] = passes[p].peer_ms;
        ratios[p] = peer[p] / ours[p];
    }
    const struct target_spread mine = target_spread(ours, count), theirs = target_spread(peer, count),
                               ratio = target_spread(ratios, count);
    char what[320];
    snprintf(what, sizeof what, "bert-base %s, %zu sentences, %zu tokens: %.0f ms (%.0f..%.0f), %.0f texts/s",
             precision, sentences->count, passes[0].tokens, mine.median, mine.low, mine.high,
             1e3 * (double)sentences->count / mine.median);
    if (*missing) {
        target_missing(run, "T8", what, missing);
        return;
    }
    const size_t used = strlen(what);
    snprintf(what + used, sizeof what - used,
             "; ONNX Runtime int8 %.0f ms (%.0f..%.0f) for %zu tokens with padding; ratio (%.2f..%.2f)",
             theirs.median, theirs.low, theirs.high, passes[0].padded, ratio.low, ratio.high);
    target_verdict(run, "T8", what, ratio.median, TARGET_AT_LEAST, 8, NULL);
}

static void compare(struct target_run *run, const struct sentences *sentences, const char *vocab)
{
    char why[TARGET_WHY_SIZE] = "", missing[TARGET_WHY_SIZE] = "";
    struct pass warm, passes[PASSES];
    struct berth_model *model = target_model_open("bert-base", BERTH_PRECISION_INT8, vocab, why);
    struct berth_session *session = target_session_new(model, 1, why);
    struct peer_model *peer = session ? target_peer_open(run, "bert-base", LIMIT_INT8, 1, missing) : NULL;
    struct sentences first = {.count =
                                  sentences->count < BATCH ? sentences->count : BATCH}; /* to warm up with */
    memcpy(first.text, sentences->text, first.count * sizeof *first.text);
    const size_t count = run->quick ? 1 : PASSES;
    bool complete = session && run_pass(run, session, peer, &first, &warm);
    for (size_t p = 0; p < count && complete; p++)
        complete = run_pass(run, session, peer, sentences, &passes[p]);
    if (complete)
        judge(run, sentences, passes, count, "int8", missing);
    else
        target_missing(run, "T8", "bert-base int8", *why ? why : "a run failed");
    peer_model_close(peer);
    berth_session_free(session);
    berth_model_free(model);
}

void target_texts(struct target_run *run)
{
    static struct sentences sentences;
    char path[TARGET_PATH_SIZE], vocab[TARGET_PATH_SIZE], why[TARGET_WHY_SIZE];
    snprintf(path, sizeof path, "%s/data/sst2/dev.tsv", run->data);
    snprintf(vocab, sizeof vocab, "%s/data/vocab/bert-base-uncased-vocab.txt", run->data);
    printf(
        "\nT8   SST-2 dev in batches of %d in the file's order, text in, labels out, one core; ONNX Runtime "
        "is given ids, so\n"
        "     tokenising costs it nothing here\n",
        BATCH);
    if (!read_sentences(path, &sentences, why)) {
        target_missing(run, "T8", "SST-2 dev", why);
        return;
    }
    if (run->quick && sentences.count > 4 * BATCH)
        sentences.count = 4 * BATCH;
    target_pin();
    compare(run, &sentences, vocab);
    target_unpin();
    for (size_t i = 0; i < sentences.count; i++)
        free((char *)(uintptr_t)sentences.text[i].text); /* copied by read_sentences */
}
