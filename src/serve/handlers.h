/* handlers.h: the handlers of all protocols, for the table in route.c. */
#ifndef BERTH_SERVE_HANDLERS_H
#define BERTH_SERVE_HANDLERS_H

#include "serve/request.h"

/* health.c */
void berth_handle_health(struct berth_request *request);

/* study.c */
void berth_handle_set_model(struct berth_request *request);
void berth_handle_inference(struct berth_request *request);

/* page*.c */
void berth_handle_page(struct berth_request *request);
void berth_handle_page_asset(struct berth_request *request);
void berth_handle_page_deployments(struct berth_request *request);
void berth_handle_page_sentences(struct berth_request *request);
void berth_handle_page_predict(struct berth_request *request);
void berth_handle_page_why(struct berth_request *request);
void berth_handle_page_log(struct berth_request *request);
void berth_handle_page_record(struct berth_request *request);
void berth_handle_page_report(struct berth_request *request);

#endif
