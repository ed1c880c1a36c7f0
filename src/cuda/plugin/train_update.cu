/* train_update.cu: the gradients' norm, and AdamW on the flat arrays: pieces of spans, a block each. */
#include "train.cuh"

namespace berth {

/* The sum of 256 threads' numbers, in one order; thread 0's is right. */
__device__ inline double block_sum(double mine)
{
    __shared__ double sums[UPDATE_THREADS];
    const int t = threadIdx.x;
    sums[t] = mine;
    for (int step = UPDATE_THREADS / 2; step; step /= 2) {
        __syncthreads();
        if (t < step)
            sums[t] += sums[t + step];
    }
    return sums[0];
}

[[maybe_unused]] static __global__ void squares_kernel(const UpdatePiece *pieces, const float *grad, double *squares)
{
    const UpdatePiece piece = pieces[blockIdx.x];
    double sum = 0;
    for (uint32_t i = threadIdx.x; !piece.frozen && i < piece.count; i += UPDATE_THREADS) {
        const double g = grad[piece.first + i];
        sum += g * g;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        squares[blockIdx.x] = sum;
}

[[maybe_unused]] static __global__ void clip_kernel(const double *squares, uint64_t count, double most, Clip *clip)
{
    double sum = 0;
    for (uint64_t i = threadIdx.x; i < count; i += UPDATE_THREADS)
        sum += squares[i];
    sum = block_sum(sum);
    if (threadIdx.x > 0)
        return;
    const double norm = sqrt(sum), factor = most > 0 ? most / (norm + 1e-6) : 1;
    clip->norm = norm;
    clip->finite = norm <= 1.7976931348623157e308;
    clip->factor = static_cast<float>(factor < 1 ? factor : 1);
}

/* rounded (bf16, NULL: none) follows value. */
[[maybe_unused]] static __global__ void update_kernel(const UpdatePiece *pieces, const berth_cuda_adamw *steps, const Clip *clip, float *value,
                                     float *grad, float *first, float *second, bf16 *rounded)
{
    const UpdatePiece piece = pieces[blockIdx.x];
    const berth_cuda_adamw step = steps[piece.span];
    const float factor = clip->factor;
    if (!clip->finite)
        return;
    for (uint32_t i = threadIdx.x; i < piece.count; i += UPDATE_THREADS) {
        const uint64_t at = piece.first + i;
        if (!piece.frozen) {
            const float slope = grad[at] * factor;
            const float m = step.beta1 * first[at] + step.rest1 * slope;
            const float v = step.beta2 * second[at] + step.rest2 * slope * slope;
            const float p = value[at] * step.decay - step.rate * m / (sqrtf(v) * step.unbias + step.eps);
            first[at] = m;
            second[at] = v;
            value[at] = p;
            if (rounded)
                rounded[at] = narrow<bf16>(p);
        }
        grad[at] = 0.0f;
    }
}

int train_update(berth_cuda_trainer &t, const berth_cuda_adamw *steps, double max_norm, double *norm, const Message &message)
{
    OnDevice here(t.device);
    const unsigned pieces = static_cast<unsigned>(t.piece_count);
    const size_t bytes = t.spans.size() * sizeof *steps;
    bf16 *rounded = t.kind == Kind::BF16 ? static_cast<bf16 *>(t.rounded) : nullptr;
    memcpy(t.pinned_steps, steps, bytes); /* free since the last update, which waited */
    BERTH_CUDA_TRY(cudaMemcpyAsync(t.steps, t.pinned_steps, bytes, cudaMemcpyHostToDevice, t.stream), "update");
    LAUNCH(squares_kernel, pieces, UPDATE_THREADS, 0, t.stream, t.pieces, t.grad, t.squares);
    LAUNCH(clip_kernel, 1, UPDATE_THREADS, 0, t.stream, t.squares, t.piece_count, max_norm, t.clip);
    BERTH_CUDA_TRY(cudaGetLastError(), "norm");
    BERTH_CUDA_TRY(cudaMemcpyAsync(t.pinned_clip, t.clip, sizeof *t.clip, cudaMemcpyDeviceToHost, t.stream), "norm");
    LAUNCH(update_kernel, pieces, UPDATE_THREADS, 0, t.stream, t.pieces, t.steps, t.clip, t.value, t.grad, t.first, t.second,
           rounded);
    BERTH_CUDA_TRY(cudaGetLastError(), "update");
    BERTH_CUDA_TRY(cudaStreamSynchronize(t.stream), "update");
    *norm = t.pinned_clip->norm;
    return BERTH_CUDA_OK;
}

[[maybe_unused]] static __global__ void round_kernel(const float *value, uint64_t count, bf16 *rounded)
{
    const uint64_t i = static_cast<uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < count)
        rounded[i] = narrow<bf16>(value[i]);
}

static float *array_of(const berth_cuda_trainer &t, int array)
{
    switch (array) {
    case BERTH_CUDA_VALUES: return t.value;
    case BERTH_CUDA_GRADIENTS: return t.grad;
    case BERTH_CUDA_FIRST_MOMENTS: return t.first;
    default: return t.second;
    }
}

int read_array(berth_cuda_trainer &t, int array, float *numbers, const Message &message)
{
    OnDevice here(t.device);
    BERTH_CUDA_TRY(cudaStreamSynchronize(t.stream), "weights");
    BERTH_CUDA_TRY(cudaMemcpy(numbers, array_of(t, array), t.config.total * sizeof *numbers, cudaMemcpyDeviceToHost), "weights");
    return BERTH_CUDA_OK;
}

int write_array(berth_cuda_trainer &t, int array, const float *numbers, const Message &message)
{
    OnDevice here(t.device);
    BERTH_CUDA_TRY(cudaStreamSynchronize(t.stream), "weights");
    BERTH_CUDA_TRY(cudaMemcpy(array_of(t, array), numbers, t.config.total * sizeof *numbers, cudaMemcpyHostToDevice), "weights");
    BERTH_CUDA_TRY(cudaStreamSynchronize(nullptr), "weights"); /* a copy from plain memory may return before it is there */
    if (array != BERTH_CUDA_VALUES || t.kind != Kind::BF16)
        return BERTH_CUDA_OK;
    LAUNCH(round_kernel, divide_up(t.config.total, 256), 256, 0, t.stream, t.value, t.config.total, static_cast<bf16 *>(t.rounded));
    BERTH_CUDA_TRY(cudaGetLastError(), "weights");
    return BERTH_CUDA_OK;
}

} // namespace berth
