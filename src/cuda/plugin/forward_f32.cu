/* forward_f32.cu: forward.cuh for one kind of numbers; a file of its own, because each takes the compiler its time. */
#include "forward.cuh"

int berth::forward_f32(const Pass &pass)
{
    return Forward<float, float, float>(pass).run();
}
