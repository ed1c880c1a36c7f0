/* safetensors.h: what the reader and the writer of the format share. */
#ifndef BERTH_FORMATS_SAFETENSORS_H
#define BERTH_FORMATS_SAFETENSORS_H

#include "formats/tensor.h"

enum { BERTH_SAFETENSORS_MAX_HEADER = 100000000 }; /* bytes; the format's own bound */

/* The header's word: "F32", "BF16", ... */
const char *berth_safetensors_dtype_name(enum berth_dtype dtype);

#endif
