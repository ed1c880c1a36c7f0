/* evaluate_dev.c: metrics during training: the network without dropout over packed batches of like lengths.
 */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "eval/scorer.h"
#include "train/order.h"
#include "train/trainer.h"

/* How many of rows [first, count) fit the engine at once. */
static size_t fitting(const struct berth_train_engine *engine, const struct berth_train_data *data,
                      const size_t *rows, size_t first)
{
    size_t tokens = 0, pairs = 0, taken = 0;
    for (; first + taken < data->count && taken < engine->max_texts; taken++) {
        size_t row = rows[first + taken], length = data->offsets[row + 1] - data->offsets[row];
        tokens += length;
        pairs += berth_network_pairs(length);
        if (tokens > engine->max_tokens || pairs > engine->max_pairs)
            break;
    }
    return taken;
}

enum berth_status berth_train_evaluate(struct berth_train_engine *engine, struct berth_train_window *window,
                                       const struct berth_train_data *data,
                                       const struct berth_label_map *labels, size_t *rows, size_t *scratch,
                                       struct berth_evaluation *evaluation, struct berth_error *err)
{
    struct berth_scorer scorer;
    uint64_t start = berth_clock_ns();
    size_t outputs = engine->weights->labels;
    enum berth_status status = berth_scorer_init(&scorer, labels, err);
    if (status != BERTH_OK)
        return status;
    /* one window of all: longest first */
    berth_order_fill(rows, scratch, data, BERTH_ORDER_BY_LENGTH, data->count, 0, 0);
    for (size_t first = 0, count; first < data->count; first += count) {
        count = fitting(engine, data, rows, first);
        berth_train_window_fill(window, data, rows + first, count, outputs);
        BERTH_TRY(engine->calls->forward(engine, &window->batch, NULL, err));
        for (size_t i = 0; i < count; i++) {
            if (!isfinite(engine->logits[i * outputs])) {
                status = berth_fail(err, BERTH_LIMIT, "evaluation: logits are not finite");
                goto fail;
            }
            BERTH_TRY(berth_scorer_add(&scorer, window->targets + i * data->width,
                                       engine->logits + i * outputs, err));
        }
    }
    *evaluation = (struct berth_evaluation){.tokens = data->offsets[data->count]};
    BERTH_TRY(berth_scorer_finish(&scorer, evaluation, err));
    evaluation->seconds = (double)(berth_clock_ns() - start) / 1e9;
fail:
    berth_scorer_clear(&scorer);
    return status;
}

enum berth_status berth_train_evaluate_masked(struct berth_train_engine *engine,
                                              struct berth_train_window *window,
                                              struct berth_masking *masking,
                                              const struct berth_train_data *data, size_t *rows,
                                              size_t *scratch, struct berth_evaluation *evaluation,
                                              struct berth_error *err)
{
    uint64_t start = berth_clock_ns();
    enum berth_status status = BERTH_OK;
    double loss = 0;
    size_t words = 0, right = 0;
    berth_order_fill(rows, scratch, data, BERTH_ORDER_BY_LENGTH, data->count, 0, 0);
    for (size_t first = 0, count; first < data->count; first += count) {
        count = fitting(engine, data, rows, first);
        berth_train_window_fill(window, data, rows + first, count, 0);
        berth_masking_apply(masking, &window->batch, window->ids, 0, first);
        double mean;
        BERTH_TRY(engine->calls->forward(engine, &window->batch, NULL, err));
        BERTH_TRY(engine->calls->masked_loss(engine, masking->words, 1, &mean, &right, err));
        loss += mean * (double)window->batch.masked;
        words += window->batch.masked;
    }
    if (!isfinite(loss))
        return berth_fail(err, BERTH_LIMIT, "evaluation: the loss is not finite");
    *evaluation = (struct berth_evaluation){
        .task = "mlm",
        .examples = data->count,
        .tokens = data->offsets[data->count],
        .loss = loss / (double)words,
        .metrics = 2,
        .metric = {{"accuracy", (double)right / (double)words}, {"perplexity", exp(loss / (double)words)}}};
    evaluation->seconds = (double)(berth_clock_ns() - start) / 1e9;
fail:
    return status;
}
