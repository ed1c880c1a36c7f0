/* data.c: reads results into cells: one configuration and what its latencies say. */
#include "report/data.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

struct berth_results_filter berth_report_filter(const struct berth_selection *s)
{
    return s ? (struct berth_results_filter){s->run,      s->model,          s->target,         s->precision,
                                             s->scenario, (int64_t)s->batch, (int64_t)s->length}
             : (struct berth_results_filter){0};
}

char *berth_cell_variant(const struct berth_cell *cell, char *text, size_t size)
{
    const char *o = cell->c->optimization;
    bool plain = !*o || strcmp(o, "plain") == 0 || (strcmp(o, "quantized") == 0 && strcmp(cell->c->precision, "int8") == 0);
    snprintf(text, size, "%s%s%s", cell->c->precision, plain ? "" : " ", plain ? "" : o);
    return text;
}

const char *berth_data_name(const char *data)
{
    const char *slash = strrchr(data, '/');
    return slash && slash[1] ? slash + 1 : data;
}

static const struct berth_results_model *model_of(const struct berth_report_data *data, const struct berth_cell *cell)
{
    for (size_t i = 0; i < data->book.models; i++)
        if (data->book.model[i].run == cell->c->run && strcmp(data->book.model[i].name, cell->c->model) == 0)
            return &data->book.model[i];
    return NULL;
}

int64_t berth_cell_parameters(const struct berth_report_data *data, const struct berth_cell *cell)
{
    const struct berth_results_model *model = model_of(data, cell);
    return model ? model->parameters : 0;
}

/* One name is one model within a run. Between runs the weights' hash tells, or else where they came from: a model of random
 * weights is not the published one of its name. */
static bool same_weights(const struct berth_report_data *data, const struct berth_cell *a, const struct berth_cell *b)
{
    const struct berth_results_model *x = model_of(data, a), *y = model_of(data, b);
    if (strcmp(a->c->model, b->c->model) != 0)
        return false;
    if (a->c->run == b->c->run)
        return true;
    if (!x || !y)
        return false;
    if (*x->hash && *y->hash)
        return strcmp(x->hash, y->hash) == 0;
    return *x->source && strcmp(x->source, y->source) == 0 && x->parameters == y->parameters;
}

const struct berth_cell *berth_cell_find_accuracy(const struct berth_report_data *data, const struct berth_cell *cell)
{
    const struct berth_results_configuration *c = cell->c;
    const struct berth_cell *best = NULL;
    int best_score = 0;
    if (!isnan(cell->accuracy))
        return cell;
    for (size_t i = 0; i < data->cells; i++) {
        const struct berth_results_configuration *o = data->cell[i].c;
        if (isnan(data->cell[i].accuracy) || strcmp(o->precision, c->precision) ||
            strcmp(o->optimization, c->optimization) || !same_weights(data, cell, &data->cell[i]))
            continue;
        int score = 1 + 4 * !strcmp(o->runtime, c->runtime) + 2 * !strcmp(o->target, c->target) + 8 * (o->run == c->run);
        if (score > best_score)
            best = &data->cell[i], best_score = score;
    }
    return best;
}

static void set_unknown(struct berth_cell *cell)
{
    struct berth_stats *s = &cell->latency;
    *s = (struct berth_stats){.mean = NAN, .min = NAN, .max = NAN, .p50 = NAN, .p90 = NAN, .p95 = NAN, .p99 = NAN,
                              .stddev = NAN, .p50_interval = {NAN, NAN}, .p90_interval = {NAN, NAN},
                              .p95_interval = {NAN, NAN}, .p99_interval = {NAN, NAN}};
    cell->service_p50 = cell->service_p99 = cell->texts_per_second = cell->tokens_per_second = NAN;
    cell->padding = cell->cpu_ms = cell->energy_mj = cell->late = cell->accuracy = cell->cost = NAN;
    cell->accuracy_interval[0] = cell->accuracy_interval[1] = NAN;
    for (int i = 0; i <= BERTH_REPORT_CURVE; i++)
        cell->curve[i] = NAN;
}

static void take_published(struct berth_cell *cell)
{
    const struct berth_results_summary *p = &cell->c->summary;
    struct berth_stats *s = &cell->latency;
    s->n = (size_t)p->n, s->mean = p->mean_ms, s->stddev = p->stddev_ms;
    s->p50 = p->p50_ms, s->p90 = p->p90_ms, s->p95 = p->p95_ms, s->p99 = p->p99_ms;
    double texts = (double)cell->c->batch / p->mean_ms * 1e3;
    cell->texts_per_second = texts;
    cell->tokens_per_second = cell->c->length > 0 ? texts * (double)cell->c->length : NAN;
}

static void take_rates(struct berth_cell *cell, const struct berth_results_series *s)
{
    double good = s->n > 0 ? (double)(s->n - s->failed) / (double)s->n : 0;
    double seconds = (double)s->wall_ns * 1e-9, texts = (double)s->texts * good;
    int64_t tokens = s->tokens > 0 ? s->tokens : s->texts * cell->c->length;
    if (seconds > 0 && texts > 0) {
        cell->texts_per_second = texts / seconds;
        if (tokens > 0)
            cell->tokens_per_second = (double)tokens * good / seconds;
    }
    if (s->padded_tokens > 0 && s->tokens > 0 && s->tokens <= s->padded_tokens)
        cell->padding = 1 - (double)s->tokens / (double)s->padded_tokens;
    if (s->cpu_ns > 0 && s->texts > 0)
        cell->cpu_ms = (double)s->cpu_ns * 1e-6 / (double)s->texts;
    if (s->energy_uj > 0 && s->texts > 0)
        cell->energy_mj = (double)s->energy_uj * 1e-3 / (double)s->texts;
    if (s->n > 0)
        cell->late = (double)s->late / (double)s->n;
}

static size_t take_good(const struct berth_results_series *s, const int64_t *ns, double *ms)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->ok[i])
            ms[n++] = (double)ns[i] * 1e-6;
    return n;
}

static enum berth_status take_latencies(struct berth_report_data *data, struct berth_cell *cell, struct berth_error *err)
{
    struct berth_results_series s;
    enum berth_status status = berth_results_read_series(data->results, cell->c->id, &s, err);
    if (status != BERTH_OK)
        return status;
    double *ms = s.n > 0 ? berth_malloc(s.n, sizeof *ms) : NULL;
    if (s.n > 0 && !ms) {
        berth_results_series_clear(&s);
        return berth_fail_memory(err, "latencies", s.n * sizeof *ms);
    }
    cell->measured = s.n > 0;
    cell->failed = s.failed;
    data->latencies += s.n, data->failed += s.failed;
    if (s.n > 0) {
        struct berth_stats service;
        size_t n = take_good(&s, s.service_ns, ms);
        bool alike = memcmp(s.service_ns, s.latency_ns, s.n * sizeof *s.latency_ns) == 0;
        berth_stats_compute(ms, n, &service);
        cell->latency = service;
        cell->service_p50 = service.p50, cell->service_p99 = service.p99;
        if (!alike) {
            n = take_good(&s, s.latency_ns, ms);
            berth_stats_compute(ms, n, &cell->latency);
        }
        for (int i = 0; n > 0 && i <= BERTH_REPORT_CURVE; i++)
            cell->curve[i] = ms[(size_t)((double)i / BERTH_REPORT_CURVE * (double)(n - 1) + 0.5)];
        take_rates(cell, &s);
    }
    berth_free(ms);
    berth_results_series_clear(&s);
    return BERTH_OK;
}

static double price_of(const char *target, const struct berth_price *prices, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(prices[i].target, target) == 0)
            return prices[i].usd_per_hour;
    return NAN;
}

static enum berth_status fill_cell(struct berth_report_data *data, struct berth_cell *cell,
                                   const struct berth_results_configuration *c, const struct berth_price *prices,
                                   size_t price_count, struct berth_error *err)
{
    set_unknown(cell);
    cell->c = c;
    cell->run = berth_results_run_of(&data->book, c->run);
    enum berth_status status = take_latencies(data, cell, err);
    if (status != BERTH_OK)
        return status;
    if (!cell->measured && c->summary.n > 0)
        take_published(cell);
    if (c->labelled > 0 && c->correct >= 0 && c->correct <= c->labelled) {
        cell->accuracy = (double)c->correct / (double)c->labelled;
        berth_stats_share((size_t)c->correct, (size_t)c->labelled, cell->accuracy_interval);
    }
    cell->cost = price_of(c->target, prices, price_count) / 3600 / cell->texts_per_second * 1e6;
    return BERTH_OK;
}

static bool same_question(const struct berth_results_configuration *a, const struct berth_results_configuration *b)
{
    return a->threads == b->threads && a->batch == b->batch && a->length == b->length &&
           a->concurrency == b->concurrency && a->rate == b->rate && !strcmp(a->model, b->model) &&
           !strcmp(a->target, b->target) && !strcmp(a->runtime, b->runtime) && !strcmp(a->precision, b->precision) &&
           !strcmp(a->optimization, b->optimization) && !strcmp(a->scenario, b->scenario) && !strcmp(a->data, b->data);
}

/* Configurations are ordered by run, which are ordered by when they were added: a later one replaces. */
static bool replaced(const struct berth_report_data *data, const struct berth_results_filter *filter, size_t i)
{
    const struct berth_results_book *book = &data->book;
    for (size_t j = i + 1; j < book->configurations; j++)
        if (book->configuration[j].run != book->configuration[i].run &&
            strcmp(book->configuration[j].status, "pending") != 0 &&
            same_question(&book->configuration[i], &book->configuration[j]) &&
            berth_results_matches(filter, book, &book->configuration[j]))
            return true;
    return false;
}

static enum berth_status nothing_matches(const struct berth_report_data *data, struct berth_error *err)
{
    char models[300] = "", targets[200] = "";
    const struct berth_results_book *book = &data->book;
    if (book->configurations == 0)
        return berth_fail(err, BERTH_NOT_FOUND, "%s: nothing was measured yet", berth_results_path(data->results));
    for (size_t i = 0; i < book->configurations; i++) {
        const char *model = book->configuration[i].model, *target = book->configuration[i].target;
        if (!strstr(models, model) && strlen(models) + strlen(model) + 3 < sizeof models)
            strcat(strcat(models, *models ? ", " : ""), model);
        if (!strstr(targets, target) && strlen(targets) + strlen(target) + 3 < sizeof targets)
            strcat(strcat(targets, *targets ? ", " : ""), target);
    }
    return berth_fail(err, BERTH_NOT_FOUND, "%s: none of its %zu configurations is what is asked for (models: %s; targets: %s)",
                      berth_results_path(data->results), book->configurations, models, targets);
}

static enum berth_status check_prices(const struct berth_report_data *data, const struct berth_price *prices,
                                      size_t count, struct berth_error *err)
{
    for (size_t i = 0; i < count; i++) {
        bool known = false;
        for (size_t c = 0; c < data->book.configurations && !known; c++)
            known = strcmp(data->book.configuration[c].target, prices[i].target) == 0;
        if (!known)
            return berth_fail(err, BERTH_NOT_FOUND, "%s: a price for '%s', but nothing was measured on a target of that name",
                              berth_results_path(data->results), prices[i].target);
    }
    return BERTH_OK;
}

enum berth_status berth_report_load(const char *const *results, size_t count, const struct berth_selection *selection,
                                    const struct berth_price *prices, size_t price_count, bool newest,
                                    struct berth_report_data *data, struct berth_error *err)
{
    *data = (struct berth_report_data){0};
    struct berth_results_filter filter = berth_report_filter(selection);
    char uid[40];
    enum berth_status status;
    BERTH_TRY(berth_results_open_all(results, count, &data->results, err));
    BERTH_TRY(berth_results_read(data->results, 0, &data->book, err));
    if (filter.run) { /* by name, id or uid: an unknown one is an error of its own */
        int64_t run;
        BERTH_TRY(berth_results_find_run(data->results, filter.run, &run, err));
        snprintf(uid, sizeof uid, "%s", berth_results_run_of(&data->book, run)->uid);
        filter.run = uid;
    }
    BERTH_TRY(check_prices(data, prices, price_count, err));
    data->cell = berth_calloc(data->book.configurations, sizeof *data->cell);
    if (!data->cell)
        BERTH_TRY(berth_fail_memory(err, "a report", data->book.configurations * sizeof *data->cell));
    for (size_t i = 0; i < data->book.configurations; i++) {
        const struct berth_results_configuration *c = &data->book.configuration[i];
        if (!berth_results_matches(&filter, &data->book, c))
            continue;
        if (newest && replaced(data, &filter, i)) {
            data->older++;
            continue;
        }
        BERTH_TRY(fill_cell(data, &data->cell[data->cells], c, prices, price_count, err));
        data->cells += data->cell[data->cells].latency.n > 0 || data->cell[data->cells].failed > 0 ||
                       strcmp(c->status, "pending") != 0;
    }
    if (data->cells == 0)
        BERTH_TRY(nothing_matches(data, err));
    return BERTH_OK;
fail:
    berth_report_clear(data);
    return status;
}

void berth_report_clear(struct berth_report_data *data)
{
    berth_free(data->cell);
    berth_results_book_clear(&data->book);
    berth_results_close(data->results);
    *data = (struct berth_report_data){0};
}
