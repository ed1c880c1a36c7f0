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

const char *text_shared(const char *test, const char *relative)
{
    static char path[4096];
    const char *shared = getenv("BERTH_SHARED"), *source = getenv("BERTH_SOURCE");
    if (shared)
        snprintf(path, sizeof path, "%s/%s", shared, relative);
    else
        snprintf(path, sizeof path, "%s/../shared/%s", source ? source : ".", relative);
    if (access(path, R_OK) == 0)
        return path;
    printf("SKIP: %s: %s is missing\n", test, relative);
    return NULL;
}
