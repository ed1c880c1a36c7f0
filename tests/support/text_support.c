/* text_support.c: see text_support.h. */
#include "support/text_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *text_file(const void *bytes, size_t size)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/berth-test-XXXXXX");
    int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        abort();
    }
    return path;
}

void text_file_remove(const char *path)
{
    unlink(path);
}
