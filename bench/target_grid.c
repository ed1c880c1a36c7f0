/* target_grid.c: T1 to T6: models by batch, length and precision on one core, beside ONNX Runtime. Everything
 * that a shape is compared with is timed in the same rounds. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "peer_torch.h"
#include "target.h"

struct shape {
    size_t texts, length;
};
static const struct shape shapes[] = {{1, 16}, {1, 32}, {1, 128}, {8, 32}, {8, 128}, {32, 112}, {1, 512}};
static const struct shape quick_shapes[] = {{1, 16}, {1, 128}, {8, 112}};
static const struct shape large = {32, 112}, large_in_quick = {8, 112};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static const char *const models[] = {"bert-base", "distilbert", "electra-small", "bert-tiny"};
enum { MODELS = sizeof models / sizeof *models };

/* Who takes part. */
enum slot { OURS_FP32, OURS_BF16, OURS_INT8, ORT_FP32, ORT_INT8, TORCH_BF16, WEIGHTS, SLOTS };
static const struct {
    const char *name;
    enum berth_precision precision; /* of berth's */
    enum limit_format format;       /* of the peer's */
} slots[SLOTS] = {
    [OURS_FP32] = {"fp32", BERTH_PRECISION_FP32, LIMIT_FP32},
    [OURS_BF16] = {"bf16", BERTH_PRECISION_BF16, LIMIT_BF16},
    [OURS_INT8] = {"int8", BERTH_PRECISION_INT8, LIMIT_INT8},
    [ORT_FP32] = {.name = "ONNX Runtime fp32", .format = LIMIT_FP32},
    [ORT_INT8] = {.name = "ONNX Runtime int8", .format = LIMIT_INT8},
    [TORCH_BF16] = {.name = "PyTorch bf16"},
    [WEIGHTS] = {.name = "reading the weights"},
};

/* One comparison that is wanted. */
static const struct demand {
    const char *target;
    const char *model;  /* NULL: every one */
    struct shape shape; /* 0 texts: every one */
    enum slot ours, against;
    double wanted; /* the other's time over ours; 0: nothing is asked, the figure is for comparison */
} demands[] = {
    {"T1", "bert-base", {32, 112}, OURS_INT8, ORT_INT8, 5.8},
    {"T1", "bert-base", {32, 112}, OURS_INT8, ORT_FP32, 25},
    {"T2", "bert-base", {32, 112}, OURS_BF16, ORT_FP32, 12},
    {"T2", "bert-base", {32, 112}, OURS_BF16, TORCH_BF16, 3.5},
    {"T3", "bert-base", {1, 16}, OURS_INT8, ORT_INT8, 1.6},
    {"T3", "bert-base", {1, 32}, OURS_INT8, ORT_INT8, 1.6},
    {"T3", "bert-base", {1, 16}, OURS_INT8, WEIGHTS, 1 / 1.3},
    {"T3", "bert-base", {1, 32}, OURS_INT8, WEIGHTS, 1 / 1.3},
    {"T4", "bert-base", {1, 128}, OURS_INT8, ORT_INT8, 4},
    {"T5", "bert-tiny", {1, 16}, OURS_INT8, ORT_INT8, 4},
    {"T5", "electra-small", {1, 16}, OURS_INT8, ORT_INT8, 3},
    {"T6", NULL, {0, 0}, OURS_FP32, ORT_FP32, 1},
    {"more", "bert-base", {0, 0}, OURS_INT8, ORT_INT8, 0},
    {"more", "bert-base", {0, 0}, OURS_BF16, ORT_FP32, 0},
    {"more", "bert-tiny", {0, 0}, OURS_INT8, ORT_INT8, 0},
    {"more", "electra-small", {0, 0}, OURS_INT8, ORT_INT8, 0},
};
enum { DEMANDS = sizeof demands / sizeof *demands };

/* Everybody who may take part for one model. */
struct field {
    const char *model;
    struct berth_model *berth[SLOTS];
    struct target_ours ours[SLOTS];
    struct peer_model *peer[SLOTS];
    struct peer_torch *torch;
    void *weights; /* as many bytes as the int8 ones */
    size_t weight_bytes;
    enum berth_isa isa;
    char why[SLOTS][TARGET_WHY_SIZE]; /* empty: here */
};

static bool run_read(void *context)
{
    const struct field *field = context;
    limit_read(field->isa, field->weights, field->weight_bytes);
    return true;
}

static bool concerns(const struct target_run *run, const struct demand *demand, const char *model)
{
    return target_wanted(run, demand->target) && (!demand->model || strcmp(demand->model, model) == 0);
}

static bool same_shape(struct shape a, struct shape b)
{
    return a.texts == b.texts && a.length == b.length;
}

static bool asks(const struct target_run *run, const struct demand *demand, const char *model,
                 struct shape shape)
{
    const struct shape wanted =
        run->quick && same_shape(demand->shape, large) ? large_in_quick : demand->shape;
    return concerns(run, demand, model) && (wanted.texts == 0 || same_shape(wanted, shape));
}

/* A comparison for its own sake that a target makes, too. */
static bool is_repeated(const struct target_run *run, const struct demand *demand, const char *model,
                        struct shape shape)
{
    for (size_t d = 0; d < DEMANDS && demand->wanted == 0; d++)
        if (demands[d].wanted > 0 && demands[d].ours == demand->ours &&
            demands[d].against == demand->against && asks(run, &demands[d], model, shape))
            return true;
    return false;
}

/* --- opening ----------------------------------------------------------------------------------------------
 */

static void open_ours(struct field *field, enum slot slot)
{
    field->berth[slot] = target_model_open(field->model, slots[slot].precision, NULL, field->why[slot]);
    field->ours[slot].session = target_session_new(field->berth[slot], 1, field->why[slot]);
}

/* A buffer as large as what one run at int8 reads of the weights. */
static void open_weights(struct field *field)
{
    if (!field->berth[OURS_INT8]) {
        memcpy(field->why[WEIGHTS], field->why[OURS_INT8], TARGET_WHY_SIZE);
        return;
    }
    field->weight_bytes = (size_t)target_model_work(field->berth[OURS_INT8], 1, 16).weight_bytes / 512 * 512;
    field->weights = berth_aligned(field->weight_bytes);
    if (field->weights)
        memset(field->weights, 1, field->weight_bytes);
    else
        snprintf(field->why[WEIGHTS], TARGET_WHY_SIZE, "out of memory");
}

static void open_slot(struct target_run *run, struct field *field, enum slot slot)
{
    if (slot <= OURS_INT8)
        open_ours(field, slot);
    else if (slot == WEIGHTS)
        open_weights(field);
    else if (slot == TORCH_BF16)
        field->torch = peer_torch_open("bench/peer_torch.py", NULL, 1, field->why[slot]);
    else
        field->peer[slot] = target_peer_open(run, field->model, slots[slot].format, 1, field->why[slot]);
}

static bool is_here(const struct field *field, enum slot slot)
{
    switch (slot) {
        case WEIGHTS:
            return field->weights != NULL;
        case TORCH_BF16:
            return field->torch != NULL;
        case ORT_FP32:
        case ORT_INT8:
            return field->peer[slot] != NULL;
        default:
            return field->ours[slot].session != NULL;
    }
}

static void open_field(struct target_run *run, struct field *field, const char *model)
{
    memset(field, 0, sizeof *field);
    field->model = model;
    field->isa = run->cpu.best;
    for (enum slot slot = 0; slot < SLOTS; slot++) {
        bool needed = false;
        for (size_t d = 0; d < DEMANDS; d++)
            needed |=
                (demands[d].ours == slot || demands[d].against == slot) && concerns(run, &demands[d], model);
        if (needed)
            open_slot(run, field, slot);
    }
}

static void close_field(struct field *field)
{
    for (enum slot slot = 0; slot < SLOTS; slot++) {
        berth_session_free(field->ours[slot].session);
        berth_model_free(field->berth[slot]);
        peer_model_close(field->peer[slot]);
    }
    peer_torch_close(field->torch);
    berth_free(field->weights);
}

/* --- rows -------------------------------------------------------------------------------------------------
 */

/* What keeps the ratio from more: the machine's own limit, or what berth leaves of it. */
static void tell_bound(const struct target_run *run, const struct target_floor *floor, double ours_ms,
                       double peer_ms, double wanted, char *text, size_t size)
{
    char limit[160];
    if (floor->compute_ms > floor->memory_ms)
        snprintf(limit, sizeof limit, "%s at %.0f GOP/s (%s)", limit_format_name(floor->format),
                 run->limit[floor->format], limit_unit_find(floor->format, run->cpu.best)->name);
    else
        snprintf(limit, sizeof limit, "the weights read once from memory");
    if (peer_ms / floor->ms < wanted)
        snprintf(text, size,
                 "out of this machine's reach: its own limit, %s, is %.2f ms, a ratio of %.2f; berth is at "
                 "%.0f %% of it",
                 limit, floor->ms, peer_ms / floor->ms, 100 * floor->ms / ours_ms);
    else
        snprintf(text, size,
                 "berth is at %.0f %% of the machine's limit, %s, which is %.2f ms, a ratio of %.2f",
                 100 * floor->ms / ours_ms, limit, floor->ms, peer_ms / floor->ms);
}

static void name_comparison(const struct field *field, const struct demand *demand, struct shape shape,
                            char *text, size_t size)
{
    snprintf(text, size, "%s %zu x %zu %s against %s", field->model, shape.texts, shape.length,
             slots[demand->ours].name, slots[demand->against].name);
}

static void record_row(struct target_run *run, const struct field *field, const struct demand *demand,
                       struct shape shape, const struct target_contestant *ours,
                       const struct target_contestant *peer, const struct target_work *work,
                       const struct target_floor *floor)
{
    const struct target_spread ratio = target_ratio(ours, peer);
    json_array_append_new(
        run->results,
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:I, s:{s:f,s:f,s:f}, s:{s:f,s:f,s:f}, "
                  "s:{s:f,s:f,s:f}, s:f, s:f, s:f, s:f, s:f, s:f}",
                  "target", demand->target, "model", field->model, "batch", (json_int_t)shape.texts, "length",
                  (json_int_t)shape.length, "threads", (json_int_t)1, "precision", slots[demand->ours].name,
                  "peer", slots[demand->against].name, "rounds", (json_int_t)ours->rounds, "berth_ms",
                  "median", ours->time.median, "p10", ours->time.low, "p90", ours->time.high, "peer_ms",
                  "median", peer->time.median, "p10", peer->time.low, "p90", peer->time.high, "ratio",
                  "median", ratio.median, "p10", ratio.low, "p90", ratio.high, "wanted", demand->wanted,
                  "core_share", ours->core_share, "peer_core_share", peer->core_share, "gops",
                  work->operations / ours->time.median * 1e-6, "limit_ms", floor->ms, "share_of_limit",
                  floor->ms / ours->time.median));
    if (demand->wanted > 0 && demand->model) { /* those of every model are judged together */
        char what[96];
        name_comparison(field, demand, shape, what, sizeof what);
        target_record(run, &(struct target_figure){demand->target, what, ratio.median, TARGET_AT_LEAST,
                                                   demand->wanted, peer->time.median / floor->ms});
    }
}

static void print_row(struct target_run *run, const struct field *field, const struct demand *demand,
                      struct shape shape, const struct target_contestant *ours,
                      const struct target_contestant *peer)
{
    const struct target_work work = target_model_work(field->berth[demand->ours], shape.texts, shape.length);
    const struct target_floor floor = target_floor(run, &work, slots[demand->ours].precision);
    const struct target_spread ratio = target_ratio(ours, peer);
    const double rate = work.operations / ours->time.median * 1e-6, share = floor.ms / ours->time.median;
    const bool missed = demand->wanted > 0 && ratio.median < demand->wanted;
    char bound[320] = "";
    printf("%-4s %-13s %2zu x %-3zu %-4s %9.3f (%.3f..%.3f)  %-19s %9.3f (%.3f..%.3f)  %6.2f (%.2f..%.2f)",
           demand->target, field->model, shape.texts, shape.length, slots[demand->ours].name,
           ours->time.median, ours->time.low, ours->time.high, slots[demand->against].name, peer->time.median,
           peer->time.low, peer->time.high, ratio.median, ratio.low, ratio.high);
    if (demand->wanted > 0)
        printf("  of %5.2f %-6s", demand->wanted, target_word(ratio.median, TARGET_AT_LEAST, demand->wanted));
    else
        printf("  %15s", "");
    printf(" %6.0f GOP/s %3.0f %% of the limit\n", rate, 100 * share);
    if (ours->core_share < 0.95 || peer->core_share < 0.95)
        printf("       disturbed: other work left berth %.0f %% of the core, the peer %.0f %%\n",
               100 * ours->core_share, 100 * peer->core_share);
    if (missed) {
        tell_bound(run, &floor, ours->time.median, peer->time.median, demand->wanted, bound, sizeof bound);
        printf("       %s\n", bound);
    }
    fflush(stdout);
    record_row(run, field, demand, shape, ours, peer, &work, &floor);
}

/* berth's time beside the machine's limit alone, where the peer is missing. */
static void print_alone(struct target_run *run, const struct field *field, const struct demand *demand,
                        struct shape shape, const struct target_contestant *ours)
{
    const struct target_work work = target_model_work(field->berth[demand->ours], shape.texts, shape.length);
    const struct target_floor floor = target_floor(run, &work, slots[demand->ours].precision);
    const struct target_spread *time = &ours->time;
    char what[96];
    printf("%-4s %-13s %2zu x %-3zu %-4s %9.3f (%.3f..%.3f)  alone %15s %6.0f GOP/s %3.0f %% of the limit\n",
           demand->target, field->model, shape.texts, shape.length, slots[demand->ours].name, time->median,
           time->low, time->high, "", work.operations / time->median * 1e-6, 100 * floor.ms / time->median);
    json_array_append_new(
        run->results,
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:I, s:{s:f,s:f,s:f}, s:f, s:f}", "target", demand->target,
                  "model", field->model, "batch", (json_int_t)shape.texts, "length", (json_int_t)shape.length,
                  "threads", (json_int_t)1, "precision", slots[demand->ours].name, "rounds",
                  (json_int_t)ours->rounds, "berth_ms", "median", time->median, "p10", time->low, "p90",
                  time->high, "limit_ms", floor.ms, "share_of_limit", floor.ms / time->median));
    name_comparison(field, demand, shape, what, sizeof what);
    target_missing(run, demand->target, what, field->why[demand->against]);
}

/* --- shapes -----------------------------------------------------------------------------------------------
 */

/* False with the reason in field->why. */
static bool prepare(struct field *field, enum slot slot, const struct target_batch *batch,
                    struct target_contestant *contestant)
{
    if (slot == WEIGHTS) {
        *contestant = (struct target_contestant){.run = run_read, .context = field};
    } else if (slot <= OURS_INT8) {
        field->ours[slot].batch = batch;
        *contestant = (struct target_contestant){.run = target_ours_run, .context = &field->ours[slot]};
    } else if (slot == TORCH_BF16) {
        if (!peer_torch_prepare(field->torch, batch->texts, batch->longest)) {
            snprintf(field->why[slot], TARGET_WHY_SIZE, "PyTorch's process has ended");
            return false;
        }
        *contestant =
            (struct target_contestant){.run = peer_torch_run, .context = field->torch, .elsewhere = true};
    } else {
        if (!peer_model_prepare(field->peer[slot], batch->ids, batch->offsets, batch->texts,
                                field->why[slot]))
            return false;
        *contestant = (struct target_contestant){.run = target_peer_run, .context = field->peer[slot]};
    }
    return true;
}

/* Times all that some demand on this shape needs. place[slot]: who it is among the contestants, SLOTS: not
 * there. */
static bool measure_shape(struct target_run *run, struct field *field, struct shape shape,
                          struct target_contestant *contestants, size_t place[SLOTS])
{
    static struct target_batch batch;
    size_t count = 0;
    target_pin(); /* for each shape anew: other work comes and goes */
    target_batch_fill(run, &batch, shape.texts, shape.length);
    for (enum slot slot = 0; slot < SLOTS; slot++) {
        place[slot] = SLOTS;
        for (size_t d = 0; d < DEMANDS && place[slot] == SLOTS; d++)
            if ((demands[d].ours == slot || demands[d].against == slot) &&
                asks(run, &demands[d], field->model, shape) && is_here(field, slot) &&
                prepare(field, slot, &batch, &contestants[count]))
                place[slot] = count++;
    }
    const bool huge = shape.texts * shape.length >= large.texts * large.length;
    return count == 0 ||
           target_measure(run, contestants, count, run->quick ? 1 : 3, run->quick || huge ? 3 : 5);
}

static void compare_shape(struct target_run *run, struct field *field, struct shape shape, double *fp32_ratio)
{
    static struct target_contestant contestants[SLOTS];
    size_t place[SLOTS];
    if (!measure_shape(run, field, shape, contestants, place))
        return;
    for (size_t d = 0; d < DEMANDS; d++) {
        const struct demand *demand = &demands[d];
        if (!asks(run, demand, field->model, shape) || is_repeated(run, demand, field->model, shape))
            continue;
        const size_t ours = place[demand->ours], against = place[demand->against];
        if (ours != SLOTS && against != SLOTS) {
            print_row(run, field, demand, shape, &contestants[ours], &contestants[against]);
            if (strcmp(demand->target, "T6") == 0)
                *fp32_ratio = target_ratio(&contestants[ours], &contestants[against]).median;
        } else if (ours != SLOTS) {
            print_alone(run, field, demand, shape, &contestants[ours]);
        } else if (demand->wanted > 0) {
            char what[96];
            name_comparison(field, demand, shape, what, sizeof what);
            target_missing(run, demand->target, what, field->why[demand->ours]);
        }
    }
}

static void judge_fp32(struct target_run *run, const char *model, const double *ratios, size_t count)
{
    char what[120];
    if (count == 0)
        return;
    const struct target_spread spread = target_spread(ratios, count);
    double slowest = ratios[0];
    for (size_t i = 1; i < count; i++)
        slowest = fmin(slowest, ratios[i]);
    snprintf(what, sizeof what, "%s fp32, slowest of %zu shapes against ONNX Runtime", model, count);
    target_verdict(run, &(struct target_figure){"T6", what, slowest, TARGET_AT_LEAST, 1, 0}, NULL);
    snprintf(what, sizeof what, "%s fp32, median shape against ONNX Runtime", model);
    target_verdict(run, &(struct target_figure){"T6", what, spread.median, TARGET_AT_LEAST, 1.2, 0}, NULL);
}

static void compare_model(struct target_run *run, const char *model)
{
    static struct field field;
    const struct shape *list = run->quick ? quick_shapes : shapes;
    const size_t count = run->quick ? sizeof quick_shapes / sizeof *quick_shapes : SHAPES;
    double ratios[SHAPES];
    size_t measured = 0;
    open_field(run, &field, model);
    for (size_t s = 0; s < count; s++) {
        double ratio = NAN;
        compare_shape(run, &field, list[s], &ratio);
        if (!isnan(ratio))
            ratios[measured++] = ratio;
    }
    judge_fp32(run, model, ratios, measured);
    close_field(&field);
}

void target_grid(struct target_run *run)
{
    static const char *const names[] = {"T1", "T2", "T3", "T4", "T5", "T6", "more"};
    bool wanted = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        wanted |= target_wanted(run, names[i]);
    if (!wanted)
        return;
    printf(
        "\nT1 to T6: one core; ms of one run, median (10th..90th percentile of interleaved rounds); ratio: "
        "the other's time over berth's,\n"
        "round by round; GOP/s of what berth computes; limit: the least time that this core needs for it\n"
        "     model         shape    berth ms                        peer and its ms                         "
        "      ratio\n");
    if (run->quick)
        printf("     quick: 8 x 112 stands for 32 x 112\n");
    for (size_t m = 0; m < MODELS; m++)
        if (!run->quick || strcmp(models[m], "distilbert") != 0)
            compare_model(run, models[m]);
    target_unpin();
}
