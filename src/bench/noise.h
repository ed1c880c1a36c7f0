/* noise.h: what else the machine did while something was measured, so that a run can be distrusted for a reason. */
#ifndef BERTH_BENCH_NOISE_H
#define BERTH_BENCH_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Jiffies of all processors together, from /proc/stat. */
struct berth_noise_point {
    uint64_t total, idle, steal;
    double own;  /* seconds of processor time of this process */
    double load; /* average of the last minute */
};

struct berth_noise {
    struct berth_noise_point begin, end;
    double fastest, slowest; /* MHz of the first processor, 0: the kernel does not say */
    uint64_t sampled;        /* ns, of the frequency */
};

void berth_noise_begin(struct berth_noise *noise);

/* Looks at the frequency, at most once a second. */
void berth_noise_sample(struct berth_noise *noise);
void berth_noise_end(struct berth_noise *noise);

struct berth_noise_verdict {
    double steal_percent;          /* of all processors' time, taken by the host for others */
    double others_percent;         /* of all processors' time, used by other processes */
    double frequency_drop_percent; /* of the fastest seen; NaN: not told */
    bool noisy;
    char words[240]; /* "quiet", or what is wrong */
};

/* `alone`: nothing but this process should have worked (no server under test on this machine). */
void berth_noise_judge(const struct berth_noise *noise, bool alone, struct berth_noise_verdict *verdict);

/* The first line of /proc/stat ("cpu  user nice system idle iowait irq softirq steal ..."); false: none. */
bool berth_noise_parse(const char *line, struct berth_noise_point *point);

/* Microjoules that the processor packages have used since some moment, by the powercap interface (RAPL); 0 where the
 * machine does not tell. The counter wraps: a difference that is negative is not known. */
uint64_t berth_energy_uj(void);

#endif
