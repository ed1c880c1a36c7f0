/* fault.h: makes allocations fail, one at a time, and counts what is still held.
 *
 * Programs under tests/fault are linked with --wrap for malloc, calloc, realloc, aligned_alloc and free, so
 * every call from berth's own objects comes here; calls inside shared libraries do not. fault_watch_json
 * brings jansson's in. */
#ifndef BERTH_TESTS_FAULT_H
#define BERTH_TESTS_FAULT_H

#include <stdbool.h>
#include <stddef.h>

#include "berth/status.h"

/* From now on the n-th allocation returns NULL (1: the next one); 0: none does. Restarts the count. */
void fault_arm(long n);

/* No allocation fails any more; true when the armed one was reached. */
bool fault_disarm(void);

/* Allocations asked for since fault_arm. */
long fault_calls(void);

/* Blocks allocated and not freed so far. */
long fault_live(void);

/* jansson allocates through here from now on. */
void fault_watch_json(void);

/* Something that allocates; on failure it has given back all it took. */
typedef enum berth_status fault_operation(void *context, struct berth_error *err);

/* Runs the operation with its n-th allocation failing, for n = 1, 2, ..., until it needs fewer than n. Each
 * failure must be BERTH_NO_MEMORY with a sentence that says "out of memory" (jansson reports a failed
 * allocation of its own as a malformed text: then BERTH_FORMAT and BERTH_INVALID_ARGUMENT pass too), no run
 * may leave a block behind, and the last one must succeed. The operation must allocate at least `at_least`
 * times; exactly `spare` allocations fail without harm.
 * Where only a part of a test runs (part.h) and there are many allocations: the first and the last one of each chain
 * of callers fail, and every 64th; at most `spare` without harm. */
void fault_each(fault_operation *run, void *context, long at_least, long spare);

/* The same, but true with the fault in words instead of a failed test. */
bool fault_find(fault_operation *run, void *context, long at_least, long spare, char *fault, size_t size);

#endif
