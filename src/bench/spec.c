/* spec.c: an experiment in a YAML file. libcyaml reads lists and words; what they mean is read here, strictly: it
 * would take -1 for a number of trials, and does not know in which line an unknown key stands. */
#include <cyaml/cyaml.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "bench/experiment.h"
#include "berth/berth.h"

enum { SPEC_MAX = 1 << 20, LIST_MAX = 256, WORD_MAX = 4096 };

struct word_list {
    char **item;
    unsigned count;
};

/* X(key, member): lists, then single values; keys are the options' names. */
#define LISTS(X)                                                                                                  \
    X("model", model) X("target", target) X("runtime", runtime) X("optimization", optimization)                   \
    X("precision", precision) X("threads", threads) X("batch", batch) X("length", length) X("rate", rate)         \
    X("concurrency", concurrency)
#define VALUES(X)                                                                                                 \
    X("scenario", scenario) X("find-rate", find_rate) X("p99-ms", p99_ms) X("percentile", percentile)             \
    X("trials", trials) X("seed", seed) X("protocol", protocol) X("timeout-ms", timeout_ms)                       \
    X("connections", connections) X("data", data) X("task", task) X("text-column", text_column)                   \
    X("pair-column", pair_column) X("label-column", label_column) X("name", name) X("suite", suite) X("isa", isa) \
    X("vocab", vocab) X("max-length", max_length) X("ort-library", ort_library) X("output", output)

/* Every value as it is written. */
struct words {
#define LIST_MEMBER(key, member) struct word_list member;
#define VALUE_MEMBER(key, member) char *member;
    LISTS(LIST_MEMBER)
    VALUES(VALUE_MEMBER)
};

static const cyaml_schema_value_t word_schema = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, WORD_MAX)};

static const cyaml_schema_field_t field_schema[] = {
#define LIST_FIELD(name, member)                                                                                  \
    {.key = name,                                                                                                 \
     .value = {CYAML_VALUE_SEQUENCE(CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, char *, &word_schema, 1, LIST_MAX)}, \
     .data_offset = offsetof(struct words, member.item),                                                          \
     .count_size = sizeof(unsigned),                                                                              \
     .count_offset = offsetof(struct words, member.count)},
#define VALUE_FIELD(name, member)                                                                             \
    CYAML_FIELD_STRING_PTR(name, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct words, member, 1, WORD_MAX),
    LISTS(LIST_FIELD) VALUES(VALUE_FIELD) CYAML_FIELD_END};

static const cyaml_schema_value_t top_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct words, field_schema)};

struct berth_bench_spec {
    struct berth_bench_options options;
    struct words *words; /* libcyaml's; options borrow their strings */
    char *text;          /* the file, for lines */
    char *path;
    enum berth_runtime runtime[LIST_MAX];
    enum berth_precision precision[LIST_MAX];
    size_t threads[LIST_MAX], batch[LIST_MAX], length[LIST_MAX], concurrency[LIST_MAX];
    double rate[LIST_MAX];
};

/* What libcyaml complained of first, and where. */
struct complaint {
    char words[300];
    char key[64];
    size_t line;
};

static void hear(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    struct complaint *complaint = context;
    char text[300], *at;
    (void)level;
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = 0;
    if ((at = strstr(text, "(line: "))) {
        if (complaint->line == 0)
            complaint->line = strtoul(at + 7, NULL, 10);
        char *quote = strchr(text, '\''), *end = quote ? strchr(quote + 1, '\'') : NULL;
        if (end && strstr(text, "mapping field") && !complaint->key[0])
            snprintf(complaint->key, sizeof complaint->key, "%.*s", (int)(end - quote - 1), quote + 1);
    } else if (!complaint->words[0]) {
        snprintf(complaint->words, sizeof complaint->words, "%s", strncmp(text, "Load: ", 6) == 0 ? text + 6 : text);
    }
}

/* The line, from 1, on which a key of the file stands (the last of them, when asked); 0: none found. */
static size_t line_of(const char *text, const char *key, bool last)
{
    size_t line = 1, found = 0, size = strlen(key);
    while (text && *text) {
        const char *at = text + strspn(text, " \t\"'{,");
        const char *after = strncmp(at, key, size) == 0 ? at + size + strspn(at + size, "\"' \t") : NULL;
        if (after && *after == ':' && (last || found == 0))
            found = line;
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
        line++;
    }
    return found;
}

static enum berth_status fail_key(const struct berth_bench_spec *spec, const char *key, struct berth_error *err,
                                  const char *wanted, const char *value)
{
    return berth_fail(err, BERTH_FORMAT, "%s:%zu: %s: %s, not '%s'", spec->path, line_of(spec->text, key, false), key, wanted,
                      value);
}

static bool is_list(const char *key)
{
#define SAME_KEY(name, member) || strcmp(key, name) == 0
    return false LISTS(SAME_KEY);
}

static void name_keys(char *out, size_t size)
{
    size_t n = 0;
#define NAME_KEY(key, member) n += (size_t)snprintf(out + n, size - n, "%s%s", n ? ", " : "", key);
    LISTS(NAME_KEY)
    VALUES(NAME_KEY)
}

/* What libcyaml takes without a word, or refuses without a line: no YAML, aliases, a second document. */
static enum berth_status check_yaml(const struct berth_bench_spec *spec, size_t size, struct berth_error *err)
{
    yaml_parser_t parser;
    yaml_event_t event;
    bool end = false;
    size_t documents = 0;
    enum berth_status status = BERTH_OK;
    if (!yaml_parser_initialize(&parser))
        return berth_fail_memory(err, "a YAML parser", sizeof parser);
    yaml_parser_set_input_string(&parser, (const unsigned char *)spec->text, size);
    while (!end && status == BERTH_OK) {
        if (!yaml_parser_parse(&parser, &event)) {
            size_t line = parser.problem_mark.line + 1;
            if (parser.error == YAML_READER_ERROR) { /* knows the byte alone */
                line = 1;
                for (size_t i = 0; i < parser.problem_offset && i < size; i++)
                    line += spec->text[i] == '\n';
            }
            char begun[48] = "";
            if (parser.context && parser.context_mark.line + 1 < line)
                snprintf(begun, sizeof begun, ", begun in line %zu", parser.context_mark.line + 1);
            status = parser.error == YAML_MEMORY_ERROR
                         ? berth_fail_memory(err, "an experiment", size)
                         : berth_fail(err, BERTH_FORMAT, "%s:%zu: no YAML: %s%s%s%s", spec->path, line, parser.problem,
                                      parser.context ? " " : "", parser.context ? parser.context : "", begun);
            break;
        }
        size_t line = event.start_mark.line + 1;
        documents += event.type == YAML_DOCUMENT_START_EVENT;
        if (event.type == YAML_ALIAS_EVENT)
            status = berth_fail(err, BERTH_FORMAT, "%s:%zu: *%.60s: aliases are not read; write the value out", spec->path,
                                line, (const char *)event.data.alias.anchor);
        else if (documents > 1)
            status = berth_fail(err, BERTH_FORMAT, "%s:%zu: a second document: give each experiment a file of its own",
                                spec->path, line);
        end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return status;
}

static enum berth_status explain(const struct berth_bench_spec *spec, const struct complaint *complaint,
                                 struct berth_error *err)
{
    static const char unknown[] = "Unexpected key: ";
    if (strncmp(complaint->words, unknown, sizeof unknown - 1) == 0) {
        char keys[600];
        const char *key = complaint->words + sizeof unknown - 1;
        name_keys(keys, sizeof keys);
        return berth_fail(err, BERTH_FORMAT, "%s:%zu: %s: no such key; there are %s", spec->path,
                          line_of(spec->text, key, false), key, keys);
    }
    static const char twice[] = "Mapping field already seen: ";
    if (strncmp(complaint->words, twice, sizeof twice - 1) == 0) {
        const char *key = complaint->words + sizeof twice - 1;
        return berth_fail(err, BERTH_FORMAT, "%s:%zu: %s: given twice", spec->path, line_of(spec->text, key, true), key);
    }
    if (strncmp(complaint->words, "Insufficient entries", 20) == 0)
        return berth_fail(err, BERTH_FORMAT, "%s:%zu: %s: an empty list: name at least one, or leave the key out",
                          spec->path, complaint->line, complaint->key);
    if (strncmp(complaint->words, "Excessive entries", 17) == 0)
        return berth_fail(err, BERTH_FORMAT, "%s:%zu: %s: more than %d", spec->path, complaint->line, complaint->key,
                          LIST_MAX);
    if (strncmp(complaint->words, "STRING length < 1", 17) == 0)
        return berth_fail(err, BERTH_FORMAT, "%s:%zu: %s: without a value: give one, or leave the key out", spec->path,
                          complaint->line, complaint->key);
    if (strstr(complaint->words, "Expecting STRING") && complaint->key[0])
        return berth_fail(err, BERTH_FORMAT, "%s:%zu: %s: %s", spec->path, complaint->line, complaint->key,
                          is_list(complaint->key) ? "a list of single values is wanted" : "a single value is wanted");
    if (strstr(complaint->words, "Expecting SEQUENCE") && complaint->key[0])
        return berth_fail(err, BERTH_FORMAT, "%s:%zu: %s: a list is wanted, as in %s: [A, B]", spec->path,
                          complaint->line, complaint->key, complaint->key);
    if (strstr(complaint->words, "Expecting MAPPING"))
        return berth_fail(err, BERTH_FORMAT, "%s:1: keys with values are wanted, as in model: [random:bert-tiny]",
                          spec->path);
    return berth_fail(err, BERTH_FORMAT, "%s:%zu: %s%s%s", spec->path, complaint->line ? complaint->line : 1,
                      complaint->key, complaint->key[0] ? ": " : "", complaint->words[0] ? complaint->words : "no YAML");
}

static enum berth_status read_size(const struct berth_bench_spec *spec, const char *key, const char *word, size_t *value,
                                   struct berth_error *err)
{
    size_t n = 0, digits = strspn(word, "0123456789");
    for (size_t i = 0; i < digits && digits <= 18; i++)
        n = n * 10 + (size_t)(word[i] - '0');
    *value = n;
    if (digits == 0 || digits > 18 || word[digits] || (n == 0 && strcmp(key, "seed") != 0))
        return fail_key(spec, key, err, "a whole number above 0 is wanted", word);
    return BERTH_OK;
}

static enum berth_status read_double(const struct berth_bench_spec *spec, const char *key, const char *word,
                                     double *value, struct berth_error *err)
{
    char *end;
    *value = strtod(word, &end);
    if (end == word || *end || !isfinite(*value) || *value <= 0)
        return fail_key(spec, key, err, "a number above 0 is wanted", word);
    return BERTH_OK;
}

static enum berth_status read_sizes(const struct berth_bench_spec *spec, const char *key, const struct word_list *words,
                                    size_t *values, const size_t **list, size_t *count, struct berth_error *err)
{
    *list = words->count ? values : NULL;
    *count = words->count;
    for (unsigned i = 0; i < words->count; i++) {
        enum berth_status status = read_size(spec, key, words->item[i], &values[i], err);
        if (status != BERTH_OK)
            return status;
    }
    return BERTH_OK;
}

static enum berth_status read_lists(struct berth_bench_spec *spec, struct berth_error *err)
{
    struct berth_bench_options *o = &spec->options;
    const struct words *w = spec->words;
    enum berth_status status;
    o->models = (const char *const *)w->model.item, o->model_count = w->model.count;
    o->targets = (const char *const *)w->target.item, o->target_count = w->target.count;
    o->optimizations = (const char *const *)w->optimization.item, o->optimization_count = w->optimization.count;
    o->runtimes = spec->runtime, o->runtime_count = w->runtime.count;
    o->precisions = spec->precision, o->precision_count = w->precision.count;
    o->rates = spec->rate, o->rate_count = w->rate.count;
    for (unsigned i = 0; i < w->runtime.count; i++)
        if (!berth_runtime_parse(w->runtime.item[i], &spec->runtime[i]))
            return fail_key(spec, "runtime", err, "native, cuda or onnxruntime is wanted", w->runtime.item[i]);
    for (unsigned i = 0; i < w->precision.count; i++)
        if (!berth_precision_parse(w->precision.item[i], &spec->precision[i]))
            return fail_key(spec, "precision", err, "fp32, bf16, int8 or auto is wanted", w->precision.item[i]);
    for (unsigned i = 0; i < w->optimization.count; i++)
        if (!berth_optimization_word(w->optimization.item[i]))
            return fail_key(spec, "optimization", err, "plain, runtime, optimized or quantized is wanted", w->optimization.item[i]);
    for (unsigned i = 0; i < w->rate.count; i++)
        BERTH_TRY(read_double(spec, "rate", w->rate.item[i], &spec->rate[i], err));
    BERTH_TRY(read_sizes(spec, "threads", &w->threads, spec->threads, &o->threads, &o->thread_count, err));
    BERTH_TRY(read_sizes(spec, "batch", &w->batch, spec->batch, &o->batches, &o->batch_count, err));
    BERTH_TRY(read_sizes(spec, "length", &w->length, spec->length, &o->lengths, &o->length_count, err));
    BERTH_TRY(read_sizes(spec, "concurrency", &w->concurrency, spec->concurrency, &o->concurrencies,
                         &o->concurrency_count, err));
    return BERTH_OK;
fail:
    return status;
}

static enum berth_status read_values(struct berth_bench_spec *spec, struct berth_error *err)
{
    struct berth_bench_options *o = &spec->options;
    const struct words *w = spec->words;
    enum berth_status status;
    if (w->scenario && !berth_scenario_parse(w->scenario, &o->scenario))
        return fail_key(spec, "scenario", err,
                        "single-stream, multi-stream, offline, server or closed-loop is wanted", w->scenario);
    if (w->find_rate) {
        o->find_rate = strcmp(w->find_rate, "true") == 0;
        if (!o->find_rate && strcmp(w->find_rate, "false") != 0)
            return fail_key(spec, "find-rate", err, "true or false is wanted", w->find_rate);
    }
    if (w->suite && strcmp(w->suite, "study") != 0)
        return fail_key(spec, "suite", err, "study is the one there is", w->suite);
    enum berth_protocol protocol;
    if (w->protocol && !berth_protocol_parse(w->protocol, &protocol))
        return fail_key(spec, "protocol", err, "auto, study, oip or berth is wanted", w->protocol);
    if (w->p99_ms)
        BERTH_TRY(read_double(spec, "p99-ms", w->p99_ms, &o->p99_ms, err));
    if (w->percentile)
        BERTH_TRY(read_double(spec, "percentile", w->percentile, &o->percentile, err));
    size_t seed = 1;
    const struct {
        const char *key, *word;
        size_t *value;
    } sizes[] = {{"trials", w->trials, &o->trials},
                 {"seed", w->seed, &seed},
                 {"timeout-ms", w->timeout_ms, &o->timeout_ms},
                 {"connections", w->connections, &o->connections},
                 {"max-length", w->max_length, &o->options.max_length}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].word)
            BERTH_TRY(read_size(spec, sizes[i].key, sizes[i].word, sizes[i].value, err));
    o->seed = seed;
    o->protocol = w->protocol, o->data = w->data, o->task = w->task, o->name = w->name, o->suite = w->suite;
    o->output = w->output, o->options.isa = w->isa, o->options.vocab = w->vocab;
    o->options.ort_library = w->ort_library;
    o->columns = (struct berth_columns){w->text_column, w->pair_column, w->label_column};
    return BERTH_OK;
fail:
    return status;
}

static cyaml_config_t configure(struct complaint *complaint)
{
    return (cyaml_config_t){.log_fn = hear,
                            .log_ctx = complaint,
                            .mem_fn = cyaml_mem,
                            .log_level = CYAML_LOG_ERROR,
                            .flags = CYAML_CFG_NO_ALIAS};
}

enum berth_status berth_bench_spec_open(const char *path, struct berth_bench_spec **out, struct berth_error *err)
{
    struct berth_bench_spec *spec = berth_calloc(1, sizeof *spec);
    struct complaint complaint = {0};
    cyaml_config_t config = configure(&complaint);
    size_t size;
    enum berth_status status;
    *out = NULL;
    if (!spec)
        return berth_fail_memory(err, "an experiment", sizeof *spec);
    if (!(spec->path = berth_strdup(path))) {
        status = berth_fail_memory(err, "an experiment", strlen(path));
        goto fail;
    }
    BERTH_TRY(berth_file_read(path, SPEC_MAX, &spec->text, &size, err));
    BERTH_TRY(check_yaml(spec, size, err));
    cyaml_err_t fault =
        cyaml_load_data((const uint8_t *)spec->text, size, &config, &top_schema, (cyaml_data_t **)&spec->words, NULL);
    if (fault == CYAML_ERR_OOM) {
        status = berth_fail_memory(err, "an experiment", size);
        goto fail;
    }
    if (fault != CYAML_OK) {
        status = explain(spec, &complaint, err);
        goto fail;
    }
    if (!spec->words) {
        status = berth_fail(err, BERTH_FORMAT, "%s:1: an empty file: give at least model: [MODEL]", path);
        goto fail;
    }
    BERTH_TRY(read_lists(spec, err));
    BERTH_TRY(read_values(spec, err));
    spec->options.spec = spec;
    *out = spec;
    return BERTH_OK;
fail:
    berth_bench_spec_free(spec);
    return status;
}

const struct berth_bench_options *berth_bench_spec_options(const struct berth_bench_spec *spec)
{
    return &spec->options;
}

void berth_bench_spec_free(struct berth_bench_spec *spec)
{
    struct complaint complaint = {0};
    cyaml_config_t config = configure(&complaint);
    if (!spec)
        return;
    cyaml_free(&config, &top_schema, spec->words, 0);
    berth_free(spec->text);
    berth_free(spec->path);
    berth_free(spec);
}

void berth_bench_spec_locate(const struct berth_bench_spec *spec, const char *key,
                             const struct berth_bench_options *options, struct berth_error *err)
{
#define PLACE(name, member) {name, offsetof(struct berth_bench_options, member), sizeof options->member}
    static const struct {
        const char *key;
        size_t offset, size;
    } places[] = {PLACE("model", models), PLACE("target", targets), PLACE("optimization", optimizations),
                  PLACE("precision", precisions),
                  PLACE("threads", threads), PLACE("batch", batches), PLACE("length", lengths), PLACE("rate", rates),
                  PLACE("concurrency", concurrencies), PLACE("scenario", scenario), PLACE("find-rate", find_rate),
                  PLACE("p99-ms", p99_ms), PLACE("percentile", percentile), PLACE("trials", trials),
                  PLACE("timeout-ms", timeout_ms), PLACE("connections", connections), PLACE("data", data),
                  PLACE("task", task)};
    size_t line = line_of(spec->text, key, false);
    bool named = strncmp(err->message, key, strlen(key)) == 0; /* the message begins with it already */
    for (size_t i = 0; line > 0 && i < sizeof places / sizeof *places; i++)
        if (strcmp(places[i].key, key) == 0 && memcmp((const char *)options + places[i].offset,
                                                      (const char *)&spec->options + places[i].offset, places[i].size) == 0)
            berth_fail_prefix(err, BERTH_INVALID_ARGUMENT, "%s:%zu%s%s", spec->path, line, named ? "" : ": ",
                              named ? "" : key);
}
