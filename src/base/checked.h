/* checked.h: arithmetic on sizes that come from outside. Each returns false when the result does not fit. */
#ifndef BERTH_BASE_CHECKED_H
#define BERTH_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>

static inline bool berth_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool berth_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* Rounds n up to a multiple of step (a power of two); the caller has bounded n. */
static inline size_t berth_round_up(size_t n, size_t step)
{
    return (n + step - 1) & ~(step - 1);
}

static inline size_t berth_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t berth_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
