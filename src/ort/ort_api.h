/* ort_api.h: the slots of ONNX Runtime's function table that berth calls, and their types. Internal to this
 * room. */
#ifndef BERTH_ORT_ORT_API_H
#define BERTH_ORT_ORT_API_H

#include <stddef.h>
#include <stdint.h>

#include "berth/status.h"

/* Its objects stay opaque; a status is NULL on success. */
typedef void *ort_status;
typedef void ort_function(void);
typedef void ort_release_fn(void *object);

enum ort_slot {
    ORT_GET_ERROR_MESSAGE = 2,
    ORT_CREATE_ENV = 3,
    ORT_CREATE_SESSION = 7,
    ORT_RUN = 9,
    ORT_CREATE_SESSION_OPTIONS = 10,
    ORT_SET_OPTIMISATION = 23,
    ORT_SET_INTRA_THREADS = 24,
    ORT_SET_INTER_THREADS = 25,
    ORT_INPUT_COUNT = 30,
    ORT_OUTPUT_COUNT = 31,
    ORT_INPUT_NAME = 36,
    ORT_OUTPUT_NAME = 37,
    ORT_CREATE_TENSOR = 49,
    ORT_TENSOR_DATA = 51,
    ORT_ELEMENT_TYPE = 60,
    ORT_RANK = 61,
    ORT_DIMENSIONS = 62,
    ORT_VALUE_SHAPE = 65,
    ORT_CREATE_CPU_MEMORY = 69,
    ORT_ALLOCATOR_FREE = 76,
    ORT_DEFAULT_ALLOCATOR = 78,
    ORT_RELEASE_ENV = 92,
    ORT_RELEASE_STATUS = 93,
    ORT_RELEASE_MEMORY = 94,
    ORT_RELEASE_SESSION = 95,
    ORT_RELEASE_VALUE = 96,
    ORT_RELEASE_SHAPE = 99,
    ORT_RELEASE_SESSION_OPTIONS = 100
};

enum { ORT_FLOAT = 1, ORT_INT64 = 7, ORT_OPTIMISE_NOTHING = 0, ORT_OPTIMISE_ALL = 99, ORT_LOG_FATAL = 4 };

struct ort_base {
    ort_function *const *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
};

struct berth_ort {
    ort_function *const *api;
    const struct ort_base *base;
    void *env, *memory;
};

/* The function of a slot as the type it has. */
#define ORT_CALL(ort, slot, type) ((type)(ort)->api[slot])

/* BERTH_OK for NULL; else the runtime's own message, on one line, and the status released. */
enum berth_status berth_ort_check(const struct berth_ort *ort, ort_status status, const char *what,
                                  struct berth_error *err);
void berth_ort_release(const struct berth_ort *ort, enum ort_slot slot, void *object); /* NULL is fine */

#endif
