/* f32_attention_ref.c: attention of one head in plain C, one query row at a time. */
#include <math.h>

#include "base/checked.h"
#include "kernels/list.h"

size_t berth_k_f32_attention_scratch__ref(size_t t, size_t d)
{
    (void)d;
    return t;
}

static float dot(const float *a, const float *b, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Replaces scores by exp(score - largest); returns their sum. */
static float exponentiate(float *scores, size_t t)
{
    float largest = scores[0], sum = 0;
    for (size_t j = 1; j < t; j++)
        largest = scores[j] > largest ? scores[j] : largest;
    for (size_t j = 0; j < t; j++) {
        scores[j] = expf(scores[j] - largest);
        sum += scores[j];
    }
    return sum;
}

void berth_k_f32_attention__ref(const struct berth_attention_f32 *g)
{
    float *scores = g->scratch;
    size_t queries = g->queries ? g->queries : g->t;
    for (size_t i = 0; i < queries; i++) {
        float *out = g->out + i * g->out_stride;
        for (size_t j = 0; j < g->t; j++) {
            scores[j] = g->scale * dot(g->q + i * g->qkv_stride, g->k + j * g->qkv_stride, g->d);
        }
        const float sum = exponentiate(scores, g->t);
        for (size_t c = 0; c < g->d; c++)
            out[c] = 0;
        for (size_t j = 0; j < g->t; j++) {
            const float *value = g->v + j * g->qkv_stride;
            for (size_t c = 0; c < g->d; c++)
                out[c] += scores[j] * value[c];
        }
        for (size_t c = 0; c < g->d; c++)
            out[c] /= sum;
    }
}
