/* forward.cuh: the encoder as one visible loop, for one kind of numbers. A: what lies between products. W: what they
 * multiply; when it is narrower than A, rows are rounded by the kernel that completes them, and products leave sums (of
 * Sum) that the next kernel scales. The steps are those of the CPU's plan: of the last layer only the first token's row is
 * computed, but for its keys and values. */
#pragma once

#include "rows.cuh"
#include "session.cuh"

namespace berth {

template <typename A, typename W, typename Sum> class Forward {
    static constexpr bool quantised = !std::is_same_v<A, W>;
    using Q = std::conditional_t<quantised, W, Nothing>;

  public:
    explicit Forward(const Pass &pass)
        : pass_(pass), s_(pass.session), m_(*s_.model), c_(m_.config), stream_(s_.work), message(pass.message),
          input_(place_input(pass.shape).in(pass.slot.input)), x_(static_cast<A *>(s_.x)),
          qkv_(static_cast<A *>(s_.qkv)), context_(static_cast<A *>(s_.context)), ffn_(static_cast<A *>(s_.ffn))
    {
    }

    int run()
    {
        const uint64_t tokens = pass_.shape.tokens, texts = pass_.shape.texts;
        const bool all = pass_.wanted.tokens || pass_.wanted.hidden;
        BERTH_PASS(embed());
        BERTH_PASS(hidden_state(0));
        for (uint64_t l = 0; l < c_.layers; l++) {
            const LayerWeights &layer = m_.layers[l];
            const bool first_only = l + 1 == c_.layers && !all;
            const uint64_t rows = first_only ? texts : tokens;
            A *x = first_only ? static_cast<A *>(s_.first) : x_;
            if (first_only) {
                BERTH_PASS(product(layer.key_value, x_, tokens, qkv_));
                BERTH_CUDA_TRY(run_gather(x_, input_.begin, texts, c_.hidden, x, stream_), "first tokens");
                BERTH_PASS(round(x, texts, c_.hidden));
                BERTH_PASS(product(layer.query, x, texts, static_cast<A *>(s_.query)));
            } else {
                BERTH_PASS(product(layer.qkv, x, tokens, qkv_));
            }
            BERTH_PASS(attend(first_only));
            BERTH_PASS(round(context_, rows, c_.hidden));
            BERTH_PASS(product_norm(layer.out, context_, rows, x, layer.out_gamma, layer.out_beta));
            BERTH_PASS(feed_forward(layer, x, rows));
            BERTH_PASS(product_norm(layer.ffn_out, ffn_, rows, x, layer.ffn_gamma, layer.ffn_beta));
            BERTH_PASS(hidden_state(l + 1));
        }
        return head(all);
    }

  private:
    Q *rounded() const { return static_cast<Q *>(s_.quantised); }

    FromSums<Sum, A> sums(const Weight &weight, const A *residual) const
    {
        return {static_cast<const Sum *>(s_.sums), s_.scales, weight.column_scale, static_cast<const float *>(weight.bias),
                residual};
    }

    int embed()
    {
        const FromTables<A> tables{static_cast<const A *>(m_.word), m_.position, m_.type, input_.ids, input_.positions,
                                   input_.types};
        A *to = m_.has_project ? static_cast<A *>(s_.embedded) : x_;
        BERTH_CUDA_TRY(run_rows(tables, Norm{m_.embed_gamma, m_.embed_beta, c_.eps}, pass_.shape.tokens, c_.embedding, to,
                                rounded(), s_.scales, stream_),
                       "embedding");
        if (!m_.has_project)
            return BERTH_CUDA_OK;
        BERTH_PASS(product(m_.project, to, pass_.shape.tokens, x_));
        return round(x_, pass_.shape.tokens, c_.hidden);
    }

    /* Rows that no kernel rounded on its way: now. */
    int round(const A *rows, uint64_t count, uint64_t width)
    {
        if constexpr (quantised)
            BERTH_CUDA_TRY(run_rows(FromRows<A>{rows}, Keep{}, count, width, static_cast<A *>(nullptr), rounded(), s_.scales,
                                    stream_),
                           "rounding");
        return BERTH_CUDA_OK;
    }

    /* The product of `in` (quantised: of the rows rounded last) as it comes out of cuBLASLt. */
    int multiply(const Weight &weight, const A *in, uint64_t rows, const A *residual, A *out)
    {
        if constexpr (quantised)
            return m_.products.run(weight, s_.quantised, rows, nullptr, s_.sums, s_.lt_workspace, stream_, message);
        else
            return m_.products.run(weight, in, rows, residual, out, s_.lt_workspace, stream_, message);
    }

    /* out = in . w^T + bias */
    int product(const Weight &weight, const A *in, uint64_t rows, A *out)
    {
        BERTH_PASS(multiply(weight, in, rows, nullptr, out));
        if constexpr (quantised)
            BERTH_CUDA_TRY(run_rows(sums(weight, nullptr), Keep{}, rows, weight.n, out, static_cast<Nothing *>(nullptr),
                                    static_cast<float *>(nullptr), stream_),
                           "scaling");
        return BERTH_CUDA_OK;
    }

    /* x = LayerNorm(in . w^T + bias + x), rounded for the next product */
    int product_norm(const Weight &weight, const A *in, uint64_t rows, A *x, const float *gamma, const float *beta)
    {
        const Norm norm{gamma, beta, c_.eps};
        A *sum = static_cast<A *>(s_.sum);
        BERTH_PASS(multiply(weight, in, rows, x, sum));
        if constexpr (quantised)
            BERTH_CUDA_TRY(run_rows(sums(weight, x), norm, rows, weight.n, x, rounded(), s_.scales, stream_), "LayerNorm");
        else
            BERTH_CUDA_TRY(run_rows(FromRows<A>{sum}, norm, rows, weight.n, x, rounded(), s_.scales, stream_), "LayerNorm");
        return BERTH_CUDA_OK;
    }

    int feed_forward(const LayerWeights &layer, const A *x, uint64_t rows)
    {
        BERTH_PASS(multiply(layer.ffn_in, x, rows, nullptr, ffn_));
        if constexpr (quantised)
            BERTH_CUDA_TRY(run_rows(sums(layer.ffn_in, nullptr), Activate{c_.act}, rows, c_.ffn, static_cast<A *>(nullptr),
                                    rounded(), s_.scales, stream_),
                           "activation");
        else
            BERTH_CUDA_TRY(run_act(ffn_, rows * c_.ffn, c_.act, stream_), "activation");
        return BERTH_CUDA_OK;
    }

    /* first_only: one query a text, whose keys and values alone lie in qkv. */
    int attend(bool first_only)
    {
        AttentionInput<A> in;
        in.tiles = first_only ? input_.first_tiles : input_.tiles;
        in.query = first_only ? static_cast<const A *>(s_.query) : qkv_;
        in.key = first_only ? qkv_ : qkv_ + c_.hidden;
        in.value = in.key + c_.hidden;
        in.context = context_;
        in.query_stride = static_cast<int>(first_only ? c_.hidden : 3 * c_.hidden);
        in.stride = static_cast<int>(first_only ? 2 * c_.hidden : 3 * c_.hidden);
        in.heads = static_cast<int>(c_.heads);
        in.head_size = static_cast<int>(m_.head_size);
        in.scale = 1.0f / sqrtf(static_cast<float>(m_.head_size));
        BERTH_CUDA_TRY(run_attention(in, first_only ? pass_.shape.texts : pass_.shape.tiles, stream_), "attention");
        return BERTH_CUDA_OK;
    }

    /* `rows` of A to the caller as float, at once: for tests and analysis, not for speed. */
    int copy_out(const A *rows, uint64_t count, float *to)
    {
        auto kernel = widen_kernel<A>;
        float *wide = static_cast<float *>(s_.wide);
        for (uint64_t first = 0; first < count; first += s_.wide_numbers) {
            const uint64_t some = count - first < s_.wide_numbers ? count - first : s_.wide_numbers;
            LAUNCH(kernel, divide_up(some, 256), 256, 0, stream_, rows + first, some, wide);
            BERTH_CUDA_TRY(cudaGetLastError(), "results");
            BERTH_CUDA_TRY(cudaMemcpyAsync(to + first, wide, some * sizeof(float), cudaMemcpyDeviceToHost, stream_), "results");
            BERTH_CUDA_TRY(cudaStreamSynchronize(stream_), "results");
        }
        return BERTH_CUDA_OK;
    }

    int hidden_state(uint64_t index)
    {
        const uint64_t numbers = pass_.shape.tokens * c_.hidden;
        return pass_.wanted.hidden ? copy_out(x_, numbers, pass_.wanted.hidden + index * numbers) : +BERTH_CUDA_OK;
    }

    /* In fp32, whatever the rest: one row a text. */
    int head(bool all)
    {
        const uint64_t texts = pass_.shape.texts, numbers = texts * c_.hidden;
        float *first = pass_.slot.first;
        if (all)
            BERTH_CUDA_TRY(run_gather(x_, input_.begin, texts, c_.hidden, first, stream_), "first tokens");
        else {
            auto kernel = widen_kernel<A>;
            LAUNCH(kernel, divide_up(numbers, 256), 256, 0, stream_, static_cast<const A *>(s_.first), numbers, first);
            BERTH_CUDA_TRY(cudaGetLastError(), "first tokens");
        }
        if (pass_.wanted.tokens)
            BERTH_PASS(copy_out(x_, pass_.shape.tokens * c_.hidden, pass_.wanted.tokens));
        if (c_.labels == 0)
            return BERTH_CUDA_OK;
        BERTH_PASS(m_.products.run(m_.pooler, first, texts, nullptr, s_.pooled, s_.lt_workspace, stream_, message));
        BERTH_CUDA_TRY(run_act(s_.pooled, numbers, c_.pooler_act, stream_), "pooler");
        return m_.products.run(m_.classifier, s_.pooled, texts, nullptr, pass_.slot.logits, s_.lt_workspace, stream_, message);
    }

    const Pass &pass_;
    berth_cuda_session &s_;
    const berth_cuda_model &m_;
    const berth_cuda_config &c_;
    const cudaStream_t stream_;
    const Message &message;
    const Input input_;
    A *const x_, *const qkv_, *const context_, *const ffn_;
};

} // namespace berth
