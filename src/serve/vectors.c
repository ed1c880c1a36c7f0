/* vectors.c: vectors as JSON. */
#include "serve/vectors.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

/* What the numbers are multiplied by. */
static double factor_of(const struct berth_cut *cut, const float *vector)
{
    if (!cut->cut || !cut->normalize)
        return 1;
    double sum = 0;
    for (size_t i = 0; i < cut->width; i++)
        sum += (double)vector[i] * vector[i];
    return sum > 0 ? 1 / sqrt(sum) : 1;
}

void berth_vector_write(const struct berth_cut *cut, const float *vector, struct berth_writer *writer)
{
    double factor = factor_of(cut, vector);
    if (factor == 1) {
        berth_write_floats(writer, vector, cut->width);
        return;
    }
    for (size_t i = 0; i < cut->width; i++) {
        berth_write(writer, i == 0 ? "[" : ",");
        berth_write_float(writer, (float)(vector[i] * factor));
    }
    berth_write(writer, "]");
}

void berth_vector_write_base64(const struct berth_cut *cut, const float *vector, struct berth_writer *writer)
{
    double factor = factor_of(cut, vector);
    unsigned char *bytes = berth_malloc(cut->width, 4);
    if (!bytes) {
        writer->failed = true;
        return;
    }
    for (size_t i = 0; i < cut->width; i++) {
        float number = factor == 1 ? vector[i] : (float)(vector[i] * factor);
        uint32_t bits;
        memcpy(&bits, &number, sizeof bits);
        for (int k = 0; k < 4; k++)
            bytes[4 * i + (size_t)k] = (unsigned char)(bits >> 8 * k);
    }
    berth_write_base64(writer, bytes, 4 * cut->width);
    berth_free(bytes);
}
