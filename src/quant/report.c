/* report.c: the report of a quantisation as JSON, and its end. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/json_load.h"
#include "berth/berth.h"

void berth_quantize_report_clear(struct berth_quantize_report *report)
{
    if (!report)
        return;
    for (size_t i = 0; i < report->moved; i++)
        berth_free(report->text[i].text);
    berth_free(report->text);
    berth_free(report->layer);
    berth_free(report->owned);
    *report = (struct berth_quantize_report){.drop = 0};
}

/* Undefined numbers are null. */
static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *text(const char *value)
{
    return value ? json_stringn_nocheck(value, strlen(value)) : json_null();
}

/* jansson refuses what is not UTF-8: a file's text may be anything. */
static json_t *any_text(const char *value)
{
    json_t *string = json_string(value);
    return string ? string : json_string("(not UTF-8)");
}

static json_t *side_json(const struct berth_quantize_side *side)
{
    return json_pack("{s:s, s:o, s:o, s:[o,o], s:I, s:I, s:o, s:o}", "precision", side->precision, "metric",
                     real(side->metric), "accuracy", real(side->accuracy), "accuracy_ci", real(side->interval[0]),
                     real(side->interval[1]), "stored_bytes", (json_int_t)side->stored_bytes, "memory_bytes",
                     (json_int_t)side->memory_bytes, "load_ms", real(side->load_ms), "texts_per_second",
                     real(side->texts_per_second));
}

static json_t *layers_json(const struct berth_quantize_report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->layers; i++) {
        const struct berth_layer_sensitivity *layer = &report->layer[i];
        json_array_append_new(list, json_pack("{s:s, s:o, s:s, s:o}", "layer", layer->name, "noise",
                                              real(layer->noise), "precision", layer->precision, "drop_when_kept",
                                              real(layer->drop)));
    }
    return list;
}

static json_t *texts_json(const struct berth_quantize_report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->moved; i++) {
        const struct berth_moved_text *moved = &report->text[i];
        json_array_append_new(
            list, json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "line", (json_int_t)moved->line, "text",
                            any_text(moved->text), "before", text(moved->before), "after", text(moved->after),
                            "actual", text(moved->actual), "score_before", real(moved->score_before), "score_after",
                            real(moved->score_after), "change", real(moved->change), "logit_change",
                            real(moved->logit_change)));
    }
    return list;
}

char *berth_quantize_json(const struct berth_quantize_report *report)
{
    json_t *root =
        json_pack("{s:s, s:I, s:{s:I, s:o, s:o}}", "precision", report->after.precision, "stored_bytes",
                  (json_int_t)report->after.stored_bytes, "check", "texts", (json_int_t)report->check_texts,
                  "largest_difference", real(report->check_difference), "allowed", real(report->check_allowed));
    if (root && report->measured) {
        json_t *cost = json_pack(
            "{s:s, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:{s:o, s:o}, s:o, s:o, s:I, s:I, s:o, s:o}", "metric",
            report->metric, "examples", (json_int_t)report->examples, "drop_points", real(report->drop), "before",
            side_json(&report->before), "after", side_json(&report->after), "flips", (json_int_t)report->flips,
            "right_to_wrong", (json_int_t)report->broken, "wrong_to_right", (json_int_t)report->mended, "mcnemar",
            "exact_p", real(report->p_value), "mid_p", real(report->p_mid), "logit_rms", real(report->logit_rms),
            "logit_largest", real(report->logit_largest), "layers_kept", (json_int_t)report->kept,
            "sensitivity_texts", (json_int_t)report->sensitivity_texts, "layers", layers_json(report), "worst",
            texts_json(report));
        if (!cost || json_object_update(root, cost) != 0) {
            json_decref(cost);
            json_decref(root);
            return NULL;
        }
        json_decref(cost);
    }
    char *dumped = root ? berth_json_dump(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    return dumped;
}
