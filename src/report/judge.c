/* judge.c: gathers cells into deployments, holds them against an objective, ranks them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "report/recommend.h"

/* p99 of at most mean + sqrt(0.99 / 0.01) deviations, whatever the distribution (Cantelli's inequality). */
static double bound_quantile(const struct berth_stats *s, double q)
{
    return s->mean + s->stddev * sqrt(q / (1 - q));
}

static bool same_deployment(const struct berth_results_configuration *a, const struct berth_results_configuration *b)
{
    return a->run == b->run && a->threads == b->threads && a->batch == b->batch && a->concurrency == b->concurrency &&
           a->rate == b->rate && !strcmp(a->model, b->model) && !strcmp(a->target, b->target) &&
           !strcmp(a->runtime, b->runtime) && !strcmp(a->precision, b->precision) &&
           !strcmp(a->optimization, b->optimization) && !strcmp(a->scenario, b->scenario) && !strcmp(a->data, b->data);
}

static void take_percentile(struct berth_deployment *d, int i, const struct berth_cell *cell, double value,
                            const double interval[2], double q)
{
    bool bound = !cell->measured && isnan(value) && !isnan(cell->latency.stddev);
    if (bound)
        value = bound_quantile(&cell->latency, q);
    if (isnan(value)) {
        d->p_few[i] = true;
        return;
    }
    if (d->p[i] >= value)
        return;
    d->p[i] = value, d->p_bound[i] = bound;
    d->p_interval[i][0] = interval[0], d->p_interval[i][1] = interval[1];
}

static void add_cell(struct berth_deployment *d, const struct berth_cell *cell)
{
    const struct berth_stats *s = &cell->latency;
    int64_t length = cell->c->length;
    if (d->cells == 0)
        *d = (struct berth_deployment){.cell = cell, .shortest = length, .longest = length, .n = s->n};
    d->cells++;
    d->shortest = length < d->shortest ? length : d->shortest;
    if (length >= d->longest)
        d->longest = length, d->cell = cell;
    d->lengths += ((unsigned long long)length + 1) * 0x9e3779b97f4a7c15ull;
    d->n = s->n < d->n ? s->n : d->n;
    take_percentile(d, 0, cell, s->p50, s->p50_interval, 0.5);
    take_percentile(d, 1, cell, s->p90, s->p90_interval, 0.9);
    take_percentile(d, 2, cell, s->p99, s->p99_interval, 0.99);
    d->texts_per_second += 1 / cell->texts_per_second; /* seconds, until all are in */
    d->memory_mb = fmax(d->memory_mb, (double)cell->c->memory_bytes / 1048576);
    if (strcmp(cell->c->status, "ok") != 0 && !d->status[0])
        snprintf(d->status, sizeof d->status, "%s%s%s", cell->c->status, *cell->c->failure ? ": " : "", cell->c->failure);
    else if (cell->failed > 0 && !d->status[0])
        snprintf(d->status, sizeof d->status, "%zu of its %zu trials failed", cell->failed, cell->failed + s->n);
}

static double price_of(const struct berth_recommend_options *options, const char *target)
{
    for (size_t i = 0; i < options->price_count; i++)
        if (strcmp(options->prices[i].target, target) == 0)
            return options->prices[i].usd_per_hour;
    return NAN;
}

static void complete(const struct berth_report_data *data, const struct berth_recommend_options *options,
                     struct berth_deployment *d)
{
    const struct berth_cell *accurate = berth_cell_find_accuracy(data, d->cell);
    d->texts_per_second = (double)d->cells / d->texts_per_second;
    d->cost = price_of(options, d->cell->c->target) / 3600 / d->texts_per_second * 1e6;
    d->memory_mb = d->memory_mb > 0 ? d->memory_mb : NAN;
    d->accuracy = accurate ? accurate->accuracy : NAN;
    d->accuracy_interval[0] = accurate ? accurate->accuracy_interval[0] : NAN;
    d->accuracy_interval[1] = accurate ? accurate->accuracy_interval[1] : NAN;
    for (int i = 0; i < 3; i++)
        if (d->p_few[i] || d->p[i] == 0)
            d->p[i] = NAN;
}

/* `sign` 1: at most, -1: at least. */
static struct berth_check check(double value, const double interval[2], double limit, int sign, bool few)
{
    struct berth_check c = {BERTH_MET, value, {interval ? interval[0] : NAN, interval ? interval[1] : NAN}, false, 1};
    if (limit <= 0)
        c.standing = BERTH_UNASKED;
    else if (isnan(value))
        c.standing = few ? BERTH_TOO_FEW_TRIALS : BERTH_NOT_MEASURED, c.excess = INFINITY;
    else if (sign * value > sign * limit)
        c.standing = BERTH_MISSED, c.excess = sign > 0 ? value / limit : limit / fmax(value, 1e-9);
    else if (interval && (isnan(interval[0]) ? false : sign > 0 ? interval[1] > limit : interval[0] < limit))
        c.standing = BERTH_MAY_MEET;
    return c;
}

static void judge(const struct berth_recommend_options *o, struct berth_deployment *d)
{
    const double limits[3] = {o->p50_ms, o->p90_ms, o->p99_ms};
    for (int i = 0; i < 3; i++) {
        d->check[i] = check(d->p[i], d->p_interval[i], limits[i], 1, d->p_few[i]);
        d->check[i].bound = d->p_bound[i];
        /* A percentile without an interval rests on too few trials to be sure of it. */
        if (d->check[i].standing == BERTH_MET && !d->p_bound[i] && isnan(d->p_interval[i][1]))
            d->check[i].standing = BERTH_MAY_MEET;
    }
    d->check[BERTH_LIMIT_ACCURACY] = check(d->accuracy, d->accuracy_interval, o->min_accuracy, -1, false);
    d->check[BERTH_LIMIT_RATE] = check(d->texts_per_second, NULL, o->min_rate, -1, false);
    d->check[BERTH_LIMIT_MEMORY] = check(d->memory_mb, NULL, o->max_memory_mb, 1, false);
    d->check[BERTH_LIMIT_COST] = check(d->cost, NULL, o->max_cost, 1, false);
    d->meets = !d->status[0];
    d->excess = d->status[0] ? INFINITY : 1;
    for (int i = 0; i < BERTH_LIMITS; i++) {
        d->meets &= d->check[i].standing <= BERTH_MAY_MEET;
        d->excess *= d->check[i].excess;
    }
}

static int compare_reals(double a, double b) /* NaN last */
{
    return isnan(a) || isnan(b) ? isnan(a) - isnan(b) : (a > b) - (a < b);
}

static int rank(const void *x, const void *y)
{
    const struct berth_deployment *a = x, *b = y;
    int order = (a->longest > b->longest) - (a->longest < b->longest);
    if (!order)
        order = strcmp(a->cell->c->data, b->cell->c->data);
    if (!order)
        order = (a->lengths > b->lengths) - (a->lengths < b->lengths);
    if (!order)
        order = (int)b->meets - (int)a->meets;
    if (!order && !a->meets)
        order = compare_reals(a->excess, b->excess);
    if (!order)
        order = compare_reals(a->cost, b->cost);
    if (!order)
        order = compare_reals(-a->texts_per_second, -b->texts_per_second);
    return order ? order : (a->cell->c->id > b->cell->c->id) - (a->cell->c->id < b->cell->c->id);
}

enum berth_status berth_recommend_judge(const struct berth_report_data *data, const struct berth_recommend_options *options,
                                        struct berth_deployment **deployments, size_t *count, struct berth_error *err)
{
    struct berth_deployment *list = berth_calloc(data->cells, sizeof *list);
    size_t n = 0;
    if (!list)
        return berth_fail_memory(err, "a recommendation", data->cells * sizeof *list);
    for (size_t i = 0; i < data->cells; i++) {
        const struct berth_cell *cell = &data->cell[i];
        size_t d = 0;
        while (d < n && !same_deployment(list[d].cell->c, cell->c))
            d++;
        add_cell(&list[d], cell);
        n += d == n;
    }
    for (size_t d = 0; d < n; d++) {
        complete(data, options, &list[d]);
        judge(options, &list[d]);
    }
    qsort(list, n, sizeof *list, rank);
    *deployments = list;
    *count = n;
    return BERTH_OK;
}
