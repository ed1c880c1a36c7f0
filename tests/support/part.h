/* part.h: how much of a long test runs. In the release build every test is whole. Sanitizers look for faults of memory
 * and of threads, not at numbers, and take ten times as long: there tests/CMakeLists.txt sets BERTH_TESTS_PART in the
 * environment of every test (not with -DBERTH_TESTS_PART=OFF), and a long test says through this header which part of
 * it remains. A part visits whatever code the whole does: every model, level and precision, with fewer inputs. */
#ifndef BERTH_TESTS_PART_H
#define BERTH_TESTS_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

static inline bool part_only(void)
{
    return getenv("BERTH_TESTS_PART") != NULL;
}

/* `whole`, or `part` where only a part runs. */
static inline size_t part_of(size_t whole, size_t part)
{
    return part_only() ? part : whole;
}

/* Whether item `i` runs: each, or one of every `of`. Where items are visited more than once, add what differs to `i`,
 * so that each visit has items of its own. */
static inline bool part_has(size_t i, size_t of)
{
    return !part_only() || i % of == 0;
}

#endif
