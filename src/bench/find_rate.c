/* find_rate.c: the highest rate of Poisson arrivals whose latencies stay within an objective. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "bench/campaign.h"
#include "bench/find_rate.h"

enum {
    PROBES_MAX = 24,
    PROBES_USUAL = 12,
    LEAST_SHARE = 4 /* of the first rate: below it hardly a request meets another, and a lower one waits no less */
};

/* log of the binomial probability of k out of n. */
static double log_choose(double n, double k)
{
    int sign;
    return lgamma_r(n + 1, &sign) - lgamma_r(k + 1, &sign) - lgamma_r(n - k + 1, &sign);
}

bool berth_within_objective(size_t n, size_t over, double q, double confidence)
{
    /* With a true share of 1 - q over the objective, as few as `over` of n come with this probability. */
    double sum = 0;
    for (size_t k = 0; k <= over; k++)
        sum += exp(log_choose((double)n, (double)k) + (double)k * log1p(-q) + (double)(n - k) * log(q));
    return sum <= 1 - confidence;
}

struct search {
    double low, high; /* rates that passed, that failed; 0: none yet */
};

static double next_rate(const struct search *search, double start)
{
    if (search->low > 0 && search->high > 0)
        return sqrt(search->low * search->high);
    return search->low > 0 ? 2 * search->low : search->high > 0 ? search->high / 2 : start;
}

static enum berth_status try_rate(struct berth_campaign *campaign, size_t cell, double rate, bool *within,
                                  struct berth_error *err)
{
    struct berth_cell_state *state = &campaign->state[cell];
    size_t trials = campaign->e.o.trials, over = 0;
    int64_t configuration, limit = (int64_t)(campaign->e.o.p99_ms * 1e6);
    struct berth_results_series series;
    enum berth_status status;
    bool done = false;
    size_t there;
    BERTH_TRY(berth_record_cell(campaign, cell, rate, &configuration, err));
    BERTH_TRY(berth_record_outcome(campaign, cell, configuration, err));
    BERTH_TRY(berth_results_done(campaign->results, configuration, &done, 1, &there, err));
    if (!done) {
        struct berth_block block = {0};
        state->correct = state->labelled = 0;
        status = berth_campaign_block(campaign, cell, rate, configuration, 1, trials, &block, err);
        berth_block_clear(&block);
        if (status != BERTH_OK)
            return status;
    }
    BERTH_TRY(berth_results_read_series(campaign->results, configuration, &series, err));
    for (size_t i = 0; i < series.n; i++)
        over += !series.ok[i] || series.latency_ns[i] > limit;
    *within = berth_within_objective(series.n, over, 0.99, 0.95);
    berth_results_series_clear(&series);
fail:
    return status;
}

static enum berth_status search_cell(struct berth_campaign *campaign, size_t cell, struct berth_error *err)
{
    struct search search = {0};
    /* A query in 10 of its own times is a beginning that most servers can do. */
    double start = 100 / fmax(campaign->state[cell].warm_ms, 1e-3);
    size_t trials = campaign->e.o.trials, before = campaign->finished; /* for progress: of PROBES_USUAL rates */
    for (int probe = 0; probe < PROBES_MAX; probe++) {
        campaign->finished = before + trials * (size_t)(probe < PROBES_USUAL ? probe : PROBES_USUAL - 1);
        double rate = next_rate(&search, start);
        bool within;
        /* Three digits: the same rates again when an interrupted search goes on. */
        double unit = pow(10, floor(log10(rate)) - 2);
        rate = round(rate / unit) * unit;
        if (rate > 1e6 || rate < start / (LEAST_SHARE + 0.5) || (search.low > 0 && search.high > 0 && search.high < 1.05 * search.low))
            break;
        if (!berth_campaign_going(campaign, 0))
            return berth_fail(err, BERTH_CANCELLED, "stopped after %d rates", probe);
        enum berth_status status = try_rate(campaign, cell, rate, &within, err);
        if (status == BERTH_CANCELLED)
            return berth_fail(err, status, "stopped after %d rates", probe);
        if (status != BERTH_OK)
            return status;
        if (within)
            search.low = rate;
        else
            search.high = rate;
        if (search.low > 0 && search.high > 0 && search.high < 1.05 * search.low)
            break;
    }
    campaign->finished = before + trials * PROBES_USUAL;
    return BERTH_OK;
}

enum berth_status berth_campaign_find_rates(struct berth_campaign *campaign, struct berth_error *err)
{
    berth_noise_begin(&campaign->noise);
    if (!berth_within_objective(campaign->e.o.trials, 0, 0.99, 0.95))
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "%zu requests a rate cannot show a p99: at least 299, all of them within the objective",
                          campaign->e.o.trials);
    for (size_t c = 0; c < campaign->e.cells; c++)
        campaign->total += strcmp(campaign->state[c].outcome, "ok") == 0 ? PROBES_USUAL * campaign->e.o.trials : 0;
    for (size_t c = 0; c < campaign->e.cells; c++) {
        struct berth_cell_state *state = &campaign->state[c];
        enum berth_status status;
        if (strcmp(state->outcome, "ok") == 0) {
            status = search_cell(campaign, c, err);
        } else {
            status = berth_record_cell(campaign, c, 0, &state->configuration, err);
            if (status == BERTH_OK)
                status = berth_record_outcome(campaign, c, state->configuration, err);
        }
        if (status != BERTH_OK)
            return status;
    }
    return BERTH_OK;
}
