/* jsonl.h: one line of JSON Lines to one record. */
#ifndef BERTH_FORMATS_JSONL_H
#define BERTH_FORMATS_JSONL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "berth/berth.h"

/* Zero-initialise but for the keys; clear at the end. */
struct berth_jsonl {
    char *text, *pair, *label;    /* owned keys; pair and label may be NULL: not read */
    bool pair_required;           /* else an absent or null pair is none */
    struct json_t *root;          /* owned: the line that the last record borrows from */
    struct berth_buffer repaired; /* the line with its ill-formed UTF-8 replaced */
    struct berth_buffer written;  /* label that is not a string, as JSON */
};

void berth_jsonl_clear(struct berth_jsonl *jsonl); /* {0} is fine */

/* Parses a line (changed in place) into record->text and record->label, which borrow from *jsonl until the
 * next call. Ill-formed UTF-8 and escaped lone surrogates read as U+FFFD. Messages name the key, not the
 * file. */
enum berth_status berth_jsonl_parse(struct berth_jsonl *jsonl, char *line, size_t size,
                                    struct berth_record *record, struct berth_error *err);

#endif
