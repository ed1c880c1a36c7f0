/* test_float_text.c: floats as text, against printf and against being read again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/float_text.h"

static void check(float value)
{
    char text[BERTH_FLOAT_TEXT], wanted[64];
    memset(text, 'x', sizeof text);
    size_t size = berth_float_text(value, text);
    snprintf(wanted, sizeof wanted, "%.9g", (double)value);
    if (strcmp(text, wanted) != 0 || size != strlen(wanted))
        fail_msg("%a: '%.*s' (%zu), printf says '%s'", (double)value, (int)sizeof text, text, size, wanted);
    float again = strtof(text, NULL);
    assert_memory_equal(&again, &value, sizeof value);
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void chosen_floats_are_written_as_printf_writes_them(void **state)
{
    (void)state;
    static const float values[] = {
        0.0f,          1.0f,         0.1f,         0.5f,          0.25f,        1e-4f,
        9.9999999e-5f, 1e9f,         999999999.0f, 1e8f,          123456.789f,  1e10f,
        FLT_MAX,       FLT_MIN,      FLT_EPSILON,  1e-45f,        16777216.0f,  3.0e-5f,
        0.99999999f,   0.999999940f, 2097152.125f, 1048576.0625f, 1234567.875f, 0.000123456789f,
        33554432.0f,   8388608.5f};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        check(values[i]);
        check(-values[i]);
    }
    for (int power = -45; power <= 38; power++) { /* around every power of ten */
        char text[16];
        snprintf(text, sizeof text, "1e%d", power);
        float value = strtof(text, NULL);
        check(value);
        check(nextafterf(value, 0));
        check(nextafterf(value, INFINITY));
    }
    for (int power = -149; power <= 127; power++)
        check(ldexpf(1, power));
}

static void floats_of_all_sizes_are_written_as_printf_writes_them(void **state)
{
    (void)state;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 20011)
        if (isfinite(float_of((uint32_t)bits)))
            check(float_of((uint32_t)bits));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_floats_are_written_as_printf_writes_them),
        cmocka_unit_test(floats_of_all_sizes_are_written_as_printf_writes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
