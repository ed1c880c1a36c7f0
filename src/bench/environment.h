/* environment.h: what machine, kernel and build a run was measured on, as lines of its record. */
#ifndef BERTH_BENCH_ENVIRONMENT_H
#define BERTH_BENCH_ENVIRONMENT_H

#include <stddef.h>

#include "berth/status.h"

/* Calls `fact` for every key of results.h's environment that this machine tells; stops at its first failure. */
typedef enum berth_status berth_environment_fn(void *context, const char *key, const char *value,
                                               struct berth_error *err);
enum berth_status berth_environment_tell(berth_environment_fn *fact, void *context, struct berth_error *err);

#endif
