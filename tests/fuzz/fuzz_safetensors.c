/* fuzz_safetensors.c: any bytes as a weight file by content; the seeds are safetensors files. */
#include <stddef.h>
#include <stdint.h>

#include "support/weights_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_weights(data, size);
    return 0;
}
