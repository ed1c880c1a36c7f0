/* text_support.h: what tests of readers and metrics share: temporary files and the path of the reference
 * data. */
#ifndef BERTH_TESTS_TEXT_SUPPORT_H
#define BERTH_TESTS_TEXT_SUPPORT_H

#include <stddef.h>

/* Writes the bytes to a new temporary file; the path is static storage, until the next call. */
const char *text_file(const void *bytes, size_t size);
void text_file_remove(const char *path);

/* "$BERTH_SHARED/RELATIVE" (default ../shared beside $BERTH_SOURCE), static storage until the next call;
 * NULL, after a line "SKIP: TEST: RELATIVE is missing", when there is no such file. */
const char *text_shared(const char *test, const char *relative);

#endif
