/* model.cuh: a model's weights on one device, in the numbers that its products multiply; immutable once it is open. */
#pragma once

#include <memory>
#include <vector>

#include "product.cuh"

namespace berth {

struct LayerWeights {
    Weight qkv, query, key_value; /* [3C, C], and the first and last rows of it */
    Weight out, ffn_in, ffn_out;
    const float *out_gamma, *out_beta, *ffn_gamma, *ffn_beta;
};

} // namespace berth

struct berth_cuda_model {
    berth_cuda_config config;
    int device = 0;
    berth::Kind kind;             /* of the layers' products */
    uint64_t head_size = 0, bytes = 0;
    std::vector<void *> owned;
    const void *word = nullptr;   /* [V, E] in the activations' number */
    const float *position = nullptr, *type = nullptr, *embed_gamma = nullptr, *embed_beta = nullptr;
    bool has_project = false;
    berth::Weight project;
    std::vector<berth::LayerWeights> layers;
    berth::Weight pooler, classifier; /* fp32, whatever the kind */
    berth::Products products;
    ~berth_cuda_model();
};

namespace berth {

inline bool is_quantised(Kind kind) { return kind == Kind::INT8 || kind == Kind::FP8; }

int open_model(const berth_cuda_config &config, int device, berth_cuda_read *read, void *context,
               berth_cuda_model **model, const Message &message);

/* Makes `device` the calling thread's for as long as it lives. */
class OnDevice {
  public:
    OnDevice(int device) { cudaGetDevice(&before_); cudaSetDevice(device); }
    ~OnDevice() { cudaSetDevice(before_); }

  private:
    int before_ = 0;
};

} // namespace berth
