/* compare.c: the rank test of two series, and the comparison of two runs, or of two names with several runs each. */
#include "report/compare.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/error.h"
#include "formats/json_load.h"
#include "report/data.h"

enum { MAX_LAG = 200, LEAST = 4, RUNS_MAX = 1000 };

/* A neighbour on the same core, or a host that is busy, makes everything up to twice as slow for seconds (docs/measuring.md has
 * the measurement): two runs of which one lay within such a phase say nothing about a smaller difference. */
static const double PHASE_SECONDS = 10, PHASE_FACTOR = 2.5;

struct ranked {
    double value;
    size_t at; /* in A and B, one after the other */
};

static int compare_ranked(const void *a, const void *b)
{
    double x = ((const struct ranked *)a)->value, y = ((const struct ranked *)b)->value;
    return (x > y) - (x < y);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Mean ranks (1 to N) of all values together; *ties is what ties take from the variance: the sum of t^3 - t. */
static void rank_all(struct ranked *sorted, size_t total, double *rank, double *ties)
{
    qsort(sorted, total, sizeof *sorted, compare_ranked);
    *ties = 0;
    for (size_t i = 0, end; i < total; i = end) {
        for (end = i + 1; end < total && sorted[end].value == sorted[i].value;)
            end++;
        double t = (double)(end - i);
        *ties += t * t * t - t;
        for (size_t k = i; k < end; k++)
            rank[sorted[k].at] = (double)(i + 1 + end) / 2;
    }
}

/* 1 + 2 * the sum of the autocorrelations, until pairs of them are no longer positive; 1 at least. */
static double find_dependence(const double *rank, size_t n)
{
    double mean = 0, variance = 0, sum = 0;
    size_t lags = n / 4 < MAX_LAG ? n / 4 : MAX_LAG;
    for (size_t i = 0; i < n; i++)
        mean += rank[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        variance += (rank[i] - mean) * (rank[i] - mean);
    for (size_t lag = 1; lag + 1 <= lags && variance > 0; lag += 2) {
        double pair = 0;
        for (size_t k = lag; k < lag + 2; k++)
            for (size_t i = 0; i + k < n; i++)
                pair += (rank[i] - mean) * (rank[i + k] - mean);
        if (pair <= 0)
            break;
        sum += pair / variance;
    }
    return 1 + 2 * sum;
}

/* How many pairs have b / a <= factor (halves for equal ones, when `half`), both sorted. */
static double count_pairs(const double *a, size_t n, const double *b, size_t m, double factor)
{
    double count = 0;
    for (size_t i = 0, j = 0; i < n; i++) {
        while (j < m && b[j] <= factor * a[i])
            j++;
        count += (double)j;
    }
    return count;
}

/* The smallest factor that `wanted` pairs are at or below; by bisection, to 1e-9 of itself. */
static double find_factor(const double *a, size_t n, const double *b, size_t m, double wanted)
{
    double low = b[0] / a[n - 1] * (1 - 1e-12), high = b[m - 1] / a[0] * (1 + 1e-12);
    while (high / low > 1 + 1e-9) {
        double middle = sqrt(low * high);
        *(count_pairs(a, n, b, m, middle) >= wanted ? &high : &low) = middle;
    }
    return high;
}

/* The two-sided quantile of the normal distribution: P(|Z| > z) = rate. */
static double normal_quantile(double rate)
{
    double low = 0, high = 40;
    while (high - low > 1e-12) {
        double middle = (low + high) / 2;
        *(erfc(middle / sqrt(2)) > rate ? &low : &high) = middle;
    }
    return high;
}

static void judge(const double *a, size_t n, const double *b, size_t m, double u, double deviation, double error_rate,
                  struct berth_difference *d)
{
    double pairs = (double)n * (double)m, z = normal_quantile(error_rate);
    double away = fabs(u - pairs / 2);
    d->p = deviation > 0 ? erfc(fmax(0, away - 0.5) / deviation / sqrt(2)) : 1;
    d->p = fmin(1, d->p);
    d->ratio = find_factor(a, n, b, m, pairs / 2);
    double reach = z * deviation + 0.5;
    if (reach >= pairs / 2) { /* not even complete separation would be rejected */
        d->verdict = BERTH_TOO_FEW;
        return;
    }
    d->interval[0] = find_factor(a, n, b, m, fmax(1, pairs / 2 - reach));
    d->interval[1] = find_factor(a, n, b, m, fmin(pairs, pairs / 2 + reach));
    d->verdict = d->p >= error_rate ? BERTH_SAME : u > pairs / 2 ? BERTH_SLOWER : BERTH_FASTER;
    if (d->verdict == BERTH_SAME) { /* rounding of ties aside, 1 is inside */
        d->interval[0] = fmin(d->interval[0], 1);
        d->interval[1] = fmax(d->interval[1], 1);
    }
}

enum berth_status berth_compare_series(const double *a, size_t n, const double *b, size_t m, double error_rate,
                                       struct berth_difference *d, struct berth_error *err)
{
    *d = (struct berth_difference){BERTH_TOO_FEW, NAN, {NAN, NAN}, NAN, {NAN, NAN}};
    if (n < LEAST || m < LEAST)
        return BERTH_OK;
    size_t total = n + m;
    struct ranked *sorted = berth_malloc(total, sizeof *sorted);
    double *rank = berth_malloc(total, sizeof *rank), *copy = berth_malloc(total, sizeof *copy);
    enum berth_status status = BERTH_OK;
    if (!sorted || !rank || !copy) {
        status = berth_fail_memory(err, "a comparison", total * 32);
        goto fail;
    }
    for (size_t i = 0; i < total; i++) {
        copy[i] = fmax(i < n ? a[i] : b[i - n], 1e-6); /* a nanosecond: factors need something */
        sorted[i] = (struct ranked){copy[i], i};
    }
    double ties, sum = 0, N = (double)total;
    rank_all(sorted, total, rank, &ties);
    for (size_t i = n; i < total; i++)
        sum += rank[i];
    double u = sum - (double)m * ((double)m + 1) / 2; /* pairs in which b is the larger one */
    d->dependence[0] = find_dependence(rank, n), d->dependence[1] = find_dependence(rank + n, m);
    double spread = (N + 1 - ties / (N * (N - 1))) / (N + 1); /* 1 without ties */
    double pairs = (double)n * (double)m;
    double variance = pairs * pairs / 12 * (d->dependence[0] / (double)n + d->dependence[1] / (double)m) * spread;
    qsort(copy, n, sizeof *copy, compare_doubles);
    qsort(copy + n, m, sizeof *copy, compare_doubles);
    judge(copy, n, copy + n, m, u, sqrt(variance), error_rate, d);
fail:
    berth_free(sorted);
    berth_free(rank);
    berth_free(copy);
    return status;
}

/* ---- Two sides ---- */

/* The runs that A or B stands for, in the order in which they began. */
struct side {
    int64_t run[RUNS_MAX];
    size_t runs;
};

/* A configuration that both sides measured. */
struct pair {
    const struct berth_cell *a, *b; /* of the newest run of each */
    size_t runs;                    /* pairs of runs; 1: one run of each was compared */
    double a_p50, b_p50;            /* medians, of several runs the median one */
    double seconds;                 /* that the shorter of two single runs took; NaN: unknown, or several runs */
    struct berth_difference d;
};

static bool same_question(const struct berth_cell *x, const struct berth_cell *y)
{
    const struct berth_results_configuration *a = x->c, *b = y->c;
    return a->threads == b->threads && a->batch == b->batch && a->length == b->length &&
           a->concurrency == b->concurrency && a->rate == b->rate && !strcmp(a->model, b->model) &&
           !strcmp(a->target, b->target) && !strcmp(a->runtime, b->runtime) && !strcmp(a->precision, b->precision) &&
           !strcmp(a->optimization, b->optimization) && !strcmp(a->scenario, b->scenario) && !strcmp(a->data, b->data);
}

static const struct berth_results_run *run_of(const struct berth_report_data *data, int64_t id)
{
    for (size_t i = 0; i < data->book.runs; i++)
        if (data->book.run[i].id == id)
            return &data->book.run[i];
    return NULL;
}

/* A name is all of its runs; a number, a uid, first and last are one. */
static enum berth_status find_side(const struct berth_report_data *data, const char *word, struct side *side,
                                   struct berth_error *err)
{
    int64_t found;
    side->runs = 0;
    enum berth_status status = berth_results_find_run(data->results, word, &found, err);
    if (status != BERTH_OK)
        return status;
    const struct berth_results_run *one = run_of(data, found);
    if (!one || strcmp(one->name, word) != 0) {
        side->run[side->runs++] = found;
        return BERTH_OK;
    }
    for (size_t i = 0; i < data->book.runs; i++) {
        const struct berth_results_run *run = &data->book.run[i];
        if (strcmp(run->name, word) != 0)
            continue;
        if (side->runs == RUNS_MAX)
            return berth_fail(err, BERTH_LIMIT, "%s: '%s' has more than %d runs", berth_results_path(data->results), word,
                              RUNS_MAX);
        size_t at = side->runs++;
        for (; at > 0 && run_of(data, side->run[at - 1])->started_us > run->started_us; at--)
            side->run[at] = side->run[at - 1];
        side->run[at] = run->id;
    }
    return BERTH_OK;
}

/* What the runs of a side measured, in the order of the runs. */
struct cells {
    const struct berth_cell **cell; /* [count], owned */
    bool *taken;                    /* [count], owned */
    size_t count;
};

static enum berth_status list_cells(const struct berth_report_data *data, const struct side *side, struct cells *list,
                                    struct berth_error *err)
{
    *list = (struct cells){berth_malloc(data->cells + 1, sizeof *list->cell), berth_calloc(data->cells + 1, 1), 0};
    if (!list->cell || !list->taken)
        return berth_fail_memory(err, "a comparison", data->cells * sizeof *list->cell);
    for (size_t r = 0; r < side->runs; r++)
        for (size_t i = 0; i < data->cells; i++)
            if (data->cell[i].c->run == side->run[r] && data->cell[i].measured && !isnan(data->cell[i].latency.p50))
                list->cell[list->count++] = &data->cell[i];
    return BERTH_OK;
}

/* Takes those of the same question as `x` out of the list, RUNS_MAX at most: a run has each question once. */
static size_t take(struct cells *list, const struct berth_cell *x, const struct berth_cell **cell)
{
    size_t n = 0;
    for (size_t i = 0; i < list->count; i++)
        if (!list->taken[i] && same_question(x, list->cell[i]) && n < RUNS_MAX) {
            list->taken[i] = true;
            cell[n++] = list->cell[i];
        }
    return n;
}

/* Whether A and B took turns: each pair of runs was over before the next one began. */
static bool in_turns(const struct berth_report_data *data, const struct berth_cell **a, const struct berth_cell **b, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        int64_t last = run_of(data, a[i]->c->run)->started_us, other = run_of(data, b[i]->c->run)->started_us,
                next = run_of(data, a[i + 1]->c->run)->started_us, after = run_of(data, b[i + 1]->c->run)->started_us;
        if ((last > other ? last : other) > (next < after ? next : after))
            return false;
    }
    return true;
}

static double median_of(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_doubles);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static enum berth_status read_good(struct berth_results *results, int64_t configuration, double **ms, size_t *n,
                                   double *seconds, struct berth_error *err)
{
    struct berth_results_series s;
    enum berth_status status = berth_results_read_series(results, configuration, &s, err);
    *ms = NULL, *n = 0;
    if (status != BERTH_OK)
        return status;
    if (!(*ms = berth_malloc(s.n + 1, sizeof **ms)))
        status = berth_fail_memory(err, "latencies", s.n * sizeof **ms);
    for (size_t i = 0; status == BERTH_OK && i < s.n; i++)
        if (s.ok[i])
            (*ms)[(*n)++] = (double)s.latency_ns[i] * 1e-6;
    *seconds = s.began_us > 0 ? (double)(s.ended_us - s.began_us) * 1e-6 : NAN;
    berth_results_series_clear(&s);
    return status;
}

/* One run of each: their latencies. */
static enum berth_status compare_single(const struct berth_report_data *data, struct pair *pair, double error_rate,
                                        struct berth_error *err)
{
    double *a = NULL, *b = NULL, seconds[2] = {NAN, NAN};
    size_t n, m;
    enum berth_status status;
    BERTH_TRY(read_good(data->results, pair->a->c->id, &a, &n, &seconds[0], err));
    BERTH_TRY(read_good(data->results, pair->b->c->id, &b, &m, &seconds[1], err));
    BERTH_TRY(berth_compare_series(a, n, b, m, error_rate, &pair->d, err));
    pair->runs = 1, pair->a_p50 = pair->a->latency.p50, pair->b_p50 = pair->b->latency.p50;
    pair->seconds = fmin(seconds[0], seconds[1]);
    bool differs = pair->d.verdict >= BERTH_FASTER, small = fabs(log(pair->d.ratio)) < log(PHASE_FACTOR);
    if (differs && small && pair->seconds < PHASE_SECONDS)
        pair->d.verdict = BERTH_TOO_SHORT;
fail:
    berth_free(a);
    berth_free(b);
    return status;
}

/* Several runs of each: one median a run, paired where A and B took turns. */
static enum berth_status compare_repeated(const struct berth_report_data *data, const struct berth_cell **a, size_t n,
                                          const struct berth_cell **b, size_t m, struct pair *pair, double error_rate,
                                          struct berth_error *err)
{
    double x[RUNS_MAX], y[RUNS_MAX], log_ratio[RUNS_MAX];
    size_t pairs = n < m ? n : m;
    enum berth_status status;
    for (size_t i = 0; i < n; i++)
        x[i] = fmax(a[i]->latency.p50, 1e-6);
    for (size_t i = 0; i < m; i++)
        y[i] = fmax(b[i]->latency.p50, 1e-6);
    for (size_t i = 0; i < pairs; i++)
        log_ratio[i] = log(y[i] / x[i]);
    pair->runs = pairs, pair->seconds = NAN;
    if (in_turns(data, a, b, pairs))
        status = berth_compare_pairs(log_ratio, pairs, error_rate, &pair->d, err);
    else
        status = berth_compare_series(x, n, y, m, error_rate, &pair->d, err);
    pair->a_p50 = median_of(x, n), pair->b_p50 = median_of(y, m);
    return status;
}

static const char *const verdicts[] = {"too few", "too short to tell", "no difference", "B is faster", "B is slower"};

static void write_notes(struct berth_buffer *out, const struct pair *pair, size_t pairs, double error_rate)
{
    bool repeated = false, shorter = false;
    for (size_t i = 0; i < pairs; i++) {
        repeated |= pair[i].runs > 1;
        shorter |= pair[i].d.verdict == BERTH_TOO_SHORT;
    }
    berth_buffer_format(out, "If nothing differed, the chance of any verdict that B is faster or slower would be %g %% at most "
                             "(%s, %zu comparisons).", error_rate * 100,
                        repeated ? "test of the runs' medians" : "rank test, neighbouring trials not taken for independent", pairs);
    if (shorter)
        berth_buffer_format(out, " Too short: below %g s and a factor of %g, a phase of the machine is as likely.", PHASE_SECONDS,
                            PHASE_FACTOR);
    if (!repeated)
        berth_buffer_text(out, " What the machine did differently in the one run counts as a difference: give each name several "
                               "runs, in turns.");
    berth_buffer_text(out, "\n");
}

static void write_text(struct berth_buffer *out, const struct pair *pair, size_t pairs, size_t only_a, size_t only_b,
                       double error_rate)
{
    berth_buffer_format(out, "%-22s %-12s %-14s %3s %5s %6s %6s %5s %10s %10s  %-26s %s\n", "model", "target", "precision",
                        "thr", "batch", "length", "n", "runs", "A p50 ms", "B p50 ms", "B/A, interval", "verdict");
    for (size_t i = 0; i < pairs; i++) {
        const struct pair *p = &pair[i];
        const struct berth_results_configuration *c = p->a->c;
        char variant[64], ratio[64] = "-";
        if (!isnan(p->d.interval[0]))
            snprintf(ratio, sizeof ratio, "%.3f  [%.3f, %.3f]", p->d.ratio, p->d.interval[0], p->d.interval[1]);
        berth_buffer_format(out, "%-22s %-12s %-14s %3" PRId64 " %5" PRId64 " %6" PRId64 " %6zu %5zu %10.3f %10.3f  %-26s %s\n",
                            c->model, c->target, berth_cell_variant(p->a, variant, sizeof variant), c->threads, c->batch,
                            c->length, p->a->latency.n < p->b->latency.n ? p->a->latency.n : p->b->latency.n, p->runs,
                            p->a_p50, p->b_p50, ratio, verdicts[p->d.verdict]);
    }
    if (only_a || only_b)
        berth_buffer_format(out, "%zu configurations are in A alone, %zu in B alone.\n", only_a, only_b);
    write_notes(out, pair, pairs, error_rate);
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *pair_json(const struct pair *p)
{
    static const char *const words[] = {"too few", "too short", "no difference", "faster", "slower"};
    const struct berth_results_configuration *c = p->a->c;
    return json_pack("{s:s?,s:s?,s:s?,s:s?,s:s?,s:s?,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:[o,o],s:o,s:o,s:o,s:s}", "model",
                     c->model, "target", c->target, "runtime", c->runtime, "optimization", c->optimization, "precision",
                     c->precision, "scenario", c->scenario, "threads", (json_int_t)c->threads, "batch",
                     (json_int_t)c->batch, "length", (json_int_t)c->length, "n_a", (json_int_t)p->a->latency.n, "n_b",
                     (json_int_t)p->b->latency.n, "runs", (json_int_t)p->runs,
                     "a_p50_ms", number(p->a_p50), "b_p50_ms", number(p->b_p50), "ratio", number(p->d.ratio), "ratio_ci", number(p->d.interval[0]),
                     number(p->d.interval[1]), "p", number(p->d.p), "accuracy_a", number(p->a->accuracy), "accuracy_b",
                     number(p->b->accuracy), "verdict", words[p->d.verdict]);
}

static enum berth_status write_json(struct berth_buffer *out, const struct pair *pair, size_t pairs, double error_rate,
                                    const char *a, const char *b, struct berth_error *err)
{
    json_t *list = json_array();
    for (size_t i = 0; i < pairs; i++)
        json_array_append_new(list, pair_json(&pair[i]));
    json_t *root = json_pack("{s:s?,s:s?,s:f,s:o}", "a", a, "b", b, "error_rate", error_rate, "comparisons", list);
    bool good = root && json_array_size(list) == pairs && berth_json_write(root, JSON_INDENT(1) | JSON_REAL_PRECISION(12), out);
    json_decref(root);
    return good ? BERTH_OK : berth_fail_memory(err, "JSON", 0);
}

/* Compares every question that both sides measured; *pairs of them, in the order of A's. */
static enum berth_status compare_sides(const struct berth_report_data *data, const struct side *a, const struct side *b,
                                       double error_rate, struct pair *pair, size_t *pairs, size_t *only_a, size_t *only_b,
                                       struct berth_error *err)
{
    struct cells of_a = {0}, of_b = {0};
    const struct berth_cell **x = berth_malloc(2 * RUNS_MAX, sizeof *x), **y = x ? x + RUNS_MAX : NULL;
    enum berth_status status;
    *pairs = 0;
    if (!x)
        return berth_fail_memory(err, "a comparison", 2 * RUNS_MAX * sizeof *x);
    BERTH_TRY(list_cells(data, a, &of_a, err));
    BERTH_TRY(list_cells(data, b, &of_b, err));
    for (int pass = 0; pass < 2; pass++) { /* first how many there are: they share the error rate */
        size_t found = 0;
        *only_a = *only_b = 0;
        memset(of_a.taken, 0, of_a.count);
        memset(of_b.taken, 0, of_b.count);
        for (size_t i = 0; i < of_a.count; i++) {
            if (of_a.taken[i])
                continue;
            const struct berth_cell *cell = of_a.cell[i];
            size_t n = take(&of_a, cell, x), m = take(&of_b, cell, y);
            *only_a += m == 0;
            if (m == 0)
                continue;
            pair[found] = (struct pair){.a = x[n - 1], .b = y[m - 1]};
            if (pass == 1 && n > 1 && m > 1)
                BERTH_TRY(compare_repeated(data, x, n, y, m, &pair[found], error_rate / (double)*pairs, err));
            else if (pass == 1)
                BERTH_TRY(compare_single(data, &pair[found], error_rate / (double)*pairs, err));
            found++;
        }
        for (size_t i = 0; i < of_b.count; i++)
            *only_b += !of_b.taken[i] && take(&of_b, of_b.cell[i], y) > 0;
        *pairs = found;
    }
fail:
    berth_free(of_a.cell);
    berth_free(of_a.taken);
    berth_free(of_b.cell);
    berth_free(of_b.taken);
    berth_free(x);
    return status;
}

enum berth_status berth_compare(const struct berth_compare_options *options, char **text, size_t *different,
                                struct berth_error *err)
{
    struct berth_selection selection = options->selection;
    struct berth_report_data data = {0};
    struct berth_buffer out;
    struct pair *pair = NULL;
    struct side *a = berth_malloc(2, sizeof *a), *b = a ? a + 1 : NULL;
    size_t pairs = 0, only_a = 0, only_b = 0, differ = 0;
    double error_rate = options->error_rate ? options->error_rate : 0.05;
    enum berth_status status;
    *text = NULL;
    selection.run = NULL;
    berth_buffer_init(&out, SIZE_MAX / 2);
    if (!a)
        return berth_fail_memory(err, "a comparison", 2 * sizeof *a);
    if (!(error_rate > 0 && error_rate < 0.5))
        BERTH_TRY(berth_fail(err, BERTH_INVALID_ARGUMENT, "an error rate of %g: above 0 and below 0.5", error_rate));
    BERTH_TRY(berth_report_load(options->results, options->result_count, &selection, NULL, 0, false, &data, err));
    BERTH_TRY(find_side(&data, options->run_a, a, err));
    BERTH_TRY(find_side(&data, options->run_b, b, err));
    for (size_t i = 0; i < a->runs * b->runs; i++)
        if (a->run[i / b->runs] == b->run[i % b->runs])
            BERTH_TRY(berth_fail(err, BERTH_INVALID_ARGUMENT, "%s: '%s' and '%s' are the same run: two of a name are told apart "
                                 "by their uid", berth_results_path(data.results), options->run_a, options->run_b));
    if (!(pair = berth_calloc(data.cells, sizeof *pair)))
        BERTH_TRY(berth_fail_memory(err, "a comparison", data.cells * sizeof *pair));
    BERTH_TRY(compare_sides(&data, a, b, error_rate, pair, &pairs, &only_a, &only_b, err));
    if (pairs == 0)
        BERTH_TRY(berth_fail(err, BERTH_NOT_FOUND, "%s: the runs '%s' and '%s' measured no configuration both",
                             berth_results_path(data.results), options->run_a, options->run_b));
    for (size_t i = 0; i < pairs; i++)
        differ += pair[i].d.verdict >= BERTH_FASTER;
    if (options->json)
        BERTH_TRY(write_json(&out, pair, pairs, error_rate, options->run_a, options->run_b, err));
    else
        write_text(&out, pair, pairs, only_a, only_b, error_rate);
    if (different)
        *different = differ;
    if (out.failed)
        BERTH_TRY(berth_fail_memory(err, "a comparison", out.size));
    *text = out.data;
    out.data = NULL;
fail:
    berth_buffer_clear(&out);
    berth_free(a);
    berth_free(pair);
    berth_report_clear(&data);
    return status;
}
