/* limit.h: what one core of this machine can do at most, measured: multiplying and adding from registers,
 * nothing loaded or stored, and reading memory. Shares of these say how much is left. */
#ifndef BERTH_BENCH_LIMIT_H
#define BERTH_BENCH_LIMIT_H

#include <stddef.h>

#include "base/cpu.h"

/* Formats that a product is computed in. */
enum limit_format { LIMIT_FP32, LIMIT_BF16, LIMIT_INT8, LIMIT_FORMATS };

const char *limit_format_name(enum limit_format format); /* "fp32", "bf16", "int8" */

/* One instruction that multiplies and adds. */
struct limit_unit {
    const char *name; /* "vpdpbusd, 512 bits" */
    enum limit_format format;
    enum berth_isa least; /* level that has it */
    double operations;    /* of one call of run: a multiplication and an addition are two */
    void (*run)(void);
};

/* All that were compiled in, slower ones of a format before faster ones. */
const struct limit_unit *limit_units(size_t *count);

/* The fastest that level has for products in that format, which may be one of a wider format; NULL: none. */
const struct limit_unit *limit_unit_find(enum limit_format format, enum berth_isa isa);

/* Operations a ns of one core: the best of a few trials, some ms in all. 0 for NULL. */
double limit_unit_rate(const struct limit_unit *unit);

/* Reads every byte once, with the widest loads of that level; bytes is a multiple of 512. */
void limit_read(enum berth_isa isa, const void *memory, size_t bytes);

/* Bytes a ns of one core that reads so many again and again; 0 when memory for it is missing. */
double limit_read_rate(enum berth_isa isa, size_t bytes);

#endif
