/* random.c: a counter through splitmix64's mixer (Steele, Lea, Flood 2014) gives 64 bits for each number; the
 * sum of their four 16-bit parts is bell-shaped (Irwin-Hall). Integers and one multiplication: no libm, so no
 * machine differs. */
#include "model/random.h"

#include <stdbool.h>
#include <string.h>

enum { SUM_MEAN = 4 * 65535 / 2 };
#define SUM_DEVIATION 37837.23f /* sqrt(4 (65536^2 - 1) / 12) */

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t hash_name(const char *name, uint64_t seed)
{
    uint64_t hash = 0xcbf29ce484222325u ^ mix(seed + 1); /* FNV-1a */
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return mix(hash);
}

static bool is_norm_scale(const struct berth_tensor *tensor)
{
    size_t length = strlen(tensor->name);
    return tensor->rank == 1 && length >= 7 && strcmp(tensor->name + length - 7, ".weight") == 0;
}

void berth_random_weights(const struct berth_tensor *tensor, uint64_t seed, double range, size_t first,
                          size_t count, float *out)
{
    uint64_t counter = hash_name(tensor->name, seed) + first * 0x9e3779b97f4a7c15u;
    float mean = is_norm_scale(tensor) ? 1 : 0;
    float scale = (float)range / SUM_DEVIATION;
    for (size_t i = 0; i < count; i++, counter += 0x9e3779b97f4a7c15u) {
        uint64_t bits = mix(counter);
        uint64_t pairs = (bits & 0x0000ffff0000ffffu) + ((bits >> 16) & 0x0000ffff0000ffffu);
        int sum = (int)((pairs & 0xffffffffu) + (pairs >> 32));
        out[i] = mean + (float)(sum - SUM_MEAN) * scale;
    }
}
