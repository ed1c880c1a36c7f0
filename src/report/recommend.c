/* recommend.c: a recommendation in words and as JSON. */
#include "report/recommend.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/error.h"
#include "formats/json_load.h"

enum { FEW_EXCLUDED = 12 };

static const struct limit {
    const char *name, *key, *unit;
    int digits;
    bool least; /* a lower limit */
} limits[BERTH_LIMITS] = {
    {"p50", "p50_ms", " ms", 4, false},       {"p90", "p90_ms", " ms", 4, false},
    {"p99", "p99_ms", " ms", 4, false},       {"accuracy", "min_accuracy", "", 4, true},
    {"rate", "min_rate", " texts/s", 4, true}, {"memory", "max_memory_mb", " MB", 4, false},
    {"cost", "max_cost", " USD/million", 3, false},
};

static double limit_of(const struct berth_recommend_options *o, int i)
{
    const double all[BERTH_LIMITS] = {o->p50_ms, o->p90_ms, o->p99_ms, o->min_accuracy, o->min_rate, o->max_memory_mb,
                                      o->max_cost};
    return all[i];
}

static void describe(const struct berth_deployment *d, char *text, size_t size)
{
    char variant[64], load[48] = "";
    const struct berth_results_configuration *c = d->cell->c;
    if (c->rate > 0)
        snprintf(load, sizeof load, ", %g requests/s", c->rate);
    else if (c->concurrency > 1)
        snprintf(load, sizeof load, ", %" PRId64 " at once", c->concurrency);
    snprintf(text, size, "%s on %s, %s, %" PRId64 " thread%s, batch %" PRId64 "%s", c->model, c->target,
             berth_cell_variant(d->cell, variant, sizeof variant), c->threads, c->threads == 1 ? "" : "s", c->batch, load);
}

/* One limit that a deployment misses, or meets only perhaps: "p99 131 ms is 1.31 times the 100 ms allowed". */
static void explain(const struct berth_deployment *d, int i, double limit, char *text, size_t size)
{
    const struct berth_check *c = &d->check[i];
    const struct limit *l = &limits[i];
    const char *bound = c->bound ? " (a bound from its published mean and deviation)" : "";
    switch (c->standing) {
    case BERTH_TOO_FEW_TRIALS:
        if (d->cell->measured)
            snprintf(text, size, "too few trials for %s (%zu)", l->name, d->n);
        else
            snprintf(text, size, "no %s was published, nor a deviation to bound it by", l->name);
        break;
    case BERTH_NOT_MEASURED:
        if (i == BERTH_LIMIT_COST)
            snprintf(text, size, "no price for its target (--price %s=USD_PER_HOUR)", d->cell->c->target);
        else
            snprintf(text, size, "%s unknown", l->name);
        break;
    case BERTH_MISSED:
        snprintf(text, size, "%s %.*g%s%s: %.3g times %s the %.*g%s", l->name, l->digits, c->value, l->unit, bound,
                 c->excess, l->least ? "below" : "above", l->digits, limit, l->unit);
        break;
    case BERTH_MAY_MEET:
        if (isnan(c->interval[0]))
            snprintf(text, size, "%s %.*g%s rests on too few trials for an interval (%zu)", l->name, l->digits, c->value,
                     l->unit, d->n);
        else
            snprintf(text, size, "%s %.*g%s meets %.*g%s, but its 95 %% interval [%.*g, %.*g] reaches beyond", l->name,
                     l->digits, c->value, l->unit, l->digits, limit, l->unit, l->digits, c->interval[0], l->digits,
                     c->interval[1]);
        break;
    default:
        snprintf(text, size, "%s %.*g%s%s", l->name, l->digits, c->value, l->unit, bound);
    }
}

static void write_values(struct berth_buffer *out, const struct berth_deployment *d)
{
    for (int i = 0; i < 3; i++)
        if (!isnan(d->p[i]))
            berth_buffer_format(out, "%s p%d %s%.4g ms", i ? "," : "", i == 0 ? 50 : i == 1 ? 90 : 99,
                                d->p_bound[i] ? "<= " : "", d->p[i]);
    if (!isnan(d->accuracy))
        berth_buffer_format(out, "; accuracy %.1f %% [%.1f, %.1f]", d->accuracy * 100, d->accuracy_interval[0] * 100,
                            d->accuracy_interval[1] * 100);
    if (!isnan(d->texts_per_second))
        berth_buffer_format(out, "; %.4g texts/s", d->texts_per_second);
    if (!isnan(d->memory_mb))
        berth_buffer_format(out, "; %.0f MB", d->memory_mb);
    if (isnan(d->cost))
        berth_buffer_format(out, "; cost unknown (--price %s=USD_PER_HOUR)", d->cell->c->target);
    else
        berth_buffer_format(out, "; %.3g USD a million texts", d->cost);
    berth_buffer_text(out, "\n");
}

static void write_reasons(struct berth_buffer *out, const struct berth_recommend_options *o, const struct berth_deployment *d,
                          bool doubts)
{
    char text[256];
    size_t reasons = 0;
    if (d->status[0] && !doubts)
        berth_buffer_format(out, "%s%s", reasons++ ? "; " : "", d->status);
    for (int i = 0; i < BERTH_LIMITS; i++) {
        bool doubt = d->check[i].standing == BERTH_MAY_MEET;
        if (doubts ? !doubt : d->check[i].standing <= BERTH_MAY_MEET)
            continue;
        explain(d, i, limit_of(o, i), text, sizeof text);
        berth_buffer_format(out, "%s%s", reasons++ ? "; " : "", text);
    }
}

static bool has_doubts(const struct berth_deployment *d)
{
    for (int i = 0; i < BERTH_LIMITS; i++)
        if (d->check[i].standing == BERTH_MAY_MEET)
            return true;
    return false;
}

static void write_objective(struct berth_buffer *out, const struct berth_recommend_options *o)
{
    size_t n = 0;
    berth_buffer_text(out, "objective:");
    for (int i = 0; i < BERTH_LIMITS; i++)
        if (limit_of(o, i) > 0)
            berth_buffer_format(out, "%s %s %s %.6g%s", n++ ? "," : "", limits[i].name, limits[i].least ? ">=" : "<=",
                                limit_of(o, i), limits[i].unit);
    berth_buffer_text(out, n ? "\n" : " none, so the cheapest\n");
}

/* One set of lengths: what meets, what is excluded and why. */
static void write_group(struct berth_buffer *out, const struct berth_recommend_options *o, const struct berth_deployment *d,
                        size_t count)
{
    char name[200];
    size_t meets = 0;
    while (meets < count && d[meets].meets)
        meets++;
    berth_buffer_text(out, "\ntexts of ");
    if (d->longest == 0)
        berth_buffer_format(out, "%s", d->cell->c->data);
    else if (d->shortest == d->longest)
        berth_buffer_format(out, "%" PRId64 " tokens", d->longest);
    else
        berth_buffer_format(out, "%" PRId64 " to %" PRId64 " tokens (the worst length counts)", d->shortest, d->longest);
    if (d->longest > 0 && *d->cell->c->data && strcmp(d->cell->c->data, "synthetic") != 0)
        berth_buffer_format(out, ", %s", d->cell->c->data);
    berth_buffer_format(out, ": %zu of %zu deployments meet it\n", meets, count);
    for (size_t i = 0; i < meets && (o->all || i < FEW_EXCLUDED); i++) {
        describe(&d[i], name, sizeof name);
        berth_buffer_format(out, "%s %zu. %s\n      ", i ? "  " : "->", i + 1, name);
        write_values(out, &d[i]);
        if (has_doubts(&d[i])) {
            berth_buffer_text(out, "      not certain: ");
            write_reasons(out, o, &d[i], true);
            berth_buffer_text(out, "\n");
        }
    }
    if (meets < count)
        berth_buffer_text(out, meets ? "   excluded, the nearest first:\n" : "   nothing meets it; the nearest first:\n");
    for (size_t i = meets; i < count && (o->all || i < meets + FEW_EXCLUDED); i++) {
        describe(&d[i], name, sizeof name);
        berth_buffer_format(out, "    - %s: ", name);
        write_reasons(out, o, &d[i], false);
        berth_buffer_text(out, "\n");
    }
    if (!o->all && count > meets + FEW_EXCLUDED)
        berth_buffer_format(out, "    - and %zu more (--all)\n", count - meets - FEW_EXCLUDED);
}

static bool same_group(const struct berth_deployment *a, const struct berth_deployment *b)
{
    return a->lengths == b->lengths && a->longest == b->longest && !strcmp(a->cell->c->data, b->cell->c->data);
}

static void write_text(struct berth_buffer *out, const struct berth_recommend_options *o, const struct berth_deployment *d,
                       size_t count)
{
    char name[200];
    size_t near = 0;
    bool met = false;
    write_objective(out, o);
    for (size_t i = 0; i < count; i++) {
        met |= d[i].meets;
        near = d[i].excess < d[near].excess ? i : near;
    }
    if (!met) {
        describe(&d[near], name, sizeof name);
        berth_buffer_format(out, "nothing meets it; the nearest is %s, texts of %" PRId64 " tokens: ", name, d[near].longest);
        write_reasons(out, o, &d[near], false);
        berth_buffer_text(out, "\n");
    }
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && same_group(&d[i], &d[end]);)
            end++;
        write_group(out, o, d + i, end - i);
    }
}

/* ---- JSON ---- */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *check_json(const struct berth_recommend_options *o, const struct berth_deployment *d, int i)
{
    static const char *const standings[] = {"", "met", "met within the interval only", "missed", "too few", "unknown"};
    char text[256];
    explain(d, i, limit_of(o, i), text, sizeof text);
    const struct berth_check *c = &d->check[i];
    return json_pack("{s:s,s:s,s:f,s:o,s:[o,o],s:o,s:b,s:s?}", "constraint", limits[i].key, "standing", standings[c->standing],
                     "limit", limit_of(o, i), "value", number(c->value), "ci", number(c->interval[0]),
                     number(c->interval[1]), "factor", number(c->excess), "bound", c->bound, "why", text);
}

static json_t *deployment_json(const struct berth_recommend_options *o, const struct berth_deployment *d, size_t rank)
{
    const struct berth_results_configuration *c = d->cell->c;
    json_t *checks = json_array();
    for (int i = 0; i < BERTH_LIMITS; i++)
        if (d->check[i].standing != BERTH_UNASKED)
            json_array_append_new(checks, check_json(o, d, i));
    json_t *value = json_pack(
        "{s:o,s:b,s:s?,s:s?,s:s?,s:s?,s:s?,s:s?,s:s?,s:I,s:I,s:I,s:f,s:[I,I],s:I}", "rank",
        rank ? json_integer((json_int_t)rank) : json_null(), "meets", d->meets, "model", c->model, "target", c->target,
        "runtime", c->runtime, "optimization", c->optimization, "precision", c->precision, "scenario", c->scenario, "data",
        c->data, "threads", (json_int_t)c->threads, "batch", (json_int_t)c->batch, "concurrency",
        (json_int_t)c->concurrency, "rate", c->rate, "lengths", (json_int_t)d->shortest, (json_int_t)d->longest, "n",
        (json_int_t)d->n);
    json_t *figures = json_pack("{s:o,s:o,s:o,s:o,s:[o,o],s:o,s:o,s:o,s:o,s:s?}", "p50_ms", number(d->p[0]), "p90_ms",
                                number(d->p[1]), "p99_ms", number(d->p[2]), "accuracy", number(d->accuracy), "accuracy_ci",
                                number(d->accuracy_interval[0]), number(d->accuracy_interval[1]), "texts_per_second",
                                number(d->texts_per_second), "memory_mb", number(d->memory_mb), "usd_per_million_texts",
                                number(d->cost), "checks", checks, "status", d->status);
    if (!value || !figures || json_object_update(value, figures) != 0) {
        json_decref(value);
        value = NULL;
    }
    json_decref(figures);
    return value;
}

static enum berth_status write_json(struct berth_buffer *out, const struct berth_recommend_options *o,
                                    const struct berth_deployment *d, size_t count, struct berth_error *err)
{
    json_t *objective = json_object(), *meets = json_array(), *excluded = json_array(), *nearest = NULL;
    bool good = objective && meets && excluded;
    size_t rank = 0, near = count;
    for (int i = 0; good && i < BERTH_LIMITS; i++)
        if (limit_of(o, i) > 0)
            good = json_object_set_new(objective, limits[i].key, json_real(limit_of(o, i))) == 0;
    for (size_t i = 0; good && i < count; i++) {
        rank = i > 0 && same_group(&d[i - 1], &d[i]) ? rank + 1 : 1;
        json_t *value = deployment_json(o, &d[i], d[i].meets ? rank : 0);
        good = json_array_append_new(d[i].meets ? meets : excluded, value) == 0;
        if (!d[i].meets && (near == count || d[i].excess < d[near].excess))
            near = i;
    }
    if (good && near < count)
        nearest = deployment_json(o, &d[near], 0);
    json_t *best = json_array_size(meets) > 0 ? json_incref(json_array_get(meets, 0)) : json_null();
    json_t *root = json_pack("{s:o,s:o,s:o,s:o,s:o}", "objective", objective, "recommended", best, "meets", meets,
                             "nearest", nearest ? nearest : json_null(), "excluded", excluded);
    good = good && root && berth_json_write(root, JSON_INDENT(1) | JSON_REAL_PRECISION(12), out) && berth_buffer_text(out, "\n");
    json_decref(root);
    return good ? BERTH_OK : berth_fail_memory(err, "JSON", 0);
}

static enum berth_status check_options(const struct berth_recommend_options *o, struct berth_error *err)
{
    if (!(o->min_accuracy >= 0 && o->min_accuracy <= 1))
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "an accuracy of %g: it is a share between 0 and 1", o->min_accuracy);
    for (size_t i = 0; i < o->price_count; i++)
        if (!(o->prices[i].usd_per_hour >= 0 && isfinite(o->prices[i].usd_per_hour)))
            return berth_fail(err, BERTH_INVALID_ARGUMENT, "a price of %g USD an hour for %s", o->prices[i].usd_per_hour,
                              o->prices[i].target);
    return BERTH_OK;
}

enum berth_status berth_recommend(const struct berth_recommend_options *options, char **text, bool *met,
                                  struct berth_error *err)
{
    struct berth_report_data data = {0};
    struct berth_deployment *d = NULL;
    struct berth_buffer out;
    size_t count = 0;
    enum berth_status status;
    *text = NULL, *met = false;
    berth_buffer_init(&out, SIZE_MAX / 2);
    BERTH_TRY(check_options(options, err));
    BERTH_TRY(berth_report_load(options->results, options->result_count, &options->selection, options->prices,
                                options->price_count, true, &data, err));
    BERTH_TRY(berth_recommend_judge(&data, options, &d, &count, err));
    for (size_t i = 0; i < count; i++)
        *met |= d[i].meets;
    if (options->json)
        BERTH_TRY(write_json(&out, options, d, count, err));
    else
        write_text(&out, options, d, count);
    if (out.failed)
        BERTH_TRY(berth_fail_memory(err, "a recommendation", out.size));
    *text = out.data;
    out.data = NULL;
fail:
    berth_buffer_clear(&out);
    berth_free(d);
    berth_report_clear(&data);
    return status;
}
