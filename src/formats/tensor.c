/* tensor.c: names and sizes of element types, and widening to float32. Everything that reads numbers out of a
 * file ends here; the loops are plain so that the compiler vectorises them. */
#include "formats/tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} dtypes[BERTH_DTYPE_COUNT] = {
    [BERTH_DTYPE_F32] = {"f32", 4},   [BERTH_DTYPE_F16] = {"f16", 2}, [BERTH_DTYPE_BF16] = {"bf16", 2},
    [BERTH_DTYPE_F64] = {"f64", 8},   [BERTH_DTYPE_I8] = {"i8", 1},   [BERTH_DTYPE_U8] = {"u8", 1},
    [BERTH_DTYPE_I16] = {"i16", 2},   [BERTH_DTYPE_I32] = {"i32", 4}, [BERTH_DTYPE_I64] = {"i64", 8},
    [BERTH_DTYPE_BOOL] = {"bool", 1},
};

const char *berth_dtype_name(enum berth_dtype dtype)
{
    return dtypes[dtype].name;
}

size_t berth_dtype_size(enum berth_dtype dtype)
{
    return dtypes[dtype].size;
}

bool berth_dtype_is_float(enum berth_dtype dtype)
{
    return dtype <= BERTH_DTYPE_F64;
}

char *berth_tensor_describe(const struct berth_tensor *tensor, char *text, size_t size)
{
    char full[BERTH_TENSOR_MAX_RANK * 21 + 16]; /* 20 digits and a comma a dimension */
    int used = snprintf(full, sizeof full, "%s[", berth_dtype_name(tensor->dtype));
    for (size_t i = 0; i < tensor->rank; i++)
        used += snprintf(full + used, sizeof full - (size_t)used, i ? ",%zu" : "%zu", tensor->shape[i]);
    snprintf(text, size, "%s]", full);
    return text;
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Subnormals are counted in units of 2^-24 rather than scaled up, so that a thread which flushes float32
 * subnormals to zero still reads them exactly. */
static float float_of_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half & 0x7c00, mantissa = half & 0x3ff;
    if (exponent == 0) {
        float magnitude = (float)mantissa * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    uint32_t rebias = exponent == 0x7c00 ? (255 - 31) << 23 : (127 - 15) << 23;
    return float_of_bits(sign | (((exponent | mantissa) << 13) + rebias));
}

static void widen_half(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, data + 2 * i, sizeof half);
        out[i] = float_of_half(half);
    }
}

static void widen_bfloat(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t high;
        memcpy(&high, data + 2 * i, sizeof high);
        out[i] = float_of_bits((uint32_t)high << 16);
    }
}

static void narrow_double(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        double value;
        memcpy(&value, data + 8 * i, sizeof value);
        out[i] = (float)value;
    }
}

/* Steps with a scale a row. */
static void widen_steps(const struct berth_tensor *tensor, size_t first, size_t count, float *out)
{
    const signed char *steps = (const signed char *)tensor->data + first;
    const size_t k = tensor->shape[1];
    for (size_t i = 0; i < count;) {
        const size_t row = (first + i) / k,
                     end = (row + 1) * k - first < count ? (row + 1) * k - first : count;
        float scale;
        memcpy(&scale, (const char *)tensor->scales + row * sizeof scale, sizeof scale);
        for (; i < end; i++)
            out[i] = (float)steps[i] * scale;
    }
}

void berth_tensor_read_f32(const struct berth_tensor *tensor, size_t first, size_t count, float *out)
{
    if (count == 0)
        return; /* an empty tensor may have no data at all */
    const unsigned char *data = (const unsigned char *)tensor->data + first * berth_dtype_size(tensor->dtype);
    switch (tensor->dtype) {
        case BERTH_DTYPE_F32:
            memcpy(out, data, count * sizeof *out);
            break;
        case BERTH_DTYPE_F16:
            widen_half(data, count, out);
            break;
        case BERTH_DTYPE_BF16:
            widen_bfloat(data, count, out);
            break;
        case BERTH_DTYPE_F64:
            narrow_double(data, count, out);
            break;
        case BERTH_DTYPE_I8:
            if (tensor->scales)
                widen_steps(tensor, first, count, out);
            break;
        default:
            break; /* a caller's mistake: see berth_dtype_is_float */
    }
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static uint16_t narrow_f16(float x)
{
    uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x7f800000) /* infinite, or none */
        return (uint16_t)(sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00));
    if (magnitude < 0x38800000) /* below 2^-14: multiples of 2^-24, which is what the sum with a half keeps */
        return (uint16_t)(sign | (bits_of(fabsf(x) + 0.5f) - bits_of(0.5f)));
    uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return (uint16_t)(sign | (rounded >= 0x47800000 ? 0x7c00 : (rounded - 0x38000000) >> 13));
}

static uint16_t narrow_bf16(float x)
{
    uint32_t bits = bits_of(x);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

bool berth_narrow(enum berth_dtype dtype, const float *x, size_t count, void *out)
{
    bool holds = true;
    for (size_t i = 0; i < count; i++) {
        if (dtype == BERTH_DTYPE_F32) {
            ((float *)out)[i] = x[i];
            continue;
        }
        bool half = dtype == BERTH_DTYPE_F16;
        uint16_t narrow = half ? narrow_f16(x[i]) : narrow_bf16(x[i]);
        memcpy((uint16_t *)out + i, &narrow, sizeof narrow);
        holds = holds && (!isfinite(x[i]) || (narrow & 0x7fff) < (half ? 0x7c00 : 0x7f80));
    }
    return holds;
}
