/* hf_storage.h: quantization_config of config.json, as `berth quantize` writes it:
 *
 *   {"quant_method": "berth", "version": 1, "precision": "int8" | "bf16", "kept": {MODULE: "bf16" | "fp32",
 * ...}}
 *
 * docs/quantization.md says what the files of such a checkpoint hold. */
#ifndef BERTH_FORMATS_HF_STORAGE_H
#define BERTH_FORMATS_HF_STORAGE_H

#include <jansson.h>

#include "formats/hf_config.h"

enum { BERTH_KEPT_MAX = 8192 }; /* modules */

/* Absent, null, false or empty: PLAIN. Another method, an unknown version or field, and a module kept coarser
 * than the rest are refused by name. *storage is empty on failure. */
enum berth_status berth_storage_read(const char *name, const json_t *root, struct berth_storage *storage,
                                     struct berth_error *err);

/* The same as JSON; NULL when memory ran out or it is PLAIN. */
json_t *berth_storage_json(const struct berth_storage *storage);

#endif
