/* bench.c: berth_bench: open, prepare, measure, read back. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "bench/campaign.h"
#include "bench/summary.h"

enum { REMARKS_MAX = 1 << 20 };

/* What each model of the experiment is, as far as it is known here. */
static enum berth_status record_models(struct berth_campaign *campaign, struct berth_error *err)
{
    for (size_t m = 0; m < campaign->e.models; m++) {
        char hash[65] = "";
        struct berth_results_model model = {.run = campaign->run,
                                            .name = campaign->e.model[m].name,
                                            .source = campaign->e.model[m].source,
                                            .hash = hash};
        for (size_t i = 0; i < campaign->local.models; i++) {
            const struct berth_local_model *opened = campaign->local.model[i];
            if (opened->model != m || !opened->opened || model.parameters > 0)
                continue;
            const struct berth_model_info *info = berth_model_get_info(opened->opened);
            model.architecture = info->architecture;
            model.parameters = (int64_t)info->parameters;
            model.layers = (int64_t)info->layers;
            model.hidden = (int64_t)info->hidden_size;
            model.bytes = (int64_t)info->weight_bytes;
            enum berth_status status = campaign->e.o.output ? berth_model_hash(opened->opened, hash, err) : BERTH_OK;
            if (status != BERTH_OK)
                return status;
        }
        enum berth_status status = berth_results_set_model(campaign->results, &model, err);
        if (status != BERTH_OK)
            return status;
    }
    for (size_t i = 0; i < campaign->local.models; i++)
        if (campaign->local.model[i]->opened)
            return berth_results_set_fact(campaign->results, campaign->run, "isa",
                                          berth_model_get_info(campaign->local.model[i]->opened)->isa, err);
    return BERTH_OK;
}

static enum berth_status add_remarks(struct berth_campaign *campaign, struct berth_bench_owned *owned,
                                     struct berth_error *err)
{
    bool good = true, unchecked = false;
    snprintf(owned->run, sizeof owned->run, "%lld", (long long)campaign->run);
    if (campaign->resumed)
        good = berth_buffer_format(&owned->remarks, "went on with run %s, which was interrupted\n", owned->run);
    for (size_t c = 0; c < campaign->e.cells; c++)
        unchecked = unchecked || (strcmp(campaign->state[c].outcome, "ok") == 0 && isnan(campaign->state[c].difference));
    if (unchecked)
        good = good && berth_buffer_text(&owned->remarks,
                                         "some answers could not be compared with fp32: their models are not here (give "
                                         "-m NAME=MODEL)\n");
    for (size_t i = 0; i < owned->book.facts; i++)
        if (strcmp(owned->book.fact[i].key, "noise") == 0 && strcmp(owned->book.fact[i].value, "quiet") != 0)
            good = good && berth_buffer_format(&owned->remarks, "the machine was noisy: %s\n", owned->book.fact[i].value);
    return good ? BERTH_OK : berth_fail_memory(err, "remarks", owned->remarks.size);
}

enum berth_status berth_bench(const struct berth_bench_options *options, struct berth_bench_report *report,
                              struct berth_error *err)
{
    struct berth_campaign campaign = {0};
    enum berth_status status;
    *report = (struct berth_bench_report){0};
    BERTH_TRY(berth_campaign_open(&campaign, options, err));
    BERTH_TRY(berth_campaign_prepare(&campaign, err));
    struct berth_bench_owned *owned = report->owned = berth_calloc(1, sizeof *owned);
    if (!owned) {
        status = berth_fail_memory(err, "a report", sizeof *owned);
        goto fail;
    }
    berth_buffer_init(&owned->remarks, REMARKS_MAX);
    BERTH_TRY(berth_record_open(&campaign, err));
    BERTH_TRY(record_models(&campaign, err));
    if (campaign.e.o.find_rate)
        BERTH_TRY(berth_campaign_find_rates(&campaign, err));
    else
        BERTH_TRY(berth_campaign_measure(&campaign, err));
    BERTH_TRY(berth_record_finish(&campaign, err));
    BERTH_TRY(berth_summary_read(campaign.results, campaign.run, campaign.e.o.find_rate ? campaign.e.o.p99_ms : 0, report, err));
    BERTH_TRY(add_remarks(&campaign, owned, err));
    berth_campaign_close(&campaign);
    return BERTH_OK;
fail:
    berth_campaign_close(&campaign);
    berth_bench_report_clear(report);
    return status;
}

static const char *const study_models[] = {"bert-base=random:bert-base", "distilbert=random:distilbert",
                                           "electra-small=random:electra-small", "bert-tiny=random:bert-tiny"};
static const enum berth_runtime study_runtimes[] = {BERTH_RUNTIME_NATIVE, BERTH_RUNTIME_ONNXRUNTIME};
static const char *const study_optimizations[] = {"plain", "optimized", "quantized"};
static const enum berth_precision study_precisions[] = {BERTH_PRECISION_FP32, BERTH_PRECISION_INT8};
static const size_t study_batches[] = {2, 8, 32}, study_lengths[] = {12, 32, 52, 72, 92, 112};

#define FILL(list, count, values)                         \
    do {                                                  \
        if (!o->list || o->count == 0)                    \
            o->list = values, o->count = sizeof values / sizeof *values; \
    } while (0)

void berth_bench_suite_study(struct berth_bench_options *o)
{
    FILL(models, model_count, study_models);
    FILL(runtimes, runtime_count, study_runtimes);
    for (size_t i = 0; i < o->runtime_count; i++)
        if (o->runtimes[i] == BERTH_RUNTIME_ONNXRUNTIME)
            FILL(optimizations, optimization_count, study_optimizations);
    FILL(precisions, precision_count, study_precisions);
    FILL(batches, batch_count, study_batches);
    FILL(lengths, length_count, study_lengths);
    if (o->trials == 0 && o->percentile == 0)
        o->trials = 5; /* as the study had it; more give intervals */
    if (!o->protocol)
        o->protocol = "study";
    o->suite = "study";
}
