/* target.h: what the parts of bench_targets share. Each part measures some of the speeds that berth is to
 * reach, prints a table and adds its lines to the results. */
#ifndef BERTH_BENCH_TARGET_H
#define BERTH_BENCH_TARGET_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "bench/stats.h"
#include "peer_ort.h"

struct target_run {
    bool quick;
    const char *build;      /* folder with berth and bench/ in it */
    const char *ort_models; /* folder with NAME.onnx or NAME.fp32.onnx; NULL: none */
    struct peer_ort *ort;   /* NULL: compare with printed figures */
    struct berth_rng rng;
    json_t *results; /* list */
};

/* One of several that are timed in turn. */
struct target_contestant {
    bool (*run)(void *context); /* false ends the measuring */
    void *context;
    struct berth_stats stats; /* ms; out */
};

enum { TARGET_CONTESTANTS_MAX = 4, TARGET_TRIALS_MAX = 41 };

/* Warms up, then times all in turns, in a fresh random order each round, until `seconds` or the most rounds
 * are over. */
bool target_measure(struct target_run *run, struct target_contestant *contestants, size_t count,
                    double seconds, size_t min_rounds);

/* Prints a verdict and records it: "met", or by how much it is missed; a gap below 10 % is a tie. */
enum target_sense { TARGET_AT_LEAST, TARGET_AT_MOST };
void target_verdict(struct target_run *run, const char *target, const char *what, double value,
                    enum target_sense sense, double wanted);

/* T10; first, while this process is small: a child's peak memory counts its parent's at the start. */
void target_cold(struct target_run *run);
void target_fp32(struct target_run *run);     /* T6 */
void target_threads(struct target_run *run);  /* T7 */
void target_tokenize(struct target_run *run); /* T9 */

#endif
