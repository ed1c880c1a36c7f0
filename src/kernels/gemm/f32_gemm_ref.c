/* f32_gemm_ref.c: the matrix product in plain C: the portable level, and what the other levels are checked
 * against. */
#include <string.h>

#include "base/checked.h"
#include "kernels/list.h"

enum { ROWS = 4, COLUMNS = 16 };

void berth_k_f32_pack__ref(float *packed, const float *w, size_t n0, size_t count, size_t k, size_t w_stride)
{
    for (size_t first = 0; first < count; first += COLUMNS) {
        float *panel = packed + (n0 + first) * k;
        const size_t filled = berth_min(COLUMNS, count - first);
        if (filled < COLUMNS)
            memset(panel, 0, k * COLUMNS * sizeof *panel);
        for (size_t j = 0; j < filled; j++) {
            for (size_t i = 0; i < k; i++)
                panel[i * COLUMNS + j] = w[(first + j) * w_stride + i];
        }
    }
}

size_t berth_k_f32_gemm_scratch__ref(size_t m, size_t k)
{
    (void)m, (void)k;
    return 0;
}

/* Always four rows, so that the sums stay in registers; callers with fewer repeat one. */
static void multiply_tile(float sums[ROWS][COLUMNS], const float *const row[ROWS], const float *panel,
                          size_t k)
{
    float s[ROWS][COLUMNS] = {{0}};
    for (size_t i = 0; i < k; i++) {
        for (size_t r = 0; r < ROWS; r++) {
            for (size_t j = 0; j < COLUMNS; j++)
                s[r][j] += row[r][i] * panel[i * COLUMNS + j];
        }
    }
    memcpy(sums, s, sizeof s);
}

void berth_k_f32_gemm__ref(const struct berth_gemm_f32 *g)
{
    for (size_t j0 = 0; j0 < g->n; j0 += COLUMNS) {
        const float *panel = g->weights + j0 * g->k;
        const size_t columns = berth_min(COLUMNS, g->n - j0);
        for (size_t i0 = 0; i0 < g->m; i0 += ROWS) {
            const size_t rows = berth_min(ROWS, g->m - i0);
            const float *row[ROWS];
            for (size_t r = 0; r < ROWS; r++)
                row[r] = g->a + (i0 + berth_min(r, rows - 1)) * g->a_stride;
            float sums[ROWS][COLUMNS];
            multiply_tile(sums, row, panel, g->k);
            for (size_t r = 0; r < rows; r++) {
                float *out = g->out + (i0 + r) * g->out_stride + j0;
                for (size_t j = 0; g->bias && j < columns; j++)
                    sums[r][j] += g->bias[j0 + j];
                berth_k_f32_act__ref(sums[r], columns, g->act);
                for (size_t j = 0; j < columns; j++) {
                    out[j] =
                        sums[r][j] + (g->residual ? g->residual[(i0 + r) * g->residual_stride + j0 + j] : 0);
                }
            }
        }
    }
}
