/* signals.h: the server's threads leave every signal to the program's own threads, which alone know what
 * SIGTERM means. */
#ifndef BERTH_SERVE_SIGNALS_H
#define BERTH_SERVE_SIGNALS_H

#include <pthread.h>
#include <signal.h>

/* Threads started between these two inherit a mask that blocks everything. */
void berth_signals_block(sigset_t *before);
void berth_signals_restore(const sigset_t *before);

/* pthread_create with all signals blocked in the new thread; returns its error number. */
int berth_thread_start(pthread_t *thread, void *(*run)(void *), void *argument);

#endif
