/* presets.h: published sizes by name, for models of random weights. */
#ifndef BERTH_MODEL_PRESETS_H
#define BERTH_MODEL_PRESETS_H

#include <stdint.h>

#include "berth/status.h"
#include "formats/hf_config.h"

/* "bert-base" or "bert-base@7": the configuration (cleared by the caller) and the seed (1 when not given). */
enum berth_status berth_preset_config(const char *preset, struct berth_config *config, uint64_t *seed,
                                      struct berth_error *err);

#endif
