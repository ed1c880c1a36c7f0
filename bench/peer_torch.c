/* peer_torch.c: starts a script and speaks with it, a line a question, a line an answer. */
#include "peer_torch.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct peer_torch {
    pid_t child;
    FILE *questions, *answers;
};

static void run_child(const char *script, const char *argument, size_t threads, int questions, int answers)
{
    char count[24];
    dup2(questions, STDIN_FILENO);
    dup2(answers, STDOUT_FILENO);
    if (!freopen("/dev/null", "w", stderr))
        _exit(127);
    for (int end = 3; end < 256; end++)
        close(end); /* so that a peer that ends is seen to end */
    snprintf(count, sizeof count, "%zu", threads);
    setenv("OMP_NUM_THREADS", count, 1);
    if (threads > 1) { /* else its threads wander */
        setenv("OMP_PLACES", "threads", 1);
        setenv("OMP_PROC_BIND", "close", 1);
    }
    setenv("ATEN_CPU_CAPABILITY", "avx512",
           1); /* Debian's stays at AVX2 otherwise; ignored where there is none */
    execl("/usr/bin/python3", "python3", script, argument, (char *)NULL);
    _exit(127);
}

static bool start(struct peer_torch *peer, const char *script, const char *argument, size_t threads)
{
    int questions[2], answers[2];
    if (pipe(questions) != 0)
        return false;
    if (pipe(answers) != 0) {
        close(questions[0]);
        close(questions[1]);
        return false;
    }
    fflush(NULL);
    peer->child = fork();
    if (peer->child == 0)
        run_child(script, argument, threads, questions[0], answers[1]);
    close(questions[0]);
    close(answers[1]);
    peer->questions = fdopen(questions[1], "w");
    peer->answers = fdopen(answers[0], "r");
    signal(SIGPIPE, SIG_IGN); /* a peer that has ended is a failed run, not the end of this process */
    return peer->child > 0 && peer->questions && peer->answers;
}

struct peer_torch *peer_torch_open(const char *script, const char *argument, size_t threads,
                                   char why[PEER_TORCH_WHY_SIZE])
{
    char greeting[128];
    struct peer_torch *peer = calloc(1, sizeof *peer);
    if (peer && start(peer, script, argument, threads) && fgets(greeting, sizeof greeting, peer->answers))
        return peer;
    snprintf(why, PEER_TORCH_WHY_SIZE, "PyTorch does not answer: /usr/bin/python3 %s (Debian: python3-torch)",
             script);
    peer_torch_close(peer);
    return NULL;
}

void peer_torch_close(struct peer_torch *peer)
{
    if (!peer)
        return;
    if (peer->questions)
        fclose(peer->questions); /* the end of its input */
    if (peer->answers)
        fclose(peer->answers);
    if (peer->child > 0)
        waitpid(peer->child, NULL, 0);
    free(peer);
}

bool peer_torch_ask(struct peer_torch *peer, const char *question, double *number)
{
    char answer[128];
    if (fputs(question, peer->questions) < 0 || fputc('\n', peer->questions) == EOF ||
        fflush(peer->questions) != 0 || !fgets(answer, sizeof answer, peer->answers))
        return false;
    return number ? sscanf(answer, "ok %lf", number) == 1 : strcmp(answer, "ok\n") == 0;
}

bool peer_torch_prepare(struct peer_torch *peer, size_t texts, size_t length)
{
    char question[64];
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) == 0)
        sched_setaffinity(peer->child, sizeof cores, &cores);
    snprintf(question, sizeof question, "prepare %zu %zu", texts, length);
    return peer_torch_ask(peer, question, NULL);
}

bool peer_torch_run(void *peer)
{
    return peer_torch_ask(peer, "run", NULL);
}
