/* test_tensor.c: element types, descriptions, and widening of every 16-bit value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "formats/tensor.h"

static void describe_names_type_and_shape(void **state)
{
    (void)state;
    char text[64];
    struct berth_tensor tensor = {.dtype = BERTH_DTYPE_BF16, .rank = 2, .shape = {768, 3072}};
    assert_string_equal(berth_tensor_describe(&tensor, text, sizeof text), "bf16[768,3072]");
    assert_string_equal(berth_tensor_describe(&tensor, text, 8), "bf16[76");
    tensor.rank = 0;
    assert_string_equal(berth_tensor_describe(&tensor, text, sizeof text), "bf16[]");
    struct berth_tensor widest = {.dtype = BERTH_DTYPE_BOOL, .rank = BERTH_TENSOR_MAX_RANK};
    for (size_t i = 0; i < widest.rank; i++)
        widest.shape[i] = SIZE_MAX;
    char longest[256];
    assert_int_equal(strlen(berth_tensor_describe(&widest, longest, sizeof longest)), 4 + 2 + 8 * 20 + 7);
}

/* The value of a half by its definition, in double. */
static double half_value(unsigned half)
{
    int exponent = (int)(half >> 10 & 31), mantissa = (int)(half & 1023);
    double magnitude = exponent == 31  ? (mantissa ? NAN : INFINITY)
                       : exponent == 0 ? ldexp(mantissa, -24)
                                       : ldexp(1024 + mantissa, exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

static void read_f32_of_every_half_is_its_value(void **state)
{
    (void)state;
    enum { COUNT = 65536 };
    unsigned char *bytes = malloc(2 * COUNT + 1); /* used from an odd address */
    float *out = malloc(COUNT * sizeof *out);
    assert_true(bytes && out);
    for (unsigned i = 0; i < COUNT; i++)
        memcpy(bytes + 1 + 2 * i, &(uint16_t){(uint16_t)i}, 2);
    struct berth_tensor tensor = {.dtype = BERTH_DTYPE_F16,
                                  .rank = 1,
                                  .shape = {COUNT},
                                  .elements = COUNT,
                                  .data = bytes + 1,
                                  .bytes = 2 * COUNT};
    berth_tensor_read_f32(&tensor, 0, COUNT, out);
    for (unsigned i = 0; i < COUNT; i++) {
        double want = half_value(i);
        if (isnan(want))
            assert_true(isnan(out[i]));
        else
            assert_true((double)out[i] == want && !signbit(out[i]) == !signbit(want));
    }
    berth_tensor_read_f32(&tensor, 0x3c00, 2, out); /* from the middle: 1 and its neighbour */
    assert_true(out[0] == 1.0f && out[1] == 1.0f + 0x1p-10f);
    tensor.dtype = BERTH_DTYPE_BF16;
    berth_tensor_read_f32(&tensor, 0, COUNT, out);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_memory_equal(&out[i], &(uint32_t){i << 16}, 4);
    free(out);
    free(bytes);
}

static void read_f32_rounds_doubles_and_copies_floats(void **state)
{
    (void)state;
    double doubles[4] = {1.0 / 3, 1e300, -0.0, 1e-50};
    unsigned char bytes[sizeof doubles + 1];
    memcpy(bytes + 1, doubles, sizeof doubles);
    float out[4];
    struct berth_tensor tensor = {
        .dtype = BERTH_DTYPE_F64, .elements = 4, .data = bytes + 1, .bytes = sizeof doubles};
    berth_tensor_read_f32(&tensor, 0, 4, out);
    assert_true(out[0] == 1.0f / 3 && isinf(out[1]) && out[2] == 0 && signbit(out[2]) && out[3] == 0);
    float floats[3] = {1, NAN, -2};
    memcpy(bytes + 1, floats, sizeof floats);
    tensor.dtype = BERTH_DTYPE_F32;
    berth_tensor_read_f32(&tensor, 1, 2, out);
    assert_memory_equal(out, floats + 1, 8);
    assert_true(berth_dtype_is_float(BERTH_DTYPE_F64) && !berth_dtype_is_float(BERTH_DTYPE_I8));
}

/* Every half, the numbers between it and the next, and what is beyond the largest. */
static void narrow_to_half_takes_the_nearest_and_even_ones_of_two(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 0x7c00; i++) {
        const double here = half_value(i), next = i == 0x7bff ? 65536 : half_value(i + 1);
        const float middle = (float)((here + next) / 2);
        const float x[] = {(float)here,  -(float)here, middle, -middle, nextafterf(middle, 0),
                           nextafterf(middle, INFINITY)};
        const unsigned even = i + (i & 1);
        const unsigned want[] = {i, i | 0x8000, even, even | 0x8000, i, i + 1};
        for (size_t j = 0; j < 6; j++) {
            uint16_t out;
            assert_true(berth_narrow(BERTH_DTYPE_F16, &x[j], 1, &out) == (want[j] % 0x8000 < 0x7c00));
            assert_int_equal(out, want[j]);
        }
    }
    uint16_t out[4];
    assert_true(berth_narrow(BERTH_DTYPE_F16, (const float[]){INFINITY, -INFINITY, NAN, 1e-30f}, 4, out));
    assert_true(out[0] == 0x7c00 && out[1] == 0xfc00 && (out[2] & 0x7fff) > 0x7c00 && out[3] == 0);
    assert_false(berth_narrow(BERTH_DTYPE_F16, &(float){1e6f}, 1, out));
}

static void narrow_to_bf16_takes_the_nearest_and_even_ones_of_two(void **state)
{
    (void)state;
    const float x[] = {1, 1 + 0x1p-8f, 1 + 0x3p-8f, 1 + 0x1.8p-8f, -0.0f, NAN};
    const uint16_t want[] = {0x3f80, 0x3f80, 0x3f82, 0x3f81, 0x8000};
    uint16_t out[6];
    assert_true(berth_narrow(BERTH_DTYPE_BF16, x, 6, out));
    assert_memory_equal(out, want, sizeof want);
    assert_true((out[5] & 0x7fff) > 0x7f80);
    assert_false(berth_narrow(BERTH_DTYPE_BF16, &(float){FLT_MAX}, 1, out));
    float same[2] = {1.5f, -2}, copy[2];
    assert_true(berth_narrow(BERTH_DTYPE_F32, same, 2, copy));
    assert_memory_equal(same, copy, sizeof same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(describe_names_type_and_shape),
        cmocka_unit_test(read_f32_of_every_half_is_its_value),
        cmocka_unit_test(narrow_to_half_takes_the_nearest_and_even_ones_of_two),
        cmocka_unit_test(narrow_to_bf16_takes_the_nearest_and_even_ones_of_two),
        cmocka_unit_test(read_f32_rounds_doubles_and_copies_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
