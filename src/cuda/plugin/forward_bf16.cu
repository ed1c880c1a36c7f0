/* forward_bf16.cu: forward.cuh for one kind of numbers; a file of its own, because each takes the compiler its time. */
#include "forward.cuh"

int berth::forward_bf16(const Pass &pass)
{
    return Forward<bf16, bf16, bf16>(pass).run();
}
