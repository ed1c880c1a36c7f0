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
void berth_handle_page_recommend(struct berth_request *request);

/* tei.c, tei_info.c */
void berth_handle_predict(struct berth_request *request);
void berth_handle_embed(struct berth_request *request);
void berth_handle_tokenize(struct berth_request *request);
void berth_handle_tei_info(struct berth_request *request);
void berth_handle_tei_decode(struct berth_request *request);

/* hf.c */
void berth_handle_hf(struct berth_request *request);

/* openai.c */
void berth_handle_openai_embeddings(struct berth_request *request);

/* oip.c, oip_about.c */
void berth_handle_oip_infer(struct berth_request *request);
void berth_handle_oip_server(struct berth_request *request);
void berth_handle_oip_live(struct berth_request *request);
void berth_handle_oip_ready(struct berth_request *request);
void berth_handle_oip_model(struct berth_request *request);
void berth_handle_oip_model_ready(struct berth_request *request);

/* oip_repository.c */
void berth_handle_oip_index(struct berth_request *request);
void berth_handle_oip_load(struct berth_request *request);
void berth_handle_oip_unload(struct berth_request *request);
void berth_handle_oip_statistics(struct berth_request *request);

#endif
