/* weights_fuzz.h: what the fuzz targets of weight files check. */
#ifndef BERTH_TESTS_WEIGHTS_FUZZ_H
#define BERTH_TESTS_WEIGHTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Opens the bytes as a weight file. Refused: there is a sentence. Opened: every tensor's bytes can be read.
 * Aborts when neither holds; reads outside are the sanitizer's to find. */
void fuzz_weights(const uint8_t *data, size_t size);

#endif
