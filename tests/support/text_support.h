/* text_support.h: temporary files for the tests of readers. */
#ifndef BERTH_TESTS_TEXT_SUPPORT_H
#define BERTH_TESTS_TEXT_SUPPORT_H

#include <stddef.h>

/* Writes the bytes to a new temporary file; the path is static storage, until the next call. */
const char *text_file(const void *bytes, size_t size);
void text_file_remove(const char *path);

#endif
