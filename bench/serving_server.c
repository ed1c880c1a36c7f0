/* serving_server.c: starts a server, ends it, and looks at it from outside. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "serving.h"

extern char **environ;

enum { ANSWER_MS = 60000, LINE_SIZE = 512 };

static size_t broken;

void serving_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "bench_serving: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(2);
}

bool serving_bound(bool holds, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("  %-6s ", holds ? "ok" : "BROKEN");
    vprintf(format, args);
    printf("\n");
    fflush(stdout);
    va_end(args);
    broken += !holds;
    return holds;
}

size_t serving_broken(void)
{
    return broken;
}

const char *serving_program(void)
{
    static char path[PATH_MAX + 16];
    const char *given = getenv("BERTH_BINARY");
    if (given)
        return given;
    ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (size <= 0)
        serving_die("/proc/self/exe: %s", strerror(errno));
    path[size] = 0;
    char *folder = dirname(dirname(path));
    memmove(path, folder, strlen(folder) + 1);
    return strcat(path, "/berth");
}

/* What follows "listening on " in the first line that has it. */
static void read_address(struct serving_server *server, char *address, size_t size)
{
    char line[LINE_SIZE];
    size_t length = 0;
    static const char words[] = "listening on ";
    for (char byte; read(server->out, &byte, 1) == 1;) {
        if (byte != '\n') {
            if (length < sizeof line - 1)
                line[length++] = byte;
            continue;
        }
        line[length] = 0;
        length = 0;
        if (strncmp(line, words, sizeof words - 1) == 0) {
            snprintf(address, size, "%s", line + sizeof words - 1);
            return;
        }
    }
    serving_die("the server does not listen");
}

void serving_spawn(struct serving_server *server, const char *const *arguments, char *address, size_t size)
{
    int pipes[2];
    posix_spawn_file_actions_t actions;
    if (pipe(pipes) != 0)
        serving_die("a pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, pipes[0]);
    int fault = posix_spawnp(&server->pid, arguments[0], &actions, NULL, (char *const *)arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    if (fault)
        serving_die("%s: %s", arguments[0], strerror(fault));
    server->out = pipes[0];
    read_address(server, address, size);
}

void serving_start(struct serving_server *server, const char *model, const char *const *more)
{
    char named[1024], address[LINE_SIZE];
    struct berth_error err;
    snprintf(named, sizeof named, "m=%s", model);
    const char *arguments[SERVING_ARGUMENTS_MAX] = {serving_program(), "serve", "--port", "0", "--quiet", "-m", named};
    size_t count = 7;
    for (; more && *more && count < SERVING_ARGUMENTS_MAX - 1; more++)
        arguments[count++] = *more;
    serving_spawn(server, arguments, address, sizeof address);
    if (berth_endpoint_parse(address, &server->endpoint, &err) != BERTH_OK)
        serving_die("%s", err.message);
}

bool serving_stop(struct serving_server *server)
{
    int status = 0;
    kill(server->pid, SIGTERM);
    pid_t ended = waitpid(server->pid, &status, 0);
    close(server->out);
    bool well = ended == server->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return well || serving_bound(false, "the server's end: status %d", status);
}

double serving_resident(pid_t pid)
{
    char path[64];
    unsigned long whole, resident = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "%lu %lu", &whole, &resident) != 2)
            resident = 0;
        fclose(file);
    }
    return (double)resident * (double)sysconf(_SC_PAGESIZE) * 1e-6;
}

char *serving_get(const struct serving_server *server, const char *path)
{
    char request[256], *body;
    struct berth_error err;
    int status, size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: loopback\r\nConnection: close\r\n\r\n", path);
    const struct berth_wire wire = {request, (size_t)size};
    size_t length;
    if (berth_load_ask(&server->endpoint, &wire, ANSWER_MS, &status, &body, &length, &err) != BERTH_OK)
        serving_die("%s: %s", path, err.message);
    if (status != 200)
        serving_die("%s: status %d", path, status);
    return body;
}

double serving_metric(const char *metrics, const char *name, const char *label)
{
    double sum = 0;
    size_t length = strlen(name);
    for (const char *line = metrics; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *end = strchr(line, '\n'), *space = end;
        if (!end || strncmp(line, name, length) != 0 || (line[length] != '{' && line[length] != ' '))
            continue;
        while (space > line && *space != ' ')
            space--;
        const char *found = label ? strstr(line, label) : line;
        if (found && found < space)
            sum += strtod(space, NULL);
    }
    return sum;
}
