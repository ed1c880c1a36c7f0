/* cuda_bf16.h, emulated: bf16 by the bits, rounded to nearest even. */
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
struct __nv_bfloat16 {
    uint16_t bits;
};
inline float __bfloat162float(__nv_bfloat16 x)
{
    const uint32_t wide = static_cast<uint32_t>(x.bits) << 16;
    float out;
    memcpy(&out, &wide, sizeof out);
    return out;
}
inline __nv_bfloat16 __float2bfloat16(float x)
{
    uint32_t wide;
    memcpy(&wide, &x, sizeof wide);
    if (std::isnan(x))
        return {0x7fff};
    return {static_cast<uint16_t>((wide + 0x7fffu + (wide >> 16 & 1)) >> 16)};
}
