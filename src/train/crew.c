/* crew.c: products and row-wise operations, cut into pieces for the team. */
#include "train/crew.h"

#include <string.h>

#include "base/checked.h"

enum { PIECES_PER_THREAD = 4, ROWS_LEAST = 64, ROWS_PIECE = 32 };

/* Multiply-adds below which a piece is not worth handing over, and work not worth sharing. */
#define PIECE_OPERATIONS 0x1p17
#define SHARE_OPERATIONS 0x1p18
/* What one element of a row-wise operation costs, in multiply-adds. */
#define ELEMENT_OPERATIONS 16.0

static size_t divide_up(size_t n, size_t by)
{
    return (n + by - 1) / by;
}

void berth_crew_run(const struct berth_crew *crew, size_t pieces, double operations, berth_task *task,
                    void *context)
{
    if (crew->threads > 1 && pieces > 1 && operations >= SHARE_OPERATIONS) {
        berth_team_run(crew->team, pieces, task, context);
    } else {
        for (size_t i = 0; i < pieces; i++)
            task(context, i, 0);
    }
}

float *berth_crew_scratch(const struct berth_crew *crew, size_t member)
{
    return crew->scratch + member * crew->scratch_floats;
}

/* --- products ------------------------------------------------------------------------------------- */

/* out[m,n] = left[m,k] right + bias + residual; right is w[n,k]^T, or x[k,n] where `across`; left is given
 * as [k,m] where `turned`. First both operands are prepared, then they are multiplied. */
struct product {
    const struct berth_crew *crew;
    float *out;
    const float *left, *right, *bias, *residual;
    size_t m, n, k;
    bool across, turned;
    bool bf16;
    float *sums;         /* [m] += row sums of a turned left, or NULL */
    size_t pack_pieces;  /* of the first half: packing, then turning */
    size_t panels_piece; /* panels that one piece packs */
    size_t block, group; /* rows and columns of a piece of the second half */
    size_t groups;
};

enum {
    TURN_ROWS = 64, /* rows of the left operand that one piece prepares: whole tiles */
    TURN_PANEL = BERTH_PANEL_COLUMNS,
};

/* Columns that are packed together. */
static size_t panel_columns(const struct product *p)
{
    return p->bf16 ? TURN_PANEL : p->crew->kernels->gemm_f32_nr;
}

void berth_crew_need(struct berth_crew_needs *needs, const struct berth_crew *crew, size_t m, size_t n,
                     size_t k)
{
    const struct berth_kernels *kernels = crew->kernels;
    size_t row = berth_tiled_row(2 * k);
    needs->packed = berth_max(needs->packed, berth_gemm_f32_packed(kernels, n, k));
    needs->packed = berth_max(needs->packed, berth_gemm_tiled_packed(n, 2 * k) / sizeof(float));
    needs->turned = berth_max(needs->turned, berth_max(m * k, berth_tiled_size(m, row) / sizeof(float)));
    needs->scratch = berth_max(needs->scratch, berth_max(kernels->gemm_f32_scratch(m, k), TURN_ROWS * k));
}

static void pack_f32_piece(const struct product *p, size_t first, size_t count)
{
    const struct berth_kernels *kernels = p->crew->kernels;
    if (p->across)
        kernels->pack_columns_f32(p->crew->packed, p->right + first, first, count, p->k, p->n);
    else
        kernels->pack_f32(p->crew->packed, p->right + first * p->k, first, count, p->k, p->k);
}

static void pack_bf16_piece(const struct product *p, size_t first, size_t count, float *scratch)
{
    const struct berth_kernels *kernels = p->crew->kernels;
    uint16_t *packed = (uint16_t *)(void *)p->crew->packed;
    for (size_t i = 0, some; i < count; i += some) {
        const float *rows = p->right + (first + i) * p->k;
        some = berth_min(TURN_ROWS, count - i);
        if (p->across) {
            kernels->transpose_f32(scratch, p->right + first + i, p->k, some, p->k, p->n);
            rows = scratch;
        }
        kernels->pack_bf16(packed, rows, first + i, some, p->k, p->k);
    }
}

/* Rows [first, first + count) of the left operand as the product reads them, and their sums. */
static void turn_piece(const struct product *p, size_t first, size_t count, float *scratch)
{
    const struct berth_kernels *kernels = p->crew->kernels;
    const float *rows = p->left + first * p->k;
    if (p->turned) {
        float *turned = p->bf16 ? scratch : p->crew->turned + first * p->k;
        kernels->transpose_f32(turned, p->left + first, p->k, count, p->k, p->m);
        if (p->sums)
            kernels->column_sums_f32(p->sums + first, p->left + first, p->k, count, p->m);
        rows = turned;
    }
    if (p->bf16)
        kernels->round_bf16((uint8_t *)p->crew->turned, rows, first, count, p->k, p->k);
}

static void prepare_piece(void *context, size_t piece, size_t member)
{
    const struct product *p = context;
    float *scratch = berth_crew_scratch(p->crew, member);
    if (piece < p->pack_pieces) {
        size_t columns = p->panels_piece * panel_columns(p), first = piece * columns;
        if (p->bf16)
            pack_bf16_piece(p, first, berth_min(columns, p->n - first), scratch);
        else
            pack_f32_piece(p, first, berth_min(columns, p->n - first));
    } else {
        size_t first = (piece - p->pack_pieces) * TURN_ROWS;
        turn_piece(p, first, berth_min(TURN_ROWS, p->m - first), scratch);
    }
}

static void multiply_bf16_piece(const struct product *p, size_t row, size_t column)
{
    size_t row_bytes = berth_tiled_row(2 * p->k);
    p->crew->kernels->gemm_bf16(&(struct berth_gemm_tiled){
        .out = p->out + row * p->n + column,
        .a = (const uint8_t *)p->crew->turned + berth_tiled_offset(row, 0, row_bytes),
        .weights = (const uint8_t *)p->crew->packed + berth_gemm_tiled_packed(column, 2 * p->k),
        .bias = p->bias ? p->bias + column : NULL,
        .residual = p->residual ? p->residual + row * p->n + column : NULL,
        .m = berth_min(p->block, p->m - row),
        .n = berth_min(p->group, p->n - column),
        .k = p->k,
        .out_stride = p->n,
        .residual_stride = p->n,
        .act = BERTH_K_NONE,
    });
}

static void multiply_f32_piece(const struct product *p, size_t row, size_t column, float *scratch)
{
    const float *left = p->turned ? p->crew->turned : p->left;
    p->crew->kernels->gemm_f32(&(struct berth_gemm_f32){
        .out = p->out + row * p->n + column,
        .a = left + row * p->k,
        .weights = p->crew->packed + column * p->k,
        .bias = p->bias ? p->bias + column : NULL,
        .residual = p->residual ? p->residual + row * p->n + column : NULL,
        .m = berth_min(p->block, p->m - row),
        .n = berth_min(p->group, p->n - column),
        .k = p->k,
        .out_stride = p->n,
        .a_stride = p->k,
        .residual_stride = p->n,
        .act = BERTH_K_NONE,
        .scratch = scratch,
    });
}

static void multiply_piece(void *context, size_t piece, size_t member)
{
    const struct product *p = context;
    size_t row = piece / p->groups * p->block, column = piece % p->groups * p->group;
    if (p->bf16)
        multiply_bf16_piece(p, row, column);
    else
        multiply_f32_piece(p, row, column, berth_crew_scratch(p->crew, member));
}

/* A few pieces for each thread: rows first, columns where rows are few. */
static size_t cut(struct product *p, double operations)
{
    const struct berth_kernels *kernels = p->crew->kernels;
    size_t nr = p->bf16 ? kernels->gemm_bf16_nr : kernels->gemm_f32_nr, panels = divide_up(p->n, nr);
    size_t blocks = 1, groups = 1, tile = p->bf16 ? BERTH_TILE_ROWS : 1;
    if (p->crew->threads > 1 && operations >= SHARE_OPERATIONS) {
        size_t wanted =
            berth_min(p->crew->threads * PIECES_PER_THREAD, (size_t)(operations / PIECE_OPERATIONS));
        blocks = berth_min(wanted, berth_max(p->m / ROWS_LEAST, 1));
        groups = berth_min(divide_up(wanted, blocks), panels);
    }
    p->block = divide_up(divide_up(p->m, blocks), tile) * tile;
    p->group = divide_up(panels, groups) * nr;
    p->groups = divide_up(p->n, p->group);
    return divide_up(p->m, p->block) * p->groups;
}

static void run_product(struct product *p)
{
    if (p->m == 0 || p->n == 0)
        return;
    const struct berth_crew *crew = p->crew;
    double operations = (double)p->m * (double)p->n * (double)p->k;
    p->bf16 = crew->bf16 && p->k <= BERTH_S8_K_MAX;
    size_t panels = divide_up(p->n, panel_columns(p));
    p->panels_piece = divide_up(panels, crew->threads * PIECES_PER_THREAD);
    p->pack_pieces = divide_up(panels, p->panels_piece);
    size_t turn_pieces = p->turned || p->bf16 ? divide_up(p->m, TURN_ROWS) : 0;
    double moved = (double)p->k * (double)(p->n + (turn_pieces ? p->m : 0));
    berth_crew_run(crew, p->pack_pieces + turn_pieces, 4 * moved, prepare_piece, p);
    size_t pieces = cut(p, operations);
    berth_crew_run(crew, pieces, operations, multiply_piece, p);
}

void berth_product(const struct berth_crew *crew, float *out, const float *x, const float *w, const float *b,
                   size_t m, size_t n, size_t k)
{
    run_product(&(struct product){
        .crew = crew, .out = out, .left = x, .right = w, .bias = b, .m = m, .n = n, .k = k});
}

void berth_product_back_input(const struct berth_crew *crew, float *dx, const float *dy, const float *w,
                              const float *residual, size_t m, size_t n, size_t k)
{
    run_product(&(struct product){.crew = crew,
                                  .out = dx,
                                  .left = dy,
                                  .right = w,
                                  .residual = residual,
                                  .m = m,
                                  .n = k,
                                  .k = n,
                                  .across = true});
}

void berth_product_back_weight(const struct berth_crew *crew, float *dw, float *db, const float *dy,
                               const float *x, size_t m, size_t n, size_t k)
{
    run_product(&(struct product){.crew = crew,
                                  .out = dw,
                                  .left = dy,
                                  .right = x,
                                  .residual = dw,
                                  .m = n,
                                  .n = k,
                                  .k = m,
                                  .across = true,
                                  .turned = true,
                                  .sums = db});
}

/* --- rows ----------------------------------------------------------------------------------------- */

struct rows {
    const struct berth_crew *crew;
    float *out;
    const float *x, *y, *gamma, *beta;
    float *dgamma, *dbeta;
    size_t m, n, piece;
    float eps;
    enum berth_epilogue_act act;
    const struct berth_dropout *dropout;
};

static void run_rows(struct rows *r, size_t piece, berth_task *task)
{
    r->piece = piece;
    berth_crew_run(r->crew, divide_up(r->m, piece), ELEMENT_OPERATIONS * (double)r->m * (double)r->n, task,
                   r);
}

/* The first row of a piece and how many rows it has. */
static size_t rows_of(const struct rows *r, size_t piece, size_t *first)
{
    *first = piece * r->piece;
    return berth_min(r->piece, r->m - *first);
}

static void norm_piece(void *context, size_t piece, size_t member)
{
    const struct rows *r = context;
    (void)member;
    size_t first, count = rows_of(r, piece, &first);
    r->crew->kernels->layernorm_f32(r->out + first * r->n, r->x + first * r->n, r->gamma, r->beta, count,
                                    r->n, r->n, r->n, r->eps);
}

void berth_rows_norm(const struct berth_crew *crew, float *out, const float *x, const float *gamma,
                     const float *beta, size_t m, size_t n, float eps)
{
    struct rows r = {
        .crew = crew, .out = out, .x = x, .gamma = gamma, .beta = beta, .m = m, .n = n, .eps = eps};
    run_rows(&r, ROWS_PIECE, norm_piece);
}

size_t berth_crew_partials(size_t rows)
{
    return divide_up(rows, BERTH_PARTIAL_ROWS);
}

static void norm_back_piece(void *context, size_t piece, size_t member)
{
    const struct rows *r = context;
    (void)member;
    size_t first, count = rows_of(r, piece, &first), n = r->n;
    float *partial = r->crew->partial + piece * 2 * n;
    memset(partial, 0, 2 * n * sizeof *partial);
    r->crew->kernels->layernorm_back_f32(&(struct berth_layernorm_back_f32){.dx = r->out + first * n,
                                                                            .dgamma = partial,
                                                                            .dbeta = partial + n,
                                                                            .dy = r->y + first * n,
                                                                            .x = r->x + first * n,
                                                                            .gamma = r->gamma,
                                                                            .m = count,
                                                                            .n = n,
                                                                            .eps = r->eps});
}

void berth_rows_norm_back(const struct berth_crew *crew, float *dx, float *dgamma, float *dbeta,
                          const float *dy, const float *x, const float *gamma, size_t m, size_t n, float eps)
{
    struct rows r = {.crew = crew, .out = dx, .x = x, .y = dy, .gamma = gamma, .m = m, .n = n, .eps = eps};
    run_rows(&r, BERTH_PARTIAL_ROWS, norm_back_piece);
    size_t partials = berth_crew_partials(m);
    crew->kernels->column_sums_f32(dgamma, crew->partial, partials, n, 2 * n);
    crew->kernels->column_sums_f32(dbeta, crew->partial + n, partials, n, 2 * n);
}

static void act_piece(void *context, size_t piece, size_t member)
{
    const struct rows *r = context;
    (void)member;
    size_t first, count = rows_of(r, piece, &first) * r->n;
    if (count)
        memcpy(r->out + first * r->n, r->x + first * r->n, count * sizeof *r->out);
    r->crew->kernels->act_f32(r->out + first * r->n, count, r->act);
}

void berth_rows_act(const struct berth_crew *crew, float *out, const float *x, size_t m, size_t n,
                    enum berth_epilogue_act act)
{
    struct rows r = {.crew = crew, .out = out, .x = x, .m = m, .n = n, .act = act};
    run_rows(&r, ROWS_PIECE, act_piece);
}

static void act_back_piece(void *context, size_t piece, size_t member)
{
    const struct rows *r = context;
    (void)member;
    size_t first, count = rows_of(r, piece, &first) * r->n;
    first *= r->n;
    r->crew->kernels->act_back_f32(r->out + first, r->y + first, r->x + first, count, r->act);
}

void berth_rows_act_back(const struct berth_crew *crew, float *dx, const float *dy, const float *x, size_t m,
                         size_t n, enum berth_epilogue_act act)
{
    struct rows r = {.crew = crew, .out = dx, .x = x, .y = dy, .m = m, .n = n, .act = act};
    run_rows(&r, ROWS_PIECE, act_back_piece);
}

static void dropout_piece(void *context, size_t piece, size_t member)
{
    static const struct berth_dropout none = {.scale = 1};
    const struct rows *r = context;
    (void)member;
    size_t first, count = rows_of(r, piece, &first) * r->n;
    first *= r->n;
    const float *residual = r->y ? r->y + first : NULL;
    if (r->dropout || !residual)
        r->crew->kernels->dropout_f32(r->out + first, r->x + first, residual, count, first,
                                      r->dropout ? r->dropout : &none);
    else
        r->crew->kernels->add3_f32(r->out + first, r->x + first, residual, NULL, count);
}

void berth_rows_dropout(const struct berth_crew *crew, float *out, const float *x, const float *residual,
                        size_t m, size_t n, const struct berth_dropout *dropout)
{
    if (!dropout && !residual && out == x)
        return;
    struct rows r = {.crew = crew, .out = out, .x = x, .y = residual, .m = m, .n = n, .dropout = dropout};
    run_rows(&r, ROWS_PIECE, dropout_piece);
}
