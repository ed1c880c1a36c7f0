/* alloc.h: the heap. All of berth's own allocations go through here, so that tests can make each of them fail
 * (tests/fault wraps malloc, calloc, realloc and aligned_alloc at link time). All return NULL on failure or
 * overflow. */
#ifndef BERTH_BASE_ALLOC_H
#define BERTH_BASE_ALLOC_H

#include <stddef.h>

enum { BERTH_ALIGNMENT = 64 }; /* a cache line; also the widest vector */

/* count * size bytes, zeroed. Free with berth_free. A zero size gives a unique non-NULL pointer. */
void *berth_calloc(size_t count, size_t size);

/* count * size bytes, not initialised. */
void *berth_malloc(size_t count, size_t size);

/* Resizes to count * size bytes; on failure the old block is untouched and NULL is returned. */
void *berth_realloc(void *block, size_t count, size_t size);

/* `bytes` aligned to 64, not initialised; large blocks ask the kernel for huge pages. */
void *berth_aligned(size_t bytes);

char *berth_strdup(const char *text);
char *berth_strndup(const char *text, size_t length);

void berth_free(void *block); /* NULL is fine */

#endif
