/* cpu.c: asks the CPU, then the OS, then (for AMX) the kernel's permission. Cache sizes by CPUID, else the
 * kernel, else guesses. */
#include "base/cpu.h"
#include "base/file.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

static const char *const isa_names[BERTH_ISA_COUNT] = {"scalar", "avx2", "avx512", "vnni", "amx"};

const char *berth_isa_name(enum berth_isa isa)
{
    return (unsigned)isa < BERTH_ISA_COUNT ? isa_names[isa] : "unknown";
}

bool berth_isa_parse(const char *name, enum berth_isa *isa)
{
    for (int i = 0; i < BERTH_ISA_COUNT; i++)
        if (strcmp(name, isa_names[i]) == 0) {
            *isa = (enum berth_isa)i;
            return true;
        }
    return false;
}

#if defined(__x86_64__)

enum { XCR0_YMM = 0x6, XCR0_ZMM = 0xe6, XCR0_TILE = 0x60000, XFEATURE_TILE_DATA = 18 };
/* CPUID leaf 7, EDX: not every compiler names these. */
enum { EDX_AMX_BF16 = 1 << 22, EDX_AMX_TILE = 1 << 24, EDX_AMX_INT8 = 1 << 25 };
enum { EAX71_AVX512_BF16 = 1 << 5 };
enum { ARCH_GET_XCOMP_PERM_CODE = 0x1022, ARCH_REQ_XCOMP_PERM_CODE = 0x1023 };

static uint64_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* The kernel gives tile data only to processes that ask: get, request, get again. */
static bool request_tiles(void)
{
    uint64_t granted = 0;
    if (syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM_CODE, XFEATURE_TILE_DATA) != 0)
        return false;
    if (syscall(SYS_arch_prctl, ARCH_GET_XCOMP_PERM_CODE, &granted) != 0)
        return false;
    return granted >> XFEATURE_TILE_DATA & 1;
}

static void detect_isa(struct berth_cpu *cpu)
{
    uint32_t a, b, c, d;
    const char *reason = "";
    cpu->best = BERTH_ISA_SCALAR;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        c = d = 0;
    bool osxsave = c & bit_OSXSAVE, fma = c & bit_FMA, f16c = c & bit_F16C, avx = c & bit_AVX;
    uint64_t xcr0 = osxsave ? read_xcr0() : 0;
    uint32_t b7 = 0, c7 = 0, d7 = 0, a71 = 0, unused;
    if (__get_cpuid_count(7, 0, &a, &b7, &c7, &d7) && a >= 1)
        __get_cpuid_count(7, 1, &a71, &unused, &unused, &unused);

    if (!(avx && fma && f16c && (b7 & bit_AVX2)))
        reason = "this CPU has no AVX2 with FMA";
    else if ((xcr0 & XCR0_YMM) != XCR0_YMM)
        reason = "the operating system does not save AVX registers";
    else
        cpu->best = BERTH_ISA_AVX2;
    const uint32_t avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL | bit_AVX512CD;
    if (cpu->best == BERTH_ISA_AVX2) {
        if ((b7 & avx512) != avx512)
            reason = "this CPU has no AVX-512 (F, BW, DQ, VL, CD)";
        else if ((xcr0 & XCR0_ZMM) != XCR0_ZMM)
            reason = "the operating system does not save AVX-512 registers";
        else
            cpu->best = BERTH_ISA_AVX512;
    }
    if (cpu->best == BERTH_ISA_AVX512) {
        if (!(c7 & bit_AVX512VNNI) || !(a71 & EAX71_AVX512_BF16))
            reason = "this CPU has no AVX-512 VNNI and BF16";
        else
            cpu->best = BERTH_ISA_VNNI;
    }
    if (cpu->best == BERTH_ISA_VNNI) {
        if (!(d7 & EDX_AMX_TILE) || !(d7 & EDX_AMX_INT8) || !(d7 & EDX_AMX_BF16))
            reason = "this CPU has no AMX tiles";
        else if ((xcr0 & XCR0_TILE) != XCR0_TILE)
            reason = "the operating system does not save AMX tiles";
        else if (!request_tiles())
            reason = "the kernel refuses AMX tile data to this process";
        else
            cpu->best = BERTH_ISA_AMX;
    }
    snprintf(cpu->reason, sizeof cpu->reason, "%s", reason);
}

static void detect_model(struct berth_cpu *cpu)
{
    uint32_t text[12] = {0};
    if ((unsigned)__get_cpuid_max(0x80000000, NULL) >= 0x80000004u)
        for (uint32_t i = 0; i < 3; i++)
            __get_cpuid(0x80000002 + i, &text[4 * i], &text[4 * i + 1], &text[4 * i + 2], &text[4 * i + 3]);
    char brand[sizeof text + 1] = {0};
    memcpy(brand, text, sizeof text);
    const char *start = brand + strspn(brand, " ");
    snprintf(cpu->model, sizeof cpu->model, "%s", start);
    for (size_t n = strlen(cpu->model); n > 0 && cpu->model[n - 1] == ' '; n--)
        cpu->model[n - 1] = 0;
}

/* Leaf 4 (Intel) and 0x8000001D (AMD) have the same form: one cache a sub-leaf. */
static void detect_caches(struct berth_cpu *cpu, uint32_t leaf)
{
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t a, b, c, d;
        if (!__get_cpuid_count(leaf, i, &a, &b, &c, &d) || (a & 31) == 0)
            return;
        bool instruction = (a & 31) == 2;
        uint32_t level = a >> 5 & 7;
        size_t size = (size_t)((b >> 22) + 1) * ((b >> 12 & 0x3ff) + 1) * ((b & 0xfff) + 1) * ((size_t)c + 1);
        if (instruction)
            continue;
        if (level == 1)
            cpu->l1d = size;
        else if (level == 2)
            cpu->l2 = size;
        else if (level == 3)
            cpu->l3 = size;
    }
}

#endif

/* First line of an attribute of one of processor 0's caches. */
static bool read_attribute(int index, const char *name, char *line, int size)
{
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, name);
    return berth_file_line(path, line, size);
}

/* What CPUID did not say, and other processors have no CPUID: the kernel's view, in kilobytes ("48K"). */
static void read_caches(struct berth_cpu *cpu)
{
    size_t *const sizes[] = {NULL, &cpu->l1d, &cpu->l2, &cpu->l3};
    char level[32], type[32], size[32];
    for (int i = 0; i < 16 && read_attribute(i, "level", level, sizeof level); i++) {
        int number = atoi(level);
        bool complete =
            read_attribute(i, "type", type, sizeof type) && read_attribute(i, "size", size, sizeof size);
        if (complete && type[0] != 'I' && number >= 1 && number <= 3 && *sizes[number] == 0)
            *sizes[number] = (size_t)strtoul(size, NULL, 10) << 10;
    }
}

void berth_cpu_detect(struct berth_cpu *cpu)
{
    *cpu = (struct berth_cpu){.best = BERTH_ISA_SCALAR};
#if defined(__x86_64__)
    detect_isa(cpu);
    detect_model(cpu);
    uint32_t a, b, c, d;
    bool amd_topology = __get_cpuid(0x80000001, &a, &b, &c, &d) && (c >> 22 & 1);
    detect_caches(cpu, amd_topology ? 0x8000001d : 4);
#else
    snprintf(cpu->reason, sizeof cpu->reason,
             "berth has no kernels for this kind of CPU but the plain C ones");
#endif
    if (cpu->l1d == 0 || cpu->l2 == 0 || cpu->l3 == 0)
        read_caches(cpu);
    if (cpu->l1d == 0)
        cpu->l1d = 32 << 10;
    if (cpu->l2 == 0)
        cpu->l2 = 512 << 10;
    if (cpu->l3 == 0)
        cpu->l3 = 4 << 20;
}
