/* quantum.h: the step of a row of int8; include scalar.h, avx2.h or avx512.h first. */
#ifndef BERTH_KERNELS_SIMD_QUANTUM_H
#define BERTH_KERNELS_SIMD_QUANTUM_H

#include "kernels/kernels.h"
#include "kernels/simd/wide.h"

struct quantum {
    float scale;   /* of one step: the largest magnitude is 127 of them */
    float inverse; /* steps of one; 0 for a row too small to be told from zeros */
};

ALWAYS_INLINE struct quantum quantum_of(float largest)
{
    return (struct quantum){.scale = largest * (1.0f / 127),
                            .inverse = largest < 0x1p-100f ? 0 : 127 / largest};
}

/* Elements [i, n) of x, at most LANES of them, in steps; the rest is 0. */
ALWAYS_INLINE vi quantize_at(const float *x, size_t i, size_t n, vf inverse)
{
    return vi_round(load_at(x, i, n) * inverse);
}

#endif
