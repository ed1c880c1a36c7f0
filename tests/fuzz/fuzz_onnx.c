/* fuzz_onnx.c: any bytes as an ONNX file beside the configuration of a tiny BERT; the seeds are exports of
 * one in each form. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char json[] =
        "{\"architectures\": [\"BertForSequenceClassification\"], \"model_type\": \"bert\", \"vocab_size\": "
        "11, "
        "\"hidden_size\": 8, \"num_attention_heads\": 2, \"num_hidden_layers\": 2, \"intermediate_size\": "
        "12, "
        "\"max_position_embeddings\": 7, \"type_vocab_size\": 2, \"hidden_act\": \"gelu\"}";
    struct berth_config config;
    struct berth_encoder *encoder;
    struct berth_error err = {0};
    if (berth_config_parse("fuzz", json, strlen(json), &config, &err) != BERTH_OK)
        abort();
    enum berth_status status = berth_onnx_import_memory("fuzz", data, size, &config, &encoder, &err);
    if (status != BERTH_OK && (encoder || !err.message[0]))
        abort();
    if (status == BERTH_OK && (!encoder || !encoder->has_head))
        abort();
    berth_encoder_free(encoder);
    return 0;
}
