/* weights_fuzz.c: see the header. */
#include "support/weights_fuzz.h"

#include <stdlib.h>

#include "formats/checkpoint.h"

void fuzz_weights(const uint8_t *data, size_t size)
{
    struct berth_checkpoint *checkpoint;
    struct berth_error err = {0};
    if (berth_checkpoint_open_memory("fuzz", data, size, &checkpoint, &err) != BERTH_OK) {
        if (checkpoint || err.status == BERTH_OK || !err.message[0])
            abort();
        return;
    }
    for (size_t i = 0; i < berth_checkpoint_count(checkpoint); i++) {
        const struct berth_tensor *tensor = berth_checkpoint_at(checkpoint, i);
        if (berth_checkpoint_find(checkpoint, tensor->name) != tensor)
            abort();
        for (size_t k = 0; k < tensor->bytes; k++)
            (void)((const volatile unsigned char *)tensor->data)[k];
    }
    berth_checkpoint_close(checkpoint);
}
