/* remote.c: finding out what a server speaks, and choosing its model. */
#include "bench/remote.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"

enum { SELECT_TIMEOUT_MS = 300000 }; /* a server may load a model first */

void berth_remote_close(struct berth_remote *remote)
{
    for (size_t i = 0; i < remote->labels; i++)
        berth_free(remote->label[i]);
    *remote = (struct berth_remote){0};
}

/* One request without a body; *body for berth_free. */
static enum berth_status ask(const struct berth_remote *remote, const char *method, const char *path, int *status,
                             char **body, size_t *size, struct berth_error *err)
{
    struct berth_wire wire;
    *body = NULL;
    enum berth_status result = berth_remote_plain_wire(&remote->target->endpoint, method, path, &wire, err);
    if (result != BERTH_OK)
        return result;
    unsigned timeout = *method == 'P' ? SELECT_TIMEOUT_MS : remote->timeout_ms;
    result = berth_load_ask(&remote->target->endpoint, &wire, timeout, status, body, size, err);
    berth_free(wire.bytes);
    return result;
}

/* Whether GET path gives 200 and a JSON object with `key` (NULL: nothing is asked of the body). */
static enum berth_status answers(const struct berth_remote *remote, const char *method, const char *path, int wanted,
                                 const char *key, bool *yes, struct berth_error *err)
{
    char *body;
    size_t size;
    int status;
    *yes = false;
    enum berth_status result = ask(remote, method, path, &status, &body, &size, err);
    if (result != BERTH_OK)
        return result;
    if (status == wanted && key) {
        json_t *json = json_loadb(body, size, 0, NULL);
        *yes = json_is_string(json_object_get(json, key));
        json_decref(json);
    } else {
        *yes = status == wanted;
    }
    berth_free(body);
    return BERTH_OK;
}

enum berth_status berth_remote_open(const struct berth_bench_target *target, unsigned timeout_ms,
                                    struct berth_remote *remote, struct berth_error *err)
{
    *remote = (struct berth_remote){.target = target, .protocol = target->protocol, .timeout_ms = timeout_ms};
    bool yes = false;
    enum berth_status status;
    BERTH_TRY(answers(remote, "GET", "/v2", 200, "name", &yes, err)); /* also tells whether it can be reached */
    if (remote->protocol != BERTH_PROTOCOL_AUTO)
        return BERTH_OK;
    remote->protocol = BERTH_PROTOCOL_OIP;
    if (yes)
        return BERTH_OK;
    BERTH_TRY(answers(remote, "GET", "/info", 200, "model_id", &yes, err));
    remote->protocol = BERTH_PROTOCOL_BERTH;
    if (yes)
        return BERTH_OK;
    BERTH_TRY(answers(remote, "POST", "/set_model", 400, NULL, &yes, err)); /* it misses model_type */
    remote->protocol = BERTH_PROTOCOL_STUDY;
    if (yes)
        return BERTH_OK;
    return berth_fail(err, BERTH_UNSUPPORTED,
                      "target %s: answers neither GET /v2 (Open Inference Protocol), nor GET /info, nor POST "
                      "/set_model (the study's); choose with --protocol study, oip or berth",
                      target->endpoint.url);
fail:
    return status;
}

/* A name that can stand in a path or a query as it is, else percent-encoded. */
static bool encode(const char *name, char *out, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;
        bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || strchr("-._~", c);
        if (n + 4 > size)
            return false;
        if (!plain) {
            out[n++] = '%';
            out[n++] = digits[c >> 4];
            c = (unsigned char)digits[c & 15];
        }
        out[n++] = (char)c;
    }
    out[n] = 0;
    return true;
}

static enum berth_status set_model(struct berth_remote *remote, const char *encoded, enum berth_precision precision,
                                   size_t threads, struct berth_error *err)
{
    char path[512], count[48] = "";
    bool int8 = precision == BERTH_PRECISION_INT8;
    if (!int8 && precision != BERTH_PRECISION_FP32 && precision != BERTH_PRECISION_DEFAULT)
        return berth_fail(err, BERTH_UNSUPPORTED, "the study's protocol has fp32 and int8, not %s",
                          berth_precision_name(precision));
    if (threads > 0)
        snprintf(count, sizeof count, "&num_threads=%zu", threads);
    snprintf(path, sizeof path, "/set_model?model_type=%s&use_onnx_quant=%s%s", encoded, int8 ? "True" : "False",
             count);
    char *body;
    size_t size;
    int status;
    enum berth_status result = ask(remote, "POST", path, &status, &body, &size, err);
    if (result != BERTH_OK)
        return result;
    if (status != 200)
        result = berth_fail(err, status == 404 ? BERTH_NOT_FOUND : BERTH_IO, "target %s: POST %s gives %d: %.200s",
                            remote->target->name, path, status, body);
    berth_free(body);
    return result;
}

static bool copy_name(char to[BERTH_REMOTE_NAME], const json_t *name)
{
    const char *text = json_string_value(name);
    if (!text || !*text || strlen(text) >= BERTH_REMOTE_NAME)
        return false;
    strcpy(to, text);
    return true;
}

/* Which tensors carry the texts and the logits. */
static bool read_tensors(struct berth_remote *remote, const json_t *metadata)
{
    json_t *tensor;
    size_t i;
    remote->input[0] = remote->output[0] = 0;
    remote->ids = remote->type_ids = false;
    json_array_foreach(json_object_get(metadata, "inputs"), i, tensor)
    {
        const char *type = json_string_value(json_object_get(tensor, "datatype"));
        const char *name = json_string_value(json_object_get(tensor, "name"));
        if (!type || !name)
            continue;
        if (strcmp(type, "BYTES") == 0 && (!remote->input[0] || remote->ids)) {
            remote->ids = false;
            copy_name(remote->input, json_object_get(tensor, "name"));
        } else if (strcmp(name, "input_ids") == 0 && !remote->input[0]) {
            remote->ids = copy_name(remote->input, json_object_get(tensor, "name"));
        } else if (strcmp(name, "token_type_ids") == 0) {
            remote->type_ids = true;
        }
    }
    json_array_foreach(json_object_get(metadata, "outputs"), i, tensor)
    {
        const char *type = json_string_value(json_object_get(tensor, "datatype"));
        const char *name = json_string_value(json_object_get(tensor, "name"));
        bool logits = name && strcmp(name, "logits") == 0;
        if (type && strcmp(type, "FP32") == 0 && (logits || !remote->output[0]))
            copy_name(remote->output, json_object_get(tensor, "name"));
    }
    return remote->input[0] && remote->output[0];
}

static enum berth_status read_metadata(struct berth_remote *remote, const char *model, const char *encoded,
                                       struct berth_error *err)
{
    char path[512], *body;
    size_t size;
    int status;
    snprintf(path, sizeof path, "/v2/models/%s", encoded);
    enum berth_status result = ask(remote, "GET", path, &status, &body, &size, err);
    if (result != BERTH_OK)
        return result;
    json_t *json = status == 200 ? json_loadb(body, size, 0, NULL) : NULL;
    if (status != 200)
        result = berth_fail(err, status == 404 ? BERTH_NOT_FOUND : BERTH_IO, "target %s: GET %s gives %d: %.200s",
                            remote->target->name, path, status, body);
    else if (!read_tensors(remote, json))
        result = berth_fail(err, BERTH_FORMAT,
                            "target %s: model %s has no input of texts (BYTES) or input_ids, or no FP32 output",
                            remote->target->name, model);
    json_decref(json);
    berth_free(body);
    return result;
}

enum berth_status berth_remote_select(struct berth_remote *remote, const char *model, enum berth_precision precision,
                                      size_t threads, struct berth_error *err)
{
    char encoded[3 * BERTH_REMOTE_NAME + 4];
    const char *word = berth_precision_name(precision);
    if (strlen(model) >= sizeof remote->model || !encode(model, encoded, sizeof encoded))
        return berth_fail(err, BERTH_LIMIT, "model name '%.60s...' is too long for a server", model);
    bool study = remote->protocol == BERTH_PROTOCOL_STUDY;
    if (strcmp(remote->model, model) == 0 &&
        (!study || (strcmp(remote->precision, word) == 0 && remote->threads == threads)))
        return BERTH_OK;
    remote->model[0] = 0;
    enum berth_status status = BERTH_OK;
    if (study)
        status = set_model(remote, encoded, precision, threads, err);
    else if (remote->protocol == BERTH_PROTOCOL_OIP)
        status = read_metadata(remote, model, encoded, err);
    if (status != BERTH_OK)
        return status;
    for (size_t i = 0; i < remote->labels; i++)
        berth_free(remote->label[i]);
    remote->labels = 0;
    strcpy(remote->model, model);
    snprintf(remote->precision, sizeof remote->precision, "%s", word);
    remote->threads = threads;
    return BERTH_OK;
}
