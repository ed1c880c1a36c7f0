/* forward_f16.cu: forward.cuh for one kind of numbers; a file of its own, because each takes the compiler its time. */
#include "forward.cuh"

int berth::forward_f16(const Pass &pass)
{
    return Forward<half, half, half>(pass).run();
}
