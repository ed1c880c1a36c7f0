/* plan_cost.c: what a plan takes: workspace, weights, and the bill of each step. */
#include <stdint.h>
#include <stdio.h>

#include "base/checked.h"
#include "plan/plan.h"

size_t berth_plan_slot_rows(enum berth_slot slot, size_t tokens, size_t texts)
{
    bool per_text = slot == BERTH_SLOT_FIRST || slot == BERTH_SLOT_QUERY || slot == BERTH_SLOT_POOLED ||
                    slot == BERTH_SLOT_LOGITS;
    return per_text ? texts : tokens;
}

/* Slots in the order they are laid down. QKV and CONTEXT are dead once attention's output is in the residual
 * stream, just when FFN comes to life; EMBEDDED dies before QKV is born. */
static const struct {
    enum berth_slot slot;
    bool rewind; /* starts again where QKV begins */
} order[] = {
    {BERTH_SLOT_X, false},       {BERTH_SLOT_FIRST, false},  {BERTH_SLOT_QUERY, false},
    {BERTH_SLOT_POOLED, false},  {BERTH_SLOT_LOGITS, false}, {BERTH_SLOT_QKV, false},
    {BERTH_SLOT_CONTEXT, false}, {BERTH_SLOT_FFN, true},     {BERTH_SLOT_EMBEDDED, true},
};

size_t berth_plan_twin_row(const struct berth_plan *plan, enum berth_slot slot, enum berth_number number)
{
    return berth_tiled_row(plan->slot_width[slot] * (number == BERTH_NUMBER_S8 ? 1 : 2));
}

/* Bytes that `rows` rows of a slot take, laid out from `begin` on; false when that is beyond any memory. */
static bool place_slot(const struct berth_plan *plan, enum berth_slot slot, size_t rows, size_t begin,
                       struct berth_place *place, size_t *end)
{
    size_t width = plan->slot_width[slot], bytes;
    if (!berth_mul(rows, 8 * width + 64 + sizeof(float), &bytes) || bytes > SIZE_MAX / 8)
        return false; /* more than all of it */
    place->values = begin;
    place->twin = begin + berth_arena_need(rows * width, sizeof(float));
    place->scales = place->twin + berth_arena_need(berth_tiled_size(rows, plan->twin_row[slot]), 1);
    *end = place->scales;
    if (plan->twin_row[slot] > 0)
        *end += berth_arena_need(rows, sizeof(float));
    return true;
}

size_t berth_plan_workspace(const struct berth_plan *plan, size_t tokens, size_t texts,
                            struct berth_place places[BERTH_SLOT_COUNT])
{
    size_t end = 0, shared = 0, total = 0;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        enum berth_slot slot = order[i].slot;
        struct berth_place place;
        if (slot == BERTH_SLOT_QKV)
            shared = end;
        if (order[i].rewind)
            end = shared;
        if (!place_slot(plan, slot, berth_plan_slot_rows(slot, tokens, texts), end, &place, &end))
            return SIZE_MAX / 4;
        if (places)
            places[slot] = place;
        end = berth_min(end, SIZE_MAX / 4);
        total = berth_max(total, end);
    }
    return total;
}

size_t berth_plan_weight_bytes(const struct berth_plan *plan)
{
    return plan->packed.size + (plan->word_tiled ? 0 : plan->word_embedding->bytes);
}

void berth_plan_kept(const struct berth_plan *plan, size_t *kept, size_t *products)
{
    *kept = *products = 0;
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct berth_step *step = &plan->steps[i];
        if (step->kind != BERTH_STEP_LINEAR || step->out == BERTH_SLOT_LOGITS || !berth_step_runs(step, false))
            continue;
        ++*products;
        *kept += step->weights.number != plan->number;
    }
}

/* Of a number of the word embedding. */
static double word_bytes(const struct berth_plan *plan)
{
    if (plan->word_number == BERTH_NUMBER_F32)
        return (double)berth_dtype_size(plan->word_embedding->dtype);
    return plan->word_number == BERTH_NUMBER_S8 ? 1 : 2;
}

static double matrix_bytes(const struct berth_step *step)
{
    double numbers = (double)step->n * (double)step->k;
    switch (step->weights.number) {
        case BERTH_NUMBER_S8:
            return numbers + (double)step->n * (sizeof(float) + sizeof(int32_t));
        case BERTH_NUMBER_BF16:
            return numbers * 2;
        case BERTH_NUMBER_F32:
            break;
    }
    return numbers * sizeof(float);
}

static const char *linear_kernel(const struct berth_plan *plan, const struct berth_matrix *weights)
{
    if (weights->unpacked)
        return "f32_dense";
    switch (weights->number) {
        case BERTH_NUMBER_S8:
            return plan->kernels->gemm_s8_name;
        case BERTH_NUMBER_BF16:
            return plan->kernels->gemm_bf16_name;
        case BERTH_NUMBER_F32:
            break;
    }
    return plan->kernels->gemm_f32_name;
}

/* Bytes of a number as products read it. */
static double number_bytes(enum berth_number number)
{
    static const double bytes[] = {
        [BERTH_NUMBER_F32] = sizeof(float), [BERTH_NUMBER_BF16] = 2, [BERTH_NUMBER_S8] = 1};
    return bytes[number];
}

/* Bytes of a row of a slot's `columns` columns that a step writes: as floats, and rounded when the slot has a
 * twin. */
static double written_bytes(const struct berth_step *step, double columns)
{
    return columns * (sizeof(float) + (step->twin == BERTH_NUMBER_F32 ? 0 : number_bytes(step->twin)));
}

struct berth_step_cost berth_step_cost(const struct berth_plan *plan, const struct berth_step *step,
                                       size_t texts, size_t length)
{
    static const char *const embed_kernels[] = {"f32_embed_layernorm", "bf16_embed_layernorm",
                                                "s8_embed_layernorm"};
    double rows = step->per_text ? (double)texts : (double)texts * (double)length;
    double n = (double)step->n, k = (double)step->k;
    struct berth_step_cost cost = {.kernel = "copy"};
    switch (step->kind) {
        case BERTH_STEP_EMBED:
            cost.kernel = embed_kernels[plan->word_number];
            cost.weight_bytes = rows * n * word_bytes(plan);
            cost.activation_bytes = rows * written_bytes(step, n);
            cost.operations = rows * n * 8; /* two additions and a LayerNorm */
            break;
        case BERTH_STEP_LINEAR:
            cost.kernel = linear_kernel(plan, &step->weights);
            cost.weight_bytes =
                matrix_bytes(step) + n * ((step->bias ? 1 : 0) + (step->gamma ? 2 : 0)) * sizeof(float);
            cost.activation_bytes =
                rows * (k * number_bytes(step->weights.number) + written_bytes(step, n) +
                        (step->residual ? n * sizeof(float) : 0));
            cost.operations = 2 * rows * n * k;
            break;
        case BERTH_STEP_ATTENTION:
            cost.kernel = step->number == BERTH_NUMBER_S8 ? plan->kernels->attention_s8_name
                                                          : plan->kernels->attention_f32_name;
            cost.activation_bytes = rows * ((double)plan->part * sizeof(float) +
                                            written_bytes(step, (double)plan->hidden)) +
                                    2 * (double)texts * (double)length * (double)plan->part * sizeof(float);
            cost.operations = 4 * rows * (double)length * (double)plan->hidden;
            break;
        case BERTH_STEP_FIRST:
            cost.activation_bytes = rows * (n * sizeof(float) + written_bytes(step, n));
            break;
    }
    return cost;
}

const char *berth_step_epilogue(const struct berth_step *step, char *text, size_t size)
{
    static const char *const acts[] = {"", "gelu", "gelu (tanh)", "relu", "silu", "tanh"};
    static const char *const twins[] = {"", "to bf16", "to int8"};
    bool norm = step->gamma || step->kind == BERTH_STEP_EMBED;
    const char *parts[] = {step->kind == BERTH_STEP_LINEAR ? acts[step->act] : "",
                           step->residual ? "residual" : "", norm ? "LayerNorm" : "",
                           twins[step->twin]};
    text[0] = 0;
    for (size_t i = 0, used = 0; i < sizeof parts / sizeof parts[0] && used < size; i++) {
        if (parts[i][0])
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", parts[i]);
    }
    return text;
}
