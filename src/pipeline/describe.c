/* describe.c: a model told to a person or to a program: its facts, and the plan as a bill. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/error.h"
#include "pipeline/model.h"
#include "text/utf8.h"

enum { DESCRIPTION_MAX = 64 << 20 };

/* A model's own words, made fit for a terminal as those of an error are. */
static bool append_printable(struct berth_buffer *out, const char *text)
{
    struct berth_error line;
    berth_fail(&line, BERTH_OK, "%s", text);
    return berth_buffer_text(out, line.message);
}

static bool labels_text(struct berth_buffer *out, const struct berth_model_info *info)
{
    if (!info->has_head)
        return berth_buffer_text(out, "none: no classifier yet");
    bool done = true;
    for (size_t i = 0; i < info->labels && done; i++)
        done = berth_buffer_text(out, i ? ", " : "") && append_printable(out, info->label_names[i]);
    return done;
}

static bool encoder_text(struct berth_buffer *out, const struct berth_model_info *info)
{
    return berth_buffer_text(out, "\narchitecture   ") && append_printable(out, info->architecture) &&
           berth_buffer_format(
               out,
               " (%s)\n"
               "parameters     %zu\n"
               "encoder        %zu layers, hidden %zu, %zu heads, feed-forward %zu (%s), embedding %zu\n"
               "task           %s",
               info->family, info->parameters, info->layers, info->hidden_size, info->heads,
               info->intermediate_size, info->activation, info->embedding_size, info->problem);
}

static bool facts_text(struct berth_buffer *out, const struct berth_model_info *info)
{
    char longest[32] = "no limit";
    if (info->max_length > 0)
        snprintf(longest, sizeof longest, "%zu tokens", info->max_length);
    return berth_buffer_text(out, "model          ") && append_printable(out, info->name) &&
           (info->layers == 0 || encoder_text(out, info)) && berth_buffer_text(out, "\nlabels         ") &&
           labels_text(out, info) &&
           berth_buffer_format(out,
                               "\nvocabulary     %zu tokens%s%s%s\n"
                               "longest text   %s\n"
                               "precision      %s%s%s, runtime %s%s%s\n"
                               "instructions   %s%s%s (%s)\n"
                               "threads        %zu (%s)\n"
                               "weights        %.1f MB\n",
                               info->tokenizer_size, info->lower_case ? ", lower case" : ", cased",
                               info->strip_accents ? ", accents stripped" : "",
                               info->chinese_chars ? ", ideographs separate" : "", longest, info->precision,
                               info->precision_reason[0] ? ": " : "", info->precision_reason, info->runtime,
                               info->optimization[0] ? ", optimization " : "", info->optimization, info->isa, info->isa_reason[0] ? ": " : "", info->isa_reason, info->cpu,
                               info->threads, info->threads_reason, (double)info->weight_bytes / 1e6) &&
           (!info->device || berth_buffer_format(out, "device         %s\n", info->device));
}

static const char *kind_shape(const struct berth_plan *plan, const struct berth_step *step, char *text,
                              size_t size)
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

static bool plan_line(struct berth_buffer *out, const char *step, const char *kernel, const char *shape,
                      const char *epilogue, const struct berth_step_cost *cost)
{
    return berth_buffer_format(out, "%-41s %-22s %-19s %-28s %8.3f %8.3f %10.3f\n", step, kernel, shape,
                               epilogue, cost->weight_bytes / 1e6, cost->activation_bytes / 1e6,
                               cost->operations / 1e6);
}

/* The bill: what is read of the weights once, what passes between steps, and operations. */
static bool plan_text(struct berth_buffer *out, const struct berth_plan *plan, size_t length)
{
    bool done =
        berth_buffer_format(out, "\nplan for one text of %zu tokens\n%-41s %-22s %-19s %-28s %8s %8s %10s\n",
                            length, "step", "kernel", "shape", "then", "weights", "between", "work");
    done = done && berth_buffer_format(out, "%113s %8s %8s %10s\n", "", "MB", "MB", "Mop");
    struct berth_step_cost total = {0};
    char shape[64], epilogue[64];
    for (size_t i = 0; i < plan->step_count && done; i++) {
        const struct berth_step *step = &plan->steps[i];
        if (!runs_for_classifier(step))
            continue;
        struct berth_step_cost cost = berth_step_cost(plan, step, 1, length);
        total.weight_bytes += cost.weight_bytes;
        total.activation_bytes += cost.activation_bytes;
        total.operations += cost.operations;
        done = plan_line(out, step->name, cost.kernel, kind_shape(plan, step, shape, sizeof shape),
                         berth_step_epilogue(step, epilogue, sizeof epilogue), &cost);
    }
    return done && plan_line(out, "total", "", "", "", &total) &&
           berth_buffer_format(out, "workspace for %zu tokens at a time: %.1f MB\n", length,
                               (double)berth_plan_workspace(plan, length, 1, NULL) / 1e6);
}

/* A JSON string; ill-formed UTF-8, as a folder's name may hold, becomes U+FFFD. */
static json_t *json_text(const char *text)
{
    struct berth_buffer clean;
    berth_buffer_init(&clean, DESCRIPTION_MAX);
    const unsigned char *s = (const unsigned char *)text, *end = s + strlen(text);
    bool done = berth_buffer_text(&clean, "");
    while (s < end && done) {
        uint32_t code_point;
        unsigned char bytes[4];
        s += berth_utf8_read(s, end, &code_point);
        done = berth_buffer_append(&clean, bytes, berth_utf8_write(bytes, code_point));
    }
    json_t *string = done ? json_string(clean.data) : NULL;
    berth_buffer_clear(&clean);
    return string;
}

static json_t *json_texts(const char *const *items, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(array, json_text(items[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *plan_json(const struct berth_plan *plan, size_t length)
{
    json_t *steps = json_array();
    char shape[64], epilogue[64];
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct berth_step *step = &plan->steps[i];
        if (!runs_for_classifier(step))
            continue;
        struct berth_step_cost cost = berth_step_cost(plan, step, 1, length);
        json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "step", step->name, "kernel",
                                cost.kernel, "shape", kind_shape(plan, step, shape, sizeof shape), "then",
                                berth_step_epilogue(step, epilogue, sizeof epilogue), "weight_bytes",
                                (json_int_t)cost.weight_bytes, "activation_bytes",
                                (json_int_t)cost.activation_bytes, "operations", (json_int_t)cost.operations);
        if (json_array_append_new(steps, row) != 0) {
            json_decref(steps);
            return NULL;
        }
    }
    return steps;
}

/* The object being described, and whether every member so far found memory. */
struct description {
    json_t *root;
    bool complete;
};

static void put(struct description *into, const char *key, json_t *value)
{
    into->complete = json_object_set_new(into->root, key, value) == 0 && into->complete;
}

static void put_text(struct description *into, const char *key, const char *text)
{
    put(into, key, json_text(text));
}

static void put_size(struct description *into, const char *key, size_t size)
{
    put(into, key, json_integer((json_int_t)size));
}

static void put_facts(struct description *into, const struct berth_model_info *info)
{
    size_t remarks = 0;
    while (info->remarks[remarks])
        remarks++;
    put_text(into, "model", info->name);
    put_text(into, "architecture", info->architecture);
    put_text(into, "family", info->family);
    put_size(into, "parameters", info->parameters);
    put_size(into, "layers", info->layers);
    put_size(into, "hidden_size", info->hidden_size);
    put_size(into, "embedding_size", info->embedding_size);
    put_size(into, "heads", info->heads);
    put_size(into, "intermediate_size", info->intermediate_size);
    put_text(into, "activation", info->activation);
    put_size(into, "vocab_size", info->vocab_size);
    put_size(into, "tokenizer_size", info->tokenizer_size);
    put_size(into, "max_position_embeddings", info->max_positions);
    put_size(into, "max_length", info->max_length);
    put(into, "labels", json_texts(info->label_names, info->has_head ? info->labels : 0));
    put_size(into, "num_labels", info->labels);
    put(into, "has_classifier", json_boolean(info->has_head));
    put_text(into, "problem_type", info->problem);
    put_text(into, "precision", info->precision);
    put_text(into, "precision_reason", info->precision_reason);
    put_text(into, "runtime", info->runtime);
    put_text(into, "optimization", info->optimization);
    put_text(into, "isa", info->isa);
    put_text(into, "isa_reason", info->isa_reason);
    put_text(into, "cpu", info->cpu);
    if (info->device)
        put_text(into, "device", info->device);
    put_size(into, "threads", info->threads);
    put_text(into, "threads_reason", info->threads_reason);
    put_size(into, "weight_bytes", info->weight_bytes);
    put(into, "do_lower_case", json_boolean(info->lower_case));
    put(into, "strip_accents", json_boolean(info->strip_accents));
    put(into, "tokenize_chinese_chars", json_boolean(info->chinese_chars));
    put(into, "remarks", json_texts(info->remarks, remarks));
}

/* What jansson writes. It overlooks a key that found no memory, so the failure is kept here. */
struct dump {
    struct berth_buffer out;
    bool complete;
};

static int append_dump(const char *bytes, size_t size, void *context)
{
    struct dump *dump = context;
    dump->complete = berth_buffer_append(&dump->out, bytes, size) && dump->complete;
    return dump->complete ? 0 : -1;
}

static char *describe_json(const struct berth_model *model, bool plan, size_t length)
{
    struct description into = {json_object(), true};
    put_facts(&into, &model->info);
    if (plan && model->plan)
        put(&into, "plan", plan_json(model->plan, length));
    struct dump dump = {.complete = into.complete};
    berth_buffer_init(&dump.out, DESCRIPTION_MAX);
    bool written = into.complete && json_dump_callback(into.root, append_dump, &dump, JSON_INDENT(2)) == 0;
    json_decref(into.root);
    if (!written || !dump.complete)
        berth_buffer_clear(&dump.out);
    return dump.out.data;
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
