/* hf_fields.h: what config.json may say for each family, as tables. Only hf_config.c reads them. */
#ifndef BERTH_FORMATS_HF_FIELDS_H
#define BERTH_FORMATS_HF_FIELDS_H

#include "formats/hf_config.h"

/* An integer of struct berth_config. */
struct berth_size_field {
    const char *name;
    const char *alias; /* another name that Hugging Face takes for the same field, or NULL */
    size_t offset;     /* in struct berth_config */
    size_t fallback;   /* when absent */
    size_t most;       /* at least 1 always */
};

/* A number of struct berth_config in [least, most], below `most` when it is a probability. */
struct berth_number_field {
    const char *name;
    size_t offset;
    double fallback, least, most;
    bool probability;
};

/* Each list ends with an empty element. */
struct berth_family_fields {
    enum berth_family family;
    const char *model_type; /* "bert" */
    const char *prefix;     /* of its architectures' names: "Bert" */
    const char *bare;       /* "BertModel" */
    const struct berth_size_field *sizes;
    const struct berth_number_field *numbers;
    const char *activation; /* the field's name */
    const char
        *classifier_dropout;    /* a field that may be null or absent, or NULL when it is among the numbers */
    const char *const *skipped; /* fields of this family that change nothing here */
};

extern const struct berth_family_fields berth_families[]; /* [3], by enum berth_family */
extern const char *const berth_skipped_fields[];          /* of any family */

#endif
