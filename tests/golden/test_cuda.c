/* test_cuda.c [gpu]: the CUDA plugin's own sources, run thread by thread on an emulated device, or on the GPU itself: reference
 * models at every kind of numbers against the reference, and the same bits whatever the batch. The emulation, which takes its
 * time and so runs a part of models and batches, adds orders of blocks, refused allocations, old devices, and that nothing is
 * written beyond what was allocated. What it cannot show is what only a GPU can: timing, and cuBLASLt itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/gpu.h"
#include "support/cuda_emulated.h"
#include "support/engine_support.h"
#include "support/golden.h"

/* docs/numerics.md. fp32: the largest difference. The others: root mean square of the differences over that of the
 * reference; logits, which may be small by chance, by the largest difference. */
static const struct {
    const char *name;
    double absolute, relative;
} bounds[] = {
    [BERTH_CUDA_F32] = {"fp32", 5e-5, 1e-4},  [BERTH_CUDA_BF16] = {"bf16", 0.15, 0.03}, [BERTH_CUDA_F16] = {"fp16", 0.02, 0.004},
    [BERTH_CUDA_INT8] = {"int8", 0.6, 0.15}, [BERTH_CUDA_FP8] = {"fp8", 1.0, 0.3},
};

static char models[512];
static struct support_cuda_state *device;
static bool on_gpu;

struct distance {
    double logits, first, hidden; /* logits and fp32: largest; else relative */
    size_t compared;
};

static double distance_of(const float *got, const double *want, size_t count, bool relative)
{
    double errors = 0, sizes = 0;
    if (!relative)
        return support_distance(got, want, count);
    for (size_t i = 0; i < count; i++) {
        errors += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        sizes += want[i] * want[i];
    }
    return errors >= 0 ? sqrt(errors / sizes) : INFINITY;
}

static void keep(double *largest, double value)
{
    if (!(value <= *largest))
        *largest = value;
}

static void compare(const json_t *golden, const char *key, const float *got, bool relative, double *largest, size_t *compared)
{
    double *want;
    const json_t *array = json_object_get(golden, key);
    if (!array)
        return;
    size_t count = support_numbers(array, &want);
    keep(largest, distance_of(got, want, count, relative));
    *compared += count;
    free(want);
}

static void run(struct berth_gpu_session *session, const struct berth_batch *batch, const struct berth_cuda_outputs *outputs)
{
    struct berth_error err;
    if (berth_gpu_submit(session, batch->ids, batch->type_ids, batch->positions, batch->offsets, batch->texts, outputs, &err) ||
        berth_gpu_collect(session, &err))
        fail_msg("%s", err.message);
}

static void compare_hidden(const char *directory, const struct support_batch *batch, size_t layers, size_t c, const float *hidden,
                           bool relative, struct distance *d)
{
    struct berth_checkpoint *file;
    struct berth_error err;
    char path[700];
    size_t tokens = batch->offsets[batch->batch.texts];
    float *padded = calloc(batch->batch.texts * batch->width * c, sizeof(float));
    double *want = calloc(tokens * c, sizeof *want);
    snprintf(path, sizeof path, "%s/golden_hidden_states.safetensors", directory);
    assert_int_equal(berth_checkpoint_open_file(path, &file, &err), BERTH_OK);
    for (size_t layer = 0; layer <= layers; layer++) {
        char name[32];
        snprintf(name, sizeof name, "hidden_states.%zu", layer);
        const struct berth_tensor *tensor = berth_checkpoint_find(file, name);
        assert_non_null(tensor);
        berth_tensor_read_f32(tensor, 0, tensor->elements, padded);
        for (size_t i = 0; i < tokens * c; i++)
            want[i] = (double)padded[batch->source[i / c] * c + i % c];
        keep(&d->hidden, distance_of(hidden + layer * tokens * c, want, tokens * c, relative));
        d->compared += tokens * c;
    }
    berth_checkpoint_close(file);
    free(padded);
    free(want);
}

static struct berth_encoder *open_encoder(const char *name)
{
    char path[600];
    struct berth_encoder *encoder;
    struct berth_error err;
    snprintf(path, sizeof path, "%s/%s", models, name);
    if (berth_encoder_open(path, &encoder, &err))
        fail_msg("%s", err.message);
    return encoder;
}

struct opened {
    struct berth_gpu *gpu;
    struct berth_encoder *encoder;
    struct berth_gpu_model *model;
    struct berth_gpu_session *session;
};

/* False when the GPU refuses the model, which is checked to be for its sizes. */
static bool open_all(struct opened *o, struct berth_encoder *encoder, enum berth_cuda_number number)
{
    struct berth_error err;
    *o = (struct opened){.encoder = encoder};
    if (berth_gpu_open(support_cuda_library(), 0, &o->gpu, &err))
        fail_msg("%s", err.message);
    enum berth_status status = berth_gpu_model_new(o->gpu, encoder, number, &o->model, &err);
    if (status == BERTH_UNSUPPORTED) {
        assert_true(number == BERTH_CUDA_INT8 || number == BERTH_CUDA_FP8);
        assert_non_null(strstr(err.message, "multiples of 16"));
        return false;
    }
    if (status || berth_gpu_session_new(o->model, 2048, 64, &o->session, &err))
        fail_msg("%s", err.message);
    return true;
}

static void close_all(struct opened *o)
{
    berth_gpu_session_free(o->session);
    berth_gpu_model_free(o->model);
    berth_gpu_close(o->gpu);
    berth_encoder_free(o->encoder);
    assert_int_equal(device->used, 0);
    assert_int_equal(device->overruns, 0);
}

static struct distance check_model(const char *name, enum berth_cuda_number number, bool spoil)
{
    struct opened o;
    struct distance d = {0};
    char path[700], directory[600];
    bool relative = number != BERTH_CUDA_F32;
    if (open_all(&o, open_encoder(name), number)) {
        snprintf(directory, sizeof directory, "%s/%s", models, name);
        snprintf(path, sizeof path, "%s/golden.json", directory);
        json_t *golden = golden_json(path), *batches = json_object_get(golden, "batches");
        const struct berth_config *c = &o.encoder->config;
        for (size_t i = 0; i < json_array_size(batches); i++) {
            const json_t *entry = json_array_get(batches, i);
            struct support_batch batch;
            bool whole = strcmp(json_string_value(json_object_get(entry, "name")), "pad_longest_4") == 0;
            if (!on_gpu && (i > 0 || spoil) && !whole)
                continue;
            support_batch_from_json(&batch, entry);
            size_t texts = batch.batch.texts, tokens = batch.offsets[texts];
            for (size_t t = 0; spoil && t < tokens; t++)
                batch.positions[t] = (int32_t)(((size_t)batch.positions[t] + 1) % c->max_positions);
            float *logits = calloc(texts * c->labels, sizeof(float)), *again = calloc(texts * c->labels, sizeof(float)),
                  *first = calloc(texts * c->hidden_size, sizeof(float)),
                  *hidden = calloc((c->layers + 1) * tokens * c->hidden_size, sizeof(float));
            struct berth_cuda_outputs wanted = {.logits = logits, .first = first, .hidden = whole ? hidden : NULL};
            run(o.session, &batch.batch, &wanted);
            if (o.encoder->has_head)
                compare(entry, "logits_f64", logits, false, &d.logits, &d.compared);
            compare(entry, "cls_hidden", first, relative, &d.first, &d.compared);
            if (whole)
                compare_hidden(directory, &batch, c->layers, c->hidden_size, hidden, relative, &d);
            /* Run as it is, captured, replayed: the same bits. */
            struct berth_cuda_outputs brief = {.logits = again};
            for (int turn = 0; turn < (i == 0 ? 5 : 0) && o.encoder->has_head; turn++) {
                memset(again, 0, texts * c->labels * sizeof(float));
                run(o.session, &batch.batch, &brief);
                if (!whole)
                    assert_memory_equal(again, logits, texts * c->labels * sizeof(float));
            }
            free(logits);
            free(again);
            free(first);
            free(hidden);
            support_batch_clear(&batch);
        }
        json_decref(golden);
    }
    close_all(&o);
    return d;
}

static bool is_good(const struct distance *d, enum berth_cuda_number number)
{
    double rest = number == BERTH_CUDA_F32 ? bounds[number].absolute : bounds[number].relative;
    return d->logits <= bounds[number].absolute && d->first <= rest && d->hidden <= rest;
}

static void run_every_reference_model_gives_reference_numbers(void **state)
{
    (void)state;
    char path[600];
    snprintf(path, sizeof path, "%s/index.json", models);
    json_t *index = golden_json(path);
    size_t bad = 0, checked = 0;
    for (size_t i = 0; i < json_array_size(index); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(index, i), "name"));
        if (strstr(name, "relative"))
            continue;
        for (enum berth_cuda_number number = 0; number < BERTH_CUDA_NUMBERS; number++) {
            bool again = number > BERTH_CUDA_F32; /* the same kernels but for the rounding and attention: four models */
            if (!on_gpu && again && !strstr(name, "gelu-2") && !strstr(name, "oddsizes"))
                continue;
            struct distance d = check_model(name, number, false);
            if (d.compared == 0)
                continue; /* refused, by its sizes */
            printf("%-26s %s logits %.1e first %.1e hidden %.1e\n", name, bounds[number].name, d.logits, d.first, d.hidden);
            bad += !is_good(&d, number);
            checked++;
        }
    }
    json_decref(index);
    assert_int_equal(bad, 0);
    assert_true(checked > 25);
    assert_true(on_gpu || device->replays > 0);
}

static void check_wrong_models_are_rejected(void **state)
{
    (void)state;
    static const char *const names[] = {"bert-gelu-2", "distilbert-gelu-2", "electra-gelu-2"};
    for (size_t i = 0; i < 3; i++)
        for (enum berth_cuda_number number = 0; number < BERTH_CUDA_NUMBERS; number++) {
            if (!on_gpu && i > 0 && number > BERTH_CUDA_F32)
                continue;
            struct distance d = check_model(names[i], number, true);
            assert_true(d.compared == 0 || !is_good(&d, number));
        }
}

/* A text's logits alone, among others, last, with blocks run backwards: the same bits. */
static void run_the_same_text_gives_the_same_bits(void **state)
{
    (void)state;
    static const size_t lengths[] = {5, 64, 1, 65, 30, 12, 63, 2};
    enum { TEXTS = 8 };
    for (enum berth_cuda_number number = 0; number < BERTH_CUDA_NUMBERS; number++) {
        struct opened o;
        struct support_batch batch;
        if (!open_all(&o, open_encoder("bert-gelu-2"), number)) {
            close_all(&o);
            continue;
        }
        const struct berth_config *c = &o.encoder->config;
        size_t labels = c->labels, cut[TEXTS];
        float together[TEXTS * 8], backwards[TEXTS * 8], alone[8];
        for (size_t i = 0; i < TEXTS; i++)
            cut[i] = lengths[i] < c->max_positions ? lengths[i] : c->max_positions;
        support_batch_random(&batch, cut, TEXTS, c->vocab_size, 7);
        struct berth_cuda_outputs wanted = {.logits = together};
        run(o.session, &batch.batch, &wanted);
        device->backwards = true;
        wanted.logits = backwards;
        run(o.session, &batch.batch, &wanted);
        device->backwards = false;
        assert_memory_equal(backwards, together, TEXTS * labels * sizeof(float));
        for (size_t i = 0; i < TEXTS; i++) {
            size_t offsets[2] = {0, cut[i]};
            struct berth_batch one = {.texts = 1, .offsets = offsets, .ids = batch.ids + batch.offsets[i]};
            wanted.logits = alone;
            run(o.session, &one, &wanted);
            if (batch.types) { /* random batches have types of their own */
                one.type_ids = batch.types + batch.offsets[i];
                run(o.session, &one, &wanted);
            }
            assert_memory_equal(alone, together + i * labels, labels * sizeof(float));
        }
        support_batch_clear(&batch);
        close_all(&o);
    }
}

static void submit_two_batches_overlap_and_a_third_is_refused(void **state)
{
    (void)state;
    struct opened o;
    struct berth_error err;
    const int32_t ids[] = {2, 5, 3};
    const size_t offsets[] = {0, 3};
    float a[8], b[8];
    assert_true(open_all(&o, open_encoder("bert-gelu-2"), BERTH_CUDA_F32));
    struct berth_cuda_outputs to_a = {.logits = a}, to_b = {.logits = b};
    assert_int_equal(berth_gpu_submit(o.session, ids, NULL, NULL, offsets, 1, &to_a, &err), BERTH_OK);
    assert_int_equal(berth_gpu_submit(o.session, ids, NULL, NULL, offsets, 1, &to_b, &err), BERTH_OK);
    assert_int_not_equal(berth_gpu_submit(o.session, ids, NULL, NULL, offsets, 1, &to_b, &err), BERTH_OK);
    assert_non_null(strstr(err.message, "under way"));
    assert_int_equal(berth_gpu_collect(o.session, &err), BERTH_OK);
    assert_int_equal(berth_gpu_collect(o.session, &err), BERTH_OK);
    assert_memory_equal(a, b, o.encoder->config.labels * sizeof(float));
    assert_int_not_equal(berth_gpu_collect(o.session, &err), BERTH_OK);
    /* Values outside the model's tables are named. */
    const int32_t beyond[] = {2, 1 << 20, 3};
    assert_int_equal(berth_gpu_submit(o.session, beyond, NULL, NULL, offsets, 1, &to_a, &err), BERTH_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "1048576"));
    close_all(&o);
}

/* Whatever allocation the device refuses: one sentence, nothing kept, and the next try succeeds. */
static void open_without_memory_is_refused_and_keeps_nothing(void **state)
{
    (void)state;
    struct berth_gpu *gpu;
    struct berth_error err;
    struct berth_encoder *encoder = open_encoder("bert-gelu-2");
    assert_int_equal(berth_gpu_open(support_cuda_library(), 0, &gpu, &err), BERTH_OK);
    size_t refused = 0;
    for (size_t budget = 0; ; budget += 11 << 20) {
        struct berth_gpu_model *model;
        struct berth_gpu_session *session = NULL;
        device->budget = budget;
        enum berth_status status = berth_gpu_model_new(gpu, encoder, BERTH_CUDA_BF16, &model, &err);
        if (status == BERTH_OK)
            status = berth_gpu_session_new(model, 2048, 64, &session, &err);
        berth_gpu_session_free(session);
        berth_gpu_model_free(model);
        assert_int_equal(device->used, 0);
        if (status == BERTH_OK)
            break;
        assert_int_equal(status, BERTH_NO_MEMORY);
        assert_non_null(strstr(err.message, "memory does not suffice"));
        refused++;
    }
    device->budget = SIZE_MAX;
    assert_true(refused > 2);
    berth_gpu_close(gpu);
    berth_encoder_free(encoder);
}

static void open_old_devices_and_other_libraries_are_refused_by_name(void **state)
{
    (void)state;
    struct berth_gpu *gpu;
    struct berth_gpu_model *model;
    struct berth_error err;
    struct berth_encoder *encoder = open_encoder("bert-gelu-2");
    assert_int_equal(berth_gpu_open(support_cuda_library(), 0, &gpu, &err), BERTH_OK);
    device->capability = 75;
    assert_int_equal(berth_gpu_model_new(gpu, encoder, BERTH_CUDA_F32, &model, &err), BERTH_NOT_FOUND);
    assert_non_null(strstr(err.message, "7.5"));
    device->capability = 80;
    assert_int_equal(berth_gpu_model_new(gpu, encoder, BERTH_CUDA_FP8, &model, &err), BERTH_UNSUPPORTED);
    assert_non_null(strstr(err.message, "fp8"));
    device->capability = 90;
    berth_gpu_close(gpu);
    berth_encoder_free(encoder);
    assert_int_equal(berth_gpu_open("/nonexistent/libberth_cuda.so", 0, &gpu, &err), BERTH_NOT_FOUND);
    assert_int_equal(berth_gpu_open("libm.so.6", 0, &gpu, &err), BERTH_FORMAT);
    assert_int_equal(berth_gpu_open(support_cuda_library(), 1, &gpu, &err), BERTH_NOT_FOUND);
}

int main(int argc, char **argv)
{
    on_gpu = argc > 1 && strcmp(argv[1], "gpu") == 0;
    if (on_gpu)
        support_cuda_use_gpu();
    snprintf(models, sizeof models, "%s", golden_path("golden/models"));
    device = support_cuda_state();
    const struct CMUnitTest gpu_tests[] = {
        cmocka_unit_test(run_every_reference_model_gives_reference_numbers),
        cmocka_unit_test(check_wrong_models_are_rejected),
        cmocka_unit_test(run_the_same_text_gives_the_same_bits),
        cmocka_unit_test(submit_two_batches_overlap_and_a_third_is_refused),
    };
    if (on_gpu)
        return cmocka_run_group_tests(gpu_tests, NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_every_reference_model_gives_reference_numbers),
        cmocka_unit_test(check_wrong_models_are_rejected),
        cmocka_unit_test(run_the_same_text_gives_the_same_bits),
        cmocka_unit_test(submit_two_batches_overlap_and_a_third_is_refused),
        cmocka_unit_test(open_without_memory_is_refused_and_keeps_nothing),
        cmocka_unit_test(open_old_devices_and_other_libraries_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
