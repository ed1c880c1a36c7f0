/* tiny_model.h: a complete model directory that opens: the tiny BERT of engine_support.h with a vocabulary.
 */
#ifndef BERTH_TESTS_TINY_MODEL_H
#define BERTH_TESTS_TINY_MODEL_H

#include "berth/berth.h"
#include "support/engine_support.h"

/* SUPPORT_V tokens: the special ones, "film", "funny", "a", "!", "##s", "not", "the". */
extern const char tiny_vocab[];

/* A sound model whose parts a test changes before tiny_write. */
void tiny_init(struct support_model *model);
void tiny_write(struct support_model *model, const char *vocab);

/* One more file in the model's folder; tiny_clear removes it. */
void tiny_write_file(const struct support_model *model, const char *name, const char *content);
void tiny_clear(struct support_model *model);

/* Open or fail the test with the library's sentence. */
struct berth_model *tiny_open(const char *name, const struct berth_options *options);
struct berth_session *tiny_session(const struct berth_model *model, const struct berth_options *options);

/* Opening must fail with that status and a sentence that holds the words. */
void tiny_refused(const char *name, const struct berth_options *options, enum berth_status status,
                  const char *words);

#endif
