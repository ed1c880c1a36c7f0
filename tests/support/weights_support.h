/* weights_support.h: builds weight files byte by byte, right or deliberately wrong, and opens them from an
 * exact copy on the heap, so that a sanitizer sees a read one byte past the end. */
#ifndef BERTH_TESTS_WEIGHTS_SUPPORT_H
#define BERTH_TESTS_WEIGHTS_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/checkpoint.h"

struct bytes {
    unsigned char *data;
    size_t size, capacity;
};

void bytes_put(struct bytes *bytes, const void *data, size_t size);
void bytes_text(struct bytes *bytes, const char *text);
void bytes_number(struct bytes *bytes, uint64_t number, size_t width); /* little-endian */
void bytes_free(struct bytes *bytes);
struct bytes bytes_copy(const struct bytes *bytes);

/* The first place of `size` bytes in the file; the test fails when they are not there. */
size_t bytes_find(const struct bytes *bytes, const void *data, size_t size);

/* Replaces the first occurrence of `from` by `to`. */
void bytes_replace(struct bytes *bytes, const void *from, size_t from_size, const void *to, size_t to_size);

/* A file opened from an exact copy of its bytes. */
struct opened {
    struct berth_checkpoint *checkpoint; /* NULL when refused */
    enum berth_status status;
    struct berth_error err;
    unsigned char *copy;
};

struct opened open_bytes(const struct bytes *bytes); /* under the name "weights" */
void close_opened(struct opened *opened);

/* The file is refused with this status, in a sentence that names the file and holds `words`. */
void expect_refused(const struct bytes *bytes, enum berth_status status, const char *words);

/* Every truncation, and every byte replaced in several ways: each is refused in a sentence that names the
 * file, or gives tensors whose bytes can all be read. Returns how many were refused. */
size_t check_mutations(const struct bytes *bytes);

/* --- safetensors */
void safetensors_of(struct bytes *bytes, const char *header, size_t data_size); /* data: 0, 1, 2, ... */

/* --- torch.save */
struct torch_storage {
    const char *type, *key; /* "FloatStorage", "0" */
    size_t elements;
    const void *data;
    size_t bytes;
};

void pickle_text(struct bytes *bytes, const char *text);
void pickle_int(struct bytes *bytes, int64_t number);
void pickle_storage(struct bytes *bytes, const struct torch_storage *storage);
void pickle_tensor(struct bytes *bytes, const struct torch_storage *storage, int64_t offset, size_t rank,
                   const int64_t *size, const int64_t *stride);

/* The container around a pickled object and its storages. */
void torch_zip_of(struct bytes *bytes, const struct bytes *pickle, const struct torch_storage *storages,
                  size_t count);
void torch_zip64_of(struct bytes *bytes, const struct bytes *pickle, const struct torch_storage *storages,
                    size_t count);
void torch_older_of(struct bytes *bytes, const struct bytes *pickle, const struct torch_storage *storages,
                    size_t count);

/* Small files with every feature that the readers know, and what is in them:
 *   matrix     f32[2,3]  0 1 2 / 3 4 5        transpose  f32[3,2]  of the same storage (torch: a strided
 * view) tail       f32[2]    4 5, same storage    step       i64[]     7 half       f16[2]    1 -2 */
void sample_safetensors(struct bytes *bytes);
void sample_pickle(struct bytes *bytes);
extern const struct torch_storage sample_storages[3];
void check_sample(const struct berth_checkpoint *checkpoint);

#endif
