/* emit_fused.c: an encoder in ONNX Runtime's own operators (domain com.microsoft): EmbedLayerNormalization,
 * Attention or QAttention, SkipLayerNormalization, BiasGelu, FastGelu. They take int32 where the standard
 * takes int64. */
#include <stdio.h>

#include "onnx/emit.h"

static const char domain[] = "com.microsoft";

static struct emit_name cast_ids(struct emit *x, const char *label, const char *input)
{
    struct berth_onnx_shape shape = berth_emit_tokens(BERTH_ONNX_I32);
    const struct berth_onnx_attribute to[] = {EMIT_INT("to", BERTH_ONNX_I32)};
    return berth_emit_node(x, "Cast", NULL, label, EMIT_INPUTS(input), to, 1, &shape);
}

struct emit_name berth_emit_fused_mask(struct emit *x)
{
    snprintf(x->scope, sizeof x->scope, "mask");
    return cast_ids(x, "Cast", "attention_mask");
}

struct emit_name berth_emit_fused_embedding(struct emit *x)
{
    const struct berth_encoder *encoder = x->encoder;
    struct berth_onnx_shape shape = berth_emit_rows(encoder->config.embedding_size);
    snprintf(x->scope, sizeof x->scope, "embeddings");
    struct emit_name ids = cast_ids(x, "ids", "input_ids"), types = {""}, type_rows = {""};
    struct emit_name word = berth_emit_weight(x, &encoder->word_embedding),
                     position = berth_emit_weight(x, &encoder->position_embedding);
    if (encoder->type_embedding.elements) {
        types = cast_ids(x, "types", "token_type_ids");
        type_rows = berth_emit_weight(x, &encoder->type_embedding);
    }
    struct emit_name gamma = berth_emit_weight(x, &encoder->embedding_norm.gamma),
                     beta = berth_emit_weight(x, &encoder->embedding_norm.beta);
    const struct berth_onnx_attribute epsilon[] = {
        EMIT_FLOAT("epsilon", (float)encoder->config.layer_norm_eps)};
    struct emit_name out = {"embeddings/EmbedLayerNormalization"};
    /* The second result, an index of masks, is not optional in older runtimes; nothing reads it. */
    berth_onnx_node(
        x->writer, "EmbedLayerNormalization", domain,
        EMIT_INPUTS(ids.text, types.text, word.text, position.text, type_rows.text, gamma.text, beta.text),
        EMIT_INPUTS(out.text, "embeddings/mask_index"), epsilon, 1);
    berth_onnx_value(x->writer, BERTH_ONNX_BETWEEN, out.text, shape);
    return out;
}

static struct emit_name emit_attention(struct emit *x, const struct berth_layer *layer, const char *input,
                                       const char *mask)
{
    const struct berth_linear *const all[] = {&layer->query, &layer->key, &layer->value};
    const struct berth_tensor *weight[3], *bias[3];
    for (size_t i = 0; i < 3; i++) {
        weight[i] = &all[i]->weight;
        bias[i] = &all[i]->bias;
    }
    struct berth_onnx_shape shape = berth_emit_rows(x->encoder->config.hidden_size);
    struct emit_name add = berth_emit_weights(x, "qkv/bias", EMIT_AS_IS, bias, 3);
    const struct berth_onnx_attribute heads[] = {EMIT_INT("num_heads", (int64_t)x->encoder->config.heads)};
    if (berth_emit_is_exact(x, &layer->query)) {
        struct emit_name numbers = berth_emit_weights(x, "qkv/weight", EMIT_TRANSPOSED, weight, 3);
        return berth_emit_node(x, "Attention", domain, "Attention",
                               EMIT_INPUTS(input, numbers.text, add.text, mask), heads, 1, &shape);
    }
    struct emit_quantized from = berth_emit_quantize(x, input);
    struct emit_name numbers = berth_emit_weights(x, "qkv/weight", EMIT_QUANTIZED, weight, 3);
    struct emit_name scales = berth_emit_weights(x, "qkv/weight_scale", EMIT_SCALES, weight, 3);
    return berth_emit_node(x, "QAttention", domain, "QAttention",
                           EMIT_INPUTS(from.numbers.text, numbers.text, add.text, from.scale.text,
                                       scales.text, mask, from.zero.text),
                           heads, 1, &shape);
}

/* LayerNorm(product + bias + skip). */
static struct emit_name skip_norm(struct emit *x, const char *label, const char *product, const char *skip,
                                  const struct berth_tensor *bias, const struct berth_norm *norm)
{
    struct berth_onnx_shape shape = berth_emit_rows(norm->gamma.elements);
    struct emit_name gamma = berth_emit_weight(x, &norm->gamma), beta = berth_emit_weight(x, &norm->beta),
                     add = berth_emit_weight(x, bias);
    const struct berth_onnx_attribute epsilon[] = {
        EMIT_FLOAT("epsilon", (float)x->encoder->config.layer_norm_eps)};
    return berth_emit_node(x, "SkipLayerNormalization", domain, label,
                           EMIT_INPUTS(product, skip, gamma.text, beta.text, add.text), epsilon, 1, &shape);
}

static struct emit_name emit_activation(struct emit *x, const struct berth_linear *linear,
                                        const char *product)
{
    enum berth_activation act = x->encoder->config.activation;
    struct berth_onnx_shape shape = berth_emit_rows(x->encoder->config.intermediate_size);
    struct emit_name bias = berth_emit_weight(x, &linear->bias);
    if (act == BERTH_ACT_GELU_ERF || act == BERTH_ACT_GELU_TANH) {
        const char *op = act == BERTH_ACT_GELU_ERF ? "BiasGelu" : "FastGelu";
        return berth_emit_node(x, op, domain, op, EMIT_INPUTS(product, bias.text), NULL, 0, &shape);
    }
    struct emit_name sum = berth_emit_simple(x, "Add", "ffn_in/Add", product, bias.text, shape);
    return berth_emit_activation(x, act, sum.text, shape);
}

struct emit_name berth_emit_fused_layer(struct emit *x, const struct berth_layer *layer, const char *input,
                                        const char *mask)
{
    const struct berth_linear *linear = &layer->attention_out;
    struct emit_name t = emit_attention(x, layer, input, mask);
    t = berth_emit_product(x, "attention_out", t.text, &linear, 1);
    struct emit_name middle =
        skip_norm(x, "attention_norm", t.text, input, &linear->bias, &layer->attention_norm);
    linear = &layer->ffn_in;
    t = berth_emit_product(x, "ffn_in", middle.text, &linear, 1);
    t = emit_activation(x, linear, t.text);
    linear = &layer->ffn_out;
    t = berth_emit_product(x, "ffn_out", t.text, &linear, 1);
    return skip_norm(x, "ffn_norm", t.text, middle.text, &linear->bias, &layer->ffn_norm);
}
