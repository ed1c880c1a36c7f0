/* ort.c: finds and loads ONNX Runtime's library. */
#include "ort/ort.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "ort/ort_api.h"

enum berth_status berth_ort_check(const struct berth_ort *ort, ort_status failure, const char *what,
                                  struct berth_error *err)
{
    if (!failure)
        return BERTH_OK;
    char line[512];
    snprintf(line, sizeof line, "%s",
             ORT_CALL(ort, ORT_GET_ERROR_MESSAGE, const char *(*)(const void *))(failure));
    line[strcspn(line, "\r\n")] = 0;
    ORT_CALL(ort, ORT_RELEASE_STATUS, ort_release_fn *)(failure);
    return berth_fail(err, BERTH_FORMAT, "%s: ONNX Runtime %s: %s", what, berth_ort_version(ort), line);
}

void berth_ort_release(const struct berth_ort *ort, enum ort_slot slot, void *object)
{
    if (object)
        ORT_CALL(ort, slot, ort_release_fn *)(object);
}

/* dlopen of a library that was asked for by name, or of the first of the usual ones. */
static enum berth_status load(const char *path, void **handle, const char **name, struct berth_error *err)
{
    static const char *const usual[] = {"libonnxruntime.so.1", "libonnxruntime.so",
                                        "/usr/local/lib/libonnxruntime.so",
                                        "/opt/onnxruntime/lib/libonnxruntime.so"};
    const char *chosen = path && *path ? path : getenv("BERTH_ORT_LIBRARY");
    if (chosen && *chosen) {
        *name = chosen;
        if (strchr(chosen, '/') && !berth_path_present(chosen))
            return berth_fail(err, BERTH_NOT_FOUND,
                              "%s: there is no such file; give the library of ONNX Runtime", chosen);
        *handle = dlopen(chosen, RTLD_NOW | RTLD_LOCAL);
        if (*handle)
            return BERTH_OK;
        const char *fault = dlerror();
        return berth_fail(err, BERTH_FORMAT, "%s: cannot be loaded as the library of ONNX Runtime: %s",
                          chosen, fault ? fault : "no reason");
    }
    for (size_t i = 0; i < sizeof usual / sizeof *usual && !*handle; i++) {
        *name = usual[i];
        *handle = dlopen(usual[i], RTLD_NOW | RTLD_LOCAL);
    }
    return *handle ? BERTH_OK
                   : berth_fail(err, BERTH_NOT_FOUND,
                                "ONNX Runtime is not installed where libraries are looked for; name its "
                                "libonnxruntime.so with "
                                "--ort-library or BERTH_ORT_LIBRARY");
}

enum berth_status berth_ort_open(const char *path, struct berth_ort **out, struct berth_error *err)
{
    void *handle = NULL;
    const char *name = NULL;
    const struct ort_base *(*get_base)(void) = NULL;
    struct berth_ort *ort = NULL;
    *out = NULL;
    enum berth_status status = load(path, &handle, &name, err);
    if (status != BERTH_OK)
        return status;
    *(void **)&get_base = dlsym(handle, "OrtGetApiBase");
    const struct ort_base *base = get_base ? get_base() : NULL;
    if (!base) {
        dlclose(handle);
        return berth_fail(err, BERTH_FORMAT,
                          "%s: is a library, but not ONNX Runtime (it has no OrtGetApiBase)", name);
    }
    ort_function *const *api = base->get_api(BERTH_ORT_API);
    if (!api) {
        status = berth_fail(err, BERTH_UNSUPPORTED, "%s: ONNX Runtime %s is too old; 1.%d or newer is needed",
                            name, base->get_version(), BERTH_ORT_API);
        dlclose(handle);
        return status;
    }
    ort = berth_calloc(1, sizeof *ort);
    if (!ort)
        return berth_fail_memory(err, "ONNX Runtime", sizeof *ort);
    ort->api = api;
    ort->base = base;
    BERTH_TRY(berth_ort_check(ort,
                              ORT_CALL(ort, ORT_CREATE_ENV, ort_status(*)(int, const char *, void **))(
                                  ORT_LOG_FATAL, "berth", &ort->env),
                              name, err));
    BERTH_TRY(berth_ort_check(
        ort, ORT_CALL(ort, ORT_CREATE_CPU_MEMORY, ort_status(*)(int, int, void **))(0, 0, &ort->memory), name,
        err));
    *out = ort;
    return BERTH_OK;
fail:
    berth_ort_close(ort);
    return status;
}

void berth_ort_close(struct berth_ort *ort)
{
    if (!ort)
        return;
    berth_ort_release(ort, ORT_RELEASE_MEMORY, ort->memory);
    berth_ort_release(ort, ORT_RELEASE_ENV, ort->env);
    berth_free(ort);
}

const char *berth_ort_version(const struct berth_ort *ort)
{
    return ort->base->get_version();
}
