/* noise.c: /proc/stat, load, frequency and energy. */
#include "bench/noise.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

/* Shares above which a run is called noisy. */
static const double STEAL = 1, OTHERS = 5, DROP = 5;

bool berth_noise_parse(const char *line, struct berth_noise_point *point)
{
    uint64_t v[8] = {0};
    int n = sscanf(line, "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
                   &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]);
    if (n < 4)
        return false;
    point->total = 0;
    for (int i = 0; i < 8; i++)
        point->total += v[i];
    point->idle = v[3] + v[4];
    point->steal = v[7];
    return true;
}

static void read_point(struct berth_noise_point *point)
{
    char line[256];
    struct timespec own = {0};
    *point = (struct berth_noise_point){0};
    if (berth_file_line("/proc/stat", line, sizeof line))
        berth_noise_parse(line, point);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    point->own = (double)own.tv_sec + (double)own.tv_nsec * 1e-9;
    if (berth_file_line("/proc/loadavg", line, sizeof line))
        point->load = strtod(line, NULL);
}

void berth_noise_begin(struct berth_noise *noise)
{
    *noise = (struct berth_noise){0};
    read_point(&noise->begin);
}

void berth_noise_sample(struct berth_noise *noise)
{
    char line[64];
    uint64_t now = berth_clock_ns();
    if (noise->sampled && now - noise->sampled < 1000000000u)
        return;
    noise->sampled = now;
    if (!berth_file_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", line, sizeof line))
        return;
    double mhz = strtod(line, NULL) * 1e-3;
    if (mhz <= 0)
        return;
    noise->fastest = fmax(noise->fastest, mhz);
    noise->slowest = noise->slowest > 0 ? fmin(noise->slowest, mhz) : mhz;
}

void berth_noise_end(struct berth_noise *noise)
{
    read_point(&noise->end);
}

void berth_noise_judge(const struct berth_noise *noise, bool alone, struct berth_noise_verdict *verdict)
{
    const struct berth_noise_point *a = &noise->begin, *b = &noise->end;
    *verdict = (struct berth_noise_verdict){.frequency_drop_percent = NAN};
    double total = b->total > a->total ? (double)(b->total - a->total) : 0;
    double tick = (double)sysconf(_SC_CLK_TCK);
    if (total > 0) {
        double steal = (double)(b->steal - a->steal), busy = total - (double)(b->idle - a->idle) - steal;
        double others = busy - (b->own - a->own) * tick;
        verdict->steal_percent = 100 * steal / total;
        verdict->others_percent = others > 0 ? 100 * others / total : 0;
    }
    if (noise->fastest > 0)
        verdict->frequency_drop_percent = 100 * (noise->fastest - noise->slowest) / noise->fastest;
    char *out = verdict->words;
    size_t size = sizeof verdict->words, n = 0;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (processors > 0 && a->load > (double)processors) /* a server under test on this machine hides what others use later */
        n += (size_t)snprintf(out + n, size - n, "the load was %.1f on %ld processors when it began; ", a->load, processors);
    bool enough = total >= tick; /* a second of one processor: below it the shares are rounding */
    if (enough && verdict->steal_percent > STEAL)
        n += (size_t)snprintf(out + n, size - n, "the host took %.1f %% of the time; ", verdict->steal_percent);
    if (enough && alone && verdict->others_percent > OTHERS)
        n += (size_t)snprintf(out + n, size - n, "other processes used %.1f %% of the processors; ",
                              verdict->others_percent);
    if (verdict->frequency_drop_percent > DROP)
        n += (size_t)snprintf(out + n, size - n, "the frequency fell by %.1f %%; ", verdict->frequency_drop_percent);
    verdict->noisy = n > 0;
    if (verdict->noisy)
        out[n - 2] = 0;
    else
        snprintf(out, size, "quiet");
}

uint64_t berth_energy_uj(void)
{
    uint64_t sum = 0;
    char path[64], line[32];
    for (int package = 0; package < 8; package++) {
        snprintf(path, sizeof path, "/sys/class/powercap/intel-rapl:%d/energy_uj", package);
        if (!berth_file_line(path, line, sizeof line))
            break;
        sum += strtoull(line, NULL, 10);
    }
    return sum;
}
