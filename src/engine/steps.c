/* steps.c: how each kind of step is cut. Pieces are rows x columns of a product, a head of a text, or a few
 * rows. Cutting never changes a result: kernels promise that a row depends on its inputs alone. */
#include "engine/steps.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"

enum {
    PIECES_PER_THREAD = 4, /* for balance when a neighbour takes a core away */
    ROWS_LEAST = 64,       /* of a piece, before columns are cut: so many pay for streaming the weights */
    ROWS_MOST = 256,       /* of a piece, when several threads share */
    EMBED_ROWS = 16,       /* tokens of a piece */
};

/* Multiply-adds below which a piece is not worth handing over (some 5 us), and a step not worth sharing. */
#define PIECE_OPERATIONS 0x1p18
#define SHARE_OPERATIONS 0x1p20

static size_t divide_up(size_t n, size_t by)
{
    return (n + by - 1) / by;
}

static float *scratch_of(const struct berth_stage *stage, size_t member)
{
    return stage->scratch + member * stage->scratch_floats;
}

/* On the caller alone when there is little to share. */
static void run_pieces(struct berth_stage *stage, size_t pieces, double operations, berth_task *task,
                       void *context)
{
    if (stage->threads > 1 && pieces > 1 && operations >= SHARE_OPERATIONS)
        berth_team_run(stage->team, pieces, task, context);
    else
        for (size_t i = 0; i < pieces; i++)
            task(context, i, 0);
}

/* Rows of a step's result are whole: their twin is made while they are near. */
static void complete_rows(const struct berth_stage *stage, const struct berth_step *step, size_t row, size_t rows)
{
    const struct berth_plan *plan = stage->plan;
    const enum berth_slot slot = step->out;
    size_t width = plan->slot_width[slot];
    const float *values = stage->slot[slot] + row * width;
    if (step->twin == BERTH_NUMBER_S8)
        plan->kernels->quantize_s8(stage->twin[slot], stage->scales[slot] + row, values, row, rows, width,
                                   width);
    else if (step->twin == BERTH_NUMBER_BF16)
        plan->kernels->round_bf16(stage->twin[slot], values, row, rows, width, width);
}

/* --- embedding ------------------------------------------------------------------------------------ */

struct embed_job {
    const struct berth_stage *stage;
    const struct berth_step *step;
    const int32_t *positions; /* [tokens] */
};

static size_t text_of_token(const struct berth_batch *batch, size_t token)
{
    size_t low = 0, high = batch->texts; /* offsets[low] <= token < offsets[high] */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (batch->offsets[middle] <= token)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void look_up(const struct embed_job *job, float *out, size_t first, size_t end, float *scratch)
{
    const struct berth_plan *plan = job->stage->plan;
    const struct berth_batch *batch = job->stage->batch;
    size_t e = plan->embedding, text = text_of_token(batch, first);
    for (size_t i = first; i < end; i++) {
        if (i == batch->offsets[text + 1])
            text++;
        size_t position = batch->positions ? (size_t)batch->positions[i] : i - batch->offsets[text];
        const float *type = NULL;
        if (plan->type_embedding)
            type = plan->type_embedding + (batch->type_ids ? batch->type_ids[i] : 0) * e;
        const float *word = berth_plan_word(plan, (size_t)batch->ids[i], scratch);
        plan->kernels->add3_f32(out + (i - first) * e, word, plan->position_embedding + position * e, type,
                                e);
    }
    plan->kernels->layernorm_f32(out, out, plan->embedding_gamma, plan->embedding_beta, end - first, e, e, e,
                                 plan->eps);
}

static void embed_piece(void *context, size_t piece, size_t member)
{
    const struct embed_job *job = context;
    const struct berth_stage *stage = job->stage;
    size_t e = stage->plan->embedding, first = piece * EMBED_ROWS;
    size_t end = berth_min(first + EMBED_ROWS, stage->tokens);
    float *out = stage->slot[job->step->out] + first * e;
    if (stage->batch->embedded)
        memcpy(out, stage->batch->embedded + first * e, (end - first) * e * sizeof *out);
    else
        look_up(job, out, first, end, scratch_of(stage, member));
    complete_rows(stage, job->step, first, end - first);
}

static void run_embed(struct berth_stage *stage, const struct berth_step *step)
{
    struct embed_job job = {.stage = stage, .step = step};
    double operations = 8.0 * (double)stage->tokens * (double)step->n;
    run_pieces(stage, divide_up(stage->tokens, EMBED_ROWS), operations, embed_piece, &job);
}

/* --- products ------------------------------------------------------------------------------------- */

struct linear_job {
    const struct berth_stage *stage;
    const struct berth_step *step;
    size_t rows;           /* of the step */
    size_t block, group;   /* rows and columns (whole panels) of a piece */
    size_t blocks, groups; /* pieces one below the other, and side by side */
};

static void normalise(const struct linear_job *job, size_t row, size_t rows)
{
    const struct berth_step *step = job->step;
    const struct berth_plan *plan = job->stage->plan;
    size_t stride = plan->slot_width[step->out];
    float *out = job->stage->slot[step->out] + row * stride;
    plan->kernels->layernorm_f32(out, out, step->gamma, step->beta, rows, step->n, stride, stride, plan->eps);
}

/* The last of the pieces side by side normalises their rows: whole then, and still in cache. */
static bool completes_rows(const struct linear_job *job, size_t block)
{
    if (job->groups == 1)
        return true;
    unsigned before = atomic_fetch_add_explicit(&job->stage->finished[block], 1, memory_order_acq_rel);
    return before + 1 == job->groups;
}

/* A piece of a product: rows [row, row + rows) by columns [column, column + columns). */
struct linear_piece {
    size_t row, rows, column, columns;
    float *out, *scratch;
    size_t in_stride, out_stride;
    struct berth_matrix weights;
    const float *bias;
};

static void multiply_f32(const struct linear_job *job, const struct linear_piece *piece)
{
    const struct berth_step *step = job->step;
    const struct berth_stage *stage = job->stage;
    struct berth_gemm_f32 args = {
        .out = piece->out,
        .a = stage->slot[step->in] + piece->row * piece->in_stride,
        .weights = piece->weights.data,
        .bias = piece->bias,
        .residual = step->residual ? piece->out : NULL,
        .m = piece->rows,
        .n = piece->columns,
        .k = step->k,
        .out_stride = piece->out_stride,
        .a_stride = piece->in_stride,
        .residual_stride = piece->out_stride,
        .act = step->act,
        .scratch = piece->scratch,
    };
    stage->plan->kernels->gemm_f32(&args);
}

static void multiply_tiled(const struct linear_job *job, const struct linear_piece *piece)
{
    const struct berth_step *step = job->step;
    const struct berth_stage *stage = job->stage;
    size_t row_bytes = berth_plan_twin_row(stage->plan, step->in, piece->weights.number);
    struct berth_gemm_tiled args = {
        .out = piece->out,
        .a = stage->twin[step->in] + berth_tiled_offset(piece->row, 0, row_bytes),
        .a_scale = stage->scales[step->in] + piece->row,
        .weights = piece->weights.data,
        .w_scale = piece->weights.scale,
        .offset = piece->weights.offset,
        .bias = piece->bias,
        .residual = step->residual ? piece->out : NULL,
        .m = piece->rows,
        .n = piece->columns,
        .k = step->k,
        .out_stride = piece->out_stride,
        .residual_stride = piece->out_stride,
        .act = step->act,
    };
    if (piece->weights.number == BERTH_NUMBER_S8)
        stage->plan->kernels->gemm_s8(&args);
    else
        stage->plan->kernels->gemm_bf16(&args);
}

static void multiply_unpacked(const struct linear_job *job, const struct linear_piece *piece)
{
    const struct berth_step *step = job->step;
    const float *in = job->stage->slot[step->in] + piece->row * piece->in_stride;
    job->stage->plan->kernels->dense_f32(piece->out, in, piece->weights.data, piece->bias, piece->rows,
                                         piece->columns, step->k, piece->out_stride, piece->in_stride);
}

static void linear_piece(void *context, size_t index, size_t member)
{
    const struct linear_job *job = context;
    const struct berth_stage *stage = job->stage;
    const struct berth_step *step = job->step;
    const struct berth_plan *plan = stage->plan;
    size_t block = index / job->groups;
    struct linear_piece piece = {
        .row = block * job->block,
        .column = index % job->groups * job->group,
        .scratch = scratch_of(stage, member),
        .in_stride = plan->slot_width[step->in],
        .out_stride = plan->slot_width[step->out],
    };
    piece.rows = berth_min(job->block, job->rows - piece.row);
    piece.columns = berth_min(job->group, step->n - piece.column);
    piece.out = stage->slot[step->out] + piece.row * piece.out_stride + step->column + piece.column;
    piece.bias = step->bias ? step->bias + piece.column : NULL;
    piece.weights = berth_matrix_columns(&step->weights, plan->kernels, piece.column, piece.columns);
    if (step->weights.unpacked)
        multiply_unpacked(job, &piece);
    else if (step->weights.number == BERTH_NUMBER_F32)
        multiply_f32(job, &piece);
    else
        multiply_tiled(job, &piece);
    if ((step->gamma || step->twin != BERTH_NUMBER_F32) && completes_rows(job, block)) {
        if (step->gamma)
            normalise(job, piece.row, piece.rows);
        complete_rows(stage, step, piece.row, piece.rows);
    }
}

/* Rows of a block whose results are to be read again at once (for LayerNorm, for their twin) and should still
 * be in the second-level cache then. */
static size_t rows_near(const struct linear_job *job)
{
    const struct berth_plan *plan = job->stage->plan;
    size_t row_bytes = plan->slot_width[job->step->out] * sizeof(float);
    return berth_max(plan->l2 * 3 / 4 / row_bytes / BERTH_TILE_ROWS, 1) * BERTH_TILE_ROWS;
}

/* fp32: one piece on one thread, since the kernel blocks for the caches itself. Else a few for each thread:
 * rows first, since pieces side by side prepare the same rows again; columns where rows are few. In rows of
 * tiles, where operands are tiled. */
static void cut(struct linear_job *job, const struct berth_stage *stage, double operations)
{
    const struct berth_matrix *weights = &job->step->weights;
    bool tiled = weights->number != BERTH_NUMBER_F32;
    size_t nr = berth_matrix_step(stage->plan->kernels, weights->number),
           panels = divide_up(job->step->n, nr);
    size_t blocks = 1, groups = 1;
    if (stage->threads > 1 && operations >= SHARE_OPERATIONS && !weights->unpacked) {
        size_t wanted =
            berth_min(stage->threads * PIECES_PER_THREAD, (size_t)(operations / PIECE_OPERATIONS));
        blocks = berth_min(wanted, berth_max(job->rows / ROWS_LEAST, 1));
        groups = berth_min(divide_up(wanted, blocks), panels);
        blocks = berth_max(blocks, divide_up(job->rows, ROWS_MOST));
    }
    if (tiled)
        blocks = berth_max(blocks, divide_up(job->rows, rows_near(job)));
    job->block = divide_up(job->rows, blocks);
    if (tiled)
        job->block = berth_round_up(job->block, BERTH_TILE_ROWS);
    job->blocks = divide_up(job->rows, job->block);
    job->group = divide_up(panels, groups) * nr;
    job->groups = divide_up(job->step->n, job->group);
}

static void run_linear(struct berth_stage *stage, const struct berth_step *step)
{
    struct linear_job job = {.stage = stage, .step = step};
    job.rows = step->per_text ? stage->batch->texts : stage->tokens;
    double operations = (double)job.rows * (double)step->n * (double)step->k;
    cut(&job, stage, operations);
    for (size_t i = 0; job.groups > 1 && i < job.blocks; i++)
        atomic_store_explicit(&stage->finished[i], 0, memory_order_relaxed);
    run_pieces(stage, job.blocks * job.groups, operations, linear_piece, &job);
}

/* --- attention ------------------------------------------------------------------------------------ */

struct attention_job {
    const struct berth_stage *stage;
    const struct berth_step *step;
};

static void attention_piece(void *context, size_t piece, size_t member)
{
    const struct attention_job *job = context;
    const struct berth_stage *stage = job->stage;
    const struct berth_step *step = job->step;
    const struct berth_plan *plan = stage->plan;
    size_t text = stage->order[piece / plan->heads], head = piece % plan->heads, d = plan->head_size;
    size_t first = stage->batch->offsets[text], length = stage->batch->offsets[text + 1] - first;
    size_t row = step->per_text ? text : first;
    size_t qkv_stride = plan->slot_width[BERTH_SLOT_QKV], out_stride = plan->slot_width[step->out];
    size_t q_stride = plan->slot_width[step->in];
    const float *keys = stage->slot[BERTH_SLOT_QKV] + first * qkv_stride + plan->part + head * d;
    struct berth_attention_f32 args = {
        .out = stage->slot[step->out] + row * out_stride + head * d,
        .q = stage->slot[step->in] + row * q_stride + head * d,
        .k = keys,
        .v = keys + plan->part,
        .queries = step->per_text ? 1 : length,
        .t = length,
        .d = d,
        .out_stride = out_stride,
        .qkv_stride = qkv_stride,
        .scale = 1 / sqrtf((float)d),
        .scratch = scratch_of(stage, member),
    };
    if (step->number == BERTH_NUMBER_S8)
        plan->kernels->attention_s8(&args);
    else
        plan->kernels->attention_f32(&args);
    if (step->twin == BERTH_NUMBER_F32)
        return;
    unsigned before = atomic_fetch_add_explicit(&stage->heads_done[text], 1, memory_order_acq_rel);
    if (before + 1 == plan->heads)
        complete_rows(stage, step, row, args.queries);
}

static void run_attention(struct berth_stage *stage, const struct berth_step *step)
{
    struct attention_job job = {.stage = stage, .step = step};
    const size_t *offsets = stage->batch->offsets;
    double pairs = 0;
    for (size_t i = 0; i < stage->batch->texts; i++) {
        double length = (double)(offsets[i + 1] - offsets[i]);
        pairs += step->per_text ? length : length * length;
        atomic_store_explicit(&stage->heads_done[i], 0, memory_order_relaxed);
    }
    run_pieces(stage, stage->batch->texts * stage->plan->heads, 2 * pairs * (double)stage->plan->hidden,
               attention_piece, &job);
}

/* --- the rest ------------------------------------------------------------------------------------- */

static void run_first(struct berth_stage *stage, const struct berth_step *step)
{
    const float *in = stage->slot[step->in];
    float *out = stage->slot[step->out];
    for (size_t i = 0; i < stage->batch->texts; i++)
        memcpy(out + i * step->n, in + stage->batch->offsets[i] * step->n, step->n * sizeof(float));
    complete_rows(stage, step, 0, stage->batch->texts);
}

/* Longest first, so that no thread is left with a long text at the end; a counting sort, stable and without
 * memory. */
static void order_texts(struct berth_stage *stage)
{
    const struct berth_batch *batch = stage->batch;
    size_t *bins = stage->bins, longest = 0;
    for (size_t i = 0; i < batch->texts; i++)
        longest = berth_max(longest, batch->offsets[i + 1] - batch->offsets[i]);
    memset(bins, 0, (longest + 1) * sizeof *bins);
    for (size_t i = 0; i < batch->texts; i++)
        bins[longest - (batch->offsets[i + 1] - batch->offsets[i]) + 1]++;
    for (size_t i = 1; i <= longest; i++)
        bins[i] += bins[i - 1];
    for (size_t i = 0; i < batch->texts; i++)
        stage->order[bins[longest - (batch->offsets[i + 1] - batch->offsets[i])]++] = i;
}

void berth_stage_begin(struct berth_stage *stage, const struct berth_batch *batch)
{
    stage->batch = batch;
    stage->tokens = batch->offsets[batch->texts];
    order_texts(stage);
}

void berth_stage_run(struct berth_stage *stage, const struct berth_step *step)
{
    switch (step->kind) {
        case BERTH_STEP_EMBED:
            run_embed(stage, step);
            break;
        case BERTH_STEP_LINEAR:
            run_linear(stage, step);
            break;
        case BERTH_STEP_ATTENTION:
            run_attention(stage, step);
            break;
        case BERTH_STEP_FIRST:
            run_first(stage, step);
            break;
    }
}

size_t berth_stage_scratch(const struct berth_plan *plan, size_t max_tokens)
{
    const struct berth_kernels *kernels = plan->kernels;
    size_t longest = berth_min(plan->max_positions, max_tokens);
    size_t floats = plan->embedding;
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct berth_step *step = &plan->steps[i];
        size_t need = 0;
        if (step->kind == BERTH_STEP_LINEAR && step->weights.number == BERTH_NUMBER_F32)
            need = kernels->gemm_f32_scratch(max_tokens, step->k);
        else if (step->kind == BERTH_STEP_ATTENTION)
            need = step->number == BERTH_NUMBER_S8 ? kernels->attention_s8_scratch(longest, plan->head_size)
                                                   : kernels->attention_f32_scratch(longest, plan->head_size);
        floats = berth_max(floats, need);
    }
    return berth_round_up(floats, 16);
}

size_t berth_stage_row_blocks(size_t threads, size_t max_tokens)
{
    /* blocks of tiled operands may be as small as a tile */
    return berth_max(threads * PIECES_PER_THREAD, divide_up(max_tokens, BERTH_TILE_ROWS));
}
