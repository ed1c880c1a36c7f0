/* dropout_hash.h: the bits of a dropout's mask, one step of the same integer arithmetic on one lane or many:
 * two rounds of a 32-bit finaliser (multiply, shift, xor; constants of lowbias32, Wellons 2018) with half of
 * the key before each. Expects `x` to be the element's index in 32 bits; indices beyond repeat with another
 * key. */
#ifndef BERTH_KERNELS_TRAIN_DROPOUT_HASH_H
#define BERTH_KERNELS_TRAIN_DROPOUT_HASH_H

#define DROPOUT_ROUND(x)  \
    do {                  \
        x ^= x >> 16;     \
        x *= 0x7feb352du; \
        x ^= x >> 15;     \
        x *= 0x846ca68bu; \
        x ^= x >> 16;     \
    } while (0)

#define DROPOUT_HASH(x, low, high) \
    do {                           \
        x ^= low;                  \
        DROPOUT_ROUND(x);          \
        x ^= high;                 \
        DROPOUT_ROUND(x);          \
    } while (0)

#endif
