/* test_activations.c: the activations at every level, swept over floats of every size against double
 * precision. */
#include "kernel_test.h"

#include <stdlib.h>

static const char *const act_names[] = {"none", "gelu_erf", "gelu_tanh", "relu", "silu", "tanh"};
/* The promise, times max(1, |x|); tanh is held relative to its result. */
static const double bounds[] = {0, 1.8e-7, 3e-7, 0, 3e-7, 3e-7};

enum { CHUNK = 4096 };

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Largest error in units of the promise over `count` floats from `bits` on, every step-th. */
static double worst_error(void (*act_f32)(float *, size_t, enum berth_epilogue_act),
                          enum berth_epilogue_act act, uint32_t bits, uint32_t step, size_t count)
{
    static float x[CHUNK], y[CHUNK];
    double worst = 0;
    for (size_t done = 0; done < count; done += CHUNK) {
        for (size_t i = 0; i < CHUNK; i++, bits += step)
            x[i] = y[i] = float_of(bits);
        act_f32(y, CHUNK, act);
        for (size_t i = 0; i < CHUNK; i++) {
            const double exact = act_exact((double)x[i], act), error = fabs((double)y[i] - exact);
            const double unit = act == BERTH_K_TANH ? fabs(exact) + 1e-37 : fmax(1, fabs((double)x[i]));
            const double share = error == 0 ? 0 : error / (unit * bounds[act]);
            if (!(share <= worst))
                worst = isnan(share) ? INFINITY : share;
        }
    }
    return worst;
}

/* All finite floats, both signs: closely from 2^-4 to 1e4, where the functions bend and reach their limits,
 * loosely below and above. */
static double worst_of_sweep(void (*act_f32)(float *, size_t, enum berth_epilogue_act),
                             enum berth_epilogue_act act)
{
    static const struct {
        uint32_t first, last, step; /* as bits of floats */
    } ranges[] = {
        {0x00000000, 0x3d800000, 50021}, {0x3d800000, 0x461c4000, 997}, {0x461c4000, 0x7e000000, 5003}};
    double worst = 0;
    for (size_t i = 0; i < 6; i++) {
        const uint32_t first = ranges[i / 2].first, step = ranges[i / 2].step, sign = (uint32_t)(i % 2) << 31;
        worst =
            fmax(worst, worst_error(act_f32, act, sign | first, step, (ranges[i / 2].last - first) / step));
    }
    return worst;
}

static void act_every_size_is_within_its_bound(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        for (enum berth_epilogue_act act = BERTH_K_NONE; act <= BERTH_K_TANH; act++) {
            const double worst = worst_of_sweep(kernels->act_f32, act);
            if (!(worst <= 1))
                fail_msg("isa %d %s: %g of the bound", (int)kernels->isa, act_names[act], worst);
            if (getenv("BERTH_TEST_VERBOSE")) {
                print_message("isa %d %s: error %.3g\n", (int)kernels->isa, act_names[act],
                              worst * bounds[act]);
            }
        }
    }
}

static void act_every_length_touches_only_its_own(void **state)
{
    (void)state;
    struct berth_rng rng;
    berth_rng_seed(&rng, 3);
    FOR_EACH_LEVEL(kernels)
    {
        for (size_t n = 0; n <= 50; n++) {
            for (enum berth_epilogue_act act = BERTH_K_NONE; act <= BERTH_K_TANH; act++) {
                struct guarded x = guarded_normal(n + 1, 2, &rng), before = guarded_new(n + 1, 1);
                memcpy(before.data, x.data, (n + 1) * sizeof(float));
                kernels->act_f32(x.data + 1, n, act);
                assert_true(x.data[0] == before.data[0]);
                for (size_t i = 1; i <= n; i++) {
                    const double in = (double)before.data[i], error = (double)x.data[i] - act_exact(in, act);
                    assert_true(fabs(error) <= ACT_ERROR * fmax(1, fabs(in)));
                }
                guarded_free(&x);
                guarded_free(&before);
            }
        }
    }
}

static void act_one_value_gives_same_bits_in_any_place(void **state)
{
    (void)state; /* vector lanes and the tail must agree */
    FOR_EACH_LEVEL(kernels)
    {
        for (enum berth_epilogue_act act = BERTH_K_NONE; act <= BERTH_K_TANH; act++) {
            float x[37];
            for (size_t i = 0; i < 37; i++)
                x[i] = -0.7312f;
            kernels->act_f32(x, 37, act);
            for (size_t i = 1; i < 37; i++)
                assert_memory_equal(&x[0], &x[i], sizeof x[0]);
        }
    }
}

static void act_nan_stays_nan(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        for (enum berth_epilogue_act act = BERTH_K_NONE; act <= BERTH_K_TANH; act++) {
            float x[20];
            for (size_t i = 0; i < 20; i++)
                x[i] = i % 2 ? NAN : 1;
            kernels->act_f32(x, 20, act);
            for (size_t i = 0; i < 20; i++)
                assert_int_equal(isnan(x[i]) != 0, i % 2);
        }
    }
}

static void act_infinity_gives_the_limit(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        for (enum berth_epilogue_act act = BERTH_K_GELU_ERF; act <= BERTH_K_TANH; act++) {
            float x[1] = {INFINITY};
            kernels->act_f32(x, 1, act);
            assert_true(x[0] == (act == BERTH_K_TANH ? 1 : INFINITY));
        }
    }
}

/* --- the checker itself
 * ---------------------------------------------------------------------------------------- */

static void do_nothing(float *x, size_t n, enum berth_epilogue_act act)
{
    (void)x, (void)n, (void)act;
}

static void take_the_other_gelu(float *x, size_t n, enum berth_epilogue_act act)
{
    const enum berth_epilogue_act other = act == BERTH_K_GELU_ERF ? BERTH_K_GELU_TANH : BERTH_K_GELU_ERF;
    berth_kernels_select(BERTH_ISA_SCALAR)->act_f32(x, n, other);
}

static void checker_refuses_wrong_activations(void **state)
{
    (void)state;
    for (enum berth_epilogue_act act = BERTH_K_GELU_ERF; act <= BERTH_K_TANH; act++) {
        assert_true(worst_of_sweep(do_nothing, act) > 1);
        assert_true(worst_of_sweep(take_the_other_gelu, act) > 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(act_every_size_is_within_its_bound),
        cmocka_unit_test(act_every_length_touches_only_its_own),
        cmocka_unit_test(act_one_value_gives_same_bits_in_any_place),
        cmocka_unit_test(act_nan_stays_nan),
        cmocka_unit_test(act_infinity_gives_the_limit),
        cmocka_unit_test(checker_refuses_wrong_activations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
