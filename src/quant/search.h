/* search.h: which layers to keep finer, so that the task's metric holds. */
#ifndef BERTH_QUANT_SEARCH_H
#define BERTH_QUANT_SEARCH_H

#include "quant/trial.h"
#include "quant/weights.h"

/* A layer as it is kept or not: the word embedding, the projection, a layer, the pooler. Its products stand side by
 * side in berth_products. */
struct berth_unit {
    size_t first, count;
    struct berth_layer_sensitivity *report; /* its name and what is found of it */
    enum berth_stored keep;                 /* PLAIN: not kept */
};

struct berth_search {
    const char *model;
    const struct berth_model *before;    /* at fp32 */
    const struct berth_options *options; /* of the caller */
    enum berth_stored stored;            /* INT8 or BF16: what is not kept */
    const struct berth_labelled *data, *sensitivity;
    const float *logits, *sensitivity_logits; /* of the model at fp32 on these */
    double metric, max_drop;                  /* the main metric at fp32, and the points it may fall by */
    struct berth_trial_progress *progress;
    struct berth_unit *unit; /* [units] */
    size_t units;
    float *found;        /* [data->count, labels]: the logits of the choice */
    double found_metric;
    bool passes; /* the check that a conversion has to pass to be written */
};

/* Names the units of an encoder; unit and layer [3 + L]; returns their number. */
size_t berth_units(struct berth_encoder *encoder, struct berth_unit *unit, struct berth_layer_sensitivity *layer);

/* Sets what an encoder keeps, by the units. */
enum berth_status berth_units_keep(const struct berth_unit *unit, size_t units, struct berth_encoder *encoder,
                                   struct berth_error *err);

/* Measures the model with nothing kept; when the metric falls too far, or the check of conversions is not passed,
 * each layer's noise on the sensitivity texts, and then the model again and again, a layer more kept each time. Fills
 * in units, their reports, found, found_metric and passes. */
enum berth_status berth_search_run(struct berth_search *search, struct berth_error *err);

#endif
