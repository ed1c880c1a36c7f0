/* access_log.h: a JSON line for each request, to a file or standard output. Lines are gathered and written by
 * the event loops when they have nothing else to do. */
#ifndef BERTH_SERVE_ACCESS_LOG_H
#define BERTH_SERVE_ACCESS_LOG_H

#include "berth/status.h"

struct berth_request;
struct berth_access_log;

/* path "-": standard output. A file is appended to. */
enum berth_status berth_access_log_open(const char *path, struct berth_access_log **log,
                                        struct berth_error *err);
void berth_access_log_close(struct berth_access_log *log); /* flushes; NULL is fine, as it is below */

/* At the request's end; `outcome` is a word. */
void berth_access_log_add(struct berth_access_log *log, const struct berth_request *request,
                          const char *outcome);
void berth_access_log_flush(struct berth_access_log *log);

/* Opens the file by its name again, after somebody has renamed it. On failure the present one stays. */
enum berth_status berth_access_log_reopen(struct berth_access_log *log, struct berth_error *err);

#endif
