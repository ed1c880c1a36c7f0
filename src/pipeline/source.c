/* source.c: from a model argument to its encoder. */
#include "pipeline/source.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "berth/hub.h"
#include "hub/id.h"
#include "onnx/import.h"
#include "pipeline/bundled.h"

enum berth_status berth_source_resolve(const char *name, char **path, struct berth_error *err)
{
    if (berth_bundled_is(name))
        return berth_bundled_find(name, path, err);
    if (berth_hub_is_id(name) && !berth_path_present(name) && !berth_source_is_onnx(name))
        return berth_hub_locate(name, path, err);
    *path = berth_strdup(name);
    return *path ? BERTH_OK : berth_fail_memory(err, "a path", strlen(name));
}

static const char random_prefix[] = "random:";

bool berth_source_is_random(const char *name)
{
    return strncmp(name, random_prefix, strlen(random_prefix)) == 0;
}

const char *berth_source_preset(const char *name)
{
    return name + strlen(random_prefix);
}

bool berth_source_is_onnx(const char *name)
{
    static const char suffix[] = ".onnx";
    size_t length = strlen(name), wanted = strlen(suffix);
    return length > wanted && strcmp(name + length - wanted, suffix) == 0 && !berth_directory_exists(name);
}

char *berth_source_folder(const char *name)
{
    if (!berth_source_is_onnx(name))
        return berth_strdup(name);
    const char *slash = strrchr(name, '/');
    return slash ? berth_strndup(name, (size_t)(slash - name) + 1) : berth_strdup(".");
}

enum berth_status berth_source_encoder(const char *name, struct berth_encoder **encoder,
                                       struct berth_error *err)
{
    if (berth_source_is_random(name))
        return berth_encoder_random(berth_source_preset(name), encoder, err);
    if (berth_source_is_onnx(name))
        return berth_onnx_import(name, encoder, err);
    *encoder = NULL;
    if (!berth_directory_exists(name))
        return berth_fail(err, BERTH_NOT_FOUND,
                          "%s: no such directory; a model is a directory in Hugging Face's layout, a .onnx "
                          "file, bundled:sst2 or random:PRESET",
                          name);
    return berth_encoder_open(name, encoder, err);
}
