/* train.cu: a trainer's memory, and a batch's way to the device and back (train.cuh). */
#include "train.cuh"

#include <algorithm>

namespace berth {

/* --- input ---------------------------------------------------------------------------------------- */

static size_t aligned(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

TrainInput place_train_input(const TrainShape &bound, unsigned char *base)
{
    TrainInput in;
    size_t at = 0;
    const auto place = [&](auto *&part, uint64_t count) {
        part = reinterpret_cast<std::remove_reference_t<decltype(part)>>(reinterpret_cast<uintptr_t>(base) + at);
        at += aligned(count * sizeof *part);
    };
    place(in.ids, bound.tokens);
    place(in.positions, bound.tokens);
    place(in.begin, bound.texts);
    place(in.slots, bound.masked);
    place(in.words, bound.masked);
    place(in.tiles, bound.tiles);
    place(in.first_tiles, bound.texts);
    place(in.list, 3 * bound.tokens);
    place(in.pieces, bound.pieces);
    place(in.joins, bound.joins);
    place(in.types, bound.tokens);
    in.bytes = at;
    return in;
}

/* Largest counts of any batch of so many tokens and texts. */
static TrainShape bound_of(const berth_cuda_train_config &config, int tile_tokens)
{
    TrainShape b;
    const uint64_t tokens = config.max_tokens, cut = divide_up(tokens, PIECE_ROWS);
    b.tokens = tokens;
    b.texts = config.max_texts < tokens ? config.max_texts : tokens;
    b.masked = config.masked ? config.max_masked : 0;
    b.tiles = divide_up(tokens, static_cast<uint64_t>(tile_tokens)) + b.texts;
    const auto at_most = [&](uint64_t rows) { return rows < tokens ? rows : tokens; };
    b.pieces = at_most(config.model.vocab) + at_most(config.model.positions) + at_most(config.model.types) + 3 * cut;
    b.joins = 3 * cut;
    b.partials = 6 * cut; /* a row with several pieces has fewer than twice its tokens / PIECE_ROWS */
    return b;
}

/* Lists the tokens of each row of a table, in order, and cuts the lists. row_of(token): SIZE_MAX: of none. */
template <class RowOf>
static void list_rows(const TrainInput &in, TrainShape &shape, uint64_t base, uint64_t rows, uint64_t width, uint64_t target,
                      const RowOf &row_of)
{
    std::vector<uint32_t> next(rows + 1, 0);
    for (uint64_t i = 0; i < shape.tokens; i++)
        if (row_of(i) < rows)
            next[row_of(i) + 1]++;
    for (uint64_t r = 0; r < rows; r++) {
        const uint32_t count = next[r + 1], first = next[r] + static_cast<uint32_t>(r == 0 ? base : 0);
        if (r == 0)
            next[0] = first;
        next[r + 1] = first + count;
        const bool cut = count > PIECE_ROWS;
        if (cut)
            in.joins[shape.joins++] = {target + r * width, static_cast<uint32_t>(shape.partials), divide_up(count, PIECE_ROWS)};
        for (uint32_t done = 0; done < count; done += PIECE_ROWS)
            in.pieces[shape.pieces++] = {target + r * width, first + done, count - done < PIECE_ROWS ? count - done : PIECE_ROWS,
                                         cut ? static_cast<int32_t>(shape.partials++) : -1};
    }
    for (uint64_t i = 0; i < shape.tokens; i++)
        if (row_of(i) < rows)
            in.list[next[row_of(i)]++] = static_cast<int32_t>(i);
}

/* Fills the pinned input; the counts of what there is into t.shape. */
static void stage(berth_cuda_trainer &t, const berth_cuda_train_batch &batch)
{
    const berth_cuda_config &c = t.config.model;
    const TrainInput in = place_train_input(t.bound, t.pinned);
    const int32_t tile_tokens = t.kind == Kind::F32 ? train_tile_tokens<float>(t.head_size) : train_tile_tokens<bf16>(t.head_size);
    TrainShape shape;
    uint64_t pairs = 0;
    shape.tokens = batch.offsets[batch.texts];
    shape.texts = batch.texts;
    shape.masked = t.config.masked ? batch.masked : 0;
    memcpy(in.ids, batch.ids, shape.tokens * sizeof *in.ids);
    memcpy(in.types, batch.types, shape.tokens);
    for (uint64_t i = 0; i < batch.texts; i++) {
        const int32_t begin = static_cast<int32_t>(batch.offsets[i]),
                      length = static_cast<int32_t>(batch.offsets[i + 1]) - begin;
        for (int32_t p = 0; p < length; p++)
            in.positions[begin + p] = p;
        in.begin[i] = begin;
        in.first_tiles[i] = {begin, length, 0, 1, static_cast<int32_t>(i), 0, pairs};
        for (int32_t first = 0; first < length; first += tile_tokens)
            in.tiles[shape.tiles++] = {begin, length, first, length - first < tile_tokens ? length - first : tile_tokens,
                                       static_cast<int32_t>(i), 0, pairs};
        pairs += static_cast<uint64_t>(length) * divide_up(static_cast<uint64_t>(length), PAIR_STRIDE) * PAIR_STRIDE;
    }
    for (uint64_t i = 0; i < shape.masked; i++)
        in.slots[i] = static_cast<int32_t>(batch.slots[i]);
    list_rows(in, shape, 0, c.vocab, c.embedding, t.config.word, [&](uint64_t i) {
        return static_cast<uint64_t>(in.ids[i]) == t.config.pad ? SIZE_MAX : static_cast<size_t>(in.ids[i]);
    });
    list_rows(in, shape, shape.tokens, c.positions, c.embedding, t.config.position,
              [&](uint64_t i) { return static_cast<size_t>(in.positions[i]); });
    if (c.types)
        list_rows(in, shape, 2 * shape.tokens, c.types, c.embedding, t.config.type,
                  [&](uint64_t i) { return static_cast<size_t>(in.types[i]); });
    t.shape = shape;
    t.drops = batch.dropout != nullptr;
    if (t.drops)
        std::copy(batch.dropout, batch.dropout + t.dropout.size(), t.dropout.begin());
}

/* --- life ----------------------------------------------------------------------------------------- */

/* Floats of the sums that column_sums, norm_back and the tables leave on their way. */
static uint64_t partial_floats(const berth_cuda_trainer &t)
{
    const berth_cuda_config &c = t.config.model;
    const uint64_t tokens = t.bound.tokens, wide = std::max(std::max(2 * c.hidden, c.ffn), std::max(c.embedding, c.labels));
    const uint64_t warps = std::min<uint64_t>(divide_up(tokens, 2), std::max<uint64_t>(1025, divide_up(tokens, 64) + 1));
    uint64_t most = (divide_up(tokens, SUM_ROWS) + 1) * wide;
    most = std::max(most, warps * 2 * std::max(c.hidden, c.embedding));
    most = std::max(most, t.bound.partials * c.embedding);
    if (t.config.masked)
        most = std::max(most, (divide_up(t.bound.masked, SUM_ROWS) + 1) * std::max(c.vocab, wide));
    return most;
}

/* Lays the activations out: sums what they take while the block is not there yet. */
static uint64_t lay_out(berth_cuda_trainer &t)
{
    const berth_cuda_config &c = t.config.model;
    const uint64_t number = t.kind == Kind::F32 ? 4 : 2, tokens = t.bound.tokens, texts = t.bound.texts, masked = t.bound.masked;
    const uint64_t C = c.hidden, E = c.embedding, F = c.ffn;
    uint64_t need = 0;
    const auto take = [&](uint64_t count, uint64_t size) {
        unsigned char *at = t.block ? t.block + need : nullptr;
        need += aligned(count * size);
        return static_cast<void *>(at);
    };
    const auto floats = [&](uint64_t count) { return static_cast<float *>(take(count, sizeof(float))); };
    t.input = static_cast<unsigned char *>(take(place_train_input(t.bound, nullptr).bytes, 1));
    t.embedded = take(tokens * E, number);
    t.normed = take(tokens * E, number);
    t.projected = take(E == C ? 0 : tokens * C, number);
    for (uint64_t l = 0; l < c.layers; l++) {
        const bool first_only = l + 1 == c.layers && !t.config.masked;
        const uint64_t rows = first_only ? texts : tokens;
        KeptLayer &kept = t.kept[l];
        kept.gathered = take(first_only ? rows * C : 0, number);
        kept.query = take(rows * C, number);
        kept.key_value = take(tokens * 2 * C, number);
        kept.context = take(rows * C, number);
        kept.log_sums = floats(rows * c.heads);
        kept.attention_sum = take(rows * C, number);
        kept.attention_out = take(rows * C, number);
        kept.ffn_sum = take(rows * F, number);
        kept.ffn_act = take(rows * F, number);
        kept.sum = take(rows * C, number);
        kept.out = take(rows * C, number);
    }
    const uint64_t head = t.config.masked ? 0 : texts * C, wide = std::max(C, E);
    t.head_in = floats(head);
    t.pool_sum = floats(head);
    t.pool_out = floats(head);
    t.dfirst = floats(head);
    t.logits = floats(t.config.masked ? masked * c.vocab : texts * c.labels);
    t.dlogits = floats(texts * c.labels);
    t.masked_in = floats(masked * C);
    t.masked_sum = floats(masked * E);
    t.masked_act = floats(masked * E);
    t.masked_out = floats(masked * E);
    t.masked_loss = floats(masked * 2);
    t.d_out = take(tokens * wide, number);
    t.d_mid = take(tokens * wide, number);
    t.d_ffn = take(tokens * std::max(F, C), number);
    t.d_query = take(tokens * C, number);
    t.d_key_value = take(tokens * 2 * C, number);
    t.d_head = floats(std::max(head, masked * wide));
    t.d_head_in = floats(std::max(head, masked * wide));
    t.deltas = floats(tokens * c.heads);
    t.partial = floats(partial_floats(t));
    t.lt_workspace = take(Products::WORKSPACE, 1);
    return need;
}

static int check_config(const berth_cuda_train_config &config, int device, const Message &message)
{
    const berth_cuda_config &c = config.model;
    cudaDeviceProp facts;
    BERTH_CUDA_TRY(cudaGetDeviceProperties(&facts, device), "the device");
    if (facts.major < 8)
        return message.say(BERTH_CUDA_ABSENT, "%s has compute capability %d.%d; 8.0 or newer is needed", facts.name,
                           facts.major, facts.minor);
    if (c.number != BERTH_CUDA_F32 && c.number != BERTH_CUDA_BF16)
        return message.say(BERTH_CUDA_UNSUPPORTED, "the GPU trains in fp32 and bf16");
    if (c.heads == 0 || c.hidden % c.heads != 0 || c.hidden / c.heads > PLAIN_HEAD_MAX)
        return message.say(BERTH_CUDA_UNSUPPORTED, "heads of %llu numbers; the GPU's attention takes up to %d",
                           static_cast<unsigned long long>(c.heads ? c.hidden / c.heads : 0), PLAIN_HEAD_MAX);
    if (c.hidden > WIDTH_MAX || c.embedding > WIDTH_MAX || c.ffn > 65536)
        return message.say(BERTH_CUDA_UNSUPPORTED, "hidden size %llu and feed-forward size %llu; the GPU takes up to %d",
                           static_cast<unsigned long long>(c.hidden), static_cast<unsigned long long>(c.ffn), WIDTH_MAX);
    if (config.max_tokens == 0 || config.max_texts == 0 || config.max_tokens > INT32_MAX / 64)
        return message.say(BERTH_CUDA_UNSUPPORTED, "batches of %llu tokens; the GPU takes 1 to %d",
                           static_cast<unsigned long long>(config.max_tokens), INT32_MAX / 64);
    return BERTH_CUDA_OK;
}

/* The spans, cut into pieces of equal work. */
static std::vector<UpdatePiece> cut_spans(const std::vector<berth_cuda_span> &spans)
{
    std::vector<UpdatePiece> pieces;
    for (size_t s = 0; s < spans.size(); s++)
        for (uint64_t done = 0; done < spans[s].count; done += UPDATE_PIECE) {
            const uint64_t left = spans[s].count - done;
            pieces.push_back({spans[s].first + done, static_cast<uint32_t>(left < UPDATE_PIECE ? left : UPDATE_PIECE),
                              static_cast<uint32_t>(s), spans[s].frozen});
        }
    return pieces;
}

template <typename T> static int take(berth_cuda_trainer &t, uint64_t count, const char *what, T **out, const Message &message)
{
    void *at = nullptr;
    const size_t bytes = count * sizeof(T);
    BERTH_CUDA_TRY(cudaMalloc(&at, bytes ? bytes : 1), what);
    t.owned.push_back(at);
    t.bytes += bytes;
    *out = static_cast<T *>(at);
    return BERTH_CUDA_OK;
}

template <typename T> static int pin(uint64_t count, T **out, const Message &message)
{
    BERTH_CUDA_TRY(cudaMallocHost(reinterpret_cast<void **>(out), count * sizeof(T) + 1), "pinned memory");
    return BERTH_CUDA_OK;
}

static int take_memory(berth_cuda_trainer &t, const Message &message)
{
    const berth_cuda_config &c = t.config.model;
    const uint64_t total = t.config.total;
    const std::vector<UpdatePiece> pieces = cut_spans(t.spans);
    t.piece_count = pieces.size();
    for (float **array : {&t.value, &t.grad, &t.first, &t.second}) {
        BERTH_PASS(take(t, total, "weights, gradients and moments", array, message));
        BERTH_CUDA_TRY(cudaMemset(*array, 0, total * sizeof(float)), "weights");
    }
    t.rounded = t.value;
    if (t.kind == Kind::BF16) {
        bf16 *rounded = nullptr;
        BERTH_PASS(take(t, total, "rounded weights", &rounded, message));
        t.rounded = rounded;
    }
    BERTH_PASS(take(t, pieces.size(), "the optimiser", &t.pieces, message));
    BERTH_PASS(take(t, pieces.size(), "the optimiser", &t.squares, message));
    BERTH_PASS(take(t, t.spans.size(), "the optimiser", &t.steps, message));
    BERTH_PASS(take(t, 1, "the optimiser", &t.clip, message));
    BERTH_CUDA_TRY(cudaMemcpy(t.pieces, pieces.data(), pieces.size() * sizeof pieces[0], cudaMemcpyHostToDevice), "the optimiser");
    const uint64_t need = lay_out(t);
    BERTH_PASS(take(t, need, "activations; a smaller --batch-size or --max-length needs less", &t.block, message));
    lay_out(t);
    BERTH_PASS(pin(place_train_input(t.bound, nullptr).bytes, &t.pinned, message));
    BERTH_PASS(pin(t.spans.size(), &t.pinned_steps, message));
    BERTH_PASS(pin(1, &t.pinned_clip, message));
    BERTH_PASS(pin(2 * t.bound.masked, &t.pinned_loss, message));
    BERTH_PASS(pin(t.config.masked ? 0 : t.bound.texts * c.labels, &t.pinned_logits, message));
    BERTH_PASS(pin(t.config.masked ? 0 : t.bound.texts * c.hidden, &t.pinned_first, message));
    BERTH_CUDA_TRY(cudaStreamCreateWithFlags(&t.stream, cudaStreamNonBlocking), "a stream");
    BERTH_CUDA_TRY(cudaEventCreateWithFlags(&t.uploaded, cudaEventDisableTiming), "an event");
    return BERTH_CUDA_OK;
}

int open_trainer(const berth_cuda_train_config &config, int device, berth_cuda_trainer **out, const Message &message)
{
    OnDevice here(device);
    BERTH_PASS(check_config(config, device, message));
    auto trainer = std::make_unique<berth_cuda_trainer>();
    berth_cuda_trainer &t = *trainer;
    t.device = device;
    t.config = config;
    t.layers.assign(config.layer, config.layer + config.model.layers);
    t.spans.assign(config.spans, config.spans + config.span_count);
    t.config.layer = nullptr;
    t.config.spans = nullptr;
    t.kind = static_cast<Kind>(config.model.number);
    t.head_size = config.model.hidden / config.model.heads;
    t.kept.resize(config.model.layers);
    t.dropout.resize((config.model.layers + 1) * BERTH_CUDA_DROP_SITES);
    t.bound = bound_of(config, t.kind == Kind::F32 ? train_tile_tokens<float>(t.head_size) : train_tile_tokens<bf16>(t.head_size));
    BERTH_PASS(t.products.open(message));
    BERTH_PASS(take_memory(t, message));
    BERTH_CUDA_TRY(cudaStreamSynchronize(nullptr), "weights"); /* what was cleared and copied, before other streams */
    *out = trainer.release();
    return BERTH_CUDA_OK;
}

/* --- running -------------------------------------------------------------------------------------- */

int train_forward(berth_cuda_trainer &t, const berth_cuda_train_batch &batch, float *logits, float *first, const Message &message)
{
    OnDevice here(t.device);
    const berth_cuda_config &c = t.config.model;
    if (batch.texts == 0 || batch.texts > t.bound.texts || batch.offsets[batch.texts] > t.bound.tokens ||
        batch.masked > t.bound.masked)
        return message.say(BERTH_CUDA_FAULT, "a batch of %llu texts and %llu tokens; this trainer takes %llu and %llu",
                           static_cast<unsigned long long>(batch.texts),
                           static_cast<unsigned long long>(batch.texts ? batch.offsets[batch.texts] : 0),
                           static_cast<unsigned long long>(t.bound.texts), static_cast<unsigned long long>(t.bound.tokens));
    BERTH_CUDA_TRY(cudaEventSynchronize(t.uploaded), "input"); /* the batch before has left the pinned memory */
    stage(t, batch);
    BERTH_CUDA_TRY(cudaMemcpyAsync(t.input, t.pinned, place_train_input(t.bound, nullptr).bytes, cudaMemcpyHostToDevice, t.stream),
                   "input");
    BERTH_CUDA_TRY(cudaEventRecord(t.uploaded, t.stream), "input");
    BERTH_PASS(t.kind == Kind::F32 ? forward_f32(t, message) : forward_bf16(t, message));
    if (t.config.masked)
        return BERTH_CUDA_OK;
    const uint64_t numbers = batch.texts * c.labels, hidden = batch.texts * c.hidden;
    BERTH_CUDA_TRY(cudaMemcpyAsync(t.pinned_logits, t.logits, numbers * sizeof(float), cudaMemcpyDeviceToHost, t.stream), "logits");
    if (first) {
        BERTH_PASS(t.kind == Kind::F32 ? first_f32(t, message) : first_bf16(t, message));
        BERTH_CUDA_TRY(cudaMemcpyAsync(t.pinned_first, t.dfirst, hidden * sizeof(float), cudaMemcpyDeviceToHost, t.stream),
                       "hidden states");
    }
    BERTH_CUDA_TRY(cudaStreamSynchronize(t.stream), "forward");
    memcpy(logits, t.pinned_logits, numbers * sizeof(float));
    if (first)
        memcpy(first, t.pinned_first, hidden * sizeof(float));
    return BERTH_CUDA_OK;
}

int train_masked_loss(berth_cuda_trainer &t, const int32_t *words, double scale, double *loss, uint64_t *right,
                      const Message &message)
{
    OnDevice here(t.device);
    const uint64_t rows = t.shape.masked;
    const TrainInput device = place_train_input(t.bound, t.input), host = place_train_input(t.bound, t.pinned);
    double sum = 0;
    BERTH_CUDA_TRY(cudaEventSynchronize(t.uploaded), "input");
    memcpy(host.words, words, rows * sizeof *words);
    BERTH_CUDA_TRY(cudaMemcpyAsync(device.words, host.words, rows * sizeof *words, cudaMemcpyHostToDevice, t.stream), "words");
    LAUNCH(masked_loss_kernel, static_cast<unsigned>(rows), LOSS_THREADS, 0, t.stream, t.logits, device.words,
           static_cast<int>(t.config.model.vocab), static_cast<float>(scale / static_cast<double>(rows)), t.masked_loss);
    BERTH_CUDA_TRY(cudaGetLastError(), "loss");
    BERTH_CUDA_TRY(cudaMemcpyAsync(t.pinned_loss, t.masked_loss, rows * 2 * sizeof(float), cudaMemcpyDeviceToHost, t.stream),
                   "loss");
    BERTH_CUDA_TRY(cudaStreamSynchronize(t.stream), "loss");
    *right = 0;
    for (uint64_t i = 0; i < rows; i++) {
        sum += t.pinned_loss[2 * i];
        *right += t.pinned_loss[2 * i + 1] > 0;
    }
    *loss = sum / static_cast<double>(rows);
    return BERTH_CUDA_OK;
}

int train_backward(berth_cuda_trainer &t, const float *dlogits, const float *dfirst, const Message &message)
{
    OnDevice here(t.device);
    const uint64_t numbers = t.shape.texts * t.config.model.labels, hidden = t.shape.texts * t.config.model.hidden;
    if (!t.config.masked) { /* forward has waited: the pinned memory is free */
        memcpy(t.pinned_logits, dlogits, numbers * sizeof(float));
        BERTH_CUDA_TRY(cudaMemcpyAsync(t.dlogits, t.pinned_logits, numbers * sizeof(float), cudaMemcpyHostToDevice, t.stream),
                       "gradient");
    }
    if (dfirst) {
        memcpy(t.pinned_first, dfirst, hidden * sizeof(float));
        BERTH_CUDA_TRY(cudaMemcpyAsync(t.dfirst, t.pinned_first, hidden * sizeof(float), cudaMemcpyHostToDevice, t.stream),
                       "gradient");
    }
    return t.kind == Kind::F32 ? backward_f32(t, dfirst != nullptr, message) : backward_bf16(t, dfirst != nullptr, message);
}

} // namespace berth

berth_cuda_trainer::~berth_cuda_trainer()
{
    berth::OnDevice here(device);
    if (stream) {
        cudaStreamSynchronize(stream);
        cudaStreamDestroy(stream);
    }
    if (uploaded)
        cudaEventDestroy(uploaded);
    for (void *host : {static_cast<void *>(pinned), static_cast<void *>(pinned_steps), static_cast<void *>(pinned_clip),
                       static_cast<void *>(pinned_loss), static_cast<void *>(pinned_logits), static_cast<void *>(pinned_first)})
        cudaFreeHost(host);
    for (void *block : owned)
        cudaFree(block);
}
