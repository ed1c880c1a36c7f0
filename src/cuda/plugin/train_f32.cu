/* train_f32.cu: training in f32. */
#include "train_pass.cuh"

namespace berth {

int forward_f32(berth_cuda_trainer &t, const Message &message) { return TrainPass<float>(t, message).forward(); }
int backward_f32(berth_cuda_trainer &t, bool dfirst, const Message &message) { return TrainPass<float>(t, message).backward(dfirst); }
int first_f32(berth_cuda_trainer &t, const Message &message) { return TrainPass<float>(t, message).first(); }

} // namespace berth
