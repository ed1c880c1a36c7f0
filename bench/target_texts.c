/* target_texts.c: T8, SST-2's dev sentences at their real lengths, text in, labels out, one core. berth takes
 * the texts as they are; ONNX Runtime takes ids that berth has made for it, padded to the longest of each
 * batch, and its time is that of its runs alone: the tokenising that it would need costs it nothing here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "target.h"

enum { BATCH = TARGET_TEXTS_MAX, TEXTS_MAX = BATCH * TARGET_ROUNDS_MAX, LENGTHS = 513 };

struct sentences {
    size_t count;
    struct berth_text text[TEXTS_MAX];
};

/* Both sides' times of one pass over the sentences, a round a batch; and how many of the sentences have each
 * length. */
struct pass {
    struct target_contestant ours, peer;
    double ours_ms, peer_ms;
    size_t tokens, padded; /* computed by berth, by the peer */
    size_t lengths[LENGTHS];
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

static bool run_ours(struct berth_session *session, const struct berth_text *texts, size_t count, double *ms)
{
    struct berth_result results[BATCH];
    struct berth_error err;
    const uint64_t begun = berth_clock_ns();
    const bool done = berth_session_classify(session, texts, count, results, &err) == BERTH_OK;
    *ms = (double)(berth_clock_ns() - begun) * 1e-6;
    return done;
}

static bool run_peer(struct peer_model *peer, const struct target_batch *batch, double *ms)
{
    char why[PEER_WHY_SIZE];
    *ms = 0;
    if (!peer)
        return true;
    if (!peer_model_prepare(peer, batch->ids, batch->offsets, batch->texts, why))
        return false;
    const uint64_t begun = berth_clock_ns();
    const bool done = peer_model_run(peer, NULL, why);
    *ms = (double)(berth_clock_ns() - begun) * 1e-6;
    return done;
}

/* Batch by batch in turns, who is first changing by chance. */
static bool run_pass(struct target_run *run, struct berth_session *session, struct peer_model *peer,
                     const struct berth_text *texts, size_t total, struct pass *pass)
{
    static struct target_batch batch;
    memset(pass, 0, sizeof *pass);
    for (size_t at = 0, round = 0; at < total; at += BATCH, round++) {
        const size_t count = berth_min(total - at, BATCH);
        const bool ours_first = berth_rng_below(&run->rng, 2) == 0;
        double *ours = &pass->ours.ms[round], *theirs = &pass->peer.ms[round];
        if (!tokenize(berth_session_model(session), texts + at, count, &batch) ||
            (ours_first && !run_ours(session, texts + at, count, ours)) || !run_peer(peer, &batch, theirs) ||
            (!ours_first && !run_ours(session, texts + at, count, ours)))
            return false;
        pass->ours_ms += *ours;
        pass->peer_ms += *theirs;
        pass->ours.rounds = pass->peer.rounds = round + 1;
        pass->tokens += batch.offsets[count];
        pass->padded += count * batch.longest;
        for (size_t i = 0; i < count; i++)
            pass->lengths[berth_min(batch.offsets[i + 1] - batch.offsets[i], LENGTHS - 1)]++;
    }
    return true;
}

/* The least time that the machine allows berth for one pass, in ms. */
static double least_ms(const struct target_run *run, const struct berth_model *model, const struct pass *pass)
{
    double operations = 0;
    for (size_t length = 1; length < LENGTHS; length++)
        if (pass->lengths[length] > 0)
            operations += target_model_work(model, pass->lengths[length], length).operations;
    return run->limit[LIMIT_INT8] > 0 ? operations / run->limit[LIMIT_INT8] * 1e-6 : 0; /* 0: not known */
}

static void judge(struct target_run *run, const struct berth_model *model, size_t texts,
                  const struct pass *pass, const char *missing)
{
    const double limit_ms = least_ms(run, model, pass);
    static const char what[] = "bert-base int8, SST-2 dev against ONNX Runtime int8";
    char bound[200];
    printf("     berth: %zu sentences, %zu tokens: %.0f ms, %.0f texts/s, %.0f %% of the machine's limit\n",
           texts, pass->tokens, pass->ours_ms, 1e3 * (double)texts / pass->ours_ms,
           100 * limit_ms / pass->ours_ms);
    if (*missing) {
        target_missing(run, "T8", what, missing);
        return;
    }
    const struct target_spread ratio = target_ratio(&pass->ours, &pass->peer);
    printf(
        "     ONNX Runtime int8: %.0f ms for %zu tokens with padding; ratio (%.2f..%.2f) over the batches\n",
        pass->peer_ms, pass->padded, ratio.low, ratio.high);
    snprintf(bound, sizeof bound,
             "the machine's limit for berth's operations, int8 at %.0f GOP/s, is %.0f ms, a ratio of %.2f",
             run->limit[LIMIT_INT8], limit_ms, pass->peer_ms / limit_ms);
    target_verdict(run,
                   &(struct target_figure){"T8", what, pass->peer_ms / pass->ours_ms, TARGET_AT_LEAST, 8,
                                           pass->peer_ms / limit_ms},
                   bound);
    json_array_append_new(
        run->results, json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "target", "T8", "sentences",
                                (json_int_t)texts, "tokens", (json_int_t)pass->tokens, "padded_tokens",
                                (json_int_t)pass->padded, "berth_ms", pass->ours_ms, "peer_ms", pass->peer_ms,
                                "limit_ms", limit_ms, "ratio_p10", ratio.low, "ratio_p90", ratio.high));
}

static void compare(struct target_run *run, const struct berth_text *texts, size_t count, const char *vocab)
{
    static struct pass pass;
    char why[TARGET_WHY_SIZE] = "", missing[TARGET_WHY_SIZE] = "";
    struct berth_model *model = target_model_open("bert-base", BERTH_PRECISION_INT8, vocab, why);
    struct berth_session *session = target_session_new(model, 1, why);
    struct peer_model *peer = session ? target_peer_open(run, "bert-base", LIMIT_INT8, 1, missing) : NULL;
    if (session && run_pass(run, session, peer, texts, berth_min(count, BATCH), &pass) && /* warms up */
        run_pass(run, session, peer, texts, count, &pass))
        judge(run, model, count, &pass, missing);
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
    target_pin();
    compare(run, sentences.text, run->quick ? berth_min(sentences.count, 4 * BATCH) : sentences.count, vocab);
    target_unpin();
    for (size_t i = 0; i < sentences.count; i++)
        free((char *)(uintptr_t)sentences.text[i].text); /* copied by read_sentences */
}
