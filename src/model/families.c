/* families.c: the tables of tensor names. BERT and ELECTRA share an encoder and differ in the head. */
#include "model/families.h"

#define BERT_ENCODER                                                                                        \
    .word_embedding = "embeddings.word_embeddings", .position_embedding = "embeddings.position_embeddings", \
    .type_embedding = "embeddings.token_type_embeddings", .embedding_norm = "embeddings.LayerNorm",         \
    .layer = "encoder.layer.", .query = "attention.self.query", .key = "attention.self.key",                \
    .value = "attention.self.value", .attention_out = "attention.output.dense",                             \
    .attention_norm = "attention.output.LayerNorm", .ffn_in = "intermediate.dense",                         \
    .ffn_out = "output.dense", .ffn_norm = "output.LayerNorm"

static const struct berth_family_names bert = {
    BERT_ENCODER,
    .prefix = "bert.",
    .pooler = "pooler.dense",
    .pooler_in_encoder = true,
    .classifier = "classifier",
    .pooler_act = BERTH_ACT_TANH,
};

static const struct berth_family_names electra = {
    BERT_ENCODER,
    .prefix = "electra.",
    .project = "embeddings_project",
    .pooler = "classifier.dense",
    .classifier = "classifier.out_proj",
    .pooler_act = BERTH_ACT_GELU_ERF,
};

static const struct berth_family_names distilbert = {
    .prefix = "distilbert.",
    .word_embedding = "embeddings.word_embeddings",
    .position_embedding = "embeddings.position_embeddings",
    .embedding_norm = "embeddings.LayerNorm",
    .layer = "transformer.layer.",
    .query = "attention.q_lin",
    .key = "attention.k_lin",
    .value = "attention.v_lin",
    .attention_out = "attention.out_lin",
    .attention_norm = "sa_layer_norm",
    .ffn_in = "ffn.lin1",
    .ffn_out = "ffn.lin2",
    .ffn_norm = "output_layer_norm",
    .pooler = "pre_classifier",
    .classifier = "classifier",
    .pooler_act = BERTH_ACT_RELU,
};

const struct berth_family_names *berth_family_names(enum berth_family family)
{
    switch (family) {
        case BERTH_FAMILY_DISTILBERT:
            return &distilbert;
        case BERTH_FAMILY_ELECTRA:
            return &electra;
        default:
            return &bert;
    }
}
