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

static void embed_piece(void *context, size_t piece, size_t member)
{
    const struct embed_job *job = context;
    const struct berth_stage *stage = job->stage;
    const struct berth_plan *plan = stage->plan;
    const struct berth_batch *batch = stage->batch;
    size_t e = plan->embedding, first = piece * EMBED_ROWS,
           end = berth_min(first + EMBED_ROWS, stage->tokens);
    size_t text = text_of_token(batch, first);
    float *out = stage->slot[job->step->out] + first * e;
    for (size_t i = first; i < end; i++) {
        if (i == batch->offsets[text + 1])
            text++;
        size_t position = batch->positions ? (size_t)batch->positions[i] : i - batch->offsets[text];
        const float *type = NULL;
        if (plan->type_embedding)
            type = plan->type_embedding + (batch->type_ids ? batch->type_ids[i] : 0) * e;
        const float *word = berth_plan_word(plan, (size_t)batch->ids[i], scratch_of(stage, member));
        plan->kernels->add3_f32(out + (i - first) * e, word, plan->position_embedding + position * e, type,
                                e);
    }
    plan->kernels->layernorm_f32(out, out, plan->embedding_gamma, plan->embedding_beta, end - first, e, e, e,
                                 plan->eps);
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

static void linear_piece(void *context, size_t piece, size_t member)
{
    const struct linear_job *job = context;
    const struct berth_stage *stage = job->stage;
    const struct berth_step *step = job->step;
    const struct berth_plan *plan = stage->plan;
    size_t block = piece / job->groups, row = block * job->block,
           rows = berth_min(job->block, job->rows - row);
    size_t column = piece % job->groups * job->group;
    size_t in_stride = plan->slot_width[step->in], out_stride = plan->slot_width[step->out];
    float *out = stage->slot[step->out] + row * out_stride + step->column + column;
    struct berth_gemm_f32 args = {
        .out = out,
        .a = stage->slot[step->in] + row * in_stride,
        .weights = step->weights + column * step->k,
        .bias = step->bias ? step->bias + column : NULL,
        .residual = step->residual ? out : NULL,
        .m = rows,
        .n = berth_min(job->group, step->n - column),
        .k = step->k,
        .out_stride = out_stride,
        .a_stride = in_stride,
        .residual_stride = out_stride,
        .act = step->act,
        .scratch = scratch_of(stage, member),
    };
    plan->kernels->gemm_f32(&args);
    if (step->gamma && completes_rows(job, block))
        normalise(job, row, rows);
}

/* One piece on one thread: the kernel blocks for the caches itself. Else a few for each thread: rows first,
 * since pieces side by side prepare the same rows again; columns where rows are few. */
static void cut(struct linear_job *job, const struct berth_stage *stage, double operations)
{
    size_t nr = stage->plan->kernels->gemm_f32_nr, panels = divide_up(job->step->n, nr);
    size_t blocks = 1, groups = 1;
    if (stage->threads > 1 && operations >= SHARE_OPERATIONS) {
        size_t wanted =
            berth_min(stage->threads * PIECES_PER_THREAD, (size_t)(operations / PIECE_OPERATIONS));
        blocks = berth_min(wanted, berth_max(job->rows / ROWS_LEAST, 1));
        groups = berth_min(divide_up(wanted, blocks), panels);
        blocks = berth_max(blocks, divide_up(job->rows, ROWS_MOST));
    }
    job->block = divide_up(job->rows, blocks);
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
    for (size_t i = 0; step->gamma && i < job.blocks; i++)
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
    plan->kernels->attention_f32(&args);
}

static void run_attention(struct berth_stage *stage, const struct berth_step *step)
{
    struct attention_job job = {.stage = stage, .step = step};
    const size_t *offsets = stage->batch->offsets;
    double pairs = 0;
    for (size_t i = 0; i < stage->batch->texts; i++) {
        double length = (double)(offsets[i + 1] - offsets[i]);
        pairs += step->per_text ? length : length * length;
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
    size_t floats = berth_max(kernels->attention_f32_scratch(longest, plan->head_size), plan->embedding);
    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].kind == BERTH_STEP_LINEAR)
            floats = berth_max(floats, kernels->gemm_f32_scratch(max_tokens, plan->steps[i].k));
    return berth_round_up(floats, 16);
}

size_t berth_stage_row_blocks(size_t threads, size_t max_tokens)
{
    return berth_max(threads * PIECES_PER_THREAD, divide_up(max_tokens, ROWS_MOST));
}
