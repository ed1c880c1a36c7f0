/* fault.c: the counted heap of tests/fault; see fault.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/fault.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *block);

/* One heap a process: this state is global because malloc is. */
static atomic_long calls, live, fail_at;
static atomic_bool parser_failed; /* the failed allocation was jansson's */

static bool fails(void)
{
    return atomic_fetch_add(&calls, 1) + 1 == atomic_load(&fail_at);
}

static void *held(void *block)
{
    if (block)
        atomic_fetch_add(&live, 1);
    return block;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : held(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : held(__real_calloc(count, size));
}

void *__wrap_realloc(void *block, size_t size)
{
    if (fails())
        return NULL;
    return block ? __real_realloc(block, size) : held(__real_realloc(block, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : held(__real_aligned_alloc(alignment, size));
}

void __wrap_free(void *block)
{
    if (block)
        atomic_fetch_sub(&live, 1);
    __real_free(block);
}

/* jansson takes no notice when the buffer of a string cannot grow: the byte is lost, and if it was the closing quote,
 * it runs past the end of the block. There it finds one. */
static void *parser_malloc(size_t size)
{
    enum { QUOTES = 64 };
    char *block = __wrap_malloc(size + QUOTES);
    if (block)
        memset(block + size, '"', QUOTES);
    else
        atomic_store(&parser_failed, true);
    return block;
}

void fault_arm(long n)
{
    atomic_store(&parser_failed, false);
    atomic_store(&fail_at, n);
    atomic_store(&calls, 0);
}

bool fault_disarm(void)
{
    long at = atomic_exchange(&fail_at, 0);
    return at > 0 && atomic_load(&calls) >= at;
}

long fault_calls(void)
{
    return atomic_load(&calls);
}

long fault_live(void)
{
    return atomic_load(&live);
}

void fault_watch_json(void)
{
    json_set_alloc_funcs(parser_malloc, __wrap_free);
}

/* A failed allocation has been reported as one. jansson calls its own a malformed text or a wrong value. */
static bool is_reported(enum berth_status status, const struct berth_error *err)
{
    if (atomic_load(&parser_failed))
        return err->message[0] &&
               (status == BERTH_NO_MEMORY || status == BERTH_FORMAT || status == BERTH_INVALID_ARGUMENT);
    return status == BERTH_NO_MEMORY && strstr(err->message, "out of memory");
}

bool fault_find(fault_operation *run, void *context, long at_least, long spare, char *fault, size_t size)
{
    for (long n = 1;; n++) {
        struct berth_error err = {0};
        long before = fault_live();
        fault_arm(n);
        enum berth_status status = run(context, &err);
        bool reached = fault_disarm();
        if (fault_live() != before) {
            snprintf(fault, size, "allocation %ld: %ld blocks are left behind", n, fault_live() - before);
            return true;
        }
        if (reached && status == BERTH_OK && spare > 0)
            spare--;
        else if (reached && !is_reported(status, &err)) {
            snprintf(fault, size, "allocation %ld failed: status %d: %s", n, (int)status, err.message);
            return true;
        } else if (!reached && status != BERTH_OK) {
            snprintf(fault, size, "no allocation failed, but: %s", err.message);
            return true;
        } else if (!reached) {
            snprintf(fault, size, "%ld allocations, at least %ld expected; %ld harmless ones too few", n - 1,
                     at_least, spare);
            return n - 1 < at_least || spare != 0;
        }
    }
}

void fault_each(fault_operation *run, void *context, long at_least, long spare)
{
    char fault[700];
    if (fault_find(run, context, at_least, spare, fault, sizeof fault))
        fail_msg("%s", fault);
}
