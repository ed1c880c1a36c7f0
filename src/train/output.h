/* output.h: the directory that training writes, in Hugging Face's layout: config.json, model.safetensors and
 * the tokenizer's files. Every file is written beside and renamed, so that the directory always holds whole
 * ones. */
#ifndef BERTH_TRAIN_OUTPUT_H
#define BERTH_TRAIN_OUTPUT_H

#include "model/encoder.h"
#include "text/tokenizer.h"
#include "train/weights.h"

struct berth_output {
    const char *directory;               /* made when it is missing */
    const char *source;                  /* directory of the model that training started from; NULL: random */
    bool own_vocab;                      /* the tokenizer is another than the source's */
    const struct berth_encoder *encoder; /* its configuration is that of the result */
    const struct berth_weights *weights;
    const struct berth_tokenizer *tokenizer;
};

/* Everything but the weights. */
enum berth_status berth_output_begin(const struct berth_output *output, struct berth_error *err);

/* model.safetensors from weights->value. */
enum berth_status berth_output_weights(const struct berth_output *output, struct berth_error *err);

/* And back. */
enum berth_status berth_output_read_weights(const struct berth_output *output, struct berth_weights *weights,
                                            struct berth_error *err);

/* DIRECTORY/name with this text. */
enum berth_status berth_output_text(const char *directory, const char *name, const char *text, size_t size,
                                    struct berth_error *err);

#endif
