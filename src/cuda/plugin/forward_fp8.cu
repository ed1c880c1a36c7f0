/* forward_fp8.cu: forward.cuh for one kind of numbers; a file of its own, because each takes the compiler its time. */
#include "forward.cuh"

int berth::forward_fp8(const Pass &pass)
{
    return Forward<bf16, fp8, float>(pass).run();
}
