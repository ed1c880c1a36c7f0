/* describe.c: a model told to a person or to a program: its facts, and the plan as a bill. */
#include <jansson.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "pipeline/model.h"

enum { DESCRIPTION_MAX = 64 << 20 };

static bool facts_text(struct berth_buffer *out, const struct berth_model_info *info)
{
    bool done = berth_buffer_format(out, "model          %s\n", info->name);
    if (info->layers > 0)
        done = done && berth_buffer_format(out,
                                           "architecture   %s (%s)\n"
                                           "parameters     %zu\n"
                                           "encoder        %zu layers, hidden %zu, %zu heads, feed-forward %zu (%s), embedding %zu\n"
                                           "task           %s\n",
                                           info->architecture, info->family, info->parameters, info->layers, info->hidden_size,
                                           info->heads, info->intermediate_size, info->activation, info->embedding_size, info->problem);
    done = done && berth_buffer_text(out, info->has_head ? "labels         " : "labels         none: no classifier yet");
    for (size_t i = 0; i < info->labels && info->has_head; i++)
        done = done && berth_buffer_format(out, "%s%s", i ? ", " : "", info->label_names[i]);
    return done &&
           berth_buffer_format(out,
                               "\nvocabulary     %zu tokens%s%s%s\n"
                               "longest text   %zu tokens\n"
                               "precision      %s, runtime %s\n"
                               "instructions   %s%s%s (%s)\n"
                               "threads        %zu (%s)\n"
                               "weights        %.1f MB\n",
                               info->tokenizer_size, info->lower_case ? ", lower case" : ", cased",
                               info->strip_accents ? ", accents stripped" : "", info->chinese_chars ? ", ideographs separate" : "",
                               info->max_length, info->precision, info->runtime, info->isa, info->isa_reason[0] ? ": " : "",
                               info->isa_reason, info->cpu, info->threads, info->threads_reason, (double)info->weight_bytes / 1e6);
}

static const char *kind_shape(const struct berth_plan *plan, const struct berth_step *step, char *text, size_t size)
{
    switch (step->kind) {
    case BERTH_STEP_EMBED:
        snprintf(text, size, "[%zu + %zu, %zu]", plan->vocab_size, plan->max_positions, plan->embedding);
        break;
    case BERTH_STEP_LINEAR:
        snprintf(text, size, "[%zu, %zu]", step->k, step->n);
        break;
    case BERTH_STEP_ATTENTION:
        snprintf(text, size, "%zu x %zu", plan->heads, plan->head_size);
        break;
    case BERTH_STEP_FIRST:
        snprintf(text, size, "[%zu]", plan->hidden);
        break;
    }
    return text;
}

/* Which of a step's variants a classifier runs: those that are not only for callers who want every token. */
static bool runs_for_classifier(const struct berth_step *step)
{
    return berth_step_runs(step, true);
}

static bool plan_text(struct berth_buffer *out, const struct berth_plan *plan, size_t length)
{
    bool done = berth_buffer_format(out, "\nplan for one text of %zu tokens\n%-28s %-26s %-16s %10s %12s\n", length, "step", "kernel",
                                    "shape", "MB", "Mop");
    double bytes = 0, operations = 0;
    char shape[64];
    for (size_t i = 0; i < plan->step_count && done; i++) {
        const struct berth_step *step = &plan->steps[i];
        if (!runs_for_classifier(step))
            continue;
        struct berth_step_cost cost = berth_step_cost(plan, step, 1, length);
        bytes += cost.weight_bytes;
        operations += cost.operations;
        done = berth_buffer_format(out, "%-28s %-26s %-16s %10.3f %12.3f\n", step->name, cost.kernel,
                                   kind_shape(plan, step, shape, sizeof shape), cost.weight_bytes / 1e6, cost.operations / 1e6);
    }
    return done && berth_buffer_format(out, "%-28s %-26s %-16s %10.3f %12.3f\n", "total", "", "", bytes / 1e6, operations / 1e6);
}

static json_t *strings(const char *const *items, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_string(items[i]));
    return array;
}

static json_t *plan_json(const struct berth_plan *plan, size_t length)
{
    json_t *steps = json_array();
    char shape[64];
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct berth_step *step = &plan->steps[i];
        if (!runs_for_classifier(step))
            continue;
        struct berth_step_cost cost = berth_step_cost(plan, step, 1, length);
        json_array_append_new(steps, json_pack("{s:s, s:s, s:s, s:f, s:f}", "step", step->name, "kernel", cost.kernel, "shape",
                                               kind_shape(plan, step, shape, sizeof shape), "weight_bytes", cost.weight_bytes,
                                               "operations", cost.operations));
    }
    return steps;
}

static char *describe_json(const struct berth_model *model, bool plan, size_t length)
{
    const struct berth_model_info *info = &model->info;
    size_t remarks = 0;
    while (info->remarks[remarks])
        remarks++;
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:o, s:I, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, "
        "s:I, s:b, s:b, s:b, s:o}",
        "model", info->name, "architecture", info->architecture, "family", info->family, "parameters", (json_int_t)info->parameters,
        "layers", (json_int_t)info->layers, "hidden_size", (json_int_t)info->hidden_size, "embedding_size",
        (json_int_t)info->embedding_size, "heads", (json_int_t)info->heads, "intermediate_size", (json_int_t)info->intermediate_size,
        "activation", info->activation, "vocab_size", (json_int_t)info->vocab_size, "tokenizer_size", (json_int_t)info->tokenizer_size,
        "max_position_embeddings", (json_int_t)info->max_positions, "max_length", (json_int_t)info->max_length, "labels",
        strings(info->label_names, info->has_head ? info->labels : 0), "num_labels", (json_int_t)info->labels, "has_classifier",
        info->has_head, "problem_type", info->problem, "precision", info->precision, "runtime", info->runtime, "isa", info->isa,
        "isa_reason", info->isa_reason, "cpu", info->cpu, "threads", (json_int_t)info->threads, "threads_reason", info->threads_reason,
        "weight_bytes", (json_int_t)info->weight_bytes, "do_lower_case", info->lower_case, "strip_accents", info->strip_accents,
        "tokenize_chinese_chars", info->chinese_chars, "remarks", strings(info->remarks, remarks));
    if (root && plan && model->plan)
        json_object_set_new(root, "plan", plan_json(model->plan, length));
    char *dumped = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    char *text = dumped ? berth_strdup(dumped) : NULL;
    free(dumped);
    return text;
}

char *berth_model_describe(const struct berth_model *model, bool plan, size_t length, bool json)
{
    if (length == 0)
        length = 128 < model->info.max_positions ? 128 : model->info.max_positions;
    if (json)
        return describe_json(model, plan, length);
    struct berth_buffer out;
    berth_buffer_init(&out, DESCRIPTION_MAX);
    bool done = facts_text(&out, &model->info);
    for (size_t i = 0; model->remarks[i] && done; i++)
        done = berth_buffer_format(&out, "remark         %s\n", model->remarks[i]);
    if (done && plan && model->plan)
        done = plan_text(&out, model->plan, length);
    if (!done)
        berth_buffer_clear(&out);
    return out.data;
}
