/* state.c: the state as a safetensors file; counters are its metadata, doubles in hexadecimal. */
#include "train/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/checkpoint.h"

static const char file_name[] = "resume.safetensors";
static const char *const array_names[] = {"weights", "first_moment", "second_moment"};
enum { ARRAYS = 3 };

#define STATE_FORMAT "%zu %zu %zu %a %a %zu %" PRIx64
#define STATE_SCAN "%zu %zu %zu %la %la %zu %" SCNx64

enum berth_status berth_train_state_write(const char *directory, const struct berth_train_state *state,
                                          const struct berth_train_engine *engine, struct berth_error *err)
{
    const struct berth_weights *weights = engine->weights;
    const float *arrays[ARRAYS] = {weights->value, engine->first_moment, engine->second_moment};
    struct berth_tensor tensors[ARRAYS];
    char text[256];
    for (size_t i = 0; i < ARRAYS; i++)
        tensors[i] = (struct berth_tensor){.name = array_names[i],
                                           .dtype = BERTH_DTYPE_F32,
                                           .rank = 1,
                                           .shape = {weights->total},
                                           .elements = weights->total,
                                           .data = arrays[i],
                                           .bytes = weights->total * sizeof(float)};
    snprintf(text, sizeof text, STATE_FORMAT, state->step, state->best_step, state->behind, state->best,
             state->loss_sum, state->loss_count, state->fingerprint);
    char *path = berth_path_join(directory, file_name);
    if (!path)
        return berth_fail_memory(err, "a path", strlen(directory));
    enum berth_status status = berth_safetensors_write(
        path, tensors, ARRAYS, (const char *const[]){"berth_training", text, NULL}, err);
    berth_free(path);
    return status;
}

static enum berth_status take_arrays(const struct berth_checkpoint *file, const char *path,
                                     struct berth_train_engine *engine, struct berth_error *err)
{
    const struct berth_weights *weights = engine->weights;
    float *arrays[ARRAYS] = {weights->value, engine->first_moment, engine->second_moment};
    for (size_t i = 0; i < ARRAYS; i++) {
        const struct berth_tensor *tensor = berth_checkpoint_find(file, array_names[i]);
        if (!tensor || tensor->dtype != BERTH_DTYPE_F32 || tensor->elements != weights->total)
            return berth_fail(err, BERTH_FORMAT,
                              "%s: is not the state of this model's training; remove it to begin anew", path);
        berth_tensor_read_f32(tensor, 0, weights->total, arrays[i]);
    }
    return BERTH_OK;
}

static enum berth_status take_state(const struct berth_checkpoint *file, const char *path,
                                    uint64_t fingerprint, struct berth_train_state *state,
                                    struct berth_train_engine *engine, struct berth_error *err)
{
    const char *text = berth_checkpoint_metadata(file, "berth_training");
    struct berth_train_state read = {0};
    if (!text || sscanf(text, STATE_SCAN, &read.step, &read.best_step, &read.behind, &read.best,
                        &read.loss_sum, &read.loss_count, &read.fingerprint) != 7)
        return berth_fail(err, BERTH_FORMAT, "%s: is not the state of a training; remove it to begin anew",
                          path);
    if (read.fingerprint != fingerprint || read.step > engine->options.total_steps)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "%s: was written with other options, data or model; resume with the same ones, or "
                          "leave out --resume to begin anew",
                          path);
    enum berth_status status = take_arrays(file, path, engine, err);
    if (status != BERTH_OK)
        return status;
    *state = read;
    return engine->calls->resume(engine, read.step, err);
}

enum berth_status berth_train_state_read(const char *directory, uint64_t fingerprint,
                                         struct berth_train_state *state, struct berth_train_engine *engine,
                                         bool *found, struct berth_error *err)
{
    struct berth_checkpoint *file = NULL;
    char *path = berth_path_join(directory, file_name);
    if (!path)
        return berth_fail_memory(err, "a path", strlen(directory));
    enum berth_status status = BERTH_OK;
    *found = berth_path_present(path);
    if (*found)
        status = berth_checkpoint_open_file(path, &file, err);
    if (*found && status == BERTH_OK)
        status = take_state(file, path, fingerprint, state, engine, err);
    berth_checkpoint_close(file);
    berth_free(path);
    return status;
}

void berth_train_state_remove(const char *directory)
{
    char *path = berth_path_join(directory, file_name);
    if (path)
        unlink(path);
    berth_free(path);
}
