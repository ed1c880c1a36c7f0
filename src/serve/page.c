/* page.c: the page's life, and its report view. */
#include "serve/page.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "serve/handlers.h"

static enum berth_status copy_names(struct berth_page *page, const struct berth_server_options *options,
                                    struct berth_error *err)
{
    page->names = berth_calloc(options->model_count, sizeof *page->names);
    for (; page->names && page->count < options->model_count; page->count++)
        if (!(page->names[page->count] = berth_strdup(options->models[page->count].name)))
            break;
    return page->names && page->count == options->model_count ? BERTH_OK : berth_fail_memory(err, "the page", 0);
}

enum berth_status berth_page_new(const struct berth_server_options *options, struct berth_page **out,
                                 struct berth_error *err)
{
    const struct berth_page_options *own = &options->page;
    *out = NULL;
    enum berth_status status;
    struct berth_page *page = berth_calloc(1, sizeof *page);
    if (!page)
        return berth_fail_memory(err, "the page", sizeof *page);
    BERTH_TRY(copy_names(page, options, err));
    BERTH_TRY(berth_page_data_new(own->data, own->task, &page->data, err));
    BERTH_TRY(berth_page_log_new(own->results, &page->log, err));
    BERTH_TRY(berth_page_remotes_new(own->remotes, own->remote_count, &page->remotes, err));
    BERTH_TRY(berth_worker_new(page, &page->worker, err));
    *out = page;
    return BERTH_OK;
fail:
    berth_page_free(page);
    return status;
}

void berth_page_stop(struct berth_page *page)
{
    if (!page)
        return;
    berth_page_remotes_stop(page->remotes);
    berth_worker_stop(page->worker);
}

void berth_page_free(struct berth_page *page)
{
    if (!page)
        return;
    berth_worker_free(page->worker);
    berth_page_remotes_free(page->remotes);
    berth_page_log_free(page->log);
    berth_page_data_free(page->data);
    for (size_t i = 0; i < page->count; i++)
        berth_free(page->names[i]);
    berth_free(page->names);
    berth_free(page);
}

/* ---- GET /api/report, POST /api/recommend: what berth_report_json and berth_recommend say of the results file ---- */

static void answer_text(struct berth_request *request, char *json, enum berth_status status, const struct berth_error *err)
{
    berth_reply_begin(&request->reply, 200, "application/json");
    berth_reply_header(&request->reply, "Cache-Control", "no-store");
    if (status != BERTH_OK)
        berth_reply_failure(&request->reply, err);
    else if (!berth_buffer_text(&request->reply.body, json))
        berth_reply_error(&request->reply, 503, "memory ran out");
    berth_memory_free(json);
}

static void run_report(struct berth_request *request)
{
    const char *file = berth_page_log_file(request->server->page->log);
    const struct berth_report_options options = {.results = &file, .result_count = 1};
    struct berth_error err = {0};
    char *json = NULL;
    const enum berth_status status = berth_report_json(&options, &json, &err);
    answer_text(request, json, status, &err);
}

/* A limit of the objective, absent and null being none; false: the reply says what is wrong with it. */
static bool read_limit(struct berth_request *request, const json_t *objective, const char *name, double *limit)
{
    const json_t *value = json_object_get(objective, name);
    *limit = json_number_value(value);
    if (!value || json_is_null(value) || (json_is_number(value) && isfinite(*limit) && *limit > 0))
        return true;
    berth_reply_error(&request->reply, 422, "'%s' is not a number above 0", name);
    return false;
}

static void run_recommend(struct berth_request *request)
{
    const char *file = berth_page_log_file(request->server->page->log);
    struct berth_recommend_options options = {.results = &file, .result_count = 1, .json = true};
    struct {
        const char *name;
        double *limit;
    } limits[] = {
        {"p50_ms", &options.p50_ms},     {"p90_ms", &options.p90_ms},
        {"p99_ms", &options.p99_ms},     {"min_accuracy", &options.min_accuracy},
        {"min_rate", &options.min_rate}, {"max_memory_mb", &options.max_memory_mb},
    };
    json_t *objective = berth_page_body(request);
    if (!objective)
        return;
    bool good = true;
    for (size_t i = 0; good && i < sizeof limits / sizeof *limits; i++)
        good = read_limit(request, objective, limits[i].name, limits[i].limit);
    json_decref(objective);
    if (!good)
        return;
    struct berth_error err = {0};
    char *json = NULL;
    bool met;
    const enum berth_status status = berth_recommend(&options, &json, &met, &err);
    answer_text(request, json, status, &err);
}

static void defer_with_file(struct berth_request *request, void (*run)(struct berth_request *))
{
    if (berth_page_log_file(request->server->page->log))
        berth_page_defer(request, run);
    else
        berth_page_answer(request, json_pack("{s:s}", "error",
                                             "this server was started without a results file; give it --results FILE"));
}

void berth_handle_page_report(struct berth_request *request)
{
    defer_with_file(request, run_report);
}

void berth_handle_page_recommend(struct berth_request *request)
{
    defer_with_file(request, run_recommend);
}
