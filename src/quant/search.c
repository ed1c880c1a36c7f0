/* search.c: sensitivity layer by layer, then the gate. Noise of layers adds up nearly without regard to one another, so
 * the layer that is noisiest alone is kept first. */
#include "quant/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "pipeline/check.h"
#include "pipeline/model.h"
#include "pipeline/source.h"

/* --- units ---------------------------------------------------------------------------------------- */

static void add_unit(struct berth_unit *unit, struct berth_layer_sensitivity *layer, size_t at, size_t *first,
                     size_t count, const char *name, long number)
{
    unit[at] = (struct berth_unit){.first = *first, .count = count, .report = &layer[at]};
    layer[at] = (struct berth_layer_sensitivity){.noise = NAN, .drop = NAN};
    if (number >= 0)
        snprintf(layer[at].name, sizeof layer[at].name, "%s %ld", name, number);
    else
        snprintf(layer[at].name, sizeof layer[at].name, "%s", name);
    *first += count;
}

size_t berth_units(struct berth_encoder *encoder, struct berth_unit *unit, struct berth_layer_sensitivity *layer)
{
    size_t at = 0, first = 0;
    add_unit(unit, layer, at++, &first, 1, "word embedding", -1);
    if (encoder->project.weight.elements)
        add_unit(unit, layer, at++, &first, 1, "embedding projection", -1);
    for (size_t i = 0; i < encoder->config.layers; i++)
        add_unit(unit, layer, at++, &first, BERTH_PRODUCTS_PER_LAYER, "layer", (long)i);
    if (encoder->pooler.weight.elements)
        add_unit(unit, layer, at++, &first, 1, "pooler", -1);
    return at;
}

enum berth_status berth_units_keep(const struct berth_unit *unit, size_t units, struct berth_encoder *encoder,
                                   struct berth_error *err)
{
    const size_t count = berth_products(encoder, NULL);
    struct berth_product *products = berth_calloc(count, sizeof *products);
    if (!products)
        return berth_fail_memory(err, "the list of products", count * sizeof *products);
    berth_products(encoder, products);
    for (size_t u = 0; u < units; u++)
        for (size_t p = unit[u].first; p < unit[u].first + unit[u].count; p++)
            *products[p].keep = unit[u].keep;
    berth_free(products);
    return BERTH_OK;
}

/* --- trials --------------------------------------------------------------------------------------- */

/* The model with what the units say kept, on `data`; `passes` may be NULL: not checked. */
static enum berth_status try_units(struct berth_search *s, const struct berth_labelled *data, float *logits,
                                   bool *passes, struct berth_error *err)
{
    struct berth_options options = *s->options;
    struct berth_conversion check = {.checked = false};
    struct berth_encoder *encoder = NULL;
    struct berth_model *model = NULL;
    enum berth_status status;
    options.precision = s->stored == BERTH_STORED_INT8 ? BERTH_PRECISION_INT8 : BERTH_PRECISION_BF16;
    options.log = NULL; /* it was said once */
    BERTH_TRY(berth_source_encoder(s->model, &encoder, err));
    BERTH_TRY(berth_units_keep(s->unit, s->units, encoder, err));
    struct berth_encoder *given = encoder;
    encoder = NULL;
    BERTH_TRY(berth_model_open_encoder(s->model, given, &options, &model, err));
    BERTH_TRY(berth_trial_run(model, data, s->progress, logits, err));
    if (passes) {
        BERTH_TRY(berth_check_models(s->before, model, options.precision, &check, err));
        *passes = berth_check_passes(&check);
    }
fail:
    berth_encoder_free(encoder);
    berth_model_free(model);
    return status;
}

static void keep_all(struct berth_search *s, enum berth_stored keep)
{
    for (size_t i = 0; i < s->units; i++)
        s->unit[i].keep = keep;
}

/* One layer quantised, all others in fp32: how far the logits move. */
static enum berth_status measure_noise(struct berth_search *s, float *logits, struct berth_error *err)
{
    const size_t numbers = s->sensitivity->count * s->data->labels.model->labels;
    enum berth_status status = BERTH_OK;
    for (size_t i = 0; i < s->units && status == BERTH_OK; i++) {
        keep_all(s, BERTH_STORED_FP32);
        s->unit[i].keep = BERTH_STORED_PLAIN;
        status = try_units(s, s->sensitivity, logits, NULL, err);
        if (status == BERTH_OK)
            s->unit[i].report->noise = berth_trial_distance(logits, s->sensitivity_logits, numbers, NULL);
    }
    keep_all(s, BERTH_STORED_PLAIN);
    return status;
}

static int compare_noise(const void *a, const void *b)
{
    const double x = (*(struct berth_unit *const *)a)->report->noise, y = (*(struct berth_unit *const *)b)->report->noise;
    return (x < y) - (x > y);
}

static enum berth_status measure_drop(struct berth_search *s, double *drop, struct berth_error *err)
{
    struct berth_evaluation evaluation;
    enum berth_status status = try_units(s, s->data, s->found, &s->passes, err);
    if (status == BERTH_OK)
        status = berth_trial_score(s->data, s->found, &evaluation, err);
    if (status == BERTH_OK) {
        s->found_metric = evaluation.metric[0].value;
        *drop = 100 * (s->metric - s->found_metric);
    }
    return status;
}

/* Not a number (the correlation of a constant) holds no bound. */
static bool holds(const struct berth_search *s, double drop)
{
    return s->passes && drop <= s->max_drop + 1e-9;
}

/* The next finer numbers, layer by layer, until the metric holds and the check is passed. */
static enum berth_status keep_layers(struct berth_search *s, struct berth_unit **order, double *drop,
                                     struct berth_error *err)
{
    for (enum berth_stored keep = s->stored + 1; keep <= BERTH_STORED_FP32; keep++)
        for (size_t i = 0; i < s->units; i++) {
            order[i]->keep = keep;
            enum berth_status status = measure_drop(s, drop, err);
            if (status != BERTH_OK)
                return status;
            order[i]->report->drop = *drop;
            if (holds(s, *drop))
                return BERTH_OK;
        }
    return BERTH_OK;
}

static enum berth_status choose(struct berth_search *s, double *drop, struct berth_error *err)
{
    const size_t labels = s->data->labels.model->labels;
    struct berth_unit **order = berth_calloc(s->units, sizeof *order);
    float *logits = berth_malloc(s->sensitivity->count, labels * sizeof *logits);
    enum berth_status status;
    if (!order || !logits) {
        status = berth_fail_memory(err, "the layers' sensitivity", s->sensitivity->count * labels * sizeof *logits);
        goto fail;
    }
    BERTH_TRY(measure_noise(s, logits, err));
    for (size_t i = 0; i < s->units; i++)
        order[i] = &s->unit[i];
    qsort(order, s->units, sizeof(struct berth_unit *), compare_noise);
    status = keep_layers(s, order, drop, err);
fail:
    berth_free(order);
    berth_free(logits);
    return status;
}

enum berth_status berth_search_run(struct berth_search *s, struct berth_error *err)
{
    double drop;
    enum berth_status status = measure_drop(s, &drop, err);
    if (status == BERTH_OK && !holds(s, drop))
        status = choose(s, &drop, err);
    if (status == BERTH_OK && !holds(s, drop))
        status = berth_fail(err, BERTH_FORMAT,
                            "%s: not written: even with all layers in fp32 the metric falls by %.3f points, more "
                            "than %g",
                            s->model, drop, s->max_drop);
    return status;
}
