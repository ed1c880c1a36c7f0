/* scalar.h: vectors of four floats in plain C, for any machine. Same names as avx2.h and avx512.h, and the
 * same results to the bit: a kernel whose bits are promised at every level is written once and compiled for
 * each. Arithmetic operators work on a `vf` as they stand. */
#ifndef BERTH_KERNELS_SIMD_SCALAR_H
#define BERTH_KERNELS_SIMD_SCALAR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KERNEL(name) berth_k_##name##__ref
#define ALWAYS_INLINE static inline __attribute__((always_inline))

typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));

enum { LANES = 4 };

ALWAYS_INLINE vf vf_set(float x)
{
    return (vf){x, x, x, x};
}

ALWAYS_INLINE vf vf_load(const float *p)
{
    vf x;
    memcpy(&x, p, sizeof x);
    return x;
}

ALWAYS_INLINE void vf_store(float *p, vf x)
{
    memcpy(p, &x, sizeof x);
}

/* The first n < 4 elements only; the others are not touched and read as 0. */
ALWAYS_INLINE vf vf_load_part(const float *p, size_t n)
{
    vf x = vf_set(0);
    for (size_t i = 0; i < n; i++)
        x[i] = p[i];
    return x;
}

ALWAYS_INLINE void vf_store_part(float *p, vf x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = x[i];
}

/* a * b + c, rounded once */
ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return (vf){fmaf(a[0], b[0], c[0]), fmaf(a[1], b[1], c[1]), fmaf(a[2], b[2], c[2]),
                fmaf(a[3], b[3], c[3])};
}

/* The second operand where either is NaN. */
ALWAYS_INLINE vf vf_max(vf a, vf b)
{
    for (size_t i = 0; i < LANES; i++)
        b[i] = a[i] > b[i] ? a[i] : b[i];
    return b;
}

ALWAYS_INLINE vf vf_min(vf a, vf b)
{
    for (size_t i = 0; i < LANES; i++)
        b[i] = a[i] < b[i] ? a[i] : b[i];
    return b;
}

ALWAYS_INLINE vf vf_abs(vf x)
{
    return (vf)((vi)x & 0x7fffffff);
}

/* |magnitude| with the sign of `sign` */
ALWAYS_INLINE vf vf_copysign(vf magnitude, vf sign)
{
    return (vf)(((vi)magnitude & 0x7fffffff) | ((vi)sign & INT32_MIN));
}

ALWAYS_INLINE vf vf_round(vf x)
{
    return (vf){rintf(x[0]), rintf(x[1]), rintf(x[2]), rintf(x[3])};
}

/* x * 2^n, n integral and at most 254 in size: in two factors, since one reaches only from 2^-126 to 2^127.
 */
ALWAYS_INLINE vf vf_scale(vf x, vf n)
{
    const vi whole = __builtin_convertvector(n, vi), half = whole >> 1;
    return x * (vf)((half + 127) << 23) * (vf)((whole - half + 127) << 23);
}

/* The sum of WIDE = 16 elements, in one order at every level: halves are added until one is left. */
ALWAYS_INLINE float vf_sum_wide(const vf *x)
{
    const vf four = (x[0] + x[2]) + (x[1] + x[3]);
    return (four[0] + four[2]) + (four[1] + four[3]);
}

/* Undefined when a lane is NaN. */
ALWAYS_INLINE float vf_largest(vf x)
{
    const float a = x[0] > x[2] ? x[0] : x[2], b = x[1] > x[3] ? x[1] : x[3];
    return a > b ? a : b;
}

/* The larger of `most` (of no sign) and |x|; a NaN is larger than anything. */
ALWAYS_INLINE vf vf_most(vf most, vf x)
{
    const vi a = (vi)most, b = (vi)vf_abs(x), larger = a > b;
    return (vf)((a & larger) | (b & ~larger));
}

ALWAYS_INLINE vi vi_set(int32_t x)
{
    return (vi){x, x, x, x};
}

ALWAYS_INLINE int32_t vi_largest(vi x)
{
    const int32_t a = x[0] > x[2] ? x[0] : x[2], b = x[1] > x[3] ? x[1] : x[3];
    return a > b ? a : b;
}

ALWAYS_INLINE int32_t vi_sum(vi x)
{
    return x[0] + x[1] + x[2] + x[3];
}

/* To the nearest integer, ties to even; |x| below 2^22: the sum with 1.5 * 2^23 holds it in its low bits. */
ALWAYS_INLINE vi vi_round(vf x)
{
    return (vi)(x + vf_set(0x1.8p23f)) - (vi)vf_set(0x1.8p23f);
}

ALWAYS_INLINE vf vf_of_int(vi x)
{
    return __builtin_convertvector(x, vf);
}

ALWAYS_INLINE vi vi_load(const int32_t *p)
{
    vi x;
    memcpy(&x, p, sizeof x);
    return x;
}

ALWAYS_INLINE void vi_store(int32_t *p, vi x)
{
    memcpy(p, &x, sizeof x);
}

ALWAYS_INLINE vi vi_load_bytes(const uint8_t *p)
{
    return (vi){p[0], p[1], p[2], p[3]};
}

/* The low byte of every element. */
ALWAYS_INLINE void vi_store_bytes(uint8_t *p, vi x)
{
    for (size_t i = 0; i < LANES; i++)
        p[i] = (uint8_t)x[i];
}

/* The low half of every element, two bytes each. */
ALWAYS_INLINE void vi_store_halves(uint8_t *p, vi x)
{
    for (size_t i = 0; i < LANES; i++) {
        const uint16_t half = (uint16_t)x[i];
        memcpy(p + 2 * i, &half, sizeof half);
    }
}

#endif
