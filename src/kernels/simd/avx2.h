/* avx2.h: vectors of eight floats, with FMA. Same names as avx512.h: a kernel is written once (f32_*_simd.h)
 * and compiled for each. Arithmetic operators work on a `vf` as they stand. */
#ifndef BERTH_KERNELS_SIMD_AVX2_H
#define BERTH_KERNELS_SIMD_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL(name) berth_k_##name##__avx2
#define ALWAYS_INLINE static inline __attribute__((always_inline))

typedef __m256 vf;
typedef int32_t vi __attribute__((vector_size(32)));

/* A tile of a matrix product holds 12 sums, 2 columns of weights and 1 broadcast: 15 of 16 registers. Tiles
 * of fewer than PREFETCH_ROWS rows do not ask for weights ahead (tile.h). A packed block of rows, at most
 * BLOCK_FLOATS, should stay in the second-level cache: 512 KB. */
enum { LANES = 8, TILE_ROWS = 6, PREFETCH_ROWS = 3, BLOCK_FLOATS = 128 * 1024 };
#define TILE_HEIGHTS(X) X(1) X(2) X(3) X(4) X(5) X(6)

ALWAYS_INLINE vf vf_set(float x)
{
    return _mm256_set1_ps(x);
}

ALWAYS_INLINE vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

ALWAYS_INLINE void vf_store(float *p, vf x)
{
    _mm256_storeu_ps(p, x);
}

ALWAYS_INLINE __m256i vf_part(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* The first n < 8 elements only; the others are not touched and read as 0. */
ALWAYS_INLINE vf vf_load_part(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, vf_part(n));
}

ALWAYS_INLINE void vf_store_part(float *p, vf x, size_t n)
{
    _mm256_maskstore_ps(p, vf_part(n), x);
}

/* a * b + c, rounded once */
ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* The second operand where either is NaN. */
ALWAYS_INLINE vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}

ALWAYS_INLINE vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}

ALWAYS_INLINE vf vf_abs(vf x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

/* |magnitude| with the sign of `sign` */
ALWAYS_INLINE vf vf_copysign(vf magnitude, vf sign)
{
    const vf bit = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(bit, magnitude), _mm256_and_ps(bit, sign));
}

ALWAYS_INLINE vf vf_sqrt(vf x)
{
    return _mm256_sqrt_ps(x);
}

ALWAYS_INLINE vf vf_round(vf x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* x * 2^n, n integral and at most 254 in size: in two factors, since one reaches only from 2^-126 to 2^127.
 */
ALWAYS_INLINE vf vf_scale(vf x, vf n)
{
    const __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    const __m256i rest = _mm256_sub_epi32(whole, half), bias = _mm256_set1_epi32(127);
    const vf first = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    const vf second = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return x * first * second;
}

/* The sum of WIDE = 16 elements, in one order at every level: halves are added until one is left. */
ALWAYS_INLINE float vf_sum_wide(const vf *x)
{
    const __m256 eight = _mm256_add_ps(x[0], x[1]);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

ALWAYS_INLINE float vf_sum(vf x)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

/* Undefined when a lane is NaN. */
ALWAYS_INLINE float vf_largest(vf x)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

ALWAYS_INLINE vf vf_of_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

ALWAYS_INLINE vf vf_of_bf16(const uint16_t *p)
{
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

/* The larger of `most` (of no sign) and |x|; a NaN is larger than anything. */
ALWAYS_INLINE vf vf_most(vf most, vf x)
{
    return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(most), _mm256_castps_si256(vf_abs(x))));
}

ALWAYS_INLINE int32_t vi_largest(vi x)
{
    __m128i four = _mm_max_epi32(_mm256_castsi256_si128((__m256i)x), _mm256_extracti128_si256((__m256i)x, 1));
    four = _mm_max_epi32(four, _mm_shuffle_epi32(four, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm_cvtsi128_si32(_mm_max_epi32(four, _mm_shuffle_epi32(four, _MM_SHUFFLE(2, 3, 0, 1))));
}

ALWAYS_INLINE int32_t vi_sum(vi x)
{
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128((__m256i)x), _mm256_extracti128_si256((__m256i)x, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, _MM_SHUFFLE(2, 3, 0, 1))));
}

/* To the nearest integer, ties to even; |x| below 2^22. */
ALWAYS_INLINE vi vi_round(vf x)
{
    return (vi)_mm256_cvtps_epi32(x);
}

ALWAYS_INLINE vf vf_of_int(vi x)
{
    return _mm256_cvtepi32_ps((__m256i)x);
}

ALWAYS_INLINE vi vi_set(int32_t x)
{
    return (vi)_mm256_set1_epi32(x);
}

ALWAYS_INLINE vi vi_load(const int32_t *p)
{
    return (vi)_mm256_loadu_si256((const __m256i *)p);
}

ALWAYS_INLINE void vi_store(int32_t *p, vi x)
{
    _mm256_storeu_si256((__m256i *)p, (__m256i)x);
}

ALWAYS_INLINE vi vi_load_bytes(const uint8_t *p)
{
    return (vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}

/* The low byte of every element. */
ALWAYS_INLINE void vi_store_bytes(uint8_t *p, vi x)
{
    const __m256i low = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8,
                                         12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m256i bytes = _mm256_shuffle_epi8((__m256i)x, low);
    const __m128i all = _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
    _mm_storel_epi64((__m128i *)p, all);
}

/* The low half of every element, two bytes each. */
ALWAYS_INLINE void vi_store_halves(uint8_t *p, vi x)
{
    const __m256i low = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 4, 5,
                                         8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m256i halves =
        _mm256_permute4x64_epi64(_mm256_shuffle_epi8((__m256i)x, low), _MM_SHUFFLE(3, 3, 2, 0));
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(halves));
}

#endif
