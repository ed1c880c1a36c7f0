/* plan.c: what an experiment would do, and for how long: a few calls of each way of running a model, scaled by tokens. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "bench/campaign.h"

enum { PLAN_MAX = 64 << 20 };

static void print_seconds(char *out, size_t size, double seconds)
{
    if (seconds < 60)
        snprintf(out, size, "%.1f s", seconds);
    else if (seconds < 3600)
        snprintf(out, size, "%.0f min %02.0f s", floor(seconds / 60), fmod(seconds, 60));
    else
        snprintf(out, size, "%.0f h %02.0f min", floor(seconds / 3600), fmod(seconds, 3600) / 60);
}

static double cell_seconds(const struct berth_campaign *campaign, size_t cell)
{
    const struct berth_cell *c = &campaign->e.cell[cell];
    double trials = (double)campaign->e.o.trials, query = campaign->state[cell].warm_ms * 1e-3;
    if (c->rate > 0)
        return fmax(trials / c->rate, trials * query);
    if (campaign->e.o.find_rate)
        return 12 * trials * query;
    return trials * query / (double)(c->concurrency ? c->concurrency : 1);
}

static bool print_cell(struct berth_buffer *text, const struct berth_campaign *campaign, size_t cell, double *total)
{
    const struct berth_cell *c = &campaign->e.cell[cell];
    const struct berth_cell_state *state = &campaign->state[cell];
    char length[24] = "data", time[48] = "-";
    bool measured = strcmp(state->outcome, "ok") == 0;
    if (c->length)
        snprintf(length, sizeof length, "%zu", c->length);
    if (measured) {
        double seconds = cell_seconds(campaign, cell);
        *total += seconds;
        print_seconds(time, sizeof time, seconds);
    }
    bool good = berth_buffer_format(text, "%-22s %-12s %-11s %-9s %-9s %3zu %5zu %6s %7zu %12s", campaign->e.model[c->model].name,
                                    campaign->e.target[c->target].name, state->runtime, state->optimization,
                                    state->precision, state->threads, c->batch, length,
                                    measured ? campaign->e.o.trials : 0, time);
    if (c->rate > 0)
        good = good && berth_buffer_format(text, " %g/s", c->rate);
    if (c->concurrency > 0)
        good = good && berth_buffer_format(text, " %zu at once", c->concurrency);
    if (!measured)
        good = good && berth_buffer_format(text, " %s: %s", state->outcome, state->failure);
    return good && berth_buffer_text(text, "\n");
}

enum berth_status berth_bench_plan(const struct berth_bench_options *options, char **plan, struct berth_error *err)
{
    struct berth_campaign campaign = {0};
    struct berth_buffer text;
    char time[48];
    double total = 0;
    size_t trials = 0, left_out = 0;
    enum berth_status status;
    *plan = NULL;
    berth_buffer_init(&text, PLAN_MAX);
    campaign.planning = true;
    BERTH_TRY(berth_campaign_open(&campaign, options, err));
    BERTH_TRY(berth_campaign_prepare(&campaign, err));
    bool good = berth_buffer_format(&text, "%-22s %-12s %-11s %-9s %-9s %3s %5s %6s %7s %12s\n", "model", "target", "runtime",
                                    "optimized", "precision", "thr", "batch", "length", "trials", "time");
    for (size_t c = 0; c < campaign.e.cells; c++) {
        good = good && print_cell(&text, &campaign, c, &total);
        trials += strcmp(campaign.state[c].outcome, "ok") == 0 ? campaign.e.o.trials : 0;
        left_out += strcmp(campaign.state[c].outcome, "ok") != 0;
    }
    print_seconds(time, sizeof time, total);
    good = good && berth_buffer_format(&text, "%zu combinations", campaign.e.cells);
    if (left_out > 0)
        good = good && berth_buffer_format(&text, ", %zu of which cannot be measured (see above)", left_out);
    good = good && berth_buffer_format(&text, ", %zu trials%s, about %s of measuring\n", trials,
                                       campaign.e.o.find_rate ? " a rate" : "", time);
    if (good)
        *plan = text.data;
    else
        status = berth_fail_memory(err, "a plan", text.size);
fail:
    berth_campaign_close(&campaign);
    if (status != BERTH_OK)
        berth_buffer_clear(&text);
    return status;
}
