/* fuzz_hf_config.c: any bytes as config.json. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "formats/hf_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct berth_config config;
    struct berth_error err = {0};
    if (berth_config_parse("fuzz", (const char *)data, size, &config, &err) != BERTH_OK) {
        if (err.status == BERTH_OK || !err.message[0] || config.label_names)
            abort();
        return 0;
    }
    if (config.heads == 0 || config.hidden_size % config.heads != 0 || config.labels == 0 ||
        !(config.layer_norm_eps > 0))
        abort();
    for (size_t i = 0; i < config.labels; i++)
        if (!config.label_names[i])
            abort();
    berth_config_clear(&config);
    return 0;
}
