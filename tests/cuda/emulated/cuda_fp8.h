/* cuda_fp8.h, emulated: e4m3, rounded to nearest even, saturating at 448. */
#pragma once
#include <cmath>
#include <cstdint>
struct __nv_fp8_e4m3 {
    uint8_t bits = 0;
    __nv_fp8_e4m3() = default;
    explicit __nv_fp8_e4m3(float x)
    {
        const uint8_t sign = std::signbit(x) ? 0x80 : 0;
        double size = std::fabs(static_cast<double>(x));
        if (std::isnan(x)) {
            bits = 0x7f;
            return;
        }
        int exponent = 0;
        std::frexp(size, &exponent);
        const int step = exponent - 4 < -9 ? -9 : exponent - 4;
        size = std::ldexp(std::nearbyint(std::ldexp(size, -step)), step);
        if (size > 448.0)
            size = 448.0;
        std::frexp(size, &exponent);
        bits = size == 0 ? sign
               : exponent <= -6
                   ? static_cast<uint8_t>(sign | static_cast<uint8_t>(std::ldexp(size, 9)))
                   : static_cast<uint8_t>(sign | (exponent + 6) << 3 | (static_cast<int>(std::ldexp(size, 4 - exponent)) - 8));
    }
    explicit operator float() const
    {
        const int exponent = bits >> 3 & 15, mantissa = bits & 7;
        const double size = (bits & 0x7f) == 0x7f ? NAN
                            : exponent == 0       ? std::ldexp(mantissa, -9)
                                                  : std::ldexp(8 + mantissa, exponent - 10);
        return static_cast<float>(bits & 0x80 ? -size : size);
    }
};
