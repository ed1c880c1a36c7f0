/* match.h: recognising the parts of an encoder in a graph, from a value back to what it was made from.
 * Internal to import.
 *
 * Exporters differ in how they write an operation, not in what it computes. Where that is easy to say (a
 * product, a LayerNorm), the shape of the graph is compared; where it is not (an activation, a mask), the
 * graph's own arithmetic is evaluated at sample points and the results compared. Values that only carry
 * shapes are not looked at, unless they are constants. */
#ifndef BERTH_ONNX_MATCH_H
#define BERTH_ONNX_MATCH_H

#include <stdbool.h>

#include "formats/hf_config.h"
#include "formats/onnx_reader.h"

struct match {
    struct berth_onnx_file *file;
    const struct berth_config *config;
    unsigned budget; /* evaluations left for the value at hand: graphs may be diamonds all the way down */
    const char
        *subject; /* the value that evaluation takes as its variable; NULL: found by the first linear layer */
    double sample;           /* what that variable is */
    struct berth_error *err; /* the first misfit, and with status kept beside it */
    enum berth_status status;
};

/* A linear layer as it was found: columns [first, first + out) of a product, possibly merged with others. */
struct match_linear {
    const char *input;
    struct berth_tensor weight; /* [in, total] or, when by_rows, [total, in] */
    bool by_rows;
    struct berth_tensor bias;        /* [total]; elements 0: none yet */
    struct berth_tensor scale, zero; /* of an int8 weight: [total] or one; elements 0 otherwise */
    size_t first, out;
};

struct match_norm {
    const char *input; /* NULL: the sum of a, b and bias */
    const char *a, *b;
    struct berth_tensor bias; /* elements 0: none */
    struct berth_tensor gamma, beta;
};

/* Refuses the file over the node that makes `value`: "FILE: node 'NAME' (OP): WANTED was expected here; ...".
 * Only the first counts. */
void berth_match_refuse(struct match *m, const char *value, const char *wanted);
void berth_match_keep(struct match *m,
                      enum berth_status status); /* another failure; its sentence stands in m->err */

/* The maker of a value, behind nodes that change nothing (Identity, Dropout, Cast to a float type). */
struct berth_onnx_maker berth_match_maker(const struct match *m, const char *value);
const char *berth_match_strip(const struct match *m, const char *value);
bool berth_match_is(const Onnx__NodeProto *node, const char *op);
bool berth_match_is_contrib(const Onnx__NodeProto *node, const char *op); /* com.microsoft */
const char *berth_match_input(const Onnx__NodeProto *node, size_t index); /* "" when absent */

const Onnx__AttributeProto *berth_match_attribute(const Onnx__NodeProto *node,
                                                  const char *name); /* NULL: absent */
int64_t berth_match_int(const Onnx__NodeProto *node, const char *name, int64_t absent);

/* A constant: an initializer, or a Constant node. False when it is none (or damaged: then m->status is set).
 */
bool berth_match_constant(struct match *m, const char *value, struct berth_tensor *tensor);
bool berth_match_scalar(struct match *m, const char *value, double *number); /* one element, or all alike */
size_t berth_match_ints(struct match *m, const char *value, int64_t *numbers,
                        size_t max); /* constant integers; 0: none, or too many */

/* Each returns false, silently, when the value is something else. */
bool berth_match_product(struct match *m, const char *value, struct match_linear *out); /* no bias */
bool berth_match_linear(struct match *m, const char *value, struct match_linear *out);  /* with bias */
bool berth_match_norm(struct match *m, const char *value, struct match_norm *out);

/* match_eval.c: by value. An activation over a linear layer's result; what a mask adds to (or puts in place
 * of) a score. */
bool berth_match_activation(struct match *m, const char *value, enum berth_activation *act,
                            struct match_linear *linear);
bool berth_match_evaluate(struct match *m, const char *value, const char *subject, double sample,
                          double *result);

/* match_attention.c: attention over one input; `bias` of the three may be merged with the product. */
struct match_attention {
    const char *input;
    struct match_linear query, key, value;
};
bool berth_match_attention(struct match *m, const char *value, struct match_attention *out);

#endif
