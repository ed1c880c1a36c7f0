/* figure.c: gnuplot, fed through a pipe: all figures in one process, each written beside its name and renamed. */
#include "report/figure.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

extern char **environ;

void berth_figure_quote(struct berth_buffer *script, const char *text)
{
    berth_buffer_text(script, "'");
    for (; *text; text++) {
        char c = (unsigned char)*text < ' ' || *text == '`' || *text == 127 ? '?' : *text;
        berth_buffer_append(script, &c, 1);
        if (c == '\'')
            berth_buffer_append(script, &c, 1);
    }
    berth_buffer_text(script, "'");
}

/* Okabe and Ito's colours, each with its own dashes, points and pattern: told apart without colour, too. */
static const char style[] =
    "set encoding utf8\n"
    "set style line 1 lc rgb '#0072B2' dt 1 pt 7 lw 2\nset style line 2 lc rgb '#D55E00' dt 2 pt 5 lw 2\n"
    "set style line 3 lc rgb '#009E73' dt 4 pt 9 lw 2\nset style line 4 lc rgb '#000000' dt 3 pt 13 lw 2\n"
    "set style line 5 lc rgb '#CC79A7' dt 5 pt 11 lw 2\nset style line 6 lc rgb '#E69F00' dt 1 pt 6 lw 2\n"
    "set style line 7 lc rgb '#56B4E9' dt 2 pt 4 lw 2\nset style line 8 lc rgb '#666666' dt 4 pt 8 lw 2\n"
    "set style line 9 lc rgb '#0072B2' dt 3 pt 12 lw 2\nset style line 10 lc rgb '#D55E00' dt 5 pt 10 lw 2\n"
    "set style line 11 lc rgb '#009E73' dt 1 pt 2 lw 2\nset style line 12 lc rgb '#000000' dt 2 pt 1 lw 2\n"
    "set style line 13 lc rgb '#CC79A7' dt 3 pt 3 lw 2\nset style line 14 lc rgb '#E69F00' dt 4 pt 7 lw 2\n"
    "set style line 15 lc rgb '#56B4E9' dt 5 pt 5 lw 2\nset style line 16 lc rgb '#666666' dt 3 pt 9 lw 2\n";

static const char fresh[] =
    "reset\nset border 3 lc rgb '#444444'\nset tics nomirror out\nset grid lc rgb '#cccccc' lw 1 dt 1\nset bars small\n";

static bool write_script(struct berth_buffer *all, const struct berth_drawing *drawing, bool *drawn)
{
    static const char *const terminals[2] = {"svg noenhanced", "pngcairo noenhanced"};
    bool good = true;
    for (size_t i = 0; i < berth_figure_count; i++) {
        struct berth_buffer body;
        int size[2] = {900, 600};
        berth_buffer_init(&body, 64 << 20);
        drawn[i] = berth_figures[i].draw(drawing, &body, size) && body.size > 0;
        for (int t = 0; drawn[i] && t < 2; t++)
            good &= berth_buffer_format(all, "set terminal %s size %d,%d font 'DejaVu Sans,%d'\nset output '.%s.%s.new'\n%s%s%s\n"
                                        "set output\n", terminals[t], size[0], size[1], 11, berth_figures[i].name,
                                        t ? "png" : "svg", fresh, style, body.data);
        good &= !body.failed;
        berth_buffer_clear(&body);
    }
    return good && !all->failed;
}

/* The first line that gnuplot wrote, for the error. */
static void read_complaint(FILE *file, char *line, size_t size)
{
    rewind(file);
    while (fgets(line, (int)size, file)) {
        line[strcspn(line, "\n")] = 0;
        const char *words = line + strspn(line, " \t^");
        if (*words && !strstr(line, "ont")) /* a font that is replaced is no failure */
            return;
    }
    snprintf(line, size, "no reason given");
}

static enum berth_status feed(const char *program, const char *directory, const struct berth_buffer *script, FILE *complaints,
                              struct berth_error *err)
{
    int ends[2], code = 0;
    pid_t child;
    posix_spawn_file_actions_t actions;
    char name[4096];
    char *argv[] = {name, (char[]){"-"}, NULL};
    snprintf(name, sizeof name, "%s", program);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return berth_fail_errno(err, errno, "cannot start %s", program);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[0], 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fileno(complaints), 2);
    posix_spawn_file_actions_addchdir_np(&actions, directory);
    code = posix_spawnp(&child, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[0]);
    if (code != 0) {
        close(ends[1]);
        return berth_fail(err, code == ENOENT ? BERTH_NOT_FOUND : BERTH_IO, "cannot start %s, which draws the figures: %s; "
                          "install the package gnuplot-nox, or name it with --gnuplot", program, strerror(code));
    }
    sigset_t pipes, before;
    sigemptyset(&pipes);
    sigaddset(&pipes, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipes, &before); /* a program that ends early is told by its exit status */
    for (size_t at = 0; at < script->size;) {
        ssize_t n = write(ends[1], script->data + at, script->size - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    close(ends[1]);
    while (waitpid(child, &code, 0) < 0 && errno == EINTR)
        continue;
    struct timespec now = {0};
    while (sigtimedwait(&pipes, NULL, &now) > 0)
        continue;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        char line[400];
        read_complaint(complaints, line, sizeof line);
        return berth_fail(err, BERTH_IO, "%s failed to draw the figures: %s", program, line);
    }
    return BERTH_OK;
}

static enum berth_status finish(const char *directory, const bool *drawn, bool keep, struct berth_error *err)
{
    char from[4400], to[4400];
    enum berth_status status = BERTH_OK;
    for (size_t i = 0; i < 2 * berth_figure_count; i++) {
        const char *kind = i % 2 ? "png" : "svg", *name = berth_figures[i / 2].name;
        snprintf(from, sizeof from, "%s/.%s.%s.new", directory, name, kind);
        snprintf(to, sizeof to, "%s/%s.%s", directory, name, kind);
        if (!drawn[i / 2])
            unlink(to); /* of an older report */
        else if (!keep)
            unlink(from);
        else if (rename(from, to) != 0 && status == BERTH_OK)
            status = berth_fail_errno(err, errno, "%s: gnuplot did not draw it", to);
    }
    return status;
}

enum berth_status berth_figures_draw(const struct berth_drawing *drawing, const char *directory, const char *gnuplot,
                                     bool *drawn, struct berth_error *err)
{
    struct berth_buffer script;
    FILE *complaints = tmpfile();
    enum berth_status status;
    berth_buffer_init(&script, (size_t)1 << 30);
    if (!complaints)
        return berth_fail_errno(err, errno, "no temporary file for gnuplot's messages");
    if (!write_script(&script, drawing, drawn))
        status = berth_fail_memory(err, "the figures", 0);
    else if (script.size == 0)
        status = BERTH_OK;
    else if ((status = feed(gnuplot ? gnuplot : "gnuplot", directory, &script, complaints, err)) == BERTH_OK)
        status = finish(directory, drawn, true, err);
    else
        finish(directory, drawn, false, NULL);
    fclose(complaints);
    berth_buffer_clear(&script);
    return status;
}
