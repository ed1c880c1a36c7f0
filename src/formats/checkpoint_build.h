/* checkpoint_build.h: a checkpoint while its readers fill it. Only checkpoint.c and those who make tensors of
 * files include this; everyone else sees formats/checkpoint.h. */
#ifndef BERTH_FORMATS_CHECKPOINT_BUILD_H
#define BERTH_FORMATS_CHECKPOINT_BUILD_H

#include "base/file.h"
#include "formats/checkpoint.h"

/* One weight file: mapped, or borrowed memory. */
struct berth_weight_file {
    char *path;                /* owned; its name in messages */
    struct berth_map map;      /* empty when the bytes are borrowed */
    const unsigned char *data; /* [size] */
    size_t size;
};

/* Each reader appends the tensors of `file` to the checkpoint, after checking every one of its bytes that is
 * not a number. On failure the checkpoint may hold some of them and is closed by the caller. */
enum berth_status berth_safetensors_read(struct berth_checkpoint *checkpoint,
                                         const struct berth_weight_file *file, struct berth_error *err);
enum berth_status berth_torch_read(struct berth_checkpoint *checkpoint, const struct berth_weight_file *file,
                                   struct berth_error *err);

/* For weights that are understood rather than read (ONNX): an empty checkpoint whose tensors messages will say to be of `path`; after the
 * last tensor was added, finish makes it servable. */
enum berth_status berth_checkpoint_begin(const char *path, struct berth_checkpoint **checkpoint, struct berth_error *err);
enum berth_status berth_checkpoint_finish(struct berth_checkpoint *checkpoint, struct berth_error *err);

/* Appends a tensor of the file being read. The name is copied from name[0, length) (tensor->name is not
 * looked at); `owned` (may be NULL) is memory behind tensor->data: taken on success, to be freed with the
 * checkpoint. */
enum berth_status berth_checkpoint_add(struct berth_checkpoint *checkpoint, const struct berth_tensor *tensor,
                                       const char *name, size_t length, void *owned, struct berth_error *err);

/* Keeps a copy of one metadata pair. */
enum berth_status berth_checkpoint_add_metadata(struct berth_checkpoint *checkpoint, const char *key,
                                                const char *value, struct berth_error *err);

#endif
