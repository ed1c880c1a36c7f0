/* fault.c: the counted heap of tests/fault; see fault.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/fault.h"
#include "support/part.h"

#include <execinfo.h>
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

/* Who asked for each allocation of a run that is recorded: its chain of callers in a word. */
enum { CALLERS = 1 << 16, FRAMES = 10 };
static atomic_bool recording;
static uint64_t callers[CALLERS];

static uint64_t chain_of_callers(void)
{
    void *frames[FRAMES];
    uint64_t hash = 0;
    int count = backtrace(frames, FRAMES);
    for (int i = 0; i < count; i++)
        hash = (hash ^ (uintptr_t)frames[i]) * 0x9e3779b97f4a7c15u;
    return hash;
}

static bool fails(void)
{
    const long n = atomic_fetch_add(&calls, 1) + 1;
    if (atomic_load(&recording) && n <= CALLERS)
        callers[n - 1] = chain_of_callers();
    return n == atomic_load(&fail_at);
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

/* --- what one failure leads to ------------------------------------------------------------------ */

struct trial {
    fault_operation *run;
    void *context;
    long at_least, spare; /* as asked */
    long harmless;        /* failures that were without harm so far */
    char *fault;
    size_t size;
};

enum outcome { FAULTY, PASSED, NOT_REACHED };

/* Runs the operation with its n-th allocation failing. */
static enum outcome try_failure(struct trial *t, long n)
{
    struct berth_error err = {0};
    long before = fault_live();
    fault_arm(n);
    enum berth_status status = t->run(t->context, &err);
    bool reached = fault_disarm();
    if (fault_live() != before) {
        snprintf(t->fault, t->size, "allocation %ld: %ld blocks are left behind", n, fault_live() - before);
        return FAULTY;
    }
    if (!reached && status != BERTH_OK) {
        snprintf(t->fault, t->size, "no allocation failed, but: %s", err.message);
        return FAULTY;
    }
    if (!reached)
        return NOT_REACHED;
    t->harmless += status == BERTH_OK;
    if (status == BERTH_OK ? t->harmless > t->spare : !is_reported(status, &err)) {
        snprintf(t->fault, t->size, "allocation %ld failed: status %d: %s", n, (int)status, err.message);
        return FAULTY;
    }
    return PASSED;
}

/* True when there are fewer allocations, or (all tried) harmless failures, than asked. */
static bool is_miscounted(const struct trial *t, long allocations, bool all)
{
    snprintf(t->fault, t->size, "%ld allocations, at least %ld expected; %ld harmless ones too few", allocations,
             t->at_least, t->spare - t->harmless);
    return allocations < t->at_least || (all && t->harmless < t->spare);
}

static bool find_in_all(struct trial *t)
{
    long n = 1;
    enum outcome outcome = try_failure(t, n);
    while (outcome == PASSED)
        outcome = try_failure(t, ++n);
    return outcome == FAULTY || is_miscounted(t, n - 1, true);
}

/* --- a part: each place once -------------------------------------------------------------------- */

/* Which allocations are tried: the first and the last by each chain of callers, and every EVERY-th. */
static bool *choose_failures(long allocations)
{
    enum { EVERY = 64 };
    bool *chosen = __real_calloc((size_t)allocations + 1, sizeof *chosen);
    for (long i = 0; i < allocations; i++) {
        bool first = true, last = true;
        for (long j = 0; j < i && first; j++)
            first = callers[j] != callers[i];
        for (long j = i + 1; j < allocations && last; j++)
            last = callers[j] != callers[i];
        chosen[i + 1] = first || last || i % EVERY == 0;
    }
    return chosen;
}

static bool find_in_part(struct trial *t)
{
    enum { SMALL = 64 }; /* so few allocations are all tried */
    atomic_store(&recording, true);
    enum outcome outcome = try_failure(t, 0);
    atomic_store(&recording, false);
    const long allocations = fault_calls();
    if (outcome == FAULTY)
        return true;
    if (allocations <= SMALL || allocations > CALLERS)
        return find_in_all(t);
    bool *chosen = choose_failures(allocations), faulty = false;
    long tried = 0;
    for (long n = 1; n <= allocations && !faulty; n++) {
        faulty = chosen[n] && try_failure(t, n) == FAULTY;
        tried += chosen[n];
    }
    __real_free(chosen);
    faulty = faulty || try_failure(t, 0) == FAULTY; /* the last one succeeds here, too */
    printf("%ld of %ld allocations were made to fail\n", tried, allocations);
    return faulty || is_miscounted(t, allocations, false);
}

bool fault_find(fault_operation *run, void *context, long at_least, long spare, char *fault, size_t size)
{
    struct trial t = {
        .run = run, .context = context, .at_least = at_least, .spare = spare, .fault = fault, .size = size};
    return part_only() ? find_in_part(&t) : find_in_all(&t);
}

void fault_each(fault_operation *run, void *context, long at_least, long spare)
{
    char fault[700];
    if (fault_find(run, context, at_least, spare, fault, sizeof fault))
        fail_msg("%s", fault);
}
