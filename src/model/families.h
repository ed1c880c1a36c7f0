/* families.h: what the three families call their tensors. Adding a BERT-like family is one more table here.
 */
#ifndef BERTH_MODEL_FAMILIES_H
#define BERTH_MODEL_FAMILIES_H

#include <stdbool.h>

#include "formats/hf_config.h"

/* Stems: ".weight" and ".bias" follow. NULL: the family lacks it. */
struct berth_family_names {
    const char *prefix; /* before everything but the head; may be missing in a file: "bert." */
    const char *word_embedding, *position_embedding, *type_embedding;
    const char *embedding_norm;
    const char *project;
    const char *layer; /* before the layer's number: "encoder.layer." */
    const char *query, *key, *value, *attention_out, *attention_norm;
    const char *ffn_in, *ffn_out, *ffn_norm;
    const char *pooler;
    bool pooler_in_encoder; /* the pooler's name has the prefix, and bare encoders have one */
    const char *classifier;
    enum berth_activation pooler_act;
};

const struct berth_family_names *berth_family_names(enum berth_family family);

#endif
