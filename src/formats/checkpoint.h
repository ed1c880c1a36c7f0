/* checkpoint.h: every tensor of a model's weight files, whatever their format. After this, nothing knows the
 * format.
 *
 *   DIR/model.safetensors | DIR/model.safetensors.index.json + shards | DIR/pytorch_model.bin (zip or older
 * form) | DIR/pytorch_model.bin.index.json + shards
 *
 * Tensors are views on the mapped files where the bytes are usable as they stand, else on memory the
 * checkpoint owns. */
#ifndef BERTH_FORMATS_CHECKPOINT_H
#define BERTH_FORMATS_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "berth/status.h"
#include "formats/tensor.h"

struct berth_checkpoint;

/* Where a model directory may have its weights: the first of these that is there is read. An index names shards. */
enum { BERTH_WEIGHTS_NAMES = 4 };
struct berth_weights_name {
    const char *name;
    bool index;
};
extern const struct berth_weights_name berth_weights_names[BERTH_WEIGHTS_NAMES];

/* Opens the weights of a model directory (safetensors is preferred to .bin). BERTH_NOT_FOUND when it has
 * none. */
enum berth_status berth_checkpoint_open(const char *directory, struct berth_checkpoint **checkpoint,
                                        struct berth_error *err);

/* Opens one weight file (by its content: safetensors, zip .bin, older .bin). */
enum berth_status berth_checkpoint_open_file(const char *path, struct berth_checkpoint **checkpoint,
                                             struct berth_error *err);

/* The same from memory, borrowed until close. `name` stands in messages. */
enum berth_status berth_checkpoint_open_memory(const char *name, const void *data, size_t size,
                                               struct berth_checkpoint **checkpoint, struct berth_error *err);

void berth_checkpoint_close(struct berth_checkpoint *checkpoint); /* NULL is fine; all views die */

size_t berth_checkpoint_count(const struct berth_checkpoint *checkpoint);
const struct berth_tensor *berth_checkpoint_at(const struct berth_checkpoint *checkpoint,
                                               size_t index); /* sorted by name */
const struct berth_tensor *berth_checkpoint_find(const struct berth_checkpoint *checkpoint,
                                                 const char *name); /* NULL: absent */

/* The file a tensor (or a copy of its struct) came from, for messages; borrowed. */
const char *berth_checkpoint_file_of(const struct berth_checkpoint *checkpoint,
                                     const struct berth_tensor *tensor);

/* A value of safetensors' __metadata__ ("format", or berth's own); NULL when absent. */
const char *berth_checkpoint_metadata(const struct berth_checkpoint *checkpoint, const char *key);

/* The tensor's bytes are not needed for now: leave resident memory (they can be read again). Nothing happens
 * for memory that the checkpoint owns: only transposed and other strided tensors of a .bin. */
void berth_checkpoint_forget(const struct berth_checkpoint *checkpoint, const struct berth_tensor *tensor);

/* Writes tensors as one safetensors file, atomically. BERTH_INVALID_ARGUMENT for a name that is not UTF-8 or
 * appears twice, or a tensor whose bytes are not those of its shape. Layout: 8-byte little-endian header
 * length, JSON padded with spaces to 8, tensors in the given order. metadata: NULL or pairs key, value, ...,
 * NULL. */
enum berth_status berth_safetensors_write(const char *path, const struct berth_tensor *tensors, size_t count,
                                          const char *const *metadata, struct berth_error *err);

#endif
