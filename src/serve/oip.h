/* oip.h: a request of the Open Inference Protocol, version 2, between its reading and its answer.
 *
 * A body is JSON; with a header Inference-Header-Content-Length of N, its first N bytes are, and behind them lie the
 * tensors that have a parameter binary_data_size, one behind the other (the binary tensor data extension). */
#ifndef BERTH_SERVE_OIP_H
#define BERTH_SERVE_OIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/request.h"

enum { BERTH_TENSOR_RANK = 2 }; /* no tensor here has more */

/* An input as it came. Every element of `data` or `raw` is still to be read. */
struct berth_oip_tensor {
    const char *name; /* static storage; NULL: not given */
    size_t rank, shape[BERTH_TENSOR_RANK];
    size_t elements;          /* product of the shape, at most the bytes of the body */
    const unsigned char *raw; /* NULL: in `data` */
    size_t raw_size;
    struct berth_json data;
};

enum { BERTH_OIP_TEXT, BERTH_OIP_IDS, BERTH_OIP_MASK, BERTH_OIP_TYPES, BERTH_OIP_INPUTS };

struct berth_oip_inputs {
    struct berth_oip_tensor tensor[BERTH_OIP_INPUTS];
    uint64_t timeout_ns; /* that the request allows itself; 0: none named */
};

/* Names in requests, metadata and answers. */
extern const char *const berth_oip_input_names[BERTH_OIP_INPUTS];
extern const char *const berth_oip_output_names[BERTH_OIP_KINDS];

/* Reads a body, whose JSON is its first `json_size` bytes. False when the reply says why not: 400 for what is
 * malformed, 422 for what is well-formed and not a request of this protocol to these inputs. The form and the tensors
 * point into the body. */
bool berth_oip_read(struct berth_buffer *body, size_t json_size, struct berth_oip_inputs *inputs,
                    struct berth_oip_form *form, struct berth_reply *reply);

/* Reads the elements of an INT64 tensor, each at least `least` and at most `most`, into values[elements]. */
bool berth_oip_integers(const struct berth_oip_tensor *tensor, int64_t least, int64_t most, int32_t *values,
                           struct berth_reply *reply);

/* Reads the elements of a BYTES tensor in their order. `take` returns false to stop, when the reply says why. */
bool berth_oip_texts(const struct berth_oip_tensor *tensor, bool (*take)(void *context, struct berth_slice text),
                        void *context, struct berth_reply *reply);

/* Writes the answer of a call (call.h), by request->form.oip. */
void berth_oip_answer(struct berth_request *request);

#endif
