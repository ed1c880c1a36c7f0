/* alloc.c: overflow-checked wrappers of the C heap. */
#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/checked.h"

enum { HUGE_PAGE = 2 << 20 };

static bool total_size(size_t count, size_t size, size_t *total)
{
    if (!berth_mul(count, size, total) || *total > SIZE_MAX / 4)
        return false;
    if (*total == 0)
        *total = 1;
    return true;
}

void *berth_calloc(size_t count, size_t size)
{
    size_t total;
    return total_size(count, size, &total) ? calloc(1, total) : NULL;
}

void *berth_malloc(size_t count, size_t size)
{
    size_t total;
    return total_size(count, size, &total) ? malloc(total) : NULL;
}

void *berth_realloc(void *block, size_t count, size_t size)
{
    size_t total;
    return total_size(count, size, &total) ? realloc(block, total) : NULL;
}

void *berth_aligned(size_t bytes)
{
    if (bytes > SIZE_MAX / 4)
        return NULL;
    size_t alignment = bytes >= 2 * (size_t)HUGE_PAGE ? (size_t)HUGE_PAGE : (size_t)BERTH_ALIGNMENT;
    size_t total = berth_round_up(bytes ? bytes : 1, BERTH_ALIGNMENT);
    if (alignment == HUGE_PAGE)
        total = berth_round_up(total, HUGE_PAGE);
    void *block = aligned_alloc(alignment, total);
    if (block && alignment == HUGE_PAGE)
        (void)madvise(block, total, MADV_HUGEPAGE); /* advice: a refusal only costs speed */
    return block;
}

char *berth_strndup(const char *text, size_t length)
{
    char *copy = berth_malloc(length + 1, 1);
    if (copy) {
        memcpy(copy, text, length);
        copy[length] = 0;
    }
    return copy;
}

char *berth_strdup(const char *text)
{
    return berth_strndup(text, strlen(text));
}

void berth_free(void *block)
{
    free(block);
}
