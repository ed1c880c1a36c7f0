/* forms.h: what each protocol remembers of a request between its two halves (call.h): how the answer is to look. */
#ifndef BERTH_SERVE_FORMS_H
#define BERTH_SERVE_FORMS_H

#include <stdbool.h>
#include <stddef.h>

#include "serve/json_pull.h"
#include "serve/ranking.h"
#include "serve/vectors.h"

struct berth_tei_form {
    bool batch; /* a list of results, not one */
    bool raw_scores;
    struct berth_cut cut;
    bool special; /* /tokenize: lists them */
};

struct berth_hf_form {
    enum berth_score_kind kind;
    size_t top;
};

struct berth_openai_form {
    bool base64;
    struct berth_cut cut;
};

/* An output that an inference asks for. */
enum berth_oip_kind { BERTH_OIP_LOGITS, BERTH_OIP_LABEL, BERTH_OIP_SCORE, BERTH_OIP_KINDS };
struct berth_oip_output {
    enum berth_oip_kind kind;
    bool binary;
    size_t classes; /* of the classification extension; 0: the numbers themselves */
};

struct berth_oip_form {
    struct berth_slice id; /* in the request's body; none: it had none */
    size_t count;
    struct berth_oip_output output[BERTH_OIP_KINDS];
};

union berth_form {
    struct berth_tei_form tei;
    struct berth_hf_form hf;
    struct berth_openai_form openai;
    struct berth_oip_form oip;
};

#endif
