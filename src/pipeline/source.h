/* source.h: what a model argument names, when only its encoder is wanted. */
#ifndef BERTH_PIPELINE_SOURCE_H
#define BERTH_PIPELINE_SOURCE_H

#include <stdbool.h>

#include "model/encoder.h"

/* The vocabulary that random models use when no other is given (builtin_vocab.txt). */
extern const unsigned char berth_builtin_vocab[];
extern const size_t berth_builtin_vocab_size;

/* What the rest of this file takes for a model argument, for berth_free: the directory of a bundled model
 * (bundled.h), the snapshot of an id of the hub
 * ("org/name", where there is no such directory) in the cache of models, else the argument itself. */
enum berth_status berth_source_resolve(const char *name, char **path, struct berth_error *err);

bool berth_source_is_random(const char *name);     /* "random:PRESET" */
const char *berth_source_preset(const char *name); /* PRESET of it */
bool berth_source_is_onnx(const char *name);       /* a file called *.onnx */

/* The folder of MODEL's configuration and vocabulary, for berth_free; NULL when memory ran out. */
char *berth_source_folder(const char *name);

/* Opens the encoder of MODEL: a directory, a .onnx file, or random:PRESET. */
enum berth_status berth_source_encoder(const char *name, struct berth_encoder **encoder,
                                       struct berth_error *err);

#endif
