/* page_remote_wire.c: the three protocols that deployments elsewhere speak, as JSON. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "serve/page_remote.h"

/* PATH without its trailing slashes, SUFFIX unless it is there, then the query. */
static char *join_url(const char *url, size_t path, const char *suffix)
{
    const char *query = url + path;
    while (path > 0 && url[path - 1] == '/')
        path--;
    size_t own = strlen(suffix);
    bool there = path >= own && memcmp(url + path - own, suffix, own) == 0;
    struct berth_buffer joined;
    berth_buffer_init(&joined, 1 << 16);
    if (berth_buffer_append(&joined, url, path) && (there || berth_buffer_text(&joined, suffix)) &&
        berth_buffer_text(&joined, query + strspn(query, "/")))
        return joined.data;
    berth_buffer_clear(&joined);
    return NULL;
}

enum berth_status berth_remote_read_url(const char *url, enum berth_wire *wire, char **endpoint,
                                        struct berth_error *err)
{
    *endpoint = NULL;
    bool scheme = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
    if (!scheme || strlen(url) > 2000 || strpbrk(url, " \t\r\n#"))
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "'%s' is not an address like http://host:port", url);
    size_t path = strcspn(url, "?");
    static const char study[] = "/inference";
    bool open = memmem(url, path, "/v2/models/", 11) != NULL;
    bool old = path >= sizeof study - 1 && memcmp(url + path - (sizeof study - 1), study, sizeof study - 1) == 0;
    *wire = open ? BERTH_WIRE_OPEN_INFERENCE : old ? BERTH_WIRE_STUDY : BERTH_WIRE_TEI;
    *endpoint = join_url(url, path, open ? "/infer" : old ? study : "/predict");
    return *endpoint ? BERTH_OK : berth_fail_memory(err, "an address", strlen(url));
}

/* ---- what is sent ---- */

static json_t *string_of(const char *text, size_t size)
{
    json_t *value = json_stringn(text, size);
    return value ? value : json_string("\xef\xbf\xbd");
}

static json_t *texts_alone(const struct berth_text *texts, size_t count, struct berth_error *err)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        if (texts[i].pair) {
            json_decref(list);
            berth_fail(err, BERTH_UNSUPPORTED, "this server's protocol takes single texts, no pairs");
            return NULL;
        }
        json_array_append_new(list, string_of(texts[i].text, texts[i].size));
    }
    return list;
}

static json_t *texts_and_pairs(const struct berth_text *texts, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *item = json_array();
        json_array_append_new(item, string_of(texts[i].text, texts[i].size));
        if (texts[i].pair)
            json_array_append_new(item, string_of(texts[i].pair, texts[i].pair_size));
        json_array_append_new(list, item);
    }
    return list;
}

char *berth_remote_body(enum berth_wire wire, const struct berth_text *texts, size_t count, struct berth_error *err)
{
    json_t *list = wire == BERTH_WIRE_TEI ? texts_and_pairs(texts, count) : texts_alone(texts, count, err);
    json_t *root = list;
    if (wire == BERTH_WIRE_TEI)
        root = json_pack("{s:o, s:b}", "inputs", list, "truncate", 1);
    else if (wire == BERTH_WIRE_OPEN_INFERENCE && list)
        root = json_pack("{s:[{s:s, s:[I], s:s, s:o}], s:[{s:s}, {s:s}]}", "inputs", "name", "text", "shape",
                         (json_int_t)count, "datatype", "BYTES", "data", list, "outputs", "name", "logits", "name",
                         "label");
    char *body = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return body;
}

/* ---- what comes back ---- */

static const char *const numbered[] = {"LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3", "LABEL_4",
                                       "LABEL_5", "LABEL_6", "LABEL_7", "LABEL_8", "LABEL_9"};

/* The best of the values; without scores of the server's own, by softmax. */
static void conclude(struct berth_remote_answer *answer)
{
    answer->best = 0;
    for (size_t k = 1; k < answer->count; k++)
        if (answer->values[k] > answer->values[answer->best])
            answer->best = k;
    double sum = 0;
    for (size_t k = 0; k < answer->count; k++)
        sum += exp(answer->values[k] - answer->values[answer->best]);
    answer->score = answer->count == 1 ? answer->values[0] : 1 / sum;
}

static bool read_logit(struct berth_remote_answer *answer, const json_t *value)
{
    if (!json_is_number(value) || !isfinite(json_number_value(value)) || answer->count == BERTH_REMOTE_LABELS)
        return false;
    size_t k = answer->count++;
    answer->names[k] = k < sizeof numbered / sizeof *numbered ? numbered[k] : "LABEL";
    answer->values[k] = json_number_value(value);
    return true;
}

static bool read_tei(const json_t *root, size_t i, struct berth_remote_answer *answer)
{
    const json_t *item = json_array_get(root, i);
    for (size_t k = 0; k < json_array_size(item); k++) {
        const json_t *entry = json_array_get(item, k);
        const char *label = json_string_value(json_object_get(entry, "label"));
        const json_t *score = json_object_get(entry, "score");
        if (!label || !json_is_number(score) || answer->count == BERTH_REMOTE_LABELS)
            return false;
        answer->names[answer->count] = label;
        answer->values[answer->count++] = log(fmax(json_number_value(score), 1e-30));
    }
    if (answer->count == 0)
        return false;
    conclude(answer);
    answer->score = exp(answer->values[answer->best]);
    return true;
}

static bool read_study(const json_t *root, size_t i, struct berth_remote_answer *answer)
{
    const json_t *row = json_array_get(json_object_get(root, "predictions"), i);
    for (size_t k = 0; k < json_array_size(row); k++)
        if (!read_logit(answer, json_array_get(row, k)))
            return false;
    if (answer->count == 0)
        return false;
    conclude(answer);
    return true;
}

static bool read_open_inference(const json_t *root, size_t i, size_t count, struct berth_remote_answer *answer)
{
    const json_t *outputs = json_object_get(root, "outputs"), *label = NULL;
    for (size_t o = 0; o < json_array_size(outputs); o++) {
        const json_t *output = json_array_get(outputs, o), *data = json_object_get(output, "data");
        const char *name = json_string_value(json_object_get(output, "name"));
        size_t size = json_array_size(data);
        if (name && strcmp(name, "label") == 0)
            label = json_array_get(data, i);
        if (!name || strcmp(name, "logits") != 0)
            continue;
        for (size_t k = 0; size % count == 0 && k < size / count; k++)
            if (!read_logit(answer, json_array_get(data, i * (size / count) + k)))
                return false;
    }
    if (answer->count == 0)
        return false;
    conclude(answer);
    if (json_is_string(label))
        answer->names[answer->best] = json_string_value(label);
    return true;
}

enum berth_status berth_remote_read(enum berth_wire wire, const json_t *root, size_t i, size_t count,
                                    struct berth_remote_answer *answer, struct berth_error *err)
{
    *answer = (struct berth_remote_answer){0};
    bool good = wire == BERTH_WIRE_TEI     ? read_tei(root, i, answer)
                : wire == BERTH_WIRE_STUDY ? read_study(root, i, answer)
                                           : read_open_inference(root, i, count, answer);
    return good ? BERTH_OK : berth_fail(err, BERTH_FORMAT, "the answer is not of this protocol's shape");
}
