/* test_reader.c: records out of files of every layout, well-formed, odd and hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "berth/berth.h"
#include "formats/lines.h"
#include "support/text_support.h"

static const struct berth_columns text_only = {0};
static const struct berth_columns labelled = {.label = "label"};

/* Reads all records of `bytes` and writes them as "LINE[text|pair|label]" into one string; "!MESSAGE" ends it
 * on an error. */
static char *describe(enum berth_layout layout, const struct berth_columns *columns, const char *task,
                      const void *bytes, size_t size)
{
    static char out[1 << 16];
    char path[64];
    struct berth_reader *reader = NULL;
    struct berth_error err;
    struct berth_record record;
    size_t used = 0;
    bool end = false;
    snprintf(path, sizeof path, "%s", text_file(bytes, size));
    enum berth_status status =
        task ? berth_reader_open_task(path, task, columns, columns && columns->label, &reader, &err)
             : berth_reader_open(path, layout, columns, &reader, &err);
    assert_true((status == BERTH_OK) == (reader != NULL));
    while (status == BERTH_OK && (status = berth_reader_next(reader, &record, &end, &err)) == BERTH_OK &&
           !end) {
        used += (size_t)snprintf(out + used, sizeof out - used, "%zu[", record.line);
        memcpy(out + used, record.text.text, record.text.size);
        used += record.text.size;
        if (record.text.pair) {
            out[used++] = '|';
            memcpy(out + used, record.text.pair, record.text.pair_size);
            used += record.text.pair_size;
        }
        used += (size_t)snprintf(out + used, sizeof out - used, "%s%s]", record.label ? "|" : "",
                                 record.label ? record.label : "");
    }
    out[used] = 0;
    if (status != BERTH_OK) {
        assert_int_equal(status, err.status);
        assert_non_null(strstr(err.message, path)); /* every message names the file */
        snprintf(out + used, sizeof out - used, "!%s", err.message + strlen(path));
    }
    berth_reader_close(reader);
    text_file_remove(path);
    return out;
}

#define LINES(text) describe(BERTH_LAYOUT_LINES, NULL, NULL, text, sizeof(text) - 1)
#define JSONL(columns, text) describe(BERTH_LAYOUT_JSONL, columns, NULL, text, sizeof(text) - 1)
#define TSV(columns, text) describe(BERTH_LAYOUT_TSV, columns, NULL, text, sizeof(text) - 1)
#define CSV(columns, text) describe(BERTH_LAYOUT_CSV, columns, NULL, text, sizeof(text) - 1)
#define TASK(task, text) describe(BERTH_LAYOUT_TSV, &labelled, task, text, sizeof(text) - 1)

static void lines_keep_spaces_and_lose_line_ends(void **state)
{
    (void)state;
    assert_string_equal("", LINES(""));
    assert_string_equal("1[]", LINES("\n"));
    assert_string_equal("1[ a  ]2[]3[b\t]", LINES(" a  \n\nb\t\n"));
    assert_string_equal("1[a]2[b]", LINES("a\r\nb\r\n"));
    assert_string_equal("1[a]2[last]", LINES("a\nlast"));
    assert_string_equal("1[a\rb]", LINES("a\rb\n"));
}

static void lines_byte_order_mark_is_dropped_once(void **state)
{
    (void)state;
    assert_string_equal(
        "1[a]2[\xef\xbb\xbf"
        "b]",
        LINES("\xef\xbb\xbf"
              "a\n\xef\xbb\xbf"
              "b\n"));
    assert_string_equal("", LINES("\xef\xbb\xbf"));
    assert_string_equal("1[]", LINES("\xef\xbb\xbf\n"));
    assert_string_equal("1[\xef\xbb]", LINES("\xef\xbb"));
}

static void lines_nul_and_ill_formed_bytes_pass_through(void **state)
{
    (void)state;
    const char bytes[] = "a\0b\n\xff\xfe\n";
    const char want[] = "1[a\0b]2[\xff\xfe]";
    assert_memory_equal(want, LINES(bytes), sizeof want);
}

static void jsonl_reads_text_pair_and_labels_of_every_type(void **state)
{
    (void)state;
    assert_string_equal("1[a]2[b|c]3[d]",
                        JSONL(NULL,
                              "{\"text\":\"a\"}\n{\"pair\":\"c\",\"text\":\"b\",\"x\":1}\r\n"
                              "{\"text\":\"d\",\"pair\":null}"));
    assert_string_equal("1[a|x]2[a|3]3[a|true]4[a|[\"x\",\"y\"]]5[a|-0.5]",
                        JSONL(&labelled,
                              "{\"text\":\"a\",\"label\":\"x\"}\n{\"text\":\"a\",\"label\":3}\n"
                              "{\"text\":\"a\",\"label\":true}\n{\"text\":\"a\",\"label\":[\"x\", \"y\"]}\n"
                              "{\"text\":\"a\",\"label\":-0.5}\n"));
    assert_string_equal(
        "1[q|p]", JSONL((&(struct berth_columns){.text = "q", .pair = "p"}), "{\"q\":\"q\",\"p\":\"p\"}"));
    assert_string_equal("2[a]4[b]", JSONL(NULL, "\n{\"text\":\"a\"}\n  \n{\"text\":\"b\"}\n\n"));
}

static void jsonl_nul_is_a_character(void **state)
{
    (void)state;
    const char want[] = "1[a\0b]";
    assert_memory_equal(want, JSONL(NULL, "{\"text\":\"a\\u0000b\"}"), sizeof want);
}

static void jsonl_ill_formed_utf8_reads_as_replacement(void **state)
{
    (void)state;
    assert_string_equal("1[\xef\xbf\xbd]", JSONL(NULL, "{\"text\":\"\xff\"}"));
    assert_string_equal(
        "1[a\xef\xbf\xbd"
        "b\xc3\xa9]",
        JSONL(NULL,
              "{\"text\":\"a\xf0\x9f\x98"
              "b\xc3\xa9\"}"));
    /* Unicode's own example of maximal parts, table 3-8. */
    assert_string_equal(
        "1[a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
        "b\xef\xbf\xbd"
        "c\xef\xbf\xbd\xef\xbf\xbd"
        "d]",
        JSONL(NULL,
              "{\"text\":\"a\xf1\x80\x80\xe1\x80\xc2"
              "b\x80"
              "c\x80\xbf"
              "d\"}"));
    assert_string_equal("1[\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd]",
                        JSONL(NULL, "{\"text\":\"\xed\xa0\x80\"}"));
}

static void jsonl_lone_surrogate_escapes_read_as_replacement(void **state)
{
    (void)state;
    assert_string_equal("1[\xef\xbf\xbd]", JSONL(NULL, "{\"text\":\"\\ud800\"}"));
    assert_string_equal("1[\xef\xbf\xbdx\xef\xbf\xbd]", JSONL(NULL, "{\"text\":\"\\uDFFFx\\uDBFF\"}"));
    assert_string_equal("1[\xef\xbf\xbd\xf0\x9f\x98\x80]",
                        JSONL(NULL, "{\"text\":\"\\ud83d\\ud83d\\ude00\"}"));
    assert_string_equal("1[\\ud800]", JSONL(NULL, "{\"text\":\"\\\\ud800\"}"));
}

static void jsonl_wrong_lines_are_refused_by_line_and_key(void **state)
{
    (void)state;
    assert_string_equal("1[a]!:2: key 'text' is missing", JSONL(NULL, "{\"text\":\"a\"}\n{\"txt\":\"b\"}\n"));
    assert_string_equal("!:1: key 'text' must be a string", JSONL(NULL, "{\"text\":7}"));
    assert_string_equal("!:1: key 'pair' must be a string", JSONL(NULL, "{\"text\":\"\",\"pair\":[]}"));
    assert_string_equal("!:1: key 'p' is missing",
                        JSONL((&(struct berth_columns){.pair = "p"}), "{\"text\":\"\"}"));
    assert_string_equal("!:1: key 'label' is missing", JSONL(&labelled, "{\"text\":\"\"}"));
    assert_non_null(strstr(JSONL(&labelled, "{\"text\":\"\",\"label\":null}"), "key 'label' must be"));
    assert_non_null(strstr(JSONL(&labelled, "{\"text\":\"\",\"label\":\"a\\u0000\"}"), "NUL"));
    assert_non_null(strstr(JSONL(NULL, "[1]"), ":1: a JSON object is needed"));
    assert_non_null(strstr(JSONL(NULL, "{\"text\":\"a\""), ":1: not valid JSON"));
    assert_non_null(strstr(JSONL(NULL, "{\"text\":\"a\"} x"), ":1: not valid JSON"));
    assert_non_null(strstr(JSONL(NULL, "{\"text\":\"a\",\"text\":\"b\"}"), "duplicate"));
    assert_non_null(strstr(JSONL(NULL, "{\"text\":\"\\u12\"}"), ":1: not valid JSON"));
    assert_non_null(strstr(JSONL(NULL, "{\"text\":\"\\"), ":1: not valid JSON"));
}

static void jsonl_deep_and_numerous_values_are_refused(void **state)
{
    (void)state;
    size_t size = 1 << 20;
    char *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, '[', 60000);
    assert_non_null(strstr(describe(BERTH_LAYOUT_JSONL, NULL, NULL, bytes, 60000), "not valid JSON"));
    for (size_t i = 0; i < size; i += 2)
        memcpy(bytes + i, "1,", 2);
    assert_non_null(strstr(describe(BERTH_LAYOUT_JSONL, NULL, NULL, bytes, size), "JSON values"));
    memset(bytes, ',', size); /* in a string they are text */
    memcpy(bytes, "{\"text\":\"", 9);
    memcpy(bytes + 40000, "\"}", 2);
    assert_int_equal(40000 - 9 + 3, strlen(describe(BERTH_LAYOUT_JSONL, NULL, NULL, bytes, 40002)));
    free(bytes);
}

static void tsv_quotes_are_characters(void **state)
{
    (void)state;
    assert_string_equal("2[\"a|1]3[b\" \"|0]", TSV(&labelled, "sentence\tlabel\n\"a\t1\r\nb\" \"\t0"));
}

static void tsv_columns_are_found_by_name_in_any_place(void **state)
{
    (void)state;
    assert_string_equal("2[t|p|l]", TSV((&(struct berth_columns){"t", "p", "l"}),
                                        "\xef\xbb\xbfl\tx\tp\tt\r\nl\tx\tp\tt\r\n"));
    assert_string_equal("2[s]", TSV(NULL, "text\tsentence\nt\ts\n"));
    assert_string_equal("2[t]", TSV(NULL, "text\tsentences\nt\ts\n"));
    assert_string_equal("2[|]", TSV((&(struct berth_columns){.pair = "p"}), "p\ttext\n\t\n"));
    assert_string_equal("2[]3[a]", TSV(NULL, "text\n\na\n"));
    assert_string_equal("3[a|b]", TSV((&(struct berth_columns){.pair = "p"}), "text\tp\n\na\tb\n\n"));
}

static void tsv_wrong_headers_are_refused_naming_what_is_there(void **state)
{
    (void)state;
    assert_string_equal("!: empty, a header line with the names of columns is needed", TSV(NULL, ""));
    assert_string_equal("!: no column 'sentence' or 'text'; the header has 'a', 'b'",
                        TSV(NULL, "a\tb\n1\t2\n"));
    assert_string_equal(
        "!: no column 'label' (labels are needed; GLUE's test files have none); the header has 'text'",
        TSV(&labelled, "text\n"));
    assert_string_equal("!: the header names column 'text' twice", TSV(NULL, "text\tx\ttext\n"));
    assert_string_equal("2[a]", TSV(NULL, "text\tx\tx\na\tb\tc\n"));
    assert_string_equal("", TSV(NULL, "text\tx\n"));
}

static void tsv_ragged_rows_are_refused_with_both_counts(void **state)
{
    (void)state;
    assert_string_equal("2[a]!:3: want 2 columns as in the header, have 1", TSV(NULL, "text\tx\na\tb\nc\n"));
    assert_string_equal("!:2: want 2 columns as in the header, have 3", TSV(NULL, "text\tx\na\tb\tc\n"));
    assert_string_equal("!:2: a NUL byte in the label", TSV(&labelled, "text\tlabel\na\t1\0\n"));
}

static void tsv_many_columns_cost_no_memory(void **state)
{
    (void)state;
    size_t size = 4 << 20;
    char *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, '\t', size);
    memcpy(bytes, "text\nx", 6);
    assert_non_null(
        strstr(describe(BERTH_LAYOUT_TSV, NULL, NULL, bytes, size), "want 1 columns as in the header, have"));
    free(bytes);
}

static void csv_quotes_hold_commas_quotes_and_line_ends(void **state)
{
    (void)state;
    assert_string_equal("2[a,\"b\"\r\nc|1]4[|0]",
                        CSV(&labelled, "text,label\r\n\"a,\"\"b\"\"\r\nc\",1\r\n\"\",0\r\n"));
    assert_string_equal("2[x\"y\"]", CSV(NULL, "text\nx\"y\"\n"));
    assert_string_equal("2[\"]3[a\n\n]", CSV(NULL, "\"text\"\n\"\"\"\"\n\"a\n\n\""));
    assert_string_equal("4[a]", CSV((&(struct berth_columns){.text = "a\n\nb"}), "\"a\n\nb\"\na\n"));
}

static void csv_wrong_quotes_are_refused_by_line(void **state)
{
    (void)state;
    assert_string_equal("2[a]!:3: a quote of this record is never closed", CSV(NULL, "text\na\n\"b\nc\nd\n"));
    assert_non_null(strstr(CSV(NULL, "text\n\"a\"b\n"), ":2: text follows a closing quote"));
    assert_non_null(strstr(CSV(NULL, "\"text\"x\n"), ":1: text follows a closing quote"));
    assert_string_equal("!:1: a quote of this record is never closed", CSV(NULL, "\""));
}

static void next_malformed_record_is_followed_by_the_next_one(void **state)
{
    (void)state;
    static const char bytes[] = "text,x\na\n\"b\"c,d\ne,f\n";
    const char *path = text_file(bytes, sizeof bytes - 1);
    struct berth_reader *reader;
    struct berth_record record;
    bool end;
    assert_int_equal(BERTH_OK, berth_reader_open(path, BERTH_LAYOUT_CSV, &text_only, &reader, NULL));
    assert_int_equal(BERTH_FORMAT, berth_reader_next(reader, &record, &end, NULL));
    assert_int_equal(BERTH_FORMAT, berth_reader_next(reader, &record, &end, NULL));
    assert_int_equal(BERTH_OK, berth_reader_next(reader, &record, &end, NULL));
    assert_int_equal(4, record.line);
    assert_memory_equal("e", record.text.text, 1);
    assert_int_equal(BERTH_OK, berth_reader_next(reader, &record, &end, NULL));
    assert_true(end);
    assert_int_equal(BERTH_OK, berth_reader_next(reader, &record, &end, NULL));
    assert_true(end);
    berth_reader_close(reader);
    text_file_remove(path);
}

static void task_layouts_take_their_own_columns(void **state)
{
    (void)state;
    assert_string_equal("1[A b.|1]2[C.|0]", TASK("cola", "gj04\t1\t\tA b.\ngj04\t0\t*\tC."));
    assert_string_equal("", TASK("cola", ""));
    assert_string_equal(
        "2[b|c|1]", TASK("mrpc", "\xef\xbb\xbfQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t2\t3\tb\tc\n"));
    assert_string_equal("2[p|h|neutral]", TASK("mnli",
                                               "index\tsentence2\tgenre\tsentence1\tlabel1\tgold_label\n"
                                               "0\th\tx\tp\tentailment\tneutral\n"));
    assert_string_equal("2[q|s|entailment]",
                        TASK("qnli", "index\tquestion\tsentence\tlabel\n0\tq\ts\tentailment\n"));
    assert_non_null(strstr(TASK("sst2", "index\tsentence\n0\ta\n"), "labels are needed"));
    assert_non_null(strstr(TASK("cola", "index\tsentence\n0\ta\n"), "labels are needed"));
    assert_string_equal("2[a]", describe(0, NULL, "cola", "index\tsentence\n0\ta\n", 19));
}

static void task_qqp_broken_rows_are_skipped_as_hugging_face_does(void **state)
{
    (void)state;
    assert_string_equal("2[a|b|1]4[c|d|0]", TASK("qqp",
                                                 "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
                                                 "0\t1\t2\ta\tb\t1\n1\t1\t2\tbroken\n2\t1\t2\tc\td\t0\n"));
}

static void open_what_is_no_file_is_refused(void **state)
{
    (void)state;
    struct berth_reader *reader;
    struct berth_error err;
    assert_int_equal(BERTH_IO, berth_reader_open("/tmp", BERTH_LAYOUT_LINES, NULL, &reader, &err));
    assert_string_equal("/tmp: is a directory, a file of texts is needed", err.message);
    assert_null(reader);
    assert_int_equal(BERTH_NOT_FOUND,
                     berth_reader_open("/nonexistent", BERTH_LAYOUT_CSV, NULL, &reader, &err));
    assert_int_equal(BERTH_INVALID_ARGUMENT,
                     berth_reader_open("/tmp", (enum berth_layout)9, NULL, &reader, &err));
    assert_int_equal(BERTH_INVALID_ARGUMENT,
                     berth_reader_open_task("/tmp", "snli", NULL, true, &reader, &err));
    assert_non_null(strstr(err.message, "unknown task 'snli'"));
    assert_int_equal(BERTH_INVALID_ARGUMENT, berth_reader_open_task("/tmp", NULL, NULL, true, &reader, &err));
    berth_reader_close(NULL);
}

static void next_endless_line_is_refused_at_the_limit(void **state)
{
    (void)state;
    struct berth_reader *reader;
    struct berth_record record;
    struct berth_error err;
    bool end;
    assert_int_equal(BERTH_OK, berth_reader_open("/dev/zero", BERTH_LAYOUT_LINES, NULL, &reader, &err));
    for (int i = 0; i < 2; i++) { /* it stays refused */
        assert_int_equal(BERTH_LIMIT, berth_reader_next(reader, &record, &end, &err));
        assert_non_null(strstr(err.message, "/dev/zero:1: longer than 256 MiB"));
    }
    berth_reader_close(reader);
}

/* A FIFO with both ends in this process. */
struct pipe_ends {
    char path[64];
    int write;
};

static void open_pipe(struct pipe_ends *ends, enum berth_layout layout, struct berth_reader **reader)
{
    int fds[2];
    assert_int_equal(0, pipe(fds));
    snprintf(ends->path, sizeof ends->path, "/proc/self/fd/%d", fds[0]);
    ends->write = fds[1];
    assert_int_equal(BERTH_OK, berth_reader_open(ends->path, layout, NULL, reader, NULL));
    close(fds[0]);
}

static void send(const struct pipe_ends *ends, const char *text)
{
    assert_int_equal(strlen(text), write(ends->write, text, strlen(text)));
}

static void next_pipe_answers_each_line_as_it_comes(void **state)
{
    (void)state;
    struct pipe_ends ends;
    struct berth_reader *reader;
    struct berth_record record;
    bool end;
    open_pipe(&ends, BERTH_LAYOUT_LINES, &reader);
    assert_false(berth_reader_ready(reader));
    for (int i = 0; i < 3; i++) {
        send(&ends, "one\ntw"); /* would hang here if the reader waited for more */
        assert_true(berth_reader_ready(reader));
        assert_int_equal(BERTH_OK, berth_reader_next(reader, &record, &end, NULL));
        assert_false(berth_reader_ready(reader));
        assert_memory_equal("one", record.text.text, 3);
        send(&ends, "o\n");
        assert_true(berth_reader_ready(reader));
        assert_memory_equal("one", record.text.text, 3);
        assert_int_equal(BERTH_OK, berth_reader_next(reader, &record, &end, NULL));
        assert_memory_equal("two", record.text.text, 3);
        assert_false(berth_reader_ready(reader));
    }
    close(ends.write);
    assert_true(berth_reader_ready(reader));
    assert_int_equal(BERTH_OK, berth_reader_next(reader, &record, &end, NULL));
    assert_true(end);
    berth_reader_close(reader);
}

/* Writes lines "0", "1", ... padded to growing lengths, in odd pieces. */
enum { LONG_LINES = 300 };
static void *write_long_lines(void *context)
{
    const struct pipe_ends *ends = context;
    for (size_t i = 0; i < LONG_LINES; i++) {
        char *line = malloc(i * i * 20 + 2);
        memset(line, 'a' + (int)(i % 26), i * i * 20 + 1);
        line[i * i * 20 + 1] = '\n';
        for (size_t at = 0; at < i * i * 20 + 2;) {
            size_t left = i * i * 20 + 2 - at, piece = left < 4099 ? left : 4099;
            ssize_t sent = write(ends->write, line + at, piece);
            if (sent <= 0)
                return context;
            at += (size_t)sent;
        }
        free(line);
    }
    close(ends->write);
    return NULL;
}

static void next_lines_beyond_the_buffer_arrive_whole(void **state)
{
    (void)state;
    struct pipe_ends ends;
    struct berth_reader *reader;
    struct berth_record record;
    pthread_t writer;
    void *result;
    bool end;
    open_pipe(&ends, BERTH_LAYOUT_LINES, &reader);
    assert_int_equal(0, pthread_create(&writer, NULL, write_long_lines, &ends));
    for (size_t i = 0; i < LONG_LINES; i++) {
        (void)berth_reader_ready(reader); /* reads ahead at odd moments; must not disturb */
        assert_int_equal(BERTH_OK, berth_reader_next(reader, &record, &end, NULL));
        assert_false(end);
        assert_int_equal(i * i * 20 + 1, record.text.size);
        char letter = (char)('a' + (int)(i % 26));
        assert_true(record.text.text[0] == letter && record.text.text[record.text.size - 1] == letter);
        assert_null(memchr(record.text.text, '\n', record.text.size));
    }
    assert_int_equal(BERTH_OK, berth_reader_next(reader, &record, &end, NULL));
    assert_true(end);
    assert_int_equal(0, pthread_join(writer, &result));
    assert_null(result);
    berth_reader_close(reader);
}

static void open_dash_or_null_reads_standard_input(void **state)
{
    (void)state;
    int saved = dup(STDIN_FILENO);
    for (int i = 0; i < 2; i++) {
        int fds[2];
        struct berth_reader *reader;
        struct berth_record record;
        struct berth_error err;
        bool end;
        assert_true(saved >= 0 && pipe(fds) == 0 && dup2(fds[0], STDIN_FILENO) == STDIN_FILENO);
        assert_int_equal(14, write(fds[1], "text\tx\na\tb\nc\n", 14));
        close(fds[0]);
        close(fds[1]);
        assert_int_equal(BERTH_OK, berth_reader_open(i ? "-" : NULL, BERTH_LAYOUT_TSV, NULL, &reader, &err));
        assert_int_equal(BERTH_OK, berth_reader_next(reader, &record, &end, &err));
        assert_memory_equal("a", record.text.text, 2);
        assert_int_equal(BERTH_FORMAT, berth_reader_next(reader, &record, &end, &err));
        assert_string_equal("standard input:3: want 2 columns as in the header, have 1", err.message);
        berth_reader_close(reader);
        assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0); /* not the reader's to close */
    }
    dup2(saved, STDIN_FILENO);
    close(saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_keep_spaces_and_lose_line_ends),
        cmocka_unit_test(lines_byte_order_mark_is_dropped_once),
        cmocka_unit_test(lines_nul_and_ill_formed_bytes_pass_through),
        cmocka_unit_test(jsonl_reads_text_pair_and_labels_of_every_type),
        cmocka_unit_test(jsonl_nul_is_a_character),
        cmocka_unit_test(jsonl_ill_formed_utf8_reads_as_replacement),
        cmocka_unit_test(jsonl_lone_surrogate_escapes_read_as_replacement),
        cmocka_unit_test(jsonl_wrong_lines_are_refused_by_line_and_key),
        cmocka_unit_test(jsonl_deep_and_numerous_values_are_refused),
        cmocka_unit_test(tsv_quotes_are_characters),
        cmocka_unit_test(tsv_columns_are_found_by_name_in_any_place),
        cmocka_unit_test(tsv_wrong_headers_are_refused_naming_what_is_there),
        cmocka_unit_test(tsv_ragged_rows_are_refused_with_both_counts),
        cmocka_unit_test(tsv_many_columns_cost_no_memory),
        cmocka_unit_test(csv_quotes_hold_commas_quotes_and_line_ends),
        cmocka_unit_test(csv_wrong_quotes_are_refused_by_line),
        cmocka_unit_test(next_malformed_record_is_followed_by_the_next_one),
        cmocka_unit_test(task_layouts_take_their_own_columns),
        cmocka_unit_test(task_qqp_broken_rows_are_skipped_as_hugging_face_does),
        cmocka_unit_test(open_dash_or_null_reads_standard_input),
        cmocka_unit_test(open_what_is_no_file_is_refused),
        cmocka_unit_test(next_endless_line_is_refused_at_the_limit),
        cmocka_unit_test(next_pipe_answers_each_line_as_it_comes),
        cmocka_unit_test(next_lines_beyond_the_buffer_arrive_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
