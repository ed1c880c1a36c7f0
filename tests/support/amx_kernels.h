/* amx_kernels.h: the AMX kernels over emulated tiles (amx_emulated.h): their sources in src/kernels compiled
 * a second time, and once more with the float part of the scalar level, for any machine. */
#ifndef BERTH_TESTS_AMX_KERNELS_H
#define BERTH_TESTS_AMX_KERNELS_H

#include <stdbool.h>

#include "kernels/kernels.h"

#define AMX_KERNELS_DECLARE(suffix)                                        \
    void berth_k_s8_gemm__##suffix(const struct berth_gemm_tiled *args);   \
    void berth_k_bf16_gemm__##suffix(const struct berth_gemm_tiled *args); \
    size_t berth_k_s8_attention_scratch__##suffix(size_t t, size_t d);     \
    void berth_k_s8_attention__##suffix(const struct berth_attention_f32 *args);

AMX_KERNELS_DECLARE(emulated)    /* floats four at a time, in plain C */
AMX_KERNELS_DECLARE(emulated512) /* as in the library: needs AVX-512, VNNI and BF16 */

/* The scalar level with these kernels in it, without and with AVX-512 (NULL where that is not compiled). Not
 * for several threads. */
const struct berth_kernels *amx_emulated_table(bool avx512);

/* From here on the process runs AMX instructions by emulation, where it ran into SIGILL before. False when
 * that cannot be had. Only for machines without AMX. */
bool amx_trap(void);

/* While set, the last byte of every tile that is loaded is wrong: what a test must notice. */
extern bool amx_emulated_fault;

#endif
