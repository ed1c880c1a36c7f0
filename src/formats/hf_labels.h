/* hf_labels.h: the part of config.json that names the outputs. */
#ifndef BERTH_FORMATS_HF_LABELS_H
#define BERTH_FORMATS_HF_LABELS_H

#include <jansson.h>

#include "formats/hf_config.h"

/* Fills labels, label_names, has_label_names and problem from num_labels, id2label, label2id and
 * problem_type. On failure what was filled is for berth_config_clear. */
enum berth_status berth_labels_read(const char *name, json_t *root, struct berth_config *config,
                                    struct berth_error *err);

#endif
