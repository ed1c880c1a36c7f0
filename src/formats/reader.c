/* reader.c: texts and labels out of a file of any layout, one record at a time; the public face of lines,
 * delimited and jsonl. Knows the layouts; what a label means is eval's. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "formats/delimited.h"
#include "formats/glue.h"
#include "formats/jsonl.h"
#include "formats/lines.h"

enum { COLA_LABEL = 1, COLA_SENTENCE = 3, COLA_COLUMNS = 4 };
#define ABSENT SIZE_MAX

struct berth_reader {
    struct berth_lines lines;
    enum berth_layout layout;
    struct berth_jsonl jsonl;
    size_t columns;           /* of the header; tsv and csv */
    size_t text, pair, label; /* column numbers from 0, or ABSENT */
    bool ragged;              /* rows shorter than the header are skipped, longer ones cut */
    bool pending;             /* the current line is a record that was read ahead */
};

/* Copies a key, NULL stays NULL. */
static bool copy_key(char **copy, const char *key)
{
    *copy = key ? berth_strdup(key) : NULL;
    return *copy || !key;
}

static enum berth_status open_jsonl(struct berth_reader *reader, const struct berth_columns *columns,
                                    struct berth_error *err)
{
    struct berth_jsonl *jsonl = &reader->jsonl;
    jsonl->pair_required = columns->pair != NULL;
    if (!copy_key(&jsonl->text, columns->text ? columns->text : "text") ||
        !copy_key(&jsonl->pair, columns->pair ? columns->pair : "pair") ||
        !copy_key(&jsonl->label, columns->label))
        return berth_fail_memory(err, "names of keys", 0);
    return BERTH_OK;
}

/* Goes on to the next record of a delimited file; in CSV it may span lines. */
static enum berth_status next_row(struct berth_reader *reader, bool *found, struct berth_error *err)
{
    struct berth_lines *lines = &reader->lines;
    enum berth_status status = berth_lines_next(lines, found, err);
    if (status != BERTH_OK || !*found || reader->layout != BERTH_LAYOUT_CSV)
        return status;
    enum berth_csv_state state = BERTH_CSV_CELL_START;
    for (size_t scanned = 0;;) {
        size_t size = lines->next - lines->start;
        state = berth_csv_scan(state, lines->data + lines->start + scanned, size - scanned);
        scanned = size;
        if (state != BERTH_CSV_QUOTED)
            return BERTH_OK;
        bool more;
        status = berth_lines_extend(lines, &more, err);
        if (status != BERTH_OK)
            return status;
        if (!more)
            return berth_fail(err, BERTH_FORMAT, "%s:%zu: a quote of this record is never closed",
                              lines->name, lines->number);
    }
}

static struct berth_cells begin_row(const struct berth_reader *reader)
{
    size_t size;
    char *row = berth_lines_text(&reader->lines, &size);
    return berth_cells_begin(row, size, reader->layout == BERTH_LAYOUT_CSV);
}

static enum berth_status refuse_quoting(const struct berth_reader *reader, struct berth_error *err)
{
    return berth_fail(err, BERTH_FORMAT,
                      "%s:%zu: text follows a closing quote (a quote inside a quoted cell is written as two)",
                      reader->lines.name, reader->lines.number);
}

/* A column that the header is searched for. */
struct wanted {
    const char *name, *other; /* other: a second choice, or NULL */
    size_t *column;
    const char *remark; /* said when it is missing */
    bool second;        /* found by its second choice alone */
};

/* Notes that the header's column `number` is called `cell`; false when the name was there before. */
static bool match_column(struct wanted *wanted, const char *cell, size_t size, size_t number)
{
    if (!wanted->name)
        return true;
    bool first = strlen(wanted->name) == size && memcmp(wanted->name, cell, size) == 0;
    bool second = wanted->other && strlen(wanted->other) == size && memcmp(wanted->other, cell, size) == 0;
    if (!first && !second)
        return true;
    if (*wanted->column != ABSENT && wanted->second == second)
        return false;
    if (first || *wanted->column == ABSENT) {
        *wanted->column = number;
        wanted->second = second;
    }
    return true;
}

/* Finds the columns by the names in the row that was read last. */
static enum berth_status read_header(struct berth_reader *reader, struct wanted *wanted, size_t count,
                                     struct berth_error *err)
{
    char names[512] = "";
    struct berth_cells cells = begin_row(reader);
    bool malformed;
    size_t size, used = 0;
    for (char *cell; (cell = berth_cells_next(&cells, &size, &malformed)); reader->columns++) {
        for (size_t i = 0; i < count; i++)
            if (!match_column(&wanted[i], cell, size, reader->columns))
                return berth_fail(err, BERTH_FORMAT, "%s: the header names column '%.100s' twice",
                                  reader->lines.name, cell);
        int length = snprintf(names + used, sizeof names - used, "%s'%.100s'", used ? ", " : "", cell);
        used = berth_min(used + (size_t)length, sizeof names - 1);
    }
    if (malformed)
        return refuse_quoting(reader, err);
    for (size_t i = 0; i < count; i++)
        if (wanted[i].name && *wanted[i].column == ABSENT)
            return berth_fail(err, BERTH_FORMAT, "%s: no column '%s'%s%s%s%s; the header has %s",
                              reader->lines.name, wanted[i].name, wanted[i].other ? " or '" : "",
                              wanted[i].other ? wanted[i].other : "", wanted[i].other ? "'" : "",
                              wanted[i].remark, names);
    return BERTH_OK;
}

static enum berth_status open_delimited(struct berth_reader *reader, const struct berth_columns *columns,
                                        struct berth_error *err)
{
    bool found;
    enum berth_status status = next_row(reader, &found, err);
    if (status != BERTH_OK)
        return status;
    if (!found)
        return berth_fail(err, BERTH_FORMAT, "%s: empty, a header line with the names of columns is needed",
                          reader->lines.name);
    struct wanted wanted[] = {
        {columns->text ? columns->text : "sentence", columns->text ? NULL : "text", &reader->text, "", false},
        {columns->pair, NULL, &reader->pair, "", false},
        {columns->label, NULL, &reader->label, " (labels are needed; GLUE's test files have none)", false},
    };
    return read_header(reader, wanted, sizeof wanted / sizeof wanted[0], err);
}

/* CoLA: no header in train and dev, "index sentence" in test. */
static enum berth_status open_cola(struct berth_reader *reader, const struct berth_columns *columns,
                                   struct berth_error *err)
{
    static const char test_header[] = "index\tsentence";
    bool found;
    enum berth_status status = next_row(reader, &found, err);
    if (status != BERTH_OK)
        return status;
    size_t size = 0;
    const char *line = berth_lines_text(&reader->lines, &size);
    if (found && size == sizeof test_header - 1 && memcmp(line, test_header, size) == 0) {
        if (columns->label)
            return berth_fail(err, BERTH_FORMAT,
                              "%s: no column 'label' (labels are needed; this is CoLA's test file)",
                              reader->lines.name);
        reader->columns = 2;
        reader->text = 1;
        return BERTH_OK;
    }
    reader->columns = COLA_COLUMNS;
    reader->text = COLA_SENTENCE;
    reader->label = columns->label ? COLA_LABEL : ABSENT;
    reader->pending = found;
    return BERTH_OK;
}

/* Opens in the layout of `task` (NULL: none). */
static enum berth_status open_reader(const char *path, enum berth_layout layout,
                                     const struct berth_task *task, const struct berth_columns *columns,
                                     struct berth_reader **out, struct berth_error *err)
{
    *out = NULL;
    enum berth_status status;
    struct berth_reader *reader = berth_calloc(1, sizeof *reader);
    if (!reader)
        return berth_fail_memory(err, "a reader", sizeof *reader);
    *reader = (struct berth_reader){.lines.fd = -1,
                                    .layout = layout,
                                    .text = ABSENT,
                                    .pair = ABSENT,
                                    .label = ABSENT,
                                    .ragged = task && task->ragged};
    BERTH_TRY(berth_lines_open(path, &reader->lines, err));
    if (layout == BERTH_LAYOUT_JSONL)
        BERTH_TRY(open_jsonl(reader, columns, err));
    else if (task && task->headerless)
        BERTH_TRY(open_cola(reader, columns, err));
    else if (layout != BERTH_LAYOUT_LINES)
        BERTH_TRY(open_delimited(reader, columns, err));
    *out = reader;
    return BERTH_OK;
fail:
    berth_reader_close(reader);
    return status;
}

enum berth_status berth_reader_open(const char *path, enum berth_layout layout,
                                    const struct berth_columns *columns, struct berth_reader **reader,
                                    struct berth_error *err)
{
    static const struct berth_columns defaults = {0};
    *reader = NULL;
    switch (layout) {
        case BERTH_LAYOUT_LINES:
        case BERTH_LAYOUT_JSONL:
        case BERTH_LAYOUT_TSV:
        case BERTH_LAYOUT_CSV:
            return open_reader(path, layout, NULL, columns ? columns : &defaults, reader, err);
    }
    return berth_fail(err, BERTH_INVALID_ARGUMENT, "unknown layout %d of a file of texts", (int)layout);
}

enum berth_status berth_reader_open_task(const char *path, const char *task,
                                         const struct berth_columns *columns, bool labels,
                                         struct berth_reader **reader, struct berth_error *err)
{
    *reader = NULL;
    const struct berth_task *known = task ? berth_task_find(task) : NULL;
    if (!known)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "unknown task '%s'; known are %s", task ? task : "",
                          berth_task_names);
    struct berth_columns own = {.text = known->text, .pair = known->pair, .label = known->label};
    if (!known->text && columns)
        own = (struct berth_columns){columns->text, columns->pair,
                                     columns->label ? columns->label : known->label};
    if (!labels)
        own.label = NULL;
    return open_reader(path, known->layout, known, &own, reader, err);
}

/* The cells of the current row into the record; *skip is set for a row that is to be passed over. */
static enum berth_status read_row(struct berth_reader *reader, struct berth_record *record, bool *skip,
                                  struct berth_error *err)
{
    struct berth_cells cells = begin_row(reader);
    *skip = cells.at == cells.end && reader->columns > 1;
    if (*skip)
        return BERTH_OK;
    bool malformed;
    size_t size, label_size = 0, column = 0;
    for (char *cell; (cell = berth_cells_next(&cells, &size, &malformed)); column++) {
        if (column == reader->text)
            record->text.text = cell, record->text.size = size;
        if (column == reader->pair)
            record->text.pair = cell, record->text.pair_size = size;
        if (column == reader->label)
            record->label = cell, label_size = size;
    }
    const struct berth_lines *lines = &reader->lines;
    if (malformed)
        return refuse_quoting(reader, err);
    *skip = reader->ragged && column < reader->columns;
    if (column != reader->columns && !reader->ragged)
        return berth_fail(err, BERTH_FORMAT, "%s:%zu: want %zu columns as in the header, have %zu",
                          lines->name, lines->number, reader->columns, column);
    if (record->label && !*skip && strlen(record->label) != label_size)
        return berth_fail(err, BERTH_FORMAT, "%s:%zu: a NUL byte in the label", lines->name, lines->number);
    return BERTH_OK;
}

/* The current line into the record. */
static enum berth_status read_line(struct berth_reader *reader, struct berth_record *record, bool *skip,
                                   struct berth_error *err)
{
    size_t size;
    char *line = berth_lines_text(&reader->lines, &size);
    *skip = false;
    if (reader->layout == BERTH_LAYOUT_LINES) {
        record->text = (struct berth_text){.text = line, .size = size};
        return BERTH_OK;
    }
    line[size] = 0;
    *skip = strspn(line, " \t") == size;
    if (*skip)
        return BERTH_OK;
    enum berth_status status = berth_jsonl_parse(&reader->jsonl, line, size, record, err);
    if (status != BERTH_OK)
        berth_fail_prefix(err, status, "%s:%zu", reader->lines.name, reader->lines.number);
    return status;
}

enum berth_status berth_reader_next(struct berth_reader *reader, struct berth_record *record, bool *end,
                                    struct berth_error *err)
{
    bool delimited = reader->layout == BERTH_LAYOUT_TSV || reader->layout == BERTH_LAYOUT_CSV;
    *end = false;
    for (;;) {
        bool found = reader->pending, skip;
        enum berth_status status = found       ? BERTH_OK
                                   : delimited ? next_row(reader, &found, err)
                                               : berth_lines_next(&reader->lines, &found, err);
        reader->pending = false;
        *record = (struct berth_record){.line = reader->lines.number};
        *end = status == BERTH_OK && !found;
        if (status != BERTH_OK || !found)
            return status;
        status = delimited ? read_row(reader, record, &skip, err) : read_line(reader, record, &skip, err);
        if (status != BERTH_OK)
            *record = (struct berth_record){.line = reader->lines.number};
        if (status != BERTH_OK || !skip)
            return status;
    }
}

bool berth_reader_ready(struct berth_reader *reader)
{
    return reader->pending || berth_lines_ready(&reader->lines);
}

void berth_reader_close(struct berth_reader *reader)
{
    if (!reader)
        return;
    berth_lines_close(&reader->lines);
    berth_jsonl_clear(&reader->jsonl);
    berth_free(reader);
}
