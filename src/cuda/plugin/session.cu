/* session.cu: buffers, copies, graphs (session.cuh). */
#include "session.cuh"

#include <cmath>
#include <memory>

namespace berth {

/* --- input ---------------------------------------------------------------------------------------- */

static size_t aligned(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

Input InputPlaces::in(unsigned char *base) const
{
    return {reinterpret_cast<int32_t *>(base + ids),      reinterpret_cast<int32_t *>(base + positions),
            reinterpret_cast<int32_t *>(base + begin),    reinterpret_cast<Tile *>(base + tiles),
            reinterpret_cast<Tile *>(base + first_tiles), base + types};
}

InputPlaces place_input(const Shape &shape)
{
    InputPlaces at;
    at.ids = 0;
    at.positions = at.ids + aligned(shape.tokens * sizeof(int32_t));
    at.begin = at.positions + aligned(shape.tokens * sizeof(int32_t));
    at.tiles = at.begin + aligned(shape.texts * sizeof(int32_t));
    at.first_tiles = at.tiles + aligned(shape.tiles * sizeof(Tile));
    at.types = at.first_tiles + aligned(shape.texts * sizeof(Tile));
    at.end = at.types + aligned(shape.tokens);
    return at;
}

uint64_t count_tiles(const berth_cuda_batch &batch, int queries)
{
    uint64_t tiles = 0;
    for (uint64_t i = 0; i < batch.texts; i++)
        tiles += divide_up(batch.offsets[i + 1] - batch.offsets[i], static_cast<uint64_t>(queries));
    return tiles;
}

void stage_input(const berth_cuda_batch &batch, const Shape &shape, int queries, unsigned char *to)
{
    const InputPlaces places = place_input(shape);
    const Input input = places.in(to);
    Tile *tile = input.tiles;
    memcpy(input.ids, batch.ids, shape.tokens * sizeof *batch.ids);
    if (batch.types)
        memcpy(input.types, batch.types, shape.tokens);
    else
        memset(input.types, 0, shape.tokens);
    for (uint64_t i = 0; i < batch.texts; i++) {
        const int32_t begin = static_cast<int32_t>(batch.offsets[i]),
                      length = static_cast<int32_t>(batch.offsets[i + 1] - batch.offsets[i]);
        for (int32_t t = 0; t < length; t++)
            input.positions[begin + t] = batch.positions ? batch.positions[begin + t] : t;
        input.begin[i] = begin;
        input.first_tiles[i] = {begin, length, 0, static_cast<int32_t>(i), 1};
        for (int32_t first = 0; first < length; first += queries)
            *tile++ = {begin, length, first, begin + first, length - first < queries ? length - first : queries};
    }
}

/* --- life ----------------------------------------------------------------------------------------- */

/* Lays the workspace out: sums what it takes while the block is not there yet. */
static uint64_t lay_out(berth_cuda_session &s)
{
    const berth_cuda_config &c = s.model->config;
    const Kind kind = s.model->kind;
    const bool quantised = is_quantised(kind);
    const uint64_t number = kind == Kind::F32 ? 4 : 2, tokens = s.max_tokens, texts = s.max_texts;
    const uint64_t widest = c.ffn > 3 * c.hidden ? c.ffn : 3 * c.hidden;
    const uint64_t input = place_input({tokens, texts, s.max_tiles}).end;
    uint64_t need = 0;
    const auto take = [&](uint64_t bytes) {
        unsigned char *at = s.block ? s.block + need : nullptr;
        need += aligned(bytes);
        return at;
    };
    for (auto &slot : s.slot) {
        slot.input = take(input);
        slot.logits = reinterpret_cast<float *>(take(texts * c.labels * sizeof(float)));
        slot.first = reinterpret_cast<float *>(take(texts * c.hidden * sizeof(float)));
    }
    s.embedded = take(s.model->has_project ? tokens * c.embedding * number : 0);
    s.x = take(tokens * c.hidden * number);
    s.sum = take(quantised ? 0 : tokens * c.hidden * number);
    s.qkv = take(tokens * 3 * c.hidden * number);
    s.context = take(tokens * c.hidden * number);
    s.ffn = take(quantised ? 0 : tokens * c.ffn * number);
    s.first = take(texts * c.hidden * number);
    s.query = take(texts * c.hidden * number);
    s.pooled = reinterpret_cast<float *>(take(texts * c.hidden * sizeof(float)));
    s.quantised = take(quantised ? tokens * widest : 0);
    s.sums = take(quantised ? tokens * widest * sizeof(float) : 0);
    s.scales = reinterpret_cast<float *>(take(quantised ? tokens * sizeof(float) : 0));
    s.wide_numbers = 1 << 18;
    s.wide = take(s.wide_numbers * sizeof(float));
    s.lt_workspace = take(Products::WORKSPACE);
    return need;
}

int open_session(const berth_cuda_model &model, uint64_t max_tokens, uint64_t max_texts, berth_cuda_session **out,
                 const Message &message)
{
    OnDevice here(model.device);
    const berth_cuda_config &c = model.config;
    auto session = std::make_unique<berth_cuda_session>();
    berth_cuda_session &s = *session;
    s.model = &model;
    s.max_tokens = max_tokens;
    s.max_texts = max_texts < max_tokens ? max_texts : max_tokens;
    if (max_tokens == 0 || max_texts == 0 || max_tokens > INT32_MAX / (3 * c.hidden))
        return message.say(BERTH_CUDA_UNSUPPORTED, "batches of %llu tokens; the GPU takes 1 to %llu of this model's",
                           static_cast<unsigned long long>(max_tokens),
                           static_cast<unsigned long long>(INT32_MAX / (3 * c.hidden)));
    switch (model.kind) {
    case Kind::F32: s.queries = tile_queries<float>(model.head_size); break;
    case Kind::F16: s.queries = tile_queries<half>(model.head_size); break;
    default: s.queries = tile_queries<bf16>(model.head_size); break;
    }
    s.max_tiles = divide_up(max_tokens, static_cast<uint64_t>(s.queries)) + s.max_texts; /* each text begins one */
    s.bytes = lay_out(s);
    BERTH_CUDA_TRY(cudaMalloc(reinterpret_cast<void **>(&s.block), s.bytes), "the workspace");
    lay_out(s);
    for (cudaStream_t *stream : {&s.in, &s.work, &s.out})
        BERTH_CUDA_TRY(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking), "a stream");
    for (auto &slot : s.slot) {
        BERTH_CUDA_TRY(cudaMallocHost(reinterpret_cast<void **>(&slot.pinned),
                                      place_input({max_tokens, s.max_texts, s.max_tiles}).end),
                       "pinned memory");
        BERTH_CUDA_TRY(cudaMallocHost(reinterpret_cast<void **>(&slot.pinned_logits), s.max_texts * (c.labels + 1) * sizeof(float)),
                       "pinned memory");
        BERTH_CUDA_TRY(cudaMallocHost(reinterpret_cast<void **>(&slot.pinned_first), s.max_texts * c.hidden * sizeof(float)),
                       "pinned memory");
        for (cudaEvent_t *event : {&slot.uploaded, &slot.computed, &slot.done})
            BERTH_CUDA_TRY(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "an event");
    }
    *out = session.release();
    return BERTH_CUDA_OK;
}

/* --- running -------------------------------------------------------------------------------------- */

static int forward(const Pass &pass)
{
    switch (pass.session.model->kind) {
    case Kind::F32: return forward_f32(pass);
    case Kind::BF16: return forward_bf16(pass);
    case Kind::F16: return forward_f16(pass);
    case Kind::INT8: return forward_int8(pass);
    default: return forward_fp8(pass);
    }
}

/* The graph of a shape: one that is there, else the one that was used longest ago, made this shape's. */
static berth_cuda_session::Graph &graph_of(berth_cuda_session &s, const Shape &shape, int slot)
{
    berth_cuda_session::Graph *oldest = &s.graph[0];
    for (auto &graph : s.graph) {
        if (graph.used && graph.shape == shape && graph.slot == slot)
            return graph;
        if (graph.used < oldest->used)
            oldest = &graph;
    }
    if (oldest->run)
        cudaGraphExecDestroy(oldest->run);
    *oldest = {};
    oldest->shape = shape;
    oldest->slot = slot;
    return *oldest;
}

/* A shape's second coming is captured, and all after it replayed; the first is run as it is. */
static int compute(const Pass &pass, int slot)
{
    berth_cuda_session &s = pass.session;
    const Message &message = pass.message;
    if (pass.shape.tokens > GRAPH_TOKENS || pass.wanted.tokens || pass.wanted.hidden)
        return forward(pass);
    berth_cuda_session::Graph &graph = graph_of(s, pass.shape, slot);
    const bool known = graph.used != 0;
    graph.used = s.submitted + 1;
    if (!known)
        return forward(pass);
    if (!graph.run) {
        cudaGraph_t captured = nullptr;
        BERTH_CUDA_TRY(cudaStreamBeginCapture(s.work, cudaStreamCaptureModeThreadLocal), "capture");
        const int result = forward(pass);
        const cudaError_t ended = cudaStreamEndCapture(s.work, &captured);
        if (result != BERTH_CUDA_OK) {
            if (captured)
                cudaGraphDestroy(captured);
            return result;
        }
        BERTH_CUDA_TRY(ended, "capture");
        const cudaError_t made = cudaGraphInstantiate(&graph.run, captured, 0);
        cudaGraphDestroy(captured);
        BERTH_CUDA_TRY(made, "a graph");
    }
    BERTH_CUDA_TRY(cudaGraphLaunch(graph.run, s.work), "a graph");
    return BERTH_CUDA_OK;
}

int submit(berth_cuda_session &s, const berth_cuda_batch &batch, const berth_cuda_outputs &outputs, const Message &message)
{
    OnDevice here(s.model->device);
    const berth_cuda_config &c = s.model->config;
    const int index = static_cast<int>(s.submitted % SLOTS);
    auto &slot = s.slot[index];
    const Shape shape{batch.offsets[batch.texts], batch.texts, count_tiles(batch, s.queries)};
    if (s.submitted - s.collected >= SLOTS)
        return message.say(BERTH_CUDA_FAULT, "%d batches are under way already", SLOTS);
    if (shape.texts == 0 || shape.texts > s.max_texts || shape.tokens > s.max_tokens)
        return message.say(BERTH_CUDA_FAULT, "a batch of %llu texts and %llu tokens; this session takes %llu and %llu",
                           static_cast<unsigned long long>(shape.texts), static_cast<unsigned long long>(shape.tokens),
                           static_cast<unsigned long long>(s.max_texts), static_cast<unsigned long long>(s.max_tokens));
    stage_input(batch, shape, s.queries, slot.pinned);
    slot.wanted = outputs;
    slot.texts = shape.texts;
    BERTH_CUDA_TRY(cudaMemcpyAsync(slot.input, slot.pinned, place_input(shape).end, cudaMemcpyHostToDevice, s.in), "input");
    BERTH_CUDA_TRY(cudaEventRecord(slot.uploaded, s.in), "input");
    BERTH_CUDA_TRY(cudaStreamWaitEvent(s.work, slot.uploaded, 0), "input");
    BERTH_PASS(compute({s, slot, shape, slot.wanted, message}, index));
    BERTH_CUDA_TRY(cudaEventRecord(slot.computed, s.work), "results");
    BERTH_CUDA_TRY(cudaStreamWaitEvent(s.out, slot.computed, 0), "results");
    if (c.labels)
        BERTH_CUDA_TRY(cudaMemcpyAsync(slot.pinned_logits, slot.logits, shape.texts * c.labels * sizeof(float),
                                       cudaMemcpyDeviceToHost, s.out),
                       "results");
    if (outputs.first)
        BERTH_CUDA_TRY(cudaMemcpyAsync(slot.pinned_first, slot.first, shape.texts * c.hidden * sizeof(float),
                                       cudaMemcpyDeviceToHost, s.out),
                       "results");
    BERTH_CUDA_TRY(cudaEventRecord(slot.done, s.out), "results");
    s.submitted++;
    return BERTH_CUDA_OK;
}

int collect(berth_cuda_session &s, const Message &message)
{
    OnDevice here(s.model->device);
    const berth_cuda_config &c = s.model->config;
    if (s.collected == s.submitted)
        return message.say(BERTH_CUDA_FAULT, "no batch is under way");
    auto &slot = s.slot[s.collected++ % SLOTS];
    BERTH_CUDA_TRY(cudaEventSynchronize(slot.done), "results");
    for (uint64_t i = 0; i < slot.texts * c.labels; i++)
        if (!std::isfinite(slot.pinned_logits[i]))
            return message.say(BERTH_CUDA_NOT_FINITE,
                               "the results of text %llu of the batch are not finite: the model's weights overflow the GPU's "
                               "numbers",
                               static_cast<unsigned long long>(i / c.labels));
    if (slot.wanted.logits)
        memcpy(slot.wanted.logits, slot.pinned_logits, slot.texts * c.labels * sizeof(float));
    if (slot.wanted.first)
        memcpy(slot.wanted.first, slot.pinned_first, slot.texts * c.hidden * sizeof(float));
    return BERTH_CUDA_OK;
}

} // namespace berth

berth_cuda_session::~berth_cuda_session()
{
    berth::OnDevice here(model->device);
    for (cudaStream_t stream : {in, work, out})
        if (stream) {
            cudaStreamSynchronize(stream);
            cudaStreamDestroy(stream);
        }
    for (auto &g : graph)
        if (g.run)
            cudaGraphExecDestroy(g.run);
    for (auto &s : slot) {
        for (cudaEvent_t event : {s.uploaded, s.computed, s.done})
            if (event)
                cudaEventDestroy(event);
        cudaFreeHost(s.pinned);
        cudaFreeHost(s.pinned_logits);
        cudaFreeHost(s.pinned_first);
    }
    cudaFree(block);
}
