/* amx_trap.c: AMX instructions on a machine without them: each raises SIGILL, whose handler decodes it and
 * does what amx_emulated.h says. So the very machine code of the library is tested: what the compiler made of
 * the intrinsics, in which order with other loads and stores. */
#include "support/amx_kernels.h"

#if defined(__x86_64__)

#include <signal.h>
#include <ucontext.h>

#include "support/amx_emulated.h"

/* A VEX prefix of three bytes (c4), opcode, ModRM and what follows it: all that AMX instructions have. */
struct instruction {
    unsigned prefix, opcode; /* prefix: 0 none, 1 66, 2 f3, 3 f2 */
    unsigned mod, reg, rm, vvvv;
    uintptr_t base;   /* of memory, displacement included; without the index */
    ptrdiff_t stride; /* the index register, 0 when there is none */
    size_t size;
};

/* General registers in the order instructions number them. */
static uintptr_t register_value(const ucontext_t *context, unsigned number)
{
    static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return (uintptr_t)context->uc_mcontext.gregs[order[number]];
}

static intptr_t displacement(const uint8_t *bytes, size_t size)
{
    int32_t wide = 0;
    if (size == 1)
        return (int8_t)bytes[0];
    if (size == 4)
        memcpy(&wide, bytes, sizeof wide);
    return wide;
}

/* False for what has another form. */
static bool decode(const ucontext_t *context, struct instruction *in)
{
    const uint8_t *code = (const uint8_t *)context->uc_mcontext.gregs[REG_RIP];
    if (code[0] != 0xc4 || (code[1] & 0x1f) != 2 || (code[2] & 0x84)) /* map 0f38, W 0, 128 bits */
        return false;
    const unsigned x = !(code[1] & 0x40), b = !(code[1] & 0x20);
    *in = (struct instruction){.prefix = code[2] & 3,
                               .opcode = code[3],
                               .mod = code[4] >> 6,
                               .reg = code[4] >> 3 & 7,
                               .rm = code[4] & 7,
                               .vvvv = ~code[2] >> 3 & 15,
                               .size = 5};
    if (in->mod == 3)
        return true;
    size_t wide = in->mod == 1 ? 1 : in->mod == 2 ? 4 : 0;
    unsigned base = in->rm;
    if (in->rm == 4) { /* a SIB byte; index 4 is none */
        const unsigned sib = code[in->size++], index = (sib >> 3 & 7) | x << 3;
        base = sib & 7;
        if (index != 4)
            in->stride = (ptrdiff_t)(register_value(context, index) << (sib >> 6));
    }
    const bool no_base = in->mod == 0 && base == 5;
    if (no_base)
        wide = 4;
    in->base = (uintptr_t)displacement(code + in->size, wide);
    in->size += wide;
    if (!no_base)
        in->base += register_value(context, base | b << 3);
    else if (in->rm == 5) /* relative to the next instruction */
        in->base += (uintptr_t)code + in->size;
    return true;
}

/* False for an instruction that is none of AMX's. */
static bool emulate(const struct instruction *in)
{
    void *memory = (void *)in->base;
    switch (in->opcode << 4 | in->prefix << 1 | (in->mod == 3)) {
        case 0x490:
            emulate_loadconfig(memory);
            return true;
        case 0x491:
            emulate_release();
            return true;
        case 0x497:
            emulate_zero(in->reg);
            return true;
        case 0x4b2: /* the one that only hints at caching otherwise */
        case 0x4b6:
            emulate_load(in->reg, memory, in->stride);
            return true;
        case 0x4b4:
            emulate_store(in->reg, memory, in->stride);
            return true;
        case 0x5c5:
            emulate_dpbf16ps(in->reg, in->rm, in->vvvv);
            return true;
        case 0x5e3:
            emulate_dpbusd(in->reg, in->rm, in->vvvv);
            return true;
        case 0x5e7:
            emulate_dpbssd(in->reg, in->rm, in->vvvv);
            return true;
        default:
            return false;
    }
}

static void handle(int number, siginfo_t *info, void *data)
{
    (void)number, (void)info;
    ucontext_t *context = data;
    struct instruction in;
    if (decode(context, &in) && emulate(&in))
        context->uc_mcontext.gregs[REG_RIP] += (greg_t)in.size;
    else
        abort();
}

bool amx_trap(void)
{
    const struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    return sigaction(SIGILL, &action, NULL) == 0;
}

#else

bool amx_trap(void)
{
    return false;
}

#endif
