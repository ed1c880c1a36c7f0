/* handlers.h: the handlers of all protocols, for the table in route.c. */
#ifndef BERTH_SERVE_HANDLERS_H
#define BERTH_SERVE_HANDLERS_H

#include "serve/request.h"

/* health.c */
void berth_handle_health(struct berth_request *request); /* readiness */
void berth_handle_live(struct berth_request *request);
void berth_handle_metrics(struct berth_request *request);

/* study.c */
void berth_handle_set_model(struct berth_request *request);
void berth_handle_inference(struct berth_request *request);

#endif
