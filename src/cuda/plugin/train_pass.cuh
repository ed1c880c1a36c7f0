/* train_pass.cuh: forward with kept activations and backward to every gradient, in the order of the CPU's network
 * (train/network.c), for one kind of numbers: A lies between products and is what they multiply. The head is fp32. */
#pragma once

#include <utility>

#include "train.cuh"

namespace berth {

template <typename A> class TrainPass {
    static constexpr Kind KIND = std::is_same_v<A, float> ? Kind::F32 : Kind::BF16;
    using Linear = berth_cuda_linear;

  public:
    TrainPass(berth_cuda_trainer &trainer, const Message &m)
        : t(trainer), c(t.config.model), message(m), input(place_train_input(t.bound, t.input)), tokens(t.shape.tokens),
          texts(t.shape.texts), weights(static_cast<const A *>(t.rounded)), d(as(t.d_out)), mid(as(t.d_mid))
    {
    }

    int forward()
    {
        const A *x = nullptr;
        BERTH_PASS(forward_embedding(&x));
        for (uint64_t l = 0; l < c.layers; l++) {
            BERTH_PASS(forward_layer(l, x));
            x = as(t.kept[l].out);
        }
        return t.config.masked ? forward_masked(x) : forward_classifier(x);
    }

    int backward(bool dfirst)
    {
        BERTH_PASS(t.config.masked ? backward_masked() : backward_classifier(dfirst));
        for (uint64_t l = c.layers; l-- > 0;)
            BERTH_PASS(backward_layer(l));
        return backward_embedding();
    }

    /* The first tokens' last hidden states. */
    int first()
    {
        BERTH_CUDA_TRY(run_train_drop(as(t.kept[c.layers - 1].out), texts * c.hidden, Drop{}, nullptr, t.dfirst, t.stream),
                       "hidden states");
        return BERTH_CUDA_OK;
    }

  private:
    static A *as(void *numbers) { return static_cast<A *>(numbers); }

    Drop drop_at(uint64_t layer, berth_cuda_site site) const
    {
        if (!t.drops)
            return Drop{};
        const berth_cuda_dropout &at = t.dropout[layer * BERTH_CUDA_DROP_SITES + site];
        return {static_cast<uint32_t>(at.key), static_cast<uint32_t>(at.key >> 32), at.threshold, at.scale};
    }

    bool first_only(uint64_t layer) const { return layer + 1 == c.layers && !t.config.masked; }
    uint64_t rows_of(uint64_t layer) const { return first_only(layer) ? texts : tokens; }
    Norm norm_at(const berth_cuda_norm &at) const { return {t.value + at.gamma, t.value + at.beta, c.eps}; }

    /* --- linear maps: of A with rounded weights, of float with the masters -------------------------- */

    template <typename N> const N *weights_of() const
    {
        if constexpr (std::is_same_v<N, float>)
            return t.value;
        else
            return weights;
    }
    template <typename N> static constexpr Kind kind_of = std::is_same_v<N, float> ? Kind::F32 : Kind::BF16;

    template <typename N> int apply(N *out, const N *x, uint64_t w, uint64_t b, uint64_t m, uint64_t n, uint64_t k)
    {
        const N *all = weights_of<N>();
        return t.products.run(Turn::FORWARD, kind_of<N>, m, n, k, x, all + w, all + b, out, t.lt_workspace, t.stream, message);
    }

    template <typename N> int back_input(N *dx, const N *dy, const N *residual, uint64_t w, uint64_t m, uint64_t n, uint64_t k)
    {
        return t.products.run(Turn::BACK_INPUT, kind_of<N>, m, n, k, dy, weights_of<N>() + w, residual, dx, t.lt_workspace,
                              t.stream, message);
    }

    template <typename N> int back_weight(const N *dy, const N *x, uint64_t w, uint64_t b, uint64_t m, uint64_t n, uint64_t k)
    {
        BERTH_CUDA_TRY(run_column_sums(dy, m, n, t.partial, t.grad + b, t.stream), "bias");
        return t.products.run(Turn::BACK_WEIGHT, kind_of<N>, m, n, k, dy, x, nullptr, t.grad + w, t.lt_workspace, t.stream,
                              message);
    }

    template <typename N>
    int apply(N *out, const N *x, const Linear &at, uint64_t m, uint64_t n, uint64_t k)
    {
        return apply(out, x, at.w, at.b, m, n, k);
    }

    template <typename N> int back_weight(const N *dy, const N *x, const Linear &at, uint64_t m, uint64_t n, uint64_t k)
    {
        return back_weight(dy, x, at.w, at.b, m, n, k);
    }

    /* --- forward ------------------------------------------------------------------------------------ */

    int forward_embedding(const A **out)
    {
        const FromTables<float> tables{t.value + t.config.word,
                                       t.value + t.config.position,
                                       c.types ? t.value + t.config.type : nullptr,
                                       input.ids,
                                       input.positions,
                                       input.types};
        BERTH_CUDA_TRY(run_train_norm(tables, norm_at(t.config.embedding_norm), drop_at(0, BERTH_CUDA_DROP_EMBEDDING), tokens,
                                      c.embedding, as(t.embedded), as(t.normed), t.stream),
                       "embedding");
        *out = as(t.normed);
        if (c.embedding == c.hidden)
            return BERTH_CUDA_OK;
        *out = as(t.projected);
        return apply(as(t.projected), as(t.normed), t.config.project, tokens, c.hidden, c.embedding);
    }

    TrainAttention<A> attention(uint64_t layer) const
    {
        const KeptLayer &kept = t.kept[layer];
        TrainAttention<A> in;
        in.tiles = first_only(layer) ? input.first_tiles : input.tiles;
        in.query = as(kept.query);
        in.key = as(kept.key_value);
        in.value = in.key + c.hidden;
        in.context = as(kept.context);
        in.log_sums = kept.log_sums;
        in.d_context = as(t.d_ffn);
        in.d_query = as(t.d_query);
        in.d_key = as(t.d_key_value);
        in.d_value = in.d_key + c.hidden;
        in.deltas = t.deltas;
        in.heads = static_cast<int>(c.heads);
        in.head_size = static_cast<int>(t.head_size);
        in.first_only = first_only(layer);
        in.scale = 1.0f / sqrtf(static_cast<float>(t.head_size));
        in.drop = drop_at(layer, BERTH_CUDA_DROP_SHARE);
        return in;
    }
    uint64_t query_tiles(uint64_t layer) const { return first_only(layer) ? texts : t.shape.tiles; }

    /* out = LayerNorm(sum), sum = dropped sum + residual */
    int add_norm(A *sum, const A *residual, const Drop &drop, const berth_cuda_norm &at, uint64_t rows, A *out)
    {
        BERTH_CUDA_TRY(run_train_norm(FromDropped<A>{sum, residual, drop}, norm_at(at), Drop{}, rows, c.hidden, sum, out,
                                      t.stream),
                       "LayerNorm");
        return BERTH_CUDA_OK;
    }

    /* The rows that the layer's queries and residual are made of. */
    const A *first_rows(uint64_t layer) const { return first_only(layer) ? as(t.kept[layer].gathered) : in_of(layer); }
    const A *in_of(uint64_t layer) const
    {
        return layer > 0 ? as(t.kept[layer - 1].out) : as(c.embedding == c.hidden ? t.normed : t.projected);
    }

    int forward_layer(uint64_t l, const A *in)
    {
        const berth_cuda_train_layer &layer = t.layers[l];
        const KeptLayer &kept = t.kept[l];
        const uint64_t rows = rows_of(l), C = c.hidden, F = c.ffn;
        if (first_only(l))
            BERTH_CUDA_TRY(run_gather(in, input.begin, texts, C, as(kept.gathered), t.stream), "first tokens");
        const A *first = first_rows(l);
        BERTH_PASS(apply(as(kept.query), first, layer.query, rows, C, C));
        BERTH_PASS(apply(as(kept.key_value), in, layer.key_value, tokens, 2 * C, C));
        BERTH_CUDA_TRY(run_train_attention(attention(l), query_tiles(l), t.stream), "attention");
        BERTH_PASS(apply(as(kept.attention_sum), as(kept.context), layer.out, rows, C, C));
        BERTH_PASS(add_norm(as(kept.attention_sum), first, drop_at(l, BERTH_CUDA_DROP_ATTENTION), layer.out_norm, rows,
                            as(kept.attention_out)));
        BERTH_PASS(apply(as(kept.ffn_sum), as(kept.attention_out), layer.ffn_in, rows, F, C));
        BERTH_CUDA_TRY((run_train_act<A, false>(as(kept.ffn_sum), rows * F, c.act, as(kept.ffn_act), t.stream)), "activation");
        BERTH_PASS(apply(as(kept.sum), as(kept.ffn_act), layer.ffn_out, rows, C, F));
        return add_norm(as(kept.sum), as(kept.attention_out), drop_at(l, BERTH_CUDA_DROP_FFN), layer.ffn_norm, rows,
                        as(kept.out));
    }

    int forward_classifier(const A *x)
    {
        const uint64_t C = c.hidden;
        BERTH_CUDA_TRY(run_train_drop(x, texts * C, drop_at(c.layers, BERTH_CUDA_DROP_HEAD_IN), nullptr, t.head_in, t.stream),
                       "head");
        BERTH_PASS(apply(t.pool_sum, t.head_in, t.config.pooler, texts, C, C));
        BERTH_CUDA_TRY((run_train_act<float, false>(t.pool_sum, texts * C, c.pooler_act, t.pool_out, t.stream)), "pooler");
        BERTH_PASS(drop_head_out(t.pool_out));
        return apply(t.logits, t.pool_out, t.config.classifier, texts, c.labels, C);
    }

    int drop_head_out(float *rows)
    {
        const Drop drop = drop_at(c.layers, BERTH_CUDA_DROP_HEAD_OUT);
        if (drop.threshold)
            BERTH_CUDA_TRY(run_train_drop(rows, texts * c.hidden, drop, nullptr, rows, t.stream), "head");
        return BERTH_CUDA_OK;
    }

    int forward_masked(const A *x)
    {
        const uint64_t rows = t.shape.masked, E = c.embedding;
        BERTH_CUDA_TRY(run_gather(x, input.slots, rows, c.hidden, t.masked_in, t.stream), "masked words");
        BERTH_PASS(apply(t.masked_sum, t.masked_in, t.config.transform, rows, E, c.hidden));
        BERTH_CUDA_TRY((run_train_act<float, false>(t.masked_sum, rows * E, c.act, t.masked_act, t.stream)), "masked words");
        BERTH_CUDA_TRY(run_train_norm(FromDropped<float>{t.masked_act, nullptr, Drop{}}, norm_at(t.config.transform_norm), Drop{},
                                      rows, E, static_cast<float *>(nullptr), t.masked_out, t.stream),
                       "masked words");
        return apply(t.logits, t.masked_out, t.config.word, t.config.output_bias, rows, c.vocab, E);
    }

    /* --- backward ----------------------------------------------------------------------------------- */

    /* d becomes the gradient of a LayerNorm's input `sum`; the rows returned are that as the dropout before it passes it
     * on: d itself, or mid. */
    int norm_back(const A *sum, const berth_cuda_norm &at, const Drop &drop, uint64_t rows, const A **passed)
    {
        A *dropped = drop.threshold ? mid : nullptr;
        BERTH_CUDA_TRY(run_norm_back(d, Drop{}, sum, t.value + at.gamma, c.eps, rows, c.hidden, d, drop, dropped, t.partial,
                                     t.grad + at.gamma, t.grad + at.beta, t.stream),
                       "LayerNorm");
        *passed = dropped ? dropped : d;
        return BERTH_CUDA_OK;
    }

    /* From the gradient of the layer's output to that of its input, both in d. */
    int backward_layer(uint64_t l)
    {
        const berth_cuda_train_layer &layer = t.layers[l];
        const KeptLayer &kept = t.kept[l];
        const uint64_t rows = rows_of(l), C = c.hidden, F = c.ffn;
        A *d_ffn = as(t.d_ffn), *d_query = as(t.d_query), *d_key_value = as(t.d_key_value);
        const A *passed = nullptr;
        BERTH_PASS(norm_back(as(kept.sum), layer.ffn_norm, drop_at(l, BERTH_CUDA_DROP_FFN), rows, &passed));
        BERTH_PASS(back_weight(passed, as(kept.ffn_act), layer.ffn_out, rows, C, F));
        BERTH_PASS(back_input<A>(d_ffn, passed, nullptr, layer.ffn_out.w, rows, C, F));
        BERTH_CUDA_TRY((run_train_act<A, true>(as(kept.ffn_sum), rows * F, c.act, d_ffn, t.stream)), "activation");
        BERTH_PASS(back_weight(d_ffn, as(kept.attention_out), layer.ffn_in, rows, F, C));
        BERTH_PASS(back_input<A>(d, d_ffn, d, layer.ffn_in.w, rows, F, C));
        BERTH_PASS(norm_back(as(kept.attention_sum), layer.out_norm, drop_at(l, BERTH_CUDA_DROP_ATTENTION), rows, &passed));
        BERTH_PASS(back_weight(passed, as(kept.context), layer.out, rows, C, C));
        BERTH_PASS(back_input<A>(d_ffn, passed, nullptr, layer.out.w, rows, C, C)); /* of the context; d_ffn is free by now */
        BERTH_CUDA_TRY(run_train_attention_back(attention(l), query_tiles(l), input.tiles, t.shape.tiles, t.stream),
                       "attention");
        BERTH_PASS(back_weight<A>(d_query, first_rows(l), layer.query, rows, C, C));
        BERTH_PASS(back_input<A>(d, d_query, d, layer.query.w, rows, C, C));
        BERTH_PASS(back_weight<A>(d_key_value, in_of(l), layer.key_value, tokens, 2 * C, C));
        if (!first_only(l))
            return back_input<A>(d, d_key_value, d, layer.key_value.w, tokens, 2 * C, C);
        BERTH_PASS(back_input<A>(mid, d_key_value, nullptr, layer.key_value.w, tokens, 2 * C, C));
        BERTH_CUDA_TRY(run_scatter(d, input.begin, texts, C, true, mid, t.stream), "first tokens");
        std::swap(d, mid);
        return BERTH_CUDA_OK;
    }

    int backward_classifier(bool dfirst)
    {
        const uint64_t C = c.hidden;
        BERTH_PASS(back_weight(t.dlogits, t.pool_out, t.config.classifier, texts, c.labels, C));
        BERTH_PASS(back_input<float>(t.d_head, t.dlogits, nullptr, t.config.classifier.w, texts, c.labels, C));
        BERTH_PASS(drop_head_out(t.d_head));
        BERTH_CUDA_TRY((run_train_act<float, true>(t.pool_sum, texts * C, c.pooler_act, t.d_head, t.stream)), "pooler");
        BERTH_PASS(back_weight(t.d_head, t.head_in, t.config.pooler, texts, C, C));
        BERTH_PASS(back_input<float>(t.d_head_in, t.d_head, nullptr, t.config.pooler.w, texts, C, C));
        BERTH_CUDA_TRY(run_train_drop(t.d_head_in, texts * C, drop_at(c.layers, BERTH_CUDA_DROP_HEAD_IN),
                                      dfirst ? t.dfirst : nullptr, d, t.stream),
                       "head");
        return BERTH_CUDA_OK;
    }

    int backward_masked()
    {
        const uint64_t rows = t.shape.masked, C = c.hidden, E = c.embedding;
        const berth_cuda_norm &norm = t.config.transform_norm;
        BERTH_PASS(back_weight(t.logits, t.masked_out, t.config.word, t.config.output_bias, rows, c.vocab, E));
        BERTH_PASS(back_input<float>(t.d_head, t.logits, nullptr, t.config.word, rows, c.vocab, E));
        BERTH_CUDA_TRY(run_norm_back(t.d_head, Drop{}, t.masked_act, t.value + norm.gamma, c.eps, rows, E, t.d_head, Drop{},
                                     static_cast<float *>(nullptr), t.partial, t.grad + norm.gamma, t.grad + norm.beta, t.stream),
                       "masked words");
        BERTH_CUDA_TRY((run_train_act<float, true>(t.masked_sum, rows * E, c.act, t.d_head, t.stream)), "masked words");
        BERTH_PASS(back_weight(t.d_head, t.masked_in, t.config.transform, rows, E, C));
        BERTH_PASS(back_input<float>(t.d_head_in, t.d_head, nullptr, t.config.transform.w, rows, E, C));
        BERTH_CUDA_TRY(cudaMemsetAsync(d, 0, tokens * C * sizeof(A), t.stream), "masked words");
        BERTH_CUDA_TRY(run_scatter(t.d_head_in, input.slots, rows, C, false, d, t.stream), "masked words");
        return BERTH_CUDA_OK;
    }

    int backward_embedding()
    {
        const uint64_t E = c.embedding;
        const berth_cuda_norm &norm = t.config.embedding_norm;
        if (E != c.hidden) {
            BERTH_PASS(back_weight<A>(d, as(t.normed), t.config.project, tokens, c.hidden, E));
            BERTH_PASS(back_input<A>(mid, d, nullptr, t.config.project.w, tokens, c.hidden, E));
            std::swap(d, mid);
        }
        BERTH_CUDA_TRY(run_norm_back(d, drop_at(0, BERTH_CUDA_DROP_EMBEDDING), as(t.embedded), t.value + norm.gamma, c.eps,
                                     tokens, E, d, Drop{}, static_cast<A *>(nullptr), t.partial, t.grad + norm.gamma,
                                     t.grad + norm.beta, t.stream),
                       "embedding");
        auto kernel = table_piece_kernel<A>;
        const unsigned columns = divide_up(E, SUM_COLUMNS);
        const int width = static_cast<int>(E);
        LAUNCH(kernel, dim3(static_cast<unsigned>(t.shape.pieces), columns), SUM_COLUMNS, 0, t.stream, d, input.pieces,
               input.list, width, t.partial, t.grad);
        BERTH_CUDA_TRY(cudaGetLastError(), "embedding");
        if (t.shape.joins == 0)
            return BERTH_CUDA_OK;
        LAUNCH(table_join_kernel, dim3(static_cast<unsigned>(t.shape.joins), columns), SUM_COLUMNS, 0, t.stream, t.partial,
               input.joins, width, t.grad);
        BERTH_CUDA_TRY(cudaGetLastError(), "embedding");
        return BERTH_CUDA_OK;
    }

    berth_cuda_trainer &t;
    const berth_cuda_config &c;
    const Message &message;
    const TrainInput input;
    const uint64_t tokens, texts;
    const A *weights;
    A *d, *mid; /* gradients on their way back; swapped */
};

} // namespace berth
