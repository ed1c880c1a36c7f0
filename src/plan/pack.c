/* pack.c: packing in tiles of a few rows that fit the cache, shared by the team: a number is read once,
 * looked at while it is there, and written once. */
#include "plan/pack.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"

enum { TILE_FLOATS = 64 * 1024 }; /* 256 KiB: a quarter of a usual L2 */

/* Where the numbers of a weight go; with none of these they are only checked. */
struct pack_job {
    const struct berth_packer *packer;
    const struct berth_tensor *weight;
    const struct berth_matrix *matrix; /* packed for a product */
    float *copy;                       /* as they are */
    uint8_t *tiled;                    /* int8 rows with their scales, bf16 rows without */
    float *scale;
    size_t n, k, rows; /* rows of a piece */
    atomic_bool broken;
};

/* The weight's own steps go into the plan as they are. */
static bool moves_steps(const struct pack_job *job)
{
    return job->weight->scales && (job->scale || (job->matrix && job->matrix->number == BERTH_NUMBER_S8));
}

/* Rows [n0, n0 + count) of it; false when a step is none. */
static bool move_steps(const struct pack_job *job, size_t n0, size_t count)
{
    const int8_t *steps = (const int8_t *)job->weight->data + n0 * job->k;
    const char *scales = (const char *)job->weight->scales + n0 * sizeof(float);
    const struct berth_matrix *matrix = job->matrix;
    if (matrix)
        return berth_s8_pack_steps(matrix->data, matrix->scale, matrix->offset, steps, scales, n0, count, job->k);
    memcpy(job->scale + n0, scales, count * sizeof(float));
    return berth_s8_tile_steps(job->tiled, steps, n0, count, job->k);
}

enum berth_status berth_packer_init(struct berth_packer *packer, const struct berth_encoder *encoder,
                                    const struct berth_kernels *kernels, struct berth_team *team,
                                    size_t columns, struct berth_error *err)
{
    size_t floats;
    *packer = (struct berth_packer){.encoder = encoder, .kernels = kernels, .team = team};
    if (!berth_mul(columns, berth_max(kernels->gemm_f32_nr, BERTH_PANEL_COLUMNS), &packer->tile_floats))
        return berth_fail(err, BERTH_LIMIT, "a weight of %zu columns is too wide", columns);
    packer->tile_floats = berth_round_up(berth_max(packer->tile_floats, TILE_FLOATS), BERTH_ALIGNMENT);
    if (!berth_mul(packer->tile_floats, team ? berth_team_size(team) : 1, &floats) || floats > SIZE_MAX / 16)
        return berth_fail(err, BERTH_LIMIT, "a weight of %zu columns is too wide", columns);
    packer->tiles = berth_aligned(floats * sizeof(float));
    return packer->tiles ? BERTH_OK : berth_fail_memory(err, "packing tiles", floats * sizeof(float));
}

void berth_packer_clear(struct berth_packer *packer)
{
    berth_free(packer->tiles);
    *packer = (struct berth_packer){0};
}

/* Numbers [first, first + count) of the weight: where they are stored when that can be used as it is, else in
 * `tile`. */
static const float *read_tile(const struct pack_job *job, size_t first, size_t count, float *tile)
{
    const struct berth_tensor *weight = job->weight;
    const struct berth_kernels *kernels = job->packer->kernels;
    uintptr_t address = (uintptr_t)weight->data;
    if (weight->data && weight->dtype == BERTH_DTYPE_F32 && address % sizeof(float) == 0)
        return (const float *)weight->data + first;
    if (weight->data && weight->dtype == BERTH_DTYPE_F16 && address % sizeof(uint16_t) == 0)
        kernels->widen_f16(tile, (const uint16_t *)weight->data + first, count);
    else if (weight->data && weight->dtype == BERTH_DTYPE_BF16 && address % sizeof(uint16_t) == 0)
        kernels->widen_bf16(tile, (const uint16_t *)weight->data + first, count);
    else
        berth_encoder_read(job->packer->encoder, weight, first, count, tile);
    return tile;
}

static void pack_columns(const struct berth_kernels *kernels, const struct berth_matrix *matrix,
                         const float *rows, size_t n0, size_t count)
{
    const size_t k = matrix->k;
    if (matrix->number == BERTH_NUMBER_S8)
        kernels->pack_s8(matrix->data, matrix->scale, matrix->offset, rows, n0, count, k, k);
    else if (matrix->number == BERTH_NUMBER_BF16)
        kernels->pack_bf16(matrix->data, rows, n0, count, k, k);
    else
        kernels->pack_f32(matrix->data, rows, n0, count, k, k);
}

static void pack_piece(void *context, size_t piece, size_t member)
{
    struct pack_job *job = context;
    const struct berth_packer *packer = job->packer;
    const struct berth_kernels *kernels = packer->kernels;
    size_t n0 = piece * job->rows, count = berth_min(job->rows, job->n - n0);
    float *tile = packer->tiles + member * packer->tile_floats;
    if (moves_steps(job)) {
        if (!move_steps(job, n0, count))
            atomic_store_explicit(&job->broken, true, memory_order_relaxed);
        return;
    }
    if (job->copy)
        tile = job->copy + n0 * job->k;
    const float *rows = read_tile(job, n0 * job->k, count * job->k, tile);
    if (!kernels->all_finite_f32(rows, count * job->k))
        atomic_store_explicit(&job->broken, true, memory_order_relaxed);
    if (job->matrix)
        pack_columns(kernels, job->matrix, rows, n0, count);
    else if (job->scale)
        kernels->quantize_s8(job->tiled, job->scale + n0, rows, n0, count, job->k, job->k);
    else if (job->tiled)
        kernels->round_bf16(job->tiled, rows, n0, count, job->k, job->k);
    else if (job->copy && rows != tile)
        memcpy(tile, rows, count * job->k * sizeof(float));
}

static enum berth_status run_job(struct pack_job *job, struct berth_error *err)
{
    const struct berth_packer *packer = job->packer;
    size_t pieces = (job->n + job->rows - 1) / job->rows;
    if (packer->team)
        berth_team_run(packer->team, pieces, pack_piece, job);
    else
        for (size_t i = 0; i < pieces; i++)
            pack_piece(job, i, 0);
    berth_encoder_forget(packer->encoder, job->weight);
    if (atomic_load_explicit(&job->broken, memory_order_relaxed)) {
        char where[512];
        berth_encoder_locate(packer->encoder, job->weight, where, sizeof where);
        return moves_steps(job)
                   ? berth_fail(err, BERTH_FORMAT, "%s holds the step -128; int8 weights go from -127 to 127", where)
                   : berth_fail(err, BERTH_FORMAT, "%s holds a value that is not finite (NaN or infinity)", where);
    }
    return BERTH_OK;
}

/* Whole panels, as many as a tile holds. */
static size_t piece_rows(const struct berth_packer *packer, size_t k, size_t step)
{
    return berth_max(packer->tile_floats / k / step, 1) * step;
}

enum berth_status berth_pack_matrix(struct berth_packer *packer, const struct berth_tensor *weight,
                                    const struct berth_matrix *matrix, struct berth_error *err)
{
    struct pack_job job = {
        .packer = packer, .weight = weight, .matrix = matrix, .n = weight->shape[0], .k = weight->shape[1]};
    size_t step = matrix->number == BERTH_NUMBER_F32 ? packer->kernels->gemm_f32_nr : BERTH_PANEL_COLUMNS;
    if (matrix->number == BERTH_NUMBER_S8 && job.k > BERTH_S8_K_MAX)
        return berth_fail(err, BERTH_UNSUPPORTED,
                          "a weight of %zu columns is too wide for int8 (at most %d); use fp32", job.k,
                          BERTH_S8_K_MAX);
    job.rows = piece_rows(packer, job.k, step);
    return run_job(&job, err);
}

enum berth_status berth_pack_rows(struct berth_packer *packer, const struct berth_tensor *weight,
                                  enum berth_number number, uint8_t *tiled, float *scale,
                                  struct berth_error *err)
{
    struct pack_job job = {.packer = packer,
                           .weight = weight,
                           .tiled = tiled,
                           .scale = number == BERTH_NUMBER_S8 ? scale : NULL,
                           .n = weight->shape[0],
                           .k = weight->shape[1]};
    job.rows = piece_rows(packer, job.k, BERTH_TILE_ROWS);
    return run_job(&job, err);
}

enum berth_status berth_pack_copy(struct berth_packer *packer, const struct berth_tensor *weight, float *out,
                                  struct berth_error *err)
{
    struct pack_job job = {.packer = packer, .weight = weight, .copy = out, .n = weight->elements, .k = 1};
    job.rows = packer->tile_floats;
    return run_job(&job, err);
}
