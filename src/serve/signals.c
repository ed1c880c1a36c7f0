/* signals.c: starting threads that take no signals. */
#include "serve/signals.h"

#include <stddef.h>

void berth_signals_block(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

void berth_signals_restore(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

int berth_thread_start(pthread_t *thread, void *(*run)(void *), void *argument)
{
    sigset_t before;
    berth_signals_block(&before);
    int fault = pthread_create(thread, NULL, run, argument);
    berth_signals_restore(&before);
    return fault;
}
