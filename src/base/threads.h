/* threads.h: a team of threads that runs one function over numbered pieces of work and waits for all.
 *
 * The calling thread is member 0. Members spin a few microseconds after a run, then sleep on a futex: a team
 * that is used in bursts wakes fast, an idle one burns nothing. One run at a time per team; teams are
 * independent. */
#ifndef BERTH_BASE_THREADS_H
#define BERTH_BASE_THREADS_H

#include <stddef.h>

#include "berth/status.h"

struct berth_team;

/* Work on piece `index` of the run, on member `member` (0 .. threads-1: selects per-thread scratch). */
typedef void berth_task(void *context, size_t index, size_t member);

enum { BERTH_THREADS_MAX = 1024 };

/* `threads` includes the caller: 1 starts no thread. */
enum berth_status berth_team_new(size_t threads, struct berth_team **team, struct berth_error *err);
void berth_team_free(struct berth_team *team); /* joins; NULL is fine */
size_t berth_team_size(const struct berth_team *team);

/* Runs task(context, i, member) once for every i in [0, count), in any order on any member, and returns when
 * all are done. Allocates nothing. Pieces are claimed one by one, so order them largest first when they
 * differ. */
void berth_team_run(struct berth_team *team, size_t count, berth_task *task, void *context);

#endif
