/* export.c: results as CSV, JSON, and the JSON of the 2021 study. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "formats/json_load.h"
#include "results/exchange.h"

const struct berth_results_run *berth_results_run_of(const struct berth_results_book *book, int64_t run)
{
    static const struct berth_results_run none = {.uid = "", .name = "", .command = "", .suite = ""};
    for (size_t i = 0; i < book->runs; i++)
        if (book->run[i].id == run)
            return &book->run[i];
    return &none;
}

static bool same(const char *wanted, const char *text)
{
    return !wanted || strcmp(wanted, text) == 0;
}

bool berth_results_matches(const struct berth_results_filter *f, const struct berth_results_book *book,
                           const struct berth_results_configuration *c)
{
    const struct berth_results_run *run = berth_results_run_of(book, c->run);
    return (!f->run || strcmp(f->run, run->name) == 0 || strcmp(f->run, run->uid) == 0) && same(f->model, c->model) &&
           same(f->target, c->target) && same(f->precision, c->precision) && same(f->scenario, c->scenario) &&
           (f->batch == 0 || f->batch == c->batch) && (f->length == 0 || f->length == c->length);
}

/* Calls `write` for every configuration that matches, with its latencies. */
typedef enum berth_status write_fn(void *context, const struct berth_results_run *run,
                                   const struct berth_results_configuration *c, const struct berth_results_series *series,
                                   struct berth_error *err);

static enum berth_status each(struct berth_results *results, const struct berth_results_filter *filter,
                              const struct berth_results_book *book, bool summaries, write_fn *write, void *context,
                              struct berth_error *err)
{
    size_t matched = 0, written = 0;
    enum berth_status status = BERTH_OK;
    for (size_t i = 0; status == BERTH_OK && i < book->configurations; i++) {
        const struct berth_results_configuration *c = &book->configuration[i];
        struct berth_results_series series = {0};
        if (!berth_results_matches(filter, book, c))
            continue;
        matched++;
        status = berth_results_read_series(results, c->id, &series, err);
        if (status == BERTH_OK && (series.n > 0 || (summaries && c->summary.n > 0))) {
            written++;
            status = write(context, berth_results_run_of(book, c->run), c, &series, err);
        }
        berth_results_series_clear(&series);
    }
    if (status != BERTH_OK || written > 0)
        return status;
    if (matched > 0)
        return berth_fail(err, BERTH_NOT_FOUND, "%s: nothing was measured yet in the %zu configurations that are asked for%s",
                          berth_results_path(results), matched,
                          summaries ? "" : " (published figures have no latencies; --format json and study print them)");
    return berth_fail(err, BERTH_NOT_FOUND, "%s: none of its %zu configurations is what is asked for",
                      berth_results_path(results), book->configurations);
}

static enum berth_status read_and_write(struct berth_results *results, const struct berth_results_filter *filter,
                                        bool summaries, write_fn *write, void *context, struct berth_error *err)
{
    struct berth_results_book book;
    enum berth_status status = berth_results_read(results, 0, &book, err);
    if (status == BERTH_OK)
        status = each(results, filter, &book, summaries, write, context, err);
    berth_results_book_clear(&book);
    return status;
}

static void csv_text(FILE *stream, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fprintf(stream, "%s,", text);
        return;
    }
    fputc('"', stream);
    for (; *text; text++)
        fprintf(stream, *text == '"' ? "\"\"" : "%c", *text);
    fputs("\",", stream);
}

static void print_ms(FILE *stream, int64_t ns)
{
    fprintf(stream, "%" PRId64 ".%06" PRId64, ns / 1000000, ns % 1000000);
}

static enum berth_status write_rows(void *context, const struct berth_results_run *run,
                                    const struct berth_results_configuration *c, const struct berth_results_series *s,
                                    struct berth_error *err)
{
    (void)err;
    FILE *stream = context;
    const char *const texts[] = {run->name, c->model, c->target, c->runtime, c->precision};
    for (size_t i = 0; i < s->n; i++) {
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
            csv_text(stream, texts[t]);
        fprintf(stream, "%" PRId64 ",%" PRId64 ",%" PRId64 ",", c->threads, c->batch, c->length);
        csv_text(stream, c->scenario);
        fprintf(stream, "%" PRId64 ",", s->trial[i]);
        print_ms(stream, s->latency_ns[i]);
        fputc(',', stream);
        print_ms(stream, s->service_ns[i]);
        fprintf(stream, ",%d\n", s->ok[i]);
    }
    return BERTH_OK;
}

enum berth_status berth_results_write_csv(struct berth_results *results, const struct berth_results_filter *filter,
                                          FILE *stream, struct berth_error *err)
{
    fputs("run,model,target,runtime,precision,threads,batch,length,scenario,trial,latency_ms,service_ms,ok\n", stream);
    return read_and_write(results, filter, false, write_rows, stream, err);
}

/* ---- JSON ---- */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *text(const char *words)
{
    json_t *value = json_string(words);
    return value ? value : json_string("?"); /* no UTF-8 */
}

static enum berth_status print_json(FILE *stream, json_t *value, struct berth_error *err)
{
    char *line = value ? berth_json_dump(value, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(value);
    if (!line)
        return berth_fail_memory(err, "JSON", 0);
    fputs(line, stream);
    berth_free(line);
    return BERTH_OK;
}

static json_t *describe_run(const struct berth_results_book *book, const struct berth_results_run *run)
{
    json_t *environment = json_object();
    for (size_t i = 0; i < book->facts; i++)
        if (book->fact[i].run == run->id)
            json_object_set_new(environment, book->fact[i].key, text(book->fact[i].value));
    json_t *models = json_array();
    for (size_t i = 0; i < book->models; i++) {
        const struct berth_results_model *m = &book->model[i];
        if (m->run == run->id)
            json_array_append_new(models, json_pack("{s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:I}", "name", text(m->name), "source",
                                                    text(m->source), "hash", text(m->hash), "architecture",
                                                    text(m->architecture), "parameters", (json_int_t)m->parameters, "layers",
                                                    (json_int_t)m->layers, "hidden", (json_int_t)m->hidden, "bytes",
                                                    (json_int_t)m->bytes));
    }
    return json_pack("{s:o,s:o,s:I,s:I,s:o,s:o,s:o,s:o}", "run", text(run->name), "uid", text(run->uid), "started_us",
                     (json_int_t)run->started_us, "finished_us", (json_int_t)run->finished_us, "command",
                     text(run->command), "suite", text(run->suite), "environment", environment,
                     "models", models);
}

static json_t *describe(const struct berth_results_run *run, const struct berth_results_configuration *c)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:o}", "run", text(run->name), "model", text(c->model), "target",
                     text(c->target), "runtime", text(c->runtime), "precision", text(c->precision), "threads",
                     (json_int_t)c->threads, "batch", (json_int_t)c->batch, "length", (json_int_t)c->length, "scenario",
                     text(c->scenario));
}

static json_t *describe_all(const struct berth_results_run *run, const struct berth_results_configuration *c)
{
    json_t *value = describe(run, c);
    json_t *more = json_pack("{s:o,s:o,s:I,s:f,s:o,s:o,s:I,s:o,s:o,s:I,s:I,s:I,s:o,s:o}", "optimization",
                             text(c->optimization), "data", text(c->data), "concurrency", (json_int_t)c->concurrency,
                             "rate", c->rate, "status", text(c->status), "failure", text(c->failure), "memory_bytes",
                             (json_int_t)c->memory_bytes, "load_ms", number(c->load_ms), "cold_ms", number(c->cold_ms),
                             "correct", (json_int_t)c->correct, "labelled", (json_int_t)c->labelled, "published_n",
                             (json_int_t)c->summary.n, "published_mean_ms", number(c->summary.mean_ms),
                             "published_stddev_ms", number(c->summary.stddev_ms));
    if (!value || !more || json_object_update(value, more) != 0) {
        json_decref(value);
        value = NULL;
    }
    json_decref(more);
    return value;
}

struct json_rows {
    FILE *stream;
    bool first;
};

static enum berth_status write_json_rows(void *context, const struct berth_results_run *run,
                                         const struct berth_results_configuration *c,
                                         const struct berth_results_series *s, struct berth_error *err)
{
    struct json_rows *rows = context;
    json_t *value = describe(run, c);
    char *head = value ? berth_json_dump(value, JSON_COMPACT) : NULL;
    json_decref(value);
    if (!head)
        return berth_fail_memory(err, "JSON", 0);
    head[strlen(head) - 1] = 0; /* left open for the trial */
    for (size_t i = 0; i < s->n; i++) {
        fprintf(rows->stream, "%s%s,\"trial\":%" PRId64 ",\"latency_ms\":", rows->first ? "" : ",\n", head, s->trial[i]);
        print_ms(rows->stream, s->latency_ns[i]);
        fputs(",\"service_ms\":", rows->stream);
        print_ms(rows->stream, s->service_ns[i]);
        fprintf(rows->stream, ",\"ok\":%s}", s->ok[i] ? "true" : "false");
        rows->first = false;
    }
    berth_free(head);
    return BERTH_OK;
}

enum berth_status berth_results_write_json(struct berth_results *results, const struct berth_results_filter *filter,
                                           FILE *stream, struct berth_error *err)
{
    struct berth_results_book book = {0};
    struct json_rows rows = {stream, true};
    enum berth_status status;
    BERTH_TRY(berth_results_read(results, 0, &book, err));
    fputs("{\"runs\":[", stream);
    for (size_t i = 0; i < book.runs; i++) {
        fputs(i ? ",\n" : "\n", stream);
        BERTH_TRY(print_json(stream, describe_run(&book, &book.run[i]), err));
    }
    fputs("],\n\"configurations\":[", stream);
    for (size_t i = 0, n = 0; i < book.configurations; i++) {
        if (!berth_results_matches(filter, &book, &book.configuration[i]))
            continue;
        fputs(n++ ? ",\n" : "\n", stream);
        BERTH_TRY(print_json(stream, describe_all(berth_results_run_of(&book, book.configuration[i].run),
                                                  &book.configuration[i]), err));
    }
    fputs("],\n\"trials\":[\n", stream);
    BERTH_TRY(each(results, filter, &book, true, write_json_rows, &rows, err));
    fputs("]}\n", stream);
fail:
    berth_results_book_clear(&book);
    return status;
}

/* ---- The study's ---- */

static json_t *study_times(const int64_t *ns, const unsigned char *ok, size_t n)
{
    double sum = 0, squares = 0;
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        if (ok[i])
            sum += (double)ns[i] * 1e-9, used++;
    double mean = sum / (double)used; /* NaN when all failed */
    for (size_t i = 0; i < n; i++)
        if (ok[i])
            squares += ((double)ns[i] * 1e-9 - mean) * ((double)ns[i] * 1e-9 - mean);
    return json_pack("{s:o,s:o}", "mean", number(mean), "std", number(sqrt(squares / (double)used)));
}

/* The object under `key`, made when it is missing. */
static json_t *below(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (!value && json_object_set_new(object, key, json_object()) == 0)
        value = json_object_get(object, key);
    return value;
}

static enum berth_status add_to_study(void *context, const struct berth_results_run *run,
                                      const struct berth_results_configuration *c, const struct berth_results_series *s,
                                      struct berth_error *err)
{
    (void)run;
    char key[64];
    if (c->length < 12 || c->length % 10 != 2)
        return berth_fail(err, BERTH_UNSUPPORTED, "the study's JSON has lengths of 12, 22, ... 112 tokens; %s at %" PRId64
                          " tokens has no place in it: choose with --length, or --format json", c->model, c->length);
    snprintf(key, sizeof key, "bs%" PRId64 "_sl%" PRId64, c->batch, (c->length - 2) / 10);
    bool changed = strcmp(c->precision, "int8") == 0 || strcmp(c->optimization, "quantized") == 0 ||
                   strcmp(c->optimization, "optimized") == 0;
    json_t *target = below(below(below(below(context, c->model), changed ? "true" : "false"), key), c->target);
    const struct berth_results_summary *p = &c->summary;
    json_t *local = s->n ? study_times(s->service_ns, s->ok, s->n)
                         : json_pack("{s:o,s:o}", "mean", number(p->mean_ms / 1e3), "std", number(p->stddev_ms / 1e3));
    json_t *total = s->n ? study_times(s->latency_ns, s->ok, s->n) : json_copy(local);
    /* Of published figures one of the two may be known alone. */
    bool no_local = s->n == 0 && strcmp(c->data, "with network") == 0, no_total = s->n == 0 && !no_local;
    if (no_local)
        json_decref(local);
    bool good = target && (no_local || json_object_set_new(target, "local_time", local) == 0) &&
                (no_total && json_object_get(target, "total_time")
                     ? (json_decref(total), true)
                     : json_object_set_new(target, "total_time", total) == 0);
    if (!good)
        return berth_fail_memory(err, "JSON", 0);
    return BERTH_OK;
}

enum berth_status berth_results_write_study(struct berth_results *results, const struct berth_results_filter *filter,
                                            FILE *stream, struct berth_error *err)
{
    json_t *root = json_object();
    enum berth_status status = root ? read_and_write(results, filter, true, add_to_study, root, err)
                                    : berth_fail_memory(err, "JSON", 0);
    if (status == BERTH_OK)
        status = print_json(stream, json_incref(root), err);
    fputc('\n', stream);
    json_decref(root);
    return status;
}
