/* fault.h: makes chosen allocations fail. For the programs of tests/fault, which are linked with malloc, calloc, realloc and
 * aligned_alloc wrapped: berth's own calls come here, those inside shared libraries do not. (jansson 2.14 asserts inside its lexer
 * when its own string buffer cannot grow, which no caller can prevent.) */
#ifndef BERTH_TESTS_FAULT_H
#define BERTH_TESTS_FAULT_H

/* Starts counting at 0; the call with this number returns NULL (-1: none). */
void fault_begin(long fail_at);

/* Stops failing; returns how many calls there were since fault_begin. */
long fault_end(void);

#endif
