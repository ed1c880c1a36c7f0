/* json_text.h: JSON from outside, before the parser sees it. */
#ifndef BERTH_BASE_JSON_TEXT_H
#define BERTH_BASE_JSON_TEXT_H

#include <stddef.h>

/* Writes the escape of U+FFFD over each lone surrogate's (\ud800 without its other half), which parsers
 * refuse and files and clients send; the size stays. Returns the number of values as commas and opening
 * brackets tell it, for callers that bound what a parser may spend on them. */
size_t berth_json_text_mend(char *text, size_t size);

#endif
