/* delimited.h: cells of one record of a TSV or CSV file, found in place.
 *
 * TSV is GLUE's: cells between tabs, quotes are characters like others. CSV is RFC 4180's: cells between
 * commas; a cell that begins with a quote ends with one, holds commas and line ends, and writes a quote as
 * two. A quote inside an unquoted cell is a character like others. */
#ifndef BERTH_FORMATS_DELIMITED_H
#define BERTH_FORMATS_DELIMITED_H

#include <stdbool.h>
#include <stddef.h>

/* Where a walk over the cells of a record stands. */
struct berth_cells {
    char *at;  /* the next cell; NULL when there is none */
    char *end; /* of the record */
    bool csv;  /* else TSV */
};

/* A record of `size` bytes without its line end, whose byte record[size] may be overwritten. Every record has
 * a cell at least. */
struct berth_cells berth_cells_begin(char *record, size_t size, bool csv);

/* The next cell, unquoted in place and NUL-terminated (it may hold NULs itself); NULL after the last one, or
 * with *malformed set when text follows a closing quote. */
char *berth_cells_next(struct berth_cells *cells, size_t *size, bool *malformed);

/* Where in CSV's grammar a piece of a record ends. */
enum berth_csv_state { BERTH_CSV_CELL_START, BERTH_CSV_PLAIN, BERTH_CSV_QUOTED, BERTH_CSV_QUOTE_SEEN };

/* Goes on from `state` over the bytes; BERTH_CSV_QUOTED means that the record goes on with the next line. */
enum berth_csv_state berth_csv_scan(enum berth_csv_state state, const char *bytes, size_t size);

#endif
