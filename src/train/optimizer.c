/* optimizer.c: norms and updates piece by piece on the team; the word embedding row by row. */
#include "train/optimizer.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"

enum { PIECE_FLOATS = 16384, ROWS_PIECE = 64 };

/* Some numbers of one weight. */
struct berth_adamw_piece {
    size_t first, count;
    float factor; /* of the learning rate; 0: frozen */
    bool decays;
};

/* --- schedule ------------------------------------------------------------------------------------- */

double berth_schedule_rate(const struct berth_optimizer_options *options, size_t step)
{
    size_t warmup = options->warmup_steps, total = options->total_steps;
    if (step < warmup)
        return options->learning_rate * (double)step / (double)berth_max(1, warmup);
    double done = (double)(step - warmup) / (double)berth_max(1, total > warmup ? total - warmup : 0);
    switch (options->schedule) {
        case BERTH_SCHEDULE_LINEAR:
            return options->learning_rate * fmax(0, 1 - done);
        case BERTH_SCHEDULE_COSINE:
            return options->learning_rate * fmax(0, 0.5 * (1 + cos(acos(-1.0) * done)));
        case BERTH_SCHEDULE_CONSTANT:
            break;
    }
    return options->learning_rate;
}

struct berth_adamw_f32 berth_adamw_step(const struct berth_optimizer_options *options, size_t step,
                                        double factor, bool decays)
{
    double rate = berth_schedule_rate(options, step - 1) * factor;
    return (struct berth_adamw_f32){
        .decay = decays ? (float)(1 - rate * options->weight_decay) : 1,
        .beta1 = (float)options->beta1,
        .beta2 = (float)options->beta2,
        .eps = (float)options->epsilon,
        .rest1 = (float)(1 - options->beta1),
        .rest2 = (float)(1 - options->beta2),
        .rate = (float)(rate / (1 - pow(options->beta1, (double)step))),
        .unbias = (float)(1 / sqrt(1 - pow(options->beta2, (double)step))),
        .clip = 1,
    };
}

/* --- life ----------------------------------------------------------------------------------------- */

double berth_adamw_factor(const struct berth_optimizer_options *options, const struct berth_weights *weights,
                          const struct berth_weight *weight)
{
    if (weight->depth == 0 && (options->freeze_embedding || options->freeze_layers > 0))
        return 0;
    if (weight->depth > 0 && weight->depth <= options->freeze_layers)
        return 0;
    return pow(options->layer_decay, (double)(weights->layers + 1 - weight->depth));
}

static double factor_of(const struct berth_optimizer *optimizer, const struct berth_weight *weight)
{
    return berth_adamw_factor(&optimizer->options, optimizer->weights, weight);
}

/* The word embedding is the first weight, and not among the pieces. */
static size_t cut_pieces(const struct berth_optimizer *optimizer, struct berth_adamw_piece *pieces)
{
    const struct berth_weights *weights = optimizer->weights;
    size_t count = 0;
    for (size_t i = 1; i < weights->count; i++) {
        const struct berth_weight *weight = &weights->list[i];
        for (size_t done = 0; done < weight->elements; done += PIECE_FLOATS, count++) {
            if (pieces)
                pieces[count] = (struct berth_adamw_piece){
                    weight->first + done, berth_min(PIECE_FLOATS, weight->elements - done),
                    (float)factor_of(optimizer, weight), weight->decays};
        }
    }
    return count;
}

static double word_factor(const struct berth_optimizer *optimizer)
{
    return factor_of(optimizer, &optimizer->weights->list[0]);
}

enum berth_status berth_optimizer_new(const struct berth_optimizer_options *options,
                                      struct berth_weights *weights, struct berth_optimizer **out,
                                      struct berth_error *err)
{
    *out = NULL;
    struct berth_optimizer *optimizer = berth_calloc(1, sizeof *optimizer);
    if (!optimizer)
        return berth_fail_memory(err, "the optimiser", sizeof *optimizer);
    optimizer->options = *options;
    optimizer->weights = weights;
    optimizer->pieces = cut_pieces(optimizer, NULL);
    size_t bytes = weights->total * sizeof(float), steps = options->total_steps;
    optimizer->first = berth_aligned(bytes);
    optimizer->second = berth_aligned(bytes);
    optimizer->piece = berth_calloc(optimizer->pieces, sizeof *optimizer->piece);
    optimizer->squares = berth_calloc(optimizer->pieces, sizeof *optimizer->squares);
    optimizer->idle = steps < SIZE_MAX / 64 ? berth_calloc(steps + 1, sizeof *optimizer->idle) : NULL;
    optimizer->row_step = berth_calloc(weights->vocab, sizeof *optimizer->row_step);
    optimizer->row_mark = berth_calloc(weights->vocab, sizeof *optimizer->row_mark);
    optimizer->touched = berth_calloc(weights->vocab, sizeof *optimizer->touched);
    optimizer->stale = berth_calloc(weights->vocab, sizeof *optimizer->stale);
    if (!optimizer->first || !optimizer->second || !optimizer->piece || !optimizer->squares ||
        !optimizer->idle || !optimizer->row_step || !optimizer->row_mark || !optimizer->touched ||
        !optimizer->stale) {
        berth_optimizer_free(optimizer);
        return berth_fail_memory(err, "the optimiser's moments", 2 * bytes);
    }
    memset(optimizer->first, 0, bytes);
    memset(optimizer->second, 0, bytes);
    cut_pieces(optimizer, optimizer->piece);
    for (size_t i = 1; i <= steps; i++)
        optimizer->idle[i] = berth_adamw_step(options, i, word_factor(optimizer), true);
    double forgotten = options->beta1 > 0 && options->beta1 < 1 ? log(1e-6) / log(options->beta1) : 1;
    optimizer->idle_steps = (size_t)fmin(forgotten + 1, 1e6);
    *out = optimizer;
    return BERTH_OK;
}

void berth_optimizer_free(struct berth_optimizer *optimizer)
{
    if (!optimizer)
        return;
    berth_free(optimizer->first);
    berth_free(optimizer->second);
    berth_free(optimizer->piece);
    berth_free(optimizer->squares);
    berth_free(optimizer->idle);
    berth_free(optimizer->row_step);
    berth_free(optimizer->row_mark);
    berth_free(optimizer->touched);
    berth_free(optimizer->stale);
    berth_free(optimizer);
}

/* --- rows of the word embedding ------------------------------------------------------------------- */

struct rows_job {
    struct berth_optimizer *optimizer;
    const struct berth_crew *crew;
    const int32_t *rows;
    size_t count;
    const struct berth_adamw_f32 *step; /* of touched rows */
};

/* Makes up for the steps that a row has missed. */
static void refresh_row(struct berth_optimizer *optimizer, const struct berth_kernels *kernels, size_t row)
{
    size_t e = optimizer->weights->embedding, at = optimizer->weights->word + row * e;
    size_t seen = optimizer->row_step[row], missed = optimizer->step - seen;
    size_t idle = berth_min(missed, optimizer->idle_steps);
    float *p = optimizer->weights->value + at, *m = optimizer->first + at, *v = optimizer->second + at;
    kernels->adamw_idle_f32(p, m, v, e, optimizer->idle + seen + 1, idle);
    if (missed > idle) {
        float decay = 1, keep1 = (float)pow(optimizer->options.beta1, (double)(missed - idle));
        float keep2 = (float)pow(optimizer->options.beta2, (double)(missed - idle));
        for (size_t s = seen + idle + 1; s <= optimizer->step; s++)
            decay *= optimizer->idle[s].decay;
        for (size_t i = 0; i < e; i++) {
            p[i] *= decay;
            m[i] *= keep1;
            v[i] *= keep2;
        }
    }
    optimizer->row_step[row] = (uint32_t)optimizer->step;
}

static void refresh_piece(void *context, size_t piece, size_t member)
{
    const struct rows_job *job = context;
    size_t end = berth_min((piece + 1) * ROWS_PIECE, job->count);
    (void)member;
    for (size_t i = piece * ROWS_PIECE; i < end; i++)
        refresh_row(job->optimizer, job->crew->kernels, (size_t)job->rows[i]);
}

static void run_rows(struct rows_job *job, double operations, berth_task *task)
{
    size_t pieces = (job->count + ROWS_PIECE - 1) / ROWS_PIECE;
    operations *= (double)job->count * (double)job->optimizer->weights->embedding;
    berth_crew_run(job->crew, pieces, operations, task, job);
}

static void refresh(struct berth_optimizer *optimizer, const struct berth_crew *crew, size_t count)
{
    struct rows_job job = {optimizer, crew, optimizer->stale, count, NULL};
    run_rows(&job, 200, refresh_piece);
}

void berth_optimizer_touch(struct berth_optimizer *optimizer, const struct berth_crew *crew,
                           const int32_t *ids, size_t count)
{
    uint32_t mark = (uint32_t)optimizer->step + 1;
    size_t stale = 0;
    bool frozen = word_factor(optimizer) == 0;
    for (size_t i = 0; i < count; i++) {
        if (optimizer->row_mark[ids[i]] == mark)
            continue;
        optimizer->row_mark[ids[i]] = mark;
        optimizer->touched[optimizer->touched_count++] = ids[i];
        if (!frozen && optimizer->row_step[ids[i]] < optimizer->step)
            optimizer->stale[stale++] = ids[i];
    }
    refresh(optimizer, crew, stale);
}

void berth_optimizer_settle(struct berth_optimizer *optimizer, const struct berth_crew *crew)
{
    size_t stale = 0;
    if (word_factor(optimizer) == 0)
        return;
    for (size_t row = 0; row < optimizer->weights->vocab; row++)
        if (optimizer->row_step[row] < optimizer->step)
            optimizer->stale[stale++] = (int32_t)row;
    refresh(optimizer, crew, stale);
}

void berth_optimizer_touch_all(struct berth_optimizer *optimizer, const struct berth_crew *crew)
{
    berth_optimizer_settle(optimizer, crew);
    for (size_t row = 0; row < optimizer->weights->vocab; row++)
        optimizer->touched[row] = (int32_t)row;
    optimizer->touched_count = optimizer->weights->vocab;
}

static void row_piece(void *context, size_t piece, size_t member)
{
    const struct rows_job *job = context;
    struct berth_optimizer *optimizer = job->optimizer;
    struct berth_weights *weights = optimizer->weights;
    size_t e = weights->embedding, end = berth_min((piece + 1) * ROWS_PIECE, job->count);
    (void)member;
    for (size_t i = piece * ROWS_PIECE; i < end; i++) {
        size_t row = (size_t)job->rows[i], at = weights->word + row * e;
        if (job->step) {
            job->crew->kernels->adamw_f32(weights->value + at, weights->grad + at, optimizer->first + at,
                                          optimizer->second + at, e, job->step);
            optimizer->row_step[row] = (uint32_t)optimizer->step;
        }
        memset(weights->grad + at, 0, e * sizeof *weights->grad);
    }
}

/* --- steps ---------------------------------------------------------------------------------------- */

struct step_job {
    struct berth_optimizer *optimizer;
    const struct berth_crew *crew;
    float clip;
};

static void squares_piece(void *context, size_t piece, size_t member)
{
    const struct step_job *job = context;
    struct berth_optimizer *optimizer = job->optimizer;
    const struct berth_adamw_piece *p = &optimizer->piece[piece];
    (void)member;
    optimizer->squares[piece] =
        job->crew->kernels->squares_f32(optimizer->weights->grad + p->first, p->count);
}

static void update_piece(void *context, size_t piece, size_t member)
{
    const struct step_job *job = context;
    struct berth_optimizer *optimizer = job->optimizer;
    const struct berth_adamw_piece *p = &optimizer->piece[piece];
    float *grad = optimizer->weights->grad + p->first;
    (void)member;
    if (p->factor > 0) {
        struct berth_adamw_f32 step =
            berth_adamw_step(&optimizer->options, optimizer->step, p->factor, p->decays);
        step.clip = job->clip;
        job->crew->kernels->adamw_f32(optimizer->weights->value + p->first, grad, optimizer->first + p->first,
                                      optimizer->second + p->first, p->count, &step);
    }
    memset(grad, 0, p->count * sizeof *grad);
}

/* Of the gradients of what is not frozen. */
static double total_norm(struct berth_optimizer *optimizer, const struct berth_crew *crew)
{
    const struct berth_weights *weights = optimizer->weights;
    struct step_job job = {optimizer, crew, 1};
    double sum = 0;
    berth_crew_run(crew, optimizer->pieces, (double)weights->total, squares_piece, &job);
    for (size_t i = 0; i < optimizer->pieces; i++)
        sum += optimizer->piece[i].factor > 0 ? optimizer->squares[i] : 0;
    for (size_t i = 0; i < optimizer->touched_count && word_factor(optimizer) > 0; i++)
        sum += crew->kernels->squares_f32(
            weights->grad + weights->word + (size_t)optimizer->touched[i] * weights->embedding,
            weights->embedding);
    return sqrt(sum);
}

enum berth_status berth_optimizer_step(struct berth_optimizer *optimizer, const struct berth_crew *crew,
                                       struct berth_step_report *report, struct berth_error *err)
{
    const struct berth_optimizer_options *options = &optimizer->options;
    report->norm = total_norm(optimizer, crew);
    report->rate = berth_schedule_rate(options, optimizer->step);
    if (!isfinite(report->norm))
        return berth_fail(err, BERTH_LIMIT,
                          "step %zu: the gradients are not finite; a smaller --learning-rate may help",
                          optimizer->step + 1);
    double clip = options->max_grad_norm > 0 ? fmin(1, options->max_grad_norm / (report->norm + 1e-6)) : 1;
    optimizer->step++;
    struct step_job job = {optimizer, crew, (float)clip};
    berth_crew_run(crew, optimizer->pieces, 16.0 * (double)optimizer->weights->total, update_piece, &job);
    bool frozen = word_factor(optimizer) == 0;
    struct berth_adamw_f32 step = optimizer->idle[berth_min(optimizer->step, options->total_steps)];
    step.clip = (float)clip;
    struct rows_job rows = {optimizer, crew, optimizer->touched, optimizer->touched_count,
                            frozen ? NULL : &step};
    run_rows(&rows, 16, row_piece);
    optimizer->touched_count = 0;
    return BERTH_OK;
}
