/* crew.h: who does the arithmetic of training: kernels, a team of threads and their scratch; and the
 * operations over many rows that the team shares. How work is cut depends on sizes alone and never changes a
 * result: the same bits come out for any number of threads.
 *
 * Matrices are contiguous, row-major. Letters as in kernels.h: M rows, N output and K input columns. */
#ifndef BERTH_TRAIN_CREW_H
#define BERTH_TRAIN_CREW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/threads.h"
#include "kernels/kernels.h"

struct berth_crew {
    const struct berth_kernels *kernels;
    struct berth_team *team;
    size_t threads;
    bool bf16;      /* operands of products are rounded to bf16; sums, and everything else, are fp32 */
    float *packed;  /* the right operand of the product at work */
    float *turned;  /* the left one, transposed; in bf16 as a tiled matrix, transposed or not */
    float *partial; /* sums over pieces of rows: berth_crew_partials(rows) * 2 * widest row */
    float *scratch; /* scratch_floats for each member */
    size_t scratch_floats;
};

/* Rows over which one partial sum runs, and how many sums there are for `rows` of them. */
enum { BERTH_PARTIAL_ROWS = 64 };
size_t berth_crew_partials(size_t rows);

/* Runs pieces on the team, or on the caller alone when they are too little work (multiply-adds) to share. */
void berth_crew_run(const struct berth_crew *crew, size_t pieces, double operations, berth_task *task,
                    void *context);
float *berth_crew_scratch(const struct berth_crew *crew, size_t member);

/* Floats that packed and turned must hold for products of at most these sizes, and a member's scratch. */
struct berth_crew_needs {
    size_t packed, turned, scratch;
};
void berth_crew_need(struct berth_crew_needs *needs, const struct berth_crew *crew, size_t m, size_t n,
                     size_t k);

/* out[M,N] = x[M,K] w[N,K]^T + b[N] */
void berth_product(const struct berth_crew *crew, float *out, const float *x, const float *w, const float *b,
                   size_t m, size_t n, size_t k);
/* dx[M,K] = dy[M,N] w[N,K] + (residual ? residual[M,K] : 0); residual may be dx */
void berth_product_back_input(const struct berth_crew *crew, float *dx, const float *dy, const float *w,
                              const float *residual, size_t m, size_t n, size_t k);
/* dw[N,K] += dy[M,N]^T x[M,K], db[N] += column sums of dy */
void berth_product_back_weight(const struct berth_crew *crew, float *dw, float *db, const float *dy,
                               const float *x, size_t m, size_t n, size_t k);

/* Each over m rows of n. */
void berth_rows_norm(const struct berth_crew *crew, float *out, const float *x, const float *gamma,
                     const float *beta, size_t m, size_t n, float eps);
/* dx may be dy; dgamma and dbeta are added to. */
void berth_rows_norm_back(const struct berth_crew *crew, float *dx, float *dgamma, float *dbeta,
                          const float *dy, const float *x, const float *gamma, size_t m, size_t n, float eps);
/* out = act(x) */
void berth_rows_act(const struct berth_crew *crew, float *out, const float *x, size_t m, size_t n,
                    enum berth_epilogue_act act);
void berth_rows_act_back(const struct berth_crew *crew, float *dx, const float *dy, const float *x, size_t m,
                         size_t n, enum berth_epilogue_act act);
/* out = dropped x + residual (NULL: none); dropout NULL: nothing is dropped. out may be x or residual. */
void berth_rows_dropout(const struct berth_crew *crew, float *out, const float *x, const float *residual,
                        size_t m, size_t n, const struct berth_dropout *dropout);

#endif
