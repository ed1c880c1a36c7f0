/* product_berth.c: berth's own kernels as a maker of products, and what all makers share. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/kernels.h"
#include "product.h"

struct own {
    struct product product;
    const struct berth_kernels *kernels;
    struct berth_gemm_f32 f32;
    struct berth_gemm_tiled tiled;
    char *weights; /* [copies] packed */
    size_t copy_bytes;
    void *memory[6]; /* all of it, to free */
    size_t count;
};

void *product_memory(size_t bytes)
{
    unsigned char *memory = berth_aligned(bytes / 64 * 64 + 64);
    if (memory)
        memset(memory, 0x3c, bytes); /* 0.0115 in fp32 and bf16, 60 in int8 */
    return memory;
}

bool product_run(void *context)
{
    struct product *product = context;
    return product->run(product, product->call++ % product->shape.copies);
}

void product_close(struct product *product)
{
    if (product)
        product->close(product);
}

static void *take(struct own *own, size_t bytes)
{
    void *memory = product_memory(bytes);
    own->memory[own->count++] = memory;
    return memory;
}

static bool run_own(struct product *product, size_t copy)
{
    struct own *own = (struct own *)product;
    const char *weights = own->weights + copy * own->copy_bytes;
    own->f32.weights = (const float *)(const void *)weights;
    own->tiled.weights = weights;
    if (product->shape.format == LIMIT_FP32)
        own->kernels->gemm_f32(&own->f32);
    else if (product->shape.format == LIMIT_BF16)
        own->kernels->gemm_bf16(&own->tiled);
    else
        own->kernels->gemm_s8(&own->tiled);
    return true;
}

static void close_own(struct product *product)
{
    struct own *own = (struct own *)product;
    for (size_t i = 0; i < own->count; i++)
        berth_free(own->memory[i]);
    berth_free(own);
}

static void prepare_f32(struct own *own, const struct product_shape *s)
{
    own->copy_bytes = berth_gemm_f32_packed(own->kernels, s->n, s->k) * sizeof(float);
    own->weights = take(own, s->copies * own->copy_bytes);
    own->f32 = (struct berth_gemm_f32){
        .out = take(own, s->m * s->n * sizeof(float)),
        .a = take(own, s->m * s->k * sizeof(float)),
        .bias = take(own, s->n * sizeof(float)),
        .m = s->m,
        .n = s->n,
        .k = s->k,
        .out_stride = s->n,
        .a_stride = s->k,
        .residual_stride = s->n,
        .act = s->act,
        .scratch = take(own, own->kernels->gemm_f32_scratch(s->m, s->k) * sizeof(float))};
}

static void prepare_tiled(struct own *own, const struct product_shape *s)
{
    const size_t bytes = s->k * (s->format == LIMIT_BF16 ? 2 : 1), columns = (s->n + 15) / 16 * 16;
    own->copy_bytes = berth_gemm_tiled_packed(s->n, bytes);
    own->weights = take(own, s->copies * own->copy_bytes);
    own->tiled = (struct berth_gemm_tiled){.out = take(own, s->m * s->n * sizeof(float)),
                                           .a = take(own, berth_tiled_size(s->m, berth_tiled_row(bytes))),
                                           .a_scale = take(own, s->m * sizeof(float)),
                                           .w_scale = take(own, columns * sizeof(float)),
                                           .offset = take(own, columns * sizeof(int32_t)),
                                           .m = s->m,
                                           .n = s->n,
                                           .k = s->k,
                                           .out_stride = s->n};
    own->tiled.bias = own->tiled.w_scale;
    own->tiled.residual_stride = s->n;
    own->tiled.act = s->act;
}

const char *product_kernel_name(enum limit_format format, enum berth_isa isa)
{
    const struct berth_kernels *kernels = berth_kernels_select(isa);
    return format == LIMIT_FP32   ? kernels->gemm_f32_name
           : format == LIMIT_BF16 ? kernels->gemm_bf16_name
                                  : kernels->gemm_s8_name;
}

static struct product *open_own(const struct product_shape *shape, enum berth_isa isa,
                                char why[PRODUCT_WHY_SIZE])
{
    struct own *own = berth_calloc(1, sizeof *own);
    snprintf(why, PRODUCT_WHY_SIZE, "out of memory");
    if (!own)
        return NULL;
    own->product = (struct product){*shape, 0, run_own, close_own};
    own->kernels = berth_kernels_select(isa);
    if (shape->format == LIMIT_FP32)
        prepare_f32(own, shape);
    else
        prepare_tiled(own, shape);
    own->f32.residual = shape->residual ? own->f32.out : NULL;
    own->tiled.residual = shape->residual ? own->tiled.out : NULL;
    for (size_t i = 0; i < own->count; i++)
        if (!own->memory[i]) {
            close_own(&own->product);
            return NULL;
        }
    return &own->product;
}

const struct product_maker product_berth = {"berth", open_own};
