/* test_gemm_f32.c: the matrix product at every level: right at every remainder, nothing touched outside, the
 * same bits however the work is cut. */
#include "kernel_test.h"

enum residual_kind { RESIDUAL_NONE, RESIDUAL_APART, RESIDUAL_IN_PLACE, RESIDUAL_KINDS };

struct problem {
    size_t m, n, k, out_gap, a_gap; /* gaps: how much longer strides are than rows */
    enum berth_epilogue_act act;
    enum residual_kind residual;
    bool bias;
};

/* Everything of one problem; all but `packed` and `scratch` end at a guard page. */
struct setup {
    struct guarded out, a, w, bias, residual, packed, scratch;
    struct berth_gemm_f32 args;
};

static struct setup set_up(const struct berth_kernels *kernels, const struct problem *p, uint64_t seed)
{
    struct berth_rng rng;
    berth_rng_seed(&rng, seed);
    const size_t out_stride = p->n + p->out_gap, a_stride = p->k + p->a_gap, residual_stride = p->n + 3;
    const bool apart = p->residual == RESIDUAL_APART;
    const size_t packed = berth_gemm_f32_packed(kernels, p->n, p->k);
    struct setup s = {
        .out = guarded_normal(p->m * out_stride - p->out_gap, 1, &rng),
        .a = guarded_normal(p->m * a_stride - p->a_gap, 1, &rng),
        .w = guarded_normal(p->n * p->k, 1 / sqrt((double)p->k), &rng),
        .bias = guarded_normal(p->n, 1, &rng),
        .residual = guarded_normal(apart ? p->m * residual_stride - 3 : 1, 1, &rng),
        .packed = guarded_new(packed, 1),
        .scratch = guarded_new(kernels->gemm_f32_scratch(p->m, p->k), 16),
    };
    memset(s.packed.data, 0xff, packed * sizeof(float)); /* NaN: all of it must be written */
    kernels->pack_f32(s.packed.data, s.w.data, 0, p->n, p->k, p->k);
    for (size_t i = 0; p->residual != RESIDUAL_IN_PLACE && i < p->m; i++) {
        fill_untouched(s.out.data + i * out_stride, p->n);
    }
    for (size_t i = 0; i + 1 < p->m; i++)
        fill_untouched(s.out.data + i * out_stride + p->n, p->out_gap);
    s.args = (struct berth_gemm_f32){
        .out = s.out.data,
        .a = s.a.data,
        .weights = s.packed.data,
        .bias = p->bias ? s.bias.data : NULL,
        .residual = apart                              ? s.residual.data
                    : p->residual == RESIDUAL_IN_PLACE ? s.out.data
                                                       : NULL,
        .m = p->m,
        .n = p->n,
        .k = p->k,
        .out_stride = out_stride,
        .a_stride = a_stride,
        .residual_stride = apart ? residual_stride : out_stride,
        .act = p->act,
        .scratch = s.scratch.data,
    };
    return s;
}

static void tear_down(struct setup *s)
{
    guarded_free(&s->out);
    guarded_free(&s->a);
    guarded_free(&s->w);
    guarded_free(&s->bias);
    guarded_free(&s->residual);
    guarded_free(&s->packed);
    guarded_free(&s->scratch);
}

/* One element against double precision, within the bound that its operands give. */
static bool element_is_right(const struct setup *s, const float *before, size_t i, size_t j)
{
    const struct berth_gemm_f32 *g = &s->args;
    double sum = 0, size = 0;
    for (size_t c = 0; c < g->k; c++) {
        const double term = (double)g->a[i * g->a_stride + c] * (double)s->w.data[j * g->k + c];
        sum += term;
        size += fabs(term);
    }
    if (g->bias)
        sum += (double)g->bias[j], size += fabs((double)g->bias[j]);
    const double x = act_exact(sum, g->act),
                 added = g->residual ? (double)before[i * g->residual_stride + j] : 0;
    double bound = ((double)g->k + 2) * EPS * size * 1.13; /* no activation is steeper than gelu */
    if (g->act != BERTH_K_NONE)
        bound += ACT_ERROR * fmax(1, fabs(sum));
    bound += EPS * (fabs(x) + fabs(added)) * 2 + 1e-37;
    const double error = fabs((double)g->out[i * g->out_stride + j] - (x + added));
    return error <= bound; /* false for NaN */
}

/* Runs the table's product on the problem and judges it. */
static bool is_right(const struct berth_kernels *kernels, const struct problem *p, uint64_t seed)
{
    struct setup s = set_up(kernels, p, seed);
    const struct berth_gemm_f32 *g = &s.args;
    const float *added = g->residual ? g->residual : g->out;
    const size_t added_count = (p->m - 1) * (g->residual ? g->residual_stride : g->out_stride) + p->n;
    struct guarded before = guarded_new(added_count, 1);
    memcpy(before.data, added, added_count * sizeof(float));
    kernels->gemm_f32(g);
    bool right = true;
    for (size_t i = 0; i < p->m && right; i++) {
        for (size_t j = 0; j < p->n && right; j++)
            right = element_is_right(&s, before.data, i, j);
        for (size_t j = 0; j < p->out_gap && i + 1 < p->m; j++) {
            right = right && g->out[i * g->out_stride + p->n + j] == untouched;
        }
    }
    guarded_free(&before);
    tear_down(&s);
    return right;
}

static void gemm_every_remainder_is_right(void **state)
{
    (void)state;
    static const size_t depths[] = {1, 2, 7, 16, 33, 64, 255, 256, 257, 300, 513};
    FOR_EACH_LEVEL(kernels)
    {
        const size_t nr = kernels->gemm_f32_nr;
        const size_t widths[] = {1, 3, nr / 2, nr - 1, nr, nr + 1, 2 * nr + 5};
        struct berth_rng rng;
        berth_rng_seed(&rng, 7);
        for (size_t m = 1; m <= 40; m++) {
            for (size_t round = 0; round < 7; round++) {
                const struct problem p = {
                    .m = m,
                    .n = widths[round],
                    .k = depths[berth_rng_below(&rng, 11)],
                    .out_gap = berth_rng_below(&rng, 4),
                    .a_gap = berth_rng_below(&rng, 4),
                    .act = (enum berth_epilogue_act)berth_rng_below(&rng, BERTH_K_TANH + 1),
                    .residual = (enum residual_kind)berth_rng_below(&rng, RESIDUAL_KINDS),
                    .bias = berth_rng_below(&rng, 4) > 0,
                };
                if (!is_right(kernels, &p, m * 100 + round)) {
                    fail_msg("%s: m %zu n %zu k %zu act %d residual %d", kernels->gemm_f32_name, m, p.n, p.k,
                             (int)p.act, (int)p.residual);
                }
            }
        }
    }
}

static void gemm_more_rows_than_a_block_is_right(void **state)
{
    (void)state;
    static const struct problem p = {
        .m = 61, .n = 37, .k = 3072, .bias = true, .residual = RESIDUAL_IN_PLACE};
    static const struct problem tall = {.m = 531, .n = 5, .k = 40, .a_gap = 1, .act = BERTH_K_GELU_ERF};
    FOR_EACH_LEVEL(kernels)
    {
        assert_true(is_right(kernels, &p, 1));
        assert_true(is_right(kernels, &tall, 2));
    }
}

static void gemm_empty_sizes_write_nothing_or_the_bias(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        struct setup s = set_up(kernels, &(struct problem){.m = 3, .n = 2, .k = 1, .bias = true}, 3);
        struct berth_gemm_f32 none = s.args;
        none.m = 0;
        kernels->gemm_f32(&none);
        none = s.args, none.n = 0;
        kernels->gemm_f32(&none);
        for (size_t i = 0; i < 6; i++)
            assert_true(s.out.data[i] == untouched);
        none = s.args, none.k = 0;
        kernels->gemm_f32(&none);
        for (size_t i = 0; i < 6; i++)
            assert_true(s.out.data[i] == s.bias.data[i % 2]);
        tear_down(&s);
    }
}

/* Computes the problem in pieces of random rows and panels; the bits must be those of the whole. */
static void assert_pieces_give_same_bits(const struct berth_kernels *kernels, const struct problem *p,
                                         uint64_t seed)
{
    struct setup s = set_up(kernels, p, seed);
    const struct berth_gemm_f32 *g = &s.args;
    struct guarded pieces = guarded_new(p->m * p->n, 1);
    kernels->gemm_f32(g);
    struct berth_rng rng;
    berth_rng_seed(&rng, seed + 1);
    for (size_t i0 = 0, rows; i0 < p->m; i0 += rows) {
        rows = berth_min(p->m - i0, 1 + berth_rng_below(&rng, 20));
        for (size_t j0 = 0, columns; j0 < p->n; j0 += columns) {
            columns = berth_min(p->n - j0, (1 + berth_rng_below(&rng, 2)) * kernels->gemm_f32_nr);
            struct berth_gemm_f32 piece = *g;
            piece.out = pieces.data + i0 * p->n + j0, piece.out_stride = p->n;
            piece.a += i0 * g->a_stride, piece.bias += j0;
            piece.weights += berth_gemm_f32_packed(kernels, j0, p->k);
            piece.m = rows, piece.n = columns;
            kernels->gemm_f32(&piece);
        }
    }
    for (size_t i = 0; i < p->m; i++) {
        assert_memory_equal(g->out + i * g->out_stride, pieces.data + i * p->n, p->n * sizeof(float));
    }
    guarded_free(&pieces);
    tear_down(&s);
}

static void gemm_in_pieces_gives_same_bits(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        const size_t n = 3 * kernels->gemm_f32_nr + 5;
        const struct problem wide = {.m = 70, .n = n, .k = 600, .bias = true, .act = BERTH_K_GELU_ERF};
        const struct problem deep = {.m = 101, .n = n, .k = 3072, .bias = true, .out_gap = 2};
        for (uint64_t seed = 1; seed <= 5; seed++)
            assert_pieces_give_same_bits(kernels, &wide, seed);
        assert_pieces_give_same_bits(kernels, &deep, 6);
    }
}

static void pack_in_pieces_equals_pack_at_once(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        const size_t nr = kernels->gemm_f32_nr, n = 2 * nr + 3, k = 29, stride = k + 2;
        const size_t count = berth_gemm_f32_packed(kernels, n, k);
        struct berth_rng rng;
        berth_rng_seed(&rng, 9);
        struct guarded w = guarded_normal(n * stride - 2, 1, &rng);
        struct guarded whole = guarded_new(count, 1), pieces = guarded_new(count, 1);
        kernels->pack_f32(whole.data, w.data, 0, n, k, stride);
        for (size_t n0 = 0; n0 < n; n0 += nr) {
            kernels->pack_f32(pieces.data, w.data + n0 * stride, n0, berth_min(nr, n - n0), k, stride);
        }
        assert_memory_equal(whole.data, pieces.data, count * sizeof(float));
        for (size_t j = 0; j < 3 * nr; j++) {
            for (size_t i = 0; i < k; i++) {
                const float stored = whole.data[j / nr * nr * k + i * nr + j % nr];
                assert_true(stored == (j < n ? w.data[j * stride + i] : 0));
            }
        }
        guarded_free(&w);
        guarded_free(&whole);
        guarded_free(&pieces);
    }
}

static void packed_of_overflowing_sizes_saturates(void **state)
{
    (void)state;
    const struct berth_kernels *kernels = berth_kernels_select(BERTH_ISA_SCALAR);
    assert_int_equal(berth_gemm_f32_packed(kernels, SIZE_MAX, 2), SIZE_MAX / 4);
    assert_int_equal(berth_gemm_f32_packed(kernels, SIZE_MAX / 2, SIZE_MAX / 2), SIZE_MAX / 4);
    assert_int_equal(berth_gemm_f32_packed(kernels, 1, 3), 3 * kernels->gemm_f32_nr);
}

static void scratch_does_for_every_smaller_product(void **state)
{
    (void)state;
    static const size_t rows[] = {1, 13, 42, 100, 481, 5000}, depths[] = {1, 128, 256, 257, 768, 3072, 10000};
    FOR_EACH_LEVEL(kernels)
    {
        for (size_t i = 0; i < 6; i++) {
            for (size_t j = 0; j < 7; j++) {
                const size_t most = kernels->gemm_f32_scratch(rows[i], depths[j]);
                for (size_t c = 0; c <= i; c++) {
                    for (size_t d = 0; d <= j; d++)
                        assert_true(kernels->gemm_f32_scratch(rows[c], depths[d]) <= most);
                }
            }
        }
    }
}

/* --- the checker itself: kernels that must not pass
 * ----------------------------------------------------------- */

static void write_zeros(const struct berth_gemm_f32 *g)
{
    for (size_t i = 0; i < g->m; i++)
        memset(g->out + i * g->out_stride, 0, g->n * sizeof(float));
}

static void write_transposed(const struct berth_gemm_f32 *g)
{
    berth_kernels_select(BERTH_ISA_SCALAR)->gemm_f32(g);
    for (size_t i = 0; i < g->m; i++) {
        for (size_t j = i + 1; j < g->n; j++) {
            float *a = g->out + i * g->out_stride + j, *b = g->out + j * g->out_stride + i, t = *a;
            *a = *b, *b = t;
        }
    }
}

static void write_one_column_off(const struct berth_gemm_f32 *g)
{
    berth_kernels_select(BERTH_ISA_SCALAR)->gemm_f32(g);
    for (size_t i = 0; i < g->m; i++) {
        float *row = g->out + i * g->out_stride;
        memmove(row + 1, row, (g->n - 1) * sizeof *row);
    }
}

static void write_beyond_the_row(const struct berth_gemm_f32 *g)
{
    berth_kernels_select(BERTH_ISA_SCALAR)->gemm_f32(g);
    g->out[g->n] = 0;
}

static void write_slightly_wrong(const struct berth_gemm_f32 *g)
{
    berth_kernels_select(BERTH_ISA_SCALAR)->gemm_f32(g);
    g->out[(g->m - 1) * g->out_stride + g->n - 1] += 2e-4f;
}

static void checker_refuses_wrong_kernels(void **state)
{
    (void)state;
    void (*const wrong[])(const struct berth_gemm_f32 *) = {
        write_zeros, write_transposed, write_one_column_off, write_beyond_the_row, write_slightly_wrong};
    const struct problem p = {.m = 9, .n = 9, .k = 50, .out_gap = 2, .bias = true};
    struct berth_kernels kernels = *berth_kernels_select(BERTH_ISA_SCALAR);
    assert_true(is_right(&kernels, &p, 5));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        kernels.gemm_f32 = wrong[i];
        assert_false(is_right(&kernels, &p, 5));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm_every_remainder_is_right),
        cmocka_unit_test(gemm_more_rows_than_a_block_is_right),
        cmocka_unit_test(gemm_empty_sizes_write_nothing_or_the_bias),
        cmocka_unit_test(gemm_in_pieces_gives_same_bits),
        cmocka_unit_test(pack_in_pieces_equals_pack_at_once),
        cmocka_unit_test(packed_of_overflowing_sizes_saturates),
        cmocka_unit_test(scratch_does_for_every_smaller_product),
        cmocka_unit_test(checker_refuses_wrong_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
