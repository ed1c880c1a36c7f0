/* hf_labels.c: how many outputs a model has, what they are called, and what they mean. As in Hugging Face,
 * id2label decides over num_labels, and a regression is one output unless problem_type says otherwise. Called
 * by hf_config.c. */
#include "formats/hf_labels.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "formats/json_load.h"

enum { DEFAULT_LABELS = 2, DIGITS = 5 /* of an id below BERTH_LABELS_MAX */ };

static const char *const problems[] = {
    [BERTH_PROBLEM_SINGLE_LABEL] = "single_label_classification",
    [BERTH_PROBLEM_MULTI_LABEL] = "multi_label_classification",
    [BERTH_PROBLEM_REGRESSION] = "regression",
};

const char *berth_problem_name(enum berth_problem problem)
{
    return problems[problem];
}

static enum berth_status reject(const char *name, const char *field, const json_t *value, const char *problem,
                                struct berth_error *err)
{
    char text[96];
    return berth_fail(err, BERTH_FORMAT, "%s: %s is %s, %s", name, field,
                      berth_json_describe(value, text, sizeof text), problem);
}

/* An id as save_pretrained writes it: decimal digits, no sign, no leading zero. */
static bool read_id(const char *text, size_t *id)
{
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > DIGITS || text[length] != 0 || (text[0] == '0' && length > 1))
        return false;
    *id = 0;
    for (size_t i = 0; i < length; i++)
        *id = *id * 10 + (size_t)(text[i] - '0');
    return true;
}

/* The number of labels where id2label does not tell; `_num_labels` is what transformers before 4 wrote. */
static enum berth_status read_count(const char *name, json_t *root, size_t *labels, struct berth_error *err)
{
    static const char *const fields[] = {"_num_labels", "num_labels"}; /* the later wins */
    *labels = DEFAULT_LABELS;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const json_t *value = json_object_get(root, fields[i]);
        if (!value || json_is_null(value))
            continue;
        json_int_t count = json_integer_value(value); /* 0 when it is none */
        if (count < 1 || count > BERTH_LABELS_MAX)
            return reject(name, fields[i], value, "an integer from 1 to 65536 is needed", err);
        *labels = (size_t)count;
    }
    return BERTH_OK;
}

static enum berth_status name_labels(const char *name, json_t *names, struct berth_config *config,
                                     struct berth_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(names, key, value)
    {
        size_t id;
        if (!json_is_string(value))
            return reject(name, "a name in id2label", value, "a string is needed", err);
        if (!read_id(key, &id) || id >= config->labels)
            return berth_fail(
                err, BERTH_FORMAT,
                "%s: id2label has %zu names, and the id '%s': ids from 0 without a gap are needed", name,
                config->labels, key);
        config->label_names[id] = berth_strdup(json_string_value(value));
        if (!config->label_names[id])
            return berth_fail_memory(err, name, strlen(key));
    }
    return BERTH_OK; /* as many ids as labels, all different and below their number: no gap is left */
}

static enum berth_status number_labels(const char *name, struct berth_config *config, struct berth_error *err)
{
    for (size_t i = 0; i < config->labels; i++) {
        char text[32];
        snprintf(text, sizeof text, "LABEL_%zu", i);
        config->label_names[i] = berth_strdup(text);
        if (!config->label_names[i])
            return berth_fail_memory(err, name, sizeof text);
    }
    return BERTH_OK;
}

/* Whether the reverse map gives a label's name another id than id2label does. Names that id2label lacks say
 * nothing: files keep LABEL_0 there from before their labels were named. */
static bool contradicts(const struct berth_config *config, const char *label, json_int_t id)
{
    bool named = false;
    for (size_t i = 0; i < config->labels; i++)
        if (strcmp(config->label_names[i], label) == 0) {
            if ((json_int_t)i == id)
                return false;
            named = true;
        }
    return named;
}

/* The reverse map is not used, but one that is none, or tells another order, means that nobody knows what the
 * outputs are. */
static enum berth_status check_reverse(const char *name, json_t *ids, const struct berth_config *config,
                                       struct berth_error *err)
{
    if (!ids || json_is_null(ids))
        return BERTH_OK;
    if (!json_is_object(ids))
        return reject(name, "label2id", ids, "an object is needed", err);
    const char *key;
    json_t *value;
    json_object_foreach(ids, key, value)
    {
        if (!json_is_integer(value))
            return reject(name, "an id in label2id", value, "an integer is needed", err);
        if (config->has_label_names && contradicts(config, key, json_integer_value(value)))
            return berth_fail(err, BERTH_FORMAT,
                              "%s: label2id gives '%.200s' the id %" JSON_INTEGER_FORMAT
                              ", id2label another one; correct whichever is wrong",
                              name, key, json_integer_value(value));
    }
    return BERTH_OK;
}

static enum berth_status read_problem(const char *name, json_t *root, struct berth_config *config,
                                      struct berth_error *err)
{
    const json_t *value = json_object_get(root, "problem_type");
    config->problem = config->labels == 1 ? BERTH_PROBLEM_REGRESSION : BERTH_PROBLEM_SINGLE_LABEL;
    if (!value || json_is_null(value))
        return BERTH_OK;
    for (size_t i = 0; json_is_string(value) && i < sizeof problems / sizeof *problems; i++)
        if (strcmp(json_string_value(value), problems[i]) == 0) {
            config->problem = (enum berth_problem)i;
            return BERTH_OK;
        }
    return reject(name, "problem_type", value,
                  "regression, single_label_classification or multi_label_classification is needed", err);
}

enum berth_status berth_labels_read(const char *name, json_t *root, struct berth_config *config,
                                    struct berth_error *err)
{
    json_t *names = json_object_get(root, "id2label");
    size_t count;
    enum berth_status status;
    BERTH_TRY(read_count(name, root, &count, err));
    config->has_label_names = names && !json_is_null(names);
    if (config->has_label_names) {
        count = json_object_size(names); /* 0 when it is no object */
        if (count < 1 || count > BERTH_LABELS_MAX) {
            status = reject(name, "id2label", names, "an object with 1 to 65536 names is needed", err);
            goto fail;
        }
    }
    config->label_names = berth_calloc(count, sizeof *config->label_names);
    BERTH_TRY(config->label_names ? BERTH_OK
                                  : berth_fail_memory(err, name, count * sizeof *config->label_names));
    config->labels = count;
    BERTH_TRY(config->has_label_names ? name_labels(name, names, config, err)
                                      : number_labels(name, config, err));
    BERTH_TRY(check_reverse(name, json_object_get(root, "label2id"), config, err));
    status = read_problem(name, root, config, err);
fail:
    return status;
}
