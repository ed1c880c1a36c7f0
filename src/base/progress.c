/* progress.c: the one place that draws on stderr while work goes on. */
#include "base/progress.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/clock.h"

static const uint64_t SECOND = 1000000000u;

void berth_progress_begin(struct berth_progress *progress, FILE *stream, const char *what, size_t total)
{
    *progress =
        (struct berth_progress){.stream = stream, .what = what, .total = total, .started = berth_clock_ns()};
    progress->terminal = stream && isatty(fileno(stream));
}

/* "8 s", "3 min 20 s", "2 h 5 min". */
static void print_duration(FILE *stream, double seconds)
{
    uint64_t s = seconds < 1e9 ? (uint64_t)(seconds + 0.5) : 1000000000u;
    if (s < 60)
        fprintf(stream, "%" PRIu64 " s", s);
    else if (s < 3600)
        fprintf(stream, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
    else
        fprintf(stream, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
}

static void draw_note(const struct berth_progress *progress)
{
    if (progress->note)
        fprintf(progress->stream, ", %s", progress->note);
}

static void draw(const struct berth_progress *progress, size_t done, uint64_t now)
{
    double seconds = (double)(now - progress->started) / (double)SECOND;
    size_t worked = done > progress->before ? done - progress->before : 0;
    double rate = seconds > 0 ? (double)worked / seconds : 0;
    int decimals = rate > 0 && rate < 0.95;
    if (progress->total == 0) {
        fprintf(progress->stream, "%zu %s, %.*f/s", done, progress->what, decimals, rate);
        draw_note(progress);
        return;
    }
    double share = (double)done / (double)progress->total;
    if (progress->terminal) {
        enum { WIDTH = 30 };
        int full = (int)(share * WIDTH);
        fputc('[', progress->stream);
        for (int i = 0; i < WIDTH; i++)
            fputc(i < full ? '#' : '.', progress->stream);
        fputs("] ", progress->stream);
    }
    fprintf(progress->stream, "%3.0f %%  %zu of %zu %s, %.*f/s", 100 * share, done, progress->total,
            progress->what, decimals, rate);
    if (rate > 0 && done < progress->total) {
        fputs(", ", progress->stream);
        print_duration(progress->stream, (double)(progress->total - done) / rate);
        fputs(" left", progress->stream);
    }
    draw_note(progress);
}

void berth_progress_update(struct berth_progress *progress, size_t done)
{
    progress->done = done;
    if (!progress->stream)
        return;
    uint64_t now = berth_clock_ns();
    uint64_t last = progress->shown ? progress->shown : progress->started;
    uint64_t wait = progress->terminal ? (progress->shown ? SECOND / 10 : SECOND) : 5 * SECOND;
    if (now - last < wait)
        return;
    progress->shown = now;
    if (progress->terminal)
        fputs("\r", progress->stream);
    draw(progress, done, now);
    fputs(progress->terminal ? "\033[K" : "\n", progress->stream);
    fflush(progress->stream);
}

void berth_progress_end(struct berth_progress *progress, size_t done)
{
    if (!progress->stream || !progress->shown)
        return;
    if (progress->terminal)
        fputs("\r\033[K", progress->stream);
    else {
        draw(progress, done, berth_clock_ns());
        fputc('\n', progress->stream);
    }
    fflush(progress->stream);
}
