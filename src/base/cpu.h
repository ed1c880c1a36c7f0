/* cpu.h: which instruction sets this machine may use, and how many processors this process may.
 * Order of questions: CPUID, then what the OS saves (XCR0), then the kernel's permission for AMX tile data.
 */
#ifndef BERTH_BASE_CPU_H
#define BERTH_BASE_CPU_H

#include <stdbool.h>
#include <stddef.h>

/* Levels, each containing the ones before it. `vnni` is AVX-512 with VNNI and BF16, `amx` adds int8 and bf16
 * tiles. */
enum berth_isa {
    BERTH_ISA_SCALAR,
    BERTH_ISA_AVX2,
    BERTH_ISA_AVX512,
    BERTH_ISA_VNNI,
    BERTH_ISA_AMX,
    BERTH_ISA_COUNT
};

/* "scalar", "avx2", "avx512", "vnni", "amx"; static storage. */
const char *berth_isa_name(enum berth_isa isa);

/* False for an unknown name. */
bool berth_isa_parse(const char *name, enum berth_isa *isa);

struct berth_cpu {
    char model[64];      /* brand string, "" when unknown */
    enum berth_isa best; /* highest level this machine and its OS allow */
    char reason[160]; /* why not a higher one: "no AMX tiles on this CPU", "the kernel refuses AMX tile data",
                         ... */
    size_t l1d, l2, l3; /* bytes of one core's data caches; conservative guesses when the CPU does not say */
};

/* Detects on each call (tens of microseconds); requests AMX permission for the process when the CPU has it.
 */
void berth_cpu_detect(struct berth_cpu *cpu);

/* How many threads this process should run: the smaller of its affinity mask and its cgroup's CPU quota (v2
 * and v1, rounded up), at least 1. `why` (may be NULL) receives e.g. "cgroup quota 1.5 of 8 processors". */
size_t berth_cpu_allowed(char *why, size_t why_size);

#endif
