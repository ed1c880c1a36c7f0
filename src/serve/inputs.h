/* inputs.h: what several protocols take alike: lists of token ids, and how vectors are wanted. */
#ifndef BERTH_SERVE_INPUTS_H
#define BERTH_SERVE_INPUTS_H

#include "serve/request.h"

/* Whether a list comes next whose first item is a number. */
bool berth_inputs_are_ids(struct berth_json json);

/* Adds a list of token ids, which come next, as one text as they are; `where` stands in messages. False when the
 * reply says why not. */
bool berth_inputs_add_ids(struct berth_call *call, struct berth_json *json, const char *where);

/* "mean" or "cls" as the body names it (NULL: not), else as the query string does, else mean. False when the reply
 * says why not. */
bool berth_pooling_choose(struct berth_request *request, const struct berth_slice *named,
                          enum berth_pooling *pooling);

/* How many numbers of each vector of the request's call are wanted. False when the reply says why not. */
bool berth_cut_choose(struct berth_request *request, bool given, int64_t dimensions, bool normalize,
                      struct berth_cut *cut);

#endif
