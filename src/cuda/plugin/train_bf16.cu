/* train_bf16.cu: training in bf16. */
#include "train_pass.cuh"

namespace berth {

int forward_bf16(berth_cuda_trainer &t, const Message &message) { return TrainPass<bf16>(t, message).forward(); }
int backward_bf16(berth_cuda_trainer &t, bool dfirst, const Message &message) { return TrainPass<bf16>(t, message).backward(dfirst); }
int first_bf16(berth_cuda_trainer &t, const Message &message) { return TrainPass<bf16>(t, message).first(); }

} // namespace berth
