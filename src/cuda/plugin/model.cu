/* model.cu: weights, from the library's float32 to the device. */
#include "model.cuh"

#include <cmath>

#include "attention.cuh"
#include "rows.cuh"

namespace berth {

constexpr uint64_t CHUNK = 1 << 20; /* numbers converted at a time */

/* Reads, rounds, uploads. */
class Upload {
  public:
    Upload(berth_cuda_model &model, berth_cuda_read *read, void *context, const Message &message)
        : model_(model), read_(read), context_(context), message_(message), chunk_(CHUNK)
    {
    }

    int reserve(size_t bytes, void **at)
    {
        BERTH_PASS(message_.cuda(cudaMalloc(at, bytes ? bytes : 1), "weights"));
        model_.owned.push_back(*at);
        model_.bytes += bytes;
        return BERTH_CUDA_OK;
    }

    /* Numbers of a weight as T at `to` on the device. */
    template <typename T> int copy(int weight, uint64_t layer, uint64_t count, T *to)
    {
        std::vector<T> rounded(CHUNK);
        for (uint64_t first = 0; first < count; first += CHUNK) {
            const uint64_t some = count - first < CHUNK ? count - first : CHUNK;
            read_(context_, weight, layer, first, some, chunk_.data());
            for (uint64_t i = 0; i < some; i++)
                rounded[i] = narrow<T>(chunk_[i]);
            BERTH_PASS(message_.cuda(cudaMemcpy(to + first, rounded.data(), some * sizeof(T), cudaMemcpyHostToDevice),
                                     "weights"));
        }
        return BERTH_CUDA_OK;
    }

    template <typename T> int keep(int weight, uint64_t layer, uint64_t count, const T **out)
    {
        void *at = nullptr;
        BERTH_PASS(reserve(count * sizeof(T), &at));
        *out = static_cast<T *>(at);
        return copy(weight, layer, count, static_cast<T *>(at));
    }

    /* Rows of [n, k], each scaled so that its largest number is Q's. */
    template <typename Q> int quantise(int weight, uint64_t layer, uint64_t n, uint64_t k, Q *to, float *scales)
    {
        const uint64_t together = k < CHUNK ? CHUNK / k : 1;
        std::vector<float> rows(together * k), scale(n);
        std::vector<Q> rounded(together * k);
        for (uint64_t first = 0; first < n; first += together) {
            const uint64_t some = n - first < together ? n - first : together;
            read_(context_, weight, layer, first * k, some * k, rows.data());
            for (uint64_t j = 0; j < some; j++) {
                float top = 0.0f;
                for (uint64_t i = 0; i < k; i++)
                    top = std::fmax(top, std::fabs(rows[j * k + i]));
                const float by = scale[first + j] = top > 0.0f ? top / Range<Q>::top : 1.0f;
                for (uint64_t i = 0; i < k; i++)
                    rounded[j * k + i] = narrow<Q>(rows[j * k + i] / by);
            }
            BERTH_PASS(message_.cuda(cudaMemcpy(to + first * k, rounded.data(), some * k * sizeof(Q), cudaMemcpyHostToDevice),
                                     "weights"));
        }
        return message_.cuda(cudaMemcpy(scales, scale.data(), n * sizeof(float), cudaMemcpyHostToDevice), "weights");
    }

    /* A linear layer made of `parts` of them, one above the other (query, key and value), in the model's numbers. */
    template <typename A, typename W> int linear(const int *weights, const int *biases, int parts, uint64_t layer, uint64_t n,
                                                 uint64_t k, Weight *out)
    {
        void *numbers = nullptr, *bias = nullptr, *scale = nullptr;
        constexpr bool quantised = std::is_same_v<W, int8_t> || std::is_same_v<W, fp8>;
        using B = std::conditional_t<quantised, float, A>;
        BERTH_PASS(reserve(parts * n * k * sizeof(W), &numbers));
        BERTH_PASS(reserve(parts * n * sizeof(B), &bias));
        if (quantised)
            BERTH_PASS(reserve(parts * n * sizeof(float), &scale));
        for (int part = 0; part < parts; part++) {
            W *to = static_cast<W *>(numbers) + part * n * k;
            if constexpr (quantised)
                BERTH_PASS(quantise(weights[part], layer, n, k, to, static_cast<float *>(scale) + part * n));
            else
                BERTH_PASS(copy(weights[part], layer, n * k, to));
            BERTH_PASS(copy(biases[part], layer, n, static_cast<B *>(bias) + part * n));
        }
        *out = Weight{parts * n, k, numbers, bias, static_cast<float *>(scale), 0};
        return BERTH_CUDA_OK;
    }

    template <typename A, typename W> int all()
    {
        const berth_cuda_config &c = model_.config;
        const A *word = nullptr;
        BERTH_PASS(keep(BERTH_CUDA_WORD, 0, c.vocab * c.embedding, &word));
        model_.word = word;
        BERTH_PASS(keep(BERTH_CUDA_POSITION, 0, c.positions * c.embedding, &model_.position));
        if (c.types)
            BERTH_PASS(keep(BERTH_CUDA_TYPE, 0, c.types * c.embedding, &model_.type));
        BERTH_PASS(keep(BERTH_CUDA_EMBED_GAMMA, 0, c.embedding, &model_.embed_gamma));
        BERTH_PASS(keep(BERTH_CUDA_EMBED_BETA, 0, c.embedding, &model_.embed_beta));
        model_.has_project = c.embedding != c.hidden;
        const auto one = [&](int weight, int bias, uint64_t layer, uint64_t n, uint64_t k, Weight *out) {
            return linear<A, W>(&weight, &bias, 1, layer, n, k, out);
        };
        if (model_.has_project)
            BERTH_PASS(one(BERTH_CUDA_PROJECT, BERTH_CUDA_PROJECT_BIAS, 0, c.hidden, c.embedding, &model_.project));
        model_.layers.resize(c.layers);
        for (uint64_t l = 0; l < c.layers; l++) {
            LayerWeights &layer = model_.layers[l];
            const int weights[] = {BERTH_CUDA_QUERY, BERTH_CUDA_KEY, BERTH_CUDA_VALUE};
            const int biases[] = {BERTH_CUDA_QUERY_BIAS, BERTH_CUDA_KEY_BIAS, BERTH_CUDA_VALUE_BIAS};
            BERTH_PASS((linear<A, W>(weights, biases, 3, l, c.hidden, c.hidden, &layer.qkv)));
            layer.query = part_of(layer.qkv, 0, c.hidden);
            layer.key_value = part_of(layer.qkv, c.hidden, 2 * c.hidden);
            BERTH_PASS(one(BERTH_CUDA_OUT, BERTH_CUDA_OUT_BIAS, l, c.hidden, c.hidden, &layer.out));
            BERTH_PASS(one(BERTH_CUDA_FFN_IN, BERTH_CUDA_FFN_IN_BIAS, l, c.ffn, c.hidden, &layer.ffn_in));
            BERTH_PASS(one(BERTH_CUDA_FFN_OUT, BERTH_CUDA_FFN_OUT_BIAS, l, c.hidden, c.ffn, &layer.ffn_out));
            BERTH_PASS(keep(BERTH_CUDA_OUT_GAMMA, l, c.hidden, &layer.out_gamma));
            BERTH_PASS(keep(BERTH_CUDA_OUT_BETA, l, c.hidden, &layer.out_beta));
            BERTH_PASS(keep(BERTH_CUDA_FFN_GAMMA, l, c.hidden, &layer.ffn_gamma));
            BERTH_PASS(keep(BERTH_CUDA_FFN_BETA, l, c.hidden, &layer.ffn_beta));
        }
        if (c.labels == 0)
            return BERTH_CUDA_OK;
        const int pooler = BERTH_CUDA_POOLER, pooler_bias = BERTH_CUDA_POOLER_BIAS;
        const int classifier = BERTH_CUDA_CLASSIFIER, classifier_bias = BERTH_CUDA_CLASSIFIER_BIAS;
        BERTH_PASS((linear<float, float>(&pooler, &pooler_bias, 1, 0, c.hidden, c.hidden, &model_.pooler)));
        return linear<float, float>(&classifier, &classifier_bias, 1, 0, c.labels, c.hidden, &model_.classifier);
    }

  private:
    Weight part_of(const Weight &whole, uint64_t first, uint64_t count) const
    {
        const size_t in = in_bytes(model_.kind), out = is_quantised(model_.kind) ? sizeof(float) : out_bytes(model_.kind);
        return Weight{count,
                      whole.k,
                      static_cast<const char *>(whole.numbers) + first * whole.k * in,
                      static_cast<const char *>(whole.bias) + first * out,
                      whole.column_scale ? whole.column_scale + first : nullptr,
                      0};
    }
    berth_cuda_model &model_;
    berth_cuda_read *read_;
    void *context_;
    const Message &message_;
    std::vector<float> chunk_;
};

/* What this code and this device can do, before anything is uploaded. */
static int check_config(const berth_cuda_config &c, int device, const Message &message)
{
    cudaDeviceProp facts;
    BERTH_CUDA_TRY(cudaGetDeviceProperties(&facts, device), "the device");
    if (facts.major < 8)
        return message.say(BERTH_CUDA_ABSENT, "%s has compute capability %d.%d; 8.0 or newer is needed", facts.name,
                           facts.major, facts.minor);
    if (c.heads == 0 || c.hidden % c.heads != 0 || c.hidden / c.heads > PLAIN_HEAD_MAX)
        return message.say(BERTH_CUDA_UNSUPPORTED, "heads of %llu numbers; the GPU's attention takes up to %d",
                           static_cast<unsigned long long>(c.heads ? c.hidden / c.heads : 0), PLAIN_HEAD_MAX);
    if (c.hidden > WIDTH_MAX || c.embedding > WIDTH_MAX || c.ffn > (is_quantised(static_cast<Kind>(c.number)) ? WIDTH_MAX : 65536))
        return message.say(BERTH_CUDA_UNSUPPORTED, "hidden size %llu and feed-forward size %llu; the GPU takes up to %d",
                           static_cast<unsigned long long>(c.hidden), static_cast<unsigned long long>(c.ffn), WIDTH_MAX);
    if (c.number == BERTH_CUDA_FP8 && facts.major * 10 + facts.minor < 89)
        return message.say(BERTH_CUDA_UNSUPPORTED, "%s (compute capability %d.%d) has no fp8 products; use bf16 or int8",
                           facts.name, facts.major, facts.minor);
    if ((c.number == BERTH_CUDA_INT8 || c.number == BERTH_CUDA_FP8) &&
        (c.hidden % 16 || c.ffn % 16 || c.embedding % 16))
        return message.say(BERTH_CUDA_UNSUPPORTED,
                           "int8 and fp8 products on the GPU need sizes that are multiples of 16; hidden %llu, embedding "
                           "%llu, feed-forward %llu are not; use bf16",
                           static_cast<unsigned long long>(c.hidden), static_cast<unsigned long long>(c.embedding),
                           static_cast<unsigned long long>(c.ffn));
    return BERTH_CUDA_OK;
}

/* The largest power of two, up to 16, that divides all of these byte counts: how rows lie. */
static unsigned alignment_of(std::initializer_list<uint64_t> bytes)
{
    uint64_t all = 16;
    for (uint64_t b : bytes)
        all |= b;
    return static_cast<unsigned>(all & -all);
}

static int settle_all(berth_cuda_model &m, const Message &message)
{
    const Kind kind = m.kind;
    const bool quantised = is_quantised(kind);
    const auto settle = [&](Weight &weight, Kind of, bool residual) {
        const unsigned alignment =
            alignment_of({weight.k * in_bytes(of), weight.n * out_bytes(of), m.config.hidden * out_bytes(of)});
        return m.products.settle(weight, of, residual, alignment, message);
    };
    if (m.has_project)
        BERTH_PASS(settle(m.project, kind, false));
    for (LayerWeights &layer : m.layers) {
        BERTH_PASS(settle(layer.qkv, kind, false));
        BERTH_PASS(settle(layer.query, kind, false));
        BERTH_PASS(settle(layer.key_value, kind, false));
        BERTH_PASS(settle(layer.out, kind, !quantised));
        BERTH_PASS(settle(layer.ffn_in, kind, false));
        BERTH_PASS(settle(layer.ffn_out, kind, !quantised));
    }
    if (m.config.labels == 0)
        return BERTH_CUDA_OK;
    BERTH_PASS(settle(m.pooler, Kind::F32, false));
    return settle(m.classifier, Kind::F32, false);
}

int open_model(const berth_cuda_config &config, int device, berth_cuda_read *read, void *context,
               berth_cuda_model **out, const Message &message)
{
    OnDevice here(device);
    BERTH_PASS(check_config(config, device, message));
    auto model = std::make_unique<berth_cuda_model>();
    model->config = config;
    model->device = device;
    model->kind = static_cast<Kind>(config.number);
    model->head_size = config.hidden / config.heads;
    BERTH_PASS(model->products.open(message));
    Upload upload(*model, read, context, message);
    switch (model->kind) {
    case Kind::F32: BERTH_PASS((upload.all<float, float>())); break;
    case Kind::BF16: BERTH_PASS((upload.all<bf16, bf16>())); break;
    case Kind::F16: BERTH_PASS((upload.all<half, half>())); break;
    case Kind::INT8: BERTH_PASS((upload.all<bf16, int8_t>())); break;
    case Kind::FP8: BERTH_PASS((upload.all<bf16, fp8>())); break;
    }
    BERTH_PASS(settle_all(*model, message));
    *out = model.release();
    return BERTH_CUDA_OK;
}

} // namespace berth

berth_cuda_model::~berth_cuda_model()
{
    berth::OnDevice here(device);
    for (void *block : owned)
        cudaFree(block);
}
