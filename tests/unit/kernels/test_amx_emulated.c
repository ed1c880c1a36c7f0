/* test_amx_emulated.c: the emulation of AMX tiles that test_amx.c rests on: what each instruction computes,
 * in hand-made cases, and that it refuses what the hardware faults at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/amx_emulated.h"

struct shape {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* c (tile 0) is M x N, a (tile 1) M x K, b (tile 2) K x N groups of four bytes. */
static struct shape shape_of(size_t m, size_t n, size_t k)
{
    struct shape s = {.palette = 1};
    const size_t rows[3] = {m, m, k}, groups[3] = {n, k, n};
    for (size_t i = 0; i < 3; i++) {
        s.rows[i] = (uint8_t)rows[i];
        s.row_bytes[i] = (uint16_t)(4 * groups[i]);
    }
    return s;
}

/* --- int8 ----------------------------------------------------------------------------------------- */

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 167 + i / 7 * 13 + 128);
}

/* From the definition, in 64 bits, then modulo 2^32. */
static int32_t sum_of(const uint8_t *a, const uint8_t *b, size_t row, size_t column, size_t n, size_t k,
                      bool a_signed, int32_t start)
{
    int64_t sum = start;
    for (size_t i = 0; i < 4 * k; i++) {
        const uint8_t left = a[row * 4 * k + i], right = b[(i / 4 * n + column) * 4 + i % 4];
        sum += (int64_t)(a_signed ? (int8_t)left : left) * (int8_t)right;
    }
    return (int32_t)(uint32_t)(uint64_t)sum;
}

static void dot_of_bytes_is_the_sum_of_products(void **state)
{
    (void)state;
    static const size_t sizes[][3] = {{16, 16, 16}, {1, 1, 1}, {3, 16, 5}, {16, 7, 2}, {5, 4, 16}};
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        const size_t m = sizes[i / 2][0], n = sizes[i / 2][1], k = sizes[i / 2][2];
        const bool a_signed = i % 2;
        uint8_t a[1024], b[1024];
        int32_t got[256];
        for (size_t j = 0; j < 1024; j++) {
            a[j] = byte_at(j);
            b[j] = byte_at(j + 5000);
        }
        for (size_t j = 0; j < m * n; j++)
            got[j] = INT32_MAX - (int32_t)j; /* so that sums wrap */
        const struct shape shape = shape_of(m, n, k);
        _tile_loadconfig(&shape);
        _tile_loadd(0, got, 4 * n);
        _tile_loadd(1, a, 4 * k);
        _tile_stream_loadd(2, b, 4 * n);
        if (a_signed)
            _tile_dpbssd(0, 1, 2);
        else
            _tile_dpbusd(0, 1, 2);
        _tile_stored(0, got, 4 * n);
        _tile_release();
        for (size_t j = 0; j < m * n; j++)
            assert_int_equal(got[j], sum_of(a, b, j / n, j % n, n, k, a_signed, INT32_MAX - (int32_t)j));
    }
}

static void load_with_stride_zero_repeats_the_row(void **state)
{
    (void)state;
    int32_t row[16], got[16][16];
    for (int32_t i = 0; i < 16; i++)
        row[i] = i * i - 9;
    const struct shape shape = shape_of(16, 16, 16);
    _tile_loadconfig(&shape);
    _tile_loadd(0, row, 0);
    _tile_stored(0, got, sizeof got[0]);
    for (size_t r = 0; r < 16; r++)
        assert_memory_equal(got[r], row, sizeof row);
    _tile_zero(0);
    _tile_stored(0, got, sizeof got[0]);
    for (size_t i = 0; i < 16 * 16; i++)
        assert_int_equal(got[i / 16][i % 16], 0);
    _tile_release();
}

/* Rows and bytes of memory that the shape leaves out are neither read nor written. */
static void load_and_store_keep_to_the_shape(void **state)
{
    (void)state;
    uint8_t in[3 * 12], out[4 * 16];
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i + 1);
    memset(out, 0xee, sizeof out);
    const struct shape shape = shape_of(3, 3, 1);
    _tile_loadconfig(&shape);
    _tile_loadd(0, in, 12);
    _tile_stored(0, out, 16);
    _tile_release();
    for (size_t i = 0; i < sizeof out; i++)
        assert_int_equal(out[i], i / 16 < 3 && i % 16 < 12 ? in[i / 16 * 12 + i % 16] : 0xee);
}

/* --- bf16 ----------------------------------------------------------------------------------------- */

static uint16_t bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    assert_int_equal(bits & 0xffff, 0); /* the cases are exact */
    return (uint16_t)(bits >> 16);
}

/* start + a . b of `count` numbers (even), as the instruction sums them. */
static float dot(float start, size_t count, const float *a, const float *b)
{
    uint16_t left[32] = {0}, right[16][2] = {{0}};
    float sum = start;
    for (size_t i = 0; i < count; i++) {
        left[i] = bf16(a[i]);
        right[i / 2][i % 2] = bf16(b[i]);
    }
    const struct shape shape = shape_of(1, 1, count / 2);
    _tile_loadconfig(&shape);
    _tile_loadd(0, &sum, 4);
    _tile_loadd(1, left, 64);
    _tile_loadd(2, right, 4);
    _tile_dpbf16ps(0, 1, 2);
    _tile_stored(0, &sum, 4);
    _tile_release();
    return sum;
}

#define DOT(start, a, b) dot(start, sizeof(a) / sizeof(a)[0], a, b)

static void dot_of_bf16_sums_even_and_odd_apart(void **state)
{
    (void)state;
    const float ones[4] = {1, 1, 1, 1};
    /* In one chain, 2^24 + 1 + 1 - 2^24 is 0; even and odd apart, it is 2. */
    const float apart[4] = {0x1p24f, 1, -0x1p24f, 1};
    assert_true(DOT(0, apart, ones) == 2);
    /* Even numbers are one chain: the 1 is lost before -2^24 comes. */
    const float chain[6] = {0x1p24f, 0, 1, 0, -0x1p24f, 0}, six[6] = {1, 1, 1, 1, 1, 1};
    assert_true(DOT(0, chain, six) == 0);
    /* The sum comes last: -2^24 + (2^24 + 1) loses the 1, (-2^24 + 2^24) + 1 would not. */
    const float last[2] = {0x1p24f, 1};
    assert_true(DOT(-0x1p24f, last, ones) == 0);
    /* Chains begin at 0, not at the sum. */
    const float two[4] = {1, 0, 1, 0};
    assert_true(DOT(0x1p24f, two, ones) == 0x1p24f + 2);
}

static void dot_of_bf16_rounds_once_for_each_product(void **state)
{
    (void)state;
    /* 1.5 * 2^128 - 1.5 * 2^127: the product alone is infinite. */
    const float a[4] = {-0x1.8p127f, 0, 0x1.8p64f, 0}, b[4] = {1, 0, 0x1p64f, 0};
    assert_true(isinf(a[2] * b[2]));
    assert_true(DOT(0, a, b) == 0x1.8p127f);
    /* The product is a little above half of the last place, but rounded alone it is that half. */
    const float c[4] = {0x1p-125f, 0, 0x1.4p-75f, 0}, d[4] = {1, 0, 0x1p-74f, 0};
    assert_true(c[0] + c[2] * d[2] == 0x1p-125f);
    assert_true(DOT(0, c, d) == 0x1p-125f + 0x1p-148f);
}

static void dot_of_bf16_takes_denormals_as_zero(void **state)
{
    (void)state;
    const float tiny[2] = {0x1p-127f, 0x1p-130f}, large[2] = {0x1p100f, 0x1p100f};
    assert_true(DOT(0, tiny, large) == 0);
    const float product[2] = {0x1p-100f, 0}, small[2] = {0x1p-30f, 0};
    assert_true(DOT(0, product, small) == 0); /* 2^-130 */
    const float none[2] = {0, 0};
    assert_true(DOT(0x1p-127f, none, none) == 0);
    assert_true(DOT(FLT_MIN, none, none) == FLT_MIN);
    const float minus[2] = {-0x1p-126f, 0}, one[2] = {1, 1};
    assert_true(DOT(0x1.8p-126f, minus, one) == 0); /* 2^-127 */
}

static void dot_of_bf16_spreads_nan_and_infinity(void **state)
{
    (void)state;
    const float infinite[2] = {INFINITY, 1}, zeros[2] = {0, 1}, one[2] = {1, 1};
    assert_true(isnan(DOT(0, infinite, zeros)));
    assert_true(isinf(DOT(0, infinite, one)));
    assert_true(isnan(DOT(NAN, one, one)));
}

/* --- faults --------------------------------------------------------------------------------------- */

static const struct shape whole = {
    .palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

static void configure(struct shape shape)
{
    _tile_loadconfig(&shape);
}

static void zero_without_configuration(void)
{
    _tile_zero(0);
}

static void zero_after_release(void)
{
    configure(whole);
    _tile_release();
    _tile_zero(0);
}

static void zero_after_palette_0(void)
{
    configure(whole);
    configure((struct shape){.palette = 0});
    _tile_zero(0);
}

static void ninth_tile(void)
{
    configure(whole);
    _tile_zero(8);
}

static void tile_without_rows(void)
{
    configure(shape_of(4, 4, 4));
    _tile_zero(3);
}

static void palette_2(void)
{
    configure((struct shape){.palette = 2});
}

static void seventeen_rows(void)
{
    struct shape s = whole;
    s.rows[7] = 17;
    configure(s);
}

static void row_of_68_bytes(void)
{
    struct shape s = whole;
    s.row_bytes[2] = 68;
    configure(s);
}

static void rows_without_bytes(void)
{
    struct shape s = whole;
    s.row_bytes[5] = 0;
    configure(s);
}

static void reserved_byte(void)
{
    struct shape s = whole;
    s.reserved[13] = 1;
    configure(s);
}

static void rows_of_a_ninth_tile(void)
{
    struct shape s = whole;
    s.rows[8] = 1;
    configure(s);
}

static void bytes_of_a_ninth_tile(void)
{
    struct shape s = whole;
    s.row_bytes[8] = 4;
    configure(s);
}

static void product_into_its_operand(void)
{
    configure(whole);
    _tile_dpbusd(0, 0, 1);
}

static void product_with_itself(void)
{
    configure(whole);
    _tile_dpbf16ps(0, 1, 1);
}

static void product_of_other_k(void)
{
    struct shape s = shape_of(4, 4, 4);
    s.rows[2] = 3;
    configure(s);
    _tile_dpbusd(0, 1, 2);
}

static void product_of_other_m(void)
{
    struct shape s = shape_of(4, 4, 4);
    s.rows[0] = 5;
    configure(s);
    _tile_dpbssd(0, 1, 2);
}

static void product_of_half_a_group(void)
{
    struct shape s = shape_of(4, 4, 4);
    s.row_bytes[0] = s.row_bytes[2] = 14;
    configure(s);
    _tile_dpbf16ps(0, 1, 2);
}

static void nothing_wrong(void)
{
    configure(whole);
    _tile_dpbusd(0, 1, 2);
    _tile_release();
    configure((struct shape){.palette = 0});
}

static bool aborts(void (*use)(void))
{
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        use();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void faults_of_the_hardware_abort(void **state)
{
    (void)state;
    static void (*const uses[])(void) = {
        zero_without_configuration, zero_after_release,  zero_after_palette_0, ninth_tile,
        tile_without_rows,          palette_2,           seventeen_rows,       row_of_68_bytes,
        rows_without_bytes,         reserved_byte,       rows_of_a_ninth_tile, bytes_of_a_ninth_tile,
        product_into_its_operand,   product_with_itself, product_of_other_k,   product_of_other_m,
        product_of_half_a_group,
    };
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
        if (!aborts(uses[i]))
            fail_msg("fault %zu is not seen", i);
    }
    assert_false(aborts(nothing_wrong));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dot_of_bytes_is_the_sum_of_products),
        cmocka_unit_test(load_with_stride_zero_repeats_the_row),
        cmocka_unit_test(load_and_store_keep_to_the_shape),
        cmocka_unit_test(dot_of_bf16_sums_even_and_odd_apart),
        cmocka_unit_test(dot_of_bf16_rounds_once_for_each_product),
        cmocka_unit_test(dot_of_bf16_takes_denormals_as_zero),
        cmocka_unit_test(dot_of_bf16_spreads_nan_and_infinity),
        cmocka_unit_test(faults_of_the_hardware_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
