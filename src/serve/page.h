/* page.h: what the handlers of the page share: the sentences, the log, the servers elsewhere. The page itself lies
 * in web/ and travels inside the program; docs/page.md has the JSON of /api/.
 *
 * What may block (the log's file, servers elsewhere, figures of a report) runs on workers of its own, never on
 * the event loop. */
#ifndef BERTH_SERVE_PAGE_H
#define BERTH_SERVE_PAGE_H

#include <jansson.h>

#include "berth/berth.h"
#include "serve/request.h"
#include "serve/worker.h"

struct berth_page_data;
struct berth_page_log;
struct berth_page_remotes;

struct berth_page {
    struct berth_page_data *data;
    struct berth_page_log *log;
    struct berth_page_remotes *remotes;
    struct berth_worker *worker; /* the log, the report; owner: this page */
    char **names; /* [count] of the server's models, in order */
    size_t count;
};

/* Reads the sentences, opens the log, starts the workers. */
enum berth_status berth_page_new(const struct berth_server_options *options, struct berth_page **page,
                                 struct berth_error *err);
void berth_page_stop(struct berth_page *page); /* runs what waits and joins; NULL is fine */
void berth_page_free(struct berth_page *page); /* NULL is fine */

/* ---- page_json.c: reading and writing bodies ---- */

/* The body of a POST to /api/ as a JSON object, or NULL and the reply says why not. Refuses what another site's
 * page could send: anything but application/json, which a browser sends across sites only after asking. */
json_t *berth_page_body(struct berth_request *request);

/* The member `name` of an object as a text: *text borrowed, *size in bytes; absent or null is NULL and 0. False
 * when it is something else or longer than `limit`: the reply says so. */
bool berth_page_text(struct berth_request *request, const json_t *object, const char *name, size_t limit,
                     const char **text, size_t *size);

/* Answers 200 with the object, which is taken over (NULL: memory ran out). */
void berth_page_answer(struct berth_request *request, json_t *object);

/* {"deployment", "error"} with 200: the request went well, the deployment did not. */
void berth_page_answer_fault(struct berth_request *request, const char *deployment, const char *sentence);

/* A time for JSON: microseconds, to the nanosecond. */
json_t *berth_page_us(uint64_t ns);

/* Members of an answer that every deployment has: label (null for regression), label_id, score, scores, logits,
 * tokens, truncated. */
json_t *berth_page_result(const char *deployment, const struct berth_result *result);

/* Hands the request to the page's worker, where `run` may block and fills the reply. */
void berth_page_defer(struct berth_request *request, void (*run)(struct berth_request *request));

/* ---- page_data.c: the sentences ---- */

enum berth_status berth_page_data_new(const char *path, const char *task, struct berth_page_data **data,
                                      struct berth_error *err);
void berth_page_data_free(struct berth_page_data *data); /* NULL is fine */

/* ---- page_log.c: every trial, in a results file or in memory ---- */

enum berth_status berth_page_log_new(const char *results, struct berth_page_log **log, struct berth_error *err);
void berth_page_log_free(struct berth_page_log *log); /* NULL is fine */
const char *berth_page_log_file(const struct berth_page_log *log); /* NULL: in memory */

/* ---- page_remote.c: deployments on other servers ---- */

enum berth_status berth_page_remotes_new(const struct berth_page_remote *remotes, size_t count,
                                         struct berth_page_remotes **all, struct berth_error *err);
void berth_page_remotes_stop(struct berth_page_remotes *all);
void berth_page_remotes_free(struct berth_page_remotes *all); /* NULL is fine */

/* Appends {"name", "kind": "remote", "url"} for each; false when memory ran out. */
bool berth_page_remotes_list(const struct berth_page_remotes *all, json_t *deployments);

/* Whether `name` is one of them: then the request, whose body names it, is handed to its worker, which asks it
 * for an answer, or for the influence of each word. */
bool berth_page_remotes_take(struct berth_request *request, const char *name, bool influence);

#endif
