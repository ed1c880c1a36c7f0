/* cuda_fp16.h, emulated: fp16 by arithmetic in double, rounded to nearest even. */
#pragma once
#include <cmath>
#include <cstdint>
struct __half {
    uint16_t bits;
};
inline float __half2float(__half x)
{
    const int sign = x.bits >> 15, exponent = x.bits >> 10 & 31, mantissa = x.bits & 1023;
    const double size = exponent == 31  ? (mantissa ? NAN : INFINITY)
                        : exponent == 0 ? std::ldexp(mantissa, -24)
                                        : std::ldexp(1024 + mantissa, exponent - 25);
    return static_cast<float>(sign ? -size : size);
}
inline __half __float2half(float x)
{
    const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
    const double size = std::fabs(static_cast<double>(x));
    if (std::isnan(x))
        return {0x7fff};
    if (size >= 65520.0)
        return {static_cast<uint16_t>(sign | 0x7c00)};
    int exponent = 0;
    std::frexp(size, &exponent);
    const int step = exponent - 11 < -24 ? -24 : exponent - 11; /* weight of the last bit */
    const double units = std::nearbyint(std::ldexp(size, -step));
    const double value = std::ldexp(units, step);
    if (value == 0)
        return {sign};
    std::frexp(value, &exponent);
    if (exponent <= -14)
        return {static_cast<uint16_t>(sign | static_cast<uint16_t>(std::ldexp(value, 24)))};
    const int mantissa = static_cast<int>(std::ldexp(value, 11 - exponent)) - 1024;
    return {static_cast<uint16_t>(sign | (exponent + 14) << 10 | mantissa)};
}
