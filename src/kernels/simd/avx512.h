/* avx512.h: vectors of sixteen floats. Same names as avx2.h: a kernel is written once (f32_*_simd.h) and
 * compiled for each. Arithmetic operators work on a `vf` as they stand. */
#ifndef BERTH_KERNELS_SIMD_AVX512_H
#define BERTH_KERNELS_SIMD_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL(name) berth_k_##name##__avx512
#define ALWAYS_INLINE static inline __attribute__((always_inline))

typedef __m512 vf;
typedef int32_t vi __attribute__((vector_size(64)));

/* A tile of a matrix product holds 28 sums, 2 columns of weights and 1 broadcast: 31 of 32 registers. Tiles
 * of fewer than PREFETCH_ROWS rows do not ask for weights ahead (tile.h). A packed block of rows, at most
 * BLOCK_FLOATS, should stay in the second-level cache: 1 MB. */
enum { LANES = 16, TILE_ROWS = 14, PREFETCH_ROWS = 7, BLOCK_FLOATS = 256 * 1024 };
#define TILE_HEIGHTS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)

ALWAYS_INLINE vf vf_set(float x)
{
    return _mm512_set1_ps(x);
}

ALWAYS_INLINE vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

ALWAYS_INLINE void vf_store(float *p, vf x)
{
    _mm512_storeu_ps(p, x);
}

/* The first n < 16 elements only; the others are not touched and read as 0. */
ALWAYS_INLINE vf vf_load_part(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}

ALWAYS_INLINE void vf_store_part(float *p, vf x, size_t n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
}

/* a * b + c, rounded once */
ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* The second operand where either is NaN. */
ALWAYS_INLINE vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}

ALWAYS_INLINE vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}

ALWAYS_INLINE vf vf_abs(vf x)
{
    return _mm512_abs_ps(x);
}

/* |magnitude| with the sign of `sign` */
ALWAYS_INLINE vf vf_copysign(vf magnitude, vf sign)
{
    const vf bit = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(bit, magnitude), _mm512_and_ps(bit, sign));
}

ALWAYS_INLINE vf vf_sqrt(vf x)
{
    return _mm512_sqrt_ps(x);
}

ALWAYS_INLINE vf vf_round(vf x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* x * 2^n, n integral */
ALWAYS_INLINE vf vf_scale(vf x, vf n)
{
    return _mm512_scalef_ps(x, n);
}

/* The sum of WIDE = 16 elements, in one order at every level: halves are added until one is left. */
ALWAYS_INLINE float vf_sum_wide(const vf *x)
{
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x[0]), _mm512_extractf32x8_ps(x[0], 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

ALWAYS_INLINE float vf_sum(vf x)
{
    return vf_sum_wide(&x);
}

/* Undefined when a lane is NaN. */
ALWAYS_INLINE float vf_largest(vf x)
{
    return _mm512_reduce_max_ps(x);
}

ALWAYS_INLINE vf vf_of_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

ALWAYS_INLINE vf vf_of_bf16(const uint16_t *p)
{
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

/* The larger of `most` (of no sign) and |x|; a NaN is larger than anything. */
ALWAYS_INLINE vf vf_most(vf most, vf x)
{
    const __m512i size = _mm512_castps_si512(_mm512_abs_ps(x));
    return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(most), size));
}

ALWAYS_INLINE int32_t vi_largest(vi x)
{
    return _mm512_reduce_max_epi32((__m512i)x);
}

ALWAYS_INLINE int32_t vi_sum(vi x)
{
    return _mm512_reduce_add_epi32((__m512i)x);
}

/* To the nearest integer, ties to even; |x| below 2^22. */
ALWAYS_INLINE vi vi_round(vf x)
{
    return (vi)_mm512_cvtps_epi32(x);
}

ALWAYS_INLINE vf vf_of_int(vi x)
{
    return _mm512_cvtepi32_ps((__m512i)x);
}

ALWAYS_INLINE vi vi_set(int32_t x)
{
    return (vi)_mm512_set1_epi32(x);
}

ALWAYS_INLINE vi vi_load(const int32_t *p)
{
    return (vi)_mm512_loadu_si512(p);
}

ALWAYS_INLINE void vi_store(int32_t *p, vi x)
{
    _mm512_storeu_si512(p, (__m512i)x);
}

ALWAYS_INLINE vi vi_load_bytes(const uint8_t *p)
{
    return (vi)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}

/* The low byte of every element. */
ALWAYS_INLINE void vi_store_bytes(uint8_t *p, vi x)
{
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)x));
}

/* The low half of every element, two bytes each. */
ALWAYS_INLINE void vi_store_halves(uint8_t *p, vi x)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16((__m512i)x));
}

#endif
