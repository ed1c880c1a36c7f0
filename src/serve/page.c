/* page.c: the page's life, and its report view. */
#include "serve/page.h"

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
    page->report = own->report;
    page->report_context = own->report_context;
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

/* ---- GET /api/report, POST /api/recommend ---- */

static void run_report(struct berth_request *request)
{
    const struct berth_page *page = request->server->page;
    struct berth_error err = {0};
    const char *question = "";
    if (request->body.size > 0) {
        json_t *body = berth_page_body(request);
        if (!body)
            return;
        json_decref(body);
        question = request->body.data;
    }
    char *figures = page->report(page->report_context, question, &err);
    berth_reply_begin(&request->reply, 200, "application/json");
    berth_reply_header(&request->reply, "Cache-Control", "no-store");
    if (!figures)
        berth_reply_failure(&request->reply, &err);
    else if (!berth_buffer_text(&request->reply.body, figures))
        berth_reply_error(&request->reply, 503, "memory ran out");
    berth_memory_free(figures);
}

void berth_handle_page_report(struct berth_request *request)
{
    if (request->server->page->report)
        berth_page_defer(request, run_report);
    else
        berth_page_answer(request, json_pack("{s:s}", "error",
                                             "this server was started without a results file; give it --results FILE"));
}
