/* presets.c: the published architectures that `random:PRESET` makes. */
#include "model/presets.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "model/encoder.h"

/* Sizes as published: Turc et al. 2019 (tiny to medium), Devlin et al. 2019, Sanh et al. 2019, Clark et al.
 * 2020. X(name, family, class, layers, hidden, embedding, heads, feed-forward) */
#define PRESET_MAP(X)                                                \
    X("bert-tiny", BERT, "Bert", 2, 128, 128, 2, 512)                \
    X("bert-mini", BERT, "Bert", 4, 256, 256, 4, 1024)               \
    X("bert-small", BERT, "Bert", 4, 512, 512, 8, 2048)              \
    X("bert-medium", BERT, "Bert", 8, 512, 512, 8, 2048)             \
    X("bert-base", BERT, "Bert", 12, 768, 768, 12, 3072)             \
    X("bert-large", BERT, "Bert", 24, 1024, 1024, 16, 4096)          \
    X("distilbert", DISTILBERT, "DistilBert", 6, 768, 768, 12, 3072) \
    X("electra-small", ELECTRA, "Electra", 12, 256, 128, 4, 1024)    \
    X("electra-base", ELECTRA, "Electra", 12, 768, 768, 12, 3072)

struct preset {
    const char *name;
    enum berth_family family;
    const char *class;
    size_t layers, hidden, embedding, heads, ffn;
};

static const struct preset presets[] = {
#define PRESET_ROW(name, family, class, l, c, e, h, f) {name, BERTH_FAMILY_##family, class, l, c, e, h, f},
    PRESET_MAP(PRESET_ROW)
#undef PRESET_ROW
};

const char *const *berth_encoder_presets(void)
{
    static const char *const names[] = {
#define PRESET_NAME(name, family, class, l, c, e, h, f) name,
        PRESET_MAP(PRESET_NAME)
#undef PRESET_NAME
            NULL};
    return names;
}

static const struct preset *find_preset(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++)
        if (strlen(presets[i].name) == length && memcmp(presets[i].name, name, length) == 0)
            return &presets[i];
    return NULL;
}

/* Digits only, to the end. */
static bool read_seed(const char *text, uint64_t *seed)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 19 && text[digits] == 0 && sscanf(text, "%" SCNu64, seed) == 1;
}

static enum berth_status name_labels(struct berth_config *config, struct berth_error *err)
{
    config->label_names = berth_calloc(config->labels, sizeof *config->label_names);
    for (size_t i = 0; config->label_names && i < config->labels; i++) {
        char name[32];
        snprintf(name, sizeof name, "LABEL_%zu", i);
        config->label_names[i] = berth_strdup(name);
        if (!config->label_names[i])
            return berth_fail_memory(err, "the label names", sizeof name);
    }
    return config->label_names
               ? BERTH_OK
               : berth_fail_memory(err, "the label names", config->labels * sizeof *config->label_names);
}

enum berth_status berth_preset_config(const char *preset, struct berth_config *config, uint64_t *seed,
                                      struct berth_error *err)
{
    size_t length = strcspn(preset, "@");
    const struct preset *found = find_preset(preset, length);
    *seed = 1;
    if (!found)
        return berth_fail(
            err, BERTH_NOT_FOUND,
            "random:%s: no such architecture; there are bert-tiny, bert-mini, bert-small, bert-medium, "
            "bert-base, bert-large, distilbert, electra-small and electra-base",
            preset);
    if (preset[length] == '@' && !read_seed(preset + length + 1, seed))
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "random:%s: the seed after '@' must be a whole number",
                          preset);
    *config = (struct berth_config){
        .family = found->family,
        .vocab_size = 30522,
        .hidden_size = found->hidden,
        .embedding_size = found->embedding,
        .layers = found->layers,
        .heads = found->heads,
        .intermediate_size = found->ffn,
        .max_positions = 512,
        .type_vocab_size = found->family == BERTH_FAMILY_DISTILBERT ? 0 : 2,
        .activation = BERTH_ACT_GELU_ERF,
        .summary_activation = BERTH_ACT_GELU_ERF,
        .layer_norm_eps = 1e-12,
        .hidden_dropout = 0.1,
        .attention_dropout = 0.1,
        .classifier_dropout = found->family == BERTH_FAMILY_DISTILBERT ? 0.2 : 0.1,
        .initializer_range = 0.02,
        .problem = BERTH_PROBLEM_SINGLE_LABEL,
        .labels = 2,
    };
    snprintf(config->architecture, sizeof config->architecture, "%sForSequenceClassification", found->class);
    enum berth_status status = name_labels(config, err);
    if (status != BERTH_OK)
        berth_config_clear(config);
    return status;
}
