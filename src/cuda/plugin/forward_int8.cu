/* forward_int8.cu: forward.cuh for one kind of numbers; a file of its own, because each takes the compiler its time. */
#include "forward.cuh"

int berth::forward_int8(const Pass &pass)
{
    return Forward<bf16, int8_t, int32_t>(pass).run();
}
