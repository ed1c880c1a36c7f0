/* test_delimited.c: random tables written as CSV and TSV come back cell by cell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/rng.h"
#include "berth/berth.h"
#include "formats/delimited.h"
#include "support/text_support.h"

enum { TABLES = 60, ROWS_MAX = 40, COLUMNS_MAX = 7, CELL_MAX = 24 };

struct cell {
    char text[CELL_MAX];
    size_t size;
};

struct table {
    size_t rows, columns;
    struct cell cells[ROWS_MAX][COLUMNS_MAX];
};

/* Cells of the characters that matter, ordinary ones and any byte. */
static void fill_table(struct table *table, struct berth_rng *rng, bool csv)
{
    static const char special[] = "\",,\"\n\r\t ab\0\xef\xbb\xbf";
    table->rows = berth_rng_below(rng, ROWS_MAX + 1);
    table->columns = 1 + berth_rng_below(rng, COLUMNS_MAX);
    for (size_t r = 0; r < table->rows; r++) {
        for (size_t c = 0; c < table->columns; c++) {
            struct cell *cell = &table->cells[r][c];
            cell->size = berth_rng_below(rng, CELL_MAX + 1);
            for (size_t i = 0; i < cell->size; i++) {
                char byte = berth_rng_below(rng, 2) ? special[berth_rng_below(rng, sizeof special - 1)]
                                                    : (char)berth_rng_below(rng, 256);
                cell->text[i] = !csv && strchr("\t\n\r", byte) && byte ? '"' : byte;
            }
        }
    }
}

static void write_cell(struct berth_buffer *out, const struct cell *cell, bool quote)
{
    if (!quote) {
        assert_true(berth_buffer_append(out, cell->text, cell->size));
        return;
    }
    assert_true(berth_buffer_text(out, "\""));
    for (size_t i = 0; i < cell->size; i++)
        assert_true(berth_buffer_append(out, cell->text[i] == '"' ? "\"\"" : &cell->text[i],
                                        cell->text[i] == '"' ? 2 : 1));
    assert_true(berth_buffer_text(out, "\""));
}

/* Whether a CSV cell has to be quoted; the rest are quoted now and then. An empty only cell would be an empty
 * line. */
static bool needs_quotes(const struct table *table, const struct cell *cell)
{
    for (size_t i = 0; i < cell->size; i++)
        if (strchr("\",\n\r", cell->text[i]) && cell->text[i])
            return true;
    return cell->size == 0 && table->columns == 1;
}

static void write_table(struct berth_buffer *out, const struct table *table, struct berth_rng *rng, bool csv)
{
    for (size_t c = 0; c < table->columns; c++)
        assert_true(berth_buffer_format(out, "%sc%zu", c ? csv ? "," : "\t" : "", c));
    for (size_t r = 0; r < table->rows; r++) {
        assert_true(berth_buffer_text(out, berth_rng_below(rng, 2) ? "\r\n" : "\n"));
        for (size_t c = 0; c < table->columns; c++) {
            const struct cell *cell = &table->cells[r][c];
            assert_true(berth_buffer_text(out, c ? csv ? "," : "\t" : ""));
            write_cell(out, cell, csv && (needs_quotes(table, cell) || berth_rng_below(rng, 4) == 0));
        }
    }
    /* A last line without content needs its newline to be one. */
    assert_true(berth_buffer_text(
        out, table->rows && table->cells[table->rows - 1][0].size && berth_rng_below(rng, 2) ? "" : "\n"));
}

/* Reads columns `a` (text) and `b` (pair) back and compares. */
static void check_columns(const char *path, const struct table *table, bool csv, size_t a, size_t b)
{
    char name_a[24], name_b[24];
    struct berth_reader *reader;
    struct berth_record record;
    struct berth_error err;
    bool end;
    snprintf(name_a, sizeof name_a, "c%zu", a);
    snprintf(name_b, sizeof name_b, "c%zu", b);
    if (berth_reader_open(path, csv ? BERTH_LAYOUT_CSV : BERTH_LAYOUT_TSV,
                          &(struct berth_columns){name_a, name_b, NULL}, &reader, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    for (size_t r = 0;; r++) {
        if (berth_reader_next(reader, &record, &end, &err) != BERTH_OK)
            fail_msg("%s", err.message);
        if (end) {
            assert_int_equal(table->rows, r);
            break;
        }
        const struct cell *want_a = &table->cells[r][a], *want_b = &table->cells[r][b];
        assert_int_equal(want_a->size, record.text.size);
        assert_int_equal(want_b->size, record.text.pair_size);
        assert_true(want_a->size == 0 || memcmp(want_a->text, record.text.text, want_a->size) == 0);
        assert_true(want_b->size == 0 || memcmp(want_b->text, record.text.pair, want_b->size) == 0);
    }
    berth_reader_close(reader);
}

static void check_random_tables(bool csv)
{
    static struct table table;
    struct berth_rng rng;
    berth_rng_seed(&rng, csv ? 11 : 12);
    for (int i = 0; i < TABLES; i++) {
        struct berth_buffer bytes;
        berth_buffer_init(&bytes, 1 << 20);
        fill_table(&table, &rng, csv);
        write_table(&bytes, &table, &rng, csv);
        const char *path = text_file(bytes.data, bytes.size);
        for (size_t c = 0; c < table.columns; c++)
            check_columns(path, &table, csv, c, table.columns - 1 - c);
        text_file_remove(path);
        berth_buffer_clear(&bytes);
    }
}

static void reader_random_csv_gives_the_cells_written(void **state)
{
    (void)state;
    check_random_tables(true);
}

static void reader_random_tsv_gives_the_cells_written(void **state)
{
    (void)state;
    check_random_tables(false);
}

static void scan_in_pieces_ends_in_the_same_state(void **state)
{
    (void)state;
    struct berth_rng rng;
    berth_rng_seed(&rng, 13);
    for (int i = 0; i < 2000; i++) {
        char text[24];
        for (size_t j = 0; j < sizeof text; j++)
            text[j] = "\",a\n"[berth_rng_below(&rng, 4)];
        size_t cut = berth_rng_below(&rng, sizeof text + 1);
        enum berth_csv_state whole = berth_csv_scan(BERTH_CSV_CELL_START, text, sizeof text);
        enum berth_csv_state part = berth_csv_scan(BERTH_CSV_CELL_START, text, cut);
        assert_int_equal(whole, berth_csv_scan(part, text + cut, sizeof text - cut));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_random_csv_gives_the_cells_written),
        cmocka_unit_test(reader_random_tsv_gives_the_cells_written),
        cmocka_unit_test(scan_in_pieces_ends_in_the_same_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
