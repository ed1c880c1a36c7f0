/* model.c: opens a model: what the argument means, then tokenizer, encoder, plan, and the checks between
 * them. */
#include "pipeline/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "model/presets.h"
#include "pipeline/source.h"

/* Keeps a remark for `berth info`, and logs it, once. Without memory the log alone has it. */
static void remark(struct berth_model *model, const struct berth_options *options, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void remark(struct berth_model *model, const struct berth_options *options, const char *format, ...)
{
    char text[BERTH_ERROR_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct berth_error printable; /* the words may be a file's: as fit for a terminal as an error's */
    berth_fail(&printable, BERTH_OK, "%s", text);
    for (size_t i = 0; i < BERTH_REMARKS_MAX; i++)
        if (!model->remarks[i]) {
            model->remarks[i] = berth_strdup(printable.message);
            break;
        }
    if (options->log)
        options->log(options->log_context, BERTH_SEVERITY_WARNING, printable.message);
}

/* Which of the forms of a model argument this is; everything that this version cannot open is refused by
 * name. */
static enum berth_status check_form(const char *name, struct berth_error *err)
{
    if (berth_source_is_random(name) || berth_directory_exists(name))
        return BERTH_OK;
    if (berth_source_is_onnx(name))
        return berth_path_present(name) ? BERTH_OK
                                        : berth_fail(err, BERTH_NOT_FOUND, "%s: no such file", name);
    if (berth_file_exists(name))
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "%s: is a file; give the model's directory", name);
    return berth_fail(err, BERTH_NOT_FOUND,
                      "%s: no such directory; a model is a directory in Hugging Face's layout, a .onnx file, "
                      "bundled:sst2 or random:PRESET",
                      name);
}

/* The default: fp32, or what the checkpoint was quantised to. ONNX Runtime has no bf16. */
static void choose_default(struct berth_model *model, enum berth_stored stored, bool native)
{
    bool own = stored == BERTH_STORED_INT8 || (stored == BERTH_STORED_BF16 && native);
    snprintf(model->precision_reason, sizeof model->precision_reason, "%s",
             own ? "the checkpoint's own" : "the default");
    model->precision = !own                          ? BERTH_PRECISION_FP32
                       : stored == BERTH_STORED_INT8 ? BERTH_PRECISION_INT8
                                                     : BERTH_PRECISION_BF16;
}

/* auto: bf16 where it is multiplied in hardware, as a GPU does. bf16 elsewhere is what was asked for, at fp32's speed.
 * `stored` is what the checkpoint's weights are. */
static void choose_precision(struct berth_model *model, const struct berth_options *options,
                             enum berth_stored stored)
{
    bool on_gpu = options->runtime == BERTH_RUNTIME_CUDA, hardware = on_gpu || model->kernels->isa >= BERTH_ISA_VNNI;
    snprintf(model->precision_reason, sizeof model->precision_reason, "asked for");
    if (options->precision == BERTH_PRECISION_AUTO) {
        snprintf(model->precision_reason, sizeof model->precision_reason, "%s",
                 on_gpu     ? "the GPU multiplies bf16"
                 : hardware ? "this CPU multiplies bf16"
                            : "this CPU does not multiply bf16");
        model->precision = hardware ? BERTH_PRECISION_BF16 : BERTH_PRECISION_FP32;
    } else if (options->precision == BERTH_PRECISION_DEFAULT) {
        choose_default(model, stored, options->runtime != BERTH_RUNTIME_ONNXRUNTIME);
    }
    if (model->precision == BERTH_PRECISION_BF16 && options->precision != BERTH_PRECISION_AUTO && !hardware)
        remark(model, options,
               "bf16 is computed by %s: without bf16 instructions it saves memory, but no time",
               model->kernels->gemm_bf16_name);
    if (stored != BERTH_STORED_PLAIN && model->precision == BERTH_PRECISION_FP32)
        remark(model, options,
               "the checkpoint is quantised to %s: at fp32 its weights are widened, and keep that rounding",
               berth_stored_name(stored));
    if (stored == BERTH_STORED_INT8 && model->precision == BERTH_PRECISION_BF16)
        remark(model, options,
               "the checkpoint is quantised to int8: at bf16 its weights are widened and rounded again");
}

/* Says what of the model is in the precision, now that its plan is there. */
static void describe_precision(struct berth_model *model)
{
    size_t used = strlen(model->precision_reason), kept, products;
    if (model->precision == BERTH_PRECISION_FP32)
        return;
    berth_plan_kept(model->plan, &kept, &products);
    if (kept > 0)
        snprintf(model->precision_reason + used, sizeof model->precision_reason - used,
                 "; %zu of %zu products are kept finer, the classifier is in fp32", kept, products);
    else
        snprintf(model->precision_reason + used, sizeof model->precision_reason - used,
                 "; products%s and word embedding, the classifier in fp32",
                 model->precision == BERTH_PRECISION_INT8 ? ", attention" : "");
}

static enum berth_number number_of(enum berth_precision precision)
{
    return precision == BERTH_PRECISION_INT8   ? BERTH_NUMBER_S8
           : precision == BERTH_PRECISION_BF16 ? BERTH_NUMBER_BF16
                                               : BERTH_NUMBER_F32;
}

static enum berth_status choose_kernels(struct berth_model *model, const struct berth_options *options,
                                        struct berth_error *err)
{
    berth_cpu_detect(&model->cpu);
    enum berth_isa level = model->cpu.best;
    if (options->isa) {
        enum berth_isa asked;
        if (!berth_isa_parse(options->isa, &asked))
            return berth_fail(err, BERTH_INVALID_ARGUMENT,
                              "unknown instruction set '%s': scalar, avx2, avx512, vnni or amx",
                              options->isa);
        if (asked > level)
            remark(model, options, "instruction set %s was allowed, but this machine ends at %s: %s",
                   options->isa, berth_isa_name(level), model->cpu.reason);
        else if (asked < level) {
            level = asked;
            snprintf(model->cpu.reason, sizeof model->cpu.reason, "limited to %s by the caller",
                     options->isa);
        }
    }
    model->kernels = berth_kernels_select(level);
    const char *wrong = berth_kernels_self_test(model->kernels);
    if (wrong && strcmp(wrong, "memory") == 0)
        return berth_fail(err, BERTH_NO_MEMORY, "out of memory for the self test of the kernels");
    if (wrong)
        return berth_fail(err, BERTH_INTERNAL,
                          "kernel %s gives wrong results on this CPU; use --isa scalar and report it", wrong);
    return BERTH_OK;
}

static enum berth_status check_runtime(struct berth_model *model, const struct berth_options *options,
                                       struct berth_error *err)
{
    bool of_gpus = options->precision == BERTH_PRECISION_FP16 || options->precision == BERTH_PRECISION_FP8;
    if (of_gpus && options->runtime != BERTH_RUNTIME_CUDA)
        return berth_fail(err, BERTH_UNSUPPORTED, "precision %s is for runtime cuda; on the CPU use bf16 or int8",
                          berth_precision_name(options->precision));
    model->precision = options->precision;
    bool bf16 = options->precision == BERTH_PRECISION_BF16 || options->precision == BERTH_PRECISION_AUTO;
    if (options->runtime == BERTH_RUNTIME_ONNXRUNTIME && bf16)
        return berth_fail(err, BERTH_UNSUPPORTED,
                          "precision %s is berth's own; with ONNX Runtime use fp32 or int8",
                          berth_precision_name(options->precision));
    if (options->runtime != BERTH_RUNTIME_ONNXRUNTIME && options->optimization)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "optimization %s is ONNX Runtime's; berth's own runtime has one plan for a model",
                          berth_optimization_name(options->optimization));
    return BERTH_OK;
}

enum berth_choice berth_choice_of(enum berth_override override)
{
    return override == BERTH_FORCE_ON    ? BERTH_CHOICE_YES
           : override == BERTH_FORCE_OFF ? BERTH_CHOICE_NO
                                         : BERTH_CHOICE_UNSET;
}

static enum berth_status open_tokenizer(struct berth_model *model, const struct berth_options *options,
                                        struct berth_error *err)
{
    struct berth_tokenizer_options wanted = {
        berth_choice_of(options->do_lower_case),
        berth_choice_of(options->strip_accents),
        berth_choice_of(options->tokenize_chinese_chars),
        berth_choice_of(options->add_special_tokens),
        0,
    };
    if (options->vocab)
        return berth_tokenizer_open_vocab(options->vocab, &wanted, &model->tokenizer, err);
    if (berth_source_is_random(model->path))
        return berth_tokenizer_from_memory("the built-in vocabulary", (const char *)berth_builtin_vocab,
                                           berth_builtin_vocab_size, &wanted, &model->tokenizer, err);
    char *folder = berth_source_folder(model->path);
    enum berth_status status = folder ? berth_tokenizer_open(folder, &wanted, &model->tokenizer, err)
                                      : berth_fail_memory(err, "a path", strlen(model->path));
    berth_free(folder);
    return status;
}

/* Takes the encoder; NULL: that of the model's name. */
static enum berth_status open_plan(struct berth_model *model, struct berth_encoder *encoder,
                                   const struct berth_options *options, struct berth_error *err)
{
    struct berth_team *team = NULL;
    enum berth_status status = berth_team_new(model->threads, &team, err);
    if (status != BERTH_OK) {
        berth_encoder_free(encoder);
        return status;
    }
    if (!encoder)
        BERTH_TRY(berth_source_encoder(model->path, &encoder, err));
    choose_precision(model, options, encoder->config.storage.stored);
    const struct berth_plan_options wanted = {
        .number = number_of(model->precision),
        .l2 = model->cpu.l2,
    };
    model->parameters = encoder->parameters;
    model->has_head = encoder->has_head;
    BERTH_TRY(berth_plan_new(encoder, model->kernels, &wanted, team, &model->plan, err));
    describe_precision(model);
fail:
    berth_team_free(team);
    return status;
}

static enum berth_status choose_optimization(struct berth_model *model, const struct berth_options *options,
                                             struct berth_error *err)
{
    bool file = berth_source_is_onnx(model->path);
    if (file && options->optimization == BERTH_OPTIMIZATION_FUSED)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "%s: a file runs with the operators it has; optimization none or runtime", model->name);
    model->optimization = options->optimization ? options->optimization
                          : file                ? BERTH_OPTIMIZATION_RUNTIME
                                                : BERTH_OPTIMIZATION_FUSED;
    return BERTH_OK;
}

/* ONNX Runtime: a .onnx file runs as it is; any other model is exported first, and its weights let go of. */
static enum berth_status open_other(struct berth_model *model, const struct berth_options *options,
                                    struct berth_error *err)
{
    struct berth_encoder *encoder = NULL;
    enum berth_status status;
    BERTH_TRY(choose_optimization(model, options, err));
    if (berth_source_is_onnx(model->path)) {
        model->precision = BERTH_PRECISION_FP32;
        snprintf(model->precision_reason, sizeof model->precision_reason,
                 "whatever the file has; ONNX Runtime runs it as it is");
        if (options->precision != BERTH_PRECISION_DEFAULT)
            return berth_fail(err, BERTH_INVALID_ARGUMENT,
                              "%s: ONNX Runtime runs a file in the precision it has; leave --precision out",
                              model->name);
        char *folder = berth_source_folder(model->path);
        status = folder ? berth_config_read(folder, &model->config, err)
                        : berth_fail_memory(err, "a path", strlen(model->path));
        berth_free(folder);
        model->has_head = true;
        return status == BERTH_OK
                   ? berth_ort_model_new(options->ort_library, model->path, NULL, false,
                                         model->optimization, &model->other, err)
                   : status;
    }
    BERTH_TRY(berth_source_encoder(model->path, &encoder, err));
    choose_precision(model, options, encoder->config.storage.stored);
    bool quantized = model->precision == BERTH_PRECISION_INT8;
    if (quantized) {
        size_t used = strlen(model->precision_reason);
        snprintf(model->precision_reason + used, sizeof model->precision_reason - used,
                 "; linear layers of the encoder, quantised dynamically by ONNX Runtime");
    }
    BERTH_TRY(berth_ort_model_new(options->ort_library, NULL, encoder, quantized, model->optimization,
                                  &model->other, err));
    model->parameters = encoder->parameters;
    model->has_head = encoder->has_head;
    model->config = encoder->config;
    encoder->config = (struct berth_config){0};
fail:
    berth_encoder_free(encoder);
    return status;
}

/* An NVIDIA GPU: weights are rounded and uploaded, and the encoder's files let go of. */
static enum berth_status open_gpu(struct berth_model *model, struct berth_encoder *encoder,
                                  const struct berth_options *options, struct berth_error *err)
{
    static const enum berth_cuda_number numbers[] = {
        [BERTH_PRECISION_FP32] = BERTH_CUDA_F32, [BERTH_PRECISION_BF16] = BERTH_CUDA_BF16,
        [BERTH_PRECISION_INT8] = BERTH_CUDA_INT8, [BERTH_PRECISION_FP16] = BERTH_CUDA_F16,
        [BERTH_PRECISION_FP8] = BERTH_CUDA_FP8,
    };
    enum berth_status status;
    BERTH_TRY(berth_gpu_open(NULL, options->device, &model->gpu, err));
    if (!encoder)
        BERTH_TRY(berth_source_encoder(model->path, &encoder, err));
    snprintf(model->precision_reason, sizeof model->precision_reason, "asked for");
    if (options->precision == BERTH_PRECISION_AUTO) {
        model->precision = BERTH_PRECISION_BF16;
        snprintf(model->precision_reason, sizeof model->precision_reason, "the GPU multiplies bf16");
    } else if (options->precision == BERTH_PRECISION_DEFAULT) {
        choose_default(model, encoder->config.storage.stored, true);
    }
    size_t used = strlen(model->precision_reason);
    if (model->precision != BERTH_PRECISION_FP32)
        snprintf(model->precision_reason + used, sizeof model->precision_reason - used,
                 "; products and word embedding, the classifier in fp32");
    BERTH_TRY(berth_gpu_model_new(model->gpu, encoder, numbers[model->precision], &model->gpu_model, err));
    model->parameters = encoder->parameters;
    model->has_head = encoder->has_head;
    model->config = encoder->config;
    encoder->config = (struct berth_config){0};
fail:
    berth_encoder_free(encoder);
    return status;
}

/* Facts of a model that only tokenises. Its folder may lack everything but a vocabulary, and may hold a model
 * that berth cannot run. */
static enum berth_status read_config_if_any(struct berth_model *model, const struct berth_options *options,
                                            struct berth_error *err)
{
    uint64_t seed;
    if (berth_source_is_random(model->path))
        return berth_preset_config(berth_source_preset(model->path), &model->config, &seed, err);
    char *folder = berth_source_folder(model->path),
         *path = folder ? berth_path_join(folder, "config.json") : NULL;
    enum berth_status status = BERTH_OK;
    if (!path)
        status = berth_fail_memory(err, "a path", strlen(model->path));
    else if (berth_path_present(path))
        status = berth_config_read(folder, &model->config, err);
    berth_free(path);
    berth_free(folder);
    if (status == BERTH_UNSUPPORTED) {
        remark(model, options, "the model's length limit is not known: %s", err->message);
        status = BERTH_OK;
    }
    return status;
}

const struct berth_config *berth_model_config(const struct berth_model *model)
{
    return model->plan ? &model->plan->encoder->config : &model->config;
}

static enum berth_status check_lengths(struct berth_model *model, const struct berth_options *options,
                                       struct berth_error *err)
{
    const struct berth_config *config = berth_model_config(model);
    size_t tokens = berth_tokenizer_vocab_size(model->tokenizer);
    bool runs = model->plan || model->other || model->gpu_model;
    if (runs && tokens > config->vocab_size)
        return berth_fail(
            err, BERTH_FORMAT,
            "%s: the vocabulary has %zu tokens, the embedding only %zu rows; they do not belong together",
            model->name, tokens, config->vocab_size);
    size_t positions = config->max_positions; /* 0: no configuration */
    size_t own = berth_tokenizer_model_max_length(model->tokenizer);
    if (positions > 0 && (own == 0 || own > positions))
        own = positions;
    if (runs && options->max_length > positions)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "a maximum length of %zu tokens: this model has %zu positions", options->max_length,
                          positions);
    if (runs && positions < 3)
        return berth_fail(err, BERTH_FORMAT,
                          "%s: max_position_embeddings %zu leaves no room for a text between [CLS] and [SEP]",
                          model->name, positions);
    model->max_length = options->max_length ? options->max_length : own;
    if (runs && model->max_length < 2)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "a maximum length of %zu tokens has no room for [CLS] and [SEP]",
                          model->max_length);
    model->max_batch_tokens =
        berth_max(options->max_batch_tokens ? options->max_batch_tokens
                  : model->gpu_model        ? BERTH_GPU_BATCH_TOKENS
                                            : BERTH_BATCH_TOKENS_DEFAULT,
                  model->max_length);
    return BERTH_OK;
}

static void fill_info(struct berth_model *model)
{
    const struct berth_config *config = berth_model_config(model);
    const struct berth_tokenizer_options *reads = berth_tokenizer_effective_options(model->tokenizer);
    model->info = (struct berth_model_info){
        .name = model->name,
        .architecture = config->architecture,
        .family = config->layers ? berth_family_name(config->family) : "",
        .activation = config->layers ? berth_activation_name(config->activation) : "",
        .problem = config->layers ? berth_problem_name(config->problem) : "",
        .parameters = model->parameters,
        .layers = config->layers,
        .hidden_size = config->hidden_size,
        .embedding_size = config->embedding_size,
        .heads = config->heads,
        .intermediate_size = config->intermediate_size,
        .vocab_size = config->vocab_size,
        .type_vocab_size = model->plan ? model->plan->type_vocab_size : config->type_vocab_size,
        .tokenizer_size = berth_tokenizer_vocab_size(model->tokenizer),
        .max_positions = config->max_positions,
        .max_length = model->max_length,
        .has_head = model->has_head,
        .labels = config->labels,
        .label_names = (const char *const *)config->label_names,
        .precision = berth_precision_name(model->precision),
        .precision_reason = model->precision_reason,
        .runtime = berth_runtime_name(model->other       ? BERTH_RUNTIME_ONNXRUNTIME
                                      : model->gpu_model ? BERTH_RUNTIME_CUDA
                                                         : BERTH_RUNTIME_NATIVE),
        .device = model->gpu ? berth_gpu_describe(model->gpu) : NULL,
        .optimization = model->other ? berth_optimization_name(model->optimization) : "",
        .isa = berth_isa_name(model->kernels->isa),
        .isa_reason = model->cpu.reason,
        .cpu = model->cpu.model,
        .threads = model->threads,
        .threads_reason = model->threads_reason,
        .weight_bytes = model->plan         ? berth_plan_weight_bytes(model->plan)
                        : model->gpu_model ? berth_gpu_model_bytes(model->gpu_model)
                                           : 0,
        .remarks = (const char *const *)model->remarks,
        .lower_case = reads->do_lower_case == BERTH_CHOICE_YES,
        .strip_accents = reads->strip_accents == BERTH_CHOICE_YES,
        .chinese_chars = reads->tokenize_chinese_chars == BERTH_CHOICE_YES,
        .special_tokens = reads->add_special_tokens == BERTH_CHOICE_YES,
    };
}

/* Everything between the name and the facts. */
static enum berth_status open_parts(struct berth_model *model, struct berth_encoder *encoder,
                                    const struct berth_options *options, struct berth_error *err)
{
    enum berth_status status;
    size_t allowed = berth_cpu_allowed(model->threads_reason, sizeof model->threads_reason);
    if (options->threads > 0)
        snprintf(model->threads_reason, sizeof model->threads_reason, "asked for");
    model->threads = options->threads ? options->threads : berth_min(allowed, BERTH_THREADS_MAX);
    BERTH_TRY(berth_source_resolve(model->name, &model->path, err));
    BERTH_TRY(check_form(model->path, err));
    BERTH_TRY(check_runtime(model, options, err));
    BERTH_TRY(choose_kernels(model, options, err));
    if (options->tokenizer_only) {
        BERTH_TRY(read_config_if_any(model, options, err));
        choose_precision(model, options, model->config.storage.stored);
    } else if (options->runtime == BERTH_RUNTIME_ONNXRUNTIME) {
        BERTH_TRY(open_other(model, options, err));
    } else if (options->runtime == BERTH_RUNTIME_CUDA) {
        struct berth_encoder *given = encoder;
        encoder = NULL;
        BERTH_TRY(open_gpu(model, given, options, err));
    } else {
        struct berth_encoder *given = encoder;
        encoder = NULL;
        BERTH_TRY(open_plan(model, given, options, err));
    }
    BERTH_TRY(open_tokenizer(model, options, err));
    BERTH_TRY(check_lengths(model, options, err));
fail:
    berth_encoder_free(encoder); /* when its turn did not come */
    return status;
}

enum berth_status berth_model_open_encoder(const char *name, struct berth_encoder *encoder,
                                           const struct berth_options *options, struct berth_model **out,
                                           struct berth_error *err)
{
    struct berth_model *model = berth_calloc(1, sizeof *model);
    *out = NULL;
    if (!model || !(model->name = berth_strdup(name))) {
        berth_free(model);
        berth_encoder_free(encoder);
        return berth_fail_memory(err, "a model", sizeof *model);
    }
    enum berth_status status = open_parts(model, encoder, options, err);
    if (status != BERTH_OK) {
        berth_model_free(model);
        return status;
    }
    const struct berth_config *config = berth_model_config(model);
    for (size_t i = 0; i < config->unrecognised_count; i++)
        remark(model, options, "config.json: field '%s' is not known to berth and was not used",
               config->unrecognised[i]);
    if (config->told_positions > config->max_positions)
        remark(model, options, "the graph holds %zu of the %zu positions that config.json says: longer texts are cut",
               config->max_positions, config->told_positions);
    fill_info(model);
    *out = model;
    return BERTH_OK;
}

enum berth_status berth_model_open(const char *name, const struct berth_options *options,
                                   struct berth_model **out, struct berth_error *err)
{
    static const struct berth_options defaults;
    struct berth_error unwanted;
    *out = NULL;
    if (!err)
        err = &unwanted; /* some failures are quoted in remarks */
    if (!name || !*name)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "no model is named; give a directory, bundled:sst2 or random:PRESET");
    return berth_model_open_encoder(name, NULL, options ? options : &defaults, out, err);
}

void berth_model_free(struct berth_model *model)
{
    if (!model)
        return;
    berth_plan_free(model->plan);
    berth_ort_model_free(model->other);
    berth_gpu_model_free(model->gpu_model);
    berth_gpu_close(model->gpu);
    berth_config_clear(&model->config);
    berth_tokenizer_free(model->tokenizer);
    for (size_t i = 0; model->remarks[i]; i++)
        berth_free(model->remarks[i]);
    berth_free(model->path);
    berth_free(model->name);
    berth_free(model);
}

const struct berth_model_info *berth_model_get_info(const struct berth_model *model)
{
    return &model->info;
}
