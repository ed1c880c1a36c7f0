/* answer.h: the end of a request: its reply as libmicrohttpd sends it, and what is counted and logged of it.
 */
#ifndef BERTH_SERVE_ANSWER_H
#define BERTH_SERVE_ANSWER_H

#include "serve/request.h"

/* Has the protocol write the answer of a whole call, once. */
void berth_answer_write(struct berth_request *request);

/* Queues the reply. */
enum MHD_Result berth_answer_send(struct berth_request *request);

/* Counts and logs a request that has ended; `sent`: its answer went out whole. */
void berth_answer_count(struct berth_request *request, bool sent);

#endif
