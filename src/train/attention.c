/* attention.c: attention with kept softmax, forward and backward, one head of one text a piece. The products
 * are small and go through the same kernels as the large ones. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "train/network.h"

enum { STRIDE = 16 }; /* rows of the softmax are padded to whole cache lines */

size_t berth_network_pairs(size_t length)
{
    return length * berth_round_up(length, STRIDE);
}

/* One head of one text. */
struct head {
    const struct berth_network *network;
    const struct berth_kernels *kernels;
    size_t t, queries, d, c, stride; /* tokens, rows of query, head size, C, of a row of share */
    const float *query, *key, *value;
    size_t first;   /* element of share, for dropout */
    float *share;   /* [queries, stride] */
    float *packed;  /* the right operand at work */
    float *dropped; /* [t, stride]: share after dropout */
    float *slope;   /* [t, stride]: gradient of share */
    float *turned;  /* [t, stride] */
    float *gemm;
};

static size_t packed_floats(const struct berth_kernels *kernels, size_t t, size_t d)
{
    size_t most = berth_max(berth_gemm_f32_packed(kernels, t, d), berth_gemm_f32_packed(kernels, d, t));
    return berth_round_up(most, STRIDE);
}

size_t berth_network_attend_scratch(const struct berth_kernels *kernels, size_t longest, size_t d)
{
    size_t k = berth_max(longest, d);
    return packed_floats(kernels, longest, d) + 3 * berth_network_pairs(longest) +
           kernels->gemm_f32_scratch(longest, k);
}

struct attend {
    struct berth_network *network;
    size_t layer;
    const float *d_context; /* backward only */
};

static struct head take_head(const struct attend *a, size_t piece, size_t member)
{
    const struct berth_network *network = a->network;
    const struct berth_weights *weights = network->weights;
    const struct berth_kept_layer *kept = &network->layer[a->layer];
    size_t text = network->order[piece / weights->heads], index = piece % weights->heads;
    size_t first = network->offsets[text], c = weights->hidden, d = c / weights->heads;
    bool last = kept->gathered != NULL;
    struct head h = {.network = network, .kernels = network->crew.kernels, .c = c, .d = d};
    h.t = network->offsets[text + 1] - first;
    h.queries = last ? 1 : h.t;
    h.stride = berth_round_up(h.t, STRIDE);
    h.query = kept->query + (last ? text : first) * c + index * d;
    h.key = kept->key_value + first * 2 * c + index * d;
    h.value = h.key + c;
    size_t heads = weights->heads;
    h.first = heads * network->pairs[text] + index * h.t * h.stride;
    h.share = kept->share +
              (last ? (text * heads + index) * berth_round_up(network->weights->positions, STRIDE) : h.first);
    h.packed = berth_crew_scratch(&network->crew, member);
    h.dropped = h.packed + packed_floats(h.kernels, h.t, d);
    h.slope = h.dropped + h.t * h.stride;
    h.turned = h.slope + h.t * h.stride;
    h.gemm = h.turned + h.t * h.stride;
    return h;
}

static void multiply(const struct head *h, float *out, size_t out_stride, const float *left,
                     size_t left_stride, size_t m, size_t n, size_t k)
{
    h->kernels->gemm_f32(&(struct berth_gemm_f32){.out = out,
                                                  .a = left,
                                                  .weights = h->packed,
                                                  .m = m,
                                                  .n = n,
                                                  .k = k,
                                                  .out_stride = out_stride,
                                                  .a_stride = left_stride,
                                                  .scratch = h->gemm});
}

/* Rows of share, or of its gradient, dropped; `out` may be `x`. */
static void drop(const struct head *h, size_t layer, float *out, const float *x)
{
    struct berth_dropout dropout;
    berth_network_dropout(h->network, layer, BERTH_DROP_SHARE, &dropout);
    h->kernels->dropout_f32(out, x, NULL, h->queries * h->stride, h->first, &dropout);
}

static bool drops_share(const struct berth_network *network)
{
    return network->drops && network->rates.attention > 0;
}

static void attend_piece(void *context, size_t piece, size_t member)
{
    const struct attend *a = context;
    struct head h = take_head(a, piece, member);
    struct berth_kept_layer *kept = &a->network->layer[a->layer];
    const float *share = h.share;
    h.kernels->pack_f32(h.packed, h.key, 0, h.t, h.d, 2 * h.c);
    multiply(&h, h.share, h.stride, h.query, h.c, h.queries, h.t, h.d);
    for (size_t r = 0; r < h.queries; r++) {
        h.kernels->softmax_f32(h.share + r * h.stride, h.t, 1 / sqrtf((float)h.d));
        memset(h.share + r * h.stride + h.t, 0, (h.stride - h.t) * sizeof *h.share);
    }
    if (drops_share(a->network)) {
        drop(&h, a->layer, h.dropped, h.share);
        share = h.dropped;
    }
    h.kernels->pack_columns_f32(h.packed, h.value, 0, h.d, h.t, 2 * h.c);
    float *out = kept->context + (h.query - kept->query);
    multiply(&h, out, h.c, share, h.stride, h.queries, h.d, h.t);
}

/* With P the share, D its dropout, S = scale q k^T: dv = D(P)^T do; dP = D(do v^T); dS = P (dP - sum(dP P));
 * dq = scale dS k; dk = scale dS^T q. */
static void attend_back_piece(void *context, size_t piece, size_t member)
{
    const struct attend *a = context;
    struct head h = take_head(a, piece, member);
    struct berth_network *network = a->network;
    const struct berth_kernels *kernels = h.kernels;
    const struct berth_kept_layer *kept = &network->layer[a->layer];
    const float *d_out = a->d_context + (h.query - kept->query), *share = h.share;
    float *d_key = network->d_key_value + (h.key - kept->key_value), *d_value = d_key + h.c;
    float *d_query = network->d_query + (h.query - kept->query);
    kernels->pack_f32(h.packed, h.value, 0, h.t, h.d, 2 * h.c);
    multiply(&h, h.slope, h.stride, d_out, h.c, h.queries, h.t, h.d);
    for (size_t r = 0; r < h.queries; r++)
        memset(h.slope + r * h.stride + h.t, 0, (h.stride - h.t) * sizeof *h.slope);
    if (drops_share(network)) {
        drop(&h, a->layer, h.slope, h.slope);
        drop(&h, a->layer, h.dropped, h.share);
        share = h.dropped;
    }
    size_t turned_stride = berth_round_up(h.queries, STRIDE);
    kernels->transpose_f32(h.turned, share, h.queries, h.t, turned_stride, h.stride);
    kernels->pack_columns_f32(h.packed, d_out, 0, h.d, h.queries, h.c);
    multiply(&h, d_value, 2 * h.c, h.turned, turned_stride, h.t, h.d, h.queries);
    for (size_t r = 0; r < h.queries; r++)
        kernels->softmax_back_f32(h.slope + r * h.stride, h.share + r * h.stride, h.t, 1 / sqrtf((float)h.d));
    kernels->pack_columns_f32(h.packed, h.key, 0, h.d, h.t, 2 * h.c);
    multiply(&h, d_query, h.c, h.slope, h.stride, h.queries, h.d, h.t);
    kernels->transpose_f32(h.turned, h.slope, h.queries, h.t, turned_stride, h.stride);
    kernels->pack_columns_f32(h.packed, h.query, 0, h.d, h.queries, h.c);
    multiply(&h, d_key, 2 * h.c, h.turned, turned_stride, h.t, h.d, h.queries);
}

static void run(struct attend *a, berth_task *task, double products)
{
    const struct berth_network *network = a->network;
    const struct berth_weights *weights = network->weights;
    bool last = network->layer[a->layer].gathered != NULL;
    double pairs = (double)(last ? network->tokens : network->pairs[network->texts]);
    berth_crew_run(&network->crew, network->texts * weights->heads,
                   products * pairs * (double)weights->hidden, task, a);
}

void berth_network_attend(struct berth_network *network, size_t layer)
{
    run(&(struct attend){.network = network, .layer = layer}, attend_piece, 2);
}

void berth_network_attend_back(struct berth_network *network, size_t layer, const float *d_context)
{
    run(&(struct attend){.network = network, .layer = layer, .d_context = d_context}, attend_back_piece, 5);
}
