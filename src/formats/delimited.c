/* delimited.c: splits one record into cells; each byte is looked at once and moved at most once. */
#include "formats/delimited.h"

#include <string.h>

struct berth_cells berth_cells_begin(char *record, size_t size, bool csv)
{
    return (struct berth_cells){.at = record, .end = record + size, .csv = csv};
}

/* Ends the cell [cell, end) and moves on behind the delimiter at `stop`. */
static char *finish_cell(struct berth_cells *cells, char *cell, char *end, char *stop, size_t *size)
{
    cells->at = stop < cells->end ? stop + 1 : NULL;
    *size = (size_t)(end - cell);
    *end = 0;
    return cell;
}

static char *next_quoted(struct berth_cells *cells, size_t *size, bool *malformed)
{
    char *cell = cells->at + 1, *from = cell, *to = cell;
    for (;;) {
        char *quote = memchr(from, '"', (size_t)(cells->end - from));
        char *stop = quote ? quote : cells->end;
        memmove(to, from, (size_t)(stop - from));
        to += stop - from;
        from = stop + 1;
        if (quote && from < cells->end && *from == '"') {
            *to++ = '"';
            from++;
            continue;
        }
        if (!quote || (from < cells->end && *from != ',')) { /* never closed, or followed by text */
            *malformed = true;
            return NULL;
        }
        return finish_cell(cells, cell, to, from, size);
    }
}

char *berth_cells_next(struct berth_cells *cells, size_t *size, bool *malformed)
{
    *malformed = false;
    if (!cells->at)
        return NULL;
    if (cells->csv && cells->at < cells->end && *cells->at == '"')
        return next_quoted(cells, size, malformed);
    char *stop = memchr(cells->at, cells->csv ? ',' : '\t', (size_t)(cells->end - cells->at));
    if (!stop)
        stop = cells->end;
    return finish_cell(cells, cells->at, stop, stop, size);
}

enum berth_csv_state berth_csv_scan(enum berth_csv_state state, const char *bytes, size_t size)
{
    const char *end = bytes + size;
    while (bytes < end) {
        if (state == BERTH_CSV_QUOTED) {
            bytes = memchr(bytes, '"', (size_t)(end - bytes));
            if (!bytes)
                return state;
            state = BERTH_CSV_QUOTE_SEEN;
        } else if (*bytes == ',') {
            state = BERTH_CSV_CELL_START;
        } else if (*bytes == '"' &&
                   state != BERTH_CSV_PLAIN) { /* opens a cell, or is the second one of a pair */
            state = BERTH_CSV_QUOTED;
        } else {
            state = BERTH_CSV_PLAIN;
        }
        bytes++;
    }
    return state;
}
